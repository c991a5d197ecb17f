"""Patches that are neighbourhoods of a place: the nearest few, all within a radius, a cap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from geopatcher.axes.sampler import MemberCandidates, SphereCandidates, check_members
from geopatcher.config import Configured, as_count, as_positive, checked
from geopatcher.domain import GridDomain, PointDomain, RasterDomain, VectorDomain
from geopatcher.patch import Cells, Members, PatchError
from geopatcher.sphere import arc_km, reach, unit_vectors


class Scatter(Configured):
    """What geometries share whose patches are sets of cells or members."""

    def read(self, field: Any, indices: Cells | Members) -> Any:
        """Return the field's values in the patch."""
        return field.select(indices)


class PointGraph(Scatter):
    """What graphs over points share: anchors, candidates, reading.

    An anchor is a member's number, which is then the first of its own patch, or a place (x, y) in
    the domain's coordinates. Shapes stand for their centroids.
    """

    def candidates(self, domain: Any) -> MemberCandidates:
        """Return where patches may be anchored: the members."""
        points = _points(domain, type(self).__name__)
        return MemberCandidates(len(points), points)

    def check_anchor(self, domain: Any, anchor: Any) -> None:
        """Raise `PatchError` for an anchor that is neither a member nor a place."""
        _place(_points(domain, type(self).__name__), anchor)


@dataclass(frozen=True)
class SpatialKNNGraph(PointGraph):
    """The `k` members nearest to the anchor, nearest first; a member counts as its own nearest.

    Distances are straight in the coordinates' unit, on a geographic CRS great circles in metres.

    Parameters
    ----------
    k : int
        Members of each patch, the anchor's own included.

    Raises
    ------
    PatchError
        For a k below 1, or above the number of members.

    Examples
    --------
    >>> domain = PointDomain([[0, 0], [1, 0], [5, 0], [2.5, 0]])
    >>> SpatialKNNGraph(k=3).neighborhood(domain, 1).index.tolist()
    [1, 0, 3]
    """

    k: int = checked(as_count)

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

    Parameters
    ----------
    radius : float
        In the coordinates' unit, on a geographic CRS in metres.

    Raises
    ------
    PatchError
        For a radius that is not positive and finite.

    Examples
    --------
    >>> domain = PointDomain([[0, 0], [1, 0], [5, 0], [2.5, 0]])
    >>> SpatialRadiusGraph(radius=1.5).neighborhood(domain, (1.0, 0.0)).index.tolist()
    [1, 0, 3]
    """

    radius: float = checked(as_positive)

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
    xyz = _floats(anchor)
    if len(xyz) != points.coords.shape[1] or not np.isfinite(xyz).all():
        raise PatchError(
            f"an anchor is a point's number or {points.coords.shape[1]} coordinates, got {anchor!r}"
        )
    return unit_vectors(*xyz[:2]) if points.is_geographic else np.array(xyz)


def _nearest_first(
    points: PointDomain, index: np.ndarray, distance: np.ndarray, anchor: Any, radius: float = 0
) -> Members:
    own = index != anchor if isinstance(anchor, int | np.integer) else np.zeros(len(index), bool)
    order = np.lexsort((index, own, distance))
    if points.is_geographic:
        distance = arc_km(distance) * 1000
    furthest = float(distance.max())
    return Members(distance=distance[order], reach=radius or furthest, index=index[order])


@dataclass(frozen=True)
class SpatialSphericalCap(Scatter):
    """All grid cells or points within `radius_km` of an anchor along great circles.

    Found in a KD-tree over the unit sphere, so caps are whole across the antimeridian and over
    the poles. Anchors are (longitude, latitude) in degrees; among points also a point's number.
    Needs longitudes and latitudes: a geographic CRS, or grid axes named lat and lon.

    Parameters
    ----------
    radius_km : float
        Along great circles, in kilometres.

    Raises
    ------
    PatchError
        For a radius that is not positive and finite, or a domain without degrees.

    Examples
    --------
    >>> globe = GridDomain({"lat": np.arange(-90, 91, 1.0), "lon": np.arange(-180, 180, 1.0)})
    >>> cap = SpatialSphericalCap(radius_km=112).neighborhood(globe, (180.0, 0.0))
    >>> globe.x[cap.cols].tolist(), globe.y[cap.rows].tolist()
    ([-180.0, -180.0, -179.0, 179.0, -180.0], [-1.0, 0.0, 0.0, 0.0, 1.0])
    """

    radius_km: float = checked(as_positive)

    def candidates(self, domain: Any) -> SphereCandidates | MemberCandidates:
        """Return where caps may be centred."""
        domain = _spherical(domain)
        if isinstance(domain, PointDomain):
            return MemberCandidates(len(domain), domain)
        return SphereCandidates(domain)

    def check_anchor(self, domain: Any, anchor: Any) -> None:
        """Raise `PatchError` for an anchor that is no place on the sphere."""
        _lon_lat(_spherical(domain), anchor)

    def neighborhood(self, domain: Any, anchor: Any) -> Cells | Members:
        """Return the cells (in row-major order) or points (by number) of the cap, with distances.

        Raises `PatchError` when the cap holds none.
        """
        domain = _spherical(domain)
        centre = unit_vectors(*_lon_lat(domain, anchor))
        tree = domain.tree if isinstance(domain, PointDomain) else domain.sphere_tree
        found = tree.query_ball_point(centre, reach(self.radius_km))
        index = np.sort(np.asarray(found, np.int64))
        if not index.size:
            raise PatchError(
                f"no cell or point lies within {self.radius_km} km of {anchor} (lon, lat); "
                "use a larger radius_km"
            )
        distance = arc_km(np.linalg.norm(tree.data[index] - centre, axis=1))
        if isinstance(domain, PointDomain):
            return Members(distance=distance, reach=self.radius_km, index=index)
        rows, cols = np.divmod(index, domain.width)
        return Cells(distance=distance, reach=self.radius_km, rows=rows, cols=cols)


def _spherical(domain: Any) -> GridDomain | PointDomain:
    """Return the domain as a grid or points in degrees, or raise `PatchError`."""
    if isinstance(domain, RasterDomain):
        domain = domain.grid
    if not isinstance(domain, GridDomain | PointDomain) or not domain.is_geographic:
        raise PatchError(
            f"SpatialSphericalCap needs longitudes and latitudes, got {domain}; give a geographic "
            "crs such as EPSG:4326, or reproject"
        )
    return domain


def _lon_lat(domain: GridDomain | PointDomain, anchor: Any) -> tuple[float, float]:
    if isinstance(anchor, int | np.integer) and isinstance(domain, PointDomain):
        lon, lat = domain.coords[check_members(anchor, len(domain), "points")][:2]
        return float(lon), float(lat)
    place = _floats(anchor)
    if len(place) != 2 or not (-90 <= place[1] <= 90 and math.isfinite(place[0])):
        raise PatchError(
            f"a cap's anchor is (longitude, latitude) in degrees with -90 <= latitude <= 90, got "
            f"{anchor!r}"
        )
    return place[0], place[1]


def _floats(anchor: Any) -> list[float]:
    """Return an anchor's coordinates, none where it has no numbers."""
    try:
        return [float(value) for value in anchor]
    except (TypeError, ValueError):
        return []
