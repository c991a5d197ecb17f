"""Cache: what is remembered, for how long, and what happens when several ask at once."""

import os
import pickle
import threading

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine
from rasterio.crs import CRS

import pipekit as pk


class Counted(pk.Operator):
    """Doubles, and counts its runs in a list that is no argument."""

    def __init__(self, factor=2):
        self.factor = factor
        self._runs = []

    def _apply(self, x):
        self._runs.append(1)
        return x * self.factor

    @property
    def runs(self):
        return len(self._runs)


def test_what_training_made_is_not_remembered_for_evaluation():
    cached = pk.Cache(pk.ModeGated(pk.Const(100), mode="train"))
    with pk.pipeline_mode("train"):
        assert (cached(1), cached(1)) == (100, 100)
    assert (cached(1), cached(1)) == (1, 1)
    assert (cached.hits, cached.misses) == (2, 2)


def test_equal_content_is_computed_once():
    op = Counted()
    cache = pk.Cache(op)
    a = np.arange(6.0)
    for x in (a, a.copy(), a[::-1][::-1]):
        np.testing.assert_array_equal(cache(x), a * 2)
    cache(a.astype("float32"))
    cache(a.reshape(2, 3))
    assert (op.runs, cache.misses, cache.hits) == (3, 3, 2)


def test_the_operator_s_arguments_are_part_of_the_key():
    op = Counted(2)
    cache = pk.Cache(op)
    assert cache(1) == 2
    op.factor = 3
    assert cache(1) == 3


def test_a_caller_cannot_spoil_what_is_remembered():
    cache = pk.Cache(pk.Identity())
    x = {"a": [np.zeros(3)], "b": (1, bytearray(b"x"))}
    cache = pk.Cache(pk.Lambda(lambda n: {"a": [np.zeros(n)], "b": (1, bytearray(b"x"))}), key="v1")
    for _ in range(3):
        got = cache(3)
        np.testing.assert_array_equal(got["a"][0], x["a"][0])
        assert got["b"] == x["b"]
        got["a"][0][:] = 9
        got["b"][1].extend(b"y")


def scene(fill=0):
    attrs = {"band_names": ["B04"], "item_id": "x"}
    return GeoTensor(
        np.ones((1, 2, 3), "uint16"), Affine.scale(10, -10), CRS.from_epsg(32610), fill, attrs
    )


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_geotensor_comes_back_whole(on_disk, tmp_path):
    cache = pk.Cache(pk.Identity(), folder=tmp_path if on_disk else None)
    for _ in range(2):
        got = cache(scene())
        assert type(got) is GeoTensor
        np.testing.assert_array_equal(got.values, scene().values)
        assert (got.transform, got.crs, got.fill_value_default) == (
            scene().transform,
            scene().crs,
            0,
        )
        assert got.attrs == scene().attrs
        got.attrs["item_id"] = "spoilt"
        got.values[:] = 0
    assert cache.hits == 1
    cache(scene(fill=7))
    assert cache.hits == 1


@pytest.mark.parametrize("on_disk", [False, True])
def test_the_one_unused_for_longest_goes_first(on_disk, tmp_path):
    op = Counted()
    cache = pk.Cache(op, maxsize=2, folder=tmp_path if on_disk else None)
    for tick, x in enumerate([1, 2, 1, 3]):
        cache(x)
        for path in tmp_path.glob("*"):  # file times may be coarser than the calls
            used = path.stat().st_mtime_ns
            if used > 10**15:
                os.utime(path, ns=(tick + 1, tick + 1))
    assert op.runs == 3
    cache(1)
    assert op.runs == 3
    cache(2)
    assert op.runs == 4


def test_a_none_result_is_remembered():
    op = Counted()
    cache = pk.Cache(pk.Sequential([op, pk.Const(None)]))
    assert cache(1) is cache(1) is None
    assert op.runs == 1


