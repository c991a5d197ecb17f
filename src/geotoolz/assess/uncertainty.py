"""How sure a model is, pixel by pixel, and whether it is right as often as it is sure.

A confident model is not a right one away from home. Margins, entropies and conformal sets are made
of what a model learned at one place; where light, season or land cover differ, it errs and stays
sure. Calibration holds, and sets cover the truth, for pixels like those they were made with. Judge
a model on samples of the very map that it made (`geotoolz.assess.sample_design`).

Sources: Guo, C. et al. (2017), On calibration of modern neural networks, ICML; Sadinle, M., Lei, J.
and Wasserman, L. (2019), Least ambiguous set-valued classifiers with bounded error levels, Journal
of the American Statistical Association 114, 223-234; Vovk, V., Gammerman, A. and Shafer, G. (2005),
Algorithmic Learning in a Random World, Springer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geotoolz.bands import band_axis
from geotoolz.carrier import NAN, Raster, Values, fill_of, nan_floats, rewrap, values_of
from geotoolz.function_operator import PerPixel, parameters_of
from pipekit.operator import checked_count, checked_number


def margin(probabilities: Raster, axis: int = 0) -> Raster:
    """Return by how much the best class beats the second best.

    Parameters
    ----------
    probabilities
        (K, H, W) of K classes, 0 to 1.
    axis
        Of the classes.

    Returns
    -------
    (H, W) float32: 1 is certain, 0 is a coin toss; NaN where a probability is missing.

    Raises
    ------
    ValueError
        For fewer than two classes, or numbers outside 0 to 1.

    Examples
    --------
    >>> margin(np.array([[[0.75]], [[0.125]], [[0.125]]]))
    array([[0.625]], dtype=float32)
    """
    bands = _bands(probabilities, axis)
    second, best = np.partition(bands, -2, axis=0)[-2:]
    # NaN is sorted last, so that it would spoil the best alone.
    return _one_band(probabilities, best - second + 0 * bands.sum(axis=0), "margin")


def entropy(probabilities: Raster, axis: int = 0) -> Raster:
    """Return the entropy of each pixel's probabilities, as a share of the largest possible one.

    Parameters
    ----------
    probabilities
        (K, H, W) of K classes, 0 to 1.
    axis
        Of the classes.

    Returns
    -------
    (H, W) float32: 0 is certain, 1 says that all classes are equally likely; NaN where a
    probability is missing.

    Raises
    ------
    ValueError
        For fewer than two classes, or numbers outside 0 to 1.

    Examples
    --------
    >>> entropy(np.array([[[0.5, 1.0]], [[0.5, 0.0]]]))
    array([[1., 0.]], dtype=float32)
    """
    bands = _bands(probabilities, axis)
    logs = np.log(bands, out=np.zeros_like(bands), where=~(bands <= 0))
    total = np.abs(np.sum(bands * logs, axis=0))
    return _one_band(probabilities, total / math.log(len(bands)), "entropy")


def sets_above(probabilities: Raster, threshold: float, axis: int = 0) -> Raster:
    """Return which classes each pixel's set holds: those whose probability reaches a threshold.

    Parameters
    ----------
    probabilities
        (K, H, W) of K classes, 0 to 1.
    threshold
        As from `conformal_threshold`.
    axis
        Of the classes.

    Returns
    -------
    (K, H, W) bool; no class where a probability is missing.

    Examples
    --------
    >>> sets_above(np.array([[[0.6, 0.9]], [[0.4, 0.1]]]), 0.3).astype(int).tolist()
    [[[1, 1]], [[1, 0]]]
    """
    bands = _bands(probabilities, axis)
    known = ~np.isnan(bands).any(axis=0)
    held = np.moveaxis((bands >= np.float32(threshold)) & known, 0, axis)
    return rewrap(probabilities, held, fill=None, attrs={"long_name": "conformal set"})


class Margin(PerPixel):
    """Probabilities in, how clearly the best class leads out: `margin` as an operator.

    Examples
    --------
    >>> Margin()(np.array([[[0.75]], [[0.25]]]))
    array([[0.5]], dtype=float32)
    """

    @parameters_of(margin)
    def __init__(self) -> None: ...


class Entropy(PerPixel):
    """Probabilities in, how undecided they are out: `entropy` as an operator.

    Examples
    --------
    >>> Entropy()(np.array([[[0.5]], [[0.5]]]))
    array([[1.]], dtype=float32)
    """

    @parameters_of(entropy)
    def __init__(self) -> None: ...


class ConformalSets(PerPixel):
    """Probabilities in, sets of classes out: `sets_above` as an operator.

    Raises
    ------
    ValueError
        For a threshold that is no probability.

    Examples
    --------
    >>> calibration = np.array([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6]])
    >>> sets = ConformalSets(conformal_threshold(calibration, [0, 0, 1], level=0.5))
    >>> sets(np.array([[[0.75]], [[0.25]]])).ravel()
    array([ True, False])
    """

    @parameters_of(sets_above)
    def __init__(self) -> None:
        checked_number(self.threshold, "threshold", 0, 1, unit=", a probability")


def conformal_threshold(probabilities: ArrayLike, truth: ArrayLike, level: float = 0.9) -> float:
    """Return the probability from which on a class belongs into a pixel's set.

    Split conformal prediction with the least ambiguous sets (Sadinle et al., 2019): sets made with
    it hold the truth with a probability of at least `level`, on average over pixels like the ones
    given here, whatever the model.

    Parameters
    ----------
    probabilities
        (N, K) table or (K, H, W) raster of pixels that the model was not trained on.
    truth
        (N,) or (H, W): the position of the true class, 0 to K - 1. Not known where it is negative,
        masked, or the raster's nodata unless that is a position, as 0 is.
    level
        0.9 for 90 %.

    Returns
    -------
    0 to 1; 0, which puts every class into every set, where there are too few pixels for the level.

    Raises
    ------
    ValueError
        For shapes that don't fit, a level outside 0 to 1, or no pixel with a truth.

    Examples
    --------
    >>> calibration = np.array([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6]])
    >>> conformal_threshold(calibration, [0, 0, 1], level=0.5)
    0.7
    """
    checked_number(level, "level", 0, 1, inside=True)
    table, labels = _known(probabilities, truth)
    said = np.sort(table[np.arange(len(labels)), labels])
    # The rank from above that leaves (N + 1) (1 - level) of the given pixels below, rounded down.
    below = math.floor((len(said) + 1) * (1 - level) + 1e-9)
    return min(max(float(said[below - 1]), 0.0), 1.0) if below else 0.0


def conformal_sets(
    calibration: ArrayLike, truth: ArrayLike, probabilities: Raster, level: float = 0.9
) -> Raster:
    """Return sets of classes that hold the truth with a probability of at least `level`.

    That holds on average over pixels like those of the calibration: not for each class by itself,
    and not at another place or time. Pixels beside each other are no independent pixels; take the
    calibration from blocks that neither trained the model nor are to be mapped.

    Parameters
    ----------
    calibration
        (N, K) table or (K, H, W) raster of probabilities, of pixels that the model was not trained
        on.
    truth
        (N,) or (H, W): their true classes, as in `conformal_threshold`.
    probabilities
        Of the pixels that want a set, in either form.
    level
        0.9 for 90 %.

    Returns
    -------
    Booleans of the shape of `probabilities`. A set may be empty, where nothing is likely enough.

    Raises
    ------
    ValueError
        As `conformal_threshold`.

    Examples
    --------
    >>> calibration = np.array([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6]])
    >>> conformal_sets(calibration, [0, 0, 1], np.array([[0.8, 0.2], [0.5, 0.5]]), level=0.7)
    array([[ True, False],
           [False, False]])
    """
    threshold = conformal_threshold(calibration, truth, level)
    if np.ndim(probabilities) != 2:
        return sets_above(probabilities, threshold)
    return sets_above(np.asanyarray(probabilities).T[:, :, None], threshold)[:, :, 0].T


@dataclass(frozen=True)
class Calibration:
    """How often a model is right by how sure it is.

    Parameters
    ----------
    confidence
        (B,) mean probability of the class that it chose, by bins of it.
    accuracy
        (B,) share of these pixels where that class is the true one.
    count
        (B,) pixels.

    Examples
    --------
    >>> calibration = Calibration(np.array([0.6, 0.9]), np.array([0.5, 0.9]), np.array([10, 30]))
    >>> round(calibration.error, 3)
    0.025
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    count: NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of both over the pixels (Guo et al., 2017)."""
        away = np.abs(self.confidence - self.accuracy)
        return float(np.sum(self.count * away) / self.count.sum())


def calibration_curve(probabilities: ArrayLike, truth: ArrayLike, bins: int = 10) -> Calibration:
    """Compare how sure a model is with how often it is right.

    Parameters
    ----------
    probabilities
        (N, K) table or (K, H, W) raster.
    truth
        (N,) or (H, W): the position of the true class, 0 to K - 1. Not known where it is negative,
        masked, or the raster's nodata unless that is a position, as 0 is.
    bins
        Of equal width, 0 to 1; those without pixels are left out.

    Returns
    -------
    A `Calibration`: on the diagonal the model is right as often as it says.

    Raises
    ------
    ValueError
        For shapes that don't fit, or no pixel with a truth.

    Examples
    --------
    >>> sure = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.4, 0.6]])
    >>> curve = calibration_curve(sure, [0, 1, 1, 1], bins=2)
    >>> curve.confidence, curve.accuracy, curve.count
    (array([0.8]), array([0.75]), array([4]))
    """
    table, labels = _known(probabilities, truth)
    chosen = table.argmax(axis=1)
    sure, right = table[np.arange(len(labels)), chosen], chosen == labels
    edges = np.linspace(0, 1, checked_count(bins, "bins") + 1)
    place = np.searchsorted(edges[1:-1], sure)
    count = np.bincount(place, minlength=bins)
    held = count > 0
    sums = [np.bincount(place, weights, bins)[held] / count[held] for weights in (sure, right)]
    return Calibration(sums[0], sums[1], count[held])


def _known(
    probabilities: ArrayLike, truth: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return probabilities (N, K) and positions of true classes (N,) where both are known."""
    raster, mark = np.asanyarray(probabilities), np.asanyarray(truth)
    given, labels = values_of(raster), values_of(mark)
    pixels = given.shape[:1] if given.ndim == 2 else given.shape[1:]
    turned = len(pixels) == 2 and labels.ndim > 1 and labels.shape[-2:] != pixels
    if given.ndim not in (2, 3) or labels.size != math.prod(pixels) or turned:
        raise ValueError(
            f"probabilities must be (N, K) or (K, H, W) with a truth of (N,) or (H, W), got "
            f"{given.shape} and {labels.shape}"
        )
    floats = _checked(nan_floats(given, fill_of(raster), np.float64))
    table = floats if floats.ndim == 2 else np.moveaxis(floats, 0, -1).reshape(-1, len(floats))
    unknown = ~(labels >= 0) | np.ma.getmaskarray(mark)
    nodata = None if np.ma.isMaskedArray(mark) else fill_of(mark)
    if nodata is not None and not 0 <= nodata < table.shape[1]:  # else it is a class's position
        unknown |= labels == nodata
    used = ~np.isnan(table).any(axis=1) & ~unknown.ravel()
    table, labels = table[used], labels.ravel()[used]
    if not len(labels):
        raise ValueError("no pixel has both probabilities and a truth")
    odd = labels[labels != np.floor(labels)]
    if len(odd):
        raise ValueError(f"truth must be whole numbers, the positions of classes, got {odd[0]}")
    labels = labels.astype(np.intp)
    if labels.max() >= table.shape[1]:
        raise ValueError(
            f"truth must be positions of classes, 0 to {table.shape[1] - 1}, got {labels.max()}; "
            "np.searchsorted(model.classes_, labels) gives them"
        )
    return table, labels


def _bands(probabilities: Raster, axis: int) -> Values:
    """Return probabilities with the classes first, float32, missing ones as NaN."""
    values = values_of(probabilities)
    bands = np.moveaxis(values, band_axis(values, axis), 0)
    if len(bands) < 2:
        raise ValueError(f"probabilities of at least two classes are needed, got {len(bands)}")
    return _checked(nan_floats(bands, fill_of(probabilities)))


def _checked(floats: Values) -> Values:
    """Return probabilities that are some."""
    flat = floats.reshape(-1)
    low, high = np.fmin.reduce(flat, initial=0.5), np.fmax.reduce(flat, initial=0.5)
    if low < -1e-4 or high > 1 + 1e-4:
        raise ValueError(
            f"probabilities must lie between 0 and 1, got {low:g} to {high:g}; logits go through a "
            "softmax first"
        )
    return floats


def _one_band(raster: Raster, values: Values, name: str) -> Raster:
    attrs = {"long_name": name, "units": ""}
    return rewrap(raster, values.astype(np.float32), fill=NAN, attrs=attrs, drop=("band_names",))
