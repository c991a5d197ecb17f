"""Small Sentinel-2 scenes made for a test: true COGs on a true grid, with their STAC items."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds

EPSG = 32610
WEST, NORTH = 750_000.0, 4_350_000.0
SIDE = 5_120.0
"""Metres: 512 pixels of 10 m."""


def scene_bbox(inset: float = 0.0) -> tuple[float, float, float, float]:
    """The scene's box in degrees, `inset` metres smaller on each side."""
    bounds = (WEST + inset, NORTH - SIDE + inset, WEST + SIDE - inset, NORTH - inset)
    return transform_bounds(f"EPSG:{EPSG}", "EPSG:4326", *bounds)


def write_cog(
    path: Path, values: np.ndarray, resolution: float, *, nodata: float | None = 0, block: int = 128
) -> Path:
    """Write (rows, cols) or (bands, rows, cols) as a COG whose corner is the scenes'."""
    layers = values[None] if values.ndim == 2 else values
    with rasterio.open(
        path,
        "w",
        driver="COG",
        width=layers.shape[2],
        height=layers.shape[1],
        count=layers.shape[0],
        dtype=layers.dtype,
        crs=f"EPSG:{EPSG}",
        transform=from_origin(WEST, NORTH, resolution, resolution),
        nodata=nodata,
        blocksize=block,
        compress="DEFLATE",
        overview_resampling="average",
    ) as target:
        target.write(layers)
    return path


def band(resolution: float, seed: int, low: int = 1_200, high: int = 5_000) -> np.ndarray:
    """Random digital numbers of one band, none of them 0."""
    side = int(SIDE / resolution)
    random = np.random.default_rng(seed)
    return random.integers(low, high, (side, side)).astype("uint16")


def make_scene(
    root: Path,
    item_id: str = "S2B_MSIL2A_20240614T183919_R070_T10SGJ_20240614T225657",
    *,
    when: str = "2024-06-14T18:39:19.024000Z",
    cloud: float | None = 1.0,
    bands: tuple[str, ...] = ("B02", "B03", "B04", "B08", "B11", "SCL"),
    baseline: str | None = "05.10",
    tile: str = "10SGJ",
    values: dict[str, np.ndarray] | None = None,
    declare_grid: bool = True,
    **properties: Any,
) -> dict[str, Any]:
    """Write a scene under `root/sentinel-2-l2a/ID/` and return its STAC item."""
    folder = root / "sentinel-2-l2a" / item_id
    folder.mkdir(parents=True)
    west, south, east, north = scene_bbox()
    assets = {}
    for number, name in enumerate(bands):
        resolution = 20.0 if name in ("B11", "B12", "B8A", "SCL") else 10.0
        pixels = (values or {}).get(name)
        if pixels is None:
            pixels = band(resolution, number)
            if name == "SCL":
                pixels = (pixels % 12).astype("uint8")
        path = write_cog(folder / f"{name}.tif", pixels, resolution)
        assets[name] = {
            "href": f"./{path.name}",
            "type": "image/tiff; application=geotiff; profile=cloud-optimized",
            "roles": ["data"],
        }
        if declare_grid:
            assets[name]["proj:shape"] = list(pixels.shape)
            assets[name]["proj:transform"] = [resolution, 0.0, WEST, 0.0, -resolution, NORTH]
    feature = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [],
        "id": item_id,
        "collection": "sentinel-2-l2a",
        "bbox": [west, south, east, north],
        "geometry": {
            "type": "Polygon",
            "coordinates": [
                [[west, south], [east, south], [east, north], [west, north], [west, south]]
            ],
        },
        "properties": {
            "datetime": when,
            "platform": "Sentinel-2B",
            "proj:epsg": EPSG,
            "s2:mgrs_tile": tile,
            **({} if cloud is None else {"eo:cloud_cover": cloud}),
            **({} if baseline is None else {"s2:processing_baseline": baseline}),
            **properties,
        },
        "links": [],
        "assets": assets,
    }
    (folder / f"{item_id}.json").write_text(json.dumps(feature))
    return feature
