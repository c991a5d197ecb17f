"""Catalogs as GeoParquet 1.1: Hilbert-sorted, with bounds that a reader can skip row groups by.

A file holds the catalog's columns, footprints as WKB, and a `bbox` struct declared as their
covering (https://geoparquet.org/releases/v1.1.0/). Rows are sorted along a Hilbert curve over
their footprints and then by time, and row groups are small, so that min/max statistics of `bbox`
and the times let a query read few of them. The key "geocatalog" of the file's metadata holds the
schema version and what a reader would otherwise have to scan for.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from geopandas import GeoDataFrame, GeoSeries
from geopandas.array import from_wkb
from pyproj import CRS

from geocatalog.catalog import BACKENDS, InMemoryGeoCatalog
from geocatalog.errors import CatalogError
from geocatalog.footprint import Bounds, as_crs
from geocatalog.interval import as_interval, iso_ends, utc_column
from geocatalog.table import CORE_COLUMNS, FootprintTable, extent_of, with_footprints
from pipekit.files import keep_inputs, place_to_write, whole
from pipekit.operator import checked_count
from pipekit.places import PlaceError, place_of

SCHEMA_VERSION = 1
"""Version of the layout written here; files of a newer one are refused, older ones are read."""

ROW_GROUP_SIZE = 8192
"""Rows a reader must take together: small enough to skip most of, large enough to compress."""

# Small pages, so that a reader decompresses those with an answer and skips the others' geometry.
_PAGE_BYTES, _PAGE_CHECK_ROWS = 16_384, 256
UTC = pa.timestamp("us", tz="UTC")
"""Arrow's type of a time, as a catalog's own file holds it."""

COVERING = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class FileInfo:
    """What a catalog file says of itself, without reading a row.

    `covering` is the path of the bbox struct's four fields, or None; `boxes` says that every
    footprint is its own bounds; `undated` that some row may lack a time; `valid` that no footprint
    needs mending; `sparse` that dicts lack the keys that are null. `as_json` names the columns
    that hold JSON, `shapes` the CRS of further geometries. `stamps` tell files, by their paths,
    from others of their names.
    """

    path: str
    crs: CRS
    backend: str
    columns: list[str]
    rows: int
    schema: pa.Schema
    geometry: str = "geometry"
    covering: str | None = None
    boxes: bool = False
    undated: bool = True
    bounds: Bounds | None = None
    extent: pd.Interval | None = None
    version: int = 0
    as_json: frozenset[str] = frozenset()
    shapes: dict[str, Any] = field(default_factory=dict)
    valid: bool = False
    sparse: bool = False
    stamps: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @cached_property
    def types(self) -> dict[str, pa.DataType]:
        """Arrow type of each column of the file, by name."""
        return {field.name: field.type for field in self.schema}

    def check_unchanged(self) -> None:
        """Refuse to go on with files that were replaced, or have gone, since they were opened.

        Raises
        ------
        CatalogError
            Names the file and the way out.
        """
        for path, stamp in self.stamps:
            try:
                changed = stamp_of(path) != stamp
            except OSError as error:
                raise CatalogError(f"cannot read {path}: {error}") from error
            if changed:
                raise CatalogError(
                    f"{path} was replaced after it was opened as a catalog; open it again, and ask "
                    "anew what was asked of the old one"
                )


def stamp_of(path: str) -> tuple[int, ...]:
    """Return what changes when a file is written or replaced: device, inode, size and time.

    Parameters
    ----------
    path
        A file, or an object, of which size and tag do.

    Returns
    -------
    Whole numbers.
    """
    if (place := place_of(path)) is not None:
        known = place.find()
        return known.size, int.from_bytes(hashlib.sha256(known.tag.encode()).digest()[:8])
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def parquet_file(path: str) -> Any:
    """Open a Parquet file, or an object whose ranges are read; only the footer is read yet.

    Parameters
    ----------
    path
        A path or the URL of a place.

    Returns
    -------
    A `pyarrow.parquet.ParquetFile` that the caller closes.
    """
    place = place_of(path)
    return pq.ParquetFile(path if place is None else place.reader(), pre_buffer=place is not None)


def digest_of(path: str) -> str:
    """Return what a file's footer comes to, which is the same for a copy on another machine.

    Parameters
    ----------
    path
        A Parquet file.

    Returns
    -------
    Hexadecimal digits.
    """
    place = place_of(path)
    with open(path, "rb") if place is None else place.reader() as file:
        size = file.seek(-8, os.SEEK_END) + 8
        file.seek(-8 - int.from_bytes(file.read(4), "little"), os.SEEK_END)
        return hashlib.sha256(f"{size}".encode() + file.read()).hexdigest()


def target_of(path: Any, source: Any, caller: str, row_group_size: int) -> Any:
    """Return the file or object that rows are to be written to, or refuse one that cannot be.

    Parameters
    ----------
    path
        Where the file is to be.
    source
        What is written: a catalog that is open on this file must not be replaced by itself.
    caller
        What the message calls the function.
    row_group_size
        Rows that a reader must take together.

    Returns
    -------
    A path of this machine, or a place of a store.

    Raises
    ------
    CatalogError
        For a size below 1, a path that is neither, and the source's own file.
    """
    checked_count(row_group_size, "row_group_size", refusal=CatalogError)
    target = place_to_write(path, "path must be a file", CatalogError)
    own = getattr(source, "path", None)
    keep_inputs(target, [] if own is None else [own], caller, CatalogError)
    return target


def write_table(table: pa.Table, target: Any, row_group_size: int) -> str:
    """Write sorted rows as Parquet that a reader can skip most of; whole or not at all.

    Parameters
    ----------
    table
        The rows, with their metadata.
    target
        The file, or the object of a store; folders are made.
    row_group_size
        Rows that a reader must take together.

    Returns
    -------
    The path, as text.
    """
    if isinstance(target, Path):
        target.parent.mkdir(parents=True, exist_ok=True)
    with whole(target) as unfinished:
        pq.write_table(
            table,
            unfinished,
            row_group_size=row_group_size,
            compression="zstd",
            use_dictionary=_repetitive(table),
            data_page_size=_PAGE_BYTES,
            write_batch_size=_PAGE_CHECK_ROWS,
        )
    return str(target)


def _repetitive(table: pa.Table) -> list[str]:
    """Return the text columns worth a dictionary: paths and geometry hardly ever repeat."""
    text = [each.name for each in table.schema if each.type in (pa.string(), pa.large_string())]
    return [name for name in text if len(table.column(name).unique()) < len(table) / 4]


def arrow_table(catalog: InMemoryGeoCatalog) -> pa.Table:
    """Return a table as Arrow in GeoParquet's layout with its metadata, in its own order.

    Parameters
    ----------
    catalog
        The rows.

    Returns
    -------
    One Arrow row per row of the catalog.
    """
    source = catalog.table
    table = with_footprints(source.attributes, source.geometry)
    sides = [pa.array(side, from_pandas=True) for side in source.bounds.T]
    covering = covering_name(table.column_names)
    table = table.append_column(covering, pa.StructArray.from_arrays(sides, names=list(COVERING)))
    return table.replace_schema_metadata(_metadata(catalog))


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return rows with the columns of a schema, empty where they lack one.

    Parameters
    ----------
    table
        Rows whose columns the schema has.
    schema
        As `arrow_table` gives it, or as a file has it.

    Returns
    -------
    The same rows, without metadata.

    Raises
    ------
    CatalogError
        For values that a column of the schema cannot hold.
    """
    columns, known = [], set(table.column_names)
    for each in schema:
        column = table.column(each.name) if each.name in known else None
        try:
            if column is None or column.null_count == len(table):
                column = pa.nulls(len(table), each.type)
            elif isinstance(each.type, pa.BaseExtensionType) and column.type != each.type:
                values = column.to_pylist()
                if each.type == pa.uuid():  # of which DuckDB makes text
                    values = [value and UUID(value) for value in values]
                column = pa.array(values, type=each.type)
            columns.append(column if column.type == each.type else column.cast(each.type))
        except pa.ArrowInvalid as error:
            raise CatalogError(
                f"{each.name!r} is {each.type} in the catalog, which cannot hold the rows' values: "
                f"{error}; write it as the catalog has it"
            ) from error
    return pa.table(columns, schema=schema.remove_metadata())


