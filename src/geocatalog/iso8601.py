"""ISO 8601 text: what a date or a time covers, and intervals in each of the standard's forms.

A date may be a year, a month, a day, a week ("2024-W23"), a day of a week or of a year
("2024-153"). An interval's end may leave out what it shares with the start ("2019-05-01/03"), and
either end may be a duration ("2019-05/P2M") or open ("2019/..").
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

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
