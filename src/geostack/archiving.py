"""Fill, check and list a local archive of STAC items and their files."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocatalog.read.open import with_dataset
from geopatcher.files.cog import ends_within
from geostack.errors import PixelReadError
from geostack.items import acquired
from geostack.read import in_parallel
from geostack.request import Request
from geostack.sources import Source
from geostack.sources.archive import StacFolder, archive_folders
from geostack.stac import find_items
from geostack.transfer import Copied, copy_file, multihash
from pipekit.files import beside, locked

if TYPE_CHECKING:
    from pystac import Item

logger = logging.getLogger(__name__)

FILE_EXTENSION = "https://stac-extensions.github.io/file/v2.1.0/schema.json"


@dataclass
class Fetched:
    """What one fetch did.

    Parameters
    ----------
    folder
        The archive's root.
    items
        Ids of the scenes that are in place.
    transferred
        Bytes that came over the network.
    missing
        Assets that scenes lack, as `id: key`.

    Examples
    --------
    >>> Fetched(Path("archive")).transferred
    0
    """

    folder: Path
    items: list[str] = field(default_factory=list)
    transferred: int = 0
    missing: list[str] = field(default_factory=list)


def fetch(
    request: Request,
    assets: Sequence[str],
    *,
    folder: Path | None = None,
    limit: int | None = 1,
    source: str | Source = "planetary-computer",
    progress: bool = True,
) -> Fetched:
    """Copy the clearest scenes that fit into an archive folder.

    What is there and whole is not copied again; what broke off goes on where it stopped; an item
    appears when all its files are in place. Two processes may fetch the same.

    Parameters
    ----------
    request
        Which scenes.
    assets
        Which files of each; one that a scene lacks is listed as missing.
    folder
        The archive's root; by default the first of `archive_folders()`.
    limit
        At most so many scenes.
    source
        Where they come from.
    progress
        Show a bar on a terminal.

    Returns
    -------
    Fetched

    Raises
    ------
    NoSceneError, SourceUnavailableError, PixelReadError
        When nothing fits, no service answers, or a file can't be had whole.
    """
    from tqdm import tqdm

    root = folder or next(iter(archive_folders()), None)
    if root is None:
        raise ValueError(
            "GEOSTACK_ARCHIVE names places on a store, which are read only; pass folder="
        )
    chosen, items = find_items(request, limit=limit, source=source)
    result = Fetched(root)
    # disable=None shows the bar only when standard error is a terminal.
    with tqdm(unit="B", unit_scale=True, disable=not progress or None, dynamic_ncols=True) as bar:
        for item in items:
            bar.set_description(item.id[:40])
            _fetch_item(item, request.collection, assets, chosen, result, bar.update)
    return result


@dataclass(frozen=True)
class Problem:
    """Something wrong in an archive.

    Parameters
    ----------
    path
        Of the file.
    what
        What is wrong with it.

    Examples
    --------
    >>> print(Problem(Path("B04.tif"), "missing"))
    B04.tif: missing
    """

    path: Path
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def check(folder: Path) -> list[Problem]:
    """Return what is wrong with an archive: unreadable items, missing, damaged or unopenable files.

    Sizes and checksums are compared where the items record them, as those of `fetch` do.

    Parameters
    ----------
    folder
        The archive's root.

    Returns
    -------
    list of Problem
        Empty when all is well.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     check(Path(folder))
    []
    """
    index = StacFolder(folder)
    problems = [Problem(Path(path), what) for path, what in index.skipped.items()]
    files = [
        (Path(path).parent / asset["href"], asset)
        for path, feature in index.features
        for asset in feature["assets"].values()
        if "://" not in asset["href"]
    ]
    for found in in_parallel(lambda pair: _check_file(*pair), files):
        problems.extend(found)
    return problems


@dataclass(frozen=True)
class Holding:
    """What an archive holds of one collection.

    Parameters
    ----------
    folder
        The archive's root.
    collection
        Its id.
    items
        How many scenes.
    first, last
        Dates, YYYY-MM-DD.
    size
        Bytes.

    Examples
    --------
    >>> Holding(Path("archive"), "naip", 2, "2020-06-01", "2022-06-01", 10_000).items
    2
    """

    folder: Path
    collection: str
    items: int
    first: str
    last: str
    size: int
    """Bytes."""


def holdings(folders: Sequence[Path] | None = None) -> list[Holding]:
    """Return what archives hold, by folder and collection.

    Parameters
    ----------
    folders
        Roots of archives; by default those of GEOSTACK_ARCHIVE.

    Returns
    -------
    list of Holding

    Examples
    --------
    >>> holdings([])
    []
    """
    found = []
    for folder in archive_folders() if folders is None else folders:
        index = StacFolder(folder)
        for collection in sorted(index.collections):
            entries = [pair for pair in index.features if pair[1]["collection"] == collection]
            dates = sorted(str(acquired(item["properties"]).date()) for _, item in entries)
            size = sum(
                file.stat().st_size
                for path, _ in entries
                for file in Path(path).parent.iterdir()
                if file.is_file()
            )
            found.append(Holding(folder, collection, len(entries), dates[0], dates[-1], size))
    return found


def _fetch_item(
    item: Item,
    collection: str,
    assets: Sequence[str],
    source: Source,
    result: Fetched,
    on_bytes: Any,
) -> None:
    if Path(item.id).name != item.id or item.id in ("", ".."):
        raise ValueError(f"the id of a scene names its folder, and {item.id!r} cannot")
    home = result.folder / collection / item.id
    path = home / f"{item.id}.json"
    known = _recorded(path)
    keys = [key for key in assets if key in item.assets]
    result.missing.extend(f"{item.id}: {key}" for key in assets if key not in item.assets)
    if not keys:
        return
    home.mkdir(parents=True, exist_ok=True)
    names = _file_names(item, known)

    def copy(key: str) -> Copied:
        href, path = item.assets[key].href, home / names[key]
        checksum = {**item.assets[key].extra_fields, **known.get(key, {})}.get("file:checksum")
        return copy_file(href, path, source, checksum=checksum, on_bytes=on_bytes)

    copies = dict(zip(keys, in_parallel(copy, keys), strict=True))
    result.transferred += sum(copied.transferred for copied in copies.values())
    with locked(home / f".{item.id}.lock"):
        # Read again: another process may have added other files meanwhile.
        feature = _local_feature(item, collection, copies, _recorded(path))
        with beside(path) as unfinished:
            unfinished.write_text(json.dumps(feature, indent=1) + "\n", "utf-8")
    result.items.append(item.id)


def _file_names(item: Item, known: dict[str, Any]) -> dict[str, str]:
    """Return a file name for each asset of an item, no two alike in whatever case.

    What an earlier fetch has recorded stays. A name that another asset has, or the item itself,
    begins with the asset's key.
    """
    names = {key: asset["href"].rsplit("/", 1)[-1] for key, asset in known.items()}
    taken = {name.casefold() for name in (*names.values(), f"{item.id}.json")}
    for key in (key for key in item.assets if key not in names):
        name = item.assets[key].href.split("?", 1)[0].rstrip("/").rsplit("/", 1)[-1]
        if name.startswith(".") or name.casefold() in taken:
            name = re.sub(r"[^\w.-]+", "_", key).lstrip(".") + "-" + name.lstrip(".")
        while name.casefold() in taken:
            name = f"_{name}"
        names[key] = name
        taken.add(name.casefold())
    return names


def _recorded(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text("utf-8"))["assets"])
    except (ValueError, LookupError, TypeError, RecursionError):  # damaged: it is written anew
        return {}


def _local_feature(
    item: Item, collection: str, copies: dict[str, Copied], known: dict[str, Any]
) -> dict[str, Any]:
    feature = item.to_dict(include_self_link=False, transform_hrefs=False)
    assets = dict(known)
    for key, copied in copies.items():
        assets[key] = {
            **feature["assets"][key],
            "href": f"./{copied.path.name}",
            "file:size": copied.size,
            "file:checksum": copied.checksum,
        }
    extensions = set(feature.get("stac_extensions", [])) | {FILE_EXTENSION}
    properties = {k: v for k, v in feature["properties"].items() if k != "msft:expiry"}
    return {
        **feature,
        "collection": collection,
        "properties": properties,
        "stac_extensions": sorted(extensions),
        # The service's own links would be dead ends without the network.
        "links": [],
        "assets": assets,
    }


def _check_file(path: Path, asset: dict[str, Any]) -> list[Problem]:
    if not os.path.isfile(path):  # nor can it be, by a name that no file has
        return [Problem(path, "missing")]
    size, expected = path.stat().st_size, asset.get("file:size")
    if expected is not None and size != expected:
        return [Problem(path, f"{size} bytes, expected {expected}")]
    checksum = asset.get("file:checksum")
    if checksum is not None and multihash(path) != checksum:
        return [Problem(path, "its checksum differs: the file is damaged")]
    if path.suffix.lower() in (".tif", ".tiff"):
        try:
            with_dataset(str(path), _read_last_block, what="it")
        except PixelReadError as error:
            return [Problem(path, f"can't be read: {error}")]
        if not ends_within(path):
            return [Problem(path, "it is cut short: pixels lie beyond its end")]
    return []


def _read_last_block(dataset: Any) -> None:
    """Read the block that lies at a truncated file's end."""
    dataset.read(1, window=list(dataset.block_windows(1))[-1][1])
