"""Where the sun stands, and how it lights a slope."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import acos, asin, cos, degrees, pi, radians, sin

import numpy as np

from .grid import F32


@dataclass(frozen=True)
class Sun:
    """The sun's direction in degrees: `zenith` from the vertical, `azimuth` from north."""

    zenith: float
    azimuth: float


def sun_position(when: datetime, longitude: float, latitude: float) -> Sun:
    """Return the sun's position at a UTC time (the low-accuracy formulas of NOAA, about 0.5 deg).

    Source: NOAA Global Monitoring Division, "General Solar Position Calculations".

    >>> from datetime import datetime
    >>> sun = sun_position(datetime(2024, 6, 14, 18, 39), -120.0, 39.0)
    >>> round(sun.zenith), round(sun.azimuth)
    (23, 126)
    """
    hour = when.hour + when.minute / 60 + when.second / 3600
    g = 2 * pi / 365 * (when.timetuple().tm_yday - 1 + (hour - 12) / 24)
    equation = 229.18 * (
        0.000075
        + 0.001868 * cos(g)
        - 0.032077 * sin(g)
        - 0.014615 * cos(2 * g)
        - 0.040849 * sin(2 * g)
    )
    declination = (
        0.006918
        - 0.399912 * cos(g)
        + 0.070257 * sin(g)
        - 0.006758 * cos(2 * g)
        + 0.000907 * sin(2 * g)
        - 0.002697 * cos(3 * g)
        + 0.00148 * sin(3 * g)
    )
    hour_angle = radians((hour * 60 + equation + 4 * longitude) / 4 - 180)
    lat = radians(latitude)
    up = sin(lat) * sin(declination) + cos(lat) * cos(declination) * cos(hour_angle)
    zenith = acos(up)
    east = -cos(declination) * sin(hour_angle)
    north = (sin(declination) - sin(lat) * up) / cos(lat)
    azimuth = degrees(np.arctan2(east, north)) % 360
    return Sun(degrees(zenith), float(azimuth))


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


def earth_sun_factor(when: datetime) -> float:
    """Return the inverse square of the distance to the sun in astronomical units.

    Items carry it as `s2:reflectance_conversion_factor`.

    >>> from datetime import datetime
    >>> round(earth_sun_factor(datetime(2024, 7, 4)), 3)
    0.967
    """
    day = when.timetuple().tm_yday
    return (1 - 0.01673 * cos(radians(0.9856 * (day - 4)))) ** -2


def elevation_of(sun: Sun) -> float:
    """Return the sun's height above the horizon in degrees."""
    return degrees(asin(cos(radians(sun.zenith))))
