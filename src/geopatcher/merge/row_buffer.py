"""Rows that can still change: the one buffer in which overlapping chips are merged.

Chips come by rising row. The state of a merge (sums, counts, ...) lives in a buffer of rows that
rolls down the scene: rows above the current chip can get no more chips, so they are finished,
handed on and forgotten. Memory is O(chip height x scene width), whatever the scene's height.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from georeader.geotensor import GeoTensor
from rasterio import Affine
from rasterio.windows import Window

from geopatcher.domain import RasterDomain, crs_name, place_of
from geopatcher.merge.chip import Chip, invalid_of
from geopatcher.patch import Failed, Patch, PatchError, other_pixels
from pipekit.carrier import same_crs
from pipekit.pixels import invalid_mask, plain

Items = Iterator[tuple[int, Patch | None]]
"""Patches by rising row with their numbers; one that was skipped is None."""


def rectangle(patch: Patch) -> Patch:
    """Return a rectangular patch, or raise `PatchError` for anything else.

    Parameters
    ----------
    patch : Patch
        The patch.

    Returns
    -------
    Patch
        The same.
    """
    window = getattr(patch, "indices", None)
    if not isinstance(window, Window):
        raise PatchError(
            "patches with windows are needed to merge onto a raster, got "
            f"{type(patch).__name__} with {type(window).__name__} as its indices; rectangles and "
            "other patches cannot be merged together"
        )
    return patch


def chip_values(patch: Patch, domain: RasterDomain) -> tuple[np.ndarray, int, int, int, int]:
    """Return the patch's values cut to the domain, and where they go: row, col, rows, cols.

    Raises `PatchError` when the data has other pixels than the patch's window, or the patch
    does not lie on this domain.

    Parameters
    ----------
    patch : Patch
        The patch.
    domain : RasterDomain
        The raster to be.

    Returns
    -------
    (numpy.ndarray, int, int, int, int)
        Values (..., rows, cols), row, col, rows, cols.
    """
    window = rectangle(patch).indices
    row, col, height, width = window.row_off, window.col_off, window.height, window.width
    data = patch.data
    values = plain(data)
    if values.shape[-2:] != (height, width):
        raise other_pixels(patch, (height, width), "its window's")
    rows = min(height, domain.height - row)
    cols = min(width, domain.width - col)
    if row < 0 or col < 0 or rows < 1 or cols < 1:
        raise PatchError(
            f"the patch at anchor {patch.anchor} lies outside the domain of "
            f"{domain.height} x {domain.width} pixels; was it cut from another scene?"
        )
    if domain.transform is not None:
        place = data if isinstance(data, GeoTensor) else getattr(data, "domain", None)
        if isinstance(place, GeoTensor | RasterDomain) and place.transform is not None:
            _check_place(place, place_of(domain.transform, row, col), domain.crs, patch)
    if rows < height or cols < width:
        values = values[..., :rows, :cols]
    return values, row, col, rows, cols


def _check_place(chip: GeoTensor | RasterDomain, here: Affine, crs: Any, patch: Patch) -> None:
    """Raise `PatchError` when a georeferenced chip lies elsewhere than its window on the domain."""
    own: Any = chip.transform
    off = abs(own.c - here.c) + abs(own.f - here.f)
    stretch = abs(own.a - here.a) + abs(own.b - here.b) + abs(own.d - here.d) + abs(own.e - here.e)
    far = max(off, stretch * max(chip.shape[-2:])) > 0.01 * (abs(here.a) + abs(here.b))
    if far or not same_crs(chip.crs, crs, unknown_fits=True):
        raise PatchError(
            f"the patch at anchor {patch.anchor} begins at ({own.c}, {own.f}) in "
            f"{crs_name(chip.crs)}, its place on this domain at ({here.c}, {here.f}) in "
            f"{crs_name(crs)}; it has pixels of ({own.a:g}, {own.e:g}), this domain of "
            f"({here.a:g}, {here.e:g}): it was cut from another scene"
        )


def check_lead(values: np.ndarray, lead: tuple[int, ...], patch: Patch) -> None:
    """Raise `PatchError` when a patch's leading axes differ from those of the first one.

    Parameters
    ----------
    values : numpy.ndarray
        The patch's values (*lead, h, w).
    lead : tuple of int
        Leading axes of the first patch.
    patch : Patch
        The patch.
    """
    if values.shape[:-2] != lead and not isinstance(patch.data, Failed):
        raise PatchError(
            f"patches of one kind are needed to merge: the first gave {lead} before its pixels, "
            f"the one at anchor {patch.anchor} gives {values.shape[:-2]}"
        )


Rows = tuple[int, int]
"""(start, stop) of a block of rows."""

Write = Callable[[int, np.ndarray], None]
"""Takes finished rows: the first row's number, and values (..., n, W) that it must not keep."""

