import datetime as dt

import pytest
from footprints import utc
from hypothesis import given
from hypothesis import strategies as st

from geocatalog import CatalogError
from geocatalog.build.dates import how_long, interval_from_name

WHOLE = [
    "%Y",
    "%Y%m",
    "%Y%m%d",
    "%d%b%Y",
    "%Y%j",
    "%Y_%W",
    "%Y_%U",
    "%Y0%W",
    "%G-W%V",
    "%G%V%u",
    "%Y%W%w",
    "%Y%U%a",
    "%y%m%d",
]
"""Formats of whole days, weeks, months and years."""


def told(text, date_format):
    return interval_from_name(f"x_{text}.tif", r"^x_(?P<date>.*)\.tif$", date_format)


@given(st.dates(dt.date(1970, 1, 10), dt.date(2060, 1, 1)), st.sampled_from(WHOLE))
def test_a_date_covers_the_days_that_are_written_so(day, date_format):
    text = day.strftime(date_format)
    days = [day + dt.timedelta(days=i) for i in range(-370, 371)]
    days = [each for each in days if each.strftime(date_format) == text]
    found = told(text, date_format)
    assert (found.left, found.right.date()) == (utc(days[0].isoformat()), days[-1])
    assert len(days) == 1 or (days[-1] - days[0]).days == len(days) - 1


@given(st.datetimes(dt.datetime(1000, 1, 1)), st.sampled_from(["%Y%m%dT%H%M%S.%f", "%Y%j%H%M%S%f"]))
def test_a_time_of_day_is_an_instant(moment, date_format):
    found = told(moment.strftime(date_format), date_format)
    assert found.left == found.right == utc(moment.isoformat())


@pytest.mark.parametrize(
    "date_format",
    [
        "%W",
        "%m%d",
        "%Y%d",
        "%Y%j%m",
        "%a%Y%m%d",
        "%Y%V",
        "%G",
        "%G%W",
        "%Y%w",
        "%Y%W%m",
        "%H",
        "%Y%H",
        "%Y%W%H",
        "%Y%m%dT%M",
        "%Y%m%d%S",
        "%Y%m%d%I",
        "%Y%m%d%H%p",
        "%Y%m%d%z",
        "%Y%m%d %Z",
        "%c",
        "%x",
        "%s",
        "%Y%y",
        "%Y%Y",
        "",
    ],
)
def test_a_format_with_parts_that_would_be_ignored_is_refused(date_format):
    with pytest.raises(CatalogError, match=r"date_format .* not the parts of one date.*%Y%W"):
        told("20240601", date_format)


@pytest.mark.parametrize(
    ("text", "date_format"),
    [
        ("2023366", "%Y%j"),
        ("202353", "%G%V"),
        ("202400", "%Y%W"),
        ("20230230", "%Y%m%d"),
        ("20161231225960", "%Y%m%d%H%M%S"),
        ("99995300", "%Y%W%H"),
    ],
)
def test_what_the_year_does_not_have_is_refused_and_not_moved_to_the_next(text, date_format):
    with pytest.raises(CatalogError):
        told(text, date_format)


def test_a_zone_is_converted_and_a_leap_second_ends_its_minute():
    assert told("20240601T233000-0800", "%Y%m%dT%H%M%S%z").left == utc("2024-06-02T07:30")
    leap = told("20161231235960", "%Y%m%d%H%M%S")
    assert leap.left == leap.right == utc("2016-12-31T23:59:59.999999")
    assert how_long("100%%_%Y") == "year"


def test_one_end_in_a_name_leaves_the_other_open():
    found = interval_from_name("from_0850.nc", r"from_(?P<start>\d{4})", "%Y")
    assert found.left == utc("0850-01-01")
    assert found.right.year > 2300
