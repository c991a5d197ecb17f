"""The file: what is in it, who can read it, and that it is never half written."""

import copy
import datetime as dt
import json
import pickle
import re
import uuid
from pathlib import Path

import duckdb
import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from footprints import frame, paths_of

from geocatalog import (
    CatalogError,
    DuckDBGeoCatalog,
    InMemoryGeoCatalog,
    from_geoparquet,
    open_catalog,
    to_geoparquet,
)
from geocatalog.parquet import SCHEMA_VERSION, read_info


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """200,000 boxes of 1 km over 1,000 km, and their file with 25 row groups."""
    random = np.random.default_rng(3)
    west, south = random.uniform(0, 999_000, (2, 200_000))
    start = pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta(
        random.integers(0, 1500, 200_000), unit="D"
    )
    table = gpd.GeoDataFrame(
        {"filepath": [f"/data/{i:06d}.tif" for i in range(200_000)], "start_time": start},
        geometry=shapely.box(west, south, west + 1000, south + 1000),
        crs=32610,
    )
    table["end_time"] = table["start_time"]
    table["cloud_cover"] = random.uniform(0, 100, 200_000)
    catalog = InMemoryGeoCatalog(table)
    return catalog, to_geoparquet(catalog, tmp_path_factory.mktemp("many") / "many.parquet")


def scanned(catalog):
    """Return (read, all) row groups from the plan of a query that was run."""
    found = re.search(r"Row Groups Scanned: (\d+) / (\d+)", catalog.explain())
    return tuple(map(int, found.groups()))


def test_a_small_box_reads_few_row_groups(many):
    catalog = open_catalog(many[1])
    asked = {"bounds": (400_000, 400_000, 410_000, 410_000), "time": "2021-06"}
    read, groups = scanned(catalog.query(**asked))
    assert groups == 25
    assert 1 <= read <= 4
    found = catalog.query(**asked)
    assert len(found) > 0
    assert paths_of(found) == paths_of(many[0].query(**asked))


def test_a_box_outside_reads_none(many):
    plan = open_catalog(many[1]).query(bounds=(-9e6, -9e6, -8e6, -8e6)).explain()
    assert "Row Groups Scanned" not in plan
    assert "EMPTY" in plan.upper()


def test_nothing_is_read_until_asked(many, monkeypatch):
    catalog = open_catalog(many[1])

    def refuse(*_args, **_kwargs):
        raise AssertionError("rows were read")

    monkeypatch.setattr(DuckDBGeoCatalog, "_relation", refuse)
    monkeypatch.setattr(DuckDBGeoCatalog, "_fetch", refuse)
    part = catalog.query(bounds=(0, 0, 1, 1), time="2021").query(time="2021-06")
    assert len(catalog) == 200_000
    assert catalog.total_bounds == many[0].total_bounds
    assert catalog.temporal_extent == many[0].temporal_extent
    assert "WHERE" in part.sql
    with pytest.raises(AssertionError, match="rows were read"):
        len(part)


def test_rows_stream_in_batches(many):
    rows = open_catalog(many[1]).query(bounds=(0, 0, 5e5, 1e6)).iter_rows()
    first = next(rows)
    assert first.index == 0
    assert first.geometry.geom_type == "Polygon"
    rows.close()


def test_values_are_bound_and_never_written_into_the_text(many):
    catalog = open_catalog(many[1]).query(bounds=(123.25, 0, 456.75, 1), time="2021-06-01")
    assert "123.25" not in catalog.sql
    assert "2021" not in catalog.sql
    assert catalog.sql.count("?") == 6


def test_the_connection_reads_this_file_and_nothing_else(many, tmp_path):
    other = to_geoparquet(InMemoryGeoCatalog(frame((0, 0, 1, 1))), tmp_path / "other.parquet")
    cursor = open_catalog(many[1])._source.connection.cursor()
    for statement in (
        f"SELECT * FROM read_parquet('{other}')",
        "SELECT * FROM read_text('/etc/hostname')",
        f"COPY (SELECT 1) TO '{tmp_path / 'stolen.csv'}'",
        f"ATTACH '{tmp_path / 'x.db'}'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
    ):
        with pytest.raises(duckdb.Error):
            cursor.execute(statement).fetchall()
    assert not (tmp_path / "stolen.csv").exists()


