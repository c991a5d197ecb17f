"""The embedded simulation: scenes that look like the place, for when there is no network.

Nothing here is a measurement: every item says `geostack:simulated` and its id ends in `_SIM`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from geocatalog.read.signers import add_signer
from geostack import cache as caches
from geostack.cache import cache_folder, is_writable, writable_cache_folder
from geostack.request import (
    BBox,
    Request,
    contains,
    format_bbox,
    intersects,
    overlaps,
    parse_date_range,
)
from geostack.sources.archive import as_item
from geostack.sources.simulation import AREAS, simulated_scenes
from geostack.sources.source import Source, fits
from pipekit.full_disk import UnwrittenError, telling_full_disk

if TYPE_CHECKING:
    from pystac import Item

logger = logging.getLogger(__name__)

KIND = "simulated"
"""The simulation's part of the cache folder."""

EDGE_TOLERANCE = 0.005
"""Degrees by which a box may reach over a simulated area: the files hold pixels a little beyond."""


class SimulatedSource(Source):
    """Simulated scenes of the notebooks' areas: known at once, drawn when a file is opened.

    Examples
    --------
    >>> SimulatedSource().covers("sentinel-2-l2a", (0, 0, 1, 1), "2024")
    False
    """

    name = "simulated"

    def find(self, asked: Request, limit: int | None = None) -> list[Item]:
        """Return simulated items; their files are drawn when they are signed.

        The hrefs are where the files will be in the cache folder, or are.

        Parameters
        ----------
        asked
            The question, already checked.
        limit
            All are returned, whatever it is.

        Returns
        -------
        In no promised order.
        """
        folder = cache_folder() / KIND
        return [
            as_item(folder / scene.folder / f"{scene.id}.json", scene.item)
            for scene in simulated_scenes().values()
            # A tile's pixels outside of its area are empty.
            if intersects(AREAS[scene.area].bbox, asked.bbox) and fits(scene.item, asked)
        ]

    def covers(self, collection: str, bbox: BBox, date_range: str, tile: str | None = None) -> bool:
        """Return whether a simulated area holds the box and has scenes in that time.

        Parameters are those of `Source.search`.

        Returns
        -------
        Whether one does.
        """
        return not self.why_not(Request(collection, bbox, date_range, tile=tile))

    def knows(self, href: str) -> bool:
        """Return whether a path is that of a simulated file, there or not.

        Parameters
        ----------
        href
            A path or URL.

        Returns
        -------
        Whether `sign` draws it.
        """
        return KIND in Path(href).parts

    def sign(self, href: str, *, renew: bool = False) -> str:
        """Return a path that can be opened: a simulated file is drawn if it isn't there.

        Where the cache folder can't be written, the file is drawn under the temporary folder. Any
        other address is returned as it is.

        Parameters
        ----------
        href
            As an item has it.
        renew
            No token is needed, so it changes nothing.

        Returns
        -------
        A path, or `href`.
        """
        return simulated_file(href)

    def describe(self) -> str:
        """Return one line: the simulated areas.

        Returns
        -------
        Text without a line break.
        """
        return f"embedded simulation of {', '.join(AREAS)}; not measurements"

    def why_not(self, request: Request) -> str:
        """Return why the simulation can't answer `request`; nothing where it can.

        Parameters
        ----------
        request
            The question.

        Returns
        -------
        Half a sentence.
        """
        areas = [area for area in AREAS.values() if request.collection in area.collections]
        if not areas:
            return f"{request.collection} is not simulated"
        near = [area for area in areas if contains(area.bbox, request.bbox, EDGE_TOLERANCE)]
        if not near:
            known = "; ".join(f"{area.name} {format_bbox(area.bbox)}" for area in areas)
            return f"covers other places only: {known}"
        if any(
            request.tile in (None, *(area.tiles or [request.tile]))
            and any(overlaps(parse_date_range(d), request.interval) for d in area.date_ranges)
            for area in near
        ):
            return ""
        known = "; ".join(
            f"{area.name}: tile {', '.join(area.tiles) or 'any'}, {', '.join(area.date_ranges)}"
            for area in near
        )
        return f"not at that time or tile ({known})"

    def fix(self, request: Request) -> str:
        """Return what would let the simulation answer.

        Parameters
        ----------
        request
            The question.

        Returns
        -------
        Half a sentence.
        """
        return "ask for one of its areas (geostack sources lists them)"


def simulated_file(href: str) -> str:
    """Return where a simulated scene's file can be opened, drawing it if it isn't there.

    Parameters
    ----------
    href
        Any address; one that is no simulated file is returned as it is.

    Returns
    -------
    A path, or `href`.

    Raises
    ------
    UnwrittenError
        There is no room for it.
    OSError
        When it can't be drawn, though its folder can be written.

    Examples
    --------
    >>> simulated_file("/data/a.tif")
    '/data/a.tif'
    """
    path = Path(href)
    if "://" in href or KIND not in path.parts or path.is_file():
        return href
    from geostack.sources.simulation import files

    if files.find(path) is None:
        return href
    error: OSError | None = None
    for cache in _places(path):
        try:
            with telling_full_disk(path, "set GEOSTACK_CACHE to a folder with more room"):
                return str(files.ensure(path, cache))
        except UnwrittenError:
            raise
        except OSError as answer:
            scenes = cache / Path(*path.parts[-4:-2])
            if not isinstance(answer, PermissionError) and is_writable(scenes):
                raise
            error = answer
            logger.info("%s can't be drawn in %s (%s)", path.name, cache, answer)
    raise error or OSError(f"{path} can't be drawn")


def _places(path: Path) -> Iterator[Path]:
    """Yield the caches that a file may be drawn in.

    In a cache that users share, a scene's folder may be another user's.
    """
    yield path.parents[3]
    yield writable_cache_folder() / KIND
    fallback = caches.fallback_folder()
    if caches.is_ours(fallback):
        yield fallback / KIND


add_signer(SimulatedSource())  # catalogs of simulated items open their files by themselves
