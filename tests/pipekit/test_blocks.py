"""The small blocks; Subsample and ApplyToBands keep the georeference."""

from __future__ import annotations

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from rasterio.crs import CRS

import pipekit as pk


def test_sink_and_tap_return_their_very_input():
    seen, x = [], object()
    assert pk.Sink(seen.append)(x) is x
    assert pk.Tap(seen.append, name="look")(x) is x
    assert seen == [x, x]


def test_const_ignores_its_inputs():
    assert pk.Const(3)() == pk.Const(3)(1) == pk.Const(3)(1, 2) == 3


def test_a_fanout_names_the_branch_that_failed():
    with pytest.raises(ValueError) as caught:
        pk.Fanout({"text": pk.Lambda(str), "number": pk.Lambda(int)})("many")
    assert caught.value.__notes__ == ["failed in the branch 'number' of a Fanout"]


def test_pick_says_what_there_is():
    assert pk.Pick(-1)([1, 2]) == 2
    with pytest.raises(KeyError, match=r"no 'c' to pick; it has \['a', 'b'\]"):
        pk.Pick("c")({"a": 1, "b": 2})
    with pytest.raises(IndexError, match="it has 2 items"):
        pk.Pick(5)([1, 2])


@pytest.mark.parametrize("block", [pk.Lambda, pk.Sink, pk.Tap])
def test_what_is_no_function_is_refused(block):
    with pytest.raises(TypeError, match="takes a function, got 3"):
        block(3)
    with pytest.raises(TypeError, match="got the class Identity"):
        block(pk.Identity)
    assert block.forbid_in_yaml


def test_a_fanout_of_what_is_no_operator_is_refused():
    with pytest.raises(TypeError, match=r"operators\['a'\] must be an operator, got a int"):
        pk.Fanout({"a": 3})


def test_a_fanout_takes_a_dictionary():
    with pytest.raises(TypeError, match="takes a dictionary of names and operators, got a list"):
        pk.Fanout([pk.Identity()])


T = Affine(10, 0, 699960, 0, -10, 4400040)


def scene(shape=(2, 7, 5), **attrs):
    values = np.arange(np.prod(shape), dtype="uint16").reshape(shape)
    return GeoTensor(values, T, CRS.from_epsg(32610), 0, attrs)


@settings(max_examples=40)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(1, 4))
def test_a_kept_pixel_s_corner_stays_where_it_is(h, w, rows, cols):
    x = scene((2, h, w), band_names=["a", "b"])
    got = pk.Subsample((rows, cols))(x)
    np.testing.assert_array_equal(got.values, x.values[:, ::rows, ::cols])
    for r in range(got.shape[1]):
        for c in range(got.shape[2]):
            assert got.transform * (c, r) == x.transform * (c * cols, r * rows)
    assert got.crs == x.crs
    assert got.attrs == x.attrs
    assert got.attrs is not x.attrs


def test_a_plain_array_stays_plain():
    assert type(pk.Subsample(2)(np.zeros((4, 4)))) is np.ndarray
    with pytest.raises(ValueError, match=r"needs an \(\.\.\., H, W\) array"):
        pk.Subsample(2)(np.zeros(4))


@pytest.mark.parametrize("stride", [0, -1, 1.5, (2,), (1, 2, 3), "2", True])
def test_wrong_strides_are_refused(stride):
    with pytest.raises(ValueError, match="stride must be positive whole pixels"):
        pk.Subsample(stride)


def test_each_band_is_seen_alone_with_its_name_and_place():
    seen = []
    pk.ApplyToBands(pk.Tap(seen.append))(scene(band_names=["B04", "B08"], item_id="i"))
    assert [band.shape for band in seen] == [(7, 5), (7, 5)]
    assert [band.attrs for band in seen] == [
        {"item_id": "i", "band_names": ["B04"]},
        {"item_id": "i", "band_names": ["B08"]},
    ]
    assert all(band.transform == T for band in seen)


@pytest.mark.parametrize("axis", [0, -3])
def test_results_are_stacked_as_the_bands_were(axis):
    x = scene(band_names=["a", "b"])
    got = pk.ApplyToBands(pk.Lambda(lambda band: band * 2.0), axis=axis)(x)
    assert isinstance(got, GeoTensor)
    np.testing.assert_array_equal(got.values, x.values * 2.0)
    assert (got.transform, got.crs, got.attrs) == (x.transform, x.crs, x.attrs)


def test_an_operator_that_thins_decides_the_transform():
    x = scene(band_names=["a", "b"])
    assert pk.ApplyToBands(pk.Subsample(2))(x).transform == pk.Subsample(2)(x).transform
    got = pk.ApplyToBands(pk.Subsample(2))(x)
    np.testing.assert_array_equal(got.values, pk.Subsample(2)(x).values)
    assert got.attrs["band_names"] == ["a", "b"]


def test_other_axes_and_results_without_space():
    x = np.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(pk.ApplyToBands(pk.Lambda(lambda b: b + 1), axis=2)(x), x + 1)
    assert pk.ApplyToBands(pk.Lambda(lambda b: b.sum()))(x).tolist() == [66, 210]
    means = pk.ApplyToBands(pk.Lambda(lambda band: np.asarray(band).mean()))(scene())
    assert type(means) is np.ndarray


def test_wrong_axes_are_refused():
    with pytest.raises(ValueError, match="axis 3 is out of bounds"):
        pk.ApplyToBands(pk.Identity(), axis=3)(scene())
    with pytest.raises(ValueError, match="is a spatial axis"):
        pk.ApplyToBands(pk.Identity(), axis=-1)(scene())
    with pytest.raises(ValueError, match="no bands on axis 0"):
        pk.ApplyToBands(pk.Identity())(np.zeros((0, 2, 2)))
