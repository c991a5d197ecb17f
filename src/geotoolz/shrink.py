"""Make a raster small enough to draw: blocks of pixels averaged, or every n-th one taken."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geotoolz.carrier import carry_nodata


def shrink(
    values: NDArray[Any],
    max_pixels: int,
    fill: float | int | None = None,
    *,
    average: bool = True,
) -> NDArray[Any]:
    """Return the raster with about `max_pixels` pixels at most.

    - `values`: (..., H, W), a plain array.
    - `average`: means of square blocks, as float32 with nodata as NaN, where a block is nodata only
      when all of it is; otherwise every n-th pixel in the array's own dtype (for classes).

    Rows and columns that fill no whole block are averaged among themselves.

    >>> shrink(np.arange(16.0).reshape(4, 4), 4).tolist()
    [[2.5, 4.5], [10.5, 12.5]]
    """
    if max_pixels < 1:
        raise ValueError(f"max_pixels must be positive, got {max_pixels}")
    height, width = values.shape[-2:]
    step = max(1, math.ceil(math.sqrt(height * width / max_pixels)))
    if not average:
        # The middle of each block, so that the picture isn't shifted.
        half = min(step // 2, height - 1, width - 1)
        return values[..., half::step, half::step] if step > 1 else values
    if step == 1:
        out = values.astype(np.float32)
        carry_nodata(out, values, fill)
        return out
    rows = [values[..., start : start + step, :] for start in range(0, height, step)]
    return np.stack([_average_rows(block, step, fill) for block in rows], axis=-2)


def _average_rows(block: NDArray[Any], step: int, fill: float | int | None) -> NDArray[np.float32]:
    """Average a strip of rows to a single row of blocks; memory stays that of the strip."""
    floats = block.astype(np.float32)
    carry_nodata(floats, block, fill)
    valid = ~np.isnan(floats)
    starts = np.arange(0, block.shape[-1], step)
    total = np.add.reduceat(np.where(valid, floats, 0).sum(axis=-2), starts, axis=-1)
    count = np.add.reduceat(valid.sum(axis=-2, dtype=np.int32), starts, axis=-1)
    mean = total / np.maximum(count, 1)
    return np.where(count > 0, mean, np.nan).astype(np.float32)
