"""A catalog written to a file, or to a folder that is added to and put in order again.

Of a folder a reader sees the files that its list names. Each verb here makes whole files beside
those that are listed, then replaces the list, and removes what is no longer listed last. One that
is killed has changed nothing, or has done all; the next one removes what it left.

There may be more rows than memory holds. They wait in memory until they are many, then in files of
one partition each, their runs. Each partition is then sorted by itself: where it is larger than one
file is to be, its rows are cut along the Hilbert curve first, and each stretch is read from all
runs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyproj import CRS

from geocatalog.catalog import GeoCatalog, InMemoryGeoCatalog
from geocatalog.errors import CatalogError
from geocatalog.footprint import Bounds
from geocatalog.interval import OPEN_END, OPEN_START, interval_of
from geocatalog.manifest import (
    MANIFEST,
    NOWHERE,
    Manifest,
    Part,
    change_manifest,
    new_name,
    remove_parts,
    writing,
)
from geocatalog.parquet import (
    COVERING,
    ROW_GROUP_SIZE,
    FileInfo,
    arrow_table,
    conformed,
    described,
    hilbert_keys,
    hilbert_order,
    info_of,
    parquet_file,
    target_of,
    write_table,
)
from geocatalog.table import extent_of
from pipekit.carrier import same_crs
from pipekit.files import keep_inputs, place_to_write
from pipekit.operator import checked_option
from pipekit.places import Place

PARTITIONS = {"all": "", "year": "Y", "month": "M", "day": "D"}
"""What rows may be parted by, and numpy's unit of it."""

FILE_ROWS = 2**19
FILE_BYTES = 2**28
"""Rows and bytes, before they are compressed, that one file holds at most."""

WAITING_BYTES = 2**28
"""Of rows that wait in memory."""


def to_geoparquet(
    catalog: GeoCatalog | Iterable[Any],
    path: Any,
    *,
    row_group_size: int = ROW_GROUP_SIZE,
    partition: str | None = None,
) -> str:
    """Write a catalog to one GeoParquet file, or to a folder of them, and return its path.

    Rows come out sorted for skipping. The file is written beside its target and renamed, so that
    an interrupted run leaves the old file or the new. So does a folder, whose list of files is
    replaced last; `append_to` adds rows to it. A folder is built in a stream, with some hundred
    megabytes whatever the number of rows.

    Parameters
    ----------
    catalog
        Any catalog. For a folder also its rows in pieces: any iterable of catalogs or
        GeoDataFrames, in the CRS of the first.
    path
        Where the file or folder is written, on this machine or on an object store; folders are
        made. A catalog that `open_catalog` reads from it, or an answer of one, does not replace
        it: `from_geoparquet` reads it whole first.
    row_group_size
        Rows that a reader must take together.
    partition
        "year", "month" or "day": one folder for each, by the rows' starts in UTC. "all" parts
        nothing, and still makes a folder. By default one file is made.

    Returns
    -------
    The path, as text.

    Raises
    ------
    CatalogError
        For a `row_group_size` below 1, another partition, a column that mixes types, and for the
        path of the file that the catalog is open on, or of one that it lists.

    Examples
    --------
    >>> import geopandas as gpd, shapely, tempfile
    >>> from geocatalog import InMemoryGeoCatalog, from_geoparquet, open_catalog
    >>> frame = gpd.GeoDataFrame({"filepath": ["/a"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=4326)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = to_geoparquet(InMemoryGeoCatalog(frame), folder + "/catalog.parquet")
    ...     parted = to_geoparquet((frame for _ in range(3)), folder + "/parts", partition="year")
    ...     len(from_geoparquet(written)), len(open_catalog(parted))
    (1, 3)
    """
    target = target_of(path, catalog, "to_geoparquet", row_group_size)
    if partition is not None:
        return _write_folder(catalog, target, partition, row_group_size)
    if not isinstance(catalog, GeoCatalog):
        raise CatalogError(
            "rows in pieces are written to a folder: pass partition='month' (or 'year', 'day', "
            "'all'), or one catalog"
        )
    rows = catalog.materialize()
    if isinstance(target, Path) and target.exists():
        name = target.name.casefold()
        listed = [path for path in rows.paths if name in path.casefold()]
        keep_inputs(target, listed, "to_geoparquet", CatalogError)
    source = rows.table
    order = hilbert_order(source.bounds, source.crs, source.starts, source.ends)
    return write_table(arrow_table(rows).take(order), target, row_group_size)


