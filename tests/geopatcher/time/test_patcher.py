"""Series taken apart and put together, in time and in space and time."""

from dataclasses import replace

import dask.array
import numpy as np
import pytest
import xarray as xr
from georeader.geotensor import GeoTensor
from georeader.rasterio_reader import RasterioReader
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine

from geopatcher import (
    DaskField,
    Patch,
    PatchError,
    RasterField,
    SpatialByIndex,
    SpatialExplicit,
    SpatialHann,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
    SpatioTemporalPatcher,
    TemporalCausalRolling,
    TemporalExplicit,
    TemporalExponentialDecay,
    TemporalFixedLookback,
    TemporalFold,
    TemporalForecast,
    TemporalLookbackHorizon,
    TemporalMean,
    TemporalMultiScale,
    TemporalPatcher,
    TemporalPeriodic,
    TemporalPhaseWindow,
    TemporalRegularStride,
    TemporalTaperedTukey,
    XarrayField,
    stack_patches,
)
from geotoolz import write_cog

WINDOWS = st.sampled_from(
    [TemporalExponentialDecay(2), TemporalTaperedTukey(0.5), TemporalPeriodic(7)]
)


@settings(max_examples=60)
@given(
    total=st.integers(1, 40),
    length=st.integers(1, 12),
    step=st.integers(1, 12),
    axis=st.integers(0, 2),
    window=WINDOWS,
)
def test_identity_gives_the_series_back_wherever_covered(total, length, step, axis, window):
    shape = [3, 2]
    shape.insert(axis, total)
    series = np.random.default_rng(0).normal(size=shape)
    patcher = TemporalPatcher(
        TemporalFixedLookback(length), TemporalRegularStride(step), window, time_axis=axis
    )
    merged = patcher.merge(patcher.split(series), series)
    covered = np.zeros(total, bool)
    for anchor in range(0, total, step):
        covered[max(0, anchor - length + 1) : anchor + 1] = True
    merged = np.moveaxis(merged, axis, 0)
    np.testing.assert_allclose(merged[covered], np.moveaxis(series, axis, 0)[covered], rtol=1e-12)
    assert np.isnan(merged[~covered]).all()


@given(st.integers(1, 30), st.integers(1, 9), st.integers(1, 9))
def test_no_early_patch_is_dropped(total, length, step):
    patcher = TemporalPatcher(TemporalFixedLookback(length), TemporalRegularStride(step))
    patches = list(patcher.split(np.arange(total)))
    assert [patch.anchor for patch in patches] == list(range(0, total, step))
    assert len(patches) == patcher.n_anchors(np.arange(total))
    assert [len(patch.data) for patch in patches] == [
        min(length, anchor + 1) for anchor in range(0, total, step)
    ]
    assert all(patch.data[-1] == patch.anchor for patch in patches)
    assert all(len(patch.weights) == len(patch.data) for patch in patches)


def test_nothing_after_the_anchor_is_seen():
    series = np.arange(40.0)
    future = series.copy()
    future[21:] = np.nan
    for geometry in (
        TemporalFixedLookback(9),
        TemporalMultiScale((2, 30)),
        TemporalPhaseWindow(10, 2),
    ):
        patcher = TemporalPatcher(geometry, TemporalRegularStride(1))
        seen, blind = patcher.patch_at(series, 20).data, patcher.patch_at(future, 20).data
        for a, b in (
            zip(np.atleast_1d(seen), np.atleast_1d(blind), strict=True)
            if not isinstance(seen, tuple)
            else zip(seen, blind, strict=True)
        ):
            np.testing.assert_array_equal(a, b)


def test_a_patch_by_date_is_the_patch_of_the_split():
    days = np.datetime64("2024-01-01") + np.arange(0, 60, 5) * np.timedelta64(1, "D")
    cube = xr.DataArray(
        np.random.default_rng(0).normal(size=(2, 12, 3)),
        dims=("y", "time", "x"),
        coords={"time": days.astype("datetime64[ns]")},
    )
    patcher = TemporalPatcher(TemporalFixedLookback(4), TemporalRegularStride(3))
    by_date = patcher.patch_at(cube, "2024-02-01")
    by_split = list(patcher.split(cube))[2]
    assert by_date.anchor == by_split.anchor == 6
    assert isinstance(by_date.data, xr.DataArray)
    assert by_date.data.identical(by_split.data)
    assert by_date.data.time.values.tolist() == cube.time.values[3:7].tolist()


