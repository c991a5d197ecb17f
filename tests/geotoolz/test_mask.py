import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from rasterio import Affine
from rasterio.crs import CRS

import geotoolz as gz
from geotoolz.mask import apply_mask, combine_masks, invert_mask, mask_where

quick = settings(max_examples=40)
masks = arrays(bool, (3, 4))


@quick
@given(arrays(np.uint16, (2, 3, 4)), masks)
def test_dropped_pixels_are_filled_in_every_band_and_no_other(values, mask):
    result = apply_mask(values, mask, 7)
    assert (result[:, mask] == 7).all()
    assert np.array_equal(result[:, ~mask], values[:, ~mask])


@quick
@given(arrays(np.float32, (2, 3, 4)), masks)
def test_masking_twice_is_masking_once(values, mask):
    op = gz.ApplyMask(mask)
    np.testing.assert_array_equal(op(op(values)), op(values))


def test_the_callers_array_is_never_changed():
    values, mask = np.ones((1, 2, 2)), np.ones((2, 2), bool)
    apply_mask(values, mask)
    assert (values == 1).all()


def test_the_fill_value_becomes_the_carrier_s(tile):
    mask = np.zeros((5, 7), bool)
    assert np.isnan(apply_mask(tile, mask).fill_value_default)
    assert apply_mask(tile, mask, -1).fill_value_default == -1
    assert apply_mask(tile, mask).attrs == tile.attrs


def test_a_mask_may_come_from_the_raster_itself():
    values = np.array([[[0.1, 0.2]], [[4, 9]]])
    names = {"band_names": ["B04", "SCL"]}
    raster = GeoTensor(values, Affine.identity(), "EPSG:32632", np.nan, names)
    result = gz.ApplyMask(gz.MaskFromSCL("SCL"))(raster)
    assert np.isnan(result.values[:, 0, 1]).all()
    assert result.values[0, 0, 0] == 0.1


def test_a_mask_may_be_the_second_input_of_a_graph():
    x, scl = gz.Input("x"), gz.Input("scl")
    graph = gz.Graph({"x": x, "scl": scl}, {"clear": gz.ApplyMask()(x, gz.MaskFromSCL()(scl))})
    result = graph(x=np.ones((1, 1, 2)), scl=np.array([[4, 8]], "uint8"))["clear"]
    assert np.isnan(result).tolist() == [[[False, True]]]


def test_a_mask_of_another_shape_shows_both_shapes():
    with pytest.raises(
        ValueError, match=r"\(3, 5\) does not broadcast to the raster's \(2, 3, 4\)"
    ):
        apply_mask(np.ones((2, 3, 4)), np.zeros((3, 5), bool))
    with pytest.raises(
        ValueError, match=r"\(2, 3, 4\) does not broadcast to the raster's \(3, 4\)"
    ):
        apply_mask(np.ones((3, 4)), np.zeros((2, 3, 4), bool))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_mask_that_is_not_boolean_is_refused(dtype):
    with pytest.raises(TypeError, match=f"must be boolean .* got {dtype}; compare first"):
        apply_mask(np.ones((2, 2)), np.zeros((2, 2), dtype))


def test_integers_hold_no_nan_and_the_message_names_the_way_out():
    with pytest.raises(
        ValueError, match=r"fill_value nan does not fit uint16.*put ToFloat32\(\) before"
    ):
        apply_mask(np.ones((2, 2), "uint16"), np.zeros((2, 2), bool))
    for fill in (-1, 65536, 0.5):
        with pytest.raises(ValueError, match="does not fit uint16"):
            apply_mask(np.ones((2, 2), "uint16"), np.zeros((2, 2), bool), fill)


def test_a_mask_on_another_grid_is_refused(tile):
    moved = GeoTensor(np.zeros((5, 7), bool), tile.transform * Affine.translation(1, 0), tile.crs)
    with pytest.raises(ValueError, match="the mask lies on another grid"):
        apply_mask(tile, moved)
    elsewhere = GeoTensor(np.zeros((5, 7), bool), tile.transform, "EPSG:32633")
    with pytest.raises(ValueError, match="EPSG:32633"):
        apply_mask(tile, elsewhere)
    for misplaced in (moved, elsewhere):
        with pytest.raises(ValueError, match="the mask lies on another grid"):
            gz.ApplyMask(misplaced)(tile)
        assert gz.ApplyMask(misplaced)(tile.values).shape == tile.shape


