"""STAC items as stac-geoparquet: one row an item, its properties as columns, its assets a struct.

The layout is that of the stac-geoparquet specification 1.0.0
(https://github.com/stac-utils/stac-geoparquet/blob/main/spec/stac-geoparquet-spec.md), which the
libraries stac-geoparquet and rustac read. Rows are sorted in space and time, as in a catalog's own
file, so that a reader can skip most of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
from shapely.errors import ShapelyError
from shapely.geometry import shape

from geocatalog.catalog import GeoCatalog
from geocatalog.errors import CatalogError
from geocatalog.footprint import box_outline, degree_box
from geocatalog.parquet import COVERING, ROW_GROUP_SIZE, hilbert_order, target_of, write_table
from geocatalog.records import stored_path
from pipekit.tokens import without_tokens

VERSION = "1.0.0"
TOP = ("type", "stac_version", "stac_extensions", "id", "collection", "geometry", "bbox", "links")
"""Columns that are an item's own fields, `assets` beside them; all others are properties."""

TIMES = (
    "datetime",
    "start_datetime",
    "end_datetime",
    "created",
    "updated",
    "expires",
    "published",
    "unpublished",
)
"""Properties that are times in the file."""


def to_stac_geoparquet(
    items: GeoCatalog | Iterable[Any], path: Any, *, row_group_size: int = ROW_GROUP_SIZE
) -> str:
    """Write STAC items, or a catalog's rows as items, to one stac-geoparquet file.

    Addresses are written without their tokens. A property whose values have no one type becomes
    JSON text, listed in the file's metadata. An item without a geometry gets its box as one, since
    the reference library reads none without.

    Parameters
    ----------
    items
        `pystac.Item`s, their dictionaries, or a catalog whose rows are dated.
    path
        Where the file is written; folders are made.
    row_group_size
        Rows that a reader must take together.

    Returns
    -------
    The path, as text.

    Raises
    ------
    CatalogError
        For a property that has the name of a field of the item, and for a path that is no local
        file's, or the file's that the catalog is open on.

    Examples
    --------
    >>> import datetime, pystac, tempfile
    >>> from geocatalog import open_catalog
    >>> item = pystac.Item("scene", None, [-120, 38, -119, 39], datetime.datetime(2024, 6, 1), {})
    >>> item.add_asset("B04", pystac.Asset("https://host/b04.tif"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = to_stac_geoparquet([item], folder + "/items.parquet")
    ...     [row.filepath for row in open_catalog(path, asset_key="B04")]
    ['https://host/b04.tif']
    """
    from geocatalog.stac import to_stac_items

    target = target_of(path, items, "to_stac_geoparquet", row_group_size)
    found = to_stac_items(items) if isinstance(items, GeoCatalog) else items
    return write_table(item_table([_plain(item) for item in found]), target, row_group_size)


def _plain(item: Any) -> dict[str, Any]:
    """Return an item as a dictionary whose addresses are places."""
    if isinstance(item, Mapping):
        known = {**item, "assets": {k: dict(each) for k, each in item.get("assets", {}).items()}}
    else:
        known = item.to_dict(include_self_link=False, transform_hrefs=False)
        for key, asset in item.assets.items():
            known["assets"][key]["href"] = asset.get_absolute_href() or asset.href
    for asset in known["assets"].values():
        href = asset["href"]
        asset["href"] = stored_path(href) if "://" in href or href[:1] in "/\\" else href
    links = [{**link, "href": without_tokens(str(link["href"]))} for link in known.get("links", ())]
    return {**known, "links": links}


def item_table(items: Sequence[dict[str, Any]]) -> pa.Table:
    """Return items as Arrow in the layout of the file, sorted, with its metadata.

    Parameters
    ----------
    items
        Dictionaries of STAC items.

    Returns
    -------
    One row for each item.
    """
    clash = {*TOP, "assets"} & {name for item in items for name in item["properties"]}
    if clash:
        raise CatalogError(
            f"a property called {min(clash)!r} cannot stand beside the item's own field of that "
            "name; rename it"
        )
    shapes = [_shape(item) for item in items]
    text: set[str] = set()
    columns: dict[str, Any] = {
        "type": pa.array(["Feature"] * len(items), pa.string()),
        "stac_version": pa.array([item.get("stac_version") for item in items], pa.string()),
        "stac_extensions": pa.array(
            [list(item.get("stac_extensions") or ()) for item in items], pa.list_(pa.string())
        ),
        "id": pa.array([item["id"] for item in items], pa.string()),
        "collection": pa.array([item.get("collection") for item in items], pa.string()),
        "geometry": pa.array([each and shapely.to_wkb(each) for each in shapes], pa.binary()),
        "bbox": _boxes([item.get("bbox") for item in items], shapes),
        "links": as_arrow([item["links"] for item in items], "links", text),
        "assets": as_arrow([item["assets"] for item in items], "assets", text),
    }
    for name in dict.fromkeys(["datetime", *chain(*(item["properties"] for item in items))]):
        values = [item["properties"].get(name) for item in items]
        times = _times(values) if name in TIMES else None
        columns[name] = _property(values, name, text) if times is None else times
    columns = {name: column for name, column in columns.items() if column is not None}
    table = pa.table(columns)
    if len(items) > 1:
        bounds = shapely.bounds(np.array(shapes, dtype=object))
        times = np.array([str(each) for each in columns["datetime"].to_pylist()])
        table = table.take(hilbert_order(bounds, "EPSG:4326", times))
    return table.replace_schema_metadata(_metadata(text))


