"""Time rivals in turn in one process, so that their ratio holds on a noisy machine."""

from __future__ import annotations

import gc
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
    facts: dict[str, str] = field(default_factory=dict)
    """What was checked before the time was taken: heading -> what was found."""


@dataclass
class Group:
    """One comparison: its title, its baseline, and a row per rival."""

    title: str
    baseline: str
    rows: list[Row]
    per: tuple[str, int] = ("run", 1)
    curve: tuple[str, float] | None = None
    """The figure that its times are points of, and their size there."""


@dataclass
class Comparison:
    """Collects the comparisons of a session; call it to make one.

    `values` are single numbers that a target asks for (`compare.values["name"] = 3.0`), counts for
    the most part; `left_out` says what was not measured, and why.
    """

    quick: bool
    groups: list[Group] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    @property
    def enough(self) -> tuple[int, float]:
        """Rounds after which a comparison ends once it has taken so many seconds."""
        return (1, 1.5) if self.quick else (3, 15.0)

    def __call__(
        self,
        title: str,
        rivals: Mapping[str, Callable[[], object]],
        *,
        baseline: str,
        targets: Mapping[str, float] | None = None,
        facts: Mapping[str, Mapping[str, str]] | None = None,
        rounds: int = 7,
        per: tuple[str, int] = ("run", 1),
        curve: tuple[str, float] | None = None,
        warm: bool = False,
    ) -> Group:
        """Run each rival once a round, forth and back in turn, after one round of warm-up.

        Rivals that are `warm`, having just been checked, need none. Slow ones get fewer
        rounds than asked for, three at least (in a quick run one).

        `targets` are ratios to `baseline`; `facts` are a rival's columns beside its times; `per`
        names and counts what one run is made of; `curve` names a figure, and the size there.
        """
        if self.quick:
            rounds = min(rounds, 3)
        times = _times_in_turn(rivals, range(int(warm), rounds + 1), self.enough)
        base = times[baseline]
        rows = [
            Row(
                name,
                times[name],
                [own / other for own, other in zip(times[name], base, strict=True)],
                (targets or {}).get(name),
                dict((facts or {}).get(name, {})),
            )
            for name in rivals
        ]
        group = Group(title, baseline, rows, per, curve)
        self.groups.append(group)
        return group


def _times_in_turn(
    rivals: Mapping[str, Callable[[], object]], rounds: range, enough: tuple[int, float]
) -> dict[str, list[float]]:
    least, seconds = enough
    start = time.monotonic()
    times: dict[str, list[float]] = {name: [] for name in rivals}
    gc.collect()
    gc.freeze()  # what was there before is no rival's garbage, and takes long to look through
    try:
        for number in rounds:
            for name in rivals if number % 2 else reversed(rivals):
                gc.collect()
                began = time.perf_counter()
                rivals[name]()
                took = time.perf_counter() - began
                if number:
                    times[name].append(took)
            if number >= least and time.monotonic() - start > seconds:
                break
    finally:
        gc.unfreeze()
    return times
