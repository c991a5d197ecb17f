"""The archive: folders of STAC items and COGs named by `GEOSTACK_ARCHIVE`, here or on a store.

Each holds `COLLECTION/ITEM_ID/ITEM_ID.json` beside the item's files.
"""

from __future__ import annotations

import json
import logging
import os
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from glob import escape, iglob
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from geocatalog.read.service import ready_pystac
from geostack.errors import NoSceneError, SourceUnavailableError
from geostack.items import acquired, cloud_cover
from geostack.request import BBox, Request
from geostack.sources.source import Source, fits
from pipekit.places import Place, PlaceError, store_of

if TYPE_CHECKING:
    from pystac import Item

T = TypeVar("T")
Folder = str | os.PathLike[str]

logger = logging.getLogger(__name__)

_INDEXES: dict[Path | Place, tuple[dict[str, int], StacFolder]] = {}


def archive_roots() -> list[Path | Place]:
    """Return where the archive is: the path list `GEOSTACK_ARCHIVE`, else the user's own folder.

    Returns
    -------
    Absolute paths, whether or not they are there, and places on object stores.

    Examples
    --------
    >>> import os; from unittest import mock
    >>> both = os.pathsep.join(["/a", "s3://bucket/archive"])
    >>> with mock.patch.dict(os.environ, GEOSTACK_ARCHIVE=both):
    ...     [root.name for root in archive_roots()]
    ['a', 'archive']
    """
    chosen = os.environ.get("GEOSTACK_ARCHIVE")
    parts = [part for part in _BETWEEN.split(chosen or "") if part.strip()]
    if parts:
        return [_root(part) for part in parts]
    import platformdirs

    return [Path(platformdirs.user_data_dir("geostack", appauthor=False)).absolute() / "archive"]


def _root(folder: Folder) -> Path | Place:
    return store_of(folder) or Path(folder).expanduser().absolute()


_BETWEEN = re.compile(re.escape(os.pathsep) + "(?!//)")
"""What parts a path list: the colon of a URL does not."""


def archive_folders() -> list[Path]:
    """Return the archive's folders on this machine, which can be written.

    Returns
    -------
    Absolute paths, whether or not they are there; none where the archive is on a store.
    """
    return [root for root in archive_roots() if isinstance(root, Path)]


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
    """STAC items and files on this machine, or on an object store.

    Parameters
    ----------
    folders
        Where to look, a folder or several, earlier ones first; by default `archive_roots()`.

    Examples
    --------
    >>> ArchiveSource([]).covers("sentinel-2-l2a", (0, 0, 1, 1), "2024")
    False
    """

    name = "archive"

    def __init__(self, folders: Folder | Sequence[Folder] | None = None) -> None:
        given = [folders] if isinstance(folders, str | os.PathLike) else folders
        self.folders = archive_roots() if given is None else [_root(each) for each in given]

    @property
    def present(self) -> list[StacFolder]:
        """The folders that exist, indexed."""
        try:
            roots = [root for root in self.folders if not isinstance(root, Path) or root.is_dir()]
            found = [read_folder(root) for root in roots]
        except PlaceError as error:
            raise SourceUnavailableError(f"the archive can't be searched: {error}") from error
        return [folder for folder in found if folder.features or isinstance(folder.root, Path)]

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
                item = folder.item(path, feature)
                if item is not None:
                    found.setdefault(item.id, item)
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

    def __init__(self, root: Path | Place) -> None:
        self.root = root
        self.skipped: dict[Path | Place, str] = {}
        self.features: list[tuple[Path | Place, dict[str, Any]]] = []
        self._items: dict[Path | Place, Item] = {}
        paths = _item_files(root)
        with ThreadPoolExecutor(READERS) as pool:
            reads = [path.read_bytes if isinstance(path, Path) else path.read for path in paths]
            texts = [pool.submit(read) for read in reads]
            for path, text in zip(paths, texts, strict=True):
                feature = self._told(path, _feature, path, text.result)
                if feature is not None:
                    self.features.append((path, feature))

    @property
    def collections(self) -> Counter[str]:
        """Number of items by collection."""
        return Counter(feature["collection"] for _, feature in self.features)

    def find(self, asked: Request) -> list[tuple[Path | Place, dict[str, Any]]]:
        """Return (path, STAC feature) of what fits, in no promised order.

        Parameters
        ----------
        asked
            The question, already checked.

        Returns
        -------
        Pairs of the item's file and the item as a dictionary.
        """
        return [pair for pair in self.features if self._told(pair[0], fits, pair[1], asked)]

    def item(self, path: Path | Place, feature: dict[str, Any]) -> Item | None:
        """Return the item of one file with absolute hrefs.

        Parameters
        ----------
        path
            Of the item's file.
        feature
            What it holds.

        Returns
        -------
        A copy, which may be changed; None for one that can't be read.
        """
        if path not in self._items:
            item = self._told(path, as_item, path, feature)
            if item is None:
                return None
            self._items[path] = item
        return self._items[path].clone()

    def _told(self, path: Path | Place, read: Callable[..., T], *given: Any) -> T | None:
        """Return what an item says, or leave it out: one that is malformed hides no others."""
        try:
            return read(*given)
        except PlaceError:
            raise
        except Exception as error:  # each field fails in its own way
            if path not in self.skipped:
                logger.warning("left out %s, which is no readable STAC item (%s)", path, error)
            self.skipped[path] = f"{type(error).__name__}: {error}"
            return None


