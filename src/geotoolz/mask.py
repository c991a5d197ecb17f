"""Masks: boolean rasters in which True means drop."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor

from geotoolz.bands import Band, take_band
from geotoolz.carrier import NAN, Mask, Raster, check_place, fill_of, place_of, rewrap, values_of
from geotoolz.function_operator import PerPixel, check_band, parameters_of
from pipekit.operator import Operator, checked_option
from pipekit.pixels import check_fill, equal_mask, invalid_mask
from pipekit.radius import radius_of

_ELSEWHERE = "the mask lies on another grid than the raster"


def apply_mask(raster: Raster, mask: Raster, fill_value: float | int = NAN) -> Raster:
    """Return a copy with `fill_value` wherever `mask` is True, or where there was no data before.

    Parameters
    ----------
    raster
        (..., H, W).
    mask
        (H, W) or any boolean shape that broadcasts to the raster's without enlarging it.
    fill_value
        NaN by default, which only floats can hold. In a boolean raster False marks nothing: no
        value of it is nodata.

    Returns
    -------
    (C, H, W) in the raster's dtype.

    Raises
    ------
    ValueError
        For a mask of another shape or a fill value that the dtype can't hold.
    TypeError
        For a mask that is not boolean.

    Examples
    --------
    >>> apply_mask(np.ones((1, 1, 3)), np.array([[False, True, False]]))
    array([[[ 1., nan,  1.]]])
    """
    values = values_of(raster)
    where = checked_mask(mask, values.shape)
    check_place(raster, place_of(mask), _ELSEWHERE)
    fill_value = check_fill(fill_value, values.dtype, "fill_value")
    out = values.copy()
    np.copyto(out, values.dtype.type(fill_value), where=where)
    # The result has one fill value only: what was nodata by another must not turn into data.
    earlier = equal_mask(values, fill_of(raster))
    if earlier is not None:
        out[earlier] = fill_value
    return rewrap(raster, out, fill=None if out.dtype == np.bool_ else fill_value)


def checked_mask(mask: Any, shape: tuple[int, ...]) -> Mask:
    """Return `mask` as a plain boolean array that broadcasts to `shape`.

    Parameters
    ----------
    mask
        (..., H, W) bool, True = drop.
    shape
        Of the raster that is masked.

    Returns
    -------
    A plain array of bool, not yet broadcast.

    Raises
    ------
    TypeError
        When it is not boolean.
    ValueError
        When the shapes don't fit.

    Examples
    --------
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
        np.broadcast_to(where, shape)
    except ValueError:
        raise ValueError(
            f"the mask's shape {where.shape} does not broadcast to the raster's {tuple(shape)}; "
            "the last two axes (H, W) must agree"
        ) from None
    return where


def combine_masks(*masks: Raster, mode: str = "any") -> Raster:
    """Return one mask from several: True where any of them is, or where all are.

    Parameters
    ----------
    *masks
        (H, W) bool, of one shape.
    mode
        "any" or "all".

    Returns
    -------
    (H, W) bool.

    Raises
    ------
    ValueError
        For no masks, or masks of several shapes or grids.

    Examples
    --------
    >>> combine_masks(np.array([[True, False]]), np.array([[False, False]]))
    array([[ True, False]])
    """
    checked_option(mode, "mode", ("any", "all"))
    if not masks:
        raise ValueError("combine_masks needs at least one mask")
    shape = values_of(masks[0]).shape
    for other in masks[1:]:
        if values_of(other).shape != shape:
            raise ValueError(f"masks must have one shape, got {shape} and {values_of(other).shape}")
        check_place(masks[0], place_of(other), _ELSEWHERE)
    join = np.any if mode == "any" else np.all
    return rewrap(masks[0], join([checked_mask(each, shape) for each in masks], axis=0))


def invert_mask(mask: Raster) -> Raster:
    """Return the mask with True and False exchanged; TypeError when it is not boolean.

    Parameters
    ----------
    mask
        (..., H, W) bool, True = drop.

    Returns
    -------
    (H, W) bool.

    Examples
    --------
    >>> invert_mask(np.array([[True, False]]))
    array([[False,  True]])
    """
    return rewrap(mask, ~checked_mask(mask, values_of(mask).shape))


COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def mask_where(
    raster: Raster,
    comparison: str,
    threshold: float,
    band: Band | None = None,
    axis: int = 0,
    nodata: bool = True,
) -> Raster:
    """Return where the raster compares true with a threshold; True means drop.

    Parameters
    ----------
    raster
        Any shape; with `band`, (C, H, W), and only that band is looked at.
    comparison
        One of < <= > >= == !=.
    threshold
        What is compared with, in the raster's unit.
    band
        Index or name of the only band that is looked at; all values by default.
    axis
        Of the bands in the raster.
    nodata
        What nodata pixels become.

    Returns
    -------
    bool, of the shape that was compared.

    Examples
    --------
    >>> mask_where(np.array([[0.1, 0.6, np.nan]]), "<", 0.2)
    array([[ True, False,  True]])
    """
    checked_option(comparison, "comparison", COMPARISONS)
    values = values_of(raster) if band is None else take_band(raster, band, axis)
    out = COMPARISONS[comparison](values, threshold)
    invalid = invalid_mask(values, fill_of(raster))
    if invalid is not None:
        out[invalid] = nodata
    drop = () if band is None else ("band_names",)
    return rewrap(raster, out, fill=None, drop=drop, attrs={"long_name": "dropped"})


