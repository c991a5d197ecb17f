"""Rows leave the buffer once, in order, and patches of another domain are refused."""

import numpy as np
import pytest
import rioxarray  # noqa: F401
import xarray as xr
from georeader.geotensor import GeoTensor
from hypothesis import given
from hypothesis import strategies as st
from rasterio import Affine
from rasterio.windows import Window

from geopatcher import (
    CoverageWarning,
    Members,
    Patch,
    PatchError,
    PointDomain,
    RasterDomain,
    RioXarrayField,
    SpatialMean,
    SpatialOverlapAdd,
    map_patches,
    merge_to_file,
)
from geopatcher.merge.row_buffer import RowBuffer, RowMerge, take


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
    covered = RowMerge(Adding(), domain, spec).run(enumerate(touching), (start, stop), write)
    np.testing.assert_array_equal(np.concatenate(written, axis=-2), expected[:, start:stop])
    assert covered == np.count_nonzero(expected[0, start:stop])


def test_an_iterator_out_of_order_is_told():
    patches = [Patch(np.ones((4, 4)), (r, 0), Window(0, r, 4, 4)) for r in (0, 8, 2)]
    merge = RowMerge(Adding(), RasterDomain((20, 4)), ((), np.dtype("float64")))
    with pytest.raises(
        PatchError, match=r"by rising row, got the one at anchor \(2, 0\) after row 8"
    ):
        merge.run(enumerate(patches), (0, 20), lambda row, values: None)


def test_the_buffer_holds_no_more_than_two_chips_of_rows():
    domain = RasterDomain((4000, 8))
    heights = []

    class Watching(Adding):
        def update(self, states, values, weights):
            heights.append(states[0].base.shape[-2] if states[0].base is not None else 0)
            super().update(states, values, weights)

    patches = (Patch(np.ones((16, 8)), (r, 0), Window(0, r, 8, 16)) for r in range(0, 3984, 5))
    merge = RowMerge(Watching(), domain, ((), np.dtype("float64")))
    merge.run(enumerate(patches), (0, 4000), lambda row, values: None)
    assert max(heights) <= 32


def test_states_can_deepen_and_keep_what_they_hold():
    class Deepening(Adding):
        def deeper(self, states, values):
            return [((3,), np.int64)]

        def update(self, states, values, weights):
            assert states[0].shape == (3, 1, 1)

    rows = RowBuffer([((1,), np.int64)], top=0, width=3)
    rows.views(0, 2)[0][...] = 7
    take(Deepening(), rows.arrays, (..., slice(0, 1), slice(0, 1)), np.ones((1, 1)), None)
    (state,) = rows.views(0, 4)
    assert state.shape == (3, 4, 3)
    assert state[0, :2].tolist() == [[7, 7, 7]] * 2
    assert not state[1:].any()
    assert not state[:, 2:].any()


AGGREGATIONS = [SpatialOverlapAdd(), SpatialMean()]


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_patches_of_a_larger_scene_lie_outside(aggregation, scene_of, patcher_of):
    patcher = patcher_of(8, 8, aggregation=aggregation)
    with pytest.raises(PatchError, match=r"outside the domain of 10 x 10.*another scene"):
        patcher.merge(patcher.split(scene_of((40, 40))), np.zeros((10, 10)))


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize(
    "other", [Affine(10, 0, 500_010, 0, -10, 4_100_000), Affine(20, 0, 500_000, 0, -20, 4_100_000)]
)
def test_patches_of_a_scene_elsewhere_are_recognised(aggregation, other, scene_of, patcher_of):
    scene = scene_of((40, 40))
    elsewhere = GeoTensor(scene.values, other, scene.crs)
    patcher = patcher_of(8, 8, aggregation=aggregation)
    for patches in (patcher.split(elsewhere), patcher.stream(elsewhere)):
        with pytest.raises(PatchError, match="cut from another scene"):
            patcher.merge(patches, scene)


def test_patches_of_another_crs_are_recognised(scene_of, patcher_of):
    scene = scene_of((40, 40))
    elsewhere = GeoTensor(scene.values, scene.transform, "EPSG:32611")
    patcher = patcher_of(8, 8)
    with pytest.raises(PatchError, match=r"EPSG:32611.*EPSG:32610"):
        patcher.merge(patcher.split(elsewhere), scene)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_chips_that_the_operator_made_smaller_are_refused(aggregation, scene_of, patcher_of):
    scene = scene_of((2, 40, 40))
    patcher = patcher_of(8, 8, aggregation=aggregation)
    with pytest.raises(PatchError, match=r"\(2, 6, 6\).*window's \(8, 8\).*height and width"):
        patcher.merge(patcher.stream(scene).map(lambda c: c.values[:, 1:-1, 1:-1]), scene)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_chips_of_several_kinds_are_refused(aggregation, scene_of, patcher_of):
    scene = scene_of((2, 40, 40))
    patcher = patcher_of(8, 8, aggregation=aggregation)
    patches = list(patcher.split(scene))
    patches[7].data = patches[7].data.values[0]
    with pytest.raises(PatchError, match=r"the first gave \(2,\).*anchor \(8, 16\) gives \(\)"):
        patcher.merge(patches, scene)


