import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio import Affine

import geotoolz as gz
from geotoolz.stretch import band_percentiles, gamma, min_max, percentile_clip

quick = settings(max_examples=40)
cubes = arrays(
    np.float32, st.tuples(*[st.integers(1, 6)] * 3), elements=st.floats(-1e3, 1e3, width=16)
)


def oracle(band, p_min, p_max):
    low, high = np.nanpercentile(band, [p_min, p_max])
    return np.clip((band - low) / (high - low), 0, 1)


def test_percentile_clip_against_nanpercentile():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 31, 17)).astype("float32")
    values[1, :5] = np.nan
    result = percentile_clip(values, 2, 98)
    for band, found in zip(values, result, strict=True):
        np.testing.assert_allclose(found, oracle(band.astype(float), 2, 98), atol=2e-6)


@quick
@given(cubes)
def test_a_stretch_looks_at_its_own_band_only(values):
    whole = percentile_clip(values, 5, 95)
    alone = np.concatenate([percentile_clip(values[i : i + 1], 5, 95) for i in range(len(values))])
    np.testing.assert_array_equal(whole, alone)


@quick
@given(cubes, st.sampled_from([gz.PercentileClip(10, 90), gz.MinMax(), gz.MinMax(-1.0, 1.0)]))
def test_a_stretch_ends_in_zero_to_one(values, op):
    result = op(values)
    assert result.dtype == np.float32
    assert ((result >= 0) & (result <= 1)).all()


def test_nodata_neither_counts_nor_gets_a_value():
    values = np.array([[[0, 0, 0, 0, 10, 20, 30]]], "uint16")
    raster = GeoTensor(values, Affine.identity(), "EPSG:32632", 0)
    for op in (gz.PercentileClip(0, 100), gz.MinMax()):
        result = op(raster).values
        assert np.isnan(result[0, 0, :4]).all()
        np.testing.assert_allclose(result[0, 0, 4:], [0, 0.5, 1], atol=1e-6)


def test_an_all_nan_band_stays_nan_and_spoils_no_other():
    values = np.stack([np.full((2, 3), np.nan), np.arange(6.0).reshape(2, 3)])
    for op in (gz.PercentileClip(0, 100), gz.MinMax()):
        result = op(values)
        assert np.isnan(result[0]).all()
        np.testing.assert_allclose(result[1], np.arange(6).reshape(2, 3) / 5, atol=1e-6)


def test_a_constant_band_is_zero():
    for op in (gz.PercentileClip(2, 98), gz.MinMax()):
        assert op(np.full((1, 2, 2), 7.0)).tolist() == [[[0, 0], [0, 0]]]
    assert np.isnan(gz.MinMax()(np.array([[[7.0, np.nan]]]))[0, 0, 1])


@pytest.mark.parametrize(("p_min", "p_max"), [(98, 2), (50, 50), (-1, 98), (2, 101)])
def test_reversed_percentiles_are_refused(p_min, p_max):
    with pytest.raises(ValueError, match=r"0 <= p_min < p_max <= 100, got p_min="):
        gz.PercentileClip(p_min, p_max)


def test_limits_must_be_in_order():
    with pytest.raises(ValueError, match="min_val must be below max_val"):
        gz.MinMax(1.0, 0.0)


def test_an_empty_array_gives_an_empty_array():
    for op in (gz.PercentileClip(2, 98), gz.MinMax(), gz.Gamma(2.0)):
        assert op(np.zeros((2, 0, 5), "float32")).shape == (2, 0, 5)


def test_a_sample_is_near_the_whole_and_is_told():
    values = np.random.default_rng(1).normal(size=(1, 300, 400)).astype("float32")
    raster = GeoTensor(values, Affine.identity(), "EPSG:32632", np.nan)
    whole, sampled = percentile_clip(raster, 2, 98), percentile_clip(raster, 2, 98, sample=5000)
    assert abs(whole.values - sampled.values).max() < 0.05
    assert sampled.attrs["stretch"] == "percentiles 2 to 98 of about 5000 pixels a band"
    assert whole.attrs["stretch"] == "percentiles 2 to 98 of all pixels"
    with pytest.raises(ValueError, match="sample must be a positive number"):
        percentile_clip(raster, 2, 98, sample=0)


def test_one_band_without_a_band_axis():
    assert percentile_clip(np.arange(5.0).reshape(1, 5), 0, 100).tolist() == [
        [0, 0.25, 0.5, 0.75, 1]
    ]


def test_bands_on_the_last_axis():
    values = np.random.default_rng(2).random((4, 5, 3))
    first = percentile_clip(np.moveaxis(values, -1, 0), 2, 98)
    assert np.array_equal(percentile_clip(values, 2, 98, axis=-1), np.moveaxis(first, 0, -1))


def test_percentiles_of_nothing_are_nan():
    assert np.isnan(band_percentiles(np.zeros((2, 2)), (50,), fill=0)[0])


def test_gamma_is_its_formula_and_undone_by_its_inverse():
    values = np.linspace(0, 1, 12, dtype="float32").reshape(1, 3, 4)
    np.testing.assert_allclose(gamma(values, 2.2), values ** (1 / 2.2), rtol=1e-6)
    np.testing.assert_allclose(gamma(gamma(values, 2.2), 1 / 2.2), values, atol=1e-6)
    assert (gamma(values, 2.2)[0, 1:] >= values[0, 1:]).all()


def test_gamma_keeps_nodata_and_takes_no_negative_root():
    assert np.isnan(gamma(np.array([[np.nan, 1.0]]), 2)[0, 0])
    assert gamma(np.array([[-0.5]]), 2).tolist() == [[0]]
    for g in (0, -1, np.inf, np.nan):
        with pytest.raises(ValueError, match="g must be a positive number"):
            gz.Gamma(g)


def test_min_max_on_integers():
    assert min_max(np.array([[[0, 128, 255]]], "uint8"), 0, 255).ravel().tolist() == pytest.approx(
        [0, 128 / 255, 1]
    )
