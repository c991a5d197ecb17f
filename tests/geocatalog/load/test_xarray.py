from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_a_scalar_time_is_a_time_and_a_name_may_tell_it(tmp_path):
    def made(name, value, **coords):
        data = {"t": (("lat", "lon"), np.full((2, 2), value))}
        cube = xr.Dataset(data, {"lat": [1.5, 0.5], "lon": [0.5, 1.5]} | coords)
        cube.to_netcdf(tmp_path / name, engine="h5netcdf")
        return tmp_path / name

    scalar = [made(f"s{d}.nc", float(d), time=pd.Timestamp(2024, 1, d)) for d in (1, 2)]
    named = [made(f"n_2024010{d}.nc", float(d)) for d in (1, 2)]
    undated = made("u.nc", 3.0, time=np.datetime64("NaT", "ns"))
    by_name = {"filename_regex": r"n_(?P<date>\d{8})", "date_format": "%Y%m%d"}
    for catalog in (build_xarray_catalog(scalar), build_xarray_catalog(named, **by_name)):
        whole = load_xarray(catalog, GeoSlice((0, 0, 2, 2), None, 1, 4326))
        assert whole.values[:, 0, 0, 0].tolist() == [1, 2]
        assert [date[:10] for date in whole.attrs["dates"]] == ["2024-01-01", "2024-01-02"]
        second = load_xarray(catalog, GeoSlice((0, 0, 2, 2), "2024-01-02/..", 1, 4326))
        assert second.values.ravel().tolist() == [2] * 4
    lost = build_xarray_catalog([undated])
    assert lost.gdf.start_time.isna().all()
    assert lost.gdf.n_timesteps.tolist() == [0]
    assert load_xarray(lost, GeoSlice((0, 0, 2, 2), "2024", 1, 4326)).attrs["dates"] == ["NaT"]


def test_steps_without_a_date_are_in_no_interval(tmp_path):
    cube = xr.Dataset(
        {"t": (("time", "lat", "lon"), np.arange(12.0).reshape(3, 2, 2))},
        {
            "time": np.array(["2024-01-01", "NaT", "2024-01-03"], "M8[ns]"),
            "lat": [1.5, 0.5],
            "lon": [0.5, 1.5],
        },
    )
    cube.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    catalog = build_xarray_catalog([tmp_path / "a.nc"])
    assert catalog.gdf.n_timesteps.tolist() == [2]
    found = load_xarray(catalog, GeoSlice((0, 0, 2, 2), None, 1, 4326))
    assert found.values[:, 0, 0, 0].tolist() == [0, 8]


def test_a_month_s_mean_is_found_on_each_of_its_days(tmp_path):
    cube = xr.Dataset(
        {
            "t": (("time", "lat", "lon"), np.arange(8.0).reshape(2, 2, 2)),
            "time_bnds": (("time", "nv"), np.array([[0.0, 31.0], [31.0, 59.0]])),
        },
        {"time": [15.5, 45.0], "lat": [1.5, 0.5], "lon": [0.5, 1.5]},
    )
    cube["time"].attrs |= {
        "units": "days since 1850-01-01",
        "calendar": "noleap",
        "bounds": "time_bnds",
    }
    cube.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    catalog = build_xarray_catalog([tmp_path / "a.nc"])
    assert catalog.gdf["variables"].tolist() == ["t"]
    assert str(catalog.temporal_extent.right) == "1850-02-28 23:59:59.999999+00:00"
    for day, month in (("1850-01-03", 0), ("1850-01-31", 0), ("1850-02-01", 1)):
        found = load_xarray(catalog, GeoSlice((0, 0, 2, 2), day, 1, 4326))
        assert found.values[:, 0, 0, 0].tolist() == [4.0 * month]


def test_a_calendar_that_ours_is_not_is_refused_with_the_file_s_name(tmp_path):
    cube = xr.Dataset(
        {"t": (("time", "lat", "lon"), np.zeros((60, 2, 2)))},
        {"time": np.arange(60.0), "lat": [1.5, 0.5], "lon": [0.5, 1.5]},
    )
    cube["time"].attrs |= {"units": "days since 2024-01-01", "calendar": "360_day"}
    cube.to_netcdf(tmp_path / "hadgem.nc", engine="h5netcdf")
    with pytest.raises(CatalogError, match=r"hadgem\.nc: time .*'360_day' has 2024-02-30"):
        build_xarray_catalog([tmp_path / "hadgem.nc"])


