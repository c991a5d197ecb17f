"""What a table keeps of the frames, items and files that it is made from."""

import pickle

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from footprints import frame
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocatalog import (
    CatalogError,
    InMemoryGeoCatalog,
    from_geoparquet,
    open_catalog,
    to_geoparquet,
)
from geocatalog.table import FootprintTable, as_json, is_known

FILES = settings(
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SIDE = {
    "whole": st.integers(-(2**63), 2**63 - 1),
    "real": st.floats(allow_nan=True, allow_infinity=True),
    "truth": st.booleans(),
    "text": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
    "words": st.lists(st.one_of(st.none(), st.sampled_from(["msi", "é", ""])), max_size=3),
    "numbers": st.lists(st.integers(-(2**60), 2**60), max_size=3),
    "nested": st.recursive(
        st.one_of(
            st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.text("aé'\"", max_size=3)
        ),
        lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text("abc", max_size=2), part),
        max_leaves=5,
    ).map(lambda value: [value]),
    "facts": st.dictionaries(st.sampled_from(["a", "b", "A"]), st.lists(st.integers(0, 3))),
    "moment": st.datetimes(
        pd.Timestamp("1900-01-01"), pd.Timestamp("2100-01-01"), timezones=st.just(None)
    ).map(lambda value: pd.Timestamp(value, tz="Europe/Lisbon")),
}
SHAPES = [
    shapely.box(0, 0, 2, 1),
    shapely.Point(1, 1),
    shapely.Point(1, 1, 700),
    shapely.Point(),
    None,
    shapely.LineString([(0, 0), (4, 4)]),
    shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)]),
    shapely.Polygon([(0, 0, 1), (5, 0, 1), (0, 5, 1)]),
    shapely.GeometryCollection([shapely.Point(3, 3), shapely.box(4, 4, 5, 5)]),
    shapely.MultiPolygon([shapely.box(170, 0, 180, 5), shapely.box(-180, 0, -170, 5)]),
    shapely.MultiPolygon([shapely.box(0, 0, 2, 2), shapely.box(1, 1, 3, 3)]),
    shapely.box(2, 2, 2, 2),
    shapely.box(2, 2, 3, 2),
]


@st.composite
def tables(draw):
    """Return a catalog of odd footprints with columns of every kind, with gaps."""
    count = draw(st.integers(1, 6))
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=count, max_size=count))
    rows = {"filepath": [f"/{i}.tif" for i in range(count)]}
    for name in draw(st.sets(st.sampled_from(sorted(SIDE)), max_size=4)):
        entry = st.one_of(st.none(), SIDE[name])
        values = draw(st.lists(entry, min_size=count, max_size=count))
        kind = "Int64" if name == "whole" else object
        rows[name] = pd.Series(values, dtype=kind)
        if name == "real":
            rows[name] = rows[name].astype(float)
        if name == "moment":
            rows[name] = pd.Series(pd.to_datetime(values, utc=True)).dt.tz_convert("Europe/Lisbon")
    made = gpd.GeoDataFrame(rows, geometry=np.array(shapes, dtype=object), crs=4326)
    return InMemoryGeoCatalog(made)


def told(catalog):
    """Return what each row says beside its footprint, in plain values, by path."""
    return {
        row.filepath: {name: repr(value) for name, value in row.extras.items() if is_known(value)}
        for row in catalog
    }


def paths(catalog):
    return sorted(row.filepath for row in catalog)


box = st.tuples(*[st.integers(-2, 5)] * 2, *[st.integers(0, 4)] * 2).map(
    lambda drawn: (drawn[0], drawn[1], drawn[0] + drawn[2], drawn[1] + drawn[3])
)
across = st.sampled_from([(179, 0, -179, 1), (175, -9, 185, 9), (-180, -90, 180, 90)])


@FILES
@given(tables(), st.lists(box | across, min_size=1, max_size=3))
def test_memory_file_and_duckdb_say_the_same(tmp_path_factory, catalog, boxes):
    path = to_geoparquet(catalog, tmp_path_factory.mktemp("table") / "c.parquet")
    copies = [from_geoparquet(path), open_catalog(path)]
    copies += [pickle.loads(pickle.dumps(copy)) for copy in (catalog, copies[1])]
    shapes = dict(zip(catalog.gdf.filepath, catalog.gdf.geometry, strict=True))
    for copy in copies:
        assert told(copy) == told(catalog)
        assert {r.filepath: shapely.to_wkb(r.geometry) for r in copy} == {
            name: shapely.to_wkb(shape) for name, shape in shapes.items()
        }
        assert len(catalog | copy) == len(catalog)
        assert copy.total_bounds == catalog.total_bounds
    for bounds in boxes:
        found = catalog.query(bounds=bounds)
        west, south, east, north = bounds
        parts = [bounds] if west <= east <= 180 else [(west, south, 180, north)]
        parts += [(-180, south, east - 360 * (east > 180), north)] * (
            len(parts) and parts[0] != bounds
        )
        asked = [shapely.make_valid(shapely.box(*part)) for part in parts]
        assert paths(found) == sorted(
            name
            for name, shape in shapes.items()
            if shape is not None and any(shape.intersects(part) for part in asked)
        )
        for copy in copies:
            assert paths(copy.query(bounds=bounds)) == paths(found)
            assert paths(pickle.loads(pickle.dumps(copy.query(bounds=bounds)))) == paths(found)


