"""What every source of scenes is asked and can do, and which one answers a request."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from geostack.errors import SourceUnavailableError
from geostack.items import cloud_cover, item_bbox, mgrs_tile, span
from geostack.request import BBox, Request, as_tile, intersects, overlaps, parse_date_range

if TYPE_CHECKING:
    from pystac import Item

SOURCE_NAMES = ("auto", "planetary-computer", "archive", "simulated")


@dataclass(frozen=True)
class Query:
    """Which scenes are searched; None lets all pass."""

    collection: str
    bbox: BBox | None = None
    date_range: str = "../.."
    tile: str | None = None
    max_cloud_cover: float | None = None

    def fits(self, feature: dict[str, Any]) -> bool:
        """Return whether a STAC feature is one of the scenes; what it doesn't say lets it pass."""
        properties, box = feature["properties"], item_bbox(feature)
        cover = cloud_cover(properties)
        return (
            feature["collection"] == self.collection
            and (self.bbox is None or box is None or intersects(box, self.bbox))
            and overlaps(span(properties), parse_date_range(self.date_range))
            and as_tile(self.tile) in (None, mgrs_tile(properties))
            and (self.max_cloud_cover is None or cover is None or cover <= self.max_cloud_cover)
        )


@runtime_checkable
class Source(Protocol):
    """A place that STAC items and their pixels come from."""

    name: str

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
        """Return items with absolute, unsigned hrefs, the clearest first, at most `limit`.

        Raises
        ------
        SourceUnavailableError
            When the source can't answer.
        """

    def covers(self, collection: str, bbox: BBox, date_range: str, tile: str | None = None) -> bool:
        """Return whether the source would find scenes, without a network or a build."""

    def dates_near(
        self, collection: str, bbox: BBox, date_range: str, tile: str | None = None
    ) -> list[datetime]:
        """Return when there are scenes of that place, the nearest to `date_range` first."""

    def sign(self, href: str, *, renew: bool = False) -> str:
        """Return an address that can be opened now; with `renew`, on a new token."""

    def describe(self) -> str:
        """Return one line: what this is, and whether it can be reached."""


def source_name(source: str | Source | None = None) -> str:
    """Return the name of the source asked for: the argument, else `GEOSTACK_SOURCE`, else auto.

    A `Source` object counts by its name, for what isn't read from STAC items.

    Raises
    ------
    ValueError
        For a name that is none of `SOURCE_NAMES`.

    Examples
    --------
    >>> source_name("simulated")
    'simulated'
    """
    origin = "source" if source is not None else "GEOSTACK_SOURCE"
    asked = source if source is not None else os.environ.get("GEOSTACK_SOURCE") or "auto"
    name = str(getattr(asked, "name", asked)).strip().lower().replace("_", "-")
    if name not in SOURCE_NAMES:
        raise ValueError(f"{origin} must be one of {', '.join(SOURCE_NAMES)}; got {asked!r}")
    return name


def open_source(name: str) -> Source:
    """Return the source called `name` (not `auto`).

    Examples
    --------
    >>> open_source("archive").name
    'archive'
    """
    from geostack.sources.archive import ArchiveSource
    from geostack.sources.planetary_computer import PlanetaryComputerSource
    from geostack.sources.simulated import SimulatedSource

    known: dict[str, Callable[[], Source]] = {
        kind.name: kind for kind in (PlanetaryComputerSource, ArchiveSource, SimulatedSource)
    }
    if name not in known:
        raise ValueError(f"a source is one of {', '.join(known)}; got {name!r}")
    return known[name]()


def select(source: str | Source | None, request: Request) -> Source:
    """Return the source that answers `request`.

    A named source, or a `Source` object, is taken as it is. `auto` takes the archive if it holds
    what is asked, else the live service if it answers within 3 s, else the simulation if it
    covers the request.

    Raises
    ------
    SourceUnavailableError
        When `auto` finds none; the message lists what was tried and the command that would fix
        each.
    ValueError, TypeError
        For an unknown name, or an object that is no source.
    """
    if source is not None and not isinstance(source, str):
        if not isinstance(source, Source):
            raise TypeError(
                f"source must be one of {', '.join(SOURCE_NAMES)} or a Source, got {source!r}"
            )
        return source
    name = source_name(source)
    return _auto(request) if name == "auto" else open_source(name)


def _auto(request: Request) -> Source:
    from geostack.sources.archive import ArchiveSource
    from geostack.sources.planetary_computer import PlanetaryComputerSource
    from geostack.sources.simulated import SimulatedSource

    archive = ArchiveSource()
    if archive.holds(request):
        return archive
    live = PlanetaryComputerSource()
    if live.reachable():
        return live
    simulated = SimulatedSource()
    if simulated.covers(**request.query()):
        return simulated
    tried = (
        ("archive", archive.why_not(request), archive.fix(request)),
        ("planetary-computer", live.why_not(), live.fix()),
        ("simulated", simulated.why_not(request), simulated.fix()),
    )
    lines = "\n".join(f"  {name}: {why}\n    fix: {fix}" for name, why, fix in tried)
    raise SourceUnavailableError(f"no source has {request}; tried\n{lines}")
