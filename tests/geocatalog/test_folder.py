"""A catalog in a folder: the same rows in any number of pieces, and whole at any moment."""

import itertools
import json
import pickle
import re
import subprocess
import sys

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from counters import bytes_read
from footprints import frame
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocatalog import (
    CatalogError,
    InMemoryGeoCatalog,
    append_to,
    compact,
    open_catalog,
    to_geoparquet,
)
from geocatalog import folder as folder_module
from geocatalog.manifest import MANIFEST, read_manifest
from pipekit.places import Place

KINDS = ("box", "box", "triangle", "across 180", "nowhere")
EVERY = ("all", "year", "month", "day")


@st.composite
def row(draw):
    west, south = draw(st.integers(-179, 160)), draw(st.integers(-60, 60))
    first = draw(st.sampled_from([None, *range(0, 800, 37)]))
    last = draw(st.sampled_from([None, *range(0, 800, 37)]))
    if first is not None and last is not None:
        first, last = sorted((first, last))
    return west, south, draw(st.integers(1, 19)), draw(st.sampled_from(KINDS)), first, last


@st.composite
def question(draw):
    west, south = draw(st.integers(-180, 170)), draw(st.integers(-70, 60))
    east, north = west + draw(st.integers(0, 200)), south + draw(st.integers(0, 30))
    box = (west, south, east if east <= 180 else east - 360, north)
    days = draw(st.integers(0, 800)), draw(st.integers(0, 60))
    ends = [moment(days[0]), moment(sum(days))]
    time = draw(st.sampled_from([None, tuple(ends), (None, ends[1]), (ends[0], None)]))
    return draw(st.sampled_from([None, box])), time


def moment(day):
    return None if day is None else pd.Timestamp("2022-11-01", tz="UTC") + pd.Timedelta(days=day)


def footprint(west, south, size, kind):
    if kind == "nowhere":
        return shapely.Polygon()
    if kind == "triangle":
        return shapely.Polygon([(west, south), (west + size, south), (west, south + size)])
    if kind == "across 180":
        parts = (
            shapely.box(180 - size, south, 180, south + size),
            shapely.box(-180, south, size - 180, south + size),
        )
        return shapely.MultiPolygon(parts)
    return shapely.box(west, south, west + size, south + size)


def catalog_of(rows):
    return InMemoryGeoCatalog(
        gpd.GeoDataFrame(
            {
                "filepath": [f"/data/{number:04d}.tif" for number in range(len(rows))],
                "start_time": pd.Series([moment(r[4]) for r in rows], dtype="datetime64[us, UTC]"),
                "end_time": pd.Series([moment(r[5]) for r in rows], dtype="datetime64[us, UTC]"),
                "number": np.arange(len(rows)),
                "words": [[f"w{number}"] * (number % 3) for number in range(len(rows))],
            },
            geometry=[footprint(*r[:4]) for r in rows],
            crs=4326,
        )
    )


