"""One picture from several dates: per pixel, over a stack (T, C, H, W) on one grid.

A stack is an array or `GeoTensor` with time first, or a sequence of (C, H, W) rasters of one shape
and georeference. Nodata never counts: not NaN, not the carrier's fill value. Float results carry
NaN where no date was valid, integer ones the fill value. Bands of classes, bits and masks have no
median: the number that most dates hold is taken, the least of several.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor
from numpy.typing import DTypeLike, NDArray

from geotoolz.bands import (
    Band,
    as_codes,
    band_index,
    band_names,
    check_band_order,
    coded_bands,
    take_band,
)
from geotoolz.carrier import (
    NAN,
    Fill,
    Mask,
    Raster,
    Values,
    carry_nodata,
    check_place,
    fill_of,
    float_dtype,
    joint_attrs,
    place_of,
    rewrap,
    values_of,
)
from geotoolz.cloud import SCL_CLOUDS_AND_INVALID, mask_from_scl
from geotoolz.function_operator import FunctionOperator, parameters_of
from geotoolz.indices import ndvi
from pipekit.pixels import Role, invalid_mask

Stack = Raster | Sequence[Raster]

_BLOCK_BYTES = 32 * 2**20


def median_composite(stack: Stack, dtype: DTypeLike = "float32") -> Raster:
    """Return the median over time of each pixel's valid values, of codes the most frequent one.

    Parameters
    ----------
    stack
        (T, C, H, W), or (T, H, W) as a plain array.
    dtype
        Of the result, a float type.

    Returns
    -------
    (C, H, W) floats, NaN where no date was valid.

    Examples
    --------
    >>> median_composite(np.array([[[[1.0]]], [[[9.0]]], [[[2.0]]]]))
    array([[[2.]]], dtype=float32)
    """
    raster = as_stack(stack)
    values = values_of(raster)
    out = np.empty(values.shape[1:], float_dtype(dtype))
    _medians(values, fill_of(raster), out)
    for band, role in _coded(raster).items():
        at = (slice(None),) if values.ndim == 3 else (slice(None), band)
        _votes(values[at], role, fill_of(raster), out[at[1:]])
    attrs = {"band_roles": "mask"} if values.dtype == np.bool_ else None
    return rewrap(raster, out, fill=NAN, attrs=attrs)


def max_ndvi_composite(stack: Stack, red_idx: Band = "red", nir_idx: Band = "nir") -> Raster:
    """Return each pixel from the date on which its NDVI was highest (Holben 1986).

    Clouds, shadows and water have low NDVI, so over land the greenest date is the clear one
    (doi:10.1080/01431168608948945). Where no date has an NDVI the first date is taken.

    Parameters
    ----------
    stack
        (T, C, H, W).
    red_idx
        Index or name of the red band.
    nir_idx
        Index or name of the near-infrared band.

    Returns
    -------
    (C, H, W) in the stack's own dtype.

    Examples
    --------
    >>> stack = np.array([[[[0.1]], [[0.2]]], [[[0.1]], [[0.5]]]])
    >>> max_ndvi_composite(stack, 0, 1).ravel()
    array([0.1, 0.5])
    """
    raster = as_stack(stack)
    red, nir = take_band(raster, red_idx, axis=1), take_band(raster, nir_idx, axis=1)
    score = ndvi(red, nir)
    for band in (red, nir):
        carry_nodata(score, band, fill_of(raster))
    return _take_dates(raster, np.where(np.isnan(score), -np.inf, score).argmax(axis=0))


def min_cloud_composite(stack: Stack, cloud_idx: Band) -> Raster:
    """Return each pixel from the date on which its cloud score was lowest, the first when equal.

    Parameters
    ----------
    stack
        (T, C, H, W) with a cloud score or probability on band `cloud_idx`.
    cloud_idx
        Index or name of the cloud score.

    Returns
    -------
    (C, H, W) in the stack's own dtype, the score included. A date counts as cloudiest where its
    score is NaN or another band has no data; the fill value does not apply to the score, whose 0
    means clear.

    Examples
    --------
    >>> stack = np.array([[[[7.0]], [[90.0]]], [[[8.0]], [[10.0]]]])
    >>> min_cloud_composite(stack, cloud_idx=1).ravel()
    array([ 8., 10.])
    """
    raster = as_stack(stack)
    values, fill = values_of(raster), fill_of(raster)
    cloud = band_index(raster, cloud_idx, axis=1)
    score = values[:, cloud].astype(np.float64)
    score[np.isnan(score)] = np.inf
    for band in range(values.shape[1]):
        invalid = None if band == cloud else invalid_mask(values[:, band], fill)
        if invalid is not None:
            score[invalid] = np.inf
    return _take_dates(raster, score.argmin(axis=0))


def cloud_free_composite(
    stack: Stack,
    scl_idx: Band = "scl",
    classes: Collection[int] = SCL_CLOUDS_AND_INVALID,
    dtype: DTypeLike = "float32",
) -> Raster:
    """Return the median over time of each pixel's values outside Sentinel-2's cloud classes.

    Other bands of classes, bits and masks hold what most of the clear dates do.

    Parameters
    ----------
    stack
        (T, C, H, W) with the scene classification on band `scl_idx`.
    scl_idx
        Index or name of the scene classification.
    classes
        SCL ids that do not count.
    dtype
        Of the result, a float type.

    Returns
    -------
    (C - 1, H, W) floats, without the SCL; NaN where no date was clear.

    Examples
    --------
    >>> stack = np.array([[[[1.0]], [[9.0]]], [[[3.0]], [[4.0]]]])
    >>> cloud_free_composite(stack, scl_idx=1)
    array([[[3.]]], dtype=float32)
    """
    raster = as_stack(stack)
    values = values_of(raster)
    scl = band_index(raster, scl_idx, axis=1)
    cloudy = np.stack([values_of(mask_from_scl(each, classes=classes)) for each in values[:, scl]])
    kept = [band for band in range(values.shape[1]) if band != scl]
    out = np.empty((len(kept), *values.shape[2:]), float_dtype(dtype))
    codes = coded_bands(raster)
    for target, band in zip(out, kept, strict=True):
        if band in codes:
            _votes(values[:, band], codes[band], fill_of(raster), target, cloudy)
        else:
            _medians(values[:, band], fill_of(raster), target, cloudy)
    names = [name for i, name in enumerate(band_names(raster)) if i != scl]
    attrs: dict[str, Any] = {"band_names": names} if names else {}
    if codes.keys() - {scl}:
        attrs["band_roles"] = [codes.get(band, "quantity") for band in kept]
    return rewrap(raster, out, fill=NAN, attrs=attrs)


def as_stack(stack: Stack) -> Raster:
    """Return a stack with time first, from one already or from rasters of one grid.

    Parameters
    ----------
    stack
        (T, C, H, W), or rasters (C, H, W) on one grid.

    Returns
    -------
    (T, C, H, W).

    Raises
    ------
    ValueError
        For fewer than three axes, no rasters, or rasters that differ in shape, transform or CRS.

    Examples
    --------
    >>> as_stack([np.zeros((2, 4, 4)), np.ones((2, 4, 4))]).shape
    (2, 2, 4, 4)
    """
    if isinstance(stack, np.ndarray):
        if stack.ndim < 3 or stack.shape[0] == 0:
            raise ValueError(f"a stack is (T, C, H, W) with T > 0, got shape {stack.shape}")
        return stack
    rasters = list(stack)
    if not rasters:
        raise ValueError("a composite needs at least one raster, got none")
    first = rasters[0]
    for other in rasters[1:]:
        _check_alike(first, other)
    check_band_order(rasters, "a stack")
    if any(isinstance(each, np.ma.MaskedArray) for each in rasters):
        return np.ma.stack(rasters)
    stacked = np.stack([values_of(each) for each in rasters])
    return rewrap(first, stacked, attrs=joint_attrs(rasters))


def _check_alike(first: Raster, other: Raster) -> None:
    if first.shape != other.shape:
        shapes = f"{first.shape} and {other.shape}"
        raise ValueError(f"rasters of a stack must have one shape, got {shapes}")
    if isinstance(first, GeoTensor) != isinstance(other, GeoTensor):
        raise TypeError("a stack is made of GeoTensors or of plain arrays, not of both")
    check_place(first, place_of(other), "rasters of a stack must lie on one grid")
    fills = [fill_of(each) if isinstance(each, GeoTensor) else None for each in (first, other)]
    marks = {fill for fill in fills if fill is not None and fill == fill}
    # NaN is nodata whatever the fill value is, so only floats may differ by having none.
    if len(marks) > 1 or (marks and fills[0] != fills[1]):
        raise ValueError(
            f"rasters of a stack need one nodata value, got {fills[0]} and {fills[1]}; "
            "put ToFloat32() before, which makes it NaN"
        )


def _medians(values: Values, fill: Fill, out: Values, cloudy: Mask | None = None) -> None:
    """Put the medians over time of (T, ..., H, W) into `out`, by blocks of rows that fit a cache.

    A block takes 32 MiB as float32, or a row; `cloudy` (T, H, W) tells pixels that do not count.
    """
    height = values.shape[-2]
    step = max(1, _BLOCK_BYTES // max(1, values.size // max(height, 1) * 4))
    for rows in (slice(start, start + step) for start in range(0, height, step)):
        block = values[..., rows, :]
        invalid = invalid_mask(block, fill)
        if cloudy is not None:
            invalid = cloudy[:, rows] if invalid is None else cloudy[:, rows] | invalid
        out[..., rows, :] = _median(block, invalid, out.dtype)


def _median(block: Values, invalid: Mask | None, dtype: np.dtype[Any]) -> Values:
    """Return the median over axis 0 of what is valid; NaN where nothing is.

    Sorting puts NaN last, so the median is found by counting: numpy's nanmedian takes some ten
    times longer on short time axes.
    """
    work = block.astype(dtype)
    if invalid is None:
        return np.median(work, axis=0, overwrite_input=True)
    work[invalid] = np.nan
    work.sort(axis=0)
    count = len(work) - np.count_nonzero(invalid, axis=0)
    last = np.maximum(count - 1, 0)
    low, high = last // 2, np.minimum(count // 2, last)
    ends = [np.take_along_axis(work, each[None], axis=0)[0] for each in (low, high)]
    return (ends[0] + ends[1]) * dtype.type(0.5)


def _coded(raster: Raster) -> dict[int, Role]:
    """Return the bands of a stack that hold no quantities; time is no band, so one date tells."""
    return coded_bands(raster if raster.ndim > 3 else rewrap(raster, values_of(raster)[0]))


def _votes(values: Values, role: Role, fill: Fill, out: Values, cloudy: Mask | None = None) -> None:
    """Put the most frequent codes over time of (T, H, W) into `out`, NaN where none counts."""
    height, width = values.shape[-2:]
    step = max(1, _BLOCK_BYTES // max(1, len(values) * width * 4))
    for rows in (slice(start, start + step) for start in range(0, height, step)):
        work = as_codes(values[:, rows], role, fill, out.dtype, NAN)
        if cloudy is not None:
            work[cloudy[:, rows]] = np.nan
        # Equal ones lie together then, and NaN, which equals nothing, at the end.
        work.sort(axis=0)
        best, most, run = work[0].copy(), np.ones(work.shape[1:]), np.ones(work.shape[1:])
        for before, each in pairwise(work):
            run = np.where(each == before, run + 1, 1)
            np.copyto(best, each, where=run > most)
            np.maximum(most, run, out=most)
        out[rows] = best


def _take_dates(raster: Raster, date: NDArray[np.intp]) -> Raster:
    return rewrap(raster, np.take_along_axis(values_of(raster), date[None, None], axis=0)[0])


class MedianComposite(FunctionOperator):
    """Median over time of what is valid: `median_composite` as an operator.

    Examples
    --------
    >>> MedianComposite()(np.array([[[[1.0]]], [[[3.0]]]]))
    array([[[2.]]], dtype=float32)
    """

    @parameters_of(median_composite)
    def __init__(self) -> None: ...


class MaxNDVIComposite(FunctionOperator):
    """Each pixel from its greenest date: `max_ndvi_composite` as an operator.

    Examples
    --------
    >>> MaxNDVIComposite(0, 1)(np.ones((3, 2, 4, 4))).shape
    (2, 4, 4)
    """

    @parameters_of(max_ndvi_composite)
    def __init__(self) -> None: ...


class MinCloudComposite(FunctionOperator):
    """Each pixel from its least cloudy date: `min_cloud_composite` as an operator.

    Examples
    --------
    >>> MinCloudComposite(1)(np.ones((3, 2, 4, 4))).shape
    (2, 4, 4)
    """

    @parameters_of(min_cloud_composite)
    def __init__(self) -> None: ...


class CloudFreeComposite(FunctionOperator):
    """Median over the dates without cloud: `cloud_free_composite` as an operator.

    Examples
    --------
    >>> CloudFreeComposite(scl_idx=1)(np.full((3, 2, 4, 4), 4)).shape
    (1, 4, 4)
    """

    @parameters_of(cloud_free_composite)
    def __init__(self) -> None: ...
