"""What a satellite sees: light and reflectance of the ground, clouds, bands, classification."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, cos, radians, sin
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipekit.parallel import in_threads

from .grid import F32, THREADS, Grid, pool, resample
from .landscape import Land, Landscape
from .noise import fractal, white
from .scenes import Acquisition, Sun
from .terrain import smoothstep

U16 = NDArray[np.uint16]
U8 = NDArray[np.uint8]

TWENTY_METRE = ("B11", "B12", "SCL")


class Spectrum(NamedTuple):
    """Reflectance, 0 to 1, in the six bands that the notebooks use."""

    B02: float
    B03: float
    B04: float
    B08: float
    B11: float
    B12: float


BANDS = Spectrum._fields

# Typical L2A values of the Sierra Nevada in summer; nearby those of the USGS spectral library
# (Kokaly et al., 2017) and the ECOSTRESS library after mixing with shade.
COVER: dict[str, Spectrum] = {
    "forest": Spectrum(0.0165, 0.0290, 0.0205, 0.220, 0.098, 0.044),
    "rock": Spectrum(0.175, 0.205, 0.230, 0.275, 0.315, 0.285),
    "soil": Spectrum(0.056, 0.079, 0.103, 0.178, 0.265, 0.215),
    "shrub": Spectrum(0.031, 0.050, 0.052, 0.205, 0.190, 0.115),
    "meadow": Spectrum(0.036, 0.075, 0.048, 0.335, 0.205, 0.105),
    "sand": Spectrum(0.190, 0.225, 0.260, 0.310, 0.370, 0.340),
    "roof": Spectrum(0.150, 0.160, 0.175, 0.225, 0.245, 0.220),
    "asphalt": Spectrum(0.088, 0.096, 0.105, 0.130, 0.155, 0.150),
    "char": Spectrum(0.031, 0.035, 0.041, 0.070, 0.142, 0.172),
    "scorched": Spectrum(0.034, 0.049, 0.064, 0.142, 0.185, 0.140),
}
DRY_MEADOW = Spectrum(0.062, 0.094, 0.120, 0.265, 0.300, 0.205)
SNOW = Spectrum(0.830, 0.840, 0.820, 0.700, 0.110, 0.090)
CLOUD = Spectrum(0.830, 0.820, 0.810, 0.830, 0.580, 0.460)
DEEP_WATER = Spectrum(0.0265, 0.0128, 0.0052, 0.0034, 0.0018, 0.0014)
TURBID_WATER = Spectrum(0.042, 0.060, 0.046, 0.013, 0.0040, 0.0030)
LAKE_BED = Spectrum(0.122, 0.152, 0.135, 0.175, 0.20, 0.16)
# Diffuse attenuation, 1/m: clear oligotrophic water (Morel and Maritorena, 2001, low chlorophyll;
# pure-water absorption of Smith and Baker, 1981, from the red on).
ATTENUATION = Spectrum(0.055, 0.075, 0.34, 2.6, 60.0, 90.0)


def water_reflectance(band: str, depth: F32, bed: F32) -> F32:
    """Return the reflectance of water over a lake bed of relative brightness `bed`, float32.

    Two-flow model of Maritorena, Morel and Gentili (1994):
    R = R_deep + (R_bed - R_deep) exp(-2 K z).

    Parameters
    ----------
    band
        Of `BANDS`.
    depth
        Metres, of any shape.
    bed
        The brightness of the bed, 1 for sand, of the same shape.

    Returns
    -------
    Of the same shape, 0 to 1.
    """
    deep, bottom = getattr(DEEP_WATER, band), getattr(LAKE_BED, band)
    seen = np.exp(np.float32(-2 * getattr(ATTENUATION, band)) * depth)
    return np.asarray(deep + (bottom * bed - deep) * seen, dtype=np.float32)


def mix(band: str, cover: dict[str, F32]) -> F32:
    """Return the sum of cover fractions times their reflectance in a band, float32.

    Parameters
    ----------
    band
        Of `BANDS`.
    cover
        Fractions 0 to 1, (rows, cols) float32, by a key of `COVER`.

    Returns
    -------
    (rows, cols), 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> half = np.full((1, 1), 0.5, np.float32)
    >>> mix("B04", {"forest": half, "rock": half}).round(4).tolist()
    [[0.1252...]]
    """
    first, *rest = cover
    out = cover[first] * np.float32(getattr(COVER[first], band))
    for name in rest:
        out += cover[name] * np.float32(getattr(COVER[name], band))
    return out


def illumination(elevation: F32, res: float, sun: Sun, soften: float = 0.14) -> F32:
    """Return the light on a slope relative to flat ground, float32, about 0.2 to 1.6.

    The C-correction of Teillet et al. (1982) run forwards: `soften` is its c, the share of
    diffuse light that keeps shaded slopes from being black.

    Parameters
    ----------
    elevation
        (rows, cols), metres.
    res
        The pixel's side, metres.
    sun
        Where it stands.
    soften
        The share of diffuse light.

    Returns
    -------
    (rows, cols); 1 is flat ground.
    """
    south, east = np.gradient(elevation, np.float32(res))
    z, a = radians(sun.zenith), radians(sun.azimuth)
    # np.gradient's first axis runs from north to south.
    cos_i = cos(z) - sin(z) * (east * np.float32(sin(a)) - south * np.float32(cos(a)))
    cos_i /= np.sqrt(1 + east * east + south * south)
    light = (np.maximum(cos_i, 0) + soften) / (cos(z) + soften)
    return np.asarray(light, dtype=np.float32)


def shadow_offset(sun: Sun, height: float) -> tuple[float, float]:
    """Return (east, north) in metres from a cloud at `height` metres to its shadow.

    Parameters
    ----------
    sun
        Where it stands.
    height
        Of the cloud above the ground, metres.

    Returns
    -------
    Metres.
    """
    length = height * np.tan(radians(sun.zenith))
    return -length * sin(radians(sun.azimuth)), -length * cos(radians(sun.azimuth))


CLOUD_HEIGHT = 2200.0
"""Metres of cumulus above the ground."""

_CLOUD_PIXEL = 20.0


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

    def on(self, grid: Grid) -> list[F32]:
        """Return on another grid: opacity of all cloud, its brightness, and shadow.

        Parameters
        ----------
        grid
            Of the same CRS.

        Returns
        -------
        Three layers (rows, cols) float32, 0 to 1.
        """
        veil = np.maximum(self.opaque, np.float32(0.35) * self.cirrus)
        layers = (veil, self.bright, self.shadow)
        return [resample(layer, self.grid, grid) for layer in layers]


def sky(grid: Grid, sun: Sun, *, cover: float, cirrus: float, size: float, seed: int) -> Sky:
    """Make clouds over a grid: `cover` and `cirrus` are shares of the area, `size` in metres.

    Cumulus stand 2.2 km above the ground, so their shadows fall that far times the tangent of the
    sun's zenith angle away from it.

    Parameters
    ----------
    grid
        Of the ground.
    sun
        Where it stands.
    cover
        The share of the area under cumulus, 0 to 1.
    cirrus
        The share of the area under cirrus, 0 to 1.
    size
        Of the clouds, metres.
    seed
        Another seed is another field.

    Returns
    -------
    On pixels of 20 m, with a margin that holds clouds whose shadows fall on the grid.
    """
    east, north = shadow_offset(sun, CLOUD_HEIGHT)
    margin = ceil(max(abs(east), abs(north)) / _CLOUD_PIXEL) + 4
    coarse = grid.at(_CLOUD_PIXEL, margin)
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


class Stage:
    """What all acquisitions of a landscape under one sun share, so that each costs little.

    Snow and drying meadows change from one acquisition to the next: the pixels where they can
    are kept as flat indices, and only those are touched. The landscape is made and forgotten
    strip by strip.
    """

    def __init__(self, land: Land, sun: Sun, bands: Sequence[str], lowest_snow: float) -> None:
        self.grid = grid = land.grid
        self.base = {band: np.empty(grid.shape, np.float32) for band in bands}
        self.water = np.empty(grid.shape, np.float32)
        self.water20, self.dark20 = (
            np.empty((grid.rows // 2, grid.cols // 2), kind) for kind in (np.float32, bool)
        )
        coarse = _Coarse(land, sun)

        def strip(rows: slice) -> tuple[_Sparse, _Sparse]:
            part = land.part(rows)
            light = coarse.light(part)
            half = slice(rows.start // 2, rows.stop // 2)
            self.water[rows] = part.water
            self.water20[half] = pool(part.water)
            self.dark20[half] = pool(light) < 0.42
            for band, layer in coarse.bases(part, light, bands):
                self.base[band][rows] = layer
            first = rows.start * grid.cols
            meadow = _meadow(part, light, first)
            snow = _snow(part, light, coarse.snow_height(part), lowest_snow, first)
            return meadow, snow

        # Most of the work is numpy's, which lets other threads run.
        parts = in_threads(strip, strips(grid.rows), THREADS)
        meadows, snows = zip(*parts, strict=True)
        self.meadow_at, self.meadow, self.wetness = map(np.concatenate, zip(*meadows, strict=True))
        self.snow_at, self.snow_height, self.snow_room, self.snow_light = map(
            np.concatenate, zip(*snows, strict=True)
        )

    def _within(self, at: NDArray[np.int32], rows: slice) -> slice:
        first, last = np.searchsorted(at, (rows.start * self.grid.cols, rows.stop * self.grid.cols))
        return slice(int(first), int(last))

    def snow(self, snowline: float, some: slice = slice(None)) -> F32:
        """Return the fraction of visible snow at `snow_at`.

        Parameters
        ----------
        snowline
            Metres.
        some
            Of `snow_at`.

        Returns
        -------
        (n,) float32, 0 to 1.
        """
        height = self.snow_height[some]
        return smoothstep((height - np.float32(snowline)) / 110) * self.snow_room[some]

    def snow_layer(self, snowline: float) -> F32:
        """Return the fraction of visible snow of every pixel, (rows, cols) float32.

        Parameters
        ----------
        snowline
            Metres.

        Returns
        -------
        Values 0 to 1.
        """
        out = np.zeros(self.grid.shape, np.float32)
        out.ravel()[self.snow_at] = self.snow(snowline)
        return out

    def surface(self, band: str, shot: Acquisition, rows: slice | None = None) -> F32:
        """Return the reflectance of the ground as it is on the day, (rows, cols) float32.

        Parameters
        ----------
        band
            One that the stage was made for.
        shot
            Season and snow line.
        rows
            Of the grid; None for all.

        Returns
        -------
        Without haze and clouds, 0 to 1.
        """
        rows = slice(0, self.grid.rows) if rows is None else rows
        out = self.base[band][rows].copy()
        flat, first = out.ravel(), rows.start * self.grid.cols
        some = self._within(self.meadow_at, rows)
        wet = self.wetness[some]
        dryness = np.clip(np.float32(1.25 * shot.season + 0.15) - 0.95 * wet, 0, 1)
        change = getattr(DRY_MEADOW, band) - getattr(COVER["meadow"], band)
        flat[self.meadow_at[some] - first] += np.float32(change) * self.meadow[some] * dryness
        some = self._within(self.snow_at, rows)
        at = self.snow_at[some] - first
        white_ground = np.float32(getattr(SNOW, band)) * self.snow_light[some]
        flat[at] += self.snow(shot.snowline, some) * (white_ground - flat[at])
        return out


_Sparse = tuple[NDArray[Any], ...]


def strips(rows: int, height: int = 128) -> list[slice]:
    """Return slices of at most `height` rows.

    Parameters
    ----------
    rows
        The number of rows.
    height
        Of a strip, in rows.

    Returns
    -------
    In order; the last may be shorter.
    """
    return [slice(start, min(start + height, rows)) for start in range(0, rows, height)]


class _Coarse:
    """What a stage needs of the whole landscape at once, at 20 m."""

    def __init__(self, land: Land, sun: Sun) -> None:
        self._grid = coarse = land.grid.at(max(20.0, land.grid.res), margin=1)
        height = resample(land.elevation, land.grid, coarse)
        self._illumination = illumination(height, coarse.res, sun)
        self._tint = fractal(coarse, 190, 83, octaves=3, gain=0.7) * np.float32(0.16)
        self._rocks = fractal(coarse, 260, 81, octaves=4, gain=0.6)
        # Shaded gullies keep snow as if they were higher.
        south, east = np.gradient(height, np.float32(coarse.res))
        shaded = np.clip(0.9 * south - 0.5 * east, -0.6, 0.6)
        drift = fractal(coarse, 450, 82, octaves=5, gain=0.62)
        self._snow = (height + 380 * shaded + 150 * drift).astype(np.float32)

    def light(self, land: Landscape) -> F32:
        """Return the light on the ground, with the texture of what grows there."""
        light = resample(self._illumination, self._grid, land.grid)
        forest = land.cover["forest"]
        light *= np.maximum(1 + forest * (0.14 * land.crown + 0.14 * land.stand), 0.35)
        tint = resample(self._tint, self._grid, land.grid)
        light *= 1 + (tint + 0.04 * land.crown) * (1 - forest)
        return light

    def bases(self, land: Landscape, light: F32, bands: Sequence[str]) -> Iterator[tuple[str, F32]]:
        """Yield the reflectance of each band without snow, meadows green."""
        wet = np.flatnonzero(land.water.ravel() > 0)
        rocks = 0.85 + 0.5 * resample(self._rocks, self._grid, land.grid)
        bed = np.clip(rocks, 0.15, 1.3).ravel()[wet]
        depth, share = land.depth.ravel()[wet], land.water.ravel()[wet]
        for band in bands:
            out = mix(band, land.cover)
            out *= light
            lake = water_reflectance(band, depth, bed)
            if land.turbid is not None:
                silt = land.turbid.ravel()[wet]
                lake += silt * (np.float32(getattr(TURBID_WATER, band)) - lake)
            out.ravel()[wet] += share * lake
            yield band, out

    def snow_height(self, land: Landscape) -> F32:
        """Return the height that decides about snow, metres."""
        height = resample(self._snow, self._grid, land.grid)
        height += np.float32(22) * land.crown
        return height


def _meadow(land: Landscape, light: F32, first: int) -> _Sparse:
    """Return where meadows are (flat indices), their light and their wetness."""
    at = np.flatnonzero(land.cover["meadow"].ravel() > 0.02)
    lit = (land.cover["meadow"] * light).ravel()[at]
    return (at + first).astype(np.int32), lit, land.wetness.ravel()[at]


def _snow(land: Landscape, light: F32, height: F32, lowest: float, first: int) -> _Sparse:
    """Return where snow can lie (flat indices), its height, its room and its light."""
    at = np.flatnonzero(((height > lowest) & (land.water < 0.5)).ravel())
    under_trees = 1 - np.float32(0.85) * land.cover["forest"] - land.water
    room = np.maximum(under_trees.ravel()[at], 0)
    return (at + first).astype(np.int32), height.ravel()[at], room, light.ravel()[at]


def digital_numbers(reflectance: F32, offset: int, noise: F32, sigma: float = 1.8) -> U16:
    """Return uint16 digital numbers with sensor noise; nodata 0 is never produced.

    `noise` has a deviation of 1; `sigma` is that of the numbers on dark ground, and grows with
    the signal as shot noise does.

    Parameters
    ----------
    reflectance
        (rows, cols) float32, 0 to 1.
    offset
        Added to the numbers.
    noise
        (rows, cols), of deviation 1.
    sigma
        The deviation of the numbers on dark ground.

    Returns
    -------
    (rows, cols) uint16, 1 to 65535.
    """
    out = np.maximum(reflectance, np.float32(0.0001))
    out *= np.float32(10000)
    grain = np.float32(sigma) + np.float32(0.0015) * out
    grain *= noise
    out += grain
    out += np.float32(offset + 0.5)
    np.clip(out, 1, 65535, out=out)
    return out.astype(np.uint16)


def _noise(grid: Grid, rows: slice, shift: tuple[int, int]) -> F32:
    """Return some rows of a grid's noise, the whole of which is rolled down and to the right."""
    first = (rows.start - shift[0]) % grid.rows
    last = first + rows.stop - rows.start
    parts = slice(first, min(last, grid.rows)), slice(0, max(last - grid.rows, 0))
    made = [white(grid.strip(part), 91) for part in parts]
    return np.roll(np.vstack(made), shift[1], axis=1)


