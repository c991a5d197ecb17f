"""Boxes in degrees: every way to get one wrong is said."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geostack.boxes import as_bbox, contains, intersects


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ((-119.93, 38.92, -120.10, 39.27), "west < east"),
        ((-120.10, 39.27, -119.93, 38.92), "south < north"),
        ((-120.10, 38.92, -120.10, 39.27), "west < east"),
        ((750180, 4311890, 766170, 4351240), "looks like metres"),
        ((38.92, -120.10, 39.27, -119.93), "swapped"),
        ((170.0, -20.0, -170.0, -10.0), "across the antimeridian"),
        ((170.0, -20.0, 190.0, -10.0), "in two halves"),
        ((0, 0, 1), "four numbers"),
        ("box", "four numbers"),
        (None, "four numbers"),
        ((0, 0, math.nan, 1), "finite"),
    ],
)
def test_bad_boxes(box, said):
    with pytest.raises(ValueError, match=said):
        as_bbox(box)


def test_the_antimeridian_message_gives_the_two_halves():
    with pytest.raises(ValueError) as caught:
        as_bbox((170.0, -20.0, -170.0, -10.0))
    assert "(170.0, -20.0, 180, -10.0) and (-180, -20.0, -170.0, -10.0)" in str(caught.value)


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
