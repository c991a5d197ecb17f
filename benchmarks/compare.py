"""Time rivals in turn in one process, so that their ratio holds on a noisy machine."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass
class Row:
    """One rival's times (seconds), its ratio to the baseline, and the ratio aimed at."""

    name: str
    times: list[float]
    ratios: list[float]
    target: float | None = None

    @property
    def verdict(self) -> str:
        """Whether the median ratio reaches the target."""
        if self.target is None:
            return ""
        return "met" if statistics.median(self.ratios) <= self.target else "not met"


@dataclass
class Group:
    """One comparison: its title, its baseline, and a row per rival."""

    title: str
    baseline: str
    rows: list[Row]
    per: tuple[str, int] = ("run", 1)


@dataclass
class Comparison:
    """Collects the comparisons of a session; call it to make one."""

    quick: bool
    groups: list[Group] = field(default_factory=list)

    def __call__(
        self,
        title: str,
        rivals: Mapping[str, Callable[[], object]],
        *,
        baseline: str,
        targets: Mapping[str, float] | None = None,
        rounds: int = 7,
        per: tuple[str, int] = ("run", 1),
    ) -> Group:
        """Run each rival once a round, forth and back in turn, after one round of warm-up.

        `targets` are ratios to `baseline`; `per` names and counts what one run is made of.
        """
        if self.quick:
            rounds = min(rounds, 3)
        names = list(rivals)
        times: dict[str, list[float]] = {name: [] for name in names}
        for number in range(rounds + 1):
            for name in names if number % 2 else reversed(names):
                gc.collect()
                began = time.perf_counter()
                rivals[name]()
                took = time.perf_counter() - began
                if number:
                    times[name].append(took)
        base = times[baseline]
        rows = [
            Row(
                name,
                times[name],
                [own / other for own, other in zip(times[name], base, strict=True)],
                (targets or {}).get(name),
            )
            for name in names
        ]
        group = Group(title, baseline, rows, per)
        self.groups.append(group)
        return group
