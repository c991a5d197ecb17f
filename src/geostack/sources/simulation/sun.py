"""Where the sun stands, and how it lights a slope."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np

from .grid import F32


@dataclass(frozen=True)
class Sun:
    """The sun's direction in degrees: `zenith` from the vertical, `azimuth` from north."""

    zenith: float
    azimuth: float


def illumination(elevation: F32, res: float, sun: Sun, soften: float = 0.14) -> F32:
    """Return the light on a slope relative to flat ground, float32, about 0.2 to 1.6.

    The C-correction of Teillet et al. (1982) run forwards: `soften` is its c, the share of
    diffuse light that keeps shaded slopes from being black.
    """
    south, east = np.gradient(elevation, np.float32(res))
    z, a = radians(sun.zenith), radians(sun.azimuth)
    # np.gradient's first axis runs from north to south.
    cos_i = cos(z) - sin(z) * (east * np.float32(sin(a)) - south * np.float32(cos(a)))
    cos_i /= np.sqrt(1 + east * east + south * south)
    light = (np.maximum(cos_i, 0) + soften) / (cos(z) + soften)
    return np.asarray(light, dtype=np.float32)


def shadow_offset(sun: Sun, height: float) -> tuple[float, float]:
    """Return (east, north) in metres from a cloud at `height` metres to its shadow."""
    length = height * np.tan(radians(sun.zenith))
    return -length * sin(radians(sun.azimuth)), -length * cos(radians(sun.azimuth))