def test_an_xarray_comes_back_as_one():
    days = np.arange(10).astype("datetime64[D]").astype("datetime64[ns]")
    cube = xr.DataArray(
        np.random.default_rng(0).normal(size=(10, 3)), dims=("time", "x"), coords={"time": days}
    )
    patcher = TemporalPatcher(TemporalFixedLookback(3), TemporalRegularStride(1))
    xr.testing.assert_allclose(patcher.merge(patcher.split(cube), cube), cube)
    means = (patch.with_data(float(patch.data.mean())) for patch in patcher.split(cube))
    merged = patcher.merge(means, cube)
    assert merged.dims == ("time",)
    expected = [float(cube[max(0, i - 2) : i + 1].mean()) for i in range(10)]
    np.testing.assert_allclose(merged.values, expected)


def test_a_raster_series_keeps_its_place():
    stack = GeoTensor(np.zeros((9, 2, 4, 4)), Affine(10, 0, 0, 0, -10, 0), "EPSG:32631")
    patcher = TemporalPatcher(TemporalFixedLookback(3), TemporalCausalRolling(2))
    patches = list(patcher.split(stack))
    assert [patch.anchor for patch in patches] == [2, 4, 6, 8]
    assert patches[0].data.shape == (3, 2, 4, 4)
    assert patches[0].data.transform == stack.transform


def test_a_horizon_weighs_the_past_only():
    geometry = TemporalLookbackHorizon(4, 3)
    patcher = TemporalPatcher(
        geometry, TemporalCausalRolling(5), TemporalExponentialDecay(2), TemporalForecast(3)
    )
    patch = patcher.patch_at(np.arange(20), 10)
    assert patch.data.tolist() == [7, 8, 9, 10, 11, 12, 13]
    assert patch.weights.shape == (4,)
    assert patch.weights[-1] == 1


def test_a_config_makes_the_same_patcher():
    patcher = TemporalPatcher(
        TemporalLookbackHorizon(4, 3),
        TemporalCausalRolling(5, start=3),
        TemporalPeriodic(12),
        TemporalMean(keeps_time=True),
        time_axis="time",
    )
    assert TemporalPatcher.from_config(patcher.get_config()) == patcher
    scales = TemporalPatcher(TemporalMultiScale((2, 7)), TemporalRegularStride(1))
    assert TemporalPatcher.from_config(scales.get_config()) == scales


def test_an_axis_that_is_none_is_told_when_the_patcher_is_made():
    with pytest.raises(PatchError, match=r"sampler must be an object.*TemporalRegularStride\("):
        TemporalPatcher(TemporalFixedLookback(2), TemporalRegularStride)
    with pytest.raises(PatchError, match="a patcher's geometry has a method neighborhood, got 7"):
        TemporalPatcher(7, TemporalRegularStride(1))


def stack_of(shape, seed=0):
    values = np.random.default_rng(seed).normal(size=shape)
    return GeoTensor(values, Affine(10, 0, 0, 0, -10, 0), "EPSG:32631", fill_value_default=np.nan)


@settings(max_examples=25)
@given(
    total=st.integers(1, 9),
    height=st.integers(4, 30),
    width=st.integers(4, 30),
    size=st.integers(1, 4),
    step=st.integers(1, 4),
    length=st.integers(1, 5),
)
def test_identity_gives_the_cube_back(total, height, width, size, step, length):
    cube = stack_of((total, 2, height, width))
    patcher = SpatioTemporalPatcher(
        SpatialPatcher(
            SpatialRectangular(size, boundary="shift"),
            SpatialRegularStride(min(step, size)),
            SpatialHann(),
        ),
        TemporalPatcher(
            TemporalFixedLookback(length), TemporalRegularStride(1), TemporalExponentialDecay(2)
        ),
    )
    merged = patcher.merge(patcher.split(cube), cube)
    assert merged.transform == cube.transform
    np.testing.assert_allclose(np.asarray(merged), cube.values, atol=1e-6)


def make(coupling, sampler, times, geometry=None, **temporal):
    return SpatioTemporalPatcher(
        SpatialPatcher(SpatialRectangular(4), sampler),
        TemporalPatcher(geometry or TemporalFixedLookback(3), times, **temporal),
        coupling=coupling,
    )


