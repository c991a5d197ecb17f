"""Search for scenes, whichever source has them."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from geocatalog.read.signers import SIGNER_FIELD, add_signer, signer_name
from geostack.errors import NoSceneError
from geostack.items import acquired, cloud_cover, mgrs_tile, sort_key
from geostack.read import in_parallel
from geostack.request import Request, as_count, distance
from geostack.sources import Source, select
from geostack.sources.planetary_computer import mpc_catalog as mpc_catalog

if TYPE_CHECKING:
    from pystac import Item

logger = logging.getLogger(__name__)

COLLECTIONS = ("sentinel-2-l2a", "landsat-c2-l2", "naip", "cop-dem-glo-30", "era5-pds")
"""What the loaders read; a search may name any other that its source has."""

_NAMED_DATES = 3
_LOOKED_AT = 100
"""Scenes that are looked at to say what there is instead."""


def load_stac_items(
    collection: str,
    bbox: Sequence[float],
    date_range: str,
    *,
    max_cloud_cover: float | None = 5.0,
    tile: str | None = None,
    limit: int | None = 50,
    source: str | Source | None = None,
    sign: bool = False,
) -> list[Item]:
    """Return STAC items by rising cloud cover, then time, then id.

    A scene that was processed several times is returned once, in the newest baseline that fits.

    Parameters
    ----------
    collection
        Such as "sentinel-2-l2a".
    bbox
        (west, south, east, north), degrees.
    date_range
        `start/end`, both days included.
    max_cloud_cover
        Percent; None for any. Items that don't record it pass.
    tile
        MGRS tile, such as "10SGJ"; None for any.
    limit
        At most so many items, the clearest ones; None for all.
    source
        "auto", "planetary-computer", "archive", "simulated" or a `Source`; by default
        `GEOSTACK_SOURCE`, else "auto".
    sign
        Add tokens to the hrefs, for other libraries to open; simulated scenes' files are made. Our
        own loaders, builders and catalogs sign as they open a file, so that no token is ever
        printed or stored.

    Returns
    -------
    list of Item

    Raises
    ------
    NoSceneError
        When nothing fits; the message says what was searched and what there is instead.
    SourceUnavailableError
        When no source can answer.
    ValueError
        For a bad box, date range, tile, cloud cover, limit or source name.

    Examples
    --------
    >>> box = (-120.05, 39.00, -120.03, 39.01)
    >>> items = load_stac_items("sentinel-2-l2a", box, "2024-06", source="simulated")
    >>> items[0].id
    'S2B_MSIL2A_20240614T183919_R070_T10SGJ_20240614T225657_SIM'
    """
    request = Request(collection, bbox, date_range, tile=tile, max_cloud_cover=max_cloud_cover)
    chosen, items = find_items(request, limit=limit, source=source)
    assets = [asset for item in items for asset in item.assets.values()]
    _name_signer(chosen, assets)
    if sign:
        hrefs = in_parallel(lambda asset: chosen.sign(asset.href), assets)
        for asset, href in zip(assets, hrefs, strict=True):
            asset.href = href
    return items


def _name_signer(source: Source, assets: Sequence[Any]) -> None:
    """Say on assets who signs them, where their addresses do not tell."""
    if not isinstance(source, Source) or type(source).sign is Source.sign:
        return
    for asset in assets:
        if "://" in asset.href and signer_name(asset.href) is None:
            add_signer(source)
            asset.extra_fields[SIGNER_FIELD] = source.name


def find_items(
    request: Request, *, limit: int | None = None, source: str | Source | None = None
) -> tuple[Source, list[Item]]:
    """Return the source that answers `request`, and its items, sorted and de-duplicated.

    Items that lack an asset that is asked for are left out, unless all do.

    Parameters
    ----------
    request
        Which scenes, and with which assets.
    limit
        At most so many; None for all.
    source
        As for `load_stac_items`.

    Returns
    -------
    source : Source
    items : list of Item
        By rising cloud cover, then time, then id.

    Raises
    ------
    NoSceneError, SourceUnavailableError, ValueError
        As for `load_stac_items`.

    Examples
    --------
    >>> from geostack import LAKE_TAHOE_BBOX
    >>> june = Request("sentinel-2-l2a", LAKE_TAHOE_BBOX, "2024-06")
    >>> source, items = find_items(june, limit=1, source="simulated")
    >>> source.name, len(items)
    ('simulated', 1)
    """
    limit = None if limit is None else as_count("limit", limit)
    chosen = select(source, request)
    items = sorted(_newest_versions(chosen, request, limit), key=sort_key)[:limit]
    if not items:
        raise NoSceneError(_explain(chosen, request))
    return chosen, items


def _newest_versions(source: Source, request: Request, limit: int | None) -> list[Item]:
    """Return at least `limit` items where there are as many, each scene once."""
    # More are asked for: those that were processed again count once.
    asked = None if limit is None else 2 * limit
    while True:
        found = source.search(
            **request.query(), max_cloud_cover=request.max_cloud_cover, limit=asked
        )
        having = [item for item in found if set(request.assets) <= set(item.assets)]
        newest = without_older_versions(having or found)
        if asked is None or limit is None or len(newest) >= limit or len(found) < asked:
            return newest
        asked *= 2


def without_older_versions(items: Sequence[Item]) -> list[Item]:
    """Return items with each acquisition of a tile once, in its newest processing baseline.

    The others are named in the log at level INFO.

    Parameters
    ----------
    items
        STAC items, of Sentinel-2 or others.

    Returns
    -------
    list of Item
        In the order in which each acquisition came first.

    Examples
    --------
    >>> from pystac import Item
    >>> day = acquired({"datetime": "2024-06-14T00:00:00Z"})
    >>> tile = {"s2:mgrs_tile": "10SGJ"}
    >>> versions = [{"s2:processing_baseline": baseline} | tile for baseline in ("05.10", "05.00")]
    >>> items = [Item(f"v{n}", None, None, day, each) for n, each in enumerate(versions)]
    >>> [item.id for item in without_older_versions(items)]
    ['v0']
    """
    newest: dict[Any, Item] = {}
    for item in items:
        key = _acquisition(item)
        rival = newest.setdefault(key, item)
        if rival is item:
            continue
        older, newest[key] = sorted((rival, item), key=_version)
        logger.info("%s is left out: %s is newer", older.id, newest[key].id)
    return list(newest.values())


def _acquisition(item: Item) -> Any:
    tile = mgrs_tile(item.properties)
    # Only Sentinel-2 re-processes a scene under another id; elsewhere an id is a scene.
    if tile is None:
        return item.id
    platform = str(item.properties.get("platform", "")).lower()
    return tile, platform, acquired(item.properties).replace(microsecond=0)


def _version(item: Item) -> tuple[float, str, str]:
    properties = item.properties
    baseline = baseline_number(item)
    made = str(properties.get("s2:generation_time") or properties.get("created") or "")
    return (baseline or 0.0, made, item.id)


def processing_baseline(item: Item) -> str | None:
    """Return Sentinel-2's processing baseline, such as "05.10", or None where it isn't recorded.

    Parameters
    ----------
    item
        A STAC item.

    Returns
    -------
    str or None

    Examples
    --------
    >>> from pystac import Item
    >>> day = acquired({})
    >>> processing_baseline(Item("A", None, None, day, {"s2:processing_baseline": "05.10"}))
    '05.10'
    """
    said = item.properties
    value = said.get("s2:processing_baseline") or said.get("processing:version")
    return None if value is None else str(value)


def baseline_number(item: Item) -> float | None:
    """Return Sentinel-2's processing baseline as a number, or None where none is recorded.

    Parameters
    ----------
    item
        A STAC item.

    Returns
    -------
    float or None

    Examples
    --------
    >>> from pystac import Item
    >>> baseline_number(Item("A", None, None, acquired({}), {"processing:version": "04.00"}))
    4.0
    """
    try:
        return float(processing_baseline(item) or "")
    except ValueError:
        return None


def _explain(source: Source, request: Request) -> str:
    """Say what was searched and what there is instead, from the nearest miss to the farthest."""
    found = f"no scene in {source.name} fits {request}"
    cloudy = source.search(**request.query(), limit=_LOOKED_AT)
    if cloudy:
        clearest = min(cloud_cover(item.properties) or 0.0 for item in cloudy)
        return (
            f"{found}: what there is is cloudier, the clearest scene {clearest:.3g} %; "
            f"pass max_cloud_cover={min(100, math.floor(clearest) + 1):g}"
        )
    dates = source.dates_near(request.collection, request.bbox, request.date_range, request.tile)
    if dates:
        named = ", ".join(f"{date:%Y-%m-%d}" for date in sorted(dates[:_NAMED_DATES]))
        away = distance(dates[0], request.interval)
        return f"{found}: the nearest dates that exist are {named} ({away.days} days away)"
    if request.tile:
        query = {**request.query(), "tile": None}
        tiles = sorted(
            {str(mgrs_tile(item.properties)) for item in source.search(**query, limit=_LOOKED_AT)}
        )
        if tiles:
            return f"{found}: that place is on tile {', '.join(tiles)}; pass tile={tiles[0]!r}"
        return f"{found}: it has no scene of that box on that tile; pass tile=None for any"
    if request.collection not in COLLECTIONS:
        return (
            f"{found}: it has none of a collection {request.collection!r}; "
            f"the loaders' collections are {', '.join(COLLECTIONS)}"
        )
    return f"{found}: it has no scene of that place at any near date"
