"""The tiled pipeline against the whole-scene call, and what it says when it cannot run."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine

from geopatcher import (
    CoverageWarning,
    PatchError,
    SpatialBoxcar,
    SpatialHann,
    SpatialHardVote,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
)
from geotoolz import NDVI, ApplyToChips, DNToReflectance, GridSampler, Sequential, Stitch
from pipekit import Lambda

TRANSFORM = Affine(10, 0, 500_000, 0, -10, 4_000_000)


def make_scene(shape=(2, 70, 83), seed=0):
    values = np.random.default_rng(seed).integers(1, 10_000, shape, dtype=np.uint16)
    return GeoTensor(values, TRANSFORM, "EPSG:32610")


def make_patcher(size=16, step=12, boundary="shift", window=None, **options):
    return SpatialPatcher(
        SpatialRectangular(size, boundary=boundary),
        SpatialRegularStride(step),
        window or SpatialHann(),
        **options,
    )


NDVI_OF_DN = DNToReflectance() | NDVI(red_idx=0, nir_idx=1)
BLENDED = Lambda(NDVI_OF_DN)
"""The same without its word that it works pixel by pixel: overlapping chips are blended."""


@settings(max_examples=60)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    step=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    boundary=st.sampled_from(["shift", "pad", "shrink"]),
    window=st.sampled_from([SpatialHann(), SpatialBoxcar()]),
    workers=st.integers(1, 3),
    operator=st.sampled_from([NDVI_OF_DN, BLENDED]),
)
def test_a_pixelwise_operator_gives_the_whole_scene_map(
    height, width, size, step, boundary, window, workers, operator
):
    scene = make_scene((2, height, width))
    if boundary == "shift":
        size = (min(size[0], height), min(size[1], width))
    step = (min(step[0], size[0]), min(step[1], size[1]))
    patcher = SpatialPatcher(
        SpatialRectangular(size, boundary=boundary), SpatialRegularStride(step), window
    )
    tiled = Sequential([GridSampler(patcher), ApplyToChips(operator, workers=workers), Stitch()])
    result = tiled(scene)
    expected = NDVI_OF_DN(scene)
    assert result.shape == (height, width)
    assert result.dtype == np.float32
    assert np.abs(result.values - expected.values).max() < 1e-6
    assert result.transform == scene.transform
    assert result.crs == scene.crs


def test_drop_leaves_nan_and_says_how_much():
    scene = make_scene((2, 70, 70))
    pipeline = Sequential(
        [GridSampler(make_patcher(16, 16, "drop")), ApplyToChips(NDVI_OF_DN), Stitch()]
    )
    with pytest.warns(CoverageWarning, match=r"16\.41% of the pixels") as caught:
        result = pipeline(scene)
    assert len(caught) == 1
    missing = np.isnan(result.values)
    assert missing.sum() == 70 * 70 - 64 * 64
    assert missing[64:].all()
    assert missing[:, 64:].all()


def test_the_lake_tahoe_grid_has_140_chips_and_168_to_the_edge():
    scene = make_scene((2, 3935, 1599))
    assert len(GridSampler(make_patcher(256, 192, "drop"))(scene)) == 140
    assert len(GridSampler(make_patcher(256, 192, "shift"))(scene)) == 168


def test_chips_are_made_when_asked_for_and_once():
    calls = []
    patcher = make_patcher()
    count = Lambda(lambda chip: calls.append(1) or chip)
    stream = Sequential([GridSampler(patcher), ApplyToChips(count)])(make_scene())
    assert calls == []
    stream[3]
    assert len(calls) == 1
    Stitch()(stream)
    assert len(calls) == 1 + len(stream)


@pytest.mark.parametrize("operator", [NDVI_OF_DN, BLENDED], ids=["local", "blended"])
def test_the_worker_count_does_not_change_a_byte(operator):
    scene = make_scene((2, 300, 90))
    runs = [
        Sequential(
            [GridSampler(make_patcher()), ApplyToChips(operator, workers=workers), Stitch()]
        )(scene).tobytes()
        for workers in (1, 2, 5)
    ]
    assert runs[0] == runs[1] == runs[2]


@pytest.mark.parametrize("batch_size", [1, 4, 1000])
@pytest.mark.parametrize("boundary", ["shift", "shrink"])
def test_batches_give_the_same_map(batch_size, boundary):
    scene = make_scene()
    shapes = []

    def mean_of_bands(batch):
        shapes.append(batch.shape)
        return batch.mean(axis=1, dtype=np.float32)

    tiled = Sequential(
        [
            GridSampler(make_patcher(boundary=boundary)),
            ApplyToChips(Lambda(mean_of_bands), batch_size=batch_size),
            Stitch(),
        ]
    )
    expected = scene.values.mean(axis=0)
    np.testing.assert_allclose(tiled(scene).values, expected, rtol=1e-5)
    assert max(shape[0] for shape in shapes) <= batch_size
    assert all(len(shape) == 4 for shape in shapes)


def fails_at(anchor_value):
    def operator(chip):
        if chip.values[0, 0, 0] == anchor_value:
            raise ZeroDivisionError("bad chip")
        return chip.values[0].astype(np.float32)

    return Lambda(operator)


def test_a_failed_chip_is_raised_with_its_place():
    scene = make_scene()
    bad = scene.values[0, 12, 24]
    stream = ApplyToChips(fails_at(bad))(GridSampler(make_patcher())(scene))
    with pytest.raises(ZeroDivisionError) as caught:
        Stitch()(stream)
    assert any("(12, 24)" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_skipped_chip_is_listed_and_its_neighbours_take_over(workers):
    scene = make_scene()
    bad = scene.values[0, 12, 24]
    stream = ApplyToChips(fails_at(bad), workers=workers, on_error="skip")(
        GridSampler(make_patcher())(scene)
    )
    result = Stitch()(stream)
    assert list(result.attrs["skipped_patches"]) == ["(12, 24)"]
    assert "bad chip" in result.attrs["skipped_patches"]["(12, 24)"]
    # Chips of 16 at a step of 12 overlap by 4: only the chip's inner 8 x 8 had no other chip.
    hole = np.zeros(scene.shape[1:], bool)
    hole[16:24, 28:36] = True
    assert np.array_equal(np.isnan(result.values), hole)
    np.testing.assert_allclose(result.values[~hole], scene.values[0][~hole], rtol=1e-5)


def test_a_filled_chip_is_nan_on_all_its_pixels():
    scene = make_scene()
    bad = scene.values[0, 12, 24]
    stream = ApplyToChips(fails_at(bad), on_error="fill")(GridSampler(make_patcher())(scene))
    result = Stitch()(stream)
    expected = np.zeros(scene.shape[1:], bool)
    expected[12:28, 24:40] = True
    assert np.array_equal(np.isnan(result.values), expected)
    assert list(stream.skipped) == [(12, 24)]


def test_hard_votes_of_a_pixelwise_classifier_agree_with_the_whole_scene():
    scene = make_scene((2, 70, 83))
    classify = Lambda(lambda chip: (chip.values[0] // 4000).astype(np.uint8))
    tiled = Sequential(
        [GridSampler(make_patcher()), ApplyToChips(classify), Stitch(SpatialHardVote(3), scene)]
    )
    result = tiled(scene)
    assert result.dtype == np.uint8
    assert np.array_equal(result.values, classify(scene))


def test_stitch_takes_a_list_of_patches_in_any_order():
    scene = make_scene()
    patches = list(make_patcher().split(scene))
    np.random.default_rng(1).shuffle(patches)
    result = Stitch(SpatialOverlapAdd(), scene)(patches)
    np.testing.assert_allclose(result.values, scene.values, rtol=1e-5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ApplyToChips(NDVI_OF_DN, workers=0), "workers must be a whole number"),
        (lambda: ApplyToChips(NDVI_OF_DN, batch_size=-1), "batch_size must be a whole number"),
        (lambda: ApplyToChips(NDVI_OF_DN, on_error="ignore"), "'raise', 'skip' or 'fill'"),
        (lambda: ApplyToChips(NDVI_OF_DN)([1, 2]), "GridSampler makes"),
        (lambda: Stitch()([]), "aggregation= and domain="),
        (lambda: GridSampler(SpatialRectangular(8)), "takes a SpatialPatcher, got SpatialRect"),
        (lambda: GridSampler(make_patcher(100))(make_scene()), None),
    ],
)
def test_wrong_use_says_what_to_do(build, message):
    if message is None:
        with pytest.raises(PatchError, match="larger than the scene of 70 x 83"):
            len(build())
    else:
        with pytest.raises(PatchError, match=message):
            build()


def test_an_operator_that_changes_the_size_is_refused():
    shrink = Lambda(lambda chip: chip.values[:, ::2, ::2])
    stream = ApplyToChips(shrink)(GridSampler(make_patcher())(make_scene()))
    with pytest.raises(PatchError, match="keep the chip's height and width"):
        Stitch()(stream)


@pytest.mark.parametrize("operator", [NDVI_OF_DN, BLENDED], ids=["local", "blended"])
def test_the_stitch_holds_less_than_64_mb_beyond_input_and_output(operator):
    import tracemalloc

    scene = make_scene((2, 3935, 1599))
    tiled = Sequential([GridSampler(make_patcher(256, 192)), ApplyToChips(operator), Stitch()])
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = tiled(scene)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # 31 MB of address space is reserved for an instant and never touched: it counts here.
    assert peak - result.nbytes < 64 * 2**20


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("batch_size", [None, 4])
def test_a_list_of_patches_gives_a_list_in_its_order(workers, batch_size):
    raster = make_scene()
    cut = make_patcher(boundary="shrink")
    patches = list(cut.split(raster))[::-1]
    double = ApplyToChips(lambda chip: chip * 2.0, workers=workers, batch_size=batch_size)
    done = double(patches)
    assert isinstance(done, list)
    for patch, made in zip(patches, done, strict=True):
        assert made.anchor == patch.anchor
        np.testing.assert_array_equal(made.data, patch.data.values * 2.0)
    np.testing.assert_allclose(cut.merge(done, raster), raster.values * 2.0, rtol=1e-6)
    assert len(double(cut.split(raster))) == len(done)  # a stream stays one
    with pytest.raises(PatchError, match="needs a stream, whose `skipped`"):
        ApplyToChips(abs, on_error="skip")(patches)
