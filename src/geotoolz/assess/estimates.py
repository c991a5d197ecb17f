"""How right a map is and how much of each class there is, with standard errors and intervals.

An area counted from a map's pixels is wrong by as much as the map errs one way more than the other.
A sample of pixels whose true class was looked up gives an estimate without that bias, and says how
far it may be off. Every figure here is a ratio of two totals that the sample estimates (a total
area is one over all pixels), so one formula gives all standard errors: the one of Stehman (2014),
which is that of Olofsson et al. (2014) where the strata are the map's classes.

What a sample cannot tell is NaN, and `reasons` say why.

Sources: Olofsson, P. et al. (2014), Good practices for estimating area and assessing accuracy of
land change, Remote Sensing of Environment 148, 42-57; Stehman, S. V. (2014), Estimating area and
map accuracy for stratified random sampling when the strata are different from the map classes,
International Journal of Remote Sensing 35, 4923-4939; Cochran, W. G. (1977), Sampling Techniques.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from geotoolz.assess.confusion_matrix import Confusion, check_classes
from geotoolz.assess.intervals import Estimate, Floats
from geotoolz.assess.sample_checks import check_pixel_area, check_samples, with_left_out


@dataclass(frozen=True)
class Units:
    """What was drawn and looked at: profiles of units, how many there are of each, and where from.

    Parameters
    ----------
    profiles
        (P, K * K): how many pixels of each (mapped, true) pair a unit has; a pixel has one.
    many
        (P,) how often this profile was drawn.
    strata
        (P,) numbers of the strata they were drawn from.
    sizes
        (H,) pixels, or area, of each stratum.
    sampled_share
        (H,) of each stratum's units that were drawn; 0 where the stratum is taken for endless.
    names
        (H,) of the strata.

    Examples
    --------
    Ten pixels of 100, of which nine are right:

    >>> cells = np.eye(4)[[0, 1, 3]]
    >>> many, stratum = np.array([4.0, 1, 5]), np.zeros(3, int)
    >>> units = Units(cells, many, stratum, np.array([100.0]), np.zeros(1), ["all"])
    >>> units.ratio(np.array([1.0, 0, 0, 1]), np.ones(4), [0])
    (0.9, 0.1, '')
    """

    profiles: Floats
    many: NDArray[Any]
    strata: NDArray[np.intp]
    sizes: Floats
    sampled_share: Floats
    names: Sequence[Any]

    @cached_property
    def drawn(self) -> Floats:
        """(H,) units drawn from each stratum."""
        drawn = np.bincount(self.strata, self.many, minlength=len(self.sizes))
        return drawn.astype(np.float64)

    @cached_property
    def expansion(self) -> Floats:
        """(P,) how much of the map one unit of this profile stands for, per pixel of it."""
        pixels = np.bincount(
            self.strata, self.many * self.profiles.sum(axis=1), minlength=len(self.sizes)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            return (self.sizes / pixels)[self.strata]

    def total(self, y: Floats) -> float:
        """Return the estimated total of what a pixel of each (mapped, true) pair has `y` of.

        Parameters
        ----------
        y
            (K * K,).

        Returns
        -------
        In the unit of the strata's sizes.
        """
        return float(np.sum(self.many * self.expansion * (self.profiles @ y)))

    def ratio(self, y: Floats, x: Floats, needed: Sequence[int]) -> tuple[float, float, str]:
        """Return a ratio of two totals, its standard error, and why it is NaN.

        Parameters
        ----------
        y, x
            (K * K,) what a pixel of each (mapped, true) pair has of both.
        needed
            Strata that may hold any of it; one of them without a sample leaves it unknown.

        Returns
        -------
        value, standard error
            NaN where they cannot be told.
        reason
            "" where both are known.
        """
        empty = [h for h in needed if self.drawn[h] == 0 and self.sizes[h] > 0]
        if empty:
            share = self.sizes[empty].sum() / self.sizes.sum()
            names = ", ".join(str(self.names[h]) for h in empty)
            return math.nan, math.nan, f"no sample in stratum {names} ({share:.1%} of the area)"
        whole = self.total(x)
        if not whole > 0:
            return math.nan, math.nan, ""
        value = self.total(y) / whole
        # Totals of what is left of y when the ratio is taken for true (Cochran, equation 6.4).
        rest = self.expansion * (self.profiles @ (y - value * x))
        variance, single = 0.0, []
        for h in needed:
            n, open_share = self.drawn[h], 1 - self.sampled_share[h]
            if n == 0 or open_share <= 0:
                continue
            if n < 2:
                single.append(str(self.names[h]))
                continue
            here = self.strata == h
            many, values, pixels = self.many[here], rest[here], self.profiles[here].sum(axis=1)
            # A stratum's total is its mean pixel times its size: larger clusters have more of it.
            mean = np.sum(many * values) / np.sum(many * pixels)
            apart = np.sum(many * (values - mean * pixels) ** 2)
            variance += open_share * n / (n - 1) * float(apart)
        if single:
            return value, math.nan, f"a single sample in stratum {', '.join(single)}"
        return value, math.sqrt(variance) / whole, ""

    @cached_property
    def degrees(self) -> float:
        """Degrees of freedom of a standard error: of clusters few, of pixels taken for endless."""
        if np.all(self.profiles.sum(axis=1) == 1):
            return math.inf
        return max(float(self.drawn.sum() - np.count_nonzero(self.drawn)), 1.0)

    def looked_at(self, x: Floats) -> Any:
        """Return how many units have any of what `x` marks.

        Parameters
        ----------
        x
            (..., K * K).

        Returns
        -------
        (...), pixels or clusters.
        """
        return ((self.profiles @ np.moveaxis(x, -1, 0)).T > 0) @ self.many

    def parts(self, y: Floats) -> tuple[Floats, Floats, Floats] | None:
        """Return what `Estimate.parts` holds, of the share of the area that `y` marks.

        Parameters
        ----------
        y
            (..., K * K) zeros and ones.

        Returns
        -------
        None where units are clusters, or a stratum has no sample.
        """
        if np.any(self.profiles.sum(axis=1) != 1) or np.any(self.drawn[self.sizes > 0] == 0):
            return None
        held = self.sizes > 0
        seen = self.profiles * self.many[:, None]
        sums = [seen[self.strata == h].sum(axis=0) for h in np.flatnonzero(held)]
        hits = np.stack([np.tensordot(y, each, 1) for each in sums], axis=-1)
        drawn = self.drawn[held]
        with np.errstate(divide="ignore"):
            # Those of a stratum that was looked at whole leave nothing open.
            counts = drawn / np.clip(1 - self.sampled_share[held], 0, None)
        return self.sizes[held] / self.sizes.sum(), hits / drawn, counts


@dataclass(frozen=True)
class AreaEstimate:
    """How right a map is and how much of each class there is.

    Made by `area_estimate` and `estimate_samples`.

    Parameters
    ----------
    units
        The sample.
    counts
        (K, K): samples by mapped class (rows) and true class (columns).
    classes
        (K,) labels.
    strata_of_map
        (K,) the stratum that each mapped class lies in where the strata are the map's classes, None
        for a class that is never mapped; None for all where a mapped class may lie in any stratum.
    """

    units: Units = field(repr=False)
    counts: NDArray[np.int64]
    classes: Sequence[Any]
    strata_of_map: Sequence[int | None] | None = field(default=None, repr=False)

    @cached_property
    def total_area(self) -> float:
        """The whole area, in the unit of the strata's sizes."""
        return float(self.units.sizes.sum())

    @cached_property
    def areas(self) -> Estimate:
        """Area of each true class."""
        true = self._true
        found = self._by_class(true, np.ones_like(true), total=self.total_area)
        return replace(found, parts=self.units.parts(true))

    @property
    def area(self) -> Floats:
        """(K,) area of each true class."""
        return self.areas.value

    @property
    def standard_error(self) -> Floats:
        """(K,) standard error of the area of each true class."""
        return self.areas.standard_error

    def interval(self, level: float = 0.95, method: str = "wald") -> tuple[Floats, Floats]:
        """Return the confidence interval of the area of each true class, (low, high).

        Parameters
        ----------
        level
            0.95 for 95 %.
        method
            As in `Estimate.interval`.

        Returns
        -------
        (K,) and (K,), in the unit of the area.

        Examples
        --------
        >>> estimate = area_estimate([[90, 10], [5, 95]], [300, 700])
        >>> np.round(np.transpose(estimate.interval()), 1).tolist()
        [[270.1, 339.9], [660.1, 729.9]]
        """
        return self.areas.interval(level, method)

    @cached_property
    def overall(self) -> Estimate:
        """Share of the area that is mapped right."""
        right = np.eye(len(self.classes))
        value, error, reason = self.units.ratio(
            right.ravel(), np.ones(right.size), range(len(self.units.sizes))
        )
        reasons = {"overall": reason} if reason else {}
        parts = self.units.parts(right.ravel())
        looks = float(self.units.looked_at(np.ones(right.size)))
        return Estimate(value, error, looks, 1.0, reasons, parts, self.units.degrees)

    @cached_property
    def users(self) -> Estimate:
        """User's accuracy: which share of what is mapped as a class is that class."""
        nothing = "no sample is mapped as this class"
        return self._by_class(self._right, self._mapped, nothing, of_mapped=True)

    @cached_property
    def producers(self) -> Estimate:
        """Producer's accuracy: which share of a true class is mapped as it."""
        return self._by_class(self._right, self._true, "no sample is of this class in truth")

    @cached_property
    def f1(self) -> Estimate:
        """F1: the harmonic mean of user's and producer's accuracy."""
        nothing = "no sample is of this class, mapped or in truth"
        return self._by_class(2 * self._right, self._mapped + self._true, nothing)

    @cached_property
    def shares(self) -> Floats:
        """(K, K) share of the area by mapped class (rows) and true class (columns); sum 1."""
        every, needed = np.ones(self.counts.size), range(len(self.units.sizes))
        found = [self.units.ratio(cell, every, needed)[0] for cell in np.eye(self.counts.size)]
        return np.reshape(found, self.counts.shape)

    @property
    def reasons(self) -> dict[str, dict[Any, str]]:
        """Why something cannot be told: figure to class to reason; {} when all can."""
        named = {name: getattr(self, name).reasons for name in _FIGURES}
        return {name: dict(why) for name, why in named.items() if why}

    def table(self, level: float = 0.95, method: str = "wald") -> pd.DataFrame:
        """Return all figures by class, each with its interval.

        Parameters
        ----------
        level
            0.95 for 95 %.
        method
            As in `Estimate.interval`.

        Returns
        -------
        A DataFrame over the classes with columns (figure, "value"), (figure, "standard error"),
        (figure, "low") and (figure, "high").

        Examples
        --------
        >>> estimate = area_estimate([[90, 10], [5, 95]], [300, 700], classes=["burnt", "other"])
        >>> estimate.table()["users"].round(3)
               value  standard error    low   high
        burnt   0.90           0.030  0.841  0.959
        other   0.95           0.022  0.907  0.993
        """
        columns = {}
        for name in ("areas", "users", "producers", "f1"):
            figure = getattr(self, name)
            low, high = figure.interval(level, method)
            columns[name, "value"] = figure.value
            columns[name, "standard error"] = figure.standard_error
            columns[name, "low"], columns[name, "high"] = low, high
        return pd.DataFrame(columns, index=pd.Index(self.classes))

    # Of each class (K, K * K) the pairs of mapped and true class that are mapped as it, are it in
    # truth, or both.
    @property
    def _mapped(self) -> Floats:
        return np.repeat(np.eye(len(self.classes)), len(self.classes), axis=1)

    @property
    def _true(self) -> Floats:
        return np.tile(np.eye(len(self.classes)), len(self.classes))

    @property
    def _right(self) -> Floats:
        return self._mapped * self._true

    def _by_class(
        self, y: Floats, x: Floats, nothing: str = "", total: float = 1.0, of_mapped: bool = False
    ) -> Estimate:
        """Return one ratio for each class, each of one mapped class where `of_mapped`."""
        found, reasons = [], {}
        for k, label in enumerate(self.classes):
            needed: Sequence[int] = range(len(self.units.sizes))
            if of_mapped and self.strata_of_map is not None:
                own = self.strata_of_map[k]
                needed = [] if own is None else [own]
            value, error, reason = self.units.ratio(y[k], x[k], needed)
            if math.isnan(value) or math.isnan(error):
                reasons[label] = reason or nothing
            found.append((value * total, error * total))
        values, errors = np.array(found, np.float64).reshape(-1, 2).T
        looks, degrees = self.units.looked_at(x), self.units.degrees
        return Estimate(values, errors, looks, total, reasons, degrees=degrees)


