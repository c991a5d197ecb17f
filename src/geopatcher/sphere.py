"""Distances on the Earth taken as a sphere, by way of straight chords between unit vectors.

A KD-tree over unit vectors knows no antimeridian and no poles, so neighbours found in it are
right everywhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from geopatcher.patch import PatchError

_ROUNDING = 1e-6

EARTH_RADIUS_KM = 6371.0088
"""Mean radius (2a + b) / 3 of the GRS 80 ellipsoid: Moritz, H. (2000), J. Geodesy 74, 128-133."""


def unit_vectors(lon: Any, lat: Any) -> np.ndarray:
    """Return points (..., 3) on the unit sphere for longitudes and latitudes in degrees.

    Raises `PatchError` for latitudes beyond the poles.

    Parameters
    ----------
    lon : array-like
        Longitudes (...) in degrees.
    lat : array-like
        Latitudes (...) in degrees.

    Returns
    -------
    numpy.ndarray
        (..., 3) float64.

    Examples
    --------
    >>> unit_vectors([0, 180, 12], [0, 0, 90]).round(3) + 0
    array([[ 1.,  0.,  0.],
           [-1.,  0.,  0.],
           [ 0.,  0.,  1.]])
    """
    beyond = np.abs(lat) > 90 + _ROUNDING
    if beyond.any():
        raise PatchError(
            f"latitudes lie between -90 and 90 degrees, got {np.asarray(lat)[beyond].flat[0]}; "
            "points are (longitude, latitude), and a grid's rows are latitudes"
        )
    lam, phi = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)


def chord(distance_km: float) -> float:
    """Return the straight chord on the unit sphere under a great-circle distance in km.

    Parameters
    ----------
    distance_km : float
        Along a great circle, in km.

    Returns
    -------
    float
        0 to 2.

    Examples
    --------
    >>> round(chord(math.pi * EARTH_RADIUS_KM), 6)
    2.0
    """
    return 2 * math.sin(min(distance_km / EARTH_RADIUS_KM, math.pi) / 2)


def reach(distance_km: float) -> float:
    """Return the chord under a distance, a little longer: what lies at the distance is within.

    Parameters
    ----------
    distance_km : float
        Along a great circle, in km.

    Returns
    -------
    float
        A little more than the chord.

    Examples
    --------
    >>> chord(500) < reach(500) < chord(500.001)
    True
    """
    return chord(distance_km) * (1 + 1e-12)


def arc_km(chords: Any) -> Any:
    """Return the great-circle distances in km over chords on the unit sphere.

    Parameters
    ----------
    chords : array-like
        Chords (...) on the unit sphere.

    Returns
    -------
    numpy.ndarray
        (...) in km.

    Examples
    --------
    >>> round(float(arc_km(chord(1234.5))), 6)
    1234.5
    """
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.clip(np.asarray(chords) / 2, 0, 1))
