"""Pixel grids in UTM metres, and moving layers between them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

THREADS = min(4, os.cpu_count() or 1)
"""Parts of a drawing, or whole files, that are made at the same time."""


@dataclass(frozen=True)
class Grid:
    """A north-up grid of square pixels.

    `west` and `north` are the outer edges in metres, `res` the pixel's side in metres.

    >>> Grid(32610, 699960, 4400040, 10, rows=10980, cols=10980).bounds
    (699960, 4290240, 809760, 4400040)
    """

    epsg: int
    west: float
    north: float
    res: float
    rows: int
    cols: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        return self.rows, self.cols

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) in metres."""
        east, south = self.west + self.cols * self.res, self.north - self.rows * self.res
        return self.west, south, east, self.north

    @cached_property
    def x(self) -> NDArray[np.float64]:
        """Eastings of the pixel centres, (cols,)."""
        return self.west + self.res * (np.arange(self.cols, dtype=np.float64) + 0.5)

    @cached_property
    def y(self) -> NDArray[np.float64]:
        """Northings of the pixel centres, from north to south, (rows,)."""
        return self.north - self.res * (np.arange(self.rows, dtype=np.float64) + 0.5)

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """The six numbers of an affine transform, in the order of rasterio and STAC."""
        return (self.res, 0.0, self.west, 0.0, -self.res, self.north)

    def at(self, res: float, margin: int = 0) -> Grid:
        """Return a grid of another pixel size that covers this one and `margin` pixels around.

        Its edges are multiples of `res`, so grids of neighbouring windows share their pixels.

        Parameters
        ----------
        res
            The pixel's side, in units of this grid.
        margin
            Pixels of that size.

        Returns
        -------
        A grid of the same CRS.
        """
        return covering(self.epsg, self.bounds, res, margin)

    def window(self, rows: slice, cols: slice) -> Grid:
        """Return the part of this grid at the given rows and columns.

        Parameters
        ----------
        rows, cols
            With a start and a stop.

        Returns
        -------
        A grid of the same pixels.
        """
        west, north = self.west + cols.start * self.res, self.north - rows.start * self.res
        shape = rows.stop - rows.start, cols.stop - cols.start
        return Grid(self.epsg, west, north, self.res, *shape)

    def strip(self, rows: slice) -> Grid:
        """Return some rows of this grid, all columns of them.

        Parameters
        ----------
        rows
            With a start and a stop.

        Returns
        -------
        A grid of the same pixels.
        """
        return self.window(rows, slice(0, self.cols))

    def coarser(self, factor: int) -> Grid:
        """Return the grid of blocks of `factor` x `factor` pixels, as `pool` makes them.

        Parameters
        ----------
        factor
            Pixels along a block.

        Returns
        -------
        Rows and columns that fill no block are left out.
        """
        rows, cols = self.rows // factor, self.cols // factor
        return Grid(self.epsg, self.west, self.north, self.res * factor, rows, cols)

    def offset_in(self, outer: Grid) -> tuple[int, int]:
        """Return (row, col) of this grid's first pixel in `outer`, which has the same pixels.

        Parameters
        ----------
        outer
            A grid of the same pixel size.

        Returns
        -------
        Whole pixels.

        Raises
        ------
        ValueError
            When the pixels differ.
        """
        row = (outer.north - self.north) / self.res
        col = (self.west - outer.west) / self.res
        # A millionth of a pixel: origins in degrees are not exact binary fractions.
        if outer.res != self.res or max(abs(row - round(row)), abs(col - round(col))) > 1e-6:
            raise ValueError(f"grids must share their pixels, got {self} in {outer}")
        return round(row), round(col)


def covering(
    epsg: int, bounds: tuple[float, float, float, float], res: float, margin: int = 0
) -> Grid:
    """Return the smallest grid on multiples of `res` around (west, south, east, north), metres.

    Parameters
    ----------
    epsg
        A UTM zone's EPSG code.
    bounds
        (west, south, east, north), metres.
    res
        The pixel's side, metres.
    margin
        Pixels around it.

    Returns
    -------
    The grid.
    """
    west, south, east, north = bounds
    left, right = floor(west / res) - margin, ceil(east / res) + margin
    low, high = floor(south / res) - margin, ceil(north / res) + margin
    return Grid(epsg, left * res, high * res, res, high - low, right - left)


def _linear_taps(
    target: NDArray[np.float64], first: float, step: float, count: int
) -> tuple[NDArray[np.int64], F32]:
    position = np.clip((target - first) / step, 0, count - 1)
    index = np.minimum(position.astype(np.int64), max(count - 2, 0))
    return index, (position - index).astype(np.float32)


def resample(layer: F32, source: Grid, target: Grid) -> F32:
    """Interpolate a smooth layer bilinearly from one grid to another, clamped at the edges.

    Parameters
    ----------
    layer
        (rows, cols) float32 on `source`.
    source, target
        Grids of one CRS.

    Returns
    -------
    (rows, cols) float32 on `target`.

    Examples
    --------
    >>> import numpy as np
    >>> coarse = Grid(32610, 0, 40, 20, rows=2, cols=2)
    >>> fine = Grid(32610, 10, 30, 10, rows=2, cols=2)
    >>> resample(np.float32([[0, 4], [0, 4]]), coarse, fine).tolist()
    [[1.0, 3.0], [1.0, 3.0]]
    """
    rows, wr = _linear_taps(-target.y, -float(source.y[0]), source.res, source.rows)
    cols, wc = _linear_taps(target.x, float(source.x[0]), source.res, source.cols)
    down = min(1, source.rows - 1)
    right = min(1, source.cols - 1)
    partial = layer[rows] * (1 - wr)[:, None]
    partial += layer[rows + down] * wr[:, None]
    out = partial[:, cols]
    out *= 1 - wc
    upper = partial[:, cols + right]
    upper *= wc
    out += upper
    return out


def pool(layer: F32, factor: int = 2) -> F32:
    """Average blocks of `factor` x `factor` pixels of (..., rows, cols); they must divide both.

    Parameters
    ----------
    layer
        (..., rows, cols) float32.
    factor
        Pixels along a block.

    Returns
    -------
    (..., rows / factor, cols / factor) float32.

    Raises
    ------
    ValueError
        When `factor` doesn't divide rows and columns.
    """
    rows, cols = layer.shape[-2:]
    if rows % factor or cols % factor:
        raise ValueError(f"shape must be a multiple of {factor}, got {layer.shape}")
    parts = [layer[..., i::factor, j::factor] for i in range(factor) for j in range(factor)]
    out = parts[0] + parts[1]
    for part in parts[2:]:
        out += part
    out *= np.float32(1 / factor**2)
    return out
