import matplotlib
import matplotlib as mpl
import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio import Affine

import geotoolz as gz
from geotoolz.colours import CATEGORICAL, LOOKS, class_colours, look_of, lookup_table


@pytest.mark.parametrize("name", sorted(LOOKS))
def test_every_look_is_a_map_that_matplotlib_has(name):
    assert LOOKS[name].cmap in matplotlib.colormaps
    assert look_of(name.upper()) == LOOKS[name]


def test_bands_differences_and_the_unknown():
    assert look_of("B08 reflectance") == LOOKS["reflectance"]
    assert look_of("dNBR").diverging
    assert look_of("NDVI difference").diverging
    assert look_of("distance").cmap == "viridis"


def test_the_table_is_matplotlib_s_and_built_once():
    table = lookup_table("viridis")
    assert lookup_table("viridis") is table
    assert table.shape == (256, 3)
    expected = matplotlib.colormaps["viridis"](range(256), bytes=True)[:, :3]
    assert (abs(table.astype(int) - expected) <= 1).all()
    with pytest.raises(ValueError, match="no colour map 'virdis'"):
        lookup_table("virdis")


def test_classes():
    many = class_colours({i: f"class {i}" for i in range(10)})
    assert many[9] == ("class 9", CATEGORICAL[1])


quick = settings(max_examples=40)


def geo(values, fill=np.nan, **attrs):
    return GeoTensor(np.asarray(values), Affine.identity(), "EPSG:32632", fill, attrs)


def test_true_colour_finds_its_bands(bolzano):
    picture = gz.ToRGB()(bolzano)
    assert picture.shape == (3, 705, 935)
    assert picture.dtype == np.float32
    assert picture.attrs["band_names"] == ["red", "green", "blue"]
    by_index = gz.ToRGB(bands=(2, 1, 0))(bolzano)
    assert np.array_equal(picture.values, by_index.values, equal_nan=True)
    valid = picture.values[np.isfinite(picture.values)]
    assert (valid.min(), valid.max()) == (0, 1)


def test_limits_are_shared_by_the_bands_and_make_pictures_comparable():
    values = np.array([[[0.0, 0.15]], [[0.3, 0.6]], [[-0.1, 0.075]]])
    result = gz.ToRGB((0, 1, 2), limits=(0.0, 0.3))(values)
    np.testing.assert_allclose(result[:, 0], [[0, 0.5], [1, 1], [0, 0.25]], atol=1e-6)
    brighter = gz.ToRGB((0, 1, 2), limits=(0.0, 0.3), gamma=2.0)(values)
    np.testing.assert_allclose(brighter, np.sqrt(result), atol=1e-6)


def test_without_a_stretch_values_are_only_clipped():
    values = np.array([[[-0.5, 0.25, 2.0]]] * 3)
    assert gz.ToRGB((0, 1, 2), stretch=None)(values)[0, 0].tolist() == [0, 0.25, 1]


def test_nodata_stays_nan_in_a_picture():
    digital = geo(np.array([[[0, 1000, 3000]]] * 3, "uint16"), fill=0)
    for op in (gz.ToRGB((0, 1, 2)), gz.ToRGB((0, 1, 2), limits=(0, 3000))):
        assert np.isnan(op(digital).values[:, 0, 0]).all()
        assert np.isfinite(op(digital).values[:, 0, 1:]).all()


def test_picture_mistakes_are_named(bolzano):
    with pytest.raises(ValueError, match="three bands"):
        gz.ToRGB((0, 1))
    with pytest.raises(ValueError, match="limits must be"):
        gz.ToRGB(limits=(1, 0))
    with pytest.raises(LookupError, match="no band 'swir1'; its bands are B02, B03, B04, B08"):
        gz.ToRGB(("swir1", "nir", "red"))(bolzano)


@quick
@given(arrays(np.float32, (3, 4), elements=st.floats(-2, 2, width=32)))
def test_colours_are_matplotlib_s(values):
    result = gz.Colormap("viridis", -1.0, 1.0)(values)
    expected = mpl.colormaps["viridis"](np.clip((values.astype(float) + 1) / 2, 0, 1), bytes=True)
    assert result.shape == (4, 3, 4)
    assert result.dtype == np.uint8
    # matplotlib rounds down to one of 256 colours, we to the nearest.
    assert np.abs(np.moveaxis(result, 0, -1).astype(int) - expected).max() <= 4


def test_limits_come_from_the_valid_values():
    result = gz.Colormap("gray")(geo(np.array([[0, 10, 20]], "uint16"), fill=0))
    assert result.values[0].tolist() == [[0, 0, 255]]
    assert result.values[3].tolist() == [[0, 255, 255]]
    assert gz.Colormap("gray")(np.full((1, 2), np.nan)).sum() == 0
    assert gz.Colormap("gray")(np.full((1, 2), 3.0))[3].all()


def test_colour_map_mistakes_are_named_when_the_operator_is_made():
    with pytest.raises(ValueError, match="no colour map 'grey2'"):
        gz.Colormap("grey2")
    with pytest.raises(ValueError, match="vmin must not exceed vmax"):
        gz.Colormap("gray", 1.0, 0.0)
    with pytest.raises(ValueError, match=r"expected one band, .* got shape \(2, 3, 3\)"):
        gz.Colormap("gray")(np.zeros((2, 3, 3)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stretch": (98, 2)}, "percentiles must satisfy"),
        ({"gamma": 0}, "gamma must be a finite number above 0"),
        ({"limits": (1, 0)}, "low < high"),
    ],
)
def test_a_picture_s_options_are_checked_when_it_is_made(options, message):
    with pytest.raises(ValueError, match=message):
        gz.ToRGB((0, 1, 2), **options)
