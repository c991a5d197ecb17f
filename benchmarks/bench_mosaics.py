"""Claim: a mosaic of many files takes as much memory as one of few, at most twice its own.

Files overlap, some at random places; the largest value counts, whatever the order. Each mosaic is
made in a process of its own, and compared with that of rasterio.merge before it counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import mosaicking
import numpy as np
from compare import Comparison, Group, Row

SCRIPT = Path(mosaicking.__file__)
SIDE, QUICK_SIDE = 4096, 1024
COUNTS = (16, 64)
TITLE = "a mosaic of {} overlapping files"
MEMORY, GROWTH = "mosaic's peak memory, of its size", "mosaic's peak memory, 64 files against 16"


def run(rival: str, folder: Path, count: int, side: int) -> dict[str, float]:
    """Make a mosaic in a process of its own; return its seconds and MB."""
    command = [sys.executable, str(SCRIPT), rival, str(folder), str(count), str(side)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(told.splitlines()[-1])


def test_a_mosaic_against_rasterio(compare: Comparison, tmp_path: Path, quick: bool) -> None:
    side, counts = (QUICK_SIDE, COUNTS[:1]) if quick else (SIDE, COUNTS)
    peaks = {}
    for count in counts:
        mosaicking.make(tmp_path, count, side)
        runs = {name: [] for name in mosaicking.RIVALS}
        for _ in range(1 if quick else 5):
            for name, found in runs.items():
                found.append(run(name, tmp_path, count, side))
            ours, theirs = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in runs)
            assert np.array_equal(ours, theirs)
        times = {name: [one["seconds"] for one in found] for name, found in runs.items()}
        peaks[count] = {n: np.median([one["peak_mb"] for one in f]) for n, f in runs.items()}
        size = runs["geostack"][0]["result_mb"]
        rows = [
            Row(
                name,
                own,
                [a / b for a, b in zip(own, times["geostack"], strict=True)],
                facts={
                    "peak memory, its result in it": f"{peaks[count][name]:,.0f} MB",
                    "the result": f"{size:,.0f} MB",
                    "the same pixels": "all",
                },
            )
            for name, own in times.items()
        ]
        compare.groups.append(Group(TITLE.format(count), "geostack", rows))
    if not quick:
        most = max(peak["geostack"] for peak in peaks.values())
        compare.values[MEMORY] = float(most / size)
        compare.values[GROWTH] = float(peaks[64]["geostack"] / peaks[16]["geostack"])
