"""Breaks: the statistic against a fit at every date, chances against simulation, F1 of planted ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geotoolz import FindBreaks
from geotoolz.breaks import _largest_f, critical_value, find_breaks
from geotoolz.harmonics import harmonic_matrix
from geotoolz.series import days_of


def simulated(rng, pixels: int, years: float = 4.0, share_broken: float = 0.5):
    """Greenness of (T, pixels) every five days, two of five cloudy; and the day of each break."""
    days = np.arange(0, years * 365, 5.0)
    dates = np.datetime64("2016-01-01") + days.astype("timedelta64[D]")
    phase, height = rng.uniform(0, 2 * np.pi, pixels), rng.uniform(0.05, 0.25, pixels)
    stack = 0.5 + height * np.cos(2 * np.pi * days[:, None] / 365.25 - phase)
    stack += rng.normal(0, 0.04, stack.shape)
    when = rng.uniform(0.2, 0.8, pixels) * days[-1]
    when[rng.random(pixels) >= share_broken] = np.nan
    step = rng.uniform(0.08, 0.3, pixels) * rng.choice([-1, 1], pixels)
    stack += np.where(days[:, None] >= when, step, 0.0)
    stack[rng.random(stack.shape) < 0.4] = np.nan
    return stack, dates, when + days_of(dates)[0], step


def test_planted_breaks_are_found_with_f1_of_nine_tenths():
    stack, dates, when, step = simulated(np.random.default_rng(2026), 4000)
    before, after, height = find_breaks(stack, dates)[0]
    told, planted = ~np.isnan(after), ~np.isnan(when)
    # Between the observations that it names, or within one more on either side.
    right = told & planted & (when > before - 16) & (when <= after + 16)
    precision, recall = right.sum() / told.sum(), right.sum() / planted.sum()
    f1 = 2 * precision * recall / (precision + recall)
    assert f1 >= 0.9
    assert (told & ~planted).mean() < 0.02
    assert np.abs(height - step)[right].mean() < 0.02


@given(st.integers(0, 2**32 - 1), st.integers(1, 2), st.booleans())
def test_the_statistic_is_that_of_a_fit_at_every_date(seed, harmonics, trend):
    rng = np.random.default_rng(seed)
    days = np.cumsum(rng.integers(3, 15, 70)).astype(float)
    series = rng.normal(size=(70, 2))
    series[rng.random(series.shape) < 0.3] = np.nan
    seen = ~np.isnan(series)
    columns = harmonic_matrix(days, 365.25, harmonics, trend)
    rank = np.cumsum(seen, axis=0)
    allowed = seen & (rank > 7) & (rank <= rank[-1] - 6)
    f, at = _largest_f(
        np.where(seen, series, 0.0),
        seen,
        np.where(seen[:, None], columns[:, :, None], 0.0),
        allowed,
    )
    for pixel in range(2):
        best = (-np.inf, -1)
        x, y = columns[seen[:, pixel]], series[seen[:, pixel], pixel]
        rss = float(np.linalg.lstsq(x, y, rcond=None)[1][0])
        for step in np.flatnonzero(allowed[:, pixel]):
            wide = np.column_stack([x, (days >= days[step])[seen[:, pixel]]])
            less = float(np.linalg.lstsq(wide, y, rcond=None)[1][0])
            best = max(best, ((rss - less) / (less / (len(y) - wide.shape[1])), step))
        assert f[pixel] == pytest.approx(best[0], rel=1e-6)
        assert at[pixel] == best[1]


def test_the_sums_of_residuals_are_those_of_statsmodels():
    diagnostic = pytest.importorskip("statsmodels.stats.diagnostic")
    rng = np.random.default_rng(4)
    days = np.arange(0, 1000, 8.0)
    x = harmonic_matrix(days, 365.25, 1, False)
    y = rng.normal(size=len(days)) + (days > 600)
    residuals = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    reached, _, limits = diagnostic.breaks_cusumolsresid(residuals, ddof=3)
    sums = np.cumsum(residuals) / np.sqrt(residuals @ residuals / (len(y) - 3) * len(y))
    assert np.abs(sums).max() == pytest.approx(reached)
    # Their test says that there is a break, at 1 % too; so does ours, at its date.
    assert reached > dict(limits)[1]
    found = find_breaks(y, np.datetime64("2016-01-01") + days.astype("m8[D]"), harmonics=1)[0]
    assert found[1] - days_of(["2016-01-01"])[0] == pytest.approx(600, abs=60)


@pytest.mark.parametrize("level", [0.1, 0.05, 0.01])
def test_false_alarms_are_as_many_as_is_said(level):
    rng = np.random.default_rng(5)
    dates = np.datetime64("2010-01-01") + np.arange(0, 3650, 8)
    found = find_breaks(rng.normal(size=(len(dates), 3000)), dates, level=level)
    told = (~np.isnan(found[0, 0])).mean()
    assert told < level * 1.3
    assert told > level * 0.4


def test_the_critical_values_are_close_to_the_printed_ones():
    # Andrews (2003), one restriction, 15 % trimmed: 10, 5 and 1 %.
    for level, printed in [(0.1, 7.12), (0.05, 8.68), (0.01, 12.16)]:
        assert critical_value(level, 0.15) == pytest.approx(printed, rel=0.02)


def test_two_breaks_come_in_the_order_of_time_and_nothing_is_made_up():
    rng = np.random.default_rng(6)
    days = np.arange(0, 2000, 6)
    dates = np.datetime64("2015-01-01") + days
    series = 0.5 + 0.2 * np.sin(2 * np.pi * days / 365.25) + rng.normal(0, 0.03, len(days))
    series += np.where(days >= 600, -0.3, 0) + np.where(days >= 1300, 0.25, 0)
    found = find_breaks(series, dates, max_breaks=4)
    first = days_of(dates)[0]
    assert (found[:2, 1] - first).tolist() == [600, 1302]
    assert np.allclose(found[:2, 2], [-0.3, 0.25], atol=0.03)
    assert np.isnan(found[2:]).all()


def test_short_empty_and_constant_series_have_no_break():
    dates = np.datetime64("2015-01-01") + np.arange(0, 600, 10)
    stack = np.full((60, 3), np.nan)
    stack[:5, 1] = np.arange(5.0)
    stack[:, 2] = 0.5
    assert np.isnan(find_breaks(stack, dates)).all()


def test_the_numbers_of_a_raster_have_names():
    from georeader.geotensor import GeoTensor
    from rasterio import Affine

    dates = np.datetime64("2015-01-01") + np.arange(0, 600, 10)
    place = Affine.scale(10, -10)
    stack = GeoTensor(np.random.default_rng(0).random((60, 4, 5)), place, "EPSG:32631", np.nan)
    found = FindBreaks(dates, max_breaks=2)(stack)
    assert found.shape == (2, 3, 4, 5)
    assert found.attrs["band_names"] == ["before", "after", "step"]
    assert found.transform == place


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="level must lie"):
        FindBreaks(["2018-01-01"], level=0.7)
    with pytest.raises(ValueError, match="trim must lie"):
        FindBreaks(["2018-01-01"], trim=0.5)
    with pytest.raises(ValueError, match="max_breaks"):
        FindBreaks(["2018-01-01"], max_breaks=0)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.1, 0.3, 1 / 3, 273.15, 3000.0, 7e5]),
    st.booleans(),
    st.sampled_from(["float64", "float32", "uint16"]),
)
def test_rounding_alone_is_no_break(seed, level, waves, dtype):
    rng = np.random.default_rng(seed)
    days = np.arange(0, 1500, 8)
    dates = np.datetime64("2018-01-01") + days
    wave = level * (1 + waves * 0.4 * np.sin(2 * np.pi * days / 365.25 + rng.uniform(0, 6)))
    if dtype == "uint16" and (waves or level > 65535):
        return
    stack = np.repeat(wave[:, None], 30, axis=1).astype("float64" if waves else dtype)
    stack = np.where(rng.random(stack.shape) < 0.3, np.nan, stack)
    assert np.isnan(find_breaks(stack, dates)).all()


@pytest.mark.parametrize("shift", [1.0, -1e4, 1e6, 1e8])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_another_zero_or_unit_finds_the_same_dates(shift, scale):
    stack, dates, *_ = simulated(np.random.default_rng(8), 200)
    known = find_breaks(stack, dates)
    moved = find_breaks((stack + shift) * scale, dates)
    assert np.array_equal(moved[:, :2], known[:, :2], equal_nan=True)
    assert np.allclose(moved[:, 2], known[:, 2] * scale, rtol=1e-4, equal_nan=True)


@pytest.mark.parametrize("count", [7, 8, 10, 14, 20, 30])
@pytest.mark.parametrize("harmonics", [1, 2])
def test_short_series_give_no_more_false_alarms_than_is_said(count, harmonics):
    dates = np.datetime64("2018-01-01") + 37 * np.arange(count)
    noise = np.random.default_rng(9).normal(size=(count, 4000))
    told = ~np.isnan(find_breaks(noise, dates, harmonics=harmonics, level=0.05)[0, 0])
    assert told.mean() < 0.06
