"""STAC items to catalog rows and back; no file is ever opened."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import shapely
from affine import Affine
from pyproj import CRS
from shapely.errors import ShapelyError
from shapely.geometry import mapping, shape

from geocatalog.catalog import CatalogRow, GeoCatalog, InMemoryGeoCatalog
from geocatalog.errors import CatalogError, check_reading
from geocatalog.footprint import (
    as_bounds,
    as_crs,
    box_outline,
    crs_text,
    degree_box,
    mended,
    outline_of,
    outline_within,
    reproject,
    wrapped_bounds,
)
from geocatalog.grid import pixel_columns
from geocatalog.interval import as_interval
from geocatalog.read.signers import SIGNER_FIELD
from geocatalog.records import FileRecord, assemble, stored_path
from geocatalog.table import as_json, is_known

PROPERTIES = {
    "cloud_cover": "eo:cloud_cover",
    "platform": "platform",
    "constellation": "constellation",
    "mgrs_tile": "s2:mgrs_tile",
    "processing_baseline": "s2:processing_baseline",
    "offset_applied": "earthsearch:boa_offset_applied",
    "simulated": "geostack:simulated",
}
"""Item properties that become columns by default: column name to property name."""

_RESERVED = frozenset(
    {"item_id", "collection", "assets", "native_crs", "resolution", "resolution_y", "signer"}
)


def from_stac_items(
    items: Iterable[Any],
    asset_key: str | Sequence[str] | None = None,
    target_crs: Any = None,
    *,
    properties: dict[str, str] | None = None,
    footprint: str = "file",
    on_error: str = "raise",
) -> InMemoryGeoCatalog:
    """Return a catalog with one row per item; no file is opened.

    `datetime` is an instant; `start_datetime` and `end_datetime`, where given, are the interval.

    Parameters
    ----------
    items
        `pystac.Item`s, or an `ItemCollection`.
    asset_key
        Asset whose href becomes `filepath`. With several, the row also keeps them all in its
        `assets` column (JSON, in this order), and loaders read them as bands; an asset with several
        bands gives all of them, called "key_1", "key_2". By default the first asset with the role
        "data".
    target_crs
        CRS of the footprints; by default the items' own projection, if they share one, or EPSG:4326
        where none has one.
    properties
        Column name to item property; by default `PROPERTIES`. Absent ones make no column.
    footprint
        "file" takes the asset's full extent (`proj:transform` and `proj:shape`, or `proj:bbox`, or
        `proj:geometry`), the item's geometry where those are missing; "geometry" always the latter,
        which leaves out the empty corners of a partial scene.
    on_error
        "raise", or "skip" to list unusable items in `.skipped`.

    Returns
    -------
    One row per item, in their order.

    Raises
    ------
    CatalogError
        For an item without the asset, without any place, or without any time.

    Examples
    --------
    >>> import datetime, pystac
    >>> item = pystac.Item("scene", None, [-120, 38, -119, 39], datetime.datetime(2024, 6, 1), {})
    >>> item.add_asset("B04", pystac.Asset("https://host/b04.tif"))
    >>> from_stac_items([item], asset_key="B04").total_bounds
    (-120.0, 38.0, -119.0, 39.0)
    """
    if footprint not in ("file", "geometry"):
        raise CatalogError(f"footprint must be 'file' or 'geometry', got {footprint!r}")
    check_reading(1, on_error)
    if asset_key is not None and not len(asset_key):
        raise CatalogError("asset_key must name at least one asset, got an empty sequence")
    columns = PROPERTIES if properties is None else properties
    records, skipped = [], []
    for item in items:
        try:
            records.append(_record(item, asset_key, columns, footprint))
        except Exception as error:  # a malformed field fails in its own way
            name = "" if isinstance(error, CatalogError) else f"{type(error).__name__}: "
            why = (
                str(error) if f"item {item.id}" in str(error) else f"item {item.id}: {name}{error}"
            )
            if on_error == "raise":
                raise CatalogError(why) from error
            skipped.append((item.id, why))
    return assemble(records, target_crs, "raster", skipped)


def from_stac_search(search: Any, **kwargs: Any) -> InMemoryGeoCatalog:
    """Return a catalog of all items of a `pystac_client` search; arguments as `from_stac_items`.

    Parameters
    ----------
    search
        Anything whose `items()` gives `pystac.Item`s.
    **kwargs
        As in `from_stac_items`.

    Returns
    -------
    One row per item found.

    Examples
    --------
    >>> class Search:
    ...     def items(self):
    ...         return iter([])
    >>> len(from_stac_search(Search(), target_crs=4326))
    0
    """
    return from_stac_items(search.items(), **kwargs)


def _record(
    item: Any, asset_key: str | Sequence[str] | None, columns: dict[str, str], footprint: str
) -> FileRecord:
    hrefs = _hrefs(item, asset_key)
    key, path = next(iter(hrefs.items()))
    asset = item.assets[key]
    geometry, crs = _place(item, asset, footprint)
    extras: dict[str, Any] = {"item_id": item.id, "collection": item.collection_id}
    known = item.properties
    extras |= {name: known[field] for name, field in columns.items() if field in known}
    move, native = _field(item, asset, "proj:transform"), _native_crs(item, asset)
    gsd = _field(item, asset, "gsd")
    known_size = {} if gsd is None else {"resolution": float(gsd)}
    if move is not None:
        known_size = pixel_columns(Affine(*move[:6]))
    if native is not None and known_size:
        extras |= {"native_crs": crs_text(native), **known_size}
    if not isinstance(asset_key, str) and asset_key is not None:
        extras["assets"] = json.dumps(hrefs)
    signer = asset.extra_fields.get(SIGNER_FIELD)
    if signer is not None:
        extras["signer"] = signer
    return FileRecord(path, geometry, crs, _interval(item), extras)


def _hrefs(item: Any, asset_key: str | Sequence[str] | None) -> dict[str, str]:
    """Return the paths of the assets that were asked for, by their keys and in that order."""
    keys = [asset_key] if isinstance(asset_key, str) else list(asset_key or ())
    if asset_key is None:
        keys = [key for key, asset in item.assets.items() if "data" in (asset.roles or [])][:1]
    if not keys:
        raise CatalogError(
            f"item {item.id} has no asset with the role 'data' among {sorted(item.assets)}; "
            "pass asset_key="
        )
    absent = [key for key in keys if key not in item.assets]
    if absent:
        raise CatalogError(
            f"item {item.id} has no asset {absent[0]!r}; it has {sorted(item.assets)}"
        )
    assets = {key: item.assets[key] for key in keys}
    return {key: stored_path(each.get_absolute_href() or each.href) for key, each in assets.items()}


def _field(item: Any, asset: Any, name: str) -> Any:
    """Return a field of the asset, or of the item where the asset does not override it."""
    value = asset.extra_fields.get(name)
    return item.properties.get(name) if value is None else value


def _native_crs(item: Any, asset: Any) -> CRS | None:
    for name in ("proj:code", "proj:epsg", "proj:wkt2", "proj:projjson"):
        code = _field(item, asset, name)
        if code:
            return as_crs(json.dumps(code) if isinstance(code, dict) else code)
    return None


def _place(item: Any, asset: Any, footprint: str) -> tuple[Any, CRS]:
    """Return an item's footprint, valid, and its CRS; what cannot be one names the item."""
    try:
        place = _file_extent(item, asset) if footprint == "file" else None
        geometry, crs = place or (_item_geometry(item), as_crs("EPSG:4326"))
        if not geometry.is_valid:
            geometry = mended(np.array([geometry], dtype=object))[0]
        return geometry, crs
    except (TypeError, ValueError, LookupError, AttributeError, ShapelyError) as error:
        if isinstance(error, CatalogError) and f"item {item.id} " in str(error):
            raise
        raise CatalogError(
            f"item {item.id} has no footprint that can be read: {type(error).__name__}: {error}; "
            "pass on_error='skip' to leave such items out"
        ) from error


