"""What a merge makes of patches: in which order, by which rule, in which blocks of rows.

All of it is decided here, above splitting and merging: which merge turns the chips into rows,
which chips touch a block of rows, and where blocks begin; `layout` says which chips there are. A
chip on the line between two blocks is made for both; in return no two workers ever write one pixel,
and the result has the same bytes for any number of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from itertools import chain, pairwise
from typing import Any

import numpy as np

from geopatcher.axes.axis import Separable
from geopatcher.domain import RasterDomain
from geopatcher.files.rows import checksum
from geopatcher.files.target import RowStore
from geopatcher.layout import laid_out, warn_of_seams
from geopatcher.merge.chip import Chip, chip_spec
from geopatcher.merge.regular_grid import ChipWeights, GridMerge
from geopatcher.merge.row_buffer import (
    Items,
    Reducer,
    RowMerge,
    Rows,
    in_row_order,
    settled,
)
from geopatcher.patch import Failed, Patch, PatchError
from geopatcher.stream import Item, PatchStream
from pipekit.parallel import in_threads

BLOCK_ROWS = 1024
"""Rows of a block that is written out: five chip rows, one of which its neighbour makes too."""


class Plan:
    """How patches become a raster on a domain under an aggregation.

    Parameters
    ----------
    patches : PatchStream or iterable of Patch
        A stream is read chip by chip, by its workers; an iterator must come by rising row.
    domain : RasterDomain
        The raster (..., H, W) to be.
    aggregation : Reducer
        How overlapping chips become one value.

    Raises
    ------
    PatchError
        When the aggregation makes no raster row by row.
    """

    def __init__(self, patches: Iterable[Patch], domain: RasterDomain, aggregation: Any) -> None:
        if not isinstance(aggregation, Reducer):
            raise PatchError(
                f"{type(aggregation).__name__} makes no raster row by row; to write a file use "
                "SpatialOverlapAdd, SpatialMean, SpatialHardVote or another aggregation of pixels"
            )
        self.domain = domain
        self.aggregation: Reducer = aggregation
        self.stream: PatchStream | None = None
        self._seen: list[Item] = []
        self._chip: Chip | None = None
        self._merge: RowMerge | None = None
        if isinstance(patches, PatchStream):
            self.stream, seam = laid_out(patches, domain, getattr(aggregation, "agrees", False))
            warn_of_seams(seam)
        else:
            self._patches = enumerate(in_row_order(patches))

    @property
    def _begun(self) -> list[Item]:
        """The patches by rising row up to the first that holds data.

        No `cached_property`: before Python 3.12 its lock is one for all plans, and the first chips
        of runs side by side would wait for each other.
        """
        stream = self.stream
        if not self._seen and stream is None:
            self._seen = first_of(self._patches, {})
        elif not self._seen and stream is not None:
            stream.skipped.clear()  # what failed when it was read before may go well now
            # One by one up to the first, which is often all that is asked for, and no batch.
            every = stream.touching((0, self.domain.height))
            looked = (item for index in every for item in stream.items([index]))
            self._seen = first_of(looked, stream.skipped)
        return self._seen

    def __getstate__(self) -> dict[str, Any]:
        # Small: anchors and weights are soon made again, and the chip need not be.
        stream = None if self.stream is None else self.stream.again(self.stream.patcher)
        return {**vars(self), "stream": stream, "_seen": [], "_merge": None}

    @property
    def first(self) -> Patch:
        """The first patch, in merging order, that really holds data."""
        patch = self._begun[-1][1]
        assert patch is not None
        return patch

    def items(
        self,
        rows: Rows,
        stream: PatchStream | None = None,
        watched: Callable[[list[int]], Iterable[int]] = list,
    ) -> Generator[Item, None, None]:
        """Yield a block's patches in merging order; the first is not made again.

        Parameters
        ----------
        rows : (start, stop)
            Of the scene.
        stream : PatchStream, optional
            The plan's stream anew, which lists what fails; default the plan's own.
        watched : callable
            Takes the numbers of the patches still to be made, and yields each as it is begun.

        Returns
        -------
        iterator of (int, Patch or None)
            Of an iterator's patches all.
        """
        if self.stream is None:
            yield from chain(self._begun, self._patches)
            return
        stream = self.stream if stream is None else stream
        indices, seen = stream.touching(rows), []
        if rows[0] == 0:  # of one block only, so that no two workers reach for the same
            seen = self._begun
            stream.skipped.update(self.stream.skipped)
        yield from seen[: len(indices)]
        yield from stream.items(watched(indices[len(seen) :]))

    @property
    def skipped(self) -> dict[Any, str]:
        """What went wrong with the patches that failed, by anchor."""
        return {} if self.stream is None else self.stream.skipped

    @property
    def merge(self) -> RowMerge:
        """How chips such as the first become rows."""
        if self._merge is None:
            self._chip = chip_spec(self.first) if self._chip is None else self._chip
            self._merge = self._row_merge(self._chip)
        return self._merge

    def _row_merge(self, chip: Chip) -> RowMerge:
        """Return a merge with known weights where chips lie on a grid."""
        stream, domain = self.stream, self.domain
        reducer: Any = settled(self.aggregation, chip)
        grid = None if stream is None else stream.grid
        window = None if stream is None else stream.patcher.window
        if (
            grid is None
            or (grid.rows.length, grid.cols.length) != (domain.height, domain.width)
            or not isinstance(window, Separable)
            or not hasattr(reducer, "fits_grid")
        ):
            return RowMerge(reducer, domain, chip)
        if grid.covered_share < 1:
            reducer.check_can_hold_gaps(1 - grid.covered_share)
        weights = ChipWeights(grid, window, reducer.normalize_by_window)
        if not reducer.fits_grid(weights.is_tiling):
            return RowMerge(reducer, domain, chip)
        return GridMerge(reducer, domain, chip, weights)

    def fill(self, out: np.ndarray) -> int:
        """Merge into `out` (..., H, W), its rows shared by workers; return pixels covered.

        Parameters
        ----------
        out : numpy.ndarray
            (..., H, W), written in place.

        Returns
        -------
        int
            Pixels covered.
        """
        height, chip_height = self.domain.height, max(self.first.indices.height, 1)
        blocks = shares(height, max(1, min(self._workers, height // chip_height)))
        return self._merged(
            blocks, lambda items, rows: self.merge.fill(items, rows, out[..., slice(*rows), :])
        )

    def write(self, store: RowStore) -> int:
        """Hand rows on as soon as they are final; return pixels covered.

        One worker goes down the scene; several go down blocks of rows side by side, which begin
        where the store's do.

        Parameters
        ----------
        store : RawRows or ZarrRows
            Where rows go.

        Returns
        -------
        int
            Pixels covered.
        """
        blocks = [(0, self.domain.height)]
        if self._workers > 1:
            blocks = even_shares(self.domain.height, aligned_rows(store.align), store.align)
        return self._merged(blocks, lambda items, rows: self.stored(items, rows, store)[0])

    def stored(
        self, items: Items, rows: Rows, store: RowStore, checked: bool = False
    ) -> tuple[int, int]:
        """Hand a block's rows to a store as soon as they are final: a block is never held.

        Parameters
        ----------
        items : iterator of (int, Patch or None)
            The block's patches.
        rows : (start, stop)
            Of the scene.
        store : RawRows or ZarrRows
            Where rows go.
        checked : bool
            Whether a checksum of the rows is taken.

        Returns
        -------
        (int, int)
            Pixels covered, and the checksum or 0.
        """
        writer, crc = store.begin(), 0

        def write(row: int, values: np.ndarray) -> None:
            nonlocal crc
            crc = checksum(values, crc) if checked else 0
            writer.write(row, values)

        covered = self.merge.run(items, rows, write)
        writer.end()
        return covered, crc

    @property
    def _workers(self) -> int:
        return 1 if self.stream is None else self.stream.workers

    def _merged(self, blocks: list[Rows], put: Callable[[Items, Rows], int]) -> int:
        """Merge the patches of each block, by workers side by side; return pixels covered."""

        def covered(rows: Rows) -> int:
            with closing(self.items(rows)) as items:
                return put(items, rows)

        return sum(in_threads(covered, blocks, min(self._workers, len(blocks))))


def shares(height: int, count: int, align: int = 1) -> list[Rows]:
    """Return (start, stop) of `count` blocks, as even as multiples of `align` go.

    The first ones are the higher ones: who begins late has less to do.

    Parameters
    ----------
    height : int
        Rows of the scene.
    count : int
        How many blocks.
    align : int
        What blocks begin at multiples of.

    Returns
    -------
    list of (int, int)
        (start, stop) of each block.

    Examples
    --------
    >>> shares(1000, 3)
    [(0, 334), (334, 667), (667, 1000)]
    """
    slabs = -(-height // align)
    return list(pairwise(min(-(-slabs * i // count) * align, height) for i in range(count + 1)))


def even_shares(height: int, most: int, align: int = 1) -> list[Rows]:
    """Return (start, stop) of blocks of at most `most` rows, as even as multiples of `align` go.

    Parameters
    ----------
    height : int
        Rows of the scene.
    most : int
        Rows of a block.
    align : int
        What blocks begin at multiples of.

    Returns
    -------
    list of (int, int)
        (start, stop) of each block.

    Examples
    --------
    >>> even_shares(1000, 400), even_shares(1000, 384, align=128)
    ([(0, 334), (334, 667), (667, 1000)], [(0, 384), (384, 768), (768, 1000)])
    """
    slabs = -(-height // align)
    return shares(height, -(-slabs * align // most), align)


def aligned_rows(align: int, wanted: int = BLOCK_ROWS) -> int:
    """Return the multiple of `align` that is at least `wanted`.

    Parameters
    ----------
    align : int
        What blocks begin at multiples of.
    wanted : int
        Rows at least.

    Returns
    -------
    int
        Rows.

    Examples
    --------
    >>> aligned_rows(384), aligned_rows(2048)
    (1152, 2048)
    """
    return -(-wanted // align) * align


def gaps(blocks: list[Rows], height: int) -> list[Rows]:
    """Return the rows of [0, height) between blocks that are sorted and do not overlap.

    Parameters
    ----------
    blocks : list of (int, int)
        (start, stop) of each.
    height : int
        Rows of the scene.

    Returns
    -------
    list of (int, int)
        (start, stop) of each block.

    Examples
    --------
    >>> gaps([(0, 10), (10, 20), (30, 40)], 50)
    [(20, 30), (40, 50)]
    """
    edges = [0, *(edge for block in blocks for edge in block), height]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]


def first_of(items: Iterable[Item], skipped: dict[Any, str]) -> list[Item]:
    """Return the items up to the first patch that really holds data, which is the last of them.

    Raises `PatchError` when there is none, with the first reason in `skipped`.

    Parameters
    ----------
    items : iterator of (int, Patch or None)
        Patches with their numbers, of which no more are taken.
    skipped : dict
        What went wrong with the patches that failed, by anchor.

    Returns
    -------
    list of (int, Patch or None)
        In their order.
    """
    seen: list[Item] = []
    for item in items:
        seen.append(item)
        if item[1] is not None and not isinstance(item[1].data, Failed):
            return seen
    if not seen:
        raise PatchError("there are no patches to merge")
    anchor, why = next(iter(skipped.items()), ("?", "unknown"))
    raise PatchError(f"all {len(seen)} patches failed, the first at anchor {anchor}: {why}")
