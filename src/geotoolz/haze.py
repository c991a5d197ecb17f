"""Take haze off: from top-of-atmosphere reflectance to an estimate of the surface's."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from geotoolz.bands import band_views
from geotoolz.carrier import NAN, Raster, carry_nodata, fill_of, float_dtype, rewrap, values_of
from geotoolz.stretch import band_percentiles
from pipekit import Operator


def dark_object_subtraction(
    raster: Raster,
    percentile: float = 0.1,
    dark_reflectance: float = 0.01,
    axis: int = 0,
    dtype: DTypeLike = "float32",
) -> Raster:
    """Return surface reflectance estimated by taking the haze off top-of-atmosphere reflectance.

    The darkest pixels of each band (its `percentile`) are assumed to reflect `dark_reflectance`;
    what they show above that is path radiance and is subtracted from the band (Chavez 1988,
    doi:10.1016/0034-4257(88)90019-3; 1 % after Chavez 1996). Never below 0; a band darker than
    the assumption is left alone. Nodata is NaN.

    - `raster`: (C, H, W) reflectance, 0 to 1.
    - `percentile`: 0 to 100.

    >>> dark_object_subtraction(np.array([[[0.06, 0.26]]], dtype="float32"), percentile=0).round(3)
    array([[[0.01, 0.21]]], dtype=float32)
    """
    if not 0 <= percentile <= 100:
        raise ValueError(f"percentile must be 0 to 100, got {percentile}")
    values = values_of(raster)
    fill = fill_of(raster)
    out = values.astype(float_dtype(dtype))
    for source, target in zip(band_views(values, axis), band_views(out, axis), strict=True):
        (dark,) = band_percentiles(source, (percentile,), fill=fill)
        haze = max(dark - dark_reflectance, 0.0)
        np.maximum(np.subtract(target, haze, out=target), 0.0, out=target)
    carry_nodata(out, values, fill)
    return rewrap(raster, out, fill=NAN)


class TOAToBOA_DOS(Operator):  # noqa: N801
    """Take haze off by dark-object subtraction: `dark_object_subtraction` as an operator.

    >>> TOAToBOA_DOS(percentile=0)(np.array([[[0.06, 0.26]]], dtype="float32")).round(3)
    array([[[0.01, 0.21]]], dtype=float32)
    """

    def __init__(
        self,
        percentile: float = 0.1,
        dark_reflectance: float = 0.01,
        axis: int = 0,
        dtype: str = "float32",
    ) -> None:
        if not 0 <= percentile <= 100:
            raise ValueError(f"percentile must be 0 to 100, got {percentile}")
        float_dtype(dtype)
        self.percentile = percentile
        self.dark_reflectance = dark_reflectance
        self.axis = axis
        self.dtype = dtype

    def _apply(self, raster: Raster) -> Raster:
        return dark_object_subtraction(
            raster, self.percentile, self.dark_reflectance, self.axis, self.dtype
        )