def told(catalog):
    """Return all that a catalog says of its rows, in an order of their own."""
    rows = catalog.gdf.sort_values("filepath")
    shapes = shapely.to_wkt(shapely.normalize(rows.geometry.to_numpy()))
    times = rows.start_time.astype(str), rows.end_time.astype(str)
    words = [list(each) for each in rows.words]
    return list(zip(rows.filepath, *times, rows.number.tolist(), words, shapes, strict=True))


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(row(), min_size=1, max_size=24),
    asked=st.lists(question(), min_size=1, max_size=4),
    partition=st.sampled_from(EVERY),
    cuts=st.lists(st.tuples(st.integers(0, 24), st.booleans()), max_size=4),
    file_rows=st.sampled_from([2, 5, 1000]),
    waiting=st.sampled_from([1, 10**9]),
)
def test_any_pieces_and_any_compaction_are_one_catalog(
    tmp_path_factory, rows, asked, partition, cuts, file_rows, waiting
):
    whole, folder = catalog_of(rows), tmp_path_factory.mktemp("parts")
    ends = sorted(min(end, len(rows)) for end, _ in cuts)
    pieces = [whole.table.frame.iloc[a:b] for a, b in itertools.pairwise([0, *ends, len(rows)])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder_module, "FILE_ROWS", file_rows)
        patch.setattr(folder_module, "WAITING_BYTES", waiting)
        to_geoparquet(iter([pieces[0]]), folder, partition=partition, row_group_size=2)
        for piece, then_compact in zip(
            pieces[1:], [*(flag for _, flag in cuts), False], strict=False
        ):
            assert append_to(folder, piece) == len(piece)
            if then_compact:
                compact(folder)
    found = open_catalog(folder)
    single = open_catalog(to_geoparquet(whole, folder.with_suffix(".parquet")))
    assert told(found) == told(whole) == told(single)
    assert (found.total_bounds, found.temporal_extent) == (
        whole.total_bounds,
        whole.temporal_extent,
    )
    assert append_to(folder, whole) == 0, "all of them are listed"
    for box, time in asked:
        answers = [c.query(bounds=box, time=time) for c in (found, single, whole)]
        assert told(answers[0]) == told(answers[1]) == told(answers[2])
        assert len(answers[0]) == len(answers[2])
        assert answers[0].total_bounds == answers[2].total_bounds
    box = (4e5, 5.2e6, 1.2e6, 6e6)
    assert told(found.query(bounds=box, crs=32632)) == told(whole.query(bounds=box, crs=32632))
    assert told(pickle.loads(pickle.dumps(found.query(time="2023")))) == told(
        whole.query(time="2023")
    )


def archive(days, tiles=20, first=0):
    """Return scenes of so many days, each of every tile along a line, one degree wide."""
    day, tile = np.divmod(np.arange(days * tiles), tiles)
    when = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(day + first, unit="D")
    names = [f"/{d + first:04d}/{t:02d}.tif" for d, t in zip(day, tile, strict=True)]
    shapes = shapely.box(tile, tile, tile + 0.9, tile + 0.9)
    times = {"start_time": when, "end_time": when}
    return gpd.GeoDataFrame({"filepath": names, **times}, geometry=shapes, crs=4326)


def read_by(catalog):
    """Return the files and the row groups that a query has read."""
    plan = catalog.explain()
    return tuple(
        sum(map(int, re.findall(rf"{what}: (\d+)", plan)))
        for what in ("Total Files Read", "Row Groups Scanned")
    )


def test_a_box_and_some_days_read_few_files_and_few_groups(tmp_path):
    to_geoparquet(archive(365), tmp_path, partition="month", row_group_size=31)
    catalog = open_catalog(tmp_path)
    assert read_by(catalog) == (12, 239), "all of them"
    asked = catalog.query(bounds=(7.2, 7.2, 7.4, 7.4), time="2024-06-10/2024-07-09")
    assert len(asked) == 30
    files, groups = read_by(asked)
    assert files == 2
    assert groups <= 4, "of 40 in these two files"
    assert len(catalog.query(time="2030")) == 0


def test_a_day_more_touches_no_other_file(tmp_path):
    to_geoparquet(archive(70), tmp_path, partition="month")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    opened = open_catalog(tmp_path)
    assert append_to(tmp_path, archive(1, first=70)) == 20
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    assert before.items() < after.items()
    assert len(after) == len(before) + 1
    assert len(opened) == len(opened.gdf) == 1400, "who had it open goes on with what it had"
    assert len(opened.query(time="2024-03-11")) == 0
    again = open_catalog(tmp_path)
    assert len(again.query(time="2024-03-11")) == 20
    assert compact(tmp_path) == 1
    assert compact(tmp_path) == 0
    assert len(open_catalog(tmp_path)) == len(open_catalog(tmp_path).gdf) == 1420
    with pytest.raises(CatalogError, match="open it again"):
        _ = again.query(time="2024-03").gdf
    assert len(again.query(time="2024-01").gdf) == 620, "of files that are as they were"


