"""What every source of scenes is asked and can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from geostack.items import acquired, cloud_cover, item_boxes, mgrs_tile, sort_key, span
from geostack.request import BBox, Request, intersects, nearest_first, overlaps

if TYPE_CHECKING:
    from pystac import Item

SOURCE_NAMES = ("auto", "planetary-computer", "archive", "simulated")


def fits(feature: dict[str, Any], asked: Request) -> bool:
    """Return whether a STAC feature is a scene that is asked for.

    What the feature doesn't say lets it pass; which assets it has is not looked at.

    Parameters
    ----------
    feature
        A STAC item as a dictionary, with a collection.
    asked
        The question.

    Returns
    -------
    Whether it is.
    """
    properties, boxes = feature["properties"], item_boxes(feature)
    cover, limit = cloud_cover(properties), asked.max_cloud_cover
    return (
        feature["collection"] == asked.collection
        and asked.item in (None, feature["id"])
        and (not boxes or any(intersects(box, asked.bbox) for box in boxes))
        and overlaps(span(properties), asked.interval)
        and asked.tile in (None, mgrs_tile(properties))
        and (limit is None or cover is None or cover <= limit)
    )


class Source(ABC):
    """A place that STAC items and their pixels come from.

    A source of one's own defines `name`, `find`, `covers` and `describe`, and `sign` where files
    need a token; it is given to loaders as `source=`. With `knows` it is a signer of catalogs, too:
    declared as an entry point in the group `geocatalog.signing`, it is found in every process.

    Examples
    --------
    >>> class Nothing(Source):
    ...     name = "nothing"
    ...
    ...     def find(self, asked, limit=None):
    ...         return []
    ...
    ...     def covers(self, collection, bbox, date_range, tile=None):
    ...         return False
    ...
    ...     def describe(self):
    ...         return "nothing, anywhere"
    >>> Nothing().search("sentinel-2-l2a", (0, 0, 1, 1), "2024")
    []
    """

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
        item: str | None = None,
    ) -> list[Item]:
        """Return items with absolute, unsigned hrefs, the clearest first.

        Parameters
        ----------
        collection
            Such as "sentinel-2-l2a".
        bbox
            (west, south, east, north), degrees.
        date_range
            `start/end`, both days included.
        tile
            MGRS tile; None for any.
        max_cloud_cover
            Percent; None for any. Items that don't record it pass.
        limit
            At most so many items; None for all.
        item
            The id of the one scene asked for; None for any.

        Returns
        -------
        Sorted by cloud cover (unknown last), time, id.

        Raises
        ------
        SourceUnavailableError
            When the source can't answer.
        """
        cover = max_cloud_cover
        asked = Request(collection, bbox, date_range, tile=tile, max_cloud_cover=cover, item=item)
        return sorted(self.find(asked, limit), key=sort_key)[:limit]

    @abstractmethod
    def find(self, asked: Request, limit: int | None = None) -> Iterable[Item]:
        """Return the items that fit, or the `limit` clearest of them at least, in any order.

        Parameters
        ----------
        asked
            The question, already checked.
        limit
            At least so many of the clearest, where there are as many; None for all.

        Returns
        -------
        Items with absolute, unsigned hrefs.

        Raises
        ------
        SourceUnavailableError
            When the source can't answer.
        """

    @abstractmethod
    def covers(self, collection: str, bbox: BBox, date_range: str, tile: str | None = None) -> bool:
        """Return whether the source would find scenes, without a network or a build.

        Parameters are those of `search`.

        Returns
        -------
        Whether it would.
        """

    def holds(self, request: Request) -> bool:
        """Return whether `auto` may take this source for a request.

        Parameters
        ----------
        request
            The question, with the assets that are needed.

        Returns
        -------
        What `covers` says, where a source does not look closer.
        """
        return self.covers(**request.query())

    @abstractmethod
    def describe(self) -> str:
        """Return one line: what this is, and whether it can be reached.

        Returns
        -------
        Text without a line break.
        """

    def dates_near(
        self, collection: str, bbox: BBox, date_range: str, tile: str | None = None
    ) -> list[datetime]:
        """Return when there are scenes of that place, the nearest to `date_range` first.

        Parameters are those of `Source.search`.

        Returns
        -------
        Times in UTC, each once.
        """
        found = self.find(Request(collection, bbox, "../..", tile=tile))
        return nearest_first((acquired(item.properties) for item in found), date_range)

    def knows(self, href: str) -> bool:
        """Return whether a place is one that this source signs, told by its looks.

        Catalogs ask it for files whose rows name no signer; see `geocatalog.read.signers`.

        Parameters
        ----------
        href
            A path or URL.

        Returns
        -------
        False, where a source does not say more.
        """
        return False

    def sign(self, href: str, *, renew: bool = False) -> str:
        """Return an address that can be opened now: `href` itself where files need no token.

        Parameters
        ----------
        href
            As an item has it.
        renew
            Ask for a new token even if the old one looks valid.

        Returns
        -------
        An address, which must not be printed or stored where it holds a token.
        """
        return href
