"""STAC items to catalog rows and back; no file is ever opened."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

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
from geocatalog.grid import is_north_up, pixel_columns
from geocatalog.interval import as_interval
from geocatalog.read.signers import SIGNER_FIELD
from geocatalog.records import FileRecord, assemble, stored_path
from geocatalog.table import as_json, is_known
from pipekit.operator import checked_option

PROPERTIES = {
    "cloud_cover": "eo:cloud_cover",
    "platform": "platform",
    "constellation": "constellation",
    "mgrs_tile": "s2:mgrs_tile",
    "processing_baseline": "s2:processing_baseline",
    "processing_version": "processing:version",
    "offset_applied": "earthsearch:boa_offset_applied",
    "simulated": "geostack:simulated",
}
"""Item properties that become columns by default: column name to property name."""

DATA_TYPES = (
    "image/tiff",
    "image/jp2",
    "application/x-hdf",
    "application/netcdf",
    "application/x-netcdf",
    "application/vnd+zarr",
    "application/vnd.zarr",
)
"""How the media types of assets begin that hold data."""

MEDIA_TYPES = {
    ".tif": "image/tiff; application=geotiff",
    ".tiff": "image/tiff; application=geotiff",
    ".jp2": "image/jp2",
    ".nc": "application/netcdf",
    ".h5": "application/x-hdf5",
    ".hdf": "application/x-hdf",
    ".zarr": "application/vnd.zarr",
    ".gpkg": "application/geopackage+sqlite3",
    ".geojson": "application/geo+json",
    ".parquet": "application/vnd.apache.parquet",
}
"""The media type of an asset by the end of its file's name."""

EXTENSIONS = {
    "proj": "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "raster": "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
    "eo": "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
}
"""The schema of the extension that a field's prefix belongs to."""

_RADIOMETRY = ("scale", "offset", "nodata")
_GRID = ("native_crs", "resolution", "resolution_y", "proj:transform", "proj:shape")

OF_FILES = frozenset({"assets", "signer", *_GRID, *_RADIOMETRY})
"""Columns that tell of a row's files and their pixels, and not of its item."""


