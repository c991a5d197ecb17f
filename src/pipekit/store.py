"""Where remembered results are kept: in memory, or as files that others may share or remove."""

from __future__ import annotations

import logging
import os
import pickle
from collections import OrderedDict
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from pipekit.carrier import dumps
from pipekit.files import beside

logger = logging.getLogger(__name__)

MISSING: Any = object()

_MAGIC = b"pipekit1"
_DIGEST_BYTES = 32
_SUFFIX = ".cached"


class MemoryStore:
    """Keeps values in memory.

    Parameters
    ----------
    maxsize
        The most values kept, or None for all.

    Examples
    --------
    >>> store = MemoryStore(maxsize=1)
    >>> store.put("a", 1); store.put("b", 2)
    >>> store.get("a") is MISSING, store.get("b")
    (True, 2)
    """

    def __init__(self, maxsize: int | None) -> None:
        self.maxsize = maxsize
        self._values: OrderedDict[str, Any] = OrderedDict()

    def get(self, key: str) -> Any:
        """Return the value of a key, or MISSING.

        Parameters
        ----------
        key
            Text.

        Returns
        -------
        object
            The value, or MISSING.
        """
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key, MISSING)

    def put(self, key: str, value: Any) -> None:
        """Keep a value, dropping the oldest beyond `maxsize`.

        Parameters
        ----------
        key
            Text.
        value
            Any object; it is kept itself, not a copy.
        """
        self._values[key] = value
        while self.maxsize is not None and len(self._values) > self.maxsize:
            self._values.popitem(last=False)

    def clear(self) -> None:
        """Drop all values."""
        self._values.clear()


class FolderStore:
    """Keeps values as files: a mark, the SHA-256 of the rest, and a pickle.

    A file is written beside its place and renamed, so it is there whole or not at all; one that
    does not match its SHA-256 counts as missing. So does what another process has removed and
    what another user keeps to himself; where nothing can be written, nothing is kept. Files can be
    read by whoever may read the folder.

    Parameters
    ----------
    folder
        Made when the first value is kept.
    maxsize
        The most files kept, or None for all.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     FolderStore(folder, maxsize=None).put("a", [1, 2])
    ...     FolderStore(folder, maxsize=None).get("a")
    [1, 2]
    """

    def __init__(self, folder: str | Path, maxsize: int | None) -> None:
        self.folder = Path(folder)
        self.maxsize = maxsize

    def get(self, key: str) -> Any:
        """Return the value of a key, or MISSING when its file is absent, damaged or not readable.

        Parameters
        ----------
        key
            Text that can be part of a file's name.

        Returns
        -------
        object
            The value, or MISSING.
        """
        path = self._path(key)
        try:
            raw = path.read_bytes()
        except OSError:
            return MISSING
        head = len(_MAGIC) + _DIGEST_BYTES
        payload = memoryview(raw)[head:]
        if raw[:head] != _MAGIC + sha256(payload).digest():
            return MISSING
        with suppress(OSError):  # another process removed it, or it is another user's
            os.utime(path)
        try:
            return pickle.loads(payload)
        except Exception:  # the file is whole, but a class in it has moved or changed since
            return MISSING

    def put(self, key: str, value: Any) -> None:
        """Keep a value if the folder can be written, dropping what is unused beyond `maxsize`.

        Parameters
        ----------
        key
            Text that can be part of a file's name.
        value
            What pickles.
        """
        payload = dumps(value)
        try:
            self._write(self._path(key), payload)
        except OSError as error:
            logger.warning("a result is not remembered in %s: %s", self.folder, error)
        if self.maxsize is not None:
            self._keep(self.maxsize)

    def _write(self, path: Path, payload: bytes) -> None:
        """Write a file that the folder's readers can read, whatever the umask of this process."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with beside(path) as unfinished:
            with unfinished.open("wb") as file:
                file.write(_MAGIC + sha256(payload).digest())
                file.write(payload)
            with suppress(OSError):  # a disk without modes
                unfinished.chmod(0o600 | self.folder.stat().st_mode & 0o044)

    def clear(self) -> None:
        """Remove this store's files, as far as they are ours to remove."""
        self._keep(0)

    def _keep(self, most: int) -> None:
        """Remove the files unused for longest beyond so many."""
        files = sorted(self.folder.glob(f"[!.]*{_SUFFIX}"), key=_last_used)
        for path in files[: max(0, len(files) - most)]:
            with suppress(OSError):
                path.unlink()

    def _path(self, key: str) -> Path:
        """Return the file of a key."""
        return self.folder / f"{key}{_SUFFIX}"


def _last_used(path: Path) -> int:
    """Return when a file was last used, in nanoseconds."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0  # another process removed it
