"""Overlap-add on a regular grid: weights known beforehand, sums straight into the output.

Chips come in row-major order, so which part of a chip falls on untouched output is known: that
part is written, only the strips that overlap earlier chips are added. No weight image, no zeroed
output, no division.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from geopatcher.axes.grid import RegularGrid
from geopatcher.domain import RasterDomain
from geopatcher.merge.chips import check_lead, chip_values
from geopatcher.merge.row_buffer import Spec, Write
from geopatcher.merge.rows import Items, Rows, chip_spec, writing_to
from geopatcher.patch import Patch

_NOTHING = np.zeros((1, 1), np.float32)


class WeightPlan:
    """The 2-D weights of every chip of a regular grid, built once for each kind of chip.

    >>> from geopatcher.axes import SpatialHann
    >>> from geopatcher.axes.grid import AxisGrid
    >>> axis = AxisGrid(length=20, size=8, step=6, boundary="drop")
    >>> plan = WeightPlan(RegularGrid(axis, axis), SpatialHann(), normalise=True)
    >>> plan.weights(4).shape, float(plan.weights(4)[4, 4])
    ((8, 8), 1.0)
    """

    def __init__(self, grid: RegularGrid, window: Any, normalise: bool) -> None:
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

    def weights(self, index: int) -> np.ndarray:
        """Return chip `index`'s weights (h, w) float32, cut to the scene."""
        row, col = divmod(index, self.columns)
        along_rows, along_cols = self._rows[row], self._cols[col]
        key = (id(along_rows), id(along_cols))
        found = self._outer.get(key)
        if found is None:
            found = np.empty((along_rows.size, along_cols.size), np.float32)
            np.multiply(along_rows[:, None], along_cols, out=found, casting="same_kind")
            self._outer[key] = found
        return found


