"""A read-only Zarr store over HTTP: signed, patient, one request for each chunk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store

from geocatalog.read.service import body_of
from geostack.errors import PixelReadError
from geostack.web import WHOLE, SignedUrl
from pipekit.retry import GaveUpError, retry, within
from pipekit.tokens import guard_logs, without_query

if TYPE_CHECKING:
    from zarr.core.buffer import Buffer, BufferPrototype

    from geostack.sources import Source


_MOST_BYTES = 1 << 30
"""Of one chunk."""


class HttpStore(Store):
    """The files of a consolidated Zarr group under a URL, signed by a source.

    Nothing is listed: what exists is in the group's consolidated metadata.

    Parameters
    ----------
    url
        The group's address, unsigned.
    source
        Signs each request.

    Examples
    --------
    >>> from geostack.sources.archive import ArchiveSource
    >>> HttpStore("https://example.com/era5.zarr/", ArchiveSource([])).url
    'https://example.com/era5.zarr'
    """

    supports_writes = False
    supports_deletes = False
    supports_listing = False  # object stores behind HTTP list nothing

    def __init__(self, url: str, source: Source) -> None:
        super().__init__(read_only=True)
        self.url = url.rstrip("/")
        self.source = source
        guard_logs()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HttpStore) and self.url == other.url

    def __hash__(self) -> int:
        return hash(self.url)

    def __repr__(self) -> str:
        return f"HttpStore({without_query(self.url)!r})"

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return a file's bytes, or None when there is no such file.

        Parameters
        ----------
        key
            The file's path below the group.
        prototype
            Makes the buffer.
        byte_range
            Which part; None for all.

        Returns
        -------
        Buffer or None

        Raises
        ------
        PixelReadError
            When it can't be had.
        """
        data = await asyncio.to_thread(self._fetch, key, _header(byte_range))
        return None if data is None else prototype.buffer.from_bytes(data)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return parts of several files.

        Parameters
        ----------
        prototype
            Makes the buffers.
        key_ranges
            Pairs of a file's path and a part of it.

        Returns
        -------
        list of Buffer or None
            In the pairs' order.
        """
        return list(
            await asyncio.gather(*(self.get(key, prototype, part) for key, part in key_ranges))
        )

    async def exists(self, key: str) -> bool:
        """Return whether there is such a file.

        Parameters
        ----------
        key
            The file's path below the group.

        Returns
        -------
        bool
        """
        return await asyncio.to_thread(self._fetch, key, "bytes=0-0") is not None

    async def set(self, key: str, value: Buffer) -> None:
        """Refuse: the store is read-only.

        Parameters
        ----------
        key, value
            Not looked at.
        """
        raise PermissionError(f"{self!r} is read-only")

    async def delete(self, key: str) -> None:
        """Refuse: the store is read-only.

        Parameters
        ----------
        key
            Not looked at.
        """
        raise PermissionError(f"{self!r} is read-only")

    async def list_prefix(self, prefix: str = "") -> AsyncIterator[str]:
        """Refuse: nothing can be listed.

        Parameters
        ----------
        prefix
            Not looked at.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError(f"{self!r} can't list its files; open it with consolidated=True")
        yield ""

    list_dir = list_prefix

    def list(self) -> AsyncIterator[str]:
        """Refuse: nothing can be listed.

        Raises
        ------
        NotImplementedError
            Once it is iterated.
        """
        return self.list_prefix()

    def _fetch(self, key: str, span: str | None) -> bytes | None:
        signed = SignedUrl(f"{self.url}/{key}", self.source, "read")

        def attempt() -> bytes | None:
            asked = {"Range": span} if span else None
            with signed.get(headers=asked, stream=True) as response:
                if response.status_code == 404:
                    return None
                signed.check(response)
                if span and response.status_code != 206:
                    raise PixelReadError(f"{signed.failed}: the server gives no part of a file")
                return body_of(response, _MOST_BYTES)

        try:
            # All of it: an answer can't be closed while another thread reads it.
            return retry(lambda: within(WHOLE, attempt))
        except (GaveUpError, ValueError) as error:
            raise PixelReadError(f"{signed.failed}: {error}") from None


def _header(part: Any) -> str | None:
    if part is None:
        return None
    if isinstance(part, RangeByteRequest):
        return f"bytes={part.start}-{part.end - 1}"
    if isinstance(part, OffsetByteRequest):
        return f"bytes={part.offset}-"
    return f"bytes=-{part.suffix}"
