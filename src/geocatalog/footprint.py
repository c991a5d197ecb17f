"""Places: coordinate reference systems, boxes, footprints, and where a query looks.

A CRS is coerced once and cached: making a pyproj one costs 100 us. Boxes and outlines are
reprojected along densified edges, and split at the antimeridian.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, TypeAlias

import numpy as np
import shapely
from affine import Affine
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from geocatalog.errors import CatalogError
from pipekit.carrier import same_crs

Bounds: TypeAlias = tuple[float, float, float, float]
"""(west, south, east, north) in a CRS's own units."""

EDGE_SEGMENTS = 32
"""Pieces an edge is cut into before it is reprojected: straight lines become curves."""

_MARGIN = 0.02
"""Share by which the data's extent is widened before a query box is cut to it."""


@lru_cache(maxsize=512)
def _parse(value: Any) -> CRS:
    try:
        return CRS.from_user_input(value)
    except CRSError as error:
        raise CatalogError(
            f"not a coordinate reference system: {value!r}; give an EPSG code such as 32610, "
            'a string such as "EPSG:32610", WKT, or a pyproj or rasterio CRS'
        ) from error


def as_crs(value: Any) -> CRS:
    """Return the pyproj CRS of an EPSG code, string, WKT, pyproj or rasterio CRS.

    Equal input gives the identical object, so that the usual comparison is `is`.

    Parameters
    ----------
    value
        EPSG code, text, WKT, or a pyproj or rasterio CRS.

    Returns
    -------
    The CRS.

    Raises
    ------
    CatalogError
        When `value` describes no CRS.

    Examples
    --------
    >>> as_crs(32610) is as_crs(32610), as_crs("EPSG:32610") == as_crs(32610)
    (True, True)
    """
    if isinstance(value, CRS):
        return value
    if hasattr(value, "to_wkt"):
        value = value.to_wkt()
    return _parse(value) if isinstance(value, Hashable) else _parse.__wrapped__(value)


def crs_text(crs: CRS) -> str:
    """Return the shortest faithful name: an authority code, or else WKT.

    Parameters
    ----------
    crs
        Any CRS.

    Returns
    -------
    Text such as "EPSG:32610", or WKT.

    Examples
    --------
    >>> crs_text(as_crs(32610))
    'EPSG:32610'
    """
    authority = crs.to_authority(min_confidence=100)
    return ":".join(authority) if authority else crs.to_wkt()


@lru_cache(maxsize=256)
def transformer(source: CRS, target: CRS) -> Transformer:
    """Return the cached x, y transformer from `source` to `target`.

    Parameters
    ----------
    source, target
        The CRS of what goes in and of what comes out.

    Returns
    -------
    A transformer in x, y order, whatever order the CRS declare.

    Raises
    ------
    CatalogError
        For a local system, or two of different planets.

    Examples
    --------
    >>> x, y = transformer(as_crs(4326), as_crs(32610)).transform(-123.0, 0.0)
    >>> round(x), round(y)
    (500000, 0)
    """
    try:
        return Transformer.from_crs(source, target, always_xy=True)
    except ProjError as error:
        raise CatalogError(
            f"no coordinates lead from {source.name!r} to {target.name!r}: one is a local system, "
            "or of another planet; ask in the CRS of the files"
        ) from error