def from_stac_items(
    items: Iterable[Any],
    asset_key: str | Sequence[str] | None = None,
    target_crs: Any = None,
    *,
    properties: dict[str, str] | None = None,
    footprint: str = "file",
    per: str = "item",
    on_error: str = "raise",
) -> InMemoryGeoCatalog:
    """Return a catalog with one row per item, or per asset; no file is opened.

    `datetime` is an instant; `start_datetime` and `end_datetime`, where given, are the interval.

    Parameters
    ----------
    items
        `pystac.Item`s, or an `ItemCollection`.
    asset_key
        Asset whose href becomes `filepath`. With several, the row also keeps them all in its
        `assets` column (JSON, in this order), and loaders read them as bands; an asset with several
        bands gives all of them, called "key_1", "key_2". "*" is every asset that holds data: with
        the role "data", or without roles and of a raster's media type. By default the first of
        these.
    target_crs
        CRS of the footprints; by default the items' own projection, if they share one, or EPSG:4326
        where none has one.
    properties
        Column name to item property; by default `PROPERTIES`. Absent ones make no column.
    footprint
        "file" takes the asset's full extent (`proj:transform` and `proj:shape`, or `proj:bbox`, or
        `proj:geometry`), the item's geometry where those are missing; "geometry" always the latter,
        which leaves out the empty corners of a partial scene.
    per
        "item", or "asset" for a row of each asset, with its key in the column `asset_key`.
    on_error
        "raise", or "skip" to list unusable items in `.skipped`.

    Returns
    -------
    Rows in the order of the items; without items an empty catalog. With a `target_crs`, or
    footprints of geometries, rows keep the assets' own grids in `proj:transform` and `proj:shape`;
    those of grids that are not north-up always do.

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
    columns = PROPERTIES if properties is None else properties
    keeps_grid = target_crs is not None or footprint == "geometry"
    asked = Asked(asset_key, columns, footprint, per, keeps_grid)
    records, skipped = records_of(items, asked, on_error)
    if not records and not skipped and target_crs is None:
        target_crs = 4326
    return assemble(records, target_crs, "raster", skipped)


@dataclass(frozen=True)
class Asked:
    """What is asked of items: their assets, columns, footprints, and rows of items or assets."""

    asset_key: str | Sequence[str] | None
    columns: dict[str, str]
    footprint: str = "file"
    per: str = "item"
    keeps_grid: bool = False
    always: Sequence[str] = ()

    def __post_init__(self) -> None:
        checked_option(self.footprint, "footprint", ("file", "geometry"), CatalogError)
        checked_option(self.per, "per", ("item", "asset"), CatalogError)
        # A tuple: a generator has its names once only.
        object.__setattr__(self, "asset_key", as_names(self.asset_key, "asset_key"))
        if self.asset_key is not None and not len(self.asset_key):
            raise CatalogError("asset_key must name at least one asset, got an empty sequence")

    def keys(self, item: Any) -> list[str]:
        """Return the keys of an item's assets that are asked for.

        Parameters
        ----------
        item
            A `pystac.Item`.

        Returns
        -------
        In the order asked for, else the item's.

        Raises
        ------
        CatalogError
            For an item that lacks one, or has none that holds data.
        """
        if self.asset_key is None or self.asset_key == "*":
            data = [key for key, asset in item.assets.items() if is_data(asset)]
            if not data:
                raise CatalogError(
                    f"item {item.id} has no asset with the role 'data' among "
                    f"{sorted(item.assets)}; pass asset_key="
                )
            return data if self.asset_key else data[:1]
        keys = [self.asset_key] if isinstance(self.asset_key, str) else list(self.asset_key)
        absent = [key for key in keys if key not in item.assets]
        if absent:
            raise CatalogError(
                f"item {item.id} has no asset {absent[0]!r}; it has {sorted(item.assets)}"
            )
        return keys


def as_names(value: Any, name: str) -> Any:
    """Return one name or None as it is, several as a tuple.

    Parameters
    ----------
    value
        A name, several in anything that lists them, or None.
    name
        Of the argument, for the message.

    Returns
    -------
    The name, a tuple of names, or None.

    Raises
    ------
    CatalogError
        For what lists no names.

    Examples
    --------
    >>> as_names("B04", "asset_key"), as_names(iter(["B04", "SCL"]), "asset_key")
    ('B04', ('B04', 'SCL'))
    """
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, Iterable):
        raise CatalogError(f"{name} must be a name or several, got {value!r}")
    return tuple(map(str, value))


def is_data(asset: Any) -> bool:
    """Say whether an asset holds data, rather than a preview or metadata.

    Parameters
    ----------
    asset
        A `pystac.Asset`.

    Returns
    -------
    Whether it has the role "data", or no role and the media type of a raster.

    Examples
    --------
    >>> import pystac
    >>> is_data(pystac.Asset("a.tif", media_type=pystac.MediaType.COG))
    True
    >>> is_data(pystac.Asset("a.tif", roles=["overview"], media_type=pystac.MediaType.COG))
    False
    """
    if asset.roles:
        return "data" in asset.roles
    return str(asset.media_type or "").startswith(DATA_TYPES)


def records_of(
    items: Iterable[Any], asked: Asked, on_error: str
) -> tuple[list[FileRecord], list[tuple[str, str]]]:
    """Return what items say, taken one by one, and which were left out.

    Parameters
    ----------
    items
        `pystac.Item`s.
    asked
        What is asked of each.
    on_error
        "raise" or "skip".

    Returns
    -------
    Records, and (id, reason) of the unusable items.

    Raises
    ------
    CatalogError
        For an unusable item.
    """
    check_reading(1, on_error)
    records: list[FileRecord] = []
    skipped = []
    for item in _checked_items(items):
        try:
            records += _records(item, asked)
        except Exception as error:  # a malformed field fails in its own way
            name = "" if isinstance(error, CatalogError) else f"{type(error).__name__}: "
            why = (
                str(error) if f"item {item.id}" in str(error) else f"item {item.id}: {name}{error}"
            )
            if on_error == "raise":
                raise CatalogError(why) from error
            skipped.append((item.id, why))
    return records, skipped


def _checked_items(items: Any) -> Iterator[Any]:
    """Yield STAC items, or say what is given in their place."""
    if not isinstance(items, Iterable) or isinstance(items, str | Mapping):
        given = items.get("type", "dict") if isinstance(items, Mapping) else type(items).__name__
        raise CatalogError(
            f"items must be a list of pystac.Items or an ItemCollection, got {given}; write [item] "
            "for one, pystac.ItemCollection.from_dict(...) for what a service answered"
        )
    for item in items:
        if not (hasattr(item, "assets") and hasattr(item, "properties")):
            raise CatalogError(
                f"items must be pystac.Items, got one of type {type(item).__name__}; "
                "pystac.Item.from_dict(...) makes one of a dictionary"
            )
        yield item


def _records(item: Any, asked: Asked) -> list[FileRecord]:
    keys = asked.keys(item)
    if asked.per == "item":
        one = isinstance(asked.asset_key, str) and asked.asset_key != "*"
        record = _record(item, keys[0], asked)
        if not one and asked.asset_key is not None:
            record.extras["assets"] = json.dumps({key: _href(item.assets[key]) for key in keys})
        return [record]
    records = [_record(item, key, asked) for key in keys]
    for key, record in zip(keys, records, strict=True):
        record.extras["asset_key"] = key
    return records


def _record(item: Any, key: str, asked: Asked) -> FileRecord:
    asset = item.assets[key]
    geometry, crs = _place(item, asset, asked.footprint)
    extras: dict[str, Any] = {"item_id": item.id, "collection": item.collection_id}
    known = item.properties
    extras |= {name: known[field] for name, field in asked.columns.items() if field in known}
    extras |= _grid(item, asset, asked.keeps_grid) | _radiometry(asset)
    signer = asset.extra_fields.get(SIGNER_FIELD)
    if signer is not None:
        extras["signer"] = signer
    extras |= {name: known.get(name) for name in asked.always}
    return FileRecord(_href(asset), geometry, crs, _interval(item), extras)


def _href(asset: Any) -> str:
    return stored_path(asset.get_absolute_href() or asset.href)


def _grid(item: Any, asset: Any, keeps_grid: bool) -> dict[str, Any]:
    """Return what a row says of its asset's pixels: CRS, size, and the grid where it is kept."""
    native, move = _native_crs(item, asset), _field(item, asset, "proj:transform")
    gsd, size = _field(item, asset, "gsd"), _field(item, asset, "proj:shape")
    found: dict[str, Any] = {} if gsd is None else {"resolution": float(gsd)}
    if move is not None:
        found = pixel_columns(Affine(*move[:6]))
    if native is None or not found:
        return {}
    turned = move is not None and not is_north_up(Affine(*move[:6]))
    if (keeps_grid or turned) and move is not None and size is not None:
        found |= {"proj:transform": [float(v) for v in move[:6]], "proj:shape": [*map(int, size)]}
    return {"native_crs": crs_text(native), **found}


