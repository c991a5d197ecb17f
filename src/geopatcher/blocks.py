"""One block of output rows: what computes it, and what came of it."""

from __future__ import annotations

import copy
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from geopatcher.files.target import RowStore, row_merge_of
from geopatcher.gdal_cache import bounded_cache
from geopatcher.merge.row_buffer import Spec
from geopatcher.merge.rows import Items, RowMerge, Rows, Touching
from geopatcher.pages import chip_bytes, keep_freed_pages
from geopatcher.patcher import SpatialPatcher
from geopatcher.stream import PatchStream


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
        keep_freed_pages(self.chip_bytes)
        if self.store is not None:
            return self._stored(rows, self.store)
        lead, dtype = self.out
        values = np.empty((*lead, rows[1] - rows[0], self.field.domain.width), dtype)
        covered, skipped = self.fill(rows, values)
        return BlockResult(covered, skipped, 0, values)

    def fill(self, rows: Rows, out: np.ndarray) -> tuple[int, dict[Any, str]]:
        """Compute rows [start, stop) into `out`; return pixels covered, and what failed."""
        return self._merged(rows, lambda merge, items: merge.fill(items, rows, out, self.chip))

    def _stored(self, rows: Rows, store: RowStore) -> BlockResult:
        """Hand rows to the store as soon as they are final: a block is never held."""
        sink = store.begin()
        crc = 0

        def write(row: int, values: np.ndarray) -> None:
            nonlocal crc
            if self.checked:
                crc = checksum(values, crc)
            sink.write(row, values)

        covered, skipped = self._merged(
            rows, lambda merge, items: merge.run(items, rows, write, self.chip)
        )
        return BlockResult(covered, skipped, crc, None)

    def _merged(
        self, rows: Rows, run: Callable[[RowMerge, Items], int]
    ) -> tuple[int, dict[Any, str]]:
        patches = self.patches()
        merge = row_merge_of(self.patcher.aggregation, patches, self.field.domain)
        with bounded_cache(self.field, self.neighbours):
            return run(merge, patches.items(self._touching.of(rows))), patches.skipped

    @property
    def chip_bytes(self) -> int:
        """Bytes of the largest array that is made for a chip."""
        pixels = math.prod(self.patcher.geometry.size)
        return chip_bytes(self.field.domain.shape, self.chip[0], pixels)

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
        keep_freed_pages(self.job.chip_bytes)
        covered, skipped = self.job.fill(rows, self.out[..., slice(*rows), :])
        return BlockResult(covered, skipped, 0, None)


def checksum(values: np.ndarray, begun: int = 0) -> int:
    """Return the CRC-32 of rows (..., n, W), going on from that of the rows above them.

    Row by row, each with all its bands: so it does not matter in which pieces rows come.

    >>> rows = np.arange(12, dtype="uint8").reshape(2, 3, 2)
    >>> checksum(rows[:, 1:], checksum(rows[:, :1])) == checksum(rows)
    True
    """
    by_rows = np.ascontiguousarray(np.moveaxis(values, -2, 0))
    return zlib.crc32(by_rows.reshape(-1).view(np.uint8).data, begun)