def as_bounds(value: Sequence[float], crs: CRS | None = None, name: str = "bounds") -> Bounds:
    """Return (west, south, east, north) as floats, checked.

    West may lie east of east only in a geographic CRS: such a box crosses the antimeridian.

    Parameters
    ----------
    value
        Four numbers: west, south, east, north; or six with heights (west, south, lowest, east,
        north, highest), as GeoJSON and STAC may write a box.
    crs
        The CRS of the box; None is taken for a projected one.
    name
        What errors call the box.

    Returns
    -------
    Four floats.

    Raises
    ------
    CatalogError
        For a wrong count, a value that is not finite, or swapped sides.

    Examples
    --------
    >>> as_bounds([1, 2, 3, 4]), as_bounds([1, 2, -50, 3, 4, 900])
    ((1.0, 2.0, 3.0, 4.0), (1.0, 2.0, 3.0, 4.0))
    """
    try:
        sides = () if isinstance(value, str) else tuple(float(side) for side in value)
        west, south, east, north = (*sides[:2], *sides[3:5]) if len(sides) == 6 else sides
    except (TypeError, ValueError, OverflowError) as error:
        raise CatalogError(
            f"{name} must be four numbers (west, south, east, north), or six with heights, "
            f"got {value!r}"
        ) from error
    if not all(map(math.isfinite, (west, south, east, north))):
        raise CatalogError(f"{name} must be finite, got {(west, south, east, north)}")
    if south > north:
        raise CatalogError(
            f"{name} must have south < north, got south={south} and north={north}; "
            "the order is (west, south, east, north)"
        )
    if west > east and not (crs is not None and crs.is_geographic):
        raise CatalogError(
            f"west must not lie east of east, got {west} > {east}; only a box in degrees "
            "may cross the antimeridian"
        )
    return west, south, east, north


def degree_box(value: Sequence[float], name: str = "bbox") -> Bounds:
    """Return what a box in degrees means, with longitudes in -180..180.

    West > east crosses the antimeridian, as RFC 7946 writes it; so does a side beyond 180 or
    -180. Longitudes that are counted from 0 to 360 are the same place.

    Parameters
    ----------
    value
        Four numbers (west, south, east, north), or six with heights.
    name
        What errors call the box.

    Returns
    -------
    (west, south, east, north); west > east only where the box lies on both sides of 180.

    Raises
    ------
    CatalogError
        For what is no box, or not in degrees.

    Examples
    --------
    >>> degree_box((170, -20, 190, -10)), degree_box((170, -20, -170, -10))
    ((170.0, -20.0, -170.0, -10.0), (170.0, -20.0, -170.0, -10.0))
    >>> degree_box((190, -20, 0, 200, -10, 900)), degree_box((0, -90, 360, 90))
    ((-170.0, -20.0, -160.0, -10.0), (-180.0, -90.0, 180.0, 90.0))
    """
    box = west, south, east, north = as_bounds(value, as_crs(4326), name)
    if max(abs(side) for side in box) > 1000:
        raise CatalogError(
            f"{name} must be in degrees (EPSG:4326), got {box}, which looks like metres; "
            f"convert it with rasterio.warp.transform_bounds(crs, 'EPSG:4326', *{name})"
        )
    if max(abs(south), abs(north)) > 90 or max(abs(west), abs(east)) > 360:
        raise CatalogError(
            f"{name} is (west, south, east, north) with longitudes in -180..180 or 0..360 and "
            f"latitudes in -90..90, got {box}; are latitude and longitude swapped?"
        )
    if east - west >= 360:
        return -180.0, south, 180.0, north
    west, east = (side - 360 * (side > 180) + 360 * (side < -180) for side in (west, east))
    # A box that only touches the antimeridian lies on one side of it.
    if west == 180 and east < 180:
        west = -180.0
    elif east == -180 and west > -180:
        east = 180.0
    return west, south, east, north


def box_parts(bounds: Bounds) -> list[Bounds]:
    """Return the one box, or the two halves of a box across the antimeridian.

    Parameters
    ----------
    bounds
        (west, south, east, north); west > east, in degrees, crosses the antimeridian.

    Returns
    -------
    One or two boxes, each with west <= east.

    Examples
    --------
    >>> box_parts((170.0, -5.0, -170.0, 5.0))
    [(170.0, -5.0, 180.0, 5.0), (-180.0, -5.0, -170.0, 5.0)]
    """
    west, south, east, north = bounds
    if west <= east:
        return [bounds]
    return [(west, south, 180.0, north), (-180.0, south, east, north)]


