"""The candidates of a sampler: where a geometry's patches may be anchored on a domain.

A sampler says how many and how spread; the candidates know what an anchor is there: (row, col) of a
rectangle's upper left pixel, the number of a point or polygon, (longitude, latitude).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn, Protocol

import numpy as np

from geopatcher.axes.draws import Draws, disk_positions, thin_out
from geopatcher.axes.grid import RegularGrid
from geopatcher.domain import GridDomain, PointDomain
from geopatcher.patch import PatchError
from geopatcher.sphere import chord

Step = tuple[int, int]


class Candidates(Protocol):
    """Where patches may hang."""

    def every(self, step: Step) -> list[Any]:
        """Return an anchor every `step`."""

    def jittered(self, step: Step, jitter: float, draws: Draws) -> list[Any]:
        """Return an anchor every `step`, moved at random by up to `jitter` steps."""

    def scattered(self, count: int, draws: Draws) -> list[Any]:
        """Return `count` random anchors."""

    def apart(self, min_dist: float, draws: Draws) -> list[Any]:
        """Return random anchors at least `min_dist` apart, nearly as many as fit."""


class Sampled(Protocol):
    """A geometry that can be sampled: it knows where its patches may be anchored."""

    def candidates(self, domain: Any) -> Candidates:
        """Return where patches may be anchored on a domain."""

    def check_anchor(self, domain: Any, anchor: Any) -> None:
        """Raise `PatchError` for an anchor where no patch can be."""


@dataclass(frozen=True)
class PixelCandidates:
    """Upper left pixels (row, col) of rectangles of one size: up to `last`, at least (0, 0)."""

    size: Step
    shape: Step
    boundary: str

    @property
    def last(self) -> Step:
        """The last (row, col) where a rectangle may hang."""
        if self.boundary in ("pad", "shrink"):
            return self.shape[0] - 1, self.shape[1] - 1
        return self.shape[0] - self.size[0], self.shape[1] - self.size[1]

    def grid(self, step: Step) -> RegularGrid:
        """Return the regular grid."""
        return RegularGrid.of(self.shape, self.size, step, self.boundary)

    def every(self, step: Step) -> list[Step]:
        """Return the regular grid's anchors."""
        return list(self.grid(step).anchors())

    def jittered(self, step: Step, jitter: float, draws: Draws) -> list[Step]:
        """Return the regular grid's anchors, moved and kept inside the scene."""
        base = np.array(self.every(step), np.int64)
        moves = (2 * draws.uniform(base.size).reshape(-1, 2) - 1) * jitter * np.array(step)
        moved = base + np.floor(moves + 0.5).astype(np.int64)
        return _pairs(np.clip(moved, 0, self.last))

    def scattered(self, count: int, draws: Draws) -> list[Step]:
        """Return independent anchors: the first ten of a hundred are those of ten."""
        room = np.array(self.last) + 1
        return _pairs(np.floor(draws.uniform(2 * count).reshape(-1, 2) * room).astype(np.int64))

    def apart(self, min_dist: float, draws: Draws) -> list[Step]:
        """Return Poisson-disk anchors, `min_dist` in pixels."""
        row, col = self.last
        return disk_positions(row + 1, col + 1, min_dist, draws)


class MemberCandidates:
    """The members of a set, by number; `points` says where they are, for distances."""

    def __init__(self, count: int, points: PointDomain | None, what: str = "points") -> None:
        self.count = count
        self.points = points
        self.what = what

    def every(self, step: Step) -> list[int]:
        """Return every step-th member."""
        if step[0] != step[1]:
            raise PatchError(f"a step over {self.what} is one number, got {step}")
        return list(range(0, self.count, step[0]))

    def jittered(self, step: Step, jitter: float, draws: Draws) -> NoReturn:
        """Raise: members of a set cannot be moved."""
        raise PatchError(f"{self.what} cannot be jittered; use SpatialRandom or SpatialPoissonDisk")

    def scattered(self, count: int, draws: Draws) -> list[int]:
        """Return distinct members in random order."""
        if count > self.count:
            raise PatchError(
                f"{count} distinct of {self.count} {self.what} cannot be drawn; give a smaller "
                "n_samples"
            )
        return [int(i) for i in draws.shuffled(self.count)[:count]]

    def apart(self, min_dist: float, draws: Draws) -> list[int]:
        """Return members at least `min_dist` apart, in the unit of the domain's distances."""
        if self.points is None:
            raise PatchError(f"{self.what} have no distances to keep; use SpatialRandom")
        tree = self.points.tree
        apart = chord(min_dist / 1000) if self.points.is_geographic else min_dist
        return thin_out(tree, np.asarray(tree.data), apart, draws)


