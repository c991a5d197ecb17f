"""A catalog that stays in its file: names that SQL confuses, and files that change."""

import os
import pickle
import shutil
from pathlib import Path

import geopandas as gpd
import pytest
from footprints import frame, paths_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocatalog import (
    CatalogError,
    InMemoryGeoCatalog,
    from_geoparquet,
    open_catalog,
    to_geoparquet,
)
from geocatalog.expression import sql_names

OURS = ["bbox", "filepath_right", "item_id", "assets", "resolution", "native_crs", "bbox.xmin"]
CASES = ["BBOX", "bbox_2", "cloud", "Cloud", "CLOUD", "Cloud_2", "Geometry", "FilePath", "END_TIME"]
WORDS = ["select", "answer", "attributes", "file", "index", "xmin", "1", 'a"b', "a'b", "a b", "ü"]
NAMES = [*OURS, *CASES, *WORDS, "a.b", "c;--"]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=8))
def test_columns_of_any_name_keep_their_values(tmp_path_factory, names):
    values = {name: [10 * at, 10 * at + 1] for at, name in enumerate(names)}
    catalog = InMemoryGeoCatalog(frame([(0, 0, 1, 1), (5, 0, 6, 1)], **values))
    path = to_geoparquet(catalog, tmp_path_factory.mktemp("names") / "c.parquet")
    assert set(names) < set(gpd.read_parquet(path, bbox=(0, 0, 1, 1)).columns)
    for made in (catalog, from_geoparquet(path), open_catalog(path)):
        assert made.columns == catalog.columns
        assert paths_of(made.query(bounds=(5, 0, 5.5, 1))) == ["0001.tif"]
        rows = made.gdf.sort_values("filepath")
        for name in names:
            assert rows[name].tolist() == values[name]
            written = '"' + name.replace('"', '""') + '"'
            assert paths_of(made.where(f"{written} % 10 = 1")) == ["0001.tif"]
        for row in made:
            assert row.assets == {}


def test_a_bbox_of_the_users_is_not_where_rows_lie(as_backend):
    far = {"xmin": 90.0, "ymin": 0.0, "xmax": 91.0, "ymax": 1.0}
    made = as_backend(InMemoryGeoCatalog(frame((0, 0, 1, 1), bbox=[far])))
    assert len(made.query(bounds=(0.4, 0.4, 0.6, 0.6))) == 1
    assert len(made.query(bounds=(90, 0, 91, 1))) == 0
    assert next(iter(made)).extras["bbox"] == far


def test_a_name_that_may_be_two_is_refused(as_backend):
    made = as_backend(InMemoryGeoCatalog(frame((0, 0, 1, 1), cloud=[1], Cloud=[2])))
    assert len(made.where("Cloud = 2 and cloud = 1")) == 1
    with pytest.raises(CatalogError, match="differ by case only"):
        made.where("CLOUD = 1")


def test_times_that_a_file_lacks_can_be_asked_for(tmp_path):
    rows = frame([(0, 0, 1, 1)]).drop(columns=["start_time", "end_time"])
    rows.to_parquet(tmp_path / "c.parquet")
    assert len(open_catalog(tmp_path / "c.parquet").where("start_time is null")) == 1


@given(st.lists(st.text("aAbB_2", max_size=4), unique=True))
def test_names_for_sql_are_told_apart(names):
    given = sql_names(names)
    assert list(given) == names
    assert len({new.lower() for new in given.values()}) == len(names)
    assert "" not in given.values()


def _replaced(path, how):
    rows = InMemoryGeoCatalog(frame([(i, 0, i + 1, 1) for i in range(7)], start=[None] * 7))
    if how == "written":
        to_geoparquet(rows, path)
    elif how == "in place":
        other = to_geoparquet(rows, path.with_name("other.parquet"))
        path.write_bytes(Path(other).read_bytes())
    elif how == "touched":
        os.utime(path, ns=(1, 1))
    else:
        path.unlink()


ASKED = {
    "rows": list,
    "frame": lambda made: made.gdf,
    "number": lambda made: len(made.where("filepath != ''")),
    "place": lambda made: len(made.query(bounds=(0, 0, 1, 1))),
    "time": lambda made: len(made.query(time="2023")),
    "bounds": lambda made: made.query(time="2023").total_bounds,
    "extent": lambda made: made.where("filepath != ''").temporal_extent,
    "pickle": pickle.dumps,
    "union": lambda made: made | made,
    "pairs": lambda made: made & made,
}


@pytest.mark.parametrize("how", ["written", "in place", "touched", "gone"])
@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_a_file_replaced_while_open_is_named(tmp_path, how, ask):
    path = tmp_path / "c.parquet"
    to_geoparquet(InMemoryGeoCatalog(frame([(0, 0, 1, 1)] * 3)), path)
    made = open_catalog(path)
    assert len(made) == 3
    ask(open_catalog(path))
    _replaced(path, how)
    with pytest.raises(CatalogError, match=r"c\.parquet"):
        ask(made)
    assert len(made) == 3, "what was known stays what it was"


def test_a_pickled_query_tells_another_file_of_the_name(tmp_path):
    path, copy = tmp_path / "c.parquet", tmp_path / "copy.parquet"
    to_geoparquet(InMemoryGeoCatalog(frame([(0, 0, 1, 1)] * 3)), path)
    packed = pickle.dumps(open_catalog(path).query(time="2024"))
    shutil.copyfile(path, copy)
    _replaced(path, "written")
    with pytest.raises(CatalogError, match="pickled with"):
        pickle.loads(packed)
    copy.replace(path)
    assert len(pickle.loads(packed)) == 3, "the same file, at another time"
