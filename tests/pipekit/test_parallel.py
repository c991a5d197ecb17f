"""Maps over sequences: order, bounds, errors."""

import itertools
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine

import pipekit as pk
from pipekit.parallel import in_order, in_threads


def test_order_is_kept_when_later_items_finish_first():
    waits = [threading.Event() for _ in range(4)]

    def slow(i):
        if i < 3:
            waits[i + 1].wait(10)
        waits[i].set()
        return i * i

    assert pk.ThreadMap(pk.Lambda(slow), workers=4)(range(4)) == [0, 1, 4, 9]


def test_in_flight_is_bounded_on_an_endless_source():
    taken = []

    def source():
        for i in itertools.count():
            taken.append(i)
            yield i

    stream = pk.ThreadMap(pk.Identity(), workers=3).stream(source())
    assert [next(stream) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(taken) <= 5 + 2 * 3
    stream.close()
    before = len(taken)
    assert len(taken) == before


@pytest.mark.parametrize("mapping", [pk.ThreadMap, pk.ProcessMap])
def test_an_error_names_the_item_and_stops(mapping):
    with pytest.raises(pk.QCError) as caught:
        mapping(pk.AssertValueRange(0, 1), workers=2)([0, 0.5, 7, 1])
    assert "failed on item 2 of the sequence" in caught.value.__notes__


def test_processes_give_what_a_loop_gives():
    op = pk.ModelOp(np.negative) | pk.ModeGated(pk.ModelOp(np.abs), mode="train")
    items = [np.arange(n) for n in (3, 1, 2)]
    with pk.pipeline_mode("train"):
        expected = [op(x) for x in items]
        found = pk.ProcessMap(op, workers=2)(items)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert found[0].tolist() == [0, 1, 2]


def test_rasters_keep_their_place_on_the_way_to_a_process_and_back():
    tile = GeoTensor(
        np.arange(8, dtype="uint16").reshape(2, 2, 2),
        Affine(10, 0, 500_000, 0, -10, 4_000_000),
        "EPSG:32610",
        0,
        {"band_names": ["B04", "B08"]},
    )
    twice = pk.AssertHasAttribute("crs", "EPSG:32610") | pk.Fanout(
        {"whole": pk.Identity(), "thinned": pk.Subsample(2)}
    )
    here = twice(tile)
    (there,) = pk.ProcessMap(twice, workers=1)([tile])
    for name in ("whole", "thinned"):
        assert type(there[name]) is GeoTensor
        assert np.array_equal(there[name].values, here[name].values)
        assert there[name].transform == here[name].transform
        assert (there[name].crs, there[name].fill_value_default) == ("EPSG:32610", 0)
        assert there[name].attrs == tile.attrs
    (constant,) = pk.ProcessMap(pk.Const(tile), workers=1)([None])
    assert constant.crs == "EPSG:32610"


def test_no_items_no_results():
    assert pk.ThreadMap(pk.Identity(), workers=2)([]) == []
    assert pk.BatchedMap(pk.Identity(), batch_size=2)(iter([])) == []


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_batches_are_stacked_and_unstacked(n):
    sizes = []

    def model(batch):
        sizes.append(len(batch))
        return batch.sum(axis=(1, 2))

    chips = [np.full((2, 3), i) for i in range(n)]
    assert [int(s) for s in pk.BatchedMap(pk.Lambda(model), batch_size=3)(chips)] == [
        6 * i for i in range(n)
    ]
    assert sizes == [3] * (n // 3) + [n % 3] * (n % 3 > 0)


def test_ragged_batches_and_wrong_counts_are_refused():
    ragged = [np.zeros(2), np.zeros(2), np.zeros(2), np.zeros(3)]
    with pytest.raises(ValueError, match=r"items 2 to 3 have the shapes \[\(2,\), \(3,\)\]"):
        pk.BatchedMap(pk.Identity(), batch_size=2)(ragged)
    with pytest.raises(ValueError, match="batch of 2 items and returned 1"):
        pk.BatchedMap(pk.Lambda(lambda batch: batch[:1]), batch_size=2)([0, 1])


@pytest.mark.parametrize("count", [0, -1, 1.5, True])
def test_wrong_counts_are_refused(count):
    for build in (pk.ThreadMap, pk.ProcessMap, pk.BatchedMap):
        with pytest.raises(ValueError, match="must be a whole number of at least 1"):
            build(pk.Identity(), count)
    with pytest.raises(ValueError, match="start_method must be 'spawn', 'fork' or 'forkserver'"):
        pk.ProcessMap(pk.Identity(), workers=1, start_method="thread")


def test_workers_bound_what_is_in_flight():
    asked = []

    def submit(rows):
        asked.append(rows)
        future = Future()
        future.set_result(rows[0])
        return future

    blocks = [(i, i + 1) for i in range(10)]
    for taken, (rows, result) in enumerate(in_order(submit, blocks, 3)):
        assert result == rows[0]
        assert len(asked) <= taken + 3
    assert asked == blocks


def test_an_endless_iterable_is_read_no_faster_than_results_are_taken():
    read = []

    def endless():
        for n in itertools.count():
            read.append(n)
            yield n

    results = in_threads(lambda n: 2 * n, endless(), workers=2)
    assert [next(results) for _ in range(5)] == [0, 2, 4, 6, 8]
    results.close()
    assert len(read) <= 5 + 3


def test_an_error_can_be_a_result():
    def failing(n):
        if n == 1:
            raise ValueError("one")
        return n

    with ThreadPoolExecutor(2) as pool:
        done = in_order(
            lambda n: pool.submit(failing, n), range(3), 2, lambda f: f.exception() or f.result()
        )
        assert [str(result) for _, result in done] == ["0", "one", "2"]


def test_modules_that_import_each_other_load_in_threads_that_begin_at_once(tmp_path):
    """As odc-geo's do; a plain import in each thread fails here."""
    for name, other in (("one", "two"), ("two", "one")):
        (tmp_path / f"ring_{name}.py").write_text(
            f"import time\ntime.sleep(0.2)\nimport ring_{other}\ntime.sleep(0.2)\nready = True\n"
        )
    code = (
        "import sys, threading\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from pipekit.parallel import import_alone\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "begin = threading.Barrier(2)\n"
        "def load(name):\n"
        "    begin.wait()\n"
        "    return import_alone(name).ready\n"
        "with ThreadPoolExecutor(2) as pool:\n"
        "    print(list(pool.map(load, ['ring_one', 'ring_two'])))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert done.stdout == "[True, True]\n", done.stderr
