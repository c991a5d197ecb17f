"""Towns, streets, highways and runways as fractions of a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .grid import F32, Grid, resample
from .noise import fractal, uniform, white
from .shapes import line_distance, outline_distance, part_near, places, smooth, turned
from .terrain import smoothstep


@dataclass(frozen=True)
class Settlement:
    """Fractions, (rows, cols) float32: cleared land of towns, roofs, asphalt."""

    cleared: F32
    roof: F32
    asphalt: F32


def settlement(grid: Grid, meadow: F32, region: str) -> Settlement:
    """Return what people built; nothing is built on meadows.

    Parameters
    ----------
    grid
        The pixels that are drawn.
    meadow
        (rows, cols) float32, the fraction of meadow.
    region
        "tahoe" or "lisbon".

    Returns
    -------
    Fractions 0 to 1.
    """
    highway, strip = _roads(grid, region)
    cleared, roof, street = np.zeros((3, *grid.shape), np.float32)
    for number, town in enumerate(places(region)["town"]):
        azimuth, density = town.facts["azimuth"], town.facts["density"]
        ring = town.outline(grid.epsg)
        # Pixels whose centres lie within 400 m.
        part = part_near(grid, ring, 400 - grid.res / 2)
        if part is None:
            continue
        window = grid.window(*part)
        ragged = fractal(window, 1100, 51, octaves=5, gain=0.65) * np.float32(330)
        inside = smoothstep((outline_distance(window, ring, reach=900) + ragged) / 50 + 0.5)
        inside *= 1 - meadow[part]
        roofs, streets = blocks(window, azimuth, density, number, strip[part])
        cleared[part] = np.maximum(cleared[part], inside * _openness(window, density))
        roof[part] = np.maximum(roof[part], roofs * inside)
        street[part] = np.maximum(street[part], streets * inside)
    return Settlement(cleared, roof, np.maximum(highway, street))


def _openness(window: Grid, density: float) -> F32:
    """Return the share of trees that are gone: little in wooded quarters, much in dense ones."""
    quarters = fractal(window, 500, 52, octaves=3, gain=0.6)
    return np.clip(1.15 * density - 0.22 + 0.35 * quarters, 0.05, 0.95).astype(np.float32)


def blocks(window: Grid, azimuth: float, density: float, seed: int, strip: F32) -> tuple[F32, F32]:
    """Return (roof, street): a street grid that bends, houses along it, shops on the highway.

    Parameters
    ----------
    window
        The pixels of a town.
    azimuth
        Of its streets, degrees clockwise from north.
    density
        The share of lots with a house, 0 to 1.
    seed
        The number of the town.
    strip
        (rows, cols) float32, nearness to a highway, 0 to 1.

    Returns
    -------
    Two layers (rows, cols) float32, 0 to 1.
    """
    warp = np.float32(150) * fractal(window, 1800, 61 + seed, octaves=3)
    # Anchored to absolute metres, so that every window draws the same streets.
    across, along = turned(window, (760000.0, 4310000.0), azimuth)
    u = (across + warp).astype(np.float32)
    v = (along + 0.7 * warp).astype(np.float32)
    side = (0.5 - np.abs((u / 105) % 1 - 0.5)) * np.float32(105)
    # Cross streets are staggered from block to block, and every third is missing.
    stagger = uniform(np.floor(u / 105).astype(np.int64), np.zeros(1, np.int64), 66 + seed)
    cross = (0.5 - np.abs((v / 240 + stagger) % 1 - 0.5)) * np.float32(240)
    nearest = np.minimum(side, cross)
    edge = np.float32(max(window.res, 2.0))
    streets = np.clip((4.2 - nearest) / edge + 0.5, 0, 1)
    houses = _houses(window, u, v, nearest, density, seed)
    shops = _shops(u, v, strip, seed)
    roofs = np.asarray(np.maximum(houses, shops) * (1 - streets), dtype=np.float32)
    parking = np.float32(0.75) * (strip > 0.05) * (1 - shops)
    return roofs, np.maximum(0.9 * streets, parking * strip).astype(np.float32)


def _houses(window: Grid, u: F32, v: F32, nearest: F32, density: float, seed: int) -> F32:
    """Return roofs of houses 10 to 35 m from a street, one to a lot, some lots still wooded."""
    lot_u, lot_v = np.floor(u / 26.25).astype(np.int64), np.floor(v / 30).astype(np.int64)
    taken = uniform(lot_u, lot_v, 71 + seed) < density
    built_up = fractal(window, 350, 76, octaves=2) > np.float32(0.35 - 1.1 * density)
    size = 0.35 + 0.4 * uniform(lot_v, lot_u, 73 + seed)
    off_u, off_v = np.abs((u / 26.25) % 1 - 0.5), np.abs((v / 30) % 1 - 0.5)
    body = np.clip(
        (size - 2 * np.maximum(off_u, off_v)) * np.float32(15 / max(window.res, 2)) + 0.5, 0, 1
    )
    beside = (nearest > 8) & (nearest < 38)
    shade = 0.75 + 0.25 * white(window, 78)
    return (body * np.clip(shade, 0.2, 1) * (taken & built_up & beside)).astype(np.float32)


def _shops(u: F32, v: F32, strip: F32, seed: int) -> F32:
    """Return large bright roofs along the highway."""
    lot_u, lot_v = np.floor(u / 52.5).astype(np.int64), np.floor(v / 60).astype(np.int64)
    taken = uniform(lot_u, lot_v, 81 + seed) < 0.4
    return np.where(taken, strip, 0).astype(np.float32)


def _roads(grid: Grid, region: str) -> tuple[F32, F32]:
    """Return the fraction of asphalt of highways and runways, and nearness to a highway."""
    asphalt, strip = np.zeros((2, *grid.shape), np.float32)
    for road in (*places(region)["road"], *places(region)["runway"]):
        line = road.project(grid.epsg)
        is_road = road.facts["kind"] == "road"
        curve = smooth(line, closed=False, parts=6) if is_road else line
        for rows, cols, distance in line_distance(grid, curve, reach=140):
            here = (road.facts["half_width"] - distance) / np.float32(grid.res) + 0.5
            asphalt[rows, cols] = np.maximum(asphalt[rows, cols], np.clip(here, 0, 1))
            if is_road:
                wide = smoothstep((75 - distance) / 30)
                strip[rows, cols] = np.maximum(strip[rows, cols], wide)
    coarse = grid.at(max(50.0, grid.res), margin=1)
    # Shops stand in some stretches, not all along.
    stretches = smoothstep(3 * fractal(coarse, 900, 55, octaves=2))
    strip *= resample(stretches, coarse, grid)
    return asphalt, strip
