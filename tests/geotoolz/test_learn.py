import pickle
from collections.abc import Sequence

import numpy as np
import pytest
from footprints import write_raster
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

import geotoolz as gz
from geocatalog import build_raster_catalog
from geopatcher import (
    CoverageWarning,
    SpatialBoxcar,
    SpatialExplicit,
    SpatialHardVote,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
)
from geotoolz import Lambda
from geotoolz.catalog_ops import read_row
from geotoolz.learn import ActiveSampler, fit_pixels, pixel_table, predict_pixels

GRID = Affine(10, 0, 5e5, 0, -10, 5e6)


def scene(seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, (12, 15))
    values = labels + rng.normal(0, 0.1, (4, 12, 15))
    return GeoTensor(values.astype("float32"), GRID, "EPSG:32632", np.nan), labels


def test_a_separable_scene_is_learnt_and_keeps_its_place():
    raster, labels = scene()
    model = fit_pixels(GaussianNB(), raster, labels)
    result = gz.SklearnOp(model)(scene(1)[0])
    assert (result.values == scene(1)[1]).all()
    assert (result.transform, result.crs) == (GRID, "EPSG:32632")
    assert result.attrs["long_name"] == "GaussianNB.predict"


def test_pixels_are_predicted_as_rows_of_a_table():
    raster, labels = scene()
    model = fit_pixels(RandomForestClassifier(10, random_state=0), raster, labels)
    table = raster.values.reshape(4, -1).T
    assert np.array_equal(gz.SklearnOp(model)(raster).values.ravel(), model.predict(table))
    shares = gz.SklearnOp(model, method="predict_proba")(raster)
    assert shares.shape == (3, 12, 15)
    np.testing.assert_allclose(shares.values.sum(axis=0), 1)
    np.testing.assert_array_equal(shares.values.reshape(3, -1).T, model.predict_proba(table))


def test_nodata_is_neither_learnt_nor_predicted():
    raster, labels = scene()
    raster.values[1, :2] = np.nan
    model = fit_pixels(DecisionTreeClassifier(random_state=0), raster, labels)
    result = gz.SklearnOp(model)(raster)
    assert (result.values[:2] == -1).all()
    assert (result.values[2:] == labels[2:]).all()
    shares = gz.SklearnOp(model, method="predict_proba")(raster)
    assert np.isnan(shares.values[:, :2]).all()
    assert np.isfinite(shares.values[:, 2:]).all()


def test_a_chip_without_data_has_the_same_dtype_and_bands():
    raster, labels = scene()
    model = fit_pixels(DecisionTreeClassifier(random_state=0), raster, labels)
    empty = raster.array_as_geotensor(np.full_like(raster.values, np.nan))
    for method in ("predict", "predict_proba"):
        full, none = predict_pixels(model, raster, method), predict_pixels(model, empty, method)
        assert none.shape == full.shape
        assert none.dtype == full.dtype


def test_unsigned_labels_make_room_for_nodata():
    raster, labels = scene()
    model = fit_pixels(DecisionTreeClassifier(), raster, labels.astype("uint8"))
    raster.values[:, 0, 0] = np.nan
    assert gz.SklearnOp(model)(raster).dtype == np.int16
    assert gz.SklearnOp(model, nodata=255)(raster).dtype == np.uint8
    assert gz.SklearnOp(model, nodata=255)(raster).values[0, 0] == 255


def test_integer_fill_values_are_no_features():
    raster = GeoTensor(np.array([[[0, 5]], [[3, 6]]], "uint16"), GRID, "EPSG:32632", 0)
    features, valid = pixel_table(raster)
    assert features.tolist() == [[5, 6]]
    assert valid.tolist() == [[False, True]]


def test_several_chips_are_one_table():
    parts = [scene(seed) for seed in range(3)]
    one = fit_pixels(GaussianNB(), [r for r, _ in parts], [y for _, y in parts])
    stacked = np.concatenate([r.values for r, _ in parts], axis=1)
    other = fit_pixels(GaussianNB(), stacked, np.concatenate([y for _, y in parts]))
    np.testing.assert_allclose(one.theta_, other.theta_)


def test_classes_are_balanced_and_labels_ignored():
    raster, labels = scene()
    labels[0] = -1
    seen = {}

    class Recorder:
        def fit(self, x, y):
            seen.update(x=x, y=y)
            return self

    fit_pixels(Recorder(), raster, labels, per_class=7, seed=0)
    assert np.unique(seen["y"], return_counts=True)[1].tolist() == [7, 7, 7]
    first = seen["x"].copy()
    fit_pixels(Recorder(), raster, labels, per_class=7, seed=0)
    assert np.array_equal(seen["x"], first)
    fit_pixels(Recorder(), raster, labels)
    assert len(seen["y"]) == 11 * 15
    fit_pixels(Recorder(), raster, labels, ignore_label=None)
    assert len(seen["y"]) == 12 * 15


def test_regression_and_transformation():
    raster, _ = scene()
    target = raster.values.sum(axis=0)
    model = fit_pixels(LinearRegression(), raster, target, ignore_label=None)
    np.testing.assert_allclose(gz.SklearnOp(model)(raster).values, target, rtol=1e-4, atol=1e-4)
    pca = PCA(2).fit(raster.values.reshape(4, -1).T)
    assert gz.SklearnOp(pca, method="transform")(raster).shape == (2, 12, 15)


def test_chips_are_samples_in_chip_mode():
    chips = np.stack([scene(seed)[0].values for seed in range(6)])
    model = GaussianNB().fit(chips.reshape(6, -1), [0, 1] * 3)
    assert gz.SklearnOp(model, mode="chip")(chips).shape == (6,)
    with pytest.raises(ValueError, match=r"takes a batch \(N, C, H, W\)"):
        gz.SklearnOp(model, mode="chip")(chips[0])


