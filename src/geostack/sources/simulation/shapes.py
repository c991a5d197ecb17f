"""Outlines and lines given in degrees, as distance layers in metres on a grid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from .grid import F32, Grid, covering, resample

F64 = NDArray[np.float64]
Box = tuple[float, float, float, float]
"""(west, south, east, north), degrees."""


@lru_cache(maxsize=8)
def transformer(epsg: int) -> Any:
    """Return the transformer from degrees to metres of a UTM zone.

    Parameters
    ----------
    epsg
        A UTM zone's EPSG code.

    Returns
    -------
    Of pyproj, (longitude, latitude) to (easting, northing).
    """
    from pyproj import Transformer

    return Transformer.from_crs(4326, epsg, always_xy=True)


class Place(NamedTuple):
    """A point, line or outline in degrees (longitude, latitude), and what is known of it."""

    points: list[list[float]]
    facts: dict[str, Any]

    def project(self, epsg: int) -> F64:
        """Return the points in metres, (n, 2) float64.

        Parameters
        ----------
        epsg
            A UTM zone's EPSG code.

        Returns
        -------
        Eastings and northings.
        """
        return project(self.points, epsg)

    def outline(self, epsg: int) -> F64:
        """Return the smoothed outline in metres, (n, 2) float64.

        Parameters
        ----------
        epsg
            A UTM zone's EPSG code.

        Returns
        -------
        Eastings and northings; the last point joins the first.
        """
        return smooth(self.project(epsg), closed=True)


@lru_cache(maxsize=2)
def places(region: str) -> dict[str, list[Place]]:
    """Return the places of `data/REGION.geojson` by their kind.

    Parameters
    ----------
    region
        "tahoe" or "lisbon".

    Returns
    -------
    Places in the file's order.

    Examples
    --------
    >>> len(places("tahoe")["shore"])
    1
    """
    file = resources.files(__package__).joinpath(f"data/{region}.geojson")
    found: dict[str, list[Place]] = {}
    for feature in json.loads(file.read_text("utf-8"))["features"]:
        kind, points = feature["geometry"]["type"], feature["geometry"]["coordinates"]
        points = {"Point": [points], "LineString": points, "Polygon": points[0]}[kind]
        facts = feature["properties"]
        place = Place(points[:-1] if kind == "Polygon" else points, facts)
        found.setdefault(facts["kind"], []).append(place)
    return found


def project(points: Sequence[Sequence[float]], epsg: int) -> F64:
    """Project (longitude, latitude) rows to metres, (n, 2) float64.

    Parameters
    ----------
    points
        (longitude, latitude) rows, degrees.
    epsg
        A UTM zone's EPSG code.

    Returns
    -------
    Eastings and northings.
    """
    lonlat = np.asarray(points, dtype=np.float64)
    x, y = transformer(epsg).transform(lonlat[:, 0], lonlat[:, 1])
    return np.column_stack([x, y])


def box_window(epsg: int, bbox: Box, res: float = 10.0) -> Grid:
    """Return the smallest window of whole pixels around a box in degrees, in a UTM zone.

    Parameters
    ----------
    epsg
        A UTM zone's EPSG code.
    bbox
        (west, south, east, north), degrees.
    res
        The pixel's side, metres.

    Returns
    -------
    A grid on multiples of `res`.

    Examples
    --------
    >>> box_window(32610, (-120.10, 38.92, -119.93, 39.27)).bounds
    (750180.0, 4311890.0, 766170.0, 4351240.0)
    """
    return covering(epsg, transformer(epsg).transform_bounds(*bbox, densify_pts=21), res)


def smooth(line: F64, *, closed: bool, parts: int = 4) -> F64:
    """Insert `parts` - 1 points between neighbours along a centripetal-like Catmull-Rom curve.

    Parameters
    ----------
    line
        (n, 2), metres.
    closed
        Whether the last point joins the first.
    parts
        Pieces that each segment becomes.

    Returns
    -------
    (m, 2) float64, through all points of the line.
    """
    if closed:
        padded = np.vstack([line[-1:], line, line[:2]])
    else:
        padded = np.vstack([2 * line[0] - line[1], line, 2 * line[-1] - line[-2]])
    p0, p1, p2, p3 = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = (np.arange(parts) / parts)[None, :, None]
    p0, p1, p2, p3 = (p[:, None, :] for p in (p0, p1, p2, p3))
    # Tension 0.7 of the usual 0.5 * (...): rounder than straight, no overshoot at sharp capes.
    m1, m2 = 0.35 * (p2 - p0), 0.35 * (p3 - p1)
    h = 2 * t**3 - 3 * t**2 + 1
    curve = h * p1 + (t**3 - 2 * t**2 + t) * m1 + (1 - h) * p2 + (t**3 - t**2) * m2
    flat = curve.reshape(-1, 2)
    return flat if closed else np.vstack([flat, line[-1:]])


def _segment_distance(x: F64, y: F64, a: F64, b: F64) -> NDArray[np.float64]:
    """Return the distance of each (y, x) grid node to one segment."""
    dx, dy = b - a
    length2 = max(float(dx * dx + dy * dy), 1e-9)
    t = ((x[None, :] - a[0]) * dx + (y[:, None] - a[1]) * dy) / length2
    np.clip(t, 0, 1, out=t)
    return np.hypot(x[None, :] - (a[0] + t * dx), y[:, None] - (a[1] + t * dy))


def outline_distance(grid: Grid, ring: F64, *, node: float = 50.0, reach: float = 3000.0) -> F32:
    """Return the signed distance to a closed outline in metres, positive inside, float32.

    Computed on a lattice of `node` metres near the outline and interpolated; farther than
    `reach` outside it is clamped to -`reach`.

    Parameters
    ----------
    grid
        The pixels that are drawn.
    ring
        (n, 2) eastings and northings, metres; the last point joins the first.
    node
        Metres between the points that are computed.
    reach
        Metres outside of the outline.

    Returns
    -------
    (rows, cols) float32.
    """
    out = np.full(grid.shape, -reach, np.float32)
    part = part_near(grid, ring, reach)
    if part is None:
        return out
    rows, cols = part
    fine = grid.window(rows, cols)
    coarse = fine.at(max(node, grid.res), margin=2)
    distance = _ring_distance(coarse, ring)
    inside = shapely.contains_xy(shapely.Polygon(ring), coarse.x[None, :], coarse.y[:, None])
    signed = np.where(inside, distance, -distance)
    signed = np.maximum(signed, -reach).astype(np.float32)
    out[rows, cols] = resample(signed, coarse, fine)
    return out


def _ring_distance(grid: Grid, ring: F64, near: float = 600.0) -> F64:
    """Return the distance of each pixel to a closed ring.

    Exact within `near` metres; farther away it is interpolated from pixels of 400 m, where the
    distance is smooth and nobody sees the difference.
    """
    after = np.roll(ring, -1, axis=0)
    rough = grid.at(400, margin=1)
    far = np.full(rough.shape, np.inf)
    distance = np.full(grid.shape, np.inf)
    for a, b in zip(ring, after, strict=True):
        np.minimum(far, _segment_distance(rough.x, rough.y, a, b), out=far)
        part = part_near(grid, np.vstack([a, b]), near)
        if part is not None:
            exact = _segment_distance(grid.x[part[1]], grid.y[part[0]], a, b)
            np.minimum(distance[part], exact, out=distance[part])
    beyond = distance > near
    distance[beyond] = np.maximum(resample(far.astype(np.float32), rough, grid), near)[beyond]
    return distance


def line_distance(grid: Grid, line: F64, reach: float = 60.0) -> list[tuple[slice, slice, F32]]:
    """Return patches (rows, cols, distance in metres) around each segment of a line.

    Parameters
    ----------
    grid
        The pixels that are drawn.
    line
        (n, 2) eastings and northings, metres.
    reach
        Metres from a segment.

    Returns
    -------
    One for each segment that comes near the grid.
    """
    patches = []
    for a, b in pairwise(line):
        part = part_near(grid, np.vstack([a, b]), reach)
        if part is not None:
            window = grid.window(*part)
            distance = _segment_distance(window.x, window.y, a, b)
            patches.append((*part, distance.astype(np.float32)))
    return patches


def ellipse_distance(grid: Grid, place: Place) -> tuple[slice, slice, F32] | None:
    """Return (rows, cols, signed distance): an approximate ellipse, positive inside, in metres.

    The place's azimuth is the direction of its long axis, degrees clockwise from north. None when
    the ellipse and 60 % around it lie outside of the grid.

    Parameters
    ----------
    grid
        The pixels that are drawn.
    place
        A point with `azimuth` in degrees, `half_length` and `half_width` in metres.

    Returns
    -------
    Of the part of the grid that the ellipse touches.
    """
    centre, facts = place.project(grid.epsg)[0], place.facts
    half_length, half_width = facts["half_length"], facts["half_width"]
    size = 1.6 * max(half_length, half_width)
    part = part_near(grid, centre, size)
    if part is None:
        return None
    window = grid.window(*part)
    across, along = turned(window, centre, facts["azimuth"])
    radii = np.hypot(along / half_length, across / half_width)
    distance = (1 - radii) * min(half_length, half_width)
    return (*part, distance.astype(np.float32))


def turned(grid: Grid, origin: Sequence[float], azimuth: float) -> tuple[F64, F64]:
    """Return how far each pixel lies across and along a direction from a point, metres.

    Parameters
    ----------
    grid
        Of rows and cols.
    origin
        (easting, northing), metres.
    azimuth
        The direction, degrees clockwise from north.

    Returns
    -------
    Two arrays (rows, cols) float64.
    """
    s, c = np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))
    dx, dy = grid.x[None, :] - origin[0], grid.y[:, None] - origin[1]
    return dx * c - dy * s, dx * s + dy * c


def part_near(grid: Grid, points: F64, reach: float) -> tuple[slice, slice] | None:
    """Return the rows and columns of a grid within `reach` metres of points, or None.

    Parameters
    ----------
    grid
        The grid.
    points
        (2,) or (n, 2) eastings and northings, metres; their box counts.
    reach
        Metres.

    Returns
    -------
    Slices with a start and a stop.
    """
    points = np.atleast_2d(points)
    west, south = points.min(axis=0) - reach
    east, north = points.max(axis=0) + reach
    left = int(np.clip((west - grid.west) // grid.res, 0, grid.cols))
    right = int(np.clip((east - grid.west) // grid.res + 1, 0, grid.cols))
    top = int(np.clip((grid.north - north) // grid.res, 0, grid.rows))
    bottom = int(np.clip((grid.north - south) // grid.res + 1, 0, grid.rows))
    if left >= right or top >= bottom:
        return None
    return slice(top, bottom), slice(left, right)
