import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given
from hypothesis import strategies as st
from rasterio import Affine
from scipy.stats import entropy as scipy_entropy
from sklearn.calibration import calibration_curve as sklearn_curve

import geotoolz as gz
from geotoolz.assess import (
    calibration_curve,
    conformal_sets,
    conformal_threshold,
    entropy,
    margin,
)

PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)


def probabilities(classes, shape=(6, 5), seed=0, dtype="float32"):
    values = np.random.default_rng(seed).dirichlet(np.ones(classes), shape)
    return np.moveaxis(values, -1, 0).astype(dtype)


@given(st.integers(2, 7), st.sampled_from(["float32", "float64", ">f4"]), st.integers(0, 5))
def test_margin_and_entropy_are_those_of_sorting_and_scipy(classes, dtype, seed):
    values = probabilities(classes, seed=seed, dtype=dtype)
    ranked = np.sort(values.astype("float64"), axis=0)
    assert margin(values) == pytest.approx(ranked[-1] - ranked[-2], abs=1e-6)
    assert entropy(values) == pytest.approx(scipy_entropy(values, base=classes, axis=0), abs=1e-5)
    last = np.moveaxis(values, 0, 2)
    assert np.array_equal(margin(last, axis=2), margin(values))


def test_ends_are_certain_and_undecided():
    sure, even = np.zeros((4, 1, 1)), np.full((4, 1, 1), 0.25)
    sure[2] = 1
    assert (margin(sure).item(), entropy(sure).item()) == (1, 0)
    assert (margin(even).item(), entropy(even).item()) == (0, pytest.approx(1))


@pytest.mark.parametrize("operator", [gz.Margin(), gz.Entropy()])
def test_maps_keep_their_place_and_what_is_missing_is_nan(operator):
    values = probabilities(3)
    values[1, 0, 0] = np.nan
    values[:, 1, 1] = -9
    tile = GeoTensor(
        values, PLACE, "EPSG:32632", -9, {"band_names": ["a", "b", "c"], "source": "x"}
    )
    found = operator(tile)
    assert (found.transform, found.crs, found.dtype) == (PLACE, "EPSG:32632", np.float32)
    assert np.isnan(found.fill_value_default)
    assert found.attrs["source"] == "x"
    assert "band_names" not in found.attrs
    assert np.isnan(found.values[[0, 1], [0, 1]]).all()
    assert np.isnan(found.values).sum() == 2


@pytest.mark.parametrize("function", [margin, entropy])
def test_logits_and_single_bands_are_refused(function):
    with pytest.raises(ValueError, match="softmax"):
        function(np.array([[[3.0]], [[-1.0]]]))
    with pytest.raises(ValueError, match="two classes"):
        function(np.ones((1, 2, 2)))


@given(st.integers(2, 5), st.integers(1, 12), st.integers(0, 9))
def test_a_calibration_curve_is_scikit_learns(classes, bins, seed):
    rng = np.random.default_rng(seed)
    table = rng.dirichlet(np.ones(classes), 300)
    truth = rng.integers(0, classes, 300)
    found = calibration_curve(table, truth, bins)
    right = table.argmax(axis=1) == truth
    accuracy, confidence = sklearn_curve(right, table.max(axis=1), n_bins=bins)
    assert found.accuracy == pytest.approx(accuracy)
    assert found.confidence == pytest.approx(confidence)
    assert found.count.sum() == 300


def test_a_model_that_says_how_often_it_is_right_has_no_error():
    rng = np.random.default_rng(0)
    table = rng.dirichlet(np.ones(3), 100_000)
    truth = (table.cumsum(axis=1) < rng.random((100_000, 1))).sum(axis=1)
    assert calibration_curve(table, truth).error < 0.01
    boastful = table**3 / (table**3).sum(axis=1, keepdims=True)
    assert calibration_curve(boastful, truth).error > 0.1


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("power", [1.0, 4.0])
def test_sets_hold_the_truth_as_often_as_asked_whatever_the_model(level, power):
    """Marginal coverage over many draws of calibration and test pixels, for a boastful model too."""
    rng, covered = np.random.default_rng(1), []
    for _ in range(400):
        table = rng.dirichlet(np.ones(4), 120)
        truth = (table.cumsum(axis=1) < rng.random((120, 1))).sum(axis=1)
        said = table**power / (table**power).sum(axis=1, keepdims=True)
        sets = conformal_sets(said[:100], truth[:100], said[100:], level)
        covered.append(sets[np.arange(20), truth[100:]].mean())
    error = np.std(covered) / np.sqrt(400)
    assert level - 4 * error <= np.mean(covered) <= level + 1 / 101 + 4 * error


