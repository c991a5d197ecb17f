"""What covers each pixel: fractions of water, forest, rock, soil, meadow, buildings and roads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import places
from .grid import Grid, resample
from .noise import fractal, lattice_noise, uniform, white
from .shapes import ellipse_distance, line_distance, outline_distance, project, smooth
from .terrain import ground, shore_distance, smoothstep

F32 = NDArray[np.float32]

COVERS = ("forest", "rock", "soil", "shrub", "meadow", "sand", "roof", "asphalt")
"""Land covers whose fractions, with `water`, sum to 1 in each pixel."""


@dataclass(frozen=True)
class Landscape:
    """The ground truth of one grid; every layer is (rows, cols) float32.

    `cover` holds the fractions of `COVERS`, `water` that of open water, `depth` is in metres
    (0 on land), `elevation` in metres, `crown` is the texture of tree crowns (mean 0), `wetness`
    is 0 to 1 and says how long meadows stay green.
    """

    grid: Grid
    elevation: F32
    water: F32
    depth: F32
    cover: dict[str, F32]
    crown: F32
    wetness: F32


def build(grid: Grid) -> Landscape:
    """Make the ground truth of a grid of 10 m pixels or coarser."""
    coarse = grid.at(20 if grid.res <= 10 else grid.res, margin=2)
    shore_c = shore_distance(coarse)
    height = ground(coarse, shore_c)
    shore = resample(shore_c, coarse, grid)
    water, lake_depth = _lakes(grid, shore)
    crown = _crown(grid)
    cover, wetness = _cover(grid, coarse, height, shore, crown)
    land = 1 - water
    for layer in cover.values():
        layer *= land
    elevation = resample(height, coarse, grid)
    return Landscape(grid, elevation, water, lake_depth, cover, crown, wetness)


def _crown(grid: Grid) -> F32:
    """Return the texture of crowns and gaps, standard deviation about 1."""
    fine = white(grid, 41) * np.float32(0.75)
    return fine + lattice_noise(grid, 3.2 * grid.res, 42) * np.float32(1.4)


def _lakes(grid: Grid, shore: F32) -> tuple[F32, F32]:
    """Return the fraction of water and its depth in metres."""
    water = np.clip(shore / np.float32(grid.res) + np.float32(0.5), 0, 1)
    width = _shelf_width(grid)
    offshore = np.maximum(shore, 0)
    depth = 9 * (offshore / width) ** np.float32(0.8)
    depth += np.maximum(offshore - width, 0) * np.float32(0.22)
    for lake in places.SMALL_LAKES:
        part = ellipse_distance(grid, project([lake], grid.epsg)[0], *lake[3:])
        if part is None:
            continue
        rows, cols, distance = part
        distance = distance + _outline_noise(grid.window(rows, cols), 0.25 * lake[4])
        here = np.clip(distance / np.float32(grid.res) + np.float32(0.5), 0, 1)
        water[rows, cols] = np.maximum(water[rows, cols], here)
        depth[rows, cols] = np.maximum(depth[rows, cols], np.maximum(distance, 0) * 0.15)
    return water, np.minimum(depth, 480).astype(np.float32)


def _outline_noise(window: Grid, amplitude: float) -> F32:
    return fractal(window, 8 * max(amplitude, 20.0), 15, octaves=3) * np.float32(amplitude)


def _shelf_width(grid: Grid) -> F32:
    """Return the shelf's width, interpolated between the named places, metres."""
    coarse = grid.at(400, margin=1)
    spots = project(places.TAHOE_SHELF, grid.epsg)
    total = np.full(coarse.shape, 1e-12)
    weighted = np.full(coarse.shape, 3e-10)
    for (x, y), (_, _, width) in zip(spots, places.TAHOE_SHELF, strict=True):
        far2 = (coarse.x[None, :] - x) ** 2 + (coarse.y[:, None] - y) ** 2
        weight = 1 / (far2 + 300.0**2) ** 1.5
        total += weight
        weighted += weight * width
    return resample((weighted / total).astype(np.float32), coarse, grid)