def covering_name(names: Iterable[str]) -> str:
    """Return the name of the column of bounds: "bbox", or one that no other column has.

    Parameters
    ----------
    names
        The other columns.

    Returns
    -------
    A name that differs from them by more than case.

    Examples
    --------
    >>> covering_name(["filepath"]), covering_name(["filepath", "BBOX"])
    ('bbox', 'bbox_2')
    """
    taken = {name.lower() for name in names}
    known = ("bbox", *(f"bbox_{n}" for n in range(2, len(taken) + 3)))
    return next(name for name in known if name not in taken)


def hilbert_order(bounds: np.ndarray, crs: Any, *times: np.ndarray) -> np.ndarray:
    """Return the order of rows in which neighbours on the ground and in time stand together.

    Parameters
    ----------
    bounds
        (N, 4) float64, NaN where there is none.
    crs
        Theirs.
    *times
        (N,) each: what decides between rows at one place, the most important first.

    Returns
    -------
    (N,) row numbers.
    """
    return np.lexsort((*reversed(times), hilbert_keys(bounds, crs, extent_of(bounds))))


def hilbert_keys(bounds: np.ndarray, crs: Any, frame: Bounds | None) -> np.ndarray:
    """Return where the middles of boxes lie along a Hilbert curve.

    Parameters
    ----------
    bounds
        (N, 4) float64, NaN where there is none.
    crs
        Theirs. In degrees, boxes around the globe come last: those of footprints on both sides of
        180 degrees, which would make wide whatever they stand among.
    frame
        The box that the curve fills.

    Returns
    -------
    (N,) uint32; 0 where there is no box.
    """
    keys = np.zeros(len(bounds), dtype=np.uint32)
    placed = np.isfinite(bounds).all(axis=1)
    if frame is not None and placed.any():
        west, south, east, north = bounds[placed].T
        middles = GeoSeries(shapely.points((west + east) / 2, (south + north) / 2))
        keys[placed] = middles.hilbert_distance(total_bounds=frame)
        if as_crs(crs).is_geographic:
            keys[np.flatnonzero(placed)[east - west > 180]] = np.iinfo(np.uint32).max
    return keys