def test_sets_are_rasters_too_and_the_operator_says_the_same():
    calibration, truth = (
        probabilities(3, (20, 20)),
        np.random.default_rng(0).integers(0, 3, (20, 20)),
    )
    values = probabilities(3, seed=4)
    values[0, 0, 0] = np.nan
    tile = GeoTensor(values, PLACE, "EPSG:32632", np.nan, {"band_names": ["a", "b", "c"]})
    sets = conformal_sets(calibration, truth, tile, 0.9)
    assert sets.dtype == bool
    assert sets.shape == (3, 6, 5)
    assert sets.crs == "EPSG:32632"
    assert not sets.values[:, 0, 0].any()
    operator = gz.ConformalSets(conformal_threshold(calibration, truth, 0.9))
    assert np.array_equal(operator(tile).values, sets.values)
    table = values.reshape(3, -1).T
    assert np.array_equal(conformal_sets(calibration, truth, table, 0.9).T.reshape(3, 6, 5), sets)


def test_too_few_pixels_put_every_class_into_every_set():
    assert conformal_threshold(np.array([[0.9, 0.1]]), [0], 0.9) == 0


@pytest.mark.parametrize(
    ("truth", "said"),
    [([0, 5], "positions"), ([0], "probabilities must be"), ([-1, -1], "no pixel")],
)
def test_truths_that_do_not_fit_are_named(truth, said):
    with pytest.raises(ValueError, match=said):
        conformal_threshold(np.array([[0.9, 0.1], [0.2, 0.8]]), truth)
    with pytest.raises(ValueError, match="threshold"):
        gz.ConformalSets(1.5)


def hidden(kind):
    """Probabilities of 40 pixels and their truth, of which the first ten are unknown."""
    values = probabilities(3, (4, 10), dtype="float64")
    truth = np.random.default_rng(1).integers(0, 3, (4, 10))
    first = np.arange(40).reshape(4, 10) < 10
    if kind == "nodata":
        return GeoTensor(np.where(first, -9999, values), PLACE, "EPSG:32632", -9999), truth
    if kind == "masked":
        return np.ma.masked_array(values, np.broadcast_to(first, values.shape)), truth
    if kind == "truth masked":
        return values, np.ma.masked_array(truth, first)
    if kind == "truth nodata":
        return values, GeoTensor(np.where(first, 255, truth), PLACE, "EPSG:32632", 255)
    return values, np.where(first, -1, truth)


@pytest.mark.parametrize("kind", ["nodata", "masked", "truth masked", "truth nodata", "negative"])
def test_what_is_unknown_calibrates_nothing(kind):
    said, truth = hidden(kind)
    clean, known = probabilities(3, (4, 10), dtype="float64")[:, 1:], np.asarray(truth)[1:]
    assert conformal_threshold(said, truth, 0.8) == conformal_threshold(clean, known, 0.8)
    ours, alone = calibration_curve(said, truth), calibration_curve(clean, known)
    assert np.array_equal(ours.confidence, alone.confidence)
    assert np.array_equal(ours.count, alone.count)


def test_no_set_where_a_probability_is_masked():
    table = np.moveaxis(probabilities(3, (40,)), 0, -1)
    masked = np.ma.masked_array(table, np.arange(120).reshape(40, 3) < 6)
    sets = conformal_sets(table, np.zeros(40, int), masked)
    assert not np.ma.getdata(sets)[:2].any()
    assert np.array_equal(sets[2:], conformal_sets(table, np.zeros(40, int), table)[2:])


@pytest.mark.parametrize("judge", [conformal_threshold, calibration_curve])
def test_what_is_no_probability_or_position_is_refused(judge):
    values = probabilities(3, (4, 10))
    with pytest.raises(ValueError, match="softmax"):
        judge(np.log(values), np.zeros((4, 10), int))
    with pytest.raises(ValueError, match=r"\(10, 4\)"):
        judge(values, np.zeros((10, 4), int))
    with pytest.raises(ValueError, match="whole numbers, the positions"):
        judge(values, np.full((4, 10), 0.5))


def test_rounding_below_zero_is_zero():
    assert entropy(np.array([[[1.0]], [[-1e-9]]])).item() == pytest.approx(0, abs=1e-6)
