"""One mechanism for every aggregation whose result at a pixel needs only its own patches.

Patches come by rising row. The state (sums, counts, ...) lives in a buffer of rows that rolls
down the scene: rows above the current patch can get no more patches, so they are finished,
handed on and forgotten. Memory is O(chip height x scene width), whatever the scene's height.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from geopatcher.domains import RasterDomain
from geopatcher.patch import Patch, PatchError
from geopatcher.spatial.target import check_lead, chip_values


class Reducer(Protocol):
    """What an aggregation tells the rolling buffer."""

    def result(self, lead: tuple[int, ...], dtype: np.dtype) -> tuple[tuple[int, ...], Any]:
        """Return (leading shape, dtype) of the result for chips (*lead, h, w) of a dtype."""

    def start(self, lead: tuple[int, ...], dtype: np.dtype) -> list[tuple[tuple[int, ...], Any]]:
        """Return (leading shape, dtype) of each state array for chips (*lead, h, w)."""

    def update(self, states: Sequence[np.ndarray], values: np.ndarray, weights: Any) -> None:
        """Take one chip into the states' views (..., h, w)."""

    def finish(self, states: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
        """Return the finished rows (..., rows, W) and how many of their pixels are covered."""


class RollingRows:
    """State arrays over the rows that can still change."""

    def __init__(self, specs: Sequence[tuple[tuple[int, ...], Any]], top: int, width: int) -> None:
        self.top = top
        self._specs = specs
        self._width = width
        self._states = [np.zeros((*lead, 0, width), dtype) for lead, dtype in specs]

    @property
    def bottom(self) -> int:
        """The row after the last one in the buffer."""
        return self.top + self._states[0].shape[-2]

    def views(self, row: int, rows: int, col: int, cols: int) -> list[np.ndarray]:
        """Return each state's part under a chip, growing the buffer downward as needed."""
        if row + rows > self.bottom:
            missing = row + rows - self.bottom
            self._states = [
                np.concatenate([s, np.zeros((*s.shape[:-2], missing, self._width), s.dtype)], -2)
                for s in self._states
            ]
        first = row - self.top
        return [s[..., first : first + rows, col : col + cols] for s in self._states]

    def finish_above(self, row: int) -> Iterator[tuple[int, list[np.ndarray]]]:
        """Yield (first row, states) of the rows above `row`, and forget them."""
        count = min(row, self.bottom) - self.top
        if count > 0:
            yield self.top, [s[..., :count, :] for s in self._states]
            kept = [s[..., count:, :] for s in self._states]
            rolled = []
            for state, rest in zip(self._states, kept, strict=True):
                remaining = rest.shape[-2]
                state[..., :remaining, :] = rest.copy()
                state[..., remaining:, :] = 0
                rolled.append(state)
            self._states = rolled
            self.top += count
        if row > self.top:
            rows = row - self.top
            yield self.top, [np.zeros((*lead, rows, self._width), d) for lead, d in self._specs]
            self.top = row


def in_row_order(patches: Iterable[Patch]) -> Iterable[Patch]:
    """Return patches by rising row: a sequence is sorted, an iterator is taken as it comes."""
    if isinstance(patches, Sequence):
        return sorted(patches, key=lambda patch: patch.indices.row_off)
    return patches


def reduce_rows(
    patches: Iterable[Patch],
    domain: RasterDomain,
    reducer: Reducer,
    rows: tuple[int, int],
    write: Callable[[int, np.ndarray], None],
    first: Patch,
) -> int:
    """Merge row-ordered patches into the output rows [start, stop); return pixels covered.

    `write(row, values)` gets the finished rows (..., n, W) from the top down, each once.
    `first` tells the chips' leading shape and dtype.
    """
    start, stop = rows
    values = np.asarray(first.data)
    lead = values.shape[:-2]
    buffer = RollingRows(reducer.start(lead, values.dtype), start, domain.width)
    covered = 0

    def flush(row: int) -> int:
        count = 0
        for top, states in buffer.finish_above(row):
            finished, pixels = reducer.finish(states)
            write(top, finished)
            count += pixels
        return count

    for patch in patches:
        values, row, col, height, width = chip_values(patch, domain)
        check_lead(values, lead, patch)
        above = max(start - row, 0)
        below = max(row + height - stop, 0)
        top = row + above
        if top < buffer.top:
            raise PatchError(
                f"patches of an iterator must arrive by rising row, got the one at anchor "
                f"{patch.anchor} after row {buffer.top} was finished; pass a list or a stream, "
                "which is sorted here"
            )
        if top - buffer.top >= height:  # in slabs of a chip: rolling row by row would copy more
            covered += flush(top)
        keep = slice(above, height - below)
        weights = patch.weights
        if weights is not None:
            weights = weights[:height, :width][keep]
        reducer.update(
            buffer.views(top, height - above - below, col, width), values[..., keep, :], weights
        )
    return covered + flush(stop)
