import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS

from geocatalog import CatalogError
from geocatalog.load.labelled import chosen_names, grid_of, open_labelled


def axes(x, y, crs=None, x_name="x", y_name="y", **attrs):
    data = {"t": ((y_name, x_name), np.zeros((len(y), len(x)), "float32"))}
    cube = xr.Dataset(data, {x_name: x, y_name: y})
    for name in (x_name, y_name):
        cube[name].attrs |= attrs
    if crs is not None:
        cube["mapping"] = ((), 0, CRS.from_user_input(crs).to_cf())
        cube["t"].attrs["grid_mapping"] = "mapping"
    return cube


STEPS = [1.0, 0.25, 1 / 12, 0.05, 0.025, 0.01, 1 / 120, 0.001, 0.00025]


@given(
    st.sampled_from(STEPS),
    st.integers(2, 3000),
    st.integers(-170, 200),
    st.sampled_from(["f4", "f8", ">f4", ">f8"]),
    st.booleans(),
)
def test_a_grid_is_what_it_was_before_its_axis_was_rounded(step, count, west, dtype, down):
    lon = (west + step / 2 + np.arange(count) * step).astype(dtype)
    cube = axes(lon[:: -1 if down else 1], np.array([0.5, 1.5]) * step, x_name="lon", y_name="lat")
    found = grid_of(cube, "cube.nc").x
    assert found.count == count
    assert (found.step < 0) == down
    # Few cells leave two readings; many leave nothing of float32's rounding.
    near = 1e-5 * step if count > 200 or dtype[-1] == "8" else 1e-4
    assert found.ends == pytest.approx((west, west + count * step), abs=near)


@pytest.mark.parametrize(
    ("x_name", "y_name"),
    [
        ("lon", "lat"),
        ("Longitude", "Latitude"),
        ("LON", "LAT"),
        ("x", "y"),
        ("easting", "northing"),
    ],
)
def test_names_of_axes(x_name, y_name):
    cube = axes([0.5, 1.5], [1.5, 0.5], "EPSG:4326", x_name, y_name)
    assert grid_of(cube, "cube.nc").bounds == (0, 0, 2, 2)


def test_axes_are_known_by_their_standard_names_and_by_other_dimensions():
    cube = axes([0.5, 1.5], [1.5, 0.5], None, "nx", "ny")
    for name, standard in (("nx", "longitude"), ("ny", "latitude")):
        cube[name].attrs["standard_name"] = standard
    assert grid_of(cube, "cube.nc").crs.to_epsg() == 4326
    index = cube.rename(nx="lon", ny="lat").reset_index(["lon", "lat"])
    moved = index.rename_dims(lon="column", lat="row")
    grid = grid_of(moved, "cube.nc")
    assert (grid.x.name, grid.y.name) == ("column", "row")
    assert chosen_names(moved, None, grid, "cube.nc") == ["t"]


def test_axes_in_other_units_come_out_in_the_crs_own():
    km = axes([0.5, 1.5], [1.5, 0.5], 32610, units="km")
    assert grid_of(km, "cube.nc").bounds == (0, 0, 2000, 2000)
    metres = axes([5.0, 15.0], [15.0, 5.0], 32610, units="m")
    assert grid_of(metres, "cube.nc").bounds == (0, 0, 20, 20)
    own = axes([0.5, 1.5], [1.5, 0.5], "+proj=utm +zone=10 +units=km", units="km")
    assert grid_of(own, "cube.nc").bounds == (0, 0, 2, 2)
    quarter = math.pi / 4
    radians = axes([0.0, quarter], [quarter, 0.0], 4326, units="radians")
    assert grid_of(radians, "cube.nc").x.size == pytest.approx(45)
    with pytest.raises(CatalogError, match="x in degrees, which are no units of its CRS"):
        grid_of(axes([0.5, 1.5], [1.5, 0.5], 32610, units="degrees"), "cube.nc")


def test_a_geostationary_satellite_s_angles_are_metres():
    height = 35_786_023.0
    crs = CRS.from_dict({"proj": "geos", "h": height, "lon_0": -75, "sweep": "x"})
    x = np.arange(-2, 3) * 56e-6
    grid = grid_of(axes(x, x[::-1], crs, units="rad"), "goes.nc")
    assert grid.x.size == pytest.approx(56e-6 * height)
    assert grid.bounds[0] == pytest.approx(-2.5 * 56e-6 * height)


@pytest.mark.parametrize(
    ("lon", "bounds"),
    [
        (np.arange(0.5, 360), (-180, 180)),
        (np.arange(-179.5, 180), (-180, 180)),
        (np.arange(0, 360, 0.25), (-180, 180)),
        (np.array([239.5, 240.5]), (-121, -119)),
        (np.array([-0.5, 0.5]), (-1, 1)),
        (np.array([178.5, 179.5]), (178, 180)),
        (np.array([180.5, 181.5]), (-180, -178)),
        ((np.arange(-1800, 1800, 1) * 0.1 + 0.05).astype("f4"), (-180, 180)),
    ],
)
def test_footprints_lie_between_180_degrees(lon, bounds):
    found = grid_of(axes(lon, [1.5, 0.5], None, "lon", "lat"), "cube.nc").footprint.bounds
    assert found[::2] == pytest.approx(bounds)


