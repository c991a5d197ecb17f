"""Expressions over bands: the numbers of numpy, and nothing else of Python."""

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine

import geotoolz as gz
from geotoolz.band_math import MAX_LENGTH, band_math, expression_bands

NAMES = ["B02", "B04", "B08", "SCL"]


def scene(dtype="uint16", fill=0):
    rng = np.random.default_rng(0)
    values = rng.integers(1, 5000, (4, 6, 7)).astype(dtype)
    values[3] = rng.integers(0, 12, (6, 7))
    values[:3, 0, 0] = fill
    return GeoTensor(
        values, Affine(10, 0, 0, 0, -10, 60), "EPSG:32632", fill, {"band_names": NAMES}
    )


def test_an_index_is_its_formula():
    raster = scene()
    for text in ("(b8 - b4) / (b8 + b4)", "(nir - red) / (nir + red)", "(B08-B04)/(B08+B04)"):
        made = gz.BandMath(text)(raster)
        np.testing.assert_allclose(made, gz.NDVI(eps=0)(raster), rtol=1e-6)
        assert (made.dtype, made.transform) == ("float32", raster.transform)
        assert np.isnan(made.fill_value_default)
        assert np.isnan(made.values[0, 0])


leaves = st.sampled_from(["b2", "b4", "b8", "2", "0.5", "1e3"])
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/"]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        inner.map(lambda x: f"-{x}"),
        inner.map(lambda x: f"sqrt(abs({x}))"),
        st.tuples(inner, inner).map(lambda t: f"minimum({t[0]}, {t[1]})"),
        st.tuples(inner, inner, inner).map(lambda t: f"where({t[0]} < {t[1]}, {t[2]}, 7)"),
    ),
    max_leaves=8,
)


@settings(max_examples=60)
@given(text=expressions)
def test_an_expression_is_what_numpy_makes_of_it(text):
    text = f"({text}) + 0 * b4"
    raster = scene("float64", np.nan)
    names = {name: raster.values[i] for i, name in enumerate(["b2", "b4", "b8"])}
    with np.errstate(all="ignore"):
        allowed = {n: getattr(np, n) for n in ("sqrt", "abs", "minimum", "where")}
        expected = eval(text, {"__builtins__": {}}, {**allowed, **names})
    made = gz.BandMath(text, dtype="float64")(raster).values
    inside = ~np.isnan(raster.values[:3]).any(axis=0)
    np.testing.assert_allclose(made[inside], np.broadcast_to(expected, made.shape)[inside])


def test_a_comparison_is_a_mask_and_false_where_there_is_no_data():
    raster = scene()
    made = gz.BandMath("(b8 > 2000) & ~(b4 >= 1000) | (100 < b2 < 200)")(raster)
    b2, b4, b8 = raster.values[:3].astype(int)
    expected = ((b8 > 2000) & ~(b4 >= 1000)) | ((b2 > 100) & (b2 < 200))
    expected[0, 0] = False
    assert made.dtype == bool
    np.testing.assert_array_equal(made.values, expected)
    assert gz.ApplyMask(gz.BandMath("b8 > 2000"), fill_value=0)(raster).dtype == "uint16"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expression must be text"),
        ("b4 +", "does not parse"),
        ("b4; b8", "does not parse"),
        ("b4.shape", r"may not hold 'b4\.shape'"),
        ("b4[0]", r"may not hold 'b4\[0\]'"),
        ("__import__('os')", "may not hold"),
        ("(lambda: b4)()", "may not hold"),
        ("[b4 for b4 in b8]", "may not hold"),
        ("sqrt(b4, out=b8)", "may not hold"),
        ("sqrt(*b4)", "takes 1 arguments|may not hold"),
        ("minimum(b4)", "minimum in .* takes 2 arguments, got 1"),
        ("eval(b4)", "may not hold"),
        ("'b4' * 3", "may not hold"),
        ("b4 if b8 else b2", "may not hold"),
        ("True", "may not hold"),
        ("3 + 4", "names no band"),
        ("(" * 60 + "b4" + ")" * 60 + "+-" * 60 + "b4", "nested more than|does not parse"),
        ("b4" + " + b4" * MAX_LENGTH, "at most 1000 characters"),
        (7, "expression must be text"),
    ],
)
def test_anything_else_is_refused_when_the_operator_is_made(text, message):
    with pytest.raises(ValueError, match=message):
        gz.BandMath(text)


def test_large_powers_cost_nothing():
    made = band_math(np.ones((1, 1, 1)), "b4 + 9**9**9**9**9", bands={"b4": 0})
    assert np.isinf(made).all()


def test_bands_are_named_by_the_raster_the_mapping_or_not_at_all():
    assert expression_bands("nir * (red - nir) / b2") == ("nir", "red", "b2")
    plain = np.arange(8.0).reshape(2, 2, 2)
    np.testing.assert_allclose(
        gz.BandMath("x / y", bands={"x": 1, "y": 0})(plain + 1), (plain[1] + 1) / (plain[0] + 1)
    )
    with pytest.raises(gz.BandError, match="asked for by name"):
        gz.BandMath("b8")(plain)
    with pytest.raises(gz.BandError, match="no band 'b5'"):
        gz.BandMath("b5 / b4")(scene())
    with pytest.raises(ValueError, match=r"has no band \['z'\]"):
        gz.BandMath("x / y", bands={"z": 0})


def test_an_index_is_appended_and_classes_keep_their_numbers():
    raster = scene()
    made = gz.AppendIndex(gz.NDVI())(raster)
    assert (made.shape, made.dtype) == ((5, 6, 7), "float32")
    assert made.attrs["band_names"] == [*NAMES, "NDVI"]
    assert list(made.attrs["band_roles"]) == ["quantity"] * 3 + ["class", "quantity"]
    np.testing.assert_array_equal(made.values[-1], gz.NDVI()(raster).values)
    np.testing.assert_array_equal(made.values[1, 1:], raster.values[1, 1:])
    assert np.isnan(made.values[:3, 0, 0]).all()
    assert gz.MaskFromSCL("SCL")(made).values.any()
    twice = (gz.AppendIndex(gz.NDVI()) | gz.AppendIndex(gz.BandMath("NDVI > 0.3"), "green"))(raster)
    assert twice.attrs["band_names"][-2:] == ["NDVI", "green"]
    assert twice.attrs["band_roles"][-1] == "mask"
    with pytest.raises(ValueError, match=r"got \(4, 6, 7\)"):
        gz.AppendIndex(gz.ToFloat32())(raster)
    with pytest.raises(TypeError, match="index must be an operator"):
        gz.AppendIndex(abs)
