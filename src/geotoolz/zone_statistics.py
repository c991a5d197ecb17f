"""Statistics of zones from the values of their pixels, each weighted by the share that is covered.

With weights w of the pixels that count (the share of a pixel that the zone covers, 0 to 1) and
their values v:

- `count` is the sum of w, in pixels; `clear` is count over the zone's whole area in pixels, so it
  tells how much of the zone was seen;
- `sum` is the sum of w v, `mean` that over count, `std` the root of the weighted mean of
  (v - mean)^2;
- `min` and `max` are over all pixels that the zone touches;
- `median`, `q10`, `q99.5`, ... are quantiles. Of n values in rising order (of equal ones, by rising
  weight) the k-th has the place S(k) = (k - 1) w(k) + (n - 1) (w(1) + ... + w(k - 1)); the quantile
  p lies at p S(n), between two places on a straight line. With equal weights that is numpy's usual
  ("linear") quantile, and where no two values are the same that of exactextract, which joins equal
  values first;
- of classes and masks, `share_6` is the sum of w where v is 6 over count, and `majority` the value
  with the largest sum of w, the least of several.

A band of classes, bits or a mask has no mean, and a quantity no shares: such a number is NaN.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geotoolz.carrier import Mask, Values
from pipekit.pixels import Role

Floats = NDArray[np.float64]

_OF_ALL = ("count", "clear")
_OF_QUANTITIES = ("mean", "std", "min", "max", "sum", "median")
_NAME = re.compile(r"q(?P<percent>\d{1,2}(\.\d+)?|100)|share_(?P<value>-?\d+)|majority")


def check_statistics(statistics: Sequence[str]) -> tuple[str, ...]:
    """Return the names of statistics, or say which is none.

    Parameters
    ----------
    statistics
        Names as this module's documentation has them.

    Returns
    -------
    The same names.

    Raises
    ------
    ValueError
        For none, one that is unknown, or one that comes twice.

    Examples
    --------
    >>> check_statistics(["mean", "q90", "share_6"])
    ('mean', 'q90', 'share_6')
    """
    names = (statistics,) if isinstance(statistics, str) else tuple(statistics)
    unknown = [
        name
        for name in names
        if name not in (*_OF_ALL, *_OF_QUANTITIES) and not _NAME.fullmatch(str(name))
    ]
    if unknown or not names or len({*names}) < len(names):
        raise ValueError(
            f"statistics are {', '.join((*_OF_ALL, *_OF_QUANTITIES))}, quantiles in percent (q10), "
            f"majority and shares of classes (share_6), each once; got {list(names)}"
        )
    return names


def of_zones(
    values: Values,
    counts: Mask,
    weights: Floats,
    starts: NDArray[np.intp],
    room: Floats,
    statistics: Sequence[str],
    role: Role = "quantity",
) -> Mapping[str, Floats]:
    """Return statistics of zones whose pixels lie one zone after the other.

    Parameters
    ----------
    values
        (n,) of any real dtype.
    counts
        (n,) bool, which of them are valid and clear.
    weights
        (n,), above 0.
    starts
        (z,) where each zone begins; none is empty.
    room
        (z,) pixels in the zone's whole area.
    statistics
        Names.
    role
        What the values are.

    Returns
    -------
    Name -> (z,); NaN where no pixel counts, but `count` and `clear`, which are 0.

    Examples
    --------
    >>> values, weights = np.array([1.0, 3.0, 7.0]), np.array([1.0, 1.0, 0.5])
    >>> clear = np.array([True, True, False])
    >>> of_zones(values, clear, weights, np.array([0, 2]), np.array([2.0, 0.5]), ["mean", "clear"])
    {'mean': array([ 2., nan]), 'clear': array([1., 0.])}
    """
    seen = np.where(counts, weights, 0.0)
    numbers = np.where(counts, values, 0).astype(np.float64)
    count = np.add.reduceat(seen, starts)
    found: dict[str, Floats] = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        for name in statistics:
            known = _NAME.fullmatch(name)
            if name in _OF_ALL:
                found[name] = count if name == "count" else np.minimum(count / room, 1.0)
            elif (name in _OF_QUANTITIES or name[0] == "q") != (role == "quantity"):
                found[name] = np.full(len(starts), np.nan)
            elif name in ("min", "max"):
                found[name] = _extreme(name, numbers, counts, starts)
            elif name == "majority":
                found[name] = _majority(numbers, seen, starts)
            elif name == "median" or (known and known["percent"]):
                share = 0.5 if name == "median" else float(name[1:]) / 100
                found[name] = _quantile(share, numbers, seen, starts)
            elif known:
                found[name] = (
                    np.add.reduceat(seen * (numbers == int(known["value"])), starts) / count
                )
            else:
                found[name] = _moment(name, numbers, seen, starts, count)
    return found


def _moment(
    name: str, numbers: Floats, seen: Floats, starts: NDArray[np.intp], count: Floats
) -> Floats:
    total = np.add.reduceat(seen * numbers, starts)
    if name == "sum":
        return np.where(count > 0, total, np.nan)
    mean = total / count
    if name == "mean":
        return mean
    sizes = np.diff(np.append(starts, len(seen)))
    # Around the mean: squares of digital numbers would lose the digits that differ.
    apart = np.where(seen > 0, numbers - np.repeat(mean, sizes), 0.0)
    return np.sqrt(np.add.reduceat(seen * apart * apart, starts) / count)


def _extreme(name: str, numbers: Floats, counts: Mask, starts: NDArray[np.intp]) -> Floats:
    choose, nothing = (np.minimum, np.inf) if name == "min" else (np.maximum, -np.inf)
    found: Floats = choose.reduceat(np.where(counts, numbers, nothing), starts)
    return np.where(np.logical_or.reduceat(counts, starts), found, np.nan)


def _in_order(
    numbers: Floats, seen: Floats, starts: NDArray[np.intp]
) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Return zone, value and weight of what counts, by zone and rising value."""
    zone = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(seen))))
    some = seen > 0
    zone, numbers, seen = zone[some], numbers[some], seen[some]
    order = np.lexsort((seen, numbers, zone))
    return zone[order], numbers[order], seen[order]


