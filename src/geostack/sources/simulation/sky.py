"""The sun and how it lights a slope; clouds and the shadows they throw."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, cos, radians, sin

import numpy as np

from .grid import F32, Grid, resample
from .noise import fractal
from .scenes import Sun
from .terrain import smoothstep


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


HEIGHT = 2200.0
"""Metres of cumulus above the ground."""

_PIXEL = 20.0


@dataclass(frozen=True)
class Sky:
    """Clouds of one acquisition on a coarse grid: each layer (rows, cols) float32, 0 to 1.

    `opaque` is the opacity of cumulus, `cirrus` of high thin cloud, `bright` how bright the cloud
    is beside the brightest, `shadow` the share of direct sunlight lost on the ground.
    """

    grid: Grid
    opaque: F32
    cirrus: F32
    bright: F32
    shadow: F32

    def on(self, grid: Grid) -> tuple[F32, F32, F32]:
        """Return on another grid: opacity of all cloud, its brightness, and shadow."""
        veil = np.maximum(self.opaque, np.float32(0.35) * self.cirrus)
        veil, bright, shadow = (
            resample(layer, self.grid, grid) for layer in (veil, self.bright, self.shadow)
        )
        return veil, bright, shadow


def sky(grid: Grid, sun: Sun, *, cover: float, cirrus: float, size: float, seed: int) -> Sky:
    """Make clouds over a grid: `cover` and `cirrus` are shares of the area, `size` in metres.

    Cumulus stand 2.2 km above the ground, so their shadows fall that far times the tangent of the
    sun's zenith angle away from it.
    """
    east, north = shadow_offset(sun, HEIGHT)
    margin = ceil(max(abs(east), abs(north)) / _PIXEL) + 4
    coarse = grid.at(_PIXEL, margin)
    inner = (slice(margin, -margin), slice(margin, -margin))
    none = np.zeros(coarse.shape, np.float32)
    opaque, bright, shadow, thin = none, none, none, none
    if cover > 0:
        field = fractal(coarse, size, seed, octaves=7, gain=0.68)
        level = np.float32(np.quantile(field[inner], 1 - cover))
        above = field - level
        opaque = smoothstep(above / np.float32(0.22) + np.float32(0.25))
        # Towers are brighter than fringes, and all of it billows.
        bright = np.float32(0.68) + np.float32(0.25) * smoothstep(above / np.float32(0.9))
        bright += np.float32(0.10) * fractal(coarse, 420, seed + 5, octaves=4, gain=0.7)
        shift = round(-north / coarse.res), round(east / coarse.res)
        shadow = np.roll(opaque, shift, axis=(0, 1))
    if cirrus > 0:
        wisps = fractal(coarse, 9000, seed + 7, octaves=6, gain=0.6)
        level = np.float32(np.quantile(wisps[inner], 1 - cirrus))
        thin = smoothstep((wisps - level) / np.float32(0.5) + np.float32(0.25))
        bright = np.where(opaque > 0.05, bright, np.float32(0.8)).astype(np.float32)
    return Sky(coarse, opaque, thin, bright, shadow)