def test_a_product_is_every_place_at_every_time_time_by_time():
    cube = stack_of((9, 2, 8, 12))
    patcher = make("product", SpatialRegularStride(4), TemporalRegularStride(4))
    patches = list(patcher.split(cube))
    assert [patch.anchor for patch in patches] == patcher.anchors(cube)
    places = [(r, c) for r in (0, 4) for c in (0, 4, 8)]
    assert patcher.anchors(cube) == [(place, t) for t in (0, 4, 8) for place in places]
    patch = patches[-1]
    assert patch.space.anchor == (4, 8)
    assert patch.time.anchor == 8
    assert patch.time.indices.steps == slice(6, 9)
    np.testing.assert_array_equal(patch.data.values, cube.values[6:9, :, 4:8, 8:12])
    assert patch.data.transform == Affine(10, 0, 80, 0, -10, -40)
    assert patch.space.weights.shape == (4, 4)
    assert patch.time.weights.shape == (3,)


def test_aligned_anchors_come_in_pairs():
    cube = stack_of((9, 8, 12))
    places = SpatialExplicit([(0, 0), (4, 4), (2, 8)])
    patcher = make("aligned", places, TemporalExplicit([8, 0, 5]))
    assert patcher.anchors(cube) == [((0, 0), 8), ((4, 4), 0), ((2, 8), 5)]
    with pytest.raises(PatchError, match="come in pairs, got 3 in space and 2 in time"):
        make("aligned", places, TemporalExplicit([8, 0])).anchors(cube)


def test_coupled_anchors_are_given_in_pairs():
    cube = stack_of((9, 8, 12))
    plots = SpatialExplicit([((0, 0), 8), ((4, 4), 0), ((0, 0), 3)])
    patcher = make("coupled", plots, TemporalRegularStride(1))
    patches = list(patcher.split(cube))
    assert [patch.anchor for patch in patches] == [((0, 0), 8), ((4, 4), 0), ((0, 0), 3)]
    assert [patch.data.shape for patch in patches] == [(3, 4, 4), (1, 4, 4), (3, 4, 4)]
    np.testing.assert_array_equal(
        patcher.patch_at(cube, ((0, 0), 3)).data.values, patches[2].data.values
    )
    with pytest.raises(PatchError, match=r"are \(\(row, col\), t\) pairs, got \(0, 0\)"):
        make("coupled", SpatialExplicit([(0, 0)]), TemporalRegularStride(1)).anchors(cube)
    with pytest.raises(PatchError, match="needs SpatialExplicit"):
        make("coupled", SpatialRegularStride(4), TemporalRegularStride(1))


def test_coupled_patches_are_merged_where_and_when_they_are():
    cube = stack_of((9, 8, 8))
    plots = SpatialExplicit([((0, 0), 8), ((4, 4), 2), ((4, 0), 8)])
    patcher = make("coupled", plots, TemporalRegularStride(1), TemporalFixedLookback(1))
    merged = np.asarray(patcher.merge(patcher.split(cube), cube))
    expected = np.full((9, 8, 8), np.nan)
    expected[8, :, :4] = cube.values[8, :, :4]
    expected[2, 4:, 4:] = cube.values[2, 4:, 4:]
    np.testing.assert_allclose(merged, expected, rtol=1e-6)


def test_a_forecast_map_for_each_date():
    cube = stack_of((12, 8, 8))
    patcher = make(
        "product",
        SpatialRegularStride(4),
        TemporalExplicit([4, 8]),
        TemporalLookbackHorizon(3, 2),
        aggregation=TemporalForecast(2),
    )
    truth = patcher.merge(patcher.split(cube), cube)
    assert list(truth) == [4, 8]
    np.testing.assert_allclose(np.asarray(truth[4]), cube.values[5:7], rtol=1e-6)


def test_an_operator_may_take_the_time_away():
    cube = stack_of((6, 2, 8, 8))
    patcher = make("product", SpatialRegularStride(4), TemporalRegularStride(1))
    means = (p.with_data(np.asarray(p.data).mean(axis=0)) for p in patcher.split(cube))
    merged = np.asarray(patcher.merge(means, cube))
    expected = [cube.values[max(0, t - 2) : t + 1].mean(axis=0) for t in range(6)]
    np.testing.assert_allclose(merged, expected, rtol=1e-5, atol=1e-6)


def test_several_scales_are_a_tuple_of_cubes():
    cube = stack_of((9, 8, 8))
    patcher = make(
        "product", SpatialRegularStride(4), TemporalExplicit([8]), TemporalMultiScale((2, 5))
    )
    patch = next(patcher.split(cube))
    assert [piece.shape for piece in patch.data] == [(2, 4, 4), (5, 4, 4)]
    with pytest.raises(PatchError, match="combine them in the operator"):
        patcher.merge(patcher.split(cube), cube)