def box_outline(bounds: Bounds) -> BaseGeometry:
    """Return a box's outline; two polygons where it crosses the antimeridian.

    Parameters
    ----------
    bounds
        (west, south, east, north); west > east, in degrees, crosses the antimeridian.

    Returns
    -------
    A polygon, or a multipolygon of two.

    Examples
    --------
    >>> len(box_outline((170.0, -5.0, -170.0, 5.0)).geoms)
    2
    """
    parts = [shapely.box(*part) for part in box_parts(bounds)]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def outline_within(outline: BaseGeometry, bounds: Bounds) -> BaseGeometry:
    """Return an outline with longitudes in -180..180, cut in two where its box crosses 180.

    Parameters
    ----------
    outline
        A geometry in degrees. Edges from one side of 180 to the other, and longitudes beyond 180,
        are as good as halves that are cut already. A ring that runs once around the globe holds the
        pole of its hemisphere.
    bounds
        The outline's box, as `degree_box` gives it.

    Returns
    -------
    The outline itself where it lies within.

    Examples
    --------
    >>> jumps = shapely.Polygon([(179, 0), (-179, 0), (-179, 1), (179, 1)])
    >>> halves = outline_within(jumps, (179.0, 0.0, -179.0, 1.0))
    >>> wrapped_bounds(halves), halves.area
    ((179.0, 0.0, -179.0, 1.0), 2.0)
    """
    west, _, east, _ = bounds
    left, _, right, _ = outline.bounds
    if right - left > 180 and (cap := _cap(outline)) is not None:
        return cap
    if west <= east and left >= -180 and right <= 180:
        return outline
    if east - west >= 360:
        return shapely.box(*bounds)
    # The longitude in the middle of what the box leaves out: no edge lies there.
    seam = (west + east) / 2 - 180 * (west <= east)
    return cut_at_180(_counted_from(outline, seam))


def _cap(outline: BaseGeometry) -> BaseGeometry | None:
    """Return what a ring around the globe holds, the pole included; None for any other outline."""
    if outline.geom_type != "Polygon":
        return None
    lon, lat = shapely.get_coordinates(outline.exterior).T
    steps = (np.diff(lon) + 180) % 360 - 180
    if abs(abs(steps.sum()) - 360) > 1e-6:
        return None
    lon = lon[0] + np.concatenate([[0], np.cumsum(steps)])
    pole = 90.0 if lat.mean() > 0 else -90.0
    ring = [*zip(lon, lat, strict=True), (lon[-1], pole), (lon[0], pole)]
    whole = shapely.make_valid(shapely.Polygon(ring))
    turned = [translate(whole, by) for by in (-360.0, 0.0, 360.0)]
    return shapely.intersection(shapely.union_all(turned), shapely.box(-180, -90, 180, 90))


def _counted_from(outline: BaseGeometry, seam: float) -> BaseGeometry:
    """Return an outline whose longitudes run from `seam` through one turn."""

    def move(xy: np.ndarray) -> np.ndarray:
        return np.column_stack([xy[:, 0] - 360 * np.floor((xy[:, 0] - seam) / 360), xy[:, 1]])

    return shapely.transform(outline, move)


def cut_at_180(outline: BaseGeometry) -> BaseGeometry:
    """Return an outline beyond 180 degrees with that part brought back to the other side.

    Parameters
    ----------
    outline
        A shapely geometry in degrees, from -360 to 540.

    Returns
    -------
    A valid geometry; its longitudes end at 180.

    Examples
    --------
    >>> cut_at_180(shapely.box(170, 0, 190, 10)).bounds
    (-180.0, 0.0, 180.0, 10.0)
    """
    outline = shapely.make_valid(outline)
    before = shapely.intersection(outline, shapely.box(-360, -90, 180, 90))
    after = shapely.intersection(outline, shapely.box(180, -90, 540, 90))
    after = shapely.transform(after, lambda xy: xy - [360.0, 0.0])
    return shapely.union_all([before, after])


