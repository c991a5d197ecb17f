"""Pixel grids: odc-geo's `GeoBox`, and the rules by which edges snap to whole pixels.

A grid is a CRS, an affine transform and a shape (rows, cols). Boxes are (west, south, east, north).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine

from pipekit.carrier import SNAP, full_turns, index_as_array, pixel_offset, same_crs
from pipekit.parallel import import_alone

if TYPE_CHECKING:
    from georeader.geotensor import GeoTensor
    from odc.geo.geobox import GeoBox
    from pyproj import CRS


def pixel_grid(crs: Any, transform: Affine, shape: Sequence[int]) -> GeoBox:
    """Return a grid from a CRS in any form, a transform and a shape.

    Parameters
    ----------
    crs
        What pyproj understands, a rasterio CRS, or odc-geo's own.
    transform
        From (col, row) to (x, y).
    shape
        (rows, cols).

    Returns
    -------
    The grid; equal arguments give the identical one while it is remembered.

    Examples
    --------
    >>> grid = pixel_grid(32610, Affine(10, 0, 699960, 0, -10, 4400040), (10980, 10980))
    >>> tuple(grid.boundingbox)
    (699960.0, 4290240.0, 809760.0, 4400040.0)
    """
    rows, cols = shape
    # Text is compared faster than a CRS, and a grid found again costs a third of one made.
    named = crs.to_wkt() if hasattr(crs, "to_wkt") else crs
    return _pixel_grid(named, transform, int(rows), int(cols))


@lru_cache(maxsize=256)
def _pixel_grid(crs: Any, transform: Affine, rows: int, cols: int) -> GeoBox:
    from geocatalog.footprint import as_crs, crs_text

    geobox, crs_module = import_alone("odc.geo.geobox"), import_alone("odc.geo.crs")
    text = crs_text(as_crs(crs))
    made: GeoBox = geobox.GeoBox((rows, cols), transform, crs_module.CRS(text))
    return made


def crs_of(grid: GeoBox) -> CRS:
    """Return a grid's CRS as pyproj's.

    Parameters
    ----------
    grid
        A grid with a CRS.

    Returns
    -------
    The CRS.

    Examples
    --------
    >>> crs_of(pixel_grid(32610, Affine.identity(), (1, 1))).to_epsg()
    32610
    """
    assert grid.crs is not None
    return grid.crs.proj


def part_of(grid: GeoBox, row: int, col: int, rows: int, cols: int) -> GeoBox:
    """Return a window of a grid, which may reach over its edge.

    Parameters
    ----------
    grid
        Any grid.
    row, col
        Where the window begins; may be negative.
    rows, cols
        Its size in pixels.

    Returns
    -------
    A grid of the same pixels.

    Examples
    --------
    >>> grid = pixel_grid(32610, Affine(10, 0, 0, 0, -10, 90), (9, 9))
    >>> tuple(part_of(grid, -1, 2, 3, 4).boundingbox)
    (20.0, 70.0, 60.0, 100.0)
    """
    if (row, col, rows, cols) == (0, 0, *grid.shape.yx):
        return grid
    return grid.translate_pix(col, row).expand((rows, cols))


def raster_crs(grid: GeoBox) -> Any:
    """Return a grid's CRS as rasterio's own, which is what a `GeoTensor` carries.

    Parameters
    ----------
    grid
        A grid with a CRS.

    Returns
    -------
    The CRS.

    Examples
    --------
    >>> raster_crs(pixel_grid(32610, Affine.identity(), (1, 1))).to_epsg()
    32610
    """
    return _raster_crs(str(grid.crs))


@lru_cache(maxsize=64)
def _raster_crs(text: str) -> Any:
    from rasterio.crs import CRS

    return CRS.from_user_input(text)


def as_geotensor(values: np.ndarray, grid: GeoBox, fill: Any, attrs: dict[str, Any]) -> GeoTensor:
    """Return pixels of a whole grid as a `GeoTensor`.

    Parameters
    ----------
    values
        (..., rows, cols).
    grid
        Where they lie.
    fill
        The value of missing pixels.
    attrs
        The raster's attributes.

    Returns
    -------
    A `GeoTensor` over the same values.

    Examples
    --------
    >>> grid = pixel_grid(32610, Affine(10, 0, 0, 0, -10, 90), (9, 9))
    >>> as_geotensor(np.zeros((1, 9, 9)), grid, 0, {}).bounds
    (0.0, 0.0, 90.0, 90.0)
    """
    from georeader.geotensor import GeoTensor

    index_as_array(GeoTensor)
    crs = raster_crs(grid)
    return GeoTensor(values, grid.transform, crs, fill_value_default=fill, attrs=attrs)


def whole_pixels(low: float, high: float, snap: float = SNAP) -> tuple[int, int]:
    """Return the first pixel that a span touches and the one after its last, in pixels.

    An edge within `snap` of a pixel's edge lies on it.

    Parameters
    ----------
    low, high
        Ends of the span, in pixels from a pixel edge.
    snap
        Share of a pixel.

    Returns
    -------
    First pixel, and one after the last.

    Examples
    --------
    >>> whole_pixels(1.9, 4.2), whole_pixels(2.0000004, 3.9999996)
    ((1, 5), (2, 4))
    """
    return math.floor(low + snap), math.ceil(high - snap)


def window_of(
    transform: Affine,
    bounds: Sequence[float],
    within: Sequence[int] | None = None,
    snap: float = SNAP,
) -> tuple[int, int, int, int]:
    """Return the whole pixels that a box touches, as (row, col, rows, cols).

    Parameters
    ----------
    transform
        From (col, row) to (x, y), in any direction; of a rotated one the window is around the box.
    bounds
        (west, south, east, north) in units of the CRS.
    within
        (rows, cols) to cut the window to. Rows or cols are then 0 or less where the box lies
        outside.
    snap
        Share of a pixel by which an edge may miss a pixel's: `SNAP` for a box, `SAME` for the
        bounds of other pixels.

    Returns
    -------
    Row and column of the first pixel, and the number of rows and columns.

    Examples
    --------
    >>> window_of(Affine(10, 0, 0, 0, -10, 90), (12, 40, 38, 60))
    (3, 1, 2, 3)
    """
    west, south, east, north = bounds
    columns: tuple[float, ...]
    lines: tuple[float, ...]
    if transform.b or transform.d:
        corners = (west, north), (east, north), (east, south), (west, south)
        columns, lines = zip(*((~transform) @ corner for corner in corners), strict=True)
    else:
        columns = (west - transform.c) / transform.a, (east - transform.c) / transform.a
        lines = (north - transform.f) / transform.e, (south - transform.f) / transform.e
    left, right = whole_pixels(min(columns), max(columns), snap)
    top, bottom = whole_pixels(min(lines), max(lines), snap)
    if within is not None:
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, within[1]), min(bottom, within[0])
    return top, left, bottom - top, right - left


def pixel_columns(transform: Affine) -> dict[str, float]:
    """Return what a catalog records of the size of pixels.

    Parameters
    ----------
    transform
        From (col, row) to (x, y), in any direction.

    Returns
    -------
    `resolution`, their width in units of the CRS; and `resolution_y`, their height where that is
    another.

    Examples
    --------
    >>> pixel_columns(Affine(10, 0, 0, 0, 10, 0)), pixel_columns(Affine(-3, 0, 0, 0, -2, 0))
    ({'resolution': 10.0}, {'resolution': 3.0, 'resolution_y': 2.0})
    """
    width, height = math.hypot(transform.a, transform.d), math.hypot(transform.b, transform.e)
    # Written as text, sizes in degrees differ in their last digit.
    is_square = math.isclose(width, height, rel_tol=1e-9)
    return {"resolution": width} if is_square else {"resolution": width, "resolution_y": height}


def offset_of(outer: GeoBox, inner: GeoBox) -> tuple[int, int] | None:
    """Return the (row, col) of a grid's corner in another, or None where pixels differ.

    Parameters
    ----------
    outer
        The grid to count in.
    inner
        A grid whose pixels may be those of the outer one, whether or not it reaches so far.

    Returns
    -------
    (row, col), or None.

    Examples
    --------
    >>> outer = pixel_grid(32610, Affine(10, 0, 0, 0, -10, 90), (9, 9))
    >>> offset_of(outer, part_of(outer, 2, -1, 3, 3))
    (2, -1)
    >>> offset_of(outer, pixel_grid(32610, Affine(20, 0, 0, 0, -20, 90), (2, 2))) is None
    True
    """
    if not same_crs(crs_of(outer), crs_of(inner)):
        return None
    return pixel_offset(outer.transform, inner.transform, inner.shape)


def resampled(
    values: np.ndarray,
    own: GeoBox,
    onto: GeoBox,
    method: Any,
    nodata: float | None,
    **options: Any,
) -> np.ndarray:
    """Return pixels of one grid on another, resampled by GDAL.

    Parameters
    ----------
    values
        (N, H, W) on `own`, of a dtype that GDAL knows.
    own, onto
        The two grids.
    method
        rasterio's resampling method.
    nodata
        Marks what does not count, and what `onto` has beyond; None for neither: 0 beyond.
    **options
        GDAL's, of a warp.

    Returns
    -------
    (N, rows, cols) on `onto`, in the dtype of the values.

    Examples
    --------
    >>> from rasterio.enums import Resampling
    >>> fine = pixel_grid("EPSG:32632", Affine(10, 0, 0, 0, -10, 0), (2, 2))
    >>> coarse = pixel_grid("EPSG:32632", Affine(20, 0, 0, 0, -20, 0), (1, 1))
    >>> resampled(np.arange(4.0).reshape(1, 2, 2), fine, coarse, Resampling.average, None)
    array([[[1.5]]])
    """
    from rasterio.warp import reproject

    out = np.full((len(values), *onto.shape.yx), 0 if nodata is None else nodata, values.dtype)
    if values.size and out.size:
        reproject(
            values,
            out,
            src_transform=own.transform,
            src_crs=raster_crs(own),
            src_nodata=nodata,
            dst_transform=onto.transform,
            dst_crs=raster_crs(onto),
            dst_nodata=nodata,
            resampling=method,
            **options,
        )
    return out


def is_north_up(transform: Affine) -> bool:
    """Say whether rows run from west to east, and follow each other from north to south.

    Parameters
    ----------
    transform
        From (col, row) to (x, y).

    Returns
    -------
    Whether a box and the size of a pixel say all of it.

    Examples
    --------
    >>> is_north_up(Affine(10, 0, 0, 0, -10, 0)), is_north_up(Affine(10, 0, 0, 0, 10, 0))
    (True, False)
    """
    return transform.a > 0 > transform.e and not (transform.b or transform.d)


def check_upright(transform: Affine, what: str) -> None:
    """Refuse a rotated or sheared transform.

    Parameters
    ----------
    transform
        From (col, row) to (x, y).
    what
        What is being done, for the message.

    Raises
    ------
    ValueError
        When rows and columns do not run along the axes of the CRS; the message says that `what`
        needs it.

    Examples
    --------
    >>> check_upright(Affine.scale(10, -10), "cropping")
    """
    if abs(transform.b) > 1e-12 or abs(transform.d) > 1e-12:
        raise ValueError(
            f"{what} needs rows and columns along the CRS's axes, but the transform is rotated: "
            f"{tuple(transform)[:6]}; use Reproject first"
        )


def turned(grid: GeoBox, onto: GeoBox | None = None) -> list[GeoBox]:
    """Return a grid and its equals full turns away: within 180 degrees, or where a file's grid is.

    Parameters
    ----------
    grid
        Any grid.
    onto
        The file's grid. Where it is in degrees too, the equals are those that meet it, however it
        counts longitudes: from -180, from 0, or on beyond either end.

    Returns
    -------
    The grid itself first, then its equals.

    Examples
    --------
    >>> across = pixel_grid(4326, Affine(0.5, 0, 179, 0, -0.5, 1), (2, 4))
    >>> [grid.transform.c for grid in turned(across)]
    [179.0, -181.0]
    >>> world = pixel_grid(4326, Affine(1, 0, 0, 0, -1, 90), (180, 360))
    >>> asked = pixel_grid(4326, Affine(1, 0, -5, 0, -1, 0), (1, 10))
    >>> [grid.transform.c for grid in turned(asked, world)]
    [-5.0, 355.0]
    """
    from geocatalog.footprint import turns

    if not crs_of(grid).is_geographic:
        return [grid]
    box = grid.boundingbox
    by = turns(box.left, box.right)
    if onto is not None and crs_of(onto).is_geographic:
        there = onto.boundingbox
        every = full_turns(box.left, box.right, there.left, there.right)
        by = [360.0 * turn for turn in every if turn]
    return [grid, *(Affine.translation(each, 0.0) * grid for each in by)]
