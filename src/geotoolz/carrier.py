"""Unwrap a raster to a plain array, compute, and wrap the result again.

Every operator of this package takes a plain ndarray or a `GeoTensor` and gives back the same
kind. Arithmetic on a `GeoTensor` costs 20 to 30 us a call and slicing it as much, its constructor
2 us: so operators work on the plain view and wrap once.

What counts as nodata is decided in `pipekit.pixels`: NaN in floats, and whatever equals the
carrier's `fill_value_default` unless that is None or the data are boolean. A plain array has no
fill value, so in it only NaN is nodata; a masked array hides its own, and comes out masked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import EllipsisType
from typing import Any, Final

import numpy as np
from georeader.geotensor import GeoTensor
from numpy.typing import DTypeLike, NDArray
from rasterio import Affine

from pipekit.carrier import holds, index_as_array, keep_place, pixel_offset, same_crs
from pipekit.operator import checked_pair
from pipekit.pixels import equal_mask, invalid_mask, nodata_of, plain

Values = NDArray[Any]
"""A plain array, without a place on the map."""

Mask = NDArray[np.bool_]
"""A plain boolean array."""

Fill = float | int | None
"""The value that marks nodata beside NaN, or None."""

Place = tuple[Affine, Any]
"""The transform from (col, row) to map coordinates, and their CRS in any form."""

Raster = Values
"""A plain or masked ndarray, or a `GeoTensor` (which is an ndarray), bands first: (C, H, W)."""


NAN: Final = math.nan

keep_place(GeoTensor)
index_as_array(GeoTensor)


def values_of(raster: Raster) -> Values:
    """Return the plain array behind a raster, as `pipekit.pixels.plain` does.

    Parameters
    ----------
    raster
        (C, H, W), any numeric dtype.

    Returns
    -------
    (C, H, W), a view where nothing is masked and the byte order is the machine's.

    Raises
    ------
    TypeError
        For anything that is not an array of numbers.

    Examples
    --------
    >>> values_of(np.zeros((2, 3))).shape
    (2, 3)
    """
    if isinstance(raster, np.ndarray):
        values = plain(raster)
        if values.dtype.kind not in "biufc":
            raise TypeError(
                f"expected numbers, got an array of dtype {values.dtype}; convert it first, for "
                "example by array.astype('float32')"
            )
        return values
    is_reader = hasattr(raster, "read_from_window")
    way_out = "reader.load()" if is_reader else "np.asarray(...) or geotoolz.io.read(path)"
    raise TypeError(
        f"expected a numpy array or a GeoTensor, got {type(raster).__name__}; use {way_out} first"
    )


def fill_of(raster: Raster) -> Fill:
    """Return the value that marks nodata in a raster, or None where nothing but NaN does.

    Parameters
    ----------
    raster
        (C, H, W), any numeric dtype.

    Returns
    -------
    A number in the units of the values, or None.

    Examples
    --------
    >>> fill_of(np.zeros((2, 3))) is None
    True
    """
    if type(raster) is np.ndarray:
        return None
    # Said by the carrier itself, without asking what a carrier is: that takes microseconds.
    if not isinstance(raster, GeoTensor):
        return nodata_of(raster)  # type: ignore[no-any-return]
    fill = raster.fill_value_default
    # Asked first: what is 0, None or of floats fits, and the general question takes 0.4 us.
    return fill if not fill or raster.dtype.kind == "f" or holds(raster.dtype, fill) else None


def attrs_of(raster: Raster) -> dict[str, Any]:
    """Return the attributes of a raster: to read, never to change (tensors share the dict).

    Parameters
    ----------
    raster
        (C, H, W), any numeric dtype.

    Returns
    -------
    Name -> value; {} for a plain array.

    Examples
    --------
    >>> attrs_of(np.zeros((2, 3)))
    {}
    """
    return (raster.attrs or {}) if isinstance(raster, GeoTensor) else {}


def joint_attrs(rasters: Sequence[Raster]) -> dict[str, Any]:
    """Return what the attributes of several rasters in one must say beyond those of the first.

    That some were simulated; and None for Sentinel-2's offset and baseline where they differ, for
    no operator to take those of one scene for another's.

    Parameters
    ----------
    rasters
        At least one.

    Returns
    -------
    Name -> value.

    Examples
    --------
    >>> joint_attrs([np.zeros((2, 3))])
    {}
    """
    said = [attrs_of(raster) for raster in rasters]
    simulated = any(attrs.get("source") == "simulated" for attrs in said)
    joint: dict[str, Any] = {"source": "simulated"} if simulated else {}
    scenes = [attrs for attrs in said if {"offset_applied", "processing_baseline"} & attrs.keys()]
    if len({bool(attrs.get("offset_applied")) for attrs in scenes}) > 1:
        return joint | {"offset_applied": None, "processing_baseline": None}
    if len({attrs.get("processing_baseline") for attrs in scenes}) > 1:
        return joint | {"processing_baseline": None}
    return joint


def rewrap(
    raster: Raster,
    values: Values,
    *,
    fill: float | EllipsisType | None = ...,
    attrs: dict[str, Any] | None = None,
    drop: tuple[str, ...] = (),
    move: Affine | None = None,
) -> Raster:
    """Give `values` the georeference of `raster`; a plain array stays plain, a masked one masked.

    Roles of bands go where their names go: `band_roles` is dropped or renewed with `band_names`.

    Parameters
    ----------
    raster
        (C, H, W), any numeric dtype.
    values
        (..., H, W), a plain array.
    fill
        The result's nodata value, or None for none; by default that of `raster`.
    attrs
        Entries to add or replace in a copy of the attributes; `drop` names those to leave out.
    drop
        Names of attributes to leave out.
    move
        Where a pixel of the result was in the raster, as an affine map of (col, row).

    Returns
    -------
    A `GeoTensor` where `raster` is one, a masked array where it is one, else `values`.

    Examples
    --------
    >>> from rasterio import Affine
    >>> tile = GeoTensor(np.ones((1, 2, 2)), Affine.scale(10, -10), "EPSG:32632")
    >>> rewrap(tile, tile.values[0] * 2, fill=None, attrs={"long_name": "twice"}).attrs
    {'long_name': 'twice'}
    """
    if not isinstance(raster, GeoTensor):
        return _masked(raster, values, fill) if isinstance(raster, np.ma.MaskedArray) else values
    merged = {**(raster.attrs or {}), **(attrs or {})}
    for name in drop:
        merged.pop(name, None)
    if "band_roles" in merged and _roles_are_stale(merged, values, attrs, drop):
        del merged["band_roles"]
    if "band_names" in drop:  # CF's words for roles go, too
        for name in ("flag_values", "flag_masks", "flag_meanings"):
            merged.pop(name, None)
    place = raster.transform if move is None else raster.transform * move
    nodata = raster.fill_value_default if fill is ... else fill
    return GeoTensor(values, place, raster.crs, nodata, merged)


def _roles_are_stale(
    merged: dict[str, Any], values: Values, attrs: dict[str, Any] | None, drop: tuple[str, ...]
) -> bool:
    """Tell whether roles of bands are those of other bands: names changed, or their number did."""
    roles, given = merged["band_roles"], attrs or {}
    if "band_roles" in given:
        return False
    count = values.shape[-3] if values.ndim > 2 else 1
    renamed = "band_names" in drop or "band_names" in given
    return renamed or (not isinstance(roles, str) and len(roles) != count)


def _masked(raster: Raster, values: Values, fill: float | EllipsisType | None) -> Raster:
    nodata = nodata_of(raster) if fill is ... else fill
    invalid = invalid_mask(values, nodata)
    mask = np.ma.nomask if invalid is None else invalid
    return np.ma.MaskedArray(values, mask, fill_value=nodata)


def valid_values(values: Values, fill: Fill) -> Values:
    """Return the values that are not nodata, (N,).

    Parameters
    ----------
    values
        (..., H, W), a plain array.
    fill
        Marks nodata beside NaN, or None.

    Returns
    -------
    (N,) in the values' dtype.

    Examples
    --------
    >>> valid_values(np.array([[np.nan, -9999.0, 1.0]]), -9999)
    array([1.])
    """
    invalid = invalid_mask(values, fill)
    return values.reshape(-1) if invalid is None else values[~invalid]


def carry_nodata(out: Values, values: Values, fill: Fill) -> None:
    """Put NaN into `out`, in place, wherever `values` equal the fill value.

    Parameters
    ----------
    out
        Floats of the shape of `values`, changed in place.
    values
        (..., H, W), a plain array.
    fill
        Marks nodata beside NaN, or None.

    Examples
    --------
    >>> out = np.array([1.0, 2.0])
    >>> carry_nodata(out, np.array([0, 7], dtype="uint16"), 0)
    >>> out
    array([nan,  2.])
    """
    invalid = equal_mask(values, fill)
    if invalid is not None:
        out[invalid] = np.nan


def check_real(values: Values) -> None:
    """Raise TypeError for complex numbers, which have no order and no float that stands for them.

    Parameters
    ----------
    values
        A plain array.

    Examples
    --------
    >>> check_real(np.ones(2))
    """
    if values.dtype.kind == "c":
        raise TypeError(
            f"expected real numbers, got {values.dtype}; give np.abs(raster), its amplitude, or "
            "raster.real"
        )


def nan_floats(values: Values, fill: Fill, dtype: DTypeLike = np.float32) -> Values:
    """Return a copy in a float dtype, with nodata as NaN.

    Parameters
    ----------
    values
        (..., H, W), a plain array.
    fill
        Marks nodata beside NaN, or None.
    dtype
        Of the result, a float type.

    Returns
    -------
    (..., H, W) of `dtype`.

    Examples
    --------
    >>> nan_floats(np.array([0, 2], dtype="uint16"), 0)
    array([nan,  2.], dtype=float32)
    """
    check_real(values)
    out = values.astype(float_dtype(dtype))
    carry_nodata(out, values, fill)
    return out


def float_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return `dtype` as a numpy dtype, or raise ValueError when it is not a float type.

    Parameters
    ----------
    dtype
        What should be a float type.

    Returns
    -------
    numpy's dtype.

    Raises
    ------
    ValueError
        For any other dtype.

    Examples
    --------
    >>> float_dtype("float32")
    dtype('float32')
    """
    result = np.dtype(dtype).newbyteorder("=")
    if result.kind != "f":
        raise ValueError(f"dtype must be a float type such as 'float32', got {result.name!r}")
    return result


