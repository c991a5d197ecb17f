"""Regular grids: where chips lie, how often each pixel is covered, what the weights add up to."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geopatcher import SpatialBoxcar, SpatialGaussian, SpatialHann, SpatialTukey
from geopatcher.axes.axis import AxisGrid, RegularGrid

WINDOWS = (SpatialBoxcar(), SpatialHann(), SpatialTukey(0.3), SpatialGaussian(2.0))


@st.composite
def axes(draw):
    boundary = draw(st.sampled_from(["drop", "shift", "pad", "shrink"]))
    length = draw(st.integers(1, 300))
    size = draw(st.integers(1, length if boundary in ("drop", "shift") else 310))
    return AxisGrid(length, size, draw(st.integers(1, 320)), boundary)


@given(axes())
def test_counts_are_those_of_the_loop(axis):
    counts = np.zeros(axis.length, int)
    for index, start in enumerate(axis.starts):
        counts[start : axis.stop(index)] += 1
    np.testing.assert_array_equal(axis.counts, counts)


@given(axes(), st.sampled_from(WINDOWS))
def test_normalised_weights_sum_to_one_wherever_covered(axis, window):
    total = np.zeros(axis.length)
    weights = axis.weights(window.profile(axis.size))
    for start, part in zip(axis.starts, weights, strict=True):
        total[start : start + len(part)] += part
    np.testing.assert_allclose(total[axis.counts > 0], 1, rtol=1e-12)
    assert (total[axis.counts == 0] == 0).all()


@given(axes())
def test_chips_rise_stay_on_the_axis_and_keep_the_boundary_policy(axis):
    starts = np.array(axis.starts)
    assert (np.diff(starts) > 0).all()
    assert starts[0] == 0
    if axis.boundary in ("drop", "shift"):
        assert starts[-1] + axis.size <= axis.length
    else:
        assert starts[-1] < axis.length
    if axis.boundary != "drop" and axis.step <= axis.size:
        assert (axis.counts > 0).all()
    if axis.boundary == "drop":
        assert starts[-1] + axis.size + axis.step > axis.length


@given(axes(), axes())
def test_numbers_anchors_and_the_covered_share_agree(rows, cols):
    grid = RegularGrid(rows, cols)
    anchors = list(grid.anchors())
    assert len(grid) == len(anchors)
    assert [grid.anchor(i) for i in range(len(grid))] == anchors
    covered = np.outer(rows.counts > 0, cols.counts > 0)
    assert np.isclose(grid.covered_share, covered.mean())


def test_the_lake_tahoe_scene_has_140_chips():
    grid = RegularGrid(*(AxisGrid(length, 256, 192, "drop") for length in (3935, 1599)))
    assert (len(grid.rows.starts), len(grid.cols.starts), len(grid)) == (20, 7, 140)