def _quantile(share: float, numbers: Floats, seen: Floats, starts: NDArray[np.intp]) -> Floats:
    zone, value, weight = _in_order(numbers, seen, starts)
    found = np.full(len(starts), np.nan)
    if not len(zone):
        return found
    zones, first, sizes = np.unique(zone, return_index=True, return_counts=True)
    before = np.cumsum(weight) - weight
    before -= np.repeat(before[first], sizes)
    n = np.repeat(sizes, sizes)
    place = (np.arange(len(zone)) - np.repeat(first, sizes)) * weight + (n - 1) * before
    last = first + sizes - 1
    end = place[last]
    # All zones on one line, each 2 long: the places of each zone from 0 to 1.
    scaled = np.divide(place, np.repeat(end, sizes), out=np.zeros(len(place)), where=n > 1)
    line = scaled + 2.0 * np.repeat(np.arange(len(zones)), sizes)
    right = np.searchsorted(line, share + 2.0 * np.arange(len(zones)), side="right")
    right = np.clip(right, np.minimum(first + 1, last), last)
    left = np.maximum(right - 1, first)
    room = place[right] - place[left]
    part = np.divide(share * end - place[left], room, out=np.zeros(len(zones)), where=room > 0)
    found[zones] = value[left] + np.clip(part, 0.0, 1.0) * (value[right] - value[left])
    return found


def _majority(numbers: Floats, seen: Floats, starts: NDArray[np.intp]) -> Floats:
    zone, value, weight = _in_order(numbers, seen, starts)
    found = np.full(len(starts), np.nan)
    if len(zone):
        begins = np.append(True, (zone[1:] != zone[:-1]) | (value[1:] != value[:-1]))
        at = np.flatnonzero(begins)
        total = np.add.reduceat(weight, at)
        order = np.lexsort((-value[at], total, zone[at]))  # the last of a zone wins
        zone, value = zone[at][order], value[at][order]
        ends = np.append(zone[1:] != zone[:-1], True)
        found[zone[ends]] = value[ends]
    return found


def check_roles(statistics: Sequence[str], roles: Mapping[str, Any]) -> None:
    """Refuse statistics none of which any band has.

    Parameters
    ----------
    statistics
        Names.
    roles
        Of each band, by its name.

    Raises
    ------
    ValueError
        Such as a mean of classes alone.

    Examples
    --------
    >>> check_roles(["mean"], {"SCL": "class"})
    Traceback (most recent call last):
    ValueError: mean: no number of SCL (class); ask classes for share_4, majority, count or clear
    """
    asked = [name for name in statistics if name not in _OF_ALL]
    fits = {name in _OF_QUANTITIES or name[0] == "q" for name in asked}
    held = {role == "quantity" for role in roles.values()}
    if asked and held and not fits & held:
        said = ", ".join(f"{band} ({role})" for band, role in roles.items())
        way = "ask quantities for mean, std, min, max, sum or quantiles"
        if False in held:
            way = "ask classes for share_4, majority, count or clear"
        raise ValueError(f"{', '.join(asked)}: no number of {said}; {way}")
