"""Overlap-add: the weighted mean of overlapping chips."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geopatcher.aggregation.statistics import PixelAggregation
from geopatcher.config import as_pixel_pair
from geopatcher.files.target import check_target
from geopatcher.merge.regular_grid import WeightedSums, at_least_float32
from geopatcher.merge.row_buffer import Spec
from geopatcher.patch import Patch, PatchError
from geopatcher.stitch import merge_to_file


@dataclass(frozen=True)
class SpatialOverlapAdd(WeightedSums, PixelAggregation):
    """Sum of chips times their window's weights, over the sum of the weights.

    `merge` returns (..., H, W) with the leading axes of what the operator made.

    Parameters
    ----------
    streaming : bool
        Whether rows are written to `target_path` as soon as they are final; the merge then
        returns the file, opened lazily: a georeader `RasterioReader` for a COG, an xarray
        `DataArray` for a Zarr v3 store. The file appears under its name when it is whole.
    target_path : path, optional
        A COG (.tif) or a Zarr store (.zarr); goes with `streaming`.
    chunks : int or (rows, cols), optional
        The file's tiles in pixels.
    normalize_by_window : bool
        Whether the weighted sum is divided by the sum of the weights.
    fill_value : float, optional
        The value of pixels that no chip covers; default NaN.
    dtype : dtype, optional
        The result's type; default float32, or float64 when the chips are. Integers are rounded
        and clipped.

    Raises
    ------
    PatchError
        For arguments that do not go together, or a `dtype` that cannot hold what is uncovered.

    Notes
    -----
    A NaN in one chip makes its own pixel NaN and no other. A skipped chip leaves its pixels to
    the chips that overlap it.

    Chips that agree give their value back to 1e-6, however many overlap: where more than 15
    meet at a pixel, and where chips lie on no grid, sums are float64.

    Examples
    --------
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

    streaming: bool = False
    target_path: str | Path | None = None
    chunks: Any = None
    normalize_by_window: bool = True
    fill_value: float | None = None
    dtype: Any = None

    def __post_init__(self) -> None:
        if self.chunks is not None:
            object.__setattr__(self, "chunks", as_pixel_pair(self.chunks, "chunks"))
        if self.dtype is not None:
            object.__setattr__(self, "dtype", _number_type(self.dtype).name)
        if self.dtype is not None and self.fill_value is not None and self._dtype.kind in "iu":
            limits = np.iinfo(self._dtype)
            if not (limits.min <= self.fill_value <= limits.max and self.fill_value % 1 == 0):
                raise PatchError(
                    f"fill_value must be a whole number that {self.dtype} holds, {limits.min} to "
                    f"{limits.max}, got {self.fill_value!r}"
                )
        if self.streaming == (self.target_path is None):
            raise PatchError(
                "streaming=True and target_path= (a .tif or .zarr path) go together, got "
                f"streaming={self.streaming!r}, target_path={self.target_path!r}"
            )
        if self.streaming:
            check_target(self.target_path, self.chunks)

    @property
    def touches_files(self) -> bool:
        """Whether a merge writes a file, which a config from elsewhere needs leave for."""
        return self.target_path is not None

    def merge(self, patches: Iterable[Patch], domain: Any) -> Any:
        """Merge patches onto a raster domain; warns with the share that no patch covers.

        Parameters
        ----------
        patches : PatchStream or iterable of Patch
            What is merged; an iterator must come by rising row.
        domain : domain, Field, GeoTensor, reader or array
            What they are merged onto.

        Returns
        -------
        GeoTensor, numpy.ndarray, RasterioReader or xarray.DataArray
            (..., H, W); with `streaming` the file, opened lazily.
        """
        if self.streaming:
            return merge_to_file(patches, domain, self, self.target_path, chunks=self.chunks)
        return super().merge(patches, domain)

    def fill_for(self, dtype: np.dtype) -> Any:
        """Return the value of pixels without data in a raster of `dtype`."""
        if self.fill_value is not None:
            return self.fill_value
        return np.nan if dtype.kind in "fc" else 0

    def result(self, lead: tuple[int, ...], dtype: np.dtype) -> Spec:
        """Return (leading shape, dtype) of the merged raster."""
        return lead, at_least_float32(dtype) if self.dtype is None else self._dtype

    def start(self, lead: tuple[int, ...], dtype: np.dtype) -> list[Spec]:
        """Return the states: weighted sums (*lead), and sums of weights."""
        return [(lead, np.result_type(dtype, np.float64)), ((), np.float64)]

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
        values = np.full_like(total, self.gap)
        divisor = weight_sum if self.normalize_by_window else np.float32(1)
        np.divide(total, divisor, out=values, where=np.broadcast_to(covered, total.shape))
        return self.converted(values), int(covered.sum())


def _number_type(dtype: Any) -> np.dtype:
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if found.kind not in "iufc":
        raise PatchError(
            f"dtype must be a type of numbers, such as float32 or uint8, got {dtype!r}"
        )
    return found
