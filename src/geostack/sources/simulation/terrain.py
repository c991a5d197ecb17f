"""Relief and lakes: named heights joined by a spline, ridges of noise, water and its depth."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .grid import F32, Grid, resample
from .noise import fractal, ridged, spline_surface
from .shapes import Place, ellipse_distance, outline_distance, part_near, places, turned

_NODE = 500.0


def shore_distance(grid: Grid) -> F32:
    """Return the signed distance to Lake Tahoe's shore in metres, positive on the water.

    Beyond 3 km inland it is -3000. A little noise roughens the hand-drawn shore.

    Parameters
    ----------
    grid
        The pixels that are drawn.

    Returns
    -------
    (rows, cols) float32.
    """
    distance = outline_distance(grid, places("tahoe")["shore"][0].outline(grid.epsg))
    near = distance > -400
    coarse = grid.at(max(20.0, grid.res), 2)
    wobble = resample(fractal(coarse, 900, seed=11, octaves=5, gain=0.58), coarse, grid)
    # Sandy shores, which have wide shelves, are smooth; rocky ones have coves.
    amplitude = np.clip(100 - np.float32(0.085) * shelf_width(grid), 14, 95)
    distance += np.where(near, wobble * amplitude, 0).astype(np.float32)
    return distance


@lru_cache(maxsize=4)
def _spline(epsg: int, region: str):  # type: ignore[no-untyped-def]
    from scipy.interpolate import RBFInterpolator

    here = places(region)
    shore, spots = here["shore"][0].project(epsg)[::3], here["height"]
    points = np.vstack([*(spot.project(epsg) for spot in spots), shore]) / 1e4
    heights = [spot.facts["metres"] for spot in spots]
    values = np.concatenate([heights, np.full(len(shore), here["shore"][0].facts["level"] + 3)])
    return RBFInterpolator(points, values, kernel="thin_plate_spline", smoothing=1e-4)


def _macro(grid: Grid, region: str) -> F32:
    """Return the smooth relief through the named heights, metres."""
    spline = _spline(grid.epsg, region)

    def named(cols: NDArray[np.int64], rows: NDArray[np.int64]) -> F32:
        nodes = np.stack(np.meshgrid(cols * _NODE, rows * _NODE), axis=-1).reshape(-1, 2)
        heights = spline(nodes / 1e4).reshape(rows.size, cols.size)
        return np.asarray(heights, dtype=np.float32)

    return spline_surface(grid, _NODE, named)


def shelf_width(grid: Grid) -> F32:
    """Return the width of Lake Tahoe's shallow shelf in metres, between the named places.

    Parameters
    ----------
    grid
        The pixels that are drawn.

    Returns
    -------
    (rows, cols) float32.
    """
    coarse = grid.at(400, margin=2)
    if grid.res < 400:
        return resample(shelf_width(coarse), coarse, grid)
    total = np.full(grid.shape, 1e-12)
    weighted = np.full(grid.shape, 3e-10)
    for spot in places("tahoe")["shelf"]:
        x, y = spot.project(grid.epsg)[0]
        far2 = (grid.x[None, :] - x) ** 2 + (grid.y[:, None] - y) ** 2
        weight = 1 / (far2 + 300.0**2) ** 1.5
        total += weight
        weighted += weight * spot.facts["width"]
    return (weighted / total).astype(np.float32)


def smoothstep(x: NDArray[np.floating]) -> F32:
    """Return 0 below 0, 1 above 1, and a smooth cubic between.

    Parameters
    ----------
    x
        Of any shape.

    Returns
    -------
    Of the same shape, float32.
    """
    t = np.clip(x, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def ground(grid: Grid, shore: F32 | None = None, region: str = "tahoe") -> F32:
    """Return the height of the ground or lake surface in metres, float32.

    Parameters
    ----------
    grid
        The pixels that are drawn.
    shore
        (rows, cols) float32, as of `shore_distance`, which is computed without it.
    region
        "tahoe" or "lisbon".

    Returns
    -------
    (rows, cols) float32.
    """
    shore = shore_distance(grid) if shore is None else shore
    macro = _macro(grid, region)
    facts = places(region)["shore"][0].facts
    south, east = np.gradient(macro, np.float32(grid.res))
    steep = np.hypot(south, east)
    inland = smoothstep((-shore - 30) / 800)
    amplitude = (150 + 540 * smoothstep(steep / 0.22)) * (0.05 + 0.95 * inland)
    amplitude *= np.float32(facts["roughness"])
    crests = ridged(grid, 3900, seed=21, octaves=6, gain=0.6) - 0.16
    rough = fractal(grid, 260, seed=22, octaves=3) if grid.res < 100 else 0
    out = macro + amplitude * crests + (0.10 * amplitude + 1.0) * rough * inland
    # The shore rises gently from the water; the floor fades out before the distance is clamped.
    inland_m = np.maximum(-shore, 0)
    rise = facts["level"] + 2 + 0.02 * np.minimum(inland_m, 700)
    rise -= 0.5 * np.maximum(inland_m - 700, 0)
    out = np.maximum(out, rise)
    return np.where(shore > 0, np.float32(facts["level"]), out).astype(np.float32)


def lakes(grid: Grid, shore: F32) -> tuple[F32, F32]:
    """Return the fraction of water and its depth in metres; `shore` as of `shore_distance`.

    Parameters
    ----------
    grid
        The pixels that are drawn.
    shore
        (rows, cols) float32, as of `shore_distance`.

    Returns
    -------
    Two layers (rows, cols) float32.
    """
    water = np.clip(shore / np.float32(grid.res) + np.float32(0.5), 0, 1)
    depth = _tahoe_depth(grid, shore)
    _marina(grid, water, depth)
    for _, part, distance in ragged_ellipses(grid, "lake", 0.42):
        here = np.clip(distance / np.float32(grid.res) + np.float32(0.5), 0, 1)
        water[part] = np.maximum(water[part], here)
        deep = np.maximum(distance, 0) * np.float32(0.15)
        depth[part] = np.maximum(depth[part], deep)
    return water, np.minimum(depth, 480).astype(np.float32)


def ragged_ellipses(
    grid: Grid, kind: str, share: float
) -> Iterator[tuple[Place, tuple[slice, slice], F32]]:
    """Yield places of a kind that touch a grid, with natural outlines.

    Parameters
    ----------
    grid
        The grid.
    kind
        Of places around Lake Tahoe that are ellipses.
    share
        How far noise moves the outline, as a share of the ellipse's half width.

    Yields
    ------
    The place, its rows and columns of the grid, and the signed distance to its outline there,
    (rows, cols) float32 metres, positive inside.
    """
    for place in places("tahoe")[kind]:
        found = ellipse_distance(grid, place)
        if found is not None:
            rows, cols, distance = found
            amplitude = share * place.facts["half_width"]
            cell = max(4 * amplitude, 150.0)
            noise = fractal(grid.window(rows, cols), cell, 15, octaves=5, gain=0.6)
            yield place, (rows, cols), distance + noise * np.float32(amplitude)


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
    ring = places("tahoe")["canals"][0].outline(grid.epsg)
    part = part_near(grid, ring, 100)
    if part is None:
        return
    window, middle = grid.window(*part), ring.mean(axis=0)
    u, v = turned(window, middle, 20)
    v += 25 * np.sin((window.x[None, :] - middle[0]) / 160)
    fingers = 24 - np.abs((v / 150) % 1 - 0.5) * 150
    trunk = 38 - np.minimum(np.abs(u + 60), np.abs(u - 420))
    canal = np.minimum(np.maximum(fingers, trunk), outline_distance(window, ring, reach=200))
    here = np.clip(canal / grid.res + 0.5, 0, 1).astype(np.float32)
    here[water[part] > 0] = 0
    water[part] += here
    # Dredged to a few metres, over a dark bed of weeds: as dark as twice that over sand.
    depth[part] = np.where(here > 0, 9, depth[part])