def _file_extent(item: Any, asset: Any) -> tuple[shapely.Polygon, CRS] | None:
    crs = _native_crs(item, asset)
    if crs is None:
        return None
    size, move = _field(item, asset, "proj:shape"), _field(item, asset, "proj:transform")
    if size is not None and move is not None:
        return outline_of(Affine(*move[:6]), *size), crs
    bbox, outline = _field(item, asset, "proj:bbox"), _field(item, asset, "proj:geometry")
    if bbox is not None:
        return box_outline(as_bounds(bbox, crs)), crs
    return None if outline is None else (shape(outline), crs)


def _item_geometry(item: Any) -> Any:
    bbox = item.bbox
    if item.geometry is not None:
        outline = shape(item.geometry)
        with suppress(CatalogError):  # a box that can't be read says nothing of the outline
            outline = outline_within(outline, degree_box(bbox or outline.bounds))
        return outline
    if bbox is None:
        raise CatalogError(
            f"item {item.id} has no geometry, no bbox and no proj: fields, so it has no place; "
            "pass on_error='skip' to leave such items out"
        )
    return box_outline(degree_box(bbox, f"the bbox of item {item.id}"))


def _interval(item: Any) -> pd.Interval | None:
    ends = [item.properties.get(name) for name in ("start_datetime", "end_datetime")]
    if not any(ends):
        if item.datetime is None:
            raise CatalogError(
                f"item {item.id} has neither datetime nor start_datetime and end_datetime"
            )
        ends = [item.datetime, item.datetime]
    try:
        # As instants: a date alone would cover its whole day.
        return as_interval([end and pd.Timestamp(end) for end in ends])
    except CatalogError as error:
        raise CatalogError(f"item {item.id}: {error}") from error


