"""Digital numbers to reflectance and back, and stretches for display."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from geotoolz.bands import (
    PerBand,
    band_names,
    band_views,
    coded_bands,
    on_quantities,
    per_band,
    put_codes,
)
from geotoolz.carrier import (
    NAN,
    Fill,
    Raster,
    Values,
    attrs_of,
    carry_nodata,
    fill_of,
    float_dtype,
    nan_floats,
    rewrap,
    valid_values,
    values_of,
)
from geotoolz.function_operator import FunctionOperator, PerPixel, parameters_of
from pipekit.operator import Operator, checked_number
from pipekit.pixels import band_key, check_fill, equal_mask, keep_off, whole_numbers


def to_float(raster: Raster, dtype: DTypeLike = "float32") -> Raster:
    """Return the raster in a float dtype, nodata as NaN; always a copy.

    Parameters
    ----------
    raster
        Any shape and numeric dtype.
    dtype
        Of the result, a float type.

    Returns
    -------
    (C, H, W) of `dtype`.

    Examples
    --------
    >>> to_float(np.array([[1, 2]], dtype="uint16")).dtype
    dtype('float32')
    """
    out = rewrap(raster, nan_floats(values_of(raster), fill_of(raster), dtype), fill=NAN)
    put_codes(out, raster, coded_bands(raster))
    return out


@on_quantities
def dn_to_reflectance(
    raster: Raster,
    scale: PerBand = 1e-4,
    offset: PerBand = 0.0,
    axis: int = 0,
    dtype: DTypeLike = "float32",
) -> Raster:
    """Return reflectance = digital number x scale + offset, nodata as NaN.

    Parameters
    ----------
    raster
        Digital numbers, (C, H, W) uint16 or any other shape and dtype.
    scale, offset
        One number, or one per band on `axis`. Sentinel-2 L2A: 1e-4 and 0 once the +1000 offset is
        away (`HarmonizeBaseline`), 1e-4 and -0.1 while it is in. Landsat Collection 2: 2.75e-5 and
        -0.2 (USGS LSDS-1619).
    axis
        Of the bands in the raster.
    dtype
        Of the result, a float type.

    Returns
    -------
    Floats of `dtype`, unitless, mostly 0 to 1.

    Examples
    --------
    >>> dn_to_reflectance(np.array([[0, 5000]], dtype="uint16"))
    array([[0. , 0.5]], dtype=float32)
    """
    values = values_of(raster)
    kind = float_dtype(dtype)
    # Converting and then scaling in place takes a quarter less time than one mixed-type multiply,
    # which goes through a small buffer.
    out = values.astype(kind)
    carry_nodata(out, values, fill_of(raster))
    np.multiply(out, per_band(scale, values, axis, kind, "scale"), out=out)
    if not isinstance(offset, (int, float)) or offset != 0:
        np.add(out, per_band(offset, values, axis, kind, "offset"), out=out)
    return rewrap(raster, out, fill=NAN, attrs={"long_name": "reflectance", "units": ""})


@on_quantities
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

    Parameters
    ----------
    raster
        (C, H, W), any numeric dtype.
    scale
        Reflectance of one digital number; one number, or one per band on `axis`.
    offset
        Reflectance of digital number 0; one number, or one per band on `axis`.
    axis
        Of the bands in the raster.
    nodata
        The digital number that stands for no data.
    dtype
        Of the result, an integer type.

    Returns
    -------
    (C, H, W) of `dtype`.

    Examples
    --------
    >>> reflectance_to_dn(np.array([[np.nan, 0.5, 9.0, 0.0]], dtype="float32"))
    array([[    0,  5000, 65535,     1]], dtype=uint16)
    """
    values = values_of(raster)
    kind = _integer_dtype(dtype, nodata)
    work = np.float32 if kind.itemsize < 4 else np.float64
    scaled = values.astype(work)
    shift = per_band(offset, values, axis, np.dtype(work), "offset")
    np.subtract(scaled, shift, out=scaled)
    np.divide(scaled, per_band(scale, values, axis, np.dtype(work), "scale"), out=scaled)
    out = whole_numbers(scaled, kind, nodata, equal_mask(values, fill_of(raster)), scratch=True)
    return rewrap(raster, out, fill=nodata, attrs={"long_name": "digital number"})


