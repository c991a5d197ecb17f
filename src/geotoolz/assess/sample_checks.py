"""Whether a table of samples is what one design drew, before anything is estimated from it.

A row that is there twice, two designs in one table or a stratum that went missing would give a
number and an interval like any other, and both would be wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipekit.operator import checked_number

NEEDED = ("map_class", "reference", "stratum", "stratum_size", "inclusion")
"""Columns that an estimate needs."""

STRATA = "strata"
"""The entry of a sample's `attrs` that lists all strata of the map with their pixels."""


def is_blank(answers: pd.Series) -> pd.Series:
    """Return where there is no answer: nothing, or text of spaces.

    Parameters
    ----------
    answers
        (N,).

    Returns
    -------
    (N,) bool.

    Examples
    --------
    >>> is_blank(pd.Series(["1", " ", None])).tolist()
    [False, True, True]
    """
    return answers.isna() | (answers.astype(str).str.strip() == "")


def check_columns(table: pd.DataFrame, needed: Sequence[str], whose: Any, why: str = "") -> None:
    """Raise KeyError unless a table has all columns that are needed.

    Parameters
    ----------
    table
        Any table.
    needed
        Their names.
    whose
        What the message calls the table.
    why
        What the message says of the column that lacks.

    Raises
    ------
    KeyError
        Naming the first that lacks.

    Examples
    --------
    >>> check_columns(pd.DataFrame({"x": [1.0]}), ["x"], "a.csv")
    """
    missing = [name for name in needed if name not in table]
    if missing:
        has = list(table.columns)
        raise KeyError(f"{whose} lacks the column {missing[0]!r}{why}; it has {has}")


def check_samples(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that have an answer, after checking that the table is one design's.

    Parameters
    ----------
    table
        As in `estimate_samples`.

    Returns
    -------
    Those rows.

    Raises
    ------
    KeyError
        For a missing column.
    ValueError
        For rows that contradict each other, or when none has an answer.

    Examples
    --------
    >>> row = {"map_class": 1, "reference": 1, "stratum": 0, "stratum_size": 9, "inclusion": 0.1}
    >>> len(check_samples(pd.DataFrame([row])))
    1
    """
    check_columns(table, NEEDED, "the table of samples", ", which sample_design makes")
    for name in NEEDED:
        if name != "reference" and table[name].isna().any():
            raise ValueError(f"samples need a {name} in each row; it is missing in some")
    answered = table[~is_blank(table["reference"])]
    if not len(answered):
        raise ValueError("no sample has an answer; fill the column 'reference' first")
    _check_once(table)
    _check_strata(table)
    return answered


def _check_once(table: pd.DataFrame) -> None:
    """Refuse rows that are there twice: they would count as looks at two pixels."""
    key = [name for name in ("row", "col") if name in table]
    key = key if len(key) == 2 else [name for name in ("sample",) if name in table]
    again = table[table.duplicated(key)] if key else table[:0]
    if len(again):
        where = ", ".join(f"{name} {again[name].iloc[0]}" for name in key)
        raise ValueError(
            f"{where} is in two rows of the samples, and a pixel counts once; use "
            f"drop_duplicates({key}), or leave these columns out where pixels were drawn with "
            "replacement"
        )


def _check_strata(table: pd.DataFrame) -> None:
    """Refuse strata of two sizes or chances, and more pixels than there are."""
    groups = table.groupby("stratum")
    for name in ("stratum_size", "inclusion"):
        low, high = groups[name].min(), groups[name].max()
        apart = high - low > 1e-6 * high.abs()
        if apart.any():
            stratum = apart.index[apart][0]
            raise ValueError(
                f"{name} must be the same in all rows of a stratum, got {low[stratum]} and "
                f"{high[stratum]} in stratum {stratum}; are these samples of two designs?"
            )
    wrong = table["inclusion"][~table["inclusion"].between(0, 1 + 1e-9, inclusive="right")]
    if len(wrong):
        raise ValueError(f"inclusion must be above 0 and at most 1, got {wrong.iloc[0]}")
    sizes, rows = groups["stratum_size"].first(), groups.size()
    over = ~(rows <= sizes * (1 + 1e-9))
    if over.any():
        stratum = over.index[over][0]
        raise ValueError(
            f"stratum {stratum} has {rows[stratum]} rows, more than its stratum_size of "
            f"{sizes[stratum]} pixels; stratum_size is of the whole map"
        )


def with_left_out(strata: Mapping[Any, float], samples: Any) -> dict[Any, float]:
    """Return the strata of a table and those of the map that it has no row of.

    Parameters
    ----------
    strata
        Stratum to its pixels.
    samples
        With what `sample_design` noted in `attrs`, or without.

    Returns
    -------
    Stratum to its pixels.

    Examples
    --------
    >>> samples = pd.DataFrame()
    >>> samples.attrs[STRATA] = [[1, 40], [2, 60]]
    >>> with_left_out({1: 40}, samples)
    {1: 40, 2: 60}
    """
    noted = dict(getattr(samples, "attrs", {}).get(STRATA, ()))
    # Where somebody named the strata anew, the note is no longer about them.
    return {**strata, **noted} if strata.items() <= noted.items() else dict(strata)


def check_pixel_area(samples: Any, pixel_area: float) -> None:
    """Refuse one area for pixels that differ in area.

    Parameters
    ----------
    samples
        A GeoDataFrame, or any table, whose places are not known.
    pixel_area
        In any unit.

    Raises
    ------
    ValueError
        For an area that is not above 0, or a CRS whose scale changes by more than a hundredth.

    Examples
    --------
    >>> check_pixel_area(pd.DataFrame(), 100.0)
    """
    checked_number(pixel_area, "pixel_area", 0, inside=True)
    crs = getattr(samples, "crs", None)
    if crs is None or not (crs.is_geographic or crs.is_projected):
        return
    places = samples.to_crs("EPSG:4326").geometry
    areas = _pixel_areas(crs, places.x.to_numpy(), places.y.to_numpy())
    low, high = (float(each) for each in np.nanquantile(areas, (0, 1)))
    if high > 1.01 * low:
        raise ValueError(
            f"pixel_area is one number, but pixels of this map in {crs.to_string()} differ by "
            f"{high / low - 1:.0%} in area; use Reproject with an equal-area CRS, or leave "
            "pixel_area out: areas are then in pixels"
        )


def _pixel_areas(crs: Any, lon: Any, lat: Any) -> Any:
    """Return areas on the ground of equal pixels at places, up to a factor; NaN if unknown."""
    from pyproj import Proj

    if crs.is_geographic:
        return np.cos(np.radians(lat))
    scale = np.asarray(Proj(crs).get_factors(lon, lat, errcheck=False).areal_scale)
    return 1 / np.where(np.isfinite(scale) & (scale > 0), scale, np.nan)
