"""More rows than memory holds, parted by time and sorted in space.

Rows wait in memory until they are many, then in files of one partition each, their runs. Each
partition is then sorted by itself: where it is larger than one file is to be, its rows are cut
along the Hilbert curve first, and each stretch is read from all runs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyproj import CRS

from geocatalog.catalog import GeoCatalog, InMemoryGeoCatalog
from geocatalog.errors import CatalogError
from geocatalog.footprint import Bounds, as_crs
from geocatalog.interval import OPEN_END, OPEN_START
from geocatalog.manifest import UNFINISHED
from geocatalog.parquet import COVERING, arrow_table, hilbert_keys, hilbert_order, parquet_file
from geocatalog.table import extent_of
from pipekit.carrier import same_crs

PARTITIONS = {"all": "", "year": "Y", "month": "M", "day": "D"}
"""What rows may be parted by, and numpy's unit of it."""

FILE_ROWS = 2**19
FILE_BYTES = 2**28
"""Rows and bytes, before they are compressed, that one file holds at most."""

WAITING_BYTES = 2**28
"""Of rows that wait in memory."""


class Runs:
    """Rows that come in pieces, kept by partition.

    Parameters
    ----------
    folder
        Where files wait; None for the folder for temporary files.
    partition
        One of `PARTITIONS`.
    crs
        That footprints are brought into; None takes that of the first piece.
    """

    def __init__(self, folder: Path | None, partition: str, crs: CRS | None = None) -> None:
        self._folder = TemporaryDirectory(prefix=UNFINISHED, dir=folder)
        self._partition, self._crs = partition, crs
        self._waiting: dict[str, list[pa.Table]] = {}
        self._files: dict[str, list[str]] = {}
        self._bounds: dict[str, list[Bounds]] = {}
        self.schema: pa.Schema | None = None
        """Arrow's, of all rows so far; None before there are any."""

    def __enter__(self) -> Runs:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def fill(self, rows: Any) -> None:
        """Take rows until there are no more.

        Parameters
        ----------
        rows
            A catalog, a GeoDataFrame, or any iterable of them.

        Raises
        ------
        CatalogError
            For what is no catalog, and for pieces whose columns do not agree.
        """
        for piece in pieces_of(rows):
            self._crs = self._crs or piece.crs
            if not same_crs(piece.crs, self._crs):
                moved = piece.table_in(self._crs).frame
                piece = InMemoryGeoCatalog(moved, piece.backend)
            table = arrow_table(piece)
            schema = self.schema
            self.schema = table.schema if schema is None else joined_schema(schema, table.schema)
            for name, part in _parted(table, self._partition):
                self._waiting.setdefault(name, []).append(part)
            sizes = {
                name: sum(part.nbytes for part in parts) for name, parts in self._waiting.items()
            }
            if sum(sizes.values()) > WAITING_BYTES:
                # The largest go: those that are left are few, and may grow before they go.
                for name in sorted(sizes, key=lambda name: -sizes[name]):
                    self._write(name)
                    sizes.pop(name)
                    if sum(sizes.values()) < WAITING_BYTES // 2:
                        break

    def _write(self, name: str) -> None:
        table = pa.concat_tables(self._waiting.pop(name), promote_options="permissive")
        bounds = bounds_in(table, self.schema)
        table = table.take(hilbert_order(bounds, self._crs))
        files = self._files.setdefault(name, [])
        path = f"{self._folder.name}/{name or 'all'}-{len(files)}.parquet"
        pq.write_table(table, path, row_group_size=2**14, compression="zstd", use_dictionary=False)
        files.append(path)
        if (around := extent_of(bounds)) is not None:
            self._bounds.setdefault(name, []).append(around)

    def tables(self) -> Iterator[tuple[str, pa.Table]]:
        """Yield the rows sorted, each table for a file; nothing waits any more.

        Yields
        ------
        partition : str
            Such as "month=2024-06"; "" for all rows.
        table : pyarrow.Table
            With the columns of `schema`.
        """
        for name in sorted(self._waiting):
            self._write(name)
        for name in sorted(self._files):
            frame = extent_of(np.array(self._bounds.get(name, [])).reshape(-1, 4))
            for table in sorted_tables(self._files[name], frame, self.schema):
                yield name, table


