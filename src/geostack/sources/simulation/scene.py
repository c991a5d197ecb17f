"""One Sentinel-2 acquisition: bands as digital numbers and the scene classification."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from .clouds import Sky
from .grid import F32, Grid, pool, resample
from .landscape import Landscape
from .noise import fractal, white
from .spectra import CLOUD, COVER, DRY_MEADOW, SNOW, TURBID_WATER, mix, water_reflectance
from .sun import Sun, illumination
from .terrain import smoothstep

U16 = NDArray[np.uint16]
U8 = NDArray[np.uint8]

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


class Stage:
    """What all acquisitions of a landscape under one sun share, so that each costs little.

    Snow and drying meadows change from one acquisition to the next: the pixels where they can
    are kept as flat indices, and only those are touched.
    """

    def __init__(self, land: Landscape, sun: Sun, bands: Sequence[str], lowest_snow: float) -> None:
        self.grid = grid = land.grid
        coarse = grid.at(max(20.0, grid.res), margin=1)
        height = resample(land.elevation, grid, coarse)
        self.light = self._light(land, sun, coarse, height)
        self.noise = white(grid, 91)
        self.water = land.water
        self.water20 = pool(land.water)
        self.dark20 = pool(self.light) < 0.42
        self.base = self._bases(land, coarse, bands)
        self._meadow(land)
        self._snow(land, coarse, height, lowest_snow)

    def _light(self, land: Landscape, sun: Sun, coarse: Grid, height: F32) -> F32:
        light = resample(illumination(height, coarse.res, sun), coarse, self.grid)
        forest = land.cover["forest"]
        light *= np.maximum(1 + forest * (0.14 * land.crown + 0.14 * land.stand), 0.35)
        tint = fractal(coarse, 190, 83, octaves=3, gain=0.7) * np.float32(0.16)
        light *= 1 + (resample(tint, coarse, self.grid) + 0.04 * land.crown) * (1 - forest)
        return light

    def _bases(self, land: Landscape, coarse: Grid, bands: Sequence[str]) -> dict[str, F32]:
        """Return the reflectance of each band without snow, meadows green."""
        wet = np.flatnonzero(land.water.ravel() > 0)
        rocks = 0.85 + 0.5 * resample(
            fractal(coarse, 260, 81, octaves=4, gain=0.6), coarse, self.grid
        )
        bed = np.clip(rocks, 0.15, 1.3).ravel()[wet]
        depth, share = land.depth.ravel()[wet], land.water.ravel()[wet]
        bases = {}
        for band in bands:
            out = mix(band, land.cover)
            out *= self.light
            lake = water_reflectance(band, depth, bed)
            if land.turbid is not None:
                silt = land.turbid.ravel()[wet]
                lake += silt * (np.float32(getattr(TURBID_WATER, band)) - lake)
            out.ravel()[wet] += share * lake
            bases[band] = out
        return bases

    def _meadow(self, land: Landscape) -> None:
        self.meadow_at = np.flatnonzero(land.cover["meadow"].ravel() > 0.02)
        self.meadow = (land.cover["meadow"] * self.light).ravel()[self.meadow_at]
        self.wetness = land.wetness.ravel()[self.meadow_at]

    def _snow(self, land: Landscape, coarse: Grid, height: F32, lowest: float) -> None:
        """Find where snow can lie: shaded gullies keep it as if they were higher."""
        south, east = np.gradient(height, np.float32(coarse.res))
        shaded = np.clip(0.9 * south - 0.5 * east, -0.6, 0.6)
        drift = fractal(coarse, 450, 82, octaves=5, gain=0.62)
        snow = (height + 380 * shaded + 150 * drift).astype(np.float32)
        height10 = resample(snow, coarse, self.grid)
        height10 += np.float32(22) * land.crown
        can = (height10 > lowest) & (land.water < 0.5)
        self.snow_at = np.flatnonzero(can.ravel())
        self.snow_height = height10.ravel()[self.snow_at]
        under_trees = 1 - np.float32(0.85) * land.cover["forest"] - land.water
        self.snow_room = np.maximum(under_trees.ravel()[self.snow_at], 0)
        self.snow_light = self.light.ravel()[self.snow_at]

    def snow(self, snowline: float) -> F32:
        """Return the fraction of visible snow at `snow_at`."""
        return smoothstep((self.snow_height - np.float32(snowline)) / 110) * self.snow_room

    def snow_layer(self, snowline: float) -> F32:
        """Return the fraction of visible snow of every pixel, (rows, cols) float32."""
        out = np.zeros(self.grid.shape, np.float32)
        out.ravel()[self.snow_at] = self.snow(snowline)
        return out

    def surface(self, band: str, shot: Acquisition) -> F32:
        """Return the reflectance of the ground as it is on the day, (rows, cols) float32."""
        out = self.base[band].copy()
        flat = out.ravel()
        dryness = np.clip(np.float32(1.25 * shot.season + 0.15) - 0.95 * self.wetness, 0, 1)
        change = getattr(DRY_MEADOW, band) - getattr(COVER["meadow"], band)
        flat[self.meadow_at] += np.float32(change) * self.meadow * dryness
        if self.snow_at.size:
            bare = flat[self.snow_at]
            white_ground = np.float32(getattr(SNOW, band)) * self.snow_light
            flat[self.snow_at] = bare + self.snow(shot.snowline) * (white_ground - bare)
        return out


def digital_numbers(
    reflectance: F32, offset: int, noise: F32, shift: tuple[int, int], sigma: float = 1.8
) -> U16:
    """Return uint16 digital numbers with sensor noise; nodata 0 is never produced.

    `sigma` is the noise in digital numbers on dark ground; it grows with the signal as shot
    noise does.
    """
    out = np.maximum(reflectance, np.float32(0.0001))
    out *= np.float32(10000)
    grain = np.roll(noise, shift, axis=(0, 1))
    grain *= np.float32(sigma) + np.float32(0.0015) * out
    out += grain
    out += np.float32(offset + 0.5)
    np.clip(out, 1, 65535, out=out)
    return out.astype(np.uint16)


def seen(
    stage: Stage, shot: Acquisition, sky: Sky, bands: Sequence[str]
) -> Iterator[tuple[str, F32]]:
    """Yield each band's reflectance at 10 m as the satellite sees it: ground, haze and clouds."""
    grid = stage.grid
    veil, bright, shadow = sky.on(grid)
    at = np.flatnonzero((veil + shadow).ravel() > 0.004)
    veil, bright, shadow = (layer.ravel()[at] for layer in (veil, bright, shadow))
    bright *= veil
    keep = (1 - veil) * (1 - np.float32(0.62) * shadow)
    ruffle = _ruffle(grid, shot.seed + 3)
    ruffle *= stage.water
    ruffle += np.float32(shot.haze)
    for band in bands:
        surface = stage.surface(band, shot)
        surface += ruffle
        flat = surface.ravel()
        flat[at] = flat[at] * keep + bright * np.float32(getattr(CLOUD, band))
        yield band, surface


