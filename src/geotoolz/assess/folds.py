"""Splits that cannot leak: folds by blocks, by buffered distance, by time, by place and time.

Neighbouring pixels are nearly copies of each other. When a model is judged on neighbours of what
it was trained on, the score measures memory. The splitters here keep what is near together; they
have scikit-learn's interface, and take chips of a patcher as well as points.

Folds by groups are scikit-learn's `GroupKFold`. `CheckedFolds` around any splitter refuses splits
in which chips of both sides overlap.

Sources: Roberts, D. R. et al. (2017), Cross-validation strategies for data with temporal, spatial,
hierarchical, or phylogenetic structure, Ecography 40, 913-929; Le Rest, K. et al. (2014), Spatial
leave-one-out cross-validation for variable selection in the presence of spatial autocorrelation,
Global Ecology and Biogeography 23, 811-820; Meyer, H. et al. (2018), Improving performance of
spatio-temporal machine learning models using forward feature selection and target-oriented
validation, Environmental Modelling & Software 101, 1-9.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geopatcher.axes.draws import Draws, as_seed
from geotoolz.assess.places import Boxes, boxes_of, near, shared_area
from pipekit.operator import checked_count, checked_number

Positions = NDArray[np.intp]
"""Positions of samples, ascending."""

Split = tuple[Positions, Positions]
"""Positions of training and test samples."""


_MOST_CELLS = 10**7
"""So many blocks that chips reach into are looked at, one by one."""


class LeakError(ValueError):
    """A split in which training and test samples share pixels, or a rim around them.

    Examples
    --------
    >>> issubclass(LeakError, ValueError)
    True
    """


class _Folds(ABC):
    """What splitters share: scikit-learn's interface over `_tests`, and one number of splits."""

    n_splits: int

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X, y, groups
            Not looked at; scikit-learn gives them.

        Returns
        -------
        As many as `split` yields.
        """
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Split]:
        """Yield positions of training and test samples, once for each fold.

        Parameters
        ----------
        X
            Samples; also their places or times, unless `groups` has them.
        y
            Not looked at.
        groups
            Places or times (N,) of the samples, where X holds features:
            `cross_val_score(..., groups=places)`.

        Yields
        ------
        train, test
            Positions, ascending.

        Raises
        ------
        ValueError
            For fewer samples or times than folds, or when nothing is left to train on.
        """
        _check_length(X, groups, "groups")
        return self._splits(X if groups is None else groups)

    @abstractmethod
    def _splits(self, where: Any) -> Iterator[Split]:
        """Yield the splits of samples at places, or times."""


@dataclass(frozen=True)
class BlockFolds(_Folds):
    """Folds of square blocks: what lies in one block stays together.

    Blocks are shared out among folds at random, so that folds have about as many samples. A chip
    belongs to the fold whose blocks it lies in, rim included; one that reaches into blocks of two
    folds belongs to none, and is in no training or test set. So samples of two folds never share a
    pixel, nor lie within `buffer` of each other.

    Parameters
    ----------
    block_size
        Side of a block in the unit of the places: map units for points and for chips of a scene
        that has a place, pixels for other chips. At least the range of a variogram of the target.
    n_splits
        Number of folds.
    buffer
        Least distance between samples of two folds, in the same unit.
    seed
        Fixes the folds for ever; None draws anew each time.

    Raises
    ------
    ValueError
        For sizes or numbers that make no folds.

    Examples
    --------
    >>> places = np.random.default_rng(0).uniform(0, 1000, (500, 2))
    >>> folds = BlockFolds(block_size=250, n_splits=4)
    >>> [(len(train), len(test)) for train, test in folds.split(places)]
    [(374, 126), (377, 123), (377, 123), (372, 128)]
    """

    block_size: float
    n_splits: int = 5
    buffer: float = 0.0
    seed: int | None = 0

    def __post_init__(self) -> None:
        checked_count(self.n_splits, "n_splits", 2)
        checked_number(self.buffer, "buffer", 0)
        as_seed(self.seed)
        if not self.block_size > self.buffer:
            raise ValueError(
                f"block_size must be above 0 and larger than buffer, got {self.block_size} and "
                f"{self.buffer}"
            )

    def fold_of(self, places: Any) -> Positions:
        """Return the number of each sample's fold.

        Parameters
        ----------
        places
            (N, 2) coordinates, a GeoSeries or GeoDataFrame, a `PatchStream` or a list of patches.

        Returns
        -------
        (N,) 0 to `n_splits` - 1; -1 for what belongs to none.

        Raises
        ------
        ValueError
            When there are fewer blocks than folds, or a fold is left without samples.

        Examples
        --------
        >>> places = np.array([[0.0, 0], [10, 0], [60, 0], [49, 0], [95, 0]])
        >>> BlockFolds(50, n_splits=2, buffer=4).fold_of(places).tolist()
        [0, 0, 1, -1, 1]
        """
        boxes = boxes_of(places)
        origin, rim = boxes[:, :2].min(axis=0), self.buffer / 2

        def cells(corners: Boxes, ends: Callable[[Boxes], Boxes]) -> NDArray[np.int64]:
            # Rounded, since an edge of 3 blocks and a billionth is the third block's.
            return ends(np.round((corners - origin) / self.block_size, 9)).astype(np.int64)

        own = cells((boxes[:, :2] + boxes[:, 2:]) / 2, np.floor)
        low = cells(boxes[:, :2] - rim, np.floor)
        high = np.maximum(cells(boxes[:, 2:] + rim, np.ceil) - 1, low)
        if np.prod(high - low + 1.0, axis=1).sum() > _MOST_CELLS:
            raise ValueError(
                f"block_size must be about as large as the chips at least, got {self.block_size} "
                f"for chips of up to {np.max(boxes[:, 2:] - boxes[:, :2]):g} and a buffer of "
                f"{self.buffer}"
            )
        reached = [
            (index, x, y)
            for index in np.flatnonzero((low != high).any(axis=1))
            for x in range(low[index, 0], high[index, 0] + 1)
            for y in range(low[index, 1], high[index, 1] + 1)
        ]
        index, *others = np.array(reached, np.int64).reshape(-1, 3).T
        both = np.concatenate([own, np.stack(others, axis=1)])
        block = np.unique(both, axis=0, return_inverse=True)[1].reshape(-1)
        home, met = np.split(block, [len(own)])
        count = np.bincount(home, minlength=block.max() + 1)
        folds = np.full(len(count), -1, np.intp)
        folds[count > 0] = self._folds_of_blocks(count[count > 0])
        out = folds[home]
        # A block without a centre belongs to the first box that reaches into it.
        cell, first = np.unique(met, return_index=True)
        folds[cell] = np.where(count[cell] > 0, folds[cell], out[index[first]])
        out[index[folds[met] != out[index]]] = -1
        empty = sorted(set(range(self.n_splits)) - set(out.tolist()))
        if empty:
            raise ValueError(
                f"fold {empty[0]} has no sample that keeps clear of the others; give a larger "
                f"block_size (it is {self.block_size}), a smaller buffer or fewer folds"
            )
        return out

    def _folds_of_blocks(self, count: NDArray[Any]) -> Positions:
        """Return a fold for each block: the fullest blocks first, each to the emptiest fold."""
        if len(count) < self.n_splits:
            raise ValueError(
                f"n_splits must be at most the {len(count)} blocks with samples, got "
                f"{self.n_splits}; give a smaller block_size (it is {self.block_size})"
            )
        order = Draws(self.seed).shuffled(len(count))
        order = order[np.argsort(-count[order], kind="stable")]
        held, folds = np.zeros(self.n_splits, np.int64), np.zeros(len(count), np.intp)
        for block in order:
            folds[block] = held.argmin()
            held[folds[block]] += count[block]
        return folds

    def _splits(self, where: Any) -> Iterator[Split]:
        fold = self.fold_of(where)
        for number in range(self.n_splits):
            yield np.flatnonzero((fold != number) & (fold >= 0)), np.flatnonzero(fold == number)


@dataclass(frozen=True)
class BufferedFolds(_Folds):
    """Random folds without the neighbours of what is tested.

    What lies within `buffer` of a test sample trains nothing in that split. Every sample is tested
    once.

    Parameters
    ----------
    buffer
        Least distance between training and test samples, in the unit of the places; chips that
        overlap count as neighbours at 0, too.
    n_splits
        Number of folds; None tests each sample by itself.
    seed
        Fixes the folds for ever; None draws anew each time.

    Examples
    --------
    >>> places = np.arange(20.0).reshape(10, 2)
    >>> [(train.tolist(), test.tolist()) for train, test in BufferedFolds(3, 5).split(places)][:2]
    [([0, 5, 6, 7, 8, 9], [2, 3]), ([3, 4, 5, 6], [1, 8])]
    """

    buffer: float
    n_splits: int | None = 5  # type: ignore[assignment]
    seed: int | None = 0

    def __post_init__(self) -> None:
        checked_number(self.buffer, "buffer", 0)
        as_seed(self.seed)
        if self.n_splits is not None:
            checked_count(self.n_splits, "n_splits", 2)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X, y, groups
            As in `split`; needed where each sample is tested by itself.

        Returns
        -------
        As many as `split` yields.
        """
        where = X if groups is None else groups
        if self.n_splits is None and where is None:
            raise ValueError("X or groups must be given where each sample is tested by itself")
        return self.n_splits or len(where)

    def _splits(self, where: Any) -> Iterator[Split]:
        boxes = boxes_of(where)
        count = len(boxes) if self.n_splits is None else self.n_splits
        if count > len(boxes):
            raise ValueError(f"n_splits must be at most the {len(boxes)} samples, got {count}")
        for part in np.array_split(Draws(self.seed).shuffled(len(boxes)), count):
            test = np.sort(part)
            train = np.flatnonzero(~near(boxes, test, self.buffer))
            if not len(train):
                raise ValueError(
                    f"nothing is farther than {self.buffer} from the test samples; give a smaller "
                    "buffer, more folds, or use BlockFolds, whose folds are compact"
                )
            yield train, test


