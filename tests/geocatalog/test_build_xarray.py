import numpy as np
import pandas as pd
import pytest
import xarray as xr
from footprints import utc

from geocatalog import CatalogError, build_xarray_catalog, load_xarray


def cube(path, *, x, y, crs=None, times=3, **attrs):
    data = xr.Dataset(
        {"t2m": (("time", "y", "x"), np.zeros((times, len(y), len(x)), "float32"))},
        {"time": pd.date_range("2024-01-01", periods=times), "y": y, "x": x},
        attrs=attrs,
    )
    if crs is not None:
        data = data.rio.write_crs(crs)
    if str(path).endswith(".zarr"):
        data.to_zarr(path, zarr_format=2, consolidated=True)
    else:
        data.to_netcdf(path, engine="h5netcdf")
    return str(path)


@pytest.mark.parametrize("name", ["cube.nc", "cube.zarr"])
def test_coordinates_become_rows(tmp_path, name):
    import rioxarray  # noqa: F401

    path = cube(tmp_path / name, x=[5.0, 15.0, 25.0], y=[15.0, 5.0], crs="EPSG:32610")
    catalog = build_xarray_catalog([path])
    row = next(catalog.iter_rows())
    assert catalog.backend == "xarray"
    assert row.bounds == (0, 0, 30, 20)
    assert (row.start_time, row.end_time) == (utc("2024-01-01"), utc("2024-01-03"))
    assert row.extras["n_timesteps"] == 3
    assert row.extras["variables"] == "t2m"
    assert row.extras["resolution"] == 10
    assert row.slice().shape == (2, 3)


def test_the_crs_may_stand_in_old_attributes(tmp_path):
    path = cube(tmp_path / "a.nc", x=[5.0, 15.0], y=[5.0, 15.0], crs_="x", epsg=32631)
    assert build_xarray_catalog([path]).crs.to_epsg() == 32631
    path = cube(tmp_path / "b.nc", x=[5.0, 15.0], y=[5.0, 15.0], crs_="x")
    with pytest.raises(CatalogError, match="which CRS"):
        build_xarray_catalog([path])


def test_longitudes_beyond_180_are_brought_home(tmp_path):
    def made(name, lon):
        data = xr.Dataset(
            {"t": (("lat", "lon"), np.zeros((2, len(lon))))}, {"lat": [1.0, 0.0], "lon": lon}
        )
        data.to_netcdf(tmp_path / name, engine="h5netcdf")
        return str(tmp_path / name)

    world = build_xarray_catalog([made("world.nc", np.arange(0.0, 360.0))])
    assert world.total_bounds[::2] == (-180, 180)
    west = build_xarray_catalog([made("west.nc", [239.5, 240.5])])
    assert west.total_bounds[::2] == (-121, -119)
    across = build_xarray_catalog([made("across.nc", [178.5, 179.5, 180.5])])
    assert len(across.query(bounds=(-180, 0, -179.5, 1))) == 1
    assert len(across.query(bounds=(0, 0, 1, 1))) == 0


@pytest.mark.parametrize(
    ("x", "message"), [([5.0, 15.0, 26.0], "uneven steps"), ([5.0], "one cell")]
)
def test_grids_without_a_pixel_size_are_refused(tmp_path, x, message):
    path = cube(tmp_path / "a.nc", x=x, y=[5.0, 15.0], epsg=32610)
    with pytest.raises(CatalogError, match=message):
        build_xarray_catalog([path])


def test_missing_variables_and_files_are_named(tmp_path):
    path = cube(tmp_path / "a.nc", x=[5.0, 15.0], y=[5.0, 15.0], epsg=32610)
    with pytest.raises(CatalogError, match="no variable rain"):
        build_xarray_catalog([path], data_vars=["rain"])
    broken = tmp_path / "broken.nc"
    broken.write_bytes(b"not HDF")
    catalog = build_xarray_catalog([path, broken], on_error="skip")
    assert len(catalog) == 1
    assert catalog.skipped[0][0] == str(broken)


def test_a_dataset_without_times_is_undated(tmp_path):
    path = cube(tmp_path / "a.nc", x=[5.0, 15.0], y=[5.0, 15.0], epsg=32610)
    row = next(build_xarray_catalog([path], time_var="valid_time").iter_rows())
    assert row.interval is None
    assert row.extras["n_timesteps"] == 0


def test_the_real_cubes(shared_data):
    paths = sorted((shared_data / "netcdf").glob("*.nc"))
    catalog = build_xarray_catalog(paths, time_var="timestamp")
    table = catalog.gdf.set_index("resolution")
    assert catalog.crs.to_epsg() == 32631
    assert table.n_timesteps.to_dict() == {1000: 487, 10: 118, 20: 118}
    assert table.geometry[10].bounds == (501360, 5629040, 502000, 5629680)
    assert table.variables[10] == "B02,B03,B04,B08"


@pytest.mark.parametrize(
    ("names", "attrs"),
    [
        (("lat", "lon"), ({}, {})),
        (("Latitude", "Longitude"), ({}, {})),
        (("y", "x"), ({"units": "degrees_north"}, {"units": "degrees_east"})),
        (("nav_lat", "nav_lon"), ({"units": "degrees_north"}, {"units": "degreesE"})),
        (("phi", "lam"), ({"standard_name": "latitude"}, {"standard_name": "longitude"})),
    ],
)
@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_axes_in_degrees_need_no_grid_mapping(names, attrs, engine, tmp_path):
    y, x = names
    cube = xr.Dataset(
        {"t2m": (("time", y, x), np.zeros((3, 4, 5), "float32"))},
        {
            "time": pd.date_range("2024-01-01", periods=3),
            y: (y, np.linspace(43, 40, 4), attrs[0]),
            x: (x, np.linspace(10, 14, 5), attrs[1]),
        },
    )
    path = tmp_path / "cube.nc"
    cube.to_netcdf(path, engine=engine)
    catalog = build_xarray_catalog([path], target_crs="EPSG:4326")
    assert catalog.total_bounds == (9.5, 39.5, 14.5, 43.5)
    assert catalog.crs.to_epsg() == 4326
    assert load_xarray(catalog, next(catalog.iter_slices())).shape == (3, 1, 4, 5)


def test_a_system_that_is_none_is_told_with_its_file(tmp_path):
    axes = {"lat": [0.0, 1.0, 2.0], "lon": [0.0, 1.0, 2.0]}
    dataset = xr.Dataset({"v": (("lat", "lon"), np.zeros((3, 3)))}, coords=axes)
    dataset["crs"] = ((), 0, {"crs_wkt": "garbage"})
    dataset["v"].attrs["grid_mapping"] = "crs"
    path = tmp_path / "odd.nc"
    dataset.to_netcdf(path, engine="h5netcdf")
    with pytest.raises(CatalogError, match=r"odd\.nc: not a coordinate reference system"):
        build_xarray_catalog([path])
