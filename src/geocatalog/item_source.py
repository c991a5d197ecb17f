"""STAC items in Parquet files, read as a catalog where they are.

Each column of the catalog is an expression over the items' own columns, so nothing is converted,
and a query reads the parts of the files that it needs.
"""

from __future__ import annotations

import glob
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from geocatalog.errors import CatalogError
from geocatalog.footprint import as_crs, box_outline, crs_text, degree_box, outline_within
from geocatalog.parquet import COVERING, FileInfo, digest_of, parquet_file, stamp_of
from geocatalog.parquet_source import (
    ParquetSource,
    both_forms,
    literal,
    pattern_of,
    quoted,
    reading,
)
from geocatalog.read.signers import SIGNER_FIELD
from geocatalog.stac import DATA_TYPES, PROPERTIES
from geocatalog.stac_parquet import TOP
from pipekit.places import store_of

ENDINGS = (".parquet", ".geoparquet", ".pq")
"""Of Parquet files."""


_TIMES = ("datetime", "start_datetime", "end_datetime")
_UNKNOWN = "CAST(NULL AS DOUBLE)"
_GRID = frozenset(
    {"proj:code", "proj:epsg", "proj:wkt2", "proj:projjson", "proj:transform", "proj:shape"}
)


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


def _counted(paths: list[str]) -> tuple[int, dict[str, int], set[str]]:
    """Return the rows of files, in how many of them each column is filled, and which hold JSON.

    A column that a file lacks is filled in none of its rows. Of one that a file has not counted
    nothing is told.
    """
    rows, filled, untold, text = 0, Counter[str](), set[str](), set[str]()
    for path in paths:
        with parquet_file(path) as file:
            footer, said = file.metadata, file.schema_arrow.metadata or {}
        rows += footer.num_rows
        text |= set(json.loads(said.get(b"geocatalog", b"{}")).get("json", ()))
        for group in map(footer.row_group, range(footer.num_row_groups if footer.num_rows else 0)):
            for column in map(group.column, range(group.num_columns)):
                name, told = column.path_in_schema, column.statistics
                if told is None or not told.has_null_count:
                    untold.add(name)
                else:
                    filled[name] += group.num_rows - told.null_count
    return rows, {name: count for name, count in filled.items() if name not in untold}, text


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
        every, filled, text = _counted(paths)
        columns = ItemColumns(schema, asset_key, place, filled)
        expressions = columns.expressions()
        items = f"{table} WHERE {columns.present}"
        numbered = enumerate(expressions.values())
        selected = ", ".join(f"{sql} AS {quoted(str(number))}" for number, sql in numbered)
        kinds = connection.sql(f"SELECT {selected} FROM {table} LIMIT 0").to_arrow_table().schema
        # A box that is missing would be outside of every query.
        covered = columns.has("bbox", "xmin") and filled.get("bbox.xmin") == every
        rows = columns.present_in(every)
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
            as_json=frozenset(text),
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
            if np.isfinite(boxes[row]).all():
                box, own = degree_box(boxes[row].tolist()), shapes[row]
                shapes[row] = box_outline(box) if own is None else outline_within(own, box)
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


