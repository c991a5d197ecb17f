"""The embedded simulation: scenes that look like the place, for when there is no network.

Nothing here is a measurement: every item says `geostack:simulated` and its id ends in `_SIM`.
"""

from __future__ import annotations

import logging
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from geostack.cache import cache_folder, is_writable, writable_cache_folder
from geostack.items import sort_key
from geostack.request import (
    BBox,
    Request,
    as_tile,
    contains,
    format_bbox,
    intersects,
    nearest_first,
    parse_date_range,
)
from geostack.sources.folder import read_folder

if TYPE_CHECKING:
    from pystac import Item

    from geostack.sources.simulation import SimulatedArea

logger = logging.getLogger(__name__)

KIND = "simulated"
"""The simulation's part of the cache folder."""

EDGE_TOLERANCE = 0.005
"""Degrees by which a box may hang over a simulated area: the files hold pixels a little beyond."""


class SimulatedSource:
    """Simulated scenes of the notebooks' areas, built into the cache folder on first use.

    Examples
    --------
    >>> SimulatedSource().covers("sentinel-2-l2a", (0, 0, 1, 1), "2024")
    False
    """

    name = "simulated"

    def search(
        self,
        collection: str,
        bbox: BBox,
        date_range: str,
        *,
        tile: str | None = None,
        max_cloud_cover: float | None = None,
        limit: int | None = None,
    ) -> list[Item]:
        """Return simulated items, the clearest first; builds the areas asked for if need be."""
        items: dict[str, Item] = {}
        for area in _matching(collection, bbox, date_range, tile):
            folder = read_folder(build(area.name))
            for path, feature in folder.find(collection, bbox, date_range, tile, max_cloud_cover):
                items[feature["id"]] = folder.item(path, feature)
        return sorted(items.values(), key=sort_key)[:limit]

    def covers(self, collection: str, bbox: BBox, date_range: str, tile: str | None = None) -> bool:
        """Return whether a simulated area holds the box and has scenes in that time."""
        return any(
            contains(area.bbox, bbox, EDGE_TOLERANCE)
            for area in _matching(collection, bbox, date_range, tile)
        )

    def dates_near(
        self, collection: str, bbox: BBox, date_range: str, tile: str | None = None
    ) -> list[datetime]:
        """Return when there are simulated scenes of that place, the nearest first."""
        areas = _matching(collection, bbox, "../..", tile)
        dates = [_dates(area, collection, bbox) for area in areas]
        return nearest_first(chain.from_iterable(dates), date_range)

    def sign(self, href: str, *, renew: bool = False) -> str:
        """Return `href` as it is: files on this machine need no token."""
        return href

    def describe(self) -> str:
        """Return one line: the simulated areas."""
        names = ", ".join(area.name for area in _areas())
        return f"embedded simulation of {names}; not measurements"

    def why_not(self, request: Request) -> str:
        """Return why the simulation can't answer `request`."""
        areas = [area for area in _areas() if request.collection in area.collections]
        if not areas:
            return f"{request.collection} is not simulated"
        near = [area for area in areas if contains(area.bbox, request.bbox, EDGE_TOLERANCE)]
        if near:
            known = "; ".join(
                f"{area.name}: tile {', '.join(area.tiles) or 'any'}, {', '.join(area.date_ranges)}"
                for area in near
            )
            return f"not at that time or tile ({known})"
        known = "; ".join(f"{area.name} {format_bbox(area.bbox)}" for area in areas)
        return f"covers other places only: {known}"

    def fix(self) -> str:
        """Return what would let the simulation answer."""
        return "ask for one of its areas (geostack sources lists them)"


def build(area: str, progress: bool = True) -> Path:
    """Return the STAC folder of a simulated area, building it in the cache if it isn't there.

    A read-only cache folder is used as long as it holds the area; otherwise the area is built
    under the temporary folder.
    """
    from geostack.sources.simulation import ensure

    folder = cache_folder() / KIND
    try:
        return ensure(area, folder, progress=progress)
    except OSError as error:
        if is_writable(folder):
            raise
        logger.info("%s does not hold the simulated %s (%s)", folder, area, error)
        return ensure(area, writable_cache_folder() / KIND, progress=progress)


def _areas() -> list[SimulatedArea]:
    from geostack.sources.simulation import AREAS

    return list(AREAS.values())


def _matching(
    collection: str, bbox: BBox, date_range: str, tile: str | None
) -> list[SimulatedArea]:
    """The areas that touch a box and have scenes in that time: only these are ever built."""
    tile = as_tile(tile)
    return [
        area
        for area in _areas()
        if collection in area.collections
        and intersects(area.bbox, bbox)
        and (tile is None or not area.tiles or tile in area.tiles)
        and any(_overlap(dates, date_range) for dates in area.date_ranges)
    ]


def _dates(area: SimulatedArea, collection: str, bbox: BBox) -> list[datetime]:
    """When an area has scenes: known from ranges of one day, else from its items."""
    ranges = [parse_date_range(dates) for dates in area.date_ranges]
    single = [start for start, end in ranges if start and end and (end - start).days == 0]
    if len(single) == len(ranges):
        return single
    return read_folder(build(area.name)).dates_near(collection, bbox, "../..")


def _overlap(dates: str, date_range: str) -> bool:
    start, end = parse_date_range(date_range)
    first, last = parse_date_range(dates)
    return (end is None or first is None or end >= first) and (
        start is None or last is None or start <= last
    )
