import numpy as np
import pytest
import spyndex
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio import Affine

import geotoolz as gz
from geotoolz import indices
from geotoolz.indices import SPYNDEX_BANDS, index_recipe, spectral_index

quick = settings(max_examples=40)

SENTINEL2 = ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"]
LETTERS = {
    "A": "B01", "B": "B02", "G": "B03", "R": "B04", "RE1": "B05", "RE2": "B06", "RE3": "B07",
    "N": "B08", "N2": "B8A", "WV": "B09", "S1": "B11", "S2": "B12",
}  # fmt: skip
# Ours -> spyndex's name and the constants at which the two are the same formula.
NAMED = {
    gz.NDVI: ("NDVI", {}),
    gz.NDWI: ("NDWI", {}),
    gz.MNDWI: ("MNDWI", {}),
    gz.NBR: ("NBR", {}),
    gz.EVI: ("EVI", {"g": 2.5, "C1": 6.0, "C2": 7.5, "L": 1.0}),
    gz.SAVI: ("SAVI", {"L": 0.5}),
    gz.NDMI: ("NDMI", {}),
    gz.NDSI: ("NDSI", {}),
    gz.BSI: ("BI", {}),
    gz.BAIS2: ("BAIS2", {}),
    gz.ARVI: ("ARVI", {"gamma": 1.0}),
    gz.GNDVI: ("GNDVI", {}),
    gz.NDRE: ("NDREI", {}),
    gz.NDBI: ("NDBI", {}),
    gz.EVI2: ("EVI2", {"g": 2.5, "L": 1.0}),
}
RATIOS = [op for op in NAMED if op not in (gz.EVI, gz.EVI2, gz.SAVI, gz.BAIS2)]


def reflectances(seed=0, names=SENTINEL2, **attrs):
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.02, 0.6, (len(names), 13, 17)).astype("float32")
    attrs = {"band_names": list(names), **attrs}
    return GeoTensor(values, Affine(10, 0, 5e5, 0, -10, 5e6), "EPSG:32632", np.nan, attrs)


def by_spyndex(name, raster, constants):
    names = raster.attrs["band_names"]
    recipe = spyndex.indices[name]
    bands = {
        letter: raster.values[names.index(LETTERS[letter])].astype("float64")
        for letter in recipe.bands
        if letter in LETTERS
    }
    return spyndex.computeIndex(name, {**bands, **constants})


@pytest.mark.parametrize("op", NAMED, ids=lambda op: op.__name__)
def test_named_indices_are_spyndex_s_on_random_reflectances(op):
    raster = reflectances()
    result = op()(raster)
    name, constants = NAMED[op]
    assert result.dtype == np.float32
    assert result.shape == raster.shape[1:]
    np.testing.assert_allclose(
        result.values, by_spyndex(name, raster, constants), rtol=2e-5, atol=2e-6
    )


@pytest.mark.parametrize("op", [gz.NDVI, gz.NDWI, gz.EVI, gz.SAVI, gz.ARVI, gz.GNDVI])
def test_named_indices_are_spyndex_s_on_real_pixels(op, bolzano):
    raster = gz.DNToReflectance()(bolzano)
    name, constants = NAMED[op]
    expected = by_spyndex(name, raster, constants)
    np.testing.assert_allclose(op()(raster).values, expected, rtol=1e-4, atol=1e-5)


def test_real_vegetation_and_water_are_told_apart(bolzano, bolzano_scl):
    ndvi = gz.NDVI()(gz.DNToReflectance()(bolzano)).values
    scl = bolzano_scl.values[0]
    medians = {
        name: np.nanmedian(ndvi[scl == key])
        for key, name in ((4, "plants"), (5, "soil"), (6, "water"))
    }
    assert medians["plants"] > 0.6 > medians["soil"] > medians["water"]


@quick
@given(arrays(np.uint16, (2, 3, 4)))
def test_normalised_differences_of_unsigned_numbers_stay_in_range(values):
    result = gz.NormalizedDifference(0, 1)(values)
    assert (np.abs(result) <= 1).all()
    expected = (values[0].astype(float) - values[1]) / np.maximum(
        values[0] + values[1].astype(float), 1e-10
    )
    np.testing.assert_allclose(result, expected, atol=1e-6)


@quick
@given(st.floats(0.01, 100), st.integers(0, 10))
def test_ratio_indices_do_not_change_with_the_gain(gain, seed):
    raster = reflectances(seed)
    brighter = raster.array_as_geotensor(raster.values * np.float32(gain))
    for op in RATIOS:
        np.testing.assert_allclose(op()(brighter).values, op()(raster).values, rtol=1e-4, atol=1e-5)


