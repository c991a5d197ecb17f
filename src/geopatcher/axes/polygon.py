"""Patches that are what a polygon covers: zones, with the exact share of each cell.

To find the shares, the polygon is clipped by ever smaller boxes of the grid: a box that it fills
or misses is done, the others are split. So only cells on the boundary are ever clipped one by
one, and each time a small piece rather than the whole polygon.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from shapely.affinity import affine_transform

from geopatcher.axes.neighbours import Scatter
from geopatcher.axes.sampler import MemberCandidates, check_members
from geopatcher.config import is_a
from geopatcher.domain import GridDomain, PointDomain, RasterDomain, VectorDomain, crs_name
from geopatcher.patch import Cells, Members, PatchError
from pipekit.carrier import same_crs

_TABLES = ("geopandas.GeoSeries", "geopandas.GeoDataFrame")


@dataclass(frozen=True)
class SpatialPolygonIntersection(Scatter):
    """What lies under each of `polygons`; an anchor is a polygon's number.

    `polygons`: a GeoSeries or GeoDataFrame (its CRS is used, and reprojected to the domain's), or
    a sequence of shapely polygons, their WKT or hexadecimal WKB, which are taken to be in the
    domain's CRS unless `crs` says otherwise.

    On rasters and grids a patch is the cells that the polygon covers with the exact share of
    each, in `indices.coverage` and in the patch's weights (shares are of the cell's area in its
    own CRS); on shapes, those that intersect, with the share of their area (of their length for
    lines); on points, those inside or on the edge.

    Parameters
    ----------
    polygons : GeoSeries, GeoDataFrame or sequence
        Shapely polygons, their WKT or hexadecimal WKB.
    crs : optional
        Of the polygons; default a table's own, else the domain's.

    Examples
    --------
    >>> from rasterio import Affine
    >>> from shapely import box
    >>> geometry = SpatialPolygonIntersection([box(0, 0, 15, 10)])
    >>> domain = RasterDomain((2, 2), transform=Affine(10, 0, 0, 0, -10, 20))
    >>> patch = geometry.neighborhood(domain, 0)
    >>> patch.rows.tolist(), patch.cols.tolist(), patch.coverage.tolist()
    ([1, 1], [0, 1], [1.0, 0.5])
    """

    polygons: Any
    crs: Any = None
    _made: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        is_table = self.crs is None and is_a(self.polygons, *_TABLES)
        crs = self.polygons.crs if is_table else self.crs
        object.__setattr__(self, "crs", None if crs is None else crs_name(crs))
        object.__setattr__(self, "polygons", _as_polygons(self.polygons))

    def __len__(self) -> int:
        return len(self.polygons)

    def __repr__(self) -> str:
        return f"SpatialPolygonIntersection({len(self)} polygons, crs={self.crs})"

    def candidates(self, domain: Any) -> MemberCandidates:
        """Return where patches may hang: the polygons."""
        centroids = shapely.get_coordinates(shapely.centroid(self._in(domain)))
        return MemberCandidates(len(self), PointDomain(centroids, crs=domain.crs), "polygons")

    def check_anchor(self, domain: Any, anchor: Any) -> None:
        """Raise `PatchError` for an anchor that is no polygon's number."""
        check_members(anchor, len(self), "polygons")

    def neighborhood(self, domain: Any, anchor: int) -> Cells | Members:
        """Return the cells or members under polygon number `anchor`, with their coverage.

        Raises `PatchError` when the polygon covers none.
        """
        polygon = self._in(domain)[check_members(anchor, len(self), "polygons")]
        if isinstance(domain, RasterDomain | GridDomain):
            found: Cells | Members = _cells_under(polygon, domain)
        elif isinstance(domain, PointDomain):
            found = _points_under(polygon, domain)
        else:
            found = _shapes_under(polygon, domain)
        if not len(found):
            raise PatchError(
                f'polygon {anchor} covers nothing of {domain}; leave it out, or use on_error="skip"'
            )
        return found

    def _config_values(self) -> dict[str, Any]:

        # WKB keeps every bit of the coordinates, which WKT does not.
        wkb = shapely.to_wkb(np.asarray(self.polygons, object), hex=True)
        return {"polygons": [str(text) for text in wkb], "crs": self.crs}

    def _in(self, domain: Any) -> np.ndarray:
        """Return the polygons in the domain's CRS; made once for each."""
        key = str(domain.crs)
        if key not in self._made:
            shapes = np.asarray(self.polygons, object)
            if not same_crs(self.crs, domain.crs, unknown_fits=True):
                import geopandas as gpd

                shapes = gpd.GeoSeries(shapes, crs=self.crs).to_crs(domain.crs).to_numpy()
            self._made[key] = shapes
        return self._made[key]


def _as_polygons(polygons: Any) -> tuple[Any, ...]:
    """Return valid polygons from a table, a series, shapely objects or WKT."""
    if is_a(polygons, *_TABLES):
        polygons = polygons.geometry
    if isinstance(polygons, str) or not isinstance(polygons, Iterable):
        raise PatchError(
            f"polygons is a sequence of shapes, got one: write polygons=[{polygons!r:.60}]"
        )
    shapes = [_from_text(item) if isinstance(item, str) else item for item in polygons]
    if not shapes:
        raise PatchError("SpatialPolygonIntersection needs at least one polygon, got none")
    for number, shape in enumerate(shapes):
        if not isinstance(shape, shapely.Polygon | shapely.MultiPolygon) or shape.is_empty:
            raise PatchError(
                f"polygons must be Polygons or MultiPolygons that are not empty, number {number} "
                f"is {shape!r:.80}; use .buffer(...) to give lines and points an area"
            )
    return tuple(shape if shape.is_valid else shapely.make_valid(shape) for shape in shapes)


