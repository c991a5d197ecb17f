"""What every source of scenes is asked and can do, and which one answers a request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from geostack.items import cloud_cover, item_bbox, mgrs_tile, span
from geostack.request import BBox, as_tile, intersects, overlaps, parse_date_range

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
