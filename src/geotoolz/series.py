"""Curves in time: (T, ...) stacks with irregular dates, smoothed and filled.

Time is the first axis. What is missing (NaN, nodata, hidden by a mask) takes no part in a fit and
stays missing in a smoothed curve; only `fill_gaps` fills, and it tells what it filled. All of it
works pixel by pixel, so that a scene may be cut into chips.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from geotoolz.bands import coded_bands
from geotoolz.carrier import NAN, Raster, fill_of, float_dtype, rewrap, values_of
from geotoolz.function_operator import PerPixel, parameters_of
from pipekit.operator import checked_count, checked_number
from pipekit.pixels import GUIDE, invalid_mask

Floats = NDArray[np.float64]

EPOCH = np.datetime64("2000-01-01", "us")
"""Day 0 of all days that are numbers here."""

YEAR = 365.25
"""Days."""

_DAY = np.timedelta64(1, "D") / np.timedelta64(1, "us")
_BLOCK = 2**20  # numbers of a stack worked on at a time: 8 MiB


def days_of(dates: Any) -> Floats:
    """Return dates as days since 2000-01-01 UTC.

    Parameters
    ----------
    dates
        (T,) what pandas reads as dates: texts, `datetime64`, timestamps. Those without a zone are
        in UTC. They rise, and none comes twice.

    Returns
    -------
    (T,) float64, days.

    Raises
    ------
    TypeError
        For numbers, whose unit and beginning nobody said.
    ValueError
        For what is no date, is not known, comes twice or is out of order; it names the first.

    Examples
    --------
    >>> days_of(["2000-01-02", "2000-02-01T12:00:00"])
    array([ 1. , 31.5])
    """
    return np.asarray((_stamps(dates) - EPOCH).astype(np.int64) / _DAY)


def _stamps(dates: Any) -> NDArray[np.datetime64]:
    """Return dates in UTC, checked as `days_of` says."""
    import pandas as pd

    known = isinstance(dates, pd.Series | pd.Index)
    given = pd.Index(dates if known else list(getattr(dates, "values", dates)))
    if not len(given):
        raise ValueError("dates must hold at least one date, got none")
    if given.dtype.kind in "iufb":
        raise TypeError(f"dates must be dates, got numbers such as {given[0]!r}; give ISO texts")
    try:
        index = pd.DatetimeIndex(pd.to_datetime(given, utc=True, format="ISO8601"))
    except (ValueError, TypeError) as error:
        raise ValueError(f"dates must be dates that pandas reads: {error}") from None
    if index.hasnans:
        step = int(np.flatnonzero(index.isna())[0])
        raise ValueError(f"dates must all be known, step {step} is not; leave it out of the stack")
    stamps = index.tz_localize(None).to_numpy("datetime64[us]")
    wrong = np.flatnonzero(stamps[1:] <= stamps[:-1])
    if wrong.size:
        step = int(wrong[0])
        before, after = np.datetime_as_string(stamps[step : step + 2], unit="s")
        twice = "comes twice; make one raster of those of a date, such as by Mosaic()"
        why = twice if before == after else f"at step {step} is followed by {after}; sort by date"
        raise ValueError(f"dates must rise: {before} {why}")
    return stamps


def dates_of(days: Any) -> NDArray[np.datetime64]:
    """Return days since 2000-01-01 as dates to the second; NaN becomes NaT.

    Parameters
    ----------
    days
        Numbers of any shape, as `season` and `find_breaks` give them.

    Returns
    -------
    `datetime64[s]` of the same shape.

    Examples
    --------
    >>> dates_of([31.5, float("nan")])
    array(['2000-02-01T12:00:00',                 'NaT'], dtype='datetime64[s]')
    """
    numbers = np.asarray(days, float)
    known = np.isfinite(numbers)
    seconds = np.rint(np.where(known, numbers, 0) * 86_400).astype("timedelta64[s]")
    dates = EPOCH.astype("datetime64[s]") + seconds
    return np.where(known, dates, np.datetime64("NaT", "s"))


def date_texts(dates: Any) -> tuple[str, ...]:
    """Return dates as ISO texts in UTC, which an operator's config can hold.

    Parameters
    ----------
    dates
        As in `days_of`.

    Returns
    -------
    (T,) texts.

    Examples
    --------
    >>> date_texts(np.array(["2018-06-01"], "datetime64[D]"))
    ('2018-06-01T00:00:00',)
    """
    texts = np.datetime_as_string(_stamps(dates), unit="us").tolist()
    return tuple(text.removesuffix(".000000") for text in texts)


def per_pixel(
    stack: Raster,
    dates: Any,
    compute: Callable[[Floats, Floats], Floats],
    dtype: DTypeLike,
    names: Sequence[str] | None = None,
    pixels: int | None = None,
) -> Raster:
    """Run a function on every pixel's series, by blocks of pixels.

    Parameters
    ----------
    stack
        (T, ...), such as (T, H, W) or (T, C, H, W), of integers or floats.
    dates
        (T,), as in `days_of`.
    compute
        Takes (T, n) float64, NaN where missing, and days (T,); returns (..., n).
    dtype
        Of the result, a float type.
    names
        What the numbers on the result's last axis before the pixels are called.
    pixels
        Of a block; by default as many as 8 MiB hold.

    Returns
    -------
    What `compute` returned, n being the shape of the stack behind time, NaN where it has no answer.

    Raises
    ------
    ValueError
        For dates that are not as many as the stack's steps, and for classes, bits and masks, which
        have no curve.

    Examples
    --------
    >>> stack = np.array([[1.0, 5.0], [2.0, np.nan]])
    >>> per_pixel(stack, ["2020-01-01", "2020-01-02"], lambda y, t: y[-1:] - y[:1], "float32")
    array([[ 1., nan]], dtype=float32)
    """
    values, days, kind = values_of(stack), days_of(dates), float_dtype(dtype)
    if values.dtype.kind not in "iuf":
        raise TypeError(f"a series is of integers or floats, got {values.dtype.name}")
    if len(values.shape) < 1 or len(values) != len(days):
        raise ValueError(
            f"{len(days)} dates need a stack with as many steps on its first axis, got the shape "
            f"{values.shape}"
        )
    codes = coded_bands(stack if values.ndim > 3 else rewrap(stack, values[0]))
    if codes:
        raise ValueError(
            f"bands of classes, bits and masks have no curve in time, got {codes}; take them out "
            f"with SelectBands, after ApplyMask where they mark clouds; {GUIDE}"
        )
    flat, fill, out = values.reshape(len(days), -1), fill_of(stack), None
    step = pixels or max(1, _BLOCK // len(days))
    for first in range(0, max(flat.shape[1], 1), step):
        block = flat[:, first : first + step]
        numbers = block.astype(np.float64)
        missing = invalid_mask(block, fill)
        if missing is not None:
            numbers[missing] = np.nan
        numbers[np.isinf(numbers)] = np.nan
        made = compute(numbers, days)
        if out is None:
            out = np.empty((*made.shape[:-1], flat.shape[1]), kind)
        out[..., first : first + step] = made
    assert out is not None
    shaped = out.reshape(*out.shape[:-1], *values.shape[1:])
    attrs = {"band_names": list(names)} if names and values.ndim == 3 else None
    return rewrap(stack, shaped, fill=NAN, attrs=attrs)


def whittaker(
    stack: Raster,
    dates: Any,
    smoothing: float = 1000.0,
    order: int = 2,
    dtype: DTypeLike = "float32",
) -> Raster:
    """Return each pixel's series smoothed; what is missing takes no part, and stays missing.

    The curve z minimises the sum of (y - z)^2 over the observations plus `smoothing` times the sum
    of the squared differences of the given order of z (Whittaker 1923; Eilers 2003,
    doi:10.1021/ac034173t), for uneven dates divided differences. Each is weighted by the days that
    it spans, so that `smoothing` means the same however dense the dates are: with an observation
    each D days a wave of 2 pi (smoothing D)^(1/4) days keeps half of its height (order 2).

    Parameters
    ----------
    stack
        (T, ...) integers or floats.
    dates
        (T,), as in `days_of`.
    smoothing
        Weight of smoothness, at least 0; for order 2 in days^3.
    order
        Of the differences; 2 leaves straight lines as they are.
    dtype
        Of the result, a float type.

    Returns
    -------
    (T, ...) floats, NaN where there was no observation, and for pixels with less of them than
    `order`.

    Examples
    --------
    >>> dates = ["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-09"]
    >>> whittaker(np.array([1.0, 3.0, np.nan, 17.0]), dates).round(2)
    array([ 1.,  3., nan, 17.], dtype=float32)
    """

    def smooth(series: Floats, days: Floats) -> Floats:
        return np.where(np.isnan(series), np.nan, smooth_curve(series, days, smoothing, order))

    _check_smoothing(smoothing, order)
    return per_pixel(stack, dates, smooth, dtype)


def fill_gaps(
    stack: Raster,
    dates: Any,
    max_gap: float,
    smoothing: float = 1000.0,
    order: int = 2,
    dtype: DTypeLike = "float32",
) -> Raster:
    """Return each pixel's series with short gaps filled from its smooth curve, and what was filled.

    Observations are kept as they are. Nothing is filled before the first and after the last.

    Parameters
    ----------
    stack
        (T, ...) integers or floats.
    dates
        (T,), as in `days_of`.
    max_gap
        Days between the observations around a gap, at most, for it to be filled.
    smoothing, order
        Of the curve, as in `whittaker`.
    dtype
        Of the result, a float type.

    Returns
    -------
    (2, T, ...) floats: the series, and 1 where it was filled, else 0.

    Examples
    --------
    >>> dates = ["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-09"]
    >>> series, filled = fill_gaps(np.array([1.0, np.nan, 5.0, np.nan]), dates, max_gap=3)
    >>> series, filled
    (array([ 1.,  3.,  5., nan], dtype=float32), array([0., 1., 0., 0.], dtype=float32))
    """

    def fill(series: Floats, days: Floats) -> Floats:
        curve = smooth_curve(series, days, smoothing, order)
        missing = np.isnan(series)
        when = days[:, None]
        before = np.maximum.accumulate(np.where(missing, -np.inf, when))
        after = np.minimum.accumulate(np.where(missing, np.inf, when)[::-1])[::-1]
        filled = missing & (after - before <= max_gap) & np.isfinite(curve)
        return np.stack([np.where(filled, curve, series), filled])

    _check_smoothing(smoothing, order, max_gap)
    return per_pixel(stack, dates, fill, dtype)


def _check_smoothing(smoothing: float, order: int, max_gap: float | None = None) -> None:
    checked_count(order, "order")
    if max_gap is not None and not max_gap > 0:
        raise ValueError(f"max_gap must be days above 0, got {max_gap}")
    checked_number(smoothing, "smoothing", 0)
    if max_gap is not None and smoothing == 0:
        raise ValueError("smoothing must be above 0 to fill gaps, got 0; use a small one, as 0.01")


def smooth_curve(series: Floats, days: Floats, smoothing: float, order: int) -> Floats:
    """Return the Whittaker curve of each column at every date, observed or not.

    Only the diagonal of the system differs between pixels; it is solved by an L D L' decomposition
    of its band, for all pixels at once.

    Parameters
    ----------
    series
        (T, n), NaN where missing.
    days
        (T,), rising.
    smoothing, order
        As in `whittaker`.

    Returns
    -------
    (T, n), NaN for columns with less than `order` observations.

    Examples
    --------
    >>> smooth_curve(np.array([[0.0], [np.nan], [4.0]]), np.array([0.0, 1.0, 4.0]), 10.0, 2).ravel()
    array([0., 1., 4.])
    """
    if len(days) <= order:
        raise ValueError(f"smoothing of order {order} needs more than {order} dates")
    seen = ~np.isnan(series)
    poor = seen.sum(axis=0) < order
    band = smoothing * penalty(days, order)
    if smoothing == 0:
        return np.where(poor, np.nan, series)
    steps, count = series.shape
    weights = np.where(poor, 1.0, seen)
    pivots = np.empty((steps, count))
    below = np.zeros((order, steps, count))  # below[k - 1, i] is L[i, i - k]
    curve = np.where(seen, series, 0.0)
    for row in range(steps):
        reach = min(row, order)
        pivot = band[0, row] + weights[row]
        for k in range(reach, 0, -1):
            entry = np.full(count, band[k, row - k])
            for m in range(k + 1, reach + 1):
                entry -= below[m - 1, row] * below[m - k - 1, row - k] * pivots[row - m]
            entry /= pivots[row - k]
            below[k - 1, row] = entry
            curve[row] -= entry * curve[row - k]
            pivot = pivot - entry * entry * pivots[row - k]
        pivots[row] = pivot
    curve /= pivots
    for row in range(steps - 1, 0, -1):
        for k in range(1, min(row, order) + 1):
            curve[row - k] -= below[k - 1, row] * curve[row]
    curve[:, poor] = np.nan
    return curve


def penalty(days: Floats, order: int) -> Floats:
    """Return the band of the roughness matrix of a curve at uneven dates.

    It is D' H D, where D takes `order`! times the divided differences and H is how many days each
    spans, over `order`: close to the integral of the squared derivative.

    Parameters
    ----------
    days
        (T,), rising.
    order
        Of the differences.

    Returns
    -------
    (order + 1, T): row k holds what stands k places beside the diagonal, from its first row on.

    Examples
    --------
    >>> penalty(np.arange(4.0), 1)
    array([[ 1.,  2.,  2.,  1.],
           [-1., -1., -1.,  0.]])
    """
    steps = len(days)
    around = np.arange(steps - order)[:, None] + np.arange(order + 1)
    apart = days[around][:, :, None] - days[around][:, None, :]
    apart[:, np.arange(order + 1), np.arange(order + 1)] = 1.0
    difference = math.factorial(order) / apart.prod(axis=2)
    spans = (days[order:] - days[:-order]) / order
    band = np.zeros((order + 1, steps))
    for i in range(order + 1):
        for k in range(order + 1 - i):
            band[k, i : i + steps - order] += spans * difference[:, i] * difference[:, i + k]
    return band


class Whittaker(PerPixel):
    """Smoothed series, missing ones staying missing: `whittaker` as an operator.

    Examples
    --------
    >>> Whittaker(["2020-01-01", "2020-01-02", "2020-01-03"])(np.ones((3, 2, 2))).shape
    (3, 2, 2)
    """

    dates: Any

    @parameters_of(whittaker)
    def __init__(self) -> None:
        self.dates = date_texts(self.dates)
        _check_smoothing(self.smoothing, self.order)


class FillGaps(PerPixel):
    """Series with short gaps filled, and where they were: `fill_gaps` as an operator.

    Examples
    --------
    >>> FillGaps(["2020-01-01", "2020-01-02", "2020-01-03"], max_gap=5)(np.ones((3, 2, 2))).shape
    (2, 3, 2, 2)
    """

    dates: Any

    @parameters_of(fill_gaps)
    def __init__(self) -> None:
        self.dates = date_texts(self.dates)
        _check_smoothing(self.smoothing, self.order, self.max_gap)
