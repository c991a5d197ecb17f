import pickle

import cloudpickle
import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine

import geotoolz as gz
from geotoolz.carrier import (
    check_place,
    crop,
    fill_of,
    float_dtype,
    rewrap,
    values_of,
)
from pipekit import Const


def test_a_plain_array_stays_plain():
    values = np.ones((2, 2))
    assert rewrap(values, values * 2, fill=0, attrs={"a": 1}).__class__ is np.ndarray


def test_rewrap_keeps_the_georeference_and_never_touches_the_shared_attributes(tile):
    before = dict(tile.attrs)
    result = rewrap(tile, tile.values[0], fill=7, attrs={"units": "m"}, drop=("band_names",))
    assert (result.transform, result.crs) == (tile.transform, tile.crs)
    assert result.fill_value_default == 7
    assert result.attrs == {"units": "m"}
    assert tile.attrs == before


def test_rewrap_can_say_that_there_is_no_fill_value(tile):
    assert rewrap(tile, tile.values, fill=None).fill_value_default is None
    assert np.isnan(rewrap(tile, tile.values).fill_value_default)


def test_values_are_a_view(tile):
    assert type(values_of(tile)) is np.ndarray
    assert np.shares_memory(values_of(tile), tile)


def test_a_raster_pickles_with_its_place(tile):
    copies = (pickle.loads(pickle.dumps(tile)), cloudpickle.loads(cloudpickle.dumps([tile]))[0])
    for again in (*copies, pickle.loads(pickle.dumps(Const(tile))).value):
        assert type(again) is GeoTensor
        assert np.array_equal(again.values, tile.values)
        assert (again.transform, again.crs, again.attrs) == (tile.transform, tile.crs, tile.attrs)
        assert str(again.fill_value_default) == str(tile.fill_value_default)


def test_a_reader_is_told_to_load():
    class Reader:
        def read_from_window(self, window):
            return window

    with pytest.raises(TypeError, match=r"got Reader; use reader\.load\(\) first"):
        values_of(Reader())


@pytest.mark.parametrize("wrong", [[1, 2], 3.0, None, "a.tif"])
def test_what_is_no_array_is_refused(wrong):
    with pytest.raises(TypeError, match=r"expected a numpy array or a GeoTensor"):
        values_of(wrong)


def test_only_a_geotensor_has_a_fill_value():
    raster = GeoTensor(np.zeros((2, 2), "uint16"), Affine.identity(), "EPSG:32632")
    assert fill_of(raster) == 0
    assert fill_of(raster.values) is None


@pytest.mark.parametrize("dtype", ["uint16", "int64", bool, "complex64"])
def test_a_dtype_that_is_no_float_is_refused(dtype):
    with pytest.raises(ValueError, match="must be a float type"):
        float_dtype(dtype)


def test_crops_keep_every_pixel_in_its_place(tile, at_point, centres):
    cut = crop(tile, 1, 2, 3, 4)
    assert cut.shape == (3, 3, 4)
    for x, y in centres(cut):
        assert np.array_equal(at_point(cut, x, y), at_point(tile, x, y))


@pytest.mark.parametrize("window", [(-1, 0, 2, 2), (0, 0, 6, 2), (4, 6, 1, 2), (0, 0, 0, 2)])
def test_a_window_outside_is_refused(tile, window):
    with pytest.raises(ValueError, match=r"is not inside a raster of \(5, 7\)"):
        crop(tile, *window)


@pytest.mark.parametrize("step", [10.0, 1e-4])
def test_pixels_are_the_same_up_to_a_ten_thousandth_of_one_from_corner_to_corner(step):
    first = Affine(step, 0, 11, 0, -step, 46)
    raster = GeoTensor(np.zeros((1, 100, 100)), first, "EPSG:4326")
    rounded = Affine(step, 0, 11 + 2e-5 * step, 0, -step, 46)
    check_place(raster, (rounded, "OGC:CRS84"), "elsewhere")
    for moved in (
        first * Affine.translation(1e-3, 0),
        first * Affine.translation(1, 0),
        first * Affine.scale(1 + 1e-5),  # a thousandth of a pixel at the far corner
    ):
        with pytest.raises(ValueError, match=r"elsewhere: EPSG:4326 .* and EPSG:4326"):
            check_place(raster, (moved, "EPSG:4326"), "elsewhere")
    check_place(raster.values, (first * Affine.translation(1, 0), "EPSG:4326"), "elsewhere")
    check_place(raster, None, "elsewhere")


@pytest.mark.parametrize("dtype", ["uint8", ">u2", "int16", ">i4", "float32", ">f8"])
def test_masked_arrays_stay_masked(dtype):
    raster = np.ma.array([[[1, 20, 3]]], dtype=dtype, mask=[[[False, True, False]]])
    for out in (
        rewrap(raster, values_of(raster)),
        gz.ToFloat32()(raster),
        gz.DNToReflectance(scale=1.0)(raster),
        gz.ApplyOffset(0)(raster),
        gz.SelectBands((0,))(raster),
    ):
        assert out.tolist() == [[[1, None, 3]]]


@pytest.mark.parametrize("order", "<>")
def test_other_byte_orders_are_the_same_numbers(order):
    raster = np.array([[[1, 0, 700]]], f"{order}u2")
    tile = GeoTensor(raster, Affine.scale(10, -10), 32632, 0)
    for each in (raster, tile):
        assert values_of(gz.ApplyOffset(-1)(each))[0, 0, 2] == 699
        assert gz.ToFloat32()(each).dtype == np.dtype("float32")
    with pytest.raises(TypeError, match="structured array with the fields"):
        gz.ToFloat32()(np.zeros((2, 2), [("red", "f4")]))


def test_roles_of_bands_leave_with_their_names(tile):
    count = len(tile)
    said = rewrap(tile, tile.values, attrs={"band_roles": ["class"] * count})
    assert rewrap(said, said.values).attrs["band_roles"] == ["class"] * count
    assert "band_roles" not in rewrap(said, said.values, drop=("band_names",)).attrs
    assert "band_roles" not in rewrap(said, said.values[:1]).attrs
    assert "band_roles" not in rewrap(said, said.values, attrs={"band_names": ["x"] * count}).attrs
