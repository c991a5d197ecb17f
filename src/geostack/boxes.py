"""Boxes in degrees: checked once, at the door."""

from __future__ import annotations

import math
from collections.abc import Sequence

BBox = tuple[float, float, float, float]
"""(west, south, east, north), degrees, EPSG:4326."""


def as_bbox(bbox: Sequence[float]) -> BBox:
    """Return `bbox` as four floats (west, south, east, north) in degrees.

    Raises
    ------
    ValueError
        When it isn't four finite numbers, is in metres, reversed, empty, or crosses the
        antimeridian.

    Examples
    --------
    >>> as_bbox([-120.1, 38.92, -119.93, 39.27])
    (-120.1, 38.92, -119.93, 39.27)
    """
    try:
        west, south, east, north = (float(value) for value in bbox)
    except (TypeError, ValueError):
        raise ValueError(
            f"bbox must be four numbers (west, south, east, north) in degrees, got {bbox!r}"
        ) from None
    box = (west, south, east, north)
    if not all(math.isfinite(value) for value in box):
        raise ValueError(f"bbox must hold finite degrees, got {box}")
    _check_degrees(box)
    _check_order(box)
    return box


def _check_degrees(box: BBox) -> None:
    west, south, east, north = box
    if max(abs(south), abs(north)) <= 90 and max(abs(west), abs(east)) <= 360:
        if max(abs(west), abs(east)) > 180:
            raise ValueError(
                f"bbox longitudes must lie in -180..180, got {box}; a box across the "
                "antimeridian is asked for in two halves, one on either side of 180"
            )
        return
    if max(abs(value) for value in box) > 1000:
        raise ValueError(
            f"bbox must be in degrees (EPSG:4326), got {box}, which looks like metres; "
            "convert it with rasterio.warp.transform_bounds(crs, 'EPSG:4326', *bbox)"
        )
    raise ValueError(
        "bbox is (west, south, east, north) with longitudes in -180..180 and latitudes in "
        f"-90..90, got {box}; are latitude and longitude swapped?"
    )


def _check_order(box: BBox) -> None:
    west, south, east, north = box
    if south >= north:
        raise ValueError(
            f"bbox must have south < north, got south={south} and north={north}; "
            "the order is (west, south, east, north)"
        )
    if west > east and west - east > 180:
        raise ValueError(
            f"bbox runs from west={west} to east={east}, across the antimeridian; ask for "
            f"({west}, {south}, 180, {north}) and (-180, {south}, {east}, {north})"
        )
    if west >= east:
        raise ValueError(
            f"bbox must have west < east, got west={west} and east={east}; "
            "the order is (west, south, east, north)"
        )


def intersects(a: Sequence[float], b: Sequence[float]) -> bool:
    """Return whether two boxes share more than an edge.

    Examples
    --------
    >>> intersects((0, 0, 2, 2), (1, 1, 3, 3)), intersects((0, 0, 1, 1), (1, 0, 2, 1))
    (True, False)
    """
    return bool(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])


def contains(outer: Sequence[float], inner: Sequence[float], tolerance: float = 0.0) -> bool:
    """Return whether `outer` holds all of `inner`, give or take `tolerance` degrees.

    Examples
    --------
    >>> contains((0, 0, 2, 2), (0.5, 0.5, 2, 2)), contains((0, 0, 2, 2), (1, 1, 3, 3))
    (True, False)
    """
    return bool(
        outer[0] <= inner[0] + tolerance
        and outer[1] <= inner[1] + tolerance
        and outer[2] >= inner[2] - tolerance
        and outer[3] >= inner[3] - tolerance
    )


def format_bbox(bbox: Sequence[float]) -> str:
    """Return a box as short text for messages.

    Examples
    --------
    >>> format_bbox((-120.1, 38.92, -119.93, 39.27))
    '(-120.1, 38.92, -119.93, 39.27)'
    """
    return "(" + ", ".join(f"{value:.6g}" for value in bbox) + ")"
