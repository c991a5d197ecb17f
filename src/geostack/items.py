"""What a STAC item says about itself, whichever service wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from geostack.request import BBox, as_utc, halves

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox
    from pystac import Item
    from shapely.geometry.base import BaseGeometry

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_EQUAL_SHARE = 0.01
"""Shares of a box that differ by less count as equal: outlines are drawn with few points."""


def acquired(properties: dict[str, Any]) -> datetime:
    """Return when a scene was taken, UTC; the start where an item only gives a range.

    Parameters
    ----------
    properties
        Of a STAC item.

    Returns
    -------
    datetime
        UTC; 1970-01-01 where the item says nothing.

    Examples
    --------
    >>> acquired({"datetime": "2024-06-14T18:39:19Z"}).isoformat()
    '2024-06-14T18:39:19+00:00'
    """
    text = properties.get("datetime") or properties.get("start_datetime")
    if not text:
        return EPOCH
    return as_utc(datetime.fromisoformat(str(text).upper()))


def span(properties: dict[str, Any]) -> tuple[datetime, datetime]:
    """Return the first and last instant that an item describes, UTC.

    Parameters
    ----------
    properties
        Of a STAC item.

    Returns
    -------
    start, end : datetime
        UTC; the same instant twice for a scene.

    Examples
    --------
    >>> month = {"datetime": None, "start_datetime": "2020-12-01", "end_datetime": "2020-12-31"}
    >>> [f"{instant:%d}" for instant in span(month)]
    ['01', '31']
    """
    start, end = properties.get("start_datetime"), properties.get("end_datetime")
    if properties.get("datetime") or not start or not end:
        instant = acquired(properties)
        return instant, instant
    return acquired({"datetime": start}), acquired({"datetime": end})


def cloud_cover(properties: dict[str, Any]) -> float | None:
    """Return the cloud cover in percent, or None where an item doesn't say.

    Parameters
    ----------
    properties
        Of a STAC item.

    Returns
    -------
    float or None
        0 to 100.

    Examples
    --------
    >>> cloud_cover({"eo:cloud_cover": 3}), cloud_cover({})
    (3.0, None)
    """
    value = properties.get("eo:cloud_cover")
    return None if value is None else float(value)


def mgrs_tile(properties: dict[str, Any]) -> str | None:
    """Return the MGRS tile, from the Planetary Computer's or Earth Search's property.

    Parameters
    ----------
    properties
        Of a STAC item.

    Returns
    -------
    str or None
        Five characters, such as "10SGJ".

    Examples
    --------
    >>> mgrs_tile({"s2:mgrs_tile": "10SGJ"}), mgrs_tile({"grid:code": "MGRS-10SGJ"})
    ('10SGJ', '10SGJ')
    """
    code = str(properties.get("grid:code", ""))
    named = code.removeprefix("MGRS-") if code.startswith("MGRS-") else None
    tile = properties.get("s2:mgrs_tile") or named
    return str(tile).removeprefix("T").zfill(5) if tile else None


def epsg(properties: dict[str, Any]) -> int | None:
    """Return the EPSG code, from projection extension 1 (`proj:epsg`) or 2 (`proj:code`).

    Parameters
    ----------
    properties
        Of a STAC item, or of one of its assets.

    Returns
    -------
    int or None
        None where the grid has no EPSG code.

    Examples
    --------
    >>> epsg({"proj:epsg": 32610}), epsg({"proj:code": "EPSG:32610"})
    (32610, 32610)
    """
    if properties.get("proj:epsg"):
        return int(properties["proj:epsg"])
    authority, _, code = str(properties.get("proj:code", "")).partition(":")
    return int(code) if authority == "EPSG" and code.isdigit() else None


def sort_key(item: Item) -> tuple[float, datetime, str]:
    """Return what items are ordered by: cloud cover (unknown last), time, id.

    The id comes last so that two services, or two runs, give one order.

    Parameters
    ----------
    item
        A STAC item.

    Returns
    -------
    cloud_cover : float
        Percent; 101 where it is unknown.
    acquired : datetime
        UTC.
    id : str

    Examples
    --------
    >>> from pystac import Item
    >>> day = acquired({"datetime": "2024-06-14T00:00:00Z"})
    >>> sort_key(Item("A", None, None, day, {"eo:cloud_cover": 3}))[0]
    3.0
    """
    cover = cloud_cover(item.properties)
    return (101.0 if cover is None else cover, acquired(item.properties), item.id)


def item_boxes(feature: dict[str, Any]) -> list[BBox]:
    """Return the boxes that a STAC feature lies in, cut at the antimeridian.

    Parameters
    ----------
    feature
        A STAC item as JSON. Its `bbox` has four or six numbers, west > east across the
        antimeridian; where it lacks one, or has one around the globe, as is often written for what
        crosses the antimeridian, the parts of its outline tell.

    Returns
    -------
    Boxes with west <= east; none where the feature doesn't say.

    Examples
    --------
    >>> item_boxes({"bbox": [1, 2, 0, 3, 4, 9]})
    [(1.0, 2.0, 3.0, 4.0)]
    >>> item_boxes({"bbox": [179, -17, -179, -16]})
    [(179.0, -17.0, 180.0, -16.0), (-180.0, -17.0, -179.0, -16.0)]
    """
    box = _box(feature.get("bbox"))
    if box is not None and box[2] - box[0] <= 180:
        return halves(box)
    outline = _outline(feature.get("geometry"), box)
    if outline is None:
        return [] if box is None else halves(box)
    import shapely

    if box is not None and outline.geom_type == "Polygon":
        return halves(box)  # one ring, which may be drawn across 180 without saying so
    parts = shapely.get_parts(outline)
    while len(finer := shapely.get_parts(parts)) > len(parts):  # collections hold collections
        parts = finer
    boxes = [_box(part.bounds) for part in parts]
    return [half for each in boxes if each for half in halves(each)]


def _box(told: Any) -> BBox | None:
    """Return what a box says, or None where it can't be read."""
    from geocatalog.footprint import degree_box

    try:
        return degree_box(told)
    except ValueError:
        return None


