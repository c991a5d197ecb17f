"""Overlap-add: the weighted mean of overlapping chips."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from geopatcher.aggregation.statistics import PixelAggregation, covered_pixels
from geopatcher.config import as_pixel_pair
from geopatcher.files.target import check_target
from geopatcher.merge.chip import Chip, fill_that_fits
from geopatcher.merge.regular_grid import at_least_float32
from geopatcher.merge.row_buffer import Spec
from geopatcher.patch import Patch, PatchError
from geopatcher.stitch import merge_to_file
from pipekit.carrier import holds
from pipekit.pixels import GUIDE, ROLES, Role, equal_mask, invalid_mask, whole_numbers


@dataclass(frozen=True)
class SpatialOverlapAdd(PixelAggregation):
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
        The result's type; default float32, or float64 when the chips are, or the chips' own where
        all hold classes, bits or masks in integers and say their nodata. Integers are rounded and
        clipped, and exact up to 2**45; pixels without data hold `fill_value`, by default the
        nodata that the chips say.

    Raises
    ------
    PatchError
        For arguments that do not go together, or a `dtype` that cannot hold what is uncovered.

    Notes
    -----
    A pixel that is nodata or NaN in one chip takes the others' values, by their weights; it has
    no data where no chip has. So has a pixel of a skipped chip. Bands that hold classes, bits or
    masks are not blended: the chip with the largest weight decides, of equal ones the first.

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

    takes: ClassVar[tuple[Role, ...]] = ROLES
    _chip: ClassVar[Chip | None] = None
    """What the chips are like, of a copy that merges them."""

    def __post_init__(self) -> None:
        if self.chunks is not None:
            object.__setattr__(self, "chunks", as_pixel_pair(self.chunks, "chunks"))
        if self.dtype is not None:
            object.__setattr__(self, "dtype", _number_type(self.dtype).name)
        if self.makes_integers:
            fill_that_fits(self.fill_value, self._dtype, "fill_value")
        if self.streaming == (self.target_path is None):
            raise PatchError(
                "streaming=True and target_path= (a .tif or .zarr path) go together, got "
                f"streaming={self.streaming!r}, target_path={self.target_path!r}"
            )
        if self.streaming:
            check_target(self.target_path, self.chunks)

    @property
    def agrees(self) -> bool:  # type: ignore[override]
        """Whether chips that give one value to a pixel are merged into that value."""
        return self.normalize_by_window

    @property
    def touches_files(self) -> bool:
        """Whether a merge writes a file, which a config from elsewhere needs leave for."""
        return self.target_path is not None

    @property
    def gap(self) -> float:
        """The value of uncovered pixels while they are still floats."""
        return np.nan if self.fill_value is None or self.makes_integers else self.fill_value

    @property
    def makes_integers(self) -> bool:
        """Whether the result holds whole numbers."""
        return self.dtype is not None and self._dtype.kind in "iu"

    def converted(self, values: np.ndarray) -> np.ndarray:
        """Return finished rows, rounded and clipped where the output's dtype is of integers.

        Parameters
        ----------
        values : numpy.ndarray
            (..., rows, W) float.

        Returns
        -------
        numpy.ndarray
            (..., rows, W).
        """
        if not self.makes_integers:
            return values
        invalid = invalid_mask(values)
        if self.fill_value is None and invalid is not None:
            raise PatchError(
                f"{invalid.mean():.2%} of the rows at hand is uncovered or NaN, which "
                f"{self.dtype} cannot hold; give fill_value=, or leave dtype as float"
            )
        return whole_numbers(values, self._dtype, self.fill_value, invalid)

    @cached_property
    def _dtype(self) -> np.dtype:
        return np.dtype(self.dtype)

    def check_can_hold_gaps(self, share: float) -> None:
        """Raise `PatchError` when the output's dtype cannot hold a share, 0 to 1, of gaps.

        Parameters
        ----------
        share : float
            Of the scene, 0 to 1.
        """
        if self.makes_integers and self.fill_value is None:
            raise PatchError(
                f"{share:.2%} of the scene is covered by no chip, which {self.dtype} cannot hold; "
                'give fill_value=, or cover every pixel with boundary="shift"'
            )

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
        return np.nan if dtype.kind in "fc" else None

    def settled(self, chip: Chip) -> SpatialOverlapAdd:
        """Return the overlap-add of such chips: what has no data holds the nodata that they say."""
        made = copy.copy(self)
        object.__setattr__(made, "_chip", chip)
        marked = chip.nodata is not None and chip.dtype.kind in "iu"
        if self.dtype is None and self.fill_value is None and marked and chip.labels.all():
            # A map of classes that says what marks its gaps stays what it is.
            object.__setattr__(made, "dtype", chip.dtype.name)
            object.__setattr__(made, "fill_value", chip.nodata)
        said = self.makes_integers and chip.nodata is not None and holds(self._dtype, chip.nodata)
        if said and self.fill_value is None:
            object.__setattr__(made, "fill_value", chip.nodata)
        return made

    def fits_grid(self, tiling: bool) -> bool:
        """Return whether sums of weighted float32 give the result.

        Parameters
        ----------
        tiling : bool
            Whether chips lie side by side and are laid out as they are.
        """
        chip = self._chip
        if chip is None or not (chip.labels.any() or self.makes_integers):
            return True
        narrow = chip.dtype.itemsize < 4
        if chip.labels.any():  # side by side, classes are copied
            return tiling and narrow and self.dtype is None and self.fill_value is None
        return narrow or self._dtype.itemsize < 4

    def result(self, lead: tuple[int, ...], dtype: np.dtype) -> Spec:
        """Return (leading shape, dtype) of the merged raster."""
        if self.dtype is not None:
            return lead, self._dtype
        kind = at_least_float32(dtype)
        # Classes are not rounded.
        return lead, np.result_type(kind, dtype) if self._labels.any() else kind

    @property
    def _labels(self) -> np.ndarray:
        return np.zeros(1, bool) if self._chip is None else self._chip.labels

    def start(self, lead: tuple[int, ...], dtype: np.dtype) -> list[Spec]:
        """Return the states: weighted sums (*lead), and sums of weights.

        Where bands hold classes, bits or masks: those of the other bands, then these bands' values
        and the largest weight of each so far.
        """
        kind, labels = np.result_type(dtype, np.float64), self._labels
        if not labels.any():
            return [(lead, kind), ((), np.float64)]
        numbers, chosen = ((*lead[:-1], int(n)) for n in (np.sum(~labels), np.sum(labels)))
        return [(numbers, kind), (numbers, np.float64), (chosen, dtype), (chosen, np.float64)]

    def update(self, states: Sequence[np.ndarray], values: np.ndarray, weights: Any) -> None:
        """Add one chip, weighted; without weights every pixel counts 1."""
        self.update_valid(states, values, weights, None)

    def update_valid(
        self, states: Sequence[np.ndarray], values: np.ndarray, weights: Any, valid: Any
    ) -> None:
        """Add the valid pixels of one chip, weighted."""
        total, weight_sum, *chosen = states
        shares = np.float32(1) if weights is None else weights
        if self._chip is not None and chosen:
            lead = self._chip.lead or (1,)
            picked, best = chosen
            values = np.broadcast_to(values, (*lead, *values.shape[-2:]))
            valid = None if valid is None else np.broadcast_to(valid, values.shape)
            labels = self._labels
            _choose(picked, best, *_of_bands(labels, values, valid), shares)
            values, valid = _of_bands(~labels, values, valid)
        if self.makes_integers:
            _check_exact(values, valid)
        if valid is not None:
            values, shares = np.where(valid, values, 0), shares * valid
        total += values * shares
        weight_sum += shares

    def finish(self, states: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
        """Return the weighted means of finished rows, and how many pixels are covered."""
        total, weight_sum, *chosen = states
        covered = weight_sum > 0
        values = np.full_like(total, self.gap)
        divisor = weight_sum if self.normalize_by_window else np.float32(1)
        np.divide(total, divisor, out=values, where=np.broadcast_to(covered, total.shape))
        if self.gap == self.gap:
            np.copyto(values, self.gap, where=np.isnan(values))
        values = self.converted(values)
        chip = self._chip
        if chip is None or not chosen:
            return values, covered_pixels(covered)
        picked, best = chosen
        out = np.empty((*(chip.lead or (1,)), *total.shape[-2:]), self.result(*chip[:2])[1])
        labels = self._labels
        out[..., ~labels, :, :] = values
        out[..., labels, :, :] = self._as_labels(picked, best > 0, out.dtype)
        met = covered_pixels(np.concatenate([covered, best != 0], axis=-3))
        return out.reshape(*chip.lead, *total.shape[-2:]), met

    def _as_labels(self, picked: np.ndarray, known: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Return classes, bits or masks as the result's dtype holds them, all of them or none."""
        fill = self.fill_for(dtype)
        if fill is None and not known.all():
            self.check_can_hold_gaps(1 - float(known.mean()))
        made = np.where(known, picked, 0).astype(dtype)
        changed = known & (made.astype(picked.dtype) != picked)
        lost = equal_mask(made, fill)
        if lost is not None:
            changed |= known & lost
        if changed.any():
            raise PatchError(
                f"the class {picked[changed][0]} has no place in a result of {dtype.name} where "
                f"{fill} marks nodata; give a dtype= and a fill_value= that leave it alone; {GUIDE}"
            )
        if not known.all():
            made[~known] = fill
        return made


