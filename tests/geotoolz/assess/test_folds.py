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

from geopatcher import (
    SpatialJitteredStride,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
)
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


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "float32", "int64"])
def test_a_gap_holds_for_numbers_of_any_type(dtype):
    times = np.arange(100).astype(dtype)
    for train, test in TimeFolds(4, gap=15, past_only=False).split(times):
        assert np.abs(np.arange(100)[train][:, None] - test).min() > 15


def test_a_gap_has_the_unit_of_the_times():
    days = pd.date_range("2024-01-01", periods=60)
    for gap in (10, 10.0, "10"):
        with pytest.raises(ValueError, match="timedelta or text"):
            list(TimeFolds(2, gap=gap).split(days))
    with pytest.raises(ValueError, match="number where times are numbers"):
        list(TimeFolds(2, gap="10D").split(np.arange(60)))
    for times, gap in ((days, "-10D"), (np.arange(60), -10)):
        with pytest.raises(ValueError, match="at least 0"):
            list(TimeFolds(2, gap=gap).split(times))


def test_dates_of_any_form_make_the_same_folds():
    days = pd.date_range("2024-01-01", periods=40, freq="3D")
    forms = [
        days,
        days.to_numpy().astype("M8[D]"),
        pd.Series(days.tz_localize("UTC")),
        [day.to_pydatetime() for day in days.tz_localize("UTC")],
        [day.date() for day in days],
        days.strftime("%Y-%m-%d").tolist(),
        days.to_period("D"),
    ]
    first, *others = (list(TimeFolds(3, gap="10D").split(form)) for form in forms)
    for splits in others:
        for one, other in zip(first, splits, strict=True):
            assert all(map(np.array_equal, one, other))


def test_samples_at_one_place_are_never_on_both_sides():
    places = np.repeat(np.random.default_rng(0).uniform(0, 100, (12, 2)), 5, axis=0)
    for train, test in BufferedFolds(0, 5).split(places):
        assert not set(map(tuple, places[train])) & set(map(tuple, places[test]))


@pytest.mark.parametrize("buffer", [0, 40])
def test_checked_folds_look_at_the_places_in_groups(buffer):
    rng = np.random.default_rng(0)
    places, truth = np.repeat(rng.uniform(0, 1000, (60, 2)), 2, axis=0), np.arange(120) % 2
    features = rng.normal(size=(120, 2)) * 1e6
    model = LogisticRegression()
    with pytest.raises(LeakError):
        folds = CheckedFolds(KFold(4, shuffle=True, random_state=0), buffer)
        cross_val_score(model, features, truth, groups=places, cv=folds)
    folds = CheckedFolds(BlockFolds(100, 4, buffer=buffer), buffer)
    assert len(cross_val_score(model, features, truth, groups=places, cv=folds)) == 4


@pytest.mark.parametrize("pixel", [0.3, 32.8, 10])
def test_chips_side_by_side_share_nothing_however_their_places_are_rounded(pixel):
    place = Affine(pixel, 0, 100_000.7, 0, -pixel, 5_000_000.1)
    scene = GeoTensor(np.zeros((1, 256, 256), "uint8"), place, "EPSG:32632")
    patcher = SpatialPatcher(SpatialRectangular(32), SpatialRegularStride(32))
    patches = list(patcher.split(scene))
    folds = KFold(4, shuffle=True, random_state=0)
    assert len(list(CheckedFolds(folds).split(patches))) == 4
    assert [len(train) for train, _ in BufferedFolds(0, 4).split(patches)] == [48] * 4


def test_points_and_lines_beside_chips_leak_in_both_directions():
    from shapely import LineString, box

    shapes = gpd.GeoSeries(
        [box(0, 0, 10, 10), Point(5, 5), LineString([(2, 2), (8, 2)]), Point(50, 50)],
        crs="EPSG:32632",
    )
    for train, test in ((0, 1), (1, 0), (0, 2), (2, 0)):
        with pytest.raises(LeakError):
            check_split(shapes, [train], [test])
    check_split(shapes, [0, 1, 2], [3])


def test_features_are_no_boxes_and_each_sample_has_its_place():
    features = np.random.default_rng(0).normal(size=(80, 4))
    with pytest.raises(ValueError, match="left <= right"):
        list(BlockFolds(1, 2).split(features))
    days = np.arange(40)
    with pytest.raises(ValueError, match="one for each of 80 samples, got 40"):
        list(PlaceTimeFolds(BlockFolds(1, 2), TimeFolds(2)).split(features[:, :2], groups=days))
    with pytest.raises(ValueError, match="one for each of 80 samples, got 40"):
        list(BlockFolds(1, 2).split(features, groups=features[:40, :2]))
    with pytest.raises(ValueError, match="no places"):
        list(BlockFolds(1, 2).split(features[:0, :2]))
    apart = np.array([[0, 0], [0, 0], [900, 900], [900, 900]])
    folds = PlaceTimeFolds(BlockFolds(500, 2), TimeFolds(2, past_only=False))
    with pytest.raises(ValueError, match="no sample in common"):
        list(folds.split(apart, groups=[0, 0, 1, 1]))


def test_chips_of_two_systems_are_not_compared():
    patcher = SpatialPatcher(SpatialRectangular(32), SpatialRegularStride(32))
    tiles = [GeoTensor(np.zeros((1, 64, 64)), PLACE, crs) for crs in ("EPSG:32632", "EPSG:32633")]
    with pytest.raises(ValueError, match="one CRS, got EPSG:32632 and EPSG:32633"):
        BlockFolds(320, 2).fold_of([patch for tile in tiles for patch in patcher.split(tile)])


def test_blocks_far_smaller_than_chips_are_refused_before_they_fill_the_memory():
    with pytest.raises(ValueError, match="as large as the chips"):
        BlockFolds(0.01, 2).fold_of(chips())


def test_a_variogram_takes_no_masked_values_and_needs_pairs():
    places = np.random.default_rng(0).uniform(0, 100, (50, 2))
    values = np.where(np.arange(50) == 3, 1e6, places[:, 0])
    with pytest.raises(ValueError, match="finite"):
        variogram(places, np.ma.masked_array(values, np.arange(50) == 3))
    for distance in (0, -5, np.nan, 1e-9):
        with pytest.raises(ValueError, match="max_distance must be a distance above 0"):
            variogram(places, places[:, 0], max_distance=distance)
    with pytest.raises(ValueError, match="lie 0 to 0 apart"):
        variogram(np.zeros((5, 2)), np.arange(5))
