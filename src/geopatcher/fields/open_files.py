"""Open files, kept per process and thread, and GDAL's cache of their blocks.

Opening a COG costs more than reading a chip of it, and closing it throws away the blocks that
GDAL has cached: a file that stays open gives each byte once to chips that share its blocks.
"""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import rasterio

MOST_OPEN = 64
"""Files that one thread keeps open; the one that was used longest ago is closed first."""


class _Own(threading.local):
    """A thread's datasets, and the process that opened them."""

    def __init__(self) -> None:
        self.pid = 0
        self.datasets: OrderedDict[Any, Any] = OrderedDict()


class OpenDatasets:
    """Datasets by path, opened when first asked for, one set for each process and thread.

    GDAL datasets must not be shared by threads, nor used after a fork. The object pickles as an
    empty one.

    >>> len(OpenDatasets())
    0
    """

    def __init__(self) -> None:
        self._own = _Own()

    def __reduce__(self) -> Any:
        return OpenDatasets, ()

    def __len__(self) -> int:
        return len(self._mine())

    def holds(self, path: str, **options: Any) -> bool:
        """Return whether this thread has that dataset open."""
        return _key(path, options) in self._mine()

    def get(self, path: str, opener: Callable[..., Any] = rasterio.open, **options: Any) -> Any:
        """Return the open dataset of `path`, opened by `opener`, which the `options` go to."""
        mine = self._mine()
        key = _key(path, options)
        dataset = mine.pop(key, None)
        if dataset is None:
            dataset = opener(path, **options)
            while len(mine) >= MOST_OPEN:
                mine.popitem(last=False)[1].close()
        mine[key] = dataset
        return dataset

    def _mine(self) -> OrderedDict[Any, Any]:
        own = self._own
        if own.pid != os.getpid():
            own.pid, own.datasets = os.getpid(), OrderedDict()
        return own.datasets


def _key(path: str, options: dict[str, Any]) -> Any:
    return path, tuple(sorted(options.items()))


def reader_of(field: Any) -> Any:
    """Return what reads a Field's pixels: of a Field around another, the inner one's reader."""
    while getattr(field, "field", None) is not None:
        field = field.field
    return getattr(field, "reader", field)


def is_in_memory(field: Any) -> bool:
    """Return whether a Field's pixels are in memory already."""
    return isinstance(reader_of(field), np.ndarray)


_LEAST, _MOST = 48, 256
_ROWS = 1024
"""Two rows of the tiles that COGs usually have: what a row of chips touches."""


@contextmanager
def bounded_cache(field: Any, workers: int = 1) -> Iterator[None]:
    """Let GDAL keep the rows that chips share, and not 5 % of the machine's memory.

    A limit that the user set (`GDAL_CACHEMAX`) stays; so does everything for a raster in memory.
    """
    reader = reader_of(field)
    if isinstance(reader, np.ndarray) or "GDAL_CACHEMAX" in os.environ:
        yield
        return
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