@dataclass(frozen=True)
class TimeFolds(_Folds):
    """Folds of consecutive times: a model is judged on dates that it has not seen.

    Samples of one time stay together; folds have about as many times.

    Parameters
    ----------
    n_splits
        Number of folds.
    gap
        Least time between training and test samples: a timedelta, text such as "30D", or a number
        where times are numbers.
    past_only
        Train on what was before the test alone, as a forecast does; the first times are then never
        tested. Else on what comes after it, too.

    Examples
    --------
    >>> days = np.datetime64("2024-01-01") + np.arange(0, 60, 10)
    >>> [(train.tolist(), test.tolist()) for train, test in TimeFolds(2, gap="15D").split(days)]
    [([0], [2, 3]), ([0, 1, 2], [4, 5])]
    """

    n_splits: int = 5
    gap: Any = 0
    past_only: bool = True

    def __post_init__(self) -> None:
        checked_count(self.n_splits, "n_splits", 2)

    def _splits(self, where: Any) -> Iterator[Split]:
        times = _times(where)
        gap = self._gap_of(times)
        known = np.unique(times)
        parts = self.n_splits + self.past_only
        if len(known) < parts:
            raise ValueError(f"{self.n_splits} folds need {parts} distinct times, got {len(known)}")
        for part in np.array_split(known, parts)[int(self.past_only) :]:
            first, last = part[0], part[-1]
            train = times < first - gap
            if not self.past_only:
                train |= times > last + gap
            if not train.any():
                raise ValueError(f"nothing is farther than gap={self.gap!r} from {first}")
            yield np.flatnonzero(train), np.flatnonzero((times >= first) & (times <= last))

    def _gap_of(self, times: NDArray[Any]) -> Any:
        """Return the gap in the unit of times."""
        import pandas as pd

        gap: Any = self.gap
        try:
            is_number = not isinstance(gap, np.timedelta64) and float(gap) == float(gap)
        except (TypeError, ValueError):
            is_number = False
        dates = times.dtype.kind == "M"
        if dates and (not is_number or gap == 0):
            gap = pd.Timedelta(gap).to_numpy()
        elif dates or not is_number or isinstance(gap, str):
            raise ValueError(
                "gap must be a number where times are numbers, and else a timedelta or text such "
                f"as '30D', got {gap!r} for times of {times.dtype}"
            )
        if not gap >= 0 * gap:
            raise ValueError(f"gap must be at least 0, got {self.gap!r}")
        return gap


