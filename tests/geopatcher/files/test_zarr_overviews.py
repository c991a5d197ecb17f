"""Overviews of a Zarr store: half by half against plain loops, where the whole lies."""

from collections import Counter

import numpy as np
import pytest
import xarray as xr
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio import Affine

from geopatcher import (
    PatchError,
    SpatialBoxcar,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
    add_overviews,
    map_patches,
)
from geopatcher.files.zarr_overviews import halved

PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)


def by_loops(plane, nodata, role):
    """Half of (H, W), pixel by pixel."""
    rows = range(0, plane.shape[0], 2)
    made = [
        [of_four(plane[r : r + 2, c : c + 2], nodata, role) for c in range(0, plane.shape[1], 2)]
        for r in rows
    ]
    return np.array(made)


def of_four(pixels, nodata, role):
    own = [v for v in pixels.ravel().tolist() if v == v and v != nodata]
    if role in ("bits", "mask"):
        return pixels[0, 0]
    if not own:
        return np.nan if nodata is None else nodata
    if role == "quantity":
        return sum(own) / len(own)
    counts = Counter(own)
    return min(value for value in own if counts[value] == max(counts.values()))


@settings(max_examples=80)
@given(
    st.sampled_from(["uint8", "int16", "float32", ">i2", "float64"]),
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7),
    st.lists(st.sampled_from(["quantity", "class", "bits"]), min_size=1, max_size=3),
    st.sampled_from([None, 0, 3]),
    st.integers(0, 999),
)
def test_half_of_a_raster_is_that_of_plain_loops(dtype, shape, roles, nodata, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 5, (2, len(roles), *shape)).astype(dtype)
    if values.dtype.kind == "f":
        values[rng.random(values.shape) < 0.3] = np.nan
    made = halved(values, nodata, roles)
    assert made.dtype == values.dtype
    for period in range(2):
        for band, role in enumerate(roles):
            expected = by_loops(values[period, band], nodata, role)
            if role == "quantity" and values.dtype.kind in "iu":
                off = np.abs(made[period, band] - expected)
                # Rounded, and moved off the number that marks nodata where it is no hole.
                assert off.max() <= (0.5 if nodata is None else 1.5)
                plane = values[period, band].astype("float64")
                if nodata is not None:
                    plane[plane == nodata] = np.nan
                holes = np.isnan(by_loops(plane, None, role))  # a mean may be that number, too
                np.testing.assert_array_equal(made[period, band] == nodata, holes)
            else:
                np.testing.assert_allclose(made[period, band], expected, rtol=1e-6)


def stored(path, shape=(2, 301, 203), dtype="float32", chunks=None, **attrs):
    values = np.random.default_rng(2).integers(1, 9, shape).astype(dtype)
    scene = GeoTensor(values, PLACE, "EPSG:32632", 0, attrs)
    patcher = SpatialPatcher(
        SpatialRectangular(128, boundary="shrink"),
        SpatialRegularStride(128),
        SpatialBoxcar(),
        SpatialOverlapAdd(dtype=dtype),
    )
    map_patches(patcher, scene, lambda c: c, target=path, chunks=chunks, progress=False, workers=1)
    return values


@pytest.mark.parametrize("chunks", [None, 64, "maps", (2, 37, 53)])
@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_overviews_lie_where_the_store_lies(tmp_path, chunks, dtype):
    path = tmp_path / "a.zarr"
    values = stored(path, dtype=dtype, chunks=chunks, band_names=["B04", "B08"])
    assert add_overviews(path, (2, 4)) == ["overview_2", "overview_4"]
    expected = values
    for factor in (2, 4):
        expected = halved(expected, None, ["quantity"] * 2)
        with xr.open_zarr(path, group=f"overview_{factor}", consolidated=False) as half:
            np.testing.assert_array_equal(half["data"].values, expected)
            assert half["data"].rio.transform(recalc=True) == PLACE * Affine.scale(factor)
            assert half["data"].rio.crs == "EPSG:32632"
            assert half["band"].attrs["flag_meanings"] == "B04 B08"
    with xr.open_zarr(path, consolidated=False) as whole:
        np.testing.assert_array_equal(whole["data"].values, values)
        layout = whole.attrs["multiscales"]["layout"]
    assert [each["asset"] for each in layout] == [".", "overview_2", "overview_4"]


def test_classes_vote_and_a_second_time_makes_the_same(tmp_path):
    path = tmp_path / "a.zarr"
    values = stored(path, (97, 64), "uint8", band_roles="class")
    for _ in range(2):
        add_overviews(path, [2])
        with xr.open_zarr(path, group="overview_2", consolidated=False) as half:
            np.testing.assert_array_equal(half["data"].values, by_loops(values, None, "class"))


def test_none_are_made_of_what_is_small_or_no_store(tmp_path):
    stored(tmp_path / "a.zarr")
    assert add_overviews(tmp_path / "a.zarr") == []
    with pytest.raises(PatchError, match=r"factors must be 2, 4, 8 .* got \(2, 6\)"):
        add_overviews(tmp_path / "a.zarr", (2, 6))
    xr.Dataset({"other": ("x", [1])}).to_zarr(tmp_path / "b.zarr", consolidated=False)
    with pytest.raises(PatchError, match=r"b\.zarr holds no raster 'data' with a grid mapping"):
        add_overviews(tmp_path / "b.zarr")
