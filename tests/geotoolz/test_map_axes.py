import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given
from hypothesis import strategies as st
from rasterio import Affine

from geotoolz.map_axes import map_frame, nice_length


def at(crs, transform=None, shape=(20, 30)):
    return GeoTensor(np.zeros(shape), transform or Affine(10, 0, 500_000, 0, -10, 5_000_000), crs)


def test_metres_are_shown_as_kilometres_or_as_they_are():
    frame = map_frame(at("EPSG:32632"))
    assert frame.extent == (500.0, 500.3, 4999.8, 5000.0)
    assert (frame.x_label, frame.y_label) == ("Easting (km)", "Northing (km)")
    assert frame.metres == 1000
    raw = map_frame(at("EPSG:32632"), "map")
    assert raw.extent == (500_000, 500_300, 4_999_800, 5_000_000)
    assert (raw.x_label, raw.metres) == ("Easting (m)", 1)
    assert not map_frame(at("EPSG:32632"), "none").visible


def test_degrees_keep_the_ground_s_proportions():
    frame = map_frame(at("EPSG:4326", Affine(0.01, 0, 11, 0, -0.01, 60.1)))
    assert frame.x_label == "Longitude (°)"
    assert frame.aspect == pytest.approx(2, rel=0.01)
    assert frame.metres == pytest.approx(111_320 / 2, rel=0.01)


def test_feet_are_no_metres():
    frame = map_frame(at("EPSG:2263"))
    assert frame.x_label == "Easting (km)"
    assert frame.extent[0] == pytest.approx(500_000 * 0.3048006 / 1000)
    assert frame.metres == pytest.approx(1000, rel=1e-6)


def test_without_an_upright_place_axes_are_pixels():
    turned = at("EPSG:32632", Affine(10, 0, 0, 0, -10, 0) * Affine.rotation(90))
    for raster in (np.zeros((20, 30)), turned):
        frame = map_frame(raster)
        assert frame.extent == (0, 30, 20, 0)
        assert frame.x_label == "column (px)"
        assert frame.metres is None
    assert map_frame(at(None)).x_label == "Easting"


@given(st.floats(1e-3, 1e7))
def test_bar_lengths_are_one_two_or_five(longest):
    length = nice_length(longest)
    assert length <= longest * (1 + 1e-6) < length * 2.5 * (1 + 1e-5)
    lead = length / 10 ** np.floor(np.log10(length) + 1e-9)
    assert min(abs(lead - each) for each in (1, 2, 5)) < 1e-6


def test_a_bar_has_a_length():
    with pytest.raises(ValueError, match="must be positive"):
        nice_length(0)
