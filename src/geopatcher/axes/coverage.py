"""Which share of each cell a polygon covers, exactly.

The polygon is clipped by ever smaller boxes of the grid: a box that it fills or misses is done,
the others are split. So only cells on the boundary are ever clipped one by one, and each time a
small piece rather than the whole polygon.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_SPLITS = (64, 8, 1)
_ROUNDING = 1e-9  # of a cell: what clipping leaves of a polygon that only touches


def cell_fractions(polygon: Any, height: int, width: int) -> tuple[np.ndarray, ...]:
    """Return (rows, cols, fractions) of the cells that a polygon covers, in row-major order.

    `polygon`: a shapely Polygon or MultiPolygon in cell units, x along columns, y along rows,
    the cell (row, col) being the unit square from (col, row). Fractions are in (0, 1].

    >>> from shapely import box
    >>> rows, cols, fractions = cell_fractions(box(0.5, 0, 2, 1), height=2, width=3)
    >>> rows.tolist(), cols.tolist(), fractions.tolist()
    ([0, 0], [0, 1], [0.5, 1.0])
    """
    import shapely

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
    cells = [corners, *(_cells_of(c, s) for c, s in full)]
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


def _cells_of(corners: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return every cell (n, 2) of boxes."""
    _, cells, _ = _split(corners, sizes, 1)
    return cells
