"""The relief under the scenes, on the 1-degree tiles of Copernicus DEM GLO-30."""

from __future__ import annotations

from datetime import datetime
from math import ceil, floor
from pathlib import Path

import numpy as np

from .areas import SimulatedArea
from .cog import write_cog
from .grid import F32, Grid, resample
from .items import asset, item, write_item
from .sentinel2 import box_window
from .terrain import ground

COLLECTION = "cop-dem-glo-30"
STEP = 1 / 3600
"""Pixels are one arc second; their centres lie on whole arc seconds (Copernicus DEM handbook)."""

NODATA = -32767.0
UTM = 32610


def tile(south: int, west: int) -> Grid:
    """Return the grid of a 1-degree tile by its south-west corner, 3600 x 3600.

    >>> tile(38, -121).shape
    (3600, 3600)
    """
    return Grid(4326, west - STEP / 2, south + 1 + STEP / 2, STEP, 3600, 3600)


def tile_id(south: int, west: int) -> str:
    """Return a tile's identifier; the sample's own naming, with _SIM at the end.

    >>> tile_id(38, -121)
    'Copernicus_DSM_COG_10_N38_00_W121_00_DEM_SIM'
    """
    ns, ew = "NS"[south < 0], "EW"[west < 0]
    return f"Copernicus_DSM_COG_10_{ns}{abs(south):02d}_00_{ew}{abs(west):03d}_00_DEM_SIM"


def part(outer: Grid, bbox: tuple[float, float, float, float]) -> Grid:
    """Return the pixels of a tile inside a box in degrees."""
    west, south, east, north = bbox
    top = max(0, floor((outer.north - north) / STEP))
    bottom = min(outer.rows, ceil((outer.north - south) / STEP))
    left = max(0, floor((west - outer.west) / STEP))
    right = min(outer.cols, ceil((east - outer.west) / STEP))
    return outer.window(slice(top, bottom), slice(left, right))


def heights(window: Grid) -> F32:
    """Return the height of the ground at each pixel of a grid in degrees, metres, float32."""
    from scipy.ndimage import map_coordinates

    west, south, east, north = window.bounds
    metres = box_window(UTM, (west, south, east, north), 30.0).at(30, margin=4)
    relief = ground(metres)
    x, y = _eastings_northings(window)
    rows, cols = (metres.north - y) / 30 - 0.5, (x - metres.west) / 30 - 0.5
    found = map_coordinates(relief, [rows, cols], order=1, mode="nearest")
    return np.asarray(found, dtype=np.float32)


def _eastings_northings(window: Grid) -> tuple[F32, F32]:
    """Return UTM coordinates of each pixel, projected every 64 pixels and interpolated."""
    from pyproj import Transformer

    step = 64
    west, _, _, north = window.bounds
    nodes = Grid(
        4326, west - 32 * STEP, north + 32 * STEP, STEP * step,
        window.rows // step + 3, window.cols // step + 3,
    )  # fmt: skip
    lon, lat = np.meshgrid(nodes.x, nodes.y)
    x, y = Transformer.from_crs(4326, UTM, always_xy=True).transform(lon, lat)
    return tuple(resample(v - v.min(), nodes, window) + v.min() for v in (x, y))  # type: ignore[return-value]


def build(area: SimulatedArea, root: Path, progress: bool) -> None:
    """Write the four tiles that share the area's box under `root`."""
    from tqdm import tqdm

    west, south, east, north = area.bbox
    corners = [(la, lo) for la in range(floor(south), ceil(north))
               for lo in range(floor(west), ceil(east))]  # fmt: skip
    for corner in tqdm(corners, desc=f"simulating {area.name}", disable=None if progress else True):
        outer = tile(*corner)
        window = part(outer, area.bbox)
        name = tile_id(*corner)
        folder = root / COLLECTION / name
        folder.mkdir(parents=True)
        write_cog(folder / f"{name}.tif", heights(window), window, outer, nodata=NODATA)
        data = asset(f"{name}.tif", outer, title=name, gsd=30.0)
        properties = {"gsd": 30, "platform": "TanDEM-X"}
        when = datetime(2021, 4, 22)
        write_item(folder, item(name, COLLECTION, when, outer, properties, {"data": data}))
