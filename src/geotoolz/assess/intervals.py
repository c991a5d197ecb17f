"""A figure that a sample tells, its standard error, and the interval made of both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipekit.operator import checked_number, checked_option

METHODS = ("wald", "logit", "wilson")
"""How an interval is made of an estimate and its standard error."""

Floats = NDArray[np.float64]
"""Numbers by class, or one for each unit."""


@dataclass(frozen=True)
class Estimate:
    """What a sample says of one figure, or of one for each class.

    Parameters
    ----------
    value
        Number or (K,) array; NaN where the sample cannot tell.
    standard_error
        Of the same shape; NaN where the sample cannot tell.
    count
        How many samples the figure rests on, of the same shape; of clusters, how many clusters.
    total
        What 100 % is: 1 for accuracies, the whole area for areas.
    reasons
        Why something is NaN, by class (or "overall").
    parts
        Where the figure is a sum over strata of samples of single pixels: (H,) shares of the area,
        (..., H) what share of each stratum counts, (H,) samples.
    degrees
        Of freedom that the standard error has: clusters less strata; endless for single pixels,
        where papers take the normal distribution.

    Examples
    --------
    >>> Estimate(0.9, 0.03, 100).interval()
    (0.841..., 0.958...)
    """

    value: Any
    standard_error: Any
    count: Any
    total: float = 1.0
    reasons: Mapping[Any, str] = field(default_factory=dict)
    parts: tuple[Floats, Floats, Floats] | None = field(default=None, repr=False)
    degrees: float = math.inf

    def interval(self, level: float = 0.95, method: str = "wald") -> tuple[Any, Any]:
        """Return the confidence interval, (low, high), each of the shape of `value`.

        Parameters
        ----------
        level
            The share of samples whose interval holds the truth, 0.95 for 95 %.
        method
            "wald": value plus and minus a multiple of the standard error, as papers print it. It is
            too short where few samples decide: a class that is missed in one pixel of a thousand
            is mostly not met at all, and both value and error are then too small. "wilson" asks
            which shares the sample would not be unusual for (Wilson, 1927): stratum by stratum for
            areas and the overall accuracy, whose limits are then combined (Zou and Donner, 2008);
            for ratios with the number of samples that would give this standard error at random
            (Korn and Graubard, 1998). Take it for rare classes. "logit" makes the interval on the
            scale of log odds, which suits accuracies near 0 and 100 %.

        Returns
        -------
        (low, high); NaN where the value or its standard error is.

        Raises
        ------
        ValueError
            For a level outside 0 to 1 or another method.

        Notes
        -----
        In 400 to 1,000 simulated maps each, "wilson" held the area of a class of 30 % in 95.5 % of
        them and that of a class of 1 % in 94.5 to 97 %, with 100 pixels drawn where it is mapped
        and 400 to 4,900 elsewhere. "wald" held 93 % for the first; for the second 53 % with 400
        pixels, 83 % with 900, 91 % with 2,000. No method holds for the producer's accuracy of a
        class whose omissions the sample did not meet: 30 to 80 % there.
        """
        from scipy.stats import t

        checked_option(method, "method", METHODS)
        checked_number(level, "level", 0, 1, inside=True)
        z = float(t.ppf((1 + level) / 2, self.degrees))
        share = np.asarray(self.value, np.float64) / self.total
        error = np.asarray(self.standard_error, np.float64) / self.total
        if method == "wald":
            low, high = share - z * error, share + z * error
        elif method == "logit":
            low, high = _logit_interval(share, error, z)
        elif self.parts is not None:
            low, high = _combined_interval(share, self.parts, z)
        else:
            low, high = _wilson_interval(share, error, np.asarray(self.count, np.float64), z)
        bounds = (bound * self.total for bound in (low, high))
        lowest, highest = (bound if bound.ndim else float(bound) for bound in bounds)
        return lowest, highest


def _logit_interval(share: Floats, error: Floats, z: float) -> tuple[Floats, Floats]:
    inner = (share > 0) & (share < 1)
    p = np.where(inner, share, 0.5)
    middle, reach = np.log(p / (1 - p)), z * error / (p * (1 - p))
    low, high = (1 / (1 + np.exp(-(middle + sign * reach))) for sign in (-1, 1))
    return np.where(inner, low, share - 0 * error), np.where(inner, high, share - 0 * error)


def _combined_interval(
    share: Floats, parts: tuple[Floats, Floats, Floats], z: float
) -> tuple[Floats, Floats]:
    """Return limits from those of each stratum: their distances add up as errors do."""
    weights, shares, counts = parts
    error = np.zeros(shares.shape)  # with which Wilson's own interval is made
    low, high = _wilson_interval(shares, error, counts, z)
    down, up = (
        np.sqrt(np.sum((weights * (shares - limit)) ** 2, axis=-1)) for limit in (low, high)
    )
    return share - down, share + up


def _wilson_interval(
    share: Floats, error: Floats, count: Floats, z: float
) -> tuple[Floats, Floats]:
    with np.errstate(divide="ignore", invalid="ignore"):
        alike = np.where(error > 0, share * (1 - share) / error**2, count)
        middle = (share + z**2 / (2 * alike)) / (1 + z**2 / alike)
        spread = np.sqrt(np.clip(share * (1 - share), 0, None) / alike + z**2 / (4 * alike**2))
        reach = z / (1 + z**2 / alike) * spread
    known = np.isfinite(share) & np.isfinite(error)
    return np.where(known, middle - reach, np.nan), np.where(known, middle + reach, np.nan)