@dataclass(frozen=True)
class PlaceTimeFolds:
    """Folds in which neither the test's places nor its times were seen in training.

    Parameters
    ----------
    places
        Splits by place, such as `BlockFolds`.
    times
        Splits by time, such as `TimeFolds`.
    time
        Name of the column of times, where `groups` is a table.

    Examples
    --------
    >>> places = np.repeat(np.arange(8.0), 8).reshape(-1, 1) * [[10, 0]]
    >>> days = np.tile(np.arange(8), 8)
    >>> folds = PlaceTimeFolds(BlockFolds(10, 2), TimeFolds(2, past_only=False))
    >>> [(len(train), len(test)) for train, test in folds.split(places, groups=days)]
    [(16, 16), (16, 16), (16, 16), (16, 16)]
    """

    places: BlockFolds | BufferedFolds
    times: TimeFolds
    time: str = "time"

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X, y, groups
            As in `split`.

        Returns
        -------
        Folds of places times folds of times.
        """
        return self.places.get_n_splits(X, y, groups) * self.times.get_n_splits()

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Split]:
        """Yield positions of training and test samples, once for each pair of folds.

        Parameters
        ----------
        X
            Samples; also their places, unless `groups` is a table.
        y
            Not looked at.
        groups
            (N,) times; or a GeoDataFrame with places and the column `time`.

        Yields
        ------
        train, test
            Positions, ascending.

        Raises
        ------
        ValueError
            When no times are given, or a pair of folds has nothing to train or to test.
        """
        if groups is None:
            raise ValueError("groups must give the times, or a GeoDataFrame with places and times")
        is_table = hasattr(groups, "geometry")
        where, when = (groups, groups[self.time]) if is_table else (X, groups)
        _check_length(where, when, "groups")
        in_time = list(self.times.split(when))
        for train, test in self.places.split(where):
            for before, then in in_time:
                both = np.intersect1d(train, before), np.intersect1d(test, then)
                if not all(map(len, both)):
                    raise ValueError(
                        "a fold of places and a fold of times have no sample in common to train "
                        "or to test; give fewer folds"
                    )
                yield both


@dataclass(frozen=True)
class CheckedFolds:
    """Any splitter, whose splits are refused when both sides share pixels.

    Parameters
    ----------
    splitter
        One of scikit-learn's, or any with `split` and `get_n_splits`.
    buffer
        Width of a rim that must not be shared either, in the unit of the places.

    Examples
    --------
    >>> from geopatcher import SpatialPatcher, SpatialRectangular, SpatialRegularStride
    >>> from sklearn.model_selection import KFold
    >>> patcher = SpatialPatcher(SpatialRectangular(64), SpatialRegularStride(32))
    >>> from georeader.geotensor import GeoTensor
    >>> from rasterio import Affine
    >>> scene = GeoTensor(np.ones((1, 512, 512)), Affine(10, 0, 0, 0, -10, 0), "EPSG:32632")
    >>> list(CheckedFolds(KFold(5, shuffle=True, random_state=0)).split(patcher.stream(scene)))
    Traceback (most recent call last):
    geotoolz.assess.folds.LeakError: training chips cover 97 % of the pixels of the test chips ...
    """

    splitter: Any
    buffer: float = 0.0

    def __post_init__(self) -> None:
        checked_number(self.buffer, "buffer", 0)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X, y, groups
            As in `split`.

        Returns
        -------
        Those of the splitter.
        """
        return int(self.splitter.get_n_splits(X, y, groups))

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Split]:
        """Yield the splitter's splits, all of them checked before the first.

        Parameters
        ----------
        X
            Chips, shapes or places of points, unless `groups` has them.
        y, groups
            Given to the splitter. Groups that are coordinates (N, 2), or shapes, are the places.

        Yields
        ------
        train, test
            Positions.

        Raises
        ------
        LeakError
            Naming the share of the test pixels that training chips cover.
        """
        _check_length(X, groups, "groups")
        in_groups = hasattr(groups, "geometry") or getattr(groups, "ndim", 1) == 2
        boxes = boxes_of(groups if in_groups else X)
        unseen = in_groups and not isinstance(self.splitter, PlaceTimeFolds)
        splits = list(self.splitter.split(boxes, y, None if unseen else groups))
        for number, (train, test) in enumerate(splits):
            check_split(boxes, train, test, self.buffer, f"split {number}")
        yield from splits