def test_files_outlive_the_process_s_memory(tmp_path):
    first = pk.Cache(Counted(), folder=tmp_path / "new" / "folder")
    first(np.arange(3))
    op = Counted()
    second = pk.Cache(op, folder=tmp_path / "new" / "folder")
    np.testing.assert_array_equal(second(np.arange(3)), [0, 2, 4])
    assert (op.runs, second.hits) == (0, 1)
    assert [p.suffix for p in (tmp_path / "new" / "folder").iterdir()] == [".cached"]
    second.clear()
    assert list((tmp_path / "new" / "folder").iterdir()) == []
    assert (second.hits, second.misses) == (0, 0)


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "no mark", "foreign class"])
def test_a_damaged_file_is_computed_again(damage, tmp_path):
    cache = pk.Cache(Counted(), folder=tmp_path)
    cache(np.arange(100))
    (path,) = tmp_path.iterdir()
    raw = bytearray(path.read_bytes())
    if damage == "empty":
        raw = bytearray()
    elif damage == "truncated":
        raw = raw[:-1]
    elif damage == "flipped":
        raw[-1] ^= 1
    elif damage == "no mark":
        raw = raw[8:]
    else:
        from hashlib import sha256

        payload = b"cno_such_module\nThing\n."
        raw = bytearray(b"pipekit1" + sha256(payload).digest() + payload)
    path.write_bytes(raw)
    op = Counted()
    again = pk.Cache(op, folder=tmp_path)
    for _ in range(2):
        np.testing.assert_array_equal(again(np.arange(100)), np.arange(100) * 2)
    assert (op.runs, again.misses, again.hits) == (1, 1, 1)


def test_a_failed_write_leaves_nothing_half_made(tmp_path):
    cache = pk.Cache(pk.Const(lambda: 0), folder=tmp_path, key="a function cannot be pickled")
    with pytest.raises((pickle.PicklingError, AttributeError)):
        cache(1)
    assert list(tmp_path.iterdir()) == []


def test_concurrent_callers_compute_once():
    runs, gate = [], threading.Event()

    def slow(x):
        runs.append(x)
        gate.wait(10)
        return x * 2

    cache = pk.Cache(pk.Lambda(slow), key="slow")
    results = []
    threads = [threading.Thread(target=lambda: results.append(cache(21))) for _ in range(8)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert runs == [21]
    assert results == [42] * 8
    assert (cache.misses, cache.hits) == (1, 7)


def test_when_the_one_computing_fails_another_computes():
    attempts, gate = [], threading.Event()

    def fails_once(x):
        attempts.append(x)
        if len(attempts) == 1:
            gate.wait(10)
            raise OSError("first")
        return x

    cache = pk.Cache(pk.Lambda(fails_once), key="v1")
    outcomes = []

    def call():
        try:
            outcomes.append(cache(5))
        except OSError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert sorted(map(str, outcomes)) == ["5", "5", "5", "first"]
    assert len(attempts) == 2


def test_a_closure_needs_a_key():
    with pytest.raises(
        TypeError, match=r"cannot tell Sequential apart.*operators\[0\]\.fn.*give key="
    ):
        pk.Cache(pk.Lambda(abs) | pk.Identity())
    one, two = pk.Cache(pk.Lambda(abs), key="v1"), pk.Cache(pk.Lambda(abs), key="v2")
    assert one(-1) == two(-1) == 1


def test_what_has_no_content_cannot_be_a_key():
    with pytest.raises(TypeError, match="a object has no content that can be hashed"):
        pk.Cache(pk.Identity())(object())


def test_it_pickles_without_its_memory():
    cache = pk.Cache(pk.Identity())
    cache(1)
    again = pickle.loads(pickle.dumps(cache))
    assert again(1) == 1
    assert (again.hits, again.misses) == (0, 1)


@pytest.mark.parametrize("maxsize", [0, -1, 1.5, True])
def test_wrong_sizes_are_refused(maxsize):
    with pytest.raises(ValueError, match="maxsize must be a whole number of at least 1 or None"):
        pk.Cache(pk.Identity(), maxsize=maxsize)


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_mask_is_part_of_what_is_asked_and_of_what_comes_back(on_disk, tmp_path):
    total = pk.Cache(pk.Lambda(lambda x: float(x.sum())), key="s", folder=tmp_path / "a")
    masks = ([0, 1], [1, 0], [0, 0])
    sums = [total(np.ma.array([1.0, 20.0], mask=mask)) for mask in masks]
    assert (sums, total.hits) == ([1.0, 20.0, 21.0], 0)
    same = pk.Cache(pk.Identity(), folder=tmp_path / "b" if on_disk else None)
    for _ in range(2):
        got = same(np.ma.array([1, 2], mask=[0, 1], fill_value=9))
        assert (got.mask.tolist(), got.fill_value) == ([False, True], 9)
    assert same.hits == 1


def test_memoize_is_the_cache():
    assert pk.Memoize is pk.Cache
    assert pk.from_config(pk.to_config(pk.Memoize(pk.Identity()))) == pk.Cache(pk.Identity())