def test_an_axis_that_jumps_at_180_degrees_goes_on():
    cube = axes([178.5, 179.5, -179.5, -178.5], [1.5, 0.5], None, "lon", "lat")
    grid = grid_of(cube, "cube.nc")
    assert grid.bounds[::2] == (178, 182)
    assert len(grid.footprint.geoms) == 2


def test_one_cell_s_size_is_that_of_its_bounds():
    cube = axes([5.0], [5.0, 15.0], 32610)
    cube["x"].attrs["bounds"] = "x_bnds"
    cube["x_bnds"] = (("x", "nv"), [[0.0, 10.0]])
    assert grid_of(cube, "cube.nc").bounds == (0, 0, 10, 20)


LON, LAT = np.meshgrid(np.arange(0.5, 5), np.arange(40.5, 43))
CURVED = (("y", "x"), LON + 0.3 * LAT), (("y", "x"), LAT - 0.2 * LON)


@pytest.mark.parametrize("names", [("lon", "lat"), ("longitude", "latitude"), ("XLONG", "XLAT")])
def test_two_dimensional_coordinates_are_refused_by_name(names):
    cube = xr.Dataset({"t": (("y", "x"), np.zeros((3, 5)))}, dict(zip(names, CURVED, strict=True)))
    message = rf"two-dimensional coordinates \({names[0]}, {names[1]}\).*resample.*what-a-pixel"
    for each in (cube, cube.reset_coords()):
        with pytest.raises(CatalogError, match=message):
            grid_of(each, "swath.nc")


def test_two_dimensional_coordinates_beside_axes_do_no_harm():
    cube = axes([5.0, 15.0], [15.0, 5.0], 32610).assign_coords(
        lon=(("y", "x"), np.ones((2, 2))), lat=(("y", "x"), np.ones((2, 2)))
    )
    assert grid_of(cube, "cube.nc").bounds == (0, 0, 20, 20)


@pytest.mark.parametrize(
    ("cube", "message"),
    [
        (axes([0.5, 1.5, 2.6], [1.5, 0.5], 4326), r"uneven steps along x.*dataset\.interp\(x="),
        (axes([0.5, 0.5, 0.5], [1.5, 0.5], 4326), "uneven steps along x"),
        (axes([0.5, np.nan, 2.5], [1.5, 0.5], 4326), "cells without a place: x"),
        (axes(["a", "b"], [1.5, 0.5], 4326), "cells without a place: x"),
        (axes([], [1.5, 0.5], 4326), "no cells along x"),
        (axes([0.5, 1.5], [0.5, 1.5]), "which CRS"),
        (xr.Dataset({"t": 1.0}, {"lon": 1.0, "lat": 2.0}), r"lon along \(\).*expand_dims"),
        (xr.Dataset({"t": ("s", [1.0])}, {"lon": ("s", [1]), "lat": ("s", [2])}), "no grid"),
        (xr.Dataset({"t": 1.0}), "no coordinates called"),
    ],
)
def test_what_is_no_grid_is_refused_by_name(cube, message):
    with pytest.raises(CatalogError, match=message):
        grid_of(cube, "cube.nc")


def test_latitudes_of_a_gaussian_grid_are_uneven():
    lat = np.degrees(np.arcsin(np.polynomial.legendre.leggauss(32)[0]))
    with pytest.raises(CatalogError, match="uneven steps along lat"):
        grid_of(axes([0.5, 1.5], lat, None, "lon", "lat"), "cube.nc")


def test_variables_that_are_not_on_the_grid_are_refused():
    cube = axes([0.5, 1.5], [1.5, 0.5], 4326).assign(profile=("y", [1.0, 2.0]))
    grid = grid_of(cube, "cube.nc")
    assert chosen_names(cube, "t", grid, "cube.nc") == ["t"]
    with pytest.raises(CatalogError, match=r"cube\.nc has profile off its grid"):
        chosen_names(cube, ["profile"], grid, "cube.nc")
    with pytest.raises(CatalogError, match="has no variable on its grid"):
        chosen_names(cube.drop_vars("t"), None, grid, "cube.nc")


def test_netcdf_classic_is_read(tmp_path):
    cube = axes([0.5, 1.5], [1.5, 0.5], None, "lon", "lat")
    cube.to_netcdf(tmp_path / "classic.nc", engine="scipy")
    assert (tmp_path / "classic.nc").read_bytes()[:3] == b"CDF"
    with open_labelled(str(tmp_path / "classic.nc")) as dataset:
        assert grid_of(dataset, "classic.nc").bounds == (0, 0, 2, 2)
