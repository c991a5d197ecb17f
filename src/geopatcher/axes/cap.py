"""Patches that are caps of the sphere: all that lies within a great-circle distance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from geopatcher.axes.candidates import MemberCandidates, SphereCandidates, check_members
from geopatcher.config import Configured
from geopatcher.domain import GridDomain, PointDomain, RasterDomain
from geopatcher.patch import Cells, Members, PatchError
from geopatcher.sphere import arc_km, reach, unit_vectors


@dataclass(frozen=True)
class SpatialSphericalCap(Configured):
    """All grid cells or points within `radius_km` of an anchor along great circles.

    Found in a KD-tree over the unit sphere, so caps are whole across the antimeridian and over
    the poles. Anchors are (longitude, latitude) in degrees; among points also a point's number.
    Needs longitudes and latitudes: a geographic CRS, or grid axes named lat and lon.

    >>> globe = GridDomain({"lat": np.arange(-90, 91, 1.0), "lon": np.arange(-180, 180, 1.0)})
    >>> cap = SpatialSphericalCap(radius_km=112).neighborhood(globe, (180.0, 0.0))
    >>> globe.x[cap.cols].tolist(), globe.y[cap.rows].tolist()
    ([-180.0, -180.0, -179.0, 179.0, -180.0], [-1.0, 0.0, 0.0, 0.0, 1.0])
    """

    radius_km: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.radius_km) and self.radius_km > 0):
            raise PatchError(f"radius_km must be positive and finite, got {self.radius_km!r}")

    def candidates(self, domain: Any) -> SphereCandidates | MemberCandidates:
        """Return where caps may hang."""
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

    def read(self, field: Any, indices: Cells | Members) -> Any:
        """Return the field's values in the cap."""
        return field.select(indices)


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
    try:
        lon, lat = (float(value) for value in anchor)
    except (TypeError, ValueError):
        raise PatchError(f"a cap's anchor is (longitude, latitude), got {anchor!r}") from None
    if not (-90 <= lat <= 90 and math.isfinite(lon)):
        raise PatchError(
            f"a cap's anchor is (longitude, latitude) in degrees with -90 <= latitude <= 90, got "
            f"{anchor!r}"
        )
    return lon, lat
