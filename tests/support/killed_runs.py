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
from itertools import count
from pathlib import Path

from geocatalog import from_geoparquet
from geotoolz import NDVI, CatalogPipeline, DNToReflectance
from geotoolz.catalog_ops import read_row

INDEX = DNToReflectance() | NDVI(red_idx=0, nir_idx=1)
WORKERS = 2


class Noted:
    """The default reader, which notes each scene that it is asked for, and stops after `most`."""

    def __init__(self, path: str, most: int | None) -> None:
        self.path, self.most, self.asked = path, most, count(1)

    def __call__(self, row):
        with open(self.path, "ab", buffering=0) as file:
            file.write(f"{row.filepath}\n".encode())  # one write: lines of two threads stay whole
        if self.most is not None and next(self.asked) > self.most:
            time.sleep(600)  # it is killed before, however late that is
        return read_row(row)


def run(catalog: str, out: str, journal: str, computed: str, most: int | None) -> None:
    """Run the pipeline to its end, or until so many scenes have begun."""
    CatalogPipeline(
        from_geoparquet(catalog),
        INDEX,
        reader=Noted(computed, most),
        writer=out,
        journal=journal,
        workers=WORKERS,
    ).run()


def begun(computed: str) -> int:
    """How many scenes an operator began with so far."""
    path = Path(computed)
    return path.read_bytes().count(b"\n") if path.exists() else 0


def killed(child: int, computed: str, wanted: int, pause: float) -> int:
    """Kill a run a moment after so many scenes have begun; return the exit code of it."""
    while begun(computed) < wanted:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.0005)
    time.sleep(pause)
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
        more, pause = chosen.randint(1, 4), chosen.uniform(0, 0.02)
        doomed, wanted = done < int(kills), begun(computed) + more
        child = os.fork()
        if child == 0:
            run(catalog, out, journal, computed, more + WORKERS if doomed else None)
            os._exit(0)
        code = killed(child, computed, wanted, pause) if doomed else waited_for(child)
        if code != -signal.SIGKILL:  # it came to its end, or failed
            print(done)
            return code
        done += 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
