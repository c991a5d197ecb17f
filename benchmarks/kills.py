"""Kill runs at random moments, let the same call go on, and compare the bytes.

    python benchmarks/kills.py threads tif 30
    python benchmarks/kills.py catalog tif 30

`bench_kills.py` does so for every kind, and the page of results has the counts.

Each run is a fork of this process, which has imported everything and has one thread. It is killed
once its journal has grown by some lines, so that most kills meet a run in the middle of its work.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from georeader.geotensor import GeoTensor
from rasterio import Affine

from geocatalog import build_raster_catalog
from geopatcher import (
    SpatialHann,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
    map_patches,
)
from geotoolz import NDVI, CatalogPipeline, write_cog
from geotoolz.catalog_ops import read_row

KINDS = (
    ("threads", "tif"),
    ("threads", "zarr"),
    ("processes", "tif"),
    ("processes", "zarr"),
    ("dask", "tif"),
    ("dask", "zarr"),
    ("catalog", "tif"),
)
"""What does the work, and what it makes; "catalog" runs a pipeline over forty scenes."""
PLACE = Affine(10, 0, 7e5, 0, -10, 4.4e6)
PATCHER = SpatialPatcher(
    SpatialRectangular(64, boundary="shift"), SpatialRegularStride(48), SpatialHann()
)
ROWS, SCENES, SLOW = 1536, 40, 0.004
LINES = 5
"""Most lines by which a journal grows between two kills."""


def slow_mean(chip):
    """Take 4 ms for a chip."""
    time.sleep(SLOW)
    return np.asarray(chip, "float32").mean(axis=0)


def slow_read(row):
    """Take 20 ms for a scene."""
    time.sleep(5 * SLOW)
    return read_row(row)


def run(target: Path, scheduler: str) -> None:
    """Make the target, or go on with it."""
    journal = target.with_suffix(".jsonl")
    if scheduler == "catalog":
        folder = target.parents[1] / "scenes"
        scenes = build_raster_catalog(sorted(folder.iterdir()), r"(?P<date>\d{8})")
        ndvi = NDVI(red_idx=0, nir_idx=1)
        CatalogPipeline(
            scenes, ndvi, reader=slow_read, writer=target, journal=journal, workers=2
        ).run()
        return
    values = np.random.default_rng(0).random((2, ROWS, 200)).astype("float32")
    map_patches(
        PATCHER,
        GeoTensor(values, PLACE, "EPSG:32610"),
        slow_mean,
        target=target,
        journal=journal,
        scheduler=scheduler,
        workers=2,
        block_rows=64,
        progress=False,
    )


def make_scenes(folder: Path) -> None:
    """Write small scenes of two bands, a day each."""
    folder.mkdir()
    draw = np.random.default_rng(1)
    for day in range(SCENES):
        values = draw.integers(500, 5000, (2, 64, 64)).astype("uint16")
        name = f"2024{1 + day // 20:02d}{1 + day % 20:02d}.tif"
        write_cog(GeoTensor(values, PLACE, "EPSG:32610", 0), folder / name)


def content(target: Path) -> dict[str, bytes]:
    """Return the bytes of a file, or of all files of a store or folder."""
    files = [target] if target.is_file() else [f for f in target.rglob("*") if f.is_file()]
    return {str(file.relative_to(target.parent)): file.read_bytes() for file in sorted(files)}


def killed(target: Path, scheduler: str, chosen: random.Random) -> bool:
    """Run in a fork that is killed after some more lines; return whether it had not ended."""
    journal = target.with_suffix(".jsonl")
    wanted = lines(journal) + chosen.randint(0, LINES)
    child = started(run, target, scheduler)
    while lines(journal) < wanted:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert status == 0, f"a run of {scheduler} failed"
            return False
        time.sleep(0.0005)
    time.sleep(chosen.uniform(0, 0.05))
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def started(what: Callable[..., None], *given: object) -> int:
    """Begin something in a fork; return its number."""
    child = os.fork()
    if child == 0:
        what(*given)
        os._exit(0)
    return child


def done(what: Callable[..., None], *given: object) -> None:
    """Do something in a fork, since a library may leave threads behind, which no fork has."""
    assert os.waitpid(started(what, *given), 0)[1] == 0


def lines(journal: Path) -> int:
    """How many lines a journal has."""
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def main(scheduler: str, kind: str, wanted: str) -> None:
    """Kill so many runs; print how many, how many targets came of them, and what differed."""
    chosen, kills, whole, wrong = random.Random(0), 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        if scheduler == "catalog":
            done(make_scenes, Path(folder) / "scenes")
        plain = Path(folder) / "plain" / f"o.{kind}"
        plain.parent.mkdir()
        done(run, plain, "catalog" if scheduler == "catalog" else "threads")
        expected = content(plain)
        while kills < int(wanted):
            target = Path(folder) / f"{whole}" / f"o.{kind}"
            target.parent.mkdir()
            while killed(target, scheduler, chosen):
                kills += 1
            whole += 1
            wrong += content(target) != expected
            left = {file.name for file in target.parent.iterdir()} - {target.name, "o.jsonl"}
            wrong += bool(left)
    print(f"{scheduler} {kind}: {kills} kills, {whole} targets, {wrong} wrong")


if __name__ == "__main__":
    main(*sys.argv[1:])
