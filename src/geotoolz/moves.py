"""Move pixels without resampling: flips, quarter turns and crops that keep their map positions."""

from __future__ import annotations

from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor
from rasterio import Affine

from geotoolz.carrier import Raster, rewrap, values_of


def flip(raster: Raster, *, horizontal: bool = False, vertical: bool = False) -> Raster:
    """Return the raster mirrored left to right, top to bottom, or both; a copy.

    - `raster`: (..., H, W). The transform is mirrored along, so a map point keeps its value.

    >>> flip(np.array([[1, 2], [3, 4]]), horizontal=True)
    array([[2, 1],
           [4, 3]])
    """
    values = values_of(raster)
    height, width = values.shape[-2:]
    columns = slice(None, None, -1) if horizontal else slice(None)
    rows = slice(None, None, -1) if vertical else slice(None)
    move = Affine.identity()
    if horizontal:
        move *= Affine.translation(width, 0) * Affine.scale(-1, 1)
    if vertical:
        move *= Affine.translation(0, height) * Affine.scale(1, -1)
    return rewrap(raster, values[..., rows, columns].copy(), transform=_moved(raster, move))


def rotate90(raster: Raster, turns: int = 1) -> Raster:
    """Return the raster turned counter-clockwise by `turns` quarter turns; a copy.

    - `raster`: (..., H, W). The transform is turned along, so a map point keeps its value.

    >>> rotate90(np.array([[1, 2], [3, 4]]))
    array([[2, 4],
           [1, 3]])
    """
    values = values_of(raster)
    height, width = values.shape[-2:]
    # New pixel (col, row) was at the old (col', row') = move * (col, row), in corner coordinates.
    move = (
        Affine.identity(),
        Affine(0, -1, width, 1, 0, 0),
        Affine(-1, 0, width, 0, -1, height),
        Affine(0, 1, 0, -1, 0, height),
    )[turns % 4]
    out = np.rot90(values, turns, axes=(-2, -1)).copy()
    return rewrap(raster, out, transform=_moved(raster, move))


def crop(raster: Raster, row: int, col: int, rows: int, cols: int) -> Raster:
    """Return the window of `rows` x `cols` pixels whose upper left pixel is (row, col); a copy.

    Raises ValueError when the window reaches beyond the raster.

    >>> crop(np.arange(9).reshape(3, 3), 1, 1, 2, 2)
    array([[4, 5],
           [7, 8]])
    """
    values = values_of(raster)
    height, width = values.shape[-2:]
    if row < 0 or col < 0 or row + rows > height or col + cols > width or min(rows, cols) < 1:
        raise ValueError(
            f"the window at (row, col) = {row, col} of {rows, cols} pixels is not inside "
            f"a raster of {height, width} (rows, cols)"
        )
    out = values[..., row : row + rows, col : col + cols].copy()
    return rewrap(raster, out, transform=_moved(raster, Affine.translation(col, row)))


def pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return (rows, cols) from one number of pixels or a pair; ValueError unless positive.

    >>> pair(3)
    (3, 3)
    """
    both = tuple(np.atleast_1d(np.asarray(size)).tolist())
    both = both * 2 if len(both) == 1 else both
    if len(both) != 2 or not all(isinstance(each, int) and each >= 1 for each in both):
        raise ValueError(f"size must be positive (rows, cols), got {size}")
    return both


def _moved(raster: Raster, move: Affine) -> Any:
    return raster.transform * move if isinstance(raster, GeoTensor) else None
