"""A merge refuses patches that do not belong on its domain."""

import numpy as np
import pytest
import rioxarray  # noqa: F401
import xarray as xr
from georeader.geotensor import GeoTensor
from rasterio import Affine
from rasterio.windows import Window

from geopatcher import (
    CoverageWarning,
    Members,
    Patch,
    PatchError,
    PointDomain,
    RioXarrayField,
    SpatialMean,
    SpatialOverlapAdd,
    map_patches,
    merge_to_file,
)

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
