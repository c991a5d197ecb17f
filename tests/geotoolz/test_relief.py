"""Pictures for looking: hillshade against Horn's formula, true colour, overlays."""

import math

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine

import geotoolz as gz
from geotoolz.relief import hillshade, overlay, true_color


def plane(slope_east, slope_north, shape=(9, 11), pixel=(30.0, 20.0)):
    rows, cols = np.indices(shape)
    return 500 + slope_east * cols * pixel[0] - slope_north * rows * pixel[1]


@pytest.mark.parametrize("azimuth", [0, 45, 135, 315])
@pytest.mark.parametrize("slopes", [(0, 0), (0.5, 0), (0, -0.3), (0.4, 0.7)])
def test_a_plane_is_as_bright_as_the_angle_between_its_normal_and_the_sun(azimuth, slopes):
    """To the edge: the plane goes on."""
    altitude = 40.0
    made = hillshade(plane(*slopes), azimuth, altitude, resolution=(30, 20))
    normal = np.array([-slopes[0], -slopes[1], 1]) / math.hypot(*slopes, 1)
    sun = np.array(
        [
            math.sin(math.radians(azimuth)) * math.cos(math.radians(altitude)),
            math.cos(math.radians(azimuth)) * math.cos(math.radians(altitude)),
            math.sin(math.radians(altitude)),
        ]
    )
    np.testing.assert_allclose(made, max(normal @ sun, 0), atol=1e-6)


def horn(z, row, col, azimuth, altitude, x, y):
    """Horn's slope and gdaldem's shade in plain words, pixel by pixel."""
    a, b, c, d, _, f, g, h, i = z[row - 1 : row + 2, col - 1 : col + 2].ravel()
    dzdx = ((c + 2 * f + i) - (a + 2 * d + g)) / (8 * x)
    dzdy = ((g + 2 * h + i) - (a + 2 * b + c)) / (8 * y)
    slope = math.atan(math.hypot(dzdx, dzdy))
    aspect = math.atan2(dzdy, -dzdx)
    zenith, sun = math.radians(90 - altitude), math.radians((360 - azimuth + 90) % 360)
    shade = math.cos(zenith) * math.cos(slope)
    return max(0.0, shade + math.sin(zenith) * math.sin(slope) * math.cos(sun - aspect))


def test_a_terrain_is_lit_as_horn_says():
    z = np.random.default_rng(0).normal(1000, 15, (12, 14))
    tile = GeoTensor(z, Affine(30, 0, 0, 0, -20, 0), "EPSG:32632", None)
    made = gz.Hillshade(azimuth=300, altitude=35)(tile)
    for row in range(1, 11):
        for col in range(1, 13):
            expected = horn(z, row, col, 300, 35, 30, 20)
            assert made.values[row, col] == pytest.approx(expected, abs=1e-6)
    assert made.attrs["long_name"] == "hillshade"
    assert "band_names" not in made.attrs


def test_nodata_hides_its_neighbours_and_degrees_are_metres_long():
    z = np.full((1, 7, 7), 100, "int16")
    z[0, 3, 3] = -9999
    tile = GeoTensor(z, Affine(30, 0, 0, 0, -30, 0), "EPSG:32632", -9999)
    missing = np.isnan(hillshade(tile).values)
    assert missing[2:5, 2:5].all()
    assert missing.sum() == 9
    second = 1 / 3600
    rising = plane(0.3, 0.2, pixel=(second * 111_319.49 * 0.5, second * 111_319.49))
    degrees = GeoTensor(rising, Affine(second, 0, 10, 0, -second, 60), "EPSG:4326", None)
    metres = hillshade(rising, resolution=(second * 111_319.49 * 0.5, second * 111_319.49))
    np.testing.assert_allclose(hillshade(degrees).values, metres, atol=1e-3)
    south_up = GeoTensor(rising[::-1], Affine(30, 0, 0, 0, 30, 0), "EPSG:32632", None)
    north_up = GeoTensor(rising, Affine(30, 0, 0, 0, -30, 0), "EPSG:32632", None)
    np.testing.assert_allclose(hillshade(south_up).values[::-1], hillshade(north_up).values)


