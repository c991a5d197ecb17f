"""What a merge makes of patches: in which order, by which rule, in which blocks of rows.

All of it is decided here, above splitting and merging: which merge turns the chips into rows,
which chips touch a block of rows, and where blocks begin; `layout` says which chips there are. A
chip on the line between two blocks is made for both; in return no two workers ever write one pixel,
and the result has the same bytes for any number of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from itertools import chain, pairwise
from typing import Any

import numpy as np

from geopatcher.axes.axis import Separable
from geopatcher.domain import RasterDomain
from geopatcher.layout import Layout, warn_of_seams
from geopatcher.merge.chip import Chip
from geopatcher.merge.regular_grid import ChipWeights, GridMerge, WeightedSums
from geopatcher.merge.row_buffer import (
    Items,
    Reducer,
    RowMerge,
    Rows,
    Write,
    in_row_order,
    settled,
)
from geopatcher.patch import Failed, Patch, PatchError
from geopatcher.stream import PatchStream
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
        self.patches, self._seam = patches, None
        nothing: list[Any] = []
        self._rest = (item for item in nothing)  # what comes after the first patch
        self._all: tuple[Items, tuple[int, Patch]] | None = None
        if isinstance(patches, PatchStream):
            layout = Layout(patches, domain, getattr(aggregation, "agrees", False))
            self.patches, self._seam = layout.stream, layout.seam
        self.stream = self.patches if isinstance(self.patches, PatchStream) else None

    @property
    def _begun(self) -> tuple[Items, tuple[int, Patch]]:
        """All patches by rising row, and the first of them that holds data, with its number.

        No `cached_property`: before Python 3.12 its lock is one for all plans, and the first chips
        of runs side by side would wait for each other.
        """
        if self._all is None:
            self._all = self._begin()
        return self._all

    def _begin(self) -> tuple[Items, tuple[int, Patch]]:
        if self.stream is None:
            return first_of(enumerate(in_row_order(self.patches)), {})
        stream = self.stream
        stream.skipped.clear()  # what failed when it was read before may go well now
        indices = iter(stream.touching((0, self.domain.height)))
        self._rest = stream.items(indices)
        # One by one up to the first, which is often all that is asked for, and no batch.
        looked = (item for index in indices for item in stream.items([index]))
        return first_of(looked, stream.skipped, self._rest)

    def warn_of_seams(self) -> None:
        """Warn, where the merge was asked for, of what operators see cut at the chips' borders."""
        warn_of_seams(self._seam)

    @property
    def first(self) -> Patch:
        """The first patch, in merging order, that really holds data."""
        return self._begun[1][1]

    @property
    def made(self) -> dict[int, Patch]:
        """That patch by its number, for a run that need not make it again."""
        return dict([self._begun[1]])

    @property
    def skipped(self) -> dict[Any, str]:
        """What went wrong with the patches that failed, by anchor."""
        return {} if self.stream is None else self.stream.skipped

    def row_merge(self, chip: Chip) -> RowMerge:
        """Return how chips become rows: with known weights where they lie on a grid.

        Parameters
        ----------
        chip : Chip
            What the chips are like.

        Returns
        -------
        RowMerge
            Or a `GridMerge`, which is one.
        """
        stream, domain, reducer = self.stream, self.domain, settled(self.aggregation, chip)
        grid = None if stream is None else stream.grid
        window = None if stream is None else stream.patcher.window
        if (
            grid is None
            or (grid.rows.length, grid.cols.length) != (domain.height, domain.width)
            or not isinstance(window, Separable)
            or not isinstance(reducer, WeightedSums)
        ):
            return RowMerge(reducer, domain, chip)
        if grid.covered_share < 1:
            reducer.check_can_hold_gaps(1 - grid.covered_share)
        weights = ChipWeights(grid, window, reducer.normalize_by_window)
        if not reducer.fits_grid(weights.is_tiling):
            return RowMerge(reducer, domain, chip)
        return GridMerge(reducer, domain, chip, weights)

    def fill(self, merge: RowMerge, out: np.ndarray) -> int:
        """Merge into `out` (..., H, W), its rows shared by workers; return pixels covered.

        Parameters
        ----------
        merge : RowMerge
            How chips become rows.
        out : numpy.ndarray
            (..., H, W), written in place.

        Returns
        -------
        int
            Pixels covered.
        """
        stream, height = self.stream, self.domain.height
        workers = 1 if stream is None else stream.workers
        chip_height = max(self.first.indices.height, 1)
        blocks = shares(height, max(1, min(workers, height // chip_height)))
        if stream is None or len(blocks) == 1:
            items = self._begun[0]
            with closing(self._rest):
                return merge.fill(items, (0, height), out)

        def fill(rows: Rows) -> int:
            with closing(stream.items(stream.touching(rows))) as items:
                return merge.fill(items, rows, out[..., slice(*rows), :])

        return sum(in_threads(fill, blocks, len(blocks)))

    def write(self, merge: RowMerge, begin: Callable[[], Write], align: int) -> int:
        """Hand rows on as soon as they are final; return pixels covered.

        One worker goes down the scene; several go down blocks of rows side by side, which begin at
        multiples of `align`. `begin()` returns what takes the rows of a block from its top down.

        Parameters
        ----------
        merge : RowMerge
            How chips become rows.
        begin : callable
            Returns what takes (row, values), once for each block.
        align : int
            What blocks begin at multiples of.

        Returns
        -------
        int
            Pixels covered.
        """
        stream, height = self.stream, self.domain.height
        if stream is None or stream.workers == 1:
            items = self._begun[0]
            with closing(self._rest):
                return merge.run(items, (0, height), begin())

        def write(rows: Rows) -> int:
            with closing(stream.items(stream.touching(rows))) as items:
                return merge.run(items, rows, begin())

        blocks = even_shares(height, aligned_rows(align), align)
        return sum(in_threads(write, blocks, stream.workers))


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


def first_of(
    items: Iterable[tuple[int, Patch | None]], skipped: dict[Any, str], rest: Items | None = None
) -> tuple[Items, tuple[int, Patch]]:
    """Return the items again, and the first patch that really holds data, with its number.

    Raises `PatchError` when there is none, with the first reason in `skipped`.

    Parameters
    ----------
    items : iterable of (int, Patch or None)
        Patches with their numbers.
    skipped : dict
        What went wrong with the patches that failed, by anchor.
    rest : iterator, optional
        What comes after the first; default what is left of `items`.

    Returns
    -------
    (iterator, (int, Patch))
        All items, and the first patch with data and its number.
    """
    items = iter(items)
    seen: list[tuple[int, Patch | None]] = []
    for item in items:
        seen.append(item)
        patch = item[1]
        if patch is not None and not isinstance(patch.data, Failed):
            return chain(seen, items if rest is None else rest), (item[0], patch)
    if not seen:
        raise PatchError("there are no patches to merge")
    anchor, why = next(iter(skipped.items()), ("?", "unknown"))
    raise PatchError(f"all {len(seen)} patches failed, the first at anchor {anchor}: {why}")