def check_split(
    places: Any, train: Any, test: Any, buffer: float = 0.0, name: str = "this split"
) -> None:
    """Raise `LeakError` when training and test chips share pixels, or a rim around them.

    Parameters
    ----------
    places
        Chips as a `PatchStream` or a list of patches, a GeoDataFrame, or (N, 4) boxes.
    train, test
        Positions of both.
    buffer
        Width of the rim, in the unit of the places.
    name
        What the message calls the split.

    Raises
    ------
    LeakError
        Naming the share of the test pixels that training chips cover.

    Examples
    --------
    >>> chips = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 0, 30, 10]])
    >>> check_split(chips, [0, 1], [2])
    >>> check_split(chips, [0, 2], [1])
    Traceback (most recent call last):
    geotoolz.assess.folds.LeakError: training chips cover 50 % of the pixels of the test chips ...
    """
    share = shared_area(boxes_of(places), train, test, buffer)
    if share > 0:
        rim = f", a rim of {buffer} included," if buffer else ""
        said = 100 if share > 0.99 else f"{100 * share:.2g}"
        raise LeakError(
            f"training chips cover{rim} {said} % of the pixels of the test chips of "
            f"{name}; use BlockFolds or BufferedFolds, which keep them apart"
        )


def _check_length(samples: Any, others: Any, name: str) -> None:
    """Refuse places or times of another number than there are samples."""
    counts = [
        each.shape[0] if hasattr(each, "shape") else len(each)
        for each in (samples, others)
        if hasattr(each, "__len__")
    ]
    if len(counts) == 2 and counts[0] != counts[1]:
        raise ValueError(f"{name} must be one for each of {counts[0]} samples, got {counts[1]}")


def _times(times: Any) -> NDArray[Any]:
    """Return times (N,) as datetime64 without a zone, in UTC where they had one, or numbers."""
    import pandas as pd

    found: Any = times if isinstance(times, pd.Series | pd.Index) else np.asarray(times)
    if found.ndim == 1:
        column: Any = pd.Series(found).infer_objects()
        if isinstance(column.dtype, pd.PeriodDtype):
            column = column.dt.to_timestamp()
        elif column.dtype == object or isinstance(column.dtype, pd.StringDtype):
            column = pd.to_datetime(column, utc=True)
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            column = column.dt.tz_convert(None)
        found = column.to_numpy()
    if found.ndim != 1 or found.dtype.kind not in "iufM":
        raise ValueError(f"times must be (N,) dates or numbers, got {found.dtype} of {found.shape}")
    missing = np.isnat(found) if found.dtype.kind == "M" else np.isnan(found)
    if missing.any():
        raise ValueError("times must all be known; drop rows without one first")
    # Small or unsigned numbers would wrap around when a gap is taken off.
    taken: NDArray[Any] = found.astype(np.int64) if found.dtype.kind in "iu" else found
    return taken
