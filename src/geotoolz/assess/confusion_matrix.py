"""How often each mapped class meets each true one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geotoolz.assess.class_map import ClassMap, check_same_grid, coded

Floats = NDArray[np.float64]
"""Shares by class."""


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix: counts by mapped class (rows) and true class (columns).

    Its shares and accuracies are those of the pixels that were counted. When these are a sample,
    the figures for the map they were drawn from are `area_estimate`'s, which also gives errors.

    Parameters
    ----------
    counts
        (K, K) whole numbers.
    classes
        (K,) labels.

    Examples
    --------
    >>> matrix = Confusion(np.array([[8, 2], [1, 9]]), [1, 2])
    >>> matrix.overall, matrix.users.tolist(), matrix.producers.round(3).tolist()
    (0.85, [0.8, 0.9], [0.889, 0.818])
    """

    counts: NDArray[np.int64]
    classes: Sequence[Any]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.counts, dtype, copy=copy)

    @property
    def shares(self) -> Floats:
        """(K, K) shares of all that was counted; sum 1."""
        return _ratio(self.counts, self.counts.sum())

    @property
    def overall(self) -> float:
        """Share that is mapped right; NaN when nothing was counted."""
        return float(_ratio(np.trace(self.counts), self.counts.sum()))

    @property
    def users(self) -> Floats:
        """(K,) user's accuracy (precision); NaN for a class that is never mapped."""
        return _ratio(self.counts.diagonal(), self.counts.sum(axis=1))

    @property
    def producers(self) -> Floats:
        """(K,) producer's accuracy (recall); NaN for a class that does not occur in truth."""
        return _ratio(self.counts.diagonal(), self.counts.sum(axis=0))

    @property
    def f1(self) -> Floats:
        """(K,) harmonic mean of both; NaN for a class that occurs in neither."""
        return _ratio(2 * self.counts.diagonal(), self.counts.sum(axis=0) + self.counts.sum(axis=1))

    @property
    def frame(self) -> pd.DataFrame:
        """The counts with their labels: mapped in rows, true in columns."""
        index, columns = (pd.Index(self.classes, name=name) for name in ("mapped", "true"))
        return pd.DataFrame(self.counts, index, columns)


def _ratio(part: Any, whole: Any) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.true_divide(part, whole)


def confusion(
    mapped: Any,
    reference: Any,
    *,
    classes: Sequence[int] | None = None,
    nodata: int | None = None,
    block_rows: int | None = None,
) -> Confusion:
    """Count how often each mapped class meets each true one, pixel by pixel.

    Maps of any size are read by blocks of rows. Pixels that are nodata in either are left out.

    Parameters
    ----------
    mapped, reference
        Paths, `GeoTensor`s, arrays, Fields or readers with the same pixels: (H, W) or (1, H, W)
        whole numbers; or (N,) arrays, lists or Series of labels.
    classes
        Labels, in the order of the result; by default all that occur, ascending.
    nodata
        A class that is left out, in both, beside what each declares as nodata.
    block_rows
        Rows that are held at a time.

    Returns
    -------
    A `Confusion`, which `area_estimate` takes as counts.

    Raises
    ------
    ValueError
        For maps with other pixels, or labels that are not among `classes`.

    Examples
    --------
    >>> confusion(np.array([1, 1, 2, 2]), np.array([1, 2, 2, 2])).frame
    true    1  2
    mapped
    1       1  1
    2       0  2
    """
    one, other = (ClassMap(_rows(each), nodata, block_rows) for each in (mapped, reference))
    check_same_grid(one, other, "mapped and reference")
    found: dict[tuple[int, int], int] = {}
    for row, labels, valid in one.blocks():
        truth, known = other.read(row, len(labels))
        both = known if valid is None else valid if known is None else valid & known
        _add_pairs(
            found, *(each.ravel() if both is None else each[both] for each in (labels, truth))
        )
    seen = sorted({label for pair in found for label in pair})
    for side, each in enumerate((one, other)):
        each.warn_of_one_class({pair[side] for pair in found})
    order = seen if classes is None else [int(each) for each in classes]
    check_classes(order, seen)
    places = {label: place for place, label in enumerate(order)}
    counts = np.zeros((len(order), len(order)), np.int64)
    for (label, true), count in found.items():
        counts[places[label], places[true]] = count
    return Confusion(counts, order)


def check_classes(classes: Sequence[Any], seen: Sequence[Any] = ()) -> None:
    """Raise ValueError unless classes are there once each, and all that were seen among them.

    Parameters
    ----------
    classes
        The labels.
    seen
        Those that occur.

    Raises
    ------
    ValueError
        Naming the one that is there twice, or those that are not there.

    Examples
    --------
    >>> check_classes([1, 2], [2])
    """
    counts = Counter(classes)
    twice = [label for label, count in counts.items() if count > 1]
    if twice:
        raise ValueError(f"classes must differ, {twice[0]!r} is there twice")
    unknown = [label for label in seen if label not in counts]
    if unknown:
        raise ValueError(f"classes must hold every label, {unknown} are not there")


def _rows(labels: Any) -> Any:
    """Return (N,) labels as one row of a map."""
    if isinstance(labels, list | pd.Series):
        labels = np.asarray(labels)
    return labels[None] if isinstance(labels, np.ndarray) and labels.ndim == 1 else labels


def _add_pairs(found: dict[tuple[int, int], int], labels: Any, truth: Any) -> None:
    """Add the pairs of a block to those found."""
    (names, codes), (others, true_codes) = coded(labels), coded(truth)
    codes *= max(len(others), 1)
    codes += true_codes
    if len(names) * len(others) <= _MANY:
        counts = np.bincount(codes)
        cells = np.flatnonzero(counts)
        counts = counts[cells]
    else:
        cells, counts = np.unique(codes, return_counts=True)
    for cell, count in zip(cells.tolist(), counts.tolist(), strict=True):
        row, col = divmod(cell, len(others))
        pair = int(names[row]), int(others[col])
        found[pair] = found.get(pair, 0) + count


_MANY = 2**22
"""Up to so many pairs of classes are counted by position."""
