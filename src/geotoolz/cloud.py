"""Clouds, shadows and other pixels to drop, by the quality bands of Sentinel-2, Landsat and HLS."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from geotoolz.bands import Band, band_names, take_band
from geotoolz.carrier import Mask, Raster, Values, fill_of, rewrap, values_of
from geotoolz.function_operator import (
    FunctionOperator,
    PerPixel,
    check_band,
    parameters_of,
)
from geotoolz.mask import checked_mask
from pipekit.operator import Operator, checked_number, checked_option
from pipekit.pixels import equal_mask


class SCL(IntEnum):
    """The classes of Sentinel-2's scene classification by name; each is its number.

    Each has a `label`, its name in words, and a `colour` as #rrggbb.

    Examples
    --------
    >>> SCL.WATER == 6, MaskFromSCL(classes=[SCL.CLOUD_SHADOW])
    (True, MaskFromSCL(band_idx=0, classes=(3,)))
    """

    label: str
    colour: str

    def __new__(cls, number: int, label: str, colour: str) -> SCL:
        """Return a class that is its number, and knows its name and colour."""
        member = int.__new__(cls, number)
        member._value_, member.label, member.colour = number, label, colour
        return member

    # ESA, Sentinel-2 L2A Algorithm Theoretical Basis Document, scene classification (SCL); the
    # colours are those that ESA's own viewer shows.
    NO_DATA = 0, "no data", "#000000"
    SATURATED_OR_DEFECTIVE = 1, "saturated or defective", "#ff0000"
    DARK_AREA = 2, "dark area", "#2f2f2f"
    CLOUD_SHADOW = 3, "cloud shadow", "#643200"
    VEGETATION = 4, "vegetation", "#00a000"
    BARE_SOIL = 5, "bare soil", "#ffe65a"
    WATER = 6, "water", "#0000ff"
    UNCLASSIFIED = 7, "unclassified", "#808080"
    CLOUD_MEDIUM = 8, "cloud, medium probability", "#c0c0c0"
    CLOUD_HIGH = 9, "cloud, high probability", "#ffffff"
    THIN_CIRRUS = 10, "thin cirrus", "#64c8ff"
    SNOW = 11, "snow or ice", "#ff96ff"


class SCLClass(NamedTuple):
    """A class of Sentinel-2's scene classification: its name and its colour as #rrggbb."""

    name: str
    colour: str


SCL_CLASSES: Mapping[int, SCLClass] = {int(c): SCLClass(c.label, c.colour) for c in SCL}

SCL_CLOUDS = (8, 9, 10)
"""Clouds and cirrus, without their shadows."""

SCL_SHADOWS = (3,)
"""Shadows of clouds."""

SCL_CLOUDS_AND_INVALID = (0, 1, 3, 8, 9, 10)
"""Clouds, their shadows, and pixels without data or defective."""

SCL_WATER = (6,)
SCL_SNOW = (11,)


def mask_from_scl(
    raster: Raster, classes: Collection[int] | int = SCL_CLOUDS_AND_INVALID, band_idx: Band = 0
) -> Raster:
    """Return where Sentinel-2's scene classification is one of `classes`; True means drop.

    Parameters
    ----------
    raster
        (C, H, W) with the SCL on band `band_idx` (an index or a name such as "SCL"), or the SCL
        itself as (H, W).
    classes
        Ids 0 to 11, or one of them; see `SCL` and `SCL_CLASSES`. What the raster declares as
        nodata, and NaN, which it becomes in floats, counts as class 0, no data.
    band_idx
        Index or name of the scene classification.

    Returns
    -------
    (H, W) bool.

    Examples
    --------
    >>> mask_from_scl(np.array([[4, 9, 0, 3]], dtype="uint8"))
    array([[False,  True,  True,  True]])
    >>> mask_from_scl(np.array([[4, 9, 0, 3]], dtype="uint8"), SCL_CLOUDS)
    array([[False,  True, False, False]])
    """
    values = values_of(raster)
    scl = values if values.ndim == 2 else take_band(raster, band_idx)
    ids = _scl_ids(classes)
    out = _in_classes(scl, ids)
    unknown = equal_mask(scl, fill_of(raster))
    if unknown is not None:
        out[unknown] = 0 in ids
    return rewrap(raster, out, fill=None, drop=("band_names",), attrs={"long_name": "dropped"})


def _scl_ids(classes: Collection[int] | int) -> tuple[int, ...]:
    if isinstance(classes, str):
        raise ValueError(f"classes are SCL ids 0 to 11, got {classes!r}; is it the band_idx?")
    # Plain numbers: members of `SCL` have no place in a config.
    ids = tuple(map(int, (classes,) if isinstance(classes, int | np.integer) else classes))
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

