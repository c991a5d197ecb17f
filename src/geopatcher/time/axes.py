"""Three of a temporal patcher's four axes: which steps, when, and how much each counts.

All geometries are causal: they end at their anchor, and only a horizon lies behind it. Those that
begin before the series are truncated, not dropped. All weights are positive; the newest step is
last.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from geopatcher.axes.draws import Draws, as_seed
from geopatcher.axes.window import tukey
from geopatcher.config import Configured, as_count, checked, share_of
from geopatcher.patch import PatchError
from geopatcher.time.series import TimeDomain, series_domain, without_zone


@dataclass(frozen=True)
class TimeSpan:
    """Steps [start, stop), of which those up to `present` are the past and the rest the horizon.

    Parameters
    ----------
    start : int
        First step.
    stop : int
        After the last step.
    present : int
        After the last known step.
    asked : int
        Steps ahead that the geometry asks for.

    Examples
    --------
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
    """Steps that need not be neighbours: `steps` (n,) int64, rising.

    Parameters
    ----------
    steps : numpy.ndarray
        (n,) int64, rising.
    """

    steps: np.ndarray

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True)
class TimeScales:
    """One span for each scale, all ending at the same anchor.

    Parameters
    ----------
    spans : tuple of TimeSpan
        Shortest first.
    """

    spans: tuple[TimeSpan, ...]


@dataclass(frozen=True)
class TemporalFixedLookback(Configured):
    """The anchor and the steps before it, `length` in all.

    Parameters
    ----------
    length : int
        Steps, the anchor included.

    Raises
    ------
    PatchError
        For values outside these.

    Examples
    --------
    >>> TemporalFixedLookback(5).neighborhood(TimeDomain((20,)), 9).steps
    slice(5, 10, None)
    >>> TemporalFixedLookback(5).neighborhood(TimeDomain((20,)), 1).steps
    slice(0, 2, None)
    """

    length: int = checked(as_count)

    def neighborhood(self, domain: TimeDomain, anchor: Any) -> TimeSpan:
        """Return the span of the patch at an anchor: a step's number or a date.

        Parameters
        ----------
        domain : TimeDomain
            The series.
        anchor : int or date
            A step or a date.

        Returns
        -------
        TimeSpan
            The steps of the patch.
        """
        step = domain.step_of(anchor)
        return TimeSpan(max(0, step - self.length + 1), step + 1, step + 1)


@dataclass(frozen=True)
class TemporalLookbackHorizon(Configured):
    """`lookback` steps up to the anchor and `horizon` steps after it, to learn a forecast from.

    Near the end the horizon is truncated too: the future is not there yet.

    Parameters
    ----------
    lookback : int
        Steps up to the anchor, itself included.
    horizon : int
        Steps after it.

    Raises
    ------
    PatchError
        For values outside these.

    Examples
    --------
    >>> TemporalLookbackHorizon(5, 3).neighborhood(TimeDomain((20,)), 9)
    TimeSpan(start=5, stop=13, present=10)
    """

    lookback: int = checked(as_count)
    horizon: int = checked(as_count)

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

    Parameters
    ----------
    lengths : sequence of int
        Steps of each lookback, rising.

    Raises
    ------
    PatchError
        For values outside these.

    Examples
    --------
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

    Parameters
    ----------
    period : float
        Of the cycle, in days or steps.
    half_width : float
        Greatest distance from the anchor's phase, in the same unit.

    Raises
    ------
    PatchError
        For values outside these.

    Examples
    --------
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

    def neighborhood(self, domain: TimeDomain, anchor: Any) -> TimeSteps:
        """Return the steps of the patch at an anchor: a step's number or a date."""
        step = domain.step_of(anchor)
        places = domain.positions()[: step + 1]
        away = np.abs((places - places[-1] + self.period / 2) % self.period - self.period / 2)
        return TimeSteps(np.flatnonzero(away <= self.half_width))


Steps = TimeSpan | TimeSteps | TimeScales


def _times(times: Any, name: str) -> tuple[Any, ...]:
    if isinstance(times, str | bytes) or not isinstance(times, Iterable):
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


def _as_steps(value: Any, name: str) -> float:
    """Return a positive number of steps, else raise `PatchError`."""
    if not value > 0:
        raise PatchError(f"{name} must be a positive number of steps, got {value!r}")
    return value