def turns(west: float, east: float) -> list[float]:
    """Return the full turns, in degrees, that bring what lies beyond 180 or -180 back.

    Parameters
    ----------
    west, east
        Sides of a box, in degrees.

    Returns
    -------
    -360, 360, both or none.

    Examples
    --------
    >>> turns(170.0, 190.0), turns(-180.0, 180.0)
    ([-360.0], [])
    """
    return [-360.0] * (east > 180.0) + [360.0] * (west < -180.0)


def turned_onto(shapes: np.ndarray, west: float, east: float) -> np.ndarray:
    """Return shapes in degrees where a grid that counts longitudes otherwise has them.

    Parameters
    ----------
    shapes
        (N,) shapely geometries; missing and empty ones stay.
    west, east
        Sides of the grid, in degrees, such as 0 and 360.

    Returns
    -------
    (N,) shapes, each with a copy for every full turn that brings it onto the grid; those that lie
    beside it stay.

    Examples
    --------
    >>> turned_onto(np.array([shapely.box(-10, 0, 10, 5)]), 0.0, 360.0)[0].bounds
    (-10.0, 0.0, 370.0, 5.0)
    """
    low, _, high, _ = shapely.bounds(shapes).reshape(-1, 4).T
    with np.errstate(invalid="ignore"):
        first, last = np.ceil((west - high) / 360.0), np.floor((east - low) / 360.0)
        moved = np.flatnonzero((first <= last) & ((first != 0) | (last != 0)))
    out = shapes.copy() if len(moved) else shapes
    for row in moved.tolist():
        turn = range(int(first[row]), int(last[row]) + 1)
        out[row] = shapely.union_all([translate(shapes[row], 360.0 * by) for by in turn])
    return out


def wrapped_bounds(outline: BaseGeometry) -> Bounds:
    """Return an outline's bounds in degrees; west > east when it is split at the antimeridian.

    Parameters
    ----------
    outline
        A geometry in degrees.

    Returns
    -------
    (west, south, east, north), in degrees.

    Examples
    --------
    >>> halves = shapely.MultiPolygon([shapely.box(170, 0, 180, 5), shapely.box(-180, 0, -170, 5)])
    >>> wrapped_bounds(halves)
    (170.0, 0.0, -170.0, 5.0)
    """
    west, south, east, north = outline.bounds
    if outline.geom_type == "MultiPolygon" and west == -180.0 and east == 180.0:
        sides = [part.bounds for part in outline.geoms]
        west = min((side[0] for side in sides if side[0] > 0), default=west)
        east = max((side[2] for side in sides if side[2] < 0), default=east)
    return west, south, east, north


def outline_of(transform: Affine, rows: int, cols: int) -> shapely.Polygon:
    """Return the outline of pixels: a box, or the true shape of a rotated raster.

    Parameters
    ----------
    transform
        From (col, row) to (x, y).
    rows, cols
        How many pixels there are.

    Returns
    -------
    A polygon in the units of the transform.

    Examples
    --------
    >>> outline_of(Affine(10, 0, 0, 0, -10, 90), 9, 3).bounds
    (0.0, 0.0, 30.0, 90.0)
    """
    corners = [transform @ corner for corner in ((0, 0), (cols, 0), (cols, rows), (0, rows))]
    outline = shapely.Polygon(corners)
    return outline if transform.b or transform.d else shapely.box(*outline.bounds)


