"""Overlap-add: the weighted mean of overlapping chips."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from geopatcher.config import Configured
from geopatcher.domains import RasterDomain, as_raster_domain
from geopatcher.patch import Patch, PatchError
from geopatcher.spatial.grid import RegularGrid
from geopatcher.spatial.merge import IndexedPatches, Items, Merged, merge_blocks, merge_rolling
from geopatcher.spatial.target import as_scene, check_lead, chip_values, warn_uncovered


@dataclass(frozen=True)
class SpatialOverlapAdd(Configured):
    """Sum of chips times their window's weights, over the sum of the weights.

    Output: (..., H, W) with the leading axes of what the operator made, float32 (float64 when
    the chips are), or `dtype`. What no chip covers is `fill_value`, NaN by default. With
    `normalize_by_window=False` the weighted sum is not divided.

    A NaN in one chip makes its own pixel NaN and no other. A skipped chip leaves its pixels to
    the chips that overlap it.

    >>> import numpy as np
    >>> from georeader.geotensor import GeoTensor
    >>> from rasterio import Affine
    >>> from geopatcher import *
    >>> scene = GeoTensor(np.ones((70, 70)), Affine(10, 0, 0, 0, -10, 700), "EPSG:32632")
    >>> patcher = SpatialPatcher(
    ...     SpatialRectangular(16, boundary="shift"), SpatialRegularStride(12), SpatialHann()
    ... )
    >>> bool(np.abs(SpatialOverlapAdd().merge(patcher.stream(scene), scene) - 1).max() < 1e-6)
    True
    """

    normalize_by_window: bool = True
    fill_value: float | None = None
    dtype: Any = None

    streaming_safe: ClassVar[bool] = True

    def merge(self, patches: Iterable[Patch], domain: Any) -> Any:
        """Merge patches onto a raster domain; warns with the share that no patch covers."""
        domain = as_raster_domain(domain)
        if isinstance(patches, IndexedPatches) and _is_separable(patches, domain):
            merged, share = self._weave(patches, domain)
        else:
            merged = merge_rolling(patches, domain, self)
            share = 1 - merged.covered / (domain.height * domain.width)
        warn_uncovered(share)
        values = self._as_output(merged.values, share)
        fill = self.fill_value if self.fill_value is not None else _default_fill(values.dtype)
        return as_scene(values, domain, fill, merged.first.data, merged.skipped)

    # The regular grid: weights known beforehand, sums straight into the output.

    def _weave(self, patches: IndexedPatches, domain: RasterDomain) -> tuple[Merged, float]:
        grid = patches.grid
        assert grid is not None
        plan = WeightPlan(grid, patches.patcher.window, self.normalize_by_window)

        def allocate(first: Patch) -> np.ndarray:
            data = np.asarray(first.data)
            shape = (*data.shape[:-2], domain.height, domain.width)
            return np.zeros(shape, _sum_dtype(data.dtype))

        def process(items: Items, rows: tuple[int, int], out: np.ndarray, first: Patch) -> int:
            missing = _add_chips(items, rows, out, plan, domain)
            if missing and self.normalize_by_window:
                _give_to_neighbours(out, rows, plan, missing, self._fill)
            return 0

        merged = merge_blocks(patches, domain, allocate, process)
        merged.values[..., grid.rows.counts == 0, :] = self._fill
        merged.values[..., grid.cols.counts == 0] = self._fill
        return merged, 1 - grid.covered_share

    # Any other patches: the weights are summed beside the values.

    def result(self, lead: tuple[int, ...], dtype: np.dtype) -> tuple[tuple[int, ...], Any]:
        """Return (leading shape, dtype) of the merged raster."""
        return lead, _sum_dtype(dtype)

    def start(self, lead: tuple[int, ...], dtype: np.dtype) -> list[tuple[tuple[int, ...], Any]]:
        """Return the states: weighted sums (*lead), and sums of weights."""
        return [(lead, _sum_dtype(dtype)), ((), np.float32)]

    def update(self, states: Sequence[np.ndarray], values: np.ndarray, weights: Any) -> None:
        """Add one chip, weighted; without weights every pixel counts 1."""
        total, weight_sum = states
        weights = np.float32(1) if weights is None else weights
        total += values * weights
        weight_sum += weights

    def finish(self, states: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
        """Return the weighted means of finished rows, and how many pixels are covered."""
        total, weight_sum = states
        covered = weight_sum > 0
        divisor = weight_sum if self.normalize_by_window else np.float32(1)
        values = np.full_like(total, self._fill)
        np.divide(total, divisor, out=values, where=np.broadcast_to(covered, total.shape))
        return values, int(covered.sum())

    @property
    def _fill(self) -> float:
        return np.nan if self.fill_value is None else self.fill_value

    def _as_output(self, values: np.ndarray, uncovered: float) -> np.ndarray:
        if self.dtype is None or values.dtype == np.dtype(self.dtype):
            return values
        dtype = np.dtype(self.dtype)
        if dtype.kind not in "iu":
            return values.astype(dtype)
        if self.fill_value is None and np.isnan(values).any():
            raise PatchError(
                f"{uncovered:.2%} of the scene is uncovered or NaN, which {dtype} cannot hold; "
                "give fill_value=, or leave dtype as float"
            )
        limits = np.iinfo(dtype)
        return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


class WeightPlan:
    """The 2-D weights of every chip of a regular grid, built once for each kind of chip."""

    def __init__(self, grid: RegularGrid, window: Any, normalise: bool) -> None:
        self.columns = len(grid.cols.starts)
        self.grid = grid
        self._rows = grid.rows.weights(window.profile(grid.rows.size), normalise)
        self._cols = grid.cols.weights(window.profile(grid.cols.size), normalise)
        self._outer: dict[tuple[int, int], np.ndarray] = {}

    def weights(self, index: int) -> np.ndarray:
        """Return chip `index`'s weights (h, w) float32, cut to the scene."""
        row, col = divmod(index, self.columns)
        along_rows, along_cols = self._rows[row], self._cols[col]
        key = (id(along_rows), id(along_cols))
        found = self._outer.get(key)
        if found is None:
            found = np.outer(along_rows, along_cols).astype(np.float32)
            self._outer[key] = found
        return found


