"""Operators that look at what passes by and hand it on unchanged."""

from __future__ import annotations

from collections.abc import Callable, KeysView
from typing import Any, Literal, get_args

from pipekit.blocks import checked_function
from pipekit.operator import Operator
from pipekit.summary import summarise

TraceMode = Literal["all", "diff_only"]


class Tap(Operator):
    """Show the input to a function and return the input.

    >>> Tap(print)(3)
    3
    3
    """

    forbid_in_yaml = True

    def __init__(self, fn: Callable[[Any], object], name: str | None = None) -> None:
        self.fn = checked_function(fn, "Tap")
        self.name = name

    def _apply(self, x: Any) -> Any:
        self.fn(x)
        return x


class Snapshot:
    """Keeps what passed at chosen points of a pipeline, for looking at afterwards.

    A capture is the object itself, not a copy; a later call replaces it.

    >>> from pipekit import Lambda
    >>> snap = Snapshot()
    >>> pipeline = Lambda(abs) | snap.at("magnitude") | Lambda(str)
    >>> pipeline(-4), snap["magnitude"], list(snap.keys())
    ('4', 4, ['magnitude'])
    """

    def __init__(self) -> None:
        self.captures: dict[str, Any] = {}

    def at(self, key: str) -> Capture:
        """Return the operator that keeps its input under a key."""
        return Capture(self, key)

    def __getitem__(self, key: str) -> Any:
        if key not in self.captures:
            raise KeyError(f"nothing captured at {key!r}; captured: {list(self.captures)}")
        return self.captures[key]

    def keys(self) -> KeysView[str]:
        """Return the keys that hold a capture, in the order they were first filled."""
        return self.captures.keys()

    def clear(self) -> None:
        """Forget every capture."""
        self.captures.clear()

    def __repr__(self) -> str:
        return f"Snapshot({', '.join(self.captures)})"


class Capture(Operator):
    """Keep the input in a `Snapshot` and return it; made by `Snapshot.at`."""

    forbid_in_yaml = True

    def __init__(self, snapshot: Snapshot, key: str) -> None:
        self.snapshot = snapshot
        self.key = key

    def _apply(self, x: Any) -> Any:
        self.snapshot.captures[self.key] = x
        return x


class ShapeTrace(Operator):
    """Log the type, shape, dtype and CRS of what passes.

    Args:
        mode: "all" logs every call; "diff_only" only a call that differs from the one before, so
            that one trace placed between all steps tells where the form changes.
        label: text put before each line.
        sink: gets each line; `print` by default.

    >>> import numpy as np
    >>> x = ShapeTrace(label="in")(np.zeros((4, 8, 8), "uint16"))
    in: ndarray (4, 8, 8) uint16
    """

    def __init__(
        self,
        mode: TraceMode = "all",
        label: str | None = None,
        sink: Callable[[str], object] = print,
    ) -> None:
        if mode not in get_args(TraceMode):
            raise ValueError(f"mode must be one of {get_args(TraceMode)}, got {mode!r}")
        self.mode = mode
        self.label = label
        self.sink = checked_function(sink, "ShapeTrace")
        self._last: str | None = None

    def _apply(self, x: Any) -> Any:
        line = summarise(x)
        if self.mode == "all" or line != self._last:
            self.sink(line if self.label is None else f"{self.label}: {line}")
        self._last = line
        return x
