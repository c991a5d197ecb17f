import pickle

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

import geotoolz as gz
from geopatcher import (
    CoverageWarning,
    SpatialBoxcar,
    SpatialHardVote,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
)
from geotoolz.learn import fit_pixels, pixel_table, predict_pixels

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
    with pytest.raises(ValueError, match="mode must be one of"):
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