@on_quantities
def quantize(
    raster: Raster, low: float = 0.0, high: float = 1.0, dtype: DTypeLike = "uint8"
) -> Raster:
    """Store values from `low` to `high` as whole numbers, and say how readers get them back.

    Probabilities take a quarter of the room so, and an error of at most half a step. Values beyond
    the range stop at its ends. One number of the dtype, the last of unsigned ones and the first of
    signed ones, marks nodata.

    Parameters
    ----------
    raster
        (C, H, W), any numeric dtype.
    low, high
        The range that is stored.
    dtype
        Of the result, an integer type such as "uint8" or "int16".

    Returns
    -------
    (C, H, W) of `dtype`; value = number * `attrs["scale_factor"]` + `attrs["add_offset"]`, which
    files carry as their scale and offset.

    Examples
    --------
    >>> quantize(np.array([[0.0, 0.5, 1.0, np.nan]]))
    array([[  0, 127, 254, 255]], dtype=uint8)
    """
    kind = _integer_dtype(dtype, 0)
    limits, signed = np.iinfo(kind), kind.kind == "i"
    first, last = limits.min + signed, limits.max - (not signed)
    nodata = limits.min if signed else limits.max
    scale = (high - low) / (last - first)
    shift = low - first * scale
    values = values_of(raster)
    scaled = values.astype(np.float32 if kind.itemsize < 2 else np.float64)
    np.subtract(scaled, shift, out=scaled)
    np.divide(scaled, scale, out=scaled)
    out = whole_numbers(scaled, kind, nodata, equal_mask(values, fill_of(raster)), scratch=True)
    return rewrap(raster, out, fill=nodata, attrs={"scale_factor": scale, "add_offset": shift})


def _integer_dtype(dtype: DTypeLike, nodata: int) -> np.dtype[Any]:
    kind = np.dtype(dtype).newbyteorder("=")
    if kind.kind not in "iu":
        raise ValueError(f"dtype must be an integer type such as 'uint16', got {kind.name!r}")
    check_fill(nodata, kind, "nodata")
    return kind


@on_quantities
def apply_offset(raster: Raster, offset: PerBand, axis: int = 0) -> Raster:
    """Return the raster plus `offset`, in its own dtype, nodata left alone.

    Integers stay within their range instead of wrapping, and valid ones keep off the fill value.

    Parameters
    ----------
    raster
        (C, H, W), any numeric dtype.
    offset
        One number, or one per band on `axis`.
    axis
        Of the bands in the raster.

    Returns
    -------
    (C, H, W) in the raster's dtype.

    Raises
    ------
    ValueError
        For a fractional offset to integers.

    Examples
    --------
    >>> apply_offset(np.array([[0, 300]], dtype="uint16"), -100)
    array([[  0, 200]], dtype=uint16)
    """
    return rewrap(raster, _shifted(values_of(raster), offset, axis, fill_of(raster)))


