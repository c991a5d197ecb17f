"""The local archive: folders of STAC items and COGs named by `GEOSTACK_ARCHIVE`.

Each holds `COLLECTION/ITEM_ID/ITEM_ID.json` beside the item's files.
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from glob import escape, iglob
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geostack.errors import NoSceneError, SourceUnavailableError
from geostack.items import acquired, cloud_cover
from geostack.request import BBox, Request
from geostack.sources.source import Source, fits

if TYPE_CHECKING:
    from pystac import Item

logger = logging.getLogger(__name__)

_INDEXES: dict[Path, tuple[dict[str, int], StacFolder]] = {}


def archive_folders() -> list[Path]:
    """Return the archive's folders: the path list `GEOSTACK_ARCHIVE`, else the user's own one.

    Returns
    -------
    Absolute paths, whether or not they are there.

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


def archived_file(names: Sequence[str]) -> Path | None:
    """Return the first file of one of these names, from the archive's root, that a folder holds.

    Parameters
    ----------
    names
        Paths below the archive's root.

    Returns
    -------
    None where no folder holds one.

    Examples
    --------
    >>> archived_file(["gbif/0.zip"]) is None
    True
    """
    paths = (folder / name for folder in archive_folders() for name in names)
    return next((path for path in paths if path.is_file()), None)


def needed_file(names: Sequence[str], what: str) -> Path:
    """Return the first file of one of these names that the archive holds.

    Parameters
    ----------
    names
        From the archive's root; the first one is recommended.
    what
        What messages call it.

    Returns
    -------
    Its path.

    Raises
    ------
    NoSceneError
        When no folder holds any; the message says where to put one.
    """
    path = archived_file(names)
    if path is None:
        places = ", ".join(str(folder / names[0]) for folder in archive_folders())
        raise NoSceneError(f"the archive holds no {what}; put a file at {places}")
    return path


class ArchiveSource(Source):
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

    def find(self, asked: Request, limit: int | None = None) -> Iterable[Item]:
        """Return items with absolute hrefs; the first folder wins an id.

        Parameters
        ----------
        asked
            The question, already checked.
        limit
            All are returned, whatever it is.

        Returns
        -------
        In no promised order.

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
            for path, feature in folder.find(asked):
                found.setdefault(feature["id"], folder.item(path, feature))
        return found.values()

    def covers(self, collection: str, bbox: BBox, date_range: str, tile: str | None = None) -> bool:
        """Return whether the archive holds any scene of that place and time.

        Parameters are those of `Source.search`.

        Returns
        -------
        Whether it does.
        """
        return bool(self._features(Request(collection, bbox, date_range, tile=tile)))

    def holds(self, request: Request) -> bool:
        """Return whether the archive holds a scene that is clear enough and has the assets.

        Parameters
        ----------
        request
            The question, with the assets that are needed.

        Returns
        -------
        Whether it does.
        """
        return any(set(request.assets) <= set(item["assets"]) for item in self._features(request))

    def describe(self) -> str:
        """Return one line: the folders and how many scenes they hold.

        Returns
        -------
        Text without a line break.
        """
        present = self.present
        if not present:
            return self._absence()
        places = ", ".join(str(folder.root) for folder in present)
        held = sum((folder.collections for folder in present), Counter[str]())
        counts = ", ".join(f"{count} x {name}" for name, count in sorted(held.items()))
        return f"{places}: {counts or 'no items yet'}"

    def why_not(self, request: Request) -> str:
        """Return why the archive can't answer `request`.

        Parameters
        ----------
        request
            The question.

        Returns
        -------
        Half a sentence.
        """
        if not self.present:
            return self._absence()
        found = self._features(Request(**request.query()))
        if not found:
            return f"holds no such scene ({self.describe()})"
        missing = set(request.assets) - {key for feature in found for key in feature["assets"]}
        if missing:
            return f"holds {len(found)} such scenes, none with {', '.join(sorted(missing))}"
        clearest = min(cloud_cover(feature["properties"]) or 0.0 for feature in found)
        return f"holds {len(found)} such scenes, the clearest with {clearest:g} % cloud"

    def fix(self, request: Request) -> str:
        """Return the command that would put what is asked into the archive.

        Parameters
        ----------
        request
            The question.

        Returns
        -------
        A line for the shell.
        """
        west, south, east, north = request.bbox
        return (
            f"geostack archive fetch --bbox={west:g},{south:g},{east:g},{north:g} "
            f"--dates={request.date_range} --collection={request.collection}"
        )

    def _features(self, asked: Request) -> list[dict[str, Any]]:
        return [feature for folder in self.present for _, feature in folder.find(asked)]

    def _absence(self) -> str:
        if not self.folders:
            return "no archive folder is set"
        return f"no folder {', '.join(str(folder) for folder in self.folders)}"


_FETCH = "geostack archive fetch AREA, or set GEOSTACK_ARCHIVE to a folder of STAC items"


class StacFolder:
    """The items under one root, read once.

    Parameters
    ----------
    root
        The folder that holds the collections.

    Notes
    -----
    An item that can't be read is left out, named in the log once, and listed in `skipped`.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.skipped: dict[Path, str] = {}
        self.features: list[tuple[Path, dict[str, Any]]] = []
        self._items: dict[Path, Item] = {}
        for path in sorted(self.root.glob("*/*/*.json")):
            if path.stem == path.parent.name:
                self._read(path)

    @property
    def collections(self) -> Counter[str]:
        """Number of items by collection."""
        return Counter(feature["collection"] for _, feature in self.features)

    def find(self, asked: Request) -> list[tuple[Path, dict[str, Any]]]:
        """Return (path, STAC feature) of what fits, in no promised order.

        Parameters
        ----------
        asked
            The question, already checked.

        Returns
        -------
        Pairs of the item's file and the item as a dictionary.
        """
        return [pair for pair in self.features if fits(pair[1], asked)]

    def item(self, path: Path, feature: dict[str, Any]) -> Item:
        """Return the item of one file with absolute hrefs.

        Parameters
        ----------
        path
            Of the item's file.
        feature
            What it holds.

        Returns
        -------
        A copy, which may be changed.
        """
        if path not in self._items:
            self._items[path] = as_item(path, feature)
        return self._items[path].clone()

    def _read(self, path: Path) -> None:
        try:
            feature = json.loads(path.read_text("utf-8"))
            _check(feature)
            feature["collection"] = str(feature.get("collection") or path.parent.parent.name)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self.skipped[path] = f"{type(error).__name__}: {error}"
            logger.warning("left out %s, which is no readable STAC item (%s)", path, error)
            return
        self.features.append((path, feature))


