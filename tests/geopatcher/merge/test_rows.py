"""Who fills which rows: blocks tile the scene, and each gets exactly the chips that touch it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geopatcher import PatchError, SpatialPatcher, SpatialRandom, SpatialRectangular
from geopatcher.merge.rows import Touching, aligned_rows, even_blocks, first_patch, row_blocks


@given(st.integers(1, 500), st.integers(1, 9), st.integers(1, 300))
def test_blocks_tile_the_rows(height, workers, chip):
    blocks = row_blocks(height, workers, chip)
    assert [row for start, stop in blocks for row in range(start, stop)] == list(range(height))
    assert len(blocks) <= workers
    assert len(blocks) == 1 or min(stop - start for start, stop in blocks) >= chip


@given(st.integers(1, 500), st.integers(1, 300), st.integers(1, 300))
def test_aligned_blocks_begin_at_multiples(height, align, wanted):
    rows = aligned_rows(align, wanted)
    assert rows % align == 0
    assert wanted <= rows < wanted + align
    blocks = even_blocks(height, rows)
    assert all(start % align == 0 for start, _ in blocks)
    assert [row for start, stop in blocks for row in range(start, stop)] == list(range(height))


@given(
    st.integers(10, 80),
    st.integers(1, 10),
    st.integers(1, 14),
    st.sampled_from(["drop", "shift", "pad", "shrink"]),
    st.data(),
)
def test_a_block_gets_the_chips_that_touch_it(
    scene_of, patcher_of, height, size, step, boundary, data
):
    stream = patcher_of(size, step, boundary).stream(scene_of((height, 25)))
    start = data.draw(st.integers(0, height - 1))
    stop = data.draw(st.integers(start + 1, height))
    expected = [i for i, (row, _) in enumerate(stream.anchors) if row < stop and row + size > start]
    assert list(Touching(stream).of((start, stop))) == expected


def test_chips_off_a_grid_come_by_rising_row(scene_of):
    scene = scene_of((100, 50))
    stream = SpatialPatcher(SpatialRectangular(10), SpatialRandom(60, seed=1)).stream(scene)
    touching = Touching(stream)
    rows = [stream.anchors[i][0] for i in touching.all]
    assert rows == sorted(rows)
    found = touching.of((40, 55))
    assert sorted(found) == [i for i, (row, _) in enumerate(stream.anchors) if 30 < row < 55]


def test_the_first_patch_is_the_first_that_did_not_fail(scene_of, patcher_of):
    def failing(chip):
        if chip.transform.c < 500_200:
            raise ValueError("too far west")
        return chip

    scene = scene_of((40, 40))
    stream = patcher_of(10, 10).stream(scene).map(failing, on_error="skip")
    assert first_patch(stream).anchor == (0, 20)
    assert list(stream.skipped) == [(0, 0), (0, 10)]


def test_when_all_fail_the_first_reason_is_told(scene_of, patcher_of):
    def failing(chip):
        raise ValueError("no light")

    scene = scene_of((40, 40))
    patcher = patcher_of(10, 10)
    stream = patcher.stream(scene).map(failing, on_error="skip")
    with pytest.raises(
        PatchError, match=r"all 16 patches failed, the first at anchor \(0, 0\): Val"
    ):
        patcher.merge(stream, scene)
    with pytest.raises(PatchError, match="no patches to merge"):
        patcher.merge([], scene)


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_change_no_byte(scene_of, patcher_of, workers):
    scene = scene_of((2, 211, 97))
    patcher = patcher_of(32, 13)
    one = patcher.merge(patcher.stream(scene), scene)
    many = patcher.merge(patcher.stream(scene).map(np.asarray, workers=workers), scene)
    assert np.asarray(one).tobytes() == np.asarray(many).tobytes()
