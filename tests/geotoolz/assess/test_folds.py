import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from rasterio import Affine
from shapely import Point, Polygon
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, cross_val_score

from geopatcher import SpatialJitteredStride, SpatialPatcher, SpatialRectangular
from geotoolz.assess import (
    BlockFolds,
    BufferedFolds,
    CheckedFolds,
    LeakError,
    PlaceTimeFolds,
    TimeFolds,
    check_split,
    variogram,
)
from geotoolz.assess.places import boxes_of, shared_area

PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)


def chips(height=512, width=384, size=48, step=32, seed=0, transform=PLACE, jitter=0.5):
    scene = GeoTensor(np.zeros((1, height, width), "uint8"), transform, "EPSG:32632")
    patcher = SpatialPatcher(
        SpatialRectangular(size), SpatialJitteredStride(step, jitter=jitter, seed=seed)
    )
    return patcher.stream(scene)


def painted(stream, members, rim=0):
    """The pixels of chips, and a rim around them, one by one."""
    seen = np.zeros(stream.domain.shape[-2:], bool)
    for index in members:
        window = stream.patcher.geometry.neighborhood(stream.domain, stream.anchors[index])
        row, col = window.row_off, window.col_off
        rows = slice(max(row - rim, 0), row + window.height + rim)
        seen[rows, max(col - rim, 0) : col + window.width + rim] = True
    return seen


@settings(max_examples=25)
@given(
    st.integers(20, 70), st.integers(10, 60), st.sampled_from([0, 7, 16]), st.integers(0, 99),
    st.integers(2, 5),
)  # fmt: skip
def test_chips_of_two_folds_share_neither_a_pixel_nor_a_rim(size, step, rim, seed, count):
    stream = chips(size=size, step=step, seed=seed)
    folds = BlockFolds(block_size=1280, buffer=10 * rim, n_splits=count, seed=seed)
    try:
        fold = folds.fold_of(stream)
    except ValueError as refused:
        if "keeps clear" not in str(refused):
            raise
        reject()  # too few chips for so many folds
    for number in range(count):
        mine = np.flatnonzero(fold == number)
        others = np.flatnonzero((fold != number) & (fold >= 0))
        assert not (painted(stream, mine, rim) & painted(stream, others)).any()
    for train, test in folds.split(stream):
        assert not set(train) & set(test)
        check_split(stream, train, test)


@given(st.integers(0, 50), st.floats(0, 100), st.integers(2, 6))
def test_points_of_two_folds_are_apart(seed, buffer, count):
    places = np.random.default_rng(seed).uniform(0, 1000, (200, 2))
    folds = BlockFolds(250, count, buffer=buffer, seed=seed)
    tested = []
    for train, test in folds.split(places):
        gap = np.linalg.norm(places[train][:, None] - places[test][None], axis=2)
        assert gap.min() >= buffer - 1e-9
        tested.extend(test)
    assert len(tested) == len(set(tested))
    if not buffer:
        assert len(tested) == 200


def test_lists_of_patches_and_streams_and_pixels_have_one_answer():
    stream = chips()
    folds = BlockFolds(1000, 3)
    expected = folds.fold_of(stream)
    assert np.array_equal(folds.fold_of(list(stream)), expected)
    bare = chips(transform=Affine.scale(1, 1))
    in_pixels = BlockFolds(100, 3).fold_of(bare)
    assert set(in_pixels) <= {-1, 0, 1, 2}
    with pytest.raises(ValueError, match="degrees"):
        boxes_of(_in_degrees())


def _in_degrees():
    scene = GeoTensor(np.zeros((1, 100, 100)), Affine(1e-4, 0, 11, 0, -1e-4, 46), "EPSG:4326")
    patcher = SpatialPatcher(SpatialRectangular(20), SpatialJitteredStride(20, seed=0))
    return patcher.stream(scene)


