"""Writing sparse cloud-optimised GeoTIFFs: a whole tile's grid, pixels only where there are any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .grid import Grid


def write_cog(
    path: Path,
    array: NDArray[Any],
    grid: Grid,
    tile: Grid | None = None,
    *,
    nodata: float | None = 0,
    categorical: bool = False,
    blocksize: int = 512,
) -> None:
    """Write an array, (rows, cols) or (bands, rows, cols), as a valid COG with overviews.

    `grid` is where the array's pixels are; `tile` the grid of the file, larger or the same.
    Blocks without pixels are sparse: they take no bytes. ZSTD level 1 with a horizontal
    predictor: one tenth of a second a band, and level 9 would save only 6 % of the bytes.
    """
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.io import MemoryFile
    from rasterio.shutil import copy
    from rasterio.windows import Window

    tile = tile or grid
    layers = array[None] if array.ndim == 2 else array
    row, col = grid.offset_in(tile)
    profile = dict(
        driver="GTiff", width=tile.cols, height=tile.rows, count=len(layers), dtype=array.dtype.name,
        crs=f"EPSG:{tile.epsg}", transform=rasterio.Affine(*tile.transform), nodata=nodata,
        tiled=True, blockxsize=blocksize, blockysize=blocksize, SPARSE_OK="TRUE",
    )  # fmt: skip
    levels = [2**k for k in range(1, 6) if max(tile.shape) >> k >= blocksize // 2]
    kind = Resampling.nearest if categorical else Resampling.average
    with rasterio.Env(SPARSE_OK_OVERVIEW="ON"), MemoryFile() as memory:
        with memory.open(**profile) as target:
            target.write(layers, window=Window(col, row, grid.cols, grid.rows))
            if levels:
                target.build_overviews(levels, kind)
        with memory.open() as source:
            predictor = 3 if np.issubdtype(array.dtype, np.floating) else 2
            copy(
                source, str(path), driver="COG", compress="ZSTD", level=1, predictor=predictor,
                SPARSE_OK="TRUE", overviews="FORCE_USE_EXISTING" if levels else "NONE",
                blocksize=blocksize,
            )  # fmt: skip