def mended(
    geometry: np.ndarray,
    names: Sequence[Any] | None = None,
    boxes: np.ndarray | None = None,
) -> np.ndarray:
    """Return (N,) footprints with the invalid ones made valid: a bow tie becomes two triangles.

    What overlaps itself keeps all that it covers; a box without width or height becomes the point
    or line that it is.

    Parameters
    ----------
    geometry
        (N,) shapely geometries; None and empty ones stay.
    names
        What an error calls each of them.
    boxes
        (N,) bool, as `are_boxes` says, where that is known: a box is valid.

    Returns
    -------
    (N,) valid geometries; the same array where all were.

    Raises
    ------
    CatalogError
        For a coordinate that is not finite, by row.

    Examples
    --------
    >>> bow = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    >>> mended(np.array([bow]))[0].geom_type
    'MultiPolygon'
    """
    # A box is told apart in half the time that GEOS takes to check its ring.
    asked = np.flatnonzero(
        ~(are_boxes(geometry, shapely.bounds(geometry)) if boxes is None else boxes)
    )
    shapes = geometry[asked]
    wrong = asked[~(shapely.is_valid(shapes) | shapely.is_missing(shapes))]
    if not len(wrong):
        return geometry
    geometry = geometry.copy()
    for row in wrong.tolist():
        shape = geometry[row]
        if not np.isfinite(shapely.get_coordinates(shape)).all():
            name = "" if names is None else f" ({names[row]})"
            raise CatalogError(
                f"the footprint of row {row}{name} has a coordinate that is not finite: "
                f"{shapely.is_valid_reason(shape)}; correct it, or leave the row out"
            )
        geometry[row] = shapely.make_valid(shape, method="structure", keep_collapsed=True)
    return geometry