def _radiometry(asset: Any) -> dict[str, float]:
    """Return the scale, offset and nodata value that an asset says its first band has."""
    fields = asset.extra_fields
    places: list[Any] = [
        next(iter(fields.get(name) or ()), {}) for name in ("raster:bands", "bands")
    ]
    found = {}
    for name in _RADIOMETRY:
        told = [place.get(key) for place in (*places, fields) for key in (name, f"raster:{name}")]
        with suppress(StopIteration, TypeError, ValueError):
            found[name] = float(next(value for value in told if value is not None))
    return found


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
    # As instants: a date alone would cover its whole day.
    return as_interval([end and pd.Timestamp(end) for end in ends])


def to_stac_items(catalog: GeoCatalog, properties: dict[str, str] | None = None) -> list[Any]:
    """Return one `pystac.Item` per row, so that `from_stac_items` gives the same rows again.

    Footprints go to EPSG:4326 as GeoJSON asks, and the projected one stays in `proj:` fields. The
    asset is called "data", or by the keys of the row's `assets`. A row without an `item_id` gets
    the name of its file as one; rows of one id, such as those of an item's assets, get their
    asset's key or their number behind it, since an id is an item's alone. Addresses stay as the
    catalog has them: once an item is placed (`item.set_self_href(...)`),
    `item.make_asset_hrefs_relative()` makes them relative to it.

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
    >>> (item,) = to_stac_items(InMemoryGeoCatalog(frame))
    >>> item.id, item.bbox, item.assets["data"].media_type
    ('a', [0.0, 0.0, 1.0, 1.0], 'image/tiff; application=geotiff')
    """
    names = PROPERTIES if properties is None else properties
    rows = list(catalog.iter_rows())
    ids = _ids(rows)
    outlines = np.array([row.geometry for row in rows], dtype=object)
    outlines = reproject(outlines, catalog.crs, as_crs("EPSG:4326"))
    outlines = np.array([_on_globe(outline) for outline in outlines], dtype=object)
    return [_item(*told, names) for told in zip(ids, rows, outlines, strict=True)]


