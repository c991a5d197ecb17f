"""From patches to a raster: the order, the blocks of rows, and who fills which.

Owner computes: each worker owns a block of output rows, takes every patch that touches it, and
writes only its rows. Patches on the line between two blocks are made twice; in return no two
workers ever write one pixel, and the result has the same bytes for any number of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from geopatcher.axes.grid import RegularGrid
from geopatcher.domain import RasterDomain
from geopatcher.merge.row_buffer import Reducer, Spec, Write, in_row_order, reduce_rows
from geopatcher.pages import KEEP_ALL, chip_bytes, keep_freed_pages
from geopatcher.patch import Failed, Patch, PatchError

Items = Iterator[tuple[int, Patch | None]]
Rows = tuple[int, int]
T = TypeVar("T")

BLOCK_ROWS = 1024
"""Rows of a block that is written out: five chip rows, one of which its neighbour makes too."""


@runtime_checkable
class IndexedPatches(Protocol):
    """Patches that can be made by number, as `geopatcher.stream.PatchStream` does."""

    workers: int
    skipped: dict[Any, str]
    patcher: Any

    @property
    def anchors(self) -> Sequence[Any]:
        """Where each patch hangs."""

    @property
    def grid(self) -> RegularGrid | None:
        """The regular grid that the patches lie on, or None."""

    def items(self, indices: Iterable[int]) -> Items:
        """Yield (index, patch) in the order asked for; a skipped patch is None."""


class RowMerge(Protocol):
    """How patches in row order become rows of a raster."""

    def result(self, first: Patch) -> Spec:
        """Return (leading shape, dtype) of the raster, given a patch."""

    def run(self, items: Items, rows: Rows, write: Write, chip: Spec) -> int:
        """Merge the patches that touch output rows [start, stop); return pixels covered.

        `write(row, values)` gets finished rows from the top down, each once; `chip` is the
        leading shape and dtype of the patches' data.
        """

    def fill(self, items: Items, rows: Rows, out: np.ndarray, chip: Spec) -> int:
        """Do the same into `out` (..., stop - start, W)."""


class RowWriter(Protocol):
    """Takes finished rows from the top down."""

    def write(self, row: int, values: np.ndarray) -> None:
        """Keep the rows (..., n, W) from `row` on."""


class RowSink(Protocol):
    """Takes blocks of finished rows, in any order."""

    @property
    def align(self) -> int:
        """Blocks of rows begin at a multiple of this, so that no two workers share a chunk."""

    def begin(self) -> RowWriter:
        """Return what takes a block's rows, in pieces of any height, from its top row down."""


@dataclass
class Merged:
    """What a merge filled: the array, its covered pixels, the first patch, what was skipped."""

    values: np.ndarray
    covered: int
    first: Patch
    skipped: dict[Any, str]


@dataclass(frozen=True)
class RollingMerge:
    """Merges with a reducer's states in a rolling buffer of rows."""

    reducer: Reducer
    domain: RasterDomain

    def result(self, first: Patch) -> Spec:
        """Return (leading shape, dtype) of the raster, given a patch."""
        return self.reducer.result(*chip_spec(first))

    def run(self, items: Items, rows: Rows, write: Write, chip: Spec) -> int:
        """Merge patches into rows, handing each on once; return pixels covered."""
        present = (patch for _, patch in items if patch is not None)
        return reduce_rows(present, self.domain, self.reducer, rows, write, chip)

    def fill(self, items: Items, rows: Rows, out: np.ndarray, chip: Spec) -> int:
        """Merge patches into `out` (..., stop - start, W); return pixels covered."""
        return self.run(items, rows, writing_to(out, rows[0]), chip)


def merge_rolling(patches: Iterable[Patch], domain: RasterDomain, reducer: Reducer) -> Merged:
    """Merge in memory with a reducer."""
    return merge_in_memory(patches, domain, RollingMerge(reducer, domain))


def merge_in_memory(
    patches: Iterable[Patch] | IndexedPatches, domain: RasterDomain, merge: RowMerge
) -> Merged:
    """Merge into one array, whose rows a stream's workers share evenly."""
    keep_freed_pages(KEEP_ALL)
    items, first, skipped = _begin(patches)
    lead, dtype = merge.result(first)
    out = np.empty((*lead, domain.height, domain.width), dtype)
    chip = chip_spec(first)
    blocks = [(0, domain.height)]
    if isinstance(patches, IndexedPatches):
        blocks = row_blocks(domain.height, patches.workers, first.indices.height)
    if len(blocks) == 1 or not isinstance(patches, IndexedPatches):
        return Merged(out, merge.fill(items, blocks[0], out, chip), first, skipped)

    touching = Touching(patches)

    def fill(rows: Rows) -> int:
        block = out[..., slice(*rows), :]
        return merge.fill(patches.items(touching.of(rows)), rows, block, chip)

    with ThreadPoolExecutor(len(blocks)) as pool:
        return Merged(out, sum(pool.map(fill, blocks)), first, skipped)


