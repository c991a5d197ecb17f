"""What every source of scenes can do."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from geostack.request import BBox

if TYPE_CHECKING:
    from pystac import Item


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
        ...

    def covers(self, collection: str, bbox: BBox, date_range: str, tile: str | None = None) -> bool:
        """Return whether the source would find scenes, without a network or a build."""
        ...

    def dates_near(
        self, collection: str, bbox: BBox, date_range: str, tile: str | None = None
    ) -> list[datetime]:
        """Return when there are scenes of that place, the nearest to `date_range` first."""
        ...

    def sign(self, href: str, *, renew: bool = False) -> str:
        """Return an address that can be opened now; with `renew`, on a new token."""
        ...

    def describe(self) -> str:
        """Return one line: what this is, and whether it can be reached."""
        ...
