"""One bounded pipeline: reading, a batched model and writing at the same time, and the same bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time

import cloudpickle
import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from georeader.rasterio_reader import RasterioReader
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from waiting import until

from geopatcher import (
    PatchError,
    RasterField,
    SpatialHann,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
    SpatialTrim,
    map_patches,
    merge_to_file,
)
from geopatcher.stream import READERS
from geotoolz import ApplyToChips, GridSampler, Sequential, Stitch
from pipekit.parallel import beside, read_ahead

# Worker processes cannot import a test module by name.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Model:
    """A model of batches (N, C, h, w), which keeps the sizes that it was asked for."""

    def __init__(self, radius=None):
        self.radius = radius
        self.batches = []

    def __call__(self, batch):
        self.batches.append(batch.shape)
        values = batch.astype("float32")
        return ndimage.uniform_filter(values, (1, 1, 5, 5)).sum(axis=1)


def one(chip):
    """The model on one chip."""
    return ndimage.uniform_filter(np.asarray(chip, "float32"), (1, 5, 5)).sum(axis=0)


class Reader:
    """A reader that notes how many reads run at once, and waits within each, as for a server."""

    def __init__(self, scene, wait=int, fails_at=None):
        self.scene, self.wait, self.fails_at = scene, wait, fails_at
        self.shape, self.dtype = scene.shape, scene.dtype
        self.transform, self.crs = scene.transform, scene.crs
        self.running = self.most = self.reads = 0
        self.lock = threading.Lock()

    def read_from_window(self, window, boundless=False):
        with self.lock:
            self.running += 1
            self.reads += 1
            self.most = max(self.most, self.running)
        self.wait()
        with self.lock:
            self.running -= 1
        if (window.row_off, window.col_off) == self.fails_at:
            raise OSError("no route to host")
        return self.scene.read_from_window(window, boundless=False)


@settings(max_examples=40)
@given(
    shape=st.tuples(st.integers(5, 60), st.integers(5, 60)),
    size=st.integers(5, 20),
    overlap=st.integers(0, 5),
    boundary=st.sampled_from(["shift", "shrink", "pad", "drop"]),
    batch=st.integers(1, 40),
    prefetch=st.sampled_from([None, 0, 1, 5000, 10**8]),
    workers=st.integers(1, 3),
    radius=st.sampled_from([None, 2]),
    in_memory=st.booleans(),
)
@pytest.mark.filterwarnings("ignore::geopatcher.CoverageWarning")
def test_batches_and_queues_change_no_byte(
    scene_of, patcher_of, shape, size, overlap, boundary, batch, prefetch, workers, radius, in_memory
):  # fmt: skip
    size = min(size, *shape)
    scene = scene_of((2, *shape))
    source = scene if in_memory else Reader(scene)
    patcher = patcher_of(size, max(1, size - overlap), boundary)
    model = Model(radius)
    expected = np.asarray(
        patcher.merge(patcher.stream(scene).map(Model(radius), batch_size=1), scene)
    )
    options = {"batch_size": batch, "prefetch": prefetch}
    made = map_patches(
        patcher, source, model, block_rows=9, workers=workers, progress=False, **options
    )
    assert np.asarray(made).tobytes() == expected.tobytes()
    assert max(n for n, *_ in model.batches) <= batch
    tiled = Sequential(
        [GridSampler(patcher), ApplyToChips(model, workers=workers, **options), Stitch()]
    )
    assert np.asarray(tiled(source)).tobytes() == expected.tobytes()
    single = np.asarray(patcher.merge(patcher.stream(scene).map(one), scene))
    if radius is None:
        np.testing.assert_allclose(expected, single, rtol=1e-6)


def test_a_model_that_looks_around_gives_what_the_scene_gives(scene_of, patcher_of, tmp_path):
    scene = scene_of((2, 150, 110))
    whole = one(scene)
    for window in (None, SpatialTrim(2), SpatialTrim(2, SpatialHann())):
        model = Model(None if window else 2)
        patcher = patcher_of(32, 28, window=window)
        made = map_patches(patcher, scene, model, batch_size=8, progress=False)
        np.testing.assert_allclose(made.values, whole, rtol=1e-6)
        assert {shape[-2:] for shape in model.batches} == {(32, 32)}
        stream = patcher.stream(scene).map(model, batch_size=8)
        streamed = merge_to_file(stream, scene, SpatialOverlapAdd(), tmp_path / "o.tif")
        np.testing.assert_allclose(np.asarray(streamed.values)[0], whole, rtol=1e-6)


def test_reading_goes_on_beside_the_model(scene_of, patcher_of):
    together, begun = threading.Event(), threading.Event()

    def wait():
        if reader.running > 1:
            together.set()
        if reader.reads > 1:  # not the chip that is looked at first
            assert together.wait(300)
        if reader.reads > 8:
            assert begun.wait(300)

    def model(batch):
        if len(batch) > 1 and not begun.is_set():
            held = reader.reads
            begun.set()
            until(lambda: reader.reads >= held + 6, "six more are read while the model runs")
        return batch.sum(axis=1)

    reader = Reader(scene_of((2, 128, 128)), wait)
    map_patches(patcher_of(16, 16), reader, model, batch_size=4, workers=1, progress=False)
    assert begun.is_set()
    assert 1 < reader.most <= READERS


def test_a_file_of_this_machine_is_read_by_one_thread_beside_the_model(
    scene_of, patcher_of, tmp_path
):
    class Noting(RasterField):
        def select(self, indices):
            threads.add(threading.get_ident())
            return super().select(indices)

    scene, threads = scene_of((2, 128, 128)), set()
    map_patches(patcher_of(32, 32), scene, np.asarray, target=tmp_path / "a.tif", progress=False)
    field = Noting(RasterioReader(str(tmp_path / "a.tif")))
    stream = patcher_of(32, 24).stream(field).map(lambda batch: batch.sum(axis=1), batch_size=4)
    assert len(list(stream)) == len(stream) > 8
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_what_is_held_is_bounded_in_bytes(scene_of, patcher_of):
    scene = scene_of((2, 400, 64))
    chip_bytes = 2 * 16 * 16 * 4
    reader, most_ahead, taken = Reader(scene), [], [0]

    def model(batch):
        taken[0] += len(batch)
        if 1 < taken[0] < 90:
            until(lambda: reader.reads >= taken[0] + 2, "more is read")
        time.sleep(0.01)  # time enough to read too far ahead
        most_ahead.append(reader.reads - taken[0])
        return batch.sum(axis=1)

    prefetch = 20 * chip_bytes  # half of it for reading
    options = {"batch_size": 2, "prefetch": prefetch, "workers": 1, "progress": False}
    map_patches(patcher_of(16, 16), reader, model, **options)
    assert taken[0] == 100
    assert 2 <= max(most_ahead) <= 10 + 1


def test_errors_name_the_chip(scene_of, patcher_of):
    scene = scene_of((2, 64, 64))

    def failing(batch):
        if (batch[:, 0, 0, 0] == scene.values[0, 32, 16]).any():
            raise ZeroDivisionError("no")
        return batch.sum(axis=1)

    options = {"batch_size": 3, "progress": False}
    with pytest.raises(ZeroDivisionError) as caught:
        map_patches(patcher_of(16, 16), scene, failing, **options)
    assert "in the patch at anchor (32, 16)" in caught.value.__notes__[0]
    reader = Reader(scene, fails_at=(16, 48))
    with pytest.raises(OSError, match="no route to host") as refused:
        map_patches(patcher_of(16, 16), reader, Model(), read_attempts=1, **options)
    assert "in the patch at anchor (16, 48)" in refused.value.__notes__[0]
    with pytest.raises(PatchError, match="must return one result for each of its 3 chips") as short:
        map_patches(
            patcher_of(16, 16), scene, lambda b: b[:1] if len(b) > 1 else b.sum(axis=1), **options
        )
    # The first chip was made alone, so the batch begins with the second.
    assert any("the patch at (0, 16)" in note for note in short.value.__notes__)


@pytest.mark.parametrize("policy", ["skip", "fill"])
def test_chips_that_fail_are_listed(scene_of, patcher_of, policy):
    scene = scene_of((2, 64, 64))
    reader = Reader(scene, fails_at=(16, 48))
    patcher = patcher_of(16, 16, on_error=policy)
    made = map_patches(
        patcher, reader, Model(), batch_size=4, read_attempts=1, workers=2, progress=False
    )
    assert made.attrs["skipped_patches"] == {"(16, 48)": "OSError: no route to host"}
    assert np.isnan(made.values).sum() == 16 * 16


def test_a_failed_run_leaves_no_thread_behind(scene_of, patcher_of):
    scene = scene_of((2, 200, 64))
    before = threading.active_count()

    def failing(batch):
        raise ZeroDivisionError("no")

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            map_patches(
                patcher_of(16, 12), Reader(scene), failing, batch_size=4, workers=2, progress=False
            )
    until(lambda: threading.active_count() <= before, "the threads have ended")


def test_the_config_is_what_it_was_without_the_new_argument():
    assert "prefetch" not in ApplyToChips(np.negative).get_config()
    assert ApplyToChips(np.negative, prefetch=0).get_config()["prefetch"] == 0
    with pytest.raises(PatchError, match="prefetch must be a whole number of at least 0, got -1"):
        ApplyToChips(np.negative, prefetch=-1)


def test_bad_arguments_say_what_is_accepted(scene_of, patcher_of):
    for name, value in (("batch_size", 0), ("prefetch", -1), ("prefetch", 0.5)):
        with pytest.raises(PatchError, match=f"{name} must be a whole number of at least"):
            map_patches(patcher_of(16, 16), scene_of((64, 64)), Model(), **{name: value})


class Heavy:
    """A model that writes a line to a file each time that it is unpickled."""

    def __init__(self, log):
        self.log = str(log)
        self.weights = np.ones(200_000)

    def __setstate__(self, state):
        vars(self).update(state)
        with open(self.log, "ab", buffering=0) as file:
            file.write(f"{os.getpid()}\n".encode())

    def __call__(self, batch):
        return batch.sum(axis=1) * self.weights[0]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_workers_of_a_cluster_hold_the_model_once(tmp_path, scene_of, patcher_of):
    from distributed import Client

    scene = scene_of((2, 400, 64))
    patcher, log = patcher_of(16, 16), tmp_path / "log"
    with Client(
        n_workers=2, threads_per_worker=2, dashboard_address="127.0.0.1:0", set_as_default=False
    ) as client:
        options = {"scheduler": client, "block_rows": 16, "batch_size": 4, "progress": False}
        made = map_patches(patcher, scene, Heavy(log), **options)
    np.testing.assert_allclose(made.values, scene.values.sum(axis=0), rtol=1e-6)
    processes = log.read_text().split()
    assert 1 <= len(processes) == len(set(processes)) <= 2


SCRIPT = """
    import itertools, sys, time
    import numpy as np
    from georeader.geotensor import GeoTensor
    from rasterio import Affine
    from scipy.ndimage import uniform_filter
    from geopatcher import *

    sys.calls = itertools.count()  # where a fingerprint of the model does not look

    def model(batch):
        # One that is to be killed never comes to its end, however late the kill is.
        time.sleep(600 if next(sys.calls) > 40 and sys.argv[3:] else 0.004)
        return uniform_filter(batch, (1, 1, 5, 5)).sum(axis=1)

    model.radius = 2

    if __name__ == "__main__":
        target, journal = sys.argv[1:3]
        scene = GeoTensor(
            np.random.default_rng(0).random((2, 3000, 64), "float32"),
            Affine(10, 0, 0, 0, -10, 0), 32610,
        )
        patcher = SpatialPatcher(
            SpatialRectangular(32, boundary="shift"), SpatialRegularStride(24), SpatialHann()
        )
        print("begun", flush=True)
        map_patches(
            patcher, scene, model, target=target, journal=journal, workers=2, progress=False,
            chunks=32, block_rows=96, batch_size=6, prefetch=200_000,
        )