READERS = 16
"""Items that are read at once: those of a store are far away."""


def _item_files(root: Path | Place) -> list[Path | Place]:
    """Return the items' own files below a root, in the order of their names."""
    if isinstance(root, Path):
        return [path for path in sorted(root.glob("*/*/*.json")) if path.stem == path.parent.name]
    own = re.compile(r"/?[^/]+/([^/]+)/\1\.json")
    found = (each for each in root.below() if own.fullmatch(each.key.removeprefix(root.key)))
    return sorted(found, key=str)


def read_folder(root: Path | Place) -> StacFolder:
    """Return the index of `root`, read anew only when an item was added, changed or removed.

    Parameters
    ----------
    root
        The folder that holds the collections. On a store, an item that has changed under its old
        name is not noticed.

    Returns
    -------
    The index, shared by whoever asks for it.
    """
    root = _root(root)
    stamp = _stamp(root)
    known = _INDEXES.get(root)
    if known is None or known[0] != stamp:
        _INDEXES[root] = known = (stamp, StacFolder(root))
    return known[1]


def _stamp(root: Path | Place) -> dict[str, int]:
    """When each item's own file was written: adding files to an item changes nothing above it."""
    if not isinstance(root, Path):
        return {str(place): 0 for place in _item_files(root)}
    stamp = {}
    for item in iglob(f"{escape(str(root))}/*/*"):
        with suppress(OSError):
            stamp[item] = os.stat(f"{item}/{os.path.basename(item)}.json").st_mtime_ns
    return stamp


def _feature(path: Path | Place, text: Callable[[], bytes]) -> dict[str, Any]:
    """Return what an item's file holds, with its collection; raise where reading it takes more."""
    feature: dict[str, Any] = json.loads(text())
    if feature["type"] != "Feature" or not (feature["id"] and isinstance(feature["id"], str)):
        raise ValueError("no feature with an id")
    for asset in feature["assets"].values():
        if not isinstance(asset["href"], str):
            raise ValueError("an asset without an address")
    acquired(feature["properties"])
    cloud_cover(feature["properties"])
    collection = os.fspath(path).replace(os.sep, "/").split("/")[-3]
    feature["collection"] = str(feature.get("collection") or collection)
    return feature


def as_item(path: Path | Place, feature: dict[str, Any]) -> Item:
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

    ready_pystac()
    item = Item.from_dict(feature, preserve_dict=True)
    for asset in item.assets.values():
        if "://" not in asset.href and not asset.href.startswith("/"):
            asset.href = _beside(path, asset.href)
    item.set_self_href(str(path))
    return item


def _beside(path: Path | Place, href: str) -> str:
    """Return the absolute address that one relative to an item's file stands for."""
    if isinstance(path, Path):
        return str((path.parent / href).resolve())
    return str(replace(path, key=posixpath.normpath(f"{posixpath.dirname(path.key)}/{href}")))