def test_nothing_to_merge_is_said(scene_of):
    for aggregation in AGGREGATIONS:
        for empty in ([], iter(())):
            with pytest.raises(PatchError, match="no patches to merge"):
                aggregation.merge(empty, scene_of((4, 4)))


def test_rectangles_need_a_raster():
    chip = Patch(np.ones((2, 2)), (0, 0), Window(0, 0, 2, 2))
    with pytest.raises(PatchError, match="no set of cells or members"):
        SpatialMean().merge([chip], PointDomain([[0, 0]]))
    with pytest.raises(PatchError, match="got str"):
        SpatialMean().merge([chip], "scene.tif")


def test_an_iterator_out_of_order_is_refused_and_a_list_is_sorted(scene_of, patcher_of):
    scene = scene_of((64, 64))
    patcher = patcher_of(8, 8, aggregation=SpatialMean())
    patches = list(patcher.split(scene))[::-1]
    merged = patcher.merge(patches, scene)
    np.testing.assert_array_equal(merged.values, scene.values)
    with pytest.raises(PatchError, match="must arrive by rising row"):
        patcher.merge(iter(patches), scene)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_a_chip_as_large_as_its_scene_is_recognised_by_its_pixels(
    aggregation, scene_of, patcher_of
):
    scene = scene_of((8, 8))
    coarse = GeoTensor(scene.values, Affine(20, 0, 500_000, 0, -20, 4_100_000), scene.crs)
    patcher = patcher_of(8, 8, aggregation=aggregation)
    with pytest.raises(PatchError, match=r"pixels of \(20, -20\), this domain of \(10, -10\)"):
        patcher.merge(patcher.split(coarse), scene)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_labelled_patches_of_a_scene_elsewhere_are_recognised(aggregation, patcher_of):
    here, there = (
        RioXarrayField(
            xr.DataArray(
                np.zeros((8, 8)), {"y": -10.0 * np.arange(8), "x": west + 10.0 * np.arange(8)}
            ).rio.write_crs(32632)
        )
        for west in (0, 500)
    )
    patcher = patcher_of(4, 4, aggregation=aggregation)
    assert patcher.merge(patcher.split(here), here).shape == (8, 8)
    with pytest.raises(PatchError, match="cut from another scene"):
        patcher.merge(patcher.split(there), here)


@pytest.mark.parametrize("batch_size", [None, 3])
def test_names_of_bands_stay_with_as_many_bands(batch_size, tmp_path, scene_of, patcher_of):
    scene = scene_of((2, 16, 16))
    scene.attrs = {"band_names": ["B04", "B08"], "source": "simulated"}
    patcher = patcher_of(8, 8)

    def made(operator, target=None):
        stream = patcher.stream(scene).map(operator, batch_size=batch_size)
        if target is None:
            return patcher.merge(stream, scene).attrs
        return merge_to_file(stream, scene, SpatialOverlapAdd(), target).attrs

    for target in (None, tmp_path / "o.tif"):
        assert made(lambda chips: chips * 2, target) == scene.attrs
        assert made(lambda chips: chips.mean(axis=-3), target) == {"source": "simulated"}


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_a_gap_is_told_at_the_line_that_merges(aggregation, tmp_path, scene_of, patcher_of):
    scene = scene_of((10, 10))
    patcher = patcher_of(8, 8, boundary="drop", aggregation=aggregation)
    for merge in (
        lambda: patcher.merge(patcher.split(scene), scene),
        lambda: aggregation.merge(patcher.stream(scene), scene),
        lambda: merge_to_file(patcher.stream(scene), scene, aggregation, tmp_path / "o.tif"),
        lambda: map_patches(patcher, scene, np.asarray, progress=False),
    ):
        with pytest.warns(CoverageWarning) as told:
            merge()
        gaps = [warning for warning in told if warning.category is CoverageWarning]
        assert [warning.filename for warning in gaps] == [__file__]


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("kind", [list, iter])
@pytest.mark.parametrize(
    "stranger", [7, Patch(np.zeros(3), 0, Members(index=np.arange(3))), Patch(np.zeros(3), 0, None)]
)
def test_what_is_no_rectangle_is_not_merged_with_rectangles(
    aggregation, kind, stranger, scene_of, patcher_of
):
    scene = scene_of((16, 16))
    patcher = patcher_of(8, 8, aggregation=aggregation)
    with pytest.raises(PatchError, match="patches with windows are needed"):
        patcher.merge(kind([*patcher.split(scene), stranger]), scene)
    if not isinstance(getattr(stranger, "indices", None), Members):
        with pytest.raises(PatchError, match="patches with windows are needed"):
            patcher.merge(kind([stranger]), scene)