STEPS = """
import os, signal, sys
import numpy, geopandas, pyarrow.parquet, duckdb, shapely
from geocatalog import append_to, compact, open_catalog, to_geoparquet
folder, verb, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
extra = geopandas.read_parquet(sys.argv[4])
count = 0
def count_steps(event, args):
    global count
    if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir") and folder in str(args):
        count += 1
        if count == limit:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(count_steps)
{"append": lambda: append_to(folder, extra), "compact": lambda: compact(folder),
 "write": lambda: to_geoparquet(extra, folder, partition="day")}[verb]()
print(count)
"""


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["append", "compact", "write"])
def test_one_that_is_killed_loses_nothing_and_doubles_nothing(tmp_path, verb):
    extra = archive(4, tiles=5, first=58)
    source = tmp_path / "extra.parquet"
    extra.to_parquet(source)

    def fresh(name):
        folder = tmp_path / name
        to_geoparquet(archive(60, tiles=5), folder, partition="month")
        append_to(folder, archive(2, tiles=5, first=29).assign(filepath=lambda f: f.filepath + "x"))
        return folder

    def run(folder, limit):
        command = [sys.executable, "-c", STEPS, str(folder), verb, str(limit), str(source)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    folder = fresh("whole")
    before = sorted(open_catalog(folder).paths)
    done = run(folder, 0)
    assert done.returncode == 0, done.stderr
    after = sorted(open_catalog(folder).paths)
    steps = int(done.stdout)
    assert steps > 8
    drawn = np.random.default_rng(len(verb)).permutation(np.arange(1, steps + 1))[:7]
    for limit in drawn.tolist():
        folder = fresh(f"killed-{limit}")
        assert run(folder, limit).returncode == -9
        found = open_catalog(folder)
        assert sorted(found.paths) in (before, after)
        assert sorted(found.gdf.filepath) == sorted(found.paths)
        assert run(folder, 0).returncode == 0
        again = open_catalog(folder)
        assert sorted(again.paths) == after
        listed = {folder / part.name for part in again._source.files}
        assert set(folder.rglob("*.parquet")) == listed, "nothing is left behind"
        assert not [path for path in folder.rglob("*") if path.name.startswith(".rows-")]


def test_adding_reads_the_list_of_files_twice_at_most(tmp_path):
    """Once while the folder is held, and once when the list is replaced."""
    folder = tmp_path / "catalog"
    to_geoparquet(frame([(0, 0, 1, 1)]), folder, partition="all")
    append_to(folder, frame([(1, 0, 2, 1)]).assign(filepath="/b"))
    size = 3_000_000
    with open(folder / MANIFEST, "ab") as file:
        file.write(b" " * size)
    more = frame([(2, 0, 3, 1)]).assign(filepath="/c")
    assert bytes_read(lambda: append_to(folder, more)) < 2.5 * size
    assert len(open_catalog(folder)) == 3


def test_columns_may_come_later_and_keep_their_kind(tmp_path):
    plain = frame([(0, 0, 1, 1)], "2024-06-01")
    to_geoparquet(plain.assign(note=None), tmp_path, partition="month")
    for number, extra in enumerate(
        [{"note": "b"}, {"cloud": 3.5, "Cloud": 7}, {"box": {"a": 1}}], start=1
    ):
        more = plain.assign(filepath=f"/{number}.tif")
        for name, value in extra.items():
            more[name] = [value]
        append_to(tmp_path, more)
    for _ in range(2):
        found = open_catalog(tmp_path)
        rows = found.gdf.sort_values("filepath").reset_index(drop=True)
        assert rows.note.tolist()[:1] == ["b"]
        assert rows.cloud.dropna().tolist() == [3.5]
        assert rows.Cloud.dropna().tolist() == [7]
        assert [each for each in rows.box if each] == [{"a": 1}]
        assert len(found.where("cloud > 3 and note is null")) == 1
        assert len(found.where('"Cloud" = 7')) == 1
        assert found.query(bounds=(9e5, 0, 9e5 + 1, 1)).gdf.columns.tolist() == found.columns
        assert compact(tmp_path) in (0, 3)
    with pytest.raises(CatalogError, match="cloud"):
        append_to(tmp_path, plain.assign(filepath="/x", cloud=["text"]))
    with pytest.raises(CatalogError, match="Cloud"):
        append_to(tmp_path, plain.assign(filepath="/x", Cloud=[0.5]))
    with pytest.raises(CatalogError, match="vector"):
        append_to(tmp_path, InMemoryGeoCatalog(plain, "vector"))
    assert len(open_catalog(tmp_path)) == 4, "what was refused has changed nothing"


@pytest.mark.parametrize("first", [[], None])
@pytest.mark.parametrize("second", [["a", "b"], [1], [["deep"]]])
def test_lists_that_are_empty_get_their_type_later(tmp_path, first, second):
    plain, given = frame([(0, 0, 1, 1)], "2024-06-01"), [first, second, [], None]
    for number, words in enumerate(given):
        more = plain.assign(filepath=f"/{number}.tif", words=[words])
        if number:
            append_to(tmp_path, more)
        else:
            to_geoparquet(more, tmp_path, partition="month")
    for _ in range(2):
        found = open_catalog(tmp_path)
        rows = found.gdf.sort_values("filepath")
        lists = [each if each is None else list(each) for each in rows.words]
        assert [None if each is None else len(each) for each in lists] == [
            None if each is None else len(each) for each in given
        ]
        assert len(found.where(f"len(words) = {len(second)}")) == 1
        assert len(pickle.loads(pickle.dumps(found)).query(time="2024-06").gdf) == 4
        assert compact(tmp_path) in (0, 3)
    with pytest.raises(CatalogError, match="words"):
        append_to(tmp_path, plain.assign(filepath="/x", words=[[{"a": 1}]]))


def test_rows_come_in_the_crs_of_the_catalog(tmp_path):
    utm = InMemoryGeoCatalog(frame([(5e5, 4e6, 6e5, 41e5)], crs=32610))
    to_geoparquet(catalog_of([(0, 0, 1, "box", 0, 0)]), tmp_path, partition="year")
    append_to(tmp_path, utm)
    assert len(open_catalog(tmp_path).query(bounds=(-122.5, 36.5, -122.4, 36.6))) == 1


def test_a_single_file_is_parted_in_pieces(tmp_path):
    path = to_geoparquet(InMemoryGeoCatalog(archive(50)), tmp_path / "one.parquet")
    made = to_geoparquet(open_catalog(path).query(time="2024-01"), tmp_path / "f", partition="day")
    assert len(list((tmp_path / "f").iterdir())) == 31 + 2
    assert sorted(open_catalog(made).paths) == sorted(archive(31).filepath)
    assert len(open_catalog(made, engine="memory")) == 620


def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path):
    rows, parts = archive(2), tmp_path / "parts"
    (tmp_path / "file").write_text("text")
    with pytest.raises(CatalogError, match="week"):
        to_geoparquet(rows, parts, partition="week")
    with pytest.raises(CatalogError, match="partition='month'"):
        to_geoparquet(iter([rows]), parts)
    with pytest.raises(CatalogError, match="is a file"):
        to_geoparquet(rows, tmp_path / "file", partition="day")
    with pytest.raises(CatalogError, match="no rows"):
        to_geoparquet(iter([]), parts, partition="day")
    with pytest.raises(CatalogError, match="must be catalogs"):
        to_geoparquet([7], parts, partition="day")
    for verb in (lambda: append_to(tmp_path, rows), lambda: compact(tmp_path)):
        with pytest.raises(CatalogError, match="holds no catalog"):
            verb()
    assert not list(tmp_path.rglob("*.parquet"))
    to_geoparquet(rows, parts, partition="day")
    with pytest.raises(CatalogError, match="own input"):
        to_geoparquet(open_catalog(parts).query(time="2024"), parts, partition="day")
    with pytest.raises(CatalogError, match="holds none"):
        open_catalog(parts, asset_key="B04")
    (parts / MANIFEST).write_text('{"version": 99}')
    with pytest.raises(CatalogError, match="upgrade"):
        open_catalog(parts)
    (parts / MANIFEST).write_text("[]")
    with pytest.raises(CatalogError, match="no list"):
        open_catalog(parts)


