"""Random numbers that are the same for a seed for ever.

numpy promises that the raw bits of PCG64 and its seeding never change, but not what
`numpy.random.Generator` makes of them (NEP 19). So the numbers here are made from the raw bits,
with operations that IEEE 754 rounds exactly.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from geopatcher.patch import PatchError


def check_seed(seed: Any) -> int | None:
    """Return a seed as a whole number of at least 0, or None for a fresh one every time.

    >>> check_seed(7)
    7
    """
    if seed is None:
        return None
    try:
        value = operator.index(seed)
    except TypeError:
        value = -1
    if value < 0:
        raise PatchError(f"seed must be a whole number of at least 0, or None, got {seed!r}")
    return value


class Draws:
    """A stream of random numbers from a seed (O'Neill's PCG64, raw 64-bit words).

    >>> Draws(0).below(100, 5).tolist()
    [63, 26, 4, 1, 81]
    """

    def __init__(self, seed: int | None) -> None:
        self._bits = np.random.PCG64(seed)

    def uniform(self, count: int) -> np.ndarray:
        """Return (count,) float64 in [0, 1): the top 53 bits of each word."""
        raw = self._bits.random_raw(count)
        return (raw >> np.uint64(11)) * 2.0**-53

    def below(self, limit: int, count: int) -> np.ndarray:
        """Return (count,) int64 in [0, limit)."""
        return np.floor(self.uniform(count) * limit).astype(np.int64)

    def shuffled(self, limit: int) -> np.ndarray:
        """Return 0 to limit - 1 in random order, (limit,) int64."""
        return np.argsort(self.uniform(limit), kind="stable")
