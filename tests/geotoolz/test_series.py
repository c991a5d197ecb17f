"""Curves in time: against dense solves and closed forms, on dates and pixels as they come."""

import numpy as np
import pandas as pd
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given
from hypothesis import strategies as st
from rasterio import Affine

from geotoolz import FillGaps, Whittaker
from geotoolz.series import date_texts, dates_of, days_of, fill_gaps, penalty, whittaker

seeds = st.integers(0, 2**32 - 1)


def dates_from(days) -> np.ndarray:
    return np.datetime64("2018-01-01", "us") + (np.asarray(days) * 86_400e6).astype("m8[us]")


def irregular(rng, count: int) -> np.ndarray:
    return np.cumsum(rng.uniform(0.5, 12, count))


def dense(y, days, smoothing, order):
    """The curve of one series by a dense solve, divided differences by numpy's polynomials."""
    n = len(days)
    rows = []
    for j in range(n - order):
        t = days[j : j + order + 1]
        # The leading coefficient of the polynomial through a unit vector is the difference.
        lead = [np.polyfit(t - t[0], np.eye(order + 1)[i], order)[0] for i in range(order + 1)]
        row = np.zeros(n)
        row[j : j + order + 1] = np.array(lead) * np.prod(np.arange(1, order + 1))
        rows.append(row * np.sqrt((t[-1] - t[0]) / order))
    d = np.array(rows)
    w = ~np.isnan(y)
    return np.linalg.solve(np.diag(w * 1.0) + smoothing * d.T @ d, np.where(w, y, 0))


@given(seeds, st.integers(1, 3), st.sampled_from([0.1, 30.0, 5000.0]))
def test_it_is_the_dense_solve(seed, order, smoothing):
    rng = np.random.default_rng(seed)
    days = irregular(rng, 24)
    stack = rng.normal(size=(24, 3, 2))
    stack[rng.random(stack.shape) < 0.4] = np.nan
    dates = dates_from(days)
    got = whittaker(stack, dates, smoothing, order, dtype="float64")
    for row, col in np.ndindex(3, 2):
        y = stack[:, row, col]
        if np.count_nonzero(~np.isnan(y)) < order:
            assert np.isnan(got[:, row, col]).all()
            continue
        expected = dense(y, days_of(dates) - days_of(dates)[0], smoothing, order)
        seen = ~np.isnan(y)
        assert np.allclose(got[seen, row, col], expected[seen], rtol=1e-6, atol=1e-6)
        assert np.isnan(got[~seen, row, col]).all()


@given(seeds, st.integers(1, 3))
def test_polynomials_below_the_order_stay_as_they_are(seed, order):
    rng = np.random.default_rng(seed)
    days = irregular(rng, 20)
    series = sum(rng.normal() * (days / 50) ** k for k in range(order))
    series[rng.random(20) < 0.3] = np.nan
    series[[0, 7, 19]] = [np.nan, 1.0, np.nan] if order == 1 else series[[0, 7, 19]]
    if order == 1:
        series[~np.isnan(series)] = 1.0
    got = whittaker(series, dates_from(days), 1e4, order, dtype="float64")
    assert np.allclose(got, series, atol=1e-7, equal_nan=True)


def test_a_wave_keeps_the_height_that_the_docstring_says():
    days = np.arange(0, 4000, 5.0)
    smoothing = 1000.0
    for period in (30.0, 2 * np.pi * (smoothing * 5) ** 0.25, 200.0):
        wave = np.cos(2 * np.pi * days / period)
        curve = whittaker(wave, dates_from(days), smoothing, dtype="float64")
        inside = slice(200, -200)
        kept = (curve[inside] @ wave[inside]) / (wave[inside] @ wave[inside])
        expected = 1 / (1 + smoothing / 5**3 * (2 * np.sin(np.pi * 5 / period)) ** 4)
        assert kept == pytest.approx(expected, abs=2e-3)
    half = 2 * np.pi * (smoothing * 5) ** 0.25
    assert 1 / (1 + smoothing / 5**3 * (2 * np.sin(np.pi * 5 / half)) ** 4) == pytest.approx(
        0.5, abs=0.02
    )


