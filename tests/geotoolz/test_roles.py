"""Classes, bits and masks come out of every operator as they went in, whatever else changes."""

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine

import geotoolz as gz
from geotoolz.learn import fit_pixels, predict_pixels
from pipekit.pixels import band_roles

PLACE = Affine(10, 0, 5e5, 0, -10, 5e6)

VALUES = [
    gz.DNToReflectance(),
    gz.ReflectanceToDN(scale=0.5),
    gz.ApplyOffset(-3),
    gz.Gamma(2.2),
    gz.TOAToBOA_DOS(),
    gz.MinMax(),
    gz.MinMax(0, 5),
    gz.PercentileClip(),
    gz.StandardScale(),
    gz.StandardScale(3.0, 2.0),
    gz.RobustScale(),
    gz.ToFloat32(),
]
JITTERS = [
    gz.BrightnessJitter((1.5, 1.5)),
    gz.ContrastJitter((1.5, 1.5)),
    gz.GaussianNoise(3.0),
    gz.SimulatedClouds((0.5, 0.5), brightness=50),
]
CODES = [
    ("SCL", None), ("scl", None), ("QA_PIXEL", None), ("Fmask", None), ("pixel_qa", None),
    ("B99", "class"), ("B99", "bits"), ("B99", "mask"),
]  # fmt: skip


def scene(code, role, dtype, shape=(3, 6, 5), fill=None, seed=0):
    """A scene whose middle band holds codes 1 to 11 and the others 20 to 90."""
    rng = np.random.default_rng(seed)
    values = rng.integers(20, 90, shape).astype(dtype)
    values[..., 1, :, :] = rng.integers(1, 12, (*shape[:-3], *shape[-2:]))
    attrs = {"band_names": ["B04", code, "B08"], "offset_applied": True}
    if role is not None:
        attrs["band_roles"] = ["quantity", role, "quantity"]
    return GeoTensor(values, PLACE, "EPSG:32632", fill, attrs)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(VALUES),
    st.sampled_from(CODES),
    st.sampled_from(["uint8", ">u2", "uint16", "int16", "float32", ">f4", "float64"]),
    st.sampled_from([None, 0, 255, np.nan]),
    st.booleans(),
)
def test_what_changes_values_leaves_codes_alone(operator, code, dtype, fill, timed):
    if fill != fill and "f" not in dtype:
        fill = None
    tile = scene(*code, dtype, (2, 3, 6, 5) if timed else (3, 6, 5), fill)
    if timed and operator.get_config().get("axis") is not None:
        operator = type(operator)(**{**operator.get_config(), "axis": 1})
    out = operator(tile)
    assert np.array_equal(out.values[..., 1, :, :], tile.values[..., 1, :, :])
    assert band_roles(out) == band_roles(tile)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(JITTERS),
    st.sampled_from(CODES),
    st.sampled_from(["uint8", "uint16", "int16", "float32"]),
)
def test_augmentations_of_values_leave_codes_alone(augment, code, dtype):
    tile = scene(*code, dtype)
    out = augment(tile, seed=4)
    assert np.array_equal(out.values[1], tile.values[1])
    assert not np.array_equal(out.values[::2], tile.values[::2])


@pytest.mark.parametrize("operator", [*VALUES[:-1], *JITTERS], ids=str)
@pytest.mark.parametrize(
    "alone",
    [
        GeoTensor(np.array([[4, 9]], "uint8"), PLACE, 32632, 0, {"band_names": ["SCL"]}),
        GeoTensor(np.array([[[4, 9]]], "uint8"), PLACE, 32632, 0, {"flag_values": [4, 9]}),
        GeoTensor(np.array([[True, False]]), PLACE, 32632, None),
        np.array([[True, False]]),
    ],
)
def test_a_raster_of_codes_alone_stays_itself(operator, alone):
    out = operator(alone)
    assert out.dtype == alone.dtype
    assert np.array_equal(np.asarray(out), np.asarray(alone))


