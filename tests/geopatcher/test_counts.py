"""Counts of a whole-scene run, which hold on a noisy machine where times do not.

Chips and pixels computed, bytes read, files opened, chips alive at once, page faults for a chip,
and tasks sent to a cluster.
"""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref

import cloudpickle
import numpy as np
import pytest
import rasterio
from counters import bytes_read
from georeader.rasterio_reader import RasterioReader
from rasterio import Affine

from geopatcher import map_patches
from pipekit import schedulers

# Worker processes cannot import a test module by name.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

PLACE = Affine(10, 0, 500_000, 0, -10, 4_100_000)


class Tally:
    """An operator that counts chips and pixels, and how many of its results are alive."""

    def __init__(self, local=False):
        self.local = local
        self.chips = self.pixels = self.most_alive = 0
        self._alive = set()
        self._lock = threading.Lock()

    def __call__(self, chip):
        made = np.array(chip[:1], "float32")
        with self._lock:
            self.chips += 1
            self.pixels += made[0].size
            key = id(made)
            self._alive.add(key)
            weakref.finalize(made, self._alive.discard, key)
            self.most_alive = max(self.most_alive, len(self._alive))
        return made


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A tiled file of which each byte is a pixel's: two bands, 1024 x 640, tiles of 64."""
    values = np.random.default_rng(0).integers(0, 9999, (2, 1024, 640)).astype("uint16")
    path = tmp_path_factory.mktemp("counts") / "scene.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=2, height=1024, width=640, dtype="uint16", tiled=True,
        blockxsize=64, blockysize=64, crs="EPSG:32610", transform=PLACE,
    ) as file:  # fmt: skip
        file.write(values)
    return str(path)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_each_pixel_is_computed_once_by_an_operator_that_says_it_is_local(
    scene_of, patcher_of, workers
):
    scene = scene_of((2, 300, 200))
    tally = Tally(local=True)
    map_patches(patcher_of(32, 24), scene, tally, workers=workers, block_rows=96, progress=False)
    assert tally.pixels == 300 * 200  # the first strip, which tells what results look like, too