def test_threads_may_share_one_catalog(many):
    from concurrent.futures import ThreadPoolExecutor

    catalog = open_catalog(many[1])
    boxes = [(x, x, x + 20_000, x + 20_000) for x in range(0, 900_000, 90_000)]
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda box: len(catalog.query(bounds=box)), boxes))
    assert counts == [len(many[0].query(bounds=box)) for box in boxes]


def test_a_query_pickles_and_its_copy_opens_the_file_anew(many):
    found = open_catalog(many[1]).query(bounds=(0, 0, 90_000, 90_000)).where("filepath != ''")
    for copied in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        assert copied.sql == found.sql
        assert paths_of(copied) == paths_of(found)
        assert len(copied.query(bounds=(0, 0, 10, 10))) == len(found.query(bounds=(0, 0, 10, 10)))


def test_round_trip_keeps_rows_types_and_crs(four_scenes, tmp_path):
    path = to_geoparquet(four_scenes, tmp_path / "catalog.parquet")
    for again in (from_geoparquet(path), open_catalog(path)):
        one = four_scenes.gdf.sort_values("filepath", ignore_index=True)
        two = again.gdf.sort_values("filepath", ignore_index=True)
        assert again.backend == "raster"
        assert again.crs == four_scenes.crs
        assert shapely.equals(one.geometry.to_numpy(), two.geometry.to_numpy()).all()
        pd.testing.assert_frame_equal(
            pd.DataFrame(one.drop(columns="geometry")), pd.DataFrame(two.drop(columns="geometry"))
        )


def test_geopandas_and_plain_duckdb_read_it(many):
    catalog, path = many
    table = gpd.read_parquet(path, bbox=(0, 0, 50_000, 50_000))
    assert table.crs == catalog.crs
    assert set(table.filepath) == set(catalog.query(bounds=(0, 0, 50_000, 50_000)).gdf.filepath)
    rows = (
        duckdb.connect()
        .execute(f"SELECT count(*) FROM '{path}' WHERE bbox.xmin <= 50000 AND bbox.ymin <= 50000")
        .fetchall()
    )
    assert rows == [(len(table),)]


