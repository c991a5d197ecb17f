"""Stretches: from physical values to 0..1, for display and for models."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import numpy as np
from numpy.typing import DTypeLike

from geotoolz.bands import band_views
from geotoolz.carrier import (
    NAN,
    Fill,
    Raster,
    Values,
    as_float,
    carry_nodata,
    fill_of,
    float_dtype,
    nodata_mask,
    rewrap,
    values_of,
)
from geotoolz.function_operator import FunctionOperator, parameters_of


def percentile_clip(
    raster: Raster,
    p_min: float = 2.0,
    p_max: float = 98.0,
    axis: int = 0,
    sample: int | None = None,
    dtype: DTypeLike = "float32",
) -> Raster:
    """Stretch each band from its own percentiles to 0..1 and clip what lies outside.

    - `raster`: (C, H, W), or (H, W) taken as one band; any numeric dtype.
    - `p_min`, `p_max`: percentiles, 0 <= p_min < p_max <= 100, linearly interpolated.
    - `sample`: estimate the percentiles from about this many evenly spaced pixels a band; the
      result's `attrs["stretch"]` says so. By default every pixel counts.

    Nodata does not count and stays NaN. A band whose percentiles coincide becomes 0, a band without
    valid pixels stays NaN.

    >>> percentile_clip(np.array([[[0.0, 1.0, 2.0, 3.0, 4.0]]]), 25, 75)
    array([[[0. , 0. , 0.5, 1. , 1. ]]], dtype=float32)
    """
    check_percentiles(p_min, p_max)
    _check_sample(sample)
    values = values_of(raster)
    kind = float_dtype(dtype)
    out = np.empty(values.shape, kind)
    fill = fill_of(raster)
    for source, target in zip(band_views(values, axis), band_views(out, axis), strict=True):
        low, high = band_percentiles(source, (p_min, p_max), fill=fill, sample=sample)
        _stretch(source, low, high, target)
        carry_nodata(target, source, fill)
    how = "all pixels" if sample is None else f"about {sample} pixels a band"
    note = f"percentiles {p_min:g} to {p_max:g} of {how}"
    return rewrap(raster, out, fill=NAN, attrs={"stretch": note})


def min_max(
    raster: Raster,
    min_val: float | None = None,
    max_val: float | None = None,
    axis: int = 0,
    dtype: DTypeLike = "float32",
) -> Raster:
    """Stretch to 0..1 between `min_val` and `max_val` and clip; each band's own where not given.

    - `raster`: (C, H, W), or (H, W) taken as one band.

    Nodata does not count and stays NaN. A constant band becomes 0.

    >>> min_max(np.array([[[2.0, 3.0, 4.0]]]))
    array([[[0. , 0.5, 1. ]]], dtype=float32)
    """
    _check_limits(min_val, max_val)
    values = values_of(raster)
    fill = fill_of(raster)
    out = np.empty(values.shape, float_dtype(dtype))
    for source, target in zip(band_views(values, axis), band_views(out, axis), strict=True):
        low, high = _valid_range(source, fill) if None in (min_val, max_val) else (0.0, 0.0)
        low = low if min_val is None else min_val
        high = high if max_val is None else max_val
        _stretch(source, low, high, target)
        carry_nodata(target, source, fill)
    return rewrap(raster, out, fill=NAN)


def band_percentiles(
    band: Values, percentiles: Sequence[float], *, fill: Fill = None, sample: int | None = None
) -> tuple[float, ...]:
    """Return percentiles of a band's valid values, linearly interpolated; NaN where none is valid.

    >>> band_percentiles(np.array([[0, 1, 2, 3, 4, 0]], dtype="uint16"), (50,), fill=0)
    (2.5,)
    """
    if sample is not None and band.size > sample:
        band = band.reshape(-1)[:: max(1, band.size // sample)]
    invalid = nodata_mask(band, fill)
    valid = band.reshape(-1) if invalid is None else band[~invalid]
    if valid.size == 0:
        return (NAN,) * len(percentiles)
    return tuple(float(p) for p in np.percentile(valid, percentiles))


def _stretch(source: Values, low: float, high: float, target: Values) -> None:
    """Write (source - low) / (high - low), clipped to 0..1, into `target`."""
    if high > low:
        np.subtract(source, low, out=target, dtype=target.dtype, casting="unsafe")
        np.multiply(target, 1.0 / (high - low), out=target)
        np.clip(target, 0.0, 1.0, out=target)
    elif low >= high:
        target[...] = 0
        target[np.isnan(source)] = np.nan
    else:
        target[...] = np.nan


def _valid_range(band: Values, fill: Fill) -> tuple[float, float]:
    low = band.min() if band.size else np.nan
    # Without NaN (it would be the minimum) and without a fill value at or above the minimum, all
    # values are valid: two passes and no mask.
    if low == low and (fill is None or not fill >= low):
        return float(low), float(band.max())
    invalid = nodata_mask(band, fill)
    valid = band if invalid is None else band[~invalid]
    return (float(valid.min()), float(valid.max())) if valid.size else (NAN, NAN)


def _check_limits(low: float | None, high: float | None) -> None:
    if low is not None and high is not None and not low < high:
        raise ValueError(f"min_val must be below max_val, got min_val={low}, max_val={high}")


def _check_sample(sample: int | None) -> None:
    if sample is not None and sample < 1:
        raise ValueError(f"sample must be a positive number of pixels, got {sample}")


def check_percentiles(p_min: float, p_max: float) -> None:
    """Raise ValueError unless 0 <= p_min < p_max <= 100.

    >>> check_percentiles(2, 98)
    """
    if not 0 <= p_min < p_max <= 100:
        raise ValueError(
            f"percentiles must satisfy 0 <= p_min < p_max <= 100, got p_min={p_min}, p_max={p_max}"
        )


def check_gamma(g: float, argument: str) -> None:
    """Raise ValueError, naming `argument`, unless `g` is a positive number.

    >>> check_gamma(2.2, "g")
    """
    if not (isinstance(g, Real) and 0 < g < np.inf):
        raise ValueError(f"{argument} must be a positive number, got {g!r}")


def gamma(raster: Raster, g: float, dtype: DTypeLike = "float32") -> Raster:
    """Return raster ** (1 / g): `g` above 1 brightens the dark parts of a 0..1 picture.

    This is the convention of displays, rio-color and Earth Engine. Values below 0 count as 0;
    nodata stays NaN.

    >>> gamma(np.array([[0.0, 0.25, 1.0]], dtype="float32"), 2.0)
    array([[0. , 0.5, 1. ]], dtype=float32)
    """
    check_gamma(g, "g")
    values = values_of(raster)
    out = np.maximum(as_float(values, dtype), 0)
    np.power(out, 1.0 / g, out=out)
    carry_nodata(out, values, fill_of(raster))
    return rewrap(raster, out, fill=NAN)


class PercentileClip(FunctionOperator):
    """Stretch each band between its percentiles to 0..1: `percentile_clip` as an operator.

    >>> PercentileClip(25, 75)(np.array([[[0.0, 1.0, 2.0, 3.0, 4.0]]]))
    array([[[0. , 0. , 0.5, 1. , 1. ]]], dtype=float32)
    """

    @parameters_of(percentile_clip)
    def __init__(self) -> None:
        check_percentiles(self.p_min, self.p_max)
        _check_sample(self.sample)
        float_dtype(self.dtype)


class MinMax(FunctionOperator):
    """Stretch to 0..1 between two values: `min_max` as an operator.

    >>> MinMax()(np.array([[[2.0, 3.0, 4.0]]]))
    array([[[0. , 0.5, 1. ]]], dtype=float32)
    """

    @parameters_of(min_max)
    def __init__(self) -> None:
        _check_limits(self.min_val, self.max_val)
        float_dtype(self.dtype)


class Gamma(FunctionOperator):
    """Raise to 1 / g, which brightens for `g` above 1: `gamma` as an operator.

    >>> Gamma(2.0)(np.array([[0.25]], dtype="float32"))
    array([[0.5]], dtype=float32)
    """

    local = True

    @parameters_of(gamma)
    def __init__(self) -> None:
        check_gamma(self.g, "g")
        float_dtype(self.dtype)
