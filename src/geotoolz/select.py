"""Choose bands, by index or by name, and keep their names in step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geotoolz.bands import Band, band_index, band_names, stale_names, take_bands
from geotoolz.carrier import Raster, rewrap, values_of
from pipekit import Operator


def select_bands(raster: Raster, bands: Sequence[Band], axis: int = 0) -> Raster:
    """Return the chosen bands (len(bands), H, W), in that order, copied.

    - `raster`: (C, H, W), any dtype.
    - `bands`: indices, or names as in `attrs["band_names"]`, which the result's names follow.

    Raises IndexError or LookupError for a band that is not there, listing those that are.

    >>> select_bands(np.arange(3)[:, None, None] * np.ones((3, 1, 2)), (2, 0))[:, 0, 0]
    array([2., 0.])
    """
    if len(bands) == 0:
        raise ValueError("bands must name at least one band, got none")
    chosen = np.stack(take_bands(raster, bands, axis), axis)
    names = band_names(raster)
    if not names:
        return rewrap(raster, chosen)
    count = values_of(raster).shape[axis]
    if len(names) != count:
        raise stale_names(names, count)
    picked = [names[band_index(raster, band, axis)] for band in bands]
    return rewrap(raster, chosen, attrs={"band_names": picked})


class SelectBands(Operator):
    """Some bands of a raster, in the order asked for: `select_bands` as an operator.

    >>> SelectBands((1,))(np.zeros((4, 2, 3))).shape
    (1, 2, 3)
    """

    local = True

    def __init__(self, bands: Sequence[Band], axis: int = 0) -> None:
        self.bands = bands
        self.axis = axis

    def _apply(self, raster: Raster) -> Raster:
        return select_bands(raster, self.bands, self.axis)
