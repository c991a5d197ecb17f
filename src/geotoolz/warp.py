"""Where a raster lies, and how it is resampled onto another grid, by GDAL through rasterio."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

import numpy as np
from georeader.geotensor import GeoTensor
from numpy.typing import NDArray
from rasterio import Affine, DatasetReader, warp
from rasterio.enums import Resampling

from geocatalog.footprint import box_parts, outline_of
from geocatalog.grid import check_upright, part_of, pixel_grid, resampled, window_of
from geocatalog.read.bands import resampling_for
from geotoolz.carrier import NAN, Raster, fill_of, nan_floats, values_of
from pipekit.carrier import crs_of, holds, same_crs
from pipekit.operator import checked_option
from pipekit.pixels import band_roles, marked
from pipekit.result_size import check_size

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

    Returns
    -------
    odc-geo's `GeoBox`.

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

    Parameters
    ----------
    like
        As in `geobox_of`, which says what is raised.

    Returns
    -------
    CRS, transform and shape as plain data.

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


def grid_given(operator: Any, like: GridLike | None) -> GridLike:
    """Return the grid given in a call, else the one that the operator was made with.

    Parameters
    ----------
    operator
        Holds a grid or None as `like`.
    like
        The grid of this call, or None.

    Returns
    -------
    One of the two.

    Raises
    ------
    TypeError
        When both are None.

    Examples
    --------
    >>> from geotoolz import ReprojectLike
    >>> grid = {"crs": "EPSG:32632", "transform": (10, 0, 0, 0, -10, 0), "shape": (2, 2)}
    >>> grid_given(ReprojectLike(), grid)["shape"]
    (2, 2)
    """
    grid: GridLike | None = operator.like if like is None else like
    if grid is None:
        name = type(operator).__name__
        raise TypeError(f"{name} has no grid: give {name}(like), or the grid when it is called")
    return grid


def georeferenced(raster: Raster, what: str) -> GeoTensor:
    """Return the raster if it has a CRS; else raise, saying that `what` needs one.

    Parameters
    ----------
    raster
        (..., H, W), any dtype.
    what
        What the message calls the work.

    Returns
    -------
    The raster itself.

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
    crs
        In any form.
    bounds
        (west, south, east, north) in `crs`.
    resolution
        (x, y), the pixel size in `crs`.

    Returns
    -------
    odc-geo's `GeoBox`, of one pixel at least.

    Examples
    --------
    >>> tuple(grid_in_bounds(32632, (0, 0, 100, 45), (10, 10)).shape)
    (5, 10)
    """
    west, _, _, north = bounds
    x_size, y_size = resolution
    check_resolution(resolution)
    corner = pixel_grid(crs, Affine(x_size, 0, west, 0, -y_size, north), (1, 1))
    _, _, rows, cols = window_of(corner.transform, bounds)
    return part_of(corner, 0, 0, max(1, rows), max(1, cols))


def bounds_in_crs(bounds: Bounds, crs: Any, target: Any) -> Bounds:
    """Return a box of `crs` as the box around it in `target`; unchanged when `crs` is None.

    Edges are densified, so that curved ones stay inside. A box across the antimeridian reaches
    beyond 180 degrees where the target is in degrees.

    Parameters
    ----------
    bounds
        (west, south, east, north) in `crs`; west > east, in degrees, crosses the antimeridian.
    crs, target
        In any form.

    Returns
    -------
    (west, south, east, north) in `target`.

    Raises
    ------
    ValueError
        For an empty box.

    Examples
    --------
    >>> bounds_in_crs((11.2, 46.4, 11.4, 46.5), 4326, 4326)
    (11.2, 46.4, 11.4, 46.5)
    >>> bounds_in_crs((179.5, 0, -179.5, 1), None, 4326)
    (179.5, 0, 180.5, 1)
    """
    west, south, east, north = bounds
    stated = target if crs is None else crs
    given = None if stated is None else crs_of(stated)
    crosses = west > east and given is not None and given.is_geographic
    if not ((west < east or crosses) and south < north):
        raise ValueError(f"bounds are (west, south, east, north), got {bounds}, which is empty")
    if crs is None or target is None or same_crs(given, wanted := crs_of(target)):
        return (west, south, east + 360.0, north) if crosses else bounds

    moved = np.array(
        [warp.transform_bounds(given, wanted, *part, densify_pts=21) for part in box_parts(bounds)]
    )
    if wanted.is_geographic:
        moved[:, 2] += 360.0 * (moved[:, 2] < moved[:, 0])
        moved[1:, [0, 2]] += 360.0
    low, high = moved[:, :2].min(axis=0).tolist(), moved[:, 2:].max(axis=0).tolist()
    return low[0], low[1], high[0], high[1]


_WARPABLE = {"u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8"}


def pixels_within(
    place: GeoTensor | DatasetReader, bounds: Bounds, crs: Any = None
) -> tuple[int, int, int, int]:
    """Return the window (row, col, rows, cols) of the whole pixels that touch a box.

    Parameters
    ----------
    place
        An upright raster with a CRS, or a file that rasterio opened.
    bounds
        (west, south, east, north), in `crs` or, by default, in the CRS of `place`.
    crs
        In any form.

    Returns
    -------
    (row, col, rows, cols), in pixels of `place`.

    Raises
    ------
    ValueError
        When the box is empty or does not meet `place`.

    Examples
    --------
    >>> tile = GeoTensor(np.ones((9, 9)), Affine(10, 0, 0, 0, -10, 90), 32632)
    >>> pixels_within(tile, (12, 40, 38, 60))
    (3, 1, 2, 3)
    """
    west, south, east, north = bounds_in_crs(bounds, crs, place.crs)
    around = [0.0]
    if place.crs is not None and crs_of(place.crs).is_geographic:
        # Longitudes may be counted from -180 or from 0.
        around += [360.0, -360.0]
    windows = [
        window_of(place.transform, (west + by, south, east + by, north), place.shape[-2:])
        for by in around
    ]
    found = [window for window in windows if min(window[2:]) > 0]
    if len(found) > 1:
        raise ValueError(
            f"the box {bounds} lies at both ends of {getattr(place, 'name', 'the raster')}, which "
            f"covers {tuple(place.bounds)}; take its two halves, or load them with "
            "geocatalog.load_raster"
        )
    if not found:
        raise ValueError(
            f"the box {bounds} does not meet {getattr(place, 'name', 'the raster')}, which covers "
            f"{tuple(place.bounds)} in {place.crs}"
        )
    return found[0]


def reproject_to(raster: Raster, grid: GridLike, resampling: str = "nearest") -> GeoTensor:
    """Return the raster resampled onto a grid.

    The dtype is kept. Nodata does not bleed into its neighbours, band by band; outside the source
    the result is nodata: NaN for floats, the fill value for integers (where there is none and the
    source does not cover the grid, 0, or a number that no pixel holds), False for masks. Bands of
    classes, bits and masks are never blended: they come by "nearest" where quantities would be, and
    classes by "mode" where quantities are averaged.

    Parameters
    ----------
    raster
        `GeoTensor` (..., H, W) with a CRS.
    grid
        Where to, a `GeoTensor`, a `GeoBox` or a `Grid`.
    resampling
        A name of rasterio's, such as "nearest", "bilinear", "cubic", "average", "mode".

    Returns
    -------
    (..., h, w) in the raster's dtype.

    Raises
    ------
    TypeError
        For a plain array, or wide integers by another method than "nearest".
    ValueError
        For a raster without a CRS, or an unknown `resampling`.

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
    check_resampling(resampling)
    check_size((*source.shape[:-2], *target.shape.yx), source.values.dtype, "resampling")
    planes, fill = _planes(source)
    out = np.empty((len(planes), *target.shape.yx), planes.dtype)
    roles = band_roles(source)
    methods = [resampling_for(role, resampling) for role in roles]
    for how in dict.fromkeys(methods):
        bands = [each == how for each in methods]
        chosen = np.flatnonzero(np.resize(bands, len(planes)))
        if len(chosen) == len(planes):
            out = _warped(planes, source, target, fill, how)
        else:
            out[chosen] = _warped(planes[chosen], source, target, fill, how)
    kind = source.values.dtype
    values = out.reshape(*source.shape[:-2], *target.shape.yx).astype(kind.newbyteorder("="))
    if fill is None and kind != np.bool_:
        inside = np.ones((1, *source.shape[-2:]), np.uint8)
        outside = _warped(inside, source, target, None, "nearest")[0] == 0
        if outside.any():
            values, fill = marked(values, np.broadcast_to(outside, values.shape), 0, roles)
    kept = NAN if kind.kind == "f" else None if kind == np.bool_ else fill
    return GeoTensor(values, target.transform, str(target.crs), kept, dict(source.attrs or {}))