def test_classic_files_packed_and_in_the_other_byte_order_give_physical_values(tmp_path):
    cube = xr.Dataset(
        {"sst": (("time", "zlev", "lat", "lon"), np.array([[[[10, -999], [30, 40]]]], ">i2"))},
        {
            "time": np.array([0.0], ">f4"),
            "zlev": np.array([0.0]),
            "lat": np.array([1.5, 0.5], ">f4"),
            "lon": np.array([0.5, 1.5], ">f4"),
        },
    )
    cube["sst"].attrs |= {"scale_factor": 0.01, "add_offset": 5.0, "_FillValue": np.int16(-999)}
    cube["time"].attrs["units"] = "days since 1981-01-01 12:00:00"
    cube.to_netcdf(tmp_path / "oisst.NC", engine="scipy")
    catalog = build_xarray_catalog([tmp_path / "oisst.NC"])
    found = load_xarray(catalog, GeoSlice((0, 0, 2, 2), "1981-01-01", 1, 4326))
    np.testing.assert_allclose(found.values[0, 0], [[5.1, np.nan], [5.3, 5.4]], rtol=1e-6)
    assert found.dtype == np.float32
    assert found.values.dtype.isnative


def test_classes_are_never_averaged(tmp_path):
    cube = xr.Dataset(
        {
            "cover": (("y", "x"), np.array([[4, 8], [4, 8]], "u1"), {"flag_values": [4, 8]}),
            "qa": (("y", "x"), np.array([[1, 64], [1, 64]], "u1"), {"flag_masks": [1, 64]}),
            "t": (("y", "x"), np.array([[0.0, 1.0], [0.0, 1.0]])),
        },
        {"y": [15.0, 5.0], "x": [5.0, 15.0]},
        attrs={"epsg": 32610},
    )
    cube.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    catalog = build_xarray_catalog([tmp_path / "a.nc"])
    found = load_xarray(catalog, GeoSlice((0, 0, 20, 20), None, 4, 32610), resampling="bilinear")
    assert found.attrs["band_roles"] == ["class", "bits", "quantity"]
    assert set(np.unique(found.values[0, 0])) == {4, 8}
    assert set(np.unique(found.values[0, 1])) == {1, 64}
    assert len(np.unique(found.values[0, 2])) > 2


