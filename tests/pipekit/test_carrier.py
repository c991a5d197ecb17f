"""Carriers: one answer to whether two CRS are the same, and indexing as numpy's arrays have it."""

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio import Affine
from rasterio.crs import CRS

from pipekit.carrier import index_as_array, same_crs

UTM = {"proj": "utm", "zone": 32, "datum": "WGS84"}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (32632, "EPSG:32632", True),
        (CRS.from_epsg(32632), CRS.from_epsg(32632).to_wkt(), True),
        (CRS.from_epsg(32632), CRS.from_epsg(32633), False),
        ("EPSG:4326", "OGC:CRS84", True),
        (UTM, 32632, True),
        (UTM, dict(UTM), True),
        (None, None, True),
    ],
)
def test_the_form_and_the_order_of_axes_do_not_count(first, second, same):
    for pair in ((first, second), (second, first)):
        assert same_crs(*pair) is same_crs(*pair, unknown_fits=True) is same


def test_unknown_is_not_the_same_as_known_unless_asked_for():
    assert not same_crs(None, 32632)
    assert same_crs(32632, None, unknown_fits=True)


PLACE = Affine(10, 0, 500_000, 0, -20, 4_100_000)


def tile_of(shape):
    values = np.random.default_rng(0).normal(size=shape).astype("float32")
    return GeoTensor(values, PLACE, "EPSG:32610", -1, {"source": "drawn"})


@given(shape=st.sampled_from([(7, 5), (3, 7, 5), (2, 3, 7, 5)]), data=st.data())
def test_indexing_is_numpys_and_pixels_stay_in_their_place(shape, data):
    index_as_array(GeoTensor)
    tile = tile_of(shape)
    key = data.draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    expected, found = tile.values[key], tile[key]
    np.testing.assert_array_equal(np.asarray(found), expected)
    if not isinstance(found, GeoTensor) or not found.size:
        return
    assert found.shape == expected.shape
    assert (found.crs, found.fill_value_default, found.attrs) == ("EPSG:32610", -1, tile.attrs)
    # The first and the last pixel hold the places that they were taken from.
    rows, cols = np.indices(shape[-2:])
    taken = np.broadcast_to(rows + 1000 * cols, shape)[key].reshape(-1, *found.shape[-2:])[0]
    for row, col in [(0, 0), (taken.shape[0] - 1, taken.shape[1] - 1)]:
        old_col, old_row = divmod(int(taken[row, col]), 1000)
        corner = ~PLACE @ (found.transform @ (col, row))
        across, down = found.transform.a / PLACE.a, found.transform.e / PLACE.e
        assert corner == (old_col + (across < 0), old_row + (down < 0))


@given(shape=st.sampled_from([(4, 3, 5), (2, 4, 3, 5), (4, 2, 3, 5)]), data=st.data())
def test_names_and_roles_are_those_of_the_bands_that_are_left(shape, data):
    index_as_array(GeoTensor)
    axis, roles = shape.index(4), ["quantity", "class", "bits", "mask"]
    values = np.broadcast_to(np.indices(shape)[axis], shape).copy()
    attrs = {"band_names": ["red", "SCL", "QA60", "clear"], "band_roles": roles, "source": "drawn"}
    tile = GeoTensor(values, PLACE, 32610, None, attrs)
    along = [slice(None)] * axis
    taken = st.one_of(
        hnp.basic_indices(shape, allow_ellipsis=True, allow_newaxis=True),
        st.lists(st.integers(-4, 3), min_size=1, max_size=6).map(lambda some: (*along, some)),
        hnp.arrays(bool, 4).filter(np.any).map(lambda mask: (*along, mask)),
    )
    found = tile[data.draw(taken)]
    if not isinstance(found, GeoTensor) or not found.size:
        return
    each = found.values[..., 0, 0]
    numbers = (
        each.ravel()
        if each.ndim < 2
        else next(line for line in (each[0], each[:, 0]) if set(line) == set(each.ravel()))
    )
    for name, said in (("band_names", attrs["band_names"]), ("band_roles", roles)):
        assert found.attrs[name] == [said[number] for number in numbers]
    assert (
        tile.attrs
        == attrs
        == {**found.attrs, "band_names": attrs["band_names"], "band_roles": roles}
    )
    assert found.attrs["source"] == "drawn"


def test_isel_chooses_names_as_an_index_does():
    index_as_array(GeoTensor)
    tile = GeoTensor(np.zeros((3, 4, 5)), PLACE, 32610, None, {"band_names": ["a", "b", "c"]})
    assert tile.isel({"band": [2, 0], "x": slice(1, 3)}).attrs == {"band_names": ["c", "a"]}
    assert tile.isel({"y": slice(0, 2)}).attrs == tile.attrs
    assert [band.attrs["band_names"] for band in tile] == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize(
    "key", [0, slice(1, 3), (0, slice(2, 6, 2), slice(1, 4)), [0, 2], (slice(None), slice(1, 3))]
)
def test_what_georeader_indexes_comes_out_as_there(key):
    tile = tile_of((3, 7, 5))
    keys = key if isinstance(key, tuple) else (key,)
    theirs = tile.isel(dict(zip(tile.dims, keys, strict=False)))
    ours = tile[key]
    np.testing.assert_array_equal(ours.values, theirs.values)
    assert ours.transform.almost_equals(theirs.transform)


@pytest.mark.parametrize("shape", [(7, 5), (3, 7, 5)])
def test_masks_and_lists_are_numpys(shape):
    tile = tile_of(shape)
    values = tile.values
    np.testing.assert_array_equal(tile[tile > 0], values[values > 0])
    np.testing.assert_array_equal(tile[[0, -1]], values[[0, -1]])
    np.testing.assert_array_equal(tile[..., [1, 2], [3, 4]], values[..., [1, 2], [3, 4]])
    np.testing.assert_array_equal(tile[np.nonzero(tile > 0)], values[np.nonzero(values > 0)])
    tile[tile > 0] = 9
    assert values.max() == 9
    with pytest.raises(IndexError, match="out of bounds"):
        tile[..., 5]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x + 1)[0, 0],
        lambda x: (2 * x - x)[x > 0],
        lambda x: x.copy()[..., 0],
        lambda x: x.reshape(-1)[3],
        np.unique,
        lambda x: np.percentile(x, (2, 98)),
        lambda x: np.where(x > 0, x, 0),
        lambda x: np.sort(x, axis=None),
        lambda x: np.stack(list(x)),
    ],
)
def test_functions_give_what_they_give_for_the_plain_array(function):
    tile = tile_of((7, 5))
    np.testing.assert_array_equal(np.asarray(function(tile)), function(tile.values))
