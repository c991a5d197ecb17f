"""Masks: True means drop."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geotoolz.carrier import NAN, Raster, rewrap, values_of
from pipekit import Operator


def apply_mask(raster: Raster, mask: Raster, fill_value: float | int = NAN) -> Raster:
    """Return a copy with `fill_value` wherever `mask` is True.

    - `raster`: (..., H, W).
    - `mask`: (H, W) or any boolean shape that broadcasts to the raster's without enlarging it.
    - `fill_value`: NaN by default, which only floats can hold.

    Raises ValueError for a mask of another shape or a fill value that the dtype can't hold,
    TypeError for a mask that is not boolean.

    >>> apply_mask(np.ones((1, 1, 3)), np.array([[False, True, False]]))
    array([[[ 1., nan,  1.]]])
    """
    values = values_of(raster)
    where = checked_mask(mask, values.shape)
    _check_fill(fill_value, values.dtype)
    out = values.copy()
    np.copyto(out, values.dtype.type(fill_value), where=where)
    return rewrap(raster, out, fill=fill_value)


def checked_mask(mask: Any, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return `mask` as a plain boolean array that broadcasts to `shape`.

    Raises TypeError when it is not boolean, ValueError when the shapes don't fit.

    >>> checked_mask(np.array([[True, False]]), (3, 1, 2)).shape
    (1, 2)
    """
    where = values_of(mask)
    if where.dtype != np.bool_:
        raise TypeError(
            f"a mask must be boolean (True = drop), got {where.dtype.name}; "
            "compare first, for example mask != 0"
        )
    try:
        fits = np.broadcast_shapes(where.shape, shape) == tuple(shape)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"the mask's shape {where.shape} does not broadcast to the raster's {tuple(shape)}; "
            "the last two axes (H, W) must agree"
        )
    return where


def _check_fill(fill_value: float | int, dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "iu":
        return
    if fill_value != fill_value:
        raise ValueError(
            f"{dtype.name} can't hold NaN; put ToFloat32() before ApplyMask, "
            "or give an integer fill_value such as 0"
        )
    limits = np.iinfo(dtype)
    if fill_value != int(fill_value) or not limits.min <= fill_value <= limits.max:
        raise ValueError(
            f"{dtype.name} can't hold fill_value={fill_value}; it holds integers "
            f"{limits.min} to {limits.max}"
        )


class ApplyMask(Operator):
    """Put a fill value where a mask is True: `apply_mask` as an operator.

    The mask is given once, or as the operator's second input (`op(raster, mask)`, as a graph
    does).

    >>> ApplyMask(np.array([[False, True]]))(np.ones((1, 1, 2)))
    array([[[ 1., nan]]])
    >>> ApplyMask(fill_value=0)(np.ones((1, 1, 2)), np.array([[False, True]]))
    array([[[1., 0.]]])
    """

    def __init__(self, mask: Raster | None = None, fill_value: float | int = NAN) -> None:
        self.mask = mask
        self.fill_value = fill_value

    def _apply(self, raster: Raster, mask: Raster | None = None) -> Raster:
        given = self.mask if mask is None else mask
        if given is None:
            raise TypeError("ApplyMask has no mask: give ApplyMask(mask=...) or op(raster, mask)")
        return apply_mask(raster, given, self.fill_value)