def test_many_rows_come_from_a_file_as_few_do(tmp_path):
    """Few rows and many are fetched in two ways."""
    kinds = {
        "tags": [["a"], []],
        "facts": [{"a": 1}, None],
        "kind": pd.Categorical(["x", "y"]),
        "big": pd.array([2**60 + 1, None], dtype="Int64"),
        "none": [None, None],
        "moment": pd.to_datetime(["2024-06-01", None]).tz_localize("Europe/Lisbon"),
        "fine": pd.to_datetime(["2024-06-01T00:00:00.000000001"] * 2),
        "month": pd.period_range("2024-01", periods=2, freq="M"),
    }
    for times in (1, 400):
        extras = {
            name: pd.concat([pd.Series(each)] * times, ignore_index=True)
            for name, each in kinds.items()
        }
        catalog = InMemoryGeoCatalog(frame([(0, 0, 1, 1)] * 2 * times, **extras))
        path = to_geoparquet(catalog, tmp_path / f"{times}.parquet")
        assert told(from_geoparquet(path)) == told(open_catalog(path)) == told(catalog)
        assert len(catalog | open_catalog(path)) == len(catalog)


def test_further_geometries_stay_geometries(tmp_path):
    rows = frame([(0, 0, 2, 2), (4, 0, 6, 2)])
    rows["middle"] = rows.centroid
    path = to_geoparquet(InMemoryGeoCatalog(rows), tmp_path / "c.parquet")
    for again in (from_geoparquet(path), open_catalog(path)):
        assert again.gdf["middle"].tolist() == [shapely.Point(1, 1), shapely.Point(5, 1)]
    assert str(gpd.read_parquet(path)["middle"].dtype) == "geometry"


def test_what_a_file_cannot_hold_is_named(tmp_path):
    with pytest.raises(CatalogError, match="wave"):
        to_geoparquet(InMemoryGeoCatalog(frame((0, 0, 1, 1), wave=[1j])), tmp_path / "c.parquet")


@pytest.mark.parametrize("second", ["cloud", 1])
def test_two_columns_of_one_name_are_refused(second):
    rows = frame((0, 0, 1, 1), cloud=[1])
    rows["1"] = 3
    rows[99] = 2
    rows.columns = [*rows.columns[:-1], second]
    with pytest.raises(CatalogError, match=f"{str(second)!r} twice"):
        InMemoryGeoCatalog(rows)


def test_a_geometry_column_that_is_not_the_footprint_is_not_lost():
    rows = frame((0, 0, 2, 2))
    rows["middle"] = rows.centroid
    with pytest.raises(CatalogError, match=r"'geometry' twice.*'middle'"):
        InMemoryGeoCatalog(rows.set_geometry("middle"))


def test_a_bow_tie_is_two_triangles_wherever_it_enters(as_backend):
    rows = frame((0, 0, 2, 2))
    rows.loc[0, "geometry"] = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    bow = as_backend(InMemoryGeoCatalog(rows))
    assert bow.gdf.geometry[0].area == 2
    assert len(bow.query(bounds=(0.9, 0, 1.1, 0.1))) == 0
    assert len(bow.query(bounds=(0, 0.9, 0.1, 1.1))) == 1
    both = bow & as_backend(InMemoryGeoCatalog(frame((0, 0, 1, 2))))
    assert both.gdf.geometry[0].area == 1


def test_a_foreign_file_with_a_bow_tie_is_read_as_mended(tmp_path):
    rows = frame((0, 0, 2, 2))
    rows.loc[0, "geometry"] = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    rows.drop(columns=["start_time", "end_time"]).to_parquet(tmp_path / "c.parquet")
    for made in (from_geoparquet(tmp_path / "c.parquet"), open_catalog(tmp_path / "c.parquet")):
        assert len(made.query(bounds=(0.9, 0, 1.1, 0.1))) == 0
        assert made.gdf.geometry.is_valid.all()


def test_what_overlaps_itself_keeps_all_it_covers():
    rows = frame((0, 0, 3, 3))
    rows.loc[0, "geometry"] = shapely.MultiPolygon(
        [shapely.box(0, 0, 2, 2), shapely.box(1, 1, 3, 3)]
    )
    assert InMemoryGeoCatalog(rows).gdf.geometry[0].area == 7


