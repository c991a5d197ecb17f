"""Copy a remote file: resumed where it broke off, checked, and in place only when it is whole."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocatalog.read.tokens import guard_logs, without_query
from geostack.errors import PixelReadError
from geostack.web import SignedUrl
from pipekit.files import locked
from pipekit.retry import GaveUpError, TransientError, retry

if TYPE_CHECKING:
    from geostack.sources import Source

_PIECE = 1 << 20
_TIMEOUT = (10.0, 60.0)

SLOWEST = 1000
"""Bytes a second: what is slower for `PATIENCE` seconds is a broken connection."""
PATIENCE = 15.0

SHA256_PREFIX = "1220"
"""Multihash prefix of a 32-byte SHA-256, as STAC's file extension writes checksums."""


@dataclass(frozen=True)
class Copied:
    """A file that has arrived: where, how large, its multihash, and bytes sent this time."""

    path: Path
    size: int
    checksum: str
    transferred: int


def copy_file(
    href: str,
    path: Path,
    source: Source,
    *,
    checksum: str | None = None,
    on_bytes: Callable[[int], object] = lambda _: None,
) -> Copied:
    """Copy `href` to `path` unless it is there and whole; safe in two processes at once.

    Parameters
    ----------
    href
        Unsigned address, or a path on this machine.
    checksum
        The multihash it must have (SHA-256); where it isn't known, a file of the right size counts
        as whole, since files get their names only when they are.
    on_bytes
        Called with the number of bytes of each piece that arrives.

    Raises
    ------
    PixelReadError
        When it can't be had whole: the message says where, the tries and the last answer.
    """
    guard_logs()
    with locked(path.with_name(f".{path.name}.lock")):
        if path.is_file() and checksum is not None and multihash(path) == checksum:
            return Copied(path, path.stat().st_size, checksum, 0)
        part = path.with_name(f".{path.name}.part")
        copy = _Copy(href, part, source, on_bytes)
        if path.is_file() and checksum is None and copy.size() == path.stat().st_size:
            return Copied(path, path.stat().st_size, multihash(path), 0)
        _fetch_patiently(copy)
        found = multihash(part)
        if checksum is not None and found != checksum:
            part.unlink()
            raise PixelReadError(
                f"{without_query(href)} arrived damaged: checksum {found}, expected {checksum}"
            )
        os.replace(part, path)
        return Copied(path, path.stat().st_size, found, copy.transferred)


def multihash(path: Path) -> str:
    """Return a file's SHA-256 as a hexadecimal multihash.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     multihash(Path(file.name))[:12]
    '1220e3b0c442'
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return SHA256_PREFIX + digest.hexdigest()


def _fetch_patiently(copy: _Copy) -> None:
    """Try until the file is whole, or until a whole round of tries brings nothing new."""
    furthest = -1
    while True:
        try:
            retry(copy.attempt)
            return
        except GaveUpError as error:
            reached = copy.part.stat().st_size if copy.part.is_file() else 0
            # A large file outlasts any limit on tries and time; what arrived is kept.
            if reached <= max(furthest, 0):
                raise PixelReadError(f"{copy.signed.failed}: {error}") from None
            furthest = reached


class _Copy:
    """One file on its way: what is in the part stays there between tries, and between runs."""

    def __init__(
        self, href: str, part: Path, source: Source, on_bytes: Callable[[int], object]
    ) -> None:
        self.href, self.part, self.source, self.on_bytes = href, part, source, on_bytes
        self.signed = SignedUrl(href, source, "copy")
        self.transferred = 0
        self.stamp = part.with_name(part.name + ".etag")

    def size(self) -> int | None:
        """Return how large the file is at its origin, or None where that can't be told at once."""
        import requests

        if "://" not in self.href:
            return Path(self.href).stat().st_size
        try:
            headers = {"Accept-Encoding": "identity"}
            response = requests.head(
                self.source.sign(self.href), headers=headers, timeout=_TIMEOUT, allow_redirects=True
            )
        except requests.RequestException:
            return None
        return _whole_size(response) if response.status_code == 200 else None

    def attempt(self) -> None:
        """Fetch what is missing, or raise `TransientError`."""
        import requests

        if "://" not in self.href:
            with open(self.href, "rb") as stream:
                self._append(stream, "wb")
            return
        try:
            self._fetch()
        except requests.RequestException as error:
            raise TransientError(type(error).__name__) from None

    def _fetch(self) -> None:
        begun = self.part.stat().st_size if self.part.is_file() else 0
        known = self.stamp.read_text() if self.stamp.is_file() else ""
        headers = {"Accept-Encoding": "identity"}
        if begun and known:
            # A server whose file has changed since answers with the whole new one.
            headers |= {"Range": f"bytes={begun}-", "If-Range": known}
        with self.signed.get(headers=headers, stream=True) as response:
            if response.status_code == 416:  # nothing is missing, or the file has shrunk
                self._restart_unless_whole(response)
                return
            self.signed.check(response)
            resumed = response.status_code == 206
            self.stamp.write_text(_strong(response.headers.get("ETag", "")))
            self._append(response.raw, "ab" if resumed else "wb")
            whole = _whole_size(response)
        if whole is not None and self.part.stat().st_size != whole:
            raise TransientError(f"{self.part.stat().st_size} of {whole} bytes arrived")
        self.stamp.unlink(missing_ok=True)

    def _restart_unless_whole(self, response: Any) -> None:
        whole = _whole_size(response)
        if whole is not None and self.part.stat().st_size == whole:
            self.stamp.unlink(missing_ok=True)
            return
        self.part.unlink()
        raise TransientError("HTTP 416: the file has changed")

    def _append(self, stream: Any, mode: str) -> None:
        from urllib3.exceptions import HTTPError

        # Whatever has come is handed over at once, so that a drip is noticed.
        read = getattr(stream, "read1", stream.read)
        since, arrived = time.monotonic(), 0
        with self.part.open(mode) as file:
            try:
                while piece := read(_PIECE):
                    arrived += len(piece)
                    if (waited := time.monotonic() - since) > PATIENCE:
                        if arrived < SLOWEST * waited:
                            raise TransientError(f"{arrived} bytes in {waited:.0f} s")
                        since, arrived = time.monotonic(), 0
                    file.write(piece)
                    self.transferred += len(piece)
                    self.on_bytes(len(piece))
            except (HTTPError, OSError) as error:
                raise TransientError(type(error).__name__) from None


def _strong(etag: str) -> str:
    """An ETag that If-Range may carry: a weak one doesn't promise the same bytes (RFC 9110)."""
    return "" if etag.startswith("W/") else etag


def _whole_size(response: Any) -> int | None:
    """The whole file's size, from Content-Range where there is one, else Content-Length."""
    span = response.headers.get("Content-Range", "")
    if "/" in span:
        size = span.rsplit("/", 1)[1]
        return int(size) if size.isdigit() else None
    length = response.headers.get("Content-Length")
    return int(length) if length and length.isdigit() else None
