import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio import Affine

import geotoolz as gz
from geotoolz.radiometry import (
    apply_offset,
    dark_object_subtraction,
    dn_to_reflectance,
    gamma,
    harmonize_baseline,
    min_max,
    percentile_clip,
    percentiles_of,
    reflectance_to_dn,
    to_float,
)

digital_numbers = arrays(np.uint16, st.tuples(*[st.integers(1, 6)] * 3))
quick = settings(max_examples=40)


def geo(values, fill=0, **attrs):
    transform = Affine(10, 0, 500_000, 0, -10, 5_000_000)
    return GeoTensor(np.asarray(values), transform, "EPSG:32632", fill, attrs)


# --- conversion ---------------------------------------------------------------------------------


@quick
@given(digital_numbers)
def test_reflectance_is_the_linear_formula_with_nodata_as_nan(dn):
    result = dn_to_reflectance(geo(dn))
    expected = np.where(dn == 0, np.nan, dn * 1e-4)
    assert result.dtype == np.float32
    assert np.isnan(result.fill_value_default)
    np.testing.assert_allclose(result.values, expected, rtol=1e-6)


@quick
@given(digital_numbers)
def test_digital_numbers_survive_the_round_trip(dn):
    raster = geo(dn)
    assert np.array_equal(reflectance_to_dn(dn_to_reflectance(raster)).values, dn)


def test_each_band_may_have_its_own_scale_and_offset():
    dn = np.full((2, 1, 1), 10_000, "uint16")
    result = dn_to_reflectance(dn, scale=[1e-4, 2.75e-5], offset=(0.0, -0.2))
    np.testing.assert_allclose(result.ravel(), [1.0, 0.075], rtol=1e-6)


def test_landsat_and_sentinel_2_worked_examples():
    # LSDS-1619: 7273 is the smallest valid number, 0.2 % below zero reflectance's end.
    assert dn_to_reflectance(np.array([[18639]]), 2.75e-5, -0.2)[0, 0] == pytest.approx(
        0.31257, abs=1e-5
    )
    assert dn_to_reflectance(np.array([[2500]]), 1e-4, -0.1)[0, 0] == pytest.approx(0.15)


def test_the_callers_array_is_never_changed():
    dn = np.array([[[0, 5, 9000]]], "uint16")
    floats = dn.astype("float32")
    for op in (
        gz.DNToReflectance(),
        gz.ToFloat32(),
        gz.ApplyOffset(-5),
        gz.HarmonizeBaseline(),
        gz.ReflectanceToDN(),
        gz.TOAToBOA_DOS(),
    ):
        for values in (dn, floats):
            before = values.copy()
            result = op(values)
            assert np.array_equal(values, before)
            assert not np.shares_memory(result, values)


def test_to_float_carries_nodata(tile):
    assert to_float(geo([[0, 3]])).values.tolist()[0][1] == 3
    assert np.isnan(to_float(geo([[0, 3]])).values[0, 0])
    assert to_float(geo([[0, 3]], fill=None)).values.tolist() == [[0, 3]]
    assert to_float(np.array([[0, 3]])).tolist() == [[0, 3]]
    assert to_float(tile).attrs == tile.attrs


def test_a_plain_array_has_no_nodata_but_nan():
    assert dn_to_reflectance(np.array([[0, 1]], "uint16")).tolist()[0][0] == 0
    assert np.isnan(dn_to_reflectance(np.array([[np.nan]])))


def test_float64_on_request_and_nothing_but_floats():
    assert dn_to_reflectance(np.ones((1, 1), "uint16"), dtype="float64").dtype == np.float64
    with pytest.raises(ValueError, match="must be a float type such as 'float32', got 'uint8'"):
        gz.DNToReflectance(dtype="uint8")


def test_an_empty_chip_is_converted_to_an_empty_chip():
    assert dn_to_reflectance(geo(np.zeros((2, 0, 4), "uint16"))).shape == (2, 0, 4)


# --- back to digital numbers --------------------------------------------------------------------


def test_out_of_range_reflectance_is_clipped_not_wrapped():
    back = reflectance_to_dn(np.array([[-0.5, 7.0, 1e9]], "float32"))
    assert back.tolist() == [[1, 65535, 65535]]


def test_a_valid_number_is_never_written_as_nodata():
    assert reflectance_to_dn(np.array([[0.0, np.nan]], "float32")).tolist() == [[1, 0]]
    top = reflectance_to_dn(np.array([[9.0, np.nan]], "float32"), nodata=65535)
    assert top.tolist() == [[65534, 65535]]


def test_nodata_must_fit_the_integer_type():
    with pytest.raises(ValueError, match="nodata -1 does not fit uint16"):
        reflectance_to_dn(np.zeros((1, 1)), nodata=-1)
    with pytest.raises(ValueError, match="must be an integer type"):
        reflectance_to_dn(np.zeros((1, 1)), dtype="float32")


