"""What is asked of a source: boxes, dates, and the whole question, checked."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from globe import places, written
from hypothesis import given
from hypothesis import strategies as st

from geostack.request import (
    Request,
    as_bbox,
    as_tile,
    contains,
    distance,
    format_interval,
    halves,
    intersects,
    overlaps,
    parse_date_range,
)


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ((-119.93, 38.92, -120.10, 39.27), "west < east"),
        ((-120.10, 39.27, -119.93, 38.92), "south < north"),
        ((-120.10, 38.92, -120.10, 39.27), "west < east"),
        ((750180, 4311890, 766170, 4351240), "looks like metres"),
        ((38.92, -120.10, 39.27, -119.93), "swapped"),
        ((0, 10, 5, 40, 8, 9), "south < north"),
        ((0, -90, 359, 90), "all but 1 degrees of the globe"),
        ((0, 0, 1, 2, 3), "four numbers .* or six with heights"),
        ("123456", "four numbers"),
        ((0, 0, 400, 1), "0..360"),
        ((180, 0, -180, 1), "west < east"),
        ((0, 0, 1), "four numbers"),
        ("box", "four numbers"),
        (None, "four numbers"),
        ((0, 0, math.nan, 1), "finite"),
    ],
)
def test_bad_boxes(box, said):
    with pytest.raises(ValueError, match=said):
        as_bbox(box)


def test_sides_that_are_surely_swapped_are_refused_with_the_two_halves():
    with pytest.raises(ValueError, match="all but 40 degrees") as caught:
        as_bbox((20.0, -20.0, -20.0, -10.0))
    assert "(20.0, -20.0, 180, -10.0) and (-180, -20.0, -20.0, -10.0)" in str(caught.value)


@given(st.data())
def test_a_box_means_the_same_in_every_notation(data):
    place = data.draw(places(most=270))
    told = as_bbox(data.draw(written(place)))
    assert told == tuple(map(float, place.rfc))
    assert as_bbox(told) == told
    assert len(halves(told)) == 1 + place.crosses


@given(places(), places())
def test_boxes_meet_and_hold_one_another_as_their_cells_do(one, other):
    a, b = as_bbox(one.rfc), as_bbox(other.rfc)
    assert intersects(a, b) == intersects(b, a) == bool(one.cells() & other.cells())
    assert contains(a, b) == (other.cells() <= one.cells())
    assert contains(a, a)


degrees = st.floats(-80, 80, allow_nan=False).map(lambda value: round(value, 3))
sizes = st.floats(0.001, 5).map(lambda value: round(value, 3))
boxes = st.builds(lambda x, y, w, h: (x, y, x + w, y + h), degrees, degrees, sizes, sizes)


@given(boxes, boxes)
def test_intersection_is_symmetric_and_follows_from_containing(a, b):
    assert as_bbox(list(a)) == a
    assert intersects(a, b) == intersects(b, a)
    assert intersects(a, a)
    assert contains(a, a)
    if contains(a, b):
        assert intersects(a, b)


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


BOX = (11.3, 46.4, 11.4, 46.5)


@pytest.mark.parametrize("tile", ["10SGI", "99", "10sgj!", "", "61ABC1"])
def test_bad_tiles(tile):
    with pytest.raises(ValueError, match="10SGJ"):
        as_tile(tile)


def test_tiles_of_one_digit_zones():
    assert as_tile("t1ccv") == "01CCV"


@pytest.mark.parametrize("cover", [-1, 101, "few", float("nan")])
def test_bad_cloud_cover(cover):
    with pytest.raises(ValueError, match="0 to 100"):
        Request("sentinel-2-l2a", BOX, "2024", max_cloud_cover=cover)


def test_bad_collection():
    with pytest.raises(ValueError, match="collection must be a name"):
        Request("", BOX, "2024")


def test_text_says_everything():
    request = Request("sentinel-2-l2a", BOX, "2024", tile="32TPS", max_cloud_cover=5)
    assert str(request) == (
        "sentinel-2-l2a, box (11.3, 46.4, 11.4, 46.5), 2024, tile 32TPS, at most 5 % cloud"
    )
