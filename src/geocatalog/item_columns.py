"""The columns of a catalog as SQL over the columns of STAC items in Parquet files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pyarrow as pa

from geocatalog.errors import CatalogError
from geocatalog.parquet_source import literal, quoted
from geocatalog.read.signers import SIGNER_FIELD
from geocatalog.stac import DATA_TYPES, PROPERTIES
from geocatalog.stac_parquet import TOP

_TIMES = ("datetime", "start_datetime", "end_datetime")
_UNKNOWN = "CAST(NULL AS DOUBLE)"
_GRID = frozenset(
    {"proj:code", "proj:epsg", "proj:wkt2", "proj:projjson", "proj:transform", "proj:shape"}
)


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
    always_null
        Tells whether a column is null in every item.

    Examples
    --------
    >>> import pyarrow as pa
    >>> asset = pa.struct([("href", pa.string())])
    >>> schema = pa.schema([("id", pa.string()), ("datetime", pa.timestamp("us", "UTC")),
    ...     ("assets", pa.struct([("B04", asset)]))])
    >>> ItemColumns(schema, "B04", "items", lambda name: False).expressions()["filepath"]
    '"assets"."B04"."href"'
    """

    def __init__(
        self,
        schema: pa.Schema,
        asset_key: str | tuple[str, ...] | None,
        place: str,
        always_null: Callable[[str], bool],
    ) -> None:
        self._schema = schema
        self._known = set(schema.names)
        self._null = {name for name in self._known if always_null(name)}
        if not {"id", "datetime"} <= self._known:
            raise CatalogError(
                f"{place} holds no STAC items: it lacks id or datetime, and has "
                f"{sorted(self._known)[:12]}"
            )
        if "assets" not in self._known:  # Parquet has no column for empty structs
            raise CatalogError(f"no item of {place} has an asset, so there is nothing to read")
        every = [each.name for each in schema.field("assets").type if self._is_asset(each)]
        self._several = asset_key == "*" or not isinstance(asset_key, str | None)
        asked = [asset_key] if isinstance(asset_key, str) else list(asset_key or ())
        absent = [key for key in asked if key != "*" and key not in every]
        if absent:
            raise CatalogError(f"no item of {place} has an asset {absent[0]!r}; they have {every}")
        self._chooses = asset_key is None or asset_key == "*"
        self.keys = [key for key in every if self._can_be_data(key)] if self._chooses else asked
        """The assets that a row may be made of."""
        if not self.keys:
            raise CatalogError(
                f"no item of {place} has an asset with the role 'data' among {every}; "
                "pass asset_key="
            )

    @staticmethod
    def _is_asset(each: Any) -> bool:
        return pa.types.is_struct(each.type) and each.type.get_field_index("href") >= 0

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

    def _can_be_data(self, key: str) -> bool:
        return any(self._type("assets", key, name) is not None for name in ("roles", "type"))

    def _asset(self, key: str, name: str) -> str:
        return f'"assets".{quoted(key)}.{quoted(name)}'

    def _is_data(self, key: str) -> str:
        """Return SQL that says whether an asset holds data: see `geocatalog.stac.is_data`."""
        roles, kind = self._asset(key, "roles"), self._asset(key, "type")
        has_roles = self._type("assets", key, "roles") is not None
        tests = [f"list_contains({roles}, 'data')"] if has_roles else []
        if self._type("assets", key, "type") is not None:
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

    def present_in(self, facts: Any) -> int | None:
        """Return how many items have the assets, where the files' statistics tell.

        Parameters
        ----------
        facts
            `rows`, and `nulls` by the path of a column.

        Returns
        -------
        A number, or None.
        """
        nulls = [facts.nulls.get(f"assets.{key}.href") for key in self.keys]
        if self._chooses or None in nulls or (len(nulls) > 1 and any(nulls)):
            return None
        return int(facts.rows - nulls[0])

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
        if any(self._type("assets", key, SIGNER_FIELD) is not None for key in self.keys):
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
        places = []
        if self._type("assets", key, name) is not None:
            places.append(self._asset(key, name))
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
            if self._type("assets", key, *path) is not None:
                first = f"{self._asset(key, path[0])}[1].{quoted(path[1])}"
                yield f"TRY_CAST({first} AS DOUBLE)"
        for one in (f"raster:{name}", name):
            if self._type("assets", key, one) is not None:
                yield f"TRY_CAST({self._asset(key, one)} AS DOUBLE)"

    def _all_assets(self) -> str:
        """Return SQL of the paths by key, as the JSON of a catalog's column `assets`."""
        pairs = []
        for key in self.keys:
            pair = f"{literal(json.dumps(key))} || ': ' || to_json({self._asset(key, 'href')})"
            given = f"CASE WHEN {self._is_data(key)} THEN {pair} END"
            pairs.append(given if self._chooses else pair)
        return f"'{{' || concat_ws(', ', {', '.join(pairs)}) || '}}'"