# --- offsets ------------------------------------------------------------------------------------


@quick
@given(arrays(np.uint16, (3, 4)), st.integers(-70_000, 70_000))
def test_an_offset_saturates_and_keeps_nodata(values, offset):
    result = apply_offset(geo(values), offset).values.astype(int)
    expected = np.clip(values.astype(int) + offset, 1, 65535)
    expected[values == 0] = 0
    assert np.array_equal(result, expected)


@quick
@given(arrays(np.int16, (3, 4)), st.integers(-40_000, 40_000))
def test_an_offset_saturates_signed_numbers_too(values, offset):
    result = apply_offset(values, offset).astype(int)
    assert np.array_equal(result, np.clip(values.astype(int) + offset, -32768, 32767))


def test_a_valid_number_never_lands_on_nodata():
    values = np.array([[0, 100, 200]], "int16")
    assert apply_offset(geo(values), -100).values.tolist() == [[0, 1, 100]]
    assert apply_offset(geo(values, fill=32767), 32767 - 200).values.tolist() == [
        [32567, 32667, 32766]
    ]


def test_an_offset_per_band():
    values = np.full((2, 1, 1), 500, "uint16")
    assert apply_offset(values, [-100, 100]).ravel().tolist() == [400, 600]


def test_integers_take_no_fraction():
    with pytest.raises(ValueError, match=r"can't take a fractional offset, got 0.5; put ToFloat32"):
        apply_offset(np.ones((1, 1), "uint16"), 0.5)


# --- the Sentinel-2 baseline --------------------------------------------------------------------


@quick
@given(digital_numbers)
def test_the_baseline_offset_never_wraps_and_keeps_zeros(dn):
    result = harmonize_baseline(geo(dn, processing_baseline="05.10"))
    expected = np.where(dn == 0, 0, np.maximum(dn.astype(int) - 1000, 1))
    assert result.dtype == np.uint16
    assert np.array_equal(result.values, expected)
    assert result.attrs["offset_applied"] is True


def test_harmonizing_twice_is_harmonizing_once():
    raster = geo([[0, 900, 3000]], processing_baseline="04.00", offset_applied=False)
    once = gz.HarmonizeBaseline()(raster)
    assert np.array_equal(gz.HarmonizeBaseline()(once).values, once.values)
    assert raster.attrs["offset_applied"] is False


@pytest.mark.parametrize("baseline", ["02.14", "03.01", "N0301"])
def test_products_before_baseline_four_have_no_offset(baseline):
    raster = geo([[0, 900]], processing_baseline=baseline)
    assert harmonize_baseline(raster).values.tolist() == [[0, 900]]


def test_an_unknown_baseline_is_not_guessed():
    with pytest.raises(ValueError, match=r"give baseline='04.00' if it is in"):
        harmonize_baseline(geo([[900]]))
    assert harmonize_baseline(geo([[1900]]), baseline="04.00").values.tolist() == [[900]]
    with pytest.raises(ValueError, match=r"looks like '05\.10', got 'latest'"):
        harmonize_baseline(geo([[900]], processing_baseline="latest"))


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("dates", [(), (2,)])
def test_classes_and_thickness_carry_no_offset(dtype, dates):
    one = np.array([[[2500, 1000]], [[9, 4]], [[120, 90]], [[3000, 1500]]], dtype)
    scene = geo(np.broadcast_to(one, (*dates, *one.shape)), processing_baseline="05.10")
    scene.attrs["band_names"] = ["B04", "SCL", "AOT", "B08"]
    found = harmonize_baseline(scene).values
    assert np.array_equal(found[..., 1:3, :, :], scene.values[..., 1:3, :, :])
    assert (found[..., 0, :, 0] == 1500).all()
    assert (found[..., 3, :, :] == [2000, 500]).all()
    drop = (gz.HarmonizeBaseline() | gz.MaskFromSCL("SCL"))(geo(one, **scene.attrs))
    assert drop.values.tolist() == [[True, False]]


@pytest.mark.parametrize("kept", ["AOT_10m", "wvp-jp2", "CLD_20m", "cloud", "TCI_10m", "visual"])
def test_probabilities_and_pictures_carry_no_offset_whatever_they_are_called(kept):
    scene = geo([[[2500]], [[60]], [[3000]]], processing_baseline="05.10")
    scene.attrs["band_names"] = ["B04_10m", kept, "red"]
    assert harmonize_baseline(scene).values.ravel().tolist() == [1500, 60, 2000]


