"""What every catalog can do, and the catalog in memory.

A catalog in memory is row numbers over a shared table, so that a query copies nothing.
"""

from __future__ import annotations

import os
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
from geopandas import GeoDataFrame
from pyproj import CRS

from geocatalog.errors import CatalogError
from geocatalog.footprint import (
    Bounds,
    Region,
    as_bounds,
    as_crs,
    crs_text,
    region_of,
    reproject,
    turned_onto,
    turns,
)
from geocatalog.geoslice import GeoSlice
from geocatalog.interval import OPEN_END, OPEN_START, interval_of, iso_ends, pack_time
from geocatalog.rows import CatalogRow as CatalogRow
from geocatalog.rows import rows_of
from geocatalog.table import (
    FootprintTable,
    column_values,
    extent_of,
    joined_frames,
    pairs_of,
    with_footprints,
)
from pipekit.carrier import same_crs
from pipekit.lazy import needed
from pipekit.operator import checked_option

BACKENDS = ("raster", "xarray", "vector")
"""Kinds of file a catalog may list."""


def rows_under(catalog: GeoCatalog, slice_: GeoSlice, backend: str) -> list[CatalogRow]:
    """Return the rows that touch a slice, for the loader of one kind of file.

    Parameters
    ----------
    catalog
        Any catalog.
    slice_
        Where and when.
    backend
        The kind of file that the loader reads: "raster", "xarray" or "vector".

    Returns
    -------
    The rows, in the catalog's order.

    Raises
    ------
    CatalogError
        When the catalog lists another kind of file; names the loader that reads it.
    """
    if catalog.backend != backend:
        raise CatalogError(
            f"load_{backend} reads catalogs of {backend} files, this one lists "
            f"{catalog.backend} files; use load_{catalog.backend}"
        )
    return list(catalog.query(slice_).iter_rows())