@on_quantities
def harmonize_baseline(
    raster: Raster, offset: int = -1000, baseline: str | None = None, nodata: int = 0
) -> Raster:
    """Take away the +1000 that Sentinel-2 digital numbers carry since baseline 04.00.

    From 25 January 2022 products add 1000 to every digital number, so that dark surfaces can be
    slightly negative (ESA, Sentinel-2 Products Specification, RADIO_ADD_OFFSET). Afterwards scenes
    of all years compare.

    Nothing changes where the carrier's `offset_applied` is true or the baseline is before 04.00,
    nor in classes, bits and masks, and bands that `attrs["band_names"]` calls AOT, WVP, by the
    name of a picture (TCI, visual) or of a probability (CLD, SNW, cloud, snow).
    Integers do not wrap: a valid number that would fall to `nodata` or below, stays just above it
    (1 for uint16). A plain array tells nothing, so it is shifted. A `GeoTensor` with neither
    `offset_applied` nor `processing_baseline` raises ValueError rather than be guessed at, and so
    does one that `dn_to_reflectance` made.

    Parameters
    ----------
    raster
        Digital numbers, any shape, integer or float.
    offset
        What to add.
    baseline
        Such as "05.10", in place of what the carrier says.
    nodata
        Stays what it is, as does the raster's own fill value.

    Returns
    -------
    (C, H, W) in the raster's dtype; the raster itself where the offset is not in.

    Raises
    ------
    ValueError
        For reflectance, or a raster that does not tell its baseline.

    Examples
    --------
    >>> harmonize_baseline(np.array([[0, 900, 3000]], dtype="uint16"))
    array([[   0,    1, 2000]], dtype=uint16)
    """
    if not _offset_is_in(raster, baseline):
        return raster
    if attrs_of(raster).get("long_name") == "reflectance":
        raise ValueError(
            "the offset is in digital numbers, got reflectance; put HarmonizeBaseline() before "
            "DNToReflectance(), or take it away there with offset=-0.1"
        )
    values = values_of(raster)
    out = _shifted(values, offset, 0, nodata)
    if (own := fill_of(raster)) not in (None, nodata):
        missing = equal_mask(values, own)
        keep_off(out, own)
        if missing is not None:
            out[missing] = own
    names = band_names(raster)
    if values.shape[-3:-2] == (len(names),):
        kept = [band for band, name in enumerate(names) if band_key(name) in _WITHOUT_OFFSET]
        out[..., kept, :, :] = values[..., kept, :, :]
    return rewrap(raster, out, attrs={"offset_applied": True})


PROBABILITIES = {"cld", "snw", "cloud", "snow", "cldprb", "snwprb", "msk_cldprb", "msk_snwprb"}
"""Sentinel-2's shares of cloud and snow in percent: 0 says that there is none."""

_WITHOUT_OFFSET = {"aot", "wvp", "tci", "visual", *PROBABILITIES}


def _shifted(values: Values, offset: PerBand, axis: int, nodata: Fill) -> Values:
    """Return values + offset in their own dtype, with nodata as it was."""
    if values.dtype.kind not in "iu":
        out = values + per_band(offset, values, axis, values.dtype, "offset")
        keep_off(out, nodata)
        invalid = equal_mask(values, nodata)
        if invalid is not None:
            out[invalid] = nodata
        return out
    shifts: list[float] = [offset] if isinstance(offset, int) else []
    # A number for all is the common case, on thousands of chips: no arrays are made for it.
    if not shifts:
        shifts = np.ravel(per_band(offset, values, axis, np.dtype(np.float64), "offset")).tolist()
    if any(shift % 1 != 0 for shift in shifts):
        raise ValueError(
            f"{values.dtype.name} can't take a fractional offset, got {offset}; "
            "put ToFloat32() before"
        )
    out = np.empty_like(values)
    one = len(shifts) == 1
    bands, targets = [([a] if one else band_views(a, axis)) for a in (values, out)]
    for band, target, shift in zip(bands, targets, shifts, strict=True):
        _shift_integers(band, target, int(shift), nodata)
    return out


