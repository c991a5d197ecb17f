"""The scenes, operators and rivals that the stitch benchmarks share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from georeader.geotensor import GeoTensor
from rasterio import Affine

from geopatcher import (
    SpatialHann,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
)
from geotoolz import NDVI, DNToReflectance
from geotoolz.patch_ops import ApplyToChips, GridSampler, Stitch
from pipekit import Lambda, Operator, Sequential

SIZE, STEP = 256, 192
SMALL, LARGE = (2, 3935, 1599), (4, 10980, 10980)


def make_scene(shape: tuple[int, int, int]) -> GeoTensor:
    """Return random digital numbers (C, H, W) uint16, 1 to 9999: timing needs no picture."""
    rng = np.random.default_rng(0)
    values = rng.integers(1, 10_000, shape, dtype=np.uint16)
    return GeoTensor(values, Affine(10, 0, 699960, 0, -10, 4400040), "EPSG:32610")


def make_file(path: Path, shape: tuple[int, int, int]) -> Path:
    """Write random digital numbers (C, H, W) uint16 as a tiled GeoTIFF, block by block."""
    import rasterio
    from rasterio.windows import Window

    bands, height, width = shape
    profile = {
        "driver": "GTiff", "dtype": "uint16", "count": bands, "height": height, "width": width,
        "crs": "EPSG:32610", "transform": Affine(10, 0, 699960, 0, -10, 4400040),
        "tiled": True, "blockxsize": 512, "blockysize": 512, "bigtiff": "if_safer",
    }  # fmt: skip
    rng = np.random.default_rng(0)
    with rasterio.open(path, "w", **profile) as file:
        for row in range(0, height, 512):
            rows = min(512, height - row)
            block = rng.integers(1, 10_000, (bands, rows, width), dtype=np.uint16)
            file.write(block, window=Window(0, row, width, rows))
    return path


def chips(step: int = STEP, boundary: str = "shift") -> SpatialPatcher:
    """Return the patcher whose cost is measured: square chips under a Hann window."""
    return SpatialPatcher(
        SpatialRectangular(SIZE, boundary=boundary), SpatialRegularStride(step), SpatialHann()
    )


def ndvi_operator(bands: int) -> Operator:
    """Return DN -> reflectance -> NDVI of the last two bands."""
    return DNToReflectance() | NDVI(red_idx=bands - 2, nir_idx=bands - 1)


def unknown(operator: Operator) -> Operator:
    """Return the same without its word that it works pixel by pixel, so that chips are blended."""
    return Lambda(operator)


def tiled_pipeline(
    operator: Operator, boundary: str = "shift", workers: int = 1, target: Path | None = None
) -> Sequential:
    """Return the three-step pipeline whose cost is measured; with `target` it writes a file."""
    patcher = chips(boundary=boundary)
    merge = SpatialOverlapAdd(streaming=target is not None, target_path=target)
    return Sequential(
        [GridSampler(patcher), ApplyToChips(operator, workers=workers), Stitch(merge)]
    )


def ndvi_in_numpy(red: np.ndarray, nir: np.ndarray) -> np.ndarray:
    """Return NDVI float32 from digital numbers with two temporaries."""
    red = red.astype(np.float32)
    nir = nir.astype(np.float32)
    difference = nir - red
    nir += red
    difference /= nir
    return difference


def hand_written_loop(scene: GeoTensor) -> np.ndarray:
    """Overlap-add as a tight loop: two bands used, weights normalised beforehand."""
    values = scene.values
    height, width = values.shape[-2:]
    profile = np.sin(np.pi * (np.arange(SIZE) + 0.5) / SIZE) ** 2

    def normalised(length: int) -> list[tuple[int, np.ndarray]]:
        starts = list(range(0, length - SIZE + 1, STEP))
        if starts[-1] != length - SIZE:
            starts.append(length - SIZE)
        total = np.zeros(length)
        for start in starts:
            total[start : start + SIZE] += profile
        return [(s, (profile / total[s : s + SIZE]).astype(np.float32)) for s in starts]

    rows, cols = normalised(height), normalised(width)
    out = np.zeros((height, width), np.float32)
    for row, along_rows in rows:
        for col, along_cols in cols:
            chip = values[-2:, row : row + SIZE, col : col + SIZE]
            ndvi = ndvi_in_numpy(chip[0], chip[1])
            ndvi *= along_rows[:, None]
            ndvi *= along_cols
            out[row : row + SIZE, col : col + SIZE] += ndvi
    return out


def usual_design(scene: GeoTensor) -> np.ndarray:
    """Overlap-add as it is usually written: a list of chips, float64 sums, a weight plane."""
    values = scene.values
    height, width = values.shape[-2:]
    profile = np.sin(np.pi * (np.arange(SIZE) + 0.5) / SIZE) ** 2
    window = np.outer(profile, profile)
    rows = sorted({*range(0, height - SIZE + 1, STEP), height - SIZE})
    cols = sorted({*range(0, width - SIZE + 1, STEP), width - SIZE})
    chips = [
        (row, col, ndvi_in_numpy(*values[-2:, row : row + SIZE, col : col + SIZE]))
        for row in rows
        for col in cols
    ]
    total = np.zeros((height, width))
    weight = np.zeros((height, width))
    for row, col, chip in chips:
        data = chip.astype(np.float64)
        known = ~np.isnan(data)
        total[row : row + SIZE, col : col + SIZE] += np.where(known, data, 0) * window
        weight[row : row + SIZE, col : col + SIZE] += window * known
    return total / weight


CASES: dict[str, Callable[[GeoTensor], np.ndarray]] = {
    "whole-scene call": lambda scene: ndvi_operator(scene.shape[0])(scene),
    "geostack, shift": lambda scene: tiled_pipeline(ndvi_operator(scene.shape[0]))(scene),
    "geostack, shift, 2 workers": lambda scene: tiled_pipeline(
        ndvi_operator(scene.shape[0]), workers=2
    )(scene),
    "geostack, blended": lambda scene: tiled_pipeline(unknown(ndvi_operator(scene.shape[0])))(
        scene
    ),
    "geostack, blended, 2 workers": lambda scene: tiled_pipeline(
        unknown(ndvi_operator(scene.shape[0])), workers=2
    )(scene),
    "hand-written loop": hand_written_loop,
    "usual design": usual_design,
}
"""Name -> what computes the NDVI (H, W) of a scene, exact to the edge."""
