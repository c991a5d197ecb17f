"""One block of output rows: what computes it, and what came of it."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from geopatcher.gdal_cache import bounded_cache
from geopatcher.pages import keep_freed_pages
from geopatcher.patcher import SpatialPatcher
from geopatcher.spatial.merge import Rows, Touching
from geopatcher.spatial.rolling import Spec
from geopatcher.stream import PatchStream
from geopatcher.writers import RowStore, row_merge_of


@dataclass(frozen=True)
class BlockResult:
    """What came of a block: pixels covered, failures, a checksum, and values when not stored."""

    covered: int
    skipped: dict[Any, str]
    crc32: int
    values: np.ndarray | None


@dataclass(frozen=True)
class BlockJob:
    """Computes a block of output rows; every worker has one."""

    patcher: SpatialPatcher
    field: Any
    operator: Callable[[Any], Any]
    chip: Spec
    out: Spec
    store: RowStore | None
    checked: bool
    neighbours: int = 1
    """Workers that share a process, and so GDAL's cache, with this one."""

    def __call__(self, rows: Rows) -> BlockResult:
        """Return what came of rows [start, stop): their values, unless a store took them."""
        keep_freed_pages()
        lead, dtype = self.out
        values = np.empty((*lead, rows[1] - rows[0], self.field.domain.width), dtype)
        covered, skipped = self.fill(rows, values)
        crc = checksum(values) if self.checked else 0
        if self.store is None:
            return BlockResult(covered, skipped, crc, values)
        self.store.write(rows[0], values)
        return BlockResult(covered, skipped, crc, None)

    def fill(self, rows: Rows, out: np.ndarray) -> tuple[int, dict[Any, str]]:
        """Compute rows [start, stop) into `out`; return pixels covered, and what failed."""
        patches = self.patches()
        merge = row_merge_of(self.patcher.aggregation, patches, self.field.domain)
        items = patches.items(self._touching.of(rows))
        with bounded_cache(self.field, self.neighbours):
            return merge.fill(items, rows, out, self.chip), patches.skipped

    def patches(self) -> PatchStream:
        """Return the stream of results with a list of failures of its own."""
        source = copy.copy(self._source)  # shares the anchors, which may have taken long to draw
        source.skipped = {}
        return source.map(self.operator, on_error=self.patcher.on_error)

    @cached_property
    def _source(self) -> PatchStream:
        stream = self.patcher.stream(self.field)
        stream.anchors  # noqa: B018  drawn once, before threads share it
        return stream

    @cached_property
    def _touching(self) -> Touching:
        return Touching(self._source)

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class FillingJob:
    """Computes blocks straight into an array of this process."""

    job: BlockJob
    out: np.ndarray

    def __call__(self, rows: Rows) -> BlockResult:
        """Compute rows [start, stop) where they belong."""
        keep_freed_pages()
        covered, skipped = self.job.fill(rows, self.out[..., slice(*rows), :])
        return BlockResult(covered, skipped, 0, None)


def checksum(values: np.ndarray) -> int:
    """Return the CRC-32 of an array's bytes.

    >>> checksum(np.arange(3, dtype="uint8"))
    139757951
    """
    return zlib.crc32(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