def merge_to_sink(
    patches: Iterable[Patch] | IndexedPatches,
    domain: RasterDomain,
    merge: RowMerge,
    open_sink: Callable[[Spec, Patch], RowSink],
) -> tuple[int, dict[Any, str]]:
    """Merge and hand rows to a sink as soon as they are final; return (covered, skipped).

    One worker rolls down the scene; several roll down blocks of rows side by side.
    `open_sink(spec, first)` gets the raster's leading shape and dtype, and the first patch.
    """
    items, first, skipped = _begin(patches)
    chip = chip_spec(first)
    pixels = first.indices.height * first.indices.width
    keep_freed_pages(chip_bytes(domain.shape, chip[0], pixels))
    sink = open_sink(merge.result(first), first)
    if not isinstance(patches, IndexedPatches) or patches.workers == 1:
        return merge.run(items, (0, domain.height), sink.begin().write, chip), skipped

    touching = Touching(patches)

    def write(rows: Rows) -> int:
        return merge.run(patches.items(touching.of(rows)), rows, sink.begin().write, chip)

    blocks = even_blocks(domain.height, aligned_rows(sink.align))
    with ThreadPoolExecutor(patches.workers) as pool:
        done = in_order(lambda rows: pool.submit(write, rows), blocks, patches.workers + 1)
        return sum(covered for _, covered in done), skipped


def in_order(
    submit: Callable[[Rows], Future[T]], blocks: Iterable[Rows], in_flight: int
) -> Iterator[tuple[Rows, T]]:
    """Submit blocks, at most `in_flight` unfinished at a time; yield (block, result) in order.

    The first failure is raised and what was not begun is cancelled.
    """
    pending: deque[tuple[Rows, Future[T]]] = deque()
    try:
        for rows in blocks:
            pending.append((rows, submit(rows)))
            if len(pending) >= in_flight:
                done, future = pending.popleft()
                yield done, future.result()
        while pending:
            done, future = pending.popleft()
            yield done, future.result()
    finally:
        for _, future in pending:
            future.cancel()


class Touching:
    """Which patches of a stream touch a block of rows, in the order in which they are merged."""

    def __init__(self, patches: IndexedPatches) -> None:
        self._grid = patches.grid
        if self._grid is not None:
            starts = range(len(self._grid.rows.starts))
            self._tops = np.array(self._grid.rows.starts)
            self._bottoms = np.array([self._grid.rows.stop(i) for i in starts])
            return
        tops = np.array([anchor[0] for anchor in patches.anchors])
        self._order = np.argsort(tops, kind="stable")
        self._tops = tops[self._order]
        self._bottoms = self._tops + int(patches.patcher.geometry.size[0])

    @property
    def all(self) -> Sequence[int]:
        """Every patch, by rising row."""
        return range(len(self._grid)) if self._grid is not None else self._order.tolist()

    def of(self, rows: Rows) -> Sequence[int]:
        """Return the patches that touch rows [start, stop)."""
        start, stop = rows
        found = np.flatnonzero((self._tops < stop) & (self._bottoms > start))
        if self._grid is None:
            return self._order[found].tolist()
        if not len(found):
            return range(0)
        columns = len(self._grid.cols.starts)
        return range(int(found[0]) * columns, (int(found[-1]) + 1) * columns)


def row_blocks(height: int, workers: int, chip_height: int) -> list[Rows]:
    """Return (start, stop) of at most `workers` even blocks, none lower than a chip.

    >>> row_blocks(1000, workers=3, chip_height=256)
    [(0, 334), (334, 667), (667, 1000)]
    >>> row_blocks(300, workers=3, chip_height=256)
    [(0, 300)]
    """
    count = max(1, min(workers, height // max(chip_height, 1)))
    edges = [-(-height * i // count) for i in range(count + 1)]
    return list(pairwise(edges))


def even_blocks(height: int, rows: int) -> list[Rows]:
    """Return (start, stop) of blocks of `rows` rows, the last one with what is left.

    >>> even_blocks(1000, 400)
    [(0, 400), (400, 800), (800, 1000)]
    """
    return [(start, min(start + rows, height)) for start in range(0, height, rows)]


def aligned_rows(align: int, wanted: int = BLOCK_ROWS) -> int:
    """Return the multiple of `align` that is at least `wanted`.

    >>> aligned_rows(384), aligned_rows(2048)
    (1152, 2048)
    """
    return -(-wanted // align) * align


def chip_spec(patch: Patch) -> Spec:
    """Return (leading shape, dtype) of a patch's data."""
    data = patch.data
    if not (hasattr(data, "shape") and hasattr(data, "dtype")):
        data = np.asarray(data)  # what tells them by itself need not be read for it
    return tuple(data.shape[:-2]), np.dtype(data.dtype)


def writing_to(out: np.ndarray, top: int) -> Write:
    """Return a function that writes rows into `out`, whose first row is number `top`."""

    def write(row: int, values: np.ndarray) -> None:
        out[..., row - top : row - top + values.shape[-2], :] = values

    return write


def first_patch(patches: IndexedPatches) -> Patch:
    """Return the first patch, in merging order, that really holds data."""
    return _peek(patches.items(Touching(patches).all), patches.skipped)[1]


def _begin(patches: Iterable[Patch] | IndexedPatches) -> tuple[Items, Patch, dict[Any, str]]:
    if isinstance(patches, IndexedPatches):
        skipped = patches.skipped
        skipped.clear()  # what failed when the stream was read before may go well now
        return *_peek(patches.items(Touching(patches).all), skipped), skipped
    return *_peek(enumerate(in_row_order(patches)), {}), {}


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
