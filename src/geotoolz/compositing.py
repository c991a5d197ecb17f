"""One picture from several dates: per pixel, over a stack (T, C, H, W) on one grid.

A stack is an array or `GeoTensor` with time first, or a sequence of (C, H, W) rasters of one shape
and georeference. Nodata never counts: not NaN, not the carrier's fill value. Float results carry
NaN where no date was valid, integer ones the fill value. Bands of classes, bits and masks have no
median: the number that most dates hold is taken, the least of several.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor
from numpy.typing import DTypeLike, NDArray

from geotoolz.bands import Band, as_codes, band_index, band_names, check_band_order, coded_bands
from geotoolz.carrier import (
    NAN,
    Mask,
    Raster,
    Values,
    attrs_of,
    carry_nodata,
    check_place,
    check_real,
    fill_of,
    float_dtype,
    joint_attrs,
    nan_floats,
    place_of,
    rewrap,
    single_band,
    values_of,
)
from geotoolz.cloud import SCL_CLOUDS_AND_INVALID, mask_from_scl
from geotoolz.function_operator import FunctionOperator, PerPixel, parameters_of
from geotoolz.indices import NDVI
from pipekit.operator import checked_number
from pipekit.pixels import Role, band_roles, invalid_mask
from pipekit.radius import passed_on

Stack = Raster | Sequence[Raster]

Reduce = Callable[[Values, Mask | None, np.dtype[Any]], Values]
"""Takes a block (T, ...), where it does not count, and a float dtype; returns (...)."""

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
    return quantile_composite(stack, 0.5, dtype)


def quantile_composite(stack: Stack, q: float, dtype: DTypeLike = "float32") -> Raster:
    """Return a quantile over time of each pixel's valid values, of codes the most frequent one.

    Between two values it is interpolated linearly, as numpy does.

    Parameters
    ----------
    stack
        (T, C, H, W), or (T, H, W) as a plain array.
    q
        0 to 1.
    dtype
        Of the result, a float type.

    Returns
    -------
    (C, H, W) floats, NaN where no date was valid.

    Raises
    ------
    ValueError
        For a quantile outside 0 to 1.

    Examples
    --------
    >>> quantile_composite(np.array([[[[1.0]]], [[[9.0]]], [[[2.0]]]]), 0.25)
    array([[[1.5]]], dtype=float32)
    """
    checked_number(q, "q", 0, 1)
    return _over_time(stack, partial(_quantile, q=q), dtype)


def mean_composite(stack: Stack, dtype: DTypeLike = "float32") -> Raster:
    """Return the mean over time of each pixel's valid values, of codes the most frequent one.

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
    >>> mean_composite(np.array([[[[1.0]]], [[[9.0]]], [[[np.nan]]]]))
    array([[[5.]]], dtype=float32)
    """
    return _over_time(stack, _mean, dtype)


def clear_count(stack: Stack) -> Raster:
    """Return how many dates have all quantities of a pixel.

    Parameters
    ----------
    stack
        (T, C, H, W).

    Returns
    -------
    (1, H, W) int32, the band "clear".

    Examples
    --------
    >>> clear_count(np.array([[[[1.0, 2.0]]], [[[np.nan, 3.0]]]]))
    array([[[1, 2]]], dtype=int32)
    """
    raster = as_stack(stack)
    values = values_of(raster)
    out = np.zeros((1, *values.shape[-2:]), np.int32)
    for date in range(len(values)):
        missing = _missing(raster, date)
        out += 1 if missing is None else ~missing
    attrs = {"band_names": ["clear"], "long_name": "clear observations"}
    return rewrap(raster, out, fill=None, attrs=attrs)


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
    return _take_dates(raster, _best_dates(raster, NDVI(red_idx, nir_idx))[0])


def best_pixel_composite(
    stack: Stack, score: Callable[[Raster], Raster], date_band: bool = False
) -> Raster:
    """Return each pixel from the date on which a score was highest, the first of equal ones.

    Parameters
    ----------
    stack
        (T, C, H, W); `attrs["dates"]` holds the T dates as ISO text, where they are known.
    score
        A function or operator of one date's raster (C, H, W), whose `attrs["datetime"]` is its
        date, to (H, W): an index such as `NDVI()`, a network, the distance to the nearest cloud.
    date_band
        Whether to add the band "date": days since 1970-01-01 of the date taken, or its number in
        the stack where dates are not known.

    Returns
    -------
    (C, H, W) or (C + 1, H, W) in the stack's own dtype, a wider one where it cannot hold dates, and
    floats where a date is the nodata value. Without data where no date has both all its quantities
    and a score.

    Examples
    --------
    >>> stack = np.array([[[[0.1]], [[0.2]]], [[[0.1]], [[0.5]]]])
    >>> best_pixel_composite(stack, lambda scene: scene[1], date_band=True).ravel()
    array([0.1, 0.5, 1. ])
    """
    raster = as_stack(stack)
    date, nowhere = _best_dates(raster, score, complete=True)
    taken = values_of(_take_dates(raster, date))
    fill = fill_of(raster)
    if fill is None and taken.dtype.kind == "f":
        fill = NAN
    attrs: dict[str, Any] = {}
    if date_band:
        told = attrs_of(raster).get("dates")
        days = np.arange(len(raster))
        if told is not None:
            days = np.array([str(each)[:10] for each in told], "datetime64[D]").astype(np.int64)
        if fill in days:
            taken, fill = nan_floats(taken, fill, np.result_type(taken.dtype, np.float32)), NAN
        ends = (np.min_scalar_type(int(end)) for end in (days.min(), days.max()))
        kind = np.result_type(taken.dtype, *ends)
        taken = np.concatenate([taken.astype(kind, copy=False), days[date][None].astype(kind)])
        names, roles = band_names(raster), band_roles(rewrap(raster, values_of(raster)[0]))
        attrs = {"band_names": [*names, "date"]} if names else {}
        attrs["band_roles"] = [*roles, "class"]
    if fill is not None:
        taken[:, nowhere] = fill
    return rewrap(raster, taken, fill=fill, attrs=attrs)


def geometric_median_composite(
    stack: Stack, tolerance: float = 1e-4, iterations: int = 200, dtype: DTypeLike = "float32"
) -> Raster:
    """Return the point that is nearest to all dates' spectra at once, per pixel.

    Unlike medians of single bands it keeps the relation of the bands (Roberts, Mueller and
    McIntyre 2017, doi:10.1109/TGRS.2017.2723896). Found by Weiszfeld's iteration (Weiszfeld 1937).

    Parameters
    ----------
    stack
        (T, C, H, W) of quantities; dates count that have all bands of a pixel.
    tolerance
        Ends when no pixel moves by more than this share of its mean distance to the dates.
    iterations
        At most so many.
    dtype
        Of the result, a float type.

    Returns
    -------
    (C, H, W) floats, NaN where no date was valid.

    Raises
    ------
    ValueError
        For bands of classes, bits or masks.

    Examples
    --------
    >>> dates = np.array([[0.0, 0.0], [1.0, 1.0], [9.0, 9.0]])[:, :, None, None]
    >>> geometric_median_composite(dates).round(2).ravel()
    array([1., 1.], dtype=float32)
    """
    raster = as_stack(stack)
    if _coded(raster):
        raise ValueError(
            "a geometric median is one of quantities, the stack has bands of codes: "
            f"{_coded(raster)}; choose bands with SelectBands"
        )
    values = values_of(raster)
    out = np.empty(values.shape[1:], float_dtype(dtype))
    for rows in _strips(values):
        work = nan_floats(values[..., rows, :], fill_of(raster), np.float64)
        count, bands = work.shape[:2]
        points = work.reshape(count, bands, -1)
        nearest = _geometric_median(points, tolerance, iterations)
        out[:, rows] = nearest.reshape(bands, *work.shape[2:])
    return rewrap(raster, out, fill=NAN)


def _geometric_median(points: Values, tolerance: float, iterations: int) -> Values:
    """Return the geometric medians (C, N) of points (T, C, N); NaN where no date is whole."""
    valid: Values = np.logical_not(np.isnan(points).any(axis=1))
    points = np.where(valid[:, None], points, 0)
    count = np.count_nonzero(valid, axis=0)
    out = np.where(count == 0, np.nan, points.sum(axis=0) / np.maximum(count, 1))
    todo = np.flatnonzero(count > 1)
    for _ in range(iterations):
        if not len(todo):
            break
        some, at = points[..., todo], out[:, todo]
        far = np.sqrt(((some - at) ** 2).sum(axis=1))
        spread = (far * valid[:, todo]).sum(axis=0) / count[todo]
        # A point on a date would weigh infinitely much.
        weights = valid[:, todo] / np.maximum(far, 1e-9 * spread + np.finfo(float).tiny)
        moved = (some * weights[:, None]).sum(axis=0) / weights.sum(axis=0)
        out[:, todo] = moved
        step = np.sqrt(((moved - at) ** 2).sum(axis=0))
        todo = todo[step > tolerance * spread]
    return out


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
    check_real(values)
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
    scl, codes = band_index(raster, scl_idx, axis=1), coded_bands(raster)
    cloudy = np.stack([mask_from_scl(each, classes) for each in values_of(raster)[:, scl]])
    kept = [band for band in range(raster.shape[1]) if band != scl]
    names = [name for i, name in enumerate(band_names(raster)) if i != scl]
    attrs: dict[str, Any] = {"band_names": names} if names else {}
    if codes.keys() - {scl}:
        attrs["band_roles"] = [codes.get(band, "quantity") for band in kept]
    median = _over_time(raster, partial(_quantile, q=0.5), dtype, kept, cloudy)
    return rewrap(median, values_of(median), fill=NAN, attrs=attrs)


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


def _over_time(
    stack: Stack,
    reduce: Reduce,
    dtype: DTypeLike,
    bands: Sequence[int] | None = None,
    cloudy: Mask | None = None,
) -> Raster:
    """Return what `reduce` makes of quantities over time, and the most frequent codes.

    `cloudy` (T, H, W) tells pixels that do not count.
    """
    raster = as_stack(stack)
    values, coded = values_of(raster), _coded(raster)
    layers = values[:, None] if values.ndim == 3 else values
    chosen = range(layers.shape[1]) if bands is None else bands
    targets = np.empty((len(chosen), *layers.shape[2:]), float_dtype(dtype))
    check_real(values)
    for target, band in zip(targets, chosen, strict=True):
        layer, role = layers[:, band], coded.get(band)
        for rows in _strips(layer):
            block, mark = layer[..., rows, :], fill_of(raster)
            if role is not None:
                block, mark = as_codes(block, role, mark, target.dtype, NAN), NAN
            invalid = invalid_mask(block, mark)
            if cloudy is not None:
                invalid = cloudy[:, rows] if invalid is None else cloudy[:, rows] | invalid
            how = reduce if role is None else _most_frequent
            target[..., rows, :] = how(block, invalid, target.dtype)
    out = targets[0] if values.ndim == 3 else targets
    attrs = {"band_roles": "mask"} if values.dtype == np.bool_ else None
    return rewrap(raster, out, fill=NAN, attrs=attrs)


def _strips(values: Values) -> Iterator[slice]:
    """Yield blocks of rows that fit a cache: 32 MiB as float32, or a row."""
    height = values.shape[-2]
    step = max(1, _BLOCK_BYTES // max(1, values.size // max(height, 1) * 4))
    yield from (slice(start, start + step) for start in range(0, height, step))


def _mean(block: Values, invalid: Mask | None, dtype: np.dtype[Any]) -> Values:
    """Return the mean over axis 0 of what is valid, summed in float64; NaN where nothing is."""
    if invalid is None:
        return block.mean(axis=0, dtype=np.float64)  # type: ignore[no-any-return]
    count = len(block) - np.count_nonzero(invalid, axis=0)
    total: Values = np.asarray(np.sum(block, axis=0, dtype=np.float64, where=~invalid))
    total[count == 0] = np.nan
    return total / np.maximum(count, 1)  # type: ignore[no-any-return]


def _quantile(block: Values, invalid: Mask | None, dtype: np.dtype[Any], q: float) -> Values:
    """Return a quantile over axis 0 of what is valid; NaN where nothing is.

    Sorting puts NaN last, so it is found by counting: numpy's nanmedian takes two to three times
    as long for 12 dates, up to fourteen times for 60. The dates of a pixel lie side by side for
    it, which halves the time.
    """
    count, shape = len(block), block.shape[1:]
    # Half floats would overflow in a sum of two.
    dtype = np.result_type(dtype, np.float32)
    work = block.reshape(count, -1).T.astype(dtype, order="C")
    valid: Any = count
    if invalid is not None:
        hidden = invalid.reshape(count, -1)
        np.copyto(work, np.nan, where=hidden.T)
        valid = count - np.count_nonzero(hidden, axis=0)
    work.sort(axis=1)
    last = np.broadcast_to(np.maximum(valid - 1, 0), len(work))
    at = last * q
    low = np.floor(at).astype(np.intp)
    pixels = np.arange(len(work))
    lower, upper = work[pixels, low], work[pixels, np.minimum(low + 1, last)]
    share = (at - low).astype(dtype)
    # Halves meet in the middle exactly, which the general formula misses by a rounding.
    with np.errstate(invalid="ignore"):
        middle = (lower + upper) * dtype.type(0.5)
        found: Values = np.where(share == 0.5, middle, lower + (upper - lower) * share)
    # Where infinity would be taken from infinity, which is NaN, the lower one is the answer.
    np.copyto(found, -np.inf, where=(lower == -np.inf) & (upper < np.inf))
    np.copyto(found, lower, where=(share == 0) | (lower == upper))
    return found.reshape(shape)


def _coded(raster: Raster) -> dict[int, Role]:
    """Return the bands of a stack that hold no quantities; time is no band, so one date tells."""
    return coded_bands(raster if raster.ndim > 3 else rewrap(raster, values_of(raster)[0]))


def _most_frequent(block: Values, invalid: Mask | None, dtype: np.dtype[Any]) -> Values:
    """Return the most frequent of floats over axis 0, NaN where none is valid; it sorts them."""
    if invalid is not None:
        np.copyto(block, np.nan, where=invalid)
    # Equal ones lie together then, and NaN, which equals nothing, at the end.
    block.sort(axis=0)
    best, most, run = block[0].copy(), np.ones(block.shape[1:]), np.ones(block.shape[1:])
    for before, each in pairwise(block):
        run = np.where(each == before, run + 1, 1)
        np.copyto(best, each, where=run > most)
        np.maximum(most, run, out=most)
    return best


def _missing(raster: Raster, date: int) -> Mask | None:
    """Return where a date lacks any of its quantities (all bands where it has none)."""
    scene, coded = values_of(raster)[date], _coded(raster)
    bands = [band for band in range(len(scene)) if band not in coded] if coded else []
    invalid = invalid_mask(scene[bands] if bands else scene, fill_of(raster))
    return None if invalid is None else np.asarray(invalid.any(axis=0))


def _best_dates(
    raster: Raster, score: Callable[[Raster], Raster], complete: bool = False
) -> tuple[NDArray[np.intp], Mask]:
    """Return the date of the highest score per pixel, 0 where there is none; and where none is.

    With `complete` a date counts only where it has all its quantities.
    """
    values, dates = values_of(raster), attrs_of(raster).get("dates")
    date = np.zeros(values.shape[-2:], np.intp)
    best = np.full(date.shape, -np.inf)
    nowhere = np.ones(date.shape, bool)
    for number, scene in enumerate(values):
        said = {"datetime": dates[number]} if dates is not None else None
        one = score(rewrap(raster, scene, attrs=said))
        value = single_band(values_of(one)).astype(np.float64)
        carry_nodata(value, single_band(values_of(one)), fill_of(one))
        missing = _missing(raster, number) if complete else None
        if missing is not None:
            value[missing] = np.nan
        better = (value > best) | (nowhere & ~np.isnan(value))
        date[better], best[better] = number, value[better]
        nowhere &= ~better
    return date, nowhere


def _take_dates(raster: Raster, date: NDArray[np.intp]) -> Raster:
    return rewrap(raster, np.take_along_axis(values_of(raster), date[None, None], axis=0)[0])


class MedianComposite(PerPixel):
    """Median over time of what is valid: `median_composite` as an operator.

    Examples
    --------
    >>> MedianComposite()(np.array([[[[1.0]]], [[[3.0]]]]))
    array([[[2.]]], dtype=float32)
    """

    @parameters_of(median_composite)
    def __init__(self) -> None: ...


class MaxNDVIComposite(PerPixel):
    """Each pixel from its greenest date: `max_ndvi_composite` as an operator.

    Examples
    --------
    >>> MaxNDVIComposite(0, 1)(np.ones((3, 2, 4, 4))).shape
    (2, 4, 4)
    """

    @parameters_of(max_ndvi_composite)
    def __init__(self) -> None: ...


class MinCloudComposite(PerPixel):
    """Each pixel from its least cloudy date: `min_cloud_composite` as an operator.

    Examples
    --------
    >>> MinCloudComposite(1)(np.ones((3, 2, 4, 4))).shape
    (2, 4, 4)
    """

    @parameters_of(min_cloud_composite)
    def __init__(self) -> None: ...


class CloudFreeComposite(PerPixel):
    """Median over the dates without cloud: `cloud_free_composite` as an operator.

    Examples
    --------
    >>> CloudFreeComposite(scl_idx=1)(np.full((3, 2, 4, 4), 4)).shape
    (1, 4, 4)
    """

    @parameters_of(cloud_free_composite)
    def __init__(self) -> None: ...


class MeanComposite(PerPixel):
    """Mean over time of what is valid: `mean_composite` as an operator.

    Examples
    --------
    >>> MeanComposite()(np.array([[[[1.0]]], [[[3.0]]]]))
    array([[[2.]]], dtype=float32)
    """

    @parameters_of(mean_composite)
    def __init__(self) -> None: ...


class QuantileComposite(PerPixel):
    """A quantile over time of what is valid: `quantile_composite` as an operator.

    Examples
    --------
    >>> QuantileComposite(1.0)(np.array([[[[1.0]]], [[[3.0]]]]))
    array([[[3.]]], dtype=float32)
    """

    @parameters_of(quantile_composite)
    def __init__(self) -> None:
        checked_number(self.q, "q", 0, 1)


class GeometricMedianComposite(FunctionOperator):
    """The spectrum nearest to all dates': `geometric_median_composite` as an operator.

    Examples
    --------
    >>> GeometricMedianComposite()(np.ones((3, 2, 4, 4))).shape
    (2, 4, 4)
    """

    @parameters_of(geometric_median_composite)
    def __init__(self) -> None: ...


class ClearCount(PerPixel):
    """How many dates have a pixel: `clear_count` as an operator.

    Examples
    --------
    >>> ClearCount()(np.ones((3, 2, 4, 4))).max()
    np.int32(3)
    """

    @parameters_of(clear_count)
    def __init__(self) -> None: ...


class BestPixelComposite(FunctionOperator):
    """Each pixel from the date of the highest score: `best_pixel_composite` as an operator.

    Parameters
    ----------
    score
        An operator of one date's raster (C, H, W) to (H, W), such as `NDVI()`.
    date_band
        Whether to add the band "date", days since 1970-01-01.

    Examples
    --------
    >>> from geotoolz import NDVI
    >>> stack = np.array([[[[0.1]], [[0.2]]], [[[0.1]], [[0.5]]]])
    >>> BestPixelComposite(NDVI(0, 1))(stack).ravel()
    array([0.1, 0.5])
    """

    radius = passed_on("score")

    @parameters_of(best_pixel_composite)
    def __init__(self) -> None: ...
