"""The calendars of the CF conventions: days since a date, as the days that ours calls the same.

A model's calendar has no place on ours but by its names: 1 March of a year without leap days is our
1 March. A name that ours lacks (30 February) is refused, and so are dates of the Julian calendar,
whose names mean other days here.
"""

from __future__ import annotations

import numpy as np

from pipekit.pixels import GUIDE

_OURS = ("standard", "gregorian", "proleptic_gregorian")
_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LENGTHS = {
    "noleap": _MONTHS,
    "365_day": _MONTHS,
    "all_leap": (31, 29, *_MONTHS[2:]),
    "366_day": (31, 29, *_MONTHS[2:]),
    "360_day": (30,) * 12,
}
_GREGORIAN = "1582-10-15"
"""The first day of the Gregorian calendar; the standard calendar is Julian before it."""


def check_calendar(calendar: str, first: str) -> None:
    """Refuse a calendar that is not known, and dates of the Julian calendar.

    Parameters
    ----------
    calendar
        As CF names it.
    first
        The earliest date, as ISO text.

    Raises
    ------
    ValueError
        Names the calendar, and the way out.

    Examples
    --------
    >>> check_calendar("noleap", "0850-01-01")
    """
    if calendar in _LENGTHS or calendar == "proleptic_gregorian":
        return
    if calendar in _OURS and first >= _GREGORIAN:
        return
    if calendar in (*_OURS, "julian"):
        raise ValueError(
            f"calendar {calendar!r} has dates of the Julian calendar (from {first}), which are "
            "other days in ISO 8601; convert them: "
            f"dataset.convert_calendar('proleptic_gregorian') keeps their names; {GUIDE}"
        )
    raise ValueError(
        f"calendar {calendar!r} is not known; known are {', '.join((*_OURS, *_LENGTHS))}; {GUIDE}"
    )


def days_by_name(days: np.ndarray, calendar: str, origin: tuple[int, int, int]) -> np.ndarray:
    """Return days since a date of a calendar as days since 1970 of ours, by their names.

    Parameters
    ----------
    days
        (N,) int64, counted in the calendar.
    calendar
        As CF names it.
    origin
        (year, month, day) in the calendar.

    Returns
    -------
    (N,) int64.

    Raises
    ------
    ValueError
        For a date that our calendar does not have, and as `check_calendar`.

    Examples
    --------
    >>> days_by_name(np.array([59]), "noleap", (2024, 1, 1)).astype("datetime64[D]").tolist()
    [datetime.date(2024, 3, 1)]
    """
    year, month, day = origin
    lengths = _LENGTHS.get(calendar)
    if lengths is None:
        found = days + _ours(calendar, origin)
        if len(found):
            check_calendar(calendar, str(np.datetime64(int(found.min()), "D")))
        return found
    before = np.cumsum([0, *lengths])
    if not (1 <= month <= 12 and 1 <= day <= lengths[month - 1]):
        raise ValueError(f"calendar {calendar!r} has no date {year:04d}-{month:02d}-{day:02d}")
    years, in_year = np.divmod(days + year * before[-1] + before[month - 1] + day - 1, before[-1])
    months = np.searchsorted(before, in_year, side="right") - 1
    in_month = in_year - before[months]
    begin = (12 * (years - 1970) + months).astype("datetime64[M]")
    found = begin.astype("datetime64[D]") + in_month
    wrong = np.flatnonzero(found.astype("datetime64[M]") != begin)
    if len(wrong):
        name = f"{begin[wrong[0]]}-{in_month[wrong[0]] + 1:02d}"
        raise ValueError(
            f"calendar {calendar!r} has {name}, a date that ours does not have ({len(wrong)} such "
            "times); convert them: dataset.convert_calendar('standard', align_on='year') or "
            f"align_on='date'; {GUIDE}"
        )
    return found.astype(np.int64)


def _ours(calendar: str, origin: tuple[int, int, int]) -> int:
    """Return the day since 1970 of a date in a calendar of real days."""
    year, month, day = origin
    check_calendar(calendar, _GREGORIAN if calendar in _OURS else "the start")
    written = f"{year:04d}-{month:02d}-{day:02d}"
    if calendar != "proleptic_gregorian" and written < _GREGORIAN:
        # Many files count from the year 1 or 0 in the standard calendar, which is Julian then.
        a = (14 - month) // 12
        y, m = year + 4800 - a, month + 12 * a - 3
        return day + (153 * m + 2) // 5 + 365 * y + y // 4 - 32083 - 2_440_588
    return int(np.datetime64(written, "D").astype(np.int64))