def test_it_says_what_it_is(many):
    with pq.ParquetFile(many[1]) as file:
        metadata = file.schema_arrow.metadata
        groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
    geo, own = json.loads(metadata[b"geo"]), json.loads(metadata[b"geocatalog"])
    column = geo["columns"][geo["primary_column"]]
    assert geo["version"] == "1.1.0"
    assert column["encoding"] == "WKB"
    assert column["geometry_types"] == ["Polygon"]
    assert column["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    assert column["bbox"] == list(many[0].total_bounds)
    assert own["schema_version"] == SCHEMA_VERSION
    assert own["boxes"] is True
    assert {group.num_rows for group in groups[:-1]} == {8192}
    assert groups[0].column(0).compression == "ZSTD"
    extents = [_extent(group) for group in groups]
    assert np.mean(extents) < 0.12, "Hilbert order keeps a row group's rows together"


def _extent(group):
    """Return a row group's share of the whole area, from its statistics."""
    sides = {}
    for index in range(group.num_columns):
        column = group.column(index)
        if column.path_in_schema.startswith("bbox."):
            sides[column.path_in_schema[5:]] = column.statistics
    width = sides["xmax"].max - sides["xmin"].min
    height = sides["ymax"].max - sides["ymin"].min
    return width * height / 1e12


def test_a_failed_write_leaves_the_old_file(four_scenes, tmp_path, monkeypatch):
    path = tmp_path / "catalog.parquet"
    to_geoparquet(four_scenes, path)
    before = path.read_bytes()

    def broken(_table, target, **_options):
        with open(target, "wb") as file:
            file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(pq, "write_table", broken)
    with pytest.raises(OSError, match="no space"):
        to_geoparquet(four_scenes.query(bounds=(0, 0, 1, 1)), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["catalog.parquet"]


def test_a_catalog_in_memory_may_be_written_over_its_own_file(four_scenes, tmp_path):
    path = to_geoparquet(four_scenes, tmp_path / "catalog.parquet")
    to_geoparquet(from_geoparquet(path).where("cloud_cover < 50"), path)
    assert len(open_catalog(path)) == 2


def test_files_of_older_layouts_are_read(four_scenes, tmp_path):
    """No covering, no metadata of ours, naive times, another name for the geometry."""
    table = four_scenes.gdf.rename_geometry("outline")
    for name in ("start_time", "end_time"):
        table[name] = table[name].dt.tz_localize(None)
    old = tmp_path / "old.parquet"
    table.to_parquet(old, schema_version="1.0.0")
    info = read_info(old)
    assert (info.version, info.covering, info.boxes) == (0, None, False)
    for again in (from_geoparquet(old), open_catalog(old)):
        assert again.columns == four_scenes.columns
        asked = {"bounds": (150, 10, 160, 20), "time": "2024-07"}
        assert paths_of(again.query(**asked)) == paths_of(four_scenes.query(**asked))
        assert again.total_bounds == four_scenes.total_bounds
        assert again.temporal_extent == four_scenes.temporal_extent


def test_a_file_without_times_is_undated(tmp_path):
    rows = gpd.GeoDataFrame({"filepath": ["/a.tif"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=4326)
    path = tmp_path / "plain.parquet"
    rows.to_parquet(path)
    catalog = open_catalog(path)
    assert len(catalog.query(time="1850")) == 1
    assert catalog.gdf.start_time.isna().all()
    assert catalog.temporal_extent is None
    assert next(catalog.iter_rows()).interval is None


def _refused(path, message):
    for reader in (open_catalog, from_geoparquet):
        with pytest.raises(CatalogError, match=message):
            reader(path)


def test_what_is_no_catalog_file_is_refused(four_scenes, tmp_path):
    _refused(tmp_path / "absent.parquet", "no catalog file")
    text = tmp_path / "text.parquet"
    text.write_text("hello")
    _refused(text, "not a Parquet file")
    plain = tmp_path / "plain.parquet"
    pq.write_table(pa.table({"filepath": ["a"]}), plain)
    _refused(plain, "without GeoParquet metadata")
    other = tmp_path / "other.parquet"
    four_scenes.gdf.drop(columns="filepath").to_parquet(other)
    _refused(other, "no 'filepath' column")


def test_a_newer_layout_is_refused_by_version(four_scenes, tmp_path):
    path = to_geoparquet(four_scenes, tmp_path / "catalog.parquet")
    table = pq.read_table(path)
    own = json.dumps({"schema_version": SCHEMA_VERSION + 1})
    newer = table.replace_schema_metadata({**table.schema.metadata, b"geocatalog": own})
    pq.write_table(newer, path)
    _refused(path, "upgrade")


def test_times_as_text_are_named_with_the_way_out(four_scenes, tmp_path):
    table = four_scenes.gdf
    table["start_time"] = table["start_time"].astype(str)
    path = tmp_path / "text_times.parquet"
    table.to_parquet(path)
    with pytest.raises(CatalogError, match="from_geoparquet"):
        open_catalog(path)
    assert len(from_geoparquet(path).query(time="2024-06")) == 1


def test_a_file_that_went_away_is_named(four_scenes, tmp_path):
    path = tmp_path / "catalog.parquet"
    catalog = open_catalog(to_geoparquet(four_scenes, path))
    path.unlink()
    with pytest.raises(CatalogError, match=r"catalog\.parquet"):
        len(catalog.query(bounds=(0, 0, 1, 1)))


def test_a_path_with_a_quote_is_only_a_path(four_scenes, tmp_path):
    folder = tmp_path / "it's a folder"
    path = to_geoparquet(four_scenes, folder / "x'); DROP TABLE t; --.parquet")
    assert len(open_catalog(path).query(bounds=(0, 0, 50, 50))) == 1


def test_a_column_that_mixes_types_is_refused(tmp_path):
    rows = frame([(0, 0, 1, 1)] * 2, mixed=[1, "two"])
    with pytest.raises(CatalogError, match="mixes types"):
        to_geoparquet(InMemoryGeoCatalog(rows), tmp_path / "x.parquet")
    with pytest.raises(CatalogError, match="row_group_size"):
        to_geoparquet(
            InMemoryGeoCatalog(frame((0, 0, 1, 1))), tmp_path / "x.parquet", row_group_size=0
        )


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_times_of_any_unit_and_zone_are_asked_alike(tmp_path, unit, zone):
    """A table that another program wrote, asked lazily and in memory."""
    geo = {"version": "1.0.0", "primary_column": "geometry"}
    geo["columns"] = {"geometry": {"encoding": "WKB", "geometry_types": ["Polygon"]}}
    known = [dt.datetime(2024, 6, 1, 12), None, dt.datetime(1700, 1, 1)]
    table = pa.table(
        {
            "filepath": ["/noon", "/undated", "/old"],
            "start_time": pa.array(known, pa.timestamp(unit, zone)),
            "end_time": pa.array(known, pa.timestamp(unit, zone)),
            "geometry": [shapely.to_wkb(shapely.box(0, 0, 1, 1))] * 3,
        }
    )
    path = str(tmp_path / "foreign.parquet")
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), path)
    lazy, memory = open_catalog(path), from_geoparquet(path)
    assert lazy.temporal_extent == memory.temporal_extent
    asked = {
        "2024-06-01": {"/noon", "/undated"},
        "2024-06-01T12:00/..": {"/noon", "/undated"},
        "../2024-06-01T12:00": {"/noon", "/old", "/undated"},
        "../0850": {"/undated"},
        "2280/..": {"/undated"},
        "0850/2280": {"/noon", "/old", "/undated"},
    }
    for time, expected in asked.items():
        for catalog in (lazy, memory):
            assert set(catalog.query(time=time).gdf.filepath) == expected


@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_nanoseconds_are_in_the_microsecond_that_they_lie_in_for_both(tmp_path, zone):
    """Half a microsecond before 1970 lies in the last microsecond of 1969."""
    geo = {"version": "1.0.0", "primary_column": "geometry"}
    geo["columns"] = {"geometry": {"encoding": "WKB", "geometry_types": ["Polygon"]}}
    nanoseconds = pa.array([-1500, -500, 1700], pa.timestamp("ns", zone))
    table = pa.table(
        {
            "filepath": ["/a", "/b", "/c"],
            "start_time": nanoseconds,
            "end_time": nanoseconds,
            "geometry": [shapely.to_wkb(shapely.box(0, 0, 1, 1))] * 3,
        }
    )
    path = str(tmp_path / "foreign.parquet")
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), path)
    moment = pd.Timestamp("1970-01-01", tz="UTC")
    for catalog in (open_catalog(path), from_geoparquet(path)):
        starts = catalog.column("start_time")
        assert starts.astype("datetime64[us]").astype(int).tolist() == [-2, -1, 1]
        for number, name in ((-2, "/a"), (-1, "/b"), (1, "/c")):
            assert catalog.query(time=moment + pd.Timedelta(number, "us")).paths == [name]
        extent = catalog.temporal_extent
        ends = extent.left - moment, extent.right - moment
        assert ends == (pd.Timedelta(-2, "us"), pd.Timedelta(1, "us"))


