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

from geopatcher.domains import RasterDomain
from geopatcher.patch import Patch
from geopatcher.spatial.grid import RegularGrid
from geopatcher.spatial.merge import Items, Rows, chip_spec, writing_to
from geopatcher.spatial.rolling import Spec, Write
from geopatcher.spatial.target import check_lead, chip_values

# Shares below this are rounding: every chip that covered the pixel is missing.
_NO_SHARE = 1e-5


class WeightPlan:
    """The 2-D weights of every chip of a regular grid, built once for each kind of chip.

    >>> from geopatcher.spatial import SpatialHann
    >>> from geopatcher.spatial.grid import AxisGrid
    >>> axis = AxisGrid(length=20, size=8, step=6, boundary="drop")
    >>> plan = WeightPlan(RegularGrid(axis, axis), SpatialHann(), normalise=True)
    >>> plan.weights(4).shape, float(plan.weights(4)[4, 4])
    ((8, 8), 1.0)
    """

    def __init__(self, grid: RegularGrid, window: Any, normalise: bool) -> None:
        self.grid = grid
        self.columns = len(grid.cols.starts)
        self._rows = grid.rows.weights(window.profile(grid.rows.size), normalise)
        self._cols = grid.cols.weights(window.profile(grid.cols.size), normalise)
        self._outer: dict[tuple[int, int], np.ndarray] = {}

    def weights(self, index: int) -> np.ndarray:
        """Return chip `index`'s weights (h, w) float32, cut to the scene."""
        row, col = divmod(index, self.columns)
        along_rows, along_cols = self._rows[row], self._cols[col]
        key = (id(along_rows), id(along_cols))
        found = self._outer.get(key)
        if found is None:
            found = np.outer(along_rows, along_cols).astype(np.float32)
            self._outer[key] = found
        return found

    def fresh(self, index: int) -> tuple[int, int]:
        """Return (row, col) from which on no earlier chip has touched chip `index`'s pixels."""
        row, col = divmod(index, self.columns)
        return (
            self.grid.rows.stop(row - 1) if row else self.grid.rows.starts[0],
            self.grid.cols.stop(col - 1) if col else self.grid.cols.starts[0],
        )


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

    def sums(self, dtype: np.dtype) -> np.dtype:
        """Return the dtype in which chips of a dtype are summed."""

    def converted(self, values: np.ndarray) -> np.ndarray:
        """Return finished rows in the output's dtype."""


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
        lead, dtype = chip
        canvas = RollingCanvas((lead, self.sums.sums(dtype)), rows[0], self.domain.width)

        def converted(row: int, values: np.ndarray) -> None:
            write(row, self.sums.converted(values))

        return self._weave(items, rows, canvas, converted, lead)

    def fill(self, items: Items, rows: Rows, out: np.ndarray, chip: Spec) -> int:
        """Merge patches into `out` (..., stop - start, W); return pixels covered."""
        if out.dtype != self.sums.sums(chip[1]):
            return self.run(items, rows, writing_to(out, rows[0]), chip)
        return self._weave(items, rows, OpenCanvas(out, rows[0]), _keep, chip[0])

    def _weave(
        self, items: Items, rows: Rows, canvas: Canvas, write: Write, lead: tuple[int, ...]
    ) -> int:
        start, stop = rows
        missing: list[int] = []
        buffer = Product()
        done = start

        def flush(row: int) -> None:
            nonlocal done
            for top, values in canvas.finish_above(row):
                self._finish(top, values, missing)
                write(top, values)
            size = self.plan.grid.rows.size
            missing[:] = [i for i in missing if self.plan.grid.anchor(i)[0] + size > row]
            done = row

        for index, patch in items:
            row, col = self.plan.grid.anchor(index)
            if row - done >= self.plan.grid.rows.size:  # in slabs: each roll moves the rest up
                flush(row)
            first, last = max(row, start), min(row + self.plan.grid.rows.size, stop)
            if patch is None:
                missing.append(index)
                values = np.zeros((1, 1), np.float32)
                weights = self.plan.weights(index)
                last = min(last, row + weights.shape[0])
            else:
                values, row, col, height, _ = chip_values(patch, self.domain)
                check_lead(values, lead, patch)
                weights = self.plan.weights(index)
                last = min(last, row + height)
                if first > row or last < row + height:
                    values = values[..., first - row : last - row, :]
            weights = weights[first - row : last - row]
            target = canvas.view(first, last - first)[..., col : col + weights.shape[1]]
            fresh_row, fresh_col = self.plan.fresh(index)
            buffer.lay(target, values, weights, max(fresh_row - first, 0), max(fresh_col - col, 0))
        flush(stop)
        return self._covered(rows)

    def _covered(self, rows: Rows) -> int:
        counts = self.plan.grid.rows.counts[slice(*rows)]
        return int(np.count_nonzero(counts)) * int(np.count_nonzero(self.plan.grid.cols.counts))

    def _finish(self, top: int, values: np.ndarray, missing: list[int]) -> None:
        if missing and self.sums.normalize_by_window:
            self._give_to_neighbours(top, values, missing)
        grid = self.plan.grid
        empty_rows = grid.rows.counts[top : top + values.shape[-2]] == 0
        if empty_rows.any():
            values[..., empty_rows, :] = self.sums.gap
        empty_cols = grid.cols.counts == 0
        if empty_cols.any():
            values[..., empty_cols] = self.sums.gap

    def _give_to_neighbours(self, top: int, values: np.ndarray, missing: list[int]) -> None:
        """Divide by the weight that is left where chips are missing; fill where none is."""
        stop = top + values.shape[-2]
        left = np.ones((stop - top, values.shape[-1]), np.float32)
        for index in missing:
            row, col = self.plan.grid.anchor(index)
            weights = self.plan.weights(index)
            first, last = max(row, top), min(row + weights.shape[0], stop)
            if first < last:
                part = weights[first - row : last - row]
                left[first - top : last - top, col : col + part.shape[1]] -= part
        gone = left < _NO_SHARE
        left[gone] = 1
        np.divide(values, left, out=values)
        values[..., gone] = self.sums.gap


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
        product = self._room(target)
        np.multiply(values, weights, out=product)
        height, width = target.shape[-2:]
        top, left = min(top, height), min(left, width)
        if top:
            _add(target[..., :top, :], product[..., :top, :])
        if left:
            _add(target[..., top:, :left], product[..., top:, :left])
        target[..., top:, left:] = product[..., top:, left:]

    def _room(self, target: np.ndarray) -> np.ndarray:
        if self._buffer.size < target.size or self._buffer.dtype != target.dtype:
            self._buffer = np.empty(target.size, target.dtype)
        return self._buffer[: target.size].reshape(target.shape)


def _add(target: np.ndarray, product: np.ndarray) -> None:
    np.add(target, product, out=target)


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
