"""What every aggregation of pixels shares, and the plain statistics: sum, mean, extremes, ...

An aggregation of pixels needs, for its result at a pixel, only the patches that cover it (a
`geopatcher.merge.row_buffer.Reducer`): it merges in memory, row by row into a file, and on
scattered patches.

In statistics the window plays no part unless the name says so. A pixel that is nodata or NaN in
one patch is left to the others. Pixels without data are NaN, so results are floats: float32, or
float64 when the chips need it; sums are added up in float64, so that any number of chips gives its
mean back. Classes and bits are refused, since a mean of them is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from geopatcher.config import Configured, as_choice, as_count, checked
from geopatcher.merge.chip import Chip, refuse_labels
from geopatcher.merge.row_buffer import Reducer, Spec
from geopatcher.patch import Patch, PatchError
from geopatcher.stitch import merge_in_memory
from pipekit.pixels import ROLES, Role


class PixelAggregation(Configured, Reducer):
    """An aggregation that looks at one pixel at a time.

    `streaming_safe` tells whether its state for a pixel has a fixed size, whatever the number of
    patches on it.
    """

    streaming_safe: ClassVar[bool] = True
    joint: ClassVar[bool] = False
    takes: ClassVar[tuple[Role, ...]] = ()
    """Roles of bands that it takes beside quantities."""

    makes: ClassVar[Role | None] = None
    """What the result holds; None: what the chips hold."""

    agrees: ClassVar[bool] = False
    """Whether chips that give one value to a pixel are merged into that value."""

    def settled(self, chip: Chip) -> Reducer:
        """Return the aggregation for such chips, or raise `PatchError` where it takes none."""
        refuse_labels(type(self).__name__, chip.roles, self.takes)
        return self

    def update_valid(
        self, states: Sequence[np.ndarray], values: np.ndarray, weights: Any, valid: np.ndarray
    ) -> None:
        """Take the valid pixels of one chip, as a row of them, band by band where bands differ."""
        for band in np.ndindex(valid.shape[:-2]):
            where = (*band, ..., *np.nonzero(valid[band]))
            if not where[-1].size:
                continue
            parts = [state[where][..., None, :] for state in states]
            some = None if weights is None else np.asarray(weights)[where[-2:]][None]
            self.update(parts, values[where][..., None, :], some)
            for state, part in zip(states, parts, strict=True):
                state[where] = part[..., 0, :]

    def merge(self, patches: Iterable[Patch], domain: Any) -> Any:
        """Merge patches onto a domain; warns with the share that no patch covers.

        Parameters
        ----------
        patches : PatchStream or iterable of Patch
            What is merged; an iterator must come by rising row.
        domain : domain, Field, GeoTensor, reader or array
            What they are merged onto.

        Returns
        -------
        GeoTensor or numpy.ndarray
            (..., H, W), with its place where the domain has one; (..., N) on points and shapes.
        """
        return merge_in_memory(patches, domain, self)

    def fill_for(self, dtype: np.dtype) -> Any:
        """Return the value of pixels that no patch covers in a raster of `dtype`."""
        return np.nan

    def result(self, lead: tuple[int, ...], dtype: np.dtype) -> Spec:
        """Return (leading shape, dtype) of the result for chips (*lead, h, w) of a dtype."""
        return lead, np.result_type(dtype, np.float32)


def check_ordered(aggregation: Any, dtype: Any) -> None:
    """Raise `PatchError` for values without an order where an aggregation compares them.

    Parameters
    ----------
    aggregation : Reducer
        Which compares values.
    dtype : numpy.dtype
        The chips' type.
    """
    if np.dtype(dtype).kind == "c":
        raise PatchError(
            f"{type(aggregation).__name__} compares values, and complex numbers have no order; "
            "merge their real and imaginary parts, or their magnitudes"
        )


def where_covered(values: np.ndarray, covered: np.ndarray) -> tuple[np.ndarray, int]:
    """Return values with NaN where no patch came, and how many pixels are covered.

    `covered`: (rows, W) bool.

    Parameters
    ----------
    values : numpy.ndarray
        (..., rows, W) float, changed in place.
    covered : numpy.ndarray
        (rows, W) bool, or (..., rows, W) where bands differ.

    Returns
    -------
    (numpy.ndarray, int)
        The values, and how many pixels are covered.
    """
    np.copyto(values, np.nan, where=~covered)
    return values, covered_pixels(covered)


def covered_pixels(covered: np.ndarray) -> int:
    """Return how many pixels have a value in any band.

    Parameters
    ----------
    covered : numpy.ndarray
        (..., rows, W) bool.

    Returns
    -------
    int
        Pixels.
    """
    return int(covered.reshape(-1, *covered.shape[-2:]).any(axis=0).sum())


@dataclass(frozen=True)
class SpatialSum(PixelAggregation):
    """The sum of the patches' values.

    Examples
    --------
    >>> from rasterio.windows import Window
    >>> from geopatcher import Patch
    >>> chips = [Patch(np.full((1, 2), v), (0, 0), Window(0, 0, 2, 1)) for v in (1, 2, 6)]
    >>> SpatialSum().merge(chips, np.zeros((1, 2)))
    array([[9., 9.]])
    """

    takes: ClassVar[tuple[Role, ...]] = ("mask",)
    makes: ClassVar[Role | None] = "quantity"

    def start(self, lead: tuple[int, ...], dtype: np.dtype) -> list[Spec]:
        """Return the states: sums, counts."""
        return [(lead, np.result_type(dtype, np.float64)), ((), np.uint32)]

    def update(self, states: Sequence[np.ndarray], values: np.ndarray, weights: Any) -> None:
        """Add one chip."""
        total, count = states
        total += values
        count += 1

    def finish(self, states: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
        """Return the sums."""
        total, count = states
        return where_covered(total, count > 0)


@dataclass(frozen=True)
class SpatialMean(SpatialSum):
    """The mean of the patches' values, each counting the same.

    Examples
    --------
    >>> from rasterio.windows import Window
    >>> from geopatcher import Patch
    >>> chips = [Patch(np.full((1, 2), v), (0, 0), Window(0, 0, 2, 1)) for v in (1, 2, 6)]
    >>> SpatialMean().merge(chips, np.zeros((1, 2)))
    array([[3., 3.]])
    """

    agrees: ClassVar[bool] = True

    takes: ClassVar[tuple[Role, ...]] = ()

    def finish(self, states: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
        """Return the means."""
        total, count = states
        total /= np.maximum(count, 1)
        return where_covered(total, count > 0)


@dataclass(frozen=True)
class SpatialVariance(PixelAggregation):
    """The variance (divided by the number of patches) of the values: where patches disagree.

    Where one patch is alone it is 0. Source: Welford, B. P. (1962), Note on a method for
    calculating corrected sums of squares and products, Technometrics 4(3), which does not lose
    digits as the difference of two sums does.

    Examples
    --------
    >>> from rasterio.windows import Window
    >>> from geopatcher import Patch
    >>> chips = [Patch(np.full((1, 2), v), (0, 0), Window(0, 0, 2, 1)) for v in (1, 2, 6)]
    >>> SpatialVariance().merge(chips, np.zeros((1, 2))).round(3)
    array([[4.667, 4.667]])
    """

    def start(self, lead: tuple[int, ...], dtype: np.dtype) -> list[Spec]:
        """Return the states: means, sums of squared differences, counts."""
        check_ordered(self, dtype)
        return [(lead, np.float64), (lead, np.float64), ((), np.uint32)]

    def update(self, states: Sequence[np.ndarray], values: np.ndarray, weights: Any) -> None:
        """Take in one chip."""
        mean, squares, count = states
        count += 1
        off = values - mean
        mean += off / count
        squares += off * (values - mean)

    def finish(self, states: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
        """Return the variances."""
        _, squares, count = states
        return where_covered(squares / np.maximum(count, 1), count > 0)


@dataclass(frozen=True)
class SpatialMax(PixelAggregation):
    """The largest of the patches' values.

    Examples
    --------
    >>> from rasterio.windows import Window
    >>> from geopatcher import Patch
    >>> chips = [Patch(np.full((1, 2), v), (0, 0), Window(0, 0, 2, 1)) for v in (-4, -2)]
    >>> SpatialMax().merge(chips, np.zeros((1, 2)))
    array([[-2., -2.]])
    """

    agrees: ClassVar[bool] = True

    takes: ClassVar[tuple[Role, ...]] = ("mask",)

    extreme_of: ClassVar[np.ufunc] = np.maximum

    def start(self, lead: tuple[int, ...], dtype: np.dtype) -> list[Spec]:
        """Return the states: extremes, counts."""
        check_ordered(self, dtype)
        return [(lead, np.result_type(dtype, np.float32)), ((), np.uint32)]

    def update(self, states: Sequence[np.ndarray], values: np.ndarray, weights: Any) -> None:
        """Compare one chip."""
        extreme, count = states
        # The buffer starts as zeros, which must not win against negative values.
        np.copyto(extreme, values, where=count == 0)
        self.extreme_of(extreme, values, out=extreme)
        count += 1

    def finish(self, states: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
        """Return the extremes."""
        extreme, count = states
        return where_covered(extreme, count > 0)


@dataclass(frozen=True)
class SpatialMin(SpatialMax):
    """The smallest of the patches' values.

    Examples
    --------
    >>> from rasterio.windows import Window
    >>> from geopatcher import Patch
    >>> chips = [Patch(np.full((1, 2), v), (0, 0), Window(0, 0, 2, 1)) for v in (4, 2)]
    >>> SpatialMin().merge(chips, np.zeros((1, 2)))
    array([[2., 2.]])
    """

    extreme_of: ClassVar[np.ufunc] = np.minimum


@dataclass(frozen=True)
class SpatialWeightedSum(SpatialSum):
    """The sum of the patches' values times their weights (the window's, or the coverage).

    It is not divided: `SpatialOverlapAdd` is the weighted mean.

    Examples
    --------
    >>> from rasterio.windows import Window
    >>> from geopatcher import Patch
    >>> half = np.full((1, 2), 0.5)
    >>> chips = [Patch(np.full((1, 2), v), (0, 0), Window(0, 0, 2, 1), half) for v in (1, 2, 6)]
    >>> SpatialWeightedSum().merge(chips, np.zeros((1, 2)))
    array([[4.5, 4.5]])
    """

    def update(self, states: Sequence[np.ndarray], values: np.ndarray, weights: Any) -> None:
        """Add one chip, weighted; without weights every pixel counts 1."""
        total, count = states
        total += values if weights is None else values * weights
        count += 1


@dataclass(frozen=True)
class SpatialInvVarWeightedMean(PixelAggregation):
    """The mean of estimates, each weighted by one over its variance.

    Chips are (2, ..., h, w): estimates and their variances (positive). So is the result: the best
    estimate, and its variance 1 / sum(1 / variance). The window plays no part: the variance says
    how much a value counts. Source: the minimum-variance unbiased combination of independent
    estimates (Aitken, A. C. (1935), On least squares and linear combination of observations,
    Proc. R. Soc. Edinburgh 55).

    Raises
    ------
    PatchError
        For chips of another shape, or a variance that is not positive.

    Examples
    --------
    >>> from rasterio.windows import Window
    >>> from geopatcher import Patch
    >>> chips = [
    ...     Patch(np.array([[[value]], [[variance]]]), (0, 0), Window(0, 0, 1, 1))
    ...     for value, variance in ((10.0, 1.0), (20.0, 4.0))
    ... ]
    >>> SpatialInvVarWeightedMean().merge(chips, np.zeros((1, 1))).ravel().tolist()
    [12.0, 0.8]
    """

    joint: ClassVar[bool] = True

    def start(self, lead: tuple[int, ...], dtype: np.dtype) -> list[Spec]:
        """Return the states: weighted sums, sums of weights, counts."""
        if lead[:1] != (2,):
            raise PatchError(
                "SpatialInvVarWeightedMean takes chips (2, ..., h, w) of estimates and their "
                f"variances, got leading axes {lead}"
            )
        return [(lead[1:], np.float64), (lead[1:], np.float64), ((), np.uint32)]

    def update(self, states: Sequence[np.ndarray], values: np.ndarray, weights: Any) -> None:
        """Add one chip."""
        total, precision, count = states
        check_ordered(self, values.dtype)
        estimate, variance = (values, values) if values.ndim == 2 else (values[0], values[1])
        if (variance <= 0).any():
            raise PatchError(f"variances must be positive, got {np.nanmin(variance)}")
        total += estimate / variance
        precision += 1.0 / variance
        count += 1

    def finish(self, states: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
        """Return the estimates and their variances."""
        total, precision, count = states
        covered = count > 0
        np.copyto(precision, 1, where=~covered)
        return where_covered(np.stack([total / precision, 1 / precision]), covered)


class LabelVote(PixelAggregation):
    """What votes that end in labels share: their type and fill value.

    Parameters
    ----------
    n_classes : int
        How many classes there are.
    """

    joint: ClassVar[bool] = True
    takes: ClassVar[tuple[Role, ...]] = ROLES
    makes: ClassVar[Role | None] = "class"
    n_classes: int

    @property
    def label_dtype(self) -> np.dtype:
        """The smallest unsigned type that holds the classes and a fill value above them."""
        return np.min_scalar_type(self.n_classes)

    def fill_for(self, dtype: np.dtype) -> Any:
        """Return the value of pixels without a vote: NaN, or the largest of labels' type."""
        return np.nan if dtype.kind == "f" else int(np.iinfo(dtype).max)

    def as_labels(self, votes: np.ndarray, voted: Any) -> np.ndarray:
        """Return the classes (rows, W) with most votes (n_classes, rows, W), lower ones on ties.

        Parameters
        ----------
        votes : numpy.ndarray
            (n_classes, rows, W).
        voted : numpy.ndarray
            (rows, W) bool: pixels with a vote.

        Returns
        -------
        numpy.ndarray
            (rows, W) of `label_dtype`.
        """
        labels = votes.argmax(axis=0).astype(self.label_dtype)
        labels[~voted] = np.iinfo(self.label_dtype).max
        return labels


