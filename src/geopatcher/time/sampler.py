"""When patches are anchored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from geopatcher.arguments import as_count
from geopatcher.axes.draws import Draws, check_seed
from geopatcher.config import Configured
from geopatcher.patch import PatchError
from geopatcher.time.series import TimeDomain, without_zone


@dataclass(frozen=True)
class TemporalRegularStride(Configured):
    """Every `step`-th step from the first one on.

    >>> TemporalRegularStride(5).anchors(TimeDomain((12,)), None)
    [0, 5, 10]
    """

    step: int

    def __post_init__(self) -> None:
        as_count(self.step, "step")

    def anchors(self, domain: TimeDomain, geometry: Any) -> list[int]:
        """Return the numbers of the steps."""
        return list(range(0, domain.length, self.step))


@dataclass(frozen=True)
class TemporalCausalRolling(Configured):
    """Every `step`-th step from `start` on, as a model that is run again with each new date.

    `start` (a step's number, or a date) is when there is past enough; default: the first step
    whose lookback is whole.

    >>> from geopatcher import TemporalFixedLookback
    >>> TemporalCausalRolling(2).anchors(TimeDomain((12,)), TemporalFixedLookback(6))
    [5, 7, 9, 11]
    """

    step: int = 1
    start: Any = None

    def __post_init__(self) -> None:
        as_count(self.step, "step")
        if self.start is not None:
            object.__setattr__(self, "start", _plain(self.start))

    def anchors(self, domain: TimeDomain, geometry: Any) -> list[int]:
        """Return the numbers of the steps."""
        if self.start is not None:
            first = domain.step_of(self.start)
        else:
            first = (getattr(geometry, "length", None) or 1) - 1
        return list(range(first, domain.length, self.step))


@dataclass(frozen=True)
class TemporalEventTriggered(Configured):
    """The last step up to each event: numbers of steps, or dates such as those of storms.

    Two events at one step anchor one patch.

    >>> days = np.array(["2024-06-01", "2024-06-06", "2024-06-11"], "datetime64[D]")
    >>> TemporalEventTriggered(["2024-06-07", "2024-06-30"]).anchors(
    ...     TimeDomain((3,), times=days), None
    ... )
    [1, 2]
    """

    event_times: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "event_times", _times(self.event_times, "event_times"))

    def anchors(self, domain: TimeDomain, geometry: Any) -> list[int]:
        """Return the numbers of the steps, rising."""
        return sorted({domain.step_of(time) for time in self.event_times})


@dataclass(frozen=True)
class TemporalRandom(Configured):
    """`n` different steps at random, in order; a seed fixes them for ever.

    >>> TemporalRandom(3, seed=0).anchors(TimeDomain((12,)), None)
    [2, 3, 11]
    """

    n: int
    seed: int | None = None

    def __post_init__(self) -> None:
        as_count(self.n, "n")
        check_seed(self.seed)

    def anchors(self, domain: TimeDomain, geometry: Any) -> list[int]:
        """Return the numbers of the steps, rising."""
        if self.n > domain.length:
            raise PatchError(
                f"{self.n} different steps cannot be drawn from a series of {domain.length}"
            )
        return sorted(Draws(self.seed).shuffled(domain.length)[: self.n].tolist())


@dataclass(frozen=True)
class TemporalExplicit(Configured):
    """The steps that are given, by number or by date, in their order.

    >>> TemporalExplicit([7, 3]).anchors(TimeDomain((12,)), None)
    [7, 3]
    """

    times: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", _times(self.times, "times"))

    def anchors(self, domain: TimeDomain, geometry: Any) -> list[int]:
        """Return the numbers of the steps."""
        return [domain.step_of(time) for time in self.times]


def _times(times: Any, name: str) -> tuple[Any, ...]:
    if isinstance(times, str | bytes) or not hasattr(times, "__iter__"):
        raise PatchError(f"{name} must be a sequence of steps or dates, got {times!r}")
    kept = tuple(_plain(time) for time in times)
    if not kept:
        raise PatchError(f"{name} must hold at least one step or date, got none")
    return kept


def _plain(time: Any) -> Any:
    """Return numbers as numbers and dates as ISO text, which a config can hold."""
    if isinstance(time, np.integer | np.floating):
        return time.item()
    if isinstance(time, int | float | str):
        return time
    try:
        date = str(np.datetime64(without_zone(time)))
    except (TypeError, ValueError):
        date = "NaT"
    if date == "NaT":
        raise PatchError(f"steps are numbers or dates, got {time!r}")
    return date