class ItemColumns:
    """What `from_stac_items` makes of an item, as SQL over the item's columns.

    Parameters
    ----------
    schema
        Arrow's, of the items' columns.
    asset_key
        As in `from_stac_items`.
    place
        What messages call the files.
    filled
        How many items fill a column, where the files tell, by the names from the column inwards
        with "." between them.

    Examples
    --------
    >>> import pyarrow as pa
    >>> asset = pa.struct([("href", pa.string())])
    >>> schema = pa.schema([("id", pa.string()), ("datetime", pa.timestamp("us", "UTC")),
    ...     ("assets", pa.struct([("B04", asset)]))])
    >>> ItemColumns(schema, "B04", "items", {}).expressions()["filepath"]
    '"assets"."B04"."href"'
    """

    def __init__(
        self,
        schema: pa.Schema,
        asset_key: str | tuple[str, ...] | None,
        place: str,
        filled: Mapping[str, int],
    ) -> None:
        self._schema, self._filled = schema, filled
        self._known = set(schema.names)
        self._null = {name for name in self._known if filled.get(name) == 0}
        if not {"id", "datetime"} <= self._known:
            raise CatalogError(
                f"{place} holds no STAC items: it lacks id or datetime, and has "
                f"{sorted(self._known)[:12]}"
            )
        if "assets" not in self._known:  # Parquet has no column for empty structs
            raise CatalogError(f"no item of {place} has an asset, so there is nothing to read")
        named = [each.name for each in schema.field("assets").type]
        every = [key for key in named if self._there(key, "href")]
        self._several = asset_key == "*" or not isinstance(asset_key, str | None)
        asked = [asset_key] if isinstance(asset_key, str) else list(asset_key or ())
        absent = [key for key in asked if key != "*" and key not in every]
        if absent:
            raise CatalogError(f"no item of {place} has an asset {absent[0]!r}; they have {every}")
        self._chooses = asset_key is None or asset_key == "*"
        told = [key for key in every if self._there(key, "roles") or self._there(key, "type")]
        self.keys = told if self._chooses else asked
        """The assets that a row may be made of."""
        if not self.keys:
            raise CatalogError(
                f"no item of {place} has an asset with the role 'data' among {every}; "
                "pass asset_key="
            )

    def has(self, *path: str) -> bool:
        """Return whether there is a column, or a field in one, that some item fills.

        Parameters
        ----------
        *path
            Names from the column inwards.

        Returns
        -------
        Whether there is.
        """
        return path[0] not in self._null and self._type(*path) is not None

    def _type(self, *path: str) -> Any:
        """Return the Arrow type of a column or of a field in one, or None."""
        if path[0] not in self._known:
            return None
        kind = self._schema.field(path[0]).type
        for name in path[1:]:
            if pa.types.is_list(kind) or pa.types.is_large_list(kind):
                kind = kind.value_type
            if not pa.types.is_struct(kind) or kind.get_field_index(name) < 0:
                return None
            kind = kind.field(name).type
        return kind

    def _there(self, key: str, *path: str) -> bool:
        return self._type("assets", key, *path) is not None

    def _asset(self, key: str, name: str) -> str:
        return f'"assets".{quoted(key)}.{quoted(name)}'

    def _is_data(self, key: str) -> str:
        """Return SQL that says whether an asset holds data: see `geocatalog.stac.is_data`."""
        roles, kind = self._asset(key, "roles"), self._asset(key, "type")
        has_roles = self._there(key, "roles")
        tests = [f"list_contains({roles}, 'data')"] if has_roles else []
        if self._there(key, "type"):
            known = " OR ".join(f"starts_with({kind}, '{name}')" for name in DATA_TYPES)
            bare = f"coalesce(len({roles}), 0) = 0 AND " if has_roles else ""
            tests.append(f"({bare}({known}))")
        return f"({self._asset(key, 'href')} IS NOT NULL AND ({' OR '.join(tests)}))"

    def _picked(self, of: Callable[[str], str]) -> str:
        """Return SQL of the asset that a row's path and grid are of."""
        if not self._chooses:
            return of(self.keys[0])
        cases = " ".join(f"WHEN {self._is_data(key)} THEN {of(key)}" for key in self.keys)
        return f"CASE {cases} END"

    @property
    def present(self) -> str:
        """SQL that says whether an item has the assets that make a row."""
        if self._chooses:
            return f"({' OR '.join(self._is_data(key) for key in self.keys)})"
        return " AND ".join(f"{self._asset(key, 'href')} IS NOT NULL" for key in self.keys)

    def present_in(self, every: int) -> int | None:
        """Return how many items have the assets, where the files' statistics tell.

        Parameters
        ----------
        every
            How many items there are.

        Returns
        -------
        A number, or None.
        """
        filled = [self._filled.get(f"assets.{key}.href") for key in self.keys]
        if self._chooses or (len(filled) > 1 and set(filled) != {every}):
            return None
        return filled[0]

    def expressions(self) -> dict[str, str]:
        """Return SQL of each column of the catalog, by name.

        Returns
        -------
        The core columns first.
        """
        found = {"filepath": self._picked(lambda key: self._asset(key, "href"))}
        found["start_time"], found["end_time"] = self._times()
        found["geometry"] = '"geometry"' if self.has("geometry") else "CAST(NULL AS BLOB)"
        if self.has("bbox", "xmin"):
            found["bbox"] = '"bbox"'
        found["item_id"] = '"id"'
        if self.has("collection"):
            found["collection"] = '"collection"'
        found |= {name: quoted(own) for name, own in PROPERTIES.items() if self.has(own)}
        found |= dict(self._grid())
        if self._several:
            found["assets"] = self._all_assets()
        if any(self._there(key, SIGNER_FIELD) for key in self.keys):
            found["signer"] = self._picked(partial(self._field_or_null, name=SIGNER_FIELD))
        hidden = {*TOP, "assets", *_TIMES, *_GRID, *PROPERTIES.values(), *self._null}
        for name in self._schema.names:
            if name not in hidden:
                found[name if name not in found else f"{name}_of_item"] = quoted(name)
        return found

    def _times(self) -> Iterator[str]:
        def utc(name: str) -> str:
            kind = self._type(name)
            is_utc = pa.types.is_timestamp(kind) and kind.tz is not None
            return quoted(name) if is_utc else f"CAST({quoted(name)} AS TIMESTAMPTZ)"

        ends = [name for name in _TIMES[1:] if self.has(name)]
        neither = " AND ".join(f"{quoted(name)} IS NULL" for name in ends)
        for name in _TIMES[1:]:
            own = utc(name) if name in ends else "NULL"
            both = utc("datetime")  # a plain column, which lets DuckDB skip row groups
            yield f"CASE WHEN {neither} THEN {both} ELSE {own} END" if ends else both

    def _field(self, key: str, name: str) -> str | None:
        """Return SQL of a field of an asset, or of its item where the asset does not say it."""
        places = [self._asset(key, name)] if self._there(key, name) else []
        if self.has(name):
            places.append(quoted(name))
        return f"coalesce({', '.join(places)})" if len(places) > 1 else next(iter(places), None)

    def _field_or_null(self, key: str, name: str) -> str:
        return self._field(key, name) or "NULL"

    def _grid(self) -> Iterator[tuple[str, str]]:
        """Yield what a row says of the pixels of its asset: CRS, size, transform, scale, offset."""
        fields = {
            name: self._picked(partial(self._field_or_null, name=name))
            for name in (*_GRID, "gsd")
            if any(self._field(key, name) for key in self.keys)
        }
        codes = [fields[name] for name in ("proj:code", "proj:wkt2") if name in fields]
        if "proj:epsg" in fields:
            codes.insert("proj:code" in fields, f"'EPSG:' || CAST({fields['proj:epsg']} AS BIGINT)")
        if "proj:projjson" in fields:  # text, or a struct whose text is JSON
            codes.append(f"CAST(to_json({fields['proj:projjson']}) ->> '$' AS VARCHAR)")
        if codes:
            yield "native_crs", f"coalesce({', '.join(codes)})"
            yield from self._pixel_size(fields, f"coalesce({', '.join(codes)}) IS NOT NULL")
        for name, end in (("proj:transform", 6), ("proj:shape", 2)):
            if name in fields:
                yield name, f"{fields[name]}[1:{end}]"
        for name in ("scale", "offset", "nodata"):
            told = {key: next(self._band(key, name), None) for key in self.keys}
            if any(told.values()):
                yield (
                    name,
                    self._picked({key: each or _UNKNOWN for key, each in told.items()}.__getitem__),
                )

    @staticmethod
    def _pixel_size(fields: dict[str, str], known: str) -> Iterator[tuple[str, str]]:
        gsd = fields.get("gsd", _UNKNOWN)
        move = fields.get("proj:transform")
        if move is None:
            yield "resolution", f"CASE WHEN {known} THEN CAST({gsd} AS DOUBLE) END"
            return
        width, height = (f"sqrt(({move})[{a}]^2 + ({move})[{b}]^2)" for a, b in ((1, 4), (2, 5)))
        yield "resolution", f"CASE WHEN {known} THEN coalesce({width}, {gsd}) END"
        uneven = f"abs({width} - {height}) > 1e-9 * greatest({width}, {height})"
        yield "resolution_y", f"CASE WHEN {known} AND {uneven} THEN {height} END"

    def _band(self, key: str, name: str) -> Iterator[str]:
        """Yield SQL of where an asset says the scale, offset or nodata value of its first band."""
        for path in (("raster:bands", name), ("bands", f"raster:{name}"), ("bands", name)):
            if self._there(key, *path):
                first = f"{self._asset(key, path[0])}[1].{quoted(path[1])}"
                yield f"TRY_CAST({first} AS DOUBLE)"
        for one in (f"raster:{name}", name):
            if self._there(key, one):
                yield f"TRY_CAST({self._asset(key, one)} AS DOUBLE)"

    def _all_assets(self) -> str:
        """Return SQL of the paths by key, as the JSON of a catalog's column `assets`."""
        pairs = []
        for key in self.keys:
            pair = f"{literal(json.dumps(key))} || ': ' || to_json({self._asset(key, 'href')})"
            given = f"CASE WHEN {self._is_data(key)} THEN {pair} END"
            pairs.append(given if self._chooses else pair)
        return f"'{{' || concat_ws(', ', {', '.join(pairs)}) || '}}'"