def described(
    metadata: dict[bytes, bytes],
    bounds: Bounds | None,
    extent: pd.Interval | None,
    undated: bool,
) -> dict[bytes, bytes]:
    """Return a file's metadata with what its rows come to.

    Parameters
    ----------
    metadata
        Of other rows with the same columns.
    bounds
        (west, south, east, north) around all footprints; None where there is none.
    extent
        From the first to the last known time; None where none is known.
    undated
        Whether a row lacks a time.

    Returns
    -------
    New metadata.
    """
    geo, own = (json.loads(metadata[key]) for key in (b"geo", b"geocatalog"))
    column = geo["columns"][geo["primary_column"]]
    column.pop("bbox", None)
    if bounds is not None:
        column["bbox"] = list(bounds)
    own |= {"undated": undated, "temporal_extent": iso_ends(extent)}
    return {b"geo": json.dumps(geo).encode(), b"geocatalog": json.dumps(own).encode()}


def _kinds_of(geometry: np.ndarray) -> list[str]:
    """Return what kinds of footprint there are, as GeoParquet names them."""
    known = geometry[~(shapely.is_missing(geometry) | shapely.is_empty(geometry))]
    codes = 2 * shapely.get_type_id(known) + shapely.has_z(known)
    firsts = np.unique(codes, return_index=True)[1]
    return sorted(shape.geom_type + " Z" * shape.has_z for shape in known[firsts])


def _metadata(catalog: InMemoryGeoCatalog) -> dict[bytes, bytes]:
    source = catalog.table
    covering = covering_name(source.columns)
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": _kinds_of(source.geometry),
        "crs": source.crs.to_json_dict(),
        "covering": {"bbox": {side: [covering, side] for side in COVERING}},
    }
    columns = {"geometry": column}
    for name in source.shape_columns:
        crs = source.frame[name].crs
        kind = None if crs is None else crs.to_json_dict()
        columns[name] = {"encoding": "WKB", "geometry_types": [], "crs": kind}
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": columns}
    own = {
        "schema_version": SCHEMA_VERSION,
        "backend": catalog.backend,
        "boxes": source.all_boxes,
        "json": source.json_columns,
        "valid": True,
    }
    undated = bool(source.frame[["start_time", "end_time"]].isna().any(axis=None))
    plain = {b"geo": json.dumps(geo).encode(), b"geocatalog": json.dumps(own).encode()}
    return described(plain, catalog.total_bounds, catalog.temporal_extent, undated)