def seen(stage: Stage, shot: Acquisition, sky: Sky, band: str) -> F32:
    """Return a band's reflectance as the satellite sees it: ground, haze and clouds.

    Parameters
    ----------
    stage
        The ground.
    shot
        Season, snow line and haze.
    sky
        The clouds.
    band
        One that the stage was made for.

    Returns
    -------
    (rows, cols) float32.
    """
    return np.vstack([surface for _, surface in _seen(stage, shot, sky, band)])


def _seen(stage: Stage, shot: Acquisition, sky: Sky, band: str) -> Iterator[tuple[slice, F32]]:
    grid = stage.grid
    # Wind on the water: streaks of brightness, some 0.001 in reflectance.
    coarse = grid.at(40, margin=1)
    wind = fractal(coarse, 1500, shot.seed + 3, octaves=4) * np.float32(0.0008)
    for rows in strips(grid.rows):
        window = grid.strip(rows)
        ruffle = resample(wind, coarse, window)
        ruffle *= stage.water[rows]
        ruffle += np.float32(shot.haze)
        surface = stage.surface(band, shot, rows)
        surface += ruffle
        veil, bright, shadow = sky.on(window)
        at = np.flatnonzero((veil + shadow).ravel() > 0.004)
        veil, bright, shadow = (layer.ravel()[at] for layer in (veil, bright, shadow))
        keep = (1 - veil) * (1 - np.float32(0.62) * shadow)
        flat = surface.ravel()
        flat[at] = flat[at] * keep + bright * veil * np.float32(getattr(CLOUD, band))
        yield rows, surface


