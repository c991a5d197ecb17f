"""Ratios of totals that a sample estimates, and their standard errors.

Sources: Stehman, S. V. (2014), Estimating area and map accuracy for stratified random sampling when
the strata are different from the map classes, International Journal of Remote Sensing 35,
4923-4939; Cochran, W. G. (1977), Sampling Techniques, 3rd ed., Wiley, chapters 6 and 9.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geotoolz.assess.intervals import Floats


@dataclass(frozen=True)
class Units:
    """What was drawn and looked at: profiles of units, how many there are of each, and where from.

    Parameters
    ----------
    profiles
        (P, K * K): how many pixels of each (mapped, true) pair a unit has; a pixel has one.
    many
        (P,) how often this profile was drawn.
    strata
        (P,) numbers of the strata they were drawn from.
    sizes
        (H,) pixels, or area, of each stratum.
    sampled_share
        (H,) of each stratum's units that were drawn; 0 where the stratum is taken for endless.
    names
        (H,) of the strata.

    Examples
    --------
    Ten pixels of 100, of which nine are right:

    >>> cells = np.eye(4)[[0, 1, 3]]
    >>> many, stratum = np.array([4.0, 1, 5]), np.zeros(3, int)
    >>> units = Units(cells, many, stratum, np.array([100.0]), np.zeros(1), ["all"])
    >>> units.ratio(np.array([1.0, 0, 0, 1]), np.ones(4), [0])
    (0.9, 0.1, '')
    """

    profiles: Floats
    many: Floats
    strata: NDArray[np.intp]
    sizes: Floats
    sampled_share: Floats
    names: Sequence[Any]

    @cached_property
    def drawn(self) -> Floats:
        """(H,) units drawn from each stratum."""
        drawn = np.bincount(self.strata, self.many, minlength=len(self.sizes))
        return drawn.astype(np.float64)

    @cached_property
    def expansion(self) -> Floats:
        """(P,) how much of the map one unit of this profile stands for, per pixel of it."""
        pixels = np.bincount(
            self.strata, self.many * self.profiles.sum(axis=1), minlength=len(self.sizes)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            return (self.sizes / pixels)[self.strata]

    def total(self, y: Floats) -> float:
        """Return the estimated total of what a pixel of each (mapped, true) pair has `y` of.

        Parameters
        ----------
        y
            (K * K,).

        Returns
        -------
        In the unit of the strata's sizes.
        """
        return float(np.sum(self.many * self.expansion * (self.profiles @ y)))

    def ratio(self, y: Floats, x: Floats, needed: Sequence[int]) -> tuple[float, float, str]:
        """Return a ratio of two totals, its standard error, and why it is NaN.

        Parameters
        ----------
        y, x
            (K * K,) what a pixel of each (mapped, true) pair has of both.
        needed
            Strata that may hold any of it; one of them without a sample leaves it unknown.

        Returns
        -------
        value, standard error
            NaN where they cannot be told.
        reason
            "" where both are known.
        """
        empty = [h for h in needed if self.drawn[h] == 0 and self.sizes[h] > 0]
        if empty:
            share = self.sizes[empty].sum() / self.sizes.sum()
            names = ", ".join(str(self.names[h]) for h in empty)
            return math.nan, math.nan, f"no sample in stratum {names} ({share:.1%} of the area)"
        whole = self.total(x)
        if not whole > 0:
            return math.nan, math.nan, ""
        value = self.total(y) / whole
        # Totals of what is left of y when the ratio is taken for true (Cochran, equation 6.4).
        rest = self.expansion * (self.profiles @ (y - value * x))
        variance, single = 0.0, []
        for h in needed:
            n, open_share = self.drawn[h], 1 - self.sampled_share[h]
            if n == 0 or open_share <= 0:
                continue
            if n < 2:
                single.append(str(self.names[h]))
                continue
            here = self.strata == h
            many, values = self.many[here], rest[here]
            mean = np.sum(many * values) / n
            variance += open_share * n / (n - 1) * float(np.sum(many * (values - mean) ** 2))
        if single:
            return value, math.nan, f"a single sample in stratum {', '.join(single)}"
        return value, math.sqrt(variance) / whole, ""

    def parts(self, y: Floats) -> tuple[Floats, Floats, Floats] | None:
        """Return what `Estimate.parts` holds, of the share of the area that `y` marks.

        Parameters
        ----------
        y
            (..., K * K) zeros and ones.

        Returns
        -------
        None where units are clusters, or a stratum has no sample.
        """
        if np.any(self.profiles.sum(axis=1) != 1) or np.any(self.drawn[self.sizes > 0] == 0):
            return None
        held = self.sizes > 0
        hits = np.stack(
            [
                np.tensordot(
                    y, (self.profiles * self.many[:, None])[self.strata == h].sum(axis=0), 1
                )
                for h in np.flatnonzero(held)
            ],
            axis=-1,
        )
        drawn = self.drawn[held]
        with np.errstate(divide="ignore"):
            # Those of a stratum that was looked at whole leave nothing open.
            counts = drawn / np.clip(1 - self.sampled_share[held], 0, None)
        return self.sizes[held] / self.sizes.sum(), hits / drawn, counts