def _shift_integers(values: Values, out: Values, shift: int, nodata: Fill) -> None:
    """Put values + shift into `out`, within the range; nodata is kept and never landed on."""
    kind = values.dtype
    limits = np.iinfo(kind)
    floor = limits.min + (nodata == limits.min)
    bound, limit = (np.maximum, floor - shift) if shift < 0 else (np.minimum, limits.max - shift)
    if not limits.min <= limit <= limits.max:
        out[...] = floor if shift < 0 else limits.max
    else:
        # Bounded before it is shifted, so that nothing is out of range after it: then unsigned
        # arithmetic, which wraps by definition, gives the right bits for signed types too.
        bound(values, kind.type(limit), out=out)
        bits = out.view(f"u{kind.itemsize}")
        np.add(bits, bits.dtype.type(shift % (1 << 8 * kind.itemsize)), out=bits)
    if nodata != limits.min:
        keep_off(out, nodata)
    invalid = equal_mask(values, nodata)
    if invalid is not None:
        out[invalid] = nodata


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
    digits = str(baseline).lstrip("Nn")
    # Product names write 05.10 as N0510.
    text = f"{digits[:2]}.{digits[2:]}" if len(digits) == 4 and digits.isdigit() else digits
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"a processing baseline looks like '05.10', got {baseline!r}") from None


class ToFloat32(Operator):
    """Convert to float32, nodata as NaN.

    Examples
    --------
    >>> ToFloat32()(np.array([[1, 2]], dtype="uint16"))
    array([[1., 2.]], dtype=float32)
    """

    radius = 0
    takes_batches = False
    keeps_bands = True

    def _apply(self, raster: Raster) -> Raster:
        return to_float(raster, np.float32)


class DNToReflectance(PerPixel):
    """Convert digital numbers to reflectance: `dn_to_reflectance` as an operator.

    Examples
    --------
    >>> DNToReflectance(scale=1e-4)
    DNToReflectance(scale=0.0001, offset=0.0, axis=0, dtype='float32')
    >>> DNToReflectance()(np.array([[0, 5000]], dtype="uint16"))
    array([[0. , 0.5]], dtype=float32)
    """

    @parameters_of(dn_to_reflectance)
    def __init__(self) -> None: ...


class ReflectanceToDN(PerPixel):
    """Convert reflectance back to digital numbers: `reflectance_to_dn` as an operator.

    Examples
    --------
    >>> ReflectanceToDN()(np.array([[0.5, np.nan]], dtype="float32"))
    array([[5000,    0]], dtype=uint16)
    """

    @parameters_of(reflectance_to_dn)
    def __init__(self) -> None:
        _integer_dtype(self.dtype, self.nodata)


class Quantize(PerPixel):
    """Store a range of values as whole numbers with a scale: `quantize` as an operator.

    Raises
    ------
    ValueError
        For a `low` that is not below `high`.

    Examples
    --------
    >>> Quantize(dtype="int16")(np.array([[0.0, 1.0]]))
    array([[-32767,  32767]], dtype=int16)
    """

    @parameters_of(quantize)
    def __init__(self) -> None:
        _integer_dtype(self.dtype, 0)
        if not self.low < self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")


class ApplyOffset(PerPixel):
    """Add an offset without wrapping integers: `apply_offset` as an operator.

    Examples
    --------
    >>> ApplyOffset(-100)(np.array([[0, 300]], dtype="uint16"))
    array([[  0, 200]], dtype=uint16)
    """

    @parameters_of(apply_offset)
    def __init__(self) -> None: ...


class HarmonizeBaseline(PerPixel):
    """Take away Sentinel-2's +1000 where it is still in: `harmonize_baseline` as an operator.

    Examples
    --------
    >>> HarmonizeBaseline()(np.array([[0, 3000]], dtype="uint16"))
    array([[   0, 2000]], dtype=uint16)
    """

    @parameters_of(harmonize_baseline)
    def __init__(self) -> None: ...


