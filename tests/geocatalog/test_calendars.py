import datetime as dt
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocatalog.calendars import check_calendar, days_by_name


def walk(calendar, year, month, day):
    """Each date of a calendar from one on, in plain Python."""

    def length(year, month):
        if calendar == "360_day":
            return 30
        leap = {"noleap": False, "365_day": False, "all_leap": True, "366_day": True}.get(
            calendar, year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        )
        return (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]

    while True:
        yield year, month, day
        day += 1
        if day > length(year, month):
            month, day = month + 1, 1
        if month > 12:
            year, month = year + 1, 1


@given(
    st.sampled_from(["noleap", "365_day", "all_leap", "366_day", "360_day", "proleptic_gregorian"]),
    st.integers(1, 9000),
    st.integers(1, 12),
    st.integers(1, 28),
    st.integers(0, 1500),
)
def test_a_day_is_ours_of_the_same_name_or_refused(calendar, year, month, day, count):
    name = next(islice(walk(calendar, year, month, day), count, None))
    try:
        expected = dt.date(*name)
    except ValueError:
        text = "{:04d}-{:02d}-{:02d}".format(*name)
        with pytest.raises(ValueError, match=f"calendar '{calendar}' has {text}, a date that ours"):
            days_by_name(np.array([count]), calendar, (year, month, day))
        return
    found = days_by_name(np.array([count]), calendar, (year, month, day))
    assert found.astype("datetime64[D]").tolist() == [expected]


@given(st.dates(dt.date(1582, 10, 15)))
def test_the_standard_calendar_counts_through_its_ten_missing_days(day):
    """From 1 January of the year 1, in Julian days, to 15 October 1582 there are 577,737 days."""
    since = (day - dt.date(1582, 10, 15)).days + 577_737
    for calendar in ("standard", "gregorian"):
        found = days_by_name(np.array([since]), calendar, (1, 1, 1))
        assert found.astype("datetime64[D]").tolist() == [day]


@pytest.mark.parametrize(
    ("calendar", "origin"),
    [("julian", (2024, 1, 1)), ("standard", (850, 1, 1)), ("none", (2024, 1, 1)), ("", (1, 1, 1))],
)
def test_dates_that_mean_other_days_here_are_refused_by_name(calendar, origin):
    with pytest.raises(ValueError, match=f"calendar '{calendar}'.*what-a-pixel-means"):
        days_by_name(np.array([0]), calendar, origin)


def test_a_reference_that_the_calendar_lacks_is_refused():
    with pytest.raises(ValueError, match="no date 2024-02-29"):
        days_by_name(np.array([0]), "noleap", (2024, 2, 29))
    check_calendar("360_day", "0001-01-01")
