"""STAC items in Parquet files, read as a catalog where they are.

Each column of the catalog is an expression over the items' own columns, so nothing is converted,
and a query reads the parts of the files that it needs.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from geocatalog.errors import CatalogError
from geocatalog.footprint import as_crs, box_outline, crs_text, degree_box, outline_within
from geocatalog.item_columns import ItemColumns
from geocatalog.parquet import (
    COVERING,
    FileInfo,
    digest_of,
    parquet_file,
    stamp_of,
)
from geocatalog.parquet_source import (
    ParquetSource,
    both_forms,
    literal,
    pattern_of,
    quoted,
    reading,
)
from geocatalog.stac import PROPERTIES
from pipekit.places import store_of

ENDINGS = (".parquet", ".geoparquet", ".pq")
"""Of Parquet files."""


def holds_items(place: str) -> bool:
    """Return whether a file or folder holds STAC items rather than a catalog's rows.

    Parameters
    ----------
    place
        A Parquet file, or a folder of them.

    Returns
    -------
    Whether the first file has the columns of items.
    """
    try:
        with parquet_file(parquet_files(place)[0]) as file:
            names = file.schema_arrow.names
    except (OSError, pa.ArrowInvalid):
        return False
    return not {"assets", "stac_version"}.isdisjoint(names) and "filepath" not in names


def parquet_files(place: str) -> list[str]:
    """Return the Parquet files of a place: itself, or those in a folder and the folders in it.

    Parameters
    ----------
    place
        A file or folder, on this machine or on a store.

    Returns
    -------
    In the order of their names.

    Raises
    ------
    CatalogError
        When there is none.
    """
    store = store_of(place)
    if store.suffix in ENDINGS if store else not os.path.isdir(place):
        return [place]
    inside = f"{glob.escape(place)}/**"
    names = map(str, store.below()) if store else glob.iglob(inside, recursive=True)
    found = sorted(name for name in names if os.path.splitext(name)[1] in ENDINGS)
    if store and not found:
        return [place]  # an object may have any name
    if not found:
        raise CatalogError(f"no Parquet file in the folder {place}")
    return found


def _is_parted(place: str, paths: list[str]) -> bool:
    """Return whether folders below a place tell what files do not ("year=2024")."""
    folders = {part for path in paths for part in path[len(place) :].split("/")[:-1]}
    with parquet_file(paths[0]) as file:
        known = set(file.schema_arrow.names)
    return not {part.partition("=")[0] for part in folders if "=" in part} <= known


@dataclass(frozen=True)
class ItemSource(ParquetSource):
    """Files of STAC items with the connection that reads them.

    Parameters
    ----------
    info
        What the files come to as a catalog.
    connection
        A connection that may read these files and nothing else.
    asset_key
        As `open_catalog` was asked.
    expressions
        SQL of each column of the catalog, over the items' columns.
    items
        SQL of the items that have the assets.
    """

    asset_key: str | tuple[str, ...] | None = None
    expressions: dict[str, str] = field(default_factory=dict)
    items: str = ""

    @classmethod
    def open(
        cls,
        place: str,
        asset_key: str | tuple[str, ...] | None = None,
        digests: tuple[str, ...] | None = None,
    ) -> ItemSource:
        """Return files of items, and a connection to them that can read nothing else.

        Parameters
        ----------
        place
            A Parquet file, or a folder of them.
        asset_key
            As in `from_stac_items`.
        digests
            What their footers must come to, when they were open before.

        Returns
        -------
        The files with a new connection.

        Raises
        ------
        CatalogError
            For files that hold no items, an asset that no item has, and others than those of the
            digests.
        """
        paths = parquet_files(place)
        stamps = tuple((path, stamp_of(path)) for path in paths)
        if digests is not None and tuple(map(digest_of, paths)) != digests:
            raise CatalogError(
                f"the files of {place} are not those that this catalog was pickled with: they were "
                "replaced, or differ on this machine; open them again with open_catalog"
            )
        connection = reading(place, f"allowed_paths = [{', '.join(map(both_forms, paths))}]")
        listed = ", ".join(literal(pattern_of(path)) for path in paths)
        hive = str(_is_parted(place, paths)).lower()
        table = f"read_parquet([{listed}], union_by_name = true, hive_partitioning = {hive})"
        schema = connection.sql(f"SELECT * FROM {table} LIMIT 0").to_arrow_table().schema
        facts = _Facts.of(paths)
        columns = ItemColumns(schema, asset_key, place, facts.always_null)
        expressions = columns.expressions()
        items = f"{table} WHERE {columns.present}"
        numbered = enumerate(expressions.values())
        selected = ", ".join(f"{sql} AS {quoted(str(number))}" for number, sql in numbered)
        kinds = connection.sql(f"SELECT {selected} FROM {table} LIMIT 0").to_arrow_table().schema
        # A box that is missing would be outside of every query.
        covered = columns.has("bbox", "xmin") and facts.nulls.get("bbox.xmin") == 0
        rows = columns.present_in(facts)
        if rows is None:
            rows = connection.execute(f"SELECT count(*) FROM {items}").fetchall()[0][0]
        info = FileInfo(
            path=place,
            crs=as_crs("EPSG:4326"),  # as GeoJSON has it, and STAC
            backend="raster",
            columns=[name for name in expressions if name != "bbox"],
            rows=rows,
            schema=pa.schema(list(zip(expressions, kinds.types, strict=True))),
            covering="bbox" if covered else None,
            undated=columns.has("start_datetime"),
            as_json=facts.as_json,
            sparse=True,
            stamps=stamps,
        )
        how: dict[str, Any] = {"asset_key": asset_key, "expressions": expressions, "items": items}
        return cls(info, connection, **how)

    def __reduce__(self) -> Any:
        self.info.check_unchanged()
        digests = tuple(digest_of(path) for path, _ in self.info.stamps)
        return ItemSource.open, (self.info.path, self.asset_key, digests)

    def rows(self) -> str:
        """Return the table expression that reads the items as rows of a catalog.

        Returns
        -------
        SQL.
        """
        selected = ", ".join(
            f"{sql} AS {quoted(self.names[name])}" for name, sql in self.expressions.items()
        )
        return f"(SELECT {selected} FROM {self.items})"

    @property
    def known_numbers(self) -> dict[str, str]:  # type: ignore[override]
        """None: JSON, of which items are, has no NaN."""
        return {}

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Names that a condition may use beside those of the columns: the items' own."""
        return {
            own: self.names[name] for name, own in PROPERTIES.items() if name in self.expressions
        }

    def schema(self, names: list[str]) -> pa.Schema:
        """Return the Arrow types of `columns(names)`.

        Parameters
        ----------
        names
            Columns of the catalog.

        Returns
        -------
        One field per name, and the items' boxes beside their outlines.
        """
        own = super().schema(names)
        covering = self.info.covering
        if covering is None or "geometry" not in names:
            return own
        return own.append(self.info.schema.field(covering))

    def columns(self, names: list[str]) -> str:
        """Return the select list for catalog columns, with the boxes beside outlines.

        Parameters
        ----------
        names
            Columns of the catalog.

        Returns
        -------
        SQL.
        """
        covering = self.info.covering
        beside = covering is not None and "geometry" in names
        own = super().columns(names)
        return f"{own}, {quoted(self.names[str(covering)])}" if beside else own

    def conformed(self, table: pa.Table, names: list[str]) -> pa.Table:
        """Return what DuckDB read, its outlines with longitudes in -180..180.

        An outline's box tells where it lies; an item without an outline has its box.

        Parameters
        ----------
        table
            The result of `columns(names)`.
        names
            Columns of the catalog.

        Returns
        -------
        The same rows.
        """
        whole = super().conformed(table.select(range(len(names))), names)
        if "native_crs" in names:
            whole = _with_named_crs(whole, names.index("native_crs"))
        if "geometry" not in names or not len(whole):
            return whole
        at = names.index("geometry")
        shapes = shapely.from_wkb(whole.column(at).to_numpy())
        boxes = self._boxes(table, shapes)
        west, _, east, _ = shapely.bounds(shapes).T
        plain = (east - west <= 180) & (west >= -180) & (east <= 180) & (boxes[:, 0] <= boxes[:, 2])
        doubtful = np.flatnonzero(~plain)
        if not len(doubtful):
            return whole
        for row in doubtful:
            shapes[row] = _outline(shapes[row], boxes[row])
        return whole.set_column(at, "geometry", pa.array(shapely.to_wkb(shapes), pa.binary()))

    def _boxes(self, table: pa.Table, shapes: np.ndarray) -> np.ndarray:
        """Return (N, 4) boxes as the items tell them, else those of their outlines."""
        own = shapely.bounds(shapes)
        if self.info.covering is None:
            return own
        told = table.column(table.num_columns - 1).combine_chunks()
        sides = [told.field(side).to_numpy(zero_copy_only=False) for side in COVERING]
        boxes = np.stack(sides, axis=1).astype(float)
        return np.where(np.isfinite(boxes).all(axis=1)[:, None], boxes, own)


