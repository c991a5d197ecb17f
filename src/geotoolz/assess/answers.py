"""Samples as a file for whoever looks at them, and back with their answers."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from pipekit.files import beside

_KINDS = (".gpkg", ".csv")


def unanswered(samples: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the samples whose `reference` is still empty.

    Parameters
    ----------
    samples
        As from `sample_design` or `read_answers`.

    Returns
    -------
    Those rows.

    Examples
    --------
    >>> import numpy as np
    >>> from geotoolz.assess import sample_design
    >>> samples = sample_design(np.ones((9, 9), "uint8"), 3, seed=1)
    >>> samples.loc[1, "reference"] = 1
    >>> unanswered(samples)["sample"].tolist()
    [0, 2]
    """
    return samples[samples["reference"].isna()]


def write_samples(
    samples: gpd.GeoDataFrame, path: str | os.PathLike[str], *, overwrite: bool = False
) -> Path:
    """Write samples for somebody to fill in their column `reference`.

    Parameters
    ----------
    samples
        As from `sample_design`.
    path
        Ends in .gpkg (a GeoPackage, for a GIS) or .csv (for a spreadsheet: the place is in columns
        `x`, `y` and `crs`).
    overwrite
        Whether an existing file is replaced, with the answers that may be in it.

    Returns
    -------
    The path.

    Raises
    ------
    FileExistsError
        For an existing file unless `overwrite`.
    ValueError
        For another ending.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from geotoolz.assess import sample_design
    >>> samples = sample_design(np.ones((9, 9), "uint8"), 3, seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read_answers(write_samples(samples, f"{folder}/samples.csv"))["sample"].tolist()
    [0, 1, 2]
    """
    target = _kind_of(path)
    if target.exists() and not overwrite:
        raise FileExistsError(
            f"{target} exists, and may hold answers; give overwrite=True to replace it"
        )
    with beside(target) as unfinished:
        if target.suffix.lower() == ".gpkg":
            with warnings.catch_warnings():
                # A map without a CRS is the user's own choice.
                warnings.filterwarnings("ignore", "'crs' was not provided")
                samples.to_file(unfinished, driver="GPKG", layer="samples", engine="pyogrio")
        else:
            place = {"x": samples.geometry.x, "y": samples.geometry.y}
            crs = "" if samples.crs is None else samples.crs.to_string()
            flat = pd.DataFrame(samples.drop(columns="geometry")).assign(**place, crs=crs)
            flat.to_csv(unfinished, index=False)
    return target


def read_answers(
    path: str | os.PathLike[str], samples: gpd.GeoDataFrame | None = None
) -> gpd.GeoDataFrame:
    """Read samples with their answers.

    Parameters
    ----------
    path
        What `write_samples` wrote, filled in; rows in any order, further columns are kept.
    samples
        As they were drawn: then only the answers are taken from the file, by the number in its
        column `sample`, so that nothing else can have changed there.

    Returns
    -------
    The samples, `reference` as whole numbers, empty where there is no answer. `unanswered` lists
    those rows, also the ones that are not in the file any more.

    Raises
    ------
    FileNotFoundError
        For a missing file.
    KeyError
        For a missing column.
    ValueError
        For answers that are no whole numbers, or numbers of samples that repeat or were not drawn.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from geotoolz.assess import sample_design
    >>> samples = sample_design(np.ones((9, 9), "uint8"), 3, seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_samples(samples.assign(reference=[2, None, 1]), f"{folder}/samples.gpkg")
    ...     read_answers(path, samples)["reference"].tolist()
    [2, <NA>, 1]
    """
    table = _read(_kind_of(path))
    missing = [name for name in ("sample", "reference") if name not in table]
    if missing:
        raise KeyError(f"{path} lacks the column {missing[0]!r}; it has {list(table.columns)}")
    table["reference"] = _whole(table["reference"])
    repeated = table["sample"][table["sample"].duplicated()]
    if len(repeated):
        raise ValueError(f"sample {repeated.iloc[0]} is twice in {path}; keep one row of each")
    if samples is None:
        return table
    unknown = set(table["sample"]) - set(samples["sample"])
    if unknown:
        raise ValueError(f"sample {min(unknown)} of {path} was not drawn; is it another design's?")
    answers = table.set_index("sample")["reference"]
    filled = samples.copy()
    filled["reference"] = answers.reindex(samples["sample"]).array
    return filled


def _read(path: Path) -> gpd.GeoDataFrame:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    if path.suffix.lower() == ".gpkg":
        return gpd.read_file(path, engine="pyogrio")
    table = pd.read_csv(path, skipinitialspace=True)
    missing = [name for name in ("x", "y", "crs") if name not in table]
    if missing:
        raise KeyError(f"{path} lacks the column {missing[0]!r}, which tells where samples lie")
    crs = next(iter(table["crs"].dropna()), None)
    places = gpd.points_from_xy(table["x"], table["y"])
    return gpd.GeoDataFrame(table.drop(columns=["x", "y", "crs"]), geometry=places, crs=crs)


def _whole(answers: pd.Series[Any]) -> pd.Series[Any]:
    """Return answers as whole numbers, empty where there is none."""
    blank = answers.isna() | (answers.astype(str).str.strip() == "")
    numbers = pd.to_numeric(answers.where(~blank), errors="coerce")
    wrong = ~blank & (numbers.isna() | (numbers % 1 != 0))
    if wrong.any():
        raise ValueError(
            f"reference must hold classes as whole numbers or nothing, got "
            f"{answers[wrong].iloc[0]!r}; write the number that the map has for this class"
        )
    return numbers.astype("Int64")


def _kind_of(path: str | os.PathLike[str]) -> Path:
    target = Path(path)
    if target.suffix.lower() not in _KINDS:
        raise ValueError(f"path must end in .gpkg or .csv, got {os.fspath(path)!r}")
    return target