def _is_separable(patches: IndexedPatches, domain: RasterDomain) -> bool:
    grid = patches.grid
    return (
        grid is not None
        and hasattr(patches.patcher.window, "profile")
        and (grid.rows.length, grid.cols.length) == (domain.height, domain.width)
    )


def _add_chips(
    items: Items,
    rows: tuple[int, int],
    out: np.ndarray,
    plan: WeightPlan,
    domain: RasterDomain,
) -> list[int]:
    """Add weighted chips into the rows [start, stop) of `out`; return the missing ones."""
    start, stop = rows
    lead = out.shape[:-2]
    missing: list[int] = []
    product = np.empty(0, out.dtype)
    for index, patch in items:
        if patch is None:
            missing.append(index)
            continue
        values, row, col, height, width = chip_values(patch, domain)
        check_lead(values, lead, patch)
        weights = plan.weights(index)
        if row < start or row + height > stop:
            keep = slice(max(start - row, 0), min(height, stop - row))
            values, weights = values[..., keep, :], weights[keep]
            row, height = row + keep.start, keep.stop - keep.start
        if product.shape != values.shape:  # one buffer, reused: chips of a grid are alike
            product = np.empty(values.shape, out.dtype)
        np.multiply(values, weights, out=product)
        target = out[..., row : row + height, col : col + width]
        np.add(target, product, out=target)
    return missing


def _give_to_neighbours(
    out: np.ndarray, rows: tuple[int, int], plan: WeightPlan, missing: list[int], fill: float
) -> None:
    """Divide by the weight that is left where chips are missing; fill where none is."""
    start, stop = rows
    left = np.ones((stop - start, out.shape[-1]), np.float32)
    for index in missing:
        row, col = plan.grid.anchor(index)
        weights = plan.weights(index)
        first, last = max(row, start), min(row + weights.shape[0], stop)
        part = weights[first - row : last - row]
        left[first - start : last - start, col : col + part.shape[1]] -= part
    # Shares below this are rounding: every chip that covered the pixel is missing.
    gone = left < 1e-5
    left[gone] = 1
    block = out[..., start:stop, :]
    block /= left
    block[..., gone] = fill


def _sum_dtype(dtype: np.dtype) -> Any:
    return np.float64 if np.dtype(dtype) == np.float64 else np.float32


def _default_fill(dtype: np.dtype) -> Any:
    return np.nan if dtype.kind == "f" else 0
