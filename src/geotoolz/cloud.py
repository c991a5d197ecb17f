"""Clouds, shadows and other pixels to drop, from the quality layers of Sentinel-2 and Landsat."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geotoolz.bands import Band, check_band, take_band
from geotoolz.carrier import Raster, rewrap, values_of
from pipekit import Operator


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
    raster: Raster, band_idx: Band = 0, classes: Collection[int] = SCL_CLOUDS_AND_INVALID
) -> Raster:
    """Return where Sentinel-2's scene classification is one of `classes`; True means drop.

    - `raster`: (C, H, W) with the SCL on band `band_idx` (an index or a name such as "SCL"), or
      the SCL itself as (H, W).
    - `classes`: ids 0 to 11, see `SCL_CLASSES`.

    Returns (H, W) bool.

    >>> mask_from_scl(np.array([[4, 9, 0, 3]], dtype="uint8"))
    array([[False,  True,  True,  True]])
    """
    values = values_of(raster)
    scl = values if values.ndim == 2 else take_band(raster, band_idx)
    out = _in_classes(scl, _scl_ids(classes))
    return rewrap(raster, out, fill=None, drop=("band_names",), attrs={"long_name": "dropped"})


def _scl_ids(classes: Collection[int]) -> tuple[int, ...]:
    ids = tuple(classes)
    if not ids:
        raise ValueError("classes is empty, so nothing would be masked; give SCL ids 0 to 11")
    unknown = [each for each in ids if each not in SCL_CLASSES]
    if unknown:
        raise ValueError(f"SCL ids are 0 to 11, got {unknown}")
    return ids


def _in_classes(ids: NDArray[Any], classes: tuple[int, ...]) -> NDArray[np.bool_]:
    if ids.dtype.kind in "iu" and ids.size and ids.min() >= 0 and ids.max() < 256:
        table = np.zeros(256, bool)
        table[list(classes)] = True
        return table[ids]
    return np.isin(ids, classes)


class MaskFromSCL(Operator):
    """Mask Sentinel-2 clouds by the scene classification: `mask_from_scl` as an operator.

    >>> MaskFromSCL()(np.array([[4, 9, 0, 3]], dtype="uint8"))
    array([[False,  True,  True,  True]])
    """

    def __init__(
        self, band_idx: Band = 0, classes: Collection[int] = SCL_CLOUDS_AND_INVALID
    ) -> None:
        check_band(band_idx, "band_idx")
        _scl_ids(classes)
        self.band_idx = band_idx
        self.classes = classes

    def _apply(self, raster: Raster) -> Raster:
        return mask_from_scl(raster, self.band_idx, self.classes)
