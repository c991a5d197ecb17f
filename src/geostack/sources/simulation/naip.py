"""An aerial photograph of the Tahoe Keys, as the National Agriculture Imagery Program has."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .areas import SimulatedArea
from .cog import write_cog
from .grid import Grid
from .items import asset, item, write_item
from .landscape import build as build_landscape
from .noise import white
from .scene import Acquisition, Stage
from .sentinel2 import box_window
from .sun import sun_position

COLLECTION = "naip"
RESOLUTION = 0.6
NAME = "ca_m_3812022_ne_10_060_20220713_SIM"

# band of the file: (Sentinel-2 band of the same colour, reflectance that is white).
BANDS = {"Red": ("B04", 0.36), "Green": ("B03", 0.36), "Blue": ("B02", 0.36), "NIR": ("B08", 0.55)}


def photograph(grid: Grid) -> NDArray[np.uint8]:
    """Return the four bands, (4, rows, cols) uint8, gamma-encoded as photographs are."""
    when = datetime(2022, 7, 13, 17, 10)
    sun = sun_position(when, -120.0, 38.9)
    taken = Acquisition(when, sun, season=0.7, snowline=3000.0, offset=0, haze=0.012, seed=7)
    land = build_landscape(grid)
    stage = Stage(land, sun, [band for band, _ in BANDS.values()], lowest_snow=2900)
    layers = []
    for number, (band, bright) in enumerate(BANDS.values()):
        reflectance = stage.surface(band, taken) + np.float32(taken.haze)
        tone = np.clip(reflectance / np.float32(bright), 0, 1) ** np.float32(1 / 1.8)
        grain = white(grid, 401 + number) * np.float32(1.6)
        layers.append(np.clip(tone * 254 + grain + np.float32(1), 1, 255).astype(np.uint8))
    return np.stack(layers)


def build(area: SimulatedArea, root: Path, progress: bool) -> None:
    """Write the photograph and its item under `root`; it takes seconds, so no bar is shown."""
    fine = box_window(area.epsg, area.bbox, 6.0)
    rows, cols = fine.rows * 10, fine.cols * 10
    grid = Grid(fine.epsg, fine.west, fine.north, RESOLUTION, rows, cols)
    folder = root / COLLECTION / NAME
    folder.mkdir(parents=True)
    write_cog(folder / f"{NAME}.tif", photograph(grid), grid, nodata=None, blocksize=512)
    bands = [{"name": name, "common_name": name.lower()} for name in BANDS]
    image = asset(f"{NAME}.tif", grid, title="RGBIR COG tile", **{"eo:bands": bands})
    properties = {"gsd": RESOLUTION, "naip:state": "ca", "naip:year": "2022"}
    write_item(
        folder,
        item(NAME, COLLECTION, datetime(2022, 7, 13, 16), grid, properties, {"image": image}),
    )
