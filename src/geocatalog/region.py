"""Where a query looks: boxes in the catalog's CRS, or a reprojected outline."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from geocatalog.errors import CatalogError
from geocatalog.footprint import Bounds, box_parts, reproject_box, turns
from pipekit.carrier import same_crs

_MARGIN = 0.02
"""Share by which the data's extent is widened before a query box is cut to it."""


@dataclass(frozen=True)
class Region:
    """A place in a catalog's own CRS.

    `parts` are the boxes that enclose it; `outline` is its exact shape, or None when the parts
    themselves are. Edges and corners belong to it: touching counts as intersecting.

    Examples
    --------
    >>> Region([(0.0, 0.0, 1.0, 1.0)]).touches(np.array([shapely.Point(1, 1)]))
    array([ True])
    """

    parts: list[Bounds]
    outline: BaseGeometry | None = None

    @property
    def is_boxes(self) -> bool:
        """Whether bounds alone decide about a footprint that is itself a box."""
        return self.outline is None

    @cached_property
    def shape(self) -> BaseGeometry:
        """The exact shape."""
        if self.outline is not None:
            return self.outline
        if len(self.parts) == 1:
            return shapely.box(*self.parts[0])
        return shapely.MultiPolygon([shapely.box(*part) for part in self.parts])

    def touches_bounds(self, bounds: np.ndarray) -> np.ndarray:
        """Say for (N, 4) bounds which of them touch one of the parts: (N,) bool."""
        found = np.zeros(len(bounds), dtype=bool)
        for west, south, east, north in self.parts:
            found |= (
                (bounds[:, 0] <= east)
                & (bounds[:, 2] >= west)
                & (bounds[:, 1] <= north)
                & (bounds[:, 3] >= south)
            )
        return found

    def touches(self, geometry: np.ndarray) -> np.ndarray:
        """Say for (N,) footprints which of them touch the exact shape: (N,) bool."""
        if self.outline is None and len(self.parts) > 1:
            return np.any(
                [shapely.intersects(shapely.box(*p), geometry) for p in self.parts], axis=0
            )
        shapely.prepare(self.shape)
        return shapely.intersects(self.shape, geometry)


def region_of(bounds: Bounds, crs: CRS, catalog_crs: CRS, extent: Bounds | None) -> Region:
    """Return the region of a query box, in the catalog's CRS.

    A box in another CRS is first cut to the catalog's own `extent` (nothing outside can match,
    and a far corner may have no place in a projected CRS), then reprojected along densified
    edges. A box across the antimeridian becomes two, in either notation: west > east, or a side
    beyond 180 degrees.

    Examples
    --------
    >>> region_of((0.0, 0.0, 1.0, 1.0), CRS(4326), CRS(4326), None).parts
    [(0.0, 0.0, 1.0, 1.0)]
    >>> region_of((170.0, 0.0, 190.0, 1.0), CRS(4326), CRS(4326), None).parts
    [(170.0, 0.0, 190.0, 1.0), (-190.0, 0.0, -170.0, 1.0)]
    """
    parts = box_parts(bounds)
    if crs.is_geographic:
        # The box itself stays: some rasters count longitudes from 0 to 360.
        west, south, east, north = bounds
        parts += [(west + by, south, east + by, north) for by in turns(west, east)]
    if same_crs(crs, catalog_crs):
        return Region(parts)
    near = _cut_to_extent(parts, crs, catalog_crs, extent)
    outlines = [reproject_box(part, crs, catalog_crs) for part in near]
    if not outlines:
        return Region([], shapely.Polygon())
    shape = outlines[0] if len(outlines) == 1 else shapely.union_all(outlines)
    pieces = list(shape.geoms) if hasattr(shape, "geoms") else [shape]
    return Region([piece.bounds for piece in pieces], shape)


def _cut_to_extent(
    parts: list[Bounds], crs: CRS, catalog_crs: CRS, extent: Bounds | None
) -> list[Bounds]:
    if extent is None:
        return []
    try:
        outline = reproject_box(extent, catalog_crs, crs)
    except CatalogError:
        # A world-wide catalog has no finite extent in a local CRS, whose own box does transform.
        return parts
    pieces = list(outline.geoms) if hasattr(outline, "geoms") else [outline]
    found = []
    for piece in pieces:
        west, south, east, north = piece.bounds
        dx = _MARGIN * (east - west) + 1e-9 * max(abs(west), abs(east))
        dy = _MARGIN * (north - south) + 1e-9 * max(abs(south), abs(north))
        for part in parts:
            cut = (
                max(part[0], west - dx),
                max(part[1], south - dy),
                min(part[2], east + dx),
                min(part[3], north + dy),
            )
            if cut[0] <= cut[2] and cut[1] <= cut[3]:
                found.append(cut)
    return found