def test_what_a_hillshade_needs():
    with pytest.raises(ValueError, match=r"give resolution=\(x, y\)"):
        hillshade(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="0 to 90 degrees above the horizon, got 95"):
        gz.Hillshade(altitude=95)
    assert gz.Hillshade().radius == 1


def test_true_colour_is_the_same_in_every_scene():
    values = np.array([[[0.0, 0.1, 0.5]], [[0.2, 0.2, np.nan]], [[0.4, 0.05, 0.1]]], "float32")
    tile = GeoTensor(
        values, Affine.scale(10, -10), "EPSG:32632", np.nan, {"band_names": ["B04", "B03", "B02"]}
    )
    made = gz.TrueColor()(tile)
    assert made.values[:, 0].T.tolist() == [[1, 128, 255], [64, 128, 32], [0, 0, 0]]
    assert (made.dtype, made.fill_value_default) == ("uint8", 0)
    assert made.attrs["band_names"] == ["red", "green", "blue"]
    with pytest.raises(TypeError, match="put DNToReflectance"):
        true_color(np.ones((3, 1, 1), "uint16"), (0, 1, 2))
    with pytest.raises(ValueError, match="three bands"):
        gz.TrueColor(bands=("red",))
    with pytest.raises(ValueError, match="gain must be"):
        gz.TrueColor(gain=0)


def test_masks_and_colours_lie_over_a_picture():
    picture = np.full((3, 2, 2), 100, "uint8")
    mask = np.array([[True, False], [False, True]])
    made = gz.Overlay("#ff0000", alpha=0.5)(picture, mask)
    assert made[:, 0, 0].tolist() == [178, 50, 50]
    np.testing.assert_array_equal(made[:, ~mask], 100)
    colours = gz.Colormap("gray", 0, 1)(np.array([[1.0, 0.0], [np.nan, 0.5]]))
    over = overlay(picture / np.float32(255), colours, alpha=1.0)
    np.testing.assert_allclose(over[0], [[1, 0], [100 / 255, 128 / 255]], atol=1e-6)
    with pytest.raises(ValueError, match="as large"):
        overlay(picture, np.zeros((3, 3), bool))
    with pytest.raises(ValueError, match="MaskWhere and Colormap"):
        overlay(picture, np.zeros((2, 2)))
    with pytest.raises(ValueError, match="alpha must be 0 to 1"):
        gz.Overlay(alpha=2)


@pytest.mark.parametrize("south_up", [False, True])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("resolution", [None, (30, 20), (30, -20)])
def test_the_sun_stands_where_it_does_whichever_way_the_raster_lies(south_up, mirrored, resolution):
    z = np.random.default_rng(0).normal(1000, 15, (7, 9))
    upright = GeoTensor(z, Affine(30, 0, 0, 0, -20, 0), "EPSG:32632", None)
    turn = np.s_[:: -1 if south_up else 1, :: -1 if mirrored else 1]
    place = upright.transform @ Affine(
        -1 if mirrored else 1, 0, 9 * mirrored, 0, -1 if south_up else 1, 7 * south_up
    )
    turned = GeoTensor(z[turn].copy(), place, "EPSG:32632", None)
    made = hillshade(turned, 300, 35, resolution=resolution)
    np.testing.assert_allclose(made.values[turn], hillshade(upright, 300, 35).values, atol=1e-6)


def test_a_rotated_terrain_is_refused_whatever_its_pixels_size():
    tile = GeoTensor(np.ones((4, 4)), Affine.rotation(30), "EPSG:32632", None)
    for resolution in (None, (30, 30)):
        with pytest.raises(ValueError, match="rows from east to west"):
            hillshade(tile, resolution=resolution)
