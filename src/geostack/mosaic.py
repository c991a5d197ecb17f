"""Several tiles on one grid: for boxes that lie across their edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from geostack.errors import OutsideTileError
from geostack.grid import PixelGrid
from geostack.read import Asset, Method, in_parallel, read_onto
from geostack.request import BBox, format_bbox
from geostack.scene import item_assets, scene_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pystac import Item

    from geostack.sources import Source

MAX_PIXELS = 400_000_000
"""Pixels, over all bands, that a loader reads into memory at once; more is surely a mistake."""


class Sheet(NamedTuple):
    """One of several scenes side by side: its item, the file that is read, its pixel grid."""

    item: Item
    asset: Asset
    grid: PixelGrid


def sheets_over(bbox: BBox, items: Sequence[Item], key: str, source: Source) -> list[Sheet]:
    """Return each item's asset, first the one that holds most of a box, whose pixels are kept.

    Raises
    ------
    OutsideTileError
        When none reaches the box.
    AssetNotFoundError
        When an item lacks the asset.
    """
    sheets = []
    for item in items:
        (asset,) = item_assets(item, [key], source, [key])
        sheets.append(Sheet(item, asset, scene_grid(item, asset)))
    sheets.sort(key=lambda sheet: -sheet.grid.share_inside(bbox))
    if sheets[0].grid.share_inside(bbox) == 0:
        raise OutsideTileError(f"the box {format_bbox(bbox)} lies outside every scene found")
    return sheets


def covering_grid(grid: PixelGrid, bbox: BBox, resolution: float | None = None) -> PixelGrid:
    """Return the grid of `grid`'s pixels over a whole box, whether or not `grid` reaches so far.

    Parameters
    ----------
    grid
        Gives CRS, origin and pixel size.
    bbox
        (west, south, east, north), degrees.
    resolution
        Another pixel size, in units of the CRS, on the same origin.
    """
    from affine import Affine

    t = grid.transform
    step_x, step_y = (resolution, resolution) if resolution else (abs(t.a), abs(t.e))
    west, south, east, north = grid.project(bbox)
    left, right = _outward((west - t.c) / step_x, (east - t.c) / step_x)
    top, bottom = _outward((t.f - north) / step_y, (t.f - south) / step_y)
    transform = Affine(step_x, 0, t.c + left * step_x, 0, -step_y, t.f - top * step_y)
    return PixelGrid(grid.crs, transform, (bottom - top, right - left))


def read_mosaic(
    assets: Sequence[Asset], grid: PixelGrid, method: Method = "bilinear", *, nodata: float = 0
) -> NDArray[Any]:
    """Return one band from several files, (rows, cols); earlier files win where both have data.

    Raises
    ------
    PixelReadError
        When a file can't be read.
    """
    layers = in_parallel(lambda asset: read_onto(asset, grid, method, fill=nodata), assets)
    result = layers[0]
    for layer in layers[1:]:
        empty = np.isnan(result) if np.isnan(nodata) else result == nodata
        result[empty] = layer[empty]
    return result


def check_size(grid: PixelGrid, bands: int, bbox: BBox) -> None:
    """Refuse a box whose pixels would fill the memory.

    Raises
    ------
    ValueError
        When it holds more than `MAX_PIXELS` values.
    """
    rows, cols = grid.shape
    if rows * cols * bands > MAX_PIXELS:
        raise ValueError(
            f"the box {format_bbox(bbox)} holds {bands} x {rows} x {cols} pixels, more than "
            f"{MAX_PIXELS:,} values; take a smaller box or a coarser resolution="
        )


def _outward(low: float, high: float) -> tuple[int, int]:
    import math

    return math.floor(low + 1e-3), math.ceil(high - 1e-3)
