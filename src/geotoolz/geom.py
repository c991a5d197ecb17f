"""Move rasters between grids, cut and pad them, join them, and turn shapes into pixels and back.

Resampling is GDAL's, through rasterio (`geotoolz.warp`). Boxes are (west, south, east, north).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from georeader.geotensor import GeoTensor
from numpy.typing import NDArray
from rasterio import Affine

from geocatalog.footprint import outline_of
from geocatalog.grid import check_upright, part_of, pixel_grid, window_of
from geocatalog.read.onto_grid import Piece
from geotoolz import warp
from geotoolz.bands import band_names, check_band_order, coded_bands
from geotoolz.carrier import (
    NAN,
    Raster,
    attrs_of,
    crop,
    fill_of,
    joint_attrs,
    nan_floats,
    pair,
    rewrap,
    values_of,
)
from geotoolz.function_operator import FunctionOperator, parameters_of
from geotoolz.vectors import Rasterize, Vectorize, rasterize, vectorize
from geotoolz.warp import reproject, reproject_to, resample
from pipekit.carrier import SAME, crs_of, fitting_fill, pixel_offset, same_crs
from pipekit.operator import Operator, checked_option
from pipekit.pixels import GUIDE, band_roles, check_fill, keep_off, marked
from pipekit.result_size import check_size

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

__all__ = [
    "AlignAndStack", "CropToBounds", "Mosaic", "PadTo", "Rasterize", "Reproject", "ReprojectLike",
    "Resample", "ResampleLike", "Resize", "Vectorize", "align_and_stack", "crop_to_bounds",
    "mosaic", "pad_to", "rasterize", "reproject", "reproject_to", "resample", "resize", "vectorize",
]  # fmt: skip


_PAD_MODES = (
    "constant", "edge", "linear_ramp", "maximum", "mean", "median", "minimum", "reflect",
    "symmetric", "wrap",
)  # fmt: skip


def crop_to_bounds(raster: Raster, bounds: warp.Bounds, crs: Any = None) -> GeoTensor:
    """Return the whole pixels that touch a box, cut to the raster.

    Parameters
    ----------
    raster
        `GeoTensor` (..., H, W) with a CRS, upright.
    bounds
        (west, south, east, north) in `crs`.
    crs
        In any form; by default the raster's own.

    Returns
    -------
    (..., h, w) in the raster's dtype, a copy.

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
    source = warp.georeferenced(raster, "cropping to bounds")
    check_upright(source.transform, "cropping to bounds")
    cut = crop(source, *warp.pixels_within(source, bounds, crs))
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
    raster
        (..., H, W), any numeric dtype.
    size
        Pixels: (rows, cols), or one number for a square.
    mode
        "constant", or a mode of `numpy.pad` such as "reflect" or "edge". Classes, bits and masks
        are continued from their edge where a mode would blend them.
    fill_value
        For "constant"; by default nodata: NaN for floats, else the fill value; where integers have
        none, 0, or a number that no pixel holds, which then is the result's.
    position
        Of the raster in the result, "centre" or "upper-left".

    Returns
    -------
    (..., rows, cols) in the raster's dtype.

    Raises
    ------
    ValueError
        For a mode or a position that is none, or a fill value that the dtype can't hold.

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
    made = (*values.shape[:-2], height + more_rows, width + more_cols)
    check_size(made, values.dtype, "pad_to")
    centred = position == "centre"
    top, left = (more_rows // 2, more_cols // 2) if centred else (0, 0)
    sides = (top, more_rows - top), (left, more_cols - left)
    around = [*[(0, 0)] * (values.ndim - 2), *sides]
    fill = fitting_fill(fill_of(raster), values.dtype)
    if mode == "constant":
        beyond_value: Any = NAN if values.dtype.kind == "f" else fill or 0
        if fill_value is not None:
            beyond_value = check_fill(fill_value, values.dtype, "fill_value")
        out = np.pad(values, around, constant_values=beyond_value)
        unmarked = fill is None and fill_value is None and isinstance(raster, GeoTensor)
        if unmarked and values.dtype.kind in "iu" and more_rows + more_cols:
            beyond = np.pad(np.zeros((height, width), bool), sides, constant_values=True)
            out, fill = marked(out, np.broadcast_to(beyond, out.shape), 0, band_roles(raster))
    else:
        out = np.pad(values, around, mode=mode)  # type: ignore[call-overload]
        for band in coded_bands(raster) if mode in _BLENDING_PADS else ():
            at: Any = ... if values.ndim < 3 else (..., band, slice(None), slice(None))
            inner = values[at]
            out[at] = np.pad(inner, [*[(0, 0)] * (inner.ndim - 2), *sides], mode="edge")
    return rewrap(raster, out, fill=fill, move=Affine.translation(-left, -top))


_BLENDING_PADS = ("linear_ramp", "mean", "median")


def _check_padding(mode: str, position: str) -> None:
    checked_option(mode, "mode", _PAD_MODES)
    checked_option(position, "position", ("centre", "upper-left"))


class Reproject(FunctionOperator):
    """Into another CRS: `reproject` as an operator.

    Examples
    --------
    >>> Reproject("EPSG:3857", resolution=10.0)
    Reproject(crs='EPSG:3857', resolution=10.0, resampling='nearest')
    """

    @parameters_of(reproject)
    def __init__(self) -> None:
        warp.check_resampling(self.resampling)
        warp.check_resolution(self.resolution)
        crs_of(self.crs)


class ReprojectLike(Operator):
    """Onto the grid of another raster: `reproject_to` as an operator.

    Parameters
    ----------
    like
        A `GeoTensor`, of which only the grid is kept, or a `Grid`; or nothing, when it comes as the
        second input.
    resampling
        A name of rasterio's.

    Examples
    --------
    >>> tile = GeoTensor(np.ones((4, 4)), Affine(10, 0, 0, 0, -10, 0), 32632)
    >>> ReprojectLike(tile)(tile).shape
    (4, 4)
    """

    def __init__(self, like: warp.GridLike | None = None, resampling: str = "nearest") -> None:
        warp.check_resampling(resampling)
        self.like = None if like is None else warp.grid_of(like)
        self.resampling = resampling

    def _apply(self, raster: Raster, like: warp.GridLike | None = None) -> Raster:
        return reproject_to(raster, warp.grid_given(self, like), self.resampling)


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
        warp.check_resampling(self.resampling)
        warp.check_resolution(self.resolution)


def resize(raster: Raster, size: int | tuple[int, int], resampling: str = "nearest") -> Raster:
    """Return the raster with another number of pixels over the same extent.

    `resample` says how large a pixel becomes, this how many there are: what a network of a fixed
    input takes.

    Parameters
    ----------
    raster
        (..., H, W); a plain array is taken as one unit a pixel.
    size
        Pixels: (rows, cols), or one number for a square.
    resampling
        A name of rasterio's; classes, bits and masks take the nearest or most frequent.

    Returns
    -------
    (..., rows, cols) in the raster's dtype, pixels no longer square where the shape changes.

    Examples
    --------
    >>> resize(np.array([[1.0, 2.0], [3.0, 4.0]]), (1, 4), "average")
    array([[2., 2., 3., 3.]])
    """
    rows, cols = pair(size)
    warp.check_resampling(resampling)
    # A place for the while, on which nothing depends: rasters without a CRS have a size, too.
    how = 32631, fill_of(raster), dict(attrs_of(raster))
    source = GeoTensor(values_of(raster), Affine.identity(), *how)
    height, width = source.shape[-2:]
    larger = Affine.scale(width / cols, height / rows)
    moved = reproject_to(source, pixel_grid(source.crs, larger, (rows, cols)), resampling)
    return rewrap(raster, moved.values, fill=moved.fill_value_default, move=larger)


class Resize(FunctionOperator):
    """To another number of pixels: `resize` as an operator.

    Examples
    --------
    >>> Resize((4, 4))(np.ones((3, 2, 2))).shape
    (3, 4, 4)
    """

    @parameters_of(resize)
    def __init__(self) -> None:
        pair(self.size)
        warp.check_resampling(self.resampling)


class ResampleLike(Operator):
    """To the pixel size of another raster, within the raster's own extent and CRS.

    Parameters
    ----------
    like
        A `GeoTensor` or a `Grid` in the same CRS.
    resampling
        A name of rasterio's.

    Raises
    ------
    ValueError
        When it is called, for a raster in another CRS.

    Examples
    --------
    >>> fine = GeoTensor(np.ones((4, 4)), Affine(10, 0, 0, 0, -10, 0), 32632)
    >>> coarse = GeoTensor(np.ones((9, 9)), Affine(20, 0, 0, 0, -20, 0), 32632)
    >>> ResampleLike(coarse)(fine).shape
    (2, 2)
    """

    def __init__(self, like: warp.GridLike, resampling: str = "nearest") -> None:
        warp.check_resampling(resampling)
        self.like = warp.grid_of(like)
        self.resampling = resampling

    def _apply(self, raster: Raster) -> Raster:
        source = warp.georeferenced(raster, "ResampleLike")
        if not same_crs(source.crs, self.like["crs"]):
            raise ValueError(
                f"ResampleLike needs one CRS, got {source.crs} and {self.like['crs']}; "
                "use ReprojectLike"
            )
        a, _, _, _, e, _ = self.like["transform"]
        return resample(source, (abs(a), abs(e)), self.resampling)


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
        # Whether west > east crosses the antimeridian the raster's own CRS may tell.
        warp.bounds_in_crs(self.bounds, 4326 if self.crs is None else self.crs, None)


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


_METHODS = ("first", "last", "min", "max", "mean")


def mosaic(rasters: Sequence[Raster], method: str = "first", resampling: str = "nearest") -> Raster:
    """Return one raster that covers all of them, on the grid of the first.

    Pixels that none covers are nodata: by the first raster's value, unless another one's valid
    pixels hold it. They are joined one after the other, so that memory does not grow with their
    number.

    Parameters
    ----------
    rasters
        `GeoTensor`s with equal leading axes; those on another grid are resampled.
    method
        Which value counts where several are valid: "first", "last", "min", "max", "mean". Classes,
        bits and masks have no mean.
    resampling
        A name of rasterio's, for rasters on another grid than the first.

    Returns
    -------
    (..., H, W) in the first raster's dtype.

    Raises
    ------
    ValueError
        For no raster, for rasters of other bands or of a dtype that the first's can't hold, and
        for a mean of classes, bits or masks.

    Examples
    --------
    >>> from rasterio import Affine
    >>> left = GeoTensor(np.ones((2, 2)), Affine(10, 0, 0, 0, -10, 0), 32632, NAN)
    >>> right = GeoTensor(np.ones((2, 2)), Affine(10, 0, 20, 0, -10, 0), 32632, NAN)
    >>> mosaic([left, right]).shape
    (2, 4)
    """
    checked_option(method, "method", _METHODS)
    parts = _georeferenced(rasters, "a mosaic")
    _check_mergeable(parts, method)
    first = parts[0]
    check_upright(first.transform, "a mosaic")
    # Whole pixels of the first raster's grid, so that it is copied and not resampled.
    windows = [_window(part, first.transform, first.crs) for part in parts]
    top, left = min(w[0] for w in windows), min(w[1] for w in windows)
    bottom, right = max(w[0] + w[2] for w in windows), max(w[1] + w[3] for w in windows)
    grid = part_of(warp.geobox_of(first), top, left, bottom - top, right - left)
    out, fill = _merge(parts, grid, method, resampling)
    whole = GeoTensor(out, grid.transform, str(grid.crs), fill, first.attrs)
    return rewrap(whole, out, attrs=joint_attrs(parts))


def align_and_stack(
    rasters: Sequence[Raster],
    target: int | warp.GridLike = 0,
    resampling: str | Sequence[str] = "bilinear",
) -> GeoTensor:
    """Return the bands of several rasters on one grid, (C1 + C2 + ..., H, W).

    Floats if any is one, or where nodata values differ (nodata as NaN). Classes, bits and masks
    are never blended, whatever `resampling` says. `attrs["band_names"]` are joined, a raster
    without names gives its `attrs["long_name"]` or "band".

    Parameters
    ----------
    rasters
        `GeoTensor`s (C, H, W) or (H, W), in any CRS.
    target
        The position of the raster whose grid is used, or a grid, or a `GeoTensor`.
    resampling
        A name of rasterio's for all, or one each.

    Returns
    -------
    (bands of all, H, W) on the target's grid.

    Raises
    ------
    ValueError
        For no raster, one without a CRS, or names of resampling that are not as many.
    IndexError
        For a `target` that is not the position of a raster.

    Examples
    --------
    >>> from rasterio import Affine
    >>> fine = GeoTensor(np.ones((2, 4, 4), "float32"), Affine(10, 0, 0, 0, -10, 0), 32632)
    >>> coarse = GeoTensor(np.ones((2, 2), "float32"), Affine(20, 0, 0, 0, -20, 0), 32632)
    >>> align_and_stack([fine, coarse]).shape
    (3, 4, 4)
    """
    parts = _georeferenced(rasters, "aligning")
    methods = [resampling] * len(parts) if isinstance(resampling, str) else list(resampling)
    if len(methods) != len(parts):
        raise ValueError(f"resampling has {len(methods)} names for {len(parts)} rasters")
    if isinstance(target, int) and not -len(parts) <= target < len(parts):
        raise IndexError(f"target={target} is out of range for {len(parts)} rasters")
    grid = warp.geobox_of(parts[target] if isinstance(target, int) else target)
    moved = [
        part if warp.geobox_of(part) == grid else reproject_to(part, grid, method)
        for part, method in zip(parts, methods, strict=True)
    ]
    roles = [role for part in parts for role in band_roles(part)]
    bands, fill = _join_bands(moved)
    first = moved[target] if isinstance(target, int) else moved[0]
    names = [name for part in parts for name in _names(part)]
    attrs = {**joint_attrs(parts), "band_names": names}
    if set(roles) != {"quantity"}:
        attrs["band_roles"] = roles
    stacked = rewrap(first, bands, fill=fill, attrs=attrs, drop=("long_name",))
    assert isinstance(stacked, GeoTensor)
    return stacked


def _georeferenced(rasters: Sequence[Raster], what: str) -> list[GeoTensor]:
    if not rasters:
        raise ValueError(f"{what} needs at least one raster, got none")
    return [warp.georeferenced(each, what) for each in rasters]


def _window(part: GeoTensor, transform: Affine, crs: Any) -> tuple[int, int, int, int]:
    """Return the whole pixels of a grid that a raster touches, as (row, col, rows, cols)."""
    box = outline_of(part.transform, *part.shape[-2:]).bounds
    if not same_crs(part.crs, crs):
        box = warp.bounds_in_crs(box, part.crs, crs)
    return window_of(transform, box, snap=SAME)


def _check_mergeable(parts: Sequence[GeoTensor], method: str) -> None:
    first = parts[0]
    check_band_order(parts, "a mosaic")
    coded = sorted({role for part in parts for role in band_roles(part)} - {"quantity"})
    if method == "mean" and coded:
        raise ValueError(
            f'a mosaic by "mean" cannot average {" and ".join(coded)} bands; use method="first" '
            f'or "last", or take these bands out with SelectBands; {GUIDE}'
        )
    for other in parts[1:]:
        if other.shape[:-2] != first.shape[:-2]:
            raise ValueError(
                f"rasters of a mosaic need equal bands, got {[p.shape[:-2] for p in parts]}"
            )
        kinds = other.values.dtype, first.values.dtype
        if not np.can_cast(*kinds) and not (kinds[0].kind == kinds[1].kind == "f"):
            raise ValueError(
                f"rasters of a mosaic need one dtype, and {kinds[1]} can't hold {kinds[0]}; "
                "put ToFloat32() before both"
            )


def _merge(
    parts: Sequence[GeoTensor], grid: GeoBox, method: str, resampling: str
) -> tuple[NDArray[Any], Any]:
    """Return all rasters in one, each added within its own window, and what marks nodata."""
    from geocatalog.load.raster import Mosaic as Merged
    from geocatalog.read.bands import Bands

    first = parts[0]
    kind = first.values.dtype.newbyteorder("=")
    shape = (*first.shape[:-2], *grid.shape.yx)
    work = np.dtype(np.float64) if method == "mean" else kind
    check_size(shape, work, "mosaic")
    whole = Merged(method, Bands(work, math.prod(shape[:-2]), None, ()), grid.shape.yx)
    for part in reversed(parts) if method == "last" else parts:
        whole.add(_moved(part, grid, resampling))
    out, empty = whole.merged()
    out = np.rint(out, out=out) if method == "mean" and kind.kind in "iu" else out
    out = out.reshape(shape).astype(kind, copy=False)
    return _with_nodata(out, empty.reshape(shape), parts, method)


def _moved(part: GeoTensor, grid: GeoBox, resampling: str) -> Piece:
    """Return what a raster has for a grid, its bands along one axis."""
    crs, mask, moved = str(grid.crs), None, part
    corner = pixel_offset(grid.transform, part.transform, part.shape[-2:])
    if corner is None or not same_crs(part.crs, crs):
        row, col, height, width = _window(part, grid.transform, crs)
        corner, place = (row, col), part_of(grid, row, col, height, width)
        moved = reproject_to(part, place, resampling)
        if moved.values.dtype == np.bool_:
            # No value of it stands for nodata, so only its outline tells where it has data.
            whole = GeoTensor(np.ones(part.shape[-2:], bool), part.transform, part.crs, None)
            mask = reproject_to(whole, place).values
    values = values_of(moved)
    return Piece(*corner, values.reshape(-1, *values.shape[-2:]), mask, fill_of(moved))


def _with_nodata(
    out: NDArray[Any], empty: NDArray[np.bool_], parts: Sequence[GeoTensor], method: str
) -> tuple[NDArray[Any], Any]:
    """Return a mosaic whose empty pixels are nodata, by a value that no pixel of it holds."""
    if out.dtype.kind == "b":
        return out, None
    floats = out.dtype.kind == "f"
    wished = NAN if floats else fitting_fill(fill_of(parts[0]), out.dtype)
    if wished is None or not (floats or len({fill_of(part) for part in parts}) == 1):
        return marked(out, empty, wished, band_roles(parts[0]))
    if method == "mean":
        keep_off(out, wished, ~empty)
    out[empty] = wished
    return out, wished


def _join_bands(parts: Sequence[GeoTensor]) -> tuple[NDArray[Any], Any]:
    planes = [values_of(part).reshape(-1, *part.shape[-2:]) for part in parts]
    fills = [fill_of(part) for part in parts]
    kind = np.result_type(*planes)
    if kind.kind in "iub" and len(set(fills)) == 1:
        return np.concatenate(planes), fills[0]
    # Wide integers need float64, or identifiers would be others.
    kind = np.result_type(kind, np.float32)
    floats = [nan_floats(plane, fill, kind) for plane, fill in zip(planes, fills, strict=True)]
    return np.concatenate(floats), NAN


def _names(part: GeoTensor) -> list[str]:
    count = 1 if part.ndim == 2 else int(np.prod(part.shape[:-2]))
    names = list(band_names(part))
    if len(names) == count:
        return names
    name = str((part.attrs or {}).get("long_name", "band"))
    return [name] if count == 1 else [f"{name}_{i}" for i in range(count)]


class Mosaic(FunctionOperator):
    """Join rasters, given as a sequence or as several inputs: `mosaic` as an operator.

    Examples
    --------
    >>> from rasterio import Affine
    >>> tile = GeoTensor(np.ones((2, 2)), Affine(10, 0, 0, 0, -10, 0), 32632, NAN)
    >>> Mosaic("mean")(tile, tile).shape
    (2, 2)
    """

    @parameters_of(mosaic)
    def __init__(self) -> None:
        warp.check_resampling(self.resampling)
        checked_option(self.method, "method", _METHODS)

    def _apply(self, *rasters: Any) -> Raster:
        return mosaic(_as_sequence(rasters), self.method, self.resampling)


class AlignAndStack(FunctionOperator):
    """Bring rasters onto one grid and stack their bands: `align_and_stack` as an operator.

    Parameters
    ----------
    target
        The position of the input whose grid is used, or a grid, or a `GeoTensor`.
    resampling
        A name of rasterio's for all, or one each.

    Examples
    --------
    >>> from rasterio import Affine
    >>> tile = GeoTensor(np.ones((2, 4, 4)), Affine(10, 0, 0, 0, -10, 0), 32632)
    >>> AlignAndStack(target=0)(tile, tile[0]).shape
    (3, 4, 4)
    """

    @parameters_of(align_and_stack)
    def __init__(self) -> None:
        for name in np.atleast_1d(self.resampling).tolist():
            warp.check_resampling(name)
        if not isinstance(self.target, int):
            vars(self).update(target=warp.grid_of(self.target))

    def _apply(self, *rasters: Any) -> Raster:
        return align_and_stack(_as_sequence(rasters), self.target, self.resampling)


def _as_sequence(rasters: tuple[Any, ...]) -> Sequence[Raster]:
    """Return several inputs, or a single one that is a sequence or a dict of rasters."""
    if len(rasters) == 1 and not isinstance(rasters[0], np.ndarray):
        given = rasters[0]
        return list(given.values() if isinstance(given, dict) else given)
    return rasters