def render(stage: Stage, shot: Acquisition, sky: Sky, band: str, number: int) -> U16:
    """Return a band's digital numbers; B11 and B12 are pooled to 20 m.

    `number` is the band's place among those of the scene: each has noise of its own.

    Parameters
    ----------
    stage
        The ground.
    shot
        Season, snow line, haze and offset.
    sky
        The clouds.
    band
        One that the stage was made for.
    number
        The band's place among those of the scene.

    Returns
    -------
    (rows, cols) uint16.
    """
    grid = stage.grid
    shift = (37 * shot.seed + 401 * number) % grid.rows, (53 * shot.seed) % grid.cols
    factor = 2 if band in TWENTY_METRE else 1
    own = grid.window(slice(0, grid.rows // factor), slice(0, grid.cols // factor))
    numbers = np.empty(own.shape, np.uint16)
    for rows, surface in _seen(stage, shot, sky, band):
        here = slice(rows.start // factor, rows.stop // factor)
        pooled = pool(surface) if factor == 2 else surface
        numbers[here] = digital_numbers(pooled, shot.offset, _noise(own, here, shift))
    return numbers


def classify(stage: Stage, shot: Acquisition, sky: Sky, red: U16, nir: U16) -> U8:
    """Return the scene classification at 20 m, as Sen2Cor numbers its classes.

    2 dark, 3 cloud shadow, 4 vegetation, 5 not vegetated, 6 water, 7 unclassified, 8 and 9 cloud
    of medium and high probability, 10 thin cirrus, 11 snow.

    Parameters
    ----------
    stage
        The ground.
    shot
        The snow line and the offset of the numbers.
    sky
        The clouds.
    red, nir
        (rows, cols) uint16, digital numbers at 10 m.

    Returns
    -------
    (rows / 2, cols / 2) uint8.
    """
    grid = stage.grid
    half = grid.coarser(2)
    snow = pool(stage.snow_layer(shot.snowline)) > 0.5
    classes = np.empty(half.shape, np.uint8)
    for rows in strips(half.rows):
        window, twice = half.strip(rows), slice(2 * rows.start, 2 * rows.stop)
        r = pool(red[twice].astype(np.float32)) - shot.offset
        n = pool(nir[twice].astype(np.float32)) - shot.offset
        ndvi = (n - r) / np.maximum(n + r, 1)
        out = np.where(ndvi > 0.42, 4, 5).astype(np.uint8)
        out[stage.dark20[rows] & (n < 900)] = 2
        out[snow[rows]] = 11
        out[stage.water20[rows] > 0.5] = 6
        shade, opaque, cirrus = (
            resample(layer, sky.grid, window) for layer in (sky.shadow, sky.opaque, sky.cirrus)
        )
        out[shade > 0.35] = 3
        out[cirrus > 0.45] = 10
        out[(opaque > 0.04) & (opaque <= 0.18)] = 7
        out[opaque > 0.18] = 8
        out[opaque > 0.55] = 9
        classes[rows] = out
    return classes