def test_what_holds_no_real_numbers_is_refused(tmp_path):
    cube = xr.Dataset({"word": (("y", "x"), [["a"]])}, {"y": [5.0], "x": [5.0]})
    cube.attrs |= {"epsg": 32610, "resolution": 10}
    cube.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.raises(CatalogError, match=r"word in .* no real numbers"):
        load_xarray(
            build_xarray_catalog([tmp_path / "a.nc"]), GeoSlice((0, 0, 10, 10), None, 10, 32610)
        )


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([1.0, 0.5, 0.25]),
    st.sampled_from([("world", 0.0), ("world", -180.0), ("part", 150.0), ("part", -20.0)]),
    st.sampled_from(["f4", "f8", ">f4"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["h5netcdf", "scipy"]),
    st.integers(-180, 175),
    st.integers(-8, 5),
    st.integers(1, 5),
)
def test_each_pixel_is_the_cell_it_lies_in(
    step, place, dtype, east_first, north_first, engine, west, south, width
):
    """Against plain Python: the cell whose sides hold a pixel's middle, on the globe."""
    kind, begin = place
    count = int(360 / step) if kind == "world" else int(60 / step)
    lon = begin + step / 2 + np.arange(count) * step
    lat = -8 + step / 2 + np.arange(int(16 / step)) * step
    values = np.arange(len(lat) * count, dtype="f8").reshape(len(lat), count)
    cube = xr.Dataset({"t": (("lat", "lon"), values)}, {"lat": lat, "lon": lon})
    cube = cube.assign_coords(lat=lat.astype(dtype), lon=lon.astype(dtype))
    cube = cube.isel(lon=slice(None, None, -1 if east_first else 1))
    cube = cube.isel(lat=slice(None, None, -1 if north_first else 1))
    slice_ = GeoSlice((west, south, min(west + width, 180), south + 2), None, step, 4326)
    with TemporaryDirectory() as folder:
        cube.to_netcdf(f"{folder}/a.nc", engine=engine)
        catalog = build_xarray_catalog([f"{folder}/a.nc"])
        hits = len(catalog.query(slice_))
        got = load_xarray(catalog, slice_, dtype="float64").values[0, 0] if hits else None
    transform, shape = slice_.transform, slice_.shape
    expected = np.full(shape, np.nan)
    for row in range(shape[0]):
        for column in range(shape[1]):
            x, y = transform @ (column + 0.5, row + 0.5)
            i, j = int((y + 8) // step), int(((x - begin) % 360) // step)
            if 0 <= i < len(lat) and j < count:
                expected[row, column] = values[i, j]
    if hits:
        np.testing.assert_array_equal(got, expected)
    else:
        assert np.isnan(expected).all()


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


@settings(max_examples=40, deadline=None)
@given(
    st.permutations(["time", "level", "lat", "lon"]),
    st.integers(1, 2),
    st.integers(1, 2),
    st.integers(1, 2),
)
def test_axes_of_one_cell_are_axes(order, times, rows, columns):
    size = {"time": times, "level": 1, "lat": rows, "lon": columns}
    values = np.arange(times * rows * columns, dtype="f8").reshape([size[name] for name in order])
    axes = {
        "time": pd.date_range("2024-01-01", periods=times),
        "lat": rows - 0.5 - np.arange(rows),
        "lon": 0.5 + np.arange(columns),
    }
    cube = xr.Dataset({"t": (order, values)}, axes, {"resolution": 1.0})
    with TemporaryDirectory() as folder:
        cube.to_netcdf(f"{folder}/a.nc", engine="h5netcdf")
        catalog = build_xarray_catalog([f"{folder}/a.nc"])
        got = load_xarray(catalog, GeoSlice((0, 0, columns, rows), None, 1, 4326))
    wanted = cube.t.isel(level=0).transpose("time", "lat", "lon").values
    np.testing.assert_array_equal(got.values[:, 0], wanted)


@pytest.mark.parametrize("units", ["hours since 2024-01-01", "days since 2024-01-01"])
@pytest.mark.parametrize("numbers", [[0, 0, 1], [1, 0, 1], [2, 2, 2]])
def test_two_steps_of_one_time_are_refused_where_they_are_asked_for(tmp_path, units, numbers):
    step = ("time", np.array(numbers, "int32"), {"units": units})
    values = np.arange(3.0).reshape(3, 1, 1)
    cube = xr.Dataset({"t": (("time", "y", "x"), values)}, {"time": step, "y": [5.0], "x": [5.0]})
    cube.attrs |= {"epsg": 32610, "resolution": 10}
    cube.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    catalog = build_xarray_catalog([tmp_path / "a.nc"])
    with pytest.raises(CatalogError, match=r"a\.nc has [23] steps of one time, .*drop_duplicates"):
        load_xarray(catalog, GeoSlice((0, 0, 10, 10), None, 10, 32610))
    single = [number for number in numbers if numbers.count(number) == 1]
    for number in single:
        asked = np.datetime64("2024-01-01") + np.timedelta64(number, {"h": "h", "d": "D"}[units[0]])
        got = load_xarray(catalog, GeoSlice((0, 0, 10, 10), (asked, asked), 10, 32610))
        assert got.values.ravel().tolist() == [numbers.index(number)]


@pytest.mark.parametrize("stored", ["uint8", "int16", "int32", "uint32", "int64"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("role", ["flag_values", "flag_masks", None])
def test_codes_are_whole_in_the_result_s_dtype_or_refused(tmp_path, stored, dtype, role):
    most = min(np.iinfo(stored).max, 2**31 - 1)
    codes = np.array([[1, most]], stored)
    told = {} if role is None else {role: np.array([1], stored)}
    cube = xr.Dataset({"c": (("y", "x"), codes, told)}, {"y": [5.0], "x": [5.0, 15.0]})
    cube.attrs |= {"epsg": 32610, "resolution": 10}
    cube.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    catalog, slice_ = (
        build_xarray_catalog([tmp_path / "a.nc"]),
        GeoSlice((0, 0, 20, 10), None, 10, 32610),
    )
    with np.errstate(over="ignore"):
        fits = float(np.dtype(dtype).type(most)) == most
        if role is None or fits:
            got = load_xarray(catalog, slice_, dtype=dtype).values.ravel()
            assert got.tolist() == codes.astype(dtype).ravel().tolist()
        else:
            with pytest.raises(CatalogError, match=f"{dtype} cannot hold every number of c"):
                load_xarray(catalog, slice_, dtype=dtype)


@pytest.mark.parametrize(
    "content", [b"", b"<html>sign in</html>", b"CDF\x01", b"\x89HDF\r\n\x1a\n"]
)
def test_a_dataset_that_is_none_any_more_is_named(cube, tmp_path, content):
    (tmp_path / "cube.nc").write_bytes(content)
    with pytest.raises(CatalogError, match=r"cannot read .*cube\.nc: "):
        load_xarray(cube[0], GeoSlice((0, 0, 40, 40), None, 10, 32610))
