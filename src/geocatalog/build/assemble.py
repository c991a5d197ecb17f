"""From records of single files to one catalog in one CRS."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from geocatalog.crs import as_crs, crs_text, same_crs
from geocatalog.errors import CatalogError
from geocatalog.footprint import reproject
from geocatalog.memory import InMemoryGeoCatalog


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

    Raises CatalogError when there is no record and no `target_crs`, or the records are in
    different CRS and no `target_crs` says which to use.

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
