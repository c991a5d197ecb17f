"""Optical, elevation and Landsat on one grid: explicit choice, right pixels, no missing input.

Each raster holds a plane over the map, so that the value at any place is known without resampling:
what bilinear interpolation must give is computed from coordinates alone.
"""

import numpy as np
import pytest
import rioxarray  # noqa: F401  (gives DataArrays their .rio)
import xarray as xr
from georeader.geotensor import GeoTensor
from pyproj import Transformer
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling

import geotoolz as gz
from pipekit import GraphError

TO_DEGREES = Transformer.from_crs(32610, 4326, always_xy=True)
BANDS = ["B04", "B08", "elevation", "red", "nir08"]


def centres(transform: Affine, rows: int, cols: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(np.arange(cols) + 0.5, np.arange(rows) + 0.5)
    return transform.a * x + transform.c, transform.e * y + transform.f


def near_by(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Metres north-east of a corner: the plane that Landsat and Sentinel-2 hold, in their UTM."""
    return 1000 + 0.5 * (x - 750_000) + 0.3 * (y - 4_310_000)


def height(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """A slope in degrees of longitude and latitude, as the elevation's grid is."""
    return 1800 + 4000 * (lon + 120.05) - 2500 * (lat - 38.95)


@pytest.fixture
def optical() -> GeoTensor:
    """Sentinel-2: (2, 90, 120) uint16 at 10 m in UTM zone 10."""
    where = Affine(10, 0, 752_000, 0, -10, 4_316_000)
    plane = near_by(*centres(where, 90, 120))
    values = np.stack([plane, plane + 500]).round().astype("uint16")
    return GeoTensor(values, where, "EPSG:32610", 0, {"band_names": ["B04", "B08"]})


@pytest.fixture
def dem(optical) -> GeoTensor:
    """Elevation: (H, W) float32 at 1 arc second, wider than the optical scene."""
    west, south, east, north = TO_DEGREES.transform_bounds(*optical.bounds)
    step = 1 / 3600
    where = Affine(step, 0, west - 5 * step, 0, -step, north + 5 * step)
    rows, cols = int((north - south) / step) + 10, int((east - west) / step) + 10
    values = height(*centres(where, rows, cols)).astype("float32")
    return GeoTensor(values, where, "EPSG:4326", np.nan, {"long_name": "elevation"})


@pytest.fixture
def landsat() -> GeoTensor:
    """Landsat: (2, 50, 60) uint16 at 30 m, its pixel edges off the optical grid's by 5 m."""
    where = Affine(30, 0, 751_795, 0, -30, 4_316_205)
    plane = near_by(*centres(where, 50, 60))
    values = np.stack([plane + 200, plane + 900]).round().astype("uint16")
    return GeoTensor(values, where, "EPSG:32610", 0, {"band_names": ["red", "nir08"]})


def fusion(target=0, resampling="bilinear") -> gz.Graph:
    optical, dem, landsat = (gz.Input(name) for name in ("optical", "dem", "landsat"))
    stack = gz.AlignAndStack(target, resampling)(optical, dem, landsat)
    return gz.Graph({"optical": optical, "dem": dem, "landsat": landsat}, {"stack": stack})


def rio(raster: GeoTensor) -> xr.DataArray:
    """The same raster as rioxarray knows it."""
    values = np.atleast_3d(raster.values.T).T.astype("float32")
    array = xr.DataArray(values, dims=("band", "y", "x"))
    array.rio.write_crs(CRS.from_user_input(raster.crs), inplace=True)
    array.rio.write_transform(raster.transform, inplace=True)
    return array.where(array != 0).rio.write_nodata(np.nan)


def test_every_sensor_holds_what_is_at_the_place(optical, dem, landsat):
    stack = fusion()(optical=optical, dem=dem, landsat=landsat)["stack"]
    assert stack.attrs["band_names"] == BANDS
    assert (stack.shape, stack.dtype) == ((5, 90, 120), np.float32)
    assert (stack.transform, str(stack.crs)) == (optical.transform, "EPSG:32610")
    x, y = centres(optical.transform, 90, 120)
    np.testing.assert_array_equal(stack.values[:2], optical.values)
    # GDAL's transformer is right to an eighth of a pixel: here 0.6 m of height, 2 of numbers.
    assert np.abs(stack.values[2] - height(*TO_DEGREES.transform(x, y))).max() < 0.2
    for band, above in ((3, 200), (4, 900)):
        assert np.abs(stack.values[band] - (near_by(x, y) + above)).max() < 1.1, "rounded twice"


@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic", "average"])
def test_rioxarray_gives_the_same_pixels(optical, dem, landsat, method):
    stack = fusion(0, method)(optical, dem, landsat)["stack"]
    grid = rio(optical)
    for raster, bands in ((dem, [2]), (landsat, [3, 4])):
        matched = rio(raster).rio.reproject_match(grid, resampling=Resampling[method])
        # Whole numbers are rounded by the stack's reader, not by the oracle.
        slack = 0.0 if raster is dem else 0.5 + 1e-3
        np.testing.assert_allclose(stack.values[bands], matched.values, atol=slack, rtol=1e-6)


def test_the_grid_is_chosen_and_named(optical, dem, landsat):
    for target, raster in ((0, optical), (1, dem), (2, landsat), (-1, landsat)):
        stack = fusion(target)(optical, dem, landsat)["stack"]
        assert stack.shape == (5, *raster.shape[-2:])
        assert stack.transform == raster.transform
        assert CRS.from_user_input(stack.crs) == CRS.from_user_input(raster.crs)
    given = fusion(landsat)
    stack = given(optical, dem, landsat)["stack"]
    assert stack.transform == landsat.transform
    assert given.config_hash != fusion(optical).config_hash, "the grid is part of the config"
    with pytest.raises(IndexError, match="target=3 is out of range for 3 rasters"):
        fusion(3)(optical, dem, landsat)


def test_beyond_a_sensor_there_is_no_number(optical, dem, landsat):
    """On Landsat's wider grid the optical scene covers a part, and says so with NaN."""
    stack = fusion(2)(optical, dem, landsat)["stack"]
    x, y = centres(landsat.transform, 50, 60)
    west, south, east, north = optical.bounds
    outside = (x < west - 30) | (x > east + 30) | (y < south - 30) | (y > north + 30)
    inside = (x > west + 30) & (x < east - 30) & (y > south + 30) & (y < north - 30)
    assert np.isnan(stack.values[0][outside]).all()
    assert not np.isnan(stack.values[0][inside]).any()
    assert not np.isnan(stack.values[3]).any()


def test_a_hole_in_one_sensor_stays_in_its_bands(optical, dem, landsat):
    landsat.values[0, 20:24, 20:24] = 0
    stack = fusion()(optical, dem, landsat)["stack"]
    holes = np.isnan(stack.values)
    assert holes[3].any()
    assert not holes[[0, 1, 2, 4]].any()
    x, y = centres(optical.transform, 90, 120)
    seen = ~holes[3]
    wrong = np.abs(stack.values[3] - (near_by(x, y) + 200))[seen]
    assert wrong.max() < 20, "no 0 was mixed into a neighbour"


def test_zeros_of_a_raster_without_nodata_are_numbers(optical):
    """A mask of 0 and 1 in whole numbers: averaged it is a share, and its zeros stay."""
    where = optical.transform * Affine.scale(0.5)
    mask = (np.arange(180)[:, None] % 4 < 2) & (np.arange(240) >= 0)
    fine = GeoTensor(mask.astype("uint8") * 100, where, "EPSG:32610", None)
    stack = gz.AlignAndStack(0, "average")(optical, fine)
    rows = np.where(np.arange(90) % 2 == 0, 100.0, 0.0)
    np.testing.assert_array_equal(stack.values[2], np.repeat(rows[:, None], 120, 1))
    halves = gz.Resample(20.0, "average")(fine)
    assert set(np.unique(halves.values)) == {50}
    assert halves.fill_value_default is None
    wider = gz.AlignAndStack(0, "nearest")(gz.PadTo((100, 130))(optical), fine)
    assert np.array_equal(np.isnan(wider.values[2]), np.isnan(wider.values[0])), "only beyond it"
    assert set(np.unique(wider.values[2])[:2]) == {0, 100}, "its zeros stay numbers"


# ---- what is missing is an error


def test_an_input_that_is_left_out_is_an_error_when_called(optical, dem, landsat):
    graph = fusion()
    for given, missing in (
        ({"optical": optical, "dem": dem}, "missing 'landsat'"),
        ({"optical": optical, "dem": dem, "landsat": landsat, "radar": dem}, "unknown 'radar'"),
        ({"optical": optical, "dem": dem, "landsat": None}, "aligning needs"),
        ({"optical": optical, "dem": np.ones((3, 3)), "landsat": landsat}, "aligning needs"),
    ):
        with pytest.raises((TypeError, ValueError), match=missing):
            graph(**given)
    with pytest.raises(TypeError, match="takes 'optical', 'dem', 'landsat'; missing"):
        graph(optical, dem)


def test_an_input_that_is_not_wired_is_an_error_when_built():
    optical, dem, landsat = (gz.Input(name) for name in ("optical", "dem", "landsat"))
    stack = gz.AlignAndStack()(optical, dem)
    with pytest.raises(GraphError, match="landsat"):
        gz.Graph({"optical": optical, "dem": dem, "landsat": landsat}, {"stack": stack})
    with pytest.raises(GraphError, match="dem"):
        gz.Graph({"optical": optical}, {"stack": stack})


def test_a_raster_without_a_place_is_an_error(optical, dem, landsat):
    lost = GeoTensor(dem.values, dem.transform, None, np.nan)
    with pytest.raises(ValueError, match="crs is None"):
        fusion()(optical, lost, landsat)


def test_the_error_of_a_fusion_says_which_node(optical, dem, landsat):
    with pytest.raises(Exception, match="aligning needs") as caught:
        fusion()(optical, dem, None)
    assert "AlignAndStack" in caught.value.__notes__[0]