def test_an_xarray_is_cut_by_its_labels():
    days = np.arange(6).astype("datetime64[D]").astype("datetime64[ns]")
    cube = xr.DataArray(
        np.random.default_rng(0).normal(size=(2, 6, 8, 8)),
        dims=("band", "time", "y", "x"),
        coords={"time": days, "x": np.arange(8) * 10.0},
    )
    patcher = make("product", SpatialRegularStride(4), TemporalExplicit(["1970-01-04"]))
    patch = list(patcher.split(cube))[1]
    assert patch.anchor == ((0, 4), 3)
    assert patch.data.sizes == {"band": 2, "time": 3, "y": 4, "x": 4}
    assert patch.data.x.values.tolist() == [40, 50, 60, 70]


def test_time_cannot_be_a_spatial_axis():
    patcher = SpatioTemporalPatcher(
        SpatialPatcher(SpatialRectangular(4), SpatialRegularStride(4)),
        TemporalPatcher(TemporalFixedLookback(3), TemporalRegularStride(1)),
        time_axis=2,
    )
    with pytest.raises(PatchError, match=r"ends in \(H, W\), but time is axis 2"):
        next(patcher.split(np.zeros((8, 8, 5))))
    with pytest.raises(PatchError, match=r"\(T, ..., H, W\) is needed, got shape \(8, 8\)"):
        make("product", SpatialRegularStride(4), TemporalRegularStride(1)).anchors(np.zeros((8, 8)))


def test_a_config_makes_the_same_patcher_in_space_and_time():
    patcher = make(
        "product", SpatialRegularStride(4), TemporalRegularStride(2), aggregation=TemporalMean()
    )
    assert SpatioTemporalPatcher.from_config(patcher.get_config()) == patcher
    with pytest.raises(PatchError, match="coupling must be 'product', 'aligned' or 'coupled'"):
        make("crossed", SpatialRegularStride(4), TemporalRegularStride(2))


def test_a_labelled_cube_comes_back_labelled(cube):
    times = np.array("2024-01-01", "M8[D]") + np.arange(len(cube))
    labelled = xr.DataArray(cube, {"time": times}, ("time", "band", "y", "x"))
    patcher = product_of(3)
    merged = patcher.merge(patcher.split(labelled), labelled)
    assert merged.dims == labelled.dims
    np.testing.assert_allclose(merged, labelled, rtol=1e-6)


@pytest.mark.parametrize(
    ("anchor", "message"),
    [(((0.7, 0), 1), r"\(\(row, col\), t\) pairs"), (((0, 0), 99), "outside the series of 8")],
)
def test_coupled_anchors_are_whole_pixels_and_known_steps(anchor, message, cube):
    space = SpatialPatcher(SpatialRectangular(16), SpatialExplicit([anchor]))
    with pytest.raises(PatchError, match=message):
        SpatioTemporalPatcher(space, product_of(3).temporal, "coupled").anchors(cube)


def test_only_aggregations_that_make_rasters_merge_in_space_and_time(cube):
    space = replace(product_of(3).spatial, aggregation=SpatialByIndex())
    patcher = replace(product_of(3), spatial=space)
    with pytest.raises(PatchError, match="SpatialByIndex made a dict of the patches at step 0"):
        patcher.merge(patcher.split(cube), cube)


def test_each_patcher_has_its_place():
    patcher = product_of(3)
    with pytest.raises(PatchError, match="spatial must be a SpatialPatcher, got TemporalPatcher"):
        SpatioTemporalPatcher(patcher.temporal, patcher.spatial)
    with pytest.raises(PatchError, match="temporal must be a TemporalPatcher, got int"):
        SpatioTemporalPatcher(patcher.spatial, 3)


def test_no_policy_for_failures_is_taken_and_not_followed():
    patcher = product_of(3)
    with pytest.raises(PatchError, match="so on_error is \"raise\" here, got 'skip'"):
        SpatioTemporalPatcher(replace(patcher.spatial, on_error="skip"), patcher.temporal)


@pytest.fixture
def cube():
    return np.random.default_rng(0).random((8, 2, 32, 32)).astype("float32")


