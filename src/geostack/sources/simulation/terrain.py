"""The relief: named heights joined by a thin-plate spline, with ridges and gullies of noise."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from . import places
from .grid import F32, Grid, resample
from .noise import fractal, ridged, spline_combine, spline_taps
from .shapes import F64, outline_distance, project, smooth

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
    coarse = grid.at(max(20.0, grid.res), 2)
    wobble = resample(fractal(coarse, 900, seed=11, octaves=5, gain=0.58), coarse, grid)
    # Sandy shores, which have wide shelves, are smooth; rocky ones have coves.
    amplitude = np.clip(100 - np.float32(0.085) * shelf_width(grid), 14, 95)
    distance += np.where(near, wobble * amplitude, 0).astype(np.float32)
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
    x0, wx = spline_taps(grid.x / _NODE)
    y0, wy = spline_taps(grid.y / _NODE)
    lx = np.arange(x0.min(), x0.max() + 4)
    ly = np.arange(y0.min(), y0.max() + 4)
    nodes = np.stack(np.meshgrid(lx * _NODE, ly * _NODE), axis=-1).reshape(-1, 2)
    lattice = _spline(grid.epsg)(nodes / 1e4).reshape(ly.size, lx.size).astype(np.float32)
    return spline_combine(lattice, y0 - ly[0], wy, x0 - lx[0], wx)


def shelf_width(grid: Grid) -> F32:
    """Return the width of Lake Tahoe's shallow shelf in metres, between the named places."""
    coarse = grid.at(400, margin=2)
    if grid.res < 400:
        return resample(shelf_width(coarse), coarse, grid)
    spots = project(places.TAHOE_SHELF, grid.epsg)
    total = np.full(grid.shape, 1e-12)
    weighted = np.full(grid.shape, 3e-10)
    for (x, y), (_, _, width) in zip(spots, places.TAHOE_SHELF, strict=True):
        far2 = (grid.x[None, :] - x) ** 2 + (grid.y[:, None] - y) ** 2
        weight = 1 / (far2 + 300.0**2) ** 1.5
        total += weight
        weighted += weight * width
    return (weighted / total).astype(np.float32)


def smoothstep(x: NDArray[np.floating]) -> F32:
    """Return 0 below 0, 1 above 1, and a smooth cubic between."""
    t = np.clip(x, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def ground(grid: Grid, shore: F32 | None = None) -> F32:
    """Return the height of the ground or lake surface in metres, float32."""
    shore = shore_distance(grid) if shore is None else shore
    macro = _macro(grid)
    south, east = np.gradient(macro, np.float32(grid.res))
    steep = np.hypot(south, east)
    inland = smoothstep((-shore - 30) / 800)
    amplitude = (150 + 540 * smoothstep(steep / 0.22)) * (0.05 + 0.95 * inland)
    crests = ridged(grid, 3900, seed=21, octaves=6, gain=0.6) - 0.16
    rough = fractal(grid, 260, seed=22, octaves=3) if grid.res < 100 else 0
    out = macro + amplitude * crests + (0.10 * amplitude + 1.0) * rough * inland
    # The shore rises gently from the water; the floor fades out before the distance is clamped.
    inland_m = np.maximum(-shore, 0)
    rise = places.TAHOE_LEVEL + 2 + 0.02 * np.minimum(inland_m, 700)
    rise -= 0.5 * np.maximum(inland_m - 700, 0)
    out = np.maximum(out, rise)
    return np.where(shore > 0, np.float32(places.TAHOE_LEVEL), out).astype(np.float32)
