"""Samples as a file for whoever looks at them, and back with their answers."""

from __future__ import annotations

import io
import os
import re
import warnings
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from geotoolz.assess.sample_checks import check_columns, is_blank
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
            flat = pd.DataFrame(samples.drop(columns=samples.geometry.name)).assign(
                **place, crs=crs
            )
            flat.to_csv(unfinished, index=False)
    return target


def read_answers(
    path: str | os.PathLike[str], samples: gpd.GeoDataFrame | None = None
) -> gpd.GeoDataFrame:
    """Read samples with their answers.

    Parameters
    ----------
    path
        What `write_samples` wrote, filled in; rows in any order, further columns are kept. A CSV
        may have come back from a spreadsheet with semicolons or tabs and decimal commas.
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
        For answers that are no whole numbers, or samples that repeat, were not drawn, or lie
        elsewhere than those drawn.

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
    check_columns(table, ("sample", "reference"), path)
    table["reference"] = _whole(table["reference"])
    if table["sample"].isna().any():
        raise ValueError(f"a row of {path} has no number in its column 'sample'; fill it in")
    repeated = table["sample"][table["sample"].duplicated()]
    if len(repeated):
        raise ValueError(f"sample {repeated.iloc[0]} is twice in {path}; keep one row of each")
    if samples is None:
        return table
    unknown = set(table["sample"]) - set(samples["sample"])
    if unknown:
        raise ValueError(f"sample {min(unknown)} of {path} was not drawn; is it another design's?")
    own = samples.set_index("sample")
    for name in {"row", "col"} & set(table) & set(own):
        # Another draw has the same numbers, and its answers would go to other pixels.
        there, here = table[name], own[name].reindex(table["sample"]).to_numpy()
        other = there.notna() & (there != here)
        if other.any():
            raise ValueError(
                f"sample {table['sample'][other].iloc[0]} is in {name} {there[other].iloc[0]} in "
                f"{path} and in {name} {here[other][0]} among samples; give the samples that were "
                "written, drawn with the same map, size and seed"
            )
    answers = table.set_index("sample")["reference"]
    filled = samples.copy()
    filled["reference"] = answers.reindex(samples["sample"]).array
    return filled


def _read(path: Path) -> gpd.GeoDataFrame:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    if path.suffix.lower() == ".gpkg":
        return _read_geopackage(path)
    table = _read_csv(path)
    check_columns(table, ("x", "y", "crs"), path, ", which tells where samples lie")
    crs = next(iter(table["crs"].dropna()), None)
    places = gpd.points_from_xy(table["x"], table["y"])
    return gpd.GeoDataFrame(table.drop(columns=["x", "y", "crs"]), geometry=places, crs=crs)


def _read_geopackage(path: Path) -> gpd.GeoDataFrame:
    import pyarrow as pa
    import pyogrio

    names = pyogrio.list_layers(path)[:, 0].tolist()
    layer = "samples" if "samples" in names else names[0]
    # Else whole numbers with gaps pass through floats, which large ones do not survive.
    how = {"types_mapper": {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int64Dtype()}.get}
    table = gpd.read_file(
        path, layer=layer, engine="pyogrio", use_arrow=True, arrow_to_pandas_kwargs=how
    )
    whole = [name for name in table if table[name].dtype == "Int64" and name != "reference"]
    return table.astype({name: "int64" for name in whole if table[name].notna().all()})


def _read_csv(path: Path) -> pd.DataFrame:
    """Return a table as spreadsheets write it: their separator, decimal sign and encoding."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
    header = text.lstrip().partition("\n")[0]
    separator = max(",;\t", key=header.count)
    comma = separator != "," and re.search(r"(?m)(?:^|[;\t])-?\d+,\d+\r?(?:$|[;\t])", text)
    names = [name.strip(' "\r') for name in header.split(separator)]
    table = pd.read_csv(
        io.StringIO(text),
        sep=separator,
        decimal="," if comma else ".",
        skipinitialspace=True,
        # Large numbers beside gaps would pass through floats.
        converters={names.index("reference"): str.strip} if "reference" in names else None,
    )
    table.columns = table.columns.str.strip()
    if "reference" in table:
        answers = table["reference"]
        table["reference"] = answers.str.replace(",", ".") if comma else answers
    # Spreadsheets leave rows of nothing but separators.
    empty = [is_blank(table[name]) for name in ("sample", "reference") if name in table]
    return table[~np.all(empty, axis=0)].reset_index(drop=True) if empty else table


def _whole(answers: pd.Series[Any]) -> pd.Series[Any]:
    """Return answers as whole numbers, empty where there is none."""
    blank = is_blank(answers)
    numbers = [pd.NA if gap else _number(each) for each, gap in zip(answers, blank, strict=True)]
    wrong = [each for each, found in zip(answers, numbers, strict=True) if found is None]
    if wrong:
        raise ValueError(
            f"reference must hold classes as whole numbers or nothing, got {str(wrong[0])!r}; "
            "write the number that the map has for this class"
        )
    return pd.Series(numbers, answers.index, "Int64", "reference")


def _number(answer: Any) -> int | None:
    """Return the whole number that an answer is, such as 1, "1.0", "1e3" or True; else None."""
    text = str(answer).strip().lower()
    try:
        # Decimal, since large numbers would change on their way through floats.
        found = Decimal({"true": "1", "false": "0"}.get(text, text))
    except InvalidOperation:
        return None
    whole = found.is_finite() and abs(found) < 2**63 and found % 1 == 0
    return int(found) if whole else None


def _kind_of(path: str | os.PathLike[str]) -> Path:
    target = Path(path)
    if target.suffix.lower() not in _KINDS:
        raise ValueError(f"path must end in .gpkg or .csv, got {os.fspath(path)!r}")
    return target
