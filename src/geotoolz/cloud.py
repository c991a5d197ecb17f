"""Clouds, shadows and other pixels to drop, from the quality layers of Sentinel-2 and Landsat."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from geotoolz.bands import Band, take_band
from geotoolz.carrier import Mask, Raster, Values, rewrap, values_of
from geotoolz.function_operator import FunctionOperator, parameters_of
from geotoolz.mask import checked_mask


class SCLClass(NamedTuple):
    """A class of Sentinel-2's scene classification: its name and its colour as #rrggbb."""

    name: str
    colour: str


# ESA, Sentinel-2 L2A Algorithm Theoretical Basis Document, scene classification (SCL); the colours
# are those that ESA's own viewer shows.
SCL_CLASSES: Mapping[int, SCLClass] = {
    0: SCLClass("no data", "#000000"),
    1: SCLClass("saturated or defective", "#ff0000"),
    2: SCLClass("dark area", "#2f2f2f"),
    3: SCLClass("cloud shadow", "#643200"),
    4: SCLClass("vegetation", "#00a000"),
    5: SCLClass("bare soil", "#ffe65a"),
    6: SCLClass("water", "#0000ff"),
    7: SCLClass("unclassified", "#808080"),
    8: SCLClass("cloud, medium probability", "#c0c0c0"),
    9: SCLClass("cloud, high probability", "#ffffff"),
    10: SCLClass("thin cirrus", "#64c8ff"),
    11: SCLClass("snow or ice", "#ff96ff"),
}

SCL_CLOUDS = (3, 8, 9, 10)
"""Clouds, their shadows, and cirrus."""

SCL_CLOUDS_AND_INVALID = (0, 1, 3, 8, 9, 10)
"""The same, and pixels without data or defective."""

SCL_WATER = (6,)
SCL_SNOW = (11,)


def mask_from_scl(
    raster: Raster, band_idx: Band = 0, classes: Collection[int] | int = SCL_CLOUDS_AND_INVALID
) -> Raster:
    """Return where Sentinel-2's scene classification is one of `classes`; True means drop.

    Parameters
    ----------
    raster
        (C, H, W) with the SCL on band `band_idx` (an index or a name such as "SCL"), or the SCL
        itself as (H, W).
    band_idx
        Index or name of the scene classification.
    classes
        Ids 0 to 11, or one of them; see `SCL_CLASSES`. NaN, which nodata becomes in floats, counts
        as class 0, no data.

    Returns
    -------
    (H, W) bool.

    Examples
    --------
    >>> mask_from_scl(np.array([[4, 9, 0, 3]], dtype="uint8"))
    array([[False,  True,  True,  True]])
    """
    values = values_of(raster)
    scl = values if values.ndim == 2 else take_band(raster, band_idx)
    out = _in_classes(scl, _scl_ids(classes))
    return rewrap(raster, out, fill=None, drop=("band_names",), attrs={"long_name": "dropped"})


def _scl_ids(classes: Collection[int] | int) -> tuple[int, ...]:
    ids = (classes,) if isinstance(classes, int) else tuple(classes)
    if not ids:
        raise ValueError("classes is empty, so nothing would be masked; give SCL ids 0 to 11")
    unknown = [each for each in ids if each not in SCL_CLASSES]
    if unknown:
        raise ValueError(f"SCL ids are 0 to 11, got {unknown}")
    return ids


def _in_classes(ids: Values, classes: tuple[int, ...]) -> Mask:
    if ids.dtype.kind in "iu" and ids.size and ids.min() >= 0 and ids.max() < 256:
        table = np.zeros(256, bool)
        table[list(classes)] = True
        return table[ids]
    found: Mask = np.isin(ids, classes)
    return found | np.isnan(ids) if 0 in classes else found


# USGS, Landsat 8-9 Collection 2 Level 2 Science Product Guide (LSDS-1619), QA_PIXEL bits.
_QA_NAMES = ["fill", "dilated_cloud", "cirrus", "cloud", "cloud_shadow", "snow", "clear", "water"]
LANDSAT_QA_BITS: Mapping[str, int] = {name: bit for bit, name in enumerate(_QA_NAMES)}
"""The flags of QA_PIXEL, and the bit of each, from the lowest."""

LANDSAT_CLOUDS_AND_INVALID = ("fill", "dilated_cloud", "cirrus", "cloud", "cloud_shadow")
"""Landsat's pixels to drop: no data, clouds and their rims, cirrus, shadows."""


def mask_from_qa_bits(
    raster: Raster,
    band_idx: Band = "qa_pixel",
    flags: Collection[str | int] | str | int = LANDSAT_CLOUDS_AND_INVALID,
) -> Raster:
    """Return where any of `flags` is set in Landsat's QA_PIXEL; True means drop.

    Parameters
    ----------
    raster
        (C, H, W) with the quality band on `band_idx`, or that band itself as (H, W); integers, or
        floats that hold them.
    band_idx
        Index or name of the quality band.
    flags
        Names in `LANDSAT_QA_BITS`, or bit numbers 0 to 15 for other products.

    Returns
    -------
    (H, W) bool.

    Raises
    ------
    TypeError
        When the band does not hold whole numbers.

    Examples
    --------
    >>> mask_from_qa_bits(np.array([[0b1000000, 0b1000, 0b1]], dtype="uint16"))
    array([[False,  True,  True]])
    """
    # A masked array's hidden pixels become NaN, which is the bit of fill: no number of bits is.
    masked = isinstance(raster, np.ma.MaskedArray)
    values = values_of(raster.astype(np.float64) if masked else raster)
    quality = values if values.ndim == 2 else take_band(raster, band_idx)
    quality = _whole_bits(quality)
    bits = sum(1 << bit for bit in set(_qa_bits(flags)))
    out = (quality & np.array(bits, np.int64).astype(quality.dtype)) != 0
    return rewrap(raster, out, fill=None, drop=("band_names",), attrs={"long_name": "dropped"})


