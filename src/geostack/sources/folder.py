"""A folder of STAC items: `COLLECTION/ITEM_ID/ITEM_ID.json` beside the item's files."""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geostack.items import acquired, cloud_cover
from geostack.request import BBox, nearest_first
from geostack.sources.protocol import Query

if TYPE_CHECKING:
    from pystac import Item

logger = logging.getLogger(__name__)

_INDEXES: dict[Path, tuple[dict[str, int], StacFolder]] = {}


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
        self._features: list[tuple[Path, dict[str, Any]]] = []
        self._items: dict[Path, Item] = {}
        for path in sorted(self.root.glob("*/*/*.json")):
            if path.stem == path.parent.name:
                self._read(path)

    def __len__(self) -> int:
        return len(self._features)

    @property
    def collections(self) -> dict[str, int]:
        """Number of items by collection."""
        counts: dict[str, int] = {}
        for _, feature in self._features:
            name = feature["collection"]
            counts[name] = counts.get(name, 0) + 1
        return counts

    @property
    def paths(self) -> list[Path]:
        """The items' own files, sorted."""
        return [path for path, _ in self._features]

    def find(
        self,
        collection: str,
        bbox: BBox | None = None,
        date_range: str = "../..",
        tile: str | None = None,
        max_cloud_cover: float | None = None,
    ) -> list[tuple[Path, dict[str, Any]]]:
        """Return (path, STAC feature) of what fits, in no promised order."""
        asked = Query(collection, bbox, date_range, tile, max_cloud_cover)
        return [pair for pair in self._features if asked.fits(pair[1])]

    def dates_near(
        self, collection: str, bbox: BBox, date_range: str, tile: str | None = None
    ) -> list[datetime]:
        """Return when there are scenes of that place, the nearest to `date_range` first."""
        found = self.find(collection, bbox, tile=tile)
        return nearest_first((acquired(item["properties"]) for _, item in found), date_range)

    def item(self, path: Path, feature: dict[str, Any]) -> Item:
        """Return the item of one file with absolute hrefs."""
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
        self._features.append((path, feature))


def read_folder(root: Path) -> StacFolder:
    """Return the index of `root`, read anew only when an item was added, changed or removed."""
    root = Path(root).expanduser().absolute()
    stamp = _stamp(root)
    known = _INDEXES.get(root)
    if known is None or known[0] != stamp:
        _INDEXES[root] = known = (stamp, StacFolder(root))
    return known[1]


def _stamp(root: Path) -> dict[str, int]:
    """When each item's own file was written: adding files to an item changes nothing above it."""
    stamp = {}
    for collection in _folders(root):
        for item in _folders(collection):
            with suppress(OSError):
                stamp[item] = os.stat(f"{item}/{os.path.basename(item)}.json").st_mtime_ns
    return stamp


def _folders(parent: Path | str) -> list[str]:
    try:
        with os.scandir(parent) as entries:
            return [entry.path for entry in entries if entry.is_dir()]
    except OSError:
        return []


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
    """Return a STAC feature as the item of a file, with absolute hrefs."""
    from pystac import Item

    item = Item.from_dict(feature, preserve_dict=True)
    for asset in item.assets.values():
        if "://" not in asset.href and not asset.href.startswith("/"):
            asset.href = str((path.parent / asset.href).resolve())
    item.set_self_href(str(path))
    return item
