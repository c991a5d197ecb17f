"""Patches that are neighbourhoods of a point: the nearest few, or all within a radius."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from geopatcher.arguments import as_count
from geopatcher.axes.candidates import MemberCandidates, check_members
from geopatcher.config import Configured
from geopatcher.domain import PointDomain, VectorDomain
from geopatcher.patch import Members, PatchError
from geopatcher.sphere import arc_km, reach


class PointGraph(Configured):
    """What graphs over points share: anchors, candidates, reading.

    An anchor is a member's number, which is then the first of its own patch, or a place (x, y) in
    the domain's coordinates. Shapes stand for their centroids.
    """

    def candidates(self, domain: Any) -> MemberCandidates:
        """Return where patches may hang: the members."""
        points = _points(domain, type(self).__name__)
        return MemberCandidates(len(points), points)

    def check_anchor(self, domain: Any, anchor: Any) -> None:
        """Raise `PatchError` for an anchor that is neither a member nor a place."""
        _place(_points(domain, type(self).__name__), anchor)

    def read(self, field: Any, indices: Members) -> Any:
        """Return the field's members in the patch."""
        return field.select(indices)


@dataclass(frozen=True)
class SpatialKNNGraph(PointGraph):
    """The `k` members nearest to the anchor, nearest first; a member counts as its own nearest.

    Distances are straight in the coordinates' unit, on a geographic CRS great circles in metres.

    >>> domain = PointDomain([[0, 0], [1, 0], [5, 0], [2.5, 0]])
    >>> SpatialKNNGraph(k=3).neighborhood(domain, 1).index.tolist()
    [1, 0, 3]
    """

    k: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", as_count(self.k, "k"))

    def neighborhood(self, domain: Any, anchor: Any) -> Members:
        """Return the nearest members with their distances."""
        points = _points(domain, "SpatialKNNGraph")
        if self.k > len(points):
            raise PatchError(
                f"{self.k} nearest of {len(points)} points cannot be found; give a smaller k"
            )
        place = _place(points, anchor)
        distance, index = map(np.atleast_1d, points.tree.query(place, k=self.k))
        if isinstance(anchor, int | np.integer) and anchor not in index:
            index[-1] = anchor  # more than k members lie at its place, all equally near
        return _nearest_first(points, index, distance, anchor)


@dataclass(frozen=True)
class SpatialRadiusGraph(PointGraph):
    """All members within `radius` of the anchor, nearest first, those at the radius included.

    `radius` is in the coordinates' unit, on a geographic CRS in metres along great circles.

    >>> domain = PointDomain([[0, 0], [1, 0], [5, 0], [2.5, 0]])
    >>> SpatialRadiusGraph(radius=1.5).neighborhood(domain, (1.0, 0.0)).index.tolist()
    [1, 0, 3]
    """

    radius: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.radius) and self.radius > 0):
            raise PatchError(f"radius must be positive and finite, got {self.radius!r}")

    def neighborhood(self, domain: Any, anchor: Any) -> Members:
        """Return the members within the radius with their distances.

        Raises `PatchError` when there is none, which only a place (x, y) can meet.
        """
        points = _points(domain, "SpatialRadiusGraph")
        place = _place(points, anchor)
        within = reach(self.radius / 1000) if points.is_geographic else self.radius
        index = np.asarray(points.tree.query_ball_point(place, within), np.int64)
        if not index.size:
            raise PatchError(f"no point lies within {self.radius} of {anchor}; use a larger radius")
        distance = np.linalg.norm(points.tree.data[index] - place, axis=1)
        return _nearest_first(points, index, distance, anchor, self.radius)


def _points(domain: Any, name: str) -> PointDomain:
    if isinstance(domain, VectorDomain):
        return domain.points
    if not isinstance(domain, PointDomain):
        raise PatchError(
            f"{name} needs points or shapes, got {domain}; use SpatialRectangular for rasters"
        )
    return domain


def _place(points: PointDomain, anchor: Any) -> np.ndarray:
    """Return an anchor in the coordinates of the points' tree."""
    if isinstance(anchor, int | np.integer):
        return np.asarray(points.tree.data[check_members(anchor, len(points), "points")])
    try:
        xyz = [float(value) for value in anchor]
    except (TypeError, ValueError):
        xyz = []
    if len(xyz) != points.coords.shape[1] or not np.isfinite(xyz).all():
        raise PatchError(
            f"an anchor is a point's number or {points.coords.shape[1]} coordinates, got {anchor!r}"
        )
    return points.as_tree_point(*xyz)


def _nearest_first(
    points: PointDomain, index: np.ndarray, distance: np.ndarray, anchor: Any, radius: float = 0
) -> Members:
    own = index != anchor if isinstance(anchor, int | np.integer) else np.zeros(len(index), bool)
    order = np.lexsort((index, own, distance))
    if points.is_geographic:
        distance = arc_km(distance) * 1000
    furthest = float(distance.max())
    return Members(distance=distance[order], reach=radius or furthest, index=index[order])
