import numpy as np
import pytest
import spyndex
from georeader.geotensor import GeoTensor
from rasterio import Affine

import geotoolz as gz
from geotoolz.spectral_index import SPYNDEX_BANDS, index_recipe, spectral_index

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
