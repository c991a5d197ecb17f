"""A raster's grid: its CRS, transform and shape, as plain data that an operator can store."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias, TypedDict

from georeader.geotensor import GeoTensor
from rasterio import Affine
from rasterio.crs import CRS

from geotoolz.carrier import Raster

Bounds = tuple[float, float, float, float]
"""(west, south, east, north) in the units of a CRS."""


class Grid(TypedDict):
    """`crs` as text, `transform` as rasterio's six numbers, `shape` as (rows, cols)."""

    crs: str
    transform: tuple[float, float, float, float, float, float]
    shape: tuple[int, int]


GridLike: TypeAlias = GeoTensor | Grid


def grid_of(like: GridLike | Mapping[str, Any]) -> Grid:
    """Return the grid of a georeferenced raster; a grid passes through.

    Raises TypeError for anything else, ValueError for a raster without a CRS.

    >>> import numpy as np
    >>> tile = GeoTensor(np.zeros((2, 4)), Affine(10, 0, 500, 0, -10, 900), "EPSG:32632")
    >>> grid_of(tile)["shape"], grid_of(tile)["crs"]
    ((2, 4), 'EPSG:32632')
    """
    if isinstance(like, GeoTensor):
        raster = georeferenced(like, "a grid")
        return make_grid(raster.crs, raster.transform, raster.shape[-2:])
    if isinstance(like, Mapping) and {"crs", "transform", "shape"} <= like.keys():
        return make_grid(like["crs"], Affine(*like["transform"]), tuple(like["shape"]))
    raise TypeError(
        "a grid is a GeoTensor, or a dictionary with crs, transform and shape; "
        f"got {type(like).__name__}"
    )


def make_grid(crs: Any, transform: Affine, shape: tuple[int, ...]) -> Grid:
    """Return a grid from a CRS in any form, a transform, and (rows, cols).

    >>> make_grid(32632, Affine.scale(10, -10), (3, 4))["crs"]
    'EPSG:32632'
    """
    rows, cols = (int(each) for each in shape)
    a, b, c, d, e, f = (float(each) for each in tuple(transform)[:6])
    text = CRS.from_user_input(crs).to_string()
    return Grid(crs=text, transform=(a, b, c, d, e, f), shape=(rows, cols))


def georeferenced(raster: Raster, what: str) -> GeoTensor:
    """Return the raster if it has a CRS; else raise, saying that `what` needs one.

    Raises TypeError for a plain array, ValueError for a `GeoTensor` without a CRS.

    >>> import numpy as np
    >>> georeferenced(np.zeros((2, 4)), "cropping")
    Traceback (most recent call last):
    TypeError: cropping needs a GeoTensor, which knows where its pixels are, got ndarray; ...
    """
    if not isinstance(raster, GeoTensor):
        raise TypeError(
            f"{what} needs a GeoTensor, which knows where its pixels are, got "
            f"{type(raster).__name__}; wrap it as GeoTensor(array, transform, crs)"
        )
    if raster.crs is None:
        raise ValueError(f"{what} needs a CRS, but the raster's crs is None; set raster.crs")
    return raster


def same_crs(first: Any, second: Any) -> bool:
    """Return whether two CRS are the same, in whatever form each is given.

    >>> same_crs(32632, "EPSG:32632"), same_crs(None, 32632)
    (True, False)
    """
    if first is second or str(first) == str(second):
        return True
    if first is None or second is None:
        return False
    return bool(CRS.from_user_input(first) == CRS.from_user_input(second))


def upright(transform: Affine, what: str) -> None:
    """Raise ValueError when a transform is rotated or sheared.

    >>> upright(Affine.scale(10, -10), "cropping")
    """
    if abs(transform.b) > 1e-12 or abs(transform.d) > 1e-12:
        raise ValueError(
            f"{what} needs rows and columns along the CRS's axes, but the transform is rotated: "
            f"{tuple(transform)[:6]}; use Reproject first"
        )


def grid_in_bounds(crs: Any, bounds: Bounds, resolution: tuple[float, float]) -> Grid:
    """Return the north-up grid of pixels `resolution` = (x, y) that covers the bounds.

    The upper left corner is kept; a last row or column may reach beyond.

    >>> grid_in_bounds(32632, (0, 0, 100, 45), (10, 10))["shape"]
    (5, 10)
    """
    west, south, east, north = bounds
    x_size, y_size = resolution
    if not (x_size > 0 and y_size > 0):
        raise ValueError(f"resolution must be positive, got {resolution}")
    # A hundred-thousandth of a pixel is rounding, not another column.
    cols = max(1, math.ceil((east - west) / x_size - 1e-5))
    rows = max(1, math.ceil((north - south) / y_size - 1e-5))
    return make_grid(crs, Affine(x_size, 0, west, 0, -y_size, north), (rows, cols))


def bounds_in_crs(bounds: Bounds, crs: Any, target: Any) -> Bounds:
    """Return a box of `crs` as the box around it in `target`; unchanged when `crs` is None.

    Edges are densified, so that curved ones stay inside. Raises ValueError for an empty box.

    >>> bounds_in_crs((11.2, 46.4, 11.4, 46.5), 4326, 4326)
    (11.2, 46.4, 11.4, 46.5)
    """
    west, south, east, north = bounds
    if not (west < east and south < north):
        raise ValueError(f"bounds are (west, south, east, north), got {bounds}, which is empty")
    if crs is None:
        return bounds
    from rasterio.warp import transform_bounds

    given, wanted = CRS.from_user_input(crs), CRS.from_user_input(target)
    moved: Bounds = transform_bounds(given, wanted, *bounds, densify_pts=21)
    return moved