def _with_named_crs(table: pa.Table, at: int) -> pa.Table:
    """Return rows whose CRS have the names that a catalog gives them: an item may write JSON."""
    told = table.column(at).to_pylist()
    if not any(each and each.startswith("{") for each in told):
        return table
    named = [each and crs_text(as_crs(each)) for each in told]
    return table.set_column(at, table.schema.names[at], pa.array(named, pa.string()))


def _outline(shape: Any, box: np.ndarray) -> Any:
    """Return an item's outline cut at 180 degrees, or its box where it has none."""
    if not np.isfinite(box).all():
        return shape
    bounds = degree_box(box.tolist())
    return box_outline(bounds) if shape is None else outline_within(shape, bounds)


@dataclass(frozen=True)
class _Facts:
    """What the footers of files say: rows, nulls by the path of a column, JSON columns."""

    rows: int
    nulls: dict[str, int | None]
    as_json: frozenset[str]

    @classmethod
    def of(cls, paths: Sequence[str]) -> _Facts:
        rows, text = 0, set[str]()
        nulls: dict[str, int | None] = {}
        for path in paths:
            with parquet_file(path) as file:
                footer, said = file.metadata, file.schema_arrow.metadata or {}
            text |= set(json.loads(said.get(b"geocatalog", b"{}")).get("json", ()))
            own: dict[str, int | None] = {}
            for name, count in _nulls(footer):
                told = own.get(name, 0)
                own[name] = None if told is None or count is None else told + count
            # A column that a file lacks is null in all its rows.
            for name in {*nulls, *own} if footer.num_rows else ():
                before, more = nulls.get(name, rows), own.get(name, footer.num_rows)
                nulls[name] = None if before is None or more is None else before + more
            rows += footer.num_rows
        return cls(rows, nulls, frozenset(text))

    def always_null(self, name: str) -> bool:
        """Whether a column is null in every item, by the files' statistics."""
        return self.nulls.get(name) == self.rows


def _nulls(footer: Any) -> Iterator[tuple[str, int | None]]:
    """Yield the nulls of each column in each row group, None where they were not counted."""
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        for at in range(group.num_columns):
            column = group.column(at)
            counted = column.statistics is not None and column.statistics.has_null_count
            yield column.path_in_schema, column.statistics.null_count if counted else None