def test_it_pickles_and_is_not_written_into_a_config():
    raster, labels = scene()
    op = gz.SklearnOp(fit_pixels(GaussianNB(), raster, labels))
    again = pickle.loads(pickle.dumps(op))
    assert np.array_equal(again(raster).values, op(raster).values)
    assert op.forbid_in_yaml
    with pytest.raises(TypeError, match=r"SklearnOp|GaussianNB"):
        _ = op.config_hash


def test_mistakes_are_named():
    raster, labels = scene()
    with pytest.raises(ValueError, match=r"labels of shape \(11, 15\) don't fit"):
        fit_pixels(GaussianNB(), raster, labels[1:])
    with pytest.raises(ValueError, match="no pixel is both valid and labelled"):
        fit_pixels(GaussianNB(), raster, np.full_like(labels, -1))
    with pytest.raises(ValueError, match="2 rasters but 1 label"):
        fit_pixels(GaussianNB(), [raster, raster], [labels])
    with pytest.raises(ValueError, match="per_class must be at least 1"):
        fit_pixels(GaussianNB(), raster, labels, per_class=0)
    with pytest.raises(ValueError, match="mode must be 'pixel' or 'chip'"):
        gz.SklearnOp(GaussianNB(), mode="scene")
    with pytest.raises(TypeError, match="LinearRegression has no method 'predict_proba'"):
        gz.SklearnOp(LinearRegression(), method="predict_proba")
    words = fit_pixels(GaussianNB(), raster, labels)
    words.classes_ = np.array(["a", "b", "c"])
    with pytest.raises(TypeError, match="fit on integer labels instead"):
        gz.SklearnOp(words)(raster)


def test_the_dtype_of_labels_does_not_depend_on_whether_a_chip_has_nodata():
    raster, labels = scene()
    model = fit_pixels(GaussianNB(), raster, labels.astype("uint8"))
    holes = GeoTensor(raster.values.copy(), GRID, "EPSG:32632", np.nan)
    holes.values[:, 0, 0] = np.nan
    for nodata, dtype in ((-1, "int16"), (255, "uint8"), (np.nan, "float16")):
        op = gz.SklearnOp(model, nodata=nodata)
        assert op(raster).dtype == op(holes).dtype == np.dtype(dtype)


@pytest.mark.parametrize("nodata", [-1, np.nan])
def test_pixels_without_data_cast_no_vote(nodata):
    raster, labels = scene()
    model = fit_pixels(GaussianNB(), raster, labels)
    raster.values[1, 3:9, 4:11] = np.nan
    patcher = SpatialPatcher(
        SpatialRectangular(6, boundary="shift"),
        SpatialRegularStride(4),
        SpatialBoxcar(),
        SpatialHardVote(3),
    )
    ask = gz.SklearnOp(model, nodata=nodata)
    tiled = gz.Sequential([gz.GridSampler(patcher), gz.ApplyToChips(ask), gz.Stitch()])
    with pytest.warns(CoverageWarning):
        result = tiled(raster)
    expected = np.where(np.isnan(raster.values[1]), 255, gz.SklearnOp(model)(raster).values)
    assert np.array_equal(result.values, expected)


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


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [
        ("uint8", 255),
        ("uint8", 1),
        (">i2", -9999),
        ("float32", np.nan),
        ("float32", -9999.0),
        ("int64", None),
    ],
)
@pytest.mark.parametrize("masked", [False, True])
def test_nodata_of_labels_is_no_class(dtype, nodata, masked):
    raster, labels = scene()
    unknown = np.random.default_rng(1).random(labels.shape) < 0.3
    values = labels.astype(dtype)
    if nodata is not None:
        values[unknown] = nodata
    if masked:
        truth = np.ma.array(values, mask=unknown)
    else:
        truth = GeoTensor(values, GRID, "EPSG:32632", nodata)
    model = fit_pixels(GaussianNB(), raster, truth)
    known = ~unknown if masked or nodata is not None else np.ones_like(unknown)
    if nodata == 1 and not masked:
        known = values != 1
    kept, counts = np.unique(labels[known], return_counts=True)
    assert model.classes_.tolist() == kept.tolist()
    assert model.class_count_.tolist() == counts.tolist()


def test_labels_of_another_grid_are_refused():
    raster, labels = scene()
    for place, crs in ((GRID @ Affine.translation(1, 0), 32632), (GRID, 32633)):
        with pytest.raises(ValueError, match="labels lie on another grid"):
            fit_pixels(GaussianNB(), raster, GeoTensor(labels, place, crs, None))


def test_labels_of_one_class_beside_nodata_say_how_to_count_both():
    chip, burnt = GeoTensor(np.ones((1, 2, 2)), GRID, "EPSG:32632"), np.array([[0, 1], [1, 0]])
    model, labels = DecisionTreeClassifier(), GeoTensor(burnt, GRID, "EPSG:32632", 0)
    with pytest.warns(UserWarning, match="set the labels' fill_value_default to None"):
        gz.fit_pixels(model, chip, labels)
    labels.fill_value_default = None
    assert gz.fit_pixels(model, chip, labels).classes_.tolist() == [0, 1]


@pytest.mark.parametrize("dtype", ["uint64", "int64"])
def test_labels_of_64_bits_stay_exact(dtype):
    chip, labels = np.arange(6.0).reshape(1, 2, 3), (2**53 + np.arange(6)).astype(dtype)
    model = fit_pixels(DecisionTreeClassifier(), chip, labels.reshape(2, 3))
    chip[0, 0, 0] = np.nan
    assert predict_pixels(model, chip).ravel().tolist() == [-1, *labels[1:].tolist()]