@pytest.mark.parametrize("count", [3, 300])
def test_identifiers_of_others_are_no_text_however_many_rows_an_answer_has(tmp_path, count):
    """Of a UUID DuckDB makes text on one of its two ways out."""
    geo = {"version": "1.0.0", "primary_column": "geometry"}
    geo["columns"] = {"geometry": {"encoding": "WKB", "geometry_types": ["Polygon"]}}
    numbers = [None if number == 1 else uuid.UUID(int=number) for number in range(count)]
    table = pa.table(
        {
            "filepath": [f"/{number}" for number in range(count)],
            "number": pa.array(numbers, pa.uuid()),
            "geometry": [shapely.to_wkb(shapely.Point(0, 0).buffer(1))] * count,
        }
    )
    path = str(tmp_path / "foreign.parquet")
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), path)
    lazy, memory = open_catalog(path), from_geoparquet(path)
    for catalog in (lazy, memory, lazy.query(bounds=(0, 0, 1, 1)), lazy.where("filepath <> ''")):
        assert catalog.to_arrow().schema.field("number").type == pa.uuid()
        assert catalog.column("number").tolist() == numbers
        assert [row.extras["number"] for row in catalog] == numbers
    assert lazy.where("number IS NULL").paths == ["/1"]


@pytest.mark.parametrize("answer", [False, True])
@pytest.mark.parametrize("way", ["same", "link", "url"])
def test_the_file_that_a_catalog_is_open_on_is_not_replaced(answer, way, tmp_path):
    frame = gpd.GeoDataFrame(
        {"filepath": ["/a", "/b"]},
        geometry=[shapely.box(i, 0, i + 1, 1) for i in (0, 5)],
        crs=4326,
    )
    path = Path(to_geoparquet(InMemoryGeoCatalog(frame), tmp_path / "c.parquet"))
    target = path if way != "url" else f"file://{path}"
    if way == "link":
        target = tmp_path / "alias.parquet"
        target.symlink_to(path)
    found = open_catalog(path)
    found = found.query(bounds=(0, 0, 1, 1)) if answer else found
    before = path.read_bytes()
    with pytest.raises(CatalogError, match="over its own input"):
        to_geoparquet(found, target)
    assert path.read_bytes() == before
    assert to_geoparquet(from_geoparquet(path), f"file://{path}") == str(path)
    with pytest.raises(CatalogError, match="on this machine"):
        to_geoparquet(from_geoparquet(path), "https://host/c.parquet")