def test_swapping_the_bands_of_a_difference_flips_its_sign():
    values = reflectances().values
    there, back = gz.NormalizedDifference(0, 1)(values), gz.NormalizedDifference(1, 0)(values)
    np.testing.assert_array_equal(there, -back)


def test_savi_without_soil_is_ndvi_and_nbr_falls_after_fire():
    raster = reflectances()
    np.testing.assert_allclose(gz.SAVI(L=0.0)(raster).values, gz.NDVI()(raster).values, rtol=1e-5)
    before, after = np.array([[[0.35]], [[0.12]]]), np.array([[[0.15]], [[0.25]]])
    assert gz.NBR(0, 1)(before)[0, 0] > 0.4
    assert gz.NBR(0, 1)(after)[0, 0] < -0.2


def test_zero_over_zero():
    zeros = np.zeros((2, 1, 1))
    assert gz.NDVI(0, 1)(zeros).tolist() == [[0]]
    assert np.isnan(gz.NDVI(0, 1, eps=0)(zeros)[0, 0])
    assert np.isinf(gz.NDVI(0, 1, eps=0)(np.array([[[-1.0]], [[1.0]]]))[0, 0])
    assert np.isnan(gz.SAVI(0, 1, L=0)(zeros)[0, 0])


@pytest.mark.parametrize("op", NAMED, ids=lambda op: op.__name__)
def test_nodata_in_any_band_is_nan_in_the_index(op):
    raster = reflectances()
    raster.values[:, 0, 0] = np.nan
    result = op()(raster).values
    assert np.isnan(result[0, 0])
    assert np.isfinite(result[1:]).all()


def test_an_integer_fill_value_in_one_band_is_nan_in_the_index():
    dn = np.array([[[0, 500]], [[900, 900]]], "uint16")
    raster = GeoTensor(dn, Affine.identity(), "EPSG:32632", 0)
    result = gz.NDVI(0, 1)(raster)
    assert np.isnan(result.values[0, 0])
    assert result.values[0, 1] == pytest.approx(400 / 1400)
    assert np.isnan(result.fill_value_default)
    assert gz.NDVI(0, 1)(dn)[0, 0] == 1


def test_a_float_fill_value_is_nodata_too():
    values = np.array([[[-9999.0, 0.1]], [[0.5, 0.3]]])
    raster = GeoTensor(values, Affine.identity(), "EPSG:32632", -9999.0)
    assert np.isnan(gz.NDVI(0, 1)(raster).values).tolist() == [[True, False]]


@pytest.mark.parametrize("op", NAMED, ids=lambda op: op.__name__)
def test_the_callers_array_is_never_changed(op):
    raster = reflectances()
    before = raster.values.copy()
    op()(raster)
    assert np.array_equal(raster.values, before)


def test_the_result_keeps_its_place_and_says_what_it_is():
    raster = reflectances(item_id="S2")
    result = gz.NDVI()(raster)
    assert (result.transform, result.crs) == (raster.transform, raster.crs)
    assert result.attrs == {"item_id": "S2", "long_name": "NDVI", "units": ""}
    assert "band_names" in raster.attrs
    assert type(gz.NDVI(0, 1)(raster.values)) is np.ndarray


def test_indices_names_and_defaults_are_the_same_bands():
    raster = reflectances()
    expected = gz.NDVI()(raster).values
    for op in (gz.NDVI(3, 7), gz.NDVI("B04", "B08"), gz.NDVI("red", 7), gz.NDVI(-9, -5)):
        np.testing.assert_array_equal(op(raster).values, expected)


def test_time_series_take_bands_from_the_second_axis():
    stack = np.stack([reflectances(0).values, reflectances(1).values])
    result = gz.NDVI(3, 7, axis=1)(stack)
    assert result.shape == (2, 13, 17)
    np.testing.assert_array_equal(result[1], gz.NDVI(3, 7)(reflectances(1).values))


def test_a_missing_band_says_which_there_are():
    raster = reflectances(names=["B02", "B03", "B04"])
    with pytest.raises(LookupError, match="no band 'nir'; its bands are B02, B03, B04"):
        gz.NDVI()(raster)
    with pytest.raises(IndexError, match="band index 3 is out of range: the raster has 3 bands"):
        gz.NDVI(2, 3)(raster.values)
    with pytest.raises(LookupError, match="give the band's index, 0 to 2"):
        gz.NDVI()(raster.values)