@given(st.integers(0, 30), st.integers(2, 60))
def test_the_shared_area_is_that_of_painted_pixels(seed, split):
    stream = chips(seed=seed)
    order = np.random.default_rng(seed).permutation(len(stream))
    train, test = order[split:], order[:split]
    seen, asked = painted(stream, train), painted(stream, test)
    expected = (seen & asked).sum() / asked.sum()
    assert shared_area(boxes_of(stream), train, test) == pytest.approx(expected)


def test_a_random_split_of_overlapping_chips_is_refused_with_its_share():
    stream = chips()
    with pytest.raises(LeakError, match=r"cover 77 % of the pixels of the test chips of split 0"):
        next(CheckedFolds(KFold(4, shuffle=True, random_state=0)).split(stream))
    apart = chips(size=32, step=64, jitter=0.0)
    splitter = CheckedFolds(KFold(4, shuffle=True, random_state=0))
    assert len(list(splitter.split(apart))) == splitter.get_n_splits(apart) == 4
    with pytest.raises(LeakError, match="rim of 400"):
        next(CheckedFolds(KFold(4, shuffle=True, random_state=0), buffer=400).split(apart))
    groups = np.arange(len(stream)) % 5
    with pytest.raises(LeakError):
        next(CheckedFolds(GroupKFold(5)).split(stream, groups=groups))


@given(st.integers(0, 20), st.floats(0, 120))
def test_buffered_folds_test_each_once_and_leave_the_rim_out(seed, buffer):
    places = np.random.default_rng(seed).uniform(0, 1000, (120, 2))
    tested = []
    for train, test in BufferedFolds(buffer, 10, seed).split(places):
        gap = np.linalg.norm(places[train][:, None] - places[test][None], axis=2)
        assert gap.min() > buffer - 1e-9
        kept = np.setdiff1d(np.arange(120), np.concatenate([train, test]))
        if len(kept):
            assert (
                np.linalg.norm(places[kept][:, None] - places[test], axis=2).min(1).max() <= buffer
            )
        tested.extend(test)
    assert sorted(tested) == list(range(120))


def test_buffered_chips_never_overlap_those_that_are_tested():
    stream = chips()
    for train, test in BufferedFolds(0, 12).split(stream):
        check_split(stream, train, test)
    alone = BufferedFolds(5, None)
    assert alone.get_n_splits(np.zeros((7, 2))) == 7
    with pytest.raises(ValueError, match="nothing is farther"):
        next(BufferedFolds(1e6, 3).split(np.random.default_rng(0).random((30, 2))))


def test_folds_of_time_look_back_and_keep_a_gap():
    days = np.datetime64("2024-01-01") + np.random.default_rng(0).integers(0, 300, 500)
    gap = np.timedelta64(20, "D")
    for train, test in TimeFolds(4, gap="20D").split(days):
        assert days[train].max() < days[test].min() - gap
    both = list(TimeFolds(4, gap="20D", past_only=False).split(days))
    assert sorted(np.concatenate([test for _, test in both])) == list(range(500))
    for train, test in both:
        away = np.abs(days[train][:, None] - days[test][None]).min()
        assert away > gap
    with pytest.raises(ValueError, match="distinct times"):
        next(TimeFolds(5).split(np.zeros(9)))
    with pytest.raises(ValueError, match="known"):
        next(TimeFolds(2).split(np.array(["2024-01-01", "NaT", "2024-02-01"], "M8[D]")))


def test_place_and_time_are_both_unseen():
    import geopandas as gpd

    rng = np.random.default_rng(1)
    places = rng.uniform(0, 900, (400, 2))
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 200, 400), "D")
    folds = PlaceTimeFolds(BlockFolds(300, 3, buffer=20), TimeFolds(2))
    table = gpd.GeoDataFrame({"time": days}, geometry=gpd.points_from_xy(*places.T), crs=32632)
    one = list(folds.split(places, groups=days))
    other = list(folds.split(np.zeros((400, 5)), groups=table))
    assert len(one) == folds.get_n_splits() == 6
    for (train, test), (again, also) in zip(one, other, strict=True):
        assert np.array_equal(train, again)
        assert np.array_equal(test, also)
        assert days[train].max() < days[test].min()
        gap = np.linalg.norm(places[train][:, None] - places[test][None], axis=2)
        assert gap.min() >= 20 - 1e-9


