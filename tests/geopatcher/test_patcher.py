"""The patcher: lazy splitting, patch_at, errors, workers, batches."""

import pickle
import threading

import numpy as np
import pytest
import rasterio
from georeader.geotensor import GeoTensor
from hypothesis import given
from hypothesis import strategies as st

from geopatcher import (
    CoverageWarning,
    Patch,
    PatchError,
    RasterField,
    RioXarrayField,
    SpatialExplicit,
    SpatialHann,
    SpatialJitteredStride,
    SpatialMean,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialPoissonDisk,
    SpatialRandom,
    SpatialRectangular,
    SpatialRegularStride,
    XarrayField,
    merge_to_xarray,
    stack_patches,
)


class CountingField:
    """A Field that counts its reads and fails where told."""

    def __init__(self, scene, fails=()):
        self.inner = RasterField(scene)
        self.domain = self.inner.domain
        self.reads = 0
        self.fails = set(fails)

    def select(self, indices):
        self.reads += 1
        if (indices.row_off, indices.col_off) in self.fails:
            raise OSError("cannot read")
        return self.inner.select(indices)


@given(
    sampler=st.sampled_from(
        [
            SpatialRegularStride(5),
            SpatialJitteredStride(6, 0.5, 3),
            SpatialRandom(7, 3),
            SpatialPoissonDisk(8, 3),
            SpatialExplicit([(3, 4), (0, 0)]),
        ]
    ),
    boundary=st.sampled_from(["drop", "shift", "pad", "shrink"]),
)
def test_patch_at_an_anchor_is_the_patch_of_the_split(sampler, boundary, scene_of):
    scene = scene_of((2, 30, 23))
    patcher = SpatialPatcher(SpatialRectangular((8, 7), boundary=boundary), sampler)
    patches = list(patcher.split(scene))
    assert [patch.anchor for patch in patches] == patcher.anchors(scene)
    assert len(patches) == patcher.n_anchors(scene)
    for patch in patches:
        again = patcher.patch_at(scene, patch.anchor)
        assert again.indices == patch.indices
        assert again.data.transform == patch.data.transform
        np.testing.assert_array_equal(again.data.values, patch.data.values)
        np.testing.assert_array_equal(again.weights, patch.weights)
        assert patch.weights.shape == patch.data.shape[-2:]


def test_patch_at_takes_any_place_and_refuses_those_outside(scene_of, patcher_of):
    scene = scene_of((30, 30))
    patcher = patcher_of(8, 8)
    patch = patcher.patch_at(scene, (3, 5))
    np.testing.assert_array_equal(patch.data.values, scene.values[3:11, 5:13])
    with pytest.raises(PatchError, match="outside the domain of 30 x 30"):
        patcher.patch_at(scene, (30, 0))


def test_nothing_is_read_before_it_is_asked_for(scene_of, patcher_of):
    field = CountingField(scene_of((40, 40)))
    patcher = patcher_of(8, 8)
    stream = patcher.stream(field)
    assert (len(stream), patcher.n_anchors(field), field.reads) == (25, 25, 0)
    patches = patcher.split(field)
    next(patches)
    assert field.reads == 1
    assert stream[-1].anchor == (32, 32)
    assert field.reads == 2
    assert [p.anchor for p in stream[3:5]] == [(0, 24), (0, 32)]
    assert field.reads == 4


def test_a_stream_can_be_read_again_and_knows_its_ends(scene_of, patcher_of):
    stream = patcher_of(8, 8).stream(scene_of((20, 20)))
    first, second = ([p.anchor for p in stream] for _ in range(2))
    assert first == second
    for index in (9, -10):
        with pytest.raises(IndexError):
            stream[index]


def test_a_patch_of_memory_is_a_view(scene_of, patcher_of):
    scene = scene_of((20, 20))
    patch = patcher_of(8, 8).patch_at(scene, (4, 4))
    assert np.shares_memory(patch.data.values, scene.values)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("batch_size", [None, 1, 4, 100])
