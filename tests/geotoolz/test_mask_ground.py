"""Masks that know the ground: polygons and distances."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from georeader.geotensor import GeoTensor
from hypothesis import given
from hypothesis import strategies as st
from rasterio import Affine
from rasterio.features import geometry_mask
from shapely import Point, box

import geotoolz as gz
from geotoolz.mask_ground import buffer_mask, mask_polygon
from pipekit import from_config, to_config

PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_300)
TILE = GeoTensor(np.arange(2 * 30 * 40.0).reshape(2, 30, 40), PLACE, "EPSG:32632", -1)
LAKE = Point(500_200, 5_000_100).buffer(97)


@pytest.mark.parametrize("all_touched", [False, True])
def test_a_polygon_s_mask_is_rasterio_s(all_touched):
    expected = geometry_mask([LAKE], (30, 40), PLACE, all_touched=all_touched)
    for given_ in (LAKE, [LAKE], gpd.GeoSeries([LAKE], crs=32632), gpd.GeoSeries([LAKE])):
        outside = gz.MaskPolygon(given_, all_touched=all_touched)(TILE)
        np.testing.assert_array_equal(outside.values, expected)
        inside = gz.MaskPolygon(given_, drop="inside", all_touched=all_touched)(TILE)
        np.testing.assert_array_equal(inside.values, ~expected)
    assert (outside.transform, outside.fill_value_default) == (PLACE, None)


def test_polygons_come_in_any_crs_and_go_into_a_config():
    degrees = gpd.GeoSeries([LAKE], crs=32632).to_crs(4326)
    op = gz.MaskPolygon(degrees)
    near = gz.MaskPolygon(LAKE)(TILE).values
    assert (op(TILE).values != near).mean() < 0.01
    again = from_config(to_config(op))
    assert again == op
    np.testing.assert_array_equal(again(TILE).values, op(TILE).values)
    assert shapely.from_wkb(op.polygons[0]).equals(degrees.iloc[0])
    masked = gz.ApplyMask(op, fill_value=-1)(TILE)
    assert (masked.values == -1).any(axis=0).sum() == op(TILE).values.sum()
    with pytest.raises(ValueError, match="at least one, got none"):
        gz.MaskPolygon([])
    with pytest.raises(TypeError, match="masking by polygons needs a GeoTensor"):
        mask_polygon(np.zeros((3, 3)), LAKE)


@given(distance=st.floats(-60, 60), seed=st.integers(0, 5))
def test_a_buffer_is_that_of_the_pixels_centres(distance, seed):
    drop = np.random.default_rng(seed).random((12, 15)) > 0.9
    place = Affine(10, 0, 0, 0, -20, 0)
    made = buffer_mask(GeoTensor(drop, place, "EPSG:32632", None), distance).values
    rows, cols = np.indices(drop.shape)
    for row, col in np.ndindex(drop.shape):
        away = np.hypot((rows - row) * 20, (cols - col) * 10)
        within = away <= abs(distance)
        expected = (drop & within).any() if distance >= 0 else not (~drop & within).any()
        if not np.isclose(away, abs(distance), rtol=1e-9).any():
            assert made[row, col] == expected


def test_a_buffer_needs_a_distance_on_the_ground():
    drop = np.zeros((3, 3), bool)
    with pytest.raises(ValueError, match=r"EPSG:4326 in degrees; put Reproject"):
        gz.BufferMask(30)(GeoTensor(drop, Affine.scale(1e-4, -1e-4), "EPSG:4326", None))
    with pytest.raises(TypeError, match="buffering a mask needs a GeoTensor"):
        gz.BufferMask(30)(drop)
    with pytest.raises(ValueError, match="finite"):
        gz.BufferMask(np.inf)
    assert gz.BufferMask(30).radius is None


@pytest.mark.parametrize("text", ["POLYGON ((0 0, 1 0, 1 1, 0 0))", ["POINT (0 0)"]])
def test_text_that_is_no_wkb_is_no_geometry(text):
    raster = GeoTensor(np.ones((2, 2)), Affine(10, 0, 0, 0, -10, 0), "EPSG:32632", np.nan)
    with pytest.raises(TypeError, match="Non geometry data"):
        mask_polygon(raster, text)


def test_what_has_no_data_is_dropped():
    values = np.array([[[0, 1, 2]], [[0, 0, 5]]], "uint16")
    tile = GeoTensor(values, PLACE, "EPSG:32632", 0, {"band_names": ["B04", "B08"]})
    assert gz.MaskValid()(tile).values.tolist() == [[True, True, False]]
    assert gz.MaskValid("all")(tile).values.tolist() == [[True, False, False]]
    assert gz.MaskValid()(values).tolist() == [[False, False, False]]
    assert gz.MaskValid()(np.ma.array(values[0], mask=[[0, 1, 0]])).tolist() == [
        [False, True, False]
    ]
    with pytest.raises(ValueError, match="how must be"):
        gz.MaskValid("some")


def test_box_of_a_chip_is_all_inside():
    assert not gz.MaskPolygon(box(*TILE.bounds))(TILE).values.any()
