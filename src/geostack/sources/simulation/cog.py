"""Writing sparse cloud-optimised GeoTIFFs: a whole tile's grid, pixels only where there are any."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .grid import Grid, pool


def write_cog(
    path: Path,
    array: NDArray[Any],
    grid: Grid,
    tile: Grid | None = None,
    *,
    nodata: float | None = 0,
    categorical: bool = False,
    blocksize: int = 512,
    threads: int = 1,
) -> None:
    """Write an array, (rows, cols) or (bands, rows, cols), as a valid COG with overviews.

    `grid` is where the array's pixels are; `tile` the grid of the file, larger or the same.
    Blocks without pixels are sparse: they take no bytes. Overviews are nearest for a
    `categorical` array, else means of 2 x 2.

    The file is laid out in memory and copied by GDAL's COG driver. Overviews are made while the
    file is still empty and then filled from here: GDAL's own averaging visits every block of a
    10980 x 10980 grid and takes three times as long. ZSTD level 1 writes a band in 0.2 s; level
    9 takes four times that and saves 4 % of the bytes.
    """
    import rasterio
    from rasterio.io import MemoryFile
    from rasterio.shutil import copy
    from rasterio.windows import Window

    tile = tile or grid
    layers = array[None] if array.ndim == 2 else array
    row, col = grid.offset_in(tile)
    levels = sum(max(tile.shape) >> (k - 1) > blocksize for k in range(1, 6))
    # GDAL's cache of blocks would hold the whole tile, empty as it is.
    with rasterio.Env(GDAL_CACHEMAX=32), MemoryFile() as memory:
        memory.write(_empty(tile, len(layers), array.dtype.name, nodata, blocksize, levels))
        with rasterio.open(memory.name, "r+") as target:
            target.write(layers, window=Window(col, row, grid.cols, grid.rows))
        for number in range(levels):
            layers = _halve(layers, (row, col), categorical)
            row, col = row // 2, col // 2
            with rasterio.open(memory.name, "r+", OVERVIEW_LEVEL=number) as overview:
                height = min(layers.shape[1], overview.height - row)
                width = min(layers.shape[2], overview.width - col)
                values = layers[:, :height, :width].astype(array.dtype)
                overview.write(values, window=Window(col, row, width, height))
        with memory.open() as source:
            copy(
                source, str(path), driver="COG", compress="ZSTD", level=1, predictor="YES",
                SPARSE_OK="TRUE", overviews="FORCE_USE_EXISTING" if levels else "NONE",
                blocksize=blocksize, num_threads=threads,
            )  # fmt: skip


@lru_cache(maxsize=16)
def _empty(
    tile: Grid, count: int, dtype: str, nodata: float | None, blocksize: int, levels: int
) -> bytes:
    """Return the bytes of a sparse GeoTIFF with overviews and no pixels, for any band."""
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.io import MemoryFile

    profile: dict[str, Any] = {
        "driver": "GTiff",
        "width": tile.cols,
        "height": tile.rows,
        "count": count,
        "dtype": dtype,
        "crs": f"EPSG:{tile.epsg}",
        "transform": rasterio.Affine(*tile.transform),
        "nodata": nodata,
        "tiled": True,
        "blockxsize": blocksize,
        "blockysize": blocksize,
        "interleave": "band",
        "SPARSE_OK": "TRUE",
    }
    with rasterio.Env(SPARSE_OK_OVERVIEW="ON"), MemoryFile() as memory:
        with memory.open(**profile) as target:
            if levels:
                target.build_overviews([2**k for k in range(1, levels + 1)], Resampling.nearest)
        memory.seek(0)
        return bytes(memory.read())


def _halve(layers: NDArray[Any], origin: tuple[int, int], categorical: bool) -> NDArray[Any]:
    """Return layers at half the resolution, on the blocks of 2 x 2 of the file's own grid."""
    before = [n % 2 for n in origin]
    after = [(b + n) % 2 for b, n in zip(before, layers.shape[1:], strict=True)]
    pads = [(0, 0), *zip(before, after, strict=True)]
    padded = np.pad(layers, pads, mode="edge") if any(map(any, pads)) else layers
    if categorical:
        return padded[:, ::2, ::2]
    means = pool(padded.astype(np.float32))
    if np.issubdtype(layers.dtype, np.integer):
        means = (means + np.float32(0.5)).astype(layers.dtype)
    return means
