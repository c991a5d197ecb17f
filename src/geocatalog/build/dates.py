"""Dates in files' names: which strptime formats are read, and what a name with one covers."""

from __future__ import annotations

import datetime as dt
import re
import time
from functools import lru_cache
from urllib.parse import unquote, urlsplit

import pandas as pd

from geocatalog.errors import CatalogError
from geocatalog.interval import as_interval
from geocatalog.read.open import is_remote
from pipekit.pixels import GUIDE

_ONE_DAY = dt.timedelta(days=1)

# Directives that say the same; the weekday and the hour go by one letter each below.
_SAME = {"y": "Y", "b": "m", "B": "m", "a": "w", "A": "w", "u": "w", "I": "H"}

# Parts that tell a date together -> how long it lasts. strptime reads any other mixture too, and
# ignores parts of it: a week without a weekday, a month beside a day of the year.
_LASTS = {
    "Y": "year",
    "Ym": "month",
    "Ydm": "day",
    "Yj": "day",
    "UY": "week",
    "UYw": "day",
    "WY": "week",
    "WYw": "day",
    "GV": "week",
    "GVw": "day",
}
_TIMES = ("", "H", "HM", "HMS", "HMSf")


def interval_from_name(path: str, pattern: str | None, date_format: str) -> pd.Interval | None:
    r"""Return the interval that a file's name tells, or None without a pattern.

    Parameters
    ----------
    path
        A path or URL.
    pattern
        Regular expression with the named group `date`, or `start` and/or `end`; searched in the
        name, then in the path, then in the whole URL.
    date_format
        Strptime format of the groups. It says how much a date covers: with a time of day an
        instant, else the whole day, week, month or year. A week is `%Y%W` (from Monday), `%Y%U`
        (from Sunday) or ISO's `%G%V`; the first two end with the year.

    Returns
    -------
    A closed interval in UTC, or None.

    Raises
    ------
    CatalogError
        When the pattern has no such group, matches nothing, the text is no date, or the format has
        parts that tell no date together; the message shows the name and the pattern.

    Examples
    --------
    >>> found = interval_from_name("S2_20240601_B04.tif", r"_(?P<date>\d{8})_", "%Y%m%d")
    >>> str(found.left), str(found.right)
    ('2024-06-01 00:00:00+00:00', '2024-06-01 23:59:59.999999+00:00')
    >>> week = interval_from_name("lst_2024_W23.tif", r"_(?P<date>\d{4}_W\d\d)", "%G_W%V")
    >>> f"{week.left:%a %d %B} to {week.right:%a %d %B}"
    'Mon 03 June to Sun 09 June'
    """
    if pattern is None:
        return None
    names = candidate_names(path)
    try:
        matches = [match for name in names if (match := re.search(pattern, name))]
    except re.error as error:
        raise CatalogError(
            f"filename_regex {pattern!r} is not a regular expression: {error}"
        ) from error
    if not matches:
        raise CatalogError(
            f"filename_regex {pattern!r} does not match the name {names[0]!r} (of {path}); "
            "correct the pattern, or pass on_error='skip' to leave such files out"
        )
    groups = matches[0].groupdict()
    date = groups.get("date")
    texts = (date, date) if date else (groups.get("start"), groups.get("end"))
    if not any(texts):
        raise CatalogError(
            f"filename_regex {pattern!r} matched {path!r} but gave no date; "
            "name a group (?P<date>...), or (?P<start>...) and (?P<end>...)"
        )
    first, last = (_covered(text, date_format, path) if text else (None, None) for text in texts)
    return as_interval((first[0], last[1]))


