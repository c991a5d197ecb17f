"""Resample a raster onto another grid, by GDAL's warper through rasterio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from georeader.geotensor import GeoTensor
from numpy.typing import NDArray

from geocatalog.grid import check_upright, pixel_grid, raster_crs
from geotoolz.carrier import NAN, Raster, carry_nodata, fill_of, rewrap
from geotoolz.grid import GridLike, geobox_of, georeferenced, grid_in_bounds

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

_WARPABLE = {"u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8"}


def reproject_to(raster: Raster, grid: GridLike, resampling: str = "nearest") -> GeoTensor:
    """Return the raster resampled onto a grid.

    The dtype is kept. Nodata does not bleed into its neighbours, band by band; outside the source
    the result is nodata: NaN for floats, the fill value for integers (where there is none, 0 is
    made one, but only if the source does not cover the grid), False for masks, which are always
    resampled "nearest".

    Parameters
    ----------
    raster
        `GeoTensor` (..., H, W) with a CRS.
    grid
        Where to, a `GeoTensor`, a `GeoBox` or a `Grid`.
    resampling
        A name of rasterio's, such as "nearest", "bilinear", "cubic", "average", "mode".

    Examples
    --------
    >>> from rasterio import Affine
    >>> tile = GeoTensor(np.ones((1, 4, 4), "float32"), Affine(10, 0, 0, 0, -10, 0), 32632)
    >>> coarse = pixel_grid(32632, Affine(20, 0, 0, 0, -20, 0), (2, 2))
    >>> reproject_to(tile, coarse, "average").shape
    (1, 2, 2)
    """
    source = georeferenced(raster, "reprojecting")
    target = geobox_of(grid)
    planes, fill = _planes(source)
    is_mask = source.values.dtype == np.bool_
    out = _warped(planes, source, target, fill, "nearest" if is_mask else resampling)
    values = out.reshape(*source.shape[:-2], *target.shape.yx).astype(source.values.dtype)
    if fill is None and not is_mask:
        inside = np.ones((1, *source.shape[-2:]), np.uint8)
        fill = None if _warped(inside, source, target, None, "nearest").all() else 0
    kept = NAN if values.dtype.kind == "f" else None if is_mask else fill
    result = rewrap(source, values, fill=kept, transform=target.transform, crs=str(target.crs))
    assert isinstance(result, GeoTensor)
    return result


def _warped(
    planes: NDArray[Any], source: GeoTensor, target: GeoBox, fill: Any, resampling: str
) -> NDArray[Any]:
    """Return planes (N, H, W) of a raster on another grid; without a fill value 0 is a number."""
    from rasterio import warp
    from rasterio.crs import CRS

    out = np.full((len(planes), *target.shape.yx), 0 if fill is None else fill, planes.dtype)
    method = _method(resampling)
    if planes.size and out.size:
        warp.reproject(
            planes,
            out,
            src_transform=source.transform,
            src_crs=CRS.from_user_input(source.crs),
            src_nodata=fill,
            dst_transform=target.transform,
            dst_crs=raster_crs(target),
            dst_nodata=fill,
            resampling=method,
            # By default a pixel only counts as nodata where all bands are; then one band's
            # nodata would be averaged into the values next to it.
            UNIFIED_SRC_NODATA="NO",
        )
    return out


def reproject(
    raster: Raster,
    crs: Any,
    resolution: float | tuple[float, float] | None = None,
    resampling: str = "nearest",
) -> GeoTensor:
    """Return the raster in another CRS, on a north-up grid around it.

    Raises as `reproject_to`.

    Parameters
    ----------
    resolution
        Pixel size in the new CRS, one number or (x, y); by default about the raster's own, as GDAL
        suggests.

    Examples
    --------
    >>> from rasterio import Affine
    >>> tile = GeoTensor(np.ones((4, 4)), Affine(10, 0, 5e5, 0, -10, 5e6), 32632)
    >>> reproject(tile, "EPSG:3857").crs
    'EPSG:3857'
    """
    from rasterio.crs import CRS
    from rasterio.warp import calculate_default_transform

    source = georeferenced(raster, "reprojecting")
    check_resolution(resolution)
    target = CRS.from_user_input(crs)
    height, width = source.shape[-2:]
    if height == 0 or width == 0:
        raise ValueError(f"reprojecting needs pixels, got a raster of shape {source.shape}")
    corners = ((0, 0), (width, 0), (0, height), (width, height))
    xs, ys = zip(*(source.transform * corner for corner in corners), strict=True)
    transform, cols, rows = calculate_default_transform(
        CRS.from_user_input(source.crs),
        target,
        width,
        height,
        min(xs),
        min(ys),
        max(xs),
        max(ys),
        resolution=resolution,
    )
    return reproject_to(source, pixel_grid(target, transform, (rows, cols)), resampling)


def resample(
    raster: Raster, resolution: float | tuple[float, float], resampling: str = "nearest"
) -> GeoTensor:
    """Return the raster with pixels of another size, from the same upper left corner.

    Parameters
    ----------
    resolution
        Pixel size in the raster's CRS, one number or (x, y).
    resampling
        "average" suits going coarser, "bilinear" finer, "nearest" and "mode" classes.

    Examples
    --------
    >>> from rasterio import Affine
    >>> tile = GeoTensor(np.ones((4, 4)), Affine(10, 0, 0, 0, -10, 0), 32632)
    >>> resample(tile, 20, "average").shape
    (2, 2)
    """
    source = georeferenced(raster, "resampling")
    check_upright(source.transform, "resampling")
    sizes = (resolution, resolution) if isinstance(resolution, (int, float)) else resolution
    grid = grid_in_bounds(source.crs, source.bounds, sizes)
    return reproject_to(source, grid, resampling)


def _planes(source: GeoTensor) -> tuple[NDArray[Any], Any]:
    """Return the values as (N, H, W) in a dtype GDAL warps, and the nodata value in it, if any."""
    values = source.values
    planes = values.reshape(-1, *values.shape[-2:])
    kind = values.dtype
    if kind == np.bool_:
        return planes.astype(np.uint8), None
    if kind.kind == "f":
        work = planes.astype(np.float32 if kind.itemsize < 8 else np.float64)
        carry_nodata(work, planes, fill_of(source))
        return work, NAN
    fill = fill_of(source)
    if kind.str[1:] not in _WARPABLE:
        raise TypeError(f"{kind.name} can't be resampled; convert it, for example to float64")
    return planes, fill


def _method(name: str) -> Any:
    from rasterio.enums import Resampling

    if name not in Resampling.__members__:
        known = sorted(Resampling.__members__)
        raise ValueError(f"resampling must be one of {known}, got {name!r}")
    return Resampling[name]


def check_resolution(resolution: float | tuple[float, float] | None) -> None:
    """Raise ValueError unless a pixel size, one number or (x, y), is positive or None.

    Examples
    --------
    >>> check_resolution((10.0, 20.0))
    """
    if resolution is not None and not np.all(np.asarray(resolution) > 0):
        raise ValueError(f"resolution must be positive, got {resolution}")


def check_resampling(name: str) -> None:
    """Raise ValueError when rasterio knows no such resampling.

    Examples
    --------
    >>> check_resampling("bilinear")
    """
    _method(name)
