"""Digital numbers to reflectance and back, and stretches for display."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from geotoolz.carrier import (
    NAN,
    Raster,
    as_float,
    attrs_of,
    fill_mask,
    fill_of,
    float_dtype,
    nodata_mask,
    rewrap,
    values_of,
)
from pipekit import Operator

PerBand = float | Sequence[float]
"""One number for all bands, or one per band."""


def to_float(raster: Raster, dtype: DTypeLike = "float32") -> Raster:
    """Return the raster in a float dtype, nodata as NaN; always a copy.

    - `raster`: any shape and numeric dtype.

    >>> to_float(np.array([[1, 2]], dtype="uint16")).dtype
    dtype('float32')
    """
    values = values_of(raster)
    out = values.astype(float_dtype(dtype))
    _carry_nodata(out, values, raster)
    return rewrap(raster, out, fill=NAN)


def dn_to_reflectance(
    raster: Raster,
    scale: PerBand = 1e-4,
    offset: PerBand = 0.0,
    axis: int = 0,
    dtype: DTypeLike = "float32",
) -> Raster:
    """Return reflectance = digital number x scale + offset, nodata as NaN.

    - `raster`: digital numbers, (C, H, W) uint16 or any other shape and dtype.
    - `scale`, `offset`: one number, or one per band on `axis`. Sentinel-2 L2A: 1e-4 and 0 once
      the +1000 offset is away (`HarmonizeBaseline`), 1e-4 and -0.1 while it is in. Landsat
      Collection 2: 2.75e-5 and -0.2 (USGS LSDS-1619).

    Returns floats of `dtype`, unitless, mostly 0 to 1.

    >>> dn_to_reflectance(np.array([[0, 5000]], dtype="uint16"))
    array([[0. , 0.5]], dtype=float32)
    """
    values = values_of(raster)
    kind = float_dtype(dtype)
    # Converting and then scaling in place beats a mixed-type multiply by a quarter: both steps
    # are vectorised, the mixed one goes through a small buffer.
    out = values.astype(kind)
    np.multiply(out, _per_band(scale, values, axis, kind, "scale"), out=out)
    shift = _per_band(offset, values, axis, kind, "offset")
    if np.any(shift):
        np.add(out, shift, out=out)
    _carry_nodata(out, values, raster)
    return rewrap(raster, out, fill=NAN, attrs={"long_name": "reflectance", "units": ""})


def reflectance_to_dn(
    raster: Raster,
    scale: PerBand = 1e-4,
    offset: PerBand = 0.0,
    axis: int = 0,
    nodata: int = 0,
    dtype: DTypeLike = "uint16",
) -> Raster:
    """Return digital numbers = (reflectance - offset) / scale, rounded; the inverse conversion.

    Values outside the integer type are clipped to its range, never wrapped; NaN and the fill value
    become `nodata`, and valid values that would round onto `nodata` move to the next number.

    >>> reflectance_to_dn(np.array([[np.nan, 0.5, 9.0, 0.0]], dtype="float32"))
    array([[    0,  5000, 65535,     1]], dtype=uint16)
    """
    values = values_of(raster)
    kind = np.dtype(dtype)
    if kind.kind not in "iu":
        raise ValueError(f"dtype must be an integer type such as 'uint16', got {kind.name!r}")
    limits = np.iinfo(kind)
    if not limits.min <= nodata <= limits.max:
        raise ValueError(f"nodata={nodata} does not fit {kind.name}")
    work = np.float32 if kind.itemsize < 4 else np.float64
    scaled = values.astype(work)
    invalid = nodata_mask(values, fill_of(raster))
    shift = _per_band(offset, values, axis, np.dtype(work), "offset")
    np.subtract(scaled, shift, out=scaled)
    np.divide(scaled, _per_band(scale, values, axis, np.dtype(work), "scale"), out=scaled)
    np.rint(scaled, out=scaled)
    np.clip(scaled, limits.min, limits.max, out=scaled)
    if invalid is not None:
        scaled[invalid] = nodata
    out = scaled.astype(kind)
    taken = out == nodata
    if invalid is not None:
        taken &= ~invalid
    out[taken] = nodata + 1 if nodata < limits.max else nodata - 1
    return rewrap(raster, out, fill=nodata, attrs={"long_name": "digital number"})


def gamma(raster: Raster, g: float, dtype: DTypeLike = "float32") -> Raster:
    """Return raster ** (1 / g): `g` above 1 brightens the dark parts of a 0..1 picture.

    This is the convention of displays, rio-color and Earth Engine. Values below 0 count as 0;
    nodata stays NaN.

    >>> gamma(np.array([[0.0, 0.25, 1.0]], dtype="float32"), 2.0)
    array([[0. , 0.5, 1. ]], dtype=float32)
    """
    if not (np.isfinite(g) and g > 0):
        raise ValueError(f"g must be a positive number, got {g}")
    values = values_of(raster)
    out = np.maximum(as_float(values, dtype), 0)
    np.power(out, 1.0 / g, out=out)
    _carry_nodata(out, values, raster)
    return rewrap(raster, out, fill=NAN)


def harmonize_baseline(
    raster: Raster,
    offset: int = -1000,
    baseline: str | None = None,
    nodata: int = 0,
) -> Raster:
    """Take away the +1000 that Sentinel-2 digital numbers carry since baseline 04.00.

    From 25 January 2022 products add 1000 to every digital number, so that dark surfaces can be
    slightly negative (ESA, Sentinel-2 Products Specification, RADIO_ADD_OFFSET). Afterwards scenes
    of all years compare.

    - `raster`: digital numbers, any shape, integer or float.
    - `offset`: what to add.
    - `baseline`: such as "05.10", in place of what the carrier says.
    - `nodata`: stays what it is.

    Nothing changes where the carrier's `offset_applied` is true or the baseline is before 04.00.
    Integers do not wrap: a valid number that would fall to `nodata` or below, stays just above it
    (1 for uint16). A plain array tells nothing, so it is shifted. A `GeoTensor` with neither
    `offset_applied` nor `processing_baseline` raises ValueError rather than be guessed at.

    >>> harmonize_baseline(np.array([[0, 900, 3000]], dtype="uint16"))
    array([[   0,    1, 2000]], dtype=uint16)
    """
    if not _offset_is_in(raster, baseline):
        return raster
    values = values_of(raster)
    invalid = fill_mask(values, nodata)
    if values.dtype.kind in "iu":
        limits = np.iinfo(values.dtype)
        floor = max(limits.min, nodata + 1) if nodata >= limits.min else limits.min
        # Clipped before it is shifted, so that the shift can't leave the integer's range.
        lowest = np.clip(floor - offset, limits.min, limits.max).astype(values.dtype)
        out = np.maximum(values, lowest)
        if offset <= 0:
            np.subtract(out, values.dtype.type(-offset), out=out)
        else:
            np.minimum(out, values.dtype.type(limits.max - offset), out=out)
            np.add(out, values.dtype.type(offset), out=out)
    else:
        out = values + values.dtype.type(offset)
    if invalid is not None:
        out[invalid] = nodata
    return rewrap(raster, out, attrs={"offset_applied": True})


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
    _check_percentiles(p_min, p_max)
    if sample is not None and sample < 1:
        raise ValueError(f"sample must be a positive number of pixels, got {sample}")
    values = values_of(raster)
    kind = float_dtype(dtype)
    out = np.empty(values.shape, kind)
    fill = fill_of(raster)
    for source, target in zip(_bands(values, axis), _bands(out, axis), strict=True):
        low, high = band_percentiles(source, (p_min, p_max), fill=fill, sample=sample)
        _stretch(source, low, high, target)
        invalid = fill_mask(source, fill)
        if invalid is not None:
            target[invalid] = np.nan
    how = "all pixels" if sample is None else f"about {sample} pixels a band"
    note = f"percentiles {p_min:g} to {p_max:g} of {how}"
    return rewrap(raster, out, fill=NAN, attrs={"stretch": note})


def band_percentiles(
    band: NDArray[Any],
    percentiles: Sequence[float],
    *,
    fill: float | int | None = None,
    sample: int | None = None,
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


def _stretch(source: NDArray[Any], low: float, high: float, target: NDArray[Any]) -> None:
    """Write (source - low) / (high - low), clipped to 0..1, into `target`."""
    if high > low:
        np.subtract(source, low, out=target, dtype=target.dtype, casting="unsafe")
        np.multiply(target, 1.0 / (high - low), out=target)
        np.clip(target, 0.0, 1.0, out=target)
    elif low == high:
        target[...] = 0
        target[np.isnan(source)] = np.nan
    else:
        target[...] = np.nan


def _bands(values: NDArray[Any], axis: int) -> list[NDArray[Any]]:
    """Return views of the bands; an array of two axes or fewer is one band."""
    if values.ndim < 3:
        return [values]
    if not -values.ndim <= axis < values.ndim:
        raise ValueError(f"axis {axis} is out of range for shape {values.shape}")
    return list(np.moveaxis(values, axis, 0))


def _check_percentiles(p_min: float, p_max: float) -> None:
    if not 0 <= p_min < p_max <= 100:
        raise ValueError(
            f"percentiles must satisfy 0 <= p_min < p_max <= 100, got {p_min}, {p_max}"
        )


def _per_band(
    value: PerBand, values: NDArray[Any], axis: int, dtype: np.dtype[Any], argument: str
) -> Any:
    """Return `value` as a scalar, or shaped to broadcast along the band axis."""
    if isinstance(value, (int, float)):
        return dtype.type(value)
    numbers = np.asarray(value, dtype)
    if numbers.ndim == 0:
        return numbers[()]
    if numbers.ndim > 1 or values.ndim < 3 or numbers.size != values.shape[axis]:
        raise ValueError(
            f"{argument} must be one number or one per band on axis {axis}; "
            f"got {numbers.size} for shape {values.shape}"
        )
    shape = [1] * values.ndim
    shape[axis] = numbers.size
    return numbers.reshape(shape)


def _carry_nodata(out: NDArray[Any], values: NDArray[Any], raster: Raster) -> None:
    invalid = fill_mask(values, fill_of(raster))
    if invalid is not None:
        out[invalid] = np.nan


def _offset_is_in(raster: Raster, baseline: str | None) -> bool:
    attrs = attrs_of(raster)
    if attrs.get("offset_applied"):
        return False
    known = baseline if baseline is not None else attrs.get("processing_baseline")
    if known is not None:
        return _baseline_number(known) >= 4.0
    if type(raster) is np.ndarray:
        return True
    raise ValueError(
        "the raster says neither attrs['offset_applied'] nor attrs['processing_baseline'], so the "
        "+1000 offset can't be told; give baseline='04.00' if it is in, '03.01' if it is not"
    )


def _baseline_number(baseline: Any) -> float:
    try:
        return float(str(baseline).lstrip("Nn"))
    except ValueError:
        raise ValueError(f"a processing baseline looks like '05.10', got {baseline!r}") from None


class ToFloat32(Operator):
    """Convert to float32, nodata as NaN.

    >>> ToFloat32()(np.array([[1, 2]], dtype="uint16"))
    array([[1., 2.]], dtype=float32)
    """

    def __init__(self) -> None:
        pass

    def _apply(self, raster: Raster) -> Raster:
        return to_float(raster, np.float32)


class DNToReflectance(Operator):
    """Convert digital numbers to reflectance: `dn_to_reflectance` as an operator.

    >>> DNToReflectance(scale=1e-4)
    DNToReflectance(scale=0.0001, offset=0.0, axis=0, dtype='float32')
    >>> DNToReflectance()(np.array([[0, 5000]], dtype="uint16"))
    array([[0. , 0.5]], dtype=float32)
    """

    def __init__(
        self,
        scale: PerBand = 1e-4,
        offset: PerBand = 0.0,
        axis: int = 0,
        dtype: str = "float32",
    ) -> None:
        float_dtype(dtype)
        self.scale = scale
        self.offset = offset
        self.axis = axis
        self.dtype = dtype

    def _apply(self, raster: Raster) -> Raster:
        return dn_to_reflectance(raster, self.scale, self.offset, self.axis, self.dtype)


class ReflectanceToDN(Operator):
    """Convert reflectance back to digital numbers: `reflectance_to_dn` as an operator.

    >>> ReflectanceToDN()(np.array([[0.5, np.nan]], dtype="float32"))
    array([[5000,    0]], dtype=uint16)
    """

    def __init__(
        self,
        scale: PerBand = 1e-4,
        offset: PerBand = 0.0,
        axis: int = 0,
        nodata: int = 0,
        dtype: str = "uint16",
    ) -> None:
        self.scale = scale
        self.offset = offset
        self.axis = axis
        self.nodata = nodata
        self.dtype = dtype

    def _apply(self, raster: Raster) -> Raster:
        return reflectance_to_dn(
            raster, self.scale, self.offset, self.axis, self.nodata, self.dtype
        )


class Gamma(Operator):
    """Raise to 1 / g, which brightens for `g` above 1: `gamma` as an operator.

    >>> Gamma(2.0)(np.array([[0.25]], dtype="float32"))
    array([[0.5]], dtype=float32)
    """

    def __init__(self, g: float, dtype: str = "float32") -> None:
        if not (np.isfinite(g) and g > 0):
            raise ValueError(f"g must be a positive number, got {g}")
        self.g = g
        self.dtype = dtype

    def _apply(self, raster: Raster) -> Raster:
        return gamma(raster, self.g, self.dtype)


class HarmonizeBaseline(Operator):
    """Take away Sentinel-2's +1000 where it is still in: `harmonize_baseline` as an operator.

    >>> HarmonizeBaseline()(np.array([[0, 3000]], dtype="uint16"))
    array([[   0, 2000]], dtype=uint16)
    """

    def __init__(self, offset: int = -1000, baseline: str | None = None, nodata: int = 0) -> None:
        self.offset = offset
        self.baseline = baseline
        self.nodata = nodata

    def _apply(self, raster: Raster) -> Raster:
        return harmonize_baseline(raster, self.offset, self.baseline, self.nodata)


class PercentileClip(Operator):
    """Stretch each band between its percentiles to 0..1: `percentile_clip` as an operator.

    >>> PercentileClip(25, 75)(np.array([[[0.0, 1.0, 2.0, 3.0, 4.0]]]))
    array([[[0. , 0. , 0.5, 1. , 1. ]]], dtype=float32)
    """

    def __init__(
        self,
        p_min: float = 2.0,
        p_max: float = 98.0,
        axis: int = 0,
        sample: int | None = None,
        dtype: str = "float32",
    ) -> None:
        _check_percentiles(p_min, p_max)
        self.p_min = p_min
        self.p_max = p_max
        self.axis = axis
        self.sample = sample
        self.dtype = dtype

    def _apply(self, raster: Raster) -> Raster:
        return percentile_clip(raster, self.p_min, self.p_max, self.axis, self.sample, self.dtype)