def _from_text(text: str) -> Any:

    # Hexadecimal WKB begins with its byte order, 00 or 01; WKT with a letter.
    return shapely.from_wkb(text) if text[:1] == "0" else shapely.from_wkt(text)


def _cells_under(polygon: Any, domain: RasterDomain | GridDomain) -> Cells:

    transform = domain.transform
    if transform is None:
        raise PatchError(
            f"polygons are laid over evenly spaced cells with a transform, got {domain}"
        )
    in_cells = affine_transform(polygon, (~transform).to_shapely())
    rows, cols, fractions = cell_fractions(in_cells, domain.height, domain.width)
    return Cells(coverage=fractions, rows=rows, cols=cols)


def _points_under(polygon: Any, domain: PointDomain) -> Members:

    west, south, east, north = polygon.bounds
    x, y = domain.coords[:, 0], domain.coords[:, 1]
    near = np.flatnonzero((x >= west) & (x <= east) & (y >= south) & (y <= north))
    shapely.prepare(polygon)
    inside = near[shapely.intersects_xy(polygon, x[near], y[near])]
    return Members(coverage=np.ones(len(inside)), index=inside)


def _shapes_under(polygon: Any, domain: VectorDomain) -> Members:

    index = np.sort(domain.strtree.query(polygon, predicate="intersects"))
    shapes = domain.geometries[index]
    common = shapely.intersection(shapes, polygon)
    kinds = [shapely.get_dimensions(shapes) == dimension for dimension in (2, 1)]
    whole, part = (
        np.select(kinds, [shapely.area(of), shapely.length(of)], 1.0) for of in (shapes, common)
    )
    share = np.divide(part, whole, out=np.zeros(len(index)), where=whole > 0)
    touching = share > 0
    return Members(coverage=np.minimum(share[touching], 1), index=index[touching])


_SPLITS = (64, 8, 1)
_ROUNDING = 1e-9  # of a cell: what clipping leaves of a polygon that only touches


def cell_fractions(polygon: Any, height: int, width: int) -> tuple[np.ndarray, ...]:
    """Return (rows, cols, fractions) of the cells that a polygon covers, in row-major order.

    `polygon`: a shapely Polygon or MultiPolygon in cell units, x along columns, y along rows,
    the cell (row, col) being the unit square from (col, row). Fractions are in (0, 1].

    Parameters
    ----------
    polygon : shapely.Polygon or MultiPolygon
        In cell units.
    height : int
        Rows of the grid.
    width : int
        Columns of the grid.

    Returns
    -------
    (numpy.ndarray, numpy.ndarray, numpy.ndarray)
        Rows (n,), columns (n,) and fractions (n,), row-major.

    Examples
    --------
    >>> from shapely import box
    >>> rows, cols, fractions = cell_fractions(box(0.5, 0, 2, 1), height=2, width=3)
    >>> rows.tolist(), cols.tolist(), fractions.tolist()
    ([0, 0], [0, 1], [0.5, 1.0])
    """
    west, south, east, north = polygon.bounds
    top, left = max(math.floor(south), 0), max(math.floor(west), 0)
    bottom, right = min(math.ceil(north), height), min(math.ceil(east), width)
    if top >= bottom or left >= right:
        empty = np.empty(0, np.int64)
        return empty, empty, np.empty(0)
    pieces = np.array([polygon], object)
    corners = np.array([[top, left]])
    sizes = np.array([[bottom - top, right - left]])
    full: list[tuple[np.ndarray, np.ndarray]] = []
    for split in _SPLITS:
        parents, corners, sizes = _split(corners, sizes, split)
        row, col = corners.T
        boxes = shapely.box(col, row, col + sizes[:, 1], row + sizes[:, 0])
        pieces = shapely.intersection(pieces[parents], boxes)
        area = shapely.area(pieces)
        room = sizes.prod(axis=1)
        filled = area >= room * (1 - _ROUNDING)
        if split > 1:
            full.append((corners[filled], sizes[filled]))
            some = ~filled & (area > 0)
        else:
            area = np.where(filled, 1.0, area)
            some = area > _ROUNDING
        pieces, corners, sizes, area = pieces[some], corners[some], sizes[some], area[some]
    cells = [corners, *(_split(c, s, 1)[1] for c, s in full)]
    counts = [len(c) for c in cells]
    fractions = np.concatenate([area, np.ones(sum(counts) - counts[0])])
    rows, cols = np.concatenate(cells).T
    order = np.lexsort((cols, rows))
    return rows[order], cols[order], fractions[order]


def _split(
    corners: np.ndarray, sizes: np.ndarray, step: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return boxes of at most `step` x `step` cells: parents, corners, sizes."""
    counts = -(-sizes // step)
    each = counts.prod(axis=1)
    parents = np.repeat(np.arange(len(corners)), each)
    number = np.arange(each.sum()) - np.repeat(np.cumsum(each) - each, each)
    down, along = np.divmod(number, counts[parents, 1])
    moved = np.stack([down, along], axis=1) * step
    return parents, corners[parents] + moved, np.minimum(sizes[parents] - moved, step)