def _write_folder(rows: Any, folder: Path | Place, partition: str, row_group_size: int) -> str:
    checked_option(partition, "partition", PARTITIONS, CatalogError)
    if isinstance(folder, Path):
        if folder.is_file():
            raise CatalogError(f"{folder} is a file, and a partitioned catalog is a folder")
        folder.mkdir(parents=True, exist_ok=True)
    with writing(folder) as (room, _):
        runs = Runs(room, partition)
        runs.fill(rows)
        if runs.schema is None:
            raise CatalogError("there are no rows to write, and no columns; pass a catalog")
        parts = tuple(_written(runs.tables(), runs.schema, folder, row_group_size))
        made = Manifest(partition, row_group_size, runs.schema, parts)
        old, _ = change_manifest(folder, lambda old: made)
        remove_parts(folder, old.parts if old else ())
    return str(folder)


def append_to(folder: Any, rows: Any) -> int:
    """Add rows to a catalog in a folder, as new files; no other file is touched.

    A row that is listed already, of the same file and the same times, is not listed again: an
    append that was stopped is simply run once more. Whoever has the catalog open goes on with the
    rows that it had.

    Parameters
    ----------
    folder
        What `to_geoparquet(..., partition=...)` wrote, on this machine or on an object store.
    rows
        A catalog, a GeoDataFrame, or any iterable of them. Footprints are brought into the
        catalog's CRS. Columns may be new; those that are missing are empty.

    Returns
    -------
    How many rows were added.

    Raises
    ------
    CatalogError
        For a folder that holds no catalog, and rows whose columns are of another kind than its.

    Examples
    --------
    >>> import geopandas as gpd, shapely, tempfile
    >>> from geocatalog import open_catalog, to_geoparquet
    >>> days = [gpd.GeoDataFrame({"filepath": [f"/{day}.tif"], "start_time": [day]},
    ...     geometry=[shapely.box(0, 0, 1, 1)], crs=4326) for day in ("2024-06-01", "2024-06-02")]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = to_geoparquet(days[:1], folder, partition="month")
    ...     append_to(folder, days[1]), append_to(folder, days), len(open_catalog(folder))
    (1, 0, 2)
    """
    place = place_to_write(folder, "folder must be", CatalogError)
    with _held(place) as (room, known):
        runs = Runs(room, known.partition, _info(known.schema).crs)
        runs.fill(rows)
        own = runs.schema
        if own is None:
            return 0
        seen: Manifest | None = None
        parts: tuple[Part, ...] = ()

        def add(old: Manifest | None) -> Manifest:
            nonlocal seen, parts
            if old is None or old.partition != known.partition:
                raise CatalogError(f"{place} was made anew by somebody else; append once more")
            schema = _grown(old.schema, own)
            new = {part.partition for part in old.parts if seen and part.name not in seen.names}
            if not seen or old.schema != seen.schema or new & {part.partition for part in parts}:
                remove_parts(place, parts)  # others may have added the same rows meanwhile
                seen, parts = None, ()
                runs.schema = schema
                tables = _unlisted(runs.tables(), place, old.parts)
                parts = tuple(_written(tables, schema, place, old.row_group_size))
                seen = old
            wide = old.widened(schema)
            return replace(wide, parts=(*wide.parts, *parts)) if parts else old

        change_manifest(place, add)
    return sum(part.rows for part in parts)


