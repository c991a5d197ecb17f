"""One path by stage: what a stage takes is the difference of two runs, with it and without it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """One path: its stages in seconds, the limit in seconds, and what that limit is."""

    title: str
    stages: dict[str, float]
    limit: float
    what: str

    @property
    def whole(self) -> float:
        """Seconds of all stages."""
        return sum(self.stages.values())


def seconds(work: Callable[[], object], rounds: int = 5) -> float:
    """Return the median time of some runs, after one of warm-up."""
    work()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def differences(**until: float) -> dict[str, float]:
    """Return stages from the times until each is done, in their order; noise is not negative."""
    stages, before = {}, 0.0
    for name, whole in until.items():
        stages[name.replace("__", ", ").replace("_", " ")] = max(whole - before, 0.0)
        before = max(whole, before)
    return stages


def drain(patches: Iterable[object]) -> None:
    """Make every patch, and let go of it."""
    for _ in patches:
        continue
