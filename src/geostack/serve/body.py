"""Reading a request's body: not too long, not too slowly, of a kind that is known."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from geostack.serve.limits import Limits
from geostack.serve.problem import Problem

_KINDS = ("application/json", "image/tiff")


def media_type(header: str) -> str:
    """Return the media type that a Content-Type header names, or raise Problem 415.

    >>> media_type("image/tiff; application=geotiff")
    'image/tiff'
    """
    kind = header.partition(";")[0].strip().lower()
    if kind not in _KINDS:
        raise Problem(415, f"the body is {' or '.join(_KINDS)}; say so in Content-Type")
    return kind


class Bodies:
    """Reads bodies, `running + waiting` at the same time: so much memory and no more.

    >>> Bodies(Limits(running=1, waiting=1)).arriving
    0
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.arriving = 0

    async def read(self, request: Any) -> bytes:
        """Return a request's body.

        Raises Problem 503 when too many arrive already, 413 for a longer one than `max_body`, as
        soon as that is known, and 408 for one that takes longer than `body_seconds`.
        """
        with self._place():
            return await read_body(request, self.limits)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self.arriving >= self.limits.running + self.limits.waiting:
            raise Problem(503, "the server is busy; try again", 1)
        self.arriving += 1
        try:
            yield
        finally:
            self.arriving -= 1


async def read_body(request: Any, limits: Limits) -> bytes:
    """Return a request's body; see `Bodies.read`."""
    announced = request.headers.get("content-length", "")
    # Twenty digits are too long whatever they say, and a number of any length is costly to read.
    if len(announced) > 20 or (announced.isdecimal() and int(announced) > limits.max_body):
        raise Problem(413, f"the body is longer than {limits.max_body} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for part in request.stream():
                body += part
                if len(body) > limits.max_body:
                    raise Problem(413, f"the body is longer than {limits.max_body} bytes")
    except TimeoutError:
        raise Problem(408, f"the body took longer than {limits.body_seconds:g} s") from None
    return bytes(body)