class GeoCatalog(ABC):
    """A set of files with footprints and time intervals.

    One rule for queries in space and time: sets are closed. A footprint that only touches the
    query box, and an interval that only shares an instant with it, are in the answer. An undated
    file matches every time. Queries return a catalog of the same kind and change nothing.

    Parameters
    ----------
    crs
        The one CRS of all footprints.
    backend
        Kind of file: "raster", "xarray" or "vector".
    """

    def __init__(self, crs: CRS, backend: str) -> None:
        self.crs = crs
        """The one CRS of all footprints."""
        self.backend = backend
        """Kind of file: "raster", "xarray" or "vector"."""
        self.skipped: list[tuple[str, str]] = []
        """(path, reason) of the files that a builder left out."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @property
    @abstractmethod
    def columns(self) -> list[str]:
        """Column names: the four core ones, then extras."""

    @property
    @abstractmethod
    def _frame(self) -> GeoDataFrame:
        """The rows as a GeoDataFrame, made once; not to be changed."""

    @property
    def gdf(self) -> GeoDataFrame:
        """The rows as a GeoDataFrame; a copy that may be changed, and changes no catalog."""
        frame = self._copied()
        frame.__class__ = CopiedFrame  # making one of the other would take longer than a query
        return frame

    def _copied(self) -> GeoDataFrame:
        return self._frame.copy()

    def assign(self, **columns: Any) -> InMemoryGeoCatalog:
        """Return the catalog with further columns, or others in their place.

        Parameters
        ----------
        **columns
            Values by name: one for all rows, one for each, or a function of the GeoDataFrame, as
            `pandas.DataFrame.assign` takes them.

        Returns
        -------
        The same rows, in memory; this catalog stays as it is.

        Raises
        ------
        CatalogError
            For values that cannot be a catalog's, such as times that are none.

        Examples
        --------
        >>> import geopandas as gpd, shapely
        >>> frame = gpd.GeoDataFrame({"filepath": ["S2A_1.tif", "LC08_1.tif"]},
        ...     geometry=[shapely.box(0, 0, 1, 1)] * 2, crs=32610)
        >>> named = InMemoryGeoCatalog(frame).assign(mission=lambda rows: rows.filepath.str[:2])
        >>> len(named.where("mission = 'S2'"))
        1
        """
        made = InMemoryGeoCatalog(self._copied().assign(**columns), self.backend)
        made.skipped = list(self.skipped)
        return made

    def append(self, paths: Iterable[Any], **options: Any) -> InMemoryGeoCatalog:
        """Return the catalog with further files, which are read as its builder reads them.

        Parameters
        ----------
        paths
            Files of the catalog's kind; one that it lists already is listed once.
        **options
            Of the builder: `build_raster_catalog`, `build_xarray_catalog` or
            `build_vector_catalog`, such as `filename_regex=`. Footprints are brought into the
            catalog's CRS.

        Returns
        -------
        This catalog's rows, then the new ones, in memory; write it with `to_geoparquet`.

        Raises
        ------
        CatalogError
            As the builder, for a file that cannot be read.

        Examples
        --------
        >>> import tempfile, rasterio
        >>> from geocatalog import build_raster_catalog
        >>> folder = tempfile.TemporaryDirectory()
        >>> paths = [f"{folder.name}/{name}.tif" for name in "ab"]
        >>> profile = dict(driver="GTiff", height=2, width=3, count=1, dtype="uint8",
        ...     crs="EPSG:32610", transform=rasterio.Affine(10, 0, 500000, 0, -10, 4300000))
        >>> for path in paths:
        ...     with rasterio.open(path, "w", **profile) as file:
        ...         file.write(np.ones((1, 2, 3), "uint8"))
        >>> len(build_raster_catalog(paths[:1]).append(paths))
        2
        >>> folder.cleanup()
        """
        from geocatalog import build

        make = getattr(build, f"build_{self.backend}_catalog")
        added = make(paths, target_crs=self.crs, **options)
        whole = self.union(added)
        whole.skipped = [*self.skipped, *added.skipped]
        return whole

    @property
    @abstractmethod
    def total_bounds(self) -> Bounds | None:
        """(west, south, east, north) of all rows; None for an empty catalog."""

    @property
    @abstractmethod
    def temporal_extent(self) -> pd.Interval | None:
        """From the first start to the last end that are known; None when nothing is dated."""

    @abstractmethod
    def where(self, expression: str) -> GeoCatalog:
        """Return the rows for which a SQL expression over the columns is true.

        Parameters
        ----------
        expression
            A condition such as "cloud_cover < 10"; see `geocatalog.expression`.

        Returns
        -------
        A catalog of the same kind.

        Raises
        ------
        CatalogError
            For text that is not one condition over the columns.
        """

    def iter_catalogs(self) -> Iterator[InMemoryGeoCatalog]:
        """Yield the rows as catalogs in memory, one after the other.

        Yields
        ------
        All rows at once where they are in memory already, else some hundred thousand at a time.
        """
        yield self.materialize()

    @abstractmethod
    def iter_rows(self) -> Iterator[CatalogRow]:
        """Yield the rows one by one.

        Yields
        ------
        `CatalogRow`s, numbered from 0.
        """

    @abstractmethod
    def column(self, name: str) -> np.ndarray:
        """Return one column as an array, without a frame.

        Parameters
        ----------
        name
            One of `columns`.

        Returns
        -------
        (N,) in the rows' order: times as datetime64[us] in UTC, footprints as shapely geometries,
        text as Python's own.

        Raises
        ------
        CatalogError
            For a column that is not there; lists those that are.

        Examples
        --------
        >>> import geopandas as gpd, shapely
        >>> frame = gpd.GeoDataFrame({"filepath": ["a.tif"], "cloud_cover": [3.0]},
        ...     geometry=[shapely.box(0, 0, 1, 1)], crs=32610)
        >>> InMemoryGeoCatalog(frame).column("cloud_cover")
        array([3.])
        """

    @abstractmethod
    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table, without a frame; footprints as WKB.

        Returns
        -------
        One Arrow row per row, the columns in their order, with the types that a file would hold.
        """

    @property
    def paths(self) -> list[str]:
        """Paths or URLs of the rows' files, in order."""
        found: list[str] = self.column("filepath").tolist()
        return found

    def _check_column(self, name: str) -> None:
        if name not in self.columns:
            raise CatalogError(f"no column {name!r}; the catalog has {self.columns}")

    @abstractmethod
    def materialize(self) -> InMemoryGeoCatalog:
        """Return the same rows as an in-memory catalog."""

    def get_config(self) -> dict[str, Any]:
        """Return what this catalog is, as JSON values: its class and its `facts`.

        Returns
        -------
        `{"class": ..., "config": ...}`, which `json.dumps` takes.
        """
        return {"class": type(self).__name__, "config": self.facts()}

    @abstractmethod
    def _extent(self) -> Bounds | None:
        """Return bounds that hold all rows, perhaps wider than they need, and known at once."""

    @abstractmethod
    def _select(self, region: Region | None, times: tuple[int, int] | None) -> GeoCatalog:
        """Return the rows that touch a region of this catalog's CRS and a time range."""

    def query(
        self,
        slice_: GeoSlice | None = None,
        *,
        bounds: Sequence[float] | None = None,
        crs: Any = None,
        time: Any = None,
    ) -> GeoCatalog:
        """Return the rows that touch a slice, or a box and a time range.

        Parameters
        ----------
        slice_
            A GeoSlice; given alone.
        bounds
            (west, south, east, north) in `crs`, by default the catalog's own. West > east in
            degrees crosses the antimeridian. A box in another CRS is reprojected along densified
            edges.
        time
            A pair, `pd.Interval`, ISO text "a/b", or one date or instant; a date covers its whole
            day; None at an end leaves it open.
        crs
            CRS of `bounds`, in any form pyproj understands.

        Returns
        -------
        A catalog of the same kind.

        Raises
        ------
        CatalogError
            For a malformed box or time, or a mixture of both forms.

        Examples
        --------
        >>> import geopandas as gpd
        >>> import shapely
        >>> from geocatalog import InMemoryGeoCatalog
        >>> frame = gpd.GeoDataFrame({"filepath": ["a.tif"], "start_time": ["2024-06-03"],
        ...     "end_time": ["2024-06-03"]}, geometry=[shapely.box(0, 0, 10, 10)], crs=32610)
        >>> catalog = InMemoryGeoCatalog(frame)
        >>> len(catalog.query(bounds=(8, 8, 20, 20))), len(catalog.query(time="2023"))
        (1, 0)
        """
        if slice_ is not None:
            if bounds is not None or crs is not None or time is not None:
                raise CatalogError("give a slice, or bounds=, crs= and time=, not both")
            if not isinstance(slice_, GeoSlice):
                raise CatalogError(
                    f"query takes a GeoSlice, got {type(slice_).__name__}; "
                    "for a plain box write query(bounds=..., crs=...)"
                )
            bounds, crs, time = slice_.bounds, slice_.crs, slice_.interval
        if bounds is None and crs is not None:
            raise CatalogError("crs= says what bounds= are in; give bounds= too")
        own = self.crs
        region = None
        if bounds is not None:
            box_crs = own if crs is None else as_crs(crs)
            # What lies beyond 180 degrees is found under its other number, too.
            extent = self._extent() if own.is_geographic or not same_crs(box_crs, own) else None
            region = region_of(as_bounds(bounds, box_crs), box_crs, own, extent)
        return self._select(region, None if time is None else pack_time(time))

    def facts(self) -> dict[str, Any]:
        """Return how many rows there are, of what, where and when, as JSON values.

        Returns
        -------
        `rows`, `backend`, `crs` (text), `total_bounds` (list or None), `temporal_extent` (two ISO
        texts or None) and `columns`.

        Examples
        --------
        >>> import geopandas as gpd, shapely
        >>> frame = gpd.GeoDataFrame({"filepath": ["a.tif"]}, geometry=[shapely.box(0, 0, 1, 1)],
        ...     crs=32610)
        >>> InMemoryGeoCatalog(frame).facts()["total_bounds"]
        [0.0, 0.0, 1.0, 1.0]
        """
        bounds = self.total_bounds
        return {
            "rows": len(self),
            "backend": self.backend,
            "crs": crs_text(self.crs),
            "total_bounds": None if bounds is None else list(bounds),
            "temporal_extent": iso_ends(self.temporal_extent),
            "columns": self.columns,
        }

    def intersect(
        self, other: GeoCatalog, spatial_only: bool = False, touching: bool = False
    ) -> InMemoryGeoCatalog:
        """Return one row for each pair of rows that shares space and time.

        Footprint and interval are clipped to what is shared, in this catalog's CRS. Columns are
        this catalog's, then `filepath_right` and the other's extras (with `_right` where a name is
        taken). With `spatial_only` times are neither compared nor clipped. Pairs share an area, a
        line its length, a point its place: tiles side by side are no pair unless `touching`. In
        time sets are closed. Footprints are clipped when they are asked for.

        Parameters
        ----------
        other
            Any catalog, in any CRS, of any kind of file.
        spatial_only
            Whether to leave times alone.
        touching
            Whether footprints that only touch are a pair, too, with a line or point as theirs.

        Returns
        -------
        One row per pair, in memory.

        Examples
        --------
        >>> import geopandas as gpd, shapely
        >>> def catalog(path, *sides):
        ...     footprint = [shapely.box(*sides)]
        ...     return InMemoryGeoCatalog(
        ...         gpd.GeoDataFrame({"filepath": [path]}, geometry=footprint, crs=32610))
        >>> shared = catalog("a.tif", 0, 0, 10, 10) & catalog("b.tif", 5, 5, 20, 20)
        >>> shared.total_bounds, shared.gdf.filepath_right.tolist()
        ((5.0, 5.0, 10.0, 10.0), ['b.tif'])
        """
        left, right = _part_near(self, other), _part_near(other, self)
        pairs = pairs_of(left.table, _turned_table(right, left), spatial_only, touching)
        return InMemoryGeoCatalog.from_table(pairs, self.backend)

    def union(self, other: GeoCatalog) -> InMemoryGeoCatalog:
        """Return the rows of both, the other's reprojected to this catalog's CRS; equal rows once.

        Columns are those of either, empty where a catalog lacks them.

        Parameters
        ----------
        other
            A catalog of the same kind of file, in any CRS.

        Returns
        -------
        This catalog's rows, then the other's, in memory.

        Raises
        ------
        CatalogError
            When the two list different kinds of file.

        Examples
        --------
        >>> import geopandas as gpd, shapely
        >>> frame = gpd.GeoDataFrame({"filepath": ["a.tif", "b.tif"]},
        ...     geometry=[shapely.box(0, 0, 1, 1)] * 2, crs=32610)
        >>> whole = InMemoryGeoCatalog(frame)
        >>> len(whole | whole.where("filepath = 'a.tif'"))
        2
        """
        _check_catalog(other)
        if self.backend != other.backend:
            raise CatalogError(
                f"a union lists one kind of file, got {self.backend} and {other.backend}; "
                "intersect can join different kinds"
            )
        left, right = self.materialize(), other.materialize()
        frames = [left.table.frame, right.table_in(left.crs).frame]
        return InMemoryGeoCatalog(joined_frames(frames), self.backend)

    def difference(self, other: GeoCatalog, spatial_only: bool = False) -> InMemoryGeoCatalog:
        """Return this catalog's rows without what rows of the other cover at the same time.

        A footprint loses what is shared with every row that `intersect` would pair it with; a row
        of which nothing is left is no row. Times and columns stay as they are.

        Parameters
        ----------
        other
            Any catalog, in any CRS, of any kind of file.
        spatial_only
            Whether to leave times alone: what the other covers is lost whenever it does.

        Returns
        -------
        Rows of this catalog, in its CRS, in memory.

        Examples
        --------
        >>> import geopandas as gpd, shapely
        >>> def catalog(path, *sides):
        ...     footprint = [shapely.box(*sides)]
        ...     return InMemoryGeoCatalog(
        ...         gpd.GeoDataFrame({"filepath": [path]}, geometry=footprint, crs=32610))
        >>> left = catalog("a.tif", 0, 0, 10, 10) - catalog("b.tif", 5, 0, 20, 20)
        >>> left.total_bounds
        (0.0, 0.0, 5.0, 10.0)
        """
        own, near = self.materialize(), _part_near(other, self)
        taken = _turned_table(near, own)
        shapes = own.table.geometry.copy()
        left = np.ones(len(shapes), dtype=bool)
        for row, others in pairs_of(own.table, taken, spatial_only).partners().items():
            shapes[row] = shapely.difference(shapes[row], shapely.union_all(taken.geometry[others]))
            left[row] = not shapes[row].is_empty
        frame = own.gdf.set_geometry(shapes, crs=own.crs)
        return InMemoryGeoCatalog(frame[left], self.backend)

    __sub__ = difference
    __and__ = intersect
    __or__ = union

    def __iter__(self) -> Iterator[CatalogRow]:
        return self.iter_rows()

    def iter_slices(self, resolution: float | Sequence[float] | None = None) -> Iterator[GeoSlice]:
        """Yield each row's box and interval as a slice on that file's own pixel grid.

        Parameters
        ----------
        resolution
            Pixel size in units of the catalog's CRS, one number or (x, y); by default the one
            recorded for each row.

        Yields
        ------
        Slices, in the order of the rows.
        """
        for row in self.iter_rows():
            yield row.slice(resolution)

    def missing_files(self) -> list[str]:
        """Return the local paths that no longer exist; remote ones are not asked.

        Returns
        -------
        Paths as the rows give them, those of single assets included.
        """
        from geocatalog.read.open import is_dataset_name, is_remote

        paths = (path for row in self for path in (row.assets or {"": row.filepath}).values())
        return [
            path
            for path in paths
            if not is_remote(path) and not is_dataset_name(path) and not os.path.exists(path)
        ]

    def plot(self, ax: Any = None, column: str | None = "start_time", **kwargs: Any) -> Any:
        """Draw the footprints on matplotlib axes, coloured by a column.

        Parameters
        ----------
        ax
            Axes to draw on; by default new ones.
        column
            Column that says the colour; None draws all alike.
        **kwargs
            Passed to `GeoDataFrame.plot`.

        Returns
        -------
        The matplotlib axes.
        """
        from geocatalog.plot import plot_footprints

        return plot_footprints(self.gdf, ax=ax, column=column, **kwargs)

    def explore(self, **kwargs: Any) -> Any:
        """Return an interactive folium map of the footprints.

        Parameters
        ----------
        **kwargs
            Passed to `GeoDataFrame.explore`.

        Returns
        -------
        A `folium.Map`.

        Raises
        ------
        ImportError
            That names the extra where a library is missing; `plot` draws without folium.
        """
        frame = self.gdf
        for name in ("start_time", "end_time"):
            frame[name] = frame[name].astype(str)
        for module in ("matplotlib", "folium", "mapclassify"):
            needed(module)
        return frame.explore(**kwargs)

    def __repr__(self) -> str:
        times = self.temporal_extent
        ends = [end[:10] for end in iso_ends(times) or ()]
        when = " to ".join(ends) or "undated"
        name = type(self).__name__
        return f"{name}({len(self)} {self.backend} rows, {crs_text(self.crs)}, {when})"


