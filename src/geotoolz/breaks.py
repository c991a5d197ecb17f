"""Breaks in time: dates at which the level of a pixel's series steps up or down.

The waves of the year are fitted, and the residuals added up from each date on: where the level
steps, the sum leaves what chance allows (CUSUM: Brown, Durbin and Evans 1975; of residuals of
least squares: Ploberger and Krämer 1992). Divided by its own variance at each date, the squared sum
is the F statistic of a step there; its largest value tests for a break at an unknown date
(Andrews 1993, doi:10.2307/2951764).
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, gamma, log
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from geotoolz.carrier import Raster
from geotoolz.function_operator import PerPixel, parameters_of
from geotoolz.harmonics import harmonic_matrix, lower_triangle, solve_lower, solve_small
from geotoolz.series import YEAR, Floats, date_texts, days_of, per_pixel
from pipekit.operator import checked_count
from pipekit.result_size import check_size

BREAK = ("before", "after", "step")
"""What `find_breaks` tells of each break, in this order."""

_BLOCK = 2048  # pixels: their sums over time fit a cache
_LEFT = 1e-8  # of a step's observations that the waves and other steps must leave to it
_NOISE = 1e-14  # of a series' variance that is noise at least: rounding is no break


def find_breaks(
    stack: Raster,
    dates: Any,
    period: float = YEAR,
    harmonics: int = 2,
    trend: bool = False,
    level: float = 0.01,
    trim: float = 0.1,
    max_breaks: int = 1,
    dtype: DTypeLike = "float64",
) -> Raster:
    """Return the steps in the level of each pixel's series, and when they were.

    The likeliest step is found and tested; if it is one, it joins the fit and the next is sought.
    In a short series a step must be as improbable as in a long one. The test takes the
    observations' noise for independent: where it is not, as after a poor cloud mask, take a smaller
    `level`.

    Parameters
    ----------
    stack
        (T, ...) integers or floats.
    dates
        (T,), as in `days_of`.
    period, harmonics, trend
        Of the fit, as in `harmonic_fit`. Two cycles at least are needed to tell a step from a wave.
    level
        How often a series without a break may be told to have one, above 0 and below 0.5.
    trim
        Share of the observations that lie on each side of a break at least, below 0.5.
    max_breaks
        Breaks sought in each pixel.
    dtype
        Of the result, a float type; float32 tells days to 1.5 minutes.

    Returns
    -------
    (max_breaks, 3, ...) floats, in the order of time, NaN for no break: the days since 2000-01-01
    of the last observation before it and of the first one after it (see `dates_of`), and the step
    in the stack's units.

    Examples
    --------
    >>> dates = [f"{2000 + m // 12}-{1 + m % 12:02}-01" for m in range(48)]
    >>> series = np.where(np.arange(48) < 30, 0.8, 0.3) + 0.01 * (-1) ** np.arange(48)
    >>> from geotoolz.series import dates_of
    >>> before, after, step = find_breaks(series, dates, harmonics=1)[0]
    >>> str(dates_of(after))[:10], step.round(2)
    ('2002-07-01', np.float64(-0.5))
    """
    checked_count(max_breaks, "max_breaks")
    _check_chances(level, trim)
    columns = harmonic_matrix(days_of(dates), period, harmonics, trend)
    check_size((max_breaks, 3, *np.shape(stack)[1:]), np.float64, "find_breaks")

    def find(series: Floats, days: Floats) -> Floats:
        return _steps_of(series, days, columns, level, trim, max_breaks)

    return per_pixel(stack, dates, find, dtype, BREAK, _BLOCK)


def _steps_of(
    series: Floats, days: Floats, columns: Floats, level: float, trim: float, most: int
) -> Floats:
    """Return (most, 3, n): steps of (T, n) series that pass the test, sorted by date."""
    steps, count = series.shape
    seen = ~np.isnan(series)
    rank = np.cumsum(seen, axis=0)
    # Around the mean: squares of large levels would lose the digits that differ.
    mean = np.where(seen, series, 0.0).sum(axis=0) / np.maximum(rank[-1], 1)
    numbers = np.where(seen, series - mean, 0.0)
    near = np.maximum(np.ceil(trim * rank[-1]), 1.0)
    allowed = seen & (rank > near) & (rank <= rank[-1] - near + 1)
    design = np.where(seen[:, None], columns[:, :, None], 0.0)
    at = np.full((most, count), steps)
    open_ = np.arange(count)
    for number in range(most):
        f, when = _largest_f(numbers[:, open_], seen[:, open_], design, allowed[:, open_])
        found = f > _limits(level, trim, rank[-1, open_] - design.shape[1] - 1)
        open_, when, design = open_[found], when[found], design[..., found]
        if not len(open_):
            break
        at[number, open_] = when
        after = (np.arange(steps)[:, None] >= when) & seen[:, open_]
        design = np.concatenate([design, after[:, None]], axis=1)
        own = np.take_along_axis(rank[:, open_], when[None], axis=0)
        allowed[:, open_] &= np.abs(rank[:, open_] - own) >= near[open_]
    return _described(numbers, seen, days, columns, np.sort(at, axis=0))


def _largest_f(
    numbers: Floats, seen: Any, design: Floats, allowed: Any
) -> tuple[Floats, np.ndarray[Any, Any]]:
    """Return the largest F of a step at an allowed date, (n,), and at which; -inf where none is.

    A step from a date on is what the residuals add up to from there; what the other columns leave
    of it is known from sums of theirs, so that no date needs a fit of its own.
    """
    normal = np.einsum("tkn,tln->kln", design, design)
    factor, singular = lower_triangle(normal)
    right = solve_lower(factor, np.einsum("tkn,tn->kn", design, numbers)[:, None])[:, 0]
    squares = np.einsum("tn,tn->n", numbers, numbers)
    whole = squares - np.einsum("kn,kn->n", right, right)
    sums = np.cumsum(
        np.concatenate([design, numbers[:, None], seen[:, None]], axis=1)[::-1], axis=0
    )
    sums = sums[::-1].transpose(1, 0, 2)
    told = solve_lower(factor, sums[:-2])
    left = sums[-1] - np.einsum("ktn,ktn->tn", told, told)
    gain = sums[-2] - np.einsum("ktn,kn->tn", told, right)
    fits = allowed & ~singular & (left > _LEFT * sums[-1])
    freedom = seen.sum(axis=0) - len(normal) - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.where(fits, gain * gain / left, -np.inf)
        f = gain / (np.maximum(whole - gain, _NOISE * squares) / freedom)
    f = np.where(fits & (freedom > 0) & ~np.isnan(f), f, -np.inf)
    when = f.argmax(axis=0)
    return np.take_along_axis(f, when[None], axis=0)[0], when


def _described(
    numbers: Floats, seen: Any, days: Floats, columns: Floats, at: np.ndarray[Any, Any]
) -> Floats:
    """Return (most, 3, n): the days around each step, and its height in the fit of all."""
    steps, (most, count) = len(days), at.shape
    out = np.full((most, 3, count), np.nan)
    before = np.maximum.accumulate(np.where(seen, np.arange(steps)[:, None], -1))
    totals = (at < steps).sum(axis=0)
    for total in range(1, most + 1):
        with_so_many = np.flatnonzero(totals == total)
        when, known = at[:total, with_so_many], seen[:, with_so_many]
        after = (np.arange(steps)[:, None, None] >= when) & known[:, None]
        waves = np.where(known[:, None], columns[:, :, None], 0.0)
        design = np.concatenate([waves, after], axis=1)
        right = np.einsum("tkn,tn->kn", design, numbers[:, with_so_many])
        fit = solve_small(np.einsum("tkn,tln->kln", design, design), right[:, None])[:, 0]
        last = np.take_along_axis(before[:, with_so_many], when - 1, axis=0)
        out[:total, :, with_so_many] = np.stack([days[last], days[when], fit[-total:]], axis=1)
    return out


@lru_cache(maxsize=64)
def critical_value(level: float, trim: float) -> float:
    """Return what the largest F of a step exceeds by chance as often as `level` says.

    From the tail of the supremum of a squared Brownian bridge over its variance (DeLong 1981; the
    form is that of Estrella 2003, doi:10.1017/S0266466603196107). With `trim` 0.15 it is 7.09, 8.71
    and 12.30 at 10, 5 and 1 %, where Andrews' simulation gave 7.12, 8.68 and 12.16 (2003,
    doi:10.1111/1468-0262.00405).

    Parameters
    ----------
    level
        Chance of a false alarm, above 0 and below 0.5.
    trim
        Share of the observations on each side that no break lies in.

    Returns
    -------
    A number without a unit.

    Examples
    --------
    >>> round(critical_value(0.05, 0.15), 1)
    8.7
    """
    from scipy.optimize import brentq

    span = 2 * log((1 - trim) / trim)

    def chance(value: float) -> float:
        tail = (value / 2) ** 0.5 * exp(-value / 2) / gamma(0.5)
        return tail * ((1 - 1 / value) * span + 2 / value)

    return float(brentq(lambda value: chance(value) - level, 2.0, 200.0))


def _limits(level: float, trim: float, freedom: np.ndarray[Any, Any]) -> Floats:
    """Return what the largest F must exceed, (n,), for so many degrees of freedom, (n,).

    At each one date an F of few degrees of freedom exceeds it as rarely as one of many exceeds the
    critical value, which is that of long series.
    """
    from scipy.special import ndtr, stdtrit

    tail = ndtr(-(critical_value(level, trim) ** 0.5))
    limits: Floats = stdtrit(np.maximum(freedom, 1), tail) ** 2  # with one numerator F is t squared
    return limits


def _check_chances(level: float, trim: float) -> None:
    if not 1e-12 <= level < 0.5:
        raise ValueError(f"level must lie between 0 and 0.5, such as 0.01, got {level}")
    if not 0.01 <= trim < 0.45:
        raise ValueError(f"trim must lie between 0.01 and 0.45, got {trim}")


class FindBreaks(PerPixel):
    """Steps in the level of each pixel's series: `find_breaks` as an operator.

    Examples
    --------
    >>> dates = [f"{2000 + m // 12}-{1 + m % 12:02}-01" for m in range(48)]
    >>> FindBreaks(dates)(np.random.default_rng(0).normal(size=(48, 2, 2))).shape
    (1, 3, 2, 2)
    """

    dates: Any

    @parameters_of(find_breaks)
    def __init__(self) -> None:
        self.dates = date_texts(self.dates)
        harmonic_matrix(np.zeros(1), self.period, self.harmonics, self.trend)
        checked_count(self.max_breaks, "max_breaks")
        _check_chances(self.level, self.trim)
