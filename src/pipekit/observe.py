"""Looking at what passes by: taps, snapshots, traces, spies, times and counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from pipekit import operator as _operator
from pipekit.operator import (
    Listener,
    Operator,
    checked_count,
    checked_function,
    checked_operator,
    checked_option,
    listeners,
    summarise,
)
from pipekit.qc import valid_mask
from pipekit.radius import passed_on

TraceMode = Literal["all", "diff_only"]


_lock = threading.Lock()
"""Held for a few operations on counts, so one for all is enough and nothing here pickles it."""


class Snapshot(Mapping[str, Any]):
    """Keeps what passed at chosen points of a pipeline, for looking at afterwards.

    A capture is the object itself, not a copy; a later call replaces it. A snapshot is a mapping of
    its keys to captures, but equals itself alone.

    Raises
    ------
    KeyError
        For a key at which nothing has passed yet; it lists those at which something has.

    Examples
    --------
    >>> from pipekit import Lambda
    >>> snap = Snapshot()
    >>> pipeline = Lambda(abs) | snap.at("magnitude") | Lambda(str)
    >>> pipeline(-4), snap["magnitude"], list(snap.keys())
    ('4', 4, ['magnitude'])
    >>> "magnitude" in snap, dict(snap.items())
    (True, {'magnitude': 4})
    """

    def __init__(self) -> None:
        self.captures: dict[str, Any] = {}

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def at(self, key: str) -> Probe:
        """Return the operator that keeps its input under a key.

        Parameters
        ----------
        key
            The name of this point of the pipeline.

        Returns
        -------
        Probe
            An operator that returns its input.
        """
        return Probe(self, key)

    def add(self, key: str, value: Any) -> None:
        """Keep a value under a key.

        Parameters
        ----------
        key
            The name of the point.
        value
            What passed; it is kept itself, not a copy.
        """
        self.captures[key] = value

    def __getitem__(self, key: str) -> Any:
        if key not in self.captures:
            raise KeyError(f"nothing captured at {key!r}; captured: {list(self.captures)}")
        return self.captures[key]

    def __iter__(self) -> Iterator[str]:
        """Return the keys that hold a capture, in the order they were first filled."""
        return iter(self.captures)

    def __len__(self) -> int:
        return len(self.captures)

    def clear(self) -> None:
        """Forget every capture."""
        self.captures.clear()

    def __repr__(self) -> str:
        return f"Snapshot({', '.join(self.captures)})"


class Probe(Operator):
    """Add the input to a `Snapshot` or `Histogram` and return it; made by their `at`.

    Parameters
    ----------
    keeper
        Where inputs are added.
    key
        Under which key.

    Examples
    --------
    >>> snap = Snapshot()
    >>> Probe(snap, "in")(3), snap["in"]
    (3, 3)
    """

    forbid_in_yaml = True
    radius = 0

    def __init__(self, keeper: Snapshot | Histogram, key: str) -> None:
        self.keeper = keeper
        self.key = key

    def _apply(self, x: Any) -> Any:
        self.keeper.add(self.key, x)
        return x


class ShapeTrace(Operator):
    """Log the type, shape, dtype and CRS of what passes.

    Parameters
    ----------
    mode
        "all" logs every call; "diff_only" only a call that differs from the one before, so
        that one trace placed between all steps tells where the form changes.
    label
        Text put before each line.
    sink
        Gets each line; `print` by default.

    Examples
    --------
    >>> import numpy as np
    >>> x = ShapeTrace(label="in")(np.zeros((4, 8, 8), "uint16"))
    in: ndarray (4, 8, 8) uint16
    """

    radius = 0

    def __init__(
        self,
        mode: TraceMode = "all",
        label: str | None = None,
        sink: Callable[[str], object] = print,
    ) -> None:
        self.mode = checked_option(mode, "mode", TraceMode)
        self.label = label
        self.sink = checked_function(sink, "ShapeTrace")
        self._last: str | None = None

    def _apply(self, x: Any) -> Any:
        line = summarise(x)
        if self.mode == "all" or line != self._last:
            self.sink(line if self.label is None else f"{self.label}: {line}")
        self._last = line
        return x


class Spy:
    """Watches operators by type while its scope is open, in the context that opened it.

    Nothing in the pipeline changes, and while no scope is open anywhere nothing is paid.

    Raises
    ------
    TypeError
        By `spy.on`, for what is no class of operators, or no function.

    Examples
    --------
    >>> from pipekit import Lambda
    >>> pipeline = Lambda(abs) | Lambda(str)
    >>> seen = []
    >>> with Spy.scoped() as spy:
    ...     spy.on(Lambda, lambda op, x, y: seen.append((x, y)))
    ...     result = pipeline(-3)
    >>> seen
    [(-3, 3), (3, '3')]
    """

    @classmethod
    @contextmanager
    def scoped(cls) -> Iterator[Spy]:
        """Open a scope for a `with` block; scopes nest, and an inner one adds to the outer.

        Yields
        ------
        Spy
            Its `on` says what is watched.
        """
        spy = cls()
        outer = listeners.set(listeners.get())
        with _lock:
            _operator.count_scopes(1)
        try:
            yield spy
        finally:
            with _lock:
                _operator.count_scopes(-1)
            listeners.reset(outer)

    def on(self, kind: type[Operator], fn: Listener) -> None:
        """Call `fn(op, x_in, x_out)` after every call of an operator of this class.

        `x_in` is the input, or the tuple of inputs when there are several or none.

        Parameters
        ----------
        kind
            The class; its subclasses are watched, too.
        fn
            Called as `fn(op, x_in, x_out)`; what it returns is dropped.

        Raises
        ------
        TypeError
            `kind` is no class of operators, or `fn` cannot be called.
        """
        if not (isinstance(kind, type) and issubclass(kind, Operator)):
            raise TypeError(f"spy.on takes a class of operators, got {kind!r}")
        if not callable(fn):
            raise TypeError(f"spy.on takes a function fn(op, x_in, x_out), got {fn!r}")
        listeners.set((*listeners.get(), (kind, fn)))


def _no_calls() -> dict[str, float]:
    """Return a row that has counted nothing yet."""
    return {"calls": 0, "total": 0.0, "mean": 0.0, "min": 0.0, "max": 0.0}


class Profile:
    """Measures the operators it wraps, in seconds of wall-clock time.

    Each wrap has a row of its own, also when two wrapped operators are of one class or one is
    inside the other. Threads may share a profile; a pickled copy starts empty.

    Examples
    --------
    >>> from pipekit import Identity
    >>> profile = Profile()
    >>> pipeline = profile.wrap(profile.wrap(Identity()) | profile.wrap(Identity()))
    >>> pipeline(1), list(profile.report())
    (1, ['Identity', 'Identity#2', 'Sequential'])
    >>> profile.report()["Identity"]["calls"]
    1
    """

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, float]] = {}

    def wrap(self, op: Operator, name: str | None = None) -> Profiled:
        """Return an operator that does the same and is measured.

        Parameters
        ----------
        op
            The operator to measure.
        name
            Its row's name; its class name by default. A taken name gets `#2`, `#3`, ...

        Returns
        -------
        Profiled
            The operator, measured.
        """
        wanted = type(op).__name__ if name is None else name
        with _lock:
            unique, number = wanted, 1
            while unique in self._rows:
                number += 1
                unique = f"{wanted}#{number}"
            self._rows[unique] = _no_calls()
        return Profiled(op, self, unique)

    def add(self, name: str, seconds: float) -> None:
        """Count one call of the given length, in seconds.

        Parameters
        ----------
        name
            The row's name.
        seconds
            The length of the call.
        """
        with _lock:
            row = self._rows.setdefault(name, _no_calls())
            row["min"] = min(row["min"], seconds) if row["calls"] else seconds
            row["max"] = max(row["max"], seconds)
            row["calls"] += 1
            row["total"] += seconds
            row["mean"] = row["total"] / row["calls"]

    def report(self) -> dict[str, dict[str, float]]:
        """Return `{name: {"calls", "total", "mean", "min", "max"}}`, times in seconds.

        What was wrapped but never called has zero calls and zero times.

        Returns
        -------
        dict
            A copy of the rows.
        """
        with _lock:
            return {name: dict(row) for name, row in self._rows.items()}

    def __getstate__(self) -> dict[str, Any]:
        return {"_rows": {name: _no_calls() for name in self._rows}}


class Profiled(Operator):
    """Run an operator and tell a `Profile` how long it took; made by `Profile.wrap`.

    Parameters
    ----------
    op
        The operator to run.
    profile
        What is told.
    name
        The row's name in the profile.

    Examples
    --------
    >>> from pipekit import Identity
    >>> profile = Profile()
    >>> Profiled(Identity(), profile, "step")(3), profile.report()["step"]["calls"]
    (3, 1)
    """

    forbid_in_yaml = True
    radius = passed_on("op")

    def __init__(self, op: Operator, profile: Profile, name: str) -> None:
        self.op = checked_operator(op, "op")
        self.profile = profile
        self.name = name

    def _apply(self, *inputs: Any) -> Any:
        start = time.perf_counter()
        try:
            return self.op(*inputs)
        finally:
            self.profile.add(self.name, time.perf_counter() - start)


class Histogram:
    """Counts the values that pass at chosen points of a pipeline, adding up over calls.

    The edges are fixed by `range`, or by the finite values of a point's first call. What is later
    outside them is not dropped in silence but counted in "below" and "above". NaN and the carrier's
    fill value count in "invalid".

    Parameters
    ----------
    bins
        The number of bins, or their edges.
    range
        (lowest, highest) edge, in the units of the data.
    to_array
        What makes an array out of what passes; `numpy.asarray` by default.

    Raises
    ------
    ValueError
        For fewer than one bin, a range that does not rise, or edges that do not.
    TypeError
        When values pass that are no real numbers.

    Examples
    --------
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
        if np.ndim(bins) == 0:
            bins = checked_count(bins, "bins")
        if range is not None and not range[0] < range[1]:
            raise ValueError(f"range is (low, high) with low < high, got {range}")
        if not isinstance(bins, int) and (len(bins) < 2 or not (np.diff(bins) > 0).all()):
            raise ValueError(f"edges must be at least two numbers that rise, got {bins}")
        self.bins = bins
        self.range = range
        self.to_array = to_array
        self.results: dict[str, dict[str, Any]] = {}
        self._early: dict[str, int] = {}

    def at(self, key: str) -> Probe:
        """Return the operator that counts its input's values under a key.

        Parameters
        ----------
        key
            The name of this point of the pipeline.

        Returns
        -------
        Probe
            An operator that returns its input.
        """
        return Probe(self, key)

    def add(self, key: str, value: Any) -> None:
        """Count the values of one array under a key.

        Parameters
        ----------
        key
            The name of the point.
        value
            An array of real numbers or booleans, of any shape, or what `to_array` makes one of.

        Raises
        ------
        TypeError
            The values are no real numbers.
        """
        array = np.asarray(value if self.to_array is None else self.to_array(value))
        if array.dtype.kind == "b":
            array = array.astype("uint8")
        if array.dtype.kind not in "iuf":
            raise TypeError(
                f"a histogram counts real numbers, got {array.dtype}; give to_array=, a function "
                "that makes an array of numbers out of what passes"
            )
        finite = array[valid_mask(value if self.to_array is None else array)]
        with _lock:
            if key not in self.results:
                if finite.size == 0 and self.range is None:
                    # Nothing to take the edges from yet; only what is invalid is remembered.
                    self._early[key] = self._early.get(key, 0) + array.size
                    return
                edges = np.histogram_bin_edges(finite, self.bins, self.range).astype("float64")
                counts = np.zeros(len(edges) - 1, dtype="int64")
                none = {"below": 0, "above": 0, "invalid": self._early.pop(key, 0)}
                self.results[key] = {"counts": counts, "edges": edges, **none}
            row = self.results[key]
        edges = row["edges"]
        counts = np.histogram(finite, edges)[0]
        below, above = int((finite < edges[0]).sum()), int((finite > edges[-1]).sum())
        with _lock:
            row["counts"] += counts
            row["below"] += below
            row["above"] += above
            row["invalid"] += array.size - finite.size