@dataclass(frozen=True)
class SpatialHardVote(LabelVote):
    """Each chip's label (h, w), 0 to n_classes - 1, counts one vote; the most votes win.

    A tie goes to the lower class. NaN does not vote, nor does the label `ignore`: by default -1,
    with which classifiers mark pixels without data. Output (H, W) of the smallest unsigned
    type that holds the classes and a fill value above them, which marks pixels without votes.

    Parameters
    ----------
    n_classes : int
        Labels are 0 to n_classes - 1.
    ignore : int, optional
        A label that does not vote; None when all do.

    Raises
    ------
    PatchError
        For labels that are not whole or lie outside the classes.

    Examples
    --------
    >>> from rasterio.windows import Window
    >>> from geopatcher import Patch
    >>> chips = [Patch(np.full((2, 2), c), (0, 0), Window(0, 0, 2, 2)) for c in (1, 2, 2)]
    >>> SpatialHardVote(3).merge(chips, np.zeros((2, 2)))
    array([[2, 2],
           [2, 2]], dtype=uint8)
    """

    agrees: ClassVar[bool] = True

    n_classes: int = checked(as_count)
    ignore: int | None = -1

    @property
    def fill_value(self) -> int:
        """The value of pixels without a vote."""
        return int(np.iinfo(self.label_dtype).max)

    def result(self, lead: tuple[int, ...], dtype: np.dtype) -> Spec:
        """Return (leading shape, dtype) of the vote's result."""
        return (), self.label_dtype

    def start(self, lead: tuple[int, ...], dtype: np.dtype) -> list[Spec]:
        """Return the state: votes (n_classes)."""
        if lead not in ((), (1,)):
            raise PatchError(
                f"a hard vote takes labels (h, w), got chips with leading axes {lead}; "
                "use SpatialSoftVote for class probabilities"
            )
        return [((self.n_classes,), np.uint32)]

    def update(self, states: Sequence[np.ndarray], values: np.ndarray, weights: Any) -> None:
        """Count one chip's votes."""
        labels = values.reshape(values.shape[-2:])
        known = np.isfinite(labels)
        if self.ignore is not None:
            known &= labels != self.ignore
        outside = known & ((labels < 0) | (labels >= self.n_classes))
        if labels.dtype.kind == "f":
            outside |= known & (labels != np.floor(labels))
        if outside.any():
            raise PatchError(
                f"labels must be whole, 0 to {self.n_classes - 1}, got {labels[outside].flat[0]}; "
                "a label that marks pixels without data is named by ignore="
            )
        for label in range(self.n_classes):
            states[0][label] += known & (labels == label)

    def finish(self, states: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
        """Return the winners of finished rows, and how many pixels had a vote."""
        voted = np.any(states[0], axis=0)
        return self.as_labels(states[0], voted), int(voted.sum())


@dataclass(frozen=True)
class SpatialSoftVote(LabelVote):
    """The mean of the chips' class probabilities (n_classes, h, w), weighted by the window.

    Output: (n_classes, H, W) float, NaN where no chip votes; with `output="labels"` the class of
    the largest mean, as `SpatialHardVote` gives it. A pixel with NaN in any class does not vote.

    Parameters
    ----------
    n_classes : int
        Length of the chips' first axis.
    output : {"probabilities", "labels"}
        What the merge returns.

    Raises
    ------
    PatchError
        For another output, or chips of other classes.

    Examples
    --------
    >>> from rasterio.windows import Window
    >>> from geopatcher import Patch
    >>> chips = [
    ...     Patch(np.array([[[p]], [[1 - p]]]), (0, 0), Window(0, 0, 1, 1)) for p in (0.9, 0.4)
    ... ]
    >>> SpatialSoftVote(2).merge(chips, np.zeros((1, 1))).ravel().round(2)
    array([0.65, 0.35])
    """

    agrees: ClassVar[bool] = True

    n_classes: int = checked(as_count)
    output: str = "probabilities"

    @property
    def makes(self) -> Role:  # type: ignore[override]
        """Classes, or their probabilities."""
        return "class" if self.output == "labels" else "quantity"

    def __post_init__(self) -> None:
        super().__post_init__()
        as_choice(self.output, "output", ("probabilities", "labels"))

    def result(self, lead: tuple[int, ...], dtype: np.dtype) -> Spec:
        """Return (leading shape, dtype) of the vote's result."""
        return ((), self.label_dtype) if self.output == "labels" else super().result(lead, dtype)

    def start(self, lead: tuple[int, ...], dtype: np.dtype) -> list[Spec]:
        """Return the states: weighted sums (n_classes), sums of weights."""
        if lead != (self.n_classes,):
            raise PatchError(
                f"a soft vote over {self.n_classes} classes takes probabilities "
                f"({self.n_classes}, h, w), got leading axes {lead}; use SpatialHardVote for labels"
            )
        return [(lead, np.result_type(dtype, np.float64)), ((), np.float64)]

    def update(self, states: Sequence[np.ndarray], values: np.ndarray, weights: Any) -> None:
        """Add one chip's probabilities."""
        if values.ndim == 2:  # a failed chip, which does not vote
            return
        total, weight_sum = states
        weight = np.ones(values.shape[-2:], np.float32) if weights is None else weights
        votes = ~np.isnan(values).any(axis=0)
        total += np.where(votes, values * weight, 0)
        weight_sum += np.where(votes, weight, 0)

    def finish(self, states: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
        """Return the probabilities, or labels, of finished rows, and how many pixels had a vote."""
        total, weight_sum = states
        voted = weight_sum > 0
        if self.output == "labels":
            return self.as_labels(total, voted), int(voted.sum())
        total /= np.where(voted, weight_sum, 1)
        return where_covered(total, voted)
