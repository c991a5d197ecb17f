"""Spectral indices: pure functions of bands, and operators that find their bands.

Bands are given by index (`NDVI(red_idx=2, nir_idx=3)`), by name (`NDVI("B04", "B08")`), or not at
all: the defaults are common names (`"red"`, `"nir"`), looked up in the carrier's
`attrs["band_names"]`. Values are meant to be reflectances; ratios of digital numbers are the same
only when no offset is in them.

Output is floats, float32 by default, with the band axis removed: (C, H, W) gives (H, W). Nodata in
any band used is NaN in the result. Normalised differences add `eps` to the denominator, so that
0/0 is 0; with `eps=0`, and in every other index, 0/0 is NaN and x/0 is infinite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from geotoolz.bands import Band, check_band, take_band
from geotoolz.carrier import NAN, Raster, as_float, fill_mask, fill_of, float_dtype, rewrap
from pipekit import Operator

EPS = 1e-10
"""Added to denominators of normalised differences: too small to change any real reflectance."""


def normalized_difference(
    a: NDArray[Any], b: NDArray[Any], eps: float = EPS, dtype: DTypeLike = "float32"
) -> NDArray[Any]:
    """Return (a - b) / (a + b + eps).

    - `a`, `b`: arrays of one shape, any numeric dtype; taken as floats, so nothing wraps.

    Returns floats of `dtype`, -1 to 1 where both are non-negative.

    >>> normalized_difference(np.array([3, 0], "uint8"), np.array([1, 0], "uint8"))
    array([0.5, 0. ], dtype=float32)
    """
    a, b = as_float(a, dtype), as_float(b, dtype)
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.subtract(a, b)
        total = np.add(a, b)
        if eps:
            np.add(total, total.dtype.type(eps), out=total)
        return np.divide(out, total, out=out)


def ndvi(
    red: NDArray[Any], nir: NDArray[Any], eps: float = EPS, dtype: DTypeLike = "float32"
) -> NDArray[Any]:
    """Return the vegetation index (nir - red) / (nir + red + eps).

    Rouse et al. (1974), Monitoring vegetation systems in the Great Plains with ERTS.

    >>> ndvi(np.array([0.25]), np.array([0.75]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(nir, red, eps, dtype)


def ndwi(
    green: NDArray[Any], nir: NDArray[Any], eps: float = EPS, dtype: DTypeLike = "float32"
) -> NDArray[Any]:
    """Return the open-water index (green - nir) / (green + nir + eps).

    McFeeters (1996), doi:10.1080/01431169608948714.

    >>> ndwi(np.array([0.75]), np.array([0.25]))
    array([0.5], dtype=float32)
    """
    return normalized_difference(green, nir, eps, dtype)


def apply_index(
    raster: Raster,
    formula: Callable[..., NDArray[Any]],
    bands: Sequence[Band],
    axis: int,
    dtype: DTypeLike,
    name: str,
) -> Raster:
    """Take bands from a raster, call `formula` on them as floats, and wrap the result.

    - `raster`: (C, H, W) with the bands on `axis`.
    - `formula`: takes as many float arrays (H, W) as there are `bands`, returns a new one.

    Nodata in any of the bands becomes NaN.

    >>> apply_index(np.ones((2, 1, 1)), lambda a, b: a + b, [0, 1], 0, "float32", "sum")
    array([[2.]], dtype=float32)
    """
    taken = [take_band(raster, band, axis) for band in bands]
    out = formula(*[as_float(each, dtype) for each in taken])
    fill = fill_of(raster)
    if fill is not None and fill == fill:
        for each in taken:
            invalid = fill_mask(each, fill)
            if invalid is not None:
                out[invalid] = np.nan
    attrs = {"long_name": name, "units": ""}
    return rewrap(raster, out, fill=NAN, attrs=attrs, drop=("band_names", "stretch"))


class NormalizedDifference(Operator):
    """(a - b) / (a + b + eps) of any two bands: `normalized_difference` as an operator.

    >>> NormalizedDifference(0, 1)(np.array([[[3.0]], [[1.0]]]))
    array([[0.5]], dtype=float32)
    """

    def __init__(
        self, a_idx: Band, b_idx: Band, axis: int = 0, eps: float = EPS, dtype: str = "float32"
    ) -> None:
        check_band(a_idx, "a_idx")
        check_band(b_idx, "b_idx")
        float_dtype(dtype)
        self.a_idx = a_idx
        self.b_idx = b_idx
        self.axis = axis
        self.eps = eps
        self.dtype = dtype

    def _apply(self, raster: Raster) -> Raster:
        return apply_index(
            raster,
            lambda a, b: normalized_difference(a, b, self.eps, self.dtype),
            (self.a_idx, self.b_idx),
            self.axis,
            self.dtype,
            "normalised difference",
        )


class NDVI(Operator):
    """Vegetation index (nir - red) / (nir + red + eps): `ndvi` as an operator.

    >>> NDVI(red_idx=2, nir_idx=3)
    NDVI(red_idx=2, nir_idx=3, axis=0, eps=1e-10, dtype='float32')
    >>> NDVI(0, 1)(np.array([[[0.25]], [[0.75]]]))
    array([[0.5]], dtype=float32)
    """

    def __init__(
        self,
        red_idx: Band = "red",
        nir_idx: Band = "nir",
        axis: int = 0,
        eps: float = EPS,
        dtype: str = "float32",
    ) -> None:
        check_band(red_idx, "red_idx")
        check_band(nir_idx, "nir_idx")
        float_dtype(dtype)
        self.red_idx = red_idx
        self.nir_idx = nir_idx
        self.axis = axis
        self.eps = eps
        self.dtype = dtype

    def _apply(self, raster: Raster) -> Raster:
        bands = (self.red_idx, self.nir_idx)
        return apply_index(
            raster,
            lambda red, nir: ndvi(red, nir, self.eps, self.dtype),
            bands,
            self.axis,
            self.dtype,
            "NDVI",
        )


class NDWI(Operator):
    """Open-water index (green - nir) / (green + nir + eps): `ndwi` as an operator.

    >>> NDWI(0, 1)(np.array([[[0.75]], [[0.25]]]))
    array([[0.5]], dtype=float32)
    """

    def __init__(
        self,
        green_idx: Band = "green",
        nir_idx: Band = "nir",
        axis: int = 0,
        eps: float = EPS,
        dtype: str = "float32",
    ) -> None:
        check_band(green_idx, "green_idx")
        check_band(nir_idx, "nir_idx")
        float_dtype(dtype)
        self.green_idx = green_idx
        self.nir_idx = nir_idx
        self.axis = axis
        self.eps = eps
        self.dtype = dtype

    def _apply(self, raster: Raster) -> Raster:
        bands = (self.green_idx, self.nir_idx)
        return apply_index(
            raster,
            lambda green, nir: ndwi(green, nir, self.eps, self.dtype),
            bands,
            self.axis,
            self.dtype,
            "NDWI",
        )
