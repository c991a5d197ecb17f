"""From the headers of many files to one catalog in one CRS, with what failed listed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from geocatalog.crs import as_crs, crs_text
from geocatalog.errors import CatalogError
from geocatalog.footprint import reproject
from geocatalog.memory import InMemoryGeoCatalog
from geocatalog.read.open import is_remote
from pipekit.carrier import same_crs

T = TypeVar("T")

DEFAULT_WORKERS = 32
"""Header reads wait for the disk or the network, not for the processor."""


def read_headers(
    paths: Iterable[Any],
    read: Callable[[str], T],
    *,
    workers: int = DEFAULT_WORKERS,
    on_error: str = "raise",
    progress: bool = True,
) -> tuple[list[T], list[tuple[str, str]]]:
    """Return (results in order, [(path, reason) of the files left out]).

    `on_error="raise"` raises CatalogError that names the file; `"skip"` lists it. The progress
    bar shows on a terminal only, after two seconds.

    Examples
    --------
    >>> def read(path):
    ...     if path.endswith("bad.tif"):
    ...         raise OSError("broken header")
    ...     return len(path)
    >>> read_headers(["/a.tif", "/bad.tif"], read, on_error="skip")
    ([6], [('/bad.tif', 'OSError: broken header')])
    """
    from tqdm import tqdm

    if on_error not in ("raise", "skip"):
        raise CatalogError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
    if workers < 1:
        raise CatalogError(f"workers must be at least 1, got {workers}")
    if isinstance(paths, str | os.PathLike):
        raise CatalogError(
            f"paths must be a list of paths or URLs, got one: {os.fspath(paths)!r}; write [path], "
            "or list a folder's files with sorted(Path(folder).glob('*.tif'))"
        )
    stored = [stored_path(path) for path in paths]
    found: list[T] = []
    skipped: list[tuple[str, str]] = []
    with ThreadPoolExecutor(max_workers=min(workers, max(len(stored), 1))) as pool:
        futures = [pool.submit(read, path) for path in stored]
        bar = tqdm(
            futures, desc="headers", unit="file", disable=None if progress else True, delay=2
        )
        for path, future in zip(stored, bar, strict=True):
            try:
                found.append(future.result())
            except Exception as error:
                if on_error == "raise":
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise _named(path, error) from error
                skipped.append((path, f"{type(error).__name__}: {error}"))
    return found, skipped


def _named(path: str, error: Exception) -> CatalogError:
    if isinstance(error, CatalogError):
        return error
    return CatalogError(
        f"cannot read the header of {path}: {type(error).__name__}: {error}; "
        "pass on_error='skip' to leave such files out"
    )


@dataclass(frozen=True)
class FileRecord:
    """What a header says: path, footprint in the file's own CRS, interval or None, extras."""

    path: str
    footprint: BaseGeometry
    crs: CRS
    interval: pd.Interval | None
    extras: dict[str, Any] = field(default_factory=dict)


def assemble(
    records: list[FileRecord],
    target_crs: Any,
    backend: str,
    skipped: list[tuple[str, str]] | None = None,
) -> InMemoryGeoCatalog:
    """Return a catalog of the records in `target_crs`, or in the CRS that they share.

    Raises
    ------
    CatalogError
        When there is no record and no `target_crs`, or the records are in different CRS and no
        `target_crs` says which to use.

    Examples
    --------
    >>> record = FileRecord("a.tif", shapely.box(0, 0, 1, 1), as_crs(32610), None)
    >>> len(assemble([record], None, "raster"))
    1
    """
    from geopandas import GeoDataFrame

    crs = _common_crs(records, target_crs, skipped or [])
    geometry = np.array([record.footprint for record in records], dtype=object)
    for source in dict.fromkeys(record.crs for record in records):
        at = np.array([record.crs is source or record.crs == source for record in records])
        geometry[at] = reproject(geometry[at], source, crs)
    known = [record.interval for record in records]
    names = list(dict.fromkeys(name for record in records for name in record.extras))
    frame = GeoDataFrame(
        {
            "filepath": pd.Series([record.path for record in records], dtype="str"),
            "start_time": _stamps([None if time is None else time.left for time in known]),
            "end_time": _stamps([None if time is None else time.right for time in known]),
        },
        geometry=geometry,
        crs=crs,
    )
    for name in names:
        frame[name] = pd.Series([record.extras.get(name) for record in records])
    catalog = InMemoryGeoCatalog(frame, backend)
    catalog.skipped = list(skipped or [])
    return catalog


def _stamps(values: list[Any]) -> pd.Series:
    return pd.Series(values, dtype="datetime64[us, UTC]")


def _common_crs(records: list[FileRecord], target_crs: Any, skipped: list[tuple[str, str]]) -> CRS:
    if target_crs is not None:
        return as_crs(target_crs)
    if not records:
        why = f"; all {len(skipped)} were skipped, first: {skipped[0]}" if skipped else ""
        raise CatalogError(
            f"nothing to make a catalog from{why}; for an empty one give target_crs="
        )
    first = records[0].crs
    if all(record.crs is first or same_crs(record.crs, first) for record in records):
        return first
    counts = Counter(crs_text(record.crs) for record in records)
    listed = ", ".join(f"{name} ({count})" for name, count in counts.most_common(5))
    raise CatalogError(
        f"files are in {len(counts)} CRS: {listed}; pass target_crs= to say which one the "
        "footprints should be in"
    )


def stored_path(path: Any) -> str:
    """Return a path as a catalog keeps it: URLs unchanged, local paths absolute.

    Examples
    --------
    >>> stored_path("https://host/a.tif?sig=x")
    'https://host/a.tif?sig=x'
    """
    text = os.fspath(path) if not isinstance(path, str) else path
    if text.startswith("file://"):
        text = unquote(urlsplit(text).path)
    return text if is_remote(text) else os.path.abspath(text)
