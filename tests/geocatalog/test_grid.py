"""Grids: one rule for whole pixels, windows that are found again, nothing lost at an edge."""

import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from geocatalog.grid import (
    SNAP,
    check_upright,
    offset_of,
    part_of,
    pixel_grid,
    whole_pixels,
    window_of,
)

PLACES = st.sampled_from(
    [
        (0.01, 699960.3, 4300020.7),
        (10.0, 699960.0, 4400040.0),
        (1 / 3600, -120.00013888888889, 40.00013888888889),
        (463.3127165279165, -8895604.157333, 4447802.078667),
    ]
)
COUNTS = st.integers(-5000, 5000)


@given(PLACES, COUNTS, COUNTS, st.integers(1, 300), st.integers(1, 300), st.booleans())
def test_a_window_s_bounds_give_the_window_again(place, row, col, rows, cols, south_up):
    size, west, north = place
    down = size if south_up else -size
    grid = pixel_grid(32610, Affine(size, 0, west, 0, down, north), (9, 9))
    part = part_of(grid, row, col, rows, cols)
    assert window_of(grid.transform, part.boundingbox.bbox) == (row, col, rows, cols)
    assert offset_of(grid, part) == (row, col)


@given(st.floats(-1e4, 1e4), st.floats(0, 1e3))
def test_whole_pixels_hold_the_span_but_for_rounding(low, length):
    first, last = whole_pixels(low, low + length)
    assert first <= low + SNAP < first + 1
    assert last - 1 < low + length - SNAP <= last


def test_other_pixels_have_no_offset():
    grid = pixel_grid(32610, Affine(10, 0, 0, 0, -10, 0), (100, 100))
    half = pixel_grid(32610, Affine(10, 0, 5, 0, -10, 0), (3, 3))
    wide = pixel_grid(32610, Affine(10.001, 0, 0, 0, -10, 0), (3, 3))
    elsewhere = pixel_grid(32611, grid.transform, (3, 3))
    flipped = pixel_grid(32610, Affine(10, 0, 0, 0, 10, 0), (3, 3))
    for other in (half, wide, elsewhere, flipped):
        assert offset_of(grid, other) is None


def test_a_rotated_transform_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"cutting needs rows .* use Reproject first"):
        check_upright(Affine.rotation(30), "cutting")
