"""One mosaic of files that overlap, by us or by rasterio.merge, in a process of its own.

python benchmarks/mosaicking.py make FOLDER 16 2048
python benchmarks/mosaicking.py geostack FOLDER 16 2048
python benchmarks/mosaicking.py rasterio.merge FOLDER 16 2048

Prints the seconds it took, headers and all, and the peak memory beyond what the process had when
it knew its files, in MB. GDAL keeps as little as it may for both: its cache would count as theirs.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from memory import peak_rss
from rasterio.transform import from_origin

BANDS, PIXEL = 2, 10
WEST, NORTH = 600_000, 5_100_000
CACHE = {"GDAL_CACHEMAX": 16}
EPSG = 32632
Mosaic = Callable[[], np.ndarray]
"""Makes a mosaic of files that are known, by a catalog or by their names."""


def paths(folder: Path, count: int) -> list[Path]:
    """Return the files of a mosaic, a day each."""
    days = np.datetime64("2024-01-01") + np.arange(count)
    return [folder / f"part_{str(day).replace('-', '')}.tif" for day in days]


def make(folder: Path, count: int, side: int) -> None:
    """Write files of a quarter of the mosaic's side: sixteen cover it, more lie at random."""
    rng, part = np.random.default_rng(0), side // 4
    for number, path in enumerate(paths(folder, count)):
        row, col = (part * n for n in divmod(number, 4))
        if number >= 16:
            row, col = rng.integers(0, side - part, 2)
        values = rng.integers(1, 10_000, (BANDS, part, part), dtype=np.uint16)
        profile: dict[str, Any] = {
            "driver": "GTiff", "count": BANDS, "height": part, "width": part, "dtype": "uint16",
            "crs": EPSG, "nodata": 0, "tiled": True, "blockxsize": 512, "blockysize": 512,
            "transform": from_origin(WEST + PIXEL * col, NORTH - PIXEL * row, PIXEL, PIXEL),
        }  # fmt: skip
        with rasterio.open(path, "w", **profile) as file:
            file.write(values)


def with_geostack(files: list[Path], side: int) -> Mosaic:
    from geocatalog import GeoSlice, build_raster_catalog, load_raster

    catalog = build_raster_catalog(files, r"_(?P<date>\d{8})", progress=False)
    box = (WEST, NORTH - PIXEL * side, WEST + PIXEL * side, NORTH)
    place = GeoSlice(box, None, PIXEL, EPSG)
    return lambda: load_raster(catalog, place, merge_method="max", workers=1).values


def with_rasterio(files: list[Path], side: int) -> Mosaic:
    from rasterio.merge import merge

    return lambda: merge(files, method="max")[0]


RIVALS = {"geostack": with_geostack, "rasterio.merge": with_rasterio}


def main(what: str, folder: Path, count: int, side: int) -> None:
    """Make the files, or one rival's mosaic of them."""
    if what == "make":
        make(folder, count, side)
        return
    small = folder / "small"
    small.mkdir(exist_ok=True)
    make(small, 16, 64)
    with rasterio.Env(**CACHE):
        RIVALS[what](paths(small, 16), 64)()  # imports are no mosaic's
        began = time.perf_counter()
        mosaic = RIVALS[what](paths(folder, count), side)
        before = peak_rss()
        made = mosaic()
        took = time.perf_counter() - began
        beyond = peak_rss() - before
    np.save(folder / f"{what}.npy", made)
    print(json.dumps({"seconds": took, "peak_mb": beyond, "result_mb": made.nbytes / 2**20}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