def pieces_of(rows: Any) -> Iterator[InMemoryGeoCatalog]:
    """Yield rows as catalogs in memory, one after the other.

    Parameters
    ----------
    rows
        A catalog, a GeoDataFrame, or any iterable of them.

    Yields
    ------
    Catalogs of few enough rows, where the source can give fewer than all.

    Raises
    ------
    CatalogError
        For what is neither.
    """
    from geopandas import GeoDataFrame

    if isinstance(rows, GeoDataFrame):
        yield InMemoryGeoCatalog(rows)
    elif isinstance(rows, GeoCatalog):
        yield from rows.iter_catalogs()
    elif isinstance(rows, Iterable) and not isinstance(rows, str | bytes | dict):
        for piece in rows:
            yield from pieces_of(piece)
    else:
        raise CatalogError(
            f"rows must be catalogs or GeoDataFrames, one or any iterable of them, got {rows!r:.80}"
        )


def _parted(table: pa.Table, partition: str) -> Iterator[tuple[str, pa.Table]]:
    """Yield (partition, rows) of a table."""
    unit = PARTITIONS[partition]
    if not unit:
        yield "", table
        return
    starts, ends = times_in(table)
    times = np.where(starts == OPEN_START, ends, starts)
    times[times == OPEN_END] = OPEN_START  # which is what numpy holds for no time
    begun = times.astype("datetime64[us]").astype(f"datetime64[{unit}]")
    kinds, codes = np.unique(begun, return_inverse=True)
    if len(kinds) > 1:
        table = table.take(np.argsort(codes, kind="stable"))
    at = 0
    for kind, count in zip(kinds, np.bincount(codes, minlength=len(kinds)).tolist(), strict=True):
        name = "undated" if np.isnat(kind) else str(kind)
        yield f"{partition}={name}", table.slice(at, count)
        at += count
    if not len(table):
        yield f"{partition}=undated", table