def mask_valid(raster: Raster, how: str = "any") -> Raster:
    """Return where a raster has no data, so that what is valid is kept; True means drop.

    Parameters
    ----------
    raster
        (C, H, W), or (H, W), any numeric dtype.
    how
        "any" drops a pixel that lacks one band, "all" one that lacks every band.

    Returns
    -------
    (H, W) bool.

    Examples
    --------
    >>> mask_valid(np.array([[[1.0, np.nan]], [[np.nan, np.nan]]]), how="all")
    array([[False,  True]])
    """
    checked_option(how, "how", ("any", "all"))
    values = values_of(raster)
    invalid = invalid_mask(values, fill_of(raster))
    out: Mask = np.zeros(values.shape[-2:], bool)
    if invalid is not None:
        out = (np.any if how == "any" else np.all)(invalid.reshape(-1, *out.shape), axis=0)
    return rewrap(raster, out, fill=None, drop=("band_names",), attrs={"long_name": "dropped"})


class ApplyMask(Operator):
    """Put a fill value where a mask is True: `apply_mask` as an operator.

    Parameters
    ----------
    mask
        A boolean array; an operator that makes the mask from the raster itself, such as
        `MaskFromSCL("SCL")`; or nothing, when it comes as the second input (`op(raster, mask)`, as
        from a graph).
    fill_value
        NaN by default, which only floats can hold.

    Raises
    ------
    TypeError
        When it is called without a mask, or with one that is not boolean.
    ValueError
        When it is called, for a mask of another shape or a fill value that the dtype cannot
        hold.

    Examples
    --------
    >>> ApplyMask(np.array([[False, True]]))(np.ones((1, 1, 2)))
    array([[[ 1., nan]]])
    >>> ApplyMask(MaskWhere(">", 2.0))(np.array([[1.0, 3.0]]))
    array([[ 1., nan]])
    >>> ApplyMask(fill_value=0)(np.ones((1, 1, 2)), np.array([[False, True]]))
    array([[[1., 0.]]])
    """

    takes_batches = False

    def __init__(
        self, mask: Raster | Operator | None = None, fill_value: float | int = NAN
    ) -> None:
        # A plain array can be written into a config, a GeoTensor can't.
        self.mask = values_of(mask) if isinstance(mask, GeoTensor) else mask
        self.fill_value = fill_value
        self._place = place_of(mask)

    @property
    def radius(self) -> int | None:
        """That of the operator which makes the mask; a mask given as an array has a place."""
        return 0 if self.mask is None else radius_of(self.mask)

    def _apply(self, raster: Raster, mask: Raster | None = None) -> Raster:
        given = self.mask if mask is None else mask
        if mask is None:
            check_place(raster, self._place, _ELSEWHERE)
        if given is None:
            raise TypeError("ApplyMask has no mask: give ApplyMask(mask=...) or op(raster, mask)")
        if isinstance(given, Operator):
            given = given(raster)
        return apply_mask(raster, given, self.fill_value)


class CombineMasks(Operator):
    """Join masks by "any" or "all": `combine_masks` as an operator of several inputs.

    Parameters
    ----------
    mode
        "any" or "all".

    Examples
    --------
    >>> CombineMasks("all")(np.array([[True, False]]), np.array([[True, True]]))
    array([[ True, False]])
    """

    def __init__(self, mode: str = "any") -> None:
        checked_option(mode, "mode", ("any", "all"))
        self.mode = mode

    radius = 0
    takes_batches = False

    def _apply(self, *masks: Raster) -> Raster:
        return combine_masks(*masks, mode=self.mode)


class InvertMask(PerPixel):
    """Exchange True and False: `invert_mask` as an operator.

    Examples
    --------
    >>> InvertMask()(np.array([[True, False]]))
    array([[False,  True]])
    """

    @parameters_of(invert_mask)
    def __init__(self) -> None: ...


class MaskWhere(PerPixel):
    """Mask by a threshold: `mask_where` as an operator.

    Examples
    --------
    >>> MaskWhere("<", 0.2)(np.array([[0.1, 0.6]]))
    array([[ True, False]])
    """

    @parameters_of(mask_where)
    def __init__(self) -> None:
        checked_option(self.comparison, "comparison", COMPARISONS)
        if self.band is not None:
            check_band(self.band, "band")


class MaskValid(PerPixel):
    """Mask what has no data: `mask_valid` as an operator.

    Examples
    --------
    >>> MaskValid()(np.array([[1.0, np.nan]]))
    array([[False,  True]])
    """

    @parameters_of(mask_valid)
    def __init__(self) -> None:
        checked_option(self.how, "how", ("any", "all"))