@pytest.mark.parametrize("text", ["POINT (inf 0)", "POLYGON ((0 0, 1 0, nan 1, 0 0))"])
def test_a_coordinate_that_is_not_finite_is_named_by_row(text):
    with np.errstate(invalid="ignore"):
        shape = shapely.from_wkt(text)
    rows = frame([(0, 0, 1, 1)] * 2)
    rows.loc[1, "geometry"] = shape
    with pytest.raises(CatalogError, match=r"row 1 \(/data/0001\.tif\).*not finite"):
        InMemoryGeoCatalog(rows)


def test_a_row_without_a_footprint_is_asked_for_no_slice(as_backend):
    rows = frame([(0, 0, 1, 1)] * 2)
    rows["geometry"] = [None, shapely.Polygon()]
    for row in as_backend(InMemoryGeoCatalog(rows)):
        assert np.isnan(row.bounds).all()
        with pytest.raises(CatalogError, match="no footprint"):
            row.slice(1)


def test_a_pickled_part_is_as_large_as_its_rows(as_backend):
    corners = np.arange(2000)
    whole = as_backend(
        InMemoryGeoCatalog(frame(np.c_[corners, 0 * corners, corners + 0.5, 0 * corners + 1]))
    )
    len(whole.query(bounds=(0, 0, 9, 9)))
    part = whole.query(bounds=(5, 0, 7, 1))
    assert part.total_bounds == (5, 0, 7.5, 1)
    assert len(pickle.dumps(part)) < 10_000
    again = pickle.loads(pickle.dumps(part))
    assert paths(again) == paths(part)
    assert paths(again.query(bounds=(6, 0, 6, 1))) == ["/data/0006.tif"]
    pairs = whole & part
    assert len(pickle.dumps(pairs)) < 10_000
    assert pickle.loads(pickle.dumps(pairs)).gdf.equals(pairs.gdf)


def test_a_pickle_keeps_what_was_skipped_and_what_a_class_adds():
    class Kept(InMemoryGeoCatalog):
        pass

    made = InMemoryGeoCatalog(frame([(0, 0, 1, 1), (5, 0, 6, 1)]))
    made.skipped, made.note = [("/x.tif", "no CRS")], "mine"
    again = pickle.loads(pickle.dumps(made))
    assert (again.skipped, again.note) == ([("/x.tif", "no CRS")], "mine")


def test_a_union_keeps_whole_numbers_whole():
    one = InMemoryGeoCatalog(frame((0, 0, 1, 1), number=[2**60 + 1]))
    both = one | InMemoryGeoCatalog(frame((1, 0, 2, 1)))
    assert both.gdf.number[0] == 2**60 + 1
    assert not is_known(both.gdf.number[1])


def test_json_of_what_rows_hold():
    assert as_json({"a": (np.int64(1), [float("nan"), pd.NaT]), 2: pd.Timedelta("1D")}) == {
        "a": [1, [None, None]],
        "2": "1 days 00:00:00",
    }


@pytest.mark.parametrize("dtype", ["float16", ">f2", ">i4", ">u8", ">f8", "<i2"])
@pytest.mark.parametrize("partition", [None, "month"])
def test_numbers_of_any_type_come_back(tmp_path, dtype, partition):
    numbers = np.array([1, 2.5, 7]).astype(dtype)
    rows = frame([(0, 0, 1, 1), (1, 0, 2, 1), (2, 0, 3, 1)], "2024-06-01").assign(number=numbers)
    target = to_geoparquet(InMemoryGeoCatalog(rows), tmp_path / "c.parquet", partition=partition)
    found = open_catalog(target)
    assert sorted(found.gdf.number.tolist()) == sorted(numbers.tolist())
    assert len(found.where("number > 1")) == 2


def test_numbers_beyond_64_bits_are_refused_with_a_way_out(tmp_path):
    rows = frame([(0, 0, 1, 1)]).assign(number=[2**70])
    with pytest.raises(CatalogError, match="write it as text"):
        to_geoparquet(InMemoryGeoCatalog(rows), tmp_path / "c.parquet")


@pytest.mark.parametrize("kind", ["str", "string[pyarrow]", "int32[pyarrow]"])
def test_a_frame_joined_of_many_is_held_in_one_piece(kind):
    def part(number):
        names = pd.Series([f"{number}0", f"{number}1"])
        boxes = [shapely.box(0, 0, 1, 1)] * 2
        values = {"filepath": names, "mark": names.astype("int64" if "int" in kind else "str")}
        frame = gpd.GeoDataFrame(values, geometry=boxes, crs=32610)
        return frame.assign(mark=frame["mark"].astype(kind))

    joined = pd.concat([part(number) for number in range(1, 6)])
    if not hasattr(joined["mark"].array, "__arrow_array__"):
        pytest.skip("before pandas 3, text is held in Arrow only where one asks for it")
    made = FootprintTable.of(joined).frame
    assert made["mark"].dtype == joined["mark"].dtype
    assert made["mark"].tolist() == joined["mark"].tolist()
    arrow = made["mark"].array.__arrow_array__()
    assert joined["mark"].array.__arrow_array__().num_chunks == 5
    assert arrow.num_chunks == 1
