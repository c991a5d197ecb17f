import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from rasterio.warp import transform_bounds

import geotoolz as gz

quick = settings(max_examples=40)


def test_a_crop_holds_the_box_and_no_whole_pixel_more(tile, at_point, centres):
    bounds = (500_012, 4_999_965, 500_038, 4_999_989)
    cut = gz.CropToBounds(bounds)(tile)
    assert cut.bounds == (500_010, 4_999_960, 500_040, 4_999_990)
    for x, y in centres(cut):
        assert np.array_equal(at_point(cut, x, y), at_point(tile, x, y))
    assert cut.attrs == tile.attrs


@quick
@given(st.integers(0, 4), st.integers(0, 6), st.integers(1, 5), st.integers(1, 7))
def test_a_box_of_whole_pixels_is_cut_exactly(row, col, rows, cols):
    values = np.arange(35.0).reshape(5, 7)
    raster = GeoTensor(values, Affine(0.1, 0, 11.3, 0, -0.1, 46.7), "EPSG:4326", np.nan)
    rows, cols = min(rows, 5 - row), min(cols, 7 - col)
    west, north = raster.transform * (col, row)
    east, south = raster.transform * (col + cols, row + rows)
    cut = gz.CropToBounds((west, south, east, north))(raster)
    assert np.array_equal(cut.values, values[row : row + rows, col : col + cols])


def test_a_box_in_degrees(bolzano):
    box = transform_bounds("EPSG:32632", "EPSG:4326", 678_000, 5_150_000, 679_000, 5_151_000)
    cut = gz.CropToBounds(box, crs="EPSG:4326")(bolzano)
    west, south, east, north = cut.bounds
    assert west <= 678_000 < 679_000 <= east
    assert south <= 5_150_000 < 5_151_000 <= north
    assert (east - west) < 1100


def test_a_box_beside_the_raster_is_an_error(tile):
    with pytest.raises(ValueError, match="does not meet the raster, which covers"):
        gz.CropToBounds((0, 0, 10, 10))(tile)
    with pytest.raises(ValueError, match="which is empty"):
        gz.CropToBounds((10, 0, 0, 10))
    with pytest.raises(TypeError, match="cropping to bounds needs a GeoTensor"):
        gz.CropToBounds((0, 0, 1, 1))(tile.values)


@pytest.mark.parametrize("position", ["centre", "upper-left"])
@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_padding_keeps_every_pixel_in_its_place(tile, at_point, centres, position, mode):
    padded = gz.PadTo((8, 8), mode=mode, position=position)(tile)
    assert padded.shape == (3, 8, 8)
    for x, y in centres(tile):
        assert np.array_equal(at_point(padded, x, y), at_point(tile, x, y))
    if mode == "constant":
        assert np.isnan(padded.values).sum() == 3 * (64 - 35)


def test_padding_fills_integers_with_their_nodata():
    raster = GeoTensor(np.full((1, 2, 2), 5, "uint16"), Affine.identity(), "EPSG:32632", 999)
    assert (gz.PadTo(4)(raster).values == 999).sum() == 12
    assert gz.PadTo(4)(np.ones((2, 2), "uint8")).sum() == 4
    assert gz.PadTo(4, fill_value=3)(np.ones((2, 2), "uint8")).sum() == 4 + 36


def test_a_raster_that_is_large_enough_is_unchanged(tile):
    assert np.array_equal(gz.PadTo((3, 4))(tile).values, tile.values)


def test_padding_mistakes_are_named(tile):
    with pytest.raises(ValueError, match="position must be 'centre' or 'upper-left'"):
        gz.PadTo(8, position="left")(tile)
    with pytest.raises(ValueError, match="size must be positive"):
        gz.PadTo((0, 4))(tile)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: gz.PadTo((0, 4)), "size must be positive"),
        (lambda: gz.PadTo((1, 2, 3)), "size must be positive"),
        (lambda: gz.PadTo(4, mode="mirror"), "mode must be one of"),
        (lambda: gz.PadTo(4, position="left"), "position must be"),
        (lambda: gz.PadTo(4, fill_value=np.nan)(np.ones((2, 2), "uint8")), "ToFloat32.. before"),
        (lambda: gz.PadTo(4, fill_value=256)(np.ones((2, 2), "uint8")), "0 to 255"),
        (lambda: gz.Reproject(3857, resolution=0), "resolution must be positive"),
        (lambda: gz.Reproject(3857, resolution=(10, -10)), "resolution must be positive"),
        (lambda: gz.Resample(0), "resolution must be positive"),
        (lambda: gz.Reproject("EPSG:999999"), "EPSG:999999"),
    ],
)
def test_bad_sizes_modes_and_resolutions_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_nothing_can_not_be_reprojected():
    empty = GeoTensor(np.zeros((2, 0, 4)), Affine(10, 0, 5e5, 0, -10, 5e6), "EPSG:32632")
    with pytest.raises(ValueError, match="needs pixels, got a raster of shape"):
        gz.Reproject("EPSG:4326")(empty)