@pytest.mark.parametrize("form", [32632, CRS.from_epsg(32632), CRS.from_epsg(32632).to_wkt()])
def test_one_crs_in_two_forms_is_one_grid(tile, form):
    mask = GeoTensor(np.zeros((5, 7), bool), tile.transform, form)
    assert gz.ApplyMask(mask)(tile).crs == tile.crs
    assert apply_mask(tile, mask).crs == tile.crs
    assert gz.CombineMasks()(GeoTensor(mask.values, tile.transform, tile.crs), mask).sum() == 0
    again = GeoTensor(tile.values, tile.transform, form, tile.fill_value_default)
    assert gz.MedianComposite()([tile, again]).crs == tile.crs


def test_no_mask_at_all_is_an_error():
    with pytest.raises(TypeError, match="ApplyMask has no mask"):
        gz.ApplyMask()(np.ones((2, 2)))


@quick
@given(masks, masks, masks)
def test_combining_is_any_and_all(a, b, c):
    assert np.array_equal(combine_masks(a, b, c), a | b | c)
    assert np.array_equal(combine_masks(a, b, c, mode="all"), a & b & c)
    # De Morgan.
    inverted = combine_masks(invert_mask(a), invert_mask(b), mode="all")
    assert np.array_equal(invert_mask(combine_masks(a, b)), inverted)


def test_combining_needs_alike_masks():
    with pytest.raises(ValueError, match="masks must have one shape"):
        combine_masks(np.zeros((2, 2), bool), np.zeros((2, 3), bool))
    with pytest.raises(ValueError, match="mode must be 'any' or 'all', got 'or'"):
        gz.CombineMasks("or")
    with pytest.raises(ValueError, match="at least one mask"):
        gz.CombineMasks()()
    with pytest.raises(TypeError, match="must be boolean"):
        combine_masks(np.zeros((2, 2)), np.zeros((2, 2), bool))


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        ("<", [1, 0, 0]),
        ("<=", [1, 1, 0]),
        (">", [0, 0, 1]),
        (">=", [0, 1, 1]),
        ("==", [0, 1, 0]),
        ("!=", [1, 0, 1]),
    ],
)
def test_thresholds(comparison, expected):
    assert mask_where(np.array([[1, 2, 3]]), comparison, 2).astype(int).tolist() == [expected]


def test_nodata_is_dropped_or_kept_as_asked():
    raster = GeoTensor(np.array([[0, 5]], "uint16"), Affine.identity(), "EPSG:32632", 0)
    assert gz.MaskWhere(">", 1)(raster).values.tolist() == [[True, True]]
    assert gz.MaskWhere(">", 1, nodata=False)(raster).values.tolist() == [[False, True]]


def test_a_threshold_on_one_band():
    values = np.array([[[1.0, 5.0]], [[5.0, 1.0]]])
    assert gz.MaskWhere(">", 2, band=1)(values).tolist() == [[True, False]]
    with pytest.raises(ValueError, match="comparison must be one of"):
        gz.MaskWhere("=<", 1)


def test_integers_hold_no_infinity():
    with pytest.raises(ValueError, match="fill_value inf does not fit uint8, which holds 0 to 255"):
        gz.ApplyMask(np.ones((2, 2), bool), fill_value=np.inf)(np.ones((2, 2), "uint8"))


@pytest.mark.parametrize(
    ("dtype", "old", "new"), [("uint8", 0, 255), ("float32", -9999, np.nan), ("float32", -1, -2)]
)
def test_what_was_nodata_before_is_nodata_after(dtype, old, new):
    grid = Affine(10, 0, 5e5, 0, -10, 5e6)
    raster = GeoTensor(np.array([[old, 1, 2]], dtype), grid, "EPSG:32632", old)
    result = gz.ApplyMask(np.array([[False, True, False]]), fill_value=new)(raster)
    np.testing.assert_array_equal(result.values, np.array([[new, new, 2]], dtype))
    assert raster.values.tolist() == [[old, 1, 2]]


@pytest.mark.parametrize("fill", [np.nan, 2, -1, 0.5])
def test_a_mask_holds_no_fill_but_true_and_false(fill):
    water = GeoTensor(np.zeros((2, 2), bool), None, 32632, None)
    cloud = np.array([[True, False], [False, False]])
    with pytest.raises(ValueError, match=r"does not fit bool, which holds 0 to 1.*what-a-pixel"):
        gz.ApplyMask(cloud, fill)(water)


@pytest.mark.parametrize("fill", [False, 0, True])
def test_what_is_filled_in_a_mask_is_no_nodata(fill):
    water = GeoTensor(np.ones((2, 2), bool), None, 32632, None)
    out = gz.ApplyMask(np.array([[True, False], [False, False]]), fill)(water)
    assert out.values.tolist() == [[bool(fill), True], [True, True]]
    assert out.fill_value_default is None
