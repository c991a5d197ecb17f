"""Overlap-add on a regular grid: weights known beforehand, sums straight into the output.

Chips come in row-major order, so which part of a chip falls on untouched output is known: that
part is written, only the strips that overlap earlier chips are added. No weight image, no zeroed
output, no division.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from geopatcher.axes.axis import RegularGrid, Separable
from geopatcher.merge.chip import chip_nodata, invalid_of
from geopatcher.merge.row_buffer import (
    Items,
    RowBuffer,
    RowMerge,
    Rows,
    Write,
    check_lead,
    chip_values,
    writing_to,
)
from pipekit.pixels import equal_mask

CHIPS_IN_FLOAT32 = 15
"""Chips over a pixel whose float32 sum is right to 1e-6: n + 1 roundings of at most 2^-24."""

Missing = dict[int, np.ndarray | None]
"""Chips that lack pixels: where (..., h, w), or None for all of them."""

_NOTHING = np.zeros((1, 1), np.float32)


class ChipWeights:
    """The 2-D weights of every chip of a regular grid, built once for each kind of chip.

    Examples
    --------
    >>> from geopatcher import SpatialHann
    >>> from geopatcher.axes.axis import AxisGrid
    >>> axis = AxisGrid(length=20, size=8, step=6, boundary="drop")
    >>> weights = ChipWeights(RegularGrid(axis, axis), SpatialHann(), normalise=True)
    >>> weights.of(4).shape, float(weights.of(4)[4, 4])
    ((8, 8), 1.0)
    """

    def __init__(self, grid: RegularGrid, window: Separable, normalise: bool) -> None:
        self.grid = grid
        self.columns = len(grid.cols.starts)
        self.most_chips = int(grid.rows.counts.max() * grid.cols.counts.max())
        self._rows, self._cols = (
            axis.weights(window.profile(axis.size), normalise) for axis in (grid.rows, grid.cols)
        )
        self._outer: dict[tuple[int, int], np.ndarray] = {}
        # From these rows and columns on no earlier chip has touched a chip's pixels.
        self.fresh_rows, self.fresh_cols = (
            [0, *(axis.stop(i) for i in range(len(axis.starts) - 1))]
            for axis in (grid.rows, grid.cols)
        )
        # Chips side by side that all count in full are laid out as they are.
        self.is_tiling = all(
            max(axis.counts) <= 1 and all(np.all(weights == 1) for weights in along)
            for axis, along in ((grid.rows, self._rows), (grid.cols, self._cols))
        )

    def of(self, index: int) -> np.ndarray:
        """Return chip `index`'s weights (h, w) float32, cut to the scene.

        Parameters
        ----------
        index : int
            The number of the chip, row-major.

        Returns
        -------
        numpy.ndarray
            (h, w) float32; chips of one kind share it.
        """
        row, col = divmod(index, self.columns)
        along_rows, along_cols = self._rows[row], self._cols[col]
        key = (id(along_rows), id(along_cols))
        found = self._outer.get(key)
        if found is None:
            found = np.empty((along_rows.size, along_cols.size), np.float32)
            np.multiply(along_rows[:, None], along_cols, out=found, casting="same_kind")
            self._outer[key] = found
        return found


def at_least_float32(dtype: np.dtype) -> np.dtype:
    """Return the float type that holds a dtype's numbers as they are, float32 at least.

    Whole numbers of more than two bytes need float64: float32 rounds them from 2^24 on.

    Parameters
    ----------
    dtype : dtype
        Of the values.

    Returns
    -------
    numpy.dtype
        Of their sums.
    """
    dtype = np.dtype(dtype)
    if dtype.kind == "c" or (dtype.kind == "f" and dtype.itemsize > 4):
        return dtype
    wide = dtype.kind in "iu" and dtype.itemsize > 2
    return np.dtype(np.float64 if wide else np.float32)


@dataclass(frozen=True)
class GridMerge(RowMerge):
    """Overlap-add of a regular grid's chips, whose `weights` under a window are known.

    Parameters
    ----------
    reducer : SpatialOverlapAdd
        What the sums become.
    weights : ChipWeights
        Known beforehand.
    """

    reducer: Any
    weights: ChipWeights

    def run(self, items: Items, rows: Rows, write: Write) -> int:
        """Merge chips into rows, handing each on once; return pixels covered."""
        lead, dtype = self.spec
        buffer = RowBuffer([(lead, self._sum_dtype)], rows[0], self.domain.width, zeros=False)

        def converted(row: int, values: np.ndarray) -> None:
            write(row, self.reducer.converted(values).astype(dtype, copy=False))

        return self._add_up(items, rows, buffer, converted)

    def fill(self, items: Items, rows: Rows, out: np.ndarray) -> int:
        """Merge chips into `out` (..., stop - start, W); return pixels covered."""
        if out.dtype != self._sum_dtype:
            return self.run(items, rows, writing_to(out, rows[0]))
        return self._add_up(items, rows, RowBuffer.over(out, rows[0]), _keep)

    @property
    def _sum_dtype(self) -> np.dtype:
        dtype = np.dtype(self.chip[1])
        if self.weights.most_chips <= CHIPS_IN_FLOAT32:
            return at_least_float32(dtype)
        return np.result_type(dtype, np.float64)

    def _add_up(self, items: Items, rows: Rows, buffer: RowBuffer, write: Write) -> int:
        """Add chips up in the buffer, finishing rows in slabs of a chip's height."""
        grid, lead, columns = self.weights.grid, self.chip[0], self.weights.columns
        start, stop = rows
        missing: Missing = {}
        product, tiling = _Product(), self.weights.is_tiling
        chip_row = -1
        for index, patch in items:
            if index // columns != chip_row:
                chip_row = index // columns
                row = grid.rows.starts[chip_row]
                if row - buffer.top >= grid.rows.size:  # each time the buffer rolls it is copied
                    self._flush(row, buffer, write, missing)
                first, last = max(row, start), min(grid.rows.stop(chip_row), stop)
                keep = slice(first - row, last - row)
                whole = keep == slice(0, grid.rows.size)
                band = buffer.views(first, last - first)[0]
                fresh_row = max(self.weights.fresh_rows[chip_row] - first, 0)
            weights = self.weights.of(index)
            col = grid.cols.starts[index % columns]
            if patch is None:
                missing[index] = None
                values, invalid = _NOTHING, None
            else:
                values = chip_values(patch, self.domain)[0]
                if values.shape[:-2] != lead:
                    check_lead(values, lead, patch)
                if tiling:  # NaN is laid out as it is
                    invalid = equal_mask(values, chip_nodata(patch.data))
                elif (invalid := invalid_of(patch, values)) is not None:
                    missing[index] = invalid
                    values = np.where(invalid, 0, values)
                if not whole:
                    values = values[..., keep, :]
            if not whole:
                weights = weights[keep]
            under = band[..., col : col + weights.shape[1]]
            if tiling:
                under[...] = values
                if invalid is not None:
                    under[invalid[..., keep, :]] = self.reducer.gap
            else:
                fresh_col = self.weights.fresh_cols[index % columns] - col
                product.add(under, values, weights, fresh_row, fresh_col)
            # The next chip is made before these names get it: in this one's memory, still in cache.
            del patch, values, invalid
        self._flush(stop, buffer, write, missing)
        covered_rows = np.count_nonzero(grid.rows.counts[start:stop])
        return int(covered_rows) * int(np.count_nonzero(grid.cols.counts))

    def _flush(self, row: int, buffer: RowBuffer, write: Write, missing: Missing) -> None:
        """Finish the rows above `row` and hand them on."""
        for top, (values,) in buffer.finish_above(row):
            self._finish(top, values, missing)
            write(top, values)
        grid = self.weights.grid
        for index in [i for i in missing if grid.anchor(i)[0] + grid.rows.size <= row]:
            del missing[index]

    def _finish(self, top: int, values: np.ndarray, missing: Missing) -> None:
        if missing:
            self._give_to_neighbours(top, values, missing)
        grid = self.weights.grid
        values[..., grid.rows.counts[top : top + values.shape[-2]] == 0, :] = self.reducer.gap
        values[..., grid.cols.counts == 0] = self.reducer.gap
        if self.reducer.gap == self.reducer.gap:  # a number marks nodata, so NaN does not
            np.copyto(values, self.reducer.gap, where=np.isnan(values))

    def _give_to_neighbours(self, top: int, values: np.ndarray, missing: Missing) -> None:
        """Divide by the weights that are left where chips lack pixels; fill where none is."""
        grid, columns = self.weights.grid, self.weights.columns
        stop = top + values.shape[-2]
        by_band = any(mask is not None for mask in missing.values())
        # Added up, not taken from 1: next to a missing chip they are as small as its rounding.
        left = np.zeros(values.shape if by_band else values.shape[-2:], np.float32)
        touched = np.zeros(left.shape, bool)
        for chip_row, row in enumerate(grid.rows.starts):
            first, last = max(row, top), min(row + grid.rows.size, stop)
            if first >= last:
                continue
            for index, col in enumerate(grid.cols.starts, start=chip_row * columns):
                part = self.weights.of(index)[first - row : last - row]
                place = (..., slice(first - top, last - top), slice(col, col + part.shape[1]))
                if index not in missing:
                    left[place] += part
                elif (mask := missing[index]) is None:
                    touched[place] = True
                else:
                    mask = mask[..., first - row : last - row, :]
                    touched[place] |= mask
                    left[place] += part * ~mask
        np.copyto(values, self.reducer.gap, where=touched & (left == 0))
        if self.reducer.normalize_by_window:
            np.divide(values, left, out=values, where=touched & (left > 0))


def _keep(row: int, values: np.ndarray) -> None:
    """Leave finished rows where they are: in the output itself."""


class _Product:
    """One chip-sized buffer, reused: chips of a grid are alike.

    The whole chip is multiplied there before it is added in parts: on contiguous memory that
    takes a third of the time of multiplying the parts where they lie.
    """

    def __init__(self) -> None:
        self._buffer = np.empty(0, np.float32)

    def add(
        self, under: np.ndarray, values: np.ndarray, weights: np.ndarray, top: int, left: int
    ) -> None:
        """Add values x weights to `under` in its first rows and columns; write the rest."""
        product = self._buffer
        if product.shape != under.shape or product.dtype != under.dtype:
            product = self._buffer = np.empty(under.shape, under.dtype)
        np.multiply(values, weights, product)
        if top > 0:
            under[..., :top, :] += product[..., :top, :]
            under, product = under[..., top:, :], product[..., top:, :]
        if left > 0:
            under[..., :left] += product[..., :left]
            under, product = under[..., left:], product[..., left:]
        under[...] = product
