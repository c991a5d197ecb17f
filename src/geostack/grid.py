"""Boxes in degrees on pixel grids: the part that a box cuts out, and the grid that covers one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine

from geocatalog.grid import check_upright, crs_of, part_of, pixel_grid, raster_crs, window_of
from geostack.errors import OutsideTileError
from geostack.request import BBox, format_bbox, halves

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

MAX_PIXELS = 400_000_000
"""Pixels, over all bands, that a loader reads into memory at once; more is surely a mistake."""

_DENSIFY = 21
"""Points put on each edge of a box before it is projected: the edges become curves."""


def project(grid: GeoBox, bbox: BBox) -> tuple[float, float, float, float]:
    """Return the envelope of a box in degrees in a grid's CRS, its edges densified.

    Parameters
    ----------
    grid
        Gives the CRS.
    bbox
        (west, south, east, north), degrees.

    Returns
    -------
    (west, south, east, north) in units of the CRS, west <= east. In degrees they count as the
    grid's own do, and reach beyond 180 where the box crosses the antimeridian.

    Raises
    ------
    OutsideTileError
        When the CRS has no place for the box, as UTM has none for a pole, or two, as Mercator has
        for a box across the antimeridian.
    """
    parts = [_projected(grid, part) for part in halves(bbox)]
    if crs_of(grid).is_geographic:
        return _turned_to(grid, (parts[0][0], parts[0][1], parts[-1][2], parts[0][3]))
    low, high = np.min(parts, axis=0)[:2], np.max(parts, axis=0)[2:]
    if len(parts) > 1:
        (left, _, right, _), (other_left, _, other_right, _) = parts
        apart = max(left, other_left) - min(right, other_right)
        if apart > 1e-6 * (high[0] - low[0]):
            one, other = map(format_bbox, halves(bbox))
            raise OutsideTileError(
                f"the box {format_bbox(bbox)} lies at two ends of {grid.crs}, which is cut at the "
                f"antimeridian; ask for its halves {one} and {other}"
            )
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _projected(grid: GeoBox, bbox: BBox) -> BBox:
    from rasterio.errors import RasterioError
    from rasterio.warp import transform_bounds

    try:
        bounds = transform_bounds("EPSG:4326", raster_crs(grid), *bbox, densify_pts=_DENSIFY)
    except RasterioError:
        bounds = (math.inf,) * 4
    if not all(math.isfinite(value) for value in bounds):
        raise OutsideTileError(f"the box {format_bbox(bbox)} has no place in {grid.crs}")
    return bounds


def _turned_to(grid: GeoBox, bbox: BBox) -> BBox:
    """Return a box with the full turns that bring most of it onto a grid in degrees."""
    west, south, east, north = bbox
    east += 360.0 * (west > east)
    left, _, right, _ = grid.boundingbox

    def shared(turn: float) -> float:
        return min(right, east + turn) - max(left, west + turn)

    turn = max((0.0, -360.0, 360.0), key=lambda by: min(shared(by), east - west))
    return west + turn, south, east + turn, north


def cut(grid: GeoBox, bbox: BBox) -> GeoBox:
    """Return the part of a grid that a box in degrees touches.

    The box's envelope in the grid's CRS grows outward to whole pixels, so no part of the box is
    lost and pixels stay where they are; what reaches over the grid's edge is cut off.

    Parameters
    ----------
    grid
        Of the scene, north up or south up.
    bbox
        (west, south, east, north), degrees.

    Returns
    -------
    Its pixels that the box touches.

    Raises
    ------
    OutsideTileError
        When box and grid don't meet.

    Examples
    --------
    >>> tile = pixel_grid(32610, Affine(10, 0, 699960, 0, -10, 4400040), (10980, 10980))
    >>> tuple(cut(tile, (-120.10, 38.92, -119.93, 39.27)).shape)
    (3935, 1599)
    """
    check_upright(grid.transform, "cutting out a box")
    bounds = project(grid, bbox)
    window = window_of(grid.transform, bounds, grid.shape)
    if min(window[2:]) <= 0:
        raise OutsideTileError(
            f"the box {format_bbox(bbox)} lies outside the scene: in {grid.crs} it is "
            f"{format_bbox(bounds)}, the scene {format_bbox(tuple(grid.boundingbox))}"
        )
    return part_of(grid, *window)


def share_inside(grid: GeoBox, bbox: BBox) -> float:
    """Return the share of a box's envelope that a grid covers, 0 to 1.

    Parameters
    ----------
    grid
        Of the scene.
    bbox
        (west, south, east, north), degrees.

    Returns
    -------
    In the grid's CRS, by area.
    """
    west, south, east, north = project(grid, bbox)
    left, bottom, right, top = grid.boundingbox
    width = min(east, right) - max(west, left)
    height = min(north, top) - max(south, bottom)
    return max(width, 0.0) * max(height, 0.0) / ((east - west) * (north - south))


def covering_grid(grid: GeoBox, bbox: BBox, resolution: float | None = None) -> GeoBox:
    """Return the grid of a grid's pixels over a whole box, whether or not it reaches so far.

    Parameters
    ----------
    grid
        Gives CRS, origin and pixel size.
    bbox
        (west, south, east, north), degrees.
    resolution
        Another pixel size, in units of the CRS, on the same origin.

    Returns
    -------
    Whole pixels; the box lies inside.
    """
    t = grid.transform
    check_upright(t, "covering a box")
    width, height = (resolution, resolution) if resolution else (abs(t.a), abs(t.e))
    origin = pixel_grid(grid.crs, Affine(width, 0, t.c, 0, -height, t.f), grid.shape)
    return part_of(origin, *window_of(origin.transform, project(grid, bbox)))


def check_size(grid: GeoBox, bands: int, bbox: BBox) -> None:
    """Refuse a box whose pixels would fill the memory.

    Parameters
    ----------
    grid
        What is to be read.
    bands
        The number of bands.
    bbox
        Named in the message; (west, south, east, north), degrees.

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


def as_data_array(values: NDArray[Any], grid: GeoBox, name: str, **attrs: Any) -> xr.DataArray:
    """Return (rows, cols) values as a DataArray (y, x) with pixel-centre coordinates and CRS.

    Parameters
    ----------
    values
        (rows, cols).
    grid
        Their pixels.
    name
        Of the array.
    **attrs
        Attributes of the array.

    Returns
    -------
    Dimensions (y, x), with rioxarray's `spatial_ref`.
    """
    from geopatcher.domain import RasterDomain
    from geopatcher.patcher import labelled_raster

    place = RasterDomain(values.shape, grid.transform, raster_crs(grid))
    return labelled_raster(values, place, attrs).rename(name)
