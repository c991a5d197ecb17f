"""A catalog in memory: row numbers over a shared table, so that a query copies nothing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pyproj import CRS

from geocatalog.catalog import BACKENDS, CatalogRow, GeoCatalog, rows_of
from geocatalog.crs import crs_text
from geocatalog.errors import CatalogError
from geocatalog.footprint import Bounds
from geocatalog.interval import OPEN_END, OPEN_START, stamp_of
from geocatalog.region import Region
from geocatalog.table import FootprintTable, extent_of, normalise_frame

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


class InMemoryGeoCatalog(GeoCatalog):
    """A catalog over a GeoDataFrame.

    A query reads a packed STRtree and two int64 time columns, and its result holds row numbers;
    `.gdf` is made when asked for.

    Parameters
    ----------
    gdf
        GeoDataFrame with a CRS and a `filepath` column; `start_time` and `end_time` are read as
        UTC, and their absence means undated files. Other columns are kept as extras.
    backend
        "raster", "xarray" or "vector".

    Raises
    ------
    CatalogError
        For a frame that is no catalog.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> frame = gpd.GeoDataFrame(
    ...     {"filepath": ["a.tif", "b.tif"], "start_time": ["2024-06-01", "2024-07-01"],
    ...      "end_time": ["2024-06-02", "2024-07-02"]},
    ...     geometry=[shapely.box(0, 0, 10, 10), shapely.box(10, 0, 20, 10)], crs=32610)
    >>> catalog = InMemoryGeoCatalog(frame)
    >>> len(catalog.query(bounds=(10, 0, 12, 5))), len(catalog.query(time="2024-06"))
    (2, 1)
    """

    def __init__(self, gdf: GeoDataFrame, backend: str = "raster") -> None:
        super().__init__()
        if backend not in BACKENDS:
            raise CatalogError(f"backend must be one of {BACKENDS}, got {backend!r}")
        self._table = FootprintTable(normalise_frame(gdf))
        self._rows: np.ndarray | None = None
        self._backend = backend

    @classmethod
    def from_table(
        cls, table: FootprintTable, backend: str = "raster", rows: np.ndarray | None = None
    ) -> InMemoryGeoCatalog:
        """Return a catalog over a table that is already in order; nothing is copied.

        `rows`: sorted row numbers, or None for all.
        """
        made = cls.__new__(cls)
        made._table, made._rows, made._backend = table, rows, backend
        made.skipped = []
        return made

    @property
    def table(self) -> FootprintTable:
        """The shared table this catalog is cut from."""
        return self._table

    @property
    def rows(self) -> np.ndarray:
        """Sorted numbers of this catalog's rows in its table."""
        return np.arange(len(self._table)) if self._rows is None else self._rows

    def __len__(self) -> int:
        return len(self._table) if self._rows is None else len(self._rows)

    @property
    def crs(self) -> CRS:
        """The one CRS of all footprints."""
        return self._table.crs

    @property
    def backend(self) -> str:
        """Kind of file: "raster", "xarray" or "vector"."""
        return self._backend

    @property
    def columns(self) -> list[str]:
        """Column names: the four core ones, then extras."""
        return self._table.columns

    @cached_property
    def _frame(self) -> GeoDataFrame:
        if self._rows is None:
            return self._table.frame
        return self._table.frame.iloc[self._rows].reset_index(drop=True)

    @property
    def gdf(self) -> GeoDataFrame:
        """The rows as a GeoDataFrame; a copy that may be changed."""
        return self._frame.copy()

    @cached_property
    def total_bounds(self) -> Bounds | None:
        """(west, south, east, north) of all rows; None for an empty catalog."""
        return extent_of(self._cut(self._table.bounds))

    @cached_property
    def temporal_extent(self) -> pd.Interval | None:
        """From the first start to the last end that are known; None when nothing is dated."""
        starts, ends = self._cut(self._table.starts), self._cut(self._table.ends)
        known = np.concatenate([starts[starts != OPEN_START], ends[ends != OPEN_END]])
        if len(known) == 0:
            return None
        return pd.Interval(stamp_of(known.min()), stamp_of(known.max()), closed="both")

    def _cut(self, array: np.ndarray) -> np.ndarray:
        return array if self._rows is None else array[self._rows]

    def _extent(self) -> Bounds | None:
        # The table's extent serves every catalog cut from it, and is worked out once.
        return self._table.extent

    def _select(self, region: Region | None, times: tuple[int, int] | None) -> InMemoryGeoCatalog:
        if region is None and times is None:
            return self
        rows = self._table.select(region, times, self._rows)
        return self.from_table(self._table, self._backend, rows)

    def where(self, expression: str) -> InMemoryGeoCatalog:
        """Return the rows for which a SQL expression over the columns is true.

        Comparisons, AND, OR, NOT, IN, BETWEEN, LIKE, arithmetic, and plain functions such as
        lower(), contains() or year(); anything else is refused (see `geocatalog.expression`).

        Examples
        --------
        >>> import geopandas as gpd, shapely
        >>> frame = gpd.GeoDataFrame({"filepath": ["a.tif", "b.tif"], "cloud_cover": [3.0, 80.0]},
        ...     geometry=[shapely.box(0, 0, 10, 10), shapely.box(10, 0, 20, 10)], crs=32610)
        >>> InMemoryGeoCatalog(frame).where("cloud_cover < 10").gdf.filepath.tolist()
        ['a.tif']
        """
        from geocatalog.expression import matching_rows

        hits = matching_rows(expression, self._table.attributes, self._rows)
        return self.from_table(self._table, self._backend, hits)

    def iter_rows(self) -> Iterator[CatalogRow]:
        """Yield the rows one by one."""
        return rows_of(self._frame, self.crs)

    def materialize(self) -> InMemoryGeoCatalog:
        """Return a catalog with its own table of just these rows.

        Worth it before many queries on a small part of a large catalog, and to let the large
        one go.
        """
        table = self._table if self._rows is None else FootprintTable(self._frame)
        made = self.from_table(table, self._backend)
        made.skipped = list(self.skipped)
        return made

    def get_config(self) -> dict[str, Any]:
        """Return what this catalog is, as JSON values: backend, CRS, size, extents, columns."""
        times = self.temporal_extent
        return {
            "class": type(self).__name__,
            "config": {
                "backend": self.backend,
                "crs": crs_text(self.crs),
                "rows": len(self),
                "columns": self.columns,
                "total_bounds": None if self.total_bounds is None else list(self.total_bounds),
                "temporal_extent": None
                if times is None
                else [times.left.isoformat(), times.right.isoformat()],
            },
        }