def _picked(
    planes: NDArray[Any], source: GeoTensor, target: GeoBox, fill: Any, resampling: str
) -> NDArray[Any]:
    """Return planes of a dtype that GDAL does not warp, by the place of the nearest pixel."""
    if resampling != "nearest":
        raise TypeError(
            f"{planes.dtype.name} can't be resampled by {resampling!r}; use 'nearest', or convert "
            "it, for example to float64"
        )
    index = np.arange(planes[0].size, dtype=np.int32).reshape(1, *planes.shape[1:])
    place = _warped(index, source, target, -1, "nearest")[0]
    out: NDArray[Any] = planes.reshape(len(planes), -1)[:, np.maximum(place, 0)]
    out[:, place < 0] = 0 if fill is None else fill
    return out


def _warped(
    planes: NDArray[Any], source: GeoTensor, target: GeoBox, fill: Any, resampling: str
) -> NDArray[Any]:
    """Return planes (N, H, W) of a raster on another grid; without a fill value 0 is a number."""
    if planes.dtype.str[1:] not in _WARPABLE:
        return _picked(planes, source, target, fill, resampling)
    # By default a pixel only counts as nodata where all bands are; then one band's nodata would be
    # averaged into the values next to it.
    how: Any = {"method": check_resampling(resampling), "UNIFIED_SRC_NODATA": "NO"}
    return resampled(planes, geobox_of(source), target, nodata=fill, **how)


