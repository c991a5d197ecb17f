"""Results in time put together, against plain loops."""

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given
from hypothesis import strategies as st
from rasterio import Affine

from geopatcher import (
    Patch,
    PatchError,
    TemporalCausalRolling,
    TemporalExplicit,
    TemporalExponentialDecay,
    TemporalFixedLookback,
    TemporalFold,
    TemporalForecast,
    TemporalHierarchicalCombine,
    TemporalLookbackHorizon,
    TemporalMean,
    TemporalMultiScale,
    TemporalPatcher,
    TemporalRegularStride,
    TimeDomain,
)

_NINE = TimeDomain((9, 2))


def test_a_fold_sees_the_patches_in_order_and_begins_anew():
    series = np.arange(10)
    patcher = TemporalPatcher(
        TemporalFixedLookback(3),
        TemporalRegularStride(4),
        aggregation=TemporalFold(
            lambda seen, patch: seen.append(int(patch.data.sum())) or seen, initial_state=[]
        ),
    )
    assert patcher.merge(patcher.split(series), series) == [0, 9, 21]
    assert patcher.merge(patcher.split(series), series) == [0, 9, 21]
    assert patcher.aggregation.initial_state == []


@given(st.integers(1, 25), st.integers(1, 8), st.integers(1, 8))
def test_a_weighted_mean_equals_a_plain_loop(total, length, step):
    rng = np.random.default_rng(1)
    series = rng.normal(size=(total, 2))
    series[rng.random(series.shape) < 0.2] = np.nan
    patcher = TemporalPatcher(
        TemporalFixedLookback(length), TemporalRegularStride(step), TemporalExponentialDecay(3)
    )
    results = [p.with_data(p.data + p.anchor) for p in patcher.split(series)]
    sums, weights = np.zeros((total, 2)), np.zeros((total, 2))
    for anchor in range(0, total, step):
        for t in range(max(0, anchor - length + 1), anchor + 1):
            for band in range(2):
                if not np.isnan(series[t, band]):
                    weight = np.exp(-(anchor - t) / 3)
                    sums[t, band] += weight * (series[t, band] + anchor)
                    weights[t, band] += weight
    with np.errstate(invalid="ignore"):
        expected = sums / weights
    np.testing.assert_allclose(patcher.merge(results, series), expected, rtol=1e-10)


def test_one_value_for_each_anchor_leaves_gaps():
    merged = TemporalMean().merge([Patch(np.ones((2, 3)), 4, None)], np.zeros((6, 2, 3)))
    assert merged.shape == (6, 2, 3)
    assert np.isfinite(merged).all(axis=(1, 2)).tolist() == [False] * 4 + [True, False]


def test_keeps_time_tells_what_the_number_of_axes_cannot():
    series = np.random.default_rng(0).normal(size=(8, 2, 3, 3))
    patcher = TemporalPatcher(
        TemporalFixedLookback(2), TemporalRegularStride(1), aggregation=TemporalMean(True)
    )
    ratios = (p.with_data(p.data[:, 0] - p.data[:, 1]) for p in patcher.split(series))
    np.testing.assert_allclose(patcher.merge(ratios, series), series[:, 0] - series[:, 1])


def test_a_forecast_is_compared_with_the_horizon_that_came():
    series = np.arange(30.0) ** 1.5
    patcher = TemporalPatcher(
        TemporalLookbackHorizon(6, 4),
        TemporalCausalRolling(7),
        aggregation=TemporalForecast(horizon=4),
    )
    truth = patcher.merge(patcher.split(series), series)
    assert list(truth) == [5, 12, 19, 26]
    for anchor, block in truth.items():
        np.testing.assert_array_equal(block, series[anchor + 1 : anchor + 5])
    assert [len(block) for block in truth.values()] == [4, 4, 4, 3]

    def persistence(patch):
        return patch.with_data(
            np.repeat(patch.data[patch.indices.present - patch.indices.start - 1], 4)
        )

    forecast = patcher.merge((persistence(p) for p in patcher.split(series)), series)
    assert {anchor: block.tolist() for anchor, block in forecast.items()} == {
        anchor: [series[anchor]] * 4 for anchor in truth
    }


def test_at_the_last_step_nothing_came_yet():
    series = np.arange(10)
    patcher = TemporalPatcher(
        TemporalLookbackHorizon(3, 2), TemporalRegularStride(9), aggregation=TemporalForecast(2)
    )
    assert {a: b.tolist() for a, b in patcher.merge(patcher.split(series), series).items()} == {
        0: [1, 2],
        9: [],
    }
    lookback = TemporalPatcher(TemporalFixedLookback(3), TemporalRegularStride(9))
    with pytest.raises(PatchError, match="2 steps are needed"):
        TemporalForecast(2).merge(lookback.split(series), series)


