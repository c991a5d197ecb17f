"""Where a cache keeps its results: in memory, or as files."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections import OrderedDict
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from pipekit.pickling import dumps

MISSING: Any = object()

_MAGIC = b"pipekit1"
_DIGEST_BYTES = 32
_SUFFIX = ".cached"


class Store(Protocol):
    """Keeps values by key, and drops the one unused for longest beyond its size."""

    def get(self, key: str) -> Any:
        """Return the value of a key, or MISSING."""

    def put(self, key: str, value: Any) -> None:
        """Keep a value."""

    def clear(self) -> None:
        """Drop all values."""


class MemoryStore:
    """Keeps values in memory.

    >>> store = MemoryStore(maxsize=1)
    >>> store.put("a", 1); store.put("b", 2)
    >>> store.get("a") is MISSING, store.get("b")
    (True, 2)
    """

    def __init__(self, maxsize: int | None) -> None:
        self.maxsize = maxsize
        self._values: OrderedDict[str, Any] = OrderedDict()

    def get(self, key: str) -> Any:
        """Return the value of a key, or MISSING."""
        if key not in self._values:
            return MISSING
        self._values.move_to_end(key)
        return self._values[key]

    def put(self, key: str, value: Any) -> None:
        """Keep a value, dropping the oldest beyond `maxsize`."""
        self._values[key] = value
        self._values.move_to_end(key)
        while self.maxsize is not None and len(self._values) > self.maxsize:
            self._values.popitem(last=False)

    def clear(self) -> None:
        """Drop all values."""
        self._values.clear()


class FolderStore:
    """Keeps values as files: a mark, the SHA-256 of the rest, and a pickle.

    A file is written beside its place and renamed, so it is there whole or not at all; one that
    does not match its SHA-256 counts as missing.

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
        """Return the value of a key, or MISSING when its file is absent or damaged."""
        path = self._path(key)
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return MISSING
        head = len(_MAGIC) + _DIGEST_BYTES
        payload = memoryview(raw)[head:]
        if raw[:head] != _MAGIC + sha256(payload).digest():
            return MISSING
        os.utime(path)
        try:
            return pickle.loads(payload)
        except (AttributeError, ImportError):
            return MISSING  # the file is whole, but a class in it has moved since

    def put(self, key: str, value: Any) -> None:
        """Keep a value, dropping the files unused for longest beyond `maxsize`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        payload = dumps(value)
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=".writing-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + sha256(payload).digest())
                file.write(payload)
            os.replace(name, self._path(key))
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        self._evict()

    def _evict(self) -> None:
        if self.maxsize is None:
            return
        files = sorted(self.folder.glob(f"*{_SUFFIX}"), key=_last_used)
        for path in files[: max(0, len(files) - self.maxsize)]:
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove this store's files."""
        for path in self.folder.glob(f"*{_SUFFIX}"):
            path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"


def _last_used(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0  # another process removed it
