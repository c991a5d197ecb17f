"""Series taken apart and put together: identity, kinds of series, configs."""

import numpy as np
import pytest
import xarray as xr
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine

from geopatcher import (
    PatchError,
    TemporalCausalRolling,
    TemporalExponentialDecay,
    TemporalFixedLookback,
    TemporalForecast,
    TemporalLookbackHorizon,
    TemporalMean,
    TemporalMultiScale,
    TemporalPatcher,
    TemporalPeriodic,
    TemporalPhaseWindow,
    TemporalRegularStride,
    TemporalTaperedTukey,
)

WINDOWS = st.sampled_from(
    [TemporalExponentialDecay(2), TemporalTaperedTukey(0.5), TemporalPeriodic(7)]
)


@settings(max_examples=60)
@given(
    total=st.integers(1, 40),
    length=st.integers(1, 12),
    step=st.integers(1, 12),
    axis=st.integers(0, 2),
    window=WINDOWS,
)
def test_identity_gives_the_series_back_wherever_covered(total, length, step, axis, window):
    shape = [3, 2]
    shape.insert(axis, total)
    series = np.random.default_rng(0).normal(size=shape)
    patcher = TemporalPatcher(
        TemporalFixedLookback(length), TemporalRegularStride(step), window, time_axis=axis
    )
    merged = patcher.merge(patcher.split(series), series)
    covered = np.zeros(total, bool)
    for anchor in range(0, total, step):
        covered[max(0, anchor - length + 1) : anchor + 1] = True
    merged = np.moveaxis(merged, axis, 0)
    np.testing.assert_allclose(merged[covered], np.moveaxis(series, axis, 0)[covered], rtol=1e-12)
    assert np.isnan(merged[~covered]).all()


@given(st.integers(1, 30), st.integers(1, 9), st.integers(1, 9))
def test_no_early_patch_is_dropped(total, length, step):
    patcher = TemporalPatcher(TemporalFixedLookback(length), TemporalRegularStride(step))
    patches = list(patcher.split(np.arange(total)))
    assert [patch.anchor for patch in patches] == list(range(0, total, step))
    assert len(patches) == patcher.n_anchors(np.arange(total))
    assert [len(patch.data) for patch in patches] == [
        min(length, anchor + 1) for anchor in range(0, total, step)
    ]
    assert all(patch.data[-1] == patch.anchor for patch in patches)
    assert all(len(patch.weights) == len(patch.data) for patch in patches)


def test_nothing_after_the_anchor_is_seen():
    series = np.arange(40.0)
    future = series.copy()
    future[21:] = np.nan
    for geometry in (
        TemporalFixedLookback(9),
        TemporalMultiScale((2, 30)),
        TemporalPhaseWindow(10, 2),
    ):
        patcher = TemporalPatcher(geometry, TemporalRegularStride(1))
        seen, blind = patcher.patch_at(series, 20).data, patcher.patch_at(future, 20).data
        for a, b in (
            zip(np.atleast_1d(seen), np.atleast_1d(blind), strict=True)
            if not isinstance(seen, tuple)
            else zip(seen, blind, strict=True)
        ):
            np.testing.assert_array_equal(a, b)


def test_a_patch_by_date_is_the_patch_of_the_split():
    days = np.datetime64("2024-01-01") + np.arange(0, 60, 5) * np.timedelta64(1, "D")
    cube = xr.DataArray(
        np.random.default_rng(0).normal(size=(2, 12, 3)),
        dims=("y", "time", "x"),
        coords={"time": days.astype("datetime64[ns]")},
    )
    patcher = TemporalPatcher(TemporalFixedLookback(4), TemporalRegularStride(3))
    by_date = patcher.patch_at(cube, "2024-02-01")
    by_split = list(patcher.split(cube))[2]
    assert by_date.anchor == by_split.anchor == 6
    assert isinstance(by_date.data, xr.DataArray)
    assert by_date.data.identical(by_split.data)
    assert by_date.data.time.values.tolist() == cube.time.values[3:7].tolist()


def test_an_xarray_comes_back_as_one():
    days = np.arange(10).astype("datetime64[D]").astype("datetime64[ns]")
    cube = xr.DataArray(
        np.random.default_rng(0).normal(size=(10, 3)), dims=("time", "x"), coords={"time": days}
    )
    patcher = TemporalPatcher(TemporalFixedLookback(3), TemporalRegularStride(1))
    xr.testing.assert_allclose(patcher.merge(patcher.split(cube), cube), cube)
    means = (patch.with_data(float(patch.data.mean())) for patch in patcher.split(cube))
    merged = patcher.merge(means, cube)
    assert merged.dims == ("time",)
    expected = [float(cube[max(0, i - 2) : i + 1].mean()) for i in range(10)]
    np.testing.assert_allclose(merged.values, expected)


def test_a_raster_series_keeps_its_place():
    stack = GeoTensor(np.zeros((9, 2, 4, 4)), Affine(10, 0, 0, 0, -10, 0), "EPSG:32631")
    patcher = TemporalPatcher(TemporalFixedLookback(3), TemporalCausalRolling(2))
    patches = list(patcher.split(stack))
    assert [patch.anchor for patch in patches] == [2, 4, 6, 8]
    assert patches[0].data.shape == (3, 2, 4, 4)
    assert patches[0].data.transform == stack.transform


def test_a_horizon_weighs_the_past_only():
    geometry = TemporalLookbackHorizon(4, 3)
    patcher = TemporalPatcher(
        geometry, TemporalCausalRolling(5), TemporalExponentialDecay(2), TemporalForecast(3)
    )
    patch = patcher.patch_at(np.arange(20), 10)
    assert patch.data.tolist() == [7, 8, 9, 10, 11, 12, 13]
    assert patch.weights.shape == (4,)
    assert patch.weights[-1] == 1


def test_a_config_makes_the_same_patcher():
    patcher = TemporalPatcher(
        TemporalLookbackHorizon(4, 3),
        TemporalCausalRolling(5, start=3),
        TemporalPeriodic(12),
        TemporalMean(keeps_time=True),
        time_axis="time",
    )
    assert TemporalPatcher.from_config(patcher.get_config()) == patcher
    scales = TemporalPatcher(TemporalMultiScale((2, 7)), TemporalRegularStride(1))
    assert TemporalPatcher.from_config(scales.get_config()) == scales


def test_an_axis_that_is_none_is_told_when_the_patcher_is_made():
    with pytest.raises(PatchError, match=r"sampler must be an object.*TemporalRegularStride\("):
        TemporalPatcher(TemporalFixedLookback(2), TemporalRegularStride)
    with pytest.raises(PatchError, match="a patcher's geometry has a method neighborhood, got 7"):
        TemporalPatcher(7, TemporalRegularStride(1))
