"""The relief: named heights joined by a thin-plate spline, with ridges and gullies of noise."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from . import places
from .grid import Grid
from .noise import _spline_taps, fractal, ridged, spline_combine
from .shapes import F64, outline_distance, project, smooth

F32 = NDArray[np.float32]

_NODE = 500.0


@lru_cache(maxsize=4)
def tahoe_ring(epsg: int) -> F64:
    """Return the lake's outline in metres, smoothed, (n, 2)."""
    return smooth(project(places.TAHOE_SHORE, epsg), closed=True)


def shore_distance(grid: Grid) -> F32:
    """Return the signed distance to Lake Tahoe's shore in metres, positive on the water.

    Beyond 3 km inland it is -3000. A little noise roughens the hand-drawn shore.
    """
    distance = outline_distance(grid, tahoe_ring(grid.epsg))
    near = distance > -400
    wobble = fractal(grid.at(40, 2), 700, seed=11, octaves=4)
    from .grid import resample

    rough = resample(wobble, grid.at(40, 2), grid)
    distance += np.where(near, rough * 45, 0).astype(np.float32)
    return distance


@lru_cache(maxsize=4)
def _spline(epsg: int):  # type: ignore[no-untyped-def]
    from scipy.interpolate import RBFInterpolator

    shore = project(places.TAHOE_SHORE[::3], epsg)
    spots = project(places.ELEVATIONS, epsg)
    heights = [p[2] for p in places.ELEVATIONS]
    points = np.vstack([spots, shore]) / 1e4
    values = np.concatenate([heights, np.full(len(shore), places.TAHOE_LEVEL + 3)])
    return RBFInterpolator(points, values, kernel="thin_plate_spline", smoothing=1e-4)


def _macro(grid: Grid) -> F32:
    """Return the smooth relief through the named heights, metres."""
    x0, wx = _spline_taps(grid.x / _NODE)
    y0, wy = _spline_taps(grid.y / _NODE)
    lx = np.arange(x0.min(), x0.max() + 4)
    ly = np.arange(y0.min(), y0.max() + 4)
    nodes = np.stack(np.meshgrid(lx * _NODE, ly * _NODE), axis=-1).reshape(-1, 2)
    lattice = _spline(grid.epsg)(nodes / 1e4).reshape(ly.size, lx.size).astype(np.float32)
    return spline_combine(lattice, y0 - ly[0], wy, x0 - lx[0], wx)


def smoothstep(x: F32) -> F32:
    """Return 0 below 0, 1 above 1, and a smooth cubic between."""
    t = np.clip(x, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def ground(grid: Grid, shore: F32 | None = None) -> F32:
    """Return the height of the ground or lake surface in metres, float32."""
    shore = shore_distance(grid) if shore is None else shore
    macro = _macro(grid)
    south, east = np.gradient(macro, np.float32(grid.res))
    steep = np.hypot(south, east)
    inland = smoothstep((-shore - 60) / 1800)
    amplitude = (70 + 300 * smoothstep(steep / 0.22)) * (0.05 + 0.95 * inland)
    crests = ridged(grid, 3600, seed=21, octaves=5) - 0.45
    rough = fractal(grid, 260, seed=22, octaves=3) if grid.res < 100 else 0
    out = macro + amplitude * crests + (0.05 * amplitude + 1.0) * rough * inland
    rise = places.TAHOE_LEVEL + 2 + np.clip(-shore, 0, 1e9) * 0.02
    beside = (shore > -2900) & (shore <= 0)
    out = np.where(beside, np.maximum(out, rise), out)
    return np.where(shore > 0, np.float32(places.TAHOE_LEVEL), out).astype(np.float32)
