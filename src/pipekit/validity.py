"""Which pixels of an opened file count: its nodata values, its masks and its alpha band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from pipekit.carrier import Array, holds
from pipekit.pixels import equal_mask


def stored_dtype(source: Any, indexes: Sequence[int]) -> np.dtype:
    """Return a dtype that holds bands of an opened file, as rasterio reads them.

    Parameters
    ----------
    source
        A dataset that rasterio opened.
    indexes
        1-based bands.

    Returns
    -------
    complex64 for pairs of 16-bit integers, as radars' files have them, which numpy does not know.
    """
    names = {source.dtypes[index - 1] for index in indexes}
    return np.result_type(*(name.replace("complex_int16", "complex64") for name in names))


def read_stored(source: Any, indexes: Sequence[int], **options: Any) -> Array:
    """Return an opened file's numbers as they are stored; its bands may differ in dtype.

    Parameters
    ----------
    source
        A dataset that rasterio opened.
    indexes
        1-based bands.
    **options
        Of rasterio's `read`.

    Returns
    -------
    (C, rows, cols) in the dtype of `stored_dtype`.
    """
    if len({source.dtypes[index - 1] for index in indexes}) == 1:
        values: Array = source.read(list(indexes), **options)
        return values
    shape = {"out_shape": options["out_shape"][-2:]} if "out_shape" in options else {}
    each = [source.read(index, **{**options, **shape}) for index in indexes]
    return np.stack(each, dtype=stored_dtype(source, indexes))


def physical_dtype(stored: np.dtype) -> np.dtype:
    """Return the dtype of numbers that a file's scale and offset were applied to.

    Parameters
    ----------
    stored
        The dtype of the numbers in the file.

    Returns
    -------
    float32, or the file's own where that is float64 or complex.
    """
    return stored if stored in ("f8", "c8", "c16") else np.dtype("float32")


def header_nodata(source: Any, index: int) -> float | None:
    """Return the nodata value of an opened file's band as its pixels hold it, or None.

    Headers round the last numbers of a float dtype: -3.40282e+38 stands for float32's lowest.

    Parameters
    ----------
    source
        A dataset that rasterio opened.
    index
        1-based band.

    Returns
    -------
    The value; a whole number for integers.
    """
    nodata, kind = source.nodatavals[index - 1], stored_dtype(source, [index])
    if nodata is None or kind.kind != "f" or not 1e37 < abs(nodata) < np.inf:
        return as_number(nodata, kind)
    limit = float(np.finfo(kind).max)
    rounded = {float(kind.type(f"{limit:.{digits}g}")) for digits in range(5, 9)}
    if float(kind.type(abs(nodata))) in rounded - {np.inf}:
        return float(np.copysign(limit, nodata))
    return float(nodata)


def as_number(nodata: float | None, kind: np.dtype) -> float | None:
    """Return a nodata value as a dtype holds it; None where it can hold none such.

    Parameters
    ----------
    nodata
        The value, or None.
    kind
        The dtype.

    Returns
    -------
    A whole number for integers.

    Examples
    --------
    >>> as_number(-9999.0, np.dtype("int16")), as_number(-9999.0, np.dtype("uint8"))
    (-9999, None)
    """
    if nodata is None or kind.kind not in "iu":
        return nodata
    return int(nodata) if holds(kind, nodata) else None


# GDAL's numbers: what tells the valid pixels of a band, and the colour of an alpha band.
_ALL_VALID, _BY_ALPHA, _BY_NODATA, _ALPHA_BAND = 1, 4, 8, 6
_BY_VALUE: Final = ([_ALL_VALID], [_BY_NODATA])


def _flags(source: Any, alpha: bool) -> list[list[int]]:
    """Return what tells the valid pixels of each band, where an alpha band may hold data."""
    found = source.mask_flag_enums
    return found if alpha else [[_ALL_VALID] if _BY_ALPHA in each else each for each in found]


def nodata_decides(source: Any, indexes: Sequence[int], *, alpha: bool = True) -> bool:
    """Say whether one nodata value, or none, tells the valid pixels of all bands, without masks.

    Parameters
    ----------
    source
        A dataset that rasterio opened.
    indexes
        1-based bands.
    alpha
        Whether a band in the colour of alpha hides pixels; False where it holds data.

    Returns
    -------
    Whether neither a mask nor an alpha band nor a second nodata value is there.
    """
    # Asked once: rasterio makes these lists anew for all bands.
    values, flags = source.nodatavals, _flags(source, alpha)
    first = values[indexes[0] - 1]
    return not (alpha and alpha_beside(source)) and all(
        same_nodata(values[index - 1], first) and flags[index - 1] in _BY_VALUE for index in indexes
    )


def same_nodata(one: float | None, other: float | None) -> bool:
    """Tell whether two nodata values are one; NaN is like NaN.

    Parameters
    ----------
    one, other
        Values, or None.

    Examples
    --------
    >>> same_nodata(float("nan"), float("nan")), same_nodata(0, None)
    (True, False)
    """
    return one == other or (one is not None and other is not None and one != one and other != other)


def hidden_by(
    source: Any, indexes: Sequence[int], values: Array, *, alpha: bool = True, **options: Any
) -> Array:
    """Return where a file's masks, alpha band or nodata values hide what was read from it.

    Parameters
    ----------
    source
        A dataset that rasterio opened.
    indexes
        1-based bands.
    values
        (C, rows, cols), what they hold there.
    alpha
        As in `nodata_decides`.
    **options
        With which they were read.

    Returns
    -------
    (C, rows, cols) bool.
    """
    flags = _flags(source, alpha)
    hidden = np.zeros(values.shape, bool)
    if any(flags[index - 1] not in _BY_VALUE for index in indexes):
        hidden |= source.read_masks(list(indexes), **options) == 0
    if alpha and (beside := alpha_beside(source)) is not None:
        shape = {"out_shape": options["out_shape"][-2:]} if "out_shape" in options else {}
        hidden |= source.read(beside, **{**options, **shape}) == 0
    for index, band, missing in zip(indexes, values, hidden, strict=True):
        marks = equal_mask(band, header_nodata(source, index))
        if marks is not None:
            missing |= marks
    return hidden


def alpha_beside(source: Any) -> int | None:
    """Return the alpha band, 1-based, that GDAL's masks leave out.

    A mask or nodata comes before it, and GDAL takes none of floats, of signed integers or beside
    two bands for a mask, though warping writes such.

    Parameters
    ----------
    source
        A dataset that rasterio opened.

    Returns
    -------
    None where there is none, or where it is the mask.
    """
    colours = list(source.colorinterp)
    if _ALPHA_BAND not in colours or _BY_ALPHA in source.mask_flag_enums[0]:
        return None
    return colours.index(_ALPHA_BAND) + 1
