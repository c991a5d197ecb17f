"""The pixels of one file of a simulated scene, whatever its sensor."""

from __future__ import annotations

import ctypes
import sys
import threading
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipekit.parallel import in_threads

from .grid import F32, THREADS, Grid, pool, resample
from .landscape import BurntGround, Land, Lisbon, Tahoe
from .noise import white
from .scenes import Acquisition, Light, Scene
from .sensor import TWENTY_METRE, U16, Sky, Stage, classify, render, seen, sky, strips
from .shapes import box_window, transformer
from .terrain import ground

# Landsat asset: the Sentinel-2 band of the same colour.
LANDSAT_BANDS = {
    "blue": "B02", "green": "B03", "red": "B04", "nir08": "B08", "swir16": "B11", "swir22": "B12",
}  # fmt: skip
LANDSAT_SCALE, LANDSAT_OFFSET = 2.75e-5, -0.2
"""Reflectance = number * SCALE + OFFSET (USGS Landsat 8-9 Collection 2 Level 2 product guide)."""

# band of the photograph: (Sentinel-2 band of the same colour, reflectance that is white).
NAIP_BANDS = {"Red": ("B04", 0.36), "Green": ("B03", 0.36), "Blue": ("B02", 0.36),
              "NIR": ("B08", 0.55)}  # fmt: skip

DEM_UTM = 32610
DEM_NODATA = -32767.0


class Pixels(NamedTuple):
    """The values of a file, (rows, cols) or (bands, rows, cols), and where in it they lie."""

    array: NDArray[Any]
    grid: Grid
    nodata: float | None = 0
    categorical: bool = False


def pixels(scene: Scene, key: str) -> Pixels:
    """Return the pixels of an asset.

    Parameters
    ----------
    scene
        One of `simulated_scenes()`.
    key
        Of the asset.

    Returns
    -------
    The part of the file that has pixels.
    """
    collection, taken, window = scene.item["collection"], scene.acquisition, scene.window
    if taken is None:
        return Pixels(heights(window), window, DEM_NODATA)
    if scene.area == "full-tile":
        return Pixels(_full_tile(scene, taken, key), window)
    if collection == "naip":
        return Pixels(photograph(_stage(scene), taken), window, nodata=None)
    if collection == "landsat-c2-l2":
        stage, above = _stage(scene), _sky(scene.grid, taken)
        if key == "qa_pixel":
            bits = quality_bits(stage, taken, above, window)
            return Pixels(bits, window, nodata=1, categorical=True)
        return Pixels(landsat_numbers(stage, taken, above, window, key), window)
    return _sentinel2(scene, taken, key)


_STAGING = threading.Lock()


def _stage(scene: Scene, band: str | None = None) -> Stage:
    """Return the ground that a scene is drawn on, in all bands but those seldom asked for."""
    bands = scene.bands if band in (None, *scene.bands) else ("B11", "B12")
    assert scene.light is not None
    with _STAGING:  # many files are asked for at once: one of them makes the ground for all
        return _made_stage(scene.area, scene.grid, scene.light, scene.growth, bands)


@lru_cache(maxsize=2)
def _made_stage(
    area: str, grid: Grid, light: Light, growth: float | None, bands: tuple[str, ...]
) -> Stage:
    land: Land = Lisbon(grid) if area == "lisbon" else Tahoe(grid)
    if light.burnt and growth is not None:
        land = BurntGround(land, growth)
    stage = Stage(land, light.sun, bands, light.lowest_snow)
    _give_back()
    return stage


def _give_back() -> None:
    """Return the strips' memory to the system: glibc keeps 130 MB of a ground's, 30 of a band's."""
    if sys.platform == "linux":
        with suppress(AttributeError):  # not every C library has it
            ctypes.CDLL(None).malloc_trim(0)


