"""Every statistic and vote against numpy over the list of values that each pixel gets."""

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
    SpatialHann,
    SpatialHardVote,
    SpatialInvVarWeightedMean,
    SpatialLearned,
    SpatialMax,
    SpatialMean,
    SpatialMedian,
    SpatialMin,
    SpatialMode,
    SpatialOverlapAdd,
    SpatialRectangular,
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
def test_nan_in_one_patch_is_left_to_the_others(aggregation):
    values = np.arange(9.0).reshape(3, 3)
    spoilt = values.copy()
    spoilt[1, 1] = np.nan
    patches = [
        Patch(v, (0, 0), Window(0, 0, 3, 3), np.ones((3, 3))) for v in (values, spoilt, values)
    ]
    merged = aggregation.merge(patches, RasterDomain((3, 3)))
    expected = aggregation.merge([patches[0]] * 3, RasterDomain((3, 3)))
    expected[1, 1] = aggregation.merge([patches[0]] * 2, RasterDomain((3, 3)))[1, 1]
    np.testing.assert_allclose(merged, expected)


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
    with pytest.raises(PatchError, match="two patches lie at anchor 3"):
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


def whole(values, weights=None):
    values = np.asarray(values)
    return Patch(values, (0, 0), Window(0, 0, values.shape[-1], values.shape[-2]), weights)


@given(votes=st.lists(st.lists(st.integers(0, 4), min_size=6, max_size=6), min_size=1, max_size=9))
def test_the_most_frequent_label_wins_and_the_lower_on_ties(votes):
    patches = [whole(np.reshape(v, (2, 3)).astype("uint8")) for v in votes]
    merged = SpatialHardVote(5).merge(patches, RasterDomain((2, 3)))
    expected = [np.bincount(pixel, minlength=5).argmax() for pixel in np.array(votes).T]
    assert merged.dtype == np.uint8
    assert merged.ravel().tolist() == expected


def test_where_chips_agree_a_vote_gives_the_labels_back(scene_of, patcher_of):
    scene = scene_of((50, 37))
    labels = (scene.values > 100).astype("int64") + (scene.values > 150)
    patcher = patcher_of(16, 5, aggregation=SpatialHardVote(3))

    def classify(chip):
        return (chip.values > 100).astype("int64") + (chip.values > 150)

    merged = patcher.merge(patcher.stream(scene).map(classify), scene)
    np.testing.assert_array_equal(merged.values, labels)
    assert merged.fill_value_default == 255


@pytest.mark.parametrize(
    ("n_classes", "dtype", "fill"),
    [(3, "uint8", 255), (255, "uint8", 255), (256, "uint16", 65535), (70_000, "uint32", 2**32 - 1)],
)
def test_the_type_holds_all_classes_and_a_fill_value(n_classes, dtype, fill):
    vote = SpatialHardVote(n_classes)
    assert vote.label_dtype == np.dtype(dtype)
    assert vote.fill_value == fill >= n_classes


def test_nan_does_not_vote_and_pixels_without_votes_are_marked():
    patches = [whole([[0.0, np.nan]]), whole([[1.0, np.nan]]), whole([[1.0, np.nan]])]
    with pytest.warns(CoverageWarning, match=r"50\.00%"):
        merged = SpatialHardVote(2).merge(patches, RasterDomain((1, 2)))
    assert merged.tolist() == [[1, 255]]


@pytest.mark.parametrize(
    ("vote", "mark"),
    [
        (SpatialHardVote(2), -1),
        (SpatialHardVote(2, ignore=255), 255),
        (SpatialHardVote(3, ignore=2), 2),
    ],
)
def test_the_ignored_label_does_not_vote(vote, mark):
    patches = [whole([[0, mark]]), whole([[1, mark]]), whole([[1, mark]])]
    with pytest.warns(CoverageWarning, match=r"50\.00%"):
        merged = vote.merge(patches, RasterDomain((1, 2)))
    assert merged.tolist() == [[1, 255]]
    with pytest.raises(PatchError, match="named by ignore="):
        SpatialHardVote(2, ignore=None).merge([whole([[0, -1]])], RasterDomain((1, 2)))


@pytest.mark.parametrize("bad", [-2, 3, 0.5])
def test_labels_that_are_no_class_are_refused(bad):
    with pytest.raises(PatchError, match=rf"whole, 0 to 2, got {bad}"):
        SpatialHardVote(3).merge([whole([[0.0, bad]])], RasterDomain((1, 2)))


def test_a_soft_vote_is_the_weighted_mean_of_probabilities():
    rng = np.random.default_rng(0)
    window = SpatialHann().weights(SpatialRectangular(4))
    patches = [
        Patch(p / p.sum(0), (r, c), Window(c, r, 4, 4), window)
        for (r, c), p in zip(
            [(0, 0), (0, 2), (2, 0), (2, 2)], rng.uniform(0.1, 1, (4, 3, 4, 4)), strict=True
        )
    ]
    total, weight = np.zeros((3, 6, 6)), np.zeros((6, 6))
    for patch in patches:
        r, c = patch.anchor
        total[:, r : r + 4, c : c + 4] += patch.data * window
        weight[r : r + 4, c : c + 4] += window
    merged = SpatialSoftVote(3).merge(patches, RasterDomain((6, 6)))
    np.testing.assert_allclose(merged, total / weight, rtol=1e-5)
    np.testing.assert_allclose(merged.sum(axis=0), 1, rtol=1e-5)
    labels = SpatialSoftVote(3, output="labels").merge(patches, RasterDomain((6, 6)))
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, merged.argmax(axis=0))


def test_a_pixel_with_nan_in_any_class_does_not_vote():
    sure = whole(np.array([[[0.9, 0.2]], [[0.1, 0.8]]]))
    broken = whole(np.array([[[np.nan, 0.4]], [[0.1, 0.6]]]))
    merged = SpatialSoftVote(2).merge([sure, broken], RasterDomain((1, 2)))
    np.testing.assert_allclose(merged.reshape(2, 2), [[0.9, 0.3], [0.1, 0.7]], rtol=1e-6)


def test_labels_and_probabilities_are_told_apart():
    with pytest.raises(PatchError, match="use SpatialSoftVote"):
        SpatialHardVote(2).merge([whole(np.zeros((2, 3, 3)))], RasterDomain((3, 3)))
    with pytest.raises(PatchError, match="use SpatialHardVote"):
        SpatialSoftVote(2).merge([whole(np.zeros((3, 3)))], RasterDomain((3, 3)))
    with pytest.raises(PatchError, match="n_classes"):
        SpatialHardVote(0)
    with pytest.raises(PatchError, match="output must be 'probabilities' or 'labels'"):
        SpatialSoftVote(2, output="argmax")


@pytest.mark.parametrize("vote", [SpatialHardVote, SpatialSoftVote])
def test_the_number_of_classes_may_come_from_numpy(vote):
    made = vote(np.array([0, 2, 1]).max() + 1)
    assert made == vote(3)
    assert type(made.n_classes) is int
    for bad in (0, 2.0, "3", None):
        with pytest.raises(PatchError, match="n_classes must be a whole number of at least 1"):
            vote(bad)
