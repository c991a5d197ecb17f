"""Counting values as they pass, over any number of calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipekit.operator import Operator
from pipekit.qc import valid_mask

FloatArray = np.ndarray[Any, np.dtype[np.float64]]


class Histogram:
    """Counts the values that pass at chosen points of a pipeline, adding up over calls.

    The edges are fixed by `range`, or by the finite values of a point's first call. What is later
    outside them is not dropped in silence but counted in "below" and "above". NaN and the carrier's
    fill value count in "invalid".

    Args:
        bins: the number of bins, or their edges.
        range: (lowest, highest) edge, in the units of the data.
        to_array: what makes an array out of what passes; `numpy.asarray` by default.

    >>> import numpy as np
    >>> histogram = Histogram(bins=2, range=(0, 4))
    >>> counted = histogram.at("in")
    >>> _ = counted(np.array([1, 3, 3])), counted(np.array([0, 9]))
    >>> row = histogram.results["in"]
    >>> row["counts"].tolist(), row["edges"].tolist(), row["above"]
    ([2, 2], [0.0, 2.0, 4.0], 1)
    """

    def __init__(
        self,
        bins: int | Sequence[float] = 64,
        range: tuple[float, float] | None = None,  # noqa: A002 - numpy's name for it
        to_array: Callable[[Any], Any] | None = None,
    ) -> None:
        if isinstance(bins, np.integer):
            bins = int(bins)
        if isinstance(bins, int) and bins < 1:
            raise ValueError(f"bins must be at least 1, got {bins}")
        if range is not None and not range[0] < range[1]:
            raise ValueError(f"range is (low, high) with low < high, got {range}")
        if not isinstance(bins, int) and (len(bins) < 2 or not (np.diff(bins) > 0).all()):
            raise ValueError(f"edges must be at least two numbers that rise, got {bins}")
        self.bins = bins
        self.range = range
        self.to_array = to_array
        self.results: dict[str, dict[str, Any]] = {}
        self._early: dict[str, int] = {}
        self._lock = threading.Lock()

    def at(self, key: str) -> Counter:
        """Return the operator that counts its input's values under a key."""
        return Counter(self, key)

    def add(self, key: str, value: Any) -> None:
        """Count the values of one array under a key."""
        array = np.asarray(value if self.to_array is None else self.to_array(value))
        if array.dtype.kind == "b":
            array = array.astype("uint8")
        if array.dtype.kind not in "iuf":
            raise TypeError(
                f"a histogram counts real numbers, got {array.dtype}; give to_array=, a function "
                "that makes an array of numbers out of what passes"
            )
        finite = array[valid_mask(value if self.to_array is None else array)]
        with self._lock:
            if key not in self.results:
                if finite.size == 0 and self.range is None:
                    # Nothing to take the edges from yet; only what is invalid is remembered.
                    self._early[key] = self._early.get(key, 0) + array.size
                    return
                self.results[key] = _empty_row(self._edges(finite), self._early.pop(key, 0))
            row = self.results[key]
            edges = row["edges"]
            row["counts"] += np.histogram(finite, edges)[0]
            row["below"] += int((finite < edges[0]).sum())
            row["above"] += int((finite > edges[-1]).sum())
            row["invalid"] += array.size - finite.size

    def _edges(self, finite: Any) -> FloatArray:
        if not isinstance(self.bins, int):
            return np.asarray(self.bins, dtype="float64")
        return np.histogram_bin_edges(finite, self.bins, self.range).astype("float64")

    def clear(self) -> None:
        """Forget all counts and edges."""
        with self._lock:
            self.results.clear()
            self._early.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.Lock()


def _empty_row(edges: FloatArray, invalid: int) -> dict[str, Any]:
    counts = np.zeros(len(edges) - 1, dtype="int64")
    return {"counts": counts, "edges": edges, "below": 0, "above": 0, "invalid": invalid}


class Counter(Operator):
    """Count the input's values in a `Histogram` and return it; made by `Histogram.at`."""

    forbid_in_yaml = True

    def __init__(self, histogram: Histogram, key: str) -> None:
        self.histogram = histogram
        self.key = key

    def _apply(self, x: Any) -> Any:
        self.histogram.add(self.key, x)
        return x
