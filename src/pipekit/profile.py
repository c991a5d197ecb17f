"""Where a pipeline's time goes."""

from __future__ import annotations

import threading
import time
from typing import Any

from pipekit.operator import Operator


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
        self._times: dict[str, list[float]] = {}

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
            while unique in self._times:
                number += 1
                unique = f"{wanted}#{number}"
            self._times[unique] = []
        return Profiled(op, self, unique)

    def add(self, name: str, seconds: float) -> None:
        """Count one call of the given length, in seconds."""
        with self._lock:
            self._times.setdefault(name, []).append(seconds)

    def report(self) -> dict[str, dict[str, float]]:
        """Return `{name: {"calls", "total", "mean", "min", "max"}}`, times in seconds.

        What was wrapped but never called has zero calls and zero times.
        """
        with self._lock:
            times = {name: list(seconds) for name, seconds in self._times.items()}
        return {name: _row(seconds) for name, seconds in times.items()}

    def clear(self) -> None:
        """Forget the times, keeping the rows."""
        with self._lock:
            self._times = {name: [] for name in self._times}

    def __getstate__(self) -> dict[str, Any]:
        return {"names": list(self._times)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._lock = threading.Lock()
        self._times = {name: [] for name in state["names"]}


def _row(seconds: list[float]) -> dict[str, float]:
    calls, total = len(seconds), sum(seconds)
    return {
        "calls": calls,
        "total": total,
        "mean": total / calls if calls else 0.0,
        "min": min(seconds, default=0.0),
        "max": max(seconds, default=0.0),
    }


class Profiled(Operator):
    """Run an operator and tell a `Profile` how long it took; made by `Profile.wrap`."""

    forbid_in_yaml = True

    def __init__(self, op: Operator, profile: Profile, name: str) -> None:
        self.op = op
        self.profile = profile
        self.name = name

    def _apply(self, *inputs: Any) -> Any:
        start = time.perf_counter()
        try:
            return self.op(*inputs)
        finally:
            self.profile.add(self.name, time.perf_counter() - start)
