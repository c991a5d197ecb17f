"""Where the things lie that are split into folds: points, shapes or chips, as boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.windows import Window

from geotoolz.carrier import place_of
from pipekit.carrier import crs_of, same_crs

Boxes = NDArray[np.float64]
"""(N, 4): left, bottom, right, top; a point is a box without extent."""


def boxes_of(things: Any) -> Boxes:
    """Return the boxes of points, shapes or chips.

    Parameters
    ----------
    things
        (N, 2) coordinates x and y; (N, 4) boxes; a GeoSeries or GeoDataFrame; a `PatchStream`,
        which is not read; or a list of rectangular patches.

    Returns
    -------
    (N, 4) in the unit of the coordinates. Chips of a georeferenced scene lie in its map units,
    others in pixels, with rows counted down.

    Raises
    ------
    ValueError
        For degrees, in which one distance means many, and for anything that has no place.

    Examples
    --------
    >>> boxes_of(np.array([[3.0, 4.0]]))
    array([[3., 4., 3., 4.]])
    """
    from geopatcher.patch import Patch
    from geopatcher.stream import PatchStream

    if isinstance(things, PatchStream):
        domain, geometry = things.domain, things.patcher.geometry
        windows = [geometry.neighborhood(domain, anchor) for anchor in things.anchors]
        return _of_windows(
            windows, getattr(domain, "transform", None), getattr(domain, "crs", None)
        )
    if isinstance(things, Sequence) and len(things) and isinstance(things[0], Patch):
        _check_one_crs(things)
        return np.concatenate([_of_patch(patch) for patch in things])
    geometry = getattr(things, "geometry", None)
    if geometry is not None:
        _refuse_degrees(geometry.crs)
        return _finite(geometry.bounds.to_numpy(np.float64))
    masked = isinstance(things, np.ma.MaskedArray)
    points = things.astype(np.float64).filled(np.nan) if masked else np.asarray(things)
    if points.ndim != 2 or points.shape[1] not in (2, 4) or points.dtype.kind not in "iuf":
        raise ValueError(
            "places must be (N, 2) coordinates x and y, a GeoSeries or GeoDataFrame, a PatchStream "
            f"or a list of patches, got {type(things).__name__} of shape {points.shape}; give "
            "places as groups= where X holds features"
        )
    return _finite(points if points.shape[1] == 4 else np.hstack([points, points]))


def _finite(boxes: NDArray[Any]) -> Boxes:
    """Return boxes that all lie somewhere."""
    if not len(boxes):
        raise ValueError("there are no places, so there is nothing to split")
    if not np.isfinite(boxes).all():
        raise ValueError(
            "places must be finite; drop rows with NaN coordinates, and missing or empty shapes, "
            "first"
        )
    if np.any(boxes[:, 2:] < boxes[:, :2]):
        raise ValueError(
            "boxes must be left, bottom, right, top with left <= right and bottom <= top; give "
            "places as groups= where X holds four features"
        )
    return boxes.astype(np.float64)


def _check_one_crs(patches: Sequence[Any]) -> None:
    """Refuse chips of several scenes whose coordinates do not mean the same."""
    first, *others = (place_of(patch.data) for patch in patches)
    for place in others:
        if first is None or place is None:
            same = place is first
        else:
            same = same_crs(place[1], first[1])
        if not same:
            one, other = ("no place" if each is None else each[1] for each in (first, place))
            raise ValueError(f"chips must lie in one CRS, got {one} and {other}; use Reproject")


def _of_patch(patch: Any) -> Boxes:
    place = place_of(patch.data)
    if place is None:
        return _of_windows([patch.indices], None, None)
    rows, cols = patch.data.shape[-2:]
    return _of_windows([Window(0, 0, cols, rows)], *place)


def _of_windows(windows: Sequence[Any], transform: Any, crs: Any) -> Boxes:
    if not all(hasattr(window, "col_off") for window in windows):
        raise ValueError(
            "chips must be rectangles; give the places of other patches as a GeoSeries"
        )
    edges = np.array(
        [[w.col_off, w.row_off, w.col_off + w.width, w.row_off + w.height] for w in windows]
    ).reshape(-1, 4)
    if transform is None:
        return edges.astype(np.float64)
    _refuse_degrees(crs)
    corners = [transform @ (edges[:, i], edges[:, j]) for i in (0, 2) for j in (1, 3)]
    x, y = (np.stack([corner[axis] for corner in corners]) for axis in (0, 1))
    return np.stack([x.min(axis=0), y.min(axis=0), x.max(axis=0), y.max(axis=0)], axis=1)


def _refuse_degrees(crs: Any) -> None:

    if crs is not None and crs_of(crs).is_geographic:
        raise ValueError(
            "places are in degrees, in which one distance means many; use to_crs, or Reproject, "
            "with a CRS in metres first"
        )


def shared_area(boxes: Boxes, train: Any, test: Any, buffer: float = 0.0) -> float:
    """Return which share of the area of test chips training chips cover.

    Parameters
    ----------
    boxes
        (N, 4) of all chips.
    train, test
        Positions of both.
    buffer
        Width of a rim around each training chip that counts as covered.

    Returns
    -------
    0 to 1; of points, the share that lies in a training box or its rim.

    Examples
    --------
    >>> chips = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 0, 30, 10]])
    >>> shared_area(chips, [0, 2], [1]), shared_area(chips, [0], [2])
    (0.5, 0.0)
    >>> shared_area(chips, [0], [2], buffer=15)
    0.5
    """
    asked = boxes[test]
    known = boxes[train] + np.array([-buffer, -buffer, buffer, buffer])
    if not len(asked) or not len(known):
        return 0.0
    # Points and lines have no area to share: of those the ones that meet the other side count.
    solid, solid_known = (np.all(each[:, 2:] > each[:, :2], axis=1) for each in (asked, known))
    thin = _met(asked[~solid], known), _met(asked[solid], known[~solid_known])
    if not solid.any() or not solid_known.any():
        return max(thin)
    tested, trained = (
        shapely.union_all(shapely.box(*each.T)) for each in (asked[solid], known[solid_known])
    )
    share = float(shapely.area(shapely.intersection(tested, trained)) / shapely.area(tested))
    return max(*thin, share if share > _ROUNDING else 0.0)


_ROUNDING = 1e-9
"""Chips that share less of their side only touch: their edges were computed from two corners."""


def _met(asked: Boxes, known: Boxes) -> float:
    """Return the share of the first that touch one of the others."""
    if not len(asked) or not len(known):
        return 0.0
    found = shapely.STRtree(_shapes(known)).query(_shapes(asked), predicate="intersects")[0]
    return float(len(np.unique(found)) / len(asked))


def _shapes(boxes: Boxes) -> NDArray[Any]:
    """Return polygons, and points of boxes without extent."""
    shapes = shapely.box(*boxes.T)
    points = np.all(boxes[:, :2] == boxes[:, 2:], axis=1)
    shapes[points] = shapely.points(boxes[points, :2])
    lines = np.any(boxes[:, :2] == boxes[:, 2:], axis=1) & ~points
    shapes[lines] = shapely.linestrings(boxes[lines].reshape(-1, 2, 2))
    return shapes


def near(boxes: Boxes, test: Any, buffer: float) -> NDArray[np.bool_]:
    """Return which boxes overlap one of those in `test`, or lie within a distance of it.

    Parameters
    ----------
    boxes
        (N, 4).
    test
        Positions.
    buffer
        In the unit of the boxes; 0 for those that overlap, or are the same point, only.

    Returns
    -------
    (N,) bool, True for `test` too.

    Examples
    --------
    >>> near(np.array([[0.0, 0, 1, 1], [1, 0, 2, 1], [3, 0, 4, 1]]), [0], 0.5).tolist()
    [True, True, False]
    """
    shapes = _shapes(boxes)
    out = np.zeros(len(boxes), bool)
    out[test] = True
    tree = shapely.STRtree(shapes)
    if buffer > 0:
        found = tree.query(shapes[test], predicate="dwithin", distance=buffer)[1]
    else:
        asked, met = tree.query(shapes[test], predicate="intersects")
        # Boxes that only touch share no pixel.
        own = boxes[test][asked]
        across = np.minimum(own[:, 2:], boxes[met, 2:]) - np.maximum(own[:, :2], boxes[met, :2])
        sides = np.minimum(own[:, 2:] - own[:, :2], boxes[met, 2:] - boxes[met, :2])
        # A point has no side to share, and lies in whatever it meets.
        found = met[((across > _ROUNDING * sides) | (sides == 0)).all(axis=1)]
    out[found] = True
    return out
