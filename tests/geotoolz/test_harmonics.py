"""Waves by least squares, pixel by pixel the same as numpy's own solver finds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geotoolz import HarmonicFit
from geotoolz.harmonics import harmonic_curve, harmonic_fit, harmonic_matrix, harmonic_names
from geotoolz.series import days_of

seeds = st.integers(0, 2**32 - 1)


def dates_of_years(rng, count: int, years: float):
    days = np.sort(rng.choice(np.arange(int(years * 365)), count, replace=False))
    return np.datetime64("2017-03-01") + days


@given(seeds, st.integers(1, 3), st.booleans())
def test_it_is_lstsq_of_what_was_observed(seed, harmonics, trend):
    rng = np.random.default_rng(seed)
    dates = dates_of_years(rng, 60, 3)
    stack = rng.normal(size=(60, 2, 3))
    stack[rng.random(stack.shape) < 0.3] = np.nan
    got = harmonic_fit(stack, dates, 365.25, harmonics, trend, dtype="float64")
    columns = harmonic_matrix(days_of(dates), 365.25, harmonics, trend)
    for row, col in np.ndindex(2, 3):
        seen = ~np.isnan(stack[:, row, col])
        expected = np.linalg.lstsq(columns[seen], stack[seen, row, col], rcond=None)[0]
        assert np.allclose(got[:, row, col], expected, rtol=1e-6, atol=1e-7)


@given(seeds, st.booleans())
def test_a_curve_of_waves_gives_its_own_coefficients_back(seed, trend):
    rng = np.random.default_rng(seed)
    dates = dates_of_years(rng, 40, 2.5)
    made = rng.normal(size=(len(harmonic_names(2, trend)), 4))
    curve = harmonic_curve(made, dates, trend=trend, dtype="float64")
    assert np.allclose(harmonic_fit(curve, dates, trend=trend, dtype="float64"), made, atol=1e-6)


def test_a_known_wave_has_its_known_numbers():
    dates = np.datetime64("2018-01-01") + np.arange(0, 730, 5)
    t = days_of(dates)
    series = 0.5 + 0.02 * t / 365.25 + 0.3 * np.cos(2 * np.pi * t / 365.25 - 1.0)
    level, slope, cosine, sine = harmonic_fit(series, dates, harmonics=1, trend=True, dtype="f8")
    assert (level, slope) == (pytest.approx(0.5), pytest.approx(0.02))
    assert np.hypot(cosine, sine) == pytest.approx(0.3)
    assert np.arctan2(sine, cosine) == pytest.approx(1.0)


def test_observations_that_do_not_tell_the_waves_give_nan():
    dates = np.datetime64("2018-01-01") + np.arange(0, 400, 10)
    stack = np.random.default_rng(1).normal(size=(40, 3))
    stack[4:, 0] = np.nan  # four for five numbers
    stack[5:, 1] = np.nan  # five, which is enough
    got = harmonic_fit(stack, dates)
    assert np.isnan(got[:, 0]).all()
    assert np.isfinite(got[:, 1:]).all()
    same_day = np.array([f"{year}-06-01" for year in range(2000, 2028, 4)], "datetime64[D]")
    assert np.isnan(harmonic_fit(np.ones(7), same_day)).all()


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="period must be"):
        HarmonicFit(["2018-01-01"], period=0)
    with pytest.raises(ValueError, match="harmonics"):
        HarmonicFit(["2018-01-01"], harmonics=0)
    with pytest.raises(ValueError, match="has 5 coefficients, got 3"):
        harmonic_curve(np.zeros((3, 2)), ["2018-01-01"])