def read_folder(root: Path) -> StacFolder:
    """Return the index of `root`, read anew only when an item was added, changed or removed.

    Parameters
    ----------
    root
        The folder that holds the collections.

    Returns
    -------
    The index, shared by whoever asks for it.
    """
    root = Path(root).expanduser().absolute()
    stamp = _stamp(root)
    known = _INDEXES.get(root)
    if known is None or known[0] != stamp:
        _INDEXES[root] = known = (stamp, StacFolder(root))
    return known[1]


def _stamp(root: Path) -> dict[str, int]:
    """When each item's own file was written: adding files to an item changes nothing above it."""
    stamp = {}
    for item in iglob(f"{escape(str(root))}/*/*"):
        with suppress(OSError):
            stamp[item] = os.stat(f"{item}/{os.path.basename(item)}.json").st_mtime_ns
    return stamp


def _check(feature: dict[str, Any]) -> None:
    """Raise where a feature lacks what reading it takes."""
    if feature["type"] != "Feature" or not feature["id"]:
        raise ValueError("no feature with an id")
    for asset in feature["assets"].values():
        if not isinstance(asset["href"], str):
            raise ValueError("an asset without an address")
    acquired(feature["properties"])
    cloud_cover(feature["properties"])


def as_item(path: Path, feature: dict[str, Any]) -> Item:
    """Return a STAC feature as the item of a file, with absolute hrefs.

    Parameters
    ----------
    path
        Of the item's file, which relative hrefs start from.
    feature
        A STAC item as a dictionary, which stays as it is.

    Returns
    -------
    An item of pystac.
    """
    from pystac import Item

    item = Item.from_dict(feature, preserve_dict=True)
    for asset in item.assets.values():
        if "://" not in asset.href and not asset.href.startswith("/"):
            asset.href = str((path.parent / asset.href).resolve())
    item.set_self_href(str(path))
    return item
