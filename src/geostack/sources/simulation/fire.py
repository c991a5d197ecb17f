"""A burn scar: where it burned, how severely, and what that leaves on the ground."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .grid import F32, Grid, resample
from .landscape import Land, Landscape
from .noise import fractal
from .shapes import outline_distance, places
from .terrain import smoothstep


class BurntGround(Land):
    """A ground after the fire: how hard it burns as coarse layers, severity part by part.

    The perimeter is drawn by hand and then moved outwards by `growth` metres. Dense forest, steep
    and sunny slopes burn worse; hollows, meadows and chance leave islands.
    """

    def __init__(self, before: Land, growth: float) -> None:
        self.grid, self.coarse, self.height = before.grid, before.coarse, before.height
        self._before, self._growth = before, growth
        self._rough = rough = before.grid.at(40, margin=1)
        self._reach = _perimeter(rough)
        self._base = _intensity(rough, resample(before.elevation, before.grid, rough))

    def part(self, rows: slice) -> Landscape:
        """Make the ground truth of some rows."""
        land = self._before.part(rows)
        return burn(land, self.severity(land))

    def layers(self, land: Landscape) -> tuple[F32, F32]:
        """Return the distance to the hand-drawn edge in metres, and the intensity inside of it."""
        fuel = land.cover["forest"] + land.cover["shrub"] + 0.6 * land.cover["meadow"]
        # Below a fifth of vegetated ground there is nothing to carry a fire.
        burnable = smoothstep((fuel - 0.15) / 0.35)
        edge = resample(self._reach, self._rough, land.grid)
        intensity = resample(self._base, self._rough, land.grid)
        intensity = intensity + 0.18 * (land.cover["forest"] - 0.6)
        intensity += np.float32(0.045) * land.crown
        return edge, np.clip(intensity, 0, 1) * burnable

    def severity(self, land: Landscape) -> F32:
        """Return burn severity, 0 (unburnt) to 1 (all vegetation gone), (rows, cols) float32.

        `land` is a part of the ground before the fire.
        """
        edge, intensity = self.layers(land)
        hard = intensity * smoothstep((edge + self._growth) / 120)
        return np.asarray(hard, dtype=np.float32)


def _perimeter(grid: Grid) -> F32:
    """Return the distance to the fire's edge in metres, positive inside, with fingers and bays."""
    ring = places("tahoe")["fire"][0].outline(grid.epsg)
    distance = outline_distance(grid, ring, node=200, reach=9000)
    return distance + np.float32(1500) * fractal(grid, 4500, 201, octaves=6, gain=0.6)


def _intensity(grid: Grid, height: F32) -> F32:
    """Return how hard the ground burns where it does, about -0.2 to 1.2."""
    south, east = np.gradient(height, np.float32(grid.res))
    steep = np.hypot(south, east)
    sunny = (-south + 0.3 * east) / (steep + np.float32(0.1))
    runs = fractal(grid, 6500, 211, octaves=7, gain=0.68)
    islands = smoothstep((fractal(grid, 1600, 212, octaves=5, gain=0.66) - 0.42) / 0.18)
    hard = 0.66 + 0.55 * runs + 0.10 * sunny + 0.35 * np.clip(steep - 0.25, -0.2, 0.4)
    hard = np.clip(hard, 0.17, 1) * (1 - 0.95 * islands)
    return np.asarray(hard, dtype=np.float32)


def burn(land: Landscape, hard: F32) -> Landscape:
    """Return the landscape after the fire: vegetation turned to char, ash and scorched crowns."""
    cover = dict(land.cover)
    char = np.zeros(land.grid.shape, np.float32)
    scorched = np.zeros(land.grid.shape, np.float32)
    for name, share in (("forest", 1.0), ("shrub", 1.0), ("meadow", 0.7)):
        gone = cover[name] * hard * np.float32(share)
        cover[name] = cover[name] - gone
        black = gone * (0.3 + 0.7 * hard)
        char += black
        scorched += gone - black
    return replace(land, cover={**cover, "char": char, "scorched": scorched})
