"""What a user of another library would write to stitch a scene from overlapping chips.

Each takes the two bands that NDVI needs (C, H, W) and a piece of work for one chip, and returns
(H, W) float32, NaN where it made nothing. Each is written as its own documentation does it, with
the leanest arithmetic we found, so that what is compared is the library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scenes import SIZE, STEP, ndvi_in_numpy

OVERLAP = SIZE - STEP
CHUNK = 1024


@dataclass(frozen=True)
class Work:
    """One chip's work, for arrays (2, h, w) -> (h, w) and for tensors (n, 2, h, w)."""

    numpy: Callable[[np.ndarray], np.ndarray]
    torch: Callable[[Any], Any]


def _torch_ndvi(batch: Any) -> Any:
    red, nir = batch[:, :1], batch[:, 1:]
    return (nir - red) / (nir + red)


def _numpy_mean(chip: np.ndarray) -> np.ndarray:
    return np.full(chip.shape[-2:], chip[0].mean(), np.float32)


def _torch_mean(batch: Any) -> Any:
    return batch[:, :1].mean(dim=(2, 3), keepdim=True).expand(-1, 1, *batch.shape[-2:]).clone()


NDVI_WORK = Work(lambda chip: ndvi_in_numpy(chip[0], chip[1]), _torch_ndvi)
MEAN_WORK = Work(_numpy_mean, _torch_mean)
"""Work whose result differs from chip to chip, as a network's does: it shows seams."""


def monai(bands: np.ndarray, work: Work) -> np.ndarray:
    import torch
    from monai.inferers import SlidingWindowInferer

    infer = SlidingWindowInferer(SIZE, sw_batch_size=4, overlap=OVERLAP / SIZE, mode="gaussian")
    threads = torch.get_num_threads()
    # Two threads gain nothing on chips this small, and wait for each other on a busy machine.
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            scene = torch.from_numpy(bands.astype(np.float32))[None]
            return infer(scene, work.torch)[0, 0].numpy()
    finally:
        torch.set_num_threads(threads)


def xbatcher(bands: np.ndarray, work: Work) -> np.ndarray:
    import xarray as xr
    from xbatcher import BatchGenerator

    scene = xr.DataArray(bands, dims=("band", "y", "x"))
    batches = BatchGenerator(
        scene,
        input_dims={"y": SIZE, "x": SIZE},
        input_overlap={"y": OVERLAP, "x": OVERLAP},
        preload_batch=False,
    )
    height, width = bands.shape[-2:]
    profile = np.sin(np.pi * (np.arange(SIZE, dtype=np.float32) + 0.5) / SIZE) ** 2
    window = np.outer(profile, profile)
    total, weight = np.zeros((2, height, width), np.float32)
    corners = (
        (row, col)
        for row in range(0, height - SIZE + 1, STEP)
        for col in range(0, width - SIZE + 1, STEP)
    )
    for (row, col), batch in zip(corners, batches, strict=True):
        part = slice(row, row + SIZE), slice(col, col + SIZE)
        chip = work.numpy(batch.values)
        chip *= window
        total[part] += chip
        weight[part] += window
    with np.errstate(invalid="ignore"):
        return np.divide(total, weight, out=total)


def tiler(bands: np.ndarray, work: Work) -> np.ndarray:
    from tiler import Merger, Tiler

    height, width = bands.shape[-2:]
    tiles = Tiler(
        data_shape=bands.shape,
        tile_shape=(2, SIZE, SIZE),
        overlap=(0, OVERLAP, OVERLAP),
        channel_dimension=0,
        mode="reflect",
    )
    merger = Merger(
        Tiler(data_shape=(height, width), tile_shape=(SIZE, SIZE), overlap=(OVERLAP, OVERLAP)),
        window="hann",
        save_visits=False,
    )
    for number, tile in tiles(bands):
        merger.add(number, work.numpy(tile))
    return merger.merge()


def patchify(bands: np.ndarray, work: Work) -> np.ndarray:
    from patchify import patchify as split
    from patchify import unpatchify

    chips = split(bands, (2, SIZE, SIZE), step=STEP)[0]
    rows, cols = chips.shape[:2]
    made = np.empty((rows, cols, SIZE, SIZE), np.float32)
    for row in range(rows):
        for col in range(cols):
            made[row, col] = work.numpy(chips[row, col])
    return unpatchify(made, (SIZE + STEP * (rows - 1), SIZE + STEP * (cols - 1)))


def dask(bands: np.ndarray, work: Work) -> np.ndarray:
    import dask.array as da

    scene = da.from_array(bands, chunks=(2, CHUNK, CHUNK), asarray=False, name=False)
    made = da.map_overlap(
        lambda chip: work.numpy(chip)[None],
        scene,
        depth={0: 0, 1: OVERLAP // 2, 2: OVERLAP // 2},
        boundary="none",
        dtype=np.float32,
        chunks=((1,), *scene.chunks[1:]),
    )
    return made.compute(scheduler="threads")[0]


@dataclass(frozen=True)
class Stitcher:
    """A peer's way to stitch: the module it needs, whether it blends, how far its chips are."""

    label: str
    module: str
    run: Callable[[np.ndarray, Work], np.ndarray]
    blends: bool
    step: int = STEP


STITCHERS = {
    one.label: one
    for one in (
        Stitcher("MONAI, SlidingWindowInferer, gaussian", "monai", monai, True),
        Stitcher("xbatcher, own overlap-add", "xbatcher", xbatcher, True),
        Stitcher("tiler, Merger, hann", "tiler", tiler, True),
        Stitcher("patchify, unpatchify", "patchify", patchify, False),
        Stitcher(f"dask, map_overlap, chunks of {CHUNK}", "dask", dask, False, CHUNK),
    )
}