def test_bad_arguments_are_refused_when_the_operator_is_made():
    with pytest.raises(TypeError, match="red_idx must be a band index or a band name"):
        gz.NDVI(red_idx=1.5)
    with pytest.raises(ValueError, match="eps must be a finite number"):
        gz.NDVI(eps=np.nan)
    with pytest.raises(ValueError, match="must be a float type"):
        gz.NDVI(dtype="int16")


def test_a_single_band_is_no_input_and_no_pixels_are_no_output():
    with pytest.raises(ValueError, match="expected bands on axis 0"):
        gz.NDVI(0, 1)(np.zeros((4, 4)))
    assert gz.NDVI(0, 1)(np.zeros((2, 0, 4))).shape == (0, 4)


def test_bands_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="the bands must have one shape"):
        indices.ndvi(np.zeros((2, 2)), np.zeros((2, 1)))


def test_float64_on_request():
    assert gz.NDVI(0, 1, dtype="float64")(np.ones((2, 1, 1), "uint8")).dtype == np.float64


def test_configs_print_as_they_are_written():
    assert repr(gz.NDVI(red_idx=2, nir_idx=3)) == (
        "NDVI(red_idx=2, nir_idx=3, axis=0, eps=1e-10, dtype='float32')"
    )
    assert gz.NDVI().get_config() == {
        "red_idx": "red", "nir_idx": "nir", "axis": 0, "eps": 1e-10, "dtype": "float32",
    }  # fmt: skip
    assert gz.NDVI(2, 3) == gz.NDVI(2, 3) != gz.NDVI(3, 2)


WAVELENGTHS = {
    "lambdaG": 559.8, "lambdaN": 832.8, "lambdaN2": 864.7, "lambdaR": 664.6, "lambdaS1": 1613.7,
    "lambdaS2": 2202.4, "PAR": 1000.0,
}  # fmt: skip


def needed(name):
    recipe = index_recipe(name)
    return {k: WAVELENGTHS[k] for k, value in recipe.constants.items() if value is None}


def on_sentinel_2(name):
    return set(index_recipe(name).bands) <= set(SPYNDEX_BANDS)


def random_bands(letters, seed=0):
    rng = np.random.default_rng(seed)
    return {letter: rng.uniform(0.05, 0.6, (5, 6)) for letter in letters}


@pytest.mark.parametrize("name", sorted(spyndex.indices))
def test_every_formula_of_spyndex_is_computed(name):
    recipe = index_recipe(name)
    bands = random_bands(recipe.bands)
    found = spectral_index(name, bands, dtype="float64", **needed(name))
    params = {**bands, **recipe.constants, **needed(name)}
    for term in recipe.kernels:
        a, b = params[term[1]], params[term[2]]
        params[term] = np.exp(-((a - b) ** 2) / (2 * ((a + b) / 2) ** 2))
    with np.errstate(all="ignore"):
        expected = eval(recipe.formula, {}, params)
    assert found.shape == (5, 6)
    np.testing.assert_allclose(found, np.broadcast_to(expected, (5, 6)), rtol=1e-12)


@pytest.mark.parametrize("name", [n for n in sorted(spyndex.indices) if on_sentinel_2(n)][::9])
def test_the_operator_finds_sentinel_2_bands_by_letter(name):
    names = {"coastal": "B01", "blue": "B02", "green": "B03", "red": "B04", "rededge1": "B05",
             "rededge2": "B06", "rededge3": "B07", "nir": "B08", "nir08": "B8A", "nir09": "B09",
             "swir1": "B11", "swir2": "B12"}  # fmt: skip
    bands = random_bands(SPYNDEX_BANDS)
    values = np.stack(list(bands.values())).astype("float32")
    attrs = {"band_names": [names[SPYNDEX_BANDS[letter]] for letter in bands]}
    raster = GeoTensor(values, Affine.identity(), "EPSG:32632", np.nan, attrs)
    result = gz.SpectralIndex(name, **needed(name))(raster)
    assert result.dtype == np.float32
    assert result.attrs["long_name"] == name
    expected = spectral_index(name, bands, dtype="float64", **needed(name))
    np.testing.assert_allclose(result.values, expected, rtol=2e-3, atol=1e-4)


def test_bands_and_constants_may_be_given():
    values = np.array([[[0.25]], [[0.75]]])
    assert gz.SpectralIndex("SAVI", bands={"R": 0, "N": 1}, L=0.5)(values)[0, 0] == pytest.approx(
        0.5
    )
    assert gz.SpectralIndex("SAVI", {"R": 0, "N": 1}, L=0)(values)[0, 0] == pytest.approx(0.5)


def test_the_named_class_and_the_formula_agree_on_real_pixels(bolzano):
    raster = gz.DNToReflectance()(bolzano)
    np.testing.assert_allclose(
        gz.SpectralIndex("NDVI")(raster).values, gz.NDVI()(raster).values, atol=2e-6
    )