@lru_cache(maxsize=4)
def _sky(grid: Grid, taken: Acquisition) -> Sky:
    return sky(
        grid, taken.sun, cover=taken.cloud, cirrus=taken.cirrus, size=taken.size, seed=taken.seed
    )


def forget() -> None:
    """Give back the memory of grounds, skies and bands that later files could share."""
    for cached in (_made_stage, _sky, _sentinel2_band):
        cached.cache_clear()


def _sentinel2(scene: Scene, taken: Acquisition, key: str) -> Pixels:
    stage = _stage(scene, None if key == "SCL" else key)
    bands = tuple(band for band in scene.item["assets"] if band != "SCL")
    if key == "SCL":
        red, nir = (_sentinel2_band(stage, taken, band, bands) for band in ("B04", "B08"))
        array: NDArray[Any] = classify(stage, taken, _sky(scene.grid, taken), red, nir)
    else:
        array = _sentinel2_band(stage, taken, key, bands)
    factor = 2 if key in TWENTY_METRE else 1
    whole, window = scene.grid.coarser(factor), scene.window.coarser(factor)
    row, col = window.offset_in(whole)
    part = array[row : row + window.rows, col : col + window.cols]
    return Pixels(part, window, categorical=key == "SCL")


@lru_cache(maxsize=4)
def _sentinel2_band(stage: Stage, taken: Acquisition, band: str, bands: tuple[str, ...]) -> U16:
    numbers = render(stage, taken, _sky(stage.grid, taken), band, bands.index(band))
    _give_back()
    return numbers


def landsat_numbers(stage: Stage, taken: Acquisition, above: Sky, thirty: Grid, key: str) -> U16:
    """Return a band at 30 m as Collection 2 numbers, uint16; 0 is fill and never produced.

    Parameters
    ----------
    stage
        The ground.
    taken
        Sun, season and haze.
    above
        The clouds.
    thirty
        The pixels of 30 m, a third of the ground's.
    key
        Of `LANDSAT_BANDS`.

    Returns
    -------
    (rows, cols) uint16.
    """
    reflectance = pool(seen(stage, taken, above, LANDSAT_BANDS[key]), 3)
    seed = 301 + list(LANDSAT_BANDS).index(key) + taken.seed
    reflectance += white(thirty, seed) * np.float32(0.0006)
    numbers = (reflectance - np.float32(LANDSAT_OFFSET)) * np.float32(1 / LANDSAT_SCALE)
    return np.clip(numbers + np.float32(0.5), 1, 65535).astype(np.uint16)


def quality_bits(stage: Stage, taken: Acquisition, above: Sky, thirty: Grid) -> U16:
    """Return QA_PIXEL: bits 3 cloud, 4 shadow, 5 snow, 6 clear, 7 water, then confidences.

    Two bits each for the confidence of cloud (8), shadow (10), snow (12) and cirrus (14): 1 low,
    3 high. A clear pixel over land is 21824, over water 21952, as in the product guide.

    Parameters
    ----------
    stage
        The ground.
    taken
        Sun, season and haze.
    above
        The clouds.
    thirty
        The pixels of 30 m, a third of the ground's.

    Returns
    -------
    (rows, cols) uint16.
    """
    cloud = resample(above.opaque, above.grid, thirty) > 0.18
    shadow = (resample(above.shadow, above.grid, thirty) > 0.35) & ~cloud
    snow = (pool(stage.snow_layer(taken.snowline), 3) > 0.5) & ~cloud
    water = pool(stage.water, 3) > 0.5
    out = np.full(thirty.shape, 0b01_01_01_01 << 8, np.uint16)
    out |= np.where(cloud | shadow | snow, 0, 1 << 6).astype(np.uint16)
    out |= water.astype(np.uint16) << np.uint16(7)
    for layer, bit, confidence in ((cloud, 3, 8), (shadow, 4, 10), (snow, 5, 12)):
        out |= layer.astype(np.uint16) * np.uint16((1 << bit) | (3 << confidence))
    return out