@dataclass(frozen=True)
class SphereCandidates:
    """(longitude, latitude) in degrees on a geographic grid."""

    domain: GridDomain

    @cached_property
    def _box(self) -> tuple[float, float, float, float]:
        west, south, east, north = self.domain.bounds
        return west, max(south, -90.0), east, min(north, 90.0)

    def every(self, step: Step) -> list[tuple[float, float]]:
        """Return the cells' centres every `step` (rows, cols)."""
        lat, lon = self.domain.y[:: step[0]], self.domain.x[:: step[1]]
        return [(float(x), float(y)) for y in lat for x in lon]

    def jittered(self, step: Step, jitter: float, draws: Draws) -> list[tuple[float, float]]:
        """Return the cells' centres every `step`, moved by up to `jitter` of the spacing."""
        west, south, east, north = self._box
        height, width = (north - south) / self.domain.height, (east - west) / self.domain.width
        reach = np.array([step[1] * width, step[0] * height]) * jitter
        base = np.array(self.every(step))
        moved = base + (2 * draws.uniform(base.size).reshape(-1, 2) - 1) * reach
        return _degrees(np.clip(moved, (west, south), (east, north)))

    def scattered(self, count: int, draws: Draws) -> list[tuple[float, float]]:
        """Return anchors spread evenly by area, so no denser towards the poles."""
        west, south, east, north = self._box
        u = draws.uniform(2 * count).reshape(-1, 2)
        low, high = np.sin(np.radians([south, north]))
        lat = np.degrees(np.arcsin(low + u[:, 1] * (high - low)))
        return _degrees(np.stack([west + u[:, 0] * (east - west), lat], axis=1))

    def apart(self, min_dist: float, draws: Draws) -> NoReturn:
        """Raise: Bridson's algorithm is for the plane."""
        raise PatchError(
            "SpatialPoissonDisk needs pixels or points, got a geographic grid with a spherical "
            "geometry; use SpatialRandom, which is even by area"
        )


def _pairs(array: np.ndarray) -> list[Step]:
    return [(row, col) for row, col in array.tolist()]


def _degrees(array: np.ndarray) -> list[tuple[float, float]]:
    # Nine decimals (0.1 mm) hide the last bits, in which sines differ between machines.
    return [(lon, lat) for lon, lat in array.round(9).tolist()]


def check_members(anchor: Any, count: int, what: str) -> int:
    """Return an anchor that is a member's number, 0 to count - 1.

    >>> check_members(np.int64(2), 3, "points")
    2
    """
    if not isinstance(anchor, int | np.integer) or not 0 <= anchor < count:
        raise PatchError(f"an anchor among {count} {what} is 0 to {count - 1}, got {anchor!r}")
    return int(anchor)


def plain_anchor(anchor: Any) -> Any:
    """Return an anchor as plain numbers and tuples, whatever sequence it came as.

    >>> plain_anchor([np.int64(3), 4])
    (3, 4)
    """
    if isinstance(anchor, np.generic):
        return anchor.item()
    if isinstance(anchor, np.ndarray):
        return plain_anchor(anchor.tolist())
    if isinstance(anchor, Sequence) and not isinstance(anchor, str):
        return tuple(plain_anchor(item) for item in anchor)
    return anchor
