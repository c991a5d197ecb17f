"""GDAL's block cache, kept small while a scene streams through it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

_LEAST, _MOST = 48, 256
_ROWS = 1024
"""Two rows of the tiles that COGs usually have: what a row of chips touches."""


@contextmanager
def bounded_cache(field: Any, workers: int = 1) -> Iterator[None]:
    """Let GDAL keep the rows that chips share, and not 5 % of the machine's memory.

    A limit that the user set (`GDAL_CACHEMAX`) stays; so does everything for a raster in memory.
    """
    reader = field
    while getattr(reader, "field", None) is not None or getattr(reader, "reader", None) is not None:
        reader = getattr(reader, "field", None) or reader.reader
        if isinstance(reader, np.ndarray):
            break
    if isinstance(reader, np.ndarray) or "GDAL_CACHEMAX" in os.environ:
        yield
        return
    import rasterio

    with rasterio.Env(GDAL_CACHEMAX=cache_megabytes(reader, workers) * 2**20):
        yield


def cache_megabytes(reader: Any, workers: int = 1) -> int:
    """Return the cache that `workers` need to read every block of a file once.

    >>> cache_megabytes(np.empty((2, 10980, 10980), "uint16"), workers=2)
    85
    """
    shape = tuple(getattr(reader, "shape", (1, 1)))
    size = np.dtype(getattr(reader, "dtype", "float32")).itemsize
    needed = math.prod(shape[:-2]) * shape[-1] * size * _ROWS * workers / 2**20
    return int(min(max(needed, _LEAST), _MOST))