def test_clouds_are_found_after_reflectance_and_back():
    tile = scene("SCL", None, "uint16", fill=0)
    tile.values[1] = np.arange(30).reshape(6, 5) % 12
    expected = gz.MaskFromSCL("SCL")(tile).values
    there = gz.DNToReflectance()(tile)
    back = gz.ReflectanceToDN()(there)
    for each in (there, back, gz.PercentileClip()(tile), gz.StandardScale()(there)):
        assert np.array_equal(gz.MaskFromSCL("SCL")(each).values, expected)
    assert np.array_equal(back.values, tile.values)


def test_flags_are_read_after_reflectance_and_no_flag_is_no_hole():
    tile = scene("QA_PIXEL", None, "uint16", fill=0)
    tile.values[1] = np.arange(30).reshape(6, 5) * 64
    expected = gz.MaskFromQABits("QA_PIXEL", "water")(tile).values
    found = gz.MaskFromQABits("QA_PIXEL", "water")(gz.DNToReflectance()(tile)).values
    assert np.array_equal(found, expected)
    clear = gz.MaskFromQABits("QA_PIXEL", "fill")(gz.DNToReflectance()(tile)).values
    assert not clear.any()


def test_codes_that_a_dtype_cannot_hold_are_refused():
    wide = scene("QA", None, "uint32")
    wide.values[1] = 2**24 + 1
    with pytest.raises(ValueError, match=r"float32 cannot hold.*bits band.*what-a-pixel"):
        gz.DNToReflectance()(wide)
    assert gz.DNToReflectance(dtype="float64")(wide).values[1, 0, 0] == 2**24 + 1


def test_chosen_bands_keep_their_roles():
    tile = scene("B99", "class", "uint16")
    assert band_roles(gz.SelectBands((1, 0))(tile)) == ("class", "quantity")
    assert band_roles(gz.SelectBands(("B08",))(tile)) == ("quantity",)


def test_roles_that_numpy_left_behind_are_named():
    tile = scene("B99", "class", "uint16")
    with pytest.raises(ValueError, match="numpy's functions leave them as they were"):
        gz.DNToReflectance()(np.take(tile, [1], axis=0))


def test_slices_keep_the_roles_of_their_bands():
    tile = scene("B99", "class", "uint16")
    assert (
        gz.DNToReflectance()(tile[1:]).values.tolist()
        == gz.DNToReflectance()(tile).values[1:].tolist()
    )
    assert band_roles(tile[1::-1]) == ("class", "quantity")


@pytest.mark.parametrize(
    ("labels", "role"),
    [([[0, 1]], "class"), ([[0.0, 1.0]], "class"), ([[False, True]], "mask")],
)
def test_classifiers_say_what_they_predict(labels, role):
    sklearn = pytest.importorskip("sklearn.tree")
    chip = GeoTensor(np.array([[[0.1, 0.9]]]), PLACE, 32632, None, {"band_names": ["B04"]})
    tree = fit_pixels(sklearn.DecisionTreeClassifier(random_state=0), chip, np.array(labels))
    assert band_roles(gz.SklearnOp(tree)(chip)) == (role,)
    odds = gz.SklearnOp(tree, method="predict_proba")(chip)
    assert band_roles(odds) == ("quantity", "quantity")
    regressor = fit_pixels(sklearn.DecisionTreeRegressor(), chip, np.array([[0.5, 1.5]]))
    assert band_roles(gz.SklearnOp(regressor)(chip)) == ("quantity",)