def times_in(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Return the starts and ends of Arrow rows.

    Parameters
    ----------
    table
        In a catalog's layout.

    Returns
    -------
    starts, ends : (N,) int64
        Microseconds since 1970, `OPEN_START` and `OPEN_END` where none is known.
    """
    ends = (("start_time", OPEN_START), ("end_time", OPEN_END))
    starts, stops = (
        table.column(name).cast(pa.int64()).fill_null(missing).to_numpy() for name, missing in ends
    )
    return starts.copy(), stops


def bounds_in(table: pa.Table, schema: Any) -> np.ndarray:
    """Return the boxes of Arrow rows.

    Parameters
    ----------
    table
        With the column of bounds.
    schema
        Whose metadata say which one that is.

    Returns
    -------
    (N, 4) float64, NaN where there is none.
    """
    column = table.column(_covering(schema)).combine_chunks()
    sides = [column.field(side).to_numpy(zero_copy_only=False) for side in COVERING]
    return np.stack(sides, axis=1).astype(float, copy=False)


def _said(schema: pa.Schema) -> tuple[dict[str, Any], dict[str, Any]]:
    geo, own = (json.loads(schema.metadata[key]) for key in (b"geo", b"geocatalog"))
    return geo, own


def _covering(schema: pa.Schema) -> str:
    geo, _ = _said(schema)
    return str(geo["columns"][geo["primary_column"]]["covering"]["bbox"]["xmin"][0])


def sorted_tables(paths: Sequence[str], frame: Bounds | None, schema: Any) -> Iterator[pa.Table]:
    """Yield the rows of files in space and time, as many at once as one file is to hold.

    Parameters
    ----------
    paths
        Parquet files, each sorted in space.
    frame
        The box around all footprints; None where there is none.
    schema
        That all rows are brought to.

    Yields
    ------
    Tables with the schema's columns, without metadata.
    """
    crs, covering = crs_in(schema), _covering(schema)
    keys, size = [], 0
    for path in paths:
        with parquet_file(path) as file:
            boxes = bounds_in(file.read(columns=[covering]), schema)
            footer = file.metadata
            size += sum(footer.row_group(at).total_byte_size for at in range(footer.num_row_groups))
        keys.append(hilbert_keys(boxes, crs, frame))
    every = np.concatenate(keys)
    count = max(1, math.ceil(len(every) / FILE_ROWS), math.ceil(size / FILE_BYTES))
    at = [len(every) * number // count for number in range(1, count)]
    cuts = [0, *(np.partition(every, at)[at].tolist() if at else ()), 2**32]
    del every
    for first, last in pairwise(cuts):
        chosen = [(key >= first) & (key < last) for key in keys]
        parts = [
            _rows_of(path, mask, schema)
            for path, mask in zip(paths, chosen, strict=True)
            if mask.any()
        ]
        if parts:
            table = pa.concat_tables(parts)
            starts, ends = times_in(table)
            along = np.concatenate([k[mask] for k, mask in zip(keys, chosen, strict=True)])
            yield table.take(np.lexsort((ends, starts, along)))
        elif count == 1:
            yield schema.empty_table().replace_schema_metadata(None)


def crs_in(schema: pa.Schema) -> CRS:
    """Return the CRS that a schema's metadata name.

    Parameters
    ----------
    schema
        Arrow's, with GeoParquet's metadata.

    Returns
    -------
    Of the footprints.
    """
    geo, _ = _said(schema)
    return as_crs(json.dumps(geo["columns"][geo["primary_column"]]["crs"]))


def _rows_of(path: str, mask: np.ndarray, schema: pa.Schema) -> pa.Table:
    """Return those rows of a file that a mask names, with the columns of a schema."""
    with parquet_file(path) as file:
        footer = file.metadata
        sizes = [footer.row_group(number).num_rows for number in range(footer.num_row_groups)]
        ends = np.cumsum(sizes)
        groups = [
            number
            for number, (end, size) in enumerate(zip(ends, sizes, strict=True))
            if mask[end - size : end].any()
        ]
        table = file.read_row_groups(groups)
    if not mask.all():
        kept = [mask[ends[number] - sizes[number] : ends[number]] for number in groups]
        table = table.filter(pa.array(np.concatenate(kept)))
    return conformed(table, schema)


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return rows with the columns of a schema, empty where they lack one.

    Parameters
    ----------
    table
        Rows whose columns the schema has.
    schema
        As `joined_schema` gives it.

    Returns
    -------
    The same rows, without metadata.
    """
    columns, known = [], set(table.column_names)
    for each in schema:
        try:
            columns.append(
                table.column(each.name).cast(each.type)
                if each.name in known
                else pa.nulls(len(table), each.type)
            )
        except pa.ArrowInvalid as error:
            raise CatalogError(
                f"{each.name!r} is {each.type} in the catalog, which cannot hold the rows' values: "
                f"{error}; write it as the catalog has it"
            ) from error
    return pa.table(columns, schema=schema.remove_metadata())


def joined_schema(first: pa.Schema, second: pa.Schema) -> pa.Schema:
    """Return the schema that holds the rows of two, with its metadata.

    Parameters
    ----------
    first, second
        Arrow's, as `arrow_table` gives them.

    Returns
    -------
    The columns of both, those of the first in front.

    Raises
    ------
    CatalogError
        For a column that is of two kinds, or files of two.
    """
    if first.equals(second, check_metadata=True):
        return first
    plain = [each.remove_metadata() for each in (first, second)]
    try:
        joined = pa.unify_schemas(plain, promote_options="permissive")
    except pa.ArrowException as error:
        raise CatalogError(f"a column is of two kinds in the rows: {error}") from error
    (geo, own), (other, others) = _said(first), _said(second)
    _check_alike(plain, own, others, geo["columns"], other["columns"])
    for name, says in other["columns"].items():
        mine = geo["columns"].setdefault(name, says)
        mine["geometry_types"] = sorted({*mine["geometry_types"], *says["geometry_types"]})
    own["boxes"] = own["boxes"] and others["boxes"]
    own["json"] = list(dict.fromkeys([*own["json"], *others["json"]]))
    return joined.with_metadata({"geo": json.dumps(geo), "geocatalog": json.dumps(own)})


def _check_alike(
    schemas: list[pa.Schema],
    own: dict[str, Any],
    other: dict[str, Any],
    columns: dict[str, Any],
    others: dict[str, Any],
) -> None:
    """Refuse rows that one catalog cannot hold, though Arrow could."""
    if own["backend"] != other["backend"]:
        raise CatalogError(
            f"a catalog lists files of one kind, these are {own['backend']} and {other['backend']}"
        )
    if columns["geometry"]["covering"] != others["geometry"]["covering"]:
        raise CatalogError("a column called 'bbox' is in some of the rows only; rename it")
    filled = [{e.name for e in schema if not pa.types.is_null(e.type)} for schema in schemas]
    for name in filled[0] & filled[1]:
        kinds = [
            (name in said["json"], name in shapes and shapes[name].get("crs"))
            for said, shapes in ((own, columns), (other, others))
        ]
        if name != "geometry" and kinds[0] != kinds[1]:
            raise CatalogError(
                f"{name!r} holds text in some of the rows and lists, dicts or geometries in "
                "others, or geometries of two CRS; write it in one form"
            )