@pytest.mark.parametrize("named", ["{path}", "file://{path}", 'NETCDF:"{path}":ndvi'])
@pytest.mark.parametrize("way", ["same", "other case", "linked folder"])
def test_a_file_that_a_catalog_lists_is_not_replaced_by_it(named, way, tmp_path):
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    scene = scenes / "a.nc"
    scene.write_bytes(b"pixels")
    target = scene
    if way == "other case":
        target = scenes / "A.NC"
        target.write_bytes(b"others")
    elif way == "linked folder":
        (tmp_path / "link").symlink_to(scenes)
        target = tmp_path / "link" / "a.nc"
    paths = ["/elsewhere/b.nc", named.format(path=scene)]
    listed = gpd.GeoDataFrame({"filepath": paths}, geometry=[shapely.box(0, 0, 1, 1)] * 2, crs=4326)
    with pytest.raises(CatalogError, match="over its own input"):
        to_geoparquet(InMemoryGeoCatalog(listed), target)
    assert scene.read_bytes() == b"pixels"
    to_geoparquet(InMemoryGeoCatalog(listed), scenes / "catalog.parquet")


@pytest.mark.parametrize("key", [b"geo", b"geocatalog"])
@pytest.mark.parametrize("said", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"3", b'{"columns": []}'])
def test_broken_metadata_are_told_as_those_of_a_catalog(tmp_path, key, said):
    if key == b"geocatalog" and said.startswith(b'{"'):
        said = b'{"schema_version": "x"}'
    path = to_geoparquet(InMemoryGeoCatalog(frame([[0, 0, 1, 1]] * 3)), tmp_path / "c.parquet")
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, key: said}), path)
    for read in (from_geoparquet, open_catalog):
        with pytest.raises(CatalogError, match=r"c\.parquet has broken metadata"):
            read(path)


def test_footprints_that_are_no_wkb_are_told(tmp_path):
    path = to_geoparquet(InMemoryGeoCatalog(frame([[0, 0, 1, 1]] * 2)), tmp_path / "c.parquet")
    table = pq.read_table(path)
    at = table.column_names.index("geometry")
    pq.write_table(table.set_column(at, "geometry", pa.array([b"\x01\x02", b"x"])), path)
    with pytest.raises(CatalogError, match="no WKB"):
        from_geoparquet(path)


@pytest.mark.parametrize("partition", [None, "month"])
@pytest.mark.parametrize("name", ["a?b", "*", "[x]", "a'b", "a b#1%20", "{a,b}", "$HOME", "\u65e5"])
def test_a_path_is_a_name_and_no_pattern(tmp_path, name, partition):
    """Of "a?b" and "axb" in one folder each is itself."""
    rows = frame([(0, 0, 1, 1)], "2024-06-01")
    for other in ("axb", "x", "a"):
        other_rows = InMemoryGeoCatalog(rows.assign(filepath=other))
        to_geoparquet(other_rows, tmp_path / other / "c.parquet", partition=partition)
        to_geoparquet(other_rows, tmp_path / f"{other}.parquet", partition=partition)
    for target in (tmp_path / name / "c.parquet", tmp_path / f"{name}.parquet"):
        to_geoparquet(InMemoryGeoCatalog(rows.assign(filepath=name)), target, partition=partition)
        found = open_catalog(target)
        assert found.gdf.filepath.tolist() == [name]
        assert len(pickle.loads(pickle.dumps(found)).query(time="2024-06")) == 1