def test_a_class_is_never_predicted_as_nodata():
    sklearn = pytest.importorskip("sklearn.tree")
    chip = np.array([[[0.1, 0.9]]])
    labels = np.array([[-1, 1]])
    tree = fit_pixels(sklearn.DecisionTreeClassifier(), chip, labels, ignore_label=None)
    with pytest.raises(ValueError, match="gave -1, which marks nodata; give another nodata="):
        predict_pixels(tree, chip)
    assert predict_pixels(tree, chip, nodata=0).tolist() == [[-1, 1]]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(JITTERS),
    st.sampled_from(["uint8", "uint16", "int16"]),
    st.sampled_from([0, 255, 7]),
)
def test_no_valid_pixel_of_a_chip_becomes_nodata(augment, dtype, fill):
    values = np.random.default_rng(1).integers(0, 256, (2, 9, 9)).astype(dtype)
    chip = GeoTensor(values, PLACE, 32632, fill)
    out = augment(chip, seed=1)
    assert np.array_equal(out.values == fill, values == fill)
    assert np.array_equal(gz.ApplyOffset(-30)(chip).values == fill, values == fill)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([("SCL", None), ("QA_PIXEL", None), ("B9", "class"), ("B9", "mask")]),
    st.sampled_from(["uint8", ">u2", "int16", "float32"]),
    st.sampled_from([None, 0, 9]),
    st.integers(1, 6),
)
def test_a_composite_takes_the_class_that_most_dates_hold(code, dtype, fill, dates):
    shape = (dates, 3, 4, 5)
    dated = [scene(*code, dtype, shape[1:], fill, seed) for seed in range(dates)]
    stack = np.stack([each.values for each in dated])
    stack[:, 1] = np.random.default_rng(dates).integers(0, 4, (dates, 4, 5)) * 3
    dated = [GeoTensor(v, PLACE, 32632, fill, dated[0].attrs) for v in stack]
    out = gz.MedianComposite()(dated)
    assert band_roles(out) == band_roles(dated[0])
    bits = band_roles(out)[1] != "class"
    for row, col in np.ndindex(4, 5):
        held = [int(v) for v in stack[:, 1, row, col] if v != fill or (bits and fill == 0)]
        found = out.values[1, row, col]
        if not held:
            assert np.isnan(found)
            continue
        most = max(map(held.count, held))
        assert found == min(v for v in held if held.count(v) == most)


def test_composites_of_masks_are_votes():
    stack = np.array([[[True, False]], [[True, True]], [[False, False]]])
    assert gz.MedianComposite()(stack).tolist() == [[1, 0]]
    one = gz.MedianComposite()([GeoTensor(each, PLACE, 32632, None) for each in stack])
    assert one.values.tolist() == [[1, 0]]
    assert band_roles(one) == ("mask",)


def test_a_single_class_band_over_time():
    attrs = {"band_names": ["SCL"]}
    dates = [GeoTensor(np.array([[v]], "uint8"), PLACE, 32632, 0, attrs) for v in (4, 4, 9, 0)]
    assert gz.MedianComposite()(dates).values.tolist() == [[4]]


def test_composites_of_one_date_a_pixel_take_its_class():
    names = {"band_names": ["red", "nir", "SCL", "probability"]}
    values = np.array([[[0.1], [0.2], [4], [90]], [[0.1], [0.5], [8], [10]]])[..., None]
    stack = GeoTensor(values, PLACE, 32632, np.nan, names)
    assert gz.MaxNDVIComposite()(stack).values[2, 0, 0] == 8
    assert gz.MinCloudComposite("probability")(stack).values[2, 0, 0] == 8


def test_clear_dates_vote_for_the_other_classes():
    values = np.array([[1, 4, 30], [3, 4, 10], [5, 4, 10], [9, 9, 30]], "uint8")[..., None, None]
    attrs = {"band_names": ["B04", "SCL", "landcover"]}
    out = gz.CloudFreeComposite()(GeoTensor(values, PLACE, 32632, 0, attrs))
    assert out.values.ravel().tolist() == [3, 10]
    assert band_roles(out) == ("quantity", "class")


def test_masked_dates_do_not_count():
    dates = [np.ma.array([[[1, 2]]], mask=[[[False, False]]]),
             np.ma.array([[[9, 8]]], mask=[[[True, False]]])]  # fmt: skip
    assert gz.MedianComposite()(dates).tolist() == [[[1, 5]]]
    assert gz.MedianComposite()(np.ma.stack(dates)).tolist() == [[[1, 5]]]