@pytest.mark.parametrize(
    "name", ["../{}", "/tmp/{}", "day=1/../../{}", "other.parquet", "https://host/{}", "a\\b=c\\{}"]
)
def test_a_list_names_files_of_its_folder_alone(tmp_path, name):
    to_geoparquet(archive(2), tmp_path / "parts", partition="day")
    path = tmp_path / "parts" / MANIFEST
    said = json.loads(path.read_text())
    file = said["parts"][0]["name"].rpartition("/")[2]
    (tmp_path / file).write_text("of somebody else")
    said["parts"][0]["name"] = name.format(file)
    path.write_text(json.dumps(said))
    for verb in (open_catalog, compact):
        with pytest.raises(CatalogError, match="no list of a catalog's files"):
            verb(tmp_path / "parts")
    assert (tmp_path / file).read_text() == "of somebody else"


def test_others_read_it_as_a_folder_of_partitions(tmp_path):
    to_geoparquet(archive(40), tmp_path, partition="month")
    rows = gpd.read_parquet(tmp_path, bbox=(7.2, 7.2, 7.4, 7.4))
    assert len(rows) == 40
    assert set(rows.month.astype(str)) == {"2024-01", "2024-02"}


def test_no_rows_are_a_catalog_too(tmp_path):
    none = InMemoryGeoCatalog(archive(1).iloc[:0])
    to_geoparquet(none, tmp_path, partition="month")
    found = open_catalog(tmp_path)
    assert (len(found), found.total_bounds, found.columns) == (0, None, none.columns)
    assert append_to(tmp_path, none) == 0
    assert append_to(tmp_path, archive(1)) == 20


