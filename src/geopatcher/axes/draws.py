"""Random numbers that are the same for a seed for ever, and Poisson-disk samples made of them.

numpy promises that the raw bits of PCG64 and its seeding never change, but not what
`numpy.random.Generator` makes of them (NEP 19). So the numbers here are made from the raw bits,
with operations that IEEE 754 rounds exactly.

A Poisson-disk sample is random, and no two of its places are closer than a distance. Source:
Bridson, R. (2007), Fast Poisson disk sampling in arbitrary dimensions, SIGGRAPH sketches.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from geopatcher.config import as_count


def as_seed(seed: Any, name: str = "seed") -> int | None:
    """Return a seed as a whole number of at least 0, or None for a fresh one every time.

    Parameters
    ----------
    seed : int or None
        The seed.
    name : str
        Its name, for the message.

    Returns
    -------
    int or None
        As a plain number.

    Examples
    --------
    >>> as_seed(7)
    7
    """
    return None if seed is None else as_count(seed, name, least=0)


class Draws:
    """A stream of random numbers from a seed (O'Neill's PCG64, raw 64-bit words).

    Examples
    --------
    >>> Draws(0).below(100, 5).tolist()
    [63, 26, 4, 1, 81]
    """

    def __init__(self, seed: int | None) -> None:
        self._bits = np.random.PCG64(seed)

    def uniform(self, count: int) -> np.ndarray:
        """Return (count,) float64 in [0, 1): the top 53 bits of each word.

        Parameters
        ----------
        count : int
            How many are drawn.

        Returns
        -------
        numpy.ndarray
            (count,) float64.
        """
        raw = self._bits.random_raw(count)
        return (raw >> np.uint64(11)) * 2.0**-53

    def below(self, limit: int, count: int) -> np.ndarray:
        """Return (count,) int64 in [0, limit).

        Parameters
        ----------
        limit : int
            All numbers are smaller.
        count : int
            How many are drawn.

        Returns
        -------
        numpy.ndarray
            (count,) int64.
        """
        return np.floor(self.uniform(count) * limit).astype(np.int64)

    def shuffled(self, limit: int) -> np.ndarray:
        """Return 0 to limit - 1 in random order, (limit,) int64.

        Parameters
        ----------
        limit : int
            How many numbers.

        Returns
        -------
        numpy.ndarray
            (limit,) int64.
        """
        return np.argsort(self.uniform(limit), kind="stable")


CANDIDATES = 30
"""Bridson's k: places tried around a sample before it is given up."""

_TRIED = 64  # points of a square, of which 59 % fall into the annulus: more than k of them


def disk_positions(height: int, width: int, min_dist: float, draws: Draws) -> list[tuple[int, int]]:
    """Return whole (row, col) in [0, height) x [0, width), each pair at least min_dist apart.

    No trigonometry: candidates are drawn from a square and kept when they fall into the annulus
    from min_dist to twice that, so a seed gives the same positions on every machine.

    Parameters
    ----------
    height : int
        Rows of the scene.
    width : int
        Columns of the scene.
    min_dist : float
        Least distance, in pixels.
    draws : Draws
        The random numbers.

    Returns
    -------
    list of (int, int)
        (row, col), in the order found.

    Examples
    --------
    >>> disk_positions(1, 1, 5.0, Draws(0))
    [(0, 0)]
    """
    min_dist = max(min_dist, 1.0)  # whole positions that differ are no closer
    limits = np.array([height, width])
    points: list[np.ndarray] = []
    active: list[int] = []
    # The number of the sample in each cell, of which none is large enough for two.
    cell = min_dist / math.sqrt(2)
    shelf = np.full((int(height / cell) + 1, int(width / cell) + 1), -1, np.int64)
    # A candidate lies up to 2 distances and a rounding from its base, its rivals one more.
    reach = math.ceil((3 * min_dist + 1) / cell)

    def keep(place: np.ndarray) -> None:
        shelf[tuple((place / cell).astype(int))] = len(points)
        active.append(len(points))
        points.append(place)

    keep(np.floor(draws.uniform(2) * limits).astype(np.int64))
    while active:
        pick = int(draws.below(len(active), 1)[0])
        base = points[active[pick]]
        row, col = (base / cell).astype(int)
        top, left = max(row - reach, 0), max(col - reach, 0)
        block = shelf[top : row + reach + 1, left : col + reach + 1]
        near = np.array([points[number] for number in block[block >= 0]])
        places = _annulus(base, min_dist, limits, draws)
        gaps = places[:, None, :] - near[None, :, :]
        free = ((gaps * gaps).sum(axis=2) >= min_dist * min_dist).all(axis=1)
        if free.any():
            keep(places[int(free.argmax())])
        else:
            active[pick] = active[-1]
            active.pop()
    return [(int(row), int(col)) for row, col in points]


def _annulus(base: np.ndarray, min_dist: float, limits: np.ndarray, draws: Draws) -> np.ndarray:
    """Return up to k whole positions (n, 2) between min_dist and twice that from `base`."""
    offsets = (draws.uniform(2 * _TRIED).reshape(-1, 2) - 0.5) * (4 * min_dist)
    squared = offsets[:, 0] ** 2 + offsets[:, 1] ** 2
    near, far = min_dist * min_dist, 4 * min_dist * min_dist
    offsets = offsets[(squared >= near) & (squared < far)][:CANDIDATES]
    places = base + np.floor(offsets + 0.5).astype(np.int64)
    return places[((places >= 0) & (places < limits)).all(axis=1)]


def thin_out(tree: Any, points: np.ndarray, min_dist: float, draws: Draws) -> list[int]:
    """Return the members of a point set that are left when each in random order forbids a disk.

    `tree`: KD-tree over `points` (N, D); `min_dist` in the tree's unit.

    Parameters
    ----------
    tree : scipy.spatial.cKDTree
        Over the points.
    points : numpy.ndarray
        (N, D).
    min_dist : float
        In the tree's unit.
    draws : Draws
        The random numbers.

    Returns
    -------
    list of int
        Numbers of the members that are left.
    """
    order = draws.shuffled(len(points))
    rank = np.empty(len(points), np.int64)
    rank[order] = np.arange(len(points))
    forbidden = np.zeros(len(points), bool)
    kept = []
    # Strictly nearer than min_dist, as on pixels.
    radius = math.nextafter(min_dist, 0)
    for index in order:
        if not forbidden[index]:
            kept.append(int(index))
            forbidden[tree.query_ball_point(points[index], radius)] = True
    return kept
