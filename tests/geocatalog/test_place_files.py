"""A catalog on an object store: few of its bytes are read, all of its rows are found."""

import json
import pickle

import geopandas as gpd
import numpy as np
import pytest
import shapely
import xarray as xr
from geopandas.testing import assert_geodataframe_equal
from object_store import Fault

from geocatalog import (
    CatalogError,
    InMemoryGeoCatalog,
    build_xarray_catalog,
    from_geoparquet,
    open_catalog,
    to_geoparquet,
)

ROWS = 60_000


@pytest.fixture(scope="module")
def many():
    """A catalog of sixty thousand footprints in one CRS."""
    rng = np.random.default_rng(0)
    west, south = rng.uniform(0, 1e6, (2, ROWS))
    days = np.datetime64("2024-01-01", "us") + rng.integers(0, 365, ROWS) * np.timedelta64(1, "D")
    frame = {"filepath": [f"s3://bucket/{n}.tif" for n in range(ROWS)], "start_time": days}
    footprints = shapely.box(west, south, west + 1000, south + 1000)
    frame = gpd.GeoDataFrame({**frame, "end_time": days}, geometry=footprints, crs=32632)
    return InMemoryGeoCatalog(frame)


def test_a_small_question_reads_a_small_part(many, on_store, store_proxy):
    place = on_store / "catalog.parquet"
    assert to_geoparquet(many, place) == str(place)
    size = place.find().size
    catalog = open_catalog(str(place))
    before = len(store_proxy.seen)
    box = (1e5, 1e5, 12e4, 12e4)
    assert catalog.columns == many.columns
    found = catalog.query(bounds=box).gdf
    asked = store_proxy.since(before)
    expected = many.query(bounds=box).gdf
    assert sorted(found.filepath) == sorted(expected.filepath)
    assert len(found) > 3
    read = sum(each.received for each in asked)
    assert read < size / 4, f"{read} of {size} bytes, of one group of rows in eight"
    assert len(asked) < 30


def test_it_is_the_same_catalog_as_on_this_machine(many, on_store, tmp_path):
    place, path = on_store / "catalog.parquet", tmp_path / "catalog.parquet"
    to_geoparquet(many, place)
    to_geoparquet(many, path)
    assert place.read() == path.read_bytes()
    there, here = open_catalog(place), open_catalog(path)
    question = {"bounds": (2e5, 2e5, 3e5, 3e5), "time": "2024-06"}
    for catalog in (there, pickle.loads(pickle.dumps(there))):
        assert_geodataframe_equal(catalog.query(**question).gdf, here.query(**question).gdf)
        assert len(catalog.where("filepath = 's3://bucket/7.tif'")) == 1
    assert len(from_geoparquet(place)) == len(there) == ROWS
    assert there.total_bounds == here.total_bounds


def test_one_that_was_replaced_is_refused(many, on_store):
    place = on_store / "catalog.parquet"
    part = many.query(bounds=(0, 0, 1e5, 1e5))
    to_geoparquet(part, place)
    catalog = open_catalog(place)
    with pytest.raises(CatalogError, match="over its own input"):
        to_geoparquet(catalog, place)
    to_geoparquet(many.query(bounds=(5e5, 0, 6e5, 1e5)), place)
    with pytest.raises(CatalogError, match="replaced"):
        len(catalog.query(bounds=(0, 0, 1e4, 1e4)))


@pytest.mark.parametrize("kind", ["status", "cut", "lost"])
def test_a_busy_store_is_asked_again(many, on_store, store_proxy, hasty, kind):
    place = on_store / "catalog.parquet"
    to_geoparquet(many.query(bounds=(0, 0, 1e5, 1e5)), place)
    catalog = open_catalog(place)
    store_proxy.faults.append(Fault("GET", "catalog.parquet", kind, times=2))
    assert len(catalog.query(bounds=(0, 0, 1e4, 1e4)).gdf) > 0
    assert store_proxy.faults[0].times == 0


def test_what_is_wrong_is_named(on_store, monkeypatch, hasty):
    place = on_store / "catalog.parquet"
    for opens in (open_catalog, from_geoparquet):
        with pytest.raises(CatalogError, match="no catalog file at s3://"):
            opens(place)
    place.write(b"no parquet")
    with pytest.raises(CatalogError, match="not a Parquet file"):
        open_catalog(place)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET-OF-MINE")
    with pytest.raises(CatalogError, match="refuses") as caught:
        open_catalog(place)
    assert "OF-MINE" not in str(caught.value)


def test_the_connection_reads_this_one_object(many, on_store):
    place = on_store / "catalog.parquet"
    to_geoparquet(many.query(bounds=(0, 0, 1e5, 1e5)), place)
    (on_store / "other.parquet").write(place.read())
    connection = open_catalog(place)._source.connection
    for name in (f"{on_store}/other.parquet", f"{on_store}/*.parquet", "/etc/passwd"):
        with pytest.raises(Exception, match=r"Permission|disabled|No files|not found|cannot"):
            connection.execute(f"SELECT * FROM read_parquet('{name}')").fetchall()


def test_one_on_a_web_server_is_read_in_ranges(many, tmp_path):
    pytest.importorskip("starlette")
    from loopback import Loopback

    path = tmp_path / "catalog.parquet"
    to_geoparquet(many, path)
    with Loopback() as server:
        catalog = open_catalog(server.add_file(path))
        server.records.clear()
        found = catalog.query(bounds=(1e5, 1e5, 12e4, 12e4))
        assert sorted(found.gdf.filepath) == sorted(
            many.query(bounds=(1e5, 1e5, 12e4, 12e4)).gdf.filepath
        )
        assert sum(each.sent for each in server.records) < path.stat().st_size / 4


@pytest.mark.parametrize("null", [False, True])
def test_gridded_files_on_the_store_are_catalogued(on_store, tmp_path, null):
    axes = {"time": [0, 1], "lat": [1.5, 0.5], "lon": [0.5, 1.5]}
    cube = xr.Dataset({"t2m": (("time", "lat", "lon"), np.zeros((2, 2, 2), "float32"))}, axes)
    cube.time.attrs["units"] = "days since 2024-01-01"
    cube.to_zarr((on_store / "cube.zarr").for_zarr(), zarr_format=3, consolidated=False)
    if null:  # as older zarr writes it
        group = on_store / "cube.zarr/zarr.json"
        group.write(json.dumps(json.loads(group.read()) | {"consolidated_metadata": None}).encode())
    cube.to_netcdf(tmp_path / "cube.nc", engine="h5netcdf")
    (on_store / "cube.nc").upload(tmp_path / "cube.nc")
    catalog = build_xarray_catalog([f"{on_store}/cube.zarr", f"{on_store}/cube.nc"])
    assert catalog.gdf.n_timesteps.tolist() == [2, 2]
    assert catalog.total_bounds == (0, 0, 2, 2)
