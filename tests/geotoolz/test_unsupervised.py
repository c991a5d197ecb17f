"""Principal components and clusters, against scikit-learn and numpy on the table of pixels."""

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

import geotoolz as gz

PLACE = Affine(10, 0, 0, 0, -10, 0)


def scene():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(2, 20, 30))
    mixed = np.tensordot(rng.normal(size=(3, 2)), base, 1) + rng.normal(0, 0.1, (3, 20, 30))
    values = np.concatenate([mixed, rng.integers(0, 12, (1, 20, 30))]).astype("float32")
    values[1, 4, 5] = -99
    return GeoTensor(values, PLACE, "EPSG:32632", -99, {"band_names": ["B02", "B04", "B08", "SCL"]})


def test_components_are_those_of_the_covariance():
    raster = scene()
    made = gz.PCA(2)(raster)
    valid = np.ones((20, 30), bool)
    valid[4, 5] = False
    table = raster.values[:3, valid].T.astype("float64")
    variances, vectors = np.linalg.eigh(np.cov(table.T))
    share = variances[::-1] / variances.sum()
    np.testing.assert_allclose(made.attrs["explained_variance_ratio"], share[:2], atol=1e-6)
    scores = (table - table.mean(axis=0)) @ vectors[:, ::-1][:, :2]
    for found, expected in zip(made.values[:, valid], scores.T, strict=True):
        assert abs(np.corrcoef(found, expected)[0, 1]) == pytest.approx(1, abs=1e-5)
        assert found.var() == pytest.approx(expected.var(), rel=1e-4)
    theirs = PCA(2).fit_transform(table).T
    np.testing.assert_allclose(np.abs(made.values[:, valid]), np.abs(theirs), atol=1e-4)
    assert np.isnan(made.values[:, 4, 5]).all()
    assert made.attrs["band_names"] == ["PC1", "PC2"]
    assert made.attrs["band_roles"] == "quantity"
    np.testing.assert_allclose(
        gz.PCA(2, whiten=True)(raster).values[:, valid].std(axis=1), 1, atol=2e-3
    )


def test_clusters_are_classes_in_the_order_of_brightness():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, (20, 30))
    values = (np.array([0.1, 0.4, 0.8])[truth] + rng.normal(0, 0.01, (2, 20, 30))).astype("float32")
    values[0, 0, 0] = np.nan
    raster = GeoTensor(values, PLACE, "EPSG:32632", np.nan, {"band_names": ["B04", "B08"]})
    for seed in range(3):
        made = gz.KMeans(3, seed=seed)(raster)
        assert made.values[0, 0] == made.fill_value_default == -1
        known = made.values != -1
        np.testing.assert_array_equal(made.values[known], truth[known])
        assert (made.attrs["band_roles"], made.dtype) == ("class", "int16")
    table = values[:, known].T.astype("float64")
    model = KMeans(3, n_init=4, random_state=0).fit(table)
    for label in range(3):  # one of theirs is one of ours
        assert len(np.unique(made.values[known][model.labels_ == label])) == 1


def test_codes_are_no_features_and_bad_counts_are_refused():
    raster = scene()
    bare = gz.SelectBands((0, 1, 2))(raster)
    np.testing.assert_array_equal(gz.KMeans(4)(raster).values, gz.KMeans(4)(bare).values)
    assert gz.PCA(1).radius is None
    with pytest.raises(ValueError, match="n_components must be 1 to 3 for 3 bands"):
        gz.PCA(4)(raster)
    with pytest.raises(ValueError, match="no band of quantities"):
        gz.PCA(1)(gz.SelectBands(("SCL",))(raster))
    with pytest.raises(ValueError, match="beyond 0 to 2, got 1"):
        gz.KMeans(3, nodata=1)
    with pytest.raises(ValueError, match="as many valid pixels"):
        gz.KMeans(5)(np.ones((2, 1, 2)))