def test_workers_and_batches_change_nothing(workers, batch_size, scene_of, patcher_of):
    scene = scene_of((2, 45, 31))
    patcher = patcher_of(16, 9, "shrink")

    def operate(chips):
        return np.sqrt(chips)

    plain = patcher.stream(scene).map(operate)
    stream = patcher.stream(scene).map(operate, workers=workers, batch_size=batch_size)
    assert [p.anchor for p in stream] == [p.anchor for p in plain]
    for one, other in zip(plain, stream, strict=True):
        np.testing.assert_array_equal(np.asarray(one.data), np.asarray(other.data))
        assert one.data.transform == other.data.transform
    assert patcher.merge(stream, scene).values.tobytes() == (
        patcher.merge(plain, scene).values.tobytes()
    )


def test_a_batch_holds_chips_of_one_shape_as_plain_arrays(scene_of, patcher_of):
    shapes = []

    def operate(chips):
        assert type(chips) is np.ndarray
        shapes.append(chips.shape)
        return chips

    list(patcher_of(16, 16, "shrink").stream(scene_of((2, 40, 40))).map(operate, batch_size=4))
    assert shapes == [(2, 2, 16, 16), (1, 2, 16, 8)] * 2 + [(2, 2, 8, 16), (1, 2, 8, 8)]


def test_a_batch_of_which_something_is_lost_is_an_error(scene_of, patcher_of):
    stream = patcher_of(8, 8).stream(scene_of((16, 16))).map(lambda c: c[:1], batch_size=4)
    for policy in ("raise", "skip"):
        stream.on_error = policy
        with pytest.raises(PatchError, match=r"one result for each of its 4 chips.*got 1"):
            list(stream)


def test_one_bad_chip_of_a_batch_does_not_cost_its_neighbours(scene_of, patcher_of):
    scene = scene_of((16, 32))

    def operate(chips):
        if (chips[:, 0, 0] == scene.values[0, 8]).any():
            raise RuntimeError("bad chip")
        return chips + 1

    stream = patcher_of(8, 8).stream(scene).map(operate, batch_size=4, on_error="skip")
    assert len(list(stream)) == 7
    assert stream.skipped == {(0, 8): "RuntimeError: bad chip"}


def test_several_workers_really_run_side_by_side(scene_of, patcher_of):
    meeting = threading.Barrier(2, timeout=300)

    def operate(chip):
        meeting.wait()  # passes only when two chips are in work at once
        return chip

    stream = patcher_of(8, 8).stream(scene_of((16, 16))).map(operate, workers=2)
    assert len(list(stream)) == 4


@pytest.mark.parametrize("workers", [1, 2])
def test_a_read_that_fails_follows_the_policy(workers, scene_of, patcher_of):
    scene = scene_of((40, 40))
    field = CountingField(scene, fails=[(8, 16)])

    def run(policy):
        patcher = patcher_of(8, 8, on_error=policy)
        return patcher, patcher.stream(field).map(lambda c: c, workers=workers)

    _, stream = run("raise")
    with pytest.raises(OSError, match="cannot read") as caught:
        list(stream)
    assert "in the patch at anchor (8, 16), number 7 of 25" in caught.value.__notes__
    _, stream = run("skip")
    assert len(list(stream)) == 24
    assert stream.skipped == {(8, 16): "OSError: cannot read"}
    patcher, stream = run("fill")
    filled = next(p for p in stream if p.anchor == (8, 16))
    assert np.isnan(np.asarray(filled.data)).all()
    merged = patcher.merge(stream, scene)
    assert np.isnan(merged.values[8:16, 16:24]).all()
    assert np.isnan(merged.values).sum() == 64
    assert merged.attrs["skipped_patches"] == {"(8, 16)": "OSError: cannot read"}