class Canvas(Protocol):
    """The rows that can still change: a rolling buffer, or the output itself."""

    def view(self, row: int, rows: int) -> np.ndarray:
        """Return rows (..., rows, W) from `row` on."""

    def finish_above(self, row: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (first row, values) of the rows above `row` that were not finished before."""


class Sums(Protocol):
    """What overlap-add tells about its sums."""

    @property
    def normalize_by_window(self) -> bool:
        """Whether sums are divided by the sums of the weights."""

    @property
    def gap(self) -> float:
        """The value of pixels without a chip."""

    def result(self, lead: tuple[int, ...], dtype: np.dtype) -> Spec:
        """Return (leading shape, dtype) of the result for chips (*lead, h, w) of a dtype."""

    def sums(self, dtype: np.dtype, chips: int) -> np.dtype:
        """Return the dtype in which chips of a dtype are summed, at most `chips` over a pixel."""

    def converted(self, values: np.ndarray) -> np.ndarray:
        """Return finished rows, rounded and clipped where the output's dtype is of integers."""


@dataclass(frozen=True)
class WovenMerge:
    """Overlap-add of a regular grid's chips under a separable window."""

    plan: WeightPlan
    domain: RasterDomain
    sums: Sums

    def result(self, first: Patch) -> Spec:
        """Return (leading shape, dtype) of the raster, given a patch."""
        return self.sums.result(*chip_spec(first))

    def run(self, items: Items, rows: Rows, write: Write, chip: Spec) -> int:
        """Merge patches into rows, handing each on once; return pixels covered."""
        lead, dtype = self.sums.result(*chip)
        canvas = RollingCanvas((lead, self._sum_dtype(chip)), rows[0], self.domain.width)

        def converted(row: int, values: np.ndarray) -> None:
            write(row, self.sums.converted(values).astype(dtype, copy=False))

        return self._weave(items, rows, canvas, converted, lead)

    def fill(self, items: Items, rows: Rows, out: np.ndarray, chip: Spec) -> int:
        """Merge patches into `out` (..., stop - start, W); return pixels covered."""
        if out.dtype != self._sum_dtype(chip):
            return self.run(items, rows, writing_to(out, rows[0]), chip)
        return self._weave(items, rows, OpenCanvas(out, rows[0]), _keep, chip[0])

    def _sum_dtype(self, chip: Spec) -> np.dtype:
        return self.sums.sums(chip[1], self.plan.most_chips)

    def _weave(
        self, items: Items, rows: Rows, canvas: Canvas, write: Write, lead: tuple[int, ...]
    ) -> int:
        plan, grid = self.plan, self.plan.grid
        start, stop = rows
        size, columns = grid.rows.size, plan.columns
        missing: list[int] = []
        product = Product()
        done, chip_row = start, -1

        for index, patch in items:
            if index // columns != chip_row:
                chip_row = index // columns
                row = grid.rows.starts[chip_row]
                if row - done >= size:  # in slabs: each roll moves the rest up
                    self._flush(row, canvas, write, missing)
                    done = row
                first, last = max(row, start), min(grid.rows.stop(chip_row), stop)
                keep = slice(first - row, last - row)
                whole = keep == slice(0, size)
                band = canvas.view(first, last - first)
                fresh_row = max(plan.fresh_rows[chip_row] - first, 0)
            weights = plan.weights(index)
            col = grid.cols.starts[index % columns]
            if patch is None:
                missing.append(index)
                values = _NOTHING
            else:
                values = chip_values(patch, self.domain)[0]
                if values.shape[:-2] != lead:
                    check_lead(values, lead, patch)
                if not whole:
                    values = values[..., keep, :]
            if not whole:
                weights = weights[keep]
            target = band[..., col : col + weights.shape[1]]
            if plan.is_tiling:
                target[...] = values
                continue
            product.lay(target, values, weights, fresh_row, plan.fresh_cols[index % columns] - col)
        self._flush(stop, canvas, write, missing)
        return self._covered(rows)

    def _flush(self, row: int, canvas: Canvas, write: Write, missing: list[int]) -> None:
        """Finish the rows above `row` and hand them on."""
        for top, values in canvas.finish_above(row):
            self._finish(top, values, missing)
            write(top, values)
        size = self.plan.grid.rows.size
        missing[:] = [i for i in missing if self.plan.grid.anchor(i)[0] + size > row]

    def _covered(self, rows: Rows) -> int:
        counts = self.plan.grid.rows.counts[slice(*rows)]
        return int(np.count_nonzero(counts)) * int(np.count_nonzero(self.plan.grid.cols.counts))

    def _finish(self, top: int, values: np.ndarray, missing: list[int]) -> None:
        if missing:
            self._give_to_neighbours(top, values, set(missing))
        grid = self.plan.grid
        empty_rows = grid.rows.counts[top : top + values.shape[-2]] == 0
        if empty_rows.any():
            values[..., empty_rows, :] = self.sums.gap
        empty_cols = grid.cols.counts == 0
        if empty_cols.any():
            values[..., empty_cols] = self.sums.gap

    def _give_to_neighbours(self, top: int, values: np.ndarray, missing: set[int]) -> None:
        """Divide by the weights that are left where chips are missing; fill where none is."""
        plan, stop = self.plan, top + values.shape[-2]
        # Added up, not taken from 1: next to a missing chip they are as small as its rounding.
        left = np.zeros((stop - top, values.shape[-1]), np.float32)
        touched = np.zeros(left.shape, bool)
        for chip_row, row in enumerate(plan.grid.rows.starts):
            first, last = max(row, top), min(row + plan.grid.rows.size, stop)
            if first >= last:
                continue
            for index, col in enumerate(plan.grid.cols.starts, start=chip_row * plan.columns):
                part = plan.weights(index)[first - row : last - row]
                place = slice(first - top, last - top), slice(col, col + part.shape[1])
                if index in missing:
                    touched[place] = True
                else:
                    left[place] += part
        values[..., touched & (left == 0)] = self.sums.gap
        if self.sums.normalize_by_window:
            np.divide(values, left, out=values, where=touched & (left > 0))


def _keep(row: int, values: np.ndarray) -> None:
    """Leave finished rows where they are: in the output itself."""


class Product:
    """One chip-sized buffer, reused: chips of a grid are alike.

    The whole chip is multiplied there before it is laid out in parts: on contiguous memory that
    takes a third of the time of multiplying the parts where they lie.
    """

    def __init__(self) -> None:
        self._buffer = np.empty(0, np.float32)

    def lay(
        self, target: np.ndarray, values: np.ndarray, weights: np.ndarray, top: int, left: int
    ) -> None:
        """Put values x weights on `target`: add in its first rows and columns, else write."""
        product = self._buffer
        if product.shape != target.shape or product.dtype != target.dtype:
            product = self._buffer = np.empty(target.shape, target.dtype)
        np.multiply(values, weights, product)
        if top > 0:
            _add(target[..., :top, :], product[..., :top, :])
            target, product = target[..., top:, :], product[..., top:, :]
        if left > 0:
            _add(target[..., :left], product[..., :left])
            target, product = target[..., left:], product[..., left:]
        target[...] = product


def _add(target: np.ndarray, product: np.ndarray) -> None:
    np.add(target, product, target)


class RollingCanvas:
    """A buffer of rows that rolls down the scene; what no chip wrote yet is undefined."""

    def __init__(self, spec: Spec, top: int, width: int) -> None:
        lead, dtype = spec
        self.top = top
        self.bottom = top
        self._rows = np.empty((*lead, 0, width), dtype)

    def view(self, row: int, rows: int) -> np.ndarray:
        """Return rows (..., rows, W) from `row` on, growing the buffer downward as needed."""
        wanted = row + rows - self.top
        if wanted > self._rows.shape[-2]:
            held = self.bottom - self.top
            grown = np.empty(
                (*self._rows.shape[:-2], wanted, self._rows.shape[-1]), self._rows.dtype
            )
            grown[..., :held, :] = self._rows[..., :held, :]
            self._rows = grown
        self.bottom = max(self.bottom, row + rows)
        return self._rows[..., row - self.top : wanted, :]

    def finish_above(self, row: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (first row, values) of the rows above `row`, and forget them."""
        if row <= self.top:
            return
        values = self.view(self.top, row - self.top) if row > self.bottom else self._rows
        count = row - self.top
        yield self.top, values[..., :count, :]
        held = self.bottom - self.top
        self._rows[..., : held - count, :] = self._rows[..., count:held, :]
        self.top = row


class OpenCanvas:
    """The output rows themselves, from row `top` on."""

    def __init__(self, out: np.ndarray, top: int) -> None:
        self._out = out
        self._top = top
        self._done = top

    def view(self, row: int, rows: int) -> np.ndarray:
        """Return rows (..., rows, W) from `row` on."""
        return self._out[..., row - self._top : row - self._top + rows, :]

    def finish_above(self, row: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (first row, values) of the rows above `row` that were not finished before."""
        if row > self._done:
            yield self._done, self.view(self._done, row - self._done)
            self._done = row