def are_boxes(geometry: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Say of each geometry whether it is the whole of its own bounds: (N,) bool.

    Parameters
    ----------
    geometry
        (N,) shapely geometries.
    bounds
        (N, 4) float64, their bounds.

    Returns
    -------
    (N,) bool.

    Examples
    --------
    >>> shapes = np.array([shapely.box(0, 0, 2, 1), shapely.Point(0, 0).buffer(1)])
    >>> are_boxes(shapes, shapely.bounds(shapes))
    array([ True, False])
    """
    found = (shapely.get_type_id(geometry) == 3) & (shapely.get_num_coordinates(geometry) == 5)
    shapes, sides = geometry[found], bounds[found]
    if len(shapes) == 0:
        return found
    corners = shapely.get_coordinates(shapes).reshape(-1, 5, 2)
    low, high = sides[:, None, :2], sides[:, None, 2:]
    at_corners = ((corners == low) | (corners == high)).all(axis=(1, 2))
    full = np.prod(sides[:, 2:] - sides[:, :2], axis=1)
    # A triangle or a bow tie also has its five vertices at corners, but half the area or none.
    found[found] = at_corners & (shapely.area(shapes) > 0.75 * full)
    return found


def reproject_box(bounds: Bounds, source: Any, target: Any) -> BaseGeometry:
    """Return a box's outline in another CRS, its edges densified before they are moved.

    Parameters
    ----------
    bounds
        (west, south, east, north) in `source`; west > east crosses the antimeridian.
    source, target
        CRS in any form.

    Returns
    -------
    A polygon, or a multipolygon where the box is split at the antimeridian.

    Examples
    --------
    >>> moved = reproject_box((500000, 0, 600000, 100000), 32610, 4326)
    >>> [round(side, 3) for side in moved.bounds]
    [-123.0, 0.0, -122.101, 0.905]
    """
    source, target = as_crs(source), as_crs(target)
    parts = [shapely.box(*part) for part in box_parts(as_bounds(bounds, source))]
    moved = reproject(np.array(parts, dtype=object), source, target)
    return moved[0] if len(moved) == 1 else shapely.union_all(moved)


def reproject(geometry: np.ndarray, source: Any, target: Any) -> np.ndarray:
    """Return (N,) geometries in another CRS, edges densified, split at the antimeridian.

    Parameters
    ----------
    geometry
        (N,) shapely geometries in `source`.
    source, target
        CRS in any form.

    Returns
    -------
    (N,) geometries in `target`; the same array where both CRS are the same.

    Raises
    ------
    CatalogError
        When a footprint has no finite place in the target CRS.

    Examples
    --------
    >>> point = np.array([shapely.Point(-123.0, 0.0)])
    >>> round(reproject(point, 4326, 32610)[0].x)
    500000
    """
    source, target = as_crs(source), as_crs(target)
    if same_crs(source, target) or len(geometry) == 0:
        return geometry
    sides = shapely.bounds(geometry)
    longest = np.maximum(sides[:, 2] - sides[:, 0], sides[:, 3] - sides[:, 1])
    step = np.where(longest > 0, longest / EDGE_SEGMENTS, 1.0)
    dense = shapely.segmentize(geometry, np.where(np.isfinite(step), step, 1.0))
    move = transformer(source, target).transform

    def place(xy: np.ndarray) -> np.ndarray:
        found = np.column_stack(move(xy[:, 0], xy[:, 1]))
        return np.where(np.isnan(found), np.inf, found)  # no ring of NaN is closed

    moved = shapely.transform(dense, place)
    if source.is_geographic and target.is_geographic:
        moved = _unbroken(dense, moved, source, target)
    sides = shapely.bounds(moved)
    occupied = ~shapely.is_empty(moved) & ~shapely.is_missing(moved)
    lost = np.flatnonzero(occupied & ~np.isfinite(sides).all(axis=1))
    if len(lost):
        raise CatalogError(
            f"footprint {lost[0]} cannot be expressed in {target.name} (it comes from "
            f"{source.name}, and lies outside the target's domain); choose another target_crs"
        )
    if target.is_geographic and not source.is_geographic:
        wide = np.flatnonzero(np.ptp(sides[:, [0, 2]], axis=1) > 180.0)
        for index in wide:
            moved[index] = _unwrap(geometry[index], moved[index], source, target)
    return moved


def _unbroken(original: np.ndarray, moved: np.ndarray, source: CRS, target: CRS) -> np.ndarray:
    """Mend footprints in degrees that a move brought to both sides of 180.

    Another prime meridian has the antimeridian elsewhere; and pyproj counts what it moves from -180
    to 180, whatever it was counted from.
    """
    unit = math.degrees(source.axis_info[0].unit_conversion_factor)
    if not math.isclose(target.axis_info[0].unit_conversion_factor, math.radians(1)):
        return moved
    begin = _prime_meridian(source) - _prime_meridian(target)
    was, now = shapely.get_coordinates(original)[:, 0], shapely.get_coordinates(moved)
    with np.errstate(invalid="ignore"):
        now[:, 0] += 360.0 * np.round((was * unit + begin - now[:, 0]) / 360.0)
    whole = shapely.set_coordinates(moved.copy(), now)
    west, _, east, _ = shapely.bounds(whole).T
    for row in np.flatnonzero((west < -180.0) | (east > 180.0)).tolist():
        whole[row] = cut_at_180(translate(whole[row], 360.0 * (west[row] < -180.0)))
    return whole


def _prime_meridian(crs: CRS) -> float:
    found = crs.prime_meridian
    if found is None:
        return 0.0
    return math.degrees(found.longitude * float(found.unit_conversion_factor))


def _unwrap(original: BaseGeometry, moved: BaseGeometry, source: CRS, target: CRS) -> BaseGeometry:
    """Mend a footprint that looks wider than half the globe after a move to degrees."""
    for pole in (90.0, -90.0):
        x, y = transformer(target, source).transform(0.0, pole)
        if not np.isfinite([x, y]).all() or not original.covers(shapely.Point(x, y)):
            continue
        # Where a projection has no such pole, its inverse may still give a place.
        if abs(transformer(source, target).transform(x, y)[1] - pole) < 1e-6:
            _, south, _, north = moved.bounds
            return shapely.box(-180, min(south, pole), 180, max(north, pole))
    east = _counted_from(moved, 0.0)
    return moved if east.bounds[2] - east.bounds[0] > 180.0 else cut_at_180(east)


@dataclass(frozen=True)
class Region:
    """A place in a catalog's own CRS.

    `parts` are the boxes that enclose it; `outline` is its exact shape, or None when the parts
    themselves are. Edges and corners belong to it: touching counts as intersecting.

    Parameters
    ----------
    parts
        Boxes (west, south, east, north) that enclose the place.
    outline
        Its exact shape, or None when the parts are.

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
    def shapes(self) -> list[BaseGeometry]:
        """The exact shape, in one or more parts."""
        boxes = list(mended(np.array([shapely.box(*part) for part in self.parts], dtype=object)))
        found = boxes if self.outline is None else [self.outline]
        shapely.prepare(found)
        return found

    def touches_bounds(self, bounds: np.ndarray) -> np.ndarray:
        """Say for (N, 4) bounds which of them touch one of the parts: (N,) bool.

        Parameters
        ----------
        bounds
            (N, 4) float64: west, south, east, north.

        Returns
        -------
        (N,) bool.
        """
        found = np.zeros(len(bounds), dtype=bool)
        west, south, east, north = bounds.T
        for left, bottom, right, top in self.parts:
            found |= (west <= right) & (east >= left) & (south <= top) & (north >= bottom)
        return found

    def touches(self, geometry: np.ndarray) -> np.ndarray:
        """Say for (N,) footprints which of them touch the exact shape: (N,) bool.

        Parameters
        ----------
        geometry
            (N,) shapely geometries.

        Returns
        -------
        (N,) bool.
        """
        return np.any([shapely.intersects(shape, geometry) for shape in self.shapes], axis=0)


def region_of(bounds: Bounds, crs: CRS, catalog_crs: CRS, extent: Bounds | None) -> Region:
    """Return the region of a query box, in the catalog's CRS.

    A box in another CRS is first cut to the catalog's own `extent` (nothing outside can match,
    and a far corner may have no place in a projected CRS), then reprojected along densified
    edges. A box across the antimeridian becomes two, in either notation: west > east, or a side
    beyond 180 degrees.

    Parameters
    ----------
    bounds
        (west, south, east, north) in `crs`.
    crs
        The CRS of the box.
    catalog_crs
        The CRS of the footprints.
    extent
        Bounds of all footprints in `catalog_crs`, needed where the two CRS differ, and where
        footprints may count longitudes beyond 180; None when there are none.

    Returns
    -------
    The place, in `catalog_crs`.

    Examples
    --------
    >>> region_of((0.0, 0.0, 1.0, 1.0), CRS(4326), CRS(4326), None).parts
    [(0.0, 0.0, 1.0, 1.0)]
    >>> region_of((170.0, 0.0, 190.0, 1.0), CRS(4326), CRS(4326), None).parts
    [(170.0, 0.0, 190.0, 1.0), (-190.0, 0.0, -170.0, 1.0)]
    >>> region_of((-9.0, 0.0, -8.0, 1.0), CRS(4326), CRS(4326), (0.0, -90.0, 360.0, 90.0)).parts
    [(-9.0, 0.0, -8.0, 1.0), (351.0, 0.0, 352.0, 1.0)]
    """
    parts = box_parts(bounds)
    if crs.is_geographic:
        # The box itself stays: some rasters count longitudes from 0 to 360.
        west, south, east, north = bounds
        parts += [(west + by, south, east + by, north) for by in turns(west, east)]
    around = [0.0]
    if catalog_crs.is_geographic and extent is not None:
        around += [-360.0] * (extent[0] < -180.0) + [360.0] * (extent[2] > 180.0)
    if same_crs(crs, catalog_crs):
        turned = [(part[0] + by, part[1], part[2] + by, part[3]) for part in parts for by in around]
        return Region(list(dict.fromkeys(turned)))
    near = _cut_to_extent(parts, crs, catalog_crs, extent)
    moved = [reproject_box(part, crs, catalog_crs) for part in near]
    outlines = [translate(outline, by) if by else outline for outline in moved for by in around]
    if not outlines:
        return Region([], shapely.Polygon())
    shape = outlines[0] if len(outlines) == 1 else shapely.union_all(outlines)
    return Region([piece.bounds for piece in shapely.get_parts(shape)], shape)


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
    found = []
    for piece in shapely.get_parts(outline):
        low, high = np.reshape(piece.bounds, (2, 2))
        margin = _MARGIN * (high - low) + 1e-9 * np.maximum(abs(low), abs(high))
        for part in parts:
            cut = np.maximum(part[:2], low - margin), np.minimum(part[2:], high + margin)
            if (cut[0] <= cut[1]).all():
                found.append((*cut[0].tolist(), *cut[1].tolist()))
    return found