def _cover(
    grid: Grid, coarse: Grid, height: F32, shore: F32, crown: F32
) -> tuple[dict[str, F32], F32]:
    """Return the fractions of the land covers, as if there were no water, and the wetness."""
    rock_c, dry_c, stand_c = _regions(coarse, height)
    rock = resample(rock_c, coarse, grid)
    dry = resample(dry_c, coarse, grid)
    stand = resample(stand_c, coarse, grid)
    rock = smoothstep(rock + np.float32(0.10) * crown)
    forest = smoothstep(stand + np.float32(0.13) * crown)
    meadow, wetness = _meadows(grid)
    built, roof, street = _towns(grid)
    asphalt = np.maximum(_roads(grid), street)
    sand = smoothstep((shore + 45) / 30) * resample(_beaches(coarse), coarse, grid)

    forest *= (1 - meadow) * (1 - 0.55 * built) * (1 - sand)
    forest *= (1 - asphalt) * (1 - roof)
    open_ground = 1 - forest
    cover = {"forest": forest}
    for name, layer in (("asphalt", asphalt), ("roof", roof), ("sand", sand), ("meadow", meadow)):
        cover[name] = open_ground * np.clip(layer, 0, 1)
        open_ground = open_ground - cover[name]
    cover["rock"] = open_ground * rock
    open_ground = open_ground - cover["rock"]
    cover["shrub"] = open_ground * (0.30 + 0.45 * dry)
    cover["soil"] = open_ground - cover["shrub"]
    return {name: cover[name] for name in COVERS}, wetness


def _regions(coarse: Grid, height: F32) -> tuple[F32, F32, F32]:
    """Return what decides rock, dryness and forest before fine texture: three layers."""
    south, east = np.gradient(height, np.float32(coarse.res))
    steep = np.hypot(south, east)
    northness = south / (steep + np.float32(0.08))
    granite = np.zeros(coarse.shape, np.float32)
    for lon, lat, radius, share in places.GRANITE:
        x, y = project([(lon, lat)], coarse.epsg)[0]
        far2 = (coarse.x[None, :] - x) ** 2 + (coarse.y[:, None] - y) ** 2
        granite = np.maximum(granite, share * np.exp(-far2 / radius**2)).astype(np.float32)
    patches = fractal(coarse, 900, 31, octaves=5, gain=0.6)
    outcrop = -0.75 + 1.3 * granite + 1.4 * np.clip(steep - 0.35, 0, 0.6) + 0.85 * patches
    outcrop += np.clip((height - 2650) / 700, -0.4, 1.0) * 0.9
    # The rain shadow: east of the crest and low, sagebrush takes over from forest.
    lee = np.clip((coarse.x[None, :] - 770500) / 6000, -1, 1).astype(np.float32)
    dry = np.clip(0.5 + 0.5 * lee - (height - 1850) / 900, 0, 1) * smoothstep(lee + 0.6)
    stands = fractal(coarse, 1100, 32, octaves=5, gain=0.62)
    tree = 0.78 + 0.42 * stands + 0.16 * northness
    tree -= 0.9 * np.clip(outcrop + 0.15, 0, 1) + 1.5 * dry
    tree -= np.clip((height - 2600) / 450, 0, 1.2)
    return outcrop.astype(np.float32), dry.astype(np.float32), tree.astype(np.float32)


def _meadows(grid: Grid) -> tuple[F32, F32]:
    meadow = np.zeros(grid.shape, np.float32)
    wetness = np.full(grid.shape, 0.4, np.float32)
    for lon, lat, length, width, azimuth, wet in places.MEADOWS:
        part = ellipse_distance(grid, project([(lon, lat)], grid.epsg)[0], length, width, azimuth)
        if part is None:
            continue
        rows, cols, distance = part
        distance = distance + _outline_noise(grid.window(rows, cols), 0.55 * width)
        here = smoothstep(distance / 60 + 0.5)
        wetness[rows, cols] = np.where(here > meadow[rows, cols], wet, wetness[rows, cols])
        meadow[rows, cols] = np.maximum(meadow[rows, cols], here)
    return meadow, wetness


