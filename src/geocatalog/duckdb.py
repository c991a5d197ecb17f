"""A catalog over a GeoParquet file: a query adds a predicate, and rows are read when asked for."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Literal, overload

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
from geopandas import GeoDataFrame

from geocatalog.catalog import DERIVED, GeoCatalog, InMemoryGeoCatalog
from geocatalog.errors import CatalogError
from geocatalog.expression import check_boolean, compile_expression
from geocatalog.footprint import Bounds, Region, crs_text, mended
from geocatalog.interval import OPEN_END, OPEN_START, interval_of
from geocatalog.item_source import ENDINGS, ItemSource, holds_items
from geocatalog.parquet import COVERING, columns_from_arrow, frame_from_arrow
from geocatalog.parquet_source import FolderSource, ParquetSource
from geocatalog.rows import CatalogRow, rows_of
from geocatalog.table import (
    FootprintTable,
    arrays_of,
    as_json,
    column_values,
    extent_of,
    normalise_frame,
)
from pipekit.operator import checked_option
from pipekit.places import place_of

BATCH_ROWS = 8192
"""Rows that `iter_rows` holds at a time."""

PIECE_ROWS = 2**17
"""Rows that `iter_catalogs` holds at a time."""


FEW_ROWS = 256
"""Rows that are fetched one by one rather than as Arrow."""


_Predicate = tuple[str, tuple[Any, ...]]
"""A condition and its values, which are always bound and never part of the text."""


class DuckDBGeoCatalog(GeoCatalog):
    """A catalog that stays in its GeoParquet file.

    `query` and `where` return a catalog with one more SQL predicate; nothing is read until rows,
    their number or their extent are asked for. Bounds and times are compared to the file's
    row-group statistics first, so a small query reads a small part; footprints that are not
    boxes are then tested exactly. The connection can read this one file and nothing else, and
    no DuckDB extension is needed. It pickles; the copy opens the file anew.

    Parameters
    ----------
    path
        A GeoParquet file written by `to_geoparquet`, or any with a `filepath` column, on this
        machine, on an object store or on a web server; of the latter two ranges are read. Or a
        source that is open already.

    Raises
    ------
    CatalogError
        For a file that is no catalog.

    Examples
    --------
    >>> import geopandas as gpd, shapely, tempfile
    >>> from geocatalog import to_geoparquet
    >>> frame = gpd.GeoDataFrame({"filepath": ["/a"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=4326)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = to_geoparquet(InMemoryGeoCatalog(frame), folder + "/catalog.parquet")
    ...     catalog = DuckDBGeoCatalog(path)
    ...     len(catalog.query(bounds=(0.5, 0.5, 2, 2))), len(catalog.query(bounds=(2, 2, 3, 3)))
    (1, 0)
    """

    def __init__(self, path: Any) -> None:
        source = path if isinstance(path, ParquetSource) else ParquetSource.of(path)
        super().__init__(source.info.crs, source.info.backend)
        self._source = source
        self._predicates: tuple[_Predicate, ...] = ()
        self._regions: tuple[Region, ...] = ()
        self.path = source.info.path
        """The file."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in DERIVED}

    def _with(
        self, predicates: list[_Predicate], *regions: Region, source: ParquetSource | None = None
    ) -> DuckDBGeoCatalog:
        made = DuckDBGeoCatalog(source or self._source)
        made._predicates = (*self._predicates, *predicates)
        made._regions = (*self._regions, *regions)
        return made

    @property
    def columns(self) -> list[str]:
        """Column names: the four core ones, then extras."""
        return list(self._source.info.columns)

    @property
    def _untouched(self) -> bool:
        return not self._predicates and not self._regions

    @cached_property
    def _count(self) -> int:
        if self._untouched:
            return self._source.info.rows
        if self._regions:
            return sum(len(shapes) for _, shapes in self._batches([]))
        return int(self._fetch(self._statement("count(*)"))[0][0])

    def __len__(self) -> int:
        return self._count

    @cached_property
    def total_bounds(self) -> Bounds | None:
        """(west, south, east, north) of all rows; None for an empty catalog."""
        info = self._source.info
        if self._untouched and info.bounds is not None:
            return info.bounds
        if not self._regions and info.covering is not None:
            sides = ", ".join(
                f"{how}({self._source.side(side)})"
                for how, side in zip(("min", "min", "max", "max"), COVERING, strict=True)
            )
            west, south, east, north = self._fetch(self._statement(sides))[0]
            return None if west is None else (west, south, east, north)
        found = [shapely.bounds(shapes) for _, shapes in self._batches([])]
        return extent_of(np.concatenate(found)) if found else None

    def _extent(self) -> Bounds | None:
        # What the whole file covers is known without a scan, and bounds any part of it.
        return self._source.info.bounds or self.total_bounds

    @cached_property
    def temporal_extent(self) -> pd.Interval | None:
        """From the first start to the last end that are known; None when nothing is dated."""
        if self._untouched and self._source.info.version > 0:
            return self._source.info.extent
        if self._regions:
            return self.materialize().temporal_extent
        types = self._source.info.types
        known = [name for name in ("start_time", "end_time") if name in types]
        if not known:
            return None

        def micros(how: str, name: str) -> str:
            # Of nanoseconds the microsecond that they lie in: the wider type takes the nearest.
            kind = "TIMESTAMP_NS" if getattr(types[name], "unit", None) == "ns" else "TIMESTAMPTZ"
            return f"epoch_us(CAST({how}({self._source.time(name)}) AS {kind}))"

        low, high = (", ".join(micros(how, name) for name in known) for how in ("min", "max"))
        ((low, high),) = self._fetch(self._statement(f"least({low}), greatest({high})"))
        return None if low is None else interval_of(low, high)

    @cached_property
    def _frame(self) -> GeoDataFrame:
        return self._tidy(self._read_table(self.columns))

    def _tidy(self, table: pa.Table) -> GeoDataFrame:
        """Return rows as a catalog keeps them, which a file of our own already holds."""
        frame = frame_from_arrow(table, "geometry", self._source.info)
        return frame if self._source.info.valid else normalise_frame(frame)

    def column(self, name: str) -> np.ndarray:
        """Return one column as an array; see `GeoCatalog.column`. No other is read."""
        self._check_column(name)
        if not self._source.info.valid:
            # Somebody else's file: its times and footprints are put in order with all the rest.
            return column_values(self._frame[name].array)
        table = self._read_table([name])
        if name == "geometry":
            return shapely.from_wkb(table.column(name).to_numpy())
        return column_values(columns_from_arrow(table, self._source.info)[name].array)

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table, as the file holds them; see `GeoCatalog.to_arrow`."""
        return self._read_table(self.columns)

    def _read_table(self, names: list[str]) -> pa.Table:
        if self._regions:
            empty = self._source.conformed(self._source.schema(names).empty_table(), names)
            parts = (table.select(names) for table, _ in self._batches(names))
            return pa.concat_tables([empty, *parts])
        with self._source.explaining():
            rows = self._few_rows(names)
            if rows is None:
                rows = self._relation(names, self._source.thread_cursor()).to_arrow_table()
            return self._source.conformed(rows, names)

    def _few_rows(self, names: list[str]) -> pa.Table | None:
        """Return the rows as Arrow when they are few, else None.

        A DuckDB relation, which gives Arrow by itself, is bound twice: 3 ms that a query with a
        handful of rows need not spend.
        """
        schema = self._source.schema(names)
        if any(pa.types.is_timestamp(kind) and kind.unit == "ns" for kind in schema.types):
            return None  # Python's times have microseconds.
        statement = self._statement(self._source.columns(names))
        rows = self._fetch(f"{statement} LIMIT {FEW_ROWS}")
        if len(rows) == FEW_ROWS:
            return None
        values = zip(*rows, strict=True) if rows else ([] for _ in schema)
        arrays = [pa.array(v, type=f.type) for v, f in zip(values, schema, strict=True)]
        return pa.Table.from_arrays(arrays, schema=schema)

    def materialize(self) -> InMemoryGeoCatalog:
        """Return the same rows as an in-memory catalog.

        Returns
        -------
        A catalog that no longer needs the file.
        """
        return InMemoryGeoCatalog.from_table(FootprintTable(self._frame), self.backend)

    def iter_rows(self) -> Iterator[CatalogRow]:
        """Yield the rows one by one, in the file's order, a batch in memory at a time.

        Yields
        ------
        `CatalogRow`s, numbered from 0.
        """
        index = 0
        for table, _ in self._batches(self.columns):
            yield from rows_of(arrays_of(self._tidy(table)), self.crs, None, index)
            index += len(table)

    def where(self, expression: str) -> DuckDBGeoCatalog:
        """Return the rows for which a SQL expression over the columns is true.

        The same expressions as `InMemoryGeoCatalog.where`, pushed down to the file's statistics.

        Parameters
        ----------
        expression
            A condition over the columns.

        Returns
        -------
        A catalog with one more predicate; nothing is read yet.

        Raises
        ------
        CatalogError
            For text that is not one condition over the columns.
        """
        names = [name for name in self.columns if name != "geometry"]
        known = self._source.aliases | {name: self._source.names[name] for name in names}
        sql = compile_expression(expression, known | self._source.known_numbers)
        check_boolean(expression, self._source.thread_cursor(), sql, self._source.rows())
        return self._with([(sql, ())])

    def _select(self, region: Region | None, times: tuple[int, int] | None) -> DuckDBGeoCatalog:
        source = self._source.near(region, times)
        predicates: list[_Predicate] = []
        if region is not None and self._source.info.covering is not None:
            west, south, east, north = (self._source.side(side) for side in COVERING)
            one = f"({west} <= ? AND {east} >= ? AND {south} <= ? AND {north} >= ?)"
            values = tuple(value for w, s, e, n in region.parts for value in (e, w, n, s))
            predicates.append((" OR ".join([one] * len(region.parts)) or "false", values))
        if times is not None:
            predicates.extend(self._during(*times))
        if region is None or (region.is_boxes and self._source.info.boxes):
            return self._with(predicates, source=source)
        return self._with(predicates, region, source=source)

    def _during(self, first: int, last: int) -> Iterator[_Predicate]:
        ends = (("start_time", "<=", last, OPEN_END), ("end_time", ">=", first, OPEN_START))
        for name, compare, moment, open_end in ends:
            column = self._source.time(name)
            if moment == open_end or column is None:
                continue
            # A value of the column's own kind: DuckDB compares no others, and none that
            # nanoseconds cannot hold.
            kind, bound = self._source.info.types[name], moment
            if getattr(kind, "unit", None) == "ns":
                # Times count by their whole microseconds, as in memory.
                compare, bound = ("<", moment + 1) if compare == "<=" else (compare, moment)
                bound = max(-_NANOSECONDS_END, min(_NANOSECONDS_END, bound))
            value = _EPOCH + dt.timedelta(microseconds=bound)
            if getattr(kind, "tz", None) is None:
                value = value.replace(tzinfo=None)
            # An OR would keep DuckDB from skipping row groups, so it is there only when needed.
            sql = f"{column} {compare} ?"
            if self._source.info.undated:
                sql = f"{column} IS NULL OR {sql}"
            yield sql, (value,)

    def _conditions(self) -> tuple[str, list[Any]]:
        if not self._predicates:
            return "", []
        joined = " AND ".join(f"({sql})" for sql, _ in self._predicates)
        return f" WHERE {joined}", [value for _, bound in self._predicates for value in bound]

    @property
    def sql(self) -> str:
        """The query that would be run; values are bound, and shown here as `?`."""
        return self._statement(self._source.columns(self.columns))

    def _statement(self, what: str) -> str:
        return f"SELECT {what} FROM {self._source.rows()}{self._conditions()[0]}"

    def _fetch(self, statement: str) -> list[tuple[Any, ...]]:
        with self._source.explaining():
            cursor = self._source.thread_cursor()
            return cursor.execute(statement, self._conditions()[1]).fetchall()

    def _relation(self, names: list[str], cursor: duckdb.DuckDBPyConnection) -> Any:
        statement = self._statement(self._source.columns(names))
        return cursor.sql(statement, params=self._conditions()[1])

    def explain(self, analyze: bool = True) -> str:
        """Return DuckDB's plan of the query.

        Parameters
        ----------
        analyze
            Whether to run the query, and tell which row groups were read.

        Returns
        -------
        Text, as DuckDB prints it.
        """
        how = "EXPLAIN ANALYZE" if analyze else "EXPLAIN"
        return "\n".join(str(row[-1]) for row in self._fetch(f"{how} {self.sql}"))

    def iter_catalogs(self) -> Iterator[InMemoryGeoCatalog]:
        """Yield the rows as catalogs in memory; see `GeoCatalog.iter_catalogs`."""
        empty = True
        for table, _ in self._batches(self.columns, PIECE_ROWS):
            empty = False
            yield InMemoryGeoCatalog.from_table(FootprintTable(self._tidy(table)), self.backend)
        if empty:
            yield self.materialize()

    def _batches(
        self, names: list[str], rows: int = BATCH_ROWS
    ) -> Iterator[tuple[pa.Table, np.ndarray]]:
        """Yield (columns as Arrow, footprints) of the rows in this catalog, batch by batch."""
        names = list(dict.fromkeys([*names, "geometry"]))
        with self._source.explaining():
            for raw in self._tables(names, rows):
                table = self._source.conformed(raw, names)
                shapes = shapely.from_wkb(table.column("geometry").to_numpy())
                if not self._source.info.valid:
                    shapes = mended(shapes)
                if self._regions:
                    keep = np.all([region.touches(shapes) for region in self._regions], axis=0)
                    table, shapes = table.filter(pa.array(keep)), shapes[keep]
                if len(shapes):
                    yield table, shapes

    def _tables(self, names: list[str], rows: int) -> Iterator[pa.Table]:
        few = self._few_rows(names) if self._regions else None
        if few is not None:
            yield few
            return
        # A cursor of its own, for a result that is read while others are.
        self._source.info.check_unchanged()
        relation = self._relation(names, self._source.connection.cursor())
        for batch in relation.to_arrow_reader(rows):
            self._source.info.check_unchanged()
            yield pa.Table.from_batches([batch])

    def get_config(self) -> dict[str, Any]:
        """Return what this catalog is, as JSON values: file, CRS, and the predicates so far.

        Returns
        -------
        `{"class": ..., "config": ...}`, which `json.dumps` takes.
        """
        return {
            "class": type(self).__name__,
            "config": {
                "path": self.path,
                "backend": self.backend,
                "crs": crs_text(self.crs),
                "columns": self.columns,
                "predicates": [
                    {"sql": sql, "values": [as_json(value) for value in values]}
                    for sql, values in self._predicates
                ],
                "regions": [[shape.wkt for shape in region.shapes] for region in self._regions],
            },
        }


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

_NANOSECONDS_END = 2**63 // 1000
"""The microseconds that 64 bits of nanoseconds reach, before and after 1970."""


ENGINES = ("duckdb", "memory")
"""What reads a catalog file: as it is asked, or whole and at once."""

_Keys = str | Sequence[str] | None


@overload
def open_catalog(
    path: Any, asset_key: _Keys = ..., *, engine: Literal["duckdb"] = ...
) -> DuckDBGeoCatalog: ...


@overload
def open_catalog(
    path: Any, asset_key: _Keys = ..., *, engine: Literal["memory"]
) -> InMemoryGeoCatalog: ...


def open_catalog(path: Any, asset_key: _Keys = None, *, engine: str = "duckdb") -> GeoCatalog:
    """Return a lazy catalog over a GeoParquet file, or over STAC items in Parquet.

    STAC items are queried where they are. Their rows are those of `from_stac_items(items,
    asset_key, "EPSG:4326", footprint="geometry")`; items without the asset make none. All their
    properties are columns, and a condition may use the items' own names.

    Parameters
    ----------
    path
        A GeoParquet file, one that `to_geoparquet` wrote or any with a `filepath` column; a folder
        that `to_geoparquet(..., partition=...)` wrote; or stac-geoparquet, a file or a folder of
        files, whose folders may be partitions ("year=2024"). Each may be on an object store
        ("s3://bucket/catalog.parquet").
    asset_key
        For STAC items, as in `from_stac_items`.
    engine
        "duckdb" reads what each question needs; "memory" reads all rows at once.

    Returns
    -------
    A catalog whose rows are read when they are asked for, or one in memory.

    Raises
    ------
    CatalogError
        For an unknown engine; when the file is missing, is not GeoParquet, has no `filepath`
        column, or stores times as something other than timestamps.

    Examples
    --------
    >>> open_catalog("nowhere.parquet")
    Traceback (most recent call last):
    ...
    geocatalog.errors.CatalogError: no catalog file at ...nowhere.parquet
    """
    checked_option(engine, "engine", ENGINES, CatalogError)
    if engine == "memory":
        return open_catalog(path, asset_key).materialize()
    store = place_of(path)
    place = os.path.abspath(os.fspath(path)) if store is None else str(store)
    keys = asset_key if asset_key is None or isinstance(asset_key, str) else tuple(asset_key)
    is_file = os.path.isfile(place) if store is None else store.suffix in ENDINGS
    source = None if is_file else FolderSource.open(place)
    if source is None and holds_items(place):
        return DuckDBGeoCatalog(ItemSource.open(place, keys))
    if keys is not None and (source is not None or store or os.path.exists(place)):
        raise CatalogError(
            f"asset_key= chooses among the assets of STAC items, and {place} holds none"
        )
    catalog = DuckDBGeoCatalog(source or place)
    types = catalog._source.info.types
    for name in ("start_time", "end_time"):
        if name in types and not str(types[name]).startswith("timestamp"):
            raise CatalogError(
                f"{path} stores {name} as {types[name]}; rewrite it: "
                "to_geoparquet(from_geoparquet(path), path)"
            )
    return catalog
