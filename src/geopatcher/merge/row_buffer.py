"""One mechanism for every aggregation whose result at a pixel needs only its own patches.

Patches come by rising row. The state (sums, counts, ...) lives in a buffer of rows that rolls
down the scene: rows above the current patch can get no more patches, so they are finished,
handed on and forgotten. Memory is O(chip height x scene width), whatever the scene's height.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from geopatcher.domain import RasterDomain
from geopatcher.merge.chips import check_lead, chip_values, window_of
from geopatcher.patch import Patch, PatchError

Write = Callable[[int, np.ndarray], None]
"""Takes finished rows: the first row's number, and values (..., n, W) that it must not keep."""

Spec = tuple[tuple[int, ...], Any]
"""(leading shape, dtype) of an array that ends in rows and columns."""


class Reducer(Protocol):
    """What an aggregation tells the rolling buffer."""

    def result(self, lead: tuple[int, ...], dtype: np.dtype) -> Spec:
        """Return (leading shape, dtype) of the result for chips (*lead, h, w) of a dtype."""

    def start(self, lead: tuple[int, ...], dtype: np.dtype) -> list[Spec]:
        """Return (leading shape, dtype) of each state array for chips (*lead, h, w)."""

    def update(self, states: Sequence[np.ndarray], values: np.ndarray, weights: Any) -> None:
        """Take one chip into the states' views (..., h, w)."""

    def finish(self, states: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
        """Return the finished rows (..., rows, W) and how many of their pixels are covered."""


@runtime_checkable
class DeepeningReducer(Reducer, Protocol):
    """A reducer whose states grow, for instance to hold every value of a pixel."""

    def deeper(self, states: Sequence[np.ndarray], values: np.ndarray) -> list[Spec] | None:
        """Return the states' new (leading shape, dtype) when this chip needs more room."""


class RollingRows:
    """State arrays over the rows that can still change, zero where no patch came yet."""

    def __init__(self, specs: Sequence[Spec], top: int, width: int) -> None:
        self.top = top
        self.bottom = top
        self._specs = specs
        self._width = width
        self._states = [np.empty((*lead, 0, width), dtype) for lead, dtype in specs]

    def views(self, row: int, rows: int, col: int, cols: int) -> list[np.ndarray]:
        """Return each state's part under a chip, growing the buffer downward as needed."""
        if row + rows > self.bottom:
            self._extend(row + rows)
        first = row - self.top
        return [s[..., first : first + rows, col : col + cols] for s in self._states]

    def _extend(self, bottom: int) -> None:
        held, wanted = self.bottom - self.top, bottom - self.top
        if wanted > self._states[0].shape[-2]:
            self._states = [self._grown(state, held, wanted) for state in self._states]
        for state in self._states:
            state[..., held:wanted, :] = 0
        self.bottom = bottom

    def _grown(self, state: np.ndarray, held: int, wanted: int) -> np.ndarray:
        grown = np.empty((*state.shape[:-2], wanted, self._width), state.dtype)
        grown[..., :held, :] = state[..., :held, :]
        return grown

    def deepen(self, specs: Sequence[Spec]) -> None:
        """Give the states longer leading axes, zero where they are new."""
        deeper = []
        for state, (lead, dtype) in zip(self._states, specs, strict=True):
            grown = state
            if state.shape[:-2] != lead:
                grown = np.zeros((*lead, *state.shape[-2:]), dtype)
                grown[tuple(slice(n) for n in state.shape[:-2])] = state
            deeper.append(grown)
        self._states, self._specs = deeper, specs

    def finish_above(self, row: int) -> Iterator[tuple[int, list[np.ndarray]]]:
        """Yield (first row, states) of the rows above `row`, and forget them."""
        count = min(row, self.bottom) - self.top
        if count > 0:
            yield self.top, [s[..., :count, :] for s in self._states]
            held = self.bottom - self.top
            for state in self._states:
                state[..., : held - count, :] = state[..., count:held, :]
            self.top += count
        if row > self.bottom:
            rows = row - self.top
            yield self.top, [np.zeros((*lead, rows, self._width), d) for lead, d in self._specs]
            self.top = self.bottom = row


def in_row_order(patches: Iterable[Patch]) -> Iterable[Patch]:
    """Return patches by rising row: a sequence is sorted, an iterator is taken as it comes."""
    if isinstance(patches, Sequence):
        return sorted(patches, key=lambda patch: window_of(patch).row_off)
    return _rectangles(patches)


def _rectangles(patches: Iterable[Patch]) -> Iterator[Patch]:
    for patch in patches:
        window_of(patch)  # raises for what is none
        yield patch


def reduce_rows(
    patches: Iterable[Patch],
    domain: RasterDomain,
    reducer: Reducer,
    rows: tuple[int, int],
    write: Write,
    chip: Spec,
) -> int:
    """Merge row-ordered patches into the output rows [start, stop); return pixels covered.

    `write(row, values)` gets the finished rows (..., n, W) from the top down, each once.
    `chip` is the chips' leading shape and dtype.
    """
    start, stop = rows
    lead, dtype = chip
    _, result_dtype = reducer.result(lead, dtype)
    buffer = RollingRows(reducer.start(lead, dtype), start, domain.width)
    covered = 0

    def flush(row: int) -> int:
        count = 0
        for top, states in buffer.finish_above(row):
            finished, pixels = reducer.finish(states)
            write(top, finished.astype(result_dtype, copy=False))
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
        values = values[..., keep, :]
        weights = patch.weights
        if weights is not None:
            weights = weights[:height, :width][keep]
        place = (top, height - above - below, col, width)
        states = buffer.views(*place)
        if isinstance(reducer, DeepeningReducer):
            specs = reducer.deeper(states, values)
            if specs is not None:
                buffer.deepen(specs)
                states = buffer.views(*place)
        reducer.update(states, values, weights)
    return covered + flush(stop)