@pytest.mark.parametrize("lookback", range(1, 7))
@pytest.mark.parametrize("horizon", range(1, 6))
def test_a_past_as_long_as_a_forecast_is_not_taken_for_one(lookback, horizon):
    series = np.arange(9.0)
    geometry = TemporalLookbackHorizon(lookback, horizon)
    forecast = TemporalForecast(horizon)
    patcher = TemporalPatcher(geometry, TemporalRegularStride(1), aggregation=forecast)
    for patch in patcher.split(series):
        if len(patch.data) == horizon:
            with pytest.raises(PatchError, match="may be a forecast"):
                forecast.merge([patch], series)
            continue
        found = forecast.merge([patch], series)[patch.anchor]
        np.testing.assert_array_equal(found, series[patch.anchor + 1 :][:horizon])


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_a_first_patch_of_all_steps_takes_none_of_them_for_a_band(steps):
    series = np.random.default_rng(0).normal(size=(steps, 3, 4))
    patcher = TemporalPatcher(TemporalFixedLookback(9), TemporalExplicit([steps - 1, 0]))
    np.testing.assert_allclose(patcher.merge(patcher.split(series), series), series)


def test_scales_are_combined_pixel_by_pixel():
    series = np.random.default_rng(0).normal(size=(12, 3))
    patcher = TemporalPatcher(
        TemporalMultiScale((1, 4)),
        TemporalRegularStride(1),
        aggregation=TemporalHierarchicalCombine((3, 1)),
    )
    results = (
        p.with_data(tuple(part.mean(axis=0) for part in p.data)) for p in patcher.split(series)
    )
    merged = patcher.merge(results, series)
    expected = [(3 * series[t] + series[max(0, t - 3) : t + 1].mean(axis=0)) / 4 for t in range(12)]
    np.testing.assert_allclose(merged, expected)
    lone = TemporalHierarchicalCombine((3, 1)).merge(
        [Patch((np.array([np.nan, 2.0]), np.array([5.0, 6.0])), 0, None)], np.zeros((1, 2))
    )
    assert lone.tolist() == [[5.0, 3.0]]


@pytest.mark.parametrize(
    ("merge", "told"),
    [
        (lambda: TemporalMean().merge([], np.zeros(3)), "no patches to merge"),
        (
            lambda: TemporalForecast(3).merge([Patch(np.zeros(2), 1, None)], np.zeros(9)),
            r"forecast at step 1 has shape \(2,\); 3 steps are needed",
        ),
        (
            lambda: TemporalForecast(1).merge([Patch(np.zeros(1), 1, None)] * 2, np.zeros(9)),
            "two forecasts were made at step 1",
        ),
        (
            lambda: TemporalHierarchicalCombine().merge([Patch(np.zeros(2), 1, None)], np.zeros(9)),
            "holds a ndarray; a result for each scale is needed",
        ),
        (
            lambda: TemporalHierarchicalCombine((1, 1)).merge(
                [Patch((1.0,), 1, None)], np.zeros(9)
            ),
            "2 of one shape are needed",
        ),
        (lambda: TemporalHierarchicalCombine((0, 0)), "not all 0"),
        (
            lambda: TemporalMean().merge(
                [Patch(np.zeros((4, 2)), 3, TemporalFixedLookback(3).neighborhood(_NINE, 3))], _NINE
            ),
            "has 4 steps on axis 0 and its window 3",
        ),
        (
            lambda: TemporalMean().merge(
                [Patch(np.zeros((1, 2)), 3, TemporalMultiScale((1,)).neighborhood(_NINE, 3))], _NINE
            ),
            "merge them with TemporalHierarchicalCombine",
        ),
    ],
)
def test_what_cannot_be_merged_is_told(merge, told):
    with pytest.raises(PatchError, match=told):
        merge()


def test_a_year_of_overlapping_lookbacks_gives_the_series_back():
    series = np.random.default_rng(0).uniform(0.5, 1.5, (800, 3)).astype("float32")
    patcher = TemporalPatcher(TemporalFixedLookback(365), TemporalRegularStride(1))
    merged = patcher.merge(patcher.split(series), series)
    assert merged.dtype == np.float32
    np.testing.assert_allclose(merged, series, rtol=3e-7)


@pytest.mark.parametrize("kind", ["masked", "tensor", "nan"])
def test_forecasts_and_scales_leave_out_what_is_missing(kind):
    """Of two scales the one that sees a pixel decides; a forecast says what it does not know."""
    values, missing = np.arange(12.0).reshape(3, 4), np.arange(12).reshape(3, 4) % 3 == 0
    made = {
        "masked": np.ma.array(values, mask=missing),
        "tensor": GeoTensor(np.where(missing, -9, values), Affine.identity(), None, -9),
        "nan": np.where(missing, np.nan, values),
    }[kind]
    patches = [Patch((made, values + 1), 1, None)]
    combined = TemporalHierarchicalCombine().merge(patches, np.zeros((3, 3, 4)))
    np.testing.assert_array_equal(combined[1], np.where(missing, values + 1, values + 0.5))
    if kind != "tensor":
        forecast = TemporalForecast(3).merge([Patch(made, 4, None)], np.zeros((9, 4)))[4]
        np.testing.assert_array_equal(forecast, np.where(missing, np.nan, values))
