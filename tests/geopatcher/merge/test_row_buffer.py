"""The rolling buffer: rows leave it once, in order, whatever it held."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window

from geopatcher import Patch, PatchError, RasterDomain
from geopatcher.merge.row_buffer import RowBuffer, reduce_rows


class Adding:
    """Sums of chips, and how many there were."""

    def result(self, lead, dtype):
        return lead, np.float64

    def start(self, lead, dtype):
        return [(lead, np.float64), ((), np.int64)]

    def update(self, states, values, weights):
        states[0][...] += values
        states[1][...] += 1

    def finish(self, states):
        return states[0].copy(), int((states[1] > 0).sum())


@st.composite
def chips(draw):
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 20))
    found = []
    for number in range(draw(st.integers(1, 12))):
        row, col = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        size = draw(st.integers(1, height - row)), draw(st.integers(1, width - col))
        data = np.full((2, *size), number + 1.0)
        found.append(Patch(data, (row, col), Window(col, row, size[1], size[0])))
    return RasterDomain((height, width)), sorted(found, key=lambda p: p.indices.row_off)


@given(chips(), st.data())
def test_sums_equal_a_plain_loop_and_rows_come_once_in_order(drawn, data):
    domain, patches = drawn
    expected = np.zeros((2, domain.height, domain.width))
    for patch in patches:
        (row, col), window = patch.anchor, patch.indices
        expected[:, row : row + window.height, col : col + window.width] += patch.data
    start = data.draw(st.integers(0, domain.height - 1))
    stop = data.draw(st.integers(start + 1, domain.height))
    touching = [
        p
        for p in patches
        if p.indices.row_off < stop and sum((p.anchor[0], p.indices.height)) > start
    ]
    written = []

    def write(row, values):
        assert row == start + sum(v.shape[-2] for v in written)
        written.append(values)

    spec = ((2,), np.dtype("float64"))
    covered = reduce_rows(touching, domain, Adding(), (start, stop), write, spec)
    np.testing.assert_array_equal(np.concatenate(written, axis=-2), expected[:, start:stop])
    assert covered == np.count_nonzero(expected[0, start:stop])


def test_an_iterator_out_of_order_is_told():
    patches = [Patch(np.ones((4, 4)), (r, 0), Window(0, r, 4, 4)) for r in (0, 8, 2)]
    with pytest.raises(
        PatchError, match=r"by rising row, got the one at anchor \(2, 0\) after row 8"
    ):
        reduce_rows(
            iter(patches),
            RasterDomain((20, 4)),
            Adding(),
            (0, 20),
            lambda row, values: None,
            ((), np.dtype("float64")),
        )


def test_the_buffer_holds_no_more_than_two_chips_of_rows():
    domain = RasterDomain((4000, 8))
    heights = []

    class Watching(Adding):
        def update(self, states, values, weights):
            heights.append(states[0].base.shape[-2] if states[0].base is not None else 0)
            super().update(states, values, weights)

    patches = (Patch(np.ones((16, 8)), (r, 0), Window(0, r, 8, 16)) for r in range(0, 3984, 5))
    reduce_rows(
        patches,
        domain,
        Watching(),
        (0, 4000),
        lambda row, values: None,
        ((), np.dtype("float64")),
    )
    assert max(heights) <= 32


def test_states_can_deepen_and_keep_what_they_hold():
    rows = RowBuffer([((1,), np.int64)], top=0, width=3)
    rows.views(0, 2)[0][...] = 7
    rows.deepen([((3,), np.int64)])
    (state,) = rows.views(0, 4)
    assert state.shape == (3, 4, 3)
    assert state[0, :2].tolist() == [[7, 7, 7]] * 2
    assert not state[1:].any()
    assert not state[:, 2:].any()
