"""Open files, kept per process and thread.

Opening a COG costs more than reading a chip of it, and closing it throws away the blocks that
GDAL has cached: a file that stays open gives each byte once to chips that share its blocks.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import Any

import rasterio

MOST_OPEN = 64
"""Files that one thread keeps open; the one that was used longest ago is closed first."""


class OpenDatasets:
    """Datasets by path, opened when first asked for, one set for each process and thread.

    GDAL datasets must not be shared by threads, nor used after a fork. The object pickles as an
    empty one.

    >>> len(OpenDatasets())
    0
    """

    def __init__(self) -> None:
        self._local = threading.local()

    def __reduce__(self) -> Any:
        return OpenDatasets, ()

    def __len__(self) -> int:
        return len(self._mine())

    def holds(self, path: str, **options: Any) -> bool:
        """Return whether this thread has that dataset open."""
        return _key(path, options) in self._mine()

    def get(self, path: str, **options: Any) -> Any:
        """Return the open dataset of `path`; `options` go to `rasterio.open`."""
        mine = self._mine()
        key = _key(path, options)
        dataset = mine.pop(key, None)
        if dataset is None:
            dataset = rasterio.open(path, **options)
            while len(mine) >= MOST_OPEN:
                mine.popitem(last=False)[1].close()
        mine[key] = dataset
        return dataset

    def close(self) -> None:
        """Close this thread's datasets."""
        mine = self._mine()
        while mine:
            mine.popitem()[1].close()

    def _mine(self) -> OrderedDict[Any, Any]:
        local = self._local
        if getattr(local, "pid", None) != os.getpid():
            local.pid, local.datasets = os.getpid(), OrderedDict()
        return local.datasets


def _key(path: str, options: dict[str, Any]) -> Any:
    return path, tuple(sorted(options.items()))
