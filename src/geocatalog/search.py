"""From a search of a STAC service to a catalog: pages taken one by one, each within its time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from affine import Affine

from geocatalog.catalog import InMemoryGeoCatalog
from geocatalog.errors import CatalogError, SearchError
from geocatalog.footprint import box_parts, crs_text, degree_box
from geocatalog.grid import is_north_up
from geocatalog.interval import OPEN_END, OPEN_START, pack_time, stamp_of
from geocatalog.read.service import asking, patient_io, service_item
from geocatalog.records import assemble
from geocatalog.stac import PROPERTIES, Asked, as_names, from_stac_items, records_of
from geocatalog.table import as_json
from pipekit.operator import checked_count
from pipekit.retry import RetryPolicy
from pipekit.tokens import redact

if TYPE_CHECKING:
    from pystac import Item
    from pystac_client import Client

EXTRA = ("eo:cloud_cover", "platform", "s2:mgrs_tile")
"""Properties of items that a search makes columns of, where they are there."""


def from_stac_search(
    client: Any,
    *,
    collections: Sequence[str] | str | None = None,
    bbox: Sequence[float] | None = None,
    datetime: Any = None,
    query: dict[str, Any] | None = None,
    asset_key: str | Sequence[str] | None = "*",
    extra_properties: Sequence[str] = EXTRA,
    per: str = "item",
    target_crs: Any = None,
    footprint: str = "file",
    max_items: int | None = None,
    page_size: int = 100,
    on_error: str = "raise",
    policy: RetryPolicy | None = None,
) -> InMemoryGeoCatalog:
    """Return a catalog of what a STAC service finds; no file is opened.

    Pages are asked for one by one, each again when it fails or takes too long. Rows hold addresses
    without tokens: files are signed when they are opened.

    Parameters
    ----------
    client
        A `pystac_client.Client`, the address of a service, or a search that a client made.
    collections, query
        As `pystac_client.Client.search` takes them.
    datetime
        Any time that a catalog's `query` takes; those of `pystac_client.Client.search` are.
    bbox
        (west, south, east, north) in degrees; west > east crosses the antimeridian.
    asset_key
        As in `from_stac_items`: one asset, several, "*" for all that hold data, None for the first.
    extra_properties
        Properties of the items that become columns under their own names, where an item has them.
    per
        "item" for a row of each item with its assets, "asset" for a row of each asset.
    target_crs
        CRS of the footprints; by default the items' own, if they share one, else EPSG:4326.
    footprint, on_error
        As in `from_stac_items`.
    max_items
        At most so many items; None for all.
    page_size
        Items that the service is asked for at a time.
    policy
        How often and how long to try; by default `pipekit.retry.DEFAULT`.

    Returns
    -------
    A catalog with the columns of `from_stac_items`, `stac_item_id`, `asset_key` and the properties
    asked for; an empty one where nothing is found.

    Raises
    ------
    SearchError
        When the service does not answer, or its pages repeat.
    CatalogError
        For a bad box, and as `from_stac_items`.

    Examples
    --------
    >>> class Search:
    ...     def items(self):
    ...         return iter([])
    >>> len(from_stac_search(Search()))
    0
    """
    extras = as_names(extra_properties, "extra_properties") or ()
    always = (extras,) if isinstance(extras, str) else extras
    asked = Asked(asset_key, PROPERTIES, footprint, per, keeps_grid=True, always=always)
    if hasattr(client, "search") or isinstance(client, str):
        named = [collections] if isinstance(collections, str) else collections
        terms: dict[str, Any] = {"collections": named, "datetime": _asked_time(datetime)}
        size = checked_count(page_size, "page_size", refusal=CatalogError)
        most = checked_count(max_items, "max_items", none=True, refusal=CatalogError)
        terms |= {"query": as_json(query), "limit": min(size, most or size)}
        found = search_items(client, bbox, max_items, policy, **terms)
    elif callable(getattr(client, "items", None)) and not isinstance(client, Mapping):
        found = client.items()
    else:
        raise CatalogError(
            "client must be a pystac_client.Client, the address of a service as text, or a search, "
            f"got {type(client).__name__}; from_stac_items takes items that are there"
        )
    records, skipped = records_of(found, asked, on_error)
    keys = asked.asset_key
    key = keys if isinstance(keys, str) else ",".join(keys or ()) or None
    for record in records:
        record.extras.setdefault("asset_key", key)
        record.extras["stac_item_id"] = record.extras["item_id"]
    if not records and not skipped:
        return from_stac_items([], target_crs=target_crs)
    kinds = {crs_text(record.crs) for record in records}
    crs = "EPSG:4326" if target_crs is None and len(kinds) > 1 else target_crs
    if crs is None and footprint == "file":
        for record in records:
            move: Any = record.extras.get("proj:transform")
            if move is not None and is_north_up(Affine(*move)):  # the footprint is the grid already
                del record.extras["proj:transform"], record.extras["proj:shape"]
    return assemble(records, crs, "raster", skipped)


def _asked_time(value: Any) -> Any:
    """Return a time as services take it: its first and last instant, None where it is open."""
    ends = pack_time(value)
    if ends == (OPEN_START, OPEN_END):
        return None
    return [
        None if end in (OPEN_START, OPEN_END) else stamp_of(end).to_pydatetime() for end in ends
    ]


def search_items(
    client: Client | str,
    bbox: Sequence[float] | None = None,
    max_items: int | None = None,
    policy: RetryPolicy | None = None,
    **terms: Any,
) -> Iterator[Item]:
    """Yield the items that a STAC service finds, a page in memory at a time.

    Parameters
    ----------
    client
        A `pystac_client.Client`, or the address of a service.
    bbox
        (west, south, east, north) in degrees; a box across the antimeridian is asked for by halves,
        since services read it in several ways.
    max_items
        At most so many; None for all.
    policy
        How often and how long to try.
    **terms
        Of `pystac_client.Client.search`.

    Yields
    ------
    Each item once, unsigned.

    Raises
    ------
    SearchError
        When the service does not answer, or its pages repeat.
    """
    from pystac_client import Client

    if isinstance(client, str):
        opening = partial(Client.open, client, stac_io=patient_io(policy))
        client = asking(client, opening, SearchError)
    seen: set[tuple[str, str]] = set()
    parts = [None] if bbox is None else box_parts(degree_box(bbox))
    for part in parts:
        for page in _pages(client, policy, bbox=part, **terms):
            for item in page:
                key = str(item.collection_id), item.id
                if key in seen:
                    continue
                seen.add(key)
                yield item
                if max_items is not None and len(seen) >= max_items:
                    return


def _pages(client: Any, policy: RetryPolicy | None, **terms: Any) -> Iterator[list[Item]]:
    """Yield the items of each page."""
    try:
        search = client.search(**terms)
    except Exception as error:  # of a client that raises just that for a date that is none
        raise CatalogError(f"no question to a service: {error}; asked was {terms}") from error
    io = patient_io(policy, like=client._stac_io)
    pages = io.get_pages(search.url, search.method, search.get_parameters())

    def read() -> list[Item]:
        features = next(pages, {}).get("features") or ()
        return [service_item(feature, search.url, files=True) for feature in features]

    seen: set[tuple[str | None, str]] = set()
    while items := asking(search.url, read, SearchError):
        ids = {(item.collection_id, item.id) for item in items}
        if ids <= seen:
            raise SearchError(
                f"{redact(search.url)} gave the same page of results twice after {len(seen)} "
                "items, so the rest cannot be listed; ask for a shorter time"
            )
        seen |= ids
        yield items