@pytest.mark.parametrize("block_rows", [96, 300])
def test_a_blended_run_makes_chips_twice_on_the_borders_of_blocks_only(
    scene_of, patcher_of, block_rows
):
    scene = scene_of((2, 300, 200))
    patcher, tally = patcher_of(32, 24), Tally()
    map_patches(patcher, scene, tally, workers=2, block_rows=block_rows, progress=False)
    columns = 8
    assert patcher.n_anchors(scene) % columns == 0
    borders = -(-300 // block_rows) - 1
    crossing = 2 * columns  # a line crosses at most two rows of chips of 32 at a step of 24
    assert tally.chips <= patcher.n_anchors(scene) + borders * crossing
    assert (tally.chips > patcher.n_anchors(scene)) is (borders > 0)


@pytest.mark.parametrize("target", [None, "out.tif", "out.zarr"])
@pytest.mark.parametrize("batch_size", [None, 4])
def test_one_thread_makes_each_chip_once(scene_of, patcher_of, tmp_path, target, batch_size):
    scene, patcher = scene_of((2, 4000, 40)), patcher_of((64, 40), (48, 40))
    made = []

    def run(folder, **options):
        folder.mkdir()
        path = None if target is None else folder / target
        options = {"target": path, "batch_size": batch_size, "progress": False} | options
        map_patches(patcher, scene, lambda chip: made.append(len(chip)) or chip * 2, **options)
        return sorted(file.read_bytes() for file in folder.rglob("*") if file.is_file())

    alone = run(tmp_path / "alone", workers=1)
    assert sum(made) == patcher.n_anchors(scene) * (2 if batch_size is None else 1)
    assert run(tmp_path / "three", workers=3, block_rows=512) == alone


@pytest.fixture
def interruptible():
    """Ctrl-C is an interrupt in this process, which workers of pytest-xdist do not hear."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_thread_stops_soon_after_the_run_does(scene_of, patcher_of):
    scene, patcher, tally = scene_of((2, 4000, 40)), patcher_of((20, 40), (20, 40)), Tally()

    def interrupted(chip):
        tally(chip)
        if tally.chips == 3:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        time.sleep(0.02)
        return chip

    with pytest.raises(KeyboardInterrupt):
        map_patches(patcher, scene, interrupted, workers=1, progress=False)
    assert tally.chips < patcher.n_anchors(scene)


def test_blocks_are_high_so_that_few_chips_are_made_twice(scene_of, patcher_of):
    scene = scene_of((1, 6000, 40))
    patcher, tally = patcher_of((64, 40), (48, 40)), Tally()
    map_patches(patcher, scene, tally, workers=2, progress=False)
    assert tally.chips <= 1.06 * patcher.n_anchors(scene)


@pytest.mark.parametrize("target", [None, "out.zarr", "out.tif"])
@pytest.mark.parametrize("workers", [1, 3])
def test_few_results_are_alive_at_once(path, tmp_path, patcher_of, target, workers):
    tally = Tally()
    target = target and tmp_path / target
    options = {"workers": workers, "target": target, "block_rows": 256, "progress": False}
    map_patches(patcher_of(64, 48), RasterioReader(path), tally, **options)
    gc.collect()
    assert tally.chips > 200
    # the first chip is kept to tell what results look like, and each worker has one in hand and
    # one that it lays down
    assert tally.most_alive <= 1 + 2 * workers


def test_a_run_reads_each_byte_of_its_file_once(path, patcher_of, tmp_path):
    reader, patcher = RasterioReader(path), patcher_of(64, 64)
    size = 2 * 1024 * 640 * 2
    options = {"workers": 1, "block_rows": 256, "progress": False}
    map_patches(patcher, reader, Tally(), **options)  # what is imported on first use is not pixels
    read = bytes_read(lambda: map_patches(patcher, reader, Tally(), **options))
    assert size <= read < size + 150_000


def test_a_blended_run_reads_each_byte_once_too(path, patcher_of):
    reader, patcher = RasterioReader(path), patcher_of(64, 48)
    size = 2 * 1024 * 640 * 2
    options = {"workers": 1, "progress": False}
    map_patches(patcher, reader, Tally(), **options)
    read = bytes_read(lambda: map_patches(patcher, reader, Tally(), **options))
    assert size <= read < size + 150_000


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_opens_its_file_once_for_each_worker(path, patcher_of, monkeypatch, workers):
    opened = []
    real = rasterio.open
    reader = RasterioReader(path)
    monkeypatch.setattr(rasterio, "open", lambda *a, **k: opened.append(a) or real(*a, **k))
    options = {"workers": workers, "block_rows": 128, "progress": False}
    map_patches(patcher_of(64, 64), reader, Tally(), **options)
    assert len(opened) <= 1 + workers  # one looks at the first chip


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="page faults of glibc's malloc")
@pytest.mark.parametrize(
    "environment", [{}, schedulers.WORKER_MEMORY], ids=["plain", "as Dask workers are started"]
)
def test_chips_reuse_their_memory(environment):
    """Faults of a scene with twice the chips, less those of one, for each chip more."""
    code = """
        import resource
        import numpy as np
        from georeader.geotensor import GeoTensor
        from rasterio import Affine
        from geopatcher import *
        from geopatcher import map_patches

        patcher = SpatialPatcher(
            SpatialRectangular(256), SpatialRegularStride(128), SpatialHann()
        )

        def faults(width):
            values = np.ones((2, 1024, width), "uint16")
            scene = GeoTensor(values, Affine(10, 0, 0, 0, -10, 0), "EPSG:32610")
            def work(chip):
                red, nir = np.asarray(chip, "float32")
                return (nir - red) / (nir + red)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            map_patches(patcher, scene, work, workers=1, progress=False)
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

        faults(1024)
        narrow, wide = faults(2048), faults(4096)
        chips = 7 * (31 - 15)
        pages = 1024 * 2048 * (2 * 2 + 4) / resource.getpagesize()
        print((wide - narrow - pages) / chips)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={"PATH": "", **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    # A chip's arrays are 1.3 MB: mapped anew each time they would cost more than 300 faults.
    assert float(done.stdout) < 60


@pytest.fixture(scope="module")
def client():
    from distributed import Client

    options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with Client(n_workers=2, set_as_default=False, **options) as client:
        yield client


@pytest.fixture
def submitted(client, monkeypatch):
    """The arguments of each task that was given to the cluster, pickled as they are sent."""
    tasks = []
    real = client.submit

    def submit(function, *args, **options):
        assert not any(hasattr(argument, "key") for argument in args), "a task that needs another"
        tasks.append(cloudpickle.dumps(args))
        return real(function, *args, **options)

    monkeypatch.setattr(client, "submit", submit)
    return tasks


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_cluster_gets_a_task_a_block_that_needs_no_other(client, submitted, path, patcher_of):
    options = {"scheduler": client, "block_rows": 256, "progress": False}
    map_patches(patcher_of(64, 48), RasterioReader(path), plain, **options)
    assert len(submitted) == 4  # 1024 rows in blocks of 256, cut where chips begin
    assert max(map(len, submitted)) < 32_000


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_scene_in_memory_is_mapped_and_not_sent(client, submitted, scene_of, patcher_of):
    scene = scene_of((2, 600, 300))
    options = {"scheduler": client, "block_rows": 256, "progress": False}
    map_patches(patcher_of(64, 48), scene, plain, **options)
    assert len(submitted) == 3
    assert max(map(len, submitted)) < 1000 < scene.nbytes


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_every_worker_of_a_cluster_takes_part(client, path, patcher_of, tmp_path):
    here = os.getpid()

    def who(chip):
        (tmp_path / str(os.getpid())).touch()
        ends = time.monotonic() + 300
        # A worker waits for the other, so that none does all the work before the other has begun.
        while os.getpid() != here and len({*os.listdir(tmp_path)} - {str(here)}) < 2:
            assert time.monotonic() < ends
            time.sleep(0.01)
        return np.full((1, *chip.shape[-2:]), os.getpid(), "float64")

    options = {"scheduler": client, "block_rows": 256, "progress": False}
    made = map_patches(patcher_of(64, 64), RasterioReader(path), who, **options)
    assert len(np.unique(np.asarray(made))) == 2


def plain(chip):
    """The first band."""
    return np.array(chip[:1], "float32")