def single_band(values: Values) -> Values:
    """Return the only band of (H, W) or (1, H, W); ValueError for any other shape.

    Parameters
    ----------
    values
        (..., H, W), a plain array.

    Returns
    -------
    (H, W), a view.

    Raises
    ------
    ValueError
        For more than one band.

    Examples
    --------
    >>> single_band(np.zeros((1, 2, 3))).shape
    (2, 3)
    """
    if values.ndim == 3 and len(values) == 1:
        return values[0]
    if values.ndim != 2:
        raise ValueError(f"expected one band, (H, W) or (1, H, W), got shape {values.shape}")
    return values


def crop(raster: Raster, row: int, col: int, rows: int, cols: int) -> Raster:
    """Return the window of `rows` x `cols` pixels whose upper left pixel is (row, col); a copy.

    Parameters
    ----------
    raster
        (C, H, W), any numeric dtype.
    row
        Of the upper left pixel.
    col
        Of the upper left pixel.
    rows
        Height in pixels.
    cols
        Width in pixels.

    Returns
    -------
    (C, rows, cols) in the raster's dtype.

    Raises
    ------
    ValueError
        When the window reaches beyond the raster.

    Examples
    --------
    >>> crop(np.arange(9).reshape(3, 3), 1, 1, 2, 2)
    array([[4, 5],
           [7, 8]])
    """
    values = values_of(raster)
    height, width = values.shape[-2:]
    if row < 0 or col < 0 or row + rows > height or col + cols > width or min(rows, cols) < 1:
        raise ValueError(
            f"the window at (row, col) = {row, col} of {rows, cols} pixels is not inside "
            f"a raster of {height, width} (rows, cols)"
        )
    out = values[..., row : row + rows, col : col + cols].copy()
    return rewrap(raster, out, move=Affine.translation(col, row))


def pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return (rows, cols) from one number of pixels or a pair; ValueError unless positive.

    Parameters
    ----------
    size
        Pixels: (rows, cols), or one number for a square.

    Returns
    -------
    Pixels: (rows, cols).

    Raises
    ------
    ValueError
        For anything but one or two positive whole numbers.

    Examples
    --------
    >>> pair(3)
    (3, 3)
    """
    usual = isinstance(size, int) or (isinstance(size, tuple) and len(size) == 2)
    return checked_pair(size if usual else np.resize(size, max(np.size(size), 2)), "size")


def place_of(raster: Any) -> Place | None:
    """Return the transform and CRS of a georeferenced raster, None for anything else.

    Parameters
    ----------
    raster
        (..., H, W), any numeric dtype.

    Returns
    -------
    (transform, CRS), or None.

    Examples
    --------
    >>> place_of(np.zeros((2, 3))) is None
    True
    """
    return (raster.transform, raster.crs) if isinstance(raster, GeoTensor) else None


def check_place(raster: Raster, place: Place | None, complaint: str) -> None:
    """Raise ValueError when a raster's pixels are not those of another one's place.

    They are the same up to `pipekit.carrier.SAME` of a pixel, from corner to corner.

    Parameters
    ----------
    raster
        (..., H, W), any numeric dtype; a plain array fits every place.
    place
        As `place_of` gives it; None fits every raster.
    complaint
        How the message begins.

    Raises
    ------
    ValueError
        Naming both places.

    Examples
    --------
    >>> degrees = GeoTensor(np.zeros((2, 2)), Affine.scale(1e-4), 4326)
    >>> check_place(degrees, (Affine.translation(5e-5, 0) * degrees.transform, 4326), "not here")
    Traceback (most recent call last):
    ValueError: not here: 4326 (0.0001, 0.0, 0.0, ...
    """
    own = place_of(raster)
    if own is None or place is None:
        return
    offset = pixel_offset(own[0], place[0], raster.shape[-2:])
    if offset != (0, 0) or not same_crs(own[1], place[1]):
        said = " and ".join(f"{crs} {tuple(transform)[:6]}" for transform, crs in (own, place))
        raise ValueError(f"{complaint}: {said}; use ResampleLike or ReprojectLike first")