@dataclass(frozen=True)
class TemporalRegularStride(Configured):
    """Every `step`-th step from the first one on.

    Parameters
    ----------
    step : int
        Steps from one anchor to the next.

    Raises
    ------
    PatchError
        For values outside these.

    Examples
    --------
    >>> TemporalRegularStride(5).anchors(TimeDomain((12,)), None)
    [0, 5, 10]
    """

    step: int = checked(as_count)

    def anchors(self, domain: TimeDomain | int, geometry: Any = None) -> list[int]:
        """Return the numbers of the steps.

        Parameters
        ----------
        domain : TimeDomain, series or int
            The series, or how many steps it has.
        geometry : temporal geometry, optional
            How far patches look back.

        Returns
        -------
        list of int
            Numbers of steps.
        """
        return list(range(0, series_domain(domain).length, self.step))


@dataclass(frozen=True)
class TemporalCausalRolling(Configured):
    """Every `step`-th step from `start` on, as a model that is run again with each new date.

    `start` (a step's number, or a date) is when there is past enough; default: the first step
    whose lookback is whole, and without a geometry, which tells how far that is, the first one.

    Parameters
    ----------
    step : int
        Steps from one anchor to the next.
    start : int or date, optional
        The first anchor.

    Raises
    ------
    PatchError
        For values outside these.

    Examples
    --------
    >>> from geopatcher import TemporalFixedLookback
    >>> TemporalCausalRolling(2).anchors(TimeDomain((12,)), TemporalFixedLookback(6))
    [5, 7, 9, 11]
    """

    step: int = checked(as_count, 1)
    start: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start is not None:
            object.__setattr__(self, "start", _plain(self.start))

    def anchors(self, domain: TimeDomain | int, geometry: Any = None) -> list[int]:
        """Return the numbers of the steps."""
        domain, whole = series_domain(domain), getattr(geometry, "length", 1) - 1
        first = whole if self.start is None else domain.step_of(self.start)
        return list(range(first, domain.length, self.step))


@dataclass(frozen=True)
class TemporalEventTriggered(Configured):
    """The last step up to each event: numbers of steps, or dates such as those of storms.

    Two events at one step anchor one patch.

    Parameters
    ----------
    event_times : sequence
        Numbers of steps, or dates.

    Raises
    ------
    PatchError
        For values outside these.

    Examples
    --------
    >>> days = np.array(["2024-06-01", "2024-06-06", "2024-06-11"], "datetime64[D]")
    >>> TemporalEventTriggered(["2024-06-07", "2024-06-30"]).anchors(
    ...     TimeDomain((3,), times=days), None
    ... )
    [1, 2]
    """

    event_times: Any = checked(_times)

    def anchors(self, domain: TimeDomain | int, geometry: Any = None) -> list[int]:
        """Return the numbers of the steps, rising."""
        domain = series_domain(domain)
        return sorted({domain.step_of(time) for time in self.event_times})


@dataclass(frozen=True)
class TemporalRandom(Configured):
    """`n` different steps at random, in order; a seed fixes them for ever.

    Parameters
    ----------
    n : int
        How many steps are drawn.
    seed : int, optional
        Fixes the anchors for ever; None draws new ones at each call.

    Raises
    ------
    PatchError
        For values outside these.

    Examples
    --------
    >>> TemporalRandom(3, seed=0).anchors(TimeDomain((12,)), None)
    [2, 3, 11]
    """

    n: int = checked(as_count)
    seed: int | None = checked(as_seed, None)

    def anchors(self, domain: TimeDomain | int, geometry: Any = None) -> list[int]:
        """Return the numbers of the steps, rising."""
        length = series_domain(domain).length
        if self.n > length:
            raise PatchError(f"{self.n} different steps cannot be drawn from a series of {length}")
        return sorted(Draws(self.seed).shuffled(length)[: self.n].tolist())


@dataclass(frozen=True)
class TemporalExplicit(Configured):
    """The steps that are given, by number or by date, in their order.

    Parameters
    ----------
    times : sequence
        Numbers of steps, or dates.

    Raises
    ------
    PatchError
        For values outside these.

    Examples
    --------
    >>> TemporalExplicit([7, 3]).anchors(TimeDomain((12,)), None)
    [7, 3]
    """

    times: Any = checked(_times)

    def anchors(self, domain: TimeDomain | int, geometry: Any = None) -> list[int]:
        """Return the numbers of the steps."""
        domain = series_domain(domain)
        return [domain.step_of(time) for time in self.times]


