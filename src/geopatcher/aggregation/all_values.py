"""Aggregations that need all patches at once: median, mode, a learned combination, a table.

The first three merge in a buffer of rows: it holds, for the rows that can still change, every
patch's value. Its depth is the largest number of patches on one pixel, so memory is
O(depth x chip height x scene width) and never the scene's. What has a state of fixed size
(`SpatialMean`, `SpatialHardVote`, ...) needs less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from geopatcher.aggregation.statistics import PixelAggregation, check_ordered, covered_pixels
from geopatcher.config import Configured
from geopatcher.domain import as_raster_domain
from geopatcher.merge.chip import Chip, fill_that_fits, invalid_of
from geopatcher.merge.row_buffer import Reducer, Spec, chip_values, in_row_order, take
from geopatcher.patch import Patch, PatchError
from pipekit.carrier import holds
from pipekit.pixels import GUIDE, ROLES, Role, equal_mask


class AllValues(PixelAggregation):
    """A reducer whose state is a stack of values that grows as deep as patches overlap.

    States: the values (depth, *lead) and how many of them are there (*lead).
    """

    streaming_safe: ClassVar[bool] = False

    def start(self, lead: tuple[int, ...], dtype: np.dtype) -> list[Spec]:
        """Return the states: a stack of one value, counts."""
        check_ordered(self, dtype)
        return [((1, *lead), self.stack_dtype(dtype)), (lead, np.uint16)]

    def stack_dtype(self, dtype: np.dtype) -> np.dtype:
        """Return the type in which values are kept.

        Parameters
        ----------
        dtype : numpy.dtype
            The chips' type.

        Returns
        -------
        numpy.dtype
            Of the stack.
        """
        return np.result_type(dtype, np.float32)

    def deeper(self, states: Sequence[np.ndarray], values: np.ndarray) -> list[Spec] | None:
        """Return the states' new (leading shape, dtype) when this chip needs a deeper stack."""
        stack, count = states
        depth = int(count.max(initial=0)) + 1
        if depth <= len(stack):
            return None
        lead = stack.shape[1:-2]
        return [((depth, *lead), stack.dtype), (lead, count.dtype)]

    def update(self, states: Sequence[np.ndarray], values: np.ndarray, weights: Any) -> None:
        """Put one chip's values on the stack."""
        self.update_valid(states, values, weights, np.True_)

    def update_valid(
        self, states: Sequence[np.ndarray], values: np.ndarray, weights: Any, valid: Any
    ) -> None:
        """Put a chip's valid values on the stack."""
        stack, count = states
        known = np.broadcast_to(self.counts(values) & valid, count.shape)
        for depth in range(int(count.min()), int(count.max()) + 1):
            here = known & (count == depth)
            if here.any():
                np.copyto(stack[depth], values, where=here, casting="unsafe")
        count += known

    def counts(self, values: np.ndarray) -> np.ndarray:
        """Return which values of a chip are put on the stack.

        Parameters
        ----------
        values : numpy.ndarray
            The chip's values (*lead, h, w).

        Returns
        -------
        numpy.ndarray
            (*lead, h, w) bool.
        """
        return np.ones(values.shape, bool)