def _beaches(coarse: Grid) -> F32:
    """Return where the shore is sand and not rock or trees, 0 to 1."""
    shelf = _shelf_width(coarse)
    patches = fractal(coarse, 700, 35, octaves=2)
    return smoothstep(shelf / 1000 + 0.8 * patches - 0.15)


def _towns(grid: Grid) -> tuple[F32, F32, F32]:
    """Return (built-up, roof, street) fractions."""
    built = np.zeros(grid.shape, np.float32)
    roof = np.zeros(grid.shape, np.float32)
    street = np.zeros(grid.shape, np.float32)
    for number, (outline, azimuth, density) in enumerate(places.TOWNS.values()):
        ring = smooth(project(outline, grid.epsg), closed=True)
        west, south = ring.min(axis=0) - 200
        east, north = ring.max(axis=0) + 200
        cols = np.flatnonzero((grid.x > west) & (grid.x < east))
        rows = np.flatnonzero((grid.y > south) & (grid.y < north))
        if cols.size < 2 or rows.size < 2:
            continue
        part = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
        window = grid.window(*part)
        inside = outline_distance(window, ring, reach=300)
        inside = smoothstep((inside + fractal(window, 500, 51, octaves=2) * 60) / 120 + 0.5)
        roofs, streets = _blocks(window, azimuth, density, number)
        built[part] = np.maximum(built[part], inside)
        roof[part] = np.maximum(roof[part], roofs * inside)
        street[part] = np.maximum(street[part], streets * inside)
    return built, roof, street


def _blocks(window: Grid, azimuth: float, density: float, seed: int) -> tuple[F32, F32]:
    """Return (roof, street) fractions of a warped street grid."""
    warp = 70 * fractal(window, 1500, 61 + seed, octaves=2)
    s, c = np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))
    x, y = window.x[None, :] - window.west, window.y[:, None] - window.north
    u = (x * c - y * s + warp).astype(np.float32)
    v = (x * s + y * c + 0.6 * warp).astype(np.float32)
    across = np.abs((u / 95) % 1 - 0.5) * 95
    along = np.abs((v / 210) % 1 - 0.5) * 210
    edge = np.float32(max(window.res, 10) / 2)
    nearest = np.minimum(47.5 - across, 105 - along)
    streets = np.clip((5.5 - nearest) / (2 * edge) + 0.5, 0, 1)
    lot_u = np.floor(u / 23.75).astype(np.int64)
    lot_v = np.floor(v / 26.25).astype(np.int64)
    chance = uniform(lot_u, lot_v, 71 + seed)
    body = np.clip(1.35 - np.hypot((u / 23.75) % 1 - 0.5, (v / 26.25) % 1 - 0.5) * 2, 0, 1)
    roofs = np.where(chance < density, body * 0.75, 0) * (1 - streets)
    return roofs.astype(np.float32), (0.85 * streets).astype(np.float32)


def _roads(grid: Grid) -> F32:
    """Return the fraction of asphalt of highways and runways."""
    asphalt = np.zeros(grid.shape, np.float32)
    lines = [(width, smooth(project(line, grid.epsg), closed=False, parts=6))
             for width, line in places.ROADS.values()]  # fmt: skip
    lines += [(width, project([a, b], grid.epsg)) for a, b, width in places.RUNWAYS]
    for half_width, line in lines:
        for rows, cols, distance in line_distance(grid, line):
            here = np.clip((half_width - distance) / np.float32(grid.res) + 0.5, 0, 1)
            asphalt[rows, cols] = np.maximum(asphalt[rows, cols], here)
    return asphalt