def _on_globe(outline: Any) -> Any:
    """Return an outline without what lies beyond a pole or 180 degrees, where GeoJSON ends."""
    if outline is None or outline.is_empty:
        return outline
    west, south, east, north = outline.bounds
    if max(-south, north) > 90:  # cells whose middles are the poles
        outline = shapely.intersection(outline, shapely.box(west, -90, east, 90))
    if west < -180 or east > 180:
        with suppress(CatalogError):  # counted beyond 360: it stays
            outline = outline_within(outline, degree_box(outline.bounds))
    return outline


def _ids(rows: Sequence[CatalogRow]) -> list[str]:
    """The rows' own ids, else their files' names, with what tells those of a collection apart."""
    known = [row.extras.get("item_id") for row in rows]
    ids = [
        str(own) if is_known(own) else _name(row.filepath).stem or "row"
        for own, row in zip(known, rows, strict=True)
    ]
    for ending in ("asset_key", None):
        within = [str(row.extras.get("collection")) for row in rows]
        count = Counter(zip(within, ids, strict=True))
        ends = [row.index if ending is None else row.extras.get(ending) for row in rows]
        ids = [
            f"{own}-{end}" if count[place, own] > 1 and is_known(end) else own
            for place, own, end in zip(within, ids, ends, strict=True)
        ]
    return ids


def _name(href: str) -> PurePosixPath:
    """The last part of a path or an address."""
    path = urlsplit(href).path if "://" in href else href
    return PurePosixPath(PurePosixPath(path.replace("\\", "/")).name)


def _item(item_id: str, row: CatalogRow, outline: Any, names: dict[str, str]) -> Any:
    import pystac

    times = row.interval
    if times is None:
        raise CatalogError(f"{row.filepath} is undated, and a STAC item needs a time")
    start, end = times.left.to_pydatetime(), times.right.to_pydatetime()
    single = start == end
    reserved = {"item_id", "collection", *OF_FILES}
    known = {name: as_json(value) for name, value in row.extras.items() if is_known(value)}
    # STAC writes an item without a place as null; an empty outline has no numbers to write.
    is_placed = outline is not None and not outline.is_empty
    item = pystac.Item(
        id=item_id,
        geometry=mapping(outline) if is_placed else None,
        bbox=list(wrapped_bounds(outline)) if is_placed else None,
        datetime=start if single else None,
        properties={
            names.get(name, name): value for name, value in known.items() if name not in reserved
        },
        start_datetime=None if single else start,
        end_datetime=None if single else end,
        collection=known.get("collection"),
    )
    fields = _projection(row) if is_placed else {}
    told = {name: row.extras[name] for name in _RADIOMETRY if is_known(row.extras.get(name))}
    if told:
        fields["raster:bands"] = [told]
    if row.signer is not None:
        fields[SIGNER_FIELD] = row.signer
    for key, href in (row.assets or {"data": row.filepath}).items():
        kind = MEDIA_TYPES.get(_name(href).suffix.lower())
        item.add_asset(key, pystac.Asset(href, None, None, kind, ["data"], dict(fields)))
    used = {name.partition(":")[0] for name in (*item.properties, *fields)}
    item.stac_extensions = [address for name, address in EXTENSIONS.items() if name in used]
    return item


def _projection(row: CatalogRow) -> dict[str, Any]:
    own = {name: row.extras.get(name) for name in ("proj:transform", "proj:shape")}
    if all(map(is_known, own.values())):
        return {**_crs_field(str(row.extras.get("native_crs"))), **as_json(own)}
    west, south, east, north = row.bounds
    code = crs_text(row.crs)
    fields = _crs_field(code)
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


def _crs_field(code: str) -> dict[str, Any]:
    return {"proj:code" if ":" in code and len(code) < 20 else "proj:wkt2": code}
