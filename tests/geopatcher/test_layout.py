"""Tiled equals whole: an operator that looks around gives over chips what it gives over the scene."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from scipy import ndimage

from geopatcher import (
    DaskField,
    Patch,
    SeamWarning,
    SpatialBoxcar,
    SpatialCustom,
    SpatialExplicit,
    SpatialHann,
    SpatialHardVote,
    SpatialMax,
    SpatialMean,
    SpatialMedian,
    SpatialMin,
    SpatialMode,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRandom,
    SpatialRectangular,
    SpatialRegularStride,
    SpatialSum,
    SpatialTrim,
    XarrayField,
    map_patches,
    merge_to_file,
)
from geopatcher.stream import run_batch


class Window:
    """A statistic of a window around each pixel, which counts the pixels that it is given."""

    def __init__(
        self, radius: int, statistic=ndimage.maximum_filter, mode="reflect", one_size=False
    ):
        self.radius, self.statistic, self.mode, self.one_size = radius, statistic, mode, one_size
        self.pixels, self.shapes = 0, set()

    def __call__(self, chip):
        values = np.asarray(chip)
        self.pixels += values.shape[-2] * values.shape[-1]
        self.shapes.add(values.shape[-2:])
        size = (*[1] * (values.ndim - 2), 2 * self.radius + 1, 2 * self.radius + 1)
        made = self.statistic(values, size=size, mode=self.mode)
        if isinstance(chip, GeoTensor):
            attrs = {"made": "of windows"}
            return GeoTensor(made, chip.transform, chip.crs, chip.fill_value_default, attrs)
        return made


def scene_of(shape, dtype="float32", north_up=True, seed=0) -> GeoTensor:
    values = np.random.default_rng(seed).uniform(1, 250, shape).astype(dtype)
    place = Affine(10, 0, 500_000, 0, -10 if north_up else 10, 4_000_000)
    return GeoTensor(values, place, "EPSG:32610", None)


def patcher_of(size, step=None, boundary="shift", window=None, **options) -> SpatialPatcher:
    return SpatialPatcher(
        SpatialRectangular(size, boundary=boundary),
        SpatialRegularStride(step or size),
        window or SpatialBoxcar(),
        **options,
    )


def general(function):
    """The function without its word on how far it looks."""
    return lambda chip: function(chip)


def same(made, expected):
    made, expected = np.asarray(made), np.asarray(expected)
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(made, expected, rtol=1e-6, atol=1e-6)
    else:
        np.testing.assert_array_equal(made, expected)


@settings(max_examples=70)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 70), st.integers(1, 70)),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    overlap=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    boundary=st.sampled_from(["shift", "pad", "shrink"]),
    radius=st.integers(0, 9),
    dtype=st.sampled_from(["float32", "float64", "uint8", "int16", ">u2", "bool"]),
    statistic=st.sampled_from(["maximum_filter", "median_filter", "uniform_filter"]),
    mode=st.sampled_from(["reflect", "mirror", "nearest", "constant"]),
    workers=st.integers(1, 3),
    one_size=st.booleans(),
    window=st.sampled_from([SpatialBoxcar(), SpatialHann(), SpatialTrim(2), SpatialTrim(1, SpatialHann())]),
    north_up=st.booleans(),
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::geopatcher.SeamWarning", "ignore::geopatcher.CoverageWarning")
def test_tiles_give_what_the_scene_gives(
    shape, size, overlap, boundary, radius, dtype, statistic, mode, workers, one_size, window,
    north_up,
):  # fmt: skip
    if one_size:  # a model's chips are whole, and leave something
        size = tuple(
            min(max(n, 2 * radius + 1), most) for n, most in zip(size, shape[1:], strict=True)
        )
    step = tuple(max(1, n - o) for n, o in zip(size, overlap, strict=True))
    scene = scene_of(shape, dtype, north_up)
    patcher = patcher_of(size, step, boundary, window)
    function = Window(radius, getattr(ndimage, statistic), mode, one_size)
    expected = function(scene).values
    stitched = patcher.merge(patcher.stream(scene).map(function, workers=workers), scene)
    if one_size and any(n <= 2 * radius < most for n, most in zip(size, shape[1:], strict=True)):
        return  # no chip shows what the scene shows; a warning says so
    same(stitched.values, expected)
    assert stitched.transform == scene.transform
    ran = map_patches(patcher, scene, function, block_rows=7, workers=workers, progress=False)
    assert ran.tobytes() == stitched.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_a_whole_scene_at_every_size_of_chip(dtype):
    scene = scene_of((1, 3935, 1599), dtype)
    function = Window(4, ndimage.uniform_filter if dtype == "float32" else ndimage.minimum_filter)
    expected = function(scene).values
    for chips in (256, 100, (97, 131)):
        patcher = patcher_of(chips)
        same(patcher.merge(patcher.stream(scene).map(function), scene), expected)


@pytest.mark.parametrize("dtype", ["int32", "uint32"])
def test_large_whole_numbers_are_not_rounded(dtype):
    scene = scene_of((90, 70), dtype)
    scene.values[:] = np.iinfo(dtype).max - scene.values
    function = Window(3)
    for batch in (None, 4):
        stream = patcher_of(32).stream(scene).map(function, batch_size=batch)
        made = np.asarray(stream.patcher.merge(stream, scene))
        np.testing.assert_array_equal(made.astype(dtype), function(scene).values)


def test_few_pixels_are_computed_twice():
    scene = scene_of((2, 3935, 1599), "uint8")
    function = Window(4, lambda values, size, mode: values)
    patcher = patcher_of(256, 192, window=SpatialHann())
    patcher.merge(patcher.stream(scene).map(function), scene)
    assert 1 < function.pixels / (3935 * 1599) <= 1.15
    function.pixels = 0
    map_patches(patcher, scene, function, workers=2, progress=False)
    assert 1 < function.pixels / (3935 * 1599) <= 1.15


def test_a_model_gets_chips_of_one_size_moved_inward():
    scene = scene_of((1, 200, 137))
    for shape, batch in (({(64, 64)}, None), ({(64, 64)}, 8)):
        function = Window(5, one_size=batch is None)
        patcher = patcher_of(64, boundary="shift")
        stream = patcher.stream(scene).map(function, batch_size=batch)
        same(patcher.merge(stream, scene), Window(5)(scene))
        assert function.shapes == shape
    small = patcher_of(300)
    function = Window(5, one_size=True)
    with pytest.raises(ValueError, match="a chip of 300 x 300 pixels is larger than the scene"):
        small.merge(small.stream(scene).map(function), scene)


@pytest.mark.parametrize(
    "aggregation",
    [SpatialMean(), SpatialMin(), SpatialMax(), SpatialMedian(), SpatialMode(), SpatialHardVote(300)],
    ids=lambda a: type(a).__name__,
)  # fmt: skip
def test_aggregations_that_agree_give_it_too(aggregation):
    scene = scene_of((90, 70), "uint8")
    patcher = patcher_of(32, 20, aggregation=aggregation)
    function = Window(3)
    made = patcher.merge(patcher.stream(scene).map(function), scene)
    same(np.asarray(made).astype("uint8"), function(scene))
    assert function.pixels < 1.6 * 90 * 70 + 90 * 70


@pytest.mark.parametrize(
    "axes",
    [
        pytest.param({"window": SpatialCustom(np.ones)}, id="custom window"),
        pytest.param({"on_error": "skip"}, id="skips"),
        pytest.param({"sampler": SpatialExplicit([(0, 0), (3, 20), (50, 40)])}, id="explicit"),
        pytest.param({"sampler": SpatialRandom(40, seed=1)}, id="random"),
        pytest.param({"sampler": SpatialRegularStride(40)}, id="gaps"),
        pytest.param({"geometry": SpatialRectangular(32, boundary="drop")}, id="dropped edge"),
        pytest.param({"aggregation": SpatialMean(), "on_error": "fill"}, id="mean"),
    ],
)
@pytest.mark.filterwarnings("ignore::geopatcher.CoverageWarning")
def test_chips_that_stay_where_they_are_get_rims(axes):
    scene = scene_of((101, 90))
    patcher = replace(patcher_of(32, 24, window=SpatialHann()), **axes)
    function = Window(4)
    expected = np.asarray(function(scene))
    made = np.asarray(patcher.merge(patcher.stream(scene).map(function), scene))
    covered = ~np.isnan(made)
    assert covered.mean() > 0.2
    same(made[covered], expected[covered])
    assert (32, 32) not in function.shapes


def test_sums_of_chips_are_sums_of_what_the_scene_gives():
    scene = scene_of((64, 64), "uint8")
    patcher = patcher_of(32, 16, aggregation=SpatialSum())
    function = Window(4)
    made = np.asarray(patcher.merge(patcher.stream(scene).map(function), scene))
    ones = patcher.stream(scene).map(lambda chip: np.ones(chip.shape))
    times = np.asarray(patcher.merge(ones, scene))
    same(made / times, np.asarray(function(scene)).astype("float64"))


def test_what_reaches_over_the_edge_is_cut_there():
    scene = scene_of((50, 50))
    patcher = patcher_of(32, 32, boundary="pad", on_error="skip")
    function = Window(3, mode="constant")
    same(patcher.merge(patcher.stream(scene).map(function), scene), function(scene))


def test_a_model_whose_chips_overlap_enough_is_trimmed():
    scene = scene_of((90, 90))
    function = Window(4, one_size=True)
    patcher = patcher_of(32, 24, window=SpatialHann(), on_error="skip")
    same(patcher.merge(patcher.stream(scene).map(function), scene), function(scene))
    assert (32, 32) in function.shapes


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        (
            {"sampler": SpatialRegularStride(28), "on_error": "skip"},
            r"looks 4 pixels around each pixel, and chips of 32 x 32 do not overlap by 8: strips of "
            r"up to 4 pixels .*\(\d+\.\d% of .* use SpatialRegularStride\(24\) or a smaller step",
        ),
        (
            {"sampler": SpatialExplicit([(0, 0), (0, 20)])},
            r"chips of 32 x 32 do not overlap by 8: strips of up to 4 pixels along their borders are",
        ),
        (
            {
                "geometry": SpatialRectangular(8, boundary="shift"),
                "sampler": SpatialRegularStride(8),
            },
            r"use chips of more than 8 pixels",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::geopatcher.CoverageWarning")
def test_what_cannot_be_helped_is_said_once(axes, words):
    scene = scene_of((88, 88))
    patcher = replace(patcher_of(32), **axes)
    function = Window(4, one_size=True)
    for run in (
        lambda: patcher.merge(patcher.stream(scene).map(function), scene),
        lambda: map_patches(patcher, scene, function, workers=2, block_rows=20, progress=False),
    ):
        with pytest.warns(SeamWarning, match=words) as told:
            run()
        seams = [each for each in told if each.category is SeamWarning]
        assert len(seams) == 1
        assert seams[0].filename == __file__


def test_nothing_is_said_of_what_is_unknown_or_exact():
    scene = scene_of((88, 88))
    patcher = patcher_of(32, 28)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for function in (general(Window(4)), Window(4), Window(0)):
            patcher.merge(patcher.stream(scene).map(function), scene)


def test_files_are_written_the_same(tmp_path):
    scene = scene_of((2, 300, 200), "int16")
    patcher, function = patcher_of(64, 48), Window(5)
    expected = function(scene).values
    for name in ("out.tif", "out.zarr"):
        stream = patcher.stream(scene).map(function, workers=2)
        merged = merge_to_file(stream, scene, SpatialOverlapAdd(), tmp_path / f"m{name}", chunks=64)
        same(np.asarray(merged.values), expected)
        mapped = map_patches(
            patcher, scene, function, target=tmp_path / name, chunks=64, block_rows=70,
            workers=2, progress=False,
        )  # fmt: skip
        same(np.asarray(mapped.values), expected)


def test_labelled_and_chunked_fields_have_rims_too():
    import dask.array
    import xarray as xr

    values = scene_of((2, 90, 70)).values
    patcher, function = patcher_of(32), Window(3)
    expected = function(values)
    chunked = DaskField(dask.array.from_array(values, (2, 40, 40)))
    same(patcher.merge(patcher.stream(chunked).map(function), chunked), expected)
    labels = {"y": np.arange(90.0)[::-1], "x": np.arange(70.0)}
    labelled = XarrayField(xr.DataArray(values, labels, ("band", "y", "x")))
    stream = patcher.stream(labelled).map(lambda piece: piece)
    stream.function.radius = 3  # pieces come back with their labels
    same(patcher.merge(stream, labelled), values)
    stream = patcher.stream(labelled).map(lambda piece: function(piece.da.values))
    stream.function.radius = 3
    same(patcher.merge(stream, labelled), expected)


def test_an_operator_that_crops_is_told():
    scene = scene_of((90, 70))
    patcher = patcher_of(32)

    def cropping(chip):
        return np.asarray(chip)[1:-1, 1:-1]

    cropping.radius = 1
    with pytest.raises(ValueError, match="must keep the chip's height and width"):
        patcher.merge(patcher.stream(scene).map(cropping), scene)


def test_the_user_still_sees_the_chips_asked_for():
    scene = scene_of((100, 100))
    function = Window(3)
    stream = patcher_of(32, 24).stream(scene).map(function)
    assert {patch.data.shape for patch in stream} == {(32, 32)}
    assert function.shapes == {(32, 32)}


@settings(max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    size=st.tuples(st.integers(9, 30), st.integers(9, 30)),
    margin=st.integers(1, 4),
    inner=st.sampled_from([SpatialBoxcar(), SpatialHann()]),
    boundary=st.sampled_from(["shift", "pad", "shrink"]),
    by_hand=st.booleans(),
)
def test_a_margin_is_dropped_and_stops_at_the_edge(shape, size, margin, inner, boundary, by_hand):
    size = tuple(min(n, most) for n, most in zip(size, shape, strict=True))
    step = tuple(max(1, n - 2 * margin) for n in size)
    if any(n <= 2 * margin < most for n, most in zip(size, shape, strict=True)) or (
        min(size) <= 2 * margin
    ):
        return
    scene = scene_of(shape)
    patcher = patcher_of(size, step, boundary, SpatialTrim(margin, inner))
    function = general(Window(margin))
    stream = patcher.stream(scene).map(function)
    patches = (Patch(p.data, p.anchor, p.indices, p.weights) for p in stream) if by_hand else stream
    if boundary == "pad" and any(most % 1 for most in shape):
        return
    made = patcher.merge(patches, scene)
    if boundary == "pad":  # what is filled at the edge is no scene
        inside = (slice(0, max(0, shape[0] - margin)), slice(0, max(0, shape[1] - margin)))
        same(np.asarray(made)[inside], np.asarray(Window(margin)(scene))[inside])
    else:
        same(made, Window(margin)(scene))


def test_what_only_margins_cover_has_no_data():
    scene = scene_of((60, 60))
    patcher = patcher_of(20, 20, window=SpatialTrim(2))
    with pytest.warns(UserWarning, match="covered by no patch"):
        made = np.asarray(patcher.merge(patcher.stream(scene), scene))
    assert np.isnan(made[18:22]).all()
    assert not np.isnan(made[0:18, 0:18]).any()


def test_blocks_of_trimmed_chips_are_the_same():
    scene = scene_of((90, 50))
    patcher = patcher_of(20, 12, window=SpatialTrim(4, SpatialHann()))
    function = general(Window(4))
    whole = patcher.merge(patcher.stream(scene).map(function), scene)
    for rows in (90, 17, 3):
        made = map_patches(patcher, scene, function, block_rows=rows, workers=2, progress=False)
        assert made.tobytes() == whole.tobytes()


def test_bad_margins_say_what_is_accepted():
    with pytest.raises(ValueError, match="margin must be a whole number of at least 1, got 0"):
        SpatialTrim(0)
    with pytest.raises(ValueError, match="SpatialTrim weighs what is left by a separable window"):
        SpatialTrim(2, SpatialCustom(np.ones))
    scene = scene_of((60, 60))
    patcher = patcher_of(20, 20, window=SpatialTrim(10))
    with pytest.raises(ValueError, match=r"a margin of 10 leaves nothing of chips .* below 10"):
        patcher.merge(patcher.stream(scene), scene)


@pytest.mark.parametrize("nodata", [None, 0, np.nan, [0, 5]])
def test_chips_of_one_nodata_value_are_batched_and_others_are_not(nodata):
    """NaN is one value, too."""
    sizes = []

    class Model:
        takes_batches = True

        def __call__(self, batch):
            sizes.append(len(batch) if batch.ndim == 4 else 1)
            return batch

    fills = nodata if isinstance(nodata, list) else [nodata] * 2
    data = [
        GeoTensor(np.ones((1, 4, 4), "float32"), Affine(10, 0, 0, 0, -10, 0), "EPSG:32632", fill)
        for fill in fills
    ]
    patches = [Patch(each, (0, 0), None) for each in data]
    made = run_batch(Model(), patches)
    assert all(
        patch.data.fill_value_default is fill for patch, fill in zip(made, fills, strict=True)
    )
    assert sizes == ([1, 1] if isinstance(nodata, list) else [2])


@pytest.mark.parametrize("batch_size", [None, 2])
@pytest.mark.parametrize(
    ("result", "said"),
    [
        (lambda chip: {"a": chip}, "dict"),
        (lambda chip: None, "NoneType"),
        (lambda chip: 3.0, "float"),
        (lambda chip: np.asarray(chip).astype(object), "type object"),
        (lambda chip: np.asarray(chip).astype(str), "type str"),
    ],
)
@pytest.mark.parametrize("radius", [None, 0, 2])
def test_what_is_no_raster_is_told_at_the_first_chip(result, said, batch_size, radius):
    def function(chip):
        return result(chip)

    function.radius = radius
    with pytest.raises(ValueError, match=said):
        map_patches(
            patcher_of(16), scene_of((2, 30, 30)), function, batch_size=batch_size, progress=False
        )


@pytest.mark.parametrize("batch_size", [None, 3])
def test_a_tensor_is_an_array(batch_size):
    torch = pytest.importorskip("torch", reason="torch is an extra")
    scene = scene_of((2, 30, 30))

    def twice(chip):
        return 2 * torch.from_numpy(np.ascontiguousarray(np.asarray(chip)))

    patcher = patcher_of(16, 12, window=SpatialHann())
    made = map_patches(patcher, scene, twice, batch_size=batch_size, progress=False)
    same(made.values, 2 * scene.values)


def test_arguments_of_a_run_in_another_order_are_told():
    scene, patcher = scene_of((2, 30, 30)), patcher_of(16)
    with pytest.raises(ValueError, match=r"takes \(patcher, field, operator\), got GeoTensor"):
        map_patches(scene, patcher, np.negative)
    with pytest.raises(TypeError, match="map takes a function, got 5"):
        map_patches(patcher, scene, 5)