@pytest.mark.parametrize("aggregation", [SpatialOverlapAdd(), SpatialMean()])
def test_patches_in_any_order_merge_straight_from_the_split(aggregation, scene_of):
    scene = scene_of((40, 40))
    anchors = [(30, 30), (0, 0), (15, 30), (30, 0), (0, 30), (10, 5), (20, 20)]
    patcher = SpatialPatcher(
        SpatialRectangular(10), SpatialExplicit(anchors), aggregation=aggregation
    )
    with pytest.warns(CoverageWarning):
        merged = patcher.merge(patcher.split(scene), scene)
    with pytest.warns(CoverageWarning):
        again = patcher.aggregation.merge(patcher.split(scene), scene)
    covered = ~np.isnan(merged.values)
    assert covered.sum() == 700
    np.testing.assert_allclose(merged.values[covered], scene.values[covered], rtol=1e-6)
    np.testing.assert_array_equal(merged.values, again.values)
    # What has been read from is continued, not begun again.
    patches = patcher.split(scene)
    assert next(patches).anchor == (30, 30)
    with pytest.raises(PatchError, match="must arrive by rising row"):
        patcher.merge(patches, scene)


def test_an_unknown_policy_is_refused(patcher_of):
    with pytest.raises(
        PatchError, match="on_error must be 'raise', 'skip' or 'fill', got 'ignore'"
    ):
        patcher_of(8, 8, on_error="ignore")


def test_a_patcher_pickles_and_compares(patcher_of):
    patcher = patcher_of(8, 6)
    assert pickle.loads(pickle.dumps(patcher)) == patcher
    assert patcher != patcher_of(8, 7)


def test_what_is_no_field_is_refused_with_a_way_out(patcher_of):
    with pytest.raises(PatchError, match=r"RioXarrayField.*DaskField"):
        patcher_of(8, 8).stream(np.zeros((20, 20)))


def test_patches_of_one_shape_stack(scene_of, patcher_of):
    scene = scene_of((2, 20, 20))
    patches = list(patcher_of(8, 8).split(scene))
    stacked = stack_patches(patches)
    assert stacked.shape == (9, 2, 8, 8)
    np.testing.assert_array_equal(stacked[4], scene.values[:, 8:16, 8:16])
    assert stack_patches(patches, "weights").shape == (9, 8, 8)
    assert stack_patches(patches, "anchor").tolist()[1] == [0, 8]
    with pytest.raises(PatchError, match=r'2 shapes.*boundary="shift" or "pad"'):
        stack_patches([*patches, Patch(np.ones((2, 3, 8)), (0, 0), None)])
    hidden = [p.with_data(np.ma.masked_greater(p.data.values, 0)) for p in patches]
    np.testing.assert_array_equal(np.ma.getmaskarray(stack_patches(hidden)), stacked > 0)
    with pytest.raises(PatchError, match="no patches to stack"):
        stack_patches([])


@pytest.mark.parametrize("axis", ["geometry", "sampler", "window", "aggregation"])
def test_an_axis_that_is_none_is_told_when_the_patcher_is_made(axis):
    axes = {
        "geometry": SpatialRectangular(8),
        "sampler": SpatialRegularStride(8),
        "window": SpatialHann(),
        "aggregation": SpatialMean(),
    }
    kind = type(axes[axis])
    with pytest.raises(PatchError, match=rf"{axis} must be an object.*write {kind.__name__}\("):
        SpatialPatcher(**{**axes, axis: kind})
    with pytest.raises(PatchError, match=rf"a patcher's {axis} has a method \w+, got 192"):
        SpatialPatcher(**{**axes, axis: 192})
    with pytest.raises(PatchError, match="a patcher's geometry has a method neighborhood"):
        SpatialPatcher(axes["sampler"], axes["geometry"])


def test_a_patch_equals_itself_alone(scene_of, patcher_of):
    patches = list(patcher_of(8, 8).split(scene_of((2, 16, 16))))
    assert patches[1] in patches
    assert patches[0] != patches[1]


@pytest.mark.parametrize(
    ("thing", "way_out"),
    [
        ("scene.tif", r"RasterioReader\(path\)"),
        (np.zeros((2, 16, 16)), r"GeoTensor\(array, transform, crs\)"),
    ],
)
def test_what_is_no_field_is_told_how_to_become_one(thing, way_out, patcher_of):
    with pytest.raises(PatchError, match=way_out):
        patcher_of(8, 8).split(thing)


