"""Overlap-add gives back what went in, for every size, step, edge, type and window."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geopatcher import (
    CoverageWarning,
    PatchError,
    SpatialBoxcar,
    SpatialCustom,
    SpatialGaussian,
    SpatialHann,
    SpatialJitteredStride,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRandom,
    SpatialRectangular,
    SpatialRegularStride,
    SpatialTukey,
)

BOUNDARIES = ("drop", "shift", "pad", "shrink")
DTYPES = ("uint8", "int16", "uint16", "float32", "float64")
WINDOWS = (
    SpatialBoxcar(),
    SpatialHann(),
    SpatialTukey(0.4),
    SpatialGaussian(3.0),
    SpatialCustom(lambda shape: 1.0 + np.arange(shape[0] * shape[1]).reshape(shape)),
)


@st.composite
def cases(draw, boundaries=BOUNDARIES, most=34):
    """Scene shape, chip size and step that need not divide each other, edge policy, window."""
    boundary = draw(st.sampled_from(boundaries))
    lead = draw(st.sampled_from([(), (1,), (3,)]))
    height, width = draw(st.integers(1, most)), draw(st.integers(1, most))
    room = (height, width) if boundary in ("drop", "shift") else (most + 6, most + 6)
    size = tuple(draw(st.integers(1, n)) for n in room)
    step = tuple(draw(st.integers(1, n + 2)) for n in size)
    return {
        "shape": (*lead, height, width),
        "size": size,
        "step": step,
        "boundary": boundary,
        "window": draw(st.sampled_from(WINDOWS)),
    }


def loops(patches, domain_shape):
    """The weighted mean of patches, pixel by pixel in float64: (values, weight sums)."""
    height, width = domain_shape[-2:]
    patches = list(patches)
    lead = np.asarray(patches[0].data).shape[:-2]
    total = np.zeros((*lead, height, width))
    weight = np.zeros((height, width))
    for patch in patches:
        data = np.asarray(patch.data)
        for i in range(patch.indices.height):
            for j in range(patch.indices.width):
                row, col = patch.indices.row_off + i, patch.indices.col_off + j
                if row < height and col < width:
                    total[..., row, col] += float(patch.weights[i, j]) * data[..., i, j]
                    weight[row, col] += float(patch.weights[i, j])
    with np.errstate(invalid="ignore"):
        return total / weight, weight


def merged_quietly(patcher, patches, scene):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CoverageWarning)
        return np.asarray(patcher.merge(patches, scene))


@given(case=cases(), dtype=st.sampled_from(DTYPES))
def test_split_and_merge_give_the_input_back_wherever_covered(case, dtype, scene_of, patcher_of):
    scene = scene_of(case.pop("shape"), dtype)
    patcher = patcher_of(**case)
    merged = merged_quietly(patcher, patcher.stream(scene), scene)
    covered = loops(patcher.split(scene), scene.shape)[1] > 0
    assert merged.shape == scene.shape
    assert merged.dtype == (np.float64 if dtype == "float64" else np.float32)
    np.testing.assert_allclose(
        merged[..., covered], np.asarray(scene)[..., covered], rtol=1e-6, atol=0
    )
    assert np.isnan(merged[..., ~covered]).all()


@pytest.mark.parametrize("form", ["stream", "list", "iterator", "file"])
@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_hundreds_of_chips_over_a_pixel_round_like_one(form, dtype, scene_of, patcher_of, tmp_path):
    scene = scene_of((2, 40, 37), dtype)
    patcher = patcher_of((20, 18), (1, 1), "shift", SpatialHann())
    assert patcher.stream(scene).grid.rows.counts.max() == 20
    if form == "file":
        target = SpatialOverlapAdd(streaming=True, target_path=tmp_path / "merged.tif")
        merged = target.merge(patcher.stream(scene), scene).load().values
    else:
        kind = {"stream": lambda stream: stream, "list": list, "iterator": iter}[form]
        merged = patcher.merge(kind(patcher.stream(scene)), scene).values
    assert merged.dtype == np.float32
    np.testing.assert_allclose(merged, scene.values, rtol=2.5 * 2.0**-23)


@given(case=cases())
def test_chips_that_disagree_merge_as_the_loops_say(case, scene_of, patcher_of):
    scene = scene_of(case.pop("shape"))
    patcher = patcher_of(**case)
    # Each chip is moved by its own amount, so that the weights matter.
    patches = [
        patch.with_data(np.asarray(patch.data) + patch.anchor[0] - 2 * patch.anchor[1])
        for patch in patcher.split(scene)
    ]
    expected, weight = loops(patches, scene.shape)
    merged = merged_quietly(patcher, patches, scene)
    np.testing.assert_allclose(merged, expected, rtol=1e-4, atol=1e-3)
    assert np.array_equal(np.isnan(merged).any(axis=tuple(range(merged.ndim - 2))), weight == 0)


@given(case=cases())
def test_a_stream_and_a_list_of_its_patches_merge_alike(case, scene_of, patcher_of):
    scene = scene_of(case.pop("shape"))
    patcher = patcher_of(**case)

    def differ(chip):
        return np.asarray(chip) - np.asarray(chip).mean(dtype=np.float64).astype(np.float32)

    stream = patcher.stream(scene).map(differ)
    known = merged_quietly(patcher, stream, scene)
    summed = merged_quietly(patcher, list(stream), scene)
    one_by_one = merged_quietly(patcher, iter(stream), scene)
    np.testing.assert_allclose(known, summed, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(summed, one_by_one)


@given(case=cases(boundaries=("shift", "pad", "shrink")))
def test_every_pixel_is_covered_unless_chips_are_dropped(case, scene_of, patcher_of):
    case["step"] = tuple(min(pair) for pair in zip(case["step"], case["size"], strict=True))
    scene = scene_of(case.pop("shape"))
    patcher = patcher_of(**case)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        merged = patcher.merge(patcher.split(scene), scene)
    np.testing.assert_allclose(np.asarray(merged), np.asarray(scene), rtol=1e-6)


@given(case=cases(), seed=st.integers(0, 99), how=st.sampled_from(["random", "jittered"]))
def test_irregular_anchors_merge_as_the_loops_say(case, seed, how, scene_of):
    scene = scene_of(case["shape"])
    sampler = (
        SpatialRandom(5, seed)
        if how == "random"
        else SpatialJitteredStride(case["step"], 0.5, seed)
    )
    geometry = SpatialRectangular(case["size"], boundary=case["boundary"])
    patcher = SpatialPatcher(geometry, sampler, case["window"])
    expected, _ = loops(patcher.split(scene), scene.shape)
    merged = merged_quietly(patcher, patcher.stream(scene), scene)
    np.testing.assert_allclose(merged, expected, rtol=1e-6)


@given(case=cases(), row=st.integers(0, 99), col=st.integers(0, 99))
def test_nan_in_one_chip_is_left_to_the_others(case, row, col, scene_of, patcher_of):
    scene = scene_of(case.pop("shape"))
    patcher = patcher_of(**case)
    patches = list(patcher.split(scene))
    chosen = patches[(row * 7 + col) % len(patches)]
    height, width = chosen.indices.height, chosen.indices.width
    at = row % height, col % width
    spoilt = np.array(chosen.data)
    spoilt[..., at[0], at[1]] = np.nan
    chosen.data = spoilt
    pixel = chosen.indices.row_off + at[0], chosen.indices.col_off + at[1]
    merged = merged_quietly(patcher, patches, scene)
    counts = np.zeros(scene.shape[-2:], int)
    for patch in patches:
        counts[patch.indices.toslices()] += 1
    if pixel[0] < scene.shape[-2] and pixel[1] < scene.shape[-1]:
        counts[pixel] -= 1
    expected = np.where(counts > 0, scene.values, np.nan)
    np.testing.assert_allclose(merged, expected, rtol=1e-5)


@pytest.mark.parametrize("workers", [2, 3, 8])
@pytest.mark.parametrize("boundary", ["drop", "shift", "pad", "shrink"])
def test_the_bytes_do_not_depend_on_the_number_of_workers(boundary, workers, scene_of, patcher_of):
    scene = scene_of((2, 101, 67))
    patcher = patcher_of((17, 23), (9, 14), boundary)

    def run(workers):
        stream = patcher.stream(scene).map(np.sqrt, workers=workers)
        return merged_quietly(patcher, stream, scene)

    assert run(workers).tobytes() == run(1).tobytes()


def test_the_result_has_the_shape_of_what_the_operator_made(scene_of, patcher_of):
    scene = scene_of((2, 40, 30))
    patcher = patcher_of(16, 12)
    one = patcher.merge(patcher.stream(scene).map(lambda c: c.values[0]), scene)
    four = patcher.merge(patcher.stream(scene).map(lambda c: np.stack([c.values] * 2)), scene)
    assert one.shape == (40, 30)
    assert four.shape == (2, 2, 40, 30)
    assert one.transform == scene.transform
    assert one.crs == scene.crs
    assert np.isnan(one.fill_value_default)


def test_dropped_margins_are_nan_and_warned_of_once_with_their_share(scene_of, patcher_of):
    scene = scene_of((2, 100, 50))
    patcher = patcher_of((30, 20), (30, 20), "drop")
    with pytest.warns(CoverageWarning, match=r"28\.00%.*boundary=\"shift\"") as caught:
        merged = patcher.merge(patcher.split(scene), scene)
    assert len(caught) == 1
    assert np.isnan(merged.values[:, 90:]).all()
    assert np.isnan(merged.values[:, :, 40:]).all()
    assert not np.isnan(merged.values[:, :90, :40]).any()


def test_a_fill_value_marks_what_is_uncovered(scene_of, patcher_of):
    scene = scene_of((10, 10))
    patcher = patcher_of(6, 6, "drop", aggregation=SpatialOverlapAdd(fill_value=-1))
    with pytest.warns(CoverageWarning):
        merged = patcher.merge(patcher.split(scene), scene)
    assert (merged.values[6:] == -1).all()
    assert merged.fill_value_default == -1


def test_integers_are_rounded_and_clipped_not_wrapped(scene_of, patcher_of):
    scene = scene_of((9, 9))
    patcher = patcher_of(4, 3, aggregation=SpatialOverlapAdd(dtype="uint8"))

    def stretch(chip):
        return np.where(chip.values > 100, 300.7, 7.6)

    merged = patcher.merge(patcher.stream(scene).map(stretch), scene)
    assert merged.dtype == np.uint8
    np.testing.assert_array_equal(merged.values, np.where(scene.values > 100, 255, 8))


def test_integers_cannot_hold_what_is_uncovered(scene_of, patcher_of):
    patcher = patcher_of(6, 6, "drop", aggregation=SpatialOverlapAdd(dtype="uint8"))
    scene = scene_of((10, 10))
    with pytest.warns(CoverageWarning):
        merged = patcher.merge(patcher.stream(scene), scene)
    assert merged.fill_value_default == 0 == merged.values[-1, -1]  # what the scene says
    scene.fill_value_default = None
    with pytest.raises(PatchError, match="fill_value="):
        patcher.merge(patcher.stream(scene), scene)


def test_without_normalising_the_weighted_sum_stays(scene_of):
    scene = scene_of((8, 8))
    patcher = SpatialPatcher(
        SpatialRectangular(4, boundary="shift"),
        SpatialRegularStride(2),
        SpatialBoxcar(),
        SpatialOverlapAdd(normalize_by_window=False),
    )
    merged = np.asarray(patcher.merge(patcher.stream(scene), scene))
    counts = np.outer([1, 1, 2, 2, 2, 2, 1, 1], [1, 1, 2, 2, 2, 2, 1, 1])
    np.testing.assert_allclose(merged, np.asarray(scene) * counts, rtol=1e-6)


@pytest.mark.parametrize("boundary", ["shift", "pad"])
def test_a_skipped_chip_leaves_its_pixels_to_those_that_overlap_it(boundary, scene_of, patcher_of):
    scene = scene_of((40, 30))
    patcher = patcher_of(16, 8, boundary)

    def fails_at(anchor):
        def operate(chip):
            if np.allclose(chip.values[0, 0], scene.values[anchor]):
                raise RuntimeError("bad chip")
            return chip

        return operate

    for workers in (1, 3):
        stream = patcher.stream(scene).map(fails_at((8, 8)), on_error="skip", workers=workers)
        merged = patcher.merge(stream, scene)
        np.testing.assert_allclose(merged.values, scene.values, rtol=1e-5)
        assert merged.attrs["skipped_patches"] == {"(8, 8)": "RuntimeError: bad chip"}


def test_a_filled_chip_is_nan_on_all_its_pixels(scene_of, patcher_of):
    scene = scene_of((2, 40, 30))
    patcher = patcher_of(16, 8)

    def fails(chip):
        if np.allclose(chip.values[..., 0, 0], scene.values[..., 8, 8]):
            raise RuntimeError("bad chip")
        return chip

    stream = patcher.stream(scene).map(fails, on_error="fill")
    merged = patcher.merge(stream, scene)
    bad = np.zeros((40, 30), bool)
    bad[8:24, 8:24] = True
    assert np.array_equal(np.isnan(merged.values), np.broadcast_to(bad, (2, 40, 30)))
    assert list(stream.skipped) == [(8, 8)]


def test_when_every_chip_fails_the_first_reason_is_told(scene_of, patcher_of):
    scene = scene_of((20, 20))
    patcher = patcher_of(8, 8)

    def fails(chip):
        raise RuntimeError("no model")

    with pytest.raises(PatchError, match=r"all 9 patches failed.*no model"):
        patcher.merge(patcher.stream(scene).map(fails, on_error="skip"), scene)


def test_a_constant_stays_that_constant_on_a_real_shape(patcher_of):
    scene = np.full((3935, 1599), 7, np.uint8)
    from georeader.geotensor import GeoTensor
    from rasterio import Affine

    tile = GeoTensor(scene, Affine(10, 0, 750_180, 0, -10, 4_351_240), "EPSG:32610")
    patcher = patcher_of(256, 192)
    merged = patcher.merge(patcher.stream(tile), tile)
    assert float(np.abs(merged.values - 7).max()) < 1e-5
    dropped = patcher_of(256, 192, "drop")
    assert dropped.n_anchors(tile) == 140


@pytest.mark.parametrize("name", ["uint8", "int8", "uint16", "int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("chips", ["float32", "float64"])
def test_integers_saturate_at_their_limits(name, chips, scene_of, patcher_of):
    limits = np.iinfo(name)
    scene = scene_of((20, 20), chips)
    scene.values[:10], scene.values[10:] = 1e20, -1e20
    scene.fill_value_default = None
    merged = patcher_of(8, 6, aggregation=SpatialOverlapAdd(dtype=name)).merge
    values = merged(patcher_of(8, 6).split(scene), scene).values
    assert values.dtype == name
    assert (values[0] == limits.max).all()
    assert (values[-1] == limits.min).all()


@pytest.mark.parametrize("fill", [-1, 256, 0.5, np.nan])
def test_a_fill_value_that_the_dtype_cannot_hold_is_refused(fill):
    with pytest.raises(PatchError, match="a whole number that uint8 holds, 0 to 255"):
        SpatialOverlapAdd(dtype="uint8", fill_value=fill)
    assert SpatialOverlapAdd(dtype="uint8", fill_value=255.0).fill_value == 255


@pytest.mark.parametrize("dtype", ["bool", "datetime64[D]", "str", "nonsense"])
def test_only_types_of_numbers_are_merged_into(dtype):
    with pytest.raises(PatchError, match="must be a type of numbers"):
        SpatialOverlapAdd(dtype=dtype)


@pytest.mark.parametrize("size", [64, 256, 512])
def test_beside_a_skipped_chip_those_that_overlap_it_count_in_full(size, scene_of, patcher_of):
    """Where a chip is missing, weights of neighbours next to it are tiny, but all there is."""
    step = size * 3 // 4
    scene = scene_of((2 * step + size, step + size))
    scene.values[:] = 1.5
    patcher = patcher_of(size, step, on_error="skip")

    def failing(chip):
        if chip.transform == scene.transform:
            raise ValueError("no")
        return chip

    merged = patcher.merge(patcher.stream(scene).map(failing, on_error="skip"), scene).values
    assert np.isnan(merged[:step, :step]).all()
    merged[:step, :step] = 1.5
    np.testing.assert_allclose(merged, 1.5, rtol=1e-6)


def test_sums_beside_a_skipped_chip_are_of_those_that_are_there(scene_of, patcher_of):
    scene = scene_of((22, 8))
    aggregation = SpatialOverlapAdd(normalize_by_window=False)
    patcher = patcher_of(8, 7, window=SpatialBoxcar(), aggregation=aggregation, on_error="skip")

    def failing(chip):
        if chip.transform == scene.transform:
            raise ValueError("no")
        return chip

    merged = patcher.merge(patcher.stream(scene).map(failing, on_error="skip"), scene).values
    assert np.isnan(merged[:7]).all()
    np.testing.assert_array_equal(merged[7:14], scene.values[7:14])
    np.testing.assert_array_equal(merged[14], 2 * scene.values[14])
