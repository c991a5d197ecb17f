"""From patches to a raster: the order, the blocks of rows, and who fills which.

Owner computes: each worker thread owns a block of output rows, takes every patch that touches
it, and writes only its rows. Patches on the line between two blocks are made twice; in return
no two threads ever write one pixel, and the result has the same bytes for any worker count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, Protocol, runtime_checkable

import numpy as np

from geopatcher.domains import RasterDomain
from geopatcher.patch import Failed, Patch, PatchError
from geopatcher.spatial.grid import RegularGrid
from geopatcher.spatial.rolling import Reducer, in_row_order, reduce_rows

Items = Iterator[tuple[int, Patch | None]]


@runtime_checkable
class IndexedPatches(Protocol):
    """Patches that can be made by number, as `geopatcher.stream.PatchStream` does."""

    workers: int
    skipped: dict[Any, str]
    anchors: Sequence[Any]
    patcher: Any

    @property
    def grid(self) -> RegularGrid | None:
        """The regular grid that the patches lie on, or None."""

    def items(self, indices: Iterable[int]) -> Items:
        """Yield (index, patch) in the order asked for; a skipped patch is None."""


@dataclass
class Merged:
    """What a merge filled: the array, its covered pixels, the first patch, what was skipped."""

    values: np.ndarray
    covered: int
    first: Patch
    skipped: dict[Any, str]


def merge_blocks(
    patches: Iterable[Patch] | IndexedPatches,
    domain: RasterDomain,
    allocate: Callable[[Patch], np.ndarray],
    process: Callable[[Items, tuple[int, int], np.ndarray, Patch], int],
) -> Merged:
    """Run `process(items, rows, out, first)` over blocks of output rows.

    A stream's blocks go to its workers; a sequence or an iterator is one block.
    """
    _keep_freed_pages()
    whole = (0, domain.height)
    if not isinstance(patches, IndexedPatches):
        items, first = _peek(enumerate(in_row_order(patches)), {})
        out = allocate(first)
        return Merged(out, process(items, whole, out, first), first, {})

    order = _row_order(patches)
    items, first = _peek(patches.items(order), patches.skipped)
    out = allocate(first)
    blocks = row_blocks(domain.height, patches.workers, first.indices.height)
    if len(blocks) == 1:
        return Merged(out, process(items, whole, out, first), first, patches.skipped)
    tallest = _tallest(patches)
    with ThreadPoolExecutor(len(blocks)) as pool:
        jobs = [
            pool.submit(
                process, patches.items(_touching(patches, order, rows, tallest)), rows, out, first
            )
            for rows in blocks
        ]
        covered = sum(job.result() for job in jobs)
    return Merged(out, covered, first, patches.skipped)


def merge_rolling(patches: Iterable[Patch], domain: RasterDomain, reducer: Reducer) -> Merged:
    """Merge with a reducer in a rolling buffer of rows."""

    def allocate(first: Patch) -> np.ndarray:
        values = np.asarray(first.data)
        lead, dtype = reducer.result(values.shape[:-2], values.dtype)
        return np.empty((*lead, domain.height, domain.width), dtype)

    def process(items: Items, rows: tuple[int, int], out: np.ndarray, first: Patch) -> int:
        def write(row: int, values: np.ndarray) -> None:
            out[..., row : row + values.shape[-2], :] = values

        present = (patch for _, patch in items if patch is not None)
        return reduce_rows(present, domain, reducer, rows, write, first)

    return merge_blocks(patches, domain, allocate, process)


def _keep_freed_pages() -> None:
    """Let the C library keep the pages of freed chips instead of returning them each time.

    A chip's arrays are some 100 KB: glibc first maps and unmaps each of them, and the page
    faults cost 5 to 10 times the arithmetic (measured: 500 against 50 us for a chip of
    256 x 256). It raises its own threshold when it sees a larger block freed, so one untouched
    block of 31 MB, just under its limit, is allocated and freed here. Elsewhere it is free.
    """
    np.empty(31 * 2**20, np.uint8)


def row_blocks(height: int, workers: int, chip_height: int) -> list[tuple[int, int]]:
    """Return (start, stop) of at most `workers` even blocks, none lower than a chip.

    >>> row_blocks(1000, workers=3, chip_height=256)
    [(0, 334), (334, 667), (667, 1000)]
    >>> row_blocks(300, workers=3, chip_height=256)
    [(0, 300)]
    """
    count = max(1, min(workers, height // max(chip_height, 1)))
    edges = [-(-height * i // count) for i in range(count + 1)]
    return list(pairwise(edges))


def _row_order(patches: IndexedPatches) -> Sequence[int]:
    if patches.grid is not None:
        return range(len(patches.grid))
    return sorted(range(len(patches.anchors)), key=lambda i: patches.anchors[i][0])


def _tallest(patches: IndexedPatches) -> int:
    return int(patches.patcher.geometry.size[0])


def _touching(
    patches: IndexedPatches, order: Sequence[int], rows: tuple[int, int], tallest: int
) -> list[int]:
    start, stop = rows
    anchors = patches.anchors
    return [i for i in order if anchors[i][0] < stop and anchors[i][0] + tallest > start]


def _peek(items: Items, skipped: dict[Any, str]) -> tuple[Items, Patch]:
    """Return the items again, and the first patch that really holds data."""
    seen: list[tuple[int, Patch | None]] = []
    for item in items:
        seen.append(item)
        patch = item[1]
        if patch is not None and not isinstance(patch.data, Failed):
            return chain(seen, items), patch
    if not seen:
        raise PatchError("there are no patches to merge")
    anchor, why = next(iter(skipped.items()), ("?", "unknown"))
    raise PatchError(f"all {len(seen)} patches failed, the first at anchor {anchor}: {why}")