def _whole_bits(quality: Values) -> Values:
    """Return flags as integers: floats that reflectances were joined with hold them, too.

    NaN, which nodata becomes in floats, is Landsat's bit 0, fill.
    """
    if quality.dtype.kind in "iu":
        return quality
    known = np.where(np.isnan(quality), 1, quality) if quality.dtype.kind == "f" else None
    if known is None or not np.array_equal(known, np.rint(known)) or np.any(known < 0):
        raise TypeError(
            f"quality bits need whole numbers, got {quality.dtype.name} that are none; "
            "mask before converting to reflectance"
        )
    return known.astype(np.int64)


def dilate_mask(mask: Raster, radius: float) -> Raster:
    """Return the mask grown by a disc: True within `radius` pixels of any True.

    A cut-out chip does not see the True pixels beyond its edge; a patcher reads it with a rim for
    `DilateMask`, which knows how far it looks.

    Parameters
    ----------
    mask
        (..., H, W) bool; each (H, W) plane by itself.
    radius
        Pixels between centres, 0 or more. Clouds' rims reach some 100 to 200 m.

    Returns
    -------
    (..., H, W) bool.

    Raises
    ------
    TypeError
        When the mask is not boolean.

    Examples
    --------
    >>> dilate_mask(np.array([[False, False, True, False]]), 1)
    array([[False,  True,  True,  True]])
    """
    _check_radius(radius)
    drop = checked_mask(mask, values_of(mask).shape)
    if drop.ndim < 2:
        raise ValueError(f"a mask has rows and columns (H, W), got shape {drop.shape}")
    out = drop.copy()
    for index in np.ndindex(drop.shape[:-2]):
        if radius > 0:
            _grow(drop[index], out[index], radius)
    return rewrap(mask, out)


_STRIP_PIXELS = 2**16


def _grow(drop: Mask, out: Mask, radius: float) -> None:
    """Put the grown mask (H, W) into `out`, by strips of rows: distances take 28 bytes a pixel."""
    from scipy.ndimage import distance_transform_edt

    height, width = drop.shape
    margin = min(int(radius), height)
    step = max(margin, _STRIP_PIXELS // max(width, 1), 1)
    for top in range(0, height, step):
        above = max(0, top - margin)
        part = drop[above : top + step + margin]
        # Distance to the nearest True; without any True it would be undefined.
        if part.any():
            near = distance_transform_edt(~part)[top - above :][:step] <= radius
            out[top : top + step] = near


def _check_radius(radius: float) -> None:
    if not (np.isfinite(radius) and radius >= 0):
        raise ValueError(f"radius must be 0 or more pixels, got {radius}")


def _qa_bits(flags: Collection[str | int] | str | int) -> tuple[int, ...]:
    given = (flags,) if isinstance(flags, str | int) else tuple(flags)
    known = f"there are {list(LANDSAT_QA_BITS)}, or bit numbers 0-15"
    if not given:
        raise ValueError(f"flags is empty; {known}")
    bits = tuple(LANDSAT_QA_BITS.get(f, -1) if isinstance(f, str) else f for f in given)
    for flag, bit in zip(given, bits, strict=True):
        if not 0 <= bit < 16:
            raise ValueError(f"no quality flag {flag!r}; {known}")
    return bits


class MaskFromSCL(FunctionOperator):
    """Mask Sentinel-2 clouds by the scene classification: `mask_from_scl` as an operator.

    Examples
    --------
    >>> MaskFromSCL()(np.array([[4, 9, 0, 3]], dtype="uint8"))
    array([[False,  True,  True,  True]])
    """

    radius = 0

    @parameters_of(mask_from_scl)
    def __init__(self) -> None:
        _scl_ids(self.classes)


class MaskFromQABits(FunctionOperator):
    """Mask Landsat clouds by quality bits: `mask_from_qa_bits` as an operator.

    Examples
    --------
    >>> MaskFromQABits(flags=("water",))(np.array([[0b10000000, 0]], dtype="uint16"))
    array([[ True, False]])
    """

    radius = 0

    @parameters_of(mask_from_qa_bits)
    def __init__(self) -> None:
        _qa_bits(self.flags)


class DilateMask(FunctionOperator):
    """Grow a mask by a disc: `dilate_mask` as an operator.

    Examples
    --------
    >>> DilateMask(radius=1)(np.array([[False, False, True, False]]))
    array([[False,  True,  True,  True]])
    """

    radius = 1  # the argument of that name is how far it looks

    @parameters_of(dilate_mask)
    def __init__(self) -> None:
        _check_radius(self.radius)
