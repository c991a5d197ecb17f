"""Focal statistics: each pixel from those in a window around it, in map algebra's sense (Tomlin).

They say how far they look, so that a scene cut into chips gives what the whole scene gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocatalog.read.onto_grid import is_rounded
from geotoolz.bands import on_quantities
from geotoolz.carrier import NAN, Fill, Raster, Values, fill_of, pair, rewrap, values_of
from geotoolz.function_operator import FunctionOperator, parameters_of
from pipekit.operator import checked_option
from pipekit.pixels import equal_mask, invalid_mask, keep_off

MODES = ("reflect", "mirror", "nearest")
"""What lies beyond a raster's edge: its pixels mirrored with or without the outermost, or that.

scipy's "wrap" takes those of the other side, which is no neighbourhood.
"""

_WINDOWS = 2**22
"""Values that are sorted at a time where windows lack pixels."""

Size = int | tuple[int, int]


@on_quantities
def focal_mean(raster: Raster, size: Size = 3, mode: str = "reflect", axis: int = 0) -> Raster:
    """Return the mean of the valid pixels in a window around each pixel.

    A pixel without data stays without. Classes, bits and masks stay as they are.

    Parameters
    ----------
    raster
        (..., H, W), each (H, W) plane by itself.
    size
        Of the window in pixels, odd: one number or (rows, cols).
    mode
        What lies beyond the edge: "reflect", "mirror" or "nearest", as scipy.ndimage has them.
    axis
        Of the bands in the raster, to tell quantities from classes.

    Returns
    -------
    (..., H, W) float32, or float64 of float64; nodata as NaN.

    Raises
    ------
    ValueError
        For an even size or another mode.

    Examples
    --------
    >>> focal_mean(np.array([[[0.0, 3.0, np.nan, 3.0]]], "float32"), (1, 3))
    array([[[1. , 1.5, nan, 3. ]]], dtype=float32)
    """
    window = _checked(size, mode)
    given, fill = values_of(raster), fill_of(raster)
    dtype = given.dtype if given.dtype == np.float64 else np.dtype(np.float32)
    out = np.empty(given.shape, dtype)
    for plane, target in _planes(given, out):
        _mean(plane, invalid_mask(plane, fill), window, mode, target)
    return rewrap(raster, out, fill=NAN)


def _mean(
    plane: Values, invalid: NDArray[np.bool_] | None, window: Any, mode: str, out: Values
) -> None:
    """Put the mean of the valid pixels around each one of (H, W) into `out`."""
    from scipy.ndimage import maximum_filter, uniform_filter

    values = plane.astype(out.dtype, copy=False)
    unknown = invalid
    infinite = [values == sign * np.inf for sign in (1, -1)] if np.isinf(values).any() else []
    for where in infinite:  # a running sum that meets one never gets rid of it
        unknown = where if unknown is None else unknown | where
    if unknown is None:
        uniform_filter(values, window, output=out, mode=mode)
        return
    uniform_filter(np.where(unknown, values.dtype.type(0), values), window, output=out, mode=mode)
    known = uniform_filter((~unknown).astype(np.float64), window, mode=mode)
    with np.errstate(divide="ignore", invalid="ignore"):
        np.divide(out, known, out=out, casting="same_kind")
    near = [maximum_filter(where, window, mode=mode) for where in infinite]
    if near:
        out[near[0]], out[near[1]], out[near[0] & near[1]] = np.inf, -np.inf, np.nan
    if invalid is not None:
        out[invalid] = np.nan


@on_quantities
def focal_median(raster: Raster, size: Size = 3, mode: str = "reflect", axis: int = 0) -> Raster:
    """Return the median of the valid pixels in a window around each pixel.

    A pixel without data stays without. Classes, bits and masks stay as they are. Where the valid
    pixels are even in number, floats take the mean of the two in the middle, whole numbers the
    lower.

    Parameters
    ----------
    raster
        (..., H, W), each (H, W) plane by itself.
    size
        Of the window in pixels, odd: one number or (rows, cols).
    mode
        What lies beyond the edge: "reflect", "mirror" or "nearest", as scipy.ndimage has them.
    axis
        Of the bands in the raster, to tell quantities from classes.

    Returns
    -------
    (..., H, W) in the raster's dtype.

    Raises
    ------
    ValueError
        For an even size or another mode.

    Examples
    --------
    >>> focal_median(np.array([[[1, 9, 2, 3]]], "uint16"), (1, 3))
    array([[[1, 2, 3, 3]]], dtype=uint16)
    """
    window = _checked(size, mode)
    given, fill = values_of(raster), fill_of(raster)
    out = np.empty_like(given)
    for plane, target in _planes(given, out):
        _median(plane, fill, window, mode, target)
    return rewrap(raster, out)


def _median(plane: Values, fill: Fill, window: Any, mode: str, out: Values) -> None:
    """Put the median of the valid pixels around each one of (H, W) into `out`."""
    from scipy.ndimage import maximum_filter, median_filter

    invalid = invalid_mask(plane, fill)
    if is_rounded(plane):
        # scipy counts in doubles; the places of the numbers in their order have the same median.
        numbers, places = np.unique(plane, return_inverse=True)
        own, marked = places.astype(np.int32).reshape(plane.shape), equal_mask(numbers, fill)
        found = np.empty_like(own)
        _median(own, None if marked is None else int(marked.argmax()), window, mode, found)
        out[...] = numbers[found]
        return
    # Half floats are unknown to scipy.
    values = plane.astype(np.float32) if plane.dtype == np.float16 else plane
    if invalid is None:
        out[...] = median_filter(values, window, mode=mode)
        return
    out[...] = median_filter(np.where(invalid, values.dtype.type(0), values), window, mode=mode)
    out[invalid] = plane[invalid]
    lacking = maximum_filter(invalid, window, mode=mode) & ~invalid
    # As large as values get, so that pixels without data are sorted behind the others.
    kind: Any = values.dtype
    last = np.inf if kind.kind == "f" else np.iinfo(kind).max
    rims = [(length // 2, length // 2) for length in window]
    padding: Any = {"reflect": "symmetric", "mirror": "reflect", "nearest": "edge"}[mode]
    padded = np.pad(np.where(invalid, values.dtype.type(last), values), rims, mode=padding)
    valid = np.pad(~invalid, rims, mode=padding)
    around, counted = (np.lib.stride_tricks.sliding_window_view(a, window) for a in (padded, valid))
    rows, cols = np.nonzero(lacking)
    step = max(1, _WINDOWS // (window[0] * window[1]))
    for start in range(0, len(rows), step):
        at = rows[start : start + step], cols[start : start + step]
        some = np.sort(around[at].reshape(len(at[0]), -1), axis=1)
        count = counted[at].reshape(len(at[0]), -1).sum(axis=1)
        each = np.arange(len(count))
        low = some[each, (count - 1) // 2]
        out[at] = (low + some[each, count // 2]) / 2 if values.dtype.kind == "f" else low
    if values.dtype.kind == "f" and fill is not None:
        keep_off(out, fill, ~invalid)


def _planes(values: Values, out: Values) -> Iterator[tuple[Values, Values]]:
    """Yield each (H, W) plane of a raster beside that of the result."""
    if values.ndim < 2:
        raise ValueError(f"a window needs rows and columns (H, W), got shape {values.shape}")
    for index in np.ndindex(values.shape[:-2]):
        yield values[index], out[index]


def _checked(size: Size, mode: str) -> tuple[int, int]:
    """Return a window's (rows, cols) that have a middle, and check the mode."""
    checked_option(mode, "mode", MODES)
    rows, cols = pair(size)
    if rows % 2 == 0 or cols % 2 == 0:
        raise ValueError(
            f"size must be odd, so that a pixel lies in the middle, got {size}; "
            f"use {(rows | 1, cols | 1)}"
        )
    return rows, cols


_HALF_WINDOW: Any = property(
    lambda operator: max(pair(operator.size)) // 2,
    doc="Half of the window's longer side, less the pixel in the middle.",
)


class FocalMean(FunctionOperator):
    """Mean of a window around each pixel: `focal_mean` as an operator.

    Examples
    --------
    >>> FocalMean(9).radius, FocalMean((1, 3))(np.array([[0.0, 3.0, 6.0]], "float32"))
    (4, array([[1., 3., 5.]], dtype=float32))
    """

    radius = _HALF_WINDOW

    @parameters_of(focal_mean)
    def __init__(self) -> None:
        _checked(self.size, self.mode)


class FocalMedian(FunctionOperator):
    """Median of a window around each pixel: `focal_median` as an operator.

    Examples
    --------
    >>> FocalMedian(31).radius, FocalMedian((1, 3))(np.array([[0, 9, 6]], "uint16"))
    (15, array([[0, 6, 6]], dtype=uint16))
    """

    radius = _HALF_WINDOW

    @parameters_of(focal_median)
    def __init__(self) -> None:
        _checked(self.size, self.mode)
