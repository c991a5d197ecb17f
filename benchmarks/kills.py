"""Kill runs of `map_patches` at random moments, let the same call go on, and compare the bytes.

    python benchmarks/kills.py threads tif 30

Each run is a fork of this process, which has imported everything and has one thread.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from georeader.geotensor import GeoTensor
from rasterio import Affine

from geopatcher import (
    SpatialHann,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
    map_patches,
)

PLACE = Affine(10, 0, 7e5, 0, -10, 4.4e6)
PATCHER = SpatialPatcher(
    SpatialRectangular(64, boundary="shift"), SpatialRegularStride(48), SpatialHann()
)
ROWS, SLOW = 1536, 0.004


def slow_mean(chip):
    """Take 4 ms for a chip."""
    time.sleep(SLOW)
    return np.asarray(chip, "float32").mean(axis=0)


def run(target: Path, scheduler: str) -> None:
    """Make the target, or go on with it."""
    values = np.random.default_rng(0).random((2, ROWS, 200)).astype("float32")
    map_patches(
        PATCHER,
        GeoTensor(values, PLACE, "EPSG:32610"),
        slow_mean,
        target=target,
        journal=target.with_suffix(".jsonl"),
        scheduler=scheduler,
        workers=2,
        block_rows=64,
        progress=False,
    )


def content(target: Path) -> dict[str, bytes]:
    """Return the bytes of a file, or of all files of a store."""
    files = [target] if target.is_file() else [f for f in target.rglob("*") if f.is_file()]
    return {str(file.relative_to(target.parent)): file.read_bytes() for file in sorted(files)}


def killed(target: Path, scheduler: str, wait: float) -> bool:
    """Run in a fork that is killed after a while; return whether it had not ended by itself."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        run(target, scheduler)
        os._exit(0)
    time.sleep(wait)
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
        assert status == 0
        return False
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def main(scheduler: str, kind: str, wanted: int) -> None:
    """Kill so many runs; print how many, how many targets came of them, and what differed."""
    chosen, kills, whole, wrong = random.Random(0), 0, 0, 0
    start = 0.0 if scheduler == "threads" else 2.5
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain" / f"o.{kind}"
        plain.parent.mkdir()
        child = os.fork()
        if child == 0:
            run(plain, "threads")
            os._exit(0)
        os.waitpid(child, 0)
        expected = content(plain)
        while kills < wanted:
            target = Path(folder) / f"{whole}" / f"o.{kind}"
            target.parent.mkdir()
            longest = 0.5  # grows, so that a slow machine gets through, too
            while killed(target, scheduler, start + chosen.uniform(0.05, longest)):
                kills, longest = kills + 1, 1.2 * longest
            whole += 1
            wrong += content(target) != expected
            left = {file.name for file in target.parent.iterdir()} - {target.name, "o.jsonl"}
            wrong += bool(left)
    print(f"{scheduler} {kind}: {kills} kills, {whole} targets, {wrong} wrong")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
