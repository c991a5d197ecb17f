"""Patches that are what a polygon covers: zones, with the exact share of each cell.

The shares come from the outline alone: what each of its edges adds to the cells it crosses, and to
those on its right. No cell is ever clipped, and many polygons are done at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import shapely
from shapely.affinity import affine_transform, translate

from geopatcher.axes.neighbours import Scatter
from geopatcher.axes.sampler import MemberCandidates, check_members
from geopatcher.config import is_a
from geopatcher.domain import (
    GridDomain,
    PointDomain,
    RasterDomain,
    VectorDomain,
    crs_name,
    is_geographic,
)
from geopatcher.patch import Cells, Members, PatchError
from pipekit.carrier import full_turns, kilometre_in, same_crs

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

    Raises
    ------
    PatchError
        For no polygons, what is no polygon or is empty, one that covers nothing of the domain,
        and a grid whose cells are not evenly spaced.

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
        """Return where patches may be anchored: the polygons."""
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

                # What is straight in one CRS is not in the other.
                dense = shapely.segmentize(shapes, kilometre_in(self.crs))
                shapes = gpd.GeoSeries(dense, crs=self.crs).to_crs(domain.crs).to_numpy()
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
    polygon = _turned_onto(polygon, domain)
    in_cells = affine_transform(polygon, (~transform).to_shapely())
    rows, cols, fractions = cell_fractions(in_cells, domain.height, domain.width)
    return Cells(coverage=fractions, rows=rows, cols=cols)


def _turned_onto(polygon: Any, domain: RasterDomain | GridDomain) -> Any:
    """Return a polygon in degrees where a grid that counts longitudes otherwise has it."""
    if not (domain.is_geographic if isinstance(domain, GridDomain) else is_geographic(domain.crs)):
        return polygon
    (west, _, east, _), (low, _, high, _) = domain.bounds, polygon.bounds
    turns = full_turns(low, high, west, east)
    if list(turns) in ([], [0]):
        return polygon
    return shapely.union_all([translate(polygon, 360.0 * turn) for turn in turns])


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


_ROUNDING = 1e-9
"""Of a cell: what rounding leaves of a polygon that only touches it."""
_PARTS = 2.0**50
"""Of a cell: shares are added up in whole numbers of these."""


class Runs(NamedTuple):
    """Cells along a row that a polygon covers by the same share, for many polygons at once.

    Parameters
    ----------
    polygon, rows, cols, lengths : numpy.ndarray
        (n,) whole numbers: which polygon, the row, the first column, and how many cells.
    fractions : numpy.ndarray
        (n,) float64, of each cell, above 0 and at most 1.
    """

    polygon: np.ndarray
    rows: np.ndarray
    cols: np.ndarray
    lengths: np.ndarray
    fractions: np.ndarray

    def cells(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return every cell by itself: polygon, row, column and fraction, each (m,).

        Returns
        -------
        tuple of numpy.ndarray
            Sorted by polygon, row and column.
        """
        each = np.repeat(np.arange(len(self.rows)), self.lengths)
        starts = np.cumsum(self.lengths) - self.lengths
        along = np.arange(len(each)) - np.repeat(starts, self.lengths)
        return self.polygon[each], self.rows[each], self.cols[each] + along, self.fractions[each]


