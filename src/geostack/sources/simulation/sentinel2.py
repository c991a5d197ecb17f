"""Sentinel-2 scenes as files: the bands of acquisitions over one stage, and their STAC items."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path

import numpy as np

from .areas import Box
from .clouds import Sky, sky
from .cog import write_cog
from .grid import Grid
from .items import SCL_PERCENTAGES, item, processed, sentinel2_asset, write_item
from .scene import U8, Acquisition, Stage, classify, render
from .sun import earth_sun_factor

COLLECTION = "sentinel-2-l2a"
TILE_PIXELS = 10980

# The upper left corner of each tile in metres (Sentinel-2 tiling grid, after MGRS).
TILE_ORIGIN: dict[str, tuple[int, float, float]] = {
    "10SGJ": (32610, 699960.0, 4400040.0),
    "10SGH": (32610, 699960.0, 4300020.0),
    "29SMC": (32629, 399960.0, 4300020.0),
}


@dataclass(frozen=True)
class Shot:
    """One acquisition to be written: its weather, its bands, how it is called."""

    acquisition: Acquisition
    platform: str
    orbit: int
    baseline: str
    bands: tuple[str, ...]
    cloud: float
    cirrus: float
    cloud_size: float
    suffix: str = "SIM"


def tile_grid(tile: str, res: float = 10.0) -> Grid:
    """Return the whole grid of an MGRS tile, 10980 x 10980 at 10 m.

    >>> tile_grid("10SGJ").bounds
    (699960.0, 4290240.0, 809760.0, 4400040.0)
    """
    epsg, west, north = TILE_ORIGIN[tile]
    pixels = round(TILE_PIXELS * 10 / res)
    return Grid(epsg, west, north, res, pixels, pixels)


def pixel_window(tile: str, bbox: Box, block: int = 256) -> Grid:
    """Return the 10 m window of a tile around a box in degrees, on multiples of `block` pixels."""
    from pyproj import Transformer

    outer = tile_grid(tile)
    to_metres = Transformer.from_crs(4326, outer.epsg, always_xy=True)
    west, south, east, north = to_metres.transform_bounds(*bbox, densify_pts=21)

    def low(value: float) -> int:
        return max(0, floor(value / outer.res / block) * block)

    def high(value: float) -> int:
        return min(TILE_PIXELS, ceil(value / outer.res / block) * block)

    rows = slice(low(outer.north - north), high(outer.north - south))
    cols = slice(low(west - outer.west), high(east - outer.west))
    return outer.window(rows, cols)


def item_id(shot: Shot, tile: str) -> str:
    """Return the identifier of a scene, in the form of the Planetary Computer's, ending in _SIM."""
    when = shot.acquisition.when
    return (
        f"{shot.platform}_MSIL2A_{when:%Y%m%dT%H%M%S}_R{shot.orbit:03d}_T{tile}_"
        f"{processed(when):%Y%m%dT%H%M%S}_{shot.suffix}"
    )


def write_shots(
    stage: Stage, shots: Sequence[Shot], tile: str, root: Path, progress: bool, label: str
) -> None:
    """Write all acquisitions, two or more at a time: their work is in C code that runs in threads."""
    from tqdm import tqdm

    # disable=None shows the bar only when standard error is a terminal.
    bar = tqdm(total=len(shots), desc=label, unit="scene", disable=None if progress else True)
    with bar, ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        pending = [pool.submit(write_shot, stage, shot, tile, root) for shot in shots]
        try:
            for job in pending:
                job.result()
                bar.update()
        except BaseException:
            for job in pending:
                job.cancel()
            raise


def write_shot(stage: Stage, shot: Shot, tile: str, root: Path) -> None:
    """Write one acquisition: its COGs and its item."""
    grid = stage.grid
    acquisition = shot.acquisition
    weather = sky(
        grid, acquisition.sun, cover=shot.cloud, cirrus=shot.cirrus,
        size=shot.cloud_size, seed=acquisition.seed,
    )  # fmt: skip
    spectral = tuple(band for band in shot.bands if band != "SCL")
    numbers = render(stage, acquisition, weather, spectral)
    scl = classify(stage, acquisition, weather, numbers["B04"], numbers["B08"])
    name = item_id(shot, tile)
    folder = root / COLLECTION / name
    folder.mkdir(parents=True)
    assets = {}
    for band in shot.bands:
        array = scl if band == "SCL" else numbers[band]
        res = grid.res * grid.rows / array.shape[0]
        href = f"T{tile}_{acquisition.when:%Y%m%dT%H%M%S}_{band}_{res:.0f}m.tif"
        window = Grid(grid.epsg, grid.west, grid.north, res, *array.shape)
        write_cog(folder / href, array, window, tile_grid(tile, res), categorical=band == "SCL")
        assets[band] = sentinel2_asset(href, band, tile_grid(tile, res))
    properties = _properties(shot, tile, scl)
    write_item(
        folder, item(name, COLLECTION, acquisition.when, tile_grid(tile), properties, assets)
    )


def _properties(shot: Shot, tile: str, scl: U8) -> dict[str, object]:
    """Return the properties of a Sentinel-2 item; percentages count the simulated pixels."""
    acquisition = shot.acquisition
    made = processed(acquisition.when)
    counts = np.bincount(scl.ravel(), minlength=12) * (100 / scl.size)
    full = tile_grid(tile, 20)
    percentages = {name: round(float(counts[k]), 6) for k, name in SCL_PERCENTAGES.items()}
    number = shot.baseline.replace(".", "")
    return {
        "platform": {"S2A": "Sentinel-2A", "S2B": "Sentinel-2B"}[shot.platform],
        "constellation": "Sentinel 2",
        "instruments": ["msi"],
        "eo:cloud_cover": round(float(counts[8:11].sum()), 6),
        "s2:mgrs_tile": tile,
        "s2:processing_baseline": shot.baseline,
        "s2:product_type": "S2MSI2A",
        "s2:product_uri": f"{shot.platform}_MSIL2A_{acquisition.when:%Y%m%dT%H%M%S}_N{number}_"
        f"R{shot.orbit:03d}_T{tile}_{made:%Y%m%dT%H%M%S}.SAFE",
        "s2:generation_time": made.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "s2:mean_solar_zenith": round(acquisition.sun.zenith, 6),
        "s2:mean_solar_azimuth": round(acquisition.sun.azimuth, 6),
        "s2:reflectance_conversion_factor": round(earth_sun_factor(acquisition.when), 9),
        "s2:nodata_pixel_percentage": round(100 - 100 * scl.size / (full.rows * full.cols), 6),
        "sat:orbit_state": "descending",
        "sat:relative_orbit": shot.orbit,
        **percentages,
    }


__all__ = ["COLLECTION", "Shot", "Sky", "item_id", "pixel_window", "tile_grid", "write_shots"]