"""

KILLS = 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("name", ["out.tif", "out.zarr"])
def test_a_run_killed_at_random_moments_resumes_to_the_same_bytes(tmp_path, name):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    whole, target, journal = tmp_path / f"whole-{name}", tmp_path / name, tmp_path / "journal"

    def command(path, note):
        return [sys.executable, script, path, note]

    subprocess.run(command(whole, tmp_path / "other"), check=True, capture_output=True)
    chance, killed = random.Random(11), 0
    for _ in range(KILLS):
        run = subprocess.Popen([*command(target, journal), "killed"], stdout=subprocess.PIPE)
        run.stdout.readline()
        time.sleep(chance.uniform(0.02, 0.3))
        run.send_signal(signal.SIGKILL)
        run.communicate()
        killed += run.returncode == -signal.SIGKILL
        if journal.exists() and b"finished" in journal.read_bytes():
            break
    assert killed >= 1
    subprocess.run(command(target, journal), check=True, capture_output=True)
    files = [p for p in (whole, target) for p in ([p] if p.is_file() else sorted(p.rglob("*")))]
    contents = [f.read_bytes() for f in files if f.is_file()]
    half = len(contents) // 2
    assert contents[:half] == contents[half:]
    assert half >= 1


@given(
    sizes=st.lists(st.integers(0, 50), max_size=30),
    workers=st.integers(1, 4),
    most=st.integers(1, 100),
)
@settings(max_examples=60)
def test_what_is_read_ahead_comes_in_order(sizes, workers, most):
    assert list(read_ahead(bytes, sizes, workers, most, len)) == [bytes(n) for n in sizes]
    assert list(beside(map(bytes, sizes), most, len)) == [bytes(n) for n in sizes]


def test_what_fails_in_the_other_thread_is_raised_here():
    def items():
        yield 1
        raise LookupError("gone")

    made = beside(items(), 10, lambda _: 1)
    assert next(made) == 1
    with pytest.raises(LookupError, match="gone"):
        next(made)


def test_the_other_thread_stops_when_nobody_asks():
    stopped = threading.Event()

    def endless():
        try:
            while True:
                yield bytes(10)
        finally:
            stopped.set()

    made = beside(endless(), 25, len)
    next(made)
    made.close()
    assert stopped.is_set()


def test_files_are_read_by_threads_that_have_their_own(tmp_path, scene_of, patcher_of):
    scene, patcher = scene_of((2, 200, 90)), patcher_of(32, 24)
    map_patches(patcher, scene, lambda c: np.array(c), target=tmp_path / "in.tif", progress=False)
    reader = RasterioReader(str(tmp_path / "in.tif"))
    made = map_patches(patcher, reader, Model(), batch_size=7, workers=2, progress=False)
    expected = map_patches(patcher, scene, Model(), batch_size=7, workers=1, progress=False)
    np.testing.assert_allclose(made.values, expected.values, rtol=1e-5)


def test_other_carriers_of_batches(scene_of):
    """A batch is a plain array; its results get the chips' place again."""
    scene = scene_of((2, 40, 40))
    patcher = SpatialPatcher(SpatialRectangular(10), SpatialRegularStride(10))
    stream = patcher.stream(scene).map(lambda batch: batch * 2, batch_size=3)
    patches = list(stream)
    assert [p.anchor for p in patches] == list(stream.anchors)
    assert all(isinstance(p.data, GeoTensor) for p in patches)