def product_of(length):
    return SpatioTemporalPatcher(
        SpatialPatcher(SpatialRectangular(16), SpatialRegularStride(16)),
        TemporalPatcher(TemporalFixedLookback(length), TemporalRegularStride(1)),
    )


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("aggregation", [TemporalMean(), TemporalForecast(2)])
def test_patches_know_the_series_that_they_are_merged_onto(axis, aggregation):
    series = np.random.default_rng(0).normal(size=(9, 8))
    patcher = TemporalPatcher(
        TemporalLookbackHorizon(3, 2), TemporalRegularStride(2), time_axis=axis
    )
    patcher = replace(patcher, aggregation=aggregation)
    done = [patch.with_data(patch.data * 2) for patch in patcher.split(series)][:3]
    merged, expected = patcher.merge(done), patcher.merge(done, series)
    if isinstance(expected, dict):
        assert merged.keys() == expected.keys()
        merged, expected = np.stack(list(merged.values())), np.stack(list(expected.values()))
    np.testing.assert_array_equal(merged, expected)
    bare = [Patch(patch.data, patch.anchor, patch.indices) for patch in done]
    with pytest.raises(PatchError, match="TimeDomain will do"):
        patcher.merge(bare)
    assert replace(patcher, aggregation=TemporalFold(lambda n, _: n + 1, 0)).merge(bare) == 3


def test_a_raster_field_of_three_axes_is_a_series(tmp_path):
    place = Affine(10, 0, 500_000, 0, -10, 4_100_000)
    values = np.random.default_rng(0).normal(size=(6, 20, 30)).astype("float32")
    scene = GeoTensor(values, place, "EPSG:32610", fill_value_default=None)
    path = str(tmp_path / "series.tif")
    write_cog(scene, path)
    labelled = xr.DataArray(values, dims=("time", "y", "x"))
    fields = [
        RasterField(scene),
        RasterField(RasterioReader(path)),
        XarrayField(labelled),
        DaskField(dask.array.from_array(values), place, "EPSG:32610"),
    ]
    space = SpatialPatcher(SpatialRectangular(10), SpatialRegularStride(10), SpatialHann())
    time = TemporalPatcher(TemporalFixedLookback(2), TemporalRegularStride(2))
    patcher = SpatioTemporalPatcher(space, time)
    expected = list(patcher.split(values))
    merged = patcher.merge(expected, values)
    for field in fields:
        found = list(patcher.split(field))
        assert [patch.anchor for patch in found] == [patch.anchor for patch in expected]
        for one, two in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.data, two.data)
        np.testing.assert_allclose(patcher.merge(found, field), merged, equal_nan=True)
        one = patcher.patch_at(field, ((10, 20), 3))
        np.testing.assert_array_equal(one.data, values[2:4, 10:, 20:])
    assert patcher.merge(found, fields[0]).transform == place


def test_weights_in_space_and_time_stack(scene_of):
    cube = np.zeros((8, 32, 32))
    space = SpatialPatcher(SpatialRectangular(16), SpatialRegularStride(16), SpatialHann())
    time = TemporalPatcher(
        TemporalFixedLookback(3), TemporalCausalRolling(4), TemporalExponentialDecay(2)
    )
    patches = list(SpatioTemporalPatcher(space, time).split(cube))
    weights = stack_patches(patches, attr="weights")
    assert weights.shape == stack_patches(patches).shape == (8, 3, 16, 16)
    np.testing.assert_allclose(
        weights[0], patches[0].time.weights[:, None, None] * patches[0].space.weights
    )
    with pytest.raises(PatchError, match="1 of 1 patches have no weights, the first at anchor 4"):
        stack_patches([Patch(cube, 4, None)], attr="weights")


@pytest.mark.parametrize("roles", [None, ["quantity", "quantity"]])
def test_results_in_space_and_time_keep_names_and_roles(roles):
    values = np.random.default_rng(0).normal(size=(6, 2, 16, 16)).astype("float32")
    attrs = {"band_names": ["B04", "B08"]} | ({} if roles is None else {"band_roles": roles})
    series = GeoTensor(values, Affine(10, 0, 0, 0, -10, 160), "EPSG:32610", None, attrs)
    patcher = SpatioTemporalPatcher(
        SpatialPatcher(SpatialRectangular(8), SpatialRegularStride(8)),
        TemporalPatcher(TemporalFixedLookback(2), TemporalRegularStride(2)),
    )
    patches = [patch.with_data(patch.data[-1]) for patch in patcher.split(series)]
    merged = patcher.merge(patches, series)
    assert merged.attrs == attrs
    band = [patch.with_data(GeoTensor(patch.data[0], None, None)) for patch in patches]
    assert patcher.merge(band, series).attrs == {}