@lru_cache(maxsize=64)
def how_long(date_format: str) -> str:
    """Return what a date of a strptime format lasts: an instant, day, week, month or year.

    Parameters
    ----------
    date_format
        As `datetime.strptime` takes it.

    Returns
    -------
    "instant", "day", "week", "month" or "year".

    Raises
    ------
    CatalogError
        For a format with parts that tell no date together, of which strptime would ignore some.

    Examples
    --------
    >>> how_long("%Y%m%dT%H%M%S"), how_long("%Y%j"), how_long("%Y0%W")
    ('instant', 'day', 'week')
    """
    written = re.findall(r"%(.?)", date_format.replace("%%", ""))
    parts = [_SAME.get(part, part) for part in written]
    date = "".join(sorted(part for part in parts if part in "YmdjUWwGV"))
    clock = "".join(part for part in "HMSf" if part in parts)
    rest = sorted({part for part in written if part not in "YymbBdjUWaAwuGVHIMSfpz"} | {""})
    halves = ("I" in written) == ("p" in written)
    whole = clock in _TIMES and (not (clock or "z" in parts) or _LASTS.get(date) == "day")
    zoned = clock or "z" not in parts
    once = len(set(parts)) == len(parts)
    if date not in _LASTS or len(rest) > 1 or not (halves and whole and zoned and once):
        said = ", ".join(f"%{part}" for part in written) or "no parts"
        raise CatalogError(
            f"date_format {date_format!r} cannot be read: {said} "
            "are not the parts of one date. Write a year (%Y), month (%Y%m), day (%Y%m%d or "
            "%Y%j) or week (%Y%W, %Y%U or %G%V; a day with %w or %u), and with a day %H, %H%M, "
            "%H%M%S or %H%M%S.%f (%I with %p) and %z; keep other parts out of the named group; "
            f"{GUIDE}"
        )
    return "instant" if clock else _LASTS[date]


def _covered(text: str, date_format: str, path: str) -> tuple[object, object]:
    """Return the first and the last that a text names, in forms that `as_interval` takes."""
    lasts = how_long(date_format)
    try:
        if lasts == "week":
            return _week(text, date_format)
        moment = _parsed(text, date_format)
        # Day 366 of a short year, and week 53, are told by strptime as days of the next year.
        rolls = any(part in date_format for part in ("%j", "%U", "%W", "%V"))
        if rolls and _bare(moment.strftime(date_format)) != _bare(text):
            raise ValueError("the year has no such day")
    except (ValueError, OverflowError) as error:
        raise CatalogError(
            f"{text!r} in {path} is not a date of the form {date_format!r} ({error})"
        ) from error
    if lasts == "instant":
        return moment, moment
    digits = {"day": 10, "month": 7, "year": 4}[lasts]
    return (moment.date().isoformat()[:digits],) * 2


def _parsed(text: str, date_format: str) -> dt.datetime:
    try:
        return dt.datetime.strptime(text, date_format)
    except ValueError:
        # A leap second has no number of its own in UTC's count: it belongs to its minute's end.
        read = time.strptime(text, date_format)
        if read[3:6] != (23, 59, 60):
            raise
        return dt.datetime(*read[:5], 59, 999999)


def _week(text: str, date_format: str) -> tuple[dt.date, dt.date]:
    sunday = "%U" in date_format
    first = dt.datetime.strptime(f"{text} {0 if sunday else 1}", f"{date_format} %w").date()
    days = [first + i * _ONE_DAY for i in range(7)]
    # Weeks of %U and %W are cut where the year begins and ends.
    same = [day for day in days if _bare(day.strftime(date_format)) == _bare(text)]
    if not same:
        raise ValueError("the year has no such week")
    return same[0], same[-1]


def _bare(text: str) -> str:
    """Return a date's text without what padding and spellings of a zone may change."""
    return re.sub(r"[0:+z-]", "", text.casefold())


def candidate_names(path: str) -> list[str]:
    """Return what a file-name pattern is tried on: name, path without query, whole path.

    Parameters
    ----------
    path
        A path or URL.

    Returns
    -------
    Texts, each once.

    Examples
    --------
    >>> candidate_names("https://host/x/S2_20240601.tif?sig=ab%2F20991231")[0]
    'S2_20240601.tif'
    """
    bare = urlsplit(path).path if is_remote(path) and not path.startswith("/vsi") else path
    bare = unquote(bare.split("?", 1)[0])
    return list(dict.fromkeys([bare.rstrip("/").rsplit("/", 1)[-1], bare, path]))
