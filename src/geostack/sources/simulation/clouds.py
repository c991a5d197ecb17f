"""Clouds and the shadows they throw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .grid import F32, Grid, resample
from .noise import fractal
from .sun import Sun, shadow_offset
from .terrain import smoothstep


@dataclass(frozen=True)
class Sky:
    """Clouds of one acquisition on a coarse grid: each layer (rows, cols) float32, 0 to 1.

    `opaque` is the opacity of cumulus, `cirrus` of high thin cloud, `shadow` the share of direct
    sunlight lost on the ground.
    """

    grid: Grid
    opaque: F32
    cirrus: F32
    shadow: F32

    def on(self, grid: Grid) -> tuple[F32, F32]:
        """Return (opacity of all cloud, shadow) on a finer grid."""
        veil = np.maximum(self.opaque, np.float32(0.35) * self.cirrus)
        return resample(veil, self.grid, grid), resample(self.shadow, self.grid, grid)


def sky(grid: Grid, sun: Sun, *, cover: float, cirrus: float, size: float, seed: int) -> Sky:
    """Make clouds over a grid: `cover` and `cirrus` are shares of the area, `size` in metres.

    Cumulus stand 2.2 km above the ground, so their shadows fall that far times the tangent of the
    sun's zenith angle away from it.
    """
    coarse = grid.at(40, margin=64)
    inner = (slice(64, -64), slice(64, -64))
    field = fractal(coarse, size, seed, octaves=6, gain=0.62)
    opaque = _threshold(field, field[inner], cover, width=0.16)
    wisps = fractal(coarse, 9000, seed + 7, octaves=5, gain=0.55)
    thin = _threshold(wisps, wisps[inner], cirrus, width=0.5)
    east, north = shadow_offset(sun, 2200.0)
    shift = round(-north / coarse.res), round(east / coarse.res)
    shadow = np.roll(opaque, shift, axis=(0, 1))
    return Sky(coarse, opaque, thin, shadow)


def _threshold(field: F32, sample: F32, share: float, width: float) -> F32:
    """Return opacity: above the quantile that leaves `share` of the sample, soft by `width`."""
    if share <= 0:
        return np.zeros(field.shape, np.float32)
    level = np.float32(np.quantile(sample, 1 - share))
    return smoothstep((field - level) / np.float32(width) + np.float32(0.25))
