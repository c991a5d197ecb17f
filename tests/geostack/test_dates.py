"""Date ranges: whole days, both ends, UTC."""

from datetime import UTC, datetime, timedelta

import pytest

from geostack.dates import distance, format_interval, overlaps, parse_date_range


def test_both_days_are_included_whole():
    interval = parse_date_range("2024-06-01/2024-07-15")
    for instant, inside in [
        (datetime(2024, 6, 1, tzinfo=UTC), True),
        (datetime(2024, 7, 15, 23, 59, 59), True),
        (datetime(2024, 7, 16), False),
        (datetime(2024, 5, 31, 23, 59, 59), False),
    ]:
        assert overlaps((instant, instant), interval) is inside


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2024", "2024-01-01", "2024-12-31"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("2023-02", "2023-02-01", "2023-02-28"),
        ("2024-06-14", "2024-06-14", "2024-06-14"),
        ("2023/2024-03", "2023-01-01", "2024-03-31"),
    ],
)
def test_months_and_years(text, first, last):
    start, end = parse_date_range(text)
    assert (f"{start:%Y-%m-%d}", f"{end:%Y-%m-%d}") == (first, last)


def test_open_ends():
    assert parse_date_range("../..") == (None, None)
    assert parse_date_range("2024-01-01/..")[1] is None
    assert format_interval(parse_date_range("../2024-01-01")).startswith("../2024-01-01T23:59:59")


def test_times_keep_their_instant():
    start, end = parse_date_range("2024-06-14T18:39:19Z/2024-06-14T20:39:19+02:00")
    assert start == end == datetime(2024, 6, 14, 18, 39, 19, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "June", "2024-13-01", "2024-06-31", "2024-6-1", None, 2024])
def test_what_is_no_date_is_said(text):
    with pytest.raises(ValueError, match="2024-06-01/2024-07-15"):
        parse_date_range(text)


def test_a_range_that_ends_before_it_starts():
    with pytest.raises(ValueError, match="ends before it starts"):
        parse_date_range("2024-07-01/2024-06-01")


def test_distance():
    interval = parse_date_range("2024-06-10/2024-06-12")
    assert distance(datetime(2024, 6, 11), interval) == timedelta(0)
    assert distance(datetime(2024, 6, 8), interval) == timedelta(days=2)
    assert distance(datetime(2024, 6, 14), interval).days == 1