def render(stage: Stage, shot: Acquisition, sky: Sky, bands: Sequence[str]) -> dict[str, U16]:
    """Return the digital numbers of the bands; B11 and B12 are pooled to 20 m."""
    grid = stage.grid
    out = {}
    for number, (band, surface) in enumerate(seen(stage, shot, sky, bands)):
        shift = (37 * shot.seed + 401 * number) % grid.rows, (53 * shot.seed) % grid.cols
        if band in TWENTY_METRE:
            noise = stage.noise[: grid.rows // 2, : grid.cols // 2]
            out[band] = digital_numbers(pool(surface), shot.offset, noise, shift)
        else:
            out[band] = digital_numbers(surface, shot.offset, stage.noise, shift)
    return out


def _ruffle(grid: Grid, seed: int) -> F32:
    """Return wind on the water: streaks of brightness, some 0.001 in reflectance."""
    coarse = grid.at(40, margin=1)
    return resample(fractal(coarse, 1500, seed, octaves=4) * np.float32(0.0008), coarse, grid)


def classify(stage: Stage, shot: Acquisition, sky: Sky, red: U16, nir: U16) -> U8:
    """Return the scene classification at 20 m, as Sen2Cor numbers its classes.

    2 dark, 3 cloud shadow, 4 vegetation, 5 not vegetated, 6 water, 7 unclassified, 8 and 9 cloud
    of medium and high probability, 10 thin cirrus, 11 snow.
    """
    grid = stage.grid
    half = Grid(grid.epsg, grid.west, grid.north, grid.res * 2, grid.rows // 2, grid.cols // 2)
    r = pool(red.astype(np.float32)) - shot.offset
    n = pool(nir.astype(np.float32)) - shot.offset
    ndvi = (n - r) / np.maximum(n + r, 1)
    out = np.where(ndvi > 0.42, 4, 5).astype(np.uint8)
    out[stage.dark20 & (n < 900)] = 2
    out[pool(stage.snow_layer(shot.snowline)) > 0.5] = 11
    out[stage.water20 > 0.5] = 6
    shade = resample(sky.shadow, sky.grid, half)
    opaque = resample(sky.opaque, sky.grid, half)
    cirrus = resample(sky.cirrus, sky.grid, half)
    out[shade > 0.35] = 3
    out[cirrus > 0.45] = 10
    out[(opaque > 0.04) & (opaque <= 0.18)] = 7
    out[opaque > 0.18] = 8
    out[opaque > 0.55] = 9
    return out
