"""The files of simulated scenes: sparse COGs, each drawn when it is first asked for.

A file is there whole or not at all.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipekit.files import beside, locked
from pipekit.full_disk import gdal_writes

from .grid import THREADS, Grid, pool
from .scenes import AREAS, Scene, simulated_scenes

IDLE_SECONDS = 60.0
"""For how long the ground of an area is kept in memory after a file was drawn on it."""

BLOCK = 512
"""Pixels along a block of a file."""

_DRAWING = threading.Semaphore(THREADS)
_TOLD: set[Path] = set()


def find(path: Path) -> tuple[Scene, str] | None:
    """Return the scene that a path is a file of, and which asset; None for any other path.

    Parameters
    ----------
    path
        Anything.

    Returns
    -------
    The scene and the asset's key.
    """
    scene = simulated_scenes().get(path.parent.name)
    if scene is None or Path(*path.parts[-4:-1]) != scene.folder:
        return None
    for key, asset in scene.item["assets"].items():
        if Path(asset["href"]).name == path.name:
            return scene, key
    return None


def ensure(path: Path, cache: Path) -> Path:
    """Return where a simulated scene's file is under `cache`, drawing it if it isn't there.

    The file is written beside its place and renamed when it is whole: what was interrupted leaves
    nothing that a later call would take for finished. Whoever else asks for the same scene, thread
    or process, waits.

    Parameters
    ----------
    path
        Whose last four parts are a scene's.
    cache
        The folder of all simulated scenes.

    Returns
    -------
    The file's path, which lies under `cache`.

    Raises
    ------
    ValueError
        When no simulated scene has such a file.
    OSError
        When the cache can't be written.
    """
    found = find(path)
    if found is None:
        raise ValueError(f"no simulated scene has a file {path}")
    scene, key = found
    folder = cache / scene.folder
    target = folder / path.name
    for last in (False, True):
        try:
            if not target.is_file():
                with locked(folder.with_name(f".{scene.id}.lock")):
                    if not target.is_file():
                        with _shown(scene, cache), _DRAWING:
                            _draw(scene, key, target)
            break
        except OSError:
            # Its folders are made again where another process has emptied the cache meanwhile.
            if last or folder.is_dir():
                raise
    return target


def _draw(scene: Scene, key: str, target: Path) -> None:
    """Draw a file, and write the item anew with the assets that are there; the lock is held."""
    from . import draw

    target.parent.mkdir(parents=True, exist_ok=True)
    # Whoever holds the lock is alone, so other unfinished files are of processes that were killed.
    for stale in target.parent.glob(".*"):
        stale.unlink(missing_ok=True)
    drawn = draw.pixels(scene, key)
    with beside(target) as part, gdal_writes(target):
        tile, threads = scene.file_grid(key), os.cpu_count() or 1
        write_cog(part, tile=tile, threads=threads, **drawn._asdict())
    there = {
        name: asset
        for name, asset in scene.item["assets"].items()
        if (target.parent / asset["href"]).is_file()
    }
    with beside(target.parent / f"{scene.id}.json") as part:
        part.write_text(json.dumps({**scene.item, "assets": there}, indent=1) + "\n", "utf-8")


_BAR: Any = None
_WAITING = 0
_FORGET: threading.Timer | None = None
_COUNTING = threading.Lock()


@contextmanager
def _shown(scene: Scene, cache: Path) -> Iterator[None]:
    """Say once what is made and where, and show on a terminal how many files are drawn.

    Who hides bars (`TQDM_DISABLE=1`) hides the line too. The bar lasts as long as any thread waits
    for a file; after the last the ground is forgotten.
    """
    global _BAR, _WAITING, _FORGET
    from tqdm import tqdm

    from . import draw

    root = cache / AREAS[scene.area].folder
    with _COUNTING:
        if root not in _TOLD and os.environ.get("TQDM_DISABLE", "0") in ("", "0"):
            print(
                f"geostack: simulating {scene.area}, not real scenes, into {root}: "
                "some 10 s for the first file, 1 s for each other",
                file=sys.stderr,
            )
        _TOLD.add(root)
        if _FORGET is not None:
            _FORGET.cancel()
        if _BAR is None:
            # disable=None shows it only when standard error is a terminal.
            _BAR = tqdm(total=0, desc=f"simulating {scene.area}", unit="file", disable=None)
        _WAITING += 1
        _BAR.total += 1
        _BAR.refresh()
    try:
        yield
    finally:
        with _COUNTING:
            _BAR.update()
            _WAITING -= 1
            if _WAITING == 0:
                _BAR.close()
                _BAR = None
                _FORGET = threading.Timer(IDLE_SECONDS, draw.forget)
                _FORGET.daemon = True
                _FORGET.start()


def write_cog(
    path: Path,
    array: NDArray[Any],
    grid: Grid,
    tile: Grid | None = None,
    *,
    nodata: float | None = 0,
    categorical: bool = False,
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

    Parameters
    ----------
    path
        What is written, anew.
    array
        (rows, cols) or (bands, rows, cols).
    grid
        Where the array's pixels are.
    tile
        The grid of the file; by default that of the array.
    nodata
        The value of pixels outside of the array, or None.
    categorical
        Make overviews by nearest neighbour and not by means.
    threads
        That compress.
    """
    import rasterio
    from rasterio.io import MemoryFile
    from rasterio.shutil import copy
    from rasterio.windows import Window

    from geopatcher.files.block_cache import block_cache

    tile = tile or grid
    layers = array[None] if array.ndim == 2 else array
    row, col = grid.offset_in(tile)
    levels = sum(max(tile.shape) >> (k - 1) > BLOCK for k in range(1, 6))
    # GDAL's cache of blocks would hold the whole tile, empty as it is.
    with block_cache(32), MemoryFile() as memory:
        memory.write(_empty(tile, len(layers), array.dtype.name, nodata, levels))
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
                blocksize=BLOCK, num_threads=threads,
            )  # fmt: skip


@lru_cache(maxsize=16)
def _empty(tile: Grid, count: int, dtype: str, nodata: float | None, levels: int) -> bytes:
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
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
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
