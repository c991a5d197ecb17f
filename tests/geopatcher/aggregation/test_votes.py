"""Votes: the most votes win, integers stay integers, NaN does not vote."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window

from geopatcher import (
    CoverageWarning,
    Patch,
    PatchError,
    RasterDomain,
    SpatialHann,
    SpatialHardVote,
    SpatialRectangular,
    SpatialSoftVote,
)


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
    with pytest.raises(PatchError, match="output must be one of"):
        SpatialSoftVote(2, output="argmax")


@pytest.mark.parametrize("vote", [SpatialHardVote, SpatialSoftVote])
def test_the_number_of_classes_may_come_from_numpy(vote):
    made = vote(np.array([0, 2, 1]).max() + 1)
    assert made == vote(3)
    assert type(made.n_classes) is int
    for bad in (0, 2.0, "3", None):
        with pytest.raises(PatchError, match="n_classes must be a whole number of at least 1"):
            vote(bad)