QA_PRODUCTS: Mapping[str, tuple[str, Mapping[str, int], tuple[str, ...]]] = {
    "landsat": ("qa_pixel", LANDSAT_QA_BITS, LANDSAT_CLOUDS_AND_INVALID),
    # NASA, HLS Product User Guide 2.0, quality layer; the levels of aerosol take two bits.
    "hls": (
        "fmask",
        {"cirrus": 0, "cloud": 1, "adjacent": 2, "cloud_shadow": 3, "snow": 4, "water": 5},
        ("cloud", "adjacent", "cloud_shadow"),
    ),
    # ESA, Sentinel-2 Products Specification Document: bits of opaque clouds and of cirrus.
    "sentinel-2": ("qa60", {"cloud": 10, "cirrus": 11}, ("cloud", "cirrus")),
}
"""By product: the quality band, its bits by name, and those that are dropped by default."""

Flags = Collection[str | int] | str | int | None
"""Names of flags, or numbers of bits; None for a product's clouds."""


def mask_from_qa_bits(
    raster: Raster,
    band_idx: Band = "qa_pixel",
    flags: Flags = None,
    bits: Flags = None,
    product: str | None = None,
) -> Raster:
    """Return where any of some flags is set in a quality band of bits; True means drop.

    Landsat's QA_PIXEL, the Fmask of Harmonized Landsat Sentinel-2 and Sentinel-2's QA60 have their
    flags by name in `QA_PRODUCTS`; bits of other products go by number.

    Parameters
    ----------
    raster
        (C, H, W) with the quality band on `band_idx`, or that band itself as (H, W); integers, or
        floats that hold them. What the raster declares as nodata but 0, and NaN, which it becomes
        in floats, is dropped, with Landsat where "fill" is.
    band_idx
        Index or name of the quality band.
    flags
        Names, or bit numbers 0 to 15; by default clouds, their shadows, and pixels without data.
    bits
        The same by another name.
    product
        "landsat", "hls" or "sentinel-2"; by default as the band is called, else "landsat".

    Returns
    -------
    (H, W) bool.

    Raises
    ------
    TypeError
        When the band does not hold whole numbers.
    ValueError
        For a flag that the product does not have.

    Examples
    --------
    >>> mask_from_qa_bits(np.array([[0b1000000, 0b1000, 0b1]], dtype="uint16"))
    array([[False,  True,  True]])
    >>> mask_from_qa_bits(np.array([[0b1000, 0b10000]], dtype="uint8"), bits="snow", product="hls")
    array([[False,  True]])
    """
    masked = isinstance(raster, np.ma.MaskedArray)  # what it hides becomes NaN
    values = values_of(raster.astype(np.float64) if masked else raster)
    quality = values if values.ndim == 2 else take_band(raster, band_idx)
    product = product or _qa_product(raster, band_idx)
    wanted = _qa_bits(_given(flags, bits), product)
    nodata = equal_mask(quality, fill_of(raster) or None)  # 0 says that no flag is set
    quality, unknown = _whole_bits(quality)
    unknown = nodata if unknown is None else unknown
    out = (quality & np.array(sum(1 << n for n in wanted), np.int64).astype(quality.dtype)) != 0
    if unknown is not None and (product != "landsat" or LANDSAT_QA_BITS["fill"] in wanted):
        out |= unknown
    return rewrap(raster, out, fill=None, drop=("band_names",), attrs={"long_name": "dropped"})


def _given(flags: Flags, bits: Flags) -> Flags:
    if flags is not None and bits is not None:
        raise ValueError(f"flags and bits mean the same, give one: got {flags!r} and {bits!r}")
    return bits if flags is None else flags


def _qa_product(raster: Raster, band_idx: Band) -> str:
    """Return the product whose quality band is called so, "landsat" for any other name."""
    names = band_names(raster)
    name = band_idx if isinstance(band_idx, str) else names[band_idx] if names else ""
    own = names[0] if len(names) == 1 else name
    known = (product for product, (band, *_) in QA_PRODUCTS.items() if band == own.lower())
    return next(known, "landsat")


def _whole_bits(quality: Values) -> tuple[Values, Mask | None]:
    """Return flags as integers, and where they are not known: NaN, which nodata is in floats."""
    if quality.dtype.kind in "iu":
        return quality, None
    unknown = np.isnan(quality) if quality.dtype.kind == "f" else None
    known = None if unknown is None else np.where(unknown, 0, quality)
    if known is None or not np.array_equal(known, np.rint(known)) or np.any(known < 0):
        raise TypeError(
            f"quality bits need whole numbers, got {quality.dtype.name} that are none; "
            "mask before converting to reflectance"
        )
    return known.astype(np.int64), unknown