def _rewritten(path, **columns):
    """Replace columns of a file of GeoPandas by Arrow's, as other writers have them."""
    table = pq.read_table(path)
    for name, column in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, column)
    pq.write_table(table, path)
    return open_catalog(path), from_geoparquet(path)


def _of_others(tmp_path):
    rows = frame([(i, 0, i + 1, 1) for i in range(4)], cloud=[1.0, 60.0, 3.0, 70.0]).set_crs(
        4326, allow_override=True
    )
    path = tmp_path / "others.parquet"
    rows.drop(columns=["start_time", "end_time"]).to_parquet(path, write_covering_bbox=True)
    return path


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(
    "condition", ["cloud > 50", "not (cloud > 50)", "cloud is null", "isnan(cloud)", "cloud = 3"]
)
def test_nan_that_others_write_is_not_known_to_a_condition(tmp_path, kind, condition):
    """DuckDB takes NaN for the largest number, and its statistics leave it out."""
    clouds = pa.array(np.array([1.0, 60.0, np.nan, np.inf], kind))
    lazy, memory = _rewritten(_of_others(tmp_path), cloud=clouds)
    assert lazy.where(condition).paths == memory.where(condition).paths
    assert len(lazy.where(condition)) == len(memory.where(condition))


def test_boxes_across_180_that_others_write_are_asked(tmp_path):
    """RFC 7946 has west > east there, and so may the column of bounds."""
    path = _of_others(tmp_path)
    rows = gpd.read_parquet(path)
    halves = [shapely.box(179, 0, 180, 1), shapely.box(-180, 0, -179, 1)]
    rows.loc[0, "geometry"] = shapely.MultiPolygon(halves)
    rows.to_parquet(path, write_covering_bbox=True)
    boxes = pq.read_table(path).column("bbox")
    told = boxes.to_pylist()
    told[0] |= {"xmin": 179.0, "xmax": -179.0}
    lazy, memory = _rewritten(path, bbox=pa.array(told, boxes.type))
    assert lazy.total_bounds == memory.total_bounds == (-180, 0, 180, 1)
    for box in [(170, 0, -170, 1), (179.5, 0, 181, 1), (-180, 0, -179.5, 1), (1.5, 0, 2.5, 1)]:
        found = lazy.query(bounds=box, crs=4326)
        assert found.paths == memory.query(bounds=box, crs=4326).paths
        assert len(found) == 2 if box[0] == 1.5 else len(found) == 1


def test_views_of_text_and_bytes_are_text_and_bytes(tmp_path):
    path = _of_others(tmp_path)
    table = pq.read_table(path)
    lazy, memory = _rewritten(
        path,
        filepath=table.column("filepath").cast(pa.string_view()),
        geometry=table.column("geometry").cast(pa.binary_view()),
    )
    assert lazy.query(bounds=(0.5, 0, 1.5, 1)).paths == memory.query(bounds=(0.5, 0, 1.5, 1)).paths


@pytest.mark.parametrize("name", ["start_time", "end_time"])
def test_one_column_of_times_is_an_extent(tmp_path, name):
    path = tmp_path / "others.parquet"
    days = pd.to_datetime(["2024-06-01", "2024-06-03"], utc=True)
    rows = frame([(0, 0, 1, 1)] * 2).drop(columns=["start_time", "end_time"])
    rows.assign(**{name: days}).to_parquet(path)
    assert open_catalog(path).temporal_extent == from_geoparquet(path).temporal_extent
    assert open_catalog(path).temporal_extent.right == days[1]


@pytest.mark.parametrize("folder", ["cloud=77", "filepath=x", "bbox=5", "geometry=1"])
@pytest.mark.parametrize("own", [True, False])
def test_a_folder_s_name_takes_no_column_s_place(tmp_path, folder, own):
    place = tmp_path / folder
    place.mkdir()
    path = _of_others(place)
    memory = from_geoparquet(path)
    if own:
        path = to_geoparquet(memory, place / "own.parquet")
    lazy = open_catalog(path)
    assert sorted(lazy.paths) == sorted(memory.paths)
    assert sorted(lazy.where("cloud > 50").paths) == sorted(memory.where("cloud > 50").paths)
    assert len(lazy.query(bounds=(0.2, 0, 0.5, 1))) == 1
