"""Start, peak and end of seasons whose dates are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geotoolz import Season
from geotoolz.season import season
from geotoolz.series import days_of

START = np.datetime64("2018-01-01")


@given(st.floats(0.05, 0.95), st.floats(0.1, 0.4), st.floats(0.5, 0.9))
def test_a_triangle_is_crossed_where_it_says(share, base, top):
    days = np.arange(0, 301, 10)
    series = base + (top - base) * np.clip(1 - np.abs(days - 150) / 100, 0, None)
    start, peak, end, low, height = season(series, START + days, share, dtype="float64")
    first = days_of([START])[0]
    assert start - first == pytest.approx(50 + 100 * share, abs=1e-6)
    assert peak - first == pytest.approx(150)
    assert end - first == pytest.approx(250 - 100 * share, abs=1e-6)
    assert (low, height) == (pytest.approx(base), pytest.approx(top - base))


@given(st.integers(0, 2**32 - 1))
def test_time_turned_round_swaps_start_and_end(seed):
    rng = np.random.default_rng(seed)
    days = np.cumsum(rng.integers(1, 9, 30))
    stack = rng.random((30, 4, 5))
    stack[rng.random(stack.shape) < 0.2] = np.nan
    forward = season(stack, START + days, 0.3, dtype="float64")
    turned = season(stack[::-1], (START + (days[-1] - days))[::-1], 0.3, dtype="float64")
    whole = days_of([START + days[-1]])[0] + days_of([START])[0]
    for there, back in zip((0, 1, 2), (2, 1, 0), strict=True):
        assert np.allclose(forward[there], whole - turned[back], equal_nan=True)
    assert np.allclose(forward[3:], turned[3:], equal_nan=True)


def test_the_ways_up_and_down_nearest_to_the_peak_count():
    series = np.array([0, 6, 1, 9, 10, 9, 1, 6, 0.0])
    start, peak, end, *_ = season(series, START + np.arange(9), 0.5, dtype="f8") - days_of([START])
    assert (start, peak, end) == (2.5, 4, 5.5)


def test_missing_steps_are_passed_over():
    days = np.array([0, 10, 20, 30, 40])
    whole = season(np.array([0, 0, 10, 0, 0.0]), START + days)
    holes = season(
        np.array([0, 0, np.nan, 10, np.nan, 0, 0]), START + np.array([0, 10, 15, 20, 25, 30, 40])
    )
    assert np.array_equal(whole, holes)


def test_a_season_that_has_begun_or_does_not_end_says_so():
    falling, rising = np.arange(5.0)[::-1], np.arange(5.0)
    days = START + np.arange(5)
    assert np.isnan(season(falling, days)[[0, 3, 4]]).all()
    assert np.isnan(season(rising, days)[2:]).all()
    assert np.isnan(season(np.full(5, np.nan), days)).all()
    assert np.isnan(season(np.ones(5), days)[[0, 2]]).all()


def test_within_takes_one_of_two_seasons():
    days = np.arange(0, 720, 10)
    series = np.abs(np.sin(np.pi * days / 360)) + (days > 360)
    got = season(series, START + days, within=("2018-01-01", "2018-12-31"))
    assert got[1] - days_of([START])[0] == 180
    assert np.array_equal(got, season(series[days <= 364], (START + days)[days <= 364]))


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="share must be between 0 and 1"):
        Season(["2018-01-01"], share=1.0)
    with pytest.raises(ValueError, match="within must be"):
        Season(["2018-01-01"], within="2018")
    with pytest.raises(ValueError, match="sort by date"):
        Season(["2018-01-01"], within=("2018-06-01", "2018-01-01"))


@pytest.mark.parametrize("last", ["2018-12-31", "2018-12", "2018", np.datetime64("2018-12-31")])
def test_a_window_holds_all_of_its_last_day(last):
    days = [f"2018-{month:02}-15T10:30" for month in range(1, 12)] + ["2018-12-31T10:30"]
    series = np.arange(12.0)
    for found in (
        season(series, days, within=("2018", last)),
        Season(days, within=("2018", last))(series),
    ):
        assert np.array_equal(found, season(series, days), equal_nan=True)
    with pytest.raises(ValueError, match="within must be"):
        season(series, days, within=("2018-01-01", None))
