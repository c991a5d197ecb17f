"""Surface reflectance of covers and water in Sentinel-2's bands."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .grid import F32


class Spectrum(NamedTuple):
    """Reflectance, 0 to 1, in the six bands that the notebooks use."""

    B02: float
    B03: float
    B04: float
    B08: float
    B11: float
    B12: float


BANDS = Spectrum._fields

# Typical L2A values of the Sierra Nevada in summer; nearby those of the USGS spectral library
# (Kokaly et al., 2017) and the ECOSTRESS library after mixing with shade.
COVER: dict[str, Spectrum] = {
    "forest": Spectrum(0.0165, 0.0290, 0.0205, 0.220, 0.098, 0.044),
    "rock": Spectrum(0.175, 0.205, 0.230, 0.275, 0.315, 0.285),
    "soil": Spectrum(0.056, 0.079, 0.103, 0.178, 0.265, 0.215),
    "shrub": Spectrum(0.031, 0.050, 0.052, 0.205, 0.190, 0.115),
    "meadow": Spectrum(0.036, 0.075, 0.048, 0.335, 0.205, 0.105),
    "sand": Spectrum(0.190, 0.225, 0.260, 0.310, 0.370, 0.340),
    "roof": Spectrum(0.150, 0.160, 0.175, 0.225, 0.245, 0.220),
    "asphalt": Spectrum(0.088, 0.096, 0.105, 0.130, 0.155, 0.150),
    "char": Spectrum(0.031, 0.035, 0.041, 0.070, 0.142, 0.172),
    "scorched": Spectrum(0.034, 0.049, 0.064, 0.142, 0.185, 0.140),
}
DRY_MEADOW = Spectrum(0.062, 0.094, 0.120, 0.265, 0.300, 0.205)
SNOW = Spectrum(0.830, 0.840, 0.820, 0.700, 0.110, 0.090)
CLOUD = Spectrum(0.830, 0.820, 0.810, 0.830, 0.580, 0.460)
DEEP_WATER = Spectrum(0.0265, 0.0128, 0.0052, 0.0034, 0.0018, 0.0014)
TURBID_WATER = Spectrum(0.042, 0.060, 0.046, 0.013, 0.0040, 0.0030)
LAKE_BED = Spectrum(0.122, 0.152, 0.135, 0.175, 0.20, 0.16)
# Diffuse attenuation, 1/m: clear oligotrophic water (Morel and Maritorena, 2001, low chlorophyll;
# pure-water absorption of Smith and Baker, 1981, from the red on).
ATTENUATION = Spectrum(0.055, 0.075, 0.34, 2.6, 60.0, 90.0)


def water_reflectance(band: str, depth: F32, bed: F32) -> F32:
    """Return the reflectance of water over a lake bed of relative brightness `bed`, float32.

    Two-flow model of Maritorena, Morel and Gentili (1994):
    R = R_deep + (R_bed - R_deep) exp(-2 K z).
    """
    deep, bottom = getattr(DEEP_WATER, band), getattr(LAKE_BED, band)
    seen = np.exp(np.float32(-2 * getattr(ATTENUATION, band)) * depth)
    return np.asarray(deep + (bottom * bed - deep) * seen, dtype=np.float32)


def mix(band: str, cover: dict[str, F32]) -> F32:
    """Return the sum of cover fractions times their reflectance in a band, float32.

    >>> import numpy as np
    >>> half = np.full((1, 1), 0.5, np.float32)
    >>> mix("B04", {"forest": half, "rock": half}).round(4).tolist()
    [[0.1252...]]
    """
    first, *rest = cover
    out = cover[first] * np.float32(getattr(COVER[first], band))
    for name in rest:
        out += cover[name] * np.float32(getattr(COVER[name], band))
    return out