_FIGURES = ("areas", "overall", "users", "producers", "f1")


def area_estimate(
    counts: ArrayLike | Confusion | pd.DataFrame,
    area: ArrayLike | Mapping[Any, float] | pd.Series,
    classes: Sequence[Any] | None = None,
) -> AreaEstimate:
    """Estimate areas and accuracies from a confusion matrix of samples and the mapped areas.

    For samples drawn at random within each mapped class, or of the whole map and then grouped by
    mapped class (post-stratified): equations 1 to 11 of Olofsson et al. (2014).

    Parameters
    ----------
    counts
        (K, K): `counts[i, j]` samples are mapped as class i and are class j in truth. A `Confusion`
        or a table brings its labels, and the columns of a table may have another order.
    area
        (K,) mapped area of class i, in any unit. Not of the sample: of the whole map. A mapping or
        a Series, as from `count_classes`, is taken by label; a class that it lacks is not mapped.
    classes
        (K,) labels; those of `counts`, or 0 to K - 1, by default.

    Returns
    -------
    An `AreaEstimate`: `.area`, `.standard_error` and `.interval()` by true class in the unit of
    `area`; `.overall`, `.users`, `.producers`, `.f1` with `.value`, `.standard_error` and
    `.interval()`; `.shares`; `.reasons` for what is NaN; `.table()`.

    Raises
    ------
    ValueError
        For counts that are no square of whole numbers of at least 0, other areas than rows, or
        labels that repeat or do not fit.

    Examples
    --------
    The example of Olofsson et al. (2014), section 5, areas in hectares:

    >>> counts = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
    >>> estimate = area_estimate(counts, [18_000, 13_500, 288_000, 580_500])
    >>> round(estimate.area[0]), round(1.96 * estimate.standard_error[0])
    (21158, 6158)
    >>> estimate.users.value.round(2).tolist(), estimate.producers.value.round(2).tolist()
    ([0.88, 0.73, 0.93, 0.96], [0.75, 0.85, 0.93, 0.96])
    """
    counts, own = _labelled(counts)
    table = _checked_counts(counts)
    named = own if classes is None else list(classes)
    labels = list(range(len(table))) if named is None else named
    if len(labels) != len(table):
        raise ValueError(f"classes must be {len(table)} labels, got {len(labels)}")
    check_classes(labels)
    if isinstance(area, Mapping | pd.Series):
        area = _by_label(area, labels if own is None else own)
    sizes = np.asarray(area, np.float64)
    if sizes.shape != (len(table),) or not np.all(sizes >= 0) or not 0 < sizes.sum() < math.inf:
        raise ValueError(
            f"area must be {len(table)} numbers of at least 0, the mapped area of each row of "
            f"counts, got {np.asarray(area).tolist()}"
        )
    lost = [labels[i] for i in np.flatnonzero((sizes == 0) & (table.sum(axis=1) > 0))]
    if lost:
        raise ValueError(f"area of class {lost[0]} is 0 although it has samples")
    stratum, cell = np.divmod(np.flatnonzero(table), len(table))
    profiles, many = _one_of(stratum * len(table) + cell, table.size), table[stratum, cell]
    units = Units(profiles, many, stratum, sizes, np.zeros(len(sizes)), labels)
    return AreaEstimate(units, table, labels, range(len(labels)))


