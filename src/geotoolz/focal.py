"""Focal means: each pixel from those in a window around it, in map algebra's sense (Tomlin).

They say how far they look, so that a scene cut into chips gives what the whole scene gives.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geotoolz.bands import on_quantities
from geotoolz.carrier import NAN, Raster, Values, fill_of, pair, rewrap, values_of
from geotoolz.function_operator import FunctionOperator, check_choice, parameters_of
from pipekit.pixels import invalid_mask

MODES = ("reflect", "mirror", "nearest")
"""What lies beyond a raster's edge: its pixels mirrored with or without the outermost, or that.

scipy's "wrap" takes those of the other side, which is no neighbourhood.
"""

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
    if given.ndim < 2:
        raise ValueError(f"a window needs rows and columns (H, W), got shape {given.shape}")
    dtype = given.dtype if given.dtype == np.float64 else np.dtype(np.float32)
    out = np.empty(given.shape, dtype)
    for index in np.ndindex(given.shape[:-2]):
        _mean(given[index], invalid_mask(given[index], fill), window, mode, out[index])
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


def _checked(size: Size, mode: str) -> tuple[int, int]:
    """Return a window's (rows, cols) that have a middle, and check the mode."""
    check_choice(mode, "mode", MODES)
    rows, cols = pair(size)
    if rows % 2 == 0 or cols % 2 == 0:
        raise ValueError(
            f"size must be odd, so that a pixel lies in the middle, got {size}; "
            f"use {(rows | 1, cols | 1)}"
        )
    return rows, cols


class FocalMean(FunctionOperator):
    """Mean of a window around each pixel: `focal_mean` as an operator.

    Examples
    --------
    >>> FocalMean(9).radius, FocalMean((1, 3))(np.array([[0.0, 3.0, 6.0]], "float32"))
    (4, array([[1., 3., 5.]], dtype=float32))
    """

    keeps_bands = True

    @parameters_of(focal_mean)
    def __init__(self) -> None:
        _checked(self.size, self.mode)

    @property
    def radius(self) -> int | None:
        """Half of the window's longer side, less the pixel in the middle."""
        return max(pair(self.size)) // 2
