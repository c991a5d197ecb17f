"""Candidates are scored one by one, the best are chosen, and a draw with a seed is always the same."""

from collections.abc import Sequence

import numpy as np
import pytest
from footprints import write_raster
from hypothesis import given, settings
from hypothesis import strategies as st

from geocatalog import build_raster_catalog
from geopatcher import SpatialExplicit, SpatialPatcher, SpatialRectangular, SpatialRegularStride
from geotoolz import Lambda
from geotoolz.active import ActiveSampler
from geotoolz.catalog_ops import read_row


@pytest.fixture
def scenes(tmp_path):
    """Four dates of two bands, 40 x 30 pixels."""
    random = np.random.default_rng(1)
    for day in range(1, 5):
        data = random.integers(500, 5000, (2, 40, 30)).astype("uint16")
        write_raster(tmp_path / f"s_2024060{day}.tif", data, west=5e5, north=4.3e6, nodata=0)
    return build_raster_catalog(sorted(tmp_path.glob("s_*.tif")), r"_(?P<date>\d{8})")


@settings(max_examples=60)
@given(st.lists(st.floats(-100, 100) | st.just(float("nan")), min_size=1), st.integers(1, 12))
def test_nobody_left_out_is_better_than_one_chosen(scores, k):
    known = sum(score == score for score in scores)
    for mode, sign in (("top", 1), ("bottom", -1)):
        picks = ActiveSampler(range(len(scores)), scores.__getitem__, k, mode)()
        assert len(picks) == len(set(picks.indices)) == min(k, known)
        left = [sign * s for i, s in enumerate(scores) if i not in picks.indices and s == s]
        if left and len(picks):
            assert min(sign * picks.scores) >= max(left)


def test_a_draw_is_in_proportion_to_the_score():
    scores, seeds = [1.0, 3.0, 0.0, 6.0], range(2000)
    drawn = [ActiveSampler(range(4), scores.__getitem__, 1, "weighted", s)()[0] for s in seeds]
    shares = np.bincount(drawn, minlength=4) / len(seeds)
    # Three standard errors of the widest share are 0.034.
    np.testing.assert_allclose(shares, [0.1, 0.3, 0.0, 0.6], atol=0.034)


@pytest.mark.parametrize("scores", [[0.0, 0.0], [np.nan], [0.0, np.nan, 2.0]])
def test_a_draw_takes_no_more_than_there_are_positive_scores(scores):
    picks = ActiveSampler(range(len(scores)), scores.__getitem__, 2, "weighted", seed=0)()
    assert list(picks) == [i for i, score in enumerate(scores) if score > 0]


class Member:
    """A candidate that knows how many of its kind are alive."""

    alive = most = 0

    def __init__(self):
        Member.alive += 1
        Member.most = max(Member.most, Member.alive)

    def __del__(self):
        Member.alive -= 1


class Stream(Sequence):
    """Two hundred candidates, each made when it is asked for."""

    def __len__(self):
        return 200

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(index)
        return Member()


def test_candidates_are_read_one_at_a_time():
    picks = ActiveSampler(Stream(), lambda member: 1.0, 3)()
    assert len(picks) == 3
    assert Member.most <= 3


def test_the_best_patches_are_chosen_and_can_be_sampled_again(scenes):
    scene = read_row(next(scenes.iter_rows()))
    patcher = SpatialPatcher(SpatialRectangular(10), SpatialRegularStride(10))
    picks = ActiveSampler(patcher, Lambda(np.std, name="std"), k=3)(scene)
    by_hand = sorted(patcher.split(scene), key=lambda p: -np.std(p.data.values))[:3]
    assert picks.anchors == [p.anchor for p in by_hand]
    assert (np.diff(picks.scores) <= 0).all()
    assert len(picks.all_scores) == 12
    again = SpatialPatcher(SpatialRectangular(10), SpatialExplicit(picks.anchors))
    np.testing.assert_array_equal(again.stream(scene)[0].data.values, picks[0].data.values)


def test_modes():
    values = [3.0, np.nan, 9.0, 1.0, 7.0]
    assert ActiveSampler(values, float, 2)().items == [9.0, 7.0]
    assert ActiveSampler(values, float, 2, "bottom")().items == [1.0, 3.0]
    drawn = ActiveSampler(values, float, 3, "weighted", seed=4)()
    assert drawn.indices == ActiveSampler(values, float, 3, "weighted", seed=4)().indices
    assert len(set(drawn.indices)) == 3
    assert 1 not in drawn.indices
    assert len(ActiveSampler(values, float, 99)()) == 4


def test_rows_of_a_catalog_are_candidates(scenes):
    picks = ActiveSampler(scenes, lambda row: row.start_time.day, 1)()
    assert picks[0].filepath.endswith("s_20240604.tif")
    assert ActiveSampler(None, lambda row: row.start_time.day, 1)(scenes)[0].index == 3


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1], float, 0), ValueError, "k must"),
        (([1], float, 1, "best"), ValueError, "mode"),
        ((3, float, 1), TypeError, "int"),
        (([-1.0], float, 1, "weighted"), ValueError, "at least 0, got -1"),
        (([1.0, np.inf], float, 1, "weighted"), ValueError, "finite scores of at least 0, got inf"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        ActiveSampler(*arguments)()


def test_a_patcher_needs_a_field():
    patcher = SpatialPatcher(SpatialRectangular(10), SpatialRegularStride(10))
    with pytest.raises(ValueError, match="Field"):
        ActiveSampler(patcher, np.std, 1)()
