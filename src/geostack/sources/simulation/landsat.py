"""Landsat Collection 2 Level-2 scenes of the same ground that the Sentinel-2 scenes show."""

from __future__ import annotations

from datetime import datetime
from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np

from .areas import CALDOR_BBOX, Box, SimulatedArea
from .clouds import Sky, sky
from .cog import write_cog
from .fire import burn, severity
from .grid import Grid, pool, resample
from .items import asset, item, write_item
from .landscape import Landscape
from .landscape import build as build_landscape
from .noise import white
from .scene import U16, Acquisition, Stage, seen
from .sentinel2 import box_window
from .sun import elevation_of, sun_position

COLLECTION = "landsat-c2-l2"
SCALE, OFFSET = 2.75e-5, -0.2
"""Reflectance = number * SCALE + OFFSET (USGS Landsat 8-9 Collection 2 Level 2 product guide)."""

# asset: (Sentinel-2 band of the same colour, name, centre and width in micrometres, file's suffix)
BANDS: dict[str, tuple[str, str, float, float, str]] = {
    "blue": ("B02", "OLI_B2", 0.48, 0.06, "SR_B2"),
    "green": ("B03", "OLI_B3", 0.56, 0.06, "SR_B3"),
    "red": ("B04", "OLI_B4", 0.65, 0.04, "SR_B4"),
    "nir08": ("B08", "OLI_B5", 0.87, 0.03, "SR_B5"),
    "swir16": ("B11", "OLI_B6", 1.61, 0.09, "SR_B6"),
    "swir22": ("B12", "OLI_B7", 2.20, 0.19, "SR_B7"),
}

# Path 43, row 33; corners of Landsat pixels lie on odd multiples of 15 m.
SCENE = Grid(32610, 640785.0, 4423515.0, 30.0, 7850, 7700)

# area: (platform, when, season, snowline, cloud).
_PASSES: dict[str, tuple[tuple[str, datetime, float, float, float], ...]] = {
    "lake-tahoe-landsat": (
        ("LC09", datetime(2024, 6, 13, 18, 40, 12, 477296), 0.20, 2520.0, 0.02),
        ("LC09", datetime(2024, 7, 15, 18, 40, 18, 124511), 0.73, 2785.0, 0.05),
    ),
    "caldor-landsat": (
        ("LC08", datetime(2021, 8, 6, 18, 40, 25, 716210), 1.0, 3350.0, 0.01),
        ("LC08", datetime(2021, 11, 10, 18, 40, 48, 250418), 1.1, 3140.0, 0.01),
    ),
}

FIRE = datetime(2021, 8, 14)
"""The day that the Caldor Fire began."""


def window(bbox: Box) -> Grid:
    """Return the scene's pixels around a box in degrees, with a margin of 20 pixels."""
    west, south, east, north = box_window(SCENE.epsg, bbox, 30.0).bounds
    rows = slice(floor((SCENE.north - north) / 30) - 20, ceil((SCENE.north - south) / 30) + 20)
    cols = slice(floor((west - SCENE.west) / 30) - 20, ceil((east - SCENE.west) / 30) + 20)
    # Even numbers of rows and columns, as the scenes' light is computed on pairs.
    rows = slice(rows.start, rows.stop + (rows.stop - rows.start) % 2)
    cols = slice(cols.start, cols.stop + (cols.stop - cols.start) % 2)
    return SCENE.window(rows, cols)


def build(area: SimulatedArea, root: Path, progress: bool) -> None:
    """Write the area's passes under `root`."""
    from tqdm import tqdm

    thirty = window(area.bbox)
    fine = Grid(thirty.epsg, thirty.west, thirty.north, 10.0, thirty.rows * 3, thirty.cols * 3)
    land, burnt = build_landscape(fine), False
    passes = _PASSES[area.name]
    disable = None if progress else True
    for platform, when, season, snowline, cloud in tqdm(passes, area.name, disable=disable):
        if area.name.startswith("caldor") and when > FIRE and not burnt:
            land, burnt = burn(land, severity(land, box_window(fine.epsg, CALDOR_BBOX))), True
        taken = Acquisition(
            when=when,
            sun=sun_position(when, -120.0, 39.0),
            season=season,
            snowline=snowline,
            offset=0,
            haze=0.0,
            seed=when.year + when.timetuple().tm_yday,
        )
        _write(land, thirty, taken, platform, cloud, root)


