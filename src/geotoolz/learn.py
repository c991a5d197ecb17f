"""scikit-learn estimators over pixels: the bands are the features, each valid pixel a sample."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geotoolz.bands import band_axis
from geotoolz.carrier import (
    NAN,
    Mask,
    Raster,
    Values,
    check_place,
    fill_of,
    place_of,
    rewrap,
    values_of,
)
from pipekit.operator import Operator, checked_count, checked_option
from pipekit.pixels import GUIDE, Role, equal_mask, invalid_mask


def pixel_table(
    raster: Raster, axis: int = 0, chosen: Sequence[int] | None = None
) -> tuple[Values, Mask]:
    """Return the features (N, C) of the valid pixels, and which pixels (H, W) these are.

    A pixel is valid when no band of it is nodata.

    Parameters
    ----------
    raster
        (C, H, W), any numeric dtype.
    axis
        Of the bands in the raster.
    chosen
        Positions of the bands to take; by default all.

    Returns
    -------
    Features (N, C) of the valid pixels, and which are valid, (H, W) bool.

    Examples
    --------
    >>> features, valid = pixel_table(np.array([[[1.0, np.nan]], [[3.0, 4.0]]]))
    >>> features, valid
    (array([[1., 3.]]), array([[ True, False]]))
    """
    values = values_of(raster)
    bands = np.moveaxis(values, band_axis(values, axis), 0)
    bands = bands if chosen is None else bands[list(chosen)]
    invalid = invalid_mask(bands, fill_of(raster))
    valid = np.ones(bands.shape[1:], bool) if invalid is None else ~np.any(invalid, axis=0)
    return bands[:, valid].T, valid


def fit_pixels(
    estimator: Any,
    rasters: Raster | Sequence[Raster],
    labels: Raster | Sequence[Raster],
    *,
    ignore_label: int | None = -1,
    per_class: int | None = None,
    seed: int | None = 0,
    axis: int = 0,
) -> Any:
    """Fit an estimator on the valid pixels of labelled rasters, and return it.

    Parameters
    ----------
    estimator
        With scikit-learn's `fit(X, y)`.
    rasters, labels
        One raster (C, H, W) and its labels (H, W) on the same pixels, or as many of each.
    ignore_label
        Pixels with this label, or with what the labels declare as nodata, are left out. What
        `rasterize` burns around its shapes is nodata, 0: where it is a class of its own, set the
        labels' `fill_value_default` to None.
    per_class
        At most so many pixels of each label, drawn with `seed`; all by default.
    seed
        Of the draw of `per_class`; None draws anew each time.
    axis
        Of the bands in the raster.

    Returns
    -------
    The estimator, fitted.

    Raises
    ------
    ValueError
        For shapes that don't fit or when no pixel is left.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> chip = np.array([[[0.1, 0.9]], [[0.2, 0.8]]])
    >>> tree = fit_pixels(DecisionTreeClassifier(random_state=0), chip, np.array([[0, 1]]))
    >>> SklearnOp(tree)(chip)
    array([[0, 1]])
    """
    many_rasters = [rasters] if isinstance(rasters, np.ndarray) else list(rasters)
    many_labels = [labels] if isinstance(labels, np.ndarray) else list(labels)
    if len(many_rasters) != len(many_labels):
        raise ValueError(f"got {len(many_rasters)} rasters but {len(many_labels)} label rasters")
    both = zip(many_rasters, many_labels, strict=True)
    pairs = [_samples(raster, label, ignore_label, axis) for raster, label in both]
    if not any(len(truth) for _, truth in pairs):
        raise ValueError("no pixel is both valid and labelled, so there is nothing to fit")
    x, y = (np.concatenate(columns) for columns in zip(*pairs, strict=True))
    if (y == y[0]).all():
        marked = (equal_mask(values_of(label), fill_of(label)) for label in many_labels)
        if any(mask is not None and mask.any() for mask in marked):
            warnings.warn(
                f"all labels but nodata, which is left out, are {y[0]}; where nodata is a class of "
                "its own, set the labels' fill_value_default to None",
                stacklevel=2,
            )
    if per_class is not None:
        chosen = _balanced(y, per_class, seed)
        x, y = x[chosen], y[chosen]
    return estimator.fit(x, y)


def predict_pixels(
    estimator: Any, raster: Raster, method: str = "predict", nodata: int = -1, axis: int = 0
) -> Raster:
    """Return what a fitted estimator says about each pixel.

    Parameters
    ----------
    estimator
        A fitted one, of scikit-learn's kind.
    raster
        (C, H, W), bands as in fitting.
    method
        Of the estimator, such as "predict", "predict_proba", "transform".
    nodata
        For integer results where a pixel has no data; NaN in floats.
    axis
        Of the bands in the raster.

    Returns
    -------
    (H, W) for one number a pixel, (K, H, W) for K of them. `attrs["band_roles"]` says "class" for
    whole numbers and a classifier's labels, "mask" for truth values.

    Raises
    ------
    TypeError
        When the estimator predicts no numbers.
    ValueError
        When it predicts the number that marks nodata.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> model = DummyRegressor(strategy="constant", constant=2.5).fit([[0, 0]], [2.5])
    >>> predict_pixels(model, np.array([[[1.0, np.nan]], [[3.0, 4.0]]]))
    array([[2.5, nan]])
    """
    features, valid = pixel_table(raster, axis)
    predicted = _predict(estimator, method, features)
    kind = predicted.dtype
    if kind.kind not in "iufb":
        raise TypeError(
            f"{method} gave {kind.name}, which is no raster; fit on integer labels instead"
        )
    fill: float | int = NAN
    if kind.kind != "f":
        fill = nodata
        # Also without a pixel of nodata, so that all chips of a scene have one dtype.
        kind = np.result_type(kind, np.min_scalar_type(nodata))
        if kind.kind == "f" and isinstance(nodata, int):  # floats would change large uint64 labels
            kind = np.dtype(np.int64)
        if equal_mask(predicted, nodata) is not None:
            raise ValueError(
                f"{method} gave {nodata}, which marks nodata; give another nodata=; {GUIDE}"
            )
    out = np.full((*valid.shape, *predicted.shape[1:]), fill, kind)
    out[valid] = predicted
    if out.ndim > valid.ndim:
        out = np.ascontiguousarray(np.moveaxis(out, -1, 0))
    attrs = {"long_name": f"{type(estimator).__name__}.{method}", "units": ""}
    role = _role(estimator, method, predicted)
    if role is not None:
        attrs["band_roles"] = role
    return rewrap(raster, out, fill=fill, attrs=attrs, drop=("band_names",))


def _role(estimator: Any, method: str, predicted: Values) -> Role | None:
    """Return what an estimator's numbers are where they are no quantities."""
    if predicted.dtype == np.bool_:
        return "mask"
    names = method == "predict" and hasattr(estimator, "classes_")
    return "class" if names or predicted.dtype.kind in "iu" else None


