"""Move rasters between grids, cut and pad them, join them, and turn shapes into pixels and back.

Resampling is GDAL's, through rasterio (`geotoolz.warp`). Boxes are (west, south, east, north).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.crs import CRS

from geocatalog.grid import check_upright, window_of
from geotoolz.carrier import NAN, Raster, crop, fill_of, pair, rewrap, values_of
from geotoolz.function_operator import FunctionOperator, parameters_of
from geotoolz.grid import (
    Bounds,
    GridLike,
    bounds_in_crs,
    georeferenced,
    grid_in_bounds,
    grid_of,
)
from geotoolz.join import AlignAndStack, Mosaic, align_and_stack, mosaic
from geotoolz.mask import check_fill
from geotoolz.vectors import Rasterize, Vectorize, rasterize, vectorize
from geotoolz.warp import check_resampling, check_resolution, reproject, reproject_to, resample
from pipekit import Operator
from pipekit.carrier import same_crs

__all__ = [
    "AlignAndStack", "CropToBounds", "Mosaic", "PadTo", "Rasterize", "Reproject", "ReprojectLike",
    "Resample", "ResampleLike", "Vectorize", "align_and_stack", "crop_to_bounds", "mosaic",
    "pad_to", "rasterize", "reproject", "reproject_to", "resample", "vectorize",
]  # fmt: skip


_PAD_MODES = (
    "constant", "edge", "linear_ramp", "maximum", "mean", "median", "minimum", "reflect",
    "symmetric", "wrap",
)  # fmt: skip


def crop_to_bounds(raster: Raster, bounds: Bounds, crs: Any = None) -> GeoTensor:
    """Return the whole pixels that touch a box, cut to the raster.

    Parameters
    ----------
    bounds
        (west, south, east, north), in `crs` or, by default, in the raster's CRS.

    Raises
    ------
    ValueError
        When the box is empty or does not meet the raster.

    Examples
    --------
    >>> tile = GeoTensor(np.ones((9, 9)), Affine(10, 0, 0, 0, -10, 90), 32632)
    >>> crop_to_bounds(tile, (12, 40, 38, 60)).bounds
    (10.0, 40.0, 40.0, 60.0)
    """
    source = georeferenced(raster, "cropping to bounds")
    check_upright(source.transform, "cropping to bounds")
    window = window_of(source.transform, bounds_in_crs(bounds, crs, source.crs), source.shape[-2:])
    if min(window[2:]) <= 0:
        raise ValueError(
            f"the box {bounds} does not meet the raster, which covers {source.bounds} "
            f"in {source.crs}"
        )
    cut = crop(source, *window)
    assert isinstance(cut, GeoTensor)
    return cut


def pad_to(
    raster: Raster,
    size: int | tuple[int, int],
    mode: str = "constant",
    fill_value: float | None = None,
    position: str = "centre",
) -> Raster:
    """Return the raster enlarged to `size` (rows, cols), unchanged where it already is as large.

    Parameters
    ----------
    mode
        "constant", or a mode of `numpy.pad` such as "reflect" or "edge".
    fill_value
        For "constant"; by default nodata: NaN for floats, else the fill value, or 0.
    position
        Of the raster in the result, "centre" or "upper-left".

    Examples
    --------
    >>> pad_to(np.ones((1, 2, 2)), 4, fill_value=0.0)[0, 0]
    array([0., 0., 0., 0.])
    """
    values = values_of(raster)
    rows, cols = pair(size)
    _check_padding(mode, position)
    height, width = values.shape[-2:]
    more_rows, more_cols = max(0, rows - height), max(0, cols - width)
    centred = position == "centre"
    top, left = (more_rows // 2, more_cols // 2) if centred else (0, 0)
    around = [(0, 0)] * (values.ndim - 2)
    around += [(top, more_rows - top), (left, more_cols - left)]
    if mode == "constant":
        out = np.pad(values, around, constant_values=_padding(raster, values, fill_value))
    else:
        out = np.pad(values, around, mode=mode)  # type: ignore[call-overload]
    moved = None
    if isinstance(raster, GeoTensor):
        moved = raster.transform * Affine.translation(-left, -top)
    return rewrap(raster, out, transform=moved)


def _check_padding(mode: str, position: str) -> None:
    if mode not in _PAD_MODES:
        raise ValueError(f"mode must be one of {_PAD_MODES}, got {mode!r}")
    if position not in ("centre", "upper-left"):
        raise ValueError(f"position must be 'centre' or 'upper-left', got {position!r}")


def _padding(raster: Raster, values: NDArray[Any], fill_value: float | None) -> Any:
    if fill_value is not None:
        check_fill(fill_value, values.dtype, "PadTo")
        return fill_value
    if values.dtype.kind == "f":
        return NAN
    fill = fill_of(raster)
    return 0 if fill is None else fill


class Reproject(FunctionOperator):
    """Into another CRS: `reproject` as an operator.

    Examples
    --------
    >>> Reproject("EPSG:3857", resolution=10.0)
    Reproject(crs='EPSG:3857', resolution=10.0, resampling='nearest')
    """

    @parameters_of(reproject)
    def __init__(self) -> None:
        check_resampling(self.resampling)
        check_resolution(self.resolution)
        CRS.from_user_input(self.crs)


class ReprojectLike(Operator):
    """Onto the grid of another raster: `reproject_to` as an operator.

    Parameters
    ----------
    like
        A `GeoTensor`, of which only the grid is kept, or a `Grid`; or nothing, when it comes as the
        second input.

    Examples
    --------
    >>> tile = GeoTensor(np.ones((4, 4)), Affine(10, 0, 0, 0, -10, 0), 32632)
    >>> ReprojectLike(tile)(tile).shape
    (4, 4)
    """

    def __init__(self, like: GridLike | None = None, resampling: str = "nearest") -> None:
        check_resampling(resampling)
        self.like = None if like is None else grid_of(like)
        self.resampling = resampling

    def _apply(self, raster: Raster, like: GridLike | None = None) -> Raster:
        grid = self.like if like is None else like
        if grid is None:
            name = type(self).__name__
            raise TypeError(f"{name} has no grid: give {name}(like) or op(raster, like)")
        return reproject_to(raster, grid, self.resampling)


class Resample(FunctionOperator):
    """To pixels of another size: `resample` as an operator.

    Examples
    --------
    >>> tile = GeoTensor(np.ones((4, 4)), Affine(10, 0, 0, 0, -10, 0), 32632)
    >>> Resample(20.0, "average")(tile).shape
    (2, 2)
    """

    @parameters_of(resample)
    def __init__(self) -> None:
        check_resampling(self.resampling)
        check_resolution(self.resolution)


class ResampleLike(Operator):
    """To the pixel size of another raster, within the raster's own extent and CRS.

    Parameters
    ----------
    like
        A `GeoTensor` or a `Grid` in the same CRS.

    Examples
    --------
    >>> fine = GeoTensor(np.ones((4, 4)), Affine(10, 0, 0, 0, -10, 0), 32632)
    >>> coarse = GeoTensor(np.ones((9, 9)), Affine(20, 0, 0, 0, -20, 0), 32632)
    >>> ResampleLike(coarse)(fine).shape
    (2, 2)
    """

    def __init__(self, like: GridLike, resampling: str = "nearest") -> None:
        check_resampling(resampling)
        self.like = grid_of(like)
        self.resampling = resampling

    def _apply(self, raster: Raster) -> Raster:
        source = georeferenced(raster, "ResampleLike")
        if not same_crs(source.crs, self.like["crs"]):
            raise ValueError(
                f"ResampleLike needs one CRS, got {source.crs} and {self.like['crs']}; "
                "use ReprojectLike"
            )
        check_upright(source.transform, "ResampleLike")
        a, _, _, _, e, _ = self.like["transform"]
        grid = grid_in_bounds(source.crs, source.bounds, (abs(a), abs(e)))
        return reproject_to(source, grid, self.resampling)


class CropToBounds(FunctionOperator):
    """Cut to a box (west, south, east, north): `crop_to_bounds` as an operator.

    Examples
    --------
    >>> tile = GeoTensor(np.ones((9, 9)), Affine(10, 0, 0, 0, -10, 90), 32632)
    >>> CropToBounds((10, 40, 40, 60))(tile).shape
    (2, 3)
    """

    @parameters_of(crop_to_bounds)
    def __init__(self) -> None:
        bounds_in_crs(self.bounds, None, None)


class PadTo(FunctionOperator):
    """Enlarge to a size: `pad_to` as an operator.

    Examples
    --------
    >>> PadTo((4, 6), fill_value=0.0)(np.ones((1, 2, 2))).shape
    (1, 4, 6)
    """

    @parameters_of(pad_to)
    def __init__(self) -> None:
        pair(self.size)
        _check_padding(self.mode, self.position)