def _one_of(cells: NDArray[Any], count: int) -> Floats:
    """Return (P, count) profiles of pixels: 1 in the cell of each, and 0 in all others."""
    return (cells[:, None] == np.arange(count)).astype(np.float64)


def _labelled(counts: Any) -> tuple[Any, list[Any] | None]:
    """Return counts whose columns have the order of their rows, and the labels that they bring."""
    if isinstance(counts, Confusion):
        return counts.counts, list(counts.classes)
    if not isinstance(counts, pd.DataFrame):
        return counts, None
    rows, columns = counts.index.tolist(), counts.columns.tolist()
    check_classes(rows)
    if set(rows) != set(columns) or len(rows) != len(columns):
        raise ValueError(
            f"rows and columns of counts must have the same labels, got {rows} and {columns}; "
            "reindex both, or give counts.to_numpy() and classes="
        )
    return counts[rows].to_numpy(), rows


def _by_label(area: Any, labels: Sequence[Any]) -> list[float]:
    """Return the areas of classes in their order."""
    given = dict(area.items())
    unknown = [label for label in given if label not in labels]
    if unknown:
        raise ValueError(
            f"area has class {unknown[0]!r}, counts are of {list(labels)}; name each class of the "
            "map in counts, also one without a sample: confusion(..., classes=...)"
        )
    return [given.get(label, 0.0) for label in labels]


