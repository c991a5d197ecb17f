import datetime as dt

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocatalog import CatalogError
from geocatalog.interval import as_interval, as_utc, pack_time, utc_column


def test_naive_is_utc_and_zoned_is_converted():
    assert as_utc("2024-06-01T12:00") == pd.Timestamp("2024-06-01T12:00Z")
    assert as_utc("2024-06-01T12:00-07:00") == pd.Timestamp("2024-06-01T19:00Z")
    zone = dt.timezone(dt.timedelta(hours=2))
    assert as_utc(dt.datetime(2024, 6, 1, 12, tzinfo=zone)) == pd.Timestamp("2024-06-01T10:00Z")


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2024", "2024-01-01", "2024-12-31T23:59:59.999999"),
        ("2024-02", "2024-02-01", "2024-02-29T23:59:59.999999"),
        ("2023-02", "2023-02-01", "2023-02-28T23:59:59.999999"),
        ("2024-06-01", "2024-06-01", "2024-06-01T23:59:59.999999"),
        ("20240601", "2024-06-01", "2024-06-01T23:59:59.999999"),
        ("2024-06-01T00:00:00", "2024-06-01", "2024-06-01"),
    ],
)
def test_a_date_covers_what_it_names(text, first, last):
    found = as_interval(text)
    assert (found.left, found.right) == (as_utc(first), as_utc(last))
    assert found.closed == "both"


def test_a_date_object_covers_its_day_and_a_timestamp_is_an_instant():
    assert as_interval(dt.date(2024, 6, 1)) == as_interval("2024-06-01")
    midnight = as_interval(pd.Timestamp("2024-06-01"))
    assert midnight.left == midnight.right


def test_forms_of_one_interval_agree():
    expected = as_interval(("2024-06-01", "2024-07-31"))
    assert as_interval("2024-06-01/2024-07-31") == expected
    assert as_interval(["2024-06", "2024-07"]) == expected
    assert as_interval(slice("2024-06", "2024-07")) == expected
    assert as_interval(pd.Interval(expected.left, expected.right, closed="left")) == expected


def test_open_ends_hold_everything_on_their_side():
    before, after = as_interval(("..", "2024-06-01")), as_interval(("2024-06-01", None))
    assert as_utc("1900-01-01") in before
    assert as_utc("2200-01-01") in after
    assert as_utc("2024-06-02") not in before


@pytest.mark.parametrize(
    "bad", ["not a day", ("2024", "2024", "2024"), "2024-02-30", object(), 2024]
)
def test_what_is_no_time_is_refused(bad):
    with pytest.raises(CatalogError):
        as_interval(bad)


def test_a_bare_number_is_no_date_and_says_so():
    with pytest.raises(
        CatalogError, match=r"not a time: 2024; write dates as text, such as '2024'"
    ):
        pack_time(2024)
    with pytest.raises(CatalogError, match="not a time: 20240601"):
        utc_column(pd.Series([20240601, 20240602]))
    assert utc_column([float("nan"), None]).isna().all()


def test_an_interval_that_ends_before_it_starts_names_both_ends():
    with pytest.raises(CatalogError, match=r"2024-07-01.*2024-06-30.*swap"):
        as_interval(("2024-07-01", "2024-06-30"))


def test_columns_mix_naive_zoned_and_missing():
    column = utc_column(["2024-06-01T12:00", "2024-06-01T12:00+02:00", None])
    assert column.dt.hour.tolist()[:2] == [12, 10]
    assert column.isna().tolist() == [False, False, True]


@given(st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)))
def test_packed_microseconds_are_python_s(moment):
    expected = (moment - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)
    assert pack_time(moment) == (expected, expected)
    assert pack_time(pd.Timestamp(moment)) == (expected, expected)
