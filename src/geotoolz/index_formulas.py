"""The formulas of the named spectral indices, on bands as plain arrays.

Bands are (H, W) or any one shape, reflectances or digital numbers of any numeric dtype. Each
returns new floats, float32 by default. NaN in a band is NaN in the result.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from geotoolz.index_operator import float_bands

EPS = 1e-10
"""Added to denominators of normalised differences: too small to change any real reflectance."""

Values = NDArray[Any]


def normalized_difference(
    a: Values, b: Values, eps: float = EPS, dtype: DTypeLike = "float32"
) -> Values:
    """Return (a - b) / (a + b + eps).

    - `a`, `b`: arrays of one shape, any numeric dtype; taken as floats, so nothing wraps.

    Returns floats of `dtype`, -1 to 1 where both are non-negative. Raises ValueError when the
    shapes differ.

    >>> normalized_difference(np.array([3, 0], "uint8"), np.array([1, 0], "uint8"))
    array([0.5, 0. ], dtype=float32)
    """
    a, b = float_bands(dtype, a, b)
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.subtract(a, b)
        total = np.add(a, b)
        if eps:
            np.add(total, eps, out=total)
        return np.divide(out, total, out=out)


def ndvi(red: Values, nir: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the vegetation index (nir - red) / (nir + red + eps).

    Rouse et al. (1974), Monitoring vegetation systems in the Great Plains with ERTS.

    >>> ndvi(np.array([0.25]), np.array([0.75]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(nir, red, eps, dtype)


def ndwi(green: Values, nir: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the open-water index (green - nir) / (green + nir + eps).

    McFeeters (1996), doi:10.1080/01431169608948714.

    >>> ndwi(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(green, nir, eps, dtype)


def mndwi(green: Values, swir1: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the modified open-water index (green - swir1) / (green + swir1 + eps).

    Xu (2006), doi:10.1080/01431160600589179.

    >>> mndwi(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(green, swir1, eps, dtype)


def nbr(nir: Values, swir2: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the burn ratio (nir - swir2) / (nir + swir2 + eps).

    Key and Benson (2006), FIREMON, USDA RMRS-GTR-164; Lopez Garcia and Caselles (1991).

    >>> nbr(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(nir, swir2, eps, dtype)


def ndmi(nir: Values, swir1: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the vegetation moisture index (nir - swir1) / (nir + swir1 + eps).

    Gao (1996), doi:10.1016/S0034-4257(96)00067-3, on the 1.6 um band.

    >>> ndmi(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(nir, swir1, eps, dtype)


def ndsi(green: Values, swir1: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the snow index (green - swir1) / (green + swir1 + eps).

    Hall, Riggs and Salomonson (1995), doi:10.1016/0034-4257(95)00137-P; snow above about 0.4.

    >>> ndsi(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(green, swir1, eps, dtype)


def gndvi(nir: Values, green: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the green vegetation index (nir - green) / (nir + green + eps).

    Gitelson, Kaufman and Merzlyak (1996), doi:10.1016/S0034-4257(96)00072-7.

    >>> gndvi(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(nir, green, eps, dtype)


def ndre(nir: Values, rededge1: Values, eps: float = EPS, dtype: DTypeLike = "float32") -> Values:
    """Return the red-edge vegetation index (nir - rededge1) / (nir + rededge1 + eps).

    Gitelson and Merzlyak (1994), doi:10.1016/1011-1344(93)06963-4; spyndex calls it NDREI.

    >>> ndre(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(nir, rededge1, eps, dtype)


def evi(
    blue: Values,
    red: Values,
    nir: Values,
    g: float = 2.5,
    c1: float = 6.0,
    c2: float = 7.5,
    L: float = 1.0,
    dtype: DTypeLike = "float32",
) -> Values:
    """Return the enhanced vegetation index.

    g (nir - red) / (nir + c1 red - c2 blue + L).

    Huete et al. (2002),
    doi:10.1016/S0034-4257(02)00096-2, with the MODIS coefficients. Needs reflectances.

    >>> evi(np.array([0.0]), np.array([0.25]), np.array([0.5]))
    array([0.20833333], dtype=float32)
    """
    blue, red, nir = float_bands(dtype, blue, red, nir)
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.subtract(nir, red)
        np.multiply(out, g, out=out)
        total = np.multiply(red, c1)
        np.add(total, nir, out=total)
        np.subtract(total, np.multiply(blue, c2), out=total)
        np.add(total, L, out=total)
        return np.divide(out, total, out=out)


def savi(red: Values, nir: Values, L: float = 0.5, dtype: DTypeLike = "float32") -> Values:
    """Return the soil-adjusted vegetation index.

    (1 + L) (nir - red) / (nir + red + L).

    Huete (1988), doi:10.1016/0034-4257(88)90106-X.
    `L` is 0 for dense cover (then it is the NDVI), 1 for bare soil. Needs reflectances.

    >>> savi(np.array([0.25]), np.array([0.75]))
    array([0.5], dtype=float32)
    """
    red, nir = float_bands(dtype, red, nir)
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.subtract(nir, red)
        np.multiply(out, 1.0 + L, out=out)
        total = np.add(nir, red)
        np.add(total, L, out=total)
        return np.divide(out, total, out=out)


def bsi(
    blue: Values,
    red: Values,
    nir: Values,
    swir1: Values,
    eps: float = EPS,
    dtype: DTypeLike = "float32",
) -> Values:
    """Return the bare-soil index.

    ((swir1 + red) - (nir + blue)) / ((swir1 + red) + (nir + blue) + eps).

    Rikimaru, Roy and
    Miyatake (2002), Tropical Ecology 43, 39-47; spyndex calls it BI.

    >>> bsi(np.array([0.25]), np.array([0.5]), np.array([0.25]), np.array([1.0]))
    array([0.5], dtype=float32)
    """
    blue, red, nir, swir1 = float_bands(dtype, blue, red, nir, swir1)
    with np.errstate(invalid="ignore"):
        return normalized_difference(swir1 + red, nir + blue, eps, dtype)


def bais2(
    rededge2: Values,
    rededge3: Values,
    nir08: Values,
    red: Values,
    swir2: Values,
    dtype: DTypeLike = "float32",
) -> Values:
    """Return the burned area index for Sentinel-2.

    (1 - sqrt(rededge2 rededge3 nir08 / red)) ((swir2 - nir08) / sqrt(swir2 + nir08) + 1).

    Filipponi (2018), doi:10.3390/ecrs-2-05177: bands B06, B07, B8A, B04, B12. Needs
    reflectances.

    >>> bais2(np.array([0.5]), np.array([0.5]), np.array([0.5]), np.array([0.5]), np.array([0.5]))
    array([0.5], dtype=float32)
    """
    rededge2, rededge3, nir08, red, swir2 = float_bands(
        dtype, rededge2, rededge3, nir08, red, swir2
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.multiply(rededge2, rededge3)
        np.multiply(out, nir08, out=out)
        np.divide(out, red, out=out)
        np.sqrt(out, out=out)
        np.subtract(1.0, out, out=out)
        contrast = np.subtract(swir2, nir08)
        total = np.add(swir2, nir08)
        np.divide(contrast, np.sqrt(total, out=total), out=contrast)
        np.add(contrast, 1.0, out=contrast)
        return np.multiply(out, contrast, out=out)


def arvi(
    blue: Values,
    red: Values,
    nir: Values,
    gamma: float = 1.0,
    eps: float = EPS,
    dtype: DTypeLike = "float32",
) -> Values:
    """Return the atmospherically resistant vegetation index.

    (nir - rb) / (nir + rb + eps) with rb = red - gamma (red - blue).

    Kaufman and Tanre
    (1992), doi:10.1109/36.134076.

    >>> arvi(np.array([0.25]), np.array([0.5]), np.array([0.75]))
    array([0.5], dtype=float32)
    """
    blue, red, nir = float_bands(dtype, blue, red, nir)
    with np.errstate(invalid="ignore"):
        rb = np.subtract(blue, red)
        np.multiply(rb, gamma, out=rb)
        np.add(rb, red, out=rb)
    return normalized_difference(nir, rb, eps, dtype)