def compact(folder: Any) -> int:
    """Put the rows of each partition that lie in many files into as few as hold them, sorted.

    One partition after the other is put in order, and each is whole at any moment. A catalog that
    was opened before may meet a file that has gone: it says so, and is to be opened again.

    Parameters
    ----------
    folder
        What `to_geoparquet(..., partition=...)` wrote, on this machine or on an object store.

    Returns
    -------
    How many files fewer there are.

    Raises
    ------
    CatalogError
        For a folder that holds no catalog.

    Examples
    --------
    >>> import geopandas as gpd, shapely, tempfile
    >>> from geocatalog import open_catalog, to_geoparquet
    >>> frame = gpd.GeoDataFrame({"filepath": ["/a"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=4326)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = to_geoparquet(frame, folder, partition="month")
    ...     _ = append_to(folder, frame.assign(filepath="/b"))
    ...     compact(folder), len(open_catalog(folder))
    (1, 2)
    """
    place, fewer = place_to_write(folder, "folder must be", CatalogError), 0
    with _held(place) as (_, manifest):
        for name in sorted({part.partition for part in manifest.parts}):
            own = tuple(part for part in manifest.parts if part.partition == name)
            if len(own) > 1 and len(own) > -(-sum(part.rows for part in own) // (FILE_ROWS // 2)):
                fewer += _merged(place, manifest, name, own)
    return fewer


def _merged(place: Path | Place, manifest: Manifest, name: str, own: tuple[Part, ...]) -> int:
    """Put the files of one partition into fewer; tell how many fewer."""
    files = [(str(place / part.name), part.bounds) for part in own]
    named = ((name, table) for table in sorted_tables(files, manifest.schema))
    made = tuple(_written(named, manifest.schema, place, manifest.row_group_size))

    def swap(old: Manifest | None) -> Manifest:
        gone = {part.name for part in own}
        if old is None or not gone <= old.names:
            raise CatalogError(f"{place} was put in order by somebody else meanwhile")
        kept = tuple(part for part in old.parts if part.name not in gone)
        # Others may have added columns.
        return replace(old, parts=(*kept, *replace(manifest, parts=made).widened(old.schema).parts))

    change_manifest(place, swap)
    remove_parts(place, own)
    return len(own) - len(made)


def _no_catalog(place: Path | Place) -> CatalogError:
    return CatalogError(
        f"{place} holds no catalog in parts (no {MANIFEST}); to_geoparquet(rows, folder, "
        "partition='month') makes one"
    )


@contextmanager
def _held(place: Path | Place) -> Iterator[tuple[str, Manifest]]:
    """Hold a folder that has a list of files, and give the list; of others nothing is made."""
    if isinstance(place, Path) and not (place / MANIFEST).is_file():
        raise _no_catalog(place)
    with writing(place) as (room, manifest):
        if manifest is None:
            raise _no_catalog(place)
        yield room, manifest


def is_hollow(kind: pa.DataType) -> bool:
    """Tell whether a column's type says no more than that it, or each of its lists, is empty.

    Parameters
    ----------
    kind
        Arrow's type.

    Examples
    --------
    >>> import pyarrow as pa
    >>> is_hollow(pa.list_(pa.null())), is_hollow(pa.list_(pa.string()))
    (True, False)
    """
    while pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    return bool(pa.types.is_null(kind))


def _grown(own: pa.Schema, other: pa.Schema) -> pa.Schema:
    """Return a schema with the columns of another, or refuse one that would change its own."""
    joined = joined_schema(own, other)
    for each in own:
        if not is_hollow(each.type) and joined.field(each.name).type != each.type:
            raise CatalogError(
                f"{each.name!r} is {each.type} in the catalog and {other.field(each.name).type} "
                "in the rows; write it as the catalog has it"
            )
    return joined


def _written(
    tables: Iterator[tuple[str, pa.Table]],
    schema: pa.Schema,
    folder: Path | Place,
    row_group_size: int,
) -> Iterator[Part]:
    """Write tables to files that nobody reads yet, and yield what each holds."""
    lacks = tuple(each.name for each in schema if pa.types.is_null(each.type))
    for partition, table in tables:
        bounds = extent_of(bounds_in(table, schema))
        starts, ends = times_in(table)
        known = np.concatenate([starts[starts != OPEN_START], ends[ends != OPEN_END]])
        extent = (int(known.min()), int(known.max())) if len(known) else None
        undated = len(known) < 2 * len(table)
        between = None if extent is None else interval_of(*extent)
        table = table.drop_columns(list(lacks)).replace_schema_metadata(
            described(schema.metadata, bounds, between, undated)
        )
        name = new_name(partition)
        write_table(table, folder / name, row_group_size)
        yield Part(name, len(table), bounds, extent, undated, lacks)


def _unlisted(
    tables: Iterator[tuple[str, pa.Table]], place: Path | Place, parts: tuple[Part, ...]
) -> Iterator[tuple[str, pa.Table]]:
    """Yield tables without the rows that the files of their partitions hold already."""
    for partition, table in tables:
        own = (str(place / part.name) for part in parts if part.partition == partition)
        listed = set[Any]().union(*(_named_in(path, table) for path in own))
        if listed:
            keep = [identity not in listed for identity in _identities(table)]
            table = table.filter(pa.array(keep, pa.bool_()))
        if len(table):
            yield partition, table


_IDENTITY = ["filepath", "start_time", "end_time"]


def _named_in(path: str, table: pa.Table) -> set[Any]:
    """Return what tells the rows of a file whose paths are in a table."""
    import pyarrow.compute as pc

    with parquet_file(path) as file:
        if not file.metadata.num_rows:  # older pyarrow gives no columns of such a file
            return set()
        own = file.read(columns=_IDENTITY)
    names = table.column("filepath").combine_chunks()
    return set(_identities(own.filter(pc.is_in(own.column("filepath"), value_set=names))))


def _identities(table: pa.Table) -> Iterator[Any]:
    paths = table.column("filepath").to_pylist()
    return zip(paths, *(times.tolist() for times in times_in(table)), strict=True)


class Runs:
    """Rows that come in pieces, kept by partition.

    Parameters
    ----------
    folder
        Where files wait; whoever gives it removes it.
    partition
        One of `PARTITIONS`.
    crs
        That footprints are brought into; None takes that of the first piece.
    """

    def __init__(self, folder: str, partition: str, crs: CRS | None = None) -> None:
        self._folder, self._partition, self._crs = folder, partition, crs
        self._waiting: dict[str, list[pa.Table]] = {}
        self._files: dict[str, list[tuple[str, Bounds | None]]] = {}
        self.schema: pa.Schema | None = None
        """Arrow's, of all rows so far; None before there are any."""

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
        path = f"{self._folder}/{name or 'all'}-{len(files)}.parquet"
        pq.write_table(table, path, row_group_size=2**14, compression="zstd", use_dictionary=False)
        files.append((path, extent_of(bounds)))

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
            for table in sorted_tables(self._files[name], self.schema):
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
    column = table.column(_info(schema).covering).combine_chunks()
    sides = [column.field(side).to_numpy(zero_copy_only=False) for side in COVERING]
    return np.stack(sides, axis=1).astype(float, copy=False)


def _said(schema: pa.Schema) -> tuple[dict[str, Any], dict[str, Any]]:
    geo, own = (json.loads(schema.metadata[key]) for key in (b"geo", b"geocatalog"))
    return geo, own


def _info(schema: Any) -> FileInfo:
    return info_of("the rows' table", schema, 0)


def sorted_tables(files: Sequence[tuple[str, Bounds | None]], schema: Any) -> Iterator[pa.Table]:
    """Yield the rows of files in space and time, as many at once as one file is to hold.

    Parameters
    ----------
    files
        Parquet files, each sorted in space, with the box around its footprints.
    schema
        That all rows are brought to.

    Yields
    ------
    Tables with the schema's columns, without metadata.
    """
    info, frame = _info(schema), extent_of(np.array([box or NOWHERE for _, box in files]))
    keys, size = [], 0
    for path, _ in files:
        with parquet_file(path) as file:
            boxes = bounds_in(file.read(columns=[info.covering]), schema)
            footer = file.metadata
            size += sum(footer.row_group(at).total_byte_size for at in range(footer.num_row_groups))
        keys.append(hilbert_keys(boxes, info.crs, frame))
    every = np.concatenate(keys)
    count = max(1, math.ceil(len(every) / FILE_ROWS), math.ceil(size / FILE_BYTES))
    at = [len(every) * number // count for number in range(1, count)]
    cuts = [0, *(np.partition(every, at)[at].tolist() if at else ()), 2**32]
    del every
    for first, last in pairwise(cuts):
        chosen = [(key >= first) & (key < last) for key in keys]
        parts = [
            _rows_of(path, mask, schema)
            for (path, _), mask in zip(files, chosen, strict=True)
            if mask.any()
        ]
        if parts:
            table = pa.concat_tables(parts)
            starts, ends = times_in(table)
            along = np.concatenate([k[mask] for k, mask in zip(keys, chosen, strict=True)])
            yield table.take(np.lexsort((ends, starts, along)))
        elif count == 1:
            yield schema.empty_table().replace_schema_metadata(None)


def _rows_of(path: str, mask: np.ndarray, schema: pa.Schema) -> pa.Table:
    """Return those rows of a file that a mask names, with the columns of a schema."""
    with parquet_file(path) as file:
        footer = file.metadata
        sizes = [footer.row_group(number).num_rows for number in range(footer.num_row_groups)]
        group_of = np.repeat(np.arange(len(sizes)), sizes)
        groups = np.unique(group_of[mask])
        table = file.read_row_groups(groups.tolist())
    if not mask.all():
        table = table.filter(pa.array(mask[np.isin(group_of, groups)]))
    return conformed(table, schema)


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
