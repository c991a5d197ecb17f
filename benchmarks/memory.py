"""Peak memory of one stitch case beyond its input and output, in a process of its own.

python benchmarks/memory.py "geostack, shift" small
"""

from __future__ import annotations

import resource
import sys

import numpy as np
from scenes import CASES, LARGE, SMALL, make_scene

_MB = 2**20


def peak_rss() -> float:
    """Return the process's highest resident memory so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / _MB if sys.platform == "darwin" else peak / 1024


def main(name: str, size: str) -> None:
    """Print peak MB in all, and beyond the interpreter, the input and the output."""
    shape = {"small": SMALL, "large": LARGE}[size]
    CASES[name](make_scene((shape[0], 512, 512)))  # imports and buffers are not the stitch's
    scene = make_scene(shape)
    before = peak_rss()
    out = np.asarray(CASES[name](scene))
    peak = peak_rss()
    print(f"{peak:.0f} {peak - before - out.nbytes / _MB:.0f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