def read_info(path: Any) -> FileInfo:
    """Return what a catalog file says of itself; only its footer is read.

    Parameters
    ----------
    path
        A GeoParquet file.

    Returns
    -------
    What its footer says.

    Raises
    ------
    CatalogError
        For a file that is missing, is not Parquet, is not GeoParquet, or has no `filepath` column.
    """
    text = os.fspath(path)
    try:
        stamp = stamp_of(text)
        with parquet_file(text) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
    except FileNotFoundError as error:
        raise CatalogError(f"no catalog file at {text}") from error
    except (PlaceError, PermissionError) as error:
        raise CatalogError(f"cannot read {text}: {error}") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise CatalogError(f"{text} is not a Parquet file: {error}") from error
    twice = [name for name, count in Counter(schema.names).items() if count > 1]
    if twice:
        raise CatalogError(f"{text} has two columns called {twice[0]!r}; rename or drop one")
    metadata = schema.metadata or {}
    if b"geo" not in metadata:
        raise CatalogError(f"{text} is Parquet without GeoParquet metadata, so it is no catalog")
    if "filepath" not in schema.names:
        raise CatalogError(
            f"{text} is GeoParquet but no catalog: it has no 'filepath' column, "
            f"only {schema.names[:12]}"
        )
    # Arrow cannot take rows of views; the numbers of bytes and texts are the same.
    plain = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
    fields = [each.with_type(plain.get(each.type, each.type)) for each in schema]
    schema = pa.schema(fields, metadata)
    return replace(info_of(text, schema, rows), stamps=((text, stamp),))


def info_of(text: str, schema: pa.Schema, rows: int) -> FileInfo:
    """Return what a schema's metadata say of a catalog.

    Parameters
    ----------
    text
        Its path.
    schema
        Arrow's, with GeoParquet's metadata.
    rows
        How many there are.

    Returns
    -------
    As `read_info`, without a stamp.

    Raises
    ------
    CatalogError
        For metadata of no catalog, or that are broken.
    """
    try:
        return _info_of(text, schema, rows)
    except CatalogError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise CatalogError(
            f"{text} has broken metadata ({type(error).__name__}: {error}); write the catalog anew"
        ) from error


def _info_of(text: str, schema: pa.Schema, rows: int) -> FileInfo:
    metadata = schema.metadata
    geo, own = json.loads(metadata[b"geo"]), json.loads(metadata.get(b"geocatalog", b"{}"))
    version = int(own.get("schema_version", 0))
    if version > SCHEMA_VERSION:
        raise CatalogError(
            f"{text} has catalog schema version {version}; this release reads up to "
            f"{SCHEMA_VERSION}: upgrade geostack"
        )
    name = geo["primary_column"]
    column = geo["columns"][name]
    if column.get("encoding", "WKB") != "WKB":
        raise CatalogError(f"{text} stores geometry as {column['encoding']}; only WKB is read")
    covering = ((column.get("covering") or {}).get("bbox") or {}).get("xmin")
    extent = own.get("temporal_extent")
    backend = own.get("backend", "raster")
    if backend not in BACKENDS:
        raise CatalogError(f"{text} lists {backend!r} files; known are {BACKENDS}")
    bounds = column.get("bbox") if own else None
    if name != "geometry" and "geometry" in schema.names:
        raise CatalogError(
            f"{text} has its footprints in {name!r} and another column called 'geometry'; rename "
            "or drop that one"
        )
    hidden = {name, covering[0] if covering else None, *CORE_COLUMNS}
    crs = column.get("crs", "OGC:CRS84")
    if crs is None:
        raise CatalogError(f"{text} does not say which CRS its footprints are in")
    return FileInfo(
        path=text,
        crs=as_crs(json.dumps(crs) if isinstance(crs, dict) else crs),
        backend=backend,
        columns=[*CORE_COLUMNS, *(n for n in schema.names if n not in hidden)],
        geometry=name,
        covering=covering[0] if covering else None,
        boxes=bool(own.get("boxes", False)),
        undated=bool(own.get("undated", True)),
        rows=rows,
        bounds=None if bounds is None else tuple(bounds),
        extent=as_interval(tuple(pd.Timestamp(end) for end in extent)) if extent else None,
        version=version,
        schema=schema,
        as_json=frozenset(own.get("json", ())),
        shapes={each: says.get("crs") for each, says in geo["columns"].items() if each != name},
        valid=bool(own.get("valid", False)),
    )


