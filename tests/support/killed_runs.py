"""Runs a catalog pipeline, kills it at a random moment, runs it again, until it is through.

python killed_runs.py CATALOG.parquet OUT JOURNAL COMPUTED SEED KILLS

COMPUTED gets a line for each scene that an operator begins with. Each run is a fork of this
process, which has imported everything and runs one thread: a kill costs no start-up.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from geocatalog import from_geoparquet
from geotoolz import NDVI, CatalogPipeline, DNToReflectance
from geotoolz.catalog_ops import read_row

INDEX = DNToReflectance() | NDVI(red_idx=0, nir_idx=1)
WORKERS = 2


class Noted:
    """The default reader, which notes each scene that it is asked for."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __call__(self, row):
        with open(self.path, "ab", buffering=0) as file:
            file.write(f"{row.filepath}\n".encode())  # one write: lines of two threads stay whole
        return read_row(row)


def run(catalog: str, out: str, journal: str, computed: str) -> None:
    """Run the pipeline to its end."""
    CatalogPipeline(
        from_geoparquet(catalog),
        INDEX,
        reader=Noted(computed),
        writer=out,
        journal=journal,
        workers=WORKERS,
    ).run()


def begun(computed: str) -> int:
    """How many scenes an operator began with so far."""
    path = Path(computed)
    return path.read_bytes().count(b"\n") if path.exists() else 0


def killed(child: int, computed: str, chosen: random.Random) -> int:
    """Kill a run after a few more scenes; return the exit code of it."""
    wanted = begun(computed) + chosen.randint(1, 4)
    while begun(computed) < wanted:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.0005)
    time.sleep(chosen.uniform(0, 0.02))
    os.kill(child, signal.SIGKILL)
    return waited_for(child)


def waited_for(child: int) -> int:
    """Return the exit code of a run that goes to its end."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(catalog: str, out: str, journal: str, computed: str, seed: str, kills: str) -> int:
    """Kill so many runs, print how many, and let one go to its end; return its exit code."""
    chosen = random.Random(int(seed))
    done = 0
    while True:
        child = os.fork()
        if child == 0:
            run(catalog, out, journal, computed)
            os._exit(0)
        code = killed(child, computed, chosen) if done < int(kills) else waited_for(child)
        if code != -signal.SIGKILL:  # it came to its end, or failed
            print(done)
            return code
        done += 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
