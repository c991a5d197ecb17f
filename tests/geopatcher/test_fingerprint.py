"""What a run is made of: what changes a byte changes the text, and nothing else does."""

import functools
import subprocess
import sys
import threading
import types
from functools import partial

import numpy as np
import pytest
import xarray as xr
from georeader.geotensor import GeoTensor
from rasterio import Affine
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier

from geopatcher import RasterField, RioXarrayField, XarrayField
from geopatcher.fingerprint import fingerprint

PLACE = Affine(10, 0, 0, 0, -10, 1000)


def defined(source, **names):
    """Return the function `op` that some source text defines in a module of its own."""
    module = types.ModuleType("written")
    vars(module).update(names)
    exec(source, vars(module))
    return module.op


@pytest.mark.parametrize(
    "source",
    [
        "def op(chip): return chip * {}",
        "def op(chip, by={}): return chip * by",
        "def op(chip, *, by={}): return chip * by",
        "def op(chip): return [band * {} for band in chip]",
        "def op(chip): return (lambda band: band * {})(chip)",
        "BY = {}\ndef op(chip): return chip * BY",
        "BY = {}\ndef times(chip): return chip * BY\ndef op(chip): return times(chip)",
        "class By: pass\nby = By()\nby._hidden = {}\ndef op(chip): return chip * by._hidden",
        "def op(chip): return chip in {{'a', 'b', {}}}",
    ],
)
def test_functions_that_may_differ_in_their_result_differ_in_their_text(source):
    two, again, three = (defined(source.format(n)) for n in (2, 2, 3))
    assert fingerprint(two) == fingerprint(again) != fingerprint(three)


def scale(chip, by=1):
    return chip * by


class Scale:
    def __init__(self, by):
        self._by = by

    def __call__(self, chip):
        return chip * self._by


class Slotted:
    __slots__ = ("by",)

    def __init__(self, by):
        self.by = by


def forest(column):
    x = np.random.default_rng(0).random((60, 3))
    return RandomForestClassifier(3, random_state=0).fit(x, x[:, column] > 0.5)


def neighbours(column):
    x = np.random.default_rng(0).random((60, 3))
    return KNeighborsClassifier().fit(x, x[:, column] > 0.5)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: partial(scale, by=n),
        lambda n: functools.lru_cache(defined(f"def op(chip): return chip * {n}")),
        Scale,
        Slotted,
        forest,
        neighbours,
        lambda n: {"a": [n, {n}]},
        lambda n: np.array(["a", n], object),
        lambda n: tuple(range(n, n + 5000)),
    ],
)
def test_objects_are_told_by_all_they_hold(make):
    assert fingerprint(make(1)) == fingerprint(make(1)) != fingerprint(make(2))
    assert len(fingerprint(make(1))) < 3000


def test_a_deep_model_is_told_by_its_weights():
    torch = pytest.importorskip("torch")

    def made(seed):
        torch.manual_seed(seed)
        model = torch.nn.Linear(2, 2)
        for _ in range(8):
            model = torch.nn.Sequential(model)
        return model

    assert fingerprint(made(1)) == fingerprint(made(1)) != fingerprint(made(2))


def test_what_cannot_be_pickled_or_holds_itself_comes_to_an_end():
    ring = Scale(1)
    ring.own = ring
    assert fingerprint(ring) == "Scale{_by: 1, own: Scale}"
    held = Scale(threading.Lock())
    assert fingerprint(held) == "Scale{_by: lock}"


def test_another_process_tells_the_same():
    source = "lambda chip: chip in {'a', 'b', 'c'}, {'a', 'b', 'c'}, {'x': 1.5}"
    code = f"from geopatcher.fingerprint import fingerprint; print(fingerprint(({source})[1:]))"
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1


def test_fields_differ_by_their_part_of_a_file(tmp_path):
    times = np.arange(3)
    cube = xr.DataArray(
        np.zeros((3, 4, 4)), {"time": times, "y": range(4), "x": range(4)}, ("time", "y", "x")
    )
    cube.to_dataset(name="v").to_netcdf(tmp_path / "cube.nc")
    with xr.open_dataset(tmp_path / "cube.nc") as file:
        first, last, again = (XarrayField(file.v.isel(time=i)) for i in (0, 2, 0))
        assert fingerprint(first) == fingerprint(again) != fingerprint(last)
        left, right = (XarrayField(file.v.isel(x=slice(i, i + 2))) for i in (0, 2))
        assert fingerprint(left) != fingerprint(right)


def test_fields_differ_by_their_place():
    here = GeoTensor(np.zeros((2, 4, 4)), PLACE, "EPSG:32632")
    there = GeoTensor(np.zeros((2, 4, 4)), PLACE, "EPSG:32633")
    assert fingerprint(RasterField(here)) != fingerprint(RasterField(there))
    labelled = xr.DataArray(np.zeros((2, 2)), {"y": [15.0, 5.0], "x": [5.0, 15.0]}, ("y", "x"))
    assert fingerprint(RioXarrayField(labelled.rio.write_crs(32632))) != fingerprint(
        RioXarrayField(labelled.rio.write_crs(32633))
    )
