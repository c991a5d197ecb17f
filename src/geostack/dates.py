"""Date ranges as STAC writes them: `start/end`, whole days, UTC."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

Interval = tuple[datetime | None, datetime | None]
"""Start and end, both included, UTC; None is open."""

_ACCEPTED = "'2024-06-01/2024-07-15', '2024-06-01', '2024-06', '2024' or '2024-06-01/..'"
_PARTIAL = re.compile(r"^(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?$")


def parse_date_range(date_range: str) -> Interval:
    """Return the first and last instant that `date_range` includes.

    Parameters
    ----------
    date_range
        `start/end`, or one date; a date may be a day, a month, a year or a full ISO time, and an
        end may be `..` (open). Both ends are included whole: `2024-07-15` reaches to its last
        microsecond.

    Raises
    ------
    ValueError
        When it can't be read, or ends before it starts.

    Examples
    --------
    >>> start, end = parse_date_range("2024-06-01/2024-07-15")
    >>> start.isoformat(), end.isoformat()
    ('2024-06-01T00:00:00+00:00', '2024-07-15T23:59:59.999999+00:00')
    """
    if not isinstance(date_range, str) or not date_range.strip():
        raise ValueError(f"date_range must be text such as {_ACCEPTED}, got {date_range!r}")
    first, _, second = date_range.partition("/")
    start = _instants(first, date_range)[0]
    end = _instants(second if "/" in date_range else first, date_range)[1]
    if start is not None and end is not None and end < start:
        raise ValueError(f"date_range ends before it starts: {date_range!r}")
    return start, end


def format_interval(interval: Interval) -> str:
    """Return an interval as STAC's `datetime` parameter.

    Examples
    --------
    >>> format_interval(parse_date_range("2024-06-01/.."))
    '2024-06-01T00:00:00Z/..'
    """
    return "/".join(".." if instant is None else as_text(instant) for instant in interval)


def as_text(instant: datetime) -> str:
    """Return an instant as STAC writes it.

    Examples
    --------
    >>> as_text(datetime(2024, 6, 14, 18, 39, 19, tzinfo=UTC))
    '2024-06-14T18:39:19Z'
    """
    return as_utc(instant).isoformat().replace("+00:00", "Z")


def overlaps(span: tuple[datetime, datetime], interval: Interval) -> bool:
    """Return whether a closed span of time shares an instant with `interval`.

    Examples
    --------
    >>> overlaps((datetime(2020, 12, 1), datetime(2020, 12, 31)), parse_date_range("2020-12-09"))
    True
    """
    start, end = interval
    first, last = as_utc(span[0]), as_utc(span[1])
    return (start is None or last >= start) and (end is None or first <= end)


def as_utc(instant: datetime) -> datetime:
    """Return `instant` in UTC; one without a zone is taken as UTC.

    Examples
    --------
    >>> as_utc(datetime(2024, 6, 14)).isoformat()
    '2024-06-14T00:00:00+00:00'
    """
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def distance(instant: datetime, interval: Interval) -> timedelta:
    """Return how far `instant` lies outside `interval`; zero inside.

    Examples
    --------
    >>> distance(datetime(2024, 7, 2), parse_date_range("2024-07-03/2024-07-05")).days
    1
    """
    start, end = interval
    instant = as_utc(instant)
    if start is not None and instant < start:
        return start - instant
    if end is not None and instant > end:
        return instant - end
    return timedelta(0)


def nearest_first(instants: Iterable[datetime], date_range: str) -> list[datetime]:
    """Return instants, each once, from the nearest to a date range to the farthest.

    Examples
    --------
    >>> days = [datetime(2024, 6, day, tzinfo=UTC) for day in (1, 8, 9, 8)]
    >>> [instant.day for instant in nearest_first(days, "2024-06-09/2024-06-12")]
    [9, 8, 1]
    """
    interval = parse_date_range(date_range)
    return sorted(set(instants), key=lambda instant: (distance(instant, interval), instant))


def _instants(text: str, whole: str) -> Interval:
    text = text.strip()
    if text in ("..", ""):
        return None, None
    try:
        partial = _PARTIAL.match(text)
        if partial is None:
            instant = as_utc(datetime.fromisoformat(text.replace("Z", "+00:00")))
            return instant, instant
        return _span(*(int(part) if part else None for part in partial.groups()))
    except ValueError:
        raise ValueError(
            f"date_range must look like {_ACCEPTED}, got {whole!r}: {text!r} is no date"
        ) from None


def _span(year: int | None, month: int | None, day: int | None) -> Interval:
    assert year is not None
    first = datetime(year, month or 1, day or 1, tzinfo=UTC)
    last_month = month or 12
    last_day = day or calendar.monthrange(year, last_month)[1]
    after = datetime(year, last_month, last_day, tzinfo=UTC) + timedelta(days=1)
    return first, after - timedelta(microseconds=1)
