"""How far operators look: as they say, as they pass it on, and as it is measured."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given
from hypothesis import strategies as st
from rasterio import Affine
from scipy import ndimage

import pipekit as pk
from pipekit import Identity, Lambda, ModelOp, Operator, measure_radius
from pipekit.radius import needs_one_size, radius_of


class Shift(Operator):
    """Moves a raster by whole pixels, whose radius is known."""

    def __init__(self, rows: int, cols: int) -> None:
        self.rows = rows
        self.cols = cols

    @property
    def radius(self):
        return max(abs(self.rows), abs(self.cols))

    def _apply(self, x):
        return ndimage.shift(np.asarray(x), (0, self.rows, self.cols), order=0, mode="nearest")


shifts = st.builds(Shift, st.integers(-4, 4), st.integers(-4, 4))


@given(st.lists(shifts, max_size=4))
def test_a_pipeline_looks_as_far_as_its_steps_together(steps):
    assert pk.Sequential(steps).radius == sum(step.radius for step in steps)


@given(shifts, shifts, shifts)
def test_a_graph_looks_as_far_as_its_longest_path(a, b, c):
    x, y = pk.Input("x"), pk.Input("y")
    joined = Lambda(np.add, radius=0)(b(a(x)), c(y))
    graph = pk.Graph({"x": x, "y": y}, {"sum": joined, "a": c(x)})
    assert graph.radius == max(a.radius + b.radius, c.radius)
    unknown = pk.Graph({"x": x}, {"out": Lambda(abs)(a(x))})
    assert unknown.radius is None


WRAPPERS = {
    "Retry": lambda op: pk.Retry(op, attempts=2),
    "Try": lambda op: pk.Try(Identity(), op, on=ValueError),
    "Cache": lambda op: pk.Cache(op, key="a"),
    "Provenance": pk.Provenance,
    "Profile": lambda op: pk.Profile().wrap(op),
    "ApplyToBands": pk.ApplyToBands,
    "ModeGated": lambda op: pk.ModeGated(op, mode="eval"),
    "Branch": lambda op: pk.Branch(pk.Const(True), op),
    "Switch": lambda op: pk.Switch(pk.Const(1), {1: op}),
    "Coalesce": lambda op: pk.Coalesce([op], is_ok=pk.Const(True)),
    "Fanout": lambda op: pk.Fanout({"a": Identity(), "b": op}) | pk.Pick("b"),
    "Sequential": lambda op: pk.Tap(lambda x: None) | op | pk.AssertHasAttribute("shape"),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_wrappers_pass_it_on(wrap):
    assert wrap(Lambda(abs, radius=3)).radius == 3
    assert wrap(Lambda(abs, radius=0)).local
    assert wrap(Lambda(abs)).radius is None


def test_what_decides_by_a_whole_chip_is_not_known():
    assert pk.Branch(lambda x: x.mean() > 0, Identity()).radius is None
    assert pk.Switch(np.ndim, {2: Identity()}).radius is None
    assert pk.Coalesce([Identity()], is_ok=bool).radius is None
    assert pk.ApplyToBands(Identity(), axis=-1).radius is None
    assert pk.Const(np.zeros((4, 4))).radius is None


def test_a_subclass_with_another_apply_says_it_itself():
    class Blurred(Shift):
        def _apply(self, x):
            return super()._apply(x) - x.mean()

    class Named(Shift):
        """The same by another name."""

    assert Blurred(1, 2).radius is None
    assert Named(1, 2).radius == 2


def test_local_is_a_radius_of_zero_and_may_still_be_said():
    class Old(Operator):
        local = True

        def _apply(self, x):
            return x

    class Older(Old):
        local = False

    class Newest(Old):
        def _apply(self, x):
            return x[::-1]

    class ByInstance(Operator):
        def __init__(self, local):
            self.local = local

        def _apply(self, x):
            return x

    assert (Old.radius, Old().radius, Old().local, Old.local) == (0, 0, True, True)
    assert (radius_of(Older()), radius_of(Newest())) == (None, None)
    assert (radius_of(ByInstance(True)), radius_of(ByInstance(False))) == (0, None)


def test_an_argument_that_is_called_radius_counts_where_the_class_says_so():
    class InMetres(Operator):
        def __init__(self, radius):
            self.radius = radius

        def _apply(self, x):
            return x

    class InPixels(InMetres):
        radius = 1

    assert radius_of(InMetres(500)) is None
    assert radius_of(InMetres(2) | Identity()) is None
    assert radius_of(InPixels(2)) == 2
    assert radius_of(InPixels(2.5)) == 3


def test_functions_may_say_it_too():
    def blur(x):
        return x

    assert radius_of(blur) is None
    blur.radius = 4
    assert radius_of(blur) == 4
    blur.radius = True
    assert radius_of(blur) is None
    blur.local = True
    assert radius_of(blur) == 0


@pytest.mark.parametrize("radius", [-1, 1.5, "2", True])
def test_a_radius_is_whole_pixels(radius):
    with pytest.raises(ValueError, match="radius must be a whole number of at least 0 or None"):
        Lambda(abs, radius=radius)
    with pytest.raises(ValueError, match="radius must be a whole number of at least 0"):
        ModelOp(abs, radius=radius)


def test_an_operator_without_the_new_argument_is_what_it_was():
    assert Lambda(abs).get_config() == {"fn": abs, "name": None}
    assert ModelOp(abs).get_config() == {"model": abs, "method": "__call__", "batch_size": None}
    assert repr(Lambda(abs)) == "Lambda(fn=abs, name=None)"
    assert repr(Lambda(abs, radius=2)) == "Lambda(fn=abs, name=None, radius=2)"
    assert Lambda(abs) != Lambda(abs, radius=2)
    assert pickle.loads(pickle.dumps(ModelOp(abs, radius=2))).radius == 2


def test_models_take_chips_of_one_size():
    assert needs_one_size(pk.Retry(Identity() | ModelOp(abs, radius=1), attempts=2))
    assert needs_one_size(pk.Fanout({"a": ModelOp(abs)}))
    assert not needs_one_size(Identity() | Lambda(abs))
    assert not needs_one_size(abs)


@pytest.mark.parametrize("size", [1, 3, 9, 31])
@pytest.mark.parametrize("dtype", ["float32", "uint16", "bool"])
def test_a_window_is_measured(size, dtype):
    rng = np.random.default_rng(0)
    values = (rng.random((1, 70, 66)) < 0.001).astype(dtype)
    values[0, 60, 60] = 1

    def widest(x):
        return ndimage.maximum_filter(np.nan_to_num(x), (1, size, 1))

    assert measure_radius(widest, values) == size // 2


def test_an_uneven_reach_is_its_longer_side():
    assert measure_radius(Shift(2, -7)) == 7
    assert measure_radius(Shift(0, 0)) == 0


def test_what_looks_at_the_whole_chip_is_not_measured():
    assert measure_radius(lambda x: x - x.max()) is None
    assert measure_radius(lambda x: np.cumsum(x, axis=-1)) is None
    assert measure_radius(lambda x: x[..., ::2, ::2]) is None


def test_the_place_and_the_nodata_of_a_carrier_are_kept():
    values = np.random.default_rng(0).integers(1, 9, (1, 30, 30)).astype("int16")
    scene = GeoTensor(values, Affine(10, 0, 0, 0, -10, 0), "EPSG:32632", -1)
    seen = []

    def spread(x):
        seen.append((x.transform, x.fill_value_default))
        return ndimage.maximum_filter(x.values == -1, (1, 5, 5))  # felt by nodata alone

    assert measure_radius(spread, scene) == 2
    assert set(seen) == {(scene.transform, -1)}


def test_an_operator_that_takes_none_of_the_rasters_raises_its_own_error():
    def refuses(x):
        raise TypeError("only complex numbers")

    with pytest.raises(TypeError, match="only complex numbers"):
        measure_radius(refuses)


@pytest.mark.parametrize("radius", [np.int64(2), np.uint8(2), np.int32(0)])
def test_a_whole_number_of_numpy_is_one(radius):
    for op in (Lambda(abs, radius=radius), ModelOp(abs, radius=radius, batch_size=radius + 1)):
        assert type(op.radius) is int
        assert op.radius == radius
    assert type(op.batch_size) is int


@pytest.mark.parametrize("value", [0, 1, 77, 255, np.inf])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", ">u2", "float32", "float64"])
def test_in_a_raster_of_one_value_a_change_is_another_one(value, dtype):
    if np.dtype(dtype).kind != "f" and not np.isfinite(value):
        return
    flat = np.full((1, 30, 30), value).astype(dtype)
    for radius in (0, 1, 3):
        size = (1, 2 * radius + 1, 2 * radius + 1)

        def changed(x, size=size):
            return ndimage.maximum_filter(x != flat[0, 0, 0], size)

        assert measure_radius(changed, flat) == radius


def test_what_cannot_be_measured_is_named():
    for shape in (40, (40,), (1, 0, 40)):
        with pytest.raises(ValueError, match=r"shape must be \(\.\.\., rows, columns\)"):
            measure_radius(abs, shape=shape)
    with pytest.raises(ValueError, match="no valid pixel"):
        measure_radius(np.abs, np.full((4, 4), np.nan))
    with pytest.raises(ValueError, match=r"raster must be an array or a GeoTensor"):
        measure_radius(np.abs, np.zeros(5))
    with pytest.raises(ValueError, match="places must be a whole number of at least 1, got 0"):
        measure_radius(np.abs, places=0)