def from_geoparquet(path: Any) -> InMemoryGeoCatalog:
    """Return a catalog file's rows as an in-memory catalog, in the file's order.

    Files of older versions, and any GeoParquet file with a `filepath` column, are read too:
    missing times mean undated rows. For a file too large for memory see `open_catalog`.

    Parameters
    ----------
    path
        A GeoParquet file.

    Returns
    -------
    A catalog that no longer needs the file.

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
    ...     from_geoparquet(path).gdf.filepath.tolist()
    ['/a']
    """
    info = read_info(path)
    names = [name for name in info.types if name != info.covering]
    place = place_of(info.path)
    # Of an object all is asked for at once: pyarrow would ask for each row group in turn.
    with pq.ParquetFile(info.path if place is None else pa.BufferReader(place.read())) as file:
        # A name with a dot in it asks for a part of another column, too.
        table = file.read(columns=names).select(names)
        frame = frame_from_arrow(table, info.geometry, info)
    info.check_unchanged()
    if not info.valid:
        return InMemoryGeoCatalog(frame, info.backend)
    return InMemoryGeoCatalog.from_table(FootprintTable(frame), info.backend)


def frame_from_arrow(table: pa.Table, geometry: str, info: FileInfo) -> GeoDataFrame:
    """Return an Arrow table with a WKB column as a GeoDataFrame, columns in the same order.

    The WKB column comes out as `geometry`; the others as `columns_from_arrow` gives them.

    Parameters
    ----------
    table
        Any columns, one of them WKB.
    geometry
        Name of the WKB column.
    info
        What the file says of its columns.

    Returns
    -------
    As many rows as the table has.
    """
    at = table.column_names.index(geometry)
    try:
        shapes = from_wkb(table.column(geometry).to_numpy(), crs=info.crs)
    except shapely.errors.GEOSException as error:
        raise CatalogError(f"{info.path} has footprints that are no WKB: {error}") from error
    plain = columns_from_arrow(table.remove_column(at), info)
    plain.insert(at, "geometry", shapes)
    return GeoDataFrame(plain, geometry="geometry")


def columns_from_arrow(table: pa.Table, info: FileInfo) -> pd.DataFrame:
    """Return the columns of an Arrow table as a catalog keeps them, footprints aside.

    The catalog's times come out in UTC microseconds, lists and dicts as Python's own, and whole
    numbers with gaps as "Int64".

    Parameters
    ----------
    table
        Any columns.
    info
        What the file says of its columns.

    Returns
    -------
    As many rows as the table has.
    """
    table = table.replace_schema_metadata(None)
    plain = table.to_pandas()
    for each, column in zip(table.schema, table.columns, strict=True):
        if pa.types.is_nested(each.type):
            told = column.to_pylist()
            told = [_without_nulls(value) for value in told] if info.sparse else told
            plain[each.name] = pd.Series(told, dtype=object)
        elif each.name in info.shapes and pa.types.is_binary(each.type):
            other = info.shapes[each.name]
            own = None if other is None else as_crs(json.dumps(other))
            plain[each.name] = GeoSeries(from_wkb(column.to_numpy(), crs=own))
        elif each.name in info.as_json:
            read = [None if text is None else json.loads(text) for text in column.to_pylist()]
            plain[each.name] = pd.Series(read, dtype=object)
        elif pa.types.is_integer(each.type) and column.null_count:
            name = str(each.type).replace("uint", "UInt").replace("int", "Int")
            plain[each.name] = pd.array(column.to_pylist(), dtype=name)
        elif each.name in CORE_COLUMNS and getattr(each.type, "tz", None) and each.type != UTC:
            plain[each.name] = utc_column(plain[each.name])
    return plain


def _without_nulls(value: Any) -> Any:
    """Return a value whose dicts lack what is null: Arrow gives all dicts of a column all keys."""
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return list(map(_without_nulls, value)) if isinstance(value, list) else value