def test_a_score_by_blocks_tells_the_truth_where_a_random_one_flatters():
    """A nearest neighbour copies the field it was trained in; a new field is a toss of 0.7."""
    from sklearn.neighbors import KNeighborsClassifier

    found = []
    for world in range(12):
        rng = np.random.default_rng(world)
        fields = (rng.random((40, 40)) < 0.7).astype(int)
        places = rng.uniform(0, 4000, (4000, 2))
        labels = fields[tuple((places // 100).astype(int).T)]
        west = places[:, 0] < 2000
        model, mine, own = KNeighborsClassifier(1), places[west], labels[west]
        random = cross_val_score(model, mine, own, cv=KFold(5, shuffle=True, random_state=0))
        blocked = cross_val_score(model, mine, own, cv=BlockFolds(400, 5), groups=mine)
        truth = model.fit(mine, own).score(places[~west], labels[~west])
        found.append((random.mean(), blocked.mean(), truth))
    random, blocked, truth = np.mean(found, axis=0)
    assert random - truth > 0.05
    assert abs(blocked - truth) < 0.02


def test_a_splitter_goes_into_scikit_learn():
    rng = np.random.default_rng(0)
    places, features = rng.uniform(0, 100, (200, 2)), rng.normal(size=(200, 3))
    labels = features[:, 0] > 0
    scores = cross_val_score(
        LogisticRegression(), features, labels, cv=BlockFolds(20, 4), groups=places
    )
    assert (scores > 0.9).all()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: BlockFolds(0), "block_size"),
        (lambda: BlockFolds(10, buffer=20), "larger than buffer"),
        (lambda: BlockFolds(10, 1), "at least 2"),
        (lambda: BufferedFolds(-1), "buffer"),
        (lambda: TimeFolds(1), "at least 2"),
        (lambda: BlockFolds(1e6).fold_of(np.random.default_rng(0).random((9, 2))), "1 blocks"),
        (lambda: BlockFolds(10).fold_of(np.zeros((9, 3))), "places must be"),
        (lambda: BlockFolds(10).fold_of(np.full((9, 2), np.nan)), "finite"),
        (lambda: BlockFolds(30, 4).fold_of(chips()), "keeps clear"),
    ],
)
def test_what_makes_no_folds_is_named(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_a_variogram_tells_the_size_of_patches():
    rng = np.random.default_rng(0)
    from scipy.ndimage import gaussian_filter

    ground = gaussian_filter(rng.normal(size=(300, 300)), 8, mode="wrap")
    places = rng.integers(0, 300, (1500, 2))
    found = variogram(10 * places, ground[places[:, 1], places[:, 0]], max_distance=1000)
    # The correlation of such a field is exp(-d^2 / 4 s^2): 5 % are left at 3.5 s, 280 m.
    assert 180 < found.range < 400
    assert found.sill == pytest.approx(ground.var(), rel=0.3)
    noise = variogram(10 * places, rng.normal(size=1500), max_distance=1000)
    assert noise.nugget + 1e-9 >= 0.6 * noise.sill or noise.range < 150
    with pytest.raises(ValueError, match="must differ"):
        variogram(places, np.ones(1500))
    with pytest.raises(ValueError, match="one for each"):
        variogram(places, np.ones(3))


@pytest.mark.parametrize("nowhere", [None, Point(), Polygon()])
def test_what_lies_nowhere_is_in_no_fold(nowhere):
    shapes = gpd.GeoSeries([Point(0, 0), nowhere, Point(300, 0), Point(600, 0)], crs=32632)
    for folds in (BlockFolds(100, 2), BufferedFolds(10, 2)):
        with pytest.raises(ValueError, match="missing or empty shapes"):
            list(folds.split(shapes))
