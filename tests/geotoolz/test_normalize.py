import pickle

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio import Affine

import geotoolz as gz
from geotoolz.normalize import robust_scale, standard_scale

quick = settings(max_examples=40)
chips = arrays(np.float64, st.tuples(*[st.integers(1, 5)] * 2), elements=st.floats(-1e4, 1e4))


@quick
@given(st.lists(chips, min_size=1, max_size=6), st.integers(0, 6))
def test_statistics_of_chips_are_those_of_all_pixels(parts, cut):
    left, right = gz.PerBandStats(), gz.PerBandStats()
    for number, chip in enumerate(parts):
        (left if number < cut else right).update(chip)
    merged = left + right
    pixels = np.concatenate([chip.ravel() for chip in parts])
    assert merged.count.tolist() == [pixels.size]
    np.testing.assert_allclose(merged.mean, [pixels.mean()], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(merged.std, [pixels.std()], rtol=1e-7, atol=1e-6)
    assert (merged.min[0], merged.max[0]) == (pixels.min(), pixels.max())


def test_a_large_mean_loses_no_digits():
    values = 1e8 + np.random.default_rng(0).normal(size=(1, 100, 100))
    stats = gz.PerBandStats()
    for rows in np.split(values, 10, axis=1):
        stats.update(rows)
    assert stats.std[0] == pytest.approx(values.std(), rel=1e-6)


def test_nodata_does_not_count():
    raster = GeoTensor(np.array([[[0, 2, 4]], [[0, 0, 0]]], "uint16"), Affine.identity(), 32632, 0)
    stats = gz.PerBandStats().update(raster)
    assert stats.count.tolist() == [2, 0]
    assert stats.mean[0] == 3
    assert np.isnan([stats.mean[1], stats.std[1], stats.min[1], stats.max[1]]).all()


def test_adding_leaves_both_as_they_were():
    a = gz.PerBandStats().update(np.ones((1, 2, 2)))
    b = gz.PerBandStats().update(np.full((1, 2, 2), 3.0))
    total = a + b
    assert (a.mean[0], b.mean[0], total.mean[0]) == (1, 3, 2)
    assert (gz.PerBandStats() + a).mean[0] == 1


def test_chips_must_have_the_same_bands():
    with pytest.raises(ValueError, match="expected 2 bands as before, got 3"):
        gz.PerBandStats().update(np.ones((2, 2, 2))).update(np.ones((3, 2, 2)))


def test_statistics_pickle_to_other_workers():
    stats = gz.PerBandStats().update(np.arange(8.0).reshape(2, 2, 2))
    assert repr(pickle.loads(pickle.dumps(stats))) == repr(stats)


def test_scaling_with_gathered_statistics(bolzano):
    raster = gz.DNToReflectance()(bolzano)
    stats = gz.PerBandStats()
    for rows in range(0, 705, 100):
        stats.update(raster.values[:, rows : rows + 100])
    scaled = gz.StandardScale(stats.mean, stats.std)(raster)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(np.nanmean(scaled.values, axis=(1, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(np.nanstd(scaled.values, axis=(1, 2)), 1, atol=1e-3)
    np.testing.assert_allclose(gz.StandardScale()(raster).values, scaled.values, atol=1e-4)


def test_bands_are_scaled_independently():
    values = np.random.default_rng(0).random((3, 6, 6))
    for op in (gz.StandardScale(), gz.RobustScale()):
        whole = op(values)
        for index in range(3):
            np.testing.assert_allclose(op(values[index]), whole[index], atol=1e-6)


def test_robust_scale_against_percentiles():
    values = np.random.default_rng(0).random((2, 9, 9))
    values[0, 0, 0] = np.nan
    q = np.nanpercentile(values, [25, 50, 75], axis=(1, 2))[:, :, None, None]
    np.testing.assert_allclose(robust_scale(values), (values - q[1]) / (q[2] - q[0]), atol=1e-5)


def test_constant_bands_are_zero_and_nodata_stays():
    for op in (gz.StandardScale(), gz.RobustScale()):
        assert op(np.full((1, 2, 2), 5.0)).tolist() == [[[0, 0], [0, 0]]]
        assert np.isnan(op(np.array([[[np.nan, 1.0, 2.0]]]))[0, 0, 0])
        assert np.isnan(op(np.full((1, 2, 2), np.nan))).all()


def test_numbers_must_fit_the_bands():
    with pytest.raises(ValueError, match="mean must be one number or one per band"):
        standard_scale(np.ones((3, 2, 2)), mean=[1, 2], std=1)
    with pytest.raises(ValueError, match=r"\(H, W\) is a single band"):
        standard_scale(np.ones((2, 2)), mean=[1, 2], std=1)
    with pytest.raises(ValueError, match="can't be negative"):
        standard_scale(np.ones((1, 2, 2)), mean=0, std=-1)
