"""Where a pipeline's time goes."""

from __future__ import annotations

import threading
import time
from typing import Any, NamedTuple

from pipekit.control import checked_operator
from pipekit.operator import Operator


class Row(NamedTuple):
    """The calls of one wrapped operator: how many, and seconds in all, least and most."""

    calls: int
    total: float
    least: float
    most: float

    def with_call(self, seconds: float) -> Row:
        """Return the row with one more call."""
        least = min(self.least, seconds) if self.calls else seconds
        return Row(self.calls + 1, self.total + seconds, least, max(self.most, seconds))

    def report(self) -> dict[str, float]:
        """Return the row as users see it."""
        mean = self.total / self.calls if self.calls else 0.0
        times = {"total": self.total, "mean": mean, "min": self.least, "max": self.most}
        return {"calls": self.calls, **times}


_NO_CALLS = Row(0, 0.0, 0.0, 0.0)


class Profile:
    """Measures the operators it wraps, in seconds of wall-clock time.

    Each wrap has a row of its own, also when two wrapped operators are of one class or one is
    inside the other. Threads may share a profile; a pickled copy starts empty.

    >>> from pipekit import Identity
    >>> profile = Profile()
    >>> pipeline = profile.wrap(profile.wrap(Identity()) | profile.wrap(Identity()))
    >>> pipeline(1), list(profile.report())
    (1, ['Identity', 'Identity#2', 'Sequential'])
    >>> profile.report()["Identity"]["calls"]
    1
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, Row] = {}

    def wrap(self, op: Operator, name: str | None = None) -> Profiled:
        """Return an operator that does the same and is measured.

        Args:
            op: the operator to measure.
            name: its row's name; its class name by default. A taken name gets `#2`, `#3`, ...
        """
        wanted = type(op).__name__ if name is None else name
        with self._lock:
            unique = wanted
            number = 1
            while unique in self._rows:
                number += 1
                unique = f"{wanted}#{number}"
            self._rows[unique] = _NO_CALLS
        return Profiled(op, self, unique)

    def add(self, name: str, seconds: float) -> None:
        """Count one call of the given length, in seconds."""
        with self._lock:
            row = self._rows.get(name, _NO_CALLS)
            self._rows[name] = row.with_call(seconds)

    def report(self) -> dict[str, dict[str, float]]:
        """Return `{name: {"calls", "total", "mean", "min", "max"}}`, times in seconds.

        What was wrapped but never called has zero calls and zero times.
        """
        with self._lock:
            rows = dict(self._rows)
        return {name: row.report() for name, row in rows.items()}

    def clear(self) -> None:
        """Forget the times, keeping the rows."""
        with self._lock:
            self._rows = dict.fromkeys(self._rows, _NO_CALLS)

    def __getstate__(self) -> dict[str, Any]:
        return {"names": list(self._rows)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._lock = threading.Lock()
        self._rows = dict.fromkeys(state["names"], _NO_CALLS)


class Profiled(Operator):
    """Run an operator and tell a `Profile` how long it took; made by `Profile.wrap`."""

    forbid_in_yaml = True

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
