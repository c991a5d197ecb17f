"""The cache folder: where it is, what it holds, how to empty it."""

from __future__ import annotations

import getpass
import logging
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return the cache folder: `GEOSTACK_CACHE`, else the user's cache folder for geostack.

    It may not exist yet, and it may be read-only: what is in it can still be used.

    Returns
    -------
    An absolute path.

    Examples
    --------
    >>> cache_folder().is_absolute()
    True
    """
    chosen = os.environ.get("GEOSTACK_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("geostack", appauthor=False)).absolute()


def writable_cache_folder() -> Path:
    """Return a cache folder that can be written: `cache_folder()`, else one under the temp folder.

    Returns
    -------
    A folder that exists.

    Raises
    ------
    OSError
        When neither can be written; the message names both and the variable that chooses another.
    """
    wanted = cache_folder()
    if is_writable(wanted):
        return wanted
    fallback = fallback_folder()
    if is_ours(fallback) and is_writable(fallback) and is_ours(fallback):
        message = "the cache folder %s can't be written; using %s (set GEOSTACK_CACHE to choose)"
        logger.warning(message, wanted, fallback)
        return fallback
    raise OSError(
        f"neither {wanted} nor {fallback} can be written; set GEOSTACK_CACHE to a folder that can"
    )


def fallback_folder() -> Path:
    """Return the folder used when the cache folder can't be written; one per user.

    Returns
    -------
    A folder below the system's temporary one.
    """
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "user"
    return Path(tempfile.gettempdir()) / f"geostack-{user}"


def is_ours(folder: Path) -> bool:
    """Return whether a folder is this user's, or is not there yet.

    The temporary folder is shared: whoever made a folder in it first can put other files there.

    Parameters
    ----------
    folder
        In a folder that every user can write.

    Returns
    -------
    True where the system has no owners of files; never for a link.
    """
    try:
        # A link leads to wherever whoever made it wants.
        ours = not hasattr(os, "getuid") or folder.lstat().st_uid == os.getuid()
        return ours and not folder.is_symlink()
    except (FileNotFoundError, NotADirectoryError):
        return True


def is_writable(folder: Path) -> bool:
    """Return whether a file can be made in `folder`, which is created if need be.

    Asked by doing it: permission bits say nothing about a read-only file system.

    Parameters
    ----------
    folder
        Made if it isn't there.

    Returns
    -------
    False where making it or the file fails.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@dataclass(frozen=True)
class CacheEntry:
    """One part of the cache: a folder two levels down, its size, its files, its last use."""

    path: Path
    size: int
    """Bytes on disk: sparse files count for what they hold."""
    files: int
    last_used: float
    """Seconds since 1970."""


def cache_entries(folder: Path | None = None) -> list[CacheEntry]:
    """Return what the cache holds, the least recently used first.

    Parameters
    ----------
    folder
        By default `cache_folder()`.

    Returns
    -------
    One entry for each folder two levels down; empty ones are left out.
    """
    entries = [
        _measure(part)
        for kind in _shown(folder or cache_folder())
        for part in (_shown(kind) if kind.is_dir() else [kind])
    ]
    return sorted((entry for entry in entries if entry.files), key=lambda entry: entry.last_used)


def clear_cache() -> list[CacheEntry]:
    """Remove all parts of the cache, the least recently used first; return those.

    What another user owns, and may not be removed, stays and is named in the log.

    Returns
    -------
    The entries that were removed.
    """
    removed = []
    for entry in cache_entries():
        try:
            _remove(entry.path)
            removed.append(entry)
        except FileNotFoundError:
            pass  # another process was faster
        except OSError as error:
            logger.warning("%s can't be removed (%s)", entry.path, error)
    return removed


def _shown(folder: Path) -> list[Path]:
    """Return what a folder holds that isn't hidden; nothing where it is gone or can't be read."""
    try:
        return [folder / name for name in os.listdir(folder) if not name.startswith(".")]
    except OSError:
        return []


def _measure(path: Path) -> CacheEntry:
    # os.walk passes over folders that another process removes meanwhile.
    inside = (Path(top, name) for top, _, names in os.walk(path) for name in names)
    stats = []
    for file in [path] if path.is_file() else inside:
        with suppress(OSError):
            stats.append(file.stat())
    size = sum(getattr(stat, "st_blocks", 0) * 512 or stat.st_size for stat in stats)
    used = max((max(stat.st_atime, stat.st_mtime) for stat in stats), default=0.0)
    return CacheEntry(path, size, len(stats), used)


def _remove(path: Path) -> None:
    if path.is_file():
        path.unlink()
        return
    # Renamed first, so that another process never finds half a folder.
    doomed = path.with_name(f".removing-{path.name}-{os.getpid()}")
    path.rename(doomed)
    try:
        shutil.rmtree(doomed)
    except OSError:
        doomed.rename(path)
        raise