def test_a_store_holds_one_as_well(on_store):
    place = on_store / "parts"
    to_geoparquet((archive(1, first=day) for day in range(40)), place, partition="month")
    opened = open_catalog(str(place))
    assert append_to(str(place), archive(3, first=38)) == 20
    assert len(opened.query(time="2024-02").gdf) == 180
    found = open_catalog(str(place))
    asked = {"bounds": (7.2, 7.2, 7.4, 7.4), "time": "2024-02"}
    assert len(found.query(**asked).gdf) == 10
    assert len(pickle.loads(pickle.dumps(found)).query(**asked)) == 10
    assert compact(place) == 1
    with pytest.raises(CatalogError, match="open it again"):
        _ = found.where("filepath != ''").gdf
    assert sorted(open_catalog(place).paths) == sorted(archive(41).filepath)


def test_two_that_add_to_a_store_both_count(on_store):
    from concurrent.futures import ThreadPoolExecutor

    place = on_store / "shared"
    to_geoparquet(archive(1), place, partition="month")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda day: append_to(place, archive(1, first=day)), range(1, 9)))
    assert sorted(open_catalog(place).paths) == sorted(archive(9).filepath)


def test_two_that_add_the_same_rows_to_a_store_list_them_once(on_store):
    from concurrent.futures import ThreadPoolExecutor

    place = on_store / "twice"
    to_geoparquet(archive(1), place, partition="month")
    spans = [(0, 6), (0, 6), (3, 9), (5, 12)]
    with ThreadPoolExecutor(4) as pool:
        rows = [
            archive(stop - start, first=start).assign(**{f"n{stop}": 1}) for start, stop in spans
        ]
        added = list(pool.map(lambda each: append_to(place, each), rows))
    found = open_catalog(place)
    assert sorted(found.paths) == sorted(archive(12).filepath)
    assert sum(added) == 11 * 20
    had = {f"n{stop}" for (_, stop), count in zip(spans, added, strict=True) if count}
    assert had <= {*found.columns}, "of whoever has added a row"
    stored = {str(each) for each in place.below() if str(each).endswith(".parquet")}
    named = {part.name for part in read_manifest(place)[0].parts}
    assert {each.removeprefix(f"{place}/") for each in stored} == named


