"""Copy a remote file: resumed where it broke off, checked, and in place only when it is whole."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from geopatcher.files.cog import ends_within
from geostack.errors import PixelReadError
from geostack.web import SignedUrl, is_page, pieces
from pipekit.files import locked, sync
from pipekit.full_disk import telling_full_disk
from pipekit.retry import GaveUpError, TransientError, retry
from pipekit.tokens import guard_logs, without_query

if TYPE_CHECKING:
    from geostack.sources import Source

_AS_IS = {"Accept-Encoding": "identity"}

SHA256_PREFIX = "1220"
"""Multihash prefix of a 32-byte SHA-256, as STAC's file extension writes checksums."""


@dataclass(frozen=True)
class Copied:
    """A file that has arrived.

    Parameters
    ----------
    path
        Where it is.
    size
        In bytes.
    checksum
        Its multihash.
    transferred
        Bytes that were sent this time.

    Examples
    --------
    >>> Copied(Path("B04.tif"), 100, "1220e3b0", transferred=0).transferred
    0
    """

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
    path
        Where it goes.
    source
        Signs the address.
    checksum
        The multihash it must have (SHA-256); where it isn't known, a file of the right size counts
        as whole, since files get their names only when they are.
    on_bytes
        Called with the number of bytes of each piece that arrives.

    Returns
    -------
    Copied

    Raises
    ------
    PixelReadError
        When it can't be had whole: the message says where, the tries and the last answer.

    Examples
    --------
    >>> import tempfile
    >>> from geostack.sources.archive import ArchiveSource
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     original = Path(folder, "a.bin")
    ...     _ = original.write_bytes(b"abc")
    ...     copied = copy_file(str(original), Path(folder, "b.bin"), ArchiveSource([]))
    >>> copied.size, copied.transferred
    (3, 3)
    """
    guard_logs()
    with locked(path.with_name(f".{path.name}.lock")):
        if path.is_file() and checksum is not None and multihash(path) == checksum:
            return Copied(path, path.stat().st_size, checksum, 0)
        part = path.with_name(f".{path.name}.part")
        copy = _Copy(href, part, source, on_bytes)
        if path.is_file() and checksum is None and copy.size() == path.stat().st_size:
            return Copied(path, path.stat().st_size, multihash(path), 0)
        with telling_full_disk(path, "fetch into another folder; what has come so far is kept"):
            _fetch_patiently(copy)
        found = multihash(part)
        if checksum is not None and found != checksum:
            part.unlink()
            raise PixelReadError(
                f"{without_query(href)} arrived damaged: checksum {found}, expected {checksum}"
            )
        sync(part)
        os.replace(part, path)
        return Copied(path, path.stat().st_size, found, copy.transferred)


def multihash(path: Path) -> str:
    """Return a file's SHA-256 as a hexadecimal multihash.

    Parameters
    ----------
    path
        Of the file.

    Returns
    -------
    str
        The prefix 1220 and 64 hexadecimal digits.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     multihash(Path(file.name))[:12]
    '1220e3b0c442'
    """
    with path.open("rb") as file:
        return SHA256_PREFIX + hashlib.file_digest(file, "sha256").hexdigest()


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


TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How a TIFF and a BigTIFF begin, in either byte order."""


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
        if "://" not in self.href:
            return Path(self.href).stat().st_size
        with suppress(TransientError), self.signed.get(method="HEAD", headers=_AS_IS) as response:
            return _whole_size(response) if response.status_code == 200 else None
        return None

    def attempt(self) -> None:
        """Fetch what is missing, or raise `TransientError`."""
        if "://" not in self.href:
            with open(self.href, "rb") as stream:
                self._append(stream, "wb")
            return
        begun = self.part.stat().st_size if self.part.is_file() else 0
        known = self.stamp.read_text() if self.stamp.is_file() else ""
        # A server whose file has changed since answers with the whole new one.
        rest = {"Range": f"bytes={begun}-", "If-Range": known} if begun and known else {}
        with self.signed.get(headers=_AS_IS | rest, stream=True) as response:
            whole, etag = _whole_size(response), response.headers.get("ETag", "")
            if response.status_code == 416:  # nothing is missing, or the file has shrunk
                if whole is None or begun != whole:
                    self._forget("HTTP 416: the file has changed")
            else:
                self.signed.check(response)
                goes_on = response.status_code == 206
                first = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
                if goes_on and ((first and int(first[1])) != begun or etag not in (known, "")):
                    self._forget("HTTP 206: another part of a file than was asked for")
                # A weak one doesn't promise the same bytes (RFC 9110).
                self.stamp.write_text("" if etag.startswith("W/") else etag)
                self._append(response.raw, "ab" if goes_on else "wb")
        arrived = self.part.stat().st_size
        if whole is not None and arrived > whole:
            self._forget(f"{arrived} bytes arrived of a file of {whole}")
        if whole is not None and arrived != whole:
            raise TransientError(f"{arrived} of {whole} bytes arrived")
        self.stamp.unlink(missing_ok=True)
        self._check_kind()

    def _forget(self, why: str) -> NoReturn:
        """Begin anew with the next try: what has come is no beginning of the file."""
        self.part.unlink(missing_ok=True)
        raise TransientError(why)

    def _check_kind(self) -> None:
        """Refuse what came in the file's place: a proxy's login page has the status 200, too."""
        with self.part.open("rb") as file:
            head = file.read(4)
        suffix = Path(urlsplit(self.href).path).suffix.lower()
        is_tiff, page = head.startswith(TIFF_STARTS), is_page(self.part)
        odd = page and suffix not in (".html", ".htm")
        if odd or (suffix in (".tif", ".tiff") and not (is_tiff and _is_whole(self.part))):
            what = "a web page" if page else "a part of a TIFF" if is_tiff else "no TIFF"
            self._forget(f"{what} came in the place of a {suffix or 'file'}")

    def _append(self, stream: Any, mode: str) -> None:
        with self.part.open(mode) as file:
            for piece in pieces(stream):
                file.write(piece)
                self.transferred += len(piece)
                self.on_bytes(len(piece))


def _is_whole(tiff: Path) -> bool:
    """Return whether GDAL opens a TIFF, and no pixels lie beyond its end."""
    from rasterio.errors import RasterioIOError

    try:
        return ends_within(tiff)
    except RasterioIOError:
        return False


def _whole_size(response: Any) -> int | None:
    """Return the whole file's size, from Content-Range where there is one, else Content-Length."""
    headers = response.headers
    size = headers.get("Content-Range", headers.get("Content-Length", "")).rpartition("/")[2]
    return int(size) if size.isdigit() else None