def _predict(estimator: Any, method: str, features: Values) -> Values:
    # Without a single valid pixel, one of zeros tells the result's dtype and number of columns.
    some = features if len(features) else np.zeros((1, features.shape[1]), features.dtype)
    return np.asarray(getattr(estimator, method)(some))[: len(features)]


def _samples(
    raster: Raster, label: Raster, ignore_label: int | None, axis: int
) -> tuple[Values, Values]:
    features, valid = pixel_table(raster, axis)
    truth = values_of(label)
    if truth.shape != valid.shape:
        raise ValueError(f"labels of shape {truth.shape} don't fit pixels of {valid.shape}")
    check_place(raster, place_of(label), "the labels lie on another grid than the raster")
    truth = truth[valid]
    used = np.ones(len(truth), bool) if ignore_label is None else truth != ignore_label
    unknown = invalid_mask(truth, fill_of(label))
    if unknown is not None:
        used &= ~unknown
    return features[used], truth[used]


def _balanced(labels: Values, per_class: int, seed: int | None) -> NDArray[np.intp]:
    if per_class < 1:
        raise ValueError(f"per_class must be at least 1, got {per_class}")
    rng = np.random.default_rng(seed)
    picks = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        few = len(members) <= per_class
        picks.append(members if few else rng.choice(members, per_class, replace=False))
    return np.sort(np.concatenate(picks))


@dataclass(repr=False, eq=False)
class SklearnOp(Operator):
    """A fitted estimator as an operator.

    It pickles, but is not written into a config: an estimator is fitted, not configured.

    Parameters
    ----------
    mode
        "pixel": (C, H, W) in, (H, W) or (K, H, W) out, as `predict_pixels`. "chip": a batch (N, C,
        H, W) in, one row (N, ...) out, each chip's values being its features.
    method
        Of the estimator.
    nodata
        For integer results where a pixel has no data. With -1 it casts no vote in
        `SpatialHardVote`; another one is named there, as `SpatialHardVote(n, ignore=...)`. With NaN
        labels become floats.
    estimator
        A fitted one, of scikit-learn's kind.
    axis
        Of the bands in the raster.

    Raises
    ------
    TypeError
        For a method that the estimator lacks.
    ValueError
        When it is called in mode "chip", for what is no batch (N, C, H, W).

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> model = DummyClassifier(strategy="constant", constant=1).fit([[0, 0], [1, 1]], [0, 1])
    >>> SklearnOp(model)(np.ones((2, 1, 3)))
    array([[1, 1, 1]])
    """

    forbid_in_yaml = True

    estimator: Any
    mode: str = "pixel"
    method: str = "predict"
    nodata: int = -1
    axis: int = 0

    def __post_init__(self) -> None:
        checked_option(self.mode, "mode", ("pixel", "chip"))
        if not callable(getattr(self.estimator, self.method, None)):
            raise TypeError(f"{type(self.estimator).__name__} has no method {self.method!r}")

    @property
    def radius(self) -> int | None:
        """0 in mode "pixel", where each is predicted by itself; a method that fits looks at all."""
        return 0 if self.mode == "pixel" and not self.method.startswith("fit") else None

    def _apply(self, raster: Raster) -> Any:
        if self.mode == "pixel":
            return predict_pixels(self.estimator, raster, self.method, self.nodata, self.axis)
        values = values_of(raster)
        if values.ndim != 4:
            raise ValueError(f"mode 'chip' takes a batch (N, C, H, W), got shape {values.shape}")
        return _predict(self.estimator, self.method, values.reshape(len(values), -1))