DERIVED = frozenset({"_frame", "_count", "total_bounds", "temporal_extent"})
"""What a catalog works out when asked and does not take along when it is pickled."""


def _check_catalog(other: Any) -> None:
    """Raise `CatalogError` for what is no catalog."""
    if not isinstance(other, GeoCatalog):
        raise CatalogError(
            f"a catalog is joined with a catalog, got a {type(other).__name__}; "
            "InMemoryGeoCatalog(frame) makes one of a GeoDataFrame with the column filepath"
        )


def _part_near(catalog: GeoCatalog, other: GeoCatalog) -> InMemoryGeoCatalog:
    """Return the part of a catalog that can meet another, in memory."""
    _check_catalog(catalog)
    _check_catalog(other)
    # A tree that is there serves as it is; a part would need a new one.
    box = None if isinstance(catalog, InMemoryGeoCatalog) else other.total_bounds
    near = catalog if box is None else catalog.query(bounds=box, crs=other.crs)
    return near.materialize()


def _turned_table(catalog: InMemoryGeoCatalog, other: InMemoryGeoCatalog) -> FootprintTable:
    """Return the rows of a catalog where another one, which may count to 360, has them."""
    table = catalog.table_in(other.crs)
    ends = [each for each in (other.table.extent, table.extent) if each is not None]
    if not other.crs.is_geographic or len(ends) < 2 or not any(turns(e[0], e[2]) for e in ends):
        return table
    shapes = turned_onto(table.geometry, ends[0][0], ends[0][2])
    return FootprintTable(table.frame.set_geometry(shapes, crs=table.crs))


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
        checked_option(backend, "backend", BACKENDS, CatalogError)
        self._cut_from(FootprintTable.of(gdf), backend, None)

    def _cut_from(self, table: FootprintTable, backend: str, rows: np.ndarray | None) -> None:
        super().__init__(table.crs, backend)
        self.table, self._rows = table, rows

    @classmethod
    def from_table(
        cls, table: FootprintTable, backend: str = "raster", rows: np.ndarray | None = None
    ) -> InMemoryGeoCatalog:
        """Return a catalog over a table that is already in order; nothing is copied.

        Parameters
        ----------
        table
            The rows.
        backend
            Kind of file: "raster", "xarray" or "vector".
        rows
            Sorted numbers of the rows that belong to the catalog, or None for all.

        Returns
        -------
        The catalog.
        """
        made = cls.__new__(cls)
        made._cut_from(table, backend, rows)
        return made

    def __getstate__(self) -> dict[str, Any]:
        # A part takes its own rows along and not the table that it shares with other parts.
        made = {name: value for name, value in vars(self).items() if name not in DERIVED}
        return made | {"table": self.materialize().table, "_rows": None}

    def __len__(self) -> int:
        return len(self.table) if self._rows is None else len(self._rows)

    @property
    def columns(self) -> list[str]:
        """Column names: the four core ones, then extras."""
        return self.table.columns

    @cached_property
    def _frame(self) -> GeoDataFrame:
        return self.table.frame if self._rows is None else self._taken()

    def _taken(self) -> GeoDataFrame:
        # Each method of a frame that gives a frame costs a fifth of a query: one take, no more.
        taken = self.table.frame.take(self._rows)
        taken.index = pd.RangeIndex(len(taken))
        return taken

    def _copied(self) -> GeoDataFrame:
        return self._frame.copy() if self._rows is None else self._taken()

    @cached_property
    def total_bounds(self) -> Bounds | None:
        """(west, south, east, north) of all rows; None for an empty catalog."""
        return extent_of(self._cut(self.table.bounds))

    @cached_property
    def temporal_extent(self) -> pd.Interval | None:
        """From the first start to the last end that are known; None when nothing is dated."""
        starts, ends = self._cut(self.table.starts), self._cut(self.table.ends)
        known = np.concatenate([starts[starts != OPEN_START], ends[ends != OPEN_END]])
        return interval_of(known.min(), known.max()) if len(known) else None

    def _cut(self, array: Any) -> Any:
        return array if self._rows is None else array[self._rows]

    def table_in(self, crs: CRS) -> FootprintTable:
        """Return the table with its footprints in another CRS.

        Parameters
        ----------
        crs
            The other CRS.

        Returns
        -------
        The catalog's own table where they are in it already.
        """
        if same_crs(self.crs, crs):
            return self.table
        moved = reproject(self.table.geometry, self.crs, crs)
        return FootprintTable(self.gdf.set_geometry(moved, crs=crs))

    def _extent(self) -> Bounds | None:
        # The table's extent serves every catalog cut from it, and is worked out once.
        return self.table.extent

    def _select(self, region: Region | None, times: tuple[int, int] | None) -> InMemoryGeoCatalog:
        if region is None and times is None:
            return self
        rows = self.table.select(region, times, self._rows)
        return self.from_table(self.table, self.backend, rows)

    def where(self, expression: str) -> InMemoryGeoCatalog:
        """Return the rows for which a SQL expression over the columns is true.

        Comparisons, AND, OR, NOT, IN, BETWEEN, LIKE, arithmetic, and plain functions such as
        lower(), contains() or year(); anything else is refused (see `geocatalog.expression`).

        Parameters
        ----------
        expression
            A condition over the columns.

        Returns
        -------
        A catalog over the same table.

        Raises
        ------
        CatalogError
            For text that is not one condition over the columns.

        Examples
        --------
        >>> import geopandas as gpd, shapely
        >>> frame = gpd.GeoDataFrame({"filepath": ["a.tif", "b.tif"], "cloud_cover": [3.0, 80.0]},
        ...     geometry=[shapely.box(0, 0, 10, 10), shapely.box(10, 0, 20, 10)], crs=32610)
        >>> InMemoryGeoCatalog(frame).where("cloud_cover < 10").gdf.filepath.tolist()
        ['a.tif']
        """
        from geocatalog.expression import matching_rows

        hits = matching_rows(expression, self.table.attributes, self._rows)
        return self.from_table(self.table, self.backend, hits)

    def iter_rows(self) -> Iterator[CatalogRow]:
        """Yield the rows one by one."""
        return rows_of(self.table.arrays, self.crs, self._rows)

    @property
    def row_numbers(self) -> np.ndarray:
        """(N,) int64: the rows' numbers in the table that this catalog was cut from."""
        return np.arange(len(self.table)) if self._rows is None else self._rows

    def column(self, name: str) -> np.ndarray:
        """Return one column as an array, without a frame; see `GeoCatalog.column`."""
        self._check_column(name)
        return column_values(self._cut(self.table.arrays[name]))

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table, without a frame; see `GeoCatalog.to_arrow`."""
        table = self.table.attributes
        if self._rows is not None:
            table = table.take(self._rows)
        return with_footprints(table, self._cut(self.table.geometry))

    def materialize(self) -> InMemoryGeoCatalog:
        """Return a catalog with its own table of just these rows.

        Worth it before many queries on a small part of a large catalog, and to let the large
        one go.

        Returns
        -------
        A catalog that shares nothing with the one it was cut from.
        """
        table = self.table if self._rows is None else FootprintTable(self._frame)
        made = self.from_table(table, self.backend)
        made.skipped = list(self.skipped)
        return made


class LostChangeWarning(UserWarning):
    """A column was set on a copy of a catalog's rows that nobody holds.

    Examples
    --------
    >>> issubclass(LostChangeWarning, UserWarning)
    True
    """


class CopiedFrame(GeoDataFrame):
    """A copy of a catalog's rows: `catalog.gdf["x"] = ...` warns, since it changes no catalog.

    A copy that has a name may be changed in silence.

    Examples
    --------
    >>> import shapely
    >>> frame = CopiedFrame({"a": [1]}, geometry=[shapely.Point(0, 0)])
    >>> frame["b"] = 2
    >>> frame.b.tolist()
    [2]
    """

    def __setitem__(self, key: Any, value: Any) -> None:
        if sys.getrefcount(self) <= _UNNAMED:
            warnings.warn(
                f"catalog.gdf is a copy, so setting {key!r} on it changes nothing; write "
                f"catalog = catalog.assign({key}=...), or give the copy a name first",
                LostChangeWarning,
                stacklevel=2,
            )
        super().__setitem__(key, value)


class _Counted:
    """Counts the references to itself when an item is set."""

    def __init__(self, counts: list[int]) -> None:
        self.counts = counts

    def __setitem__(self, key: Any, value: Any) -> None:
        self.counts.append(sys.getrefcount(self))


def _references_without_name() -> int:
    """Return how many references an object has that is set an item and has no name, 0 if as many.

    Interpreters count differently, so it is tried out; pandas tells lost changes the same way.
    """
    counts: list[int] = []
    _Counted(counts)[0] = 0
    named = _Counted(counts)
    named[0] = 0
    return counts[0] if counts[0] < counts[1] else 0


_UNNAMED = _references_without_name()


class CatalogDomain:
    """The slices of a catalog's rows, in order, each on its file's own pixel grid.

    Parameters
    ----------
    catalog
        Any catalog.
    resolution
        Pixel size in units of the catalog's CRS, one number or (x, y); None takes the one recorded
        for each row.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> from geocatalog import InMemoryGeoCatalog
    >>> frame = gpd.GeoDataFrame({"filepath": ["a.tif", "b.tif"]},
    ...     geometry=[shapely.box(0, 0, 40, 20), shapely.box(40, 0, 60, 20)], crs=32610)
    >>> domain = CatalogDomain(InMemoryGeoCatalog(frame), resolution=10)
    >>> len(domain), domain.bounds, [slice_.shape for slice_ in domain.slices()]
    (2, (0.0, 0.0, 60.0, 20.0), [(2, 4), (2, 2)])
    """

    def __init__(
        self, catalog: GeoCatalog, resolution: float | Sequence[float] | None = None
    ) -> None:
        self.catalog = catalog
        self.resolution = resolution

    def __len__(self) -> int:
        return len(self.catalog)

    @property
    def bounds(self) -> Bounds | None:
        """(west, south, east, north) of all rows; None when there is none."""
        return self.catalog.total_bounds

    @property
    def crs(self) -> CRS:
        """The catalog's CRS."""
        return self.catalog.crs

    def slices(self) -> list[GeoSlice]:
        """Return one slice per row, in order.

        Returns
        -------
        As many slices as there are rows.
        """
        return list(self)

    def __iter__(self) -> Iterator[GeoSlice]:
        return self.catalog.iter_slices(self.resolution)

    def get_config(self) -> dict[str, Any]:
        """Return what this domain is, as JSON values.

        Returns
        -------
        `{"class": ..., "config": ...}`, which `json.dumps` takes.
        """
        return {
            "class": type(self).__name__,
            "config": {"catalog": self.catalog.get_config(), "resolution": self.resolution},
        }

    def __repr__(self) -> str:
        size = "own resolution" if self.resolution is None else str(self.resolution)
        return f"CatalogDomain({len(self)} slices, {size}, {crs_text(self.crs)})"


query = GeoCatalog.query
intersect = GeoCatalog.intersect
difference = GeoCatalog.difference
union = GeoCatalog.union
