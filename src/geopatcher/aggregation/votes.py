"""Votes over the patches that cover a pixel. NaN does not vote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from geopatcher.aggregation.statistics import (
    PixelAggregation,
    float_for,
    sum_type,
    where_covered,
)
from geopatcher.arguments import as_choice, as_count
from geopatcher.merge.row_buffer import Spec
from geopatcher.patch import PatchError


class LabelVote(PixelAggregation):
    """What votes that end in labels share: their type and fill value."""

    n_classes: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_classes", as_count(self.n_classes, "n_classes"))

    @property
    def label_dtype(self) -> np.dtype:
        """The smallest unsigned type that holds the classes and a fill value above them."""
        return np.min_scalar_type(self.n_classes)

    def as_labels(self, votes: np.ndarray, voted: Any) -> np.ndarray:
        """Return the classes (rows, W) with most votes (n_classes, rows, W), lower ones on ties."""
        labels = votes.argmax(axis=0).astype(self.label_dtype)
        labels[~voted] = np.iinfo(self.label_dtype).max
        return labels


@dataclass(frozen=True)
class SpatialHardVote(LabelVote):
    """Each chip's label (h, w), 0 to n_classes - 1, counts one vote; the most votes win.

    A tie goes to the lower class. NaN does not vote, nor does the label `ignore`: by default -1,
    with which classifiers mark pixels without data. Output (H, W) of the smallest unsigned
    type that holds the classes and a fill value above them, which marks pixels without votes.

    >>> from rasterio.windows import Window
    >>> from geopatcher import Patch
    >>> chips = [Patch(np.full((2, 2), c), (0, 0), Window(0, 0, 2, 2)) for c in (1, 2, 2)]
    >>> SpatialHardVote(3).merge(chips, np.zeros((2, 2)))
    array([[2, 2],
           [2, 2]], dtype=uint8)
    """

    n_classes: int
    ignore: int | None = -1

    @property
    def fill_value(self) -> int:
        """The value of pixels without a vote."""
        return int(np.iinfo(self.label_dtype).max)

    def fill_for(self, dtype: np.dtype) -> int:
        """Return the value of pixels without a vote."""
        return self.fill_value

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

    >>> from rasterio.windows import Window
    >>> from geopatcher import Patch
    >>> chips = [
    ...     Patch(np.array([[[p]], [[1 - p]]]), (0, 0), Window(0, 0, 1, 1)) for p in (0.9, 0.4)
    ... ]
    >>> SpatialSoftVote(2).merge(chips, np.zeros((1, 1))).ravel().round(2)
    array([0.65, 0.35])
    """

    n_classes: int
    output: str = "probabilities"

    def __post_init__(self) -> None:
        super().__post_init__()
        as_choice(self.output, "output", ("probabilities", "labels"))

    def fill_for(self, dtype: np.dtype) -> Any:
        """Return the value of pixels without a vote."""
        return np.nan if dtype.kind == "f" else int(np.iinfo(dtype).max)

    def result(self, lead: tuple[int, ...], dtype: np.dtype) -> Spec:
        """Return (leading shape, dtype) of the vote's result."""
        return ((), self.label_dtype) if self.output == "labels" else (lead, float_for(dtype))

    def start(self, lead: tuple[int, ...], dtype: np.dtype) -> list[Spec]:
        """Return the states: weighted sums (n_classes), sums of weights."""
        if lead != (self.n_classes,):
            raise PatchError(
                f"a soft vote over {self.n_classes} classes takes probabilities "
                f"({self.n_classes}, h, w), got leading axes {lead}; use SpatialHardVote for labels"
            )
        return [(lead, sum_type(dtype)), ((), np.float64)]

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
