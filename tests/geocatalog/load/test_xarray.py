import numpy as np
import pandas as pd
import pytest
import xarray as xr

from geocatalog import CatalogError, GeoSlice, InMemoryGeoCatalog, build_xarray_catalog, load_xarray


@pytest.fixture
def cube(tmp_path):
    """Three days of 4 x 4 cells of 10 m, rows from south to north, one unknown cell."""
    values = np.arange(48, dtype="float32").reshape(3, 4, 4)
    values[0, 0, 0] = np.nan
    data = xr.Dataset(
        {"a": (("time", "y", "x"), values), "b": (("time", "y", "x"), -values)},
        {
            "time": pd.date_range("2024-01-01", periods=3),
            "y": [5.0, 15, 25, 35],
            "x": [5.0, 15, 25, 35],
        },
        attrs={"epsg": 32610},
    )
    data.to_netcdf(tmp_path / "cube.nc", engine="h5netcdf")
    return build_xarray_catalog([tmp_path / "cube.nc"]), values


def test_time_steps_of_the_interval_on_the_slice_s_grid(cube):
    catalog, values = cube
    got = load_xarray(catalog, GeoSlice((10, 0, 30, 20), ("2024-01-02", "2024-01-03"), 10, 32610))
    assert got.shape == (2, 2, 2, 2)
    np.testing.assert_array_equal(got.values[:, 0], values[1:, 1::-1, 1:3])
    np.testing.assert_array_equal(got.values[:, 1], -values[1:, 1::-1, 1:3])
    assert got.attrs["dates"] == ["2024-01-02T00:00:00+00:00", "2024-01-03T00:00:00+00:00"]
    assert got.attrs["band_names"] == ["a", "b"]
    assert got.dtype == np.float32


def test_unknown_cells_and_places_are_nan(cube):
    catalog, _ = cube
    got = load_xarray(catalog, GeoSlice((-10, 0, 10, 10), "2024-01-01", 10, 32610), ["a"])
    assert got.shape == (1, 1, 1, 2)
    assert np.isnan(got.values).all()


def test_neighbouring_datasets_fill_one_step(tmp_path):
    for i in range(2):
        data = xr.Dataset(
            {"a": (("time", "y", "x"), np.full((1, 1, 2), i + 1.0))},
            {"time": [pd.Timestamp("2024-01-01")], "y": [5.0], "x": [5.0 + 20 * i, 15.0 + 20 * i]},
            attrs={"epsg": 32610, "resolution": 10},
        )
        data.to_netcdf(tmp_path / f"{i}.nc", engine="h5netcdf")
    catalog = build_xarray_catalog(sorted(tmp_path.glob("*.nc")))
    got = load_xarray(catalog, GeoSlice((0, 0, 40, 10), "2024", 10, 32610))
    assert got.values.tolist() == [[[[1, 1, 2, 2]]]]


def test_longitudes_beyond_180_are_found(tmp_path):
    data = xr.Dataset(
        {"t": (("lat", "lon"), np.arange(720.0).reshape(2, 360))},
        {"lat": [1.5, 0.5], "lon": np.arange(0.5, 360)},
    )
    data.to_netcdf(tmp_path / "world.nc", engine="h5netcdf")
    catalog = build_xarray_catalog([tmp_path / "world.nc"])
    got = load_xarray(catalog, GeoSlice((-120, 1, -118, 2), None, 1, 4326))
    assert got.values.tolist() == [[[[240, 241]]]]
    assert got.attrs["dates"] == ["NaT"]


def test_bad_questions_are_refused(cube):
    catalog, _ = cube
    slice_ = GeoSlice((0, 0, 40, 40), "2024", 10, 32610)
    with pytest.raises(CatalogError, match="no variable rain"):
        load_xarray(catalog, slice_, ["rain"])
    with pytest.raises(CatalogError, match="no time step"):
        load_xarray(catalog, GeoSlice((0, 0, 40, 40), "2023", 10, 32610))
    with pytest.raises(CatalogError, match="floating"):
        load_xarray(catalog, slice_, dtype="uint8")
    with pytest.raises(CatalogError, match="two halves"):
        load_xarray(catalog, GeoSlice((179, 0, -179, 1), None, 0.1, 4326))
    with pytest.raises(CatalogError, match="load_raster"):
        load_xarray(InMemoryGeoCatalog(catalog.gdf), slice_)


def test_a_time_axis_of_another_name_is_told_from_other_dimensions(cube, tmp_path):
    catalog, _ = cube
    with xr.open_dataset(catalog.gdf.filepath[0]) as file:
        dataset = file.load()
    slice_ = GeoSlice((0, 0, 40, 40), None, 10, 32610)
    dataset.rename(time="t").to_netcdf(tmp_path / "t.nc", engine="h5netcdf")
    with pytest.raises(CatalogError, match="build the catalog with time_var='t'"):
        load_xarray(build_xarray_catalog([tmp_path / "t.nc"]), slice_)
    levels = dataset.isel(time=0, drop=True).expand_dims(level=[1, 2])
    levels.to_netcdf(tmp_path / "levels.nc", engine="h5netcdf")
    with pytest.raises(CatalogError, match="choose other variables"):
        load_xarray(build_xarray_catalog([tmp_path / "levels.nc"]), slice_)


def test_the_real_cube_says_what_the_files_say(shared_data, archive_root):
    """The same scenes lie there as a NetCDF cube and as single files."""
    import rasterio

    path = next((shared_data / "netcdf").glob("S2_L2A_10m*.nc"))
    catalog = build_xarray_catalog([path], time_var="timestamp")
    slice_ = GeoSlice((501360, 5629040, 502000, 5629680), "2018-05-06", 10, 32631)
    got = load_xarray(catalog, slice_, ["B04", "B08"])
    assert got.shape == (1, 2, 64, 64)
    folder = next((archive_root / "sentinel-2-l2a").glob("S2_T31UDS_20180506*"))
    for band, values in zip(("B04", "B08"), got.values[0], strict=True):
        with rasterio.open(next(folder.glob(f"*{band}*.tif"))) as file:
            np.testing.assert_allclose(values * 1e4, file.read(1), rtol=1e-5)  # reflectance