def _outline(geometry: Any, box: BBox | None) -> BaseGeometry | None:
    """Return a GeoJSON geometry mended and cut at the antimeridian; None where there is none."""
    import shapely

    from geocatalog.footprint import outline_within

    if not geometry:
        return None
    try:
        outline = shapely.geometry.shape(geometry)
        box = box or _box(outline.bounds)
        outline = shapely.make_valid(outline_within(outline, box) if box else outline)
    except (shapely.errors.ShapelyError, ValueError, TypeError, LookupError, AttributeError):
        return None
    return None if outline.is_empty else outline


def footprint_share(item: Item, bbox: BBox) -> float:
    """Return the share of a box that a scene's footprint covers, 0 to 1.

    The footprint and not its box: a swath's edge runs aslant through a tile.

    Parameters
    ----------
    item
        A STAC item. Without an outline that can be read, its box counts.
    bbox
        (west, south, east, north), degrees; west > east crosses the antimeridian.

    Returns
    -------
    float
        1 where the footprint covers the box.

    Examples
    --------
    >>> from pystac import Item
    >>> west = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 2], [0, 2], [0, 0]]]}
    >>> footprint_share(Item("A", west, None, EPOCH, {}), (0, 0, 2, 2))
    0.5
    """
    from geocatalog.footprint import box_outline

    own, asked = _box(item.bbox), box_outline(bbox)
    footprint = _outline(item.geometry, own)
    if footprint is None:
        if own is None:
            return 1.0
        footprint = box_outline(own)
    return float(footprint.intersection(asked).area / asked.area)


def covering_items(items: Sequence[Item], bbox: BBox) -> list[Item]:
    """Return, in their order, the items that show as much of a box as any of them does.

    Parameters
    ----------
    items
        STAC items, at least one.
    bbox
        (west, south, east, north), degrees.

    Returns
    -------
    list of Item
        Those whose share of the box is within 0.01 of the largest.

    Examples
    --------
    >>> from pystac import Item
    >>> boxes = {"A": [0, 0, 1, 1], "B": [0, 0, 3, 3]}
    >>> items = [Item(name, None, box, EPOCH, {}) for name, box in boxes.items()]
    >>> [item.id for item in covering_items(items, (0, 0, 2, 2))]
    ['B']
    """
    shares = [footprint_share(item, bbox) for item in items]
    enough = max(shares) - _EQUAL_SHARE
    return [item for item, share in zip(items, shares, strict=True) if share >= enough]


def best_item(items: Sequence[Item], bbox: BBox) -> Item:
    """Return the first, that is the clearest, of the items that show most of a box.

    Parameters
    ----------
    items
        STAC items by rising cloud cover, at least one.
    bbox
        (west, south, east, north), degrees.

    Returns
    -------
    Item

    Examples
    --------
    >>> from pystac import Item
    >>> best_item([Item("clear", None, None, EPOCH, {})], (0, 0, 1, 1)).id
    'clear'
    """
    return covering_items(items, bbox)[0]


def declared_grid(item: Item, key: str) -> GeoBox | None:
    """Return the pixel grid that an item declares for an asset, or None.

    Parameters
    ----------
    item
        A STAC item.
    key
        Of the asset.

    Returns
    -------
    GeoBox or None
        None where CRS, transform or shape is missing.

    Examples
    --------
    >>> from pystac import Asset, Item
    >>> fields = {"proj:epsg": 32610, "proj:transform": [10, 0, 0, 0, -10, 0], "proj:shape": [4, 5]}
    >>> item = Item("A", None, None, EPOCH, fields, assets={"B04": Asset("B04.tif")})
    >>> declared_grid(item, "B04").shape.yx
    (4, 5)
    """
    from affine import Affine

    from geocatalog.grid import pixel_grid

    fields = {**item.properties, **item.assets[key].extra_fields}
    code, transform, shape = epsg(fields), fields.get("proj:transform"), fields.get("proj:shape")
    if code is None or not transform or not shape:
        return None
    return pixel_grid(code, Affine(*transform[:6]), shape)
