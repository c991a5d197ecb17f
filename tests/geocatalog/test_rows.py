"""Rows, columns and Arrow of a catalog, without a frame: the same as with one."""

import copy
import pickle

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geocatalog import CatalogError, InMemoryGeoCatalog, open_catalog, to_geoparquet
from geocatalog.rows import BLOCK_ROWS, CatalogRow


def frame_of(count):
    rng = np.random.default_rng(count)
    west = rng.integers(0, 900, count).astype(float)
    shapes = shapely.box(west, west, west + 10, west + 20)
    shapes[::3] = shapely.buffer(shapely.points(west[::3], west[::3]), 5)
    known = rng.random(count) < 0.7
    day = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 300, count), "D")
    return gpd.GeoDataFrame(
        {
            "filepath": [f"/scene/{number}.tif" for number in range(count)],
            "start_time": day.where(known),
            "end_time": (day + pd.Timedelta("1h")).where(known),
            "cloud_cover": np.where(known, rng.random(count), np.nan),
            "orbit": pd.array(np.where(known, 7, 8), dtype="Int64"),
            "tags": [["a", number] for number in range(count)],
        },
        geometry=shapes,
        crs=32610,
    )


@pytest.fixture(params=["memory", "part", "file", "part of a file"])
def catalog(request, tmp_path):
    whole = InMemoryGeoCatalog(frame_of(60))
    if "file" in request.param:
        whole = open_catalog(to_geoparquet(whole, tmp_path / "catalog.parquet"))
    return whole.query(bounds=(100, 100, 700, 700)) if "part" in request.param else whole


def same(one, other):
    return one is other or one == other or (pd.isna(one) is True and pd.isna(other) is True)


def test_rows_hold_what_the_frame_holds(catalog):
    frame = catalog.gdf
    rows = list(catalog)
    assert [row.index for row in rows] == list(range(len(frame))) != []
    for row, (_, wanted) in zip(rows, frame.iterrows(), strict=True):
        for name in ("filepath", "start_time", "end_time", "geometry"):
            assert same(getattr(row, name), wanted[name]), name
        assert list(row.extras) == list(frame.columns[4:])
        assert all(same(row.extras[name], wanted[name]) for name in row.extras)
        assert type(row.extras["cloud_cover"]) is float
        assert row.crs == catalog.crs


def test_columns_hold_what_the_frame_holds(catalog):
    frame = catalog.gdf
    assert catalog.paths == frame.filepath.tolist()
    for name in catalog.columns:
        found = catalog.column(name)
        assert found.shape == (len(frame),)
        wanted = frame[name]
        if name.endswith("_time"):
            assert found.dtype == "datetime64[us]"
            wanted = wanted.dt.tz_convert(None)
        assert all(map(same, found.tolist(), wanted.tolist())), name


def test_arrow_holds_what_the_frame_holds(catalog):
    table, frame = catalog.to_arrow(), catalog.gdf
    assert table.column_names == catalog.columns
    assert table.column("filepath").to_pylist() == frame.filepath.tolist()
    shapes = shapely.from_wkb(table.column("geometry").to_pylist())
    assert shapely.equals_exact(shapes, frame.geometry.to_numpy()).all()
    assert (
        table.column("start_time").to_pandas().isna().tolist() == frame.start_time.isna().tolist()
    )


def test_a_column_that_is_not_there_is_named(catalog):
    with pytest.raises(CatalogError, match=r"no column 'cloud'.*'cloud_cover'"):
        catalog.column("cloud")


def test_a_row_travels_with_its_own_values_alone():
    catalog = InMemoryGeoCatalog(frame_of(5000))
    row = next(iter(catalog.query(bounds=(0, 0, 999, 999))))
    text = pickle.dumps(row)
    assert len(text) < 4000
    for again in (pickle.loads(text), copy.copy(row), copy.deepcopy(row)):
        assert type(again) is CatalogRow
        assert again == row
    with pytest.raises(AttributeError, match="'cloud_cover'"):
        _ = row.cloud_cover


@given(st.lists(st.integers(0, BLOCK_ROWS * 2 + 10), max_size=8, unique=True))
def test_blocks_do_not_show(at):
    numbers = np.array(sorted(at), dtype=np.int64)
    part = BIG.from_table(BIG.table, rows=numbers)
    assert part.row_numbers.tolist() == numbers.tolist()
    assert [row.filepath for row in part] == [f"/scene/{number}.tif" for number in numbers]


BIG = InMemoryGeoCatalog(frame_of(BLOCK_ROWS * 2 + 11))


def test_all_rows_come_in_order_across_blocks():
    assert [row.filepath for row in BIG] == BIG.paths
    assert [row.index for row in BIG] == list(range(len(BIG)))