def test_nodata_is_nan():
    raster = GeoTensor(np.array([[[0, 5]], [[5, 5]]], "uint16"), Affine.identity(), 32632, 0)
    result = gz.SpectralIndex("NDVI", {"R": 0, "N": 1})(raster).values
    assert np.isnan(result).tolist() == [[True, False]]


def test_mistakes_are_named_when_the_operator_is_made():
    with pytest.raises(ValueError, match="spyndex has no index 'NDVII'; did you mean NDVI"):
        gz.SpectralIndex("NDVII")
    with pytest.raises(ValueError, match=r"needs lambdaN, lambdaR, lambdaG, which have no default"):
        gz.SpectralIndex("NDGI")
    with pytest.raises(ValueError, match=r"NDVI has no constant L"):
        gz.SpectralIndex("NDVI", L=1.0)
    with pytest.raises(ValueError, match=r"has no band \['B'\]"):
        gz.SpectralIndex("NDVI", bands={"B": 0})


def test_a_missing_band_is_named():
    with pytest.raises(ValueError, match=r"needs the bands \['R'\] too"):
        spectral_index("NDVI", {"N": np.ones((1, 1))})
    with pytest.raises(LookupError, match="no band 'red'"):
        raster = GeoTensor(np.ones((1, 2, 2)), None, None, None, {"band_names": ["B08"]})
        gz.SpectralIndex("NDVI")(raster)


def test_configs_compare_with_their_constants():
    assert gz.SpectralIndex("SAVI", L=0.5) != gz.SpectralIndex("SAVI", L=1.0)
    assert gz.SpectralIndex("SAVI", L=0.5) == gz.SpectralIndex("SAVI", L=0.5)


def test_an_index_by_name_has_the_constants_of_its_operator():
    bands = {"B": np.array([0.05]), "R": np.array([0.1]), "N": np.array([0.5])}
    chip = np.stack([bands[letter][None] for letter in "BRN"])
    both = (("SAVI", gz.SAVI(1, 2)), ("EVI", gz.EVI(0, 1, 2)), ("ARVI", gz.ARVI(0, 1, 2)))
    for name, operator in both:
        letters = index_recipe(name).bands
        by_name = gz.SpectralIndex(name, {each: "BRN".index(each) for each in letters})(chip)
        assert np.allclose(by_name, operator(chip), rtol=1e-6)
    assert np.allclose(spectral_index("SAVI", bands), 1.5 * 0.4 / 1.1)
    assert np.allclose(spectral_index("SAVI", bands, L=1.0), 2 * 0.4 / 1.6)
    assert spectral_index("EVI2", bands) == pytest.approx(2.5 * 0.4 / (0.5 + 2.4 * 0.1 + 1))


@pytest.mark.parametrize("name", ["SAVI", "GSAVI", "SARVI", "SAVIT", "MNLI", "IBI", "NBUI"])
def test_soil_adjusted_indices_have_huete_s_factor(name):
    assert index_recipe(name).constants["L"] == 0.5


def test_the_kernel_index_is_spyndex_s_with_the_mean_of_the_bands_as_its_width():
    raster = reflectances()
    np.testing.assert_allclose(gz.KNDVI()(raster), gz.SpectralIndex("kNDVI")(raster), atol=2e-6)
    # NDVI 0.6: tanh(0.36) = 0.345214
    assert indices.kndvi(np.array([0.1]), np.array([0.4]))[0] == pytest.approx(0.345214, abs=1e-6)


def test_the_burn_ratio_falls_where_it_burnt():
    before, after = reflectances(0), reflectances(1)
    after.values[:, 0, 0] = np.nan
    fell = gz.DNBR()(before, after)
    expected = gz.NBR()(before).values - gz.NBR()(after).values
    np.testing.assert_array_equal(fell.values, expected)
    assert np.isnan(fell.values[0, 0])
    assert fell.transform == before.transform
    assert (fell.attrs["long_name"], np.isnan(fell.fill_value_default)) == ("dNBR", True)
    # NBR 0.6 before the fire and -0.2 after it.
    bands = [np.array([value]) for value in (0.4, 0.1, 0.2, 0.3)]
    assert indices.dnbr(*bands)[0] == pytest.approx(0.8, abs=1e-6)
    elsewhere = GeoTensor(
        after.values, Affine(10, 0, 0, 0, -10, 0), "EPSG:32632", np.nan, after.attrs
    )
    with pytest.raises(ValueError, match="two dates lie on different grids"):
        gz.DNBR()(before, elsewhere)