@on_quantities
def dark_object_subtraction(
    raster: Raster,
    percentile: float = 0.1,
    dark_reflectance: float = 0.01,
    axis: int = 0,
    dtype: DTypeLike = "float32",
) -> Raster:
    """Return surface reflectance estimated by taking the haze off top-of-atmosphere reflectance.

    The darkest pixels of each band (its `percentile`) are assumed to reflect `dark_reflectance`;
    what they show above that is path radiance and is subtracted from the band (Chavez 1988,
    doi:10.1016/0034-4257(88)90019-3; 1 % after Chavez 1996). Never below 0; a band darker than
    the assumption is left alone. Nodata is NaN.

    Parameters
    ----------
    raster
        (C, H, W) reflectance, 0 to 1.
    percentile
        0 to 100.
    dark_reflectance
        What the darkest pixels are taken to reflect, 0 to 1.
    axis
        Of the bands in the raster.
    dtype
        Of the result, a float type.

    Returns
    -------
    (C, H, W) of `dtype`, 0 or more.

    Examples
    --------
    >>> dark_object_subtraction(np.array([[[0.06, 0.26]]], dtype="float32"), percentile=0).round(3)
    array([[[0.01, 0.21]]], dtype=float32)
    """
    checked_number(percentile, "percentile", 0, 100)
    (dark,) = percentiles_of(raster, (percentile,), axis)
    out = nan_floats(values_of(raster), fill_of(raster), dtype)
    haze = np.maximum(dark - dark_reflectance, 0.0).astype(out.dtype)
    for band, each in zip(band_views(out, axis), haze, strict=True):
        np.maximum(np.subtract(band, each, out=band), 0.0, out=band)
    return rewrap(raster, out, fill=NAN)


class TOAToBOA_DOS(FunctionOperator):  # noqa: N801
    """Take haze off by dark-object subtraction: `dark_object_subtraction` as an operator.

    Examples
    --------
    >>> TOAToBOA_DOS(percentile=0)(np.array([[[0.06, 0.26]]], dtype="float32")).round(3)
    array([[[0.01, 0.21]]], dtype=float32)
    """

    @parameters_of(dark_object_subtraction)
    def __init__(self) -> None:
        checked_number(self.percentile, "percentile", 0, 100)


@on_quantities
def percentile_clip(
    raster: Raster,
    p_min: float = 2.0,
    p_max: float = 98.0,
    axis: int = 0,
    sample: int | None = None,
    dtype: DTypeLike = "float32",
) -> Raster:
    """Stretch each band from its own percentiles to 0..1 and clip what lies outside.

    Nodata does not count and stays NaN. A band whose percentiles coincide becomes 0, a band without
    valid pixels stays NaN.

    Parameters
    ----------
    raster
        (C, H, W), or (H, W) taken as one band; any numeric dtype.
    p_min, p_max
        Percentiles, 0 <= p_min < p_max <= 100, linearly interpolated.
    axis
        Of the bands in the raster.
    sample
        Estimate the percentiles from about this many evenly spaced pixels a band; the result's
        `attrs["stretch"]` says so. By default every pixel counts.
    dtype
        Of the result, a float type.

    Returns
    -------
    (C, H, W) of `dtype`, 0 to 1.

    Examples
    --------
    >>> percentile_clip(np.array([[[0.0, 1.0, 2.0, 3.0, 4.0]]]), 25, 75)
    array([[[0. , 0. , 0.5, 1. , 1. ]]], dtype=float32)
    """
    check_percentiles(p_min, p_max)
    _check_sample(sample)
    how = "all pixels" if sample is None else f"about {sample} pixels a band"
    attrs = {"stretch": f"percentiles {p_min:g} to {p_max:g} of {how}"}
    low, high = percentiles_of(raster, (p_min, p_max), axis, sample)
    return stretched(raster, (low, high - low), axis, dtype, attrs)


