"""content_hash: equal content, equal hash; anything that matters changes it."""

import numpy as np
import pytest
import xarray as xr
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from rasterio.crs import CRS

from pipekit import AssertDType, content_hash

VALUES = np.arange(24, dtype="uint16").reshape(2, 3, 4)


def tensor(values=VALUES, scale=10, epsg=32610, fill=0, **attrs):
    return GeoTensor(values, Affine.scale(scale, -scale), CRS.from_epsg(epsg), fill, attrs)


@settings(max_examples=40)
@given(st.permutations([0, 1, 2]), st.integers(1, 3), st.booleans())
def test_layout_in_memory_does_not_count(axes, step, flip):
    view = VALUES.transpose(axes)[::step]
    view = view[:, ::-1] if flip else view
    assert content_hash(view) == content_hash(np.array(view, order="C"))
    assert content_hash(view) == content_hash(np.array(view, order="F"))


def test_a_large_view_is_hashed_block_by_block_to_the_same():
    big = np.random.default_rng(0).integers(0, 9, (3000, 2000), dtype="int32")
    assert content_hash(big[:, ::2]) == content_hash(big[:, ::2].copy())


DIFFERENT = [
    VALUES,
    VALUES + 1,
    VALUES.astype("int16"),
    VALUES.astype(">u2"),
    VALUES.reshape(2, 4, 3),
    VALUES.tobytes(),
    VALUES[:0],
    VALUES[:0].reshape(0, 4, 3),
    tensor(),
    tensor(scale=20),
    tensor(epsg=32611),
    tensor(fill=1),
    tensor(band_names=["B04", "B08"]),
    tensor(band_names=["B08", "B04"]),
    [VALUES],
    (VALUES,),
    [VALUES, VALUES],
    {"a": VALUES},
    {"b": VALUES},
    xr.DataArray(VALUES, dims=("a", "b", "c")),
    xr.DataArray(VALUES, dims=("a", "c", "b")),
    xr.DataArray(VALUES, dims=("a", "b", "c"), coords={"a": [0, 1]}),
    xr.Dataset({"v": (("a", "b", "c"), VALUES)}),
    1,
    1.0,
    True,
    None,
    "1",
    float("nan"),
    AssertDType("uint8"),
    AssertDType("uint16"),
    ["ab", "c"],
    ["a", "bc"],
]


def test_different_content_has_different_hashes():
    hashes = [content_hash(value) for value in DIFFERENT]
    assert len(set(hashes)) == len(DIFFERENT)
    assert hashes == [content_hash(value) for value in DIFFERENT]
    assert content_hash(1, 2) != content_hash(2, 1)


def test_dict_order_and_provenance_do_not_count():
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})
    assert content_hash(tensor(provenance={"time": "now"})) == content_hash(tensor())


@pytest.mark.parametrize("value", [object(), print, np.array([None]), [lambda x: x]])
def test_what_has_no_content_is_refused(value):
    with pytest.raises(TypeError, match="no content"):
        content_hash(value)


def test_known_answer():
    """Fixed for ever: files of a cache are named by it."""
    import hashlib

    text = b"array <u2 (2, 3, 4)"
    raw = len(text).to_bytes(8, "little") + text + VALUES.tobytes()
    assert content_hash(VALUES) == hashlib.sha256(raw).hexdigest()[:32]
