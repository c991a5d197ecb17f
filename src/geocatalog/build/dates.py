"""Intervals from file names."""

from __future__ import annotations

import datetime as dt
import re
from urllib.parse import unquote, urlsplit

import pandas as pd

from geocatalog.errors import CatalogError
from geocatalog.interval import as_interval
from geocatalog.read.open import is_remote

_TIME_OF_DAY = re.compile(r"%-?[HIMSfcXTRrps]")
_DAY = re.compile(r"%-?[djxDFwuaA]")
_MONTH = re.compile(r"%-?[mbB]")


def interval_from_name(path: str, pattern: str | None, date_format: str) -> pd.Interval | None:
    r"""Return the interval that a file's name tells, or None without a pattern.

    `pattern` is a regular expression, searched in the name, then in the path, then in the whole
    URL, with the named group `date`, or `start` and/or `end`. `date_format` (strptime) says how
    much a date covers: with a time of day an instant, else the whole day, month or year.

    Raises
    ------
    CatalogError
        When the pattern has no such group, matches nothing, or the text is no date; the message
        shows the name and the pattern.

    Examples
    --------
    >>> found = interval_from_name("S2_20240601_B04.tif", r"_(?P<date>\d{8})_", "%Y%m%d")
    >>> str(found.left), str(found.right)
    ('2024-06-01 00:00:00+00:00', '2024-06-01 23:59:59.999999+00:00')
    """
    if pattern is None:
        return None
    groups = _match(path, pattern)
    date = groups.get("date")
    if date:
        return as_interval(_covered(date, date_format, path))
    start, end = groups.get("start"), groups.get("end")
    first = as_interval(_covered(start, date_format, path)) if start else None
    last = as_interval(_covered(end, date_format, path)) if end else None
    if first is None and last is None:
        raise CatalogError(
            f"filename_regex {pattern!r} matched {path!r} but gave no date; "
            "name a group (?P<date>...), or (?P<start>...) and (?P<end>...)"
        )
    return _joined(first, last, path)


def _joined(first: pd.Interval | None, last: pd.Interval | None, path: str) -> pd.Interval | None:
    left = None if first is None else first.left
    right = None if last is None else last.right
    try:
        return as_interval((left, right))
    except CatalogError as error:
        raise CatalogError(f"{path}: {error}") from error


def _match(path: str, pattern: str) -> dict[str, str | None]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise CatalogError(
            f"filename_regex {pattern!r} is not a regular expression: {error}"
        ) from error
    if not {"date", "start", "end"} & set(compiled.groupindex):
        raise CatalogError(
            f"filename_regex {pattern!r} needs a group (?P<date>...), "
            "or (?P<start>...) and (?P<end>...)"
        )
    for name in candidate_names(path):
        match = compiled.search(name)
        if match:
            return match.groupdict()
    raise CatalogError(
        f"filename_regex {pattern!r} does not match the name {candidate_names(path)[0]!r} "
        f"(of {path}); correct the pattern, or pass on_error='skip' to leave such files out"
    )


def _covered(text: str, date_format: str, path: str) -> object:
    try:
        moment = dt.datetime.strptime(text, date_format)
    except ValueError as error:
        raise CatalogError(
            f"{text!r} in {path} is not a date of the form {date_format!r}"
        ) from error
    if _TIME_OF_DAY.search(date_format):
        return moment
    if _DAY.search(date_format):
        return moment.date()
    return moment.strftime("%Y-%m") if _MONTH.search(date_format) else moment.strftime("%Y")


def candidate_names(path: str) -> list[str]:
    """Return what a file-name pattern is tried on: name, path without query, whole path.

    Examples
    --------
    >>> candidate_names("https://host/x/S2_20240601.tif?sig=ab%2F20991231")[0]
    'S2_20240601.tif'
    """
    bare = urlsplit(path).path if is_remote(path) and not path.startswith("/vsi") else path
    bare = unquote(bare.split("?", 1)[0])
    return list(dict.fromkeys([bare.rstrip("/").rsplit("/", 1)[-1], bare, path]))