def _checked_counts(counts: ArrayLike) -> NDArray[np.int64]:
    table = np.asarray(counts)
    with np.errstate(invalid="ignore"):
        whole = table.astype(np.int64) if table.dtype.kind in "iufb" else table
    square = table.ndim == 2 and table.shape[0] == table.shape[1] > 0
    if not square or whole.dtype != np.int64 or np.any(whole != table) or np.any(whole < 0):
        raise ValueError(
            "counts must be a square of whole numbers of at least 0, mapped classes in rows and "
            f"true ones in columns, got shape {table.shape} of {table.dtype}"
        )
    return whole


def estimate_samples(
    samples: pd.DataFrame,
    *,
    mapped_pixels: Mapping[Any, float] | pd.Series | None = None,
    pixel_area: float = 1.0,
    classes: Sequence[Any] | None = None,
) -> AreaEstimate:
    """Estimate areas and accuracies from samples with their answers.

    The strata need not be the map's classes (Stehman, 2014). Rows whose `reference` is empty are
    left out, as if they had never been drawn: that is fair only where the reason for the gap has
    nothing to do with the class. A stratum of the map without a row leaves what is told of the
    whole unknown. A systematic sample is taken for a random one, which gives
    standard errors that are rather too large than too small. Clusters are units of their own:
    pixels of one cluster resemble each other, and count for less than as many pixels apart; their
    intervals take Student's distribution, since few clusters tell little of their spread.

    Parameters
    ----------
    samples
        As from `sample_design`: `map_class`, `reference`, `stratum`, `stratum_size` (pixels),
        `inclusion`, and `cluster` where clusters were drawn. Rows in any order, each pixel once;
        pixels of a stratum are equally likely.
    mapped_pixels
        Mapped class to its pixels in the whole map, as from `count_classes`: groups a sample that
        was drawn without strata by the map's classes afterwards (post-stratified), which mostly
        shortens the intervals. Its standard errors take the numbers drawn of each class for fixed.
    pixel_area
        Area of a pixel in the wished unit; areas are in pixels by default. One number is no pixel's
        area where pixels differ, as in degrees or in Mercator's projection.
    classes
        Labels, in the order of the result; by default all that occur, ascending.

    Returns
    -------
    An `AreaEstimate`, as from `area_estimate`.

    Raises
    ------
    KeyError
        For a missing column.
    ValueError
        When no row has an answer, labels are not among `classes`, rows contradict each other, or
        `pixel_area` is given for pixels that differ by more than a hundredth.

    Examples
    --------
    >>> from geotoolz.assess import sample_design
    >>> crops = np.repeat([[1, 2, 2, 2]], 50, axis=0).astype("uint8")
    >>> samples = sample_design(crops, 40, seed=1)
    >>> samples["reference"] = samples["map_class"]
    >>> estimate = estimate_samples(samples, pixel_area=0.01)
    >>> estimate.area, estimate.standard_error
    (array([0.5, 1.5]), array([0., 0.]))
    """
    table = pd.DataFrame(samples)
    answered = check_samples(table)
    if pixel_area != 1:
        check_pixel_area(samples, pixel_area)
    sampled_strata: dict[Any, float] = table.groupby("stratum")["stratum_size"].first().to_dict()
    strata = with_left_out(sampled_strata, samples)
    names: list[Any] = sorted(strata)
    sizes = np.array([strata[name] for name in names], np.float64)
    codes = _codes(answered["stratum"], names)
    is_map = bool((answered["map_class"] == answered["stratum"]).all())
    if mapped_pixels is not None:
        if "cluster" in table or len(names) > 1:
            raise ValueError(
                "mapped_pixels are for samples drawn without strata and clusters; leave them out"
            )
        names, sizes, codes = _post_strata(answered, mapped_pixels, sizes[0])
        is_map = True
    labels = _labels(answered, classes, names if is_map else ())
    cells = _codes(answered["map_class"], labels) * len(labels)
    cells += _codes(answered["reference"], labels)
    counts = np.bincount(cells, minlength=len(labels) ** 2).reshape(len(labels), -1)
    if "cluster" in table:
        units = _clusters(table, answered, cells, sizes * pixel_area, names, len(labels))
        return AreaEstimate(units, counts, labels)
    drawn = np.bincount(codes, minlength=len(sizes))
    sampled = np.divide(drawn, sizes, out=np.ones(len(sizes)), where=sizes > 0)
    pairs, many = np.unique(np.stack([codes, cells]), axis=1, return_counts=True)
    profiles = _one_of(pairs[1], len(labels) ** 2)
    units = Units(profiles, many, pairs[0], sizes * pixel_area, sampled, names)
    places = {name: place for place, name in enumerate(names)}
    own = [places.get(label) for label in labels] if is_map else None
    return AreaEstimate(units, counts, labels, own)