def test_dense_dates_come_to_the_smoothing_spline():
    from scipy.interpolate import make_smoothing_spline

    rng = np.random.default_rng(3)
    days = np.sort(rng.choice(np.arange(0, 300, 0.5), 400, replace=False))
    y = np.sin(days / 30) + rng.normal(0, 0.1, len(days))
    ours = whittaker(y, dates_from(days), 2000.0, dtype="float64")
    theirs = make_smoothing_spline(days, y, lam=2000.0)(days)
    assert np.abs(ours - theirs).max() < 0.01


def test_the_penalty_at_daily_dates_is_that_of_whittaker():
    d = np.diff(np.eye(9), 2, axis=0)
    whole = d.T @ d
    for k, row in enumerate(penalty(np.arange(9.0), 2)):
        assert np.allclose(row[: 9 - k], np.diagonal(whole, k))


@given(seeds)
def test_a_date_that_nobody_saw_changes_no_smooth_curve_much(seed):
    rng = np.random.default_rng(seed)
    days = np.arange(0, 400, 8.0)
    series = np.cos(days / 40) + rng.normal(0, 0.05, 50)
    more = np.sort(np.append(days, rng.uniform(10, 380)))
    if np.diff(more).min() < 0.5:
        return
    padded = np.full(51, np.nan)
    padded[np.searchsorted(more, days)] = series
    alone = whittaker(series, dates_from(days), dtype="float64")
    beside = whittaker(padded, dates_from(more), dtype="float64")
    assert np.allclose(beside[~np.isnan(padded)], alone, atol=0.03)


def kinds():
    dtypes = ["uint8", ">u2", "int16", ">i4", "int64", "float32", ">f8", "float64"]
    return st.tuples(st.sampled_from(dtypes), st.sampled_from(["none", "nodata", "masked"]), seeds)


@given(kinds())
def test_what_is_missing_takes_no_part_and_stays_missing_in_every_kind_of_stack(kind):
    dtype, missing, seed = kind
    rng = np.random.default_rng(seed)
    numbers = rng.integers(1, 100, (8, 2, 3))
    gone = rng.random(numbers.shape) < 0.3
    days = irregular(rng, 8)
    plain = np.where(gone & (missing != "none"), np.nan, numbers)
    expected = whittaker(plain, dates_from(days))
    stack = numbers.astype(dtype)
    if missing == "masked":
        given_ = np.ma.array(stack, mask=gone)
    elif missing == "nodata":
        stack[gone] = 0
        given_ = GeoTensor(stack, Affine.scale(10, -10), "EPSG:32631", 0)
    else:
        given_ = stack
    got = whittaker(given_, dates_from(days))
    assert type(got) is type(given_)
    numbers_out = got.filled(np.nan) if missing == "masked" else np.asarray(got)
    assert np.allclose(numbers_out, expected, equal_nan=True, atol=1e-5)


def test_filling_keeps_observations_and_says_what_it_filled():
    days = np.array([0.0, 5, 10, 15, 20, 60, 65, 70])
    series = np.array([np.nan, 1.0, np.nan, 3.0, np.nan, 5.0, 2.0, np.nan])
    filled, told = fill_gaps(series, dates_from(days), max_gap=12, smoothing=50, dtype="float64")
    seen = ~np.isnan(series)
    assert np.array_equal(filled[seen], series[seen])
    assert told.tolist() == [0, 0, 1, 0, 0, 0, 0, 0]
    assert np.array_equal(np.isnan(filled), ~seen & (told == 0))
    wide, told = fill_gaps(series, dates_from(days), max_gap=45, smoothing=50, dtype="float64")
    assert told.tolist() == [0, 0, 1, 0, 1, 0, 0, 0]
    curve = dense(series, days, 50, 2)
    assert np.allclose(wide[told == 1], curve[told == 1], atol=1e-9)


