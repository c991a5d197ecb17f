"""GDAL's cache of blocks, held to what a run needs and given back as it was."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from rasterio.env import get_gdal_config, set_gdal_config

from geopatcher.fields.raster import reader_of

_NAME = "GDAL_CACHEMAX"
_LOCK = threading.Lock()
_SIZES: list[int] = []
_BEFORE: list[int] = []

_LEAST, _MOST = 48, 256
_ROWS = 1024
"""Two rows of the tiles that COGs usually have: what a row of chips touches."""


@contextmanager
def block_cache(size: int) -> Iterator[None]:
    """Hold GDAL's cache of blocks to a size; it is what it was when the block ends.

    GDAL has one cache a process, whose size outlives a `rasterio.Env` that sets it. Where blocks
    overlap in threads the largest size counts, and the last to end gives back the size that was
    there before the first. A size that the user set (`GDAL_CACHEMAX`) stays.

    Parameters
    ----------
    size : int
        In bytes.

    Examples
    --------
    >>> before = get_gdal_config("GDAL_CACHEMAX")
    >>> with block_cache(48 * 2**20), block_cache(32 * 2**20):
    ...     print(get_gdal_config("GDAL_CACHEMAX") // 2**20)
    48
    >>> get_gdal_config("GDAL_CACHEMAX") == before
    True
    """
    if _NAME in os.environ:
        yield
        return
    with _LOCK:
        if not _SIZES:
            _BEFORE[:] = [get_gdal_config(_NAME)]
        _SIZES.append(size)
        set_gdal_config(_NAME, max(_SIZES))
    try:
        yield
    finally:
        with _LOCK:
            _SIZES.remove(size)
            set_gdal_config(_NAME, max(_SIZES) if _SIZES else _BEFORE.pop())


@contextmanager
def bounded_cache(field: Any, workers: int = 1) -> Iterator[None]:
    """Let GDAL keep the rows that chips share, and not 5 % of the machine's memory.

    A limit that the user set (`GDAL_CACHEMAX`) stays; so does everything for a raster in memory.

    Parameters
    ----------
    field : Field, GeoTensor or reader
        What is read inside.
    workers : int
        Workers that read side by side.
    """
    reader = reader_of(field)
    if isinstance(reader, np.ndarray):
        yield
        return
    shape = tuple(getattr(reader, "shape", (1, 1)))
    size = np.dtype(getattr(reader, "dtype", "float32")).itemsize
    needed = math.prod(shape[:-2]) * shape[-1] * size * _ROWS * workers / 2**20
    with block_cache(int(min(max(needed, _LEAST), _MOST)) * 2**20):
        yield