MODES = ("top", "bottom", "weighted")
"""Largest scores, smallest scores, or a draw with probability in proportion to the score."""


class Picks(Sequence[Any]):
    """What an `ActiveSampler` chose: items in order of choice, with `scores` and `indices`.

    `all_scores` are those of every candidate, for a histogram or a map.

    Examples
    --------
    >>> picks = Picks(["b"], [1], np.array([0.1, 0.9]))
    >>> picks[0], picks.scores.tolist(), len(picks)
    ('b', [0.9], 1)
    """

    def __init__(self, items: list[Any], indices: list[int], all_scores: np.ndarray) -> None:
        self.items = items
        self.indices = indices
        self.all_scores = all_scores

    @property
    def scores(self) -> np.ndarray:
        """(k,) scores of the chosen items."""
        return self.all_scores[self.indices]

    @property
    def anchors(self) -> list[Any]:
        """Anchors of chosen patches, for `SpatialExplicit`."""
        return [item.anchor for item in self.items]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __repr__(self) -> str:
        return f"Picks({len(self)} of {len(self.all_scores)}, scores {self.scores.round(3)})"


@dataclass(repr=False, eq=False)
class ActiveSampler(Operator):
    """Field (or nothing) -> the `k` candidates that `score_op` finds most worth a label.

    Candidates are read one at a time, and only the chosen ones are kept (read again).

    Parameters
    ----------
    base
        Where candidates come from: a `SpatialPatcher`, whose patches of the input are scored by
        their `data`; or any sequence or catalog, whose members are scored themselves. With None the
        input is the sequence.
    score_op
        Candidate -> score; an array is averaged over what is not NaN. Candidates with a NaN score
        are never chosen.
    mode
        "top", "bottom", or "weighted": a draw without replacement in proportion to the score, which
        with `seed` is always the same; a score of 0 is never drawn.
    k
        How many to choose at most.
    seed
        Of the weighted draw; None draws anew each time.

    Examples
    --------
    >>> ActiveSampler([4.0, 9.0, 7.0], score_op=lambda x: x, k=2)().items
    [9.0, 7.0]
    """

    base: Any
    score_op: Callable[[Any], Any]
    k: int
    mode: str = "top"
    seed: int | None = None

    def __post_init__(self) -> None:
        checked_count(self.k, "k")
        checked_option(self.mode, "mode", MODES)

    def _apply(self, field: Any = None) -> Picks:
        candidates = _candidates(self.base, field)
        scores = np.array([_score(self.score_op, each) for each in candidates])
        chosen = _choose(scores, self.k, self.mode, self.seed)
        return Picks([candidates[index] for index in chosen], chosen, scores)


def _candidates(base: Any, field: Any) -> Sequence[Any]:
    from geocatalog import GeoCatalog
    from geopatcher.patcher import SpatialPatcher

    if isinstance(base, SpatialPatcher):
        if field is None:
            raise ValueError("an ActiveSampler over a patcher takes the Field to sample")
        return base.stream(field)
    source = field if base is None else base
    if isinstance(source, GeoCatalog):
        return list(source.iter_rows())
    if not isinstance(source, Sequence | np.ndarray):
        raise TypeError(
            "ActiveSampler chooses from a patcher's patches, a sequence or a catalog, "
            f"got {type(source).__name__}"
        )
    return source  # type: ignore[return-value]


def _score(score_op: Callable[[Any], Any], candidate: Any) -> float:
    from geopatcher.patch import Patch

    value = candidate.data if isinstance(candidate, Patch) else candidate
    score = np.asarray(score_op(value), dtype=float)
    known = score[~np.isnan(score)]
    return float(known.mean()) if known.size else np.nan


def _choose(scores: np.ndarray, k: int, mode: str, seed: int | None) -> list[int]:
    known = np.flatnonzero(~np.isnan(scores))
    if mode != "weighted":
        ranked = scores[known] if mode == "bottom" else -scores[known]
        return known[np.argsort(ranked, kind="stable")[:k]].tolist()
    weights = scores[known]
    wrong = weights[~np.isfinite(weights) | (weights < 0)]
    if wrong.size:
        raise ValueError(f"mode='weighted' needs finite scores of at least 0, got {wrong[0]:g}")
    positive = known[weights > 0]
    if not positive.size:
        return []
    share = scores[positive] / scores[positive].sum()
    size = min(k, len(positive))
    return np.random.default_rng(seed).choice(positive, size, replace=False, p=share).tolist()