def test_dates_are_read_as_pandas_reads_them_and_in_utc():
    texts = ["2018-06-01T12:00:00+02:00", "2018-06-02"]
    expected = (pd.Timestamp("2018-06-01T10:00") - pd.Timestamp("2000-01-01")) / pd.Timedelta("1D")
    for given_ in (
        texts,
        pd.to_datetime(texts, utc=True, format="ISO8601"),
        pd.Series(pd.to_datetime(texts, utc=True, format="ISO8601")),
        np.array(["2018-06-01T10:00", "2018-06-02"], "datetime64[s]"),
    ):
        assert days_of(given_)[0] == expected
        assert date_texts(given_) == ("2018-06-01T10:00:00", "2018-06-02T00:00:00")
    days = days_of(["2018-06-01T10:20:30.123456", "2019-01-01"])
    assert (
        days_of(date_texts(["2018-06-01T10:20:30.123456", "2019-01-01"])).tolist() == days.tolist()
    )
    assert str(dates_of(days)[1]) == "2019-01-01T00:00:00"
    assert np.isnat(dates_of([np.nan])).all()


@pytest.mark.parametrize(
    ("dates", "error", "says"),
    [
        (["2018-01-02", "2018-01-01"], ValueError, "sort by date"),
        (["2018-01-01", "2018-01-01"], ValueError, "comes twice"),
        (["2018-01-01", None], ValueError, "step 1 is not"),
        (["2018-01-01", "harvest"], ValueError, "dates that pandas reads"),
        ([1, 2], TypeError, "got numbers"),
        (["2018-01-01"], ValueError, "1 dates need a stack"),
    ],
)
def test_dates_that_cannot_be_are_refused_by_name(dates, error, says):
    with pytest.raises(error, match=says):
        whittaker(np.zeros((2, 1, 1)), dates)


def test_other_bad_arguments_are_refused():
    dates = ["2018-01-01", "2018-01-02", "2018-01-03"]
    with pytest.raises(ValueError, match="smoothing must be"):
        Whittaker(dates, smoothing=-1)
    with pytest.raises(ValueError, match="max_gap"):
        FillGaps(dates, max_gap=0)
    with pytest.raises(ValueError, match="more than 3 dates"):
        whittaker(np.zeros((3, 1)), dates, order=3)
    scl = GeoTensor(
        np.zeros((3, 1, 2, 2), "uint8"), Affine.identity(), None, 0, {"band_names": ["SCL"]}
    )
    with pytest.raises(ValueError, match="no curve in time"):
        whittaker(scl, dates)


def test_a_tiled_run_is_the_run_of_the_whole():
    from geopatcher import SpatialBoxcar, SpatialPatcher, SpatialRectangular, SpatialRegularStride
    from geopatcher.run import map_patches

    rng = np.random.default_rng(0)
    stack = rng.random((10, 50, 37)).astype("float32")
    stack[rng.random(stack.shape) < 0.2] = np.nan
    scene = GeoTensor(stack, Affine(10, 0, 0, 0, -10, 500), "EPSG:32631", np.nan)
    operator = FillGaps(date_texts(dates_from(irregular(rng, 10))), max_gap=30)
    patcher = SpatialPatcher(
        SpatialRectangular(16, boundary="shrink"), SpatialRegularStride(16), SpatialBoxcar()
    )
    tiled = map_patches(patcher, scene, operator, progress=False)
    assert np.array_equal(np.asarray(tiled), np.asarray(operator(scene)), equal_nan=True)


def test_dates_may_be_a_coordinate_and_are_at_least_one():
    import xarray as xr

    dates = dates_from([0.0, 4.0, 9.5])
    series = xr.DataArray(np.zeros(3), dims="time", coords={"time": dates.astype("M8[ns]")})
    assert days_of(series.time).tolist() == days_of(dates).tolist()
    with pytest.raises(ValueError, match="at least one date"):
        whittaker(np.zeros((0, 3)), [])


def test_gaps_are_not_filled_from_a_curve_that_is_nowhere_else():
    with pytest.raises(ValueError, match="smoothing must be above 0 to fill"):
        fill_gaps(np.array([1.0, np.nan, 3.0]), dates_from([0.0, 1.0, 2.0]), 9, smoothing=0)
