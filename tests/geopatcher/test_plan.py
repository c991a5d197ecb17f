"""What a merge makes of patches: which chips, in which blocks, and whether they overlap.

Local operations over overlapping chips give the same result, every pixel computed once. Blocks
tile the scene, and each gets exactly the chips that touch it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import rasterio
from georeader.geotensor import GeoTensor
from georeader.rasterio_reader import RasterioReader
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine

from geopatcher import (
    PatchError,
    SpatialBoxcar,
    SpatialHann,
    SpatialMean,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRandom,
    SpatialRectangular,
    SpatialRegularStride,
    SpatialSum,
    map_patches,
)
from geopatcher.plan import Plan, aligned_rows, even_shares, shares


class Local:
    """A function of each pixel alone, which counts the pixels that it is given."""

    local = True

    def __init__(self) -> None:
        self.pixels = 0
        self.shapes: set[tuple[int, ...]] = set()

    def __call__(self, chip: GeoTensor) -> GeoTensor:
        self.pixels += chip.shape[-2] * chip.shape[-1]
        self.shapes.add(chip.shape[-2:])
        values = np.sqrt(chip.values.astype(np.float32)).sum(axis=0)
        return GeoTensor(values, chip.transform, chip.crs, np.nan, {"made": "of pixels"})


def scene_of(shape: tuple[int, ...], seed: int = 0) -> GeoTensor:
    values = np.random.default_rng(seed).integers(0, 10_000, shape, dtype=np.uint16)
    return GeoTensor(values, Affine(10, 0, 500_000, 0, -10, 4_000_000), "EPSG:32610", None)


def patcher_of(size, step, boundary="shift", **options) -> SpatialPatcher:
    return SpatialPatcher(
        SpatialRectangular(size, boundary=boundary),
        SpatialRegularStride(step),
        options.pop("window", SpatialHann()),
        **options,
    )


def general(function):
    """Return the function without its word that it is local: the engine must blend."""
    return lambda chip: function(chip)


@settings(max_examples=60)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    overlap=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    boundary=st.sampled_from(["shift", "pad", "shrink", "drop"]),
    workers=st.integers(1, 3),
)
@pytest.mark.filterwarnings("ignore::geopatcher.CoverageWarning")
def test_a_local_operation_gives_what_blending_gives(
    height, width, size, overlap, boundary, workers
) -> None:
    size = (min(size[0], height), min(size[1], width))
    step = tuple(max(1, n - o) for n, o in zip(size, overlap, strict=True))
    scene = scene_of((2, height, width))
    patcher = patcher_of(size, step, boundary)
    function = Local()
    stream = patcher.stream(scene)
    blended = patcher.merge(stream.map(general(function)), scene)
    direct = patcher.merge(stream.map(function, workers=workers), scene)
    np.testing.assert_allclose(direct.values, blended.values, rtol=2e-6)
    assert (direct.transform, direct.attrs) == (blended.transform, blended.attrs)
    assert direct.dtype == blended.dtype


def test_each_pixel_is_computed_once() -> None:
    scene = scene_of((2, 500, 300))
    patcher = patcher_of(64, 48)
    function = Local()
    patcher.merge(patcher.stream(scene).map(function), scene)
    assert function.pixels == 500 * 300
    blended = Local()
    patcher.merge(patcher.stream(scene).map(general(blended)), scene)
    assert blended.pixels == len(patcher.stream(scene)) * 64 * 64 > 1.7 * 500 * 300


def test_a_scene_in_memory_is_cut_into_whole_rows_and_a_file_into_chips(tmp_path: Path) -> None:
    scene = scene_of((2, 300, 200))
    path = tmp_path / "scene.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=2, height=300, width=200, dtype="uint16",
        crs=scene.crs, transform=scene.transform,
    ) as file:  # fmt: skip
        file.write(scene.values)
    patcher = patcher_of(128, 96)
    in_memory, from_file = Local(), Local()
    stitched = patcher.merge(patcher.stream(scene).map(in_memory), scene)
    reader = RasterioReader(str(path))
    read = patcher.merge(patcher.stream(reader).map(from_file), reader)
    assert in_memory.shapes == {(128, 200), (44, 200)}
    assert from_file.shapes == {(128, 128), (128, 72), (44, 128), (44, 72)}
    assert in_memory.pixels == from_file.pixels == 300 * 200
    assert stitched.tobytes() == read.tobytes()


def test_every_way_to_run_it_gives_the_same_bytes(tmp_path: Path) -> None:
    scene = scene_of((2, 300, 200))
    patcher = patcher_of(64, 48)
    function = Local()
    stream = patcher.stream(scene)
    whole = function(scene).values
    stitched = patcher.merge(stream.map(function), scene)
    assert stitched.tobytes() == whole.tobytes()
    ran = map_patches(patcher, scene, function, workers=2, block_rows=70, progress=False)
    assert ran.tobytes() == whole.tobytes()
    for name in ("out.tif", "out.zarr"):
        target = tmp_path / name
        aggregation = SpatialOverlapAdd(streaming=True, target_path=target, chunks=64)
        aggregation.merge(stream.map(function), scene)
        mapped = map_patches(
            patcher, scene, function, target=tmp_path / f"mapped_{name}", progress=False
        )
        for made in (mapped, aggregation.merge(stream.map(function), scene)):
            values = np.asarray(made.values).reshape(whole.shape)
            assert values.tobytes() == whole.tobytes()


def test_the_user_still_sees_the_chips_asked_for() -> None:
    scene = scene_of((2, 100, 100))
    function = Local()
    stream = patcher_of(32, 24).stream(scene).map(function)
    assert len(stream) == 16
    assert {patch.data.shape for patch in stream} == {(32, 32)}
    assert function.shapes == {(32, 32)}


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda s: patcher_of(32, 24, "drop").stream(s), id="gaps at the edge"),
        pytest.param(lambda s: patcher_of(32, 40).stream(s), id="gaps between chips"),
        pytest.param(lambda s: patcher_of(32, 24, on_error="skip").stream(s), id="skips"),
        pytest.param(
            lambda s: replace(patcher_of(32, 24), aggregation=SpatialSum()).stream(s), id="sum"
        ),
        pytest.param(
            lambda s: replace(patcher_of(32, 24), sampler=SpatialRandom(30, seed=1)).stream(s),
            id="no grid",
        ),
        pytest.param(
            lambda s: replace(
                patcher_of(32, 24), aggregation=SpatialOverlapAdd(normalize_by_window=False)
            ).stream(s),
            id="plain sums",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::geopatcher.CoverageWarning")
def test_where_overlaps_matter_whole_chips_are_computed(make) -> None:
    scene = scene_of((2, 101, 101))
    function = Local()
    stream = make(scene)
    stream.patcher.merge(stream.map(function), scene)
    assert function.shapes == {(32, 32)}
    assert function.pixels == len(stream) * 32 * 32


def test_one_step_that_is_not_local_makes_the_chain_not_local() -> None:
    scene = scene_of((2, 100, 100))
    function = Local()
    stream = patcher_of(32, 24).stream(scene)
    for mapped in (
        stream.map(function).map(lambda chip: chip),
        stream.map(lambda chip: chip).map(function),
        stream.map(function, on_error="skip"),
    ):
        function.shapes.clear()
        stream.patcher.merge(mapped, scene)
        assert function.shapes == {(32, 32)}


def test_a_failing_local_operation_names_the_pixels() -> None:
    class Fails(Local):
        def __call__(self, chip: GeoTensor) -> GeoTensor:
            raise ZeroDivisionError("no")

    scene = scene_of((2, 100, 100))
    patcher = patcher_of(32, 24)
    with pytest.raises(ZeroDivisionError) as caught:
        patcher.merge(patcher.stream(scene).map(Fails()), scene)
    assert "in the patch at anchor (0, 0)" in caught.value.__notes__[0]


def test_another_domain_is_refused_as_ever() -> None:
    scene = scene_of((2, 100, 100))
    patcher = patcher_of(32, 24)
    with pytest.raises(PatchError, match="outside the domain"):
        patcher.merge(patcher.stream(scene).map(Local()), scene_of((2, 60, 60)))


def test_chips_side_by_side_are_laid_out_as_they_are() -> None:
    scene = scene_of((2, 100, 100))
    patcher = patcher_of(32, 32, "shrink", window=SpatialBoxcar())
    merged = patcher.merge(patcher.stream(scene), scene)
    assert np.array_equal(merged.values, scene.values)


@given(st.integers(1, 500), st.integers(1, 9), st.integers(1, 300))
def test_blocks_tile_the_rows(height, workers, chip):
    blocks = shares(height, max(1, min(workers, height // chip)))
    assert [row for start, stop in blocks for row in range(start, stop)] == list(range(height))
    assert len(blocks) <= workers
    assert len(blocks) == 1 or min(stop - start for start, stop in blocks) >= chip


@given(st.integers(1, 500), st.integers(1, 300), st.integers(1, 300))
def test_aligned_blocks_begin_at_multiples(height, align, wanted):
    rows = aligned_rows(align, wanted)
    assert rows % align == 0
    assert wanted <= rows < wanted + align
    blocks = even_shares(height, rows, align)
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
    assert stream.touching((start, stop)) == expected


def test_chips_off_a_grid_come_by_rising_row(scene_of):
    scene = scene_of((100, 50))
    stream = SpatialPatcher(SpatialRectangular(10), SpatialRandom(60, seed=1)).stream(scene)
    rows = [stream.anchors[i][0] for i in stream.touching((0, 100))]
    assert rows == sorted(rows)
    assert len(rows) == len(stream)
    found = stream.touching((40, 55))
    assert sorted(found) == [i for i, (row, _) in enumerate(stream.anchors) if 30 < row < 55]


def test_the_first_patch_is_the_first_that_did_not_fail(scene_of, patcher_of):
    def failing(chip):
        if chip.transform.c < 500_200:
            raise ValueError("too far west")
        return chip

    scene = scene_of((40, 40))
    stream = patcher_of(10, 10).stream(scene).map(failing, on_error="skip")
    assert Plan(stream, stream.domain, SpatialMean()).first.anchor == (0, 20)
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


def test_first_chips_of_runs_side_by_side_do_not_wait_for_each_other(scene_of, patcher_of):
    both = Barrier(2)

    def meeting(chip):
        if chip.transform.c == 500_000:  # the first chip of each run waits for the other's
            both.wait(timeout=300)
        return chip

    def first(seed):
        stream = patcher_of(10, 10).stream(scene_of((10, 40), seed=seed)).map(meeting)
        return Plan(stream, stream.domain, SpatialMean()).first.anchor

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(first, [1, 2])) == [(0, 0), (0, 0)]


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_change_no_byte(scene_of, patcher_of, workers):
    scene = scene_of((2, 211, 97))
    patcher = patcher_of(32, 13)
    one = patcher.merge(patcher.stream(scene), scene)
    many = patcher.merge(patcher.stream(scene).map(np.asarray, workers=workers), scene)
    assert np.asarray(one).tobytes() == np.asarray(many).tobytes()
