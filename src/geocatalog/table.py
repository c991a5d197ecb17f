"""Footprints and intervals as packed arrays: everything a query reads, shared by its results."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import shapely
from pyproj import CRS

from geocatalog.crs import as_crs
from geocatalog.errors import CatalogError
from geocatalog.footprint import Bounds, are_boxes
from geocatalog.interval import OPEN_END, OPEN_START, pack_column, utc_column

if TYPE_CHECKING:
    import pyarrow as pa
    from geopandas import GeoDataFrame

    from geocatalog.region import Region

CORE_COLUMNS = ("filepath", "start_time", "end_time", "geometry")
"""What every catalog has, in this order; extras follow."""


class FootprintTable:
    """An immutable table of rows, with the packed arrays and the tree that queries read.

    `frame` has the core columns first, UTC microsecond times and a 0..N-1 index. All derived
    arrays are made when first needed and then shared by every catalog cut from this table.

    Examples
    --------
    >>> from geopandas import GeoDataFrame
    >>> frame = GeoDataFrame({"filepath": ["a.tif"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=32610)
    >>> FootprintTable(normalise_frame(frame)).bounds
    array([[0., 0., 1., 1.]])
    """

    def __init__(self, frame: GeoDataFrame) -> None:
        self._frame = frame

    @property
    def frame(self) -> GeoDataFrame:
        """The rows as a GeoDataFrame; not to be changed."""
        return self._frame

    @cached_property
    def crs(self) -> CRS:
        """The one CRS of all footprints."""
        return as_crs(self.frame.crs)

    @cached_property
    def geometry(self) -> np.ndarray:
        """(N,) shapely geometries."""
        return np.asarray(self.frame.geometry.to_numpy(), dtype=object)

    @cached_property
    def bounds(self) -> np.ndarray:
        """(N, 4) float64: west, south, east, north; NaN for an empty footprint."""
        return shapely.bounds(self.geometry)

    @cached_property
    def starts(self) -> np.ndarray:
        """(N,) int64 microseconds; `OPEN_START` where not known."""
        return pack_column(self.frame["start_time"], OPEN_START)

    @cached_property
    def ends(self) -> np.ndarray:
        """(N,) int64 microseconds; `OPEN_END` where not known."""
        return pack_column(self.frame["end_time"], OPEN_END)

    @cached_property
    def is_box(self) -> np.ndarray:
        """(N,) bool: the footprint fills its own bounds."""
        return are_boxes(self.geometry, self.bounds)

    @cached_property
    def all_boxes(self) -> bool:
        """Whether no footprint needs more than its bounds."""
        return bool(self.is_box.all())

    @cached_property
    def tree(self) -> shapely.STRtree:
        """Packed tree of the footprints' bounds."""
        return shapely.STRtree(self.geometry)

    @property
    def columns(self) -> list[str]:
        """Column names, core ones first."""
        return [str(name) for name in self.frame.columns]

    @cached_property
    def extent(self) -> Bounds | None:
        """(west, south, east, north) of all footprints; None when there is none."""
        return extent_of(self.bounds)

    @cached_property
    def attributes(self) -> pa.Table:
        """All columns but the geometry, as Arrow, with the types that a file would hold."""
        return attribute_table(self.frame)

    def __len__(self) -> int:
        return len(self.frame)

    def select(self, region: Region | None, times: tuple[int, int] | None, rows: Any) -> np.ndarray:
        """Return the sorted row numbers that touch `region` and `times`, out of `rows`.

        `rows` is a sorted array of row numbers, or None for the whole table.
        """
        hits = rows if region is None else self._touching(region, rows)
        if hits is None:
            hits = np.arange(len(self))
        if times is not None:
            first, last = times
            hits = hits[(self.starts[hits] <= last) & (self.ends[hits] >= first)]
        if region is not None and len(hits):
            hits = self._exact(region, hits)
        return hits

    def _touching(self, region: Region, rows: np.ndarray | None) -> np.ndarray:
        if not region.parts:
            return np.zeros(0, dtype=np.intp)
        if rows is not None and len(rows) < SMALL:
            return rows[region.touches_bounds(self.bounds[rows])]
        found = [self.tree.query(shapely.box(*part)) for part in region.parts]
        hits = np.sort(found[0]) if len(found) == 1 else np.unique(np.concatenate(found))
        return hits if rows is None else _members(hits, rows)

    def _exact(self, region: Region, hits: np.ndarray) -> np.ndarray:
        if region.is_boxes and self.all_boxes:
            return hits
        doubtful = np.ones(len(hits), dtype=bool)
        if region.is_boxes:
            doubtful = ~self.is_box[hits]
        keep = ~doubtful
        keep[doubtful] = region.touches(self.geometry[hits[doubtful]])
        return hits[keep]


def extent_of(bounds: np.ndarray) -> Bounds | None:
    """Return (west, south, east, north) around (N, 4) bounds, empty ones left out; None if none.

    Examples
    --------
    >>> extent_of(np.array([[0.0, 0.0, 1.0, 1.0], [5.0, -1.0, 6.0, 1.0]]))
    (0.0, -1.0, 6.0, 1.0)
    """
    finite = bounds[np.isfinite(bounds).all(axis=1)]
    if len(finite) == 0:
        return None
    west, south = finite[:, :2].min(axis=0).tolist()
    east, north = finite[:, 2:].max(axis=0).tolist()
    return west, south, east, north


SMALL = 2048
"""Below this many rows a pass over their bounds is quicker than a tree of the whole table."""


def _members(hits: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the sorted `hits` that are also in the sorted `rows`."""
    if len(rows) == 0:
        return rows
    at = np.minimum(np.searchsorted(rows, hits), len(rows) - 1)
    return hits[rows[at] == hits]


def normalise_frame(frame: GeoDataFrame) -> GeoDataFrame:
    """Return the frame as a table keeps it: columns ordered, times in UTC, index 0..N-1.

    A missing `start_time` or `end_time` column means undated rows. Raises CatalogError without
    a `filepath` column, without a CRS, or when an interval ends before it starts.

    Examples
    --------
    >>> from geopandas import GeoDataFrame
    >>> frame = GeoDataFrame({"filepath": ["a.tif"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=32610)
    >>> list(normalise_frame(frame).columns)
    ['filepath', 'start_time', 'end_time', 'geometry']
    """
    from geopandas import GeoDataFrame

    if not isinstance(frame, GeoDataFrame):
        raise CatalogError(f"a catalog is made from a GeoDataFrame, got {type(frame).__name__}")
    if "filepath" not in frame.columns:
        raise CatalogError(
            f"a catalog needs a 'filepath' column, got {list(map(str, frame.columns))}"
        )
    if frame.crs is None:
        raise CatalogError(
            "a catalog needs a CRS; call frame.set_crs(...) with the footprints' own"
        )
    tidy = GeoDataFrame(
        {
            "filepath": frame["filepath"].astype(str).reset_index(drop=True),
            "start_time": _times(frame, "start_time"),
            "end_time": _times(frame, "end_time"),
        },
        geometry=frame.geometry.to_numpy(),
        crs=frame.crs,
    )
    extras = {
        str(name): frame[name].reset_index(drop=True)
        for name in frame.columns
        if name not in CORE_COLUMNS and name != frame.geometry.name
    }
    for name, column in extras.items():
        tidy[name] = column
    _check_order(tidy)
    return tidy


def _times(frame: GeoDataFrame, name: str) -> Any:
    return utc_column(
        frame[name] if name in frame.columns else [None] * len(frame), end=name == "end_time"
    )


def _check_order(frame: GeoDataFrame) -> None:
    wrong = np.flatnonzero((frame["end_time"] < frame["start_time"]).to_numpy())
    if len(wrong):
        row = frame.iloc[int(wrong[0])]
        raise CatalogError(
            f"an interval must not end before it starts: {row['filepath']} runs from "
            f"{row['start_time']} to {row['end_time']} ({len(wrong)} such rows)"
        )


def attribute_table(frame: GeoDataFrame) -> pa.Table:
    """Return all columns but the geometry as Arrow, as a file would hold them.

    Examples
    --------
    >>> import geopandas as gpd
    >>> frame = gpd.GeoDataFrame({"filepath": ["a"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=4326)
    >>> attribute_table(frame).column_names
    ['filepath']
    """
    import pyarrow as pa

    plain = pd.DataFrame(frame.drop(columns=frame.geometry.name))
    try:
        table = pa.Table.from_pandas(plain, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise CatalogError(f"a column mixes types that one column cannot hold: {error}") from error
    return table.replace_schema_metadata(None)
