"""Which steps in time belong to a patch.

All windows are causal: they end at their anchor, and only a horizon lies behind it. Windows that
begin before the series are truncated, not dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from geopatcher.arguments import as_count
from geopatcher.config import Configured
from geopatcher.patch import PatchError
from geopatcher.time.series import TimeDomain


@dataclass(frozen=True)
class TimeSpan:
    """Steps [start, stop), of which those up to `present` are the past and the rest the horizon.

    >>> span = TimeSpan(3, 12, present=10)
    >>> span.lookback, span.horizon, len(span)
    (slice(3, 10, None), slice(10, 12, None), 9)
    """

    start: int
    stop: int
    present: int
    asked: int = field(default=0, repr=False)
    """Steps ahead that the geometry asks for; near the series' end there are fewer."""

    @property
    def steps(self) -> slice:
        """All steps."""
        return slice(self.start, self.stop)

    @property
    def lookback(self) -> slice:
        """The steps up to the anchor."""
        return slice(self.start, self.present)

    @property
    def horizon(self) -> slice:
        """The steps after the anchor."""
        return slice(self.present, self.stop)

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, eq=False)
class TimeSteps:
    """Steps that need not be neighbours: `steps` (n,) int64, rising."""

    steps: np.ndarray

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True)
class TimeScales:
    """One span for each scale, all ending at the same anchor."""

    spans: tuple[TimeSpan, ...]

    def __len__(self) -> int:
        return len(self.spans)


@dataclass(frozen=True)
class TemporalFixedLookback(Configured):
    """The anchor and the steps before it, `length` in all.

    >>> TemporalFixedLookback(5).neighborhood(TimeDomain((20,)), 9).steps
    slice(5, 10, None)
    >>> TemporalFixedLookback(5).neighborhood(TimeDomain((20,)), 1).steps
    slice(0, 2, None)
    """

    length: int

    def __post_init__(self) -> None:
        as_count(self.length, "length")

    def neighborhood(self, domain: TimeDomain, anchor: Any) -> TimeSpan:
        """Return the span of the patch at an anchor: a step's number or a date."""
        step = domain.step_of(anchor)
        return TimeSpan(max(0, step - self.length + 1), step + 1, step + 1)


@dataclass(frozen=True)
class TemporalLookbackHorizon(Configured):
    """`lookback` steps up to the anchor and `horizon` steps after it, to learn a forecast from.

    Near the end the horizon is truncated too: the future is not there yet.

    >>> TemporalLookbackHorizon(5, 3).neighborhood(TimeDomain((20,)), 9)
    TimeSpan(start=5, stop=13, present=10)
    """

    lookback: int
    horizon: int

    def __post_init__(self) -> None:
        as_count(self.lookback, "lookback")
        as_count(self.horizon, "horizon")

    @property
    def length(self) -> int:
        """Steps of the lookback, which windows weigh."""
        return self.lookback

    def neighborhood(self, domain: TimeDomain, anchor: Any) -> TimeSpan:
        """Return the span of the patch at an anchor: a step's number or a date."""
        step = domain.step_of(anchor)
        start = max(0, step - self.lookback + 1)
        stop = min(step + 1 + self.horizon, domain.length)
        return TimeSpan(start, stop, step + 1, self.horizon)


@dataclass(frozen=True)
class TemporalMultiScale(Configured):
    """Several lookbacks that end at the same anchor, for instance a week, a month, a season.

    A patch's data is a tuple, one piece for each of `lengths`, shortest first.

    >>> spans = TemporalMultiScale((3, 12)).neighborhood(TimeDomain((20,)), 9).spans
    >>> [span.steps for span in spans]
    [slice(7, 10, None), slice(0, 10, None)]
    """

    lengths: Any

    def __post_init__(self) -> None:
        lengths = tuple(as_count(length, "each of lengths") for length in self.lengths)
        if not lengths or list(lengths) != sorted(set(lengths)):
            raise PatchError(f"lengths must be different and rising, got {self.lengths!r}")
        object.__setattr__(self, "lengths", lengths)

    @property
    def length(self) -> int:
        """Steps of the longest lookback."""
        return self.lengths[-1]

    def neighborhood(self, domain: TimeDomain, anchor: Any) -> TimeScales:
        """Return a span for each scale at an anchor: a step's number or a date."""
        return TimeScales(
            tuple(TemporalFixedLookback(n).neighborhood(domain, anchor) for n in self.lengths)
        )


@dataclass(frozen=True)
class TemporalPhaseWindow(Configured):
    """The steps up to the anchor that lie at the same phase of a cycle, in this and earlier ones.

    `period` and `half_width` are in days where the series has dates, else in steps: with
    `period=365.25, half_width=15` a patch holds this month of all years so far.

    >>> TemporalPhaseWindow(period=12, half_width=1).neighborhood(TimeDomain((40,)), 26).steps
    array([ 1,  2,  3, 13, 14, 15, 25, 26])
    """

    period: float
    half_width: float

    def __post_init__(self) -> None:
        if not self.period > 0 or not 0 <= self.half_width <= self.period / 2:
            raise PatchError(
                f"period must be positive and half_width 0 to half of it, got {self.period!r} and "
                f"{self.half_width!r}"
            )

    @property
    def length(self) -> None:
        """Steps of the window: as many as there are."""
        return None

    def neighborhood(self, domain: TimeDomain, anchor: Any) -> TimeSteps:
        """Return the steps of the patch at an anchor: a step's number or a date."""
        step = domain.step_of(anchor)
        places = domain.positions()[: step + 1]
        away = np.abs((places - places[-1] + self.period / 2) % self.period - self.period / 2)
        return TimeSteps(np.flatnonzero(away <= self.half_width))


Steps = TimeSpan | TimeSteps | TimeScales