def _labels(
    answered: pd.DataFrame, classes: Sequence[Any] | None, strata: Sequence[Any]
) -> list[Any]:
    """Return the classes of the result: given, or all that occur and all that are mapped."""
    found = {*answered["map_class"].tolist(), *answered["reference"].tolist(), *strata}
    if classes is None:
        return _ascending(found)
    check_classes(list(classes), _ascending(found - set(classes)))
    return list(classes)


def _ascending(labels: set[Any]) -> list[Any]:
    text: set[Any] = {label for label in labels if isinstance(label, str)}
    if text and text != labels:
        raise ValueError(
            f"map_class, reference and strata must be all text or all numbers, got "
            f"{sorted(text)[0]!r} beside {sorted(labels - text)[0]!r}; give both one type"
        )
    return sorted(labels)


def _codes(column: pd.Series, labels: Sequence[Any]) -> NDArray[np.intp]:
    """Return each label's position, -1 for one that is not there (True is 1, as in sets)."""
    places = {label: place for place, label in enumerate(labels)}
    return np.array([places.get(label, -1) for label in column.tolist()], np.intp)


def _post_strata(
    answered: pd.DataFrame, mapped_pixels: Mapping[Any, float] | pd.Series, drawn_of: float
) -> tuple[list[Any], Floats, NDArray[np.intp]]:
    """Return the map's classes as strata: names, pixels, and the stratum of each sample."""
    names = [*mapped_pixels.keys()]
    sizes = np.array([mapped_pixels[name] for name in names], np.float64)
    if abs(sizes.sum() - drawn_of) > 0.5:
        raise ValueError(
            f"mapped_pixels add up to {sizes.sum():.0f}, but the samples were drawn of "
            f"{drawn_of:.0f} pixels; give count_classes of the same map"
        )
    codes = _codes(answered["map_class"], names)
    if np.any(codes < 0):
        unknown = answered["map_class"].to_numpy()[codes < 0][0]
        raise ValueError(f"mapped_pixels lack class {unknown}, which is in the samples")
    return names, sizes, codes


def _clusters(
    table: pd.DataFrame,
    answered: pd.DataFrame,
    cells: NDArray[np.intp],
    sizes: Floats,
    names: Sequence[Any],
    count: int,
) -> Units:
    """Return units that are clusters: how many pixels of each (mapped, true) pair each has."""
    clusters, first = np.unique(answered["cluster"], return_index=True)
    homes = table.groupby("cluster")["stratum"].nunique()
    if (homes > 1).any():
        raise ValueError(
            f"cluster {homes.idxmax()} is in {homes.max()} strata; number the clusters of each "
            "stratum anew"
        )
    profiles = np.zeros((len(clusters), count**2))
    np.add.at(profiles, (np.searchsorted(clusters, answered["cluster"]), cells), 1)
    strata = _codes(answered["stratum"].iloc[first], names)
    # Of each stratum's clusters, those that have answers.
    by_stratum = table.groupby("stratum")
    many = by_stratum["inclusion"].first() / by_stratum["cluster"].nunique()
    sampled = many.reindex(list(names), fill_value=0).to_numpy(np.float64) * np.bincount(
        strata, minlength=len(names)
    )
    one = np.ones(len(clusters))
    return Units(profiles, one, strata, sizes, sampled.astype(np.float64), names)
