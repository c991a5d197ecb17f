"""A catalog written to a file, or to a folder that is added to and put in order again.

Of a folder a reader sees the files that its list names. Each verb here makes whole files beside
those that are listed, then replaces the list, and removes what is no longer listed last. One that
is killed has changed nothing, or has done all; the next one removes what it left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from geocatalog.catalog import GeoCatalog
from geocatalog.errors import CatalogError
from geocatalog.interval import OPEN_END, OPEN_START, interval_of
from geocatalog.manifest import (
    MANIFEST,
    Manifest,
    Part,
    change_manifest,
    new_name,
    read_manifest,
    remove_parts,
    writing,
)
from geocatalog.parquet import (
    ROW_GROUP_SIZE,
    described,
    geo_table,
    parquet_file,
    target_of,
    write_table,
)
from geocatalog.runs import (
    FILE_ROWS,
    PARTITIONS,
    Runs,
    bounds_in,
    crs_in,
    joined_schema,
    sorted_tables,
    times_in,
)
from geocatalog.table import extent_of
from pipekit.files import keep_inputs, place_to_write
from pipekit.places import Place


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
    return write_table(geo_table(rows), target, row_group_size)


def _write_folder(rows: Any, folder: Path | Place, partition: str, row_group_size: int) -> str:
    if partition not in PARTITIONS:
        raise CatalogError(f"partition must be one of {tuple(PARTITIONS)}, got {partition!r}")
    if isinstance(folder, Path):
        if folder.is_file():
            raise CatalogError(f"{folder} is a file, and a partitioned catalog is a folder")
        folder.mkdir(parents=True, exist_ok=True)
    with writing(folder) as (nearby, _), Runs(nearby, partition) as runs:
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
    with _held(place) as (nearby, manifest):
        with Runs(nearby, manifest.partition, crs_in(manifest.schema)) as runs:
            runs.fill(rows)
            if runs.schema is None:
                return 0
            schema = runs.schema = _grown(manifest.schema, runs.schema)
            tables = _unlisted(runs.tables(), place, manifest.parts)
            parts = tuple(_written(tables, schema, place, manifest.row_group_size))

        def add(old: Manifest | None) -> Manifest:
            if old is None:
                raise _no_catalog(place)
            wide = old.widened(_grown(old.schema, schema))
            new = tuple(name for name in wide.schema.names if name not in schema.names)
            if [name for name in wide.schema.names if name not in new] != schema.names:
                raise CatalogError(f"{place} got other new columns meanwhile; append once more")
            added = (replace(part, lacks=(*part.lacks, *new)) for part in parts)
            return replace(wide, parts=(*wide.parts, *added))

        if parts:
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
    frame = extent_of(np.array([part.bounds for part in own if part.bounds]).reshape(-1, 4))
    tables = sorted_tables([str(place / part.name) for part in own], frame, manifest.schema)
    named = ((name, table) for table in tables)
    made = tuple(_written(named, manifest.schema, place, manifest.row_group_size))

    def swap(old: Manifest | None) -> Manifest:
        gone = {part.name for part in own}
        if old is None or not gone <= {part.name for part in old.parts}:
            raise CatalogError(f"{place} was put in order by somebody else meanwhile")
        kept = tuple(part for part in old.parts if part.name not in gone)
        return replace(old, parts=(*kept, *made))

    change_manifest(place, swap)
    remove_parts(place, own)
    return len(own) - len(made)


def _no_catalog(place: Path | Place) -> CatalogError:
    return CatalogError(
        f"{place} holds no catalog in parts (no {MANIFEST}); to_geoparquet(rows, folder, "
        "partition='month') makes one"
    )


@contextmanager
def _held(place: Path | Place) -> Iterator[tuple[Path | None, Manifest]]:
    """Hold a folder that has a list of files, and give the list; of others nothing is made."""
    if isinstance(place, Path) and not (place / MANIFEST).is_file():
        raise _no_catalog(place)
    with writing(place) as (nearby, manifest):
        if nearby is None:
            manifest, _ = read_manifest(place)
        if manifest is None:
            raise _no_catalog(place)
        yield nearby, manifest


def is_hollow(kind: pa.DataType) -> bool:
    """Tell whether a column's type says no more than that its lists are empty.

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
        if pa.types.is_null(kind):
            return True
    return False


def _grown(own: pa.Schema, other: pa.Schema) -> pa.Schema:
    """Return a schema with the columns of another, or refuse one that would change its own."""
    joined = joined_schema(own, other)
    for each in own:
        if (
            not (pa.types.is_null(each.type) or is_hollow(each.type))
            and joined.field(each.name).type != each.type
        ):
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
        listed: set[Any] = set()
        for part in parts:
            if part.partition == partition:
                listed |= _named_in(str(place / part.name), table)
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
