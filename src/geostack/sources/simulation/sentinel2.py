"""Sentinel-2 scenes as files: the bands of acquisitions over one stage, and their STAC items."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .areas import Box
from .clouds import sky
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


def box_window(epsg: int, bbox: Box, res: float = 10.0) -> Grid:
    """Return the smallest window of whole pixels around a box in degrees, in a UTM zone.

    >>> box_window(32610, (-120.10, 38.92, -119.93, 39.27)).bounds
    (750180.0, 4311890.0, 766170.0, 4351240.0)
    """
    from pyproj import Transformer

    to_metres = Transformer.from_crs(4326, epsg, always_xy=True)
    west, south, east, north = to_metres.transform_bounds(*bbox, densify_pts=21)
    left, right = floor(west / res), ceil(east / res)
    low, high = floor(south / res), ceil(north / res)
    return Grid(epsg, left * res, high * res, res, high - low, right - left)


def pixel_window(tile: str, bbox: Box, block: int = 256) -> Grid:
    """Return the 10 m window of a tile around a box in degrees, on multiples of `block` pixels."""
    outer = tile_grid(tile)
    west, south, east, north = box_window(outer.epsg, bbox).bounds

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
    stage: Stage,
    shots: Sequence[Shot],
    windows: Mapping[str, Grid],
    root: Path,
    progress: bool,
    label: str,
) -> None:
    """Write acquisitions of a stage to each tile's window, several files at a time.

    Most of the work is compression in C code, which runs in threads.
    """
    from tqdm import tqdm

    jobs = min(4, os.cpu_count() or 1)
    # disable=None shows the bar only when standard error is a terminal.
    bar = tqdm(total=len(shots), desc=label, unit="scene", disable=None if progress else True)
    with bar, ThreadPoolExecutor(jobs) as scenes, ThreadPoolExecutor(jobs) as files:
        pending = [scenes.submit(write_shot, stage, s, windows, root, files) for s in shots]
        try:
            for job in pending:
                job.result()
                bar.update()
        except BaseException:
            for job in pending:
                job.cancel()
            raise


def write_shot(
    stage: Stage, shot: Shot, windows: Mapping[str, Grid], root: Path, files: Executor
) -> None:
    """Write one acquisition: for each tile its COGs and its item."""
    acquisition = shot.acquisition
    weather = sky(
        stage.grid, acquisition.sun, cover=shot.cloud, cirrus=shot.cirrus,
        size=shot.cloud_size, seed=acquisition.seed,
    )  # fmt: skip
    spectral = tuple(band for band in shot.bands if band != "SCL")
    layers: dict[str, NDArray[Any]] = dict(render(stage, acquisition, weather, spectral))
    layers["SCL"] = classify(stage, acquisition, weather, layers["B04"], layers["B08"])
    for tile, window in windows.items():
        _write_tile({band: layers[band] for band in shot.bands}, stage.grid, shot, tile, window,
                    root, files)  # fmt: skip


def _write_tile(
    layers: Mapping[str, NDArray[Any]],
    grid: Grid,
    shot: Shot,
    tile: str,
    window: Grid,
    root: Path,
    files: Executor,
) -> None:
    name = item_id(shot, tile)
    folder = root / COLLECTION / name
    folder.mkdir(parents=True)
    assets, pending = {}, []
    for band, layer in layers.items():
        res = grid.res * grid.rows / layer.shape[0]
        cut = Grid(window.epsg, window.west, window.north, res, *_scaled(window, res))
        row, col = cut.offset_in(Grid(grid.epsg, grid.west, grid.north, res, *layer.shape))
        pixels = layer[row : row + cut.rows, col : col + cut.cols]
        href = f"T{tile}_{shot.acquisition.when:%Y%m%dT%H%M%S}_{band}_{res:.0f}m.tif"
        assets[band] = sentinel2_asset(href, band, tile_grid(tile, res))
        pending.append(
            files.submit(write_cog, folder / href, pixels, cut, tile_grid(tile, res),
                         categorical=band == "SCL")
        )  # fmt: skip
        if band == "SCL":
            properties = _properties(shot, tile, pixels)
    for job in pending:
        job.result()
    when = shot.acquisition.when
    write_item(folder, item(name, COLLECTION, when, tile_grid(tile), properties, assets))


def _scaled(grid: Grid, res: float) -> tuple[int, int]:
    """Return the rows and columns of a grid's window at another pixel size."""
    return round(grid.rows * grid.res / res), round(grid.cols * grid.res / res)


def _properties(shot: Shot, tile: str, scl: U8) -> dict[str, object]:
    """Return the properties of an item with a classification; percentages count its pixels."""
    counts = np.bincount(scl.ravel(), minlength=12) * (100 / scl.size)
    full = tile_grid(tile, 20)
    percentages = {name: round(float(counts[k]), 6) for k, name in SCL_PERCENTAGES.items()}
    missing = 100 - 100 * scl.size / (full.rows * full.cols)
    return {**tile_properties(shot, tile, float(counts[8:11].sum()), missing), **percentages}


def tile_properties(shot: Shot, tile: str, cloud_cover: float, nodata: float) -> dict[str, object]:
    """Return the properties of a Sentinel-2 item; `cloud_cover` and `nodata` are percentages."""
    acquisition = shot.acquisition
    made = processed(acquisition.when)
    number = shot.baseline.replace(".", "")
    return {
        "platform": {"S2A": "Sentinel-2A", "S2B": "Sentinel-2B"}[shot.platform],
        "constellation": "Sentinel 2",
        "instruments": ["msi"],
        "eo:cloud_cover": round(cloud_cover, 6),
        "s2:mgrs_tile": tile,
        "s2:processing_baseline": shot.baseline,
        "s2:product_type": "S2MSI2A",
        "s2:product_uri": f"{shot.platform}_MSIL2A_{acquisition.when:%Y%m%dT%H%M%S}_N{number}_"
        f"R{shot.orbit:03d}_T{tile}_{made:%Y%m%dT%H%M%S}.SAFE",
        "s2:generation_time": made.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "s2:mean_solar_zenith": round(acquisition.sun.zenith, 6),
        "s2:mean_solar_azimuth": round(acquisition.sun.azimuth, 6),
        "s2:reflectance_conversion_factor": round(earth_sun_factor(acquisition.when), 9),
        "s2:nodata_pixel_percentage": round(nodata, 6),
        "sat:orbit_state": "descending",
        "sat:relative_orbit": shot.orbit,
    }