def to_stac_items(catalog: GeoCatalog, properties: dict[str, str] | None = None) -> list[Any]:
    """Return one `pystac.Item` per row, so that `from_stac_items` gives the same rows again.

    Footprints go to EPSG:4326 as GeoJSON asks, and the projected one stays in `proj:` fields. The
    asset is called "data", or by the keys of the row's `assets`.

    Parameters
    ----------
    catalog
        Any catalog whose rows are dated.
    properties
        Column name to property name; by default `PROPERTIES`. Others keep their names.

    Returns
    -------
    The items, in the order of the rows.

    Raises
    ------
    CatalogError
        For an undated row.

    Examples
    --------
    >>> import geopandas as gpd
    >>> frame = gpd.GeoDataFrame({"filepath": ["/a.tif"], "start_time": ["2024-06-01"],
    ...     "end_time": ["2024-06-01"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=4326)
    >>> to_stac_items(InMemoryGeoCatalog(frame))[0].bbox
    [0.0, 0.0, 1.0, 1.0]
    """
    names = PROPERTIES if properties is None else properties
    rows = list(catalog.iter_rows())
    outlines = np.array([row.geometry for row in rows], dtype=object)
    outlines = reproject(outlines, catalog.crs, as_crs("EPSG:4326"))
    return [_item(row, outline, names) for row, outline in zip(rows, outlines, strict=True)]


def _item(row: CatalogRow, outline: Any, names: dict[str, str]) -> Any:
    import pystac

    times = row.interval
    if times is None:
        raise CatalogError(f"{row.filepath} is undated, and a STAC item needs a time")
    start, end = times.left.to_pydatetime(), times.right.to_pydatetime()
    single = start == end
    known = {name: as_json(value) for name, value in row.extras.items() if is_known(value)}
    # STAC writes an item without a place as null; an empty outline has no numbers to write.
    is_placed = outline is not None and not outline.is_empty
    item = pystac.Item(
        id=str(known.get("item_id") or f"row-{row.index}"),
        geometry=mapping(outline) if is_placed else None,
        bbox=list(wrapped_bounds(outline)) if is_placed else None,
        datetime=start if single else None,
        properties={
            names.get(name, name): value for name, value in known.items() if name not in _RESERVED
        },
        start_datetime=None if single else start,
        end_datetime=None if single else end,
        collection=None,
    )
    item.collection_id = known.get("collection")
    fields = _projection(row) if is_placed else {}
    if row.signer is not None:
        fields[SIGNER_FIELD] = row.signer
    for key, href in (row.assets or {"data": row.filepath}).items():
        item.add_asset(key, pystac.Asset(href, roles=["data"], extra_fields=dict(fields)))
    return item


def _projection(row: CatalogRow) -> dict[str, Any]:
    west, south, east, north = row.bounds
    code = crs_text(row.crs)
    fields: dict[str, Any] = {"proj:code" if ":" in code and len(code) < 20 else "proj:wkt2": code}
    is_box = row.geometry.equals(shapely.box(*row.bounds))
    if is_box:
        fields["proj:bbox"] = list(row.bounds)
    else:
        fields["proj:geometry"] = mapping(row.geometry)
    size = row.pixel_size
    if size is not None and row.extras.get("native_crs") == code:
        width, height = size
        fields["proj:transform"] = [width, 0.0, west, 0.0, -height, north]
        counts = np.array([(north - south) / height, (east - west) / width])
        # A footprint that was clipped between pixels has no whole number of them.
        if is_box and np.allclose(counts, np.maximum(np.rint(counts), 1), rtol=0, atol=1e-6):
            fields["proj:shape"] = np.rint(counts).astype(int).tolist()
    return fields
