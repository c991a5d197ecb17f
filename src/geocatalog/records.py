"""From what files' headers and names say to one catalog in one CRS, with what failed listed."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from geocatalog.catalog import InMemoryGeoCatalog
from geocatalog.errors import CatalogError, check_reading
from geocatalog.footprint import as_crs, crs_text, mended, reproject
from geocatalog.interval import pack_time, unpack_column
from geocatalog.read.open import is_dataset_name, is_remote
from geocatalog.read.signers import place_of, signer_name
from geocatalog.table import column_of
from pipekit.carrier import same_crs
from pipekit.operator import summarise
from pipekit.parallel import in_threads
from pipekit.tokens import redact

DEFAULT_WORKERS = 32
"""Header reads wait for the disk or the network, not for the processor."""


@dataclass(frozen=True)
class FileRecord:
    """What a header says: path, footprint in the file's own CRS, interval or None, extras.

    Parameters
    ----------
    path
        As the catalog keeps it.
    footprint
        In the file's own CRS.
    crs
        That CRS.
    interval
        Closed and in UTC, or None when undated.
    extras
        Further columns.
    """

    path: str
    footprint: BaseGeometry
    crs: CRS
    interval: pd.Interval | None
    extras: dict[str, Any] = field(default_factory=dict)


def read_catalog(
    paths: Iterable[Any],
    read: Callable[[str], Sequence[FileRecord | str]],
    target_crs: Any,
    backend: str,
    workers: int = DEFAULT_WORKERS,
    on_error: str = "raise",
    progress: bool = True,
) -> InMemoryGeoCatalog:
    """Return a catalog of what `read` says of each file; files are read in threads.

    Parameters
    ----------
    paths
        Paths or URLs.
    read
        Gives one record for each row that a file makes, and a text for each part of it that makes
        none, which is listed as the reason in the catalog's `skipped`.
    target_crs, backend
        As in `assemble`.
    workers
        Files read at once.
    on_error
        "raise" names the file that cannot be read; "skip" leaves it out and lists it, with the
        reason, in the catalog's `skipped`.
    progress
        Whether to show a progress bar: on a terminal only, after two seconds.

    Returns
    -------
    Rows in the order of the paths.

    Raises
    ------
    CatalogError
        For a file that cannot be read, and as `assemble`.

    Examples
    --------
    >>> import shapely
    >>> def read(path):
    ...     if path.endswith("bad.tif"):
    ...         raise OSError("broken header")
    ...     return [FileRecord(path, shapely.box(0, 0, 1, 1), as_crs(32610), None)]
    >>> made = read_catalog(["/a.tif", "/bad.tif"], read, None, "raster", on_error="skip")
    >>> len(made), made.skipped
    (1, [('/bad.tif', 'OSError: broken header')])
    """
    from tqdm import tqdm

    check_reading(workers, on_error)
    if isinstance(paths, str | os.PathLike) or not isinstance(paths, Iterable):
        given = os.fspath(paths) if isinstance(paths, os.PathLike) else paths
        raise CatalogError(
            f"paths must be a list of paths or URLs, got one: {given!r}; write [path], "
            "or list a folder's files with sorted(Path(folder).glob('*.tif'))"
        )
    stored = [stored_path(path) for path in paths]
    records: list[FileRecord] = []
    skipped: list[tuple[str, str]] = []
    shown: Any = {"total": len(stored), "disable": None if progress else True, "delay": 2}

    def attempt(path: str) -> Sequence[FileRecord | str]:
        try:
            return read(path)
        except Exception as error:
            reason = f"{type(error).__name__}: {redact(str(error))}"
            if on_error == "skip":
                return [reason]
            if isinstance(error, CatalogError):
                raise error if path in str(error) else CatalogError(f"{path}: {error}") from error
            raise CatalogError(
                f"cannot read the header of {path}: {reason}; "
                "pass on_error='skip' to leave such files out"
            ) from error

    done = zip(stored, in_threads(attempt, stored, workers), strict=True)
    for path, found in tqdm(done, desc="headers", unit="file", **shown):
        records += [each for each in found if isinstance(each, FileRecord)]
        skipped += [(path, each) for each in found if isinstance(each, str)]
    return assemble(records, target_crs, backend, skipped)


def assemble(
    records: list[FileRecord],
    target_crs: Any,
    backend: str,
    skipped: Sequence[tuple[str, str]] = (),
) -> InMemoryGeoCatalog:
    """Return a catalog of the records in `target_crs`, or in the CRS that they share.

    Files that need a token get a column `signer`, which names who makes it when they are opened.

    Parameters
    ----------
    records
        What the files' headers say.
    target_crs
        CRS of the footprints, or None for the one that all records are in.
    backend
        "raster", "xarray" or "vector".
    skipped
        (path, reason) of the files that were left out.

    Returns
    -------
    One row per record.

    Raises
    ------
    CatalogError
        When there is no record and no `target_crs`, or the records are in different CRS and no
        `target_crs` says which to use.

    Examples
    --------
    >>> import shapely
    >>> record = FileRecord("a.tif", shapely.box(0, 0, 1, 1), as_crs(32610), None)
    >>> len(assemble([record], None, "raster"))
    1
    """
    from geopandas import GeoDataFrame

    if target_crs is None and not records:
        why = "no file or item matched"
        if skipped:
            why = f"all {len(skipped)} were skipped, first: {skipped[0]}"
        raise CatalogError(
            f"nothing to make a catalog from: {why}; for an empty one give target_crs="
        )
    crs = as_crs(records[0].crs if target_crs is None else target_crs)
    # By identity, which as_crs gives to equal input: comparing costs more than the row.
    kinds = {id(record.crs): record.crs for record in records}
    if target_crs is None and not all(same_crs(kind, crs) for kind in kinds.values()):
        counts = Counter(crs_text(record.crs) for record in records)
        listed = ", ".join(f"{name} ({count})" for name, count in counts.most_common(5))
        raise CatalogError(
            f"files are in {len(counts)} CRS: {listed}; pass target_crs= to say which one the "
            "footprints should be in"
        )
    geometry = np.array([record.footprint for record in records], dtype=object)
    geometry = mended(geometry, [record.path for record in records]).copy()
    kind_of = np.array([id(record.crs) for record in records], dtype=np.int64)
    for kind, source in kinds.items():
        at = np.flatnonzero(kind_of == kind)
        geometry[at] = reproject(geometry[at], source, crs)
    # An open end is an unknown time, not the earliest or latest that an interval can write.
    ends = np.array([pack_time(record.interval) for record in records], np.int64).reshape(-1, 2)
    columns = {
        "filepath": pd.Series([record.path for record in records], dtype="str"),
        "start_time": unpack_column(ends[:, 0]),
        "end_time": unpack_column(ends[:, 1]),
    }
    for record in records:
        signer = signer_name(record.path) if is_remote(record.path) else None
        if signer is not None:
            record.extras.setdefault("signer", signer)
    for name in dict.fromkeys(name for record in records for name in record.extras):
        columns[name] = column_of([record.extras.get(name) for record in records])
    catalog = InMemoryGeoCatalog(GeoDataFrame(columns, geometry=geometry, crs=crs), backend)
    catalog.skipped = list(skipped)
    return catalog


def stored_path(path: Any) -> str:
    """Return a path as a catalog keeps it: URLs without their tokens, local paths absolute.

    In GDAL's own names of datasets, such as `NETCDF:"a.nc":t2m`, a local file's path is made so.

    Parameters
    ----------
    path
        Text or a path object; "file://" is taken off.

    Returns
    -------
    Text.

    Examples
    --------
    >>> stored_path("https://host/a.tif?versionId=2")
    'https://host/a.tif?versionId=2'
    """
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise CatalogError(f"a path is text or a path object, got {summarise(path)}")
    if text.startswith("file://"):
        text = unquote(urlsplit(text).path)
    if is_remote(text):
        return place_of(text)
    if is_dataset_name(text):
        there = os.path.isfile
        return _INNER_FILE.sub(lambda of: os.path.abspath(of[0]) if there(of[0]) else of[0], text)
    return os.path.abspath(text)


_INNER_FILE = re.compile(r'(?<=:)[^:"]+|(?<=:")[^"]+')
"""What may be a file's path in GDAL's name of a dataset."""
