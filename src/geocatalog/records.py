"""From what files' headers and names say to one catalog in one CRS, with what failed listed."""

from __future__ import annotations

import datetime as dt
import os
import re
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

from geocatalog.catalog import InMemoryGeoCatalog
from geocatalog.errors import CatalogError
from geocatalog.footprint import as_crs, crs_text, reproject
from geocatalog.interval import as_interval
from geocatalog.read.open import is_remote
from pipekit.carrier import same_crs

T = TypeVar("T")

DEFAULT_WORKERS = 32
"""Header reads wait for the disk or the network, not for the processor."""

_TIME_OF_DAY = re.compile(r"%-?[HIMSfcXTRrps]")
_DAY = re.compile(r"%-?[djxDFwuaA]")
_MONTH = re.compile(r"%-?[mbB]")


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
                reason = f"{type(error).__name__}: {error}"
                if on_error == "skip":
                    skipped.append((path, reason))
                    continue
                pool.shutdown(wait=False, cancel_futures=True)
                if isinstance(error, CatalogError):
                    raise
                raise CatalogError(
                    f"cannot read the header of {path}: {reason}; "
                    "pass on_error='skip' to leave such files out"
                ) from error
    return found, skipped


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
    >>> import shapely
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
    ends = [(time.left, time.right) if (time := r.interval) else (None, None) for r in records]
    columns = {
        "filepath": pd.Series([record.path for record in records], dtype="str"),
        "start_time": pd.Series([start for start, _ in ends], dtype="datetime64[us, UTC]"),
        "end_time": pd.Series([end for _, end in ends], dtype="datetime64[us, UTC]"),
    }
    frame = GeoDataFrame(columns, geometry=geometry, crs=crs)
    for name in dict.fromkeys(name for record in records for name in record.extras):
        frame[name] = pd.Series([record.extras.get(name) for record in records])
    catalog = InMemoryGeoCatalog(frame, backend)
    catalog.skipped = list(skipped or [])
    return catalog


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


def interval_from_name(path: str, pattern: str | None, date_format: str) -> pd.Interval | None:
    r"""Return the interval that a file's name tells, or None without a pattern.

    `pattern` is a regular expression, searched in the name, then in the path, then in the whole
    URL, with the named group `date`, or `start` and/or `end`. `date_format` (strptime) says how
    much a date covers: with a time of day an instant, else the whole day, month or year.

    Raises
    ------
    CatalogError
        When the pattern has no such group, matches nothing, or the text is no date; the message
        shows the name and the pattern.

    Examples
    --------
    >>> found = interval_from_name("S2_20240601_B04.tif", r"_(?P<date>\d{8})_", "%Y%m%d")
    >>> str(found.left), str(found.right)
    ('2024-06-01 00:00:00+00:00', '2024-06-01 23:59:59.999999+00:00')
    """
    if pattern is None:
        return None
    groups = _match(path, pattern)
    date = groups.get("date")
    texts = (date, date) if date else (groups.get("start"), groups.get("end"))
    if not any(texts):
        raise CatalogError(
            f"filename_regex {pattern!r} matched {path!r} but gave no date; "
            "name a group (?P<date>...), or (?P<start>...) and (?P<end>...)"
        )
    ends = [_covered(text, date_format, path) if text else None for text in texts]
    try:
        return as_interval(ends)
    except CatalogError as error:
        raise CatalogError(f"{path}: {error}") from error


def _match(path: str, pattern: str) -> dict[str, str | None]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise CatalogError(
            f"filename_regex {pattern!r} is not a regular expression: {error}"
        ) from error
    if not {"date", "start", "end"} & set(compiled.groupindex):
        raise CatalogError(
            f"filename_regex {pattern!r} needs a group (?P<date>...), "
            "or (?P<start>...) and (?P<end>...)"
        )
    for name in candidate_names(path):
        match = compiled.search(name)
        if match:
            return match.groupdict()
    raise CatalogError(
        f"filename_regex {pattern!r} does not match the name {candidate_names(path)[0]!r} "
        f"(of {path}); correct the pattern, or pass on_error='skip' to leave such files out"
    )


def _covered(text: str, date_format: str, path: str) -> object:
    try:
        moment = dt.datetime.strptime(text, date_format)
    except ValueError as error:
        raise CatalogError(
            f"{text!r} in {path} is not a date of the form {date_format!r}"
        ) from error
    if _TIME_OF_DAY.search(date_format):
        return moment
    if _DAY.search(date_format):
        return moment.date()
    return moment.strftime("%Y-%m") if _MONTH.search(date_format) else moment.strftime("%Y")


def candidate_names(path: str) -> list[str]:
    """Return what a file-name pattern is tried on: name, path without query, whole path.

    Examples
    --------
    >>> candidate_names("https://host/x/S2_20240601.tif?sig=ab%2F20991231")[0]
    'S2_20240601.tif'
    """
    bare = urlsplit(path).path if is_remote(path) and not path.startswith("/vsi") else path
    bare = unquote(bare.split("?", 1)[0])
    return list(dict.fromkeys([bare.rstrip("/").rsplit("/", 1)[-1], bare, path]))