def _of_bands(which: np.ndarray, values: np.ndarray, valid: np.ndarray | None) -> tuple[Any, Any]:
    """Return the values (..., bands, h, w) and their validity of some bands."""
    return values[..., which, :, :], None if valid is None else valid[..., which, :, :]


def _choose(
    picked: np.ndarray, best: np.ndarray, values: np.ndarray, valid: Any, shares: Any
) -> None:
    """Take the values whose weight is the largest so far; of equal ones the first stays.

    NaN that counts is that of a chip which failed: its pixels are not known, and stay so.
    """
    shares = np.broadcast_to(shares if valid is None else shares * valid, values.shape)
    failed = (shares > 0) & np.isnan(values)
    better = (shares > best) & ~failed
    np.copyto(picked, np.where(better, values, 0), where=better, casting="unsafe")
    np.copyto(best, shares, where=better)
    best[failed] = np.nan


MOST_EXACT = 2**45
"""Whole numbers up to here come out of a weighted mean in float64 as they went in."""


def _check_exact(values: np.ndarray, valid: Any) -> None:
    """Raise `PatchError` for whole numbers that a weighted mean would change."""
    if values.dtype.kind not in "iu" or values.dtype.itemsize < 8 or not values.size:
        return
    far = (values > MOST_EXACT) | (values < -MOST_EXACT)
    if valid is not None:
        far &= valid
    if far.any():
        raise PatchError(
            f"a mean of whole numbers is exact up to 2**45, got {values[far][0]}; where they are "
            "identifiers say attrs['band_roles'] = 'class', so that the chip with the largest "
            f"weight decides, or use SpatialMode; {GUIDE}"
        )


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