@on_quantities
def min_max(
    raster: Raster,
    min_val: float | None = None,
    max_val: float | None = None,
    axis: int = 0,
    dtype: DTypeLike = "float32",
) -> Raster:
    """Stretch to 0..1 between `min_val` and `max_val` and clip; each band's own where not given.

    Nodata does not count and stays NaN. A constant band becomes 0.

    Parameters
    ----------
    raster
        (C, H, W), or (H, W) taken as one band.
    min_val
        What becomes 0; each band's least valid value where not given.
    max_val
        What becomes 1; each band's greatest valid value where not given.
    axis
        Of the bands in the raster.
    dtype
        Of the result, a float type.

    Returns
    -------
    (C, H, W) of `dtype`, 0 to 1.

    Examples
    --------
    >>> min_max(np.array([[[2.0, 3.0, 4.0]]]))
    array([[[0. , 0.5, 1. ]]], dtype=float32)
    """
    _check_limits(min_val, max_val)
    fill = fill_of(raster)

    def limits(band: Values) -> tuple[float, float]:
        both = min_val is not None and max_val is not None
        least, most = (0.0, 0.0) if both else _valid_range(band, fill)
        low = least if min_val is None else min_val
        return low, (most if max_val is None else max_val) - low

    return stretched(raster, limits, axis, dtype)


