"""Join rasters: side by side into a mosaic, or band upon band on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from georeader.geotensor import GeoTensor
from numpy.typing import NDArray

from geocatalog.grid import check_upright, part_of, window_of
from geotoolz.bands import check_band_order
from geotoolz.carrier import NAN, Raster, fill_of, joint_attrs, nodata_mask, rewrap
from geotoolz.grid import GridLike, bounds_in_crs, geobox_of, georeferenced, grid_of
from geotoolz.warp import check_resampling, reproject_to
from pipekit import Operator
from pipekit.carrier import same_crs

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

_MERGES = ("first", "last", "min", "max", "mean")


def mosaic(rasters: Sequence[Raster], method: str = "first", resampling: str = "nearest") -> Raster:
    """Return one raster that covers all of them, on the grid of the first.

    Pixels that none covers are nodata.

    Parameters
    ----------
    rasters
        `GeoTensor`s with equal leading axes; those on another grid are resampled.
    method
        Which value counts where several are valid: "first", "last", "min", "max", "mean".

    Examples
    --------
    >>> from rasterio import Affine
    >>> left = GeoTensor(np.ones((2, 2)), Affine(10, 0, 0, 0, -10, 0), 32632, NAN)
    >>> right = GeoTensor(np.ones((2, 2)), Affine(10, 0, 20, 0, -10, 0), 32632, NAN)
    >>> mosaic([left, right]).shape
    (2, 4)
    """
    if method not in _MERGES:
        raise ValueError(f"method must be one of {_MERGES}, got {method!r}")
    parts = [georeferenced(each, "a mosaic") for each in rasters]
    if not parts:
        raise ValueError("a mosaic needs at least one raster, got none")
    grid = _union_grid(parts)
    moved = [reproject_to(part, grid, resampling) for part in parts]
    _check_mergeable(moved)
    valid = [_valid(part, each) for part, each in zip(parts, moved, strict=True)]
    out = _merge([(each.values, v) for each, v in zip(moved, valid, strict=True)], method)
    return rewrap(moved[0], out, attrs=joint_attrs(parts))


def align_and_stack(
    rasters: Sequence[Raster],
    target: int | GridLike = 0,
    resampling: str | Sequence[str] = "bilinear",
) -> GeoTensor:
    """Return the bands of several rasters on one grid, (C1 + C2 + ..., H, W).

    Floats if any is one (nodata as NaN); `attrs["band_names"]` are joined, a raster without names
    gives its `attrs["long_name"]` or "band".

    Parameters
    ----------
    rasters
        `GeoTensor`s (C, H, W) or (H, W), in any CRS.
    target
        The position of the raster whose grid is used, or a grid, or a `GeoTensor`.
    resampling
        One for all, or one each.

    Examples
    --------
    >>> from rasterio import Affine
    >>> fine = GeoTensor(np.ones((2, 4, 4), "float32"), Affine(10, 0, 0, 0, -10, 0), 32632)
    >>> coarse = GeoTensor(np.ones((2, 2), "float32"), Affine(20, 0, 0, 0, -20, 0), 32632)
    >>> align_and_stack([fine, coarse]).shape
    (3, 4, 4)
    """
    parts = [georeferenced(each, "aligning") for each in rasters]
    if not parts:
        raise ValueError("AlignAndStack needs at least one raster, got none")
    methods = [resampling] * len(parts) if isinstance(resampling, str) else list(resampling)
    if len(methods) != len(parts):
        raise ValueError(f"resampling has {len(methods)} names for {len(parts)} rasters")
    if isinstance(target, int) and not -len(parts) <= target < len(parts):
        raise IndexError(f"target={target} is out of range for {len(parts)} rasters")
    grid = geobox_of(parts[target] if isinstance(target, int) else target)
    moved = [
        part if geobox_of(part) == grid else reproject_to(part, grid, method)
        for part, method in zip(parts, methods, strict=True)
    ]
    bands, fill = _join_bands(moved)
    first = moved[target] if isinstance(target, int) else moved[0]
    names = [name for part in parts for name in _names(part)]
    attrs = {**joint_attrs(parts), "band_names": names}
    stacked = rewrap(first, bands, fill=fill, attrs=attrs, drop=("long_name",))
    assert isinstance(stacked, GeoTensor)
    return stacked


def _union_grid(parts: Sequence[GeoTensor]) -> GeoBox:
    first = parts[0]
    check_upright(first.transform, "a mosaic")
    boxes = [first.bounds]
    for part in parts[1:]:
        same = same_crs(part.crs, first.crs)
        boxes.append(part.bounds if same else bounds_in_crs(part.bounds, part.crs, first.crs))
    # Whole pixels of the first raster's grid, so that it is copied and not resampled.
    windows = [window_of(first.transform, box) for box in boxes]
    top, left = min(w[0] for w in windows), min(w[1] for w in windows)
    bottom, right = max(w[0] + w[2] for w in windows), max(w[1] + w[3] for w in windows)
    return part_of(geobox_of(first), top, left, bottom - top, right - left)


def _check_mergeable(moved: Sequence[GeoTensor]) -> None:
    first = moved[0]
    check_band_order(moved, "a mosaic")
    for other in moved[1:]:
        if other.shape != first.shape:
            raise ValueError(
                f"rasters of a mosaic need equal bands, got {[p.shape[:-2] for p in moved]}"
            )
        kinds = other.values.dtype, first.values.dtype
        if not np.can_cast(*kinds) and not (kinds[0].kind == kinds[1].kind == "f"):
            raise ValueError(
                f"rasters of a mosaic need one dtype, and {kinds[1]} can't hold {kinds[0]}; "
                "put ToFloat32() before both"
            )


def _valid(part: GeoTensor, moved: GeoTensor) -> NDArray[np.bool_]:
    """Return where a raster, now on the common grid, has data."""
    if fill_of(part) is None and part.values.dtype.kind != "f":
        # No value of it stands for nodata, so only its outline tells where it has data.
        whole = rewrap(part, np.ones(part.shape[-2:], bool), fill=None)
        return np.broadcast_to(reproject_to(whole, moved).values, moved.shape)
    invalid = nodata_mask(moved.values, fill_of(moved))
    return np.ones(moved.shape, bool) if invalid is None else ~invalid


def _merge(layers: Sequence[tuple[NDArray[Any], NDArray[np.bool_]]], method: str) -> NDArray[Any]:
    (first, valid), *others = layers
    out, seen = first.copy(), valid.copy()
    total = out.astype(np.float64) if method == "mean" else out
    count = valid.astype(np.int32)
    for values, usable in others:
        fresh, both = usable & ~seen, usable & seen
        total[fresh] = values[fresh]
        if method == "last":
            total[both] = values[both]
        elif method in ("min", "max"):
            better = np.minimum if method == "min" else np.maximum
            total[both] = better(total[both], values[both])
        elif method == "mean":
            total[both] += values[both]
        seen |= usable
        count += usable
    if method == "mean":
        out = np.divide(total, np.maximum(count, 1))
        out = np.rint(out) if first.dtype.kind in "iu" else out
        return out.astype(first.dtype)
    return total


def _join_bands(parts: Sequence[GeoTensor]) -> tuple[NDArray[Any], Any]:
    planes = [part.values.reshape(-1, *part.shape[-2:]) for part in parts]
    fills = {fill_of(part) for part in parts}
    kind = np.result_type(*planes)
    if kind.kind in "iub" and len(fills) == 1:
        return np.concatenate(planes).astype(kind, copy=False), fills.pop()
    kind = np.dtype(np.float64) if kind == np.float64 else np.dtype(np.float32)
    out = np.concatenate([plane.astype(kind) for plane in planes])
    start = 0
    for part, plane in zip(parts, planes, strict=True):
        invalid = nodata_mask(plane, fill_of(part))
        if invalid is not None:
            out[start : start + len(plane)][invalid] = np.nan
        start += len(plane)
    return out, NAN


def _names(part: GeoTensor) -> list[str]:
    count = 1 if part.ndim == 2 else int(np.prod(part.shape[:-2]))
    attrs = part.attrs or {}
    names = list(attrs.get("band_names") or ())
    if len(names) == count:
        return names
    name = str(attrs.get("long_name", "band"))
    return [name] if count == 1 else [f"{name}_{i}" for i in range(count)]


class Mosaic(Operator):
    """Join rasters, given as a sequence or as several inputs: `mosaic` as an operator.

    Examples
    --------
    >>> from rasterio import Affine
    >>> tile = GeoTensor(np.ones((2, 2)), Affine(10, 0, 0, 0, -10, 0), 32632, NAN)
    >>> Mosaic("mean")(tile, tile).shape
    (2, 2)
    """

    def __init__(self, method: str = "first", resampling: str = "nearest") -> None:
        check_resampling(resampling)
        if method not in _MERGES:
            raise ValueError(f"method must be one of {_MERGES}, got {method!r}")
        self.method = method
        self.resampling = resampling

    def _apply(self, *rasters: Any) -> Raster:
        return mosaic(_as_sequence(rasters), self.method, self.resampling)


class AlignAndStack(Operator):
    """Bring rasters onto one grid and stack their bands: `align_and_stack` as an operator.

    Examples
    --------
    >>> from rasterio import Affine
    >>> tile = GeoTensor(np.ones((2, 4, 4)), Affine(10, 0, 0, 0, -10, 0), 32632)
    >>> AlignAndStack(target=0)(tile, tile[0]).shape
    (3, 4, 4)
    """

    def __init__(
        self, target: int | GridLike = 0, resampling: str | Sequence[str] = "bilinear"
    ) -> None:
        for name in (resampling,) if isinstance(resampling, str) else resampling:
            check_resampling(name)
        self.target = target if isinstance(target, int) else grid_of(target)
        self.resampling = resampling

    def _apply(self, *rasters: Any) -> Raster:
        return align_and_stack(_as_sequence(rasters), self.target, self.resampling)


def _as_sequence(rasters: tuple[Any, ...]) -> Sequence[Raster]:
    """Return several inputs, or a single one that is a sequence or a dict of rasters."""
    if len(rasters) == 1 and not isinstance(rasters[0], np.ndarray):
        given = rasters[0]
        return list(given.values() if isinstance(given, dict) else given)
    return rasters
