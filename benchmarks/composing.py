"""One median composite of whole scenes, by us or by odc-stac with dask, in a process of its own.

python benchmarks/composing.py make FOLDER 60 10980
python benchmarks/composing.py geostack FOLDER 60
python benchmarks/composing.py odc-stac FOLDER 60
python benchmarks/composing.py odc-stac-strips FOLDER 60

Prints the seconds it took, from the items to the finished store, and the process's peak memory.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from memory import peak_rss
from pystac import Asset, Item
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds

BANDS = ("B02", "B03", "B04", "B08")
WEST, NORTH = 600_000, 5_100_000
DISTINCT = 6
"""Dates that are drawn; the others are the same files under other names, which GDAL takes for
others, too."""

WORKERS = 2


def make(folder: Path, dates: int, side: int) -> None:
    """Write scenes of (side, side) pixels, a third of each clouded, and their items."""
    rng = np.random.default_rng(0)
    blocks = -(-side // 90)
    land = rng.integers(600, 3500, (blocks, blocks)).repeat(90, 0).repeat(90, 1)[:side, :side]
    half = -(-side // 2)
    for number in range(min(DISTINCT, dates)):
        for place, band in enumerate(BANDS):
            noise = rng.integers(-60, 60, (side, side), dtype=np.int16)
            values = (land * (1 + 0.1 * place) + noise + 1000).astype("uint16")
            _cog(folder / f"{number}_{band}.tif", values, 10.0)
        cells = -(-half // 50)
        cloudy = (rng.random((cells, cells)) < 0.35).repeat(50, 0).repeat(50, 1)[:half, :half]
        _cog(folder / f"{number}_SCL.tif", np.where(cloudy, 9, 4).astype("uint8"), 20.0)
    items = [_item(folder, number, side).to_dict() for number in range(dates)]
    (folder / "items.json").write_text(json.dumps(items))


def _cog(path: Path, values: np.ndarray, pixel: float) -> None:
    profile: dict[str, Any] = {
        "driver": "COG", "count": 1, "height": values.shape[0], "width": values.shape[1],
        "dtype": values.dtype, "crs": "EPSG:32632", "nodata": 0, "blocksize": 512,
        "transform": from_origin(WEST, NORTH, pixel, pixel), "compress": "DEFLATE",
        "predictor": "YES", "level": 1, "overviews": "NONE",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(values, 1)


def _item(folder: Path, number: int, side: int) -> Item:
    east, south = WEST + 10 * side, NORTH - 10 * side
    box = transform_bounds("EPSG:32632", "EPSG:4326", WEST, south, east, NORTH)
    west, low, right, top = box
    outline = [[[west, low], [right, low], [right, top], [west, top], [west, low]]]
    when = datetime(2023, 1, 1, 10, 30, tzinfo=UTC) + timedelta(days=5 * number)
    told = {"constellation": "sentinel-2", "proj:code": "EPSG:32632", "proj:epsg": 32632}
    told["s2:processing_baseline"] = "05.10"
    item = Item(
        f"S2_{number:03d}", {"type": "Polygon", "coordinates": outline}, list(box), when, told,
        stac_extensions=["https://stac-extensions.github.io/projection/v1.1.0/schema.json"],
    )  # fmt: skip
    item.collection_id = "sentinel-2-l2a"
    for band in (*BANDS, "SCL"):
        path = folder / f"{item.id}_{band}.tif"
        path.unlink(missing_ok=True)
        os.link(folder / f"{number % DISTINCT}_{band}.tif", path)
        pixel, size = (20.0, -(-side // 2)) if band == "SCL" else (10.0, side)
        kind = "uint8" if band == "SCL" else "uint16"
        fields = {
            "proj:shape": [size, size],
            "proj:transform": [pixel, 0, WEST, 0, -pixel, NORTH],
            "raster:bands": [{"data_type": kind, "nodata": 0}],
        }
        kind_of_file = "image/tiff; application=geotiff; profile=cloud-optimized"
        item.add_asset(
            band, Asset(str(path), media_type=kind_of_file, roles=["data"], extra_fields=fields)
        )
    return item


def with_geostack(items: list[Item], store: Path) -> None:
    from geotoolz import composite

    composite(items, BANDS, target=store, workers=WORKERS, progress=False)


def with_odc_stac(items: list[Item], store: Path, rows: int | None = None) -> None:
    """The same median as its documents teach it: masked floats, all dates of a chunk at once.

    With `rows`, so many at a time, one strip after the other: of 60 whole tiles the graph as a
    whole held 23.9 GB after 14 minutes, when the machine of 24 ended it.
    """
    import dask
    import odc.stac
    import xarray as xr

    dask.config.set(scheduler="threads", num_workers=WORKERS)
    grid = {"crs": "EPSG:32632", "resolution": 10, "chunks": {"x": 512, "y": 512, "time": 1}}
    loaded = odc.stac.load(items, bands=[*BANDS, "SCL"], **grid)
    clear = ~loaded.SCL.isin([0, 1, 3, 8, 9, 10]).chunk(time=-1)
    made = {}
    for band in BANDS:
        numbers = loaded[band].chunk(time=-1)
        shifted = np.maximum(numbers.astype("float32") - 1000, 1)
        made[band] = shifted.where(clear & (numbers > 0)).median("time", skipna=True)
    median = xr.Dataset(made).drop_vars("spatial_ref")
    if rows is None:
        median.to_zarr(store, mode="w", consolidated=False)
        return
    median.to_zarr(store, mode="w", consolidated=False, compute=False)
    for top in range(0, median.sizes["y"], rows):
        strip = slice(top, top + rows)
        pixels = median.isel(y=strip).drop_vars(["x", "y"])
        pixels.to_zarr(store, region={"x": slice(None), "y": strip}, consolidated=False)


def values_of(store: Path, rows: slice) -> np.ndarray:
    """Return rows (C, n, W) of either rival's store."""
    import zarr

    group = zarr.open_group(store, mode="r")
    if "data" in group:
        return group["data"][:, rows]
    return np.stack([group[band][rows] for band in BANDS])


RIVALS = {
    "geostack": with_geostack,
    "odc-stac": with_odc_stac,
    "odc-stac-strips": partial(with_odc_stac, rows=512),
}

if __name__ == "__main__":
    what, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if what == "make":
        make(folder, count, int(sys.argv[4]))
    else:
        scenes = [Item.from_dict(each) for each in json.loads((folder / "items.json").read_text())]
        began = time.perf_counter()
        RIVALS[what](scenes[:count], folder / f"{what}.zarr")
        took = time.perf_counter() - began
        print(json.dumps({"seconds": round(took, 2), "peak_mb": round(peak_rss())}))
