"""Decoding a file and nothing else: what no reader of it can do without.

In a module of its own, since processes that are started anew import it by name.
"""

from __future__ import annotations

from pathlib import Path

import rasterio
from rasterio.windows import Window

_ROWS = 512


def decode(path: Path, start: int, stop: int) -> int:
    """Decode rows [start, stop) of a file, all bands; return how many bytes of pixels they are."""
    read = 0
    with rasterio.open(path) as file:
        for row in range(start, stop, _ROWS):
            window = Window(0, row, file.width, min(_ROWS, stop - row))
            read += file.read(window=window).nbytes
    return read
