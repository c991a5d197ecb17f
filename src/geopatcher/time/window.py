"""How much each step of a lookback counts. All weights are positive; the newest step is last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from geopatcher.config import Configured
from geopatcher.patch import PatchError


class AgeWindow(Configured):
    """A window that depends on a step's age: 0 for the anchor, 1 for the step before, ..."""

    def weights(self, geometry: Any, length: int) -> np.ndarray:
        """Return the weights (length,) float64 of a lookback of `length` steps.

        A truncated lookback has the newest weights of a whole one.
        """
        whole = getattr(geometry, "length", None) or length
        return self.by_age(np.arange(length - 1, -1, -1.0), max(whole, length))

    def by_age(self, age: np.ndarray, length: int) -> np.ndarray:
        """Return the weights (n,) of steps by their age (n,) in a lookback of `length` steps."""
        raise TypeError(f"{type(self).__name__} must define by_age(age, length)")


@dataclass(frozen=True)
class TemporalCausalBoxcar(AgeWindow):
    """Every step up to the anchor counts the same.

    >>> TemporalCausalBoxcar().weights(None, 3)
    array([1., 1., 1.])
    """

    def by_age(self, age: np.ndarray, length: int) -> np.ndarray:
        """Return ones (n,)."""
        return np.ones(len(age))


@dataclass(frozen=True)
class TemporalExponentialDecay(AgeWindow):
    """exp(-age / tau): a step that is `tau` older counts 1/e as much.

    >>> TemporalExponentialDecay(tau=2).weights(None, 3).round(3)
    array([0.368, 0.607, 1.   ])
    """

    tau: float

    def __post_init__(self) -> None:
        if not self.tau > 0:
            raise PatchError(f"tau must be a positive number of steps, got {self.tau!r}")

    def by_age(self, age: np.ndarray, length: int) -> np.ndarray:
        """Return the weights (n,), 1 for the newest step."""
        return np.maximum(np.exp(-age / self.tau), np.finfo(float).tiny)


@dataclass(frozen=True)
class TemporalTaperedTukey(AgeWindow):
    """Flat up to the anchor, with a cosine taper over the oldest share `alpha` of the lookback.

    One side only, since the anchor is what is asked about; sampled half a step in, so never
    zero. Source of the taper: Harris (1978), doi:10.1109/PROC.1978.10837.

    >>> TemporalTaperedTukey(alpha=0.5).weights(None, 8).round(3)
    array([0.038, 0.309, 0.691, 0.962, 1.   , 1.   , 1.   , 1.   ])
    """

    alpha: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise PatchError(f"alpha is a share of the lookback, 0 to 1, got {self.alpha!r}")

    def by_age(self, age: np.ndarray, length: int) -> np.ndarray:
        """Return the weights (n,), 1 for the newest steps."""
        if self.alpha == 0:
            return np.ones(len(age))
        from_oldest = (length - age - 0.5) / length
        return np.sin(np.pi / 2 * np.minimum(from_oldest / self.alpha, 1)) ** 2


@dataclass(frozen=True)
class TemporalPeriodic(AgeWindow):
    """exp(cos(2 pi age / period) - 1): steps at the anchor's own phase of a cycle count most.

    The von Mises curve with concentration 1: between 1 and exp(-2), never zero.
    Source: Mardia and Jupp (2000), Directional Statistics, section 3.5.4.

    >>> TemporalPeriodic(period=4).weights(None, 5).round(3)
    array([1.   , 0.368, 0.135, 0.368, 1.   ])
    """

    period: float

    def __post_init__(self) -> None:
        if not self.period > 0:
            raise PatchError(f"period must be a positive number of steps, got {self.period!r}")

    def by_age(self, age: np.ndarray, length: int) -> np.ndarray:
        """Return the weights (n,), 1 at the anchor's phase."""
        return np.exp(np.cos(2 * np.pi * age / self.period) - 1)