def test_the_offset_is_taken_from_digital_numbers_and_not_from_reflectance():
    scene = geo(np.array([[[2000]]], "uint16"), processing_baseline="05.10")
    right = gz.HarmonizeBaseline() | gz.DNToReflectance()
    assert right(scene).values.item() == pytest.approx(0.1)
    with pytest.raises(ValueError, match=r"got reflectance; put HarmonizeBaseline\(\) before"):
        (gz.DNToReflectance() | gz.HarmonizeBaseline())(scene)
    before_offsets = geo(np.array([[[2000]]], "uint16"), processing_baseline="03.01")
    assert (gz.DNToReflectance() | gz.HarmonizeBaseline())(before_offsets).values.item() > 0.1


def test_harmonized_floats_may_be_slightly_negative():
    assert harmonize_baseline(np.array([[900.0, 0.0]])).tolist() == [[-100.0, 0.0]]


# --- dark objects -------------------------------------------------------------------------------


def test_a_constant_haze_is_taken_off_each_band():
    rng = np.random.default_rng(0)
    surface = rng.uniform(0.01, 0.4, (2, 40, 40))
    surface[:, 0, 0] = 0.01
    haze = np.array([0.08, 0.03])[:, None, None]
    result = dark_object_subtraction((surface + haze).astype("float32"), percentile=0)
    np.testing.assert_allclose(result, surface, atol=1e-6)


def test_haze_is_never_added():
    dark = np.full((1, 2, 2), 0.001, "float32")
    assert np.array_equal(dark_object_subtraction(dark), dark)


def test_dark_objects_ignore_nodata():
    raster = geo(np.array([[[0, 500, 2500]]], "uint16").astype("float32") / 10_000, fill=0)
    result = dark_object_subtraction(raster, percentile=0).values
    np.testing.assert_allclose(result[0, 0, 1:], [0.01, 0.21], atol=1e-6)
    assert np.isnan(result[0, 0, 0])


def test_a_percentile_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="percentile must be 0 to 100, got 101"):
        gz.TOAToBOA_DOS(percentile=101)


def test_real_pixels_are_reflectances(bolzano):
    result = gz.DNToReflectance()(bolzano)
    assert result.shape == (4, 705, 935)
    assert (result.transform, result.crs) == (bolzano.transform, bolzano.crs)
    assert result.attrs["band_names"] == ["B02", "B03", "B04", "B08"]
    median = np.nanmedian(result.values, axis=(1, 2))
    assert (median > 0.005).all()
    assert (median < 0.6).all()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: gz.PercentileClip(dtype="int8"), "must be a float type"),
        (lambda: gz.PercentileClip(sample=0), "sample must be a positive number"),
        (lambda: gz.Gamma(2.0, dtype="int8"), "must be a float type"),
        (lambda: gz.Gamma("2"), "g must be a finite number above 0, got '2'"),
        (lambda: gz.Gamma(np.inf), "g must be a finite number above 0"),
        (lambda: gz.ReflectanceToDN(dtype="float32"), "must be an integer type"),
        (lambda: gz.ReflectanceToDN(nodata=-1), "nodata -1 does not fit uint16"),
    ],
)
def test_arguments_are_checked_when_the_operator_is_made(build, message):
    with pytest.raises(ValueError, match=message):
        build()


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
    assert np.isnan(percentiles_of(np.full((1, 2, 2), np.nan), (50,))[0, 0])


def test_gamma_is_its_formula_and_undone_by_its_inverse():
    values = np.linspace(0, 1, 12, dtype="float32").reshape(1, 3, 4)
    np.testing.assert_allclose(gamma(values, 2.2), values ** (1 / 2.2), rtol=1e-6)
    np.testing.assert_allclose(gamma(gamma(values, 2.2), 1 / 2.2), values, atol=1e-6)
    assert (gamma(values, 2.2)[0, 1:] >= values[0, 1:]).all()


def test_gamma_keeps_nodata_and_takes_no_negative_root():
    assert np.isnan(gamma(np.array([[np.nan, 1.0]]), 2)[0, 0])
    assert gamma(np.array([[-0.5]]), 2).tolist() == [[0]]
    for g in (0, -1, np.inf, np.nan):
        with pytest.raises(ValueError, match="g must be a finite number above 0"):
            gz.Gamma(g)


def test_min_max_on_integers():
    assert min_max(np.array([[[0, 128, 255]]], "uint8"), 0, 255).ravel().tolist() == pytest.approx(
        [0, 128 / 255, 1]
    )


@pytest.mark.parametrize(
    ("dtype", "fill"), [("uint16", 65535), ("uint16", 7), ("int16", -9999), ("int32", -1)]
)
def test_the_offset_leaves_a_rasters_own_nodata_as_it_is(dtype, fill):
    values = np.array([[fill, 1000 + max(fill, 1), 3000, 5000]]).astype(dtype)
    values[values == 1000 + 65535] = 2000
    scene = GeoTensor(values, Affine.identity(), "EPSG:32632", fill, {"processing_baseline": "04"})
    found = harmonize_baseline(scene).values
    assert (found == fill).tolist() == [[True, False, False, False]]
    assert found[0, 2:].tolist() == [2000, 4000]