@pytest.mark.parametrize("verb", ["append", "compact", "write"])
def test_a_list_whose_answer_was_lost_while_another_added_stays_whole(on_store, monkeypatch, verb):
    place, put = on_store / "lost", Place.write
    to_geoparquet(archive(2), place, partition="month")
    append_to(place, archive(1, first=2))

    def lost(self, data, over=None):
        if self.name == "_catalog.json":
            monkeypatch.setattr(Place, "write", put)
            put(self, data, over)
            append_to(place, archive(2, first=9))
        return put(self, data, over)

    monkeypatch.setattr(Place, "write", lost)
    rows = archive(9)
    do = {
        "append": lambda: append_to(place, rows),
        "compact": lambda: compact(place),
        "write": lambda: to_geoparquet(rows, place, partition="month"),
    }
    do[verb]()
    whole = archive(11) if verb != "compact" else archive(11).drop(archive(11).index[60:180])
    assert sorted(open_catalog(place).paths) == sorted(whole.filepath)
    named = {f"{place}/{name}" for name in read_manifest(place)[0].names}
    assert {str(each) for each in place.below() if each.suffix == ".parquet"} == named


def test_columns_that_are_added_while_files_are_put_in_order_stay(on_store, monkeypatch):
    place, write = on_store / "wider", folder_module._written
    to_geoparquet(archive(2), place, partition="month")
    append_to(place, archive(1, first=2))

    def slow(*how):
        made = list(write(*how))
        monkeypatch.setattr(folder_module, "_written", write)
        append_to(place, archive(1, first=3).assign(cloud=0.5))
        return made

    monkeypatch.setattr(folder_module, "_written", slow)
    assert compact(place) == 1
    assert open_catalog(place).gdf["cloud"].count() == 20
    assert len(open_catalog(place)) == 80


def test_rows_are_added_though_files_are_put_in_order_meanwhile(on_store, monkeypatch):
    place, look = on_store / "merged", folder_module._named_in
    to_geoparquet(archive(2), place, partition="month")
    append_to(place, archive(1, first=2))

    def late(path, table):
        monkeypatch.setattr(folder_module, "_named_in", look)
        compact(place)
        return look(path, table)

    monkeypatch.setattr(folder_module, "_named_in", late)
    assert append_to(place, archive(4, first=1)) == 40
    assert sorted(open_catalog(place).paths) == sorted(archive(5).filepath)
    for part in read_manifest(place)[0].parts:
        (place / part.name).remove()
    with pytest.raises(FileNotFoundError):  # which nobody has put in order
        append_to(place, archive(6))


def test_numbers_that_the_catalog_would_round_are_refused(tmp_path):
    to_geoparquet(InMemoryGeoCatalog(frame((0, 0, 1, 1), number=[0.5])), tmp_path, partition="day")
    more = frame((0, 0, 1, 1), "2024-06-02", number=[2**60 + 1])
    with pytest.raises(CatalogError, match="'number' is double in the catalog"):
        append_to(tmp_path, more)
    assert len(open_catalog(tmp_path)) == 1
