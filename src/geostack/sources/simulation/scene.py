"""One Sentinel-2 acquisition: bands as digital numbers and the scene classification."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from .clouds import Sky
from .grid import Grid, pool, resample
from .landscape import Landscape
from .noise import fractal, white
from .spectra import CLOUD, COVER, DRY_MEADOW, SNOW, mix, water_reflectance
from .sun import Sun, illumination
from .terrain import smoothstep

F32 = NDArray[np.float32]
U16 = NDArray[np.uint16]
U8 = NDArray[np.uint8]

TEN_METRE = ("B02", "B03", "B04", "B08")
TWENTY_METRE = ("B11", "B12", "SCL")


@dataclass(frozen=True)
class Acquisition:
    """When and under which sky a scene is taken.

    `season` runs from 0 (1 June) to 1 (31 July); `snowline` is in metres; `offset` is added to
    the digital numbers (1000 from processing baseline 04.00 on); `haze` is a residual of the
    atmospheric correction, in reflectance.
    """

    when: datetime
    sun: Sun
    season: float
    snowline: float
    offset: int
    haze: float
    seed: int


@dataclass
class Stage:
    """A landscape and everything about it that all acquisitions share, at 10 and 20 m."""

    land: Landscape
    sun: Sun
    light: F32 = field(init=False)
    bed: F32 = field(init=False)
    snow_height: F32 = field(init=False)
    noise: F32 = field(init=False)

    def __post_init__(self) -> None:
        grid = self.land.grid
        coarse = grid.at(max(20.0, grid.res), margin=1)
        height = resample(self.land.elevation, grid, coarse)
        light = resample(illumination(height, coarse.res, self.sun), coarse, grid)
        crowns = 1 + np.float32(0.16) * self.land.crown * self.land.cover["forest"]
        rough = 1 + np.float32(0.05) * self.land.crown * (1 - self.land.water)
        self.light = light * np.maximum(crowns, 0.35) * rough
        rocks = fractal(coarse, 220, 81, octaves=3)
        self.bed = np.clip(0.85 + 0.55 * resample(rocks, coarse, grid), 0.2, 1.3)
        self.snow_height = self._snow_height(coarse, height)
        self.noise = white(grid, 91)

    def _snow_height(self, coarse: Grid, height: F32) -> F32:
        """Return the height above sea level that snow sees: shaded gullies count as higher."""
        south, east = np.gradient(height, np.float32(coarse.res))
        shaded = np.clip(0.9 * south - 0.5 * east, -0.6, 0.6)
        drift = fractal(coarse, 450, 82, octaves=4, gain=0.6)
        snow = height + 420 * shaded + 170 * drift
        return resample(snow.astype(np.float32), coarse, self.land.grid)

    def snow(self, snowline: float) -> F32:
        """Return the fraction of visible snow, (rows, cols) float32; under trees little shows."""
        deep = smoothstep((self.snow_height - np.float32(snowline)) / 110)
        deep *= 1 - np.float32(0.85) * self.land.cover["forest"] - self.land.water
        return np.maximum(deep, 0)

    def surface(self, band: str, season: float) -> F32:
        """Return the snow-free reflectance of a band, (rows, cols) float32."""
        land = self.land
        out = mix(band, land.cover)
        fresh, dry = getattr(COVER["meadow"], band), getattr(DRY_MEADOW, band)
        dryness = np.clip(np.float32(1.25 * season + 0.15) - 0.95 * land.wetness, 0, 1)
        out += np.float32(dry - fresh) * land.cover["meadow"] * dryness
        out *= self.light
        wet = land.water > 0
        lake = water_reflectance(band, land.depth[wet], self.bed[wet])
        out[wet] += land.water[wet] * lake
        return out


def _ruffle(grid: Grid, seed: int) -> F32:
    """Return wind on the water: streaks of brightness, about -1 to 1."""
    coarse = grid.at(40, margin=1)
    return resample(fractal(coarse, 1500, seed, octaves=4), coarse, grid)


def digital_numbers(
    reflectance: F32, offset: int, noise: F32, shift: tuple[int, int], sigma: float = 3.0
) -> U16:
    """Return uint16 digital numbers with sensor noise; nodata 0 is never produced.

    `sigma` is the noise in digital numbers on dark ground; it grows with the signal as shot
    noise does.
    """
    out = np.maximum(reflectance, np.float32(0.0001)) * np.float32(10000)
    grain = np.roll(noise, shift, axis=(0, 1))
    grain *= np.float32(sigma) + np.float32(0.0035) * out
    out += grain
    out += np.float32(offset + 0.5)
    np.clip(out, 1, 65535, out=out)
    return out.astype(np.uint16)


def render(stage: Stage, shot: Acquisition, sky: Sky, bands: tuple[str, ...]) -> dict[str, U16]:
    """Return the digital numbers of the bands: 10 m ones as they are, B11 and B12 pooled to 20 m."""
    grid = stage.land.grid
    veil, shadow = sky.on(grid)
    keep = (1 - veil) * (1 - np.float32(0.62) * shadow)
    snow = stage.snow(shot.snowline)
    any_snow = bool((snow > 0).any())
    glint = _ruffle(grid, shot.seed + 3) * stage.land.water * np.float32(0.0012)
    out = {}
    for number, band in enumerate(bands):
        surface = stage.surface(band, shot.season)
        if any_snow:
            surface += snow * (np.float32(getattr(SNOW, band)) * stage.light - surface)
        surface += glint + np.float32(shot.haze)
        surface *= keep
        surface += veil * np.float32(getattr(CLOUD, band))
        shift = (37 * shot.seed + 401 * number) % grid.rows, (53 * shot.seed) % grid.cols
        if band in TWENTY_METRE:
            noise = stage.noise[: grid.rows // 2, : grid.cols // 2]
            out[band] = digital_numbers(pool(surface), shot.offset, noise, shift)
        else:
            out[band] = digital_numbers(surface, shot.offset, stage.noise, shift)
    return out


def classify(stage: Stage, shot: Acquisition, sky: Sky, red: U16, nir: U16) -> U8:
    """Return the scene classification at 20 m, as Sen2Cor numbers its classes.

    2 dark, 3 cloud shadow, 4 vegetation, 5 not vegetated, 6 water, 7 unclassified, 8 and 9 cloud
    of medium and high probability, 10 thin cirrus, 11 snow.
    """
    grid = stage.land.grid
    half = Grid(grid.epsg, grid.west, grid.north, grid.res * 2, grid.rows // 2, grid.cols // 2)
    r = pool(red.astype(np.float32)) - shot.offset
    n = pool(nir.astype(np.float32)) - shot.offset
    ndvi = (n - r) / np.maximum(n + r, 1)
    out = np.where(ndvi > 0.42, 4, 5).astype(np.uint8)
    light = pool(stage.light)
    out[(light < 0.42) & (n < 900)] = 2
    out[pool(stage.snow(shot.snowline)) > 0.5] = 11
    out[pool(stage.land.water) > 0.5] = 6
    shade = resample(sky.shadow, sky.grid, half)
    opaque = resample(sky.opaque, sky.grid, half)
    cirrus = resample(sky.cirrus, sky.grid, half)
    out[(shade > 0.35)] = 3
    out[cirrus > 0.45] = 10
    out[(opaque > 0.04) & (opaque <= 0.18)] = 7
    out[opaque > 0.18] = 8
    out[opaque > 0.55] = 9
    return out