Spec = tuple[tuple[int, ...], Any]
"""(leading shape, dtype) of an array that ends in rows and columns."""

_GAP_ROWS = 256
"""Rows that are handed on at a time where no chip lies."""


@runtime_checkable
class Reducer(Protocol):
    """An aggregation whose result at a pixel needs only the chips that cover it.

    It may have more: `settled(chip)` returns the reducer for such chips, or raises `PatchError`
    where it takes none. `deeper(states, values)` returns the (leading shape, dtype) of deeper
    states where a chip needs more room, else None. `update_valid(states, values, weights, valid)`
    takes a chip's valid pixels alone, (h, w), or (*lead, h, w) where bands differ; `joint` then
    says that a pixel counts with all its bands or not at all. Without it nodata is a number like
    others.
    """

    def result(self, lead: tuple[int, ...], dtype: np.dtype) -> Spec:
        """Return (leading shape, dtype) of the result for chips (*lead, h, w) of a dtype.

        Parameters
        ----------
        lead : tuple of int
            The chips' axes before rows and columns.
        dtype : numpy.dtype
            The chips' type.

        Returns
        -------
        (tuple of int, dtype)
            Leading shape and type of the result.
        """

    def start(self, lead: tuple[int, ...], dtype: np.dtype) -> list[Spec]:
        """Return (leading shape, dtype) of each state array for chips (*lead, h, w).

        Parameters
        ----------
        lead : tuple of int
            The chips' axes before rows and columns.
        dtype : numpy.dtype
            The chips' type.

        Returns
        -------
        list of (tuple of int, dtype)
            Leading shape and type of each state.
        """

    def update(self, states: Sequence[np.ndarray], values: np.ndarray, weights: Any) -> None:
        """Take one chip into the states' views (..., h, w).

        Parameters
        ----------
        states : sequence of numpy.ndarray
            The states under the chip, (*lead, h, w) each, changed in place.
        values : numpy.ndarray
            The chip's values (*lead, h, w).
        weights : numpy.ndarray, optional
            The chip's weights (h, w).
        """

    def finish(self, states: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
        """Return the finished rows (..., rows, W) and how many of their pixels are covered.

        Parameters
        ----------
        states : sequence of numpy.ndarray
            The states of finished rows, (*lead, rows, W) each.

        Returns
        -------
        (numpy.ndarray, int)
            The result (..., rows, W), and how many of its pixels are covered.
        """

    def fill_for(self, dtype: np.dtype) -> Any:
        """Return the value of pixels that no chip covers in a result of `dtype`.

        Parameters
        ----------
        dtype : numpy.dtype
            The result's type.

        Returns
        -------
        number
            What marks pixels without data.
        """


def settled(reducer: Reducer, chip: Chip) -> Reducer:
    """Return a reducer that knows what the chips are like, where it asks for that.

    Parameters
    ----------
    reducer : Reducer
        How overlapping chips become one value.
    chip : Chip
        What the chips are like.

    Returns
    -------
    Reducer
        The same, or one for such chips.
    """
    own = getattr(reducer, "settled", None)
    return reducer if own is None else own(chip)


class RowBuffer:
    """Arrays over the rows that can still change, from row `top` down.

    Rows that the buffer grows by are zero, or with `zeros=False` undefined.
    """

    def __init__(self, specs: Sequence[Spec], top: int, width: int, zeros: bool = True) -> None:
        self.top = self.bottom = self._first = top
        self._zeros = zeros
        self._rolls = True
        self.arrays = [np.empty((*lead, 0, width), dtype) for lead, dtype in specs]

    @classmethod
    def over(cls, out: np.ndarray, top: int) -> RowBuffer:
        """Return a buffer whose rows are those of `out` (..., n, W) itself: none is copied.

        Parameters
        ----------
        out : numpy.ndarray
            (..., stop - start, W), written in place.
        top : int
            The number of its first row.

        Returns
        -------
        RowBuffer
            Over the same memory.
        """
        buffer = cls([], top, out.shape[-1], zeros=False)
        buffer.arrays, buffer._rolls = [out], False
        buffer.bottom = top + out.shape[-2]
        return buffer

    def views(self, row: int, rows: int) -> list[np.ndarray]:
        """Return each array's rows (..., rows, W) from `row` on, growing downward as needed.

        Parameters
        ----------
        row : int
            The first row.
        rows : int
            How many rows.

        Returns
        -------
        list of numpy.ndarray
            Views.
        """
        place = self.place(row, rows)
        return [array[..., place, :] for array in self.arrays]

    def place(self, row: int, rows: int) -> slice:
        """Return where rows from `row` on lie in the arrays, growing downward as needed.

        Parameters
        ----------
        row : int
            The first row.
        rows : int
            How many rows.

        Returns
        -------
        slice
            Along the rows of `arrays`.
        """
        if row + rows > self.bottom:
            self._extend(row + rows)
        return slice(row - self._first, row - self._first + rows)

    def finish_above(self, row: int) -> Iterator[tuple[int, list[np.ndarray]]]:
        """Yield (first row, arrays) of the rows above `row`, and forget them.

        Parameters
        ----------
        row : int
            The first row that can still change.

        Returns
        -------
        iterator of (int, list of numpy.ndarray)
            The first row, and the arrays (..., n, W).
        """
        while self.top < row:
            if self.bottom == self.top:
                self._extend(min(row, self.top + _GAP_ROWS))
            top, stop = self.top, min(row, self.bottom)
            yield top, self.views(top, stop - top)
            held = self.bottom - stop
            self.top = stop
            if self._rolls:
                first, self._first = stop - self._first, stop
                for array in self.arrays:
                    array[..., :held, :] = array[..., first : first + held, :]

    def _extend(self, bottom: int) -> None:
        held, wanted = self.bottom - self._first, bottom - self._first
        if wanted > self.arrays[0].shape[-2]:
            self.arrays = [_taller(array, held, wanted) for array in self.arrays]
        if self._zeros:
            for array in self.arrays:
                array[..., held:wanted, :] = 0
        self.bottom = bottom


def _taller(array: np.ndarray, held: int, rows: int) -> np.ndarray:
    """Return an array of `rows` rows whose first `held` rows are those of `array`."""
    taller = np.empty((*array.shape[:-2], rows, array.shape[-1]), array.dtype)
    taller[..., :held, :] = array[..., :held, :]
    return taller


def take(
    reducer: Reducer,
    states: list[np.ndarray],
    under: Any,
    values: np.ndarray,
    weights: Any,
    invalid: np.ndarray | None = None,
) -> None:
    """Take one chip into a reducer's states, which are deepened where it needs more room.

    Parameters
    ----------
    reducer : Reducer
        What the states are of.
    states : list of numpy.ndarray
        The states of a raster or a set; deeper ones are put into the list.
    under : index
        Where the chip lies in them.
    values, weights : numpy.ndarray
        The chip's, which fit what lies under it; weights may be None, and 0 does not count.
    invalid : numpy.ndarray, optional
        Where values are nodata, of their shape; None where all count.
    """
    valid, update_valid = None, getattr(reducer, "update_valid", None)
    if weights is not None and not np.all(weights):
        nothing = np.broadcast_to(np.equal(weights, 0), values.shape)
        invalid = nothing if invalid is None else invalid | nothing
    if invalid is not None and update_valid is not None:
        valid = _valid(invalid, getattr(reducer, "joint", False))
        if valid.ndim > 2:  # bands differ: what was counted for all is counted for each
            for number, state in enumerate(states):
                if state.ndim == 2:
                    states[number] = np.broadcast_to(state, values.shape[:-2] + state.shape).copy()
    parts = [state[under] for state in states]
    deeper = getattr(reducer, "deeper", None)
    specs = None if deeper is None else deeper(parts, values)
    if specs is not None:
        for number, (lead, _) in enumerate(specs):
            old = states[number]
            states[number] = np.zeros((*lead, *old.shape[len(lead) :]), old.dtype)
            states[number][tuple(slice(n) for n in old.shape)] = old
        parts = [state[under] for state in states]
    if valid is None:
        reducer.update(parts, values, weights)
    elif update_valid is not None:
        update_valid(parts, values, weights, valid)
    for state, part in zip(states, parts, strict=True):
        state[under] = part  # nothing is copied where it is a view, but for positions it is none


def _valid(invalid: np.ndarray, joint: bool) -> np.ndarray:
    """Return which pixels count: (h, w) where that is the same in all bands, or must be."""
    if invalid.ndim == 2:
        return ~invalid
    bands = invalid.reshape(-1, *invalid.shape[-2:])
    one = np.logical_or.reduce(bands)
    if joint or (bands == one).all():
        return ~one
    return ~invalid


@dataclass(frozen=True)
class RowMerge:
    """Makes rows of chips by rising row, with a reducer's states in a buffer of rows.

    Parameters
    ----------
    reducer : Reducer
        How overlapping chips become one value.
    domain : RasterDomain
        The raster (..., H, W) to be.
    chip : Chip
        What the chips are like.
    """

    reducer: Reducer
    domain: RasterDomain
    chip: Chip

    @property
    def spec(self) -> Spec:
        """(leading shape, dtype) of the raster."""
        return self.reducer.result(*self.chip[:2])

    def run(self, items: Items, rows: Rows, write: Write) -> int:
        """Merge the chips that touch output rows [start, stop).

        Parameters
        ----------
        items : iterator of (int, Patch or None)
            The chips by rising row; one that was skipped is None.
        rows : (start, stop)
            The output rows.
        write : callable
            `write(row, values)` gets finished rows (..., n, W) from the top down, each once.

        Returns
        -------
        int
            Pixels covered.

        Raises
        ------
        PatchError
            For a chip of another kind or domain, or one that comes after its rows were finished.
        """
        start, stop = rows
        lead, dtype = self.chip[:2]
        # The first of its arrays tells where chips hold nodata.
        kept = [((), bool), *self.reducer.start(lead, dtype)]
        buffer, covered = RowBuffer(kept, start, self.domain.width), 0
        for _, patch in items:
            if patch is None:
                continue
            values, row, col, height, width = chip_values(patch, self.domain)
            check_lead(values, lead, patch)
            invalid = invalid_of(patch, values)
            top, bottom = max(row, start), min(row + height, stop)
            if top < buffer.top:
                raise PatchError(
                    f"patches of an iterator must arrive by rising row, got the one at anchor "
                    f"{patch.anchor} after row {buffer.top} was finished; pass a list or a stream, "
                    "which is sorted here"
                )
            if top - buffer.top >= height:  # in slabs of a chip: rolling row by row would copy more
                covered += self._reduce_above(buffer, top, write)
            keep = slice(top - row, bottom - row)
            values = values[..., keep, :]
            weights = patch.weights
            if weights is not None:
                weights = weights[:height, :width][keep]
            under = (..., buffer.place(top, bottom - top), slice(col, col + width))
            met, *states = buffer.arrays
            if invalid is not None:
                invalid = invalid[..., keep, :]
                np.logical_or(met[under], has_chips(invalid, values, self.reducer), out=met[under])
            take(self.reducer, states, under, values, weights, invalid)
            buffer.arrays[1:] = states
        return covered + self._reduce_above(buffer, stop, write)

    def fill(self, items: Items, rows: Rows, out: np.ndarray) -> int:
        """Merge chips into `out` (..., stop - start, W); return pixels covered.

        Parameters
        ----------
        items : iterator of (int, Patch or None)
            The chips by rising row with their numbers.
        rows : (start, stop)
            The output rows.
        out : numpy.ndarray
            (..., stop - start, W), written in place.

        Returns
        -------
        int
            Pixels covered.
        """
        return self.run(items, rows, writing_to(out, rows[0]))

    def _reduce_above(self, buffer: RowBuffer, row: int, write: Write) -> int:
        """Finish the rows above `row` and hand them on; return their pixels covered."""
        covered = 0
        for top, (met, *states) in buffer.finish_above(row):
            finished, pixels = self.reducer.finish(states)
            finished = finished.astype(self.spec[1], copy=False)
            write(top, finished)
            covered += pixels + covered_by_nodata(finished, met, self.reducer)
        return covered


def has_chips(invalid: np.ndarray, values: np.ndarray, reducer: Reducer) -> Any:
    """Return where a chip's nodata covers pixels, (h, w) bool; what does not vote does not.

    Parameters
    ----------
    invalid : numpy.ndarray
        Where values are nodata, of their shape.
    values : numpy.ndarray
        The chip's values (*lead, h, w).
    reducer : Reducer
        How overlapping chips become one value.
    """
    votes = getattr(reducer, "makes", None) == "class"
    if votes and (getattr(reducer, "joint", False) or values.dtype.kind == "f"):
        return np.False_
    return invalid.any(axis=tuple(range(invalid.ndim - 2)))


def covered_by_nodata(finished: np.ndarray, met: np.ndarray, reducer: Reducer) -> int:
    """Return how many pixels have chips, none of which has data there.

    Parameters
    ----------
    finished : numpy.ndarray
        The result (..., rows, W).
    met : numpy.ndarray
        (rows, W) bool: pixels where a chip has nodata.
    reducer : Reducer
        Which knows the fill value.
    """
    if not met.any():
        return 0
    empty = invalid_mask(finished, reducer.fill_for(finished.dtype))
    if empty is None:
        return 0
    return int((met & empty.reshape(-1, *met.shape).all(axis=0)).sum())


def writing_to(out: np.ndarray, top: int) -> Write:
    """Return a function that writes rows into `out`, whose first row is number `top`.

    Parameters
    ----------
    out : numpy.ndarray
        (..., n, W).
    top : int
        The number of its first row.

    Returns
    -------
    callable
        Takes (row, values).
    """

    def write(row: int, values: np.ndarray) -> None:
        out[..., row - top : row - top + values.shape[-2], :] = values

    return write


def in_row_order(patches: Iterable[Patch]) -> Iterable[Patch]:
    """Return patches by rising row: a sequence is sorted, an iterator is taken as it comes.

    Parameters
    ----------
    patches : iterable of Patch
        Rectangles.

    Returns
    -------
    iterable of Patch
        By rising row.
    """
    if isinstance(patches, Sequence):
        return sorted(map(rectangle, patches), key=lambda patch: patch.indices.row_off)
    return map(rectangle, patches)