class AgeWindow(Configured):
    """A window that depends on a step's age: 0 for the anchor, 1 for the step before, ..."""

    def weights(self, geometry: Any, length: int) -> np.ndarray:
        """Return the weights (length,) float64 of a lookback of `length` steps.

        A truncated lookback has the newest weights of a whole one.

        Parameters
        ----------
        geometry : temporal geometry
            How far patches look back.
        length : int
            Steps of the lookback.

        Returns
        -------
        numpy.ndarray
            (length,) float64, the newest last.
        """
        whole = max(getattr(geometry, "length", length), length)
        return self.by_age(np.arange(length - 1, -1, -1.0), whole)

    def by_age(self, age: np.ndarray, length: int) -> np.ndarray:
        """Return the weights (n,) of steps by their age (n,) in a lookback of `length` steps.

        Parameters
        ----------
        age : numpy.ndarray
            (n,) in steps: 0 for the anchor.
        length : int
            Steps of the lookback.

        Returns
        -------
        numpy.ndarray
            (n,) float64, all positive.
        """
        raise TypeError(f"{type(self).__name__} must define by_age(age, length)")


@dataclass(frozen=True)
class TemporalCausalBoxcar(AgeWindow):
    """Every step up to the anchor counts the same.

    Examples
    --------
    >>> TemporalCausalBoxcar().weights(None, 3)
    array([1., 1., 1.])
    """

    def by_age(self, age: np.ndarray, length: int) -> np.ndarray:
        """Return ones (n,)."""
        return np.ones(len(age))


@dataclass(frozen=True)
class TemporalExponentialDecay(AgeWindow):
    """exp(-age / tau): a step that is `tau` older counts 1/e as much.

    Parameters
    ----------
    tau : float
        Age in steps at which a step counts 1/e.

    Raises
    ------
    PatchError
        For values outside these.

    Examples
    --------
    >>> TemporalExponentialDecay(tau=2).weights(None, 3).round(3)
    array([0.368, 0.607, 1.   ])
    """

    tau: float = checked(_as_steps)

    def by_age(self, age: np.ndarray, length: int) -> np.ndarray:
        """Return the weights (n,), 1 for the newest step."""
        return np.maximum(np.exp(-age / self.tau), np.finfo(float).tiny)


@dataclass(frozen=True)
class TemporalTaperedTukey(AgeWindow):
    """Flat up to the anchor, with a cosine taper over the oldest share `alpha` of the lookback.

    One side only, since the anchor is what is asked about; sampled half a step in, so never
    zero. Source of the taper: Harris (1978), doi:10.1109/PROC.1978.10837.

    Parameters
    ----------
    alpha : float
        Share of the lookback that is tapered, 0 to 1.

    Raises
    ------
    PatchError
        For values outside these.

    Examples
    --------
    >>> TemporalTaperedTukey(alpha=0.5).weights(None, 8).round(3)
    array([0.038, 0.309, 0.691, 0.962, 1.   , 1.   , 1.   , 1.   ])
    """

    alpha: float = checked(share_of("the lookback"), 0.5)

    def by_age(self, age: np.ndarray, length: int) -> np.ndarray:
        """Return the weights (n,), 1 for the newest steps."""
        return tukey((length - age - 0.5) / length, self.alpha)


@dataclass(frozen=True)
class TemporalPeriodic(AgeWindow):
    """exp(cos(2 pi age / period) - 1): steps at the anchor's own phase of a cycle count most.

    The von Mises curve with concentration 1: between 1 and exp(-2), never zero.
    Source: Mardia and Jupp (2000), Directional Statistics, section 3.5.4.

    Parameters
    ----------
    period : float
        Of the cycle, in steps.

    Raises
    ------
    PatchError
        For values outside these.

    Examples
    --------
    >>> TemporalPeriodic(period=4).weights(None, 5).round(3)
    array([1.   , 0.368, 0.135, 0.368, 1.   ])
    """

    period: float = checked(_as_steps)

    def by_age(self, age: np.ndarray, length: int) -> np.ndarray:
        """Return the weights (n,), 1 at the anchor's phase."""
        return np.exp(np.cos(2 * np.pi * age / self.period) - 1)
