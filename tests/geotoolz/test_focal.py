"""Focal mean and median against plain loops over windows, with nodata, classes and every edge mode."""

from __future__ import annotations

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from georeader.rasterio_reader import RasterioReader
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio import Affine

import geotoolz as gz
from geopatcher import (
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
    map_patches,
)
from geotoolz.focal import MODES, focal_mean, focal_median
from pipekit import measure_radius

PADDING = {"reflect": "symmetric", "mirror": "reflect", "nearest": "edge"}


def windows_of(values, size, mode):
    """Every window of (H, W) as a list of lists, by padding and plain slices."""
    rows, cols = size
    padded = np.pad(values, [(rows // 2,) * 2, (cols // 2,) * 2], mode=PADDING[mode])
    height, width = values.shape
    return [[padded[r : r + rows, c : c + cols] for c in range(width)] for r in range(height)]


def by_loops(values, size, mode, statistic):
    """The statistic of the valid pixels of each window, NaN where the middle is missing."""
    made = [[statistic(window[~np.isnan(window)]) for window in row] for row in
            windows_of(values, size, mode)] if values.size else []  # fmt: skip
    return np.where(np.isnan(values), np.nan, np.array(made))


sizes = st.tuples(st.sampled_from([1, 3, 5, 7]), st.sampled_from([1, 3, 5, 7]))
shapes = st.tuples(st.integers(1, 12), st.integers(1, 12))


@settings(max_examples=80)
@given(shapes, sizes, st.sampled_from(MODES), st.floats(0, 0.9), st.integers(0, 99))
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")
def test_they_are_the_statistics_of_each_window(shape, size, mode, missing, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape).astype("float32")
    values[rng.random(shape) < missing] = np.nan
    for function, statistic in ((focal_mean, np.mean), (focal_median, np.median)):
        expected = by_loops(values.astype("float64"), size, mode, statistic)
        made = function(values, size, mode)
        assert made.dtype == np.float32
        np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-6)


@settings(max_examples=40)
@given(
    hnp.arrays("int16", shapes, elements=st.integers(-3, 9)), sizes, st.sampled_from(MODES),
    st.sampled_from([None, -3, 9]),
)  # fmt: skip
def test_whole_numbers_have_a_median_that_is_one_of_them(values, size, mode, nodata):
    place = Affine(10, 0, 0, 0, -10, 0)
    made = focal_median(GeoTensor(values, place, "EPSG:32632", nodata), size, mode)
    assert (made.dtype, made.fill_value_default) == (np.int16, nodata)
    for row, windows in zip(made.values, windows_of(values, size, mode), strict=True):
        for value, window in zip(row, windows, strict=True):
            middle = window[size[0] // 2, size[1] // 2]
            valid = np.sort(window[window != nodata] if nodata is not None else window.ravel())
            lower = valid[(valid.size - 1) // 2] if valid.size else nodata
            assert value == (nodata if middle == nodata else lower)


def test_bands_of_classes_stay_as_they_are():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 12, (2, 20, 20)).astype("uint8")
    attrs = {"band_names": ["B04", "SCL"]}
    scene = GeoTensor(values, Affine(10, 0, 0, 0, -10, 0), "EPSG:32632", None, attrs)
    for operator in (gz.FocalMean(5), gz.FocalMedian(5)):
        made = operator(scene)
        assert np.array_equal(made.values[1], values[1])
        assert not np.array_equal(made.values[0], values[0])
        mask = values[0] > 5
        assert np.array_equal(operator(mask), mask)


def test_an_infinite_pixel_is_felt_by_its_window_and_no_further():
    values = np.zeros((1, 30, 40), "float32")
    values[0, 10, 10], values[0, 12, 11], values[0, 20, 30] = np.inf, -np.inf, np.nan
    made = focal_mean(values, 5)[0]
    unusual = np.zeros((30, 40), bool)
    unusual[8:15, 8:14] = unusual[20, 30] = True
    assert np.isfinite(made[~unusual]).all()
    assert (made[8, 8], made[14, 13]) == (np.inf, -np.inf)
    assert np.isnan(made[11, 11])


@pytest.mark.parametrize("kind", [gz.FocalMean, gz.FocalMedian])
@pytest.mark.parametrize("size", [1, 3, 9, (5, 1), (3, 31)])
def test_they_look_as_far_as_they_say(kind, size):
    operator = kind(size)
    assert operator.radius == measure_radius(operator, shape=(1, 80, 80))


@pytest.mark.parametrize("kind", [gz.FocalMean, gz.FocalMedian])
def test_bad_arguments_say_what_is_accepted(kind):
    with pytest.raises(ValueError, match=r"size must be odd.*got 4; use \(5, 5\)"):
        kind(4)
    with pytest.raises(ValueError, match="size must be positive"):
        kind(0)
    with pytest.raises(ValueError, match="mode must be 'reflect', 'mirror' or 'nearest'"):
        kind(3, mode="wrap")
    with pytest.raises(ValueError, match="rows and columns"):
        kind(3)(np.zeros(4))


def test_other_types_of_numbers():
    values = np.arange(12.0).reshape(3, 4)
    assert gz.FocalMean(3)(values).dtype == np.float64
    assert gz.FocalMean(3)(values.astype(">u2")).dtype == np.float32
    assert np.array_equal(gz.FocalMean(3)(values.astype(">f4")), focal_mean(values.astype("f4")))
    assert gz.FocalMedian(3)(values.astype("float16")).dtype == np.float16
    hidden = np.ma.array(values, mask=values == 5)
    assert np.ma.getmaskarray(gz.FocalMedian(3)(hidden)).tolist() == hidden.mask.tolist()


PIPELINES = {
    "mean": gz.NDVI(0, 1) | gz.FocalMean(9),
    "median": gz.NDVI(0, 1) | gz.FocalMedian(31),
    "whole numbers": gz.FocalMedian(9),
}


def two_bands(shape=(2, 97, 75)):
    """Digital numbers, one corner of them without data."""
    values = np.random.default_rng(5).integers(1, 4000, shape).astype("uint16")
    values[:, :20, 50:] = 0
    return GeoTensor(values, Affine(10, 0, 5e5, 0, -10, 5e6), "EPSG:32632", 0)


@pytest.fixture(scope="module")
def cluster():
    from distributed import Client

    with Client(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", set_as_default=False
    ) as client:
        yield client


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("which", ["threads", "processes", "dask"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_tiles_are_the_whole_scene_in_every_runner_batched_and_streamed(
    name, which, cluster, tmp_path
):
    scene, operator = two_bands(), PIPELINES[name]
    whole = operator(scene).values
    source = RasterioReader(str(gz.write_cog(scene, tmp_path / "scene.tif")))
    how = {"scheduler": cluster if which == "dask" else which, "workers": 2, "block_rows": 32}
    merge = SpatialOverlapAdd(dtype=whole.dtype.name)
    for size, batch, field, target in (
        (48, None, scene, None),
        ((37, 53), 3, source, "o.zarr"),
        (48, 32, scene, "o.tif"),
    ):
        made = map_patches(
            SpatialPatcher(
                SpatialRectangular(size, boundary="shift"),
                SpatialRegularStride(size),
                aggregation=merge,
            ),
            field,
            operator,
            target=None if target is None else tmp_path / target,
            batch_size=batch,
            progress=False,
            **how,
        )
        values = np.squeeze(np.asarray(made.values))
        if whole.dtype.kind == "u":
            assert np.array_equal(values, whole)
        else:
            np.testing.assert_allclose(values, whole, rtol=0, atol=1e-6)


@settings(max_examples=40)
@given(
    hnp.arrays(np.int64, (5, 6), elements=st.integers(0, 9)),
    st.sampled_from(["int64", "uint64", ">i8"]),
    st.sampled_from([None, 3]),
    st.sampled_from([(3, 3), (1, 5)]),
    st.sampled_from(MODES),
)
def test_medians_of_wide_numbers_are_exact(places, dtype, hole, size, mode):
    """Those of their places in order, which any dtype holds."""
    numbers = (2**53 + 1 + 2 * np.arange(10)).astype(dtype)
    fill = None if hole is None else int(numbers[hole])
    wide = GeoTensor(numbers[places], Affine.identity(), 32632, fill)
    narrow = GeoTensor(places.astype("int32"), Affine.identity(), 32632, hole)
    found = focal_median(wide, size, mode)
    np.testing.assert_array_equal(found.values, numbers[focal_median(narrow, size, mode).values])
