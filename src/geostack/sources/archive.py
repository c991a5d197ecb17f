"""The local archive: folders of STAC items and COGs named by `GEOSTACK_ARCHIVE`."""

from __future__ import annotations

import os
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from geostack.errors import SourceUnavailableError
from geostack.items import cloud_cover, sort_key
from geostack.request import BBox, Request, nearest_first
from geostack.sources.folder import StacFolder, read_folder

if TYPE_CHECKING:
    from pystac import Item


def archive_folders() -> list[Path]:
    """Return the archive's folders: the path list `GEOSTACK_ARCHIVE`, else the user's own one.

    Examples
    --------
    >>> import os; from unittest import mock
    >>> with mock.patch.dict(os.environ, GEOSTACK_ARCHIVE=os.pathsep.join(["/a", "/b"])):
    ...     [folder.name for folder in archive_folders()]
    ['a', 'b']
    """
    chosen = os.environ.get("GEOSTACK_ARCHIVE")
    parts = [part for part in (chosen or "").split(os.pathsep) if part.strip()]
    if parts:
        return [Path(part).expanduser().absolute() for part in parts]
    import platformdirs

    return [Path(platformdirs.user_data_dir("geostack", appauthor=False)).absolute() / "archive"]


class ArchiveSource:
    """STAC items and files on this machine.

    Parameters
    ----------
    folders
        Where to look, earlier folders first; by default `archive_folders()`.

    Examples
    --------
    >>> ArchiveSource([]).covers("sentinel-2-l2a", (0, 0, 1, 1), "2024")
    False
    """

    name = "archive"

    def __init__(self, folders: list[Path] | None = None) -> None:
        self.folders = archive_folders() if folders is None else [Path(path) for path in folders]

    @property
    def present(self) -> list[StacFolder]:
        """The folders that exist, indexed."""
        return [read_folder(folder) for folder in self.folders if folder.is_dir()]

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
        """Return items with absolute hrefs, the clearest first; the first folder wins an id.

        Raises
        ------
        SourceUnavailableError
            When no folder of the archive exists.
        """
        folders = self.present
        if not folders:
            raise SourceUnavailableError(f"{self._absence()}; fix: {_FETCH}")
        found: dict[str, Item] = {}
        for folder in folders:
            for path, feature in folder.find(collection, bbox, date_range, tile, max_cloud_cover):
                found.setdefault(feature["id"], folder.item(path, feature))
        return sorted(found.values(), key=sort_key)[:limit]

    def covers(self, collection: str, bbox: BBox, date_range: str, tile: str | None = None) -> bool:
        """Return whether the archive holds any scene of that place and time."""
        return any(folder.find(collection, bbox, date_range, tile) for folder in self.present)

    def holds(self, request: Request) -> bool:
        """Return whether the archive holds a scene that is clear enough and has the assets."""
        return any(
            set(request.assets) <= set(feature["assets"])
            for folder in self.present
            for _, feature in folder.find(
                **request.query(), max_cloud_cover=request.max_cloud_cover
            )
        )

    def dates_near(
        self, collection: str, bbox: BBox, date_range: str, tile: str | None = None
    ) -> list[datetime]:
        """Return when the archive has scenes of that place, the nearest first."""
        dates = [folder.dates_near(collection, bbox, date_range, tile) for folder in self.present]
        return nearest_first(chain.from_iterable(dates), date_range)

    def sign(self, href: str, *, renew: bool = False) -> str:
        """Return `href` as it is: files on this machine need no token."""
        return href

    def describe(self) -> str:
        """Return one line: the folders and how many scenes they hold."""
        present = self.present
        if not present:
            return self._absence()
        places = ", ".join(str(folder.root) for folder in present)
        counts = ", ".join(
            f"{sum(folder.collections.get(name, 0) for folder in present)} x {name}"
            for name in sorted({name for folder in present for name in folder.collections})
        )
        return f"{places}: {counts or 'no items yet'}"

    def why_not(self, request: Request) -> str:
        """Return why the archive can't answer `request`."""
        if not self.present:
            return self._absence()
        found = [
            feature for folder in self.present for _, feature in folder.find(**request.query())
        ]
        if not found:
            return f"holds no such scene ({self.describe()})"
        missing = set(request.assets) - {key for feature in found for key in feature["assets"]}
        if missing:
            return f"holds {len(found)} such scenes, none with {', '.join(sorted(missing))}"
        clearest = min(cloud_cover(feature["properties"]) or 0.0 for feature in found)
        return f"holds {len(found)} such scenes, the clearest with {clearest:g} % cloud"

    def fix(self, request: Request) -> str:
        """Return the command that would put what is asked into the archive."""
        west, south, east, north = request.bbox
        return (
            f"geostack archive fetch --bbox={west:g},{south:g},{east:g},{north:g} "
            f"--dates={request.date_range} --collection={request.collection}"
        )

    def _absence(self) -> str:
        if not self.folders:
            return "no archive folder is set"
        return f"no folder {', '.join(str(folder) for folder in self.folders)}"


_FETCH = "geostack archive fetch AREA, or set GEOSTACK_ARCHIVE to a folder of STAC items"