def cell_runs(polygons: Any, height: int, width: int) -> Runs:
    """Return the cells that each polygon covers, with exact shares, as runs along rows.

    Each edge is cut where it crosses from cell to cell. A piece adds to its cell the area between
    itself and the cell's right side, and to all cells further right its height; where edges run
    down they add, where they run up they take away. The sum along a row is the share of each cell.
    So the work goes with the length of the outline, and the inside costs a run for each row.

    Parameters
    ----------
    polygons : array of shapely.Polygon or MultiPolygon
        Valid, in cell units: x along columns, y along rows, the cell (row, col) being the unit
        square from (col, row).
    height : int
        Rows of the grid.
    width : int
        Columns of the grid.

    Returns
    -------
    Runs
        Sorted by polygon, row and column.

    Examples
    --------
    >>> from shapely import box
    >>> runs = cell_runs([box(0.5, 0, 4, 1), box(1, 0, 2, 0.25)], height=2, width=8)
    >>> runs.polygon.tolist(), runs.cols.tolist(), runs.lengths.tolist(), runs.fractions.tolist()
    ([0, 0, 1], [0, 1, 1], [1, 3, 1], [0.5, 1.0, 0.25])
    """
    start, end, polygon, sign = _edges(np.asarray(polygons, object))
    start, end, polygon, sign = _within_rows(start, end, polygon, sign, height)
    edge, t = _cuts(start, end, (width, height))
    same = edge[1:] == edge[:-1]
    edge, first, last = edge[:-1][same], t[:-1][same], t[1:][same]
    step = (end - start)[edge]
    x, y = (start[edge] + ((first + last) / 2)[:, None] * step).T
    down = sign[edge] * (last - first) * step[:, 1]
    row = np.clip(np.floor(y), 0, height - 1).astype(np.int64)
    col = np.floor(x)
    left = np.where(col < 0, 0.0, x - col)  # what lies before the first column covers it whole
    col = np.clip(col, 0, width).astype(np.int64)
    place = (polygon[edge] * height + row) * (width + 2) + col
    keys, number = np.unique(np.concatenate([place, place + 1]), return_inverse=True)
    added = np.bincount(number, np.concatenate([down * (1 - left), down * left]), len(keys))
    line, col = np.divmod(keys, width + 2)
    begins = np.append(True, line[1:] != line[:-1])[: len(keys)]
    # In whole numbers, for a polygon to have the same shares whichever others come before it.
    parts = np.rint(added * _PARTS).astype(np.int64)
    total = np.cumsum(parts)
    first = np.flatnonzero(begins)
    before = np.repeat((total - parts)[first], np.diff(np.append(first, len(keys))))
    covered = np.abs(total - before) / _PARTS
    until = np.where(np.roll(begins, -1), width, np.roll(col, -1))
    some = (covered > _ROUNDING) & (col < width)
    number, row = np.divmod(line[some], height)
    shares = np.where(covered[some] >= 1 - _ROUNDING, 1.0, covered[some])
    return Runs(number, row, col[some], np.minimum(until, width)[some] - col[some], shares)


def cell_fractions(polygon: Any, height: int, width: int) -> tuple[np.ndarray, ...]:
    """Return (rows, cols, fractions) of the cells that a polygon covers, in row-major order.

    `polygon`: a shapely Polygon or MultiPolygon in cell units, as in `cell_runs`. Fractions are in
    (0, 1].

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
    return cell_runs([polygon], height, width).cells()[1:]


def _edges(polygons: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return edges (n, 2) and (n, 2), the polygon of each, and 1 or -1 by the turn of its ring."""
    parts, of_part = shapely.get_parts(polygons, return_index=True)
    parts, inner = shapely.get_parts(parts, return_index=True)  # of collections in collections
    rings, of_ring = shapely.get_rings(parts, return_index=True)
    points, of_point = shapely.get_coordinates(rings, return_index=True)
    same = of_point[1:] == of_point[:-1]
    start, end, ring = points[:-1][same], points[1:][same], of_point[:-1][same]
    origin = shapely.get_coordinates(shapely.get_point(rings, 0))
    (x0, y0), (x1, y1) = (start - origin[ring]).T, (end - origin[ring]).T
    turn = np.sign(np.bincount(ring, x0 * y1 - x1 * y0, len(rings)))
    outer = np.append(True, of_ring[1:] != of_ring[:-1])[: len(rings)]
    sign = np.where(outer, turn, -turn)
    return start, end, of_part[inner[of_ring[ring]]], sign[ring]


def _within_rows(
    start: np.ndarray, end: np.ndarray, polygon: np.ndarray, sign: np.ndarray, height: int
) -> tuple[np.ndarray, ...]:
    """Return the parts of edges that lie within the rows of the grid; level ones add nothing."""
    step = end - start
    uneven = step[:, 1] != 0
    start, end, step = start[uneven], end[uneven], step[uneven]
    at = np.sort((np.array([[0.0], [height]]) - start[:, 1]) / step[:, 1], axis=0)
    first, last = np.maximum(at[0], 0.0), np.minimum(at[1], 1.0)
    some = first < last
    cut = start + np.where(first > 0, first, 0.0)[:, None] * step
    stop = np.where((last < 1)[:, None], start + last[:, None] * step, end)
    return cut[some], stop[some], polygon[uneven][some], sign[uneven][some]


def _cuts(
    start: np.ndarray, end: np.ndarray, limits: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return where edges begin, cross lines between cells, and end: (edge, t), sorted, t 0 to 1."""
    every = np.arange(len(start))
    edges, places = [every, every], [np.zeros(len(start)), np.ones(len(start))]
    for axis, limit in enumerate(limits):
        a, b = start[:, axis], end[:, axis]
        first = np.maximum(np.floor(np.minimum(a, b)) + 1, 0)
        count = np.minimum(np.ceil(np.maximum(a, b)) - 1, limit) - first + 1
        count = np.maximum(count, 0).astype(np.int64)
        edge = np.repeat(every, count)
        line = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
        edges.append(edge)
        places.append((line - a[edge]) / (b - a)[edge])
    edge, place = np.concatenate(edges), np.concatenate(places)
    order = np.lexsort((place, edge))
    return edge[order], place[order]