def percentiles_of(
    raster: Raster, percentiles: Sequence[float], axis: int = 0, sample: int | None = None
) -> Values:
    """Return percentiles of each band's valid values, NaN where there are none.

    Parameters
    ----------
    raster
        (C, H, W), or (H, W) as a single band; any numeric dtype.
    percentiles
        0 to 100.
    axis
        Of the bands in the raster.
    sample
        How many pixels of a band to look at, about; all by default.

    Returns
    -------
    (len(percentiles), C) float64.

    Examples
    --------
    >>> percentiles_of(np.arange(5.0).reshape(1, 1, 5), (0, 50)).tolist()
    [[0.0], [2.0]]
    """
    values, fill = values_of(raster), fill_of(raster)
    found: list[Any] = []
    for band in band_views(values, axis):
        if sample is not None and band.size > sample:
            band = band.reshape(-1)[:: max(1, band.size // sample)]
        valid = valid_values(band, fill)
        found.append(np.percentile(valid, percentiles) if valid.size else [NAN] * len(percentiles))
    return np.reshape(found, (-1, len(percentiles))).T


def stretched(
    raster: Raster,
    limits: tuple[Values, Values] | Callable[[Values], tuple[float, float]],
    axis: int,
    dtype: DTypeLike,
    attrs: dict[str, Any] | None = None,
    *,
    clip: bool = True,
) -> Raster:
    """Return (band - low) / span for each band, by default cut to 0 and 1; nodata as NaN.

    Parameters
    ----------
    raster
        (C, H, W), or (H, W) as a single band; any numeric dtype.
    limits
        (low, span), one number or (C,) each, or a function that gives both for a band, called just
        before it is stretched, while it is in the processor's cache. A span that is not positive
        counts as 1, so that a constant band is 0.
    axis
        Of the bands in the raster.
    dtype
        Of the result, a float type.
    attrs
        To add to the raster's.
    clip
        Whether what is below 0 becomes 0, and what is above 1 becomes 1.

    Returns
    -------
    (C, H, W) of `dtype`.

    Examples
    --------
    >>> stretched(np.array([[[2.0, 4.0, 6.0]]]), (np.array(2), np.array(2)), 0, "float32")
    array([[[0., 1., 1.]]], dtype=float32)
    """
    values, fill = values_of(raster), fill_of(raster)
    out = np.empty(values.shape, float_dtype(dtype))
    sources, targets = band_views(values, axis), band_views(out, axis)
    each: Iterable[tuple[float, float]]
    if callable(limits):
        each = map(limits, sources)
    else:
        low, span = (np.broadcast_to(limit, len(sources)).tolist() for limit in limits)
        each = zip(low, span, strict=True)
    for source, target, (shift, width) in zip(sources, targets, each, strict=True):
        np.subtract(source, shift, out=target, dtype=target.dtype, casting="unsafe")
        np.multiply(target, 1.0 / (width if not width <= 0 else 1.0), out=target)
        if clip:
            np.clip(target, 0.0, 1.0, out=target)
        carry_nodata(target, source, fill)
    return rewrap(raster, out, fill=NAN, attrs=attrs)


def _valid_range(band: Values, fill: Fill) -> tuple[float, float]:
    low = band.min() if band.size else np.nan
    # Without NaN (it would be the minimum) and without a fill value at or above the minimum, all
    # values are valid: two passes and no mask.
    if low == low and (fill is None or not fill >= low):
        return float(low), float(band.max())
    valid = valid_values(band, fill)
    return (float(valid.min()), float(valid.max())) if valid.size else (NAN, NAN)


def _check_limits(low: float | None, high: float | None) -> None:
    if low is not None and high is not None and not low < high:
        raise ValueError(f"min_val must be below max_val, got min_val={low}, max_val={high}")


def _check_sample(sample: int | None) -> None:
    if sample is not None and sample < 1:
        raise ValueError(f"sample must be a positive number of pixels, got {sample}")


def check_percentiles(p_min: float, p_max: float) -> None:
    """Raise ValueError unless 0 <= p_min < p_max <= 100.

    Parameters
    ----------
    p_min
        The lower percentile.
    p_max
        The upper percentile.

    Raises
    ------
    ValueError
        Naming both.

    Examples
    --------
    >>> check_percentiles(2, 98)
    """
    if not 0 <= p_min < p_max <= 100:
        raise ValueError(
            f"percentiles must satisfy 0 <= p_min < p_max <= 100, got p_min={p_min}, p_max={p_max}"
        )


@on_quantities
def gamma(raster: Raster, g: float, dtype: DTypeLike = "float32") -> Raster:
    """Return raster ** (1 / g): `g` above 1 brightens the dark parts of a 0..1 picture.

    This is the convention of displays, rio-color and Earth Engine. Values below 0 count as 0;
    nodata stays NaN.

    Parameters
    ----------
    raster
        (C, H, W), any numeric dtype.
    g
        The display's gamma, positive; 1 changes nothing.
    dtype
        Of the result, a float type.

    Returns
    -------
    (C, H, W) of `dtype`.

    Examples
    --------
    >>> gamma(np.array([[0.0, 0.25, 1.0]], dtype="float32"), 2.0)
    array([[0. , 0.5, 1. ]], dtype=float32)
    """
    checked_number(g, "g", 0, inside=True)
    values = values_of(raster)
    out = np.maximum(values.astype(float_dtype(dtype), copy=False), 0)
    np.power(out, 1.0 / g, out=out)
    carry_nodata(out, values, fill_of(raster))
    return rewrap(raster, out, fill=NAN)


class PercentileClip(FunctionOperator):
    """Stretch each band between its percentiles to 0..1: `percentile_clip` as an operator.

    Examples
    --------
    >>> PercentileClip(25, 75)(np.array([[[0.0, 1.0, 2.0, 3.0, 4.0]]]))
    array([[[0. , 0. , 0.5, 1. , 1. ]]], dtype=float32)
    """

    @parameters_of(percentile_clip)
    def __init__(self) -> None:
        check_percentiles(self.p_min, self.p_max)
        _check_sample(self.sample)


class MinMax(FunctionOperator):
    """Stretch to 0..1 between two values: `min_max` as an operator.

    Examples
    --------
    >>> MinMax()(np.array([[[2.0, 3.0, 4.0]]]))
    array([[[0. , 0.5, 1. ]]], dtype=float32)
    """

    @parameters_of(min_max)
    def __init__(self) -> None:
        _check_limits(self.min_val, self.max_val)

    @property
    def radius(self) -> int | None:
        """0 between two given values; without them the whole chip's are looked for."""
        return None if self.min_val is None or self.max_val is None else 0


class Gamma(PerPixel):
    """Raise to 1 / g, which brightens for `g` above 1: `gamma` as an operator.

    Examples
    --------
    >>> Gamma(2.0)(np.array([[0.25]], dtype="float32"))
    array([[0.5]], dtype=float32)
    """

    @parameters_of(gamma)
    def __init__(self) -> None:
        checked_number(self.g, "g", 0, inside=True)
