"""Claims: a run that is killed at any moment goes on to the bytes of one that nobody killed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from compare import Comparison
from kills import KINDS
from report import KILLED

PROGRAM = Path(__file__).with_name("kills.py")
TOLD = re.compile(r"(\d+) kills, (\d+) targets, (\d+) wrong")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
def test_killed_runs_end_with_the_same_bytes(compare: Comparison, quick: bool) -> None:
    kinds = KINDS[:1] if quick else KINDS

    def tried(kind: tuple[str, str]) -> tuple[int, ...]:
        # Thirty of each scheduler, whose files and stores share them.
        wanted = 1 if quick else 30 // sum(kind[0] == other for other, _ in KINDS)
        command = [sys.executable, "-W", "ignore", str(PROGRAM), *kind, str(wanted)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return tuple(map(int, TOLD.search(done.stdout).groups()))

    with ThreadPoolExecutor(2) as pool:  # what a slow machine does to a run is no claim of ours
        found = dict(zip(kinds, pool.map(tried, kinds), strict=True))
    assert not any(wrong for _, _, wrong in found.values()), found
    for (worker, made), (kills, targets, _) in found.items():
        name = f"{worker}, {'COG' if made == 'tif' else 'Zarr'}"
        compare.values[f"{KILLED}{name}, kills"] = kills
        compare.values[f"{KILLED}{name}, targets"] = targets