def _write(
    land: Landscape, thirty: Grid, taken: Acquisition, platform: str, cloud: float, root: Path
) -> None:
    spectral = [band for band, *_ in BANDS.values()]
    stage = Stage(land, taken.sun, spectral, taken.snowline - 60)
    above = sky(stage.grid, taken.sun, cover=cloud, cirrus=0.0, size=4200.0, seed=taken.seed)
    name = f"{platform}_L2SP_043033_{taken.when:%Y%m%d}_02_T1_SIM"
    folder = root / COLLECTION / name
    folder.mkdir(parents=True)
    layers = dict(seen_numbers(stage, taken, above, thirty))
    quality = quality_bits(stage, taken, above, thirty)
    layers["qa_pixel"] = quality
    assets: dict[str, Any] = {}
    for key, layer in layers.items():
        href = f"{name}_{'QA_PIXEL' if key == 'qa_pixel' else BANDS[key][4]}.TIF"
        fill = 1 if key == "qa_pixel" else 0
        write_cog(folder / href, layer, thirty, SCENE, nodata=fill, categorical=key == "qa_pixel")
        assets[key] = _asset(key, href)
    clouded = 100 * float(np.mean(quality & 8 > 0))
    properties = {
        "platform": {"LC08": "landsat-8", "LC09": "landsat-9"}[platform],
        "instruments": ["oli", "tirs"],
        "gsd": 30,
        "eo:cloud_cover": round(clouded, 2),
        "landsat:wrs_path": "043",
        "landsat:wrs_row": "033",
        "landsat:correction": "L2SP",
        "landsat:collection_number": "02",
        "landsat:collection_category": "T1",
        "view:sun_azimuth": round(taken.sun.azimuth, 6),
        "view:sun_elevation": round(elevation_of(taken.sun), 6),
    }
    write_item(folder, item(name, COLLECTION, taken.when, SCENE, properties, assets))


def seen_numbers(
    stage: Stage, taken: Acquisition, above: Sky, thirty: Grid
) -> list[tuple[str, U16]]:
    """Return each band at 30 m as Collection 2 numbers, uint16; 0 is fill and never produced."""
    names = {band: key for key, (band, *_) in BANDS.items()}
    out = []
    for number, (band, surface) in enumerate(seen(stage, taken, above, list(names))):
        reflectance = pool(surface, 3)
        reflectance += white(thirty, 301 + number + taken.seed) * np.float32(0.0006)
        numbers = (reflectance - np.float32(OFFSET)) * np.float32(1 / SCALE) + np.float32(0.5)
        out.append((names[band], np.clip(numbers, 1, 65535).astype(np.uint16)))
    return out


def quality_bits(stage: Stage, taken: Acquisition, above: Sky, thirty: Grid) -> U16:
    """Return QA_PIXEL: bits 3 cloud, 4 shadow, 5 snow, 6 clear, 7 water, then confidences.

    Two bits each for the confidence of cloud (8), shadow (10), snow (12) and cirrus (14): 1 low,
    3 high. A clear pixel over land is 21824, over water 21952, as in the product guide.
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


def _asset(key: str, href: str) -> dict[str, Any]:
    if key == "qa_pixel":
        return asset(href, SCENE, title="Pixel Quality Assessment Band")
    _, name, centre, width, _ = BANDS[key]
    described = {
        "name": name,
        "common_name": key,
        "center_wavelength": centre,
        "full_width_half_max": width,
    }
    numbers = {"scale": SCALE, "offset": OFFSET, "nodata": 0, "data_type": "uint16"}
    return asset(
        href, SCENE, title=f"{key} surface reflectance",
        **{"eo:bands": [described], "raster:bands": [numbers]},
    )  # fmt: skip
