"""The whole of tile 10SGJ with every pixel filled: for runs that are meant to be large."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np

from .areas import SimulatedArea
from .cog import write_cog
from .grid import F32, Grid, resample
from .items import item, sentinel2_asset, write_item
from .landscape import build as build_landscape
from .noise import white
from .scene import U16, Acquisition, Stage
from .sentinel2 import COLLECTION, Shot, item_id, tile_grid, tile_properties
from .sun import sun_position

TILE = "10SGJ"
BANDS = ("B04", "B08")
_STRIP = 512


def shot() -> Shot:
    """Return the one acquisition, cloudless, 60 days after Lake Tahoe's clearest."""
    when = datetime(2024, 8, 13, 18, 39, 19, 24000)
    acquisition = Acquisition(
        when=when,
        sun=sun_position(when, -120.0, 39.2),
        season=1.2,
        snowline=3150.0,
        offset=1000,
        haze=0.0,
        seed=3301,
    )
    return Shot(acquisition, "S2B", 70, "05.10", BANDS, 0.0, 0.0, 0.0, suffix="FULL_SIM")


def coarse_surface(coarse: Grid) -> tuple[Mapping[str, F32], F32]:
    """Return the reflectance of each band, and the fraction of land, on a coarse grid."""
    taken = shot().acquisition
    land = build_landscape(coarse)
    stage = Stage(land, taken.sun, BANDS, taken.snowline - 60)
    return {band: stage.surface(band, taken) for band in BANDS}, 1 - land.water


def fill(surface: F32, land: F32, coarse: Grid, window: Grid, seed: int) -> U16:
    """Return the digital numbers of a window: the coarse surface with texture and noise."""
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


def build(area: SimulatedArea, root: Path, progress: bool) -> None:
    """Write the item and its two bands under `root`.

    The landscape is made at 40 m and refined to 10 m strip by strip; all noise is a function of
    the place, so that strips join without a seam.
    """
    from tqdm import tqdm

    taken = shot()
    outer = tile_grid(TILE)
    around = outer.at(40, margin=1)
    # An even number of pixels each way, as scenes have.
    coarse = replace(around, rows=around.rows + 1, cols=around.cols + 1)
    surfaces, land = coarse_surface(coarse)
    name = item_id(taken, TILE)
    folder = root / COLLECTION / name
    folder.mkdir(parents=True)
    starts = range(0, outer.rows, _STRIP)
    bar = tqdm(total=len(BANDS) * len(starts), desc=f"simulating {area.name}", unit="strip",
               disable=None if progress else True)  # fmt: skip
    assets = {}
    with bar, ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for number, band in enumerate(BANDS):
            numbers = np.empty(outer.shape, np.uint16)

            def strip(start: int, band: str = band, seed: int = 95 + number,
                      numbers: U16 = numbers) -> None:  # fmt: skip
                rows = slice(start, min(start + _STRIP, outer.rows))
                window = outer.window(rows, slice(0, outer.cols))
                numbers[rows] = fill(surfaces[band], land, coarse, window, seed)
                bar.update()

            list(pool.map(strip, starts))
            href = f"T{TILE}_{taken.acquisition.when:%Y%m%dT%H%M%S}_{band}_10m.tif"
            write_cog(folder / href, numbers, outer, threads=os.cpu_count() or 1)
            assets[band] = sentinel2_asset(href, band, outer)
    properties = tile_properties(taken, TILE, cloud_cover=0.0, nodata=0.0)
    write_item(folder, item(name, COLLECTION, taken.acquisition.when, outer, properties, assets))