def photograph(stage: Stage, taken: Acquisition) -> NDArray[np.uint8]:
    """Return the bands of `NAIP_BANDS`, (4, rows, cols) uint8, gamma-encoded as photographs are.

    Parameters
    ----------
    stage
        The ground.
    taken
        Season and haze.

    Returns
    -------
    Values 1 to 255.
    """
    layers = []
    for number, (band, bright) in enumerate(NAIP_BANDS.values()):
        reflectance = stage.surface(band, taken) + np.float32(taken.haze)
        tone = np.clip(reflectance / np.float32(bright), 0, 1) ** np.float32(1 / 1.8)
        grain = white(stage.grid, 401 + number) * np.float32(1.6)
        layers.append(np.clip(tone * 254 + grain + np.float32(1), 1, 255).astype(np.uint8))
    return np.stack(layers)


def heights(window: Grid) -> F32:
    """Return the height of the ground at each pixel of a grid in degrees, metres, float32.

    Parameters
    ----------
    window
        Pixels in degrees.

    Returns
    -------
    (rows, cols) float32.
    """
    from scipy.ndimage import map_coordinates

    metres = box_window(DEM_UTM, window.bounds, 30.0).at(30, margin=4)
    relief = ground(metres)
    x, y = _eastings_northings(window)
    rows, cols = (metres.north - y) / 30 - 0.5, (x - metres.west) / 30 - 0.5
    found = map_coordinates(relief, [rows, cols], order=1, mode="nearest")
    return np.asarray(found, dtype=np.float32)


def _eastings_northings(window: Grid) -> list[F32]:
    """Return UTM coordinates of each pixel, projected every 64 pixels and interpolated."""
    step = 64
    west, _, _, north = window.bounds
    nodes = Grid(
        4326, west - 32 * window.res, north + 32 * window.res, window.res * step,
        window.rows // step + 3, window.cols // step + 3,
    )  # fmt: skip
    lon, lat = np.meshgrid(nodes.x, nodes.y)
    moved = transformer(DEM_UTM).transform(lon, lat)
    return [resample(v - v.min(), nodes, window) + v.min() for v in moved]


def _full_tile(scene: Scene, taken: Acquisition, key: str) -> U16:
    """Return a whole tile: the ground of 40 m, refined to 10 m strip by strip.

    All noise is a function of the place, so that strips join without a seam.
    """
    stage, outer = _stage(scene), scene.window
    surface, land = stage.surface(key, taken), 1 - stage.water
    numbers = np.empty(outer.shape, np.uint16)
    seed = 95 + list(scene.item["assets"]).index(key)

    def strip(rows: slice) -> None:
        numbers[rows] = fill(surface, land, stage.grid, outer.strip(rows), seed)

    list(in_threads(strip, strips(outer.rows, 512), THREADS))
    return numbers


def fill(surface: F32, land: F32, coarse: Grid, window: Grid, seed: int) -> U16:
    """Return the digital numbers of a window: the coarse surface with texture and noise.

    Parameters
    ----------
    surface
        (rows, cols) float32, reflectance on `coarse`.
    land
        (rows, cols) float32, the fraction of land on `coarse`.
    coarse
        The pixels of 40 m.
    window
        The pixels that are filled.
    seed
        Of the sensor's noise.

    Returns
    -------
    (rows, cols) uint16, offset 1000.
    """
    # White noise of 20 m, interpolated: single bright pixels would be sharper than the optics.
    fine = window.at(20, margin=2)
    texture = resample(white(fine, 41), fine, window)
    texture *= np.float32(0.045) * resample(land, coarse, window)
    out = resample(surface, coarse, window)
    out *= texture + 1
    out *= np.float32(10000)
    out += white(window, seed)
    out += np.float32(1000.5)
    np.clip(out, 1, 65535, out=out)
    return out.astype(np.uint16)
