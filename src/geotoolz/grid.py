"""Where a raster lies: its pixel grid, and the plain data that an operator stores of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from georeader.geotensor import GeoTensor
from rasterio import Affine
from rasterio.crs import CRS

from geocatalog.grid import part_of, pixel_grid, window_of
from geotoolz.carrier import Raster

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

Bounds = tuple[float, float, float, float]
"""(west, south, east, north) in the units of a CRS."""


class Grid(TypedDict):
    """`crs` as text, `transform` as rasterio's six numbers, `shape` as (rows, cols)."""

    crs: str
    transform: tuple[float, float, float, float, float, float]
    shape: tuple[int, int]


GridLike: TypeAlias = "GeoTensor | GeoBox | Grid"


def geobox_of(like: GridLike | Mapping[str, Any]) -> GeoBox:
    """Return the grid of a georeferenced raster, or the one that plain data describe.

    Parameters
    ----------
    like
        A `GeoTensor` with a CRS, odc-geo's `GeoBox`, or a dictionary as `grid_of` makes it.

    Raises
    ------
    TypeError
        For anything else.
    ValueError
        For a raster without a CRS.

    Examples
    --------
    >>> import numpy as np
    >>> tile = GeoTensor(np.zeros((2, 4)), Affine(10, 0, 500, 0, -10, 900), "EPSG:32632")
    >>> tuple(geobox_of(tile).shape)
    (2, 4)
    """
    if isinstance(like, GeoTensor):
        raster = georeferenced(like, "a grid")
        return pixel_grid(raster.crs, raster.transform, raster.shape[-2:])
    if isinstance(like, Mapping) and {"crs", "transform", "shape"} <= like.keys():
        return pixel_grid(like["crs"], Affine(*like["transform"]), like["shape"])
    if type(like).__name__ == "GeoBox":
        return like  # type: ignore[return-value]
    raise TypeError(
        "a grid is a GeoTensor, or a dictionary with crs, transform and shape, or a GeoBox; "
        f"got {type(like).__name__}"
    )


def grid_of(like: GridLike | Mapping[str, Any]) -> Grid:
    """Return the plain data of a grid, which an operator's config can hold.

    Raises as `geobox_of`.

    Examples
    --------
    >>> import numpy as np
    >>> tile = GeoTensor(np.zeros((2, 4)), Affine(10, 0, 500, 0, -10, 900), "EPSG:32632")
    >>> grid_of(tile)["shape"], grid_of(tile)["crs"]
    ((2, 4), 'EPSG:32632')
    """
    box = geobox_of(like)
    a, b, c, d, e, f = (float(each) for each in tuple(box.transform)[:6])
    return Grid(crs=str(box.crs), transform=(a, b, c, d, e, f), shape=box.shape.yx)


def georeferenced(raster: Raster, what: str) -> GeoTensor:
    """Return the raster if it has a CRS; else raise, saying that `what` needs one.

    Raises
    ------
    TypeError
        For a plain array.
    ValueError
        For a `GeoTensor` without a CRS.

    Examples
    --------
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


def grid_in_bounds(crs: Any, bounds: Bounds, resolution: tuple[float, float]) -> GeoBox:
    """Return the north-up grid of pixels that covers a box.

    The upper left corner is kept; a last row or column may reach beyond.

    Parameters
    ----------
    bounds
        (west, south, east, north) in `crs`.
    resolution
        (x, y), the pixel size in `crs`.

    Examples
    --------
    >>> tuple(grid_in_bounds(32632, (0, 0, 100, 45), (10, 10)).shape)
    (5, 10)
    """
    west, _, _, north = bounds
    x_size, y_size = resolution
    if not (x_size > 0 and y_size > 0):
        raise ValueError(f"resolution must be positive, got {resolution}")
    corner = pixel_grid(crs, Affine(x_size, 0, west, 0, -y_size, north), (1, 1))
    _, _, rows, cols = window_of(corner.transform, bounds)
    return part_of(corner, 0, 0, max(1, rows), max(1, cols))


def bounds_in_crs(bounds: Bounds, crs: Any, target: Any) -> Bounds:
    """Return a box of `crs` as the box around it in `target`; unchanged when `crs` is None.

    Edges are densified, so that curved ones stay inside.

    Raises
    ------
    ValueError
        For an empty box.

    Examples
    --------
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
