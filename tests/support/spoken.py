"""A server on loopback that says, to the byte, what it is told to say."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

Answer = Callable[[str, dict[str, str]], "bytes | Iterator[bytes]"]
"""From a path and the headers of a request, in lower case, to all that is sent."""


def answer(body: bytes | Any, status: int = 200, **headers: str) -> bytes:
    """An answer of HTTP/1.1; what is no text of bytes is written as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = {"content-length": str(len(content)), "connection": "close"}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} Told", *(f"{name}: {value}" for name, value in told.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content


@contextmanager
def spoken(say: Answer, heard: list[tuple[str, dict[str, str]]] | None = None) -> Iterator[str]:
    """Yield the address of such a server; `heard` gets what it was asked."""

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            text = b""
            while b"\r\n\r\n" not in text and (part := connection.recv(65_536)):
                text += part
            head, _, body = text.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            while len(body) < int(headers.get("content-length", 0)):
                body += connection.recv(65_536)
            method, path, _ = first.split(" ")
            if heard is not None:
                heard.append((path, headers))
            said = say(path, headers)
            if isinstance(said, bytes):
                bodiless = said.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
                said = [bodiless if method == "HEAD" else said]
            for piece in said:
                connection.sendall(piece)

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def stac(page: bytes | Any, url: str, path: str) -> bytes:
    """An answer of a STAC service: its landing page, or `page` to a search."""
    if "search" in path:
        return answer(page)
    api = "https://api.stacspec.org/v1.0.0"
    links = {"self": url, "root": url, "search": f"{url}/search"}
    kind = {"method": "POST", "type": "application/geo+json"}
    return answer({
        "type": "Catalog", "id": "spoken", "stac_version": "1.0.0", "description": "spoken",
        "conformsTo": [f"{api}/core", *(f"{api}/item-search{end}" for end in ("", "#query", "#sort"))],
        "links": [{"rel": rel, "href": href, **kind} for rel, href in links.items()],
    })  # fmt: skip


def feature(**changes: Any) -> dict[str, Any]:
    """A STAC item of one degree square."""
    ring = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]
    properties = {"datetime": "2024-06-01T00:00:00Z", "eo:cloud_cover": 3}
    told = {
        "type": "Feature", "stac_version": "1.0.0", "id": "a", "collection": "sentinel-2-l2a",
        "geometry": {"type": "Polygon", "coordinates": [ring]}, "bbox": [0, 0, 1, 1],
        "properties": properties, "links": [], "assets": {"B04": {"href": "https://host/a.tif"}},
    }  # fmt: skip
    return told | changes


def pages() -> dict[str, Any]:
    """What a service may answer to a search, and is no page of items; by what is wrong with it."""
    place = {"type": "Polygon", "coordinates": "x"}
    no_place = {"geometry": place, "bbox": None}
    items = {
        "a number as item": 5,
        "an empty item": {},
        "a list as id": feature(id=[1]),
        "no properties": feature(properties=None),
        "a list of properties": feature(properties=[]),
        "a cloud cover in words": feature(properties={"eo:cloud_cover": "low"}),
        "a date in words": feature(properties={"datetime": "today"}),
        "a list of assets": feature(assets=[], **no_place),
        "a number as asset": feature(assets={"B04": 5}),
        "an asset without an address": feature(assets={"B04": {}}),
        "a number as links": feature(links=5),
        "a number as version": feature(stac_version=5),
        "a number as extensions": feature(stac_extensions=5),
    }
    return {
        "nothing": b"",
        "half of it": b"{",
        "a login page": b"<html>please log in</html>",
        "null": None,
        "a list": [],
        "a number": 5,
        "no text": b"\xff\xfe{",
        "a deep nest": b"[" * 100_000,
        "a number as features": {"features": 5},
        "a number as links of the page": {"features": [feature()], "links": 5},
        "a next page nowhere": {"features": [feature()], "links": [{"rel": "next"}]},
        **{name: {"features": [item], "links": []} for name, item in items.items()},
    }