@dataclass(frozen=True)
class SpatialMedian(AllValues):
    """The median of the patches' values, exact; of an even number the mean of the middle two.

    A pixel that is nodata or NaN in one patch is left to the others. Holds every value of the rows
    that can still change; `SpatialMean` needs one.

    Examples
    --------
    >>> from rasterio.windows import Window
    >>> from geopatcher import Patch
    >>> chips = [Patch(np.full((1, 2), v), (0, 0), Window(0, 0, 2, 1)) for v in (1, 9, 2, 4)]
    >>> SpatialMedian().merge(chips, np.zeros((1, 2)))
    array([[3., 3.]])
    """

    agrees: ClassVar[bool] = True

    def finish(self, states: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
        """Return the medians."""
        stack, count = states
        slots = np.arange(len(stack)).reshape(-1, *([1] * count.ndim))
        spoilt = (np.isnan(stack) & (slots < count)).any(axis=0)
        ordered = np.where(slots < count, stack, np.inf)
        ordered.sort(axis=0)
        last = np.maximum(count, 1).astype(np.intp) - 1
        low = np.take_along_axis(ordered, (last // 2)[None], axis=0)[0]
        high = np.take_along_axis(ordered, ((last + 1) // 2)[None], axis=0)[0]
        # Halves first: the sum of two large values may overflow. Equal ones are kept, even inf.
        values = np.where(low == high, low, low / 2 + high / 2)
        values[spoilt | (count == 0)] = np.nan
        return values, covered_pixels(count > 0)


@dataclass(frozen=True)
class SpatialMode(AllValues):
    """The most frequent of the patches' values; of several the lowest. NaN does not vote.

    Keeps the chips' type. Pixels without a vote hold `fill_value`: by default the nodata that the
    chips say, else NaN in floats, the largest value of unsigned and the smallest of signed
    integers. Nodata does not vote. For a known number of classes
    `SpatialHardVote` needs less memory.

    Parameters
    ----------
    fill_value : float, optional
        The value of pixels without a vote.

    Raises
    ------
    PatchError
        For a fill value that the chips hold as a value.

    Examples
    --------
    >>> from rasterio.windows import Window
    >>> from geopatcher import Patch
    >>> chips = [Patch(np.full((1, 2), v), (0, 0), Window(0, 0, 2, 1)) for v in (7, 3, 7)]
    >>> SpatialMode().merge(chips, np.zeros((1, 2)))
    array([[7, 7]])
    """

    agrees: ClassVar[bool] = True

    fill_value: float | None = None

    takes: ClassVar[tuple[Role, ...]] = ROLES
    makes: ClassVar[Role | None] = "class"

    def settled(self, chip: Chip) -> Reducer:
        """Return the mode of such chips: what has no vote holds the nodata that they say."""
        kind = self.stack_dtype(chip.dtype)
        fill = fill_that_fits(self.fill_value, kind, "fill_value")
        said = chip.dtype.kind in "iu" and chip.nodata is not None and holds(kind, chip.nodata)
        if said and fill is None:
            return replace(self, fill_value=chip.nodata)
        return self

    def update_valid(
        self, states: Sequence[np.ndarray], values: np.ndarray, weights: Any, valid: Any
    ) -> None:
        """Put a chip's votes on the stack; one that the fill marks would be lost."""
        fill = self.fill_for(states[0].dtype)
        lost = equal_mask(np.asarray(values, states[0].dtype), fill)
        if lost is not None and (lost & valid).any():
            raise PatchError(
                f"{fill} marks pixels without a vote, but is a value of the chips, too; give "
                f"fill_value= a number that they do not hold, or make them a wider type; {GUIDE}"
            )
        super().update_valid(states, values, weights, valid)

    def fill_for(self, dtype: np.dtype) -> Any:
        """Return the value of pixels without a vote."""
        if self.fill_value is not None:
            return self.fill_value
        if dtype.kind == "f":
            return np.nan
        limits = np.iinfo(dtype)
        return limits.max if dtype.kind == "u" else limits.min

    def result(self, lead: tuple[int, ...], dtype: np.dtype) -> Spec:
        """Return (leading shape, dtype) of the result: the chips' own."""
        check_ordered(self, dtype)
        return lead, self.stack_dtype(dtype)

    def stack_dtype(self, dtype: np.dtype) -> np.dtype:
        """Return the chips' type, uint8 for booleans."""
        return np.dtype(np.uint8) if np.dtype(dtype).kind == "b" else np.dtype(dtype)

    def counts(self, values: np.ndarray) -> np.ndarray:
        """Return which values vote: those that are not NaN."""
        return ~np.isnan(values)

    def finish(self, states: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
        """Return the modes."""
        stack, count = states
        best = np.full(count.shape, self.fill_for(stack.dtype), stack.dtype)
        most = np.zeros(count.shape, np.int64)
        for slot in range(len(stack)):
            value = stack[slot]
            votes = sum((stack[other] == value) & (count > other) for other in range(len(stack)))
            better = (votes > most) | ((votes == most) & (value < best))
            better &= count > slot
            best[better] = value[better]
            most[better] = votes[better]
        return best, covered_pixels(count > 0)


@dataclass(frozen=True)
class SpatialLearned(AllValues):
    """What a model makes of the values that the patches give to a pixel.

    `model`: an estimator with `predict`, or a function; it gets X (n, depth) floats, one row for
    each pixel (and band), its values in the order of the patches (by rising row), and NaN after
    the last; and returns (n,). The depth is `model.n_features_in_` when there is one, else the
    number of patches on the fullest pixel of the rows at hand. `training_rows` gives X for
    patches whose truth is known.

    Parameters
    ----------
    model : estimator or callable
        Makes (n,) of X (n, depth).

    Raises
    ------
    PatchError
        For what neither predicts nor can be called, more patches on a pixel than the model was
        made for, or an answer of another length.

    Examples
    --------
    >>> from rasterio.windows import Window
    >>> from geopatcher import Patch
    >>> chips = [Patch(np.full((1, 2), v), (0, 0), Window(0, 0, 2, 1)) for v in (1, 9, 2)]
    >>> SpatialLearned(lambda X: np.nanmax(X, axis=1)).merge(chips, np.zeros((1, 2)))
    array([[9., 9.]])
    """

    model: Any

    forbid_in_yaml: ClassVar[bool] = True
    takes: ClassVar[tuple[Role, ...]] = ROLES
    makes: ClassVar[Role | None] = "quantity"

    def __post_init__(self) -> None:
        if not callable(self._predict):
            raise PatchError(
                f"SpatialLearned takes an estimator with predict or a function, got {self.model!r}"
            )

    def training_rows(self, patches: Iterable[Patch], domain: Any) -> np.ndarray:
        """Return the X (n, depth) that the model would see, pixels (..., H, W) in row-major order.

        Holds the whole scene: for the area where the truth is known.

        Parameters
        ----------
        patches : iterable of Patch
            Rectangles; all are held.
        domain : domain, Field, GeoTensor, reader or array
            What they are merged onto.

        Returns
        -------
        numpy.ndarray
            (n, depth) float, NaN after the last value of a pixel.
        """
        domain = as_raster_domain(domain)
        states: list[np.ndarray] = []
        for patch in in_row_order(list(patches)):
            values, row, col, height, width = chip_values(patch, domain)
            if not states:
                specs = self.start(values.shape[:-2], values.dtype)
                states = [np.zeros((*s, domain.height, domain.width), d) for s, d in specs]
            where = (..., slice(row, row + height), slice(col, col + width))
            take(self, states, where, values, patch.weights, invalid_of(patch, values))
        if not states:
            raise PatchError("there are no patches to learn from")
        stack, count = states
        slots = np.arange(len(stack)).reshape(-1, *([1] * count.ndim))
        return np.where(slots < count, stack, np.nan).reshape(len(stack), -1).T

    @property
    def _predict(self) -> Callable[[np.ndarray], Any]:
        return getattr(self.model, "predict", self.model)

    def finish(self, states: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
        """Return the model's answers."""
        stack, count = states
        depth = getattr(self.model, "n_features_in_", len(stack))
        if int(count.max(initial=0)) > depth:
            raise PatchError(
                f"{int(count.max())} patches overlap, but the model was made for {depth}"
            )
        values = np.full(count.shape, np.nan, stack.dtype)
        covered = count > 0
        if covered.any():
            rows = np.full((int(covered.sum()), depth), np.nan, stack.dtype)
            for slot in range(min(len(stack), depth)):
                rows[:, slot] = np.where(count > slot, stack[slot], np.nan)[covered]
            answers = np.asarray(self._predict(rows))
            if answers.size != len(rows):
                raise PatchError(
                    f"the model must answer with one number for each of its {len(rows)} rows, got "
                    f"shape {answers.shape}"
                )
            values[covered] = answers.reshape(len(rows))
        return values, covered_pixels(count > 0)


@dataclass(frozen=True)
class SpatialByIndex(Configured):
    """The patches' data by anchor, in their order: `{anchor: data}`, for tables such as zones.

    Nothing overlaps and nothing is put on a grid, so a patch may hold anything: a number, a row.
    Two patches at one anchor are an error, since one of them would be lost.

    Raises
    ------
    PatchError
        For two patches at one anchor.

    Examples
    --------
    >>> zones = [Patch(3.5, 0, None), Patch(8.0, 1, None)]
    >>> SpatialByIndex().merge(zones, None)
    {0: 3.5, 1: 8.0}
    """

    streaming_safe: ClassVar[bool] = False

    def merge(self, patches: Iterable[Patch], domain: Any = None) -> dict[Any, Any]:
        """Collect the patches' data; the domain plays no part, as anchors name the results.

        Parameters
        ----------
        patches : iterable of Patch
            In any order.
        domain : optional
            Not used.

        Returns
        -------
        dict
            Data by anchor.
        """
        found: dict[Any, Any] = {}
        for patch in patches:
            if patch.anchor in found:
                raise PatchError(
                    f"two patches lie at anchor {patch.anchor}, of which one would be lost; "
                    "sample distinct anchors"
                )
            found[patch.anchor] = patch.data
        return found