def _property(values: list[Any], name: str, text: set[str]) -> Any:
    """Return a property as a column: as JSON text as a whole where a part of it has no one type."""
    mixed: set[str] = set()
    found = as_arrow(values, name, mixed)
    return _as_text(values, name, text) if mixed else found


def _shape(item: dict[str, Any]) -> Any:
    outline, box = item.get("geometry"), item.get("bbox")
    try:
        if outline is None:
            return None if box is None else box_outline(degree_box(box))
        return shape(outline)
    except (AttributeError, LookupError, TypeError, ValueError, ShapelyError) as error:
        raise CatalogError(f"item {item['id']} has a geometry that is none: {error}") from error


def _metadata(text: set[str]) -> dict[str, str]:
    column = {
        "encoding": "WKB",
        "geometry_types": [],
        "covering": {"bbox": {side: ["bbox", side] for side in COVERING}},
    }
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    return {
        "geo": json.dumps(geo),
        "stac-geoparquet": json.dumps({"version": VERSION}),
        "geocatalog": json.dumps({"json": sorted(text)}),
    }


def _boxes(boxes: list[Any], shapes: list[Any]) -> pa.Array:
    """Return boxes as structs, those of the outlines where an item has none.

    Heights are kept where all boxes have them.
    """
    for at, each in enumerate(shapes):
        told = [value for value in boxes[at] or () if isinstance(value, int | float)]
        if len(told) not in (4, 6):
            boxes[at] = None if each is None or each.is_empty else each.bounds
    sizes = {len(box) for box in boxes if box is not None}
    names = ("xmin", "ymin", "zmin", "xmax", "ymax", "zmax") if sizes == {6} else COVERING
    flat = [
        box if box is None or len(box) == len(names) else [*box[:2], *box[3:5]] for box in boxes
    ]
    kind = pa.struct([(name, pa.float64()) for name in names])
    return pa.array([box and dict(zip(names, map(float, box), strict=True)) for box in flat], kind)


def _times(values: list[Any]) -> pa.Array | None:
    """Return times in UTC microseconds; None where one is no time, or none is known."""
    try:
        moments = [None if each is None else pd.Timestamp(each) for each in values]
        utc = [
            each and (each.tz_localize("UTC") if each.tz is None else each.tz_convert("UTC"))
            for each in moments
        ]
        return pa.array(utc, pa.timestamp("us", tz="UTC"))
    except (TypeError, ValueError, pa.ArrowException):
        return None


def as_arrow(values: Sequence[Any], path: str, text: set[str]) -> pa.Array | None:
    """Return JSON values as one Arrow array that gives them back, absent ones as nulls.

    Parameters
    ----------
    values
        JSON values, None where there is none.
    path
        What `text` calls the values.
    text
        Gets the paths of those that became JSON text, since they share no type.

    Returns
    -------
    As many entries; None where all would be null or empty dicts, which Parquet cannot hold.

    Examples
    --------
    >>> as_arrow([{"a": 1}, None, {"a": 2.5, "b": []}], "", set()).to_pylist()
    [{'a': 1.0, 'b': None}, None, {'a': 2.5, 'b': []}]
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    if all(isinstance(value, dict) for value in known):
        return _structs(values, known, path, text)
    if all(isinstance(value, list | tuple) for value in known):
        return _lists(values, path, text)
    try:
        made = pa.array(values)
    except (pa.ArrowException, OverflowError):
        return _as_text(values, path, text)
    return made if made.type in _SCALARS else _as_text(values, path, text)


_SCALARS = (pa.bool_(), pa.string(), pa.int64(), pa.float64())
"""Types of Arrow that stand for those of JSON; it takes no mixture of them that would lose any."""


def _as_text(values: Sequence[Any], path: str, text: set[str]) -> pa.Array:
    text.add(path)
    return pa.array([None if v is None else json.dumps(v) for v in values], pa.string())


def _structs(values: Sequence[Any], known: list[Any], path: str, text: set[str]) -> Any:
    names = dict.fromkeys(name for value in known for name in value)
    fields = {
        name: as_arrow([None if v is None else v.get(name) for v in values], f"{path}.{name}", text)
        for name in names
    }
    fields = {name: field for name, field in fields.items() if field is not None}
    if not fields:
        return None
    absent = pa.array([value is None for value in values])
    return pa.StructArray.from_arrays(list(fields.values()), list(fields), mask=absent)


def _lists(values: Sequence[Any], path: str, text: set[str]) -> Any:
    parts = [part for value in values for part in value or ()]
    inner = as_arrow(parts, f"{path}[]", text)
    if inner is None and any(part is not None for part in parts):
        return _as_text(values, path, text)
    if inner is None:
        inner = pa.nulls(len(parts), pa.string())
    ends = np.cumsum([0, *(len(value or ()) for value in values)])
    offsets = [None if v is None else int(end) for v, end in zip(values, ends[:-1], strict=True)]
    return pa.ListArray.from_arrays(pa.array([*offsets, int(ends[-1])], pa.int32()), inner)
