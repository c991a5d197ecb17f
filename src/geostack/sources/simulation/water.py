"""Lakes: how much of each pixel is water, and how deep it is."""

from __future__ import annotations

import numpy as np

from . import places
from .grid import F32, Grid, resample
from .noise import fractal
from .shapes import ellipse_distance, outline_distance, project, smooth
from .terrain import shelf_width


def lakes(grid: Grid, shore: F32) -> tuple[F32, F32]:
    """Return the fraction of water and its depth in metres; `shore` as of `shore_distance`."""
    water = np.clip(shore / np.float32(grid.res) + np.float32(0.5), 0, 1)
    depth = _tahoe_depth(grid, shore)
    _marina(grid, water, depth)
    for lake in places.SMALL_LAKES:
        part = ellipse_distance(grid, project([lake], grid.epsg)[0], *lake[3:])
        if part is None:
            continue
        rows, cols, distance = part
        distance = distance + outline_noise(grid.window(rows, cols), 0.42 * lake[4])
        here = np.clip(distance / np.float32(grid.res) + np.float32(0.5), 0, 1)
        water[rows, cols] = np.maximum(water[rows, cols], here)
        deep = np.maximum(distance, 0) * np.float32(0.15)
        depth[rows, cols] = np.maximum(depth[rows, cols], deep)
    return water, np.minimum(depth, 480).astype(np.float32)


def outline_noise(window: Grid, amplitude: float) -> F32:
    """Return noise that turns an ellipse into a natural outline, metres."""
    return fractal(window, max(4 * amplitude, 150.0), 15, octaves=5, gain=0.6) * np.float32(
        amplitude
    )


def _tahoe_depth(grid: Grid, shore: F32) -> F32:
    """Return the lake's depth: a shelf to about 10 m, then the drop-off, irregular as it is."""
    coarse = grid.at(max(40.0, grid.res), margin=1)
    uneven = 1 + np.float32(0.55) * fractal(coarse, 1700, 12, octaves=4)
    width = resample(shelf_width(coarse) * np.clip(uneven, 0.3, 2), coarse, grid)
    banks = resample(fractal(coarse, 600, 13, octaves=4), coarse, grid)
    offshore = np.maximum(shore, 0)
    shelf = np.minimum(offshore / width, 1)
    depth = shelf ** np.float32(0.6) * np.float32(10) * (1 + np.float32(0.3) * banks * shelf)
    beyond = np.maximum(offshore - width, 0)
    # The edge of the shelf breaks softly: quadratic for the first 150 m, steep from there on.
    depth += np.minimum(beyond, 150) ** 2 * np.float32(0.14 / 300)
    depth += np.maximum(beyond - 150, 0) * np.float32(0.2)
    return np.asarray(depth, dtype=np.float32)


def _marina(grid: Grid, water: F32, depth: F32) -> None:
    """Dig the canals of the Tahoe Keys into `water` and `depth`."""
    ring = smooth(project(places.KEYS, grid.epsg), closed=True)
    inside = outline_distance(grid, ring, reach=200)
    part = np.flatnonzero((inside > -100).any(axis=1)), np.flatnonzero((inside > -100).any(axis=0))
    if part[0].size < 2 or part[1].size < 2:
        return
    rows, cols = (slice(p[0], p[-1] + 1) for p in part)
    window = grid.window(rows, cols)
    s, c = np.sin(np.radians(20)), np.cos(np.radians(20))
    x0, y0 = ring.mean(axis=0)
    dx, dy = window.x[None, :] - x0, window.y[:, None] - y0
    u, v = dx * c - dy * s, dx * s + dy * c + 25 * np.sin(dx / 160)
    fingers = 24 - np.abs((v / 150) % 1 - 0.5) * 150
    trunk = 38 - np.minimum(np.abs(u + 60), np.abs(u - 420))
    canal = np.minimum(np.maximum(fingers, trunk), inside[rows, cols])
    here = np.clip(canal / grid.res + 0.5, 0, 1).astype(np.float32)
    here[water[rows, cols] > 0] = 0
    water[rows, cols] += here
    # Dredged to a few metres, over a dark bed of weeds: as dark as twice that over sand.
    depth[rows, cols] = np.where(here > 0, 9, depth[rows, cols])
