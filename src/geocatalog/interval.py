"""Time by one rule: UTC, closed at both ends, microseconds; a date covers its whole day.

- A timestamp without a zone is UTC; one with a zone is converted.
- An interval holds both its ends: two intervals that share an instant overlap.
- Text, a `datetime.date`, a `pd.Period` or a `np.datetime64` that names a year, month, week or day
  covers all of it, to the last microsecond; a `datetime` or a `pd.Timestamp` is an instant, even at
  midnight.
- A missing end (None, NaT, "..") is open, not a date: an undated file matches every time.
- Years run from 1 to 9999. An interval object writes an open end as the first or last of them.

Microseconds are what Parquet's common timestamp and DuckDB keep, so that both backends agree.

Text is ISO 8601. A date may be a year, a month, a day, a week ("2024-W23"), a day of a week or of a
year ("2024-153"). An interval's end may leave out what it shares with the start ("2019-05-01/03"),
and either end may be a duration ("2019-05/P2M") or open ("2019/..").
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from pandas.api.types import is_scalar

from geocatalog.calendars import check_calendar
from geocatalog.errors import CatalogError

_DATE = re.compile(
    r"(?P<year>\d{4})(?:-?W(?P<week>\d\d)(?:-?(?P<weekday>\d))?|-?(?P<month>\d\d)(?:-?(?P<day>\d\d))?"
    r"|-(?P<month1>\d{1,2})(?:-(?P<day1>\d{1,2}))?|-?(?P<yearday>\d{3}))?"
)
_ZONE = r"(?:Z|z| ?UTC|[+-]\d\d(?::?\d\d)?)"
_TIME = re.compile(
    r"(?P<hour>\d\d)(?::?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?)?"
    rf"(?P<zone>{_ZONE})?"
)
_DURATION = re.compile(
    r"P(?=.)(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?"
)
_DAY = 86_400_000_000
TimeLike: TypeAlias = Any

OPEN_START = np.iinfo(np.int64).min
"""Packed value of a start that is not known: before everything."""

OPEN_END = np.iinfo(np.int64).max
"""Packed value of an end that is not known: after everything."""


def as_utc(value: TimeLike) -> pd.Timestamp:
    """Return an instant in UTC, in microseconds; a missing value gives NaT.

    Parameters
    ----------
    value
        ISO 8601 text, a datetime, a timestamp, or a missing value.

    Returns
    -------
    The instant; one without a zone is read as UTC, and a whole day gives its first microsecond.

    Raises
    ------
    CatalogError
        For what is no time; numbers are refused, since their unit is not known, and so is text that
        can be read in two ways, such as 01/06/2024.

    Examples
    --------
    >>> as_utc("2024-06-01T12:00:00+02:00")
    Timestamp('2024-06-01 10:00:00+0000', tz='UTC')
    """
    if _is_open(value):
        return pd.Timestamp("NaT")
    return stamp_of(_covered(value)[0])


def stamp_of(microseconds: int) -> pd.Timestamp:
    """Return whole microseconds since 1970 as a UTC timestamp.

    Parameters
    ----------
    microseconds
        Since 1970, in UTC.

    Returns
    -------
    The instant.

    Examples
    --------
    >>> stamp_of(0)
    Timestamp('1970-01-01 00:00:00+0000', tz='UTC')
    """
    return pd.Timestamp(np.datetime64(int(microseconds), "us"), tz="UTC")


def _covered(value: TimeLike) -> tuple[int, int]:
    """Return (first, last) microsecond that `value` names."""
    if getattr(value, "shape", None) == ():  # an element of an array or a `DataArray`
        value = np.asarray(value)[()]
    if isinstance(value, Real):
        raise CatalogError(f"not a time: {value!r}; write dates as text, such as '{value}'")
    try:
        first, last = _named(value)
        if not EARLIEST <= first <= last <= LATEST:
            raise OverflowError("years run from 1 to 9999")
    except (ValueError, TypeError, OverflowError) as error:
        raise CatalogError(
            f"not a time: {value!r} ({error}); give ISO 8601 text, a datetime or a timestamp"
        ) from error
    return first, last


def _named(value: TimeLike) -> tuple[int, int]:
    if isinstance(value, dt.datetime):
        # A naive timestamp's count is what it would be in UTC, which is how it is read.
        moment = pd.Timestamp(value).to_datetime64()
        return (int(moment.astype("datetime64[us]").astype(np.int64)),) * 2
    if isinstance(value, str | dt.date):
        return covered(str(value))
    if isinstance(value, np.datetime64):
        if not 1 <= int(value.astype("datetime64[Y]").astype(int)) + 1970 <= 9999:
            raise OverflowError("years run from 1 to 9999")
        one = int(np.datetime_data(value.dtype)[0] in ("Y", "M", "W", "D"))
        ends = np.array([value, value + one]).astype("datetime64[us]").astype(np.int64)
        return int(ends[0]), int(ends[1]) - one
    if isinstance(value, pd.Period):
        return value.asfreq("us", "start").ordinal, value.asfreq("us", "end").ordinal
    if isinstance(getattr(value, "calendar", None), str):
        text = value.isoformat()
        check_calendar(value.calendar, text)
        return covered(text)
    raise TypeError(type(value).__name__)


def as_interval(value: TimeLike) -> pd.Interval | None:
    """Return a closed UTC interval from a pair, an interval, ISO text `a/b`, or one time.

    `None` stays None (any time). A missing value or `".."` at one end leaves that end open: the
    interval then begins with the year 1, or ends with 9999.

    Parameters
    ----------
    value
        A pair, `pd.Interval`, slice, ISO text "a/b" in any of the standard's forms, or one date or
        instant; None is any time.

    Returns
    -------
    The interval, or None.

    Raises
    ------
    CatalogError
        When the interval ends before it starts.

    Examples
    --------
    >>> print(as_interval(("2024-06-01", "2024-06-30")).right)
    2024-06-30 23:59:59.999999+00:00
    >>> as_interval("2024-06/2024-07") == as_interval(("2024-06-01", "2024-07-31"))
    True
    """
    if _is_open(value):
        return None
    return interval_of(*pack_time(value))


def interval_of(first: int, last: int) -> pd.Interval:
    """Return the closed UTC interval between two counts of microseconds since 1970.

    `OPEN_START` and `OPEN_END` are written as the first and the last microsecond of the years that
    can be written, 1 to 9999, and read back as open by `pack_time`.

    Parameters
    ----------
    first, last
        Microseconds since 1970, in UTC.

    Returns
    -------
    The interval.

    Examples
    --------
    >>> print(interval_of(0, 1_000_000).right)
    1970-01-01 00:00:01+00:00
    """
    ends = stamp_of(max(first, EARLIEST)), stamp_of(min(last, LATEST))
    return pd.Interval(*ends, closed="both")


def iso_ends(times: pd.Interval | None) -> list[str] | None:
    """Return an interval's two ends as ISO text; None stays None.

    Parameters
    ----------
    times
        A closed interval, or None.

    Returns
    -------
    [first, last], or None.

    Examples
    --------
    >>> iso_ends(interval_of(0, 0))
    ['1970-01-01T00:00:00+00:00', '1970-01-01T00:00:00+00:00']
    """
    return None if times is None else [times.left.isoformat(), times.right.isoformat()]


def pack_time(value: TimeLike) -> tuple[int, int]:
    """Return (start, end) in whole microseconds since 1970; forms as in `as_interval`.

    Makes no pandas object, which is most of the cost of a query otherwise.

    Parameters
    ----------
    value
        As in `as_interval`.

    Returns
    -------
    Two int; `OPEN_START` and `OPEN_END` for any time.

    Raises
    ------
    CatalogError
        For what is no time, and an interval that ends before it starts.

    Examples
    --------
    >>> pack_time("1970-01-01")
    (0, 86399999999)
    """
    if _is_open(value):
        return OPEN_START, OPEN_END
    opening, closing = _ends(value)
    first = EARLIEST if _is_open(opening) else _covered(opening)[0]
    last = LATEST if _is_open(closing) else _covered(closing)[1]
    if last < first:
        raise CatalogError(
            f"an interval must not end before it starts, got {stamp_of(first)} to "
            f"{stamp_of(last)}; swap its ends"
        )
    return OPEN_START if first == EARLIEST else first, OPEN_END if last == LATEST else last


EARLIEST = int(np.datetime64("0001-01-01", "us").astype(np.int64))
"""The first microsecond that can be written; an interval that begins with it has an open start."""

LATEST = int(np.datetime64("9999-12-31T23:59:59.999999", "us").astype(np.int64))
"""The last microsecond that can be written; an interval that ends with it has an open end."""


def _is_open(end: TimeLike) -> bool:
    if isinstance(end, str):
        return end.strip() in ("", "..", "NaT")
    return end is None or bool(is_scalar(end) and pd.isna(end))


def _ends(value: TimeLike) -> tuple[TimeLike, TimeLike]:
    if isinstance(value, pd.Interval):
        return value.left, value.right
    if isinstance(value, str) and "/" in value:
        try:
            return interval_ends(value)
        except ValueError as error:
            raise CatalogError(
                f"not an interval: {value!r} ({error}); write start/end in ISO 8601"
            ) from error
    if isinstance(value, slice):
        value = (value.start, value.stop)
    if isinstance(value, list | tuple | pd.Index) or getattr(value, "ndim", 0) > 0:
        if len(value) != 2:
            raise CatalogError(f"time must be one instant or a pair (start, end), got {value!r}")
        return value[0], value[1]
    return value, value


def pack_column(column: pd.Series, missing: int) -> np.ndarray:
    """Return a UTC timestamp column as (N,) int64 microseconds, missing ones as `missing`.

    Parameters
    ----------
    column
        Timestamps with a zone.
    missing
        What stands for a time that is not known.

    Returns
    -------
    (N,) int64.

    Examples
    --------
    >>> pack_column(pd.Series(pd.to_datetime(["1970-01-01", None], utc=True)), -1)
    array([ 0, -1])
    """
    values = column.dt.as_unit("us").to_numpy(dtype="datetime64[us]").astype(np.int64)
    values[column.isna().to_numpy()] = missing
    return values


def unpack_column(values: np.ndarray) -> pd.Series:
    """Return (N,) int64 microseconds as a UTC timestamp column; open ends become NaT.

    Parameters
    ----------
    values
        (N,) int64; `OPEN_START` and `OPEN_END` are times that are not known.

    Returns
    -------
    (N,) timestamps in UTC, microseconds.

    Examples
    --------
    >>> unpack_column(np.array([0, OPEN_END])).isna().tolist()
    [False, True]
    """
    stamps = values.astype("datetime64[us]")
    stamps[(values == OPEN_START) | (values == OPEN_END)] = np.datetime64("NaT")
    return pd.Series(stamps).dt.tz_localize("UTC")


def utc_column(values: Any, *, end: bool = False) -> pd.Series:
    """Return a column of times as UTC microseconds, naive ones read as UTC.

    Text and dates that name a day, month or year give its first microsecond, or with `end` its
    last.

    Parameters
    ----------
    values
        (N,) text, dates, datetimes or timestamps; missing ones are None, NaN or NaT.
    end
        Whether the last microsecond of a day, month or year is meant.

    Returns
    -------
    (N,) timestamps in UTC, microseconds.

    Examples
    --------
    >>> utc_column(["2024-06-01T02:00:00+02:00", None]).dtype
    datetime64[us, UTC]
    """
    series = pd.Series(values).reset_index(drop=True)
    if not isinstance(series.dtype, pd.DatetimeTZDtype) and series.dtype.kind != "M":
        stamps = [pd.NaT if _is_open(value) else stamp_of(_covered(value)[end]) for value in series]
        series = pd.Series(stamps, dtype="datetime64[us, UTC]")
    if series.dt.tz is None:
        series = series.dt.tz_localize("UTC")
    return series.dt.tz_convert("UTC").dt.as_unit("us")


@lru_cache(maxsize=1024)
def covered(text: str) -> tuple[int, int]:
    """Return the first and the last microsecond that a date or a time names.

    Parameters
    ----------
    text
        ISO 8601; a time without a zone is UTC, a leap second ends its minute.

    Returns
    -------
    Two int, since 1970; the same for a time of day, which is an instant.

    Raises
    ------
    ValueError
        For text that is no date, or a date that the calendar does not have.

    Examples
    --------
    >>> covered("1970-01-01"), covered("1970-01-01T01:00+01:00")
    ((0, 86399999999), (0, 0))
    """
    text = text.strip()
    day, _, clock = re.sub(r"(?<=\d)[T t]\s*(?=\d)", "T", text, count=1).partition("T")
    found = _DATE.fullmatch(day)
    if found is None:
        raise ValueError("no ISO 8601 date")
    first, unit = _start_of(found)
    start = int(first.astype("datetime64[us]").astype(np.int64))
    if not clock:
        return start, int((first + unit).astype("datetime64[us]").astype(np.int64)) - 1
    time = _TIME.fullmatch(clock)
    if time is None or unit != np.timedelta64(1, "D"):
        raise ValueError("no ISO 8601 time of a day")
    moment = _at(start, time)
    return moment, moment


def _start_of(found: re.Match[str]) -> tuple[np.datetime64, np.timedelta64]:
    """Return where a date begins and what it covers."""
    year, week, yearday = found["year"], found["week"], found["yearday"]
    month, day = found["month"] or found["month1"], found["day"] or found["day1"]
    dt.date(int(year), 1, 1)  # refuses the year 0
    if week:
        monday = dt.date.fromisocalendar(int(year), int(week), int(found["weekday"] or 1))
        return np.datetime64(monday, "D"), np.timedelta64(1 if found["weekday"] else 7, "D")
    if yearday:
        begin = np.datetime64(year, "Y").astype("datetime64[D]") + (int(yearday) - 1)
        if str(begin)[:4] != year:
            raise ValueError("day of the year is out of range")
        return begin, np.timedelta64(1, "D")
    if day:
        date = dt.date(int(year), int(month), int(day))
        return np.datetime64(date, "D"), np.timedelta64(1, "D")
    if month:
        return np.datetime64(f"{year}-{int(month):02d}", "M"), np.timedelta64(1, "M")
    return np.datetime64(year, "Y"), np.timedelta64(1, "Y")


def _at(start: int, time: re.Match[str]) -> int:
    """Return a time of the day that starts at `start`, in microseconds."""
    hour, minute, second = (int(time[part] or 0) for part in ("hour", "minute", "second"))
    micro = int((time["fraction"] or "0")[:6].ljust(6, "0"))
    if minute > 59 or hour > 24 or second > 60 or (hour == 24 and (minute or second or micro)):
        raise ValueError("time of day is out of range")
    if second == 60:
        second, micro = 59, 999_999
    zone = re.sub(r"[^\d+-]", "", time["zone"] or "")
    moment = start + ((hour * 60 + minute) * 60 + second) * 1_000_000 + micro
    if zone:
        sign = -1 if zone[0] == "-" else 1
        moment -= sign * (int(zone[1:3]) * 60 + int(zone[3:] or 0)) * 60_000_000
    if time["second"] == "60" and moment % _DAY != _DAY - 1:
        raise ValueError("only 23:59 UTC has a leap second")
    return moment


def interval_ends(text: str) -> tuple[str | np.datetime64, str | np.datetime64]:
    """Return the two ends of an interval "a/b": each a text, or an instant.

    Parameters
    ----------
    text
        With one "/".

    Returns
    -------
    Texts as `covered` reads them (or "" or ".." where the end is open), and for a duration where
    it begins or ends.

    Raises
    ------
    ValueError
        For more or fewer than two ends, and for two durations.

    Examples
    --------
    >>> interval_ends("2019-05-01/03"), interval_ends("2019-05/..")
    (('2019-05-01', '2019-05-03'), ('2019-05', '..'))
    >>> str(interval_ends("1970-01-01/P2D")[1])
    '1970-01-02T23:59:59.999999'
    """
    parts = [part.strip() for part in text.split("/")]
    if len(parts) != 2:
        raise ValueError("an interval has two ends, with one / between them")
    start, end = parts
    if _DURATION.fullmatch(end):
        first, last = covered(start)
        return start, np.datetime64(_moved(first, end, 1) - (first != last), "us")
    if _DURATION.fullmatch(start):
        first, last = covered(end)
        return np.datetime64(_moved(last + (first != last), start, -1), "us"), end
    return start, _completed(start, end)


def _completed(start: str, end: str) -> str:
    """Return an interval's end with what it leaves out, as in "2019-05-01T10:00Z/12:00"."""
    zone = re.search(rf"T[\d:.,]+({_ZONE})$", start)
    if zone is not None and end not in ("", ".."):
        start = start[: -len(zone[1])]
    shape, whole = re.sub(r"\d", "0", end), re.sub(r"\d", "0", start)
    if len(end) < len(start) and end and re.search(rf"[-T :]{re.escape(shape)}$", whole):
        end = start[: -len(end)] + end
    if zone is not None and re.search(r"\dT[\d:.,]+$", end):
        end += zone[1]
    return end


def _moved(moment: int, duration: str, sign: int) -> int:
    """Return an instant moved by an ISO duration; a month's end stays within its month."""
    found = _DURATION.fullmatch(duration)
    assert found is not None
    parts: Any = {name: sign * int(value) for name, value in found.groupdict("0").items()}
    moved = pd.Timestamp(np.datetime64(moment, "us")) + pd.DateOffset(**parts)
    return int(moved.to_datetime64().astype("datetime64[us]").astype(np.int64))
