import numpy as np
import pandas as pd
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given
from hypothesis import strategies as st
from rasterio import Affine
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from geotoolz import write_cog
from geotoolz.assess import area_estimate, confusion

PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)


@given(
    st.integers(1, 30),
    st.integers(1, 9),
    st.integers(1, 40),
    st.sampled_from(["uint8", ">i2", "int64", "float32"]),
    st.sampled_from([None, 2]),
)
def test_counts_and_scores_are_those_of_scikit_learn(height, width, rows, dtype, nodata):
    rng = np.random.default_rng(height * 100 + width)
    said, true = rng.integers(0, 5, (2, height, width))
    found = confusion(
        said.astype(dtype), true.astype("uint8"), classes=range(5), nodata=nodata, block_rows=rows
    )
    used = (said != nodata) & (true != nodata)
    assert (
        np.array_equal(found.counts, confusion_matrix(true[used], said[used], labels=range(5)).T)
        if used.any()
        else found.counts.sum() == 0
    )
    if used.any():
        scores = precision_recall_fscore_support(
            true[used], said[used], labels=range(5), zero_division=np.nan
        )
        for ours, theirs in zip((found.users, found.producers, found.f1), scores, strict=False):
            known = ~np.isnan(ours)
            assert ours[known] == pytest.approx(theirs[known])
        assert found.overall == pytest.approx(accuracy_score(true[used], said[used]))


def test_wide_and_many_classes_are_counted_too():
    said = np.array([[2**40, 5, -3], [2**40, 5, 5]])
    true = np.array([[1, 5, -3], [1, 2**50, 5]])
    found = confusion(said, true).frame
    assert found.loc[2**40, 1] == 2
    assert found.loc[5, 5] == 2
    assert found.to_numpy().sum() == 6


def test_nodata_in_either_is_left_out_and_places_must_agree(tmp_path):
    values = np.array([[1, 2, 0], [2, 2, 1]], "uint8")
    one = GeoTensor(values, PLACE, "EPSG:32632", 0)
    other = GeoTensor(values[:, ::-1].copy(), PLACE, "EPSG:32632", None)
    path = write_cog(one, tmp_path / "map.tif")
    for mapped in (one, path):
        found = confusion(mapped, other)
        assert found.counts.sum() == 5
        assert found.classes == [0, 1, 2]
    moved = GeoTensor(values, Affine.translation(10, 0) @ PLACE, "EPSG:32632", 0)
    with pytest.raises(ValueError, match="do not share their pixels"):
        confusion(path, moved)
    with pytest.raises(ValueError, match="same pixels"):
        confusion(path, values[:1])
    with pytest.raises(ValueError, match="classes must hold"):
        confusion(one, other, classes=[1])


def test_a_class_that_is_missing_is_nan():
    found = confusion(np.array([1, 1]), np.array([1, 2]), classes=[1, 2, 3])
    assert np.isnan(found.users[1:]).all()
    assert np.isnan(found.producers[2])
    assert np.isnan(found.f1[2])
    assert np.isnan(confusion(np.array([], int), np.array([], int), classes=[1]).overall)


def test_a_matrix_of_samples_goes_into_the_estimate():
    found = confusion(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 1]))
    assert area_estimate(found, [100, 300]).area.tolist() == [50, 350]


def test_labels_may_be_lists_and_series_and_classes_differ():
    said, true = [1, 1, 2, 4], [1, 2, 2, 4]
    for kind in (list, np.array, pd.Series):
        assert np.array_equal(confusion(kind(said), kind(true)), confusion_matrix(true, said).T)
    with pytest.raises(ValueError, match="classes must differ"):
        confusion(said, true, classes=[1, 2, 4, 4])
