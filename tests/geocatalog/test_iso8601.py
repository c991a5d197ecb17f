import datetime as dt

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocatalog import CatalogError
from geocatalog.interval import as_interval, as_utc, covered, pack_time


def micros(moment):
    return (moment - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)


def days(first, last):
    """The microseconds of whole days."""
    midnight = dt.time()
    end = micros(dt.datetime.combine(last, midnight)) + 86_400_000_000 - 1
    return micros(dt.datetime.combine(first, midnight)), end


@given(st.dates())
def test_a_day_is_read_in_each_of_its_forms(day):
    year, week, weekday = day.isocalendar()
    forms = [day.isoformat(), day.isoformat().replace("-", ""), f"{day.year:04d}-{day:%j}"]
    forms += [f"{day.year:04d}-{day.month}-{day.day}"]
    if 1 <= year <= 9999:
        forms += [f"{year:04d}-W{week:02d}-{weekday}", f"{year:04d}W{week:02d}{weekday}"]
    assert {covered(form) for form in forms} == {days(day, day)}


@given(st.dates(dt.date(1, 1, 8), dt.date(9999, 12, 20)))
def test_weeks_months_and_years_cover_their_days(day):
    year, week, weekday = day.isocalendar()
    monday = day - dt.timedelta(days=weekday - 1)
    assert covered(f"{year:04d}-W{week:02d}") == days(monday, monday + dt.timedelta(days=6))
    assert covered(f"{day.year:04d}") == days(dt.date(day.year, 1, 1), dt.date(day.year, 12, 31))
    begin = day.replace(day=1)
    end = (begin + dt.timedelta(days=32)).replace(day=1) - dt.timedelta(days=1)
    if begin.month < 12:
        assert covered(f"{day.year:04d}-{day.month:02d}") == days(begin, end)


@given(
    st.datetimes(dt.datetime(1, 1, 3), dt.datetime(9999, 12, 29)),
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from(["T", " "]),
)
def test_a_time_of_day_is_an_instant_in_its_zone(moment, offset, between):
    zone = dt.timezone(dt.timedelta(minutes=offset))
    text = moment.replace(tzinfo=zone).isoformat(sep=between)
    expected = micros(moment - dt.timedelta(minutes=offset))
    assert covered(text) == (expected, expected) == pack_time(text)
    assert covered(text.replace("-", "-").replace(".", ",")) == (expected, expected)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2019-05-01/03", "2019-05-01", "2019-05-03"),
        ("2008-02-15/03-14", "2008-02-15", "2008-03-14"),
        ("2019-05/06", "2019-05", "2019-06"),
        ("2019-05-01T10:00/12:00", "2019-05-01T10:00", "2019-05-01T12:00"),
        ("2019-05-01T10:00-07:00/12:30", "2019-05-01T17:00Z", "2019-05-01T19:30Z"),
        ("2019-05-01T10:00Z/02T12:00", "2019-05-01T10:00", "2019-05-02T12:00"),
        ("2019-05-01T22:00-07:00/2019-05-02T01:00", "2019-05-02T05:00Z", "2019-05-02T08:00Z"),
        ("2019-05-01/P3D", "2019-05-01", "2019-05-03"),
        ("2019/P1Y", "2019-01-01", "2019-12-31"),
        ("P2M/2019-03", "2019-02-01", "2019-03"),
        ("2020-01-31T12:00/P1M", "2020-01-31T12:00", "2020-02-29T12:00"),
        ("2024-W01/P2W", "2024-01-01", "2024-01-14"),
        ("2019-05-01T23:00/PT2H30M", "2019-05-01T23:00", "2019-05-02T01:30"),
        ("2019/2020", "2019", "2020"),
        (" 2019-05 / 2019-06 ", "2019-05", "2019-06"),
        ("2016-12-31T23:59:60Z", *["2016-12-31T23:59:59.999999"] * 2),
        ("2016-12-31T15:59:60.5-08:00", *["2016-12-31T23:59:59.999999"] * 2),
        ("2024-06-30T24:00", *["2024-07-01T00:00:00"] * 2),
        ("2024-06-01 12:00:00 UTC", *["2024-06-01T12:00:00"] * 2),
        ("20240601T101112.123456789Z", *["2024-06-01T10:11:12.123456"] * 2),
    ],
)
def test_forms_of_intervals(text, first, last):
    assert as_interval(text) == as_interval((first, last))


@pytest.mark.parametrize(
    "text",
    [
        "June 2024",
        "01/06/2024",
        "6/1/2024",
        "10:00",
        "now",
        "today",
        "2024-13",
        "2024-00-10",
        "2023-366",
        "2023-W53",
        "0000",
        "-0050-01-01",
        "10000-01-01",
        "2019/05",
        "1928/30",
        "2019-05T10:00",
        "2024-06-01T25:00",
        "2024-06-01T12:00:60Z",
        "2024-06-01T12:60",
        "P1D/P1D",
        "2024/2025/2026",
        "2024-06-01/P",
        "R5/2024/P1D",
    ],
)
def test_what_can_be_read_in_two_ways_or_none_is_refused(text):
    with pytest.raises(CatalogError, match=r"not a time|not an interval"):
        as_interval(text)


def test_a_text_s_instant_is_its_first_microsecond():
    assert as_utc("2024-06") == pd.Timestamp("2024-06-01T00:00Z")
    assert as_utc("0850") == pd.Timestamp("0850-01-01T00:00:00Z")
