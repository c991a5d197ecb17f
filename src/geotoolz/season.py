"""When a season starts, peaks and ends, from the curve of each pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from geotoolz.carrier import Raster
from geotoolz.function_operator import PerPixel, parameters_of
from geotoolz.series import Floats, date_texts, days_of, per_pixel
from pipekit.operator import checked_number

SEASON = ("start", "peak", "end", "base", "amplitude")
"""What `season` gives, in this order."""


def season(
    stack: Raster,
    dates: Any,
    share: float = 0.2,
    within: Any = None,
    dtype: DTypeLike = "float32",
) -> Raster:
    """Return the start, peak and end of the season of each pixel's curve.

    The peak is the highest value. The season starts where the curve, on its last way up to the
    peak, rises above its lowest value before it by `share` of the height between the two; it ends
    where the curve, on its first way down, comes within `share` of the lowest value after the peak
    (the amplitude thresholds of TIMESAT: Jonsson and Eklundh 2004,
    doi:10.1016/j.cageo.2004.05.006). Crossings lie on straight lines between neighbouring valid
    values; missing ones are passed over. Smooth a noisy series first, as by `whittaker`.

    Parameters
    ----------
    stack
        (T, ...) integers or floats, such as a vegetation index.
    dates
        (T,), as in `days_of`.
    share
        Of the amplitude, above 0 and below 1.
    within
        (first, last) date of the season, both included, a day to its end; all dates by default.
    dtype
        Of the result, a float type.

    Returns
    -------
    (5, ...) floats, as `SEASON` calls them: three days since 2000-01-01 (see `dates_of`), the mean
    of the two lowest values, and the peak's height above it. NaN where there is no such crossing,
    as when the season has begun before the first date.

    Examples
    --------
    >>> dates = [f"2000-01-{day:02}" for day in (1, 11, 21, 31)]
    >>> season(np.array([0.0, 0.0, 10.0, 0.0]), dates)
    array([12., 20., 28.,  0., 10.], dtype=float32)
    """
    first, last = (-np.inf, np.inf) if within is None else days_of(_window(within)).tolist()
    checked_number(share, "share", 0, 1, inside=True)

    def find(series: Floats, days: Floats) -> Floats:
        inside = np.where(((days >= first) & (days <= last))[:, None], series, np.nan)
        seen = ~np.isnan(inside)
        low, high = np.where(seen, inside, np.inf), np.where(seen, inside, -np.inf)
        top = high.argmax(axis=0)[None]
        peak = np.take_along_axis(high, top, 0)[0]
        step = np.arange(len(days))[:, None]
        lowest = [np.where(side, low, np.inf).min(axis=0) for side in (step < top, step > top)]
        with np.errstate(invalid="ignore"):
            rising, falling = (each + share * (peak - each) for each in lowest)
            start = _last_crossing(inside, days, step <= top, rising)
            back = slice(None, None, -1)
            end = _last_crossing(inside[back], days[back], (step >= top)[back], falling)
            base = (lowest[0] + lowest[1]) / 2
            found = np.stack([start, days[top[0]], end, base, peak - base])
        return np.where(seen.any(axis=0) & np.isfinite(found), found, np.nan)

    return per_pixel(stack, dates, find, dtype, SEASON)


def _last_crossing(series: Floats, days: Floats, inside: Any, level: Floats) -> Floats:
    """Return when each column last rises to a level among its steps that are inside."""
    when = np.full(series.shape[1], np.nan)
    value_before, day_before = when.copy(), when.copy()
    for values, day, counts in zip(series, days, inside, strict=True):
        rises = counts & (value_before < level) & (values >= level)
        part = (level - value_before) / np.where(rises, values - value_before, 1.0)
        when = np.where(rises, day_before + part * (day - day_before), when)
        seen = ~np.isnan(values)
        value_before = np.where(seen, values, value_before)
        day_before = np.where(seen, day, day_before)
    return when


def _window(within: Any) -> tuple[Any, Any]:
    """Return the first and last instant of a window of dates."""
    from geocatalog.interval import as_interval

    given = () if isinstance(within, str) else within
    ends = [end for end in map(as_interval, given) if end is not None]
    if len(given) != 2 or len(ends) != 2:
        raise ValueError(f"within must be (first, last) dates, got {within!r}")
    return ends[0].left, ends[1].right


class Season(PerPixel):
    """Start, peak and end of the season: `season` as an operator.

    Examples
    --------
    >>> dates = [f"2000-0{month}-01" for month in range(1, 6)]
    >>> Season(dates, share=0.5)(np.ones((5, 2, 2))).shape
    (5, 2, 2)
    """

    dates: Any
    within: Any

    @parameters_of(season)
    def __init__(self) -> None:
        self.dates = date_texts(self.dates)
        if self.within is not None:
            self.within = date_texts(_window(self.within))
        checked_number(self.share, "share", 0, 1, inside=True)