def reproject(
    raster: Raster,
    crs: Any,
    resolution: float | tuple[float, float] | None = None,
    resampling: str = "nearest",
) -> GeoTensor:
    """Return the raster in another CRS, on a north-up grid around it.

    Parameters
    ----------
    raster
        `GeoTensor` (..., H, W) with a CRS.
    crs
        In any form.
    resolution
        Pixel size in the new CRS, one number or (x, y); by default about the raster's own, as GDAL
        suggests.
    resampling
        A name of rasterio's.

    Returns
    -------
    (..., h, w) in the raster's dtype; nodata as in `reproject_to`.

    Raises
    ------
    ValueError
        For a raster without a CRS or without pixels, or an unknown `resampling`.

    Examples
    --------
    >>> from rasterio import Affine
    >>> tile = GeoTensor(np.ones((4, 4)), Affine(10, 0, 5e5, 0, -10, 5e6), 32632)
    >>> reproject(tile, "EPSG:3857").crs
    'EPSG:3857'
    """
    source = georeferenced(raster, "reprojecting")
    check_resolution(resolution)
    target = crs_of(crs)
    height, width = source.shape[-2:]
    if height == 0 or width == 0:
        raise ValueError(f"reprojecting needs pixels, got a raster of shape {source.shape}")
    given = crs_of(source.crs)
    if resolution is None and (source.transform.b or source.transform.d):
        # The pixels of a rotated raster are not those of the box around it.
        ends = [source.transform * corner for corner in ((0, 0), (width, height))]
        xs, ys = warp.transform(given, target, *zip(*ends, strict=True))
        resolution = math.hypot(xs[1] - xs[0], ys[1] - ys[0]) / math.hypot(width, height)
    around = outline_of(source.transform, height, width).bounds
    transform, cols, rows = warp.calculate_default_transform(
        given, target, width, height, *around, resolution=resolution
    )
    return reproject_to(source, pixel_grid(target, transform, (rows, cols)), resampling)


def resample(
    raster: Raster, resolution: float | tuple[float, float], resampling: str = "nearest"
) -> GeoTensor:
    """Return the raster with pixels of another size, from the same upper left corner.

    Parameters
    ----------
    raster
        `GeoTensor` (..., H, W) with a CRS, upright.
    resolution
        Pixel size in the raster's CRS, one number or (x, y).
    resampling
        "average" suits going coarser, "bilinear" finer, "nearest" and "mode" classes.

    Returns
    -------
    (..., h, w) in the raster's dtype; nodata as in `reproject_to`.

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
    around = outline_of(source.transform, *source.shape[-2:]).bounds
    grid = grid_in_bounds(source.crs, around, sizes)
    return reproject_to(source, grid, resampling)


def _planes(source: GeoTensor) -> tuple[NDArray[Any], Any]:
    """Return the values as (N, H, W) in a dtype GDAL warps, and the nodata value in it, if any."""
    values = values_of(source)
    planes = values.reshape(-1, *values.shape[-2:])
    kind, fill = values.dtype, fill_of(source)
    if kind == np.bool_:
        return planes.astype(np.uint8), None
    if kind.kind == "f":
        return nan_floats(planes, fill, np.float32 if kind.itemsize < 8 else np.float64), NAN
    narrow = np.dtype(np.int32)
    ends = [planes.min(), planes.max()] if planes.size else []
    wide = kind.kind in "iu" and kind.itemsize == 8
    if wide and all(holds(narrow, n) for n in [fill or 0, *ends]):
        return planes.astype(narrow), fill
    return planes, fill


def check_resolution(resolution: float | tuple[float, float] | None) -> None:
    """Raise ValueError unless a pixel size is positive and finite, or None.

    Parameters
    ----------
    resolution
        One number, or (x, y).

    Raises
    ------
    ValueError
        Naming the resolution.

    Examples
    --------
    >>> check_resolution((10.0, 20.0))
    """
    if resolution is not None and not np.all(
        np.isfinite(resolution) & (np.asarray(resolution) > 0)
    ):
        raise ValueError(f"resolution must be positive and finite, got {resolution}")


def check_resampling(name: str) -> Resampling:
    """Return rasterio's resampling of a name; ValueError when there is none.

    Parameters
    ----------
    name
        Such as "nearest", "bilinear", "average", "mode".

    Returns
    -------
    A member of rasterio's `Resampling`.

    Examples
    --------
    >>> check_resampling("bilinear").name
    'bilinear'
    """
    checked_option(name, "resampling", sorted(Resampling.__members__))
    return Resampling[name]