def _qa_bits(flags: Flags, product: str | None) -> set[int]:
    """Return the numbers of the bits that a product's flags stand for; of None any product's."""
    if product is not None:
        checked_option(product, "product", tuple(QA_PRODUCTS))
    if flags is None:
        _, names, cloudy = QA_PRODUCTS[product or "landsat"]
        return {names[name] for name in cloudy}
    own = QA_PRODUCTS if product is None else {product: QA_PRODUCTS[product]}
    known = {name: bit for _, names, _ in own.values() for name, bit in names.items()}
    listed = f"there are {sorted(known, key=known.__getitem__)}, or bit numbers 0-15"
    given = (flags,) if isinstance(flags, str | int) else tuple(flags)
    if not given:
        raise ValueError(f"flags is empty; {listed}")
    found = {flag: known.get(flag, -1) if isinstance(flag, str) else flag for flag in given}
    for flag, bit in found.items():
        if not 0 <= bit < 16:
            raise ValueError(f"no quality flag {flag!r}; {listed}")
    return set(found.values())


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
    checked_number(radius, "radius", 0, unit=" pixels")
    drop = checked_mask(mask, values_of(mask).shape)
    if drop.ndim < 2:
        raise ValueError(f"a mask has rows and columns (H, W), got shape {drop.shape}")
    out = drop.copy()
    for index in np.ndindex(drop.shape[:-2]):
        if radius > 0:
            _grow(drop[index], out[index], radius)
    return rewrap(mask, out)


_STRIP_PIXELS = 2**18


def _grow(drop: Mask, out: Mask, radius: float) -> None:
    """Put the grown mask (H, W) into `out`, by strips of rows that stay in the processor's cache.

    A disc is a run of pixels on each of its rows. From its first row to the middle the runs get
    longer, so each is the one before it with two more pixels. That takes one byte a pixel beside
    the result; distances would take 28.
    """
    height, width = drop.shape
    reach = int(radius)
    margin = min(reach, height)
    step = max(margin, _STRIP_PIXELS // max(width, 1), 1)
    for top in range(0, height, step):
        first, last = max(0, top - margin), min(height, top + step + margin)
        part, grown = drop[first:last], out[top : top + step]
        if not part.any():
            continue
        run, half = part.copy(), 0
        for away in range(reach, -1, -1):
            while math.sqrt((half + 1) ** 2 + away**2) <= radius:
                half += 1
                if half < width:
                    run[:, half:] |= part[:, :-half]
                    run[:, :-half] |= part[:, half:]
            for shift in {-away, away}:
                begin = top + shift - first
                low, high = max(begin, 0), min(begin + len(grown), len(run))
                if low < high:
                    grown[low - begin : high - begin] |= run[low:high]


@dataclass(repr=False, eq=False)
class MaskFromSCL(Operator):
    """Mask Sentinel-2 clouds by the scene classification: `mask_from_scl` as an operator.

    Parameters
    ----------
    band_idx
        Index or name of the scene classification.
    classes
        Ids 0 to 11, or one of them; see `SCL`.

    Examples
    --------
    >>> MaskFromSCL()(np.array([[4, 9, 0, 3]], dtype="uint8"))
    array([[False,  True,  True,  True]])
    """

    radius = 0
    takes_batches = False

    band_idx: Band = 0
    classes: Collection[int] | int = SCL_CLOUDS_AND_INVALID

    def __post_init__(self) -> None:
        check_band(self.band_idx, "band_idx")
        ids = _scl_ids(self.classes)
        self.classes = ids[0] if isinstance(self.classes, int) else ids

    def _apply(self, raster: Raster) -> Raster:
        return mask_from_scl(raster, self.classes, self.band_idx)


class MaskFromQABits(PerPixel):
    """Mask clouds by quality bits: `mask_from_qa_bits` as an operator.

    Examples
    --------
    >>> MaskFromQABits(flags=("water",))(np.array([[0b10000000, 0]], dtype="uint16"))
    array([[ True, False]])
    >>> MaskFromQABits("QA60", bits="cloud")(np.array([[1 << 10, 1 << 11]], dtype="uint16"))
    array([[ True, False]])
    """

    @parameters_of(mask_from_qa_bits)
    def __init__(self) -> None:
        given: Flags = _given(self.flags, self.bits)
        _qa_bits(given, self.product)
        vars(self).update(flags=given, bits=None)


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
        checked_number(self.radius, "radius", 0, unit=" pixels")
