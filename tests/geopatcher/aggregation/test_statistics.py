"""Every aggregation against numpy over the list of values that each pixel gets."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.windows import Window

from geopatcher import (
    CoverageWarning,
    Patch,
    PatchError,
    RasterDomain,
    SpatialByIndex,
    SpatialHardVote,
    SpatialInvVarWeightedMean,
    SpatialLearned,
    SpatialMax,
    SpatialMean,
    SpatialMedian,
    SpatialMin,
    SpatialMode,
    SpatialOverlapAdd,
    SpatialSoftVote,
    SpatialSum,
    SpatialVariance,
    SpatialWeightedSum,
)


def mode_of(values, weights):
    found, counts = np.unique(values, return_counts=True)
    return found[counts.argmax()]


ORACLES = {
    SpatialSum(): lambda v, w: v.sum(),
    SpatialMean(): lambda v, w: v.mean(),
    SpatialVariance(): lambda v, w: v.var(),
    SpatialMin(): lambda v, w: v.min(),
    SpatialMax(): lambda v, w: v.max(),
    SpatialWeightedSum(): lambda v, w: (v * w).sum(),
    SpatialMedian(): lambda v, w: np.median(v),
    SpatialMode(): mode_of,
    SpatialOverlapAdd(): lambda v, w: (v * w).sum() / w.sum(),
}
DTYPES = ("uint8", "int16", "float32", "float64", "int32")


@st.composite
def patches_on(draw, dtype, lead):
    """Up to a dozen patches of any size anywhere on a small domain, by rising row."""
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    patches = []
    for _ in range(draw(st.integers(1, 12))):
        row, col = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        rows, cols = draw(st.integers(1, height - row)), draw(st.integers(1, width - col))
        values = rng.integers(0, 6, (*lead, rows, cols))
        if np.dtype(dtype).kind != "u":
            values = values - 3
        weights = rng.uniform(0.1, 1, (rows, cols)).astype(np.float32)
        window = Window(col, row, cols, rows)
        patches.append(Patch(values.astype(dtype), (row, col), window, weights))
    return RasterDomain((height, width)), patches


def values_at(patches, row, col, band):
    found = []
    for patch in patches:
        w = patch.indices
        i, j = row - w.row_off, col - w.col_off
        if 0 <= i < w.height and 0 <= j < w.width:
            data = np.asarray(patch.data)
            value = data[(*band, i, j)] if data.ndim > 2 else data[i, j]
            found.append((float(value), float(patch.weights[i, j])))
    return np.array(found).reshape(-1, 2).T


def expected_of(oracle, domain, patches, lead, fill=np.nan):
    out = np.full((*lead, *domain.shape), fill, np.float64)
    for place in np.ndindex(out.shape):
        values, weights = values_at(patches, *place[-2:], place[:-2])
        if values.size:
            out[place] = oracle(values, weights)
    return out


def merge_quietly(aggregation, patches, domain):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CoverageWarning)
        return aggregation.merge(patches, domain)


@pytest.mark.parametrize("aggregation", list(ORACLES), ids=lambda a: type(a).__name__)
@settings(max_examples=40)
@given(data=st.data())
def test_each_pixel_is_the_statistic_of_its_patches(aggregation, data):
    dtype = data.draw(st.sampled_from(DTYPES))
    lead = data.draw(st.sampled_from([(), (2,)]))
    domain, patches = data.draw(patches_on(dtype, lead))
    merged = merge_quietly(aggregation, patches, domain)
    fill = np.nan
    if isinstance(aggregation, SpatialMode):
        assert merged.dtype == dtype
        fill = aggregation.fill_for(merged.dtype)
    else:
        assert merged.dtype == (
            np.float32 if dtype in ("uint8", "int16", "float32") else np.float64
        ) or (isinstance(aggregation, SpatialVariance | SpatialOverlapAdd))
    expected = expected_of(ORACLES[aggregation], domain, patches, lead, fill)
    np.testing.assert_allclose(merged, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("aggregation", list(ORACLES), ids=lambda a: type(a).__name__)
def test_nan_stays_on_its_own_pixel(aggregation):
    values = np.arange(9.0).reshape(3, 3)
    spoilt = values.copy()
    spoilt[1, 1] = np.nan
    patches = [
        Patch(v, (0, 0), Window(0, 0, 3, 3), np.ones((3, 3))) for v in (values, spoilt, values)
    ]
    merged = aggregation.merge(patches, RasterDomain((3, 3)))
    bad = np.isnan(merged)
    if isinstance(aggregation, SpatialMode):
        assert not bad.any()  # NaN does not vote
    else:
        assert bad.sum() == 1
        assert bad[1, 1]


@pytest.mark.parametrize(
    "aggregation", [*ORACLES, SpatialHardVote(200)], ids=lambda a: type(a).__name__
)
@pytest.mark.parametrize("workers", [2, 4])
def test_workers_give_the_same_bytes(aggregation, workers, scene_of, patcher_of):
    scene = scene_of((97, 61), "uint8")
    patcher = patcher_of(20, 7, aggregation=aggregation)

    def run(workers):
        stream = patcher.stream(scene).map(lambda c: c.values // 3, workers=workers)
        return patcher.merge(stream, scene).values.tobytes()

    assert run(workers) == run(1)


@pytest.mark.parametrize("aggregation", list(ORACLES), ids=lambda a: type(a).__name__)
def test_a_merge_onto_a_georeferenced_scene_is_georeferenced(aggregation, scene_of, patcher_of):
    scene = scene_of((2, 30, 20))
    patcher = patcher_of(8, 6, aggregation=aggregation)
    merged = patcher.merge(patcher.split(scene), scene)
    assert merged.shape == (2, 30, 20)
    assert (merged.transform, merged.crs) == (scene.transform, scene.crs)


@settings(max_examples=30)
@given(data=st.data())
def test_the_precision_weighted_mean_is_that_of_the_formula(data):
    domain, patches = data.draw(patches_on("float64", ()))
    rng = np.random.default_rng(0)
    for patch in patches:
        patch.data = np.stack([patch.data, rng.uniform(0.5, 4, patch.data.shape)])
    merged = merge_quietly(SpatialInvVarWeightedMean(), patches, domain)
    for row, col in np.ndindex(domain.shape):
        inside = [
            p.data[:, row - p.indices.row_off, col - p.indices.col_off]
            for p in patches
            if 0 <= row - p.indices.row_off < p.indices.height
            and 0 <= col - p.indices.col_off < p.indices.width
        ]
        if not inside:
            assert np.isnan(merged[:, row, col]).all()
            continue
        estimate, variance = np.array(inside).T
        assert merged[0, row, col] == pytest.approx(
            np.average(estimate, weights=1 / variance), rel=1e-5
        )
        assert merged[1, row, col] == pytest.approx(1 / (1 / variance).sum(), rel=1e-5)


def test_variances_must_be_positive_and_there():
    def patch(data):
        return [Patch(np.asarray(data, float), (0, 0), Window(0, 0, 1, 1))]

    with pytest.raises(PatchError, match="variances must be positive, got 0"):
        SpatialInvVarWeightedMean().merge(patch([[[1]], [[0]]]), RasterDomain((1, 1)))
    with pytest.raises(PatchError, match=r"\(2, \.\.\., h, w\)"):
        SpatialInvVarWeightedMean().merge(patch([[1]]), RasterDomain((1, 1)))


def test_which_aggregations_have_a_state_of_fixed_size():
    fixed = {
        type(a).__name__
        for a in (*ORACLES, SpatialHardVote(2), SpatialSoftVote(2))
        if a.streaming_safe
    }
    assert fixed == {
        "SpatialSum", "SpatialMean", "SpatialVariance", "SpatialMin", "SpatialMax",
        "SpatialWeightedSum", "SpatialOverlapAdd", "SpatialHardVote", "SpatialSoftVote",
    }  # fmt: skip
    for stacked in (SpatialMedian(), SpatialMode(), SpatialLearned(len), SpatialByIndex()):
        assert not stacked.streaming_safe


def test_one_entry_for_each_anchor():
    patches = [Patch({"mean": 1.5}, 0, None), Patch({"mean": 2.5}, 3, None)]
    assert SpatialByIndex().merge(patches) == {0: {"mean": 1.5}, 3: {"mean": 2.5}}
    with pytest.raises(PatchError, match="two patches hang at anchor 3"):
        SpatialByIndex().merge([*patches, Patch(1, 3, None)])


def test_a_filled_patch_is_nan_in_statistics_and_silent_in_votes(scene_of, patcher_of):
    scene = scene_of((2, 24, 24))

    def fails(chip):
        if np.array_equal(chip.values[:, 0, 0], scene.values[:, 8, 8]):
            raise RuntimeError("bad chip")
        return chip

    for aggregation in (SpatialMean(), SpatialMax(), SpatialMedian(), SpatialVariance()):
        patcher = patcher_of(8, 8, aggregation=aggregation)
        merged = patcher.merge(patcher.stream(scene).map(fails, on_error="fill"), scene)
        assert np.isnan(merged.values[:, 8:16, 8:16]).all()
        assert np.isnan(merged.values).sum() == 2 * 64
    patcher = patcher_of(8, 4, aggregation=SpatialMode())
    merged = patcher.merge(patcher.stream(scene).map(fails, on_error="fill"), scene)
    np.testing.assert_array_equal(merged.values, scene.values)


@pytest.mark.parametrize(
    "aggregation", [SpatialMean(), SpatialSoftVote(2), SpatialMedian(), SpatialOverlapAdd()]
)
def test_any_number_of_chips_that_agree_give_their_value_back(aggregation, scene_of, patcher_of):
    scene = scene_of((2, 50, 50))
    scene.values[:] = np.random.default_rng(0).uniform(0.1, 0.9, scene.shape)
    patcher = patcher_of(40, 1, aggregation=aggregation)
    merged = patcher.merge(patcher.stream(scene), scene)
    assert merged.dtype == np.float32
    np.testing.assert_allclose(merged.values, scene.values, rtol=3e-7)


def test_sums_of_many_chips_lose_no_digit(scene_of, patcher_of):
    scene = scene_of((40, 40))
    patcher = patcher_of(32, 1, aggregation=SpatialSum())
    merged = patcher.merge(patcher.stream(scene), scene).values
    exact = scene.values.astype("float64")
    counts = np.outer(*[np.convolve(np.ones(9), np.ones(32))] * 2)
    np.testing.assert_array_equal(merged, (exact * counts).astype("float32"))


@pytest.mark.parametrize(
    "aggregation",
    [SpatialMin(), SpatialMax(), SpatialVariance(), SpatialMedian(), SpatialMode()],
)
def test_complex_numbers_have_no_order(aggregation, scene_of, patcher_of):
    scene = scene_of((8, 8), "complex64")
    patcher = patcher_of(8, 8, aggregation=aggregation)
    with pytest.raises(PatchError, match=f"{type(aggregation).__name__} compares values"):
        patcher.merge(patcher.stream(scene), scene)
    mean = patcher_of(8, 8, aggregation=SpatialMean())
    np.testing.assert_array_equal(mean.merge(mean.stream(scene), scene).values, scene.values)


@pytest.mark.parametrize("aggregation", [SpatialMean(), SpatialHardVote(4)])
def test_more_chips_over_a_pixel_than_16_bits_count(aggregation):
    """Chips of 256 pixels a side at each pixel: 65,536 over every one of them."""
    chip = Patch(np.full((1, 1), 3, "uint8"), (0, 0), Window(0, 0, 1, 1))
    merged = aggregation.merge((chip for _ in range(65_536)), np.zeros((1, 1)))
    assert merged.item() == 3
