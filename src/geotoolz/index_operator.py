"""What every spectral index shares: its bands are found, taken as floats, and nodata carried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from geotoolz.bands import Band, check_band, take_bands
from geotoolz.carrier import NAN, Raster, fill_mask, fill_of, float_dtype, rewrap
from pipekit import Operator


def apply_index(
    raster: Raster,
    formula: Callable[..., NDArray[Any]],
    bands: Sequence[Band],
    axis: int = 0,
    dtype: DTypeLike = "float32",
    name: str = "index",
) -> Raster:
    """Take bands from a raster, call `formula` on them as floats, and wrap the result.

    - `raster`: (C, H, W) with the bands on `axis`.
    - `formula`: takes as many float arrays (H, W) as there are `bands`, returns a new one.
    - `name`: what the result is called in `attrs["long_name"]`.

    Nodata in any of the bands becomes NaN.

    >>> apply_index(np.ones((2, 1, 1)), lambda a, b: a + b, [0, 1])
    array([[2.]], dtype=float32)
    """
    taken = take_bands(raster, bands, axis)
    out = formula(*float_bands(dtype, *taken))
    fill = fill_of(raster)
    if fill is not None and fill == fill:
        for each in taken:
            invalid = fill_mask(each, fill)
            if invalid is not None:
                out[invalid] = np.nan
    attrs = {"long_name": name, "units": ""}
    return rewrap(raster, out, fill=NAN, attrs=attrs, drop=("band_names", "stretch"))


def float_bands(dtype: DTypeLike, *bands: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the bands as floats of `dtype`, those that already are without a copy.

    Raises ValueError when their shapes differ.

    >>> [b.dtype.name for b in float_bands("float32", np.ones(2, "uint8"), np.ones(2))]
    ['float32', 'float32']
    """
    kind = float_dtype(dtype)
    shape = bands[0].shape
    for band in bands:
        if band.shape != shape:
            raise ValueError(f"the bands must have one shape, got {[b.shape for b in bands]}")
    return [band if band.dtype == kind else band.astype(kind) for band in bands]


@dataclass(repr=False, eq=False)
class SpectralOperator(Operator):
    """An operator over a function of bands.

    A subclass is a dataclass (without its own `repr` and `eq`: operators print and compare by their
    config) that names its function and lists its arguments. Those that end in `_idx` are bands, in
    the function's order; those other than `axis` and `dtype` are the function's constants.
    """

    local = True

    _formula: ClassVar[Callable[..., NDArray[Any]]]

    def __post_init__(self) -> None:
        self._bands: list[str] = []
        self._constants: list[str] = []
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if name.endswith("_idx"):
                check_band(value, name)
                self._bands.append(name)
            elif name == "dtype":
                float_dtype(value)
            elif name != "axis":
                if not np.isfinite(value):
                    raise ValueError(f"{name} must be a finite number, got {value}")
                self._constants.append(name)

    def _apply(self, raster: Raster) -> Raster:
        own = self.__dict__
        constants = {name: own[name] for name in self._constants}
        formula = partial(type(self)._formula, dtype=own["dtype"], **constants)
        bands = [own[name] for name in self._bands]
        return apply_index(raster, formula, bands, own["axis"], own["dtype"], type(self).__name__)