def test_a_rasterio_dataset_is_no_reader(tmp_path, scene_of, patcher_of):
    path = tmp_path / "scene.tif"
    profile = {"driver": "GTiff", "height": 8, "width": 8, "count": 1, "dtype": "uint8"}
    place = {"crs": "EPSG:32632", "transform": scene_of((8, 8)).transform}
    told = pytest.raises(PatchError, match=r"without read_from_window; a file is read by")
    with rasterio.open(path, "w", **profile, **place) as file, told:
        patcher_of(8, 8).split(file)


@pytest.mark.filterwarnings("ignore::geopatcher.CoverageWarning")
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("aggregation", [SpatialOverlapAdd(), SpatialMean()])
def test_each_pass_lists_what_failed_in_it(workers, aggregation, scene_of, patcher_of):
    scene = scene_of((16, 16))
    patcher = patcher_of(8, 8, on_error="skip", aggregation=aggregation)
    field = CountingField(scene, fails={(8, 0)})
    stream = patcher.stream(field).map(np.asarray, workers=workers, on_error="skip")
    assert len(list(stream)) == 3
    assert list(stream.skipped) == [(8, 0)]
    field.fails.clear()
    assert "skipped_patches" not in patcher.merge(stream, scene).attrs
    field.fails.add((0, 8))
    merged = patcher.merge(stream, scene)
    assert list(merged.attrs["skipped_patches"]) == ["(0, 8)"]
    field.fails.clear()
    assert len(list(stream)) == 4
    assert not stream.skipped
    assert merged.attrs["skipped_patches"]


def test_a_merge_comes_out_labelled(scene_of, patcher_of, tmp_path):
    plain = scene_of((2, 50, 70))
    names = {"band_names": ["B04", "B08"]}
    scene = GeoTensor(plain.values, plain.transform, plain.crs, 0, names)
    patcher = patcher_of(16, 12)
    made = merge_to_xarray(patcher.split(scene), scene)
    np.testing.assert_allclose(made, scene.values, rtol=1e-6)
    assert (made.dims, made.band.values.tolist()) == (("band", "y", "x"), ["B04", "B08"])
    assert made.rio.transform() == scene.transform
    assert made.rio.crs.to_epsg() == 32610
    assert float(made.y[0]) == 4_099_995
    assert np.isnan(made.attrs["nodata"])
    field = RioXarrayField(made)
    again = merge_to_xarray(patcher.split(field), field, SpatialMean())
    np.testing.assert_allclose(again, made, rtol=1e-5)
    assert again.rio.transform() == made.rio.transform()
    labelled = made.drop_vars("spatial_ref").rename(y="lat", x="lon")
    kept = merge_to_xarray(patcher.split(XarrayField(labelled)), XarrayField(labelled))
    assert kept.dims == ("band", "lat", "lon")
    np.testing.assert_array_equal(kept.lat, labelled.lat)
    for name in ("o.tif", "o.zarr"):
        target = SpatialOverlapAdd(streaming=True, target_path=tmp_path / name)
        streamed = merge_to_xarray(patcher.split(scene), scene, target)
        np.testing.assert_allclose(streamed, made, rtol=1e-6)
        assert streamed.rio.crs.to_epsg() == 32610


@pytest.mark.parametrize("aggregation", [SpatialOverlapAdd(), SpatialMean()])
def test_a_merge_is_indexed_and_compared_like_an_array(aggregation, scene_of, patcher_of):
    scene = scene_of((40, 50))
    patcher = patcher_of(16, 12, aggregation=aggregation)
    out = patcher.merge(patcher.split(scene), scene)
    plain = out.values
    np.testing.assert_allclose(plain, out)
    np.testing.assert_allclose(out, scene, rtol=1e-6)
    assert out[0, 0] == plain[0, 0]
    np.testing.assert_array_equal(out[out > 100], plain[plain > 100])
    assert (out[out > 100] > 100).all()
    assert out[4:10, 6:].transform == scene[4:10, 6:].transform
