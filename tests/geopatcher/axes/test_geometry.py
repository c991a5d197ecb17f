"""Rectangular chips: sizes, edges, padding, and what is refused."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from geopatcher import (
    PatchError,
    PointDomain,
    RasterDomain,
    RasterField,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
    SpatioTemporalPatcher,
    TemporalCausalRolling,
    TemporalFixedLookback,
    TemporalPatcher,
    XarrayField,
)

MODES = ("reflect", "symmetric", "edge", "wrap", "constant")


@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    mode=st.sampled_from(MODES),
    data=st.data(),
)
def test_padding_is_that_of_numpy(shape, size, mode, data, scene_of):
    scene = scene_of((2, *shape))
    geometry = SpatialRectangular(size, boundary="pad", pad_mode=mode)
    anchor = data.draw(st.tuples(*(st.integers(0, n - 1) for n in shape)))
    window = geometry.neighborhood(RasterDomain(scene.shape), anchor)
    chip = geometry.read(RasterField(scene), window)
    inside = scene.values[:, anchor[0] : anchor[0] + size[0], anchor[1] : anchor[1] + size[1]]
    missing = [n - have for n, have in zip(size, inside.shape[1:], strict=True)]
    expected = np.pad(inside, [(0, 0), (0, missing[0]), (0, missing[1])], mode=mode)
    np.testing.assert_array_equal(chip.values, expected)
    assert chip.transform * (0, 0) == scene.transform * anchor[::-1]


def test_a_constant_pad_is_the_value_given_or_the_scenes_fill_value(scene_of):
    scene = scene_of((4, 4))
    scene.fill_value_default = 9
    for value, expected in ((None, 9), (-1.0, -1)):
        geometry = SpatialRectangular(6, boundary="pad", pad_mode="constant", pad_value=value)
        chip = geometry.read(RasterField(scene), geometry.neighborhood(scene_domain(scene), (0, 0)))
        assert (chip.values[4:] == expected).all()


def scene_domain(scene):
    return RasterField(scene).domain


def test_shrink_cuts_and_shift_never_reaches_over(scene_of):
    domain = RasterDomain((10, 10))
    assert SpatialRectangular(6, boundary="shrink").neighborhood(domain, (8, 7)).height == 2
    for boundary in ("drop", "shift"):
        with pytest.raises(PatchError, match=r"reaches over the edge.*shrink"):
            SpatialRectangular(6, boundary=boundary).neighborhood(domain, (8, 0))


@pytest.mark.parametrize("anchor", [(-1, 0), (0, -1), (10, 0), (0, 10), (99, 99)])
@pytest.mark.parametrize("boundary", ["drop", "shift", "pad", "shrink"])
def test_an_anchor_outside_the_domain_is_refused(anchor, boundary):
    geometry = SpatialRectangular(4, boundary=boundary)
    with pytest.raises(PatchError, match=r"outside the domain of 10 x 10"):
        geometry.neighborhood(RasterDomain((10, 10)), anchor)


@pytest.mark.parametrize("anchor", [3, "ab", (1.5, 2), None, (1,)])
def test_an_anchor_is_a_whole_row_and_col(anchor):
    with pytest.raises(PatchError, match=r"whole \(row, col\)"):
        SpatialRectangular(4).neighborhood(RasterDomain((10, 10)), anchor)


def test_a_chip_larger_than_the_scene_says_what_allows_it():
    with pytest.raises(PatchError, match=r"20 x 4 pixels is larger than the scene of 10 x 10"):
        SpatialRegularStride(4).anchors(RasterDomain((10, 10)), SpatialRectangular((20, 4)))
    pad = SpatialRectangular((20, 4), boundary="pad")
    assert len(SpatialRegularStride(4).anchors(RasterDomain((10, 10)), pad)) == 3


def test_points_are_not_cut_into_rectangles():
    with pytest.raises(PatchError, match="SpatialKNNGraph"):
        SpatialRegularStride(4).anchors(PointDomain([[0, 0]]), SpatialRectangular(4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size must be positive whole pixels"),
        ({"size": (4, 2.5)}, "size must be positive whole pixels"),
        ({"size": (4, 4, 4)}, "size must be positive whole pixels"),
        (
            {"size": 4, "boundary": "mirror"},
            "boundary must be one of 'drop', 'shift', 'pad' or 'shrink'",
        ),
        ({"size": 4, "pad_mode": "zeros"}, "pad_mode must be one of"),
        ({"size": 4, "pad_mode": "edge", "pad_value": 0}, 'pad_mode="constant" only'),
    ],
)
def test_bad_arguments_say_the_rule_and_the_value(arguments, message):
    with pytest.raises(PatchError, match=message):
        SpatialRectangular(**arguments)


@pytest.mark.parametrize("value", [-1, 256, np.nan])
def test_a_pad_value_that_chips_cannot_hold_is_refused(value, scene_of):
    scene = scene_of((4, 4), "uint8")
    geometry = SpatialRectangular(6, boundary="pad", pad_mode="constant", pad_value=value)
    with pytest.raises(PatchError, match="chips of uint8 cannot be padded with"):
        geometry.read(RasterField(scene), geometry.neighborhood(scene_domain(scene), (0, 0)))


def test_a_pad_value_means_a_constant_pad(scene_of):
    geometry = SpatialRectangular(8, boundary="pad", pad_value=-1)
    assert geometry == SpatialRectangular(8, "pad", "constant", -1)
    for dtype in ("float32", "int16"):
        scene = scene_of((10, 10), dtype)
        patch = SpatialPatcher(geometry, SpatialRegularStride(8)).patch_at(scene, (8, 8))
        assert (patch.data.values[2:] == -1).all()
        np.testing.assert_array_equal(patch.data.values[:2, :2], scene.values[8:, 8:])
    patcher = SpatialPatcher(geometry, SpatialRegularStride(8))
    with pytest.raises(PatchError, match="uint16 cannot be padded with -1: pad_value"):
        patcher.patch_at(scene_of((10, 10), "uint16"), (8, 8))


def test_three_sizes_say_how_time_is_cut_too():
    with pytest.raises(PatchError) as told:
        SpatialRectangular(size=(5, 16, 16))
    assert "SpatioTemporalPatcher(SpatialPatcher(SpatialRectangular((16, 16))" in str(told.value)
    cube = np.arange(10 * 32 * 32.0).reshape(10, 32, 32)
    da = xr.DataArray(cube, dims=("time", "y", "x"))
    space = SpatialPatcher(SpatialRectangular((16, 16)), SpatialRegularStride(16))
    time = TemporalPatcher(TemporalFixedLookback(5), TemporalCausalRolling(5))
    patches = list(SpatioTemporalPatcher(space, time).split(da))
    assert len(patches) == 8
    np.testing.assert_array_equal(patches[-1].data, cube[5:, 16:, 16:])


def test_data_of_one_dimension_are_a_grid_of_one_row():
    series = xr.DataArray(np.arange(10.0), {"x": np.arange(10)}, ["x"])
    patcher = SpatialPatcher(SpatialRectangular((4,), boundary="shift"), SpatialRegularStride((3,)))
    patches = list(patcher.split(XarrayField(series)))
    assert [patch.data.da.x.values[0] for patch in patches] == [0, 3, 6]
    np.testing.assert_allclose(patcher.merge(patches, XarrayField(series)), [np.arange(10)])
    with pytest.raises(PatchError, match=r"for data of one row \(4,\)"):
        list(
            SpatialPatcher(SpatialRectangular(4), SpatialRegularStride(4)).split(
                XarrayField(series)
            )
        )
    with pytest.raises(PatchError, match="single number"):
        XarrayField(series[0])
