"""A STAC service, its token endpoint and its file server on loopback, well-behaved or not.

It serves STAC items whose files lie on this machine, answers Range requests as object stores do,
counts every request and byte, and misbehaves on demand (`Fault`).
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

CONFORMS_TO = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/item-search#query",
    "https://api.stacspec.org/v1.0.0/item-search#sort",
]


@dataclass
class Record:
    """One request as the server saw it."""

    method: str
    path: str
    query: dict[str, str]
    range: str | None
    status: int = 0
    sent: int = 0


@dataclass
class Fault:
    """Something that goes wrong with the next `times` requests whose path matches."""

    path: str
    kind: str = "status"
    """status, latency, reset, drip, truncated, wrong-length"""
    status: int = 503
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


class _Server(uvicorn.Server):
    """A server that ends at once, and its connections with it."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class Loopback:
    """The server: start it with `with Loopback() as server`."""

    def __init__(self) -> None:
        self.files: dict[str, Path] = {}
        self.items: list[dict[str, Any]] = []
        self.ignore_filters = False
        self.repeat_pages = False
        self.ignores_sorting = False
        self.latency = 0.0
        self.together = 0
        """Requests for files wait until so many are there at the same time."""
        self.valid: set[str] | None = None
        """Signatures that open files, as many as were issued; None while none was: all are open."""
        self.token_lifetime = 3600.0
        self.token_uses: int | None = None
        """Requests for files after which a token is refused, though it says that it is valid."""
        self.issued: list[str] = []
        self.uses: dict[str, int] = {}
        self.records: list[Record] = []
        self.faults: list[Fault] = []
        self.active = self.most_active = 0
        self.generation = 0
        self._lock = threading.Lock()
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.host}"

    def __enter__(self) -> Loopback:
        app = Starlette(
            routes=[
                Route("/stac", self._root),
                Route("/stac/search", self._search, methods=["GET", "POST"]),
                Route("/stac/collections/{name}", self._collection),
                Route("/sas/{account}/{container}", self._sas),
                Route("/files/{path:path}", self._file, methods=["GET", "HEAD"]),
                Route("/api/{path:path}", self._api),
            ]
        )
        config = uvicorn.Config(app, log_level="critical", ws="none", lifespan="off", http="h11")
        self._server = _Server(config)
        self._thread = threading.Thread(
            target=lambda: self._server.run(sockets=[self._socket]), daemon=True
        )
        self._thread.start()
        until = time.monotonic() + 300
        while not self._server.started:
            if time.monotonic() > until:
                raise RuntimeError("the loopback server did not start")
            time.sleep(0.01)
        self.answers: dict[str, list[Any]] = {}
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(300)
        self._socket.close()

    def reset(self) -> None:
        """Forget files, items, faults and records."""
        self.files.clear()
        self.items.clear()
        self.records.clear()
        self.faults.clear()
        self.issued.clear()
        self.answers = {}
        self.ignore_filters = self.repeat_pages = self.ignores_sorting = False
        self.latency, self.valid, self.token_lifetime = 0.0, None, 3600.0
        self.token_uses, self.together = None, 0
        self.uses.clear()
        self.active = self.most_active = 0
        # GDAL remembers what it learnt about a URL, so every test has URLs of its own.
        self.generation += 1

    # what is served

    def expire_tokens(self) -> None:
        """Refuse every token issued so far."""
        self.valid = set()

    def add_file(self, path: Path, name: str | None = None) -> str:
        """Serve a file; returns its URL."""
        key = f"{self.generation}/{name or f'{len(self.files)}/{path.name}'}"
        self.files[key] = path
        return f"{self.url}/files/{key}"

    def add_item(self, feature: dict[str, Any], folder: Path | None = None) -> dict[str, Any]:
        """Serve a STAC item, its relative hrefs as files of `folder`."""
        feature = json.loads(json.dumps(feature))
        for asset in feature["assets"].values():
            if folder is not None and "://" not in asset["href"]:
                name = f"{feature['id']}/{Path(asset['href']).name}"
                asset["href"] = self.add_file(folder / asset["href"], name)
        self.items.append(feature)
        return feature

    def requests(self, pattern: str) -> list[Record]:
        """The requests whose path matches, in order."""
        return [record for record in self.records if re.search(pattern, record.path)]

    # the STAC service

    async def _root(self, request: Request) -> Response:
        return await self._answer(request, self._landing())

    def _landing(self) -> Response:
        stac = f"{self.url}/stac"
        return JSONResponse(
            {
                "type": "Catalog",
                "id": "loopback",
                "stac_version": "1.0.0",
                "description": "loopback",
                "conformsTo": CONFORMS_TO,
                "links": [
                    {"rel": "self", "href": stac, "type": "application/json"},
                    {"rel": "root", "href": stac, "type": "application/json"},
                    {"rel": "data", "href": f"{stac}/collections", "type": "application/json"},
                    *(
                        {
                            "rel": "search",
                            "href": f"{stac}/search",
                            "type": "application/geo+json",
                            "method": method,
                        }
                        for method in ("GET", "POST")
                    ),
                ],
            }
        )

    async def _collection(self, request: Request) -> Response:
        return await self._answer(request, PlainTextResponse("no collections here", 404))

    async def _search(self, request: Request) -> Response:
        body = await request.json() if request.method == "POST" else dict(request.query_params)
        return await self._answer(request, JSONResponse(self._page(body)))

    def _page(self, body: dict[str, Any]) -> dict[str, Any]:
        fits = [item for item in self.items if self.ignore_filters or _fits(item, body)]
        rules = [] if self.ignores_sorting else body.get("sortby", [])
        for rule in reversed(rules):
            name = rule["field"].removeprefix("properties.")
            fits.sort(
                key=lambda item, name=name: item["properties"].get(name, 1e9),
                reverse=rule["direction"] == "desc",
            )
        size, start = int(body.get("limit", 10)), int(body.get("token", 0))
        end = start + size
        links = []
        if end < len(fits):
            token = start if self.repeat_pages else end
            links.append(
                {
                    "rel": "next",
                    "href": f"{self.url}/stac/search",
                    "method": "POST",
                    "body": {**body, "token": token},
                }
            )
        return {"type": "FeatureCollection", "features": fits[start:end], "links": links}

    # the token endpoint

    async def _sas(self, request: Request) -> Response:
        expiry = datetime.now(UTC) + timedelta(seconds=self.token_lifetime)
        token = f"se={expiry:%Y-%m-%dT%H:%M:%SZ}&sp=rl&sig=SECRET{len(self.issued)}"
        answer = await self._answer(
            request, JSONResponse({"msft:expiry": f"{expiry:%Y-%m-%dT%H:%M:%SZ}", "token": token})
        )
        if answer.status_code == 200:
            self.issued.append(token)
            self.valid = {*(self.valid or ()), token.rpartition("sig=")[2]}
        return answer

    # other APIs: a list of JSON answers for each path, given in turn

    async def _api(self, request: Request) -> Response:
        name = request.path_params["path"]
        given = self.answers.get(name)
        if not given:
            return await self._answer(request, PlainTextResponse("nothing here", 404))
        number = len([r for r in self.records if r.path == request.url.path])
        answer = given[min(number, len(given) - 1)]
        if callable(answer):
            answer = answer(dict(request.query_params))
        return await self._answer(request, JSONResponse(answer))

    # the file server

    async def _file(self, request: Request) -> Response:
        path = self.files.get(request.path_params["path"])
        if path is None or not path.is_file():
            return await self._answer(request, PlainTextResponse("no such file", 404))
        sig = request.query_params.get("sig", "")
        if self.valid is not None and sig not in self.valid:
            return await self._answer(request, PlainTextResponse("no valid token", 403))
        self.uses[sig] = self.uses.get(sig, 0) + 1
        if self.valid is not None and self.uses[sig] == self.token_uses:
            self.valid.discard(sig)
        return await self._answer(request, _serve(path, request))

    async def _answer(self, request: Request, good: Response) -> Response:
        record = Record(
            request.method,
            request.url.path,
            dict(request.query_params),
            request.headers.get("range"),
        )
        with self._lock:
            self.records.append(record)
            self.active += 1
            self.most_active = max(self.most_active, self.active)
            fault = self._fault(request.url.path)
        try:
            if record.path.startswith("/files/"):
                await self._gathered()
            await asyncio.sleep(self.latency + (fault.seconds if fault else 0.0))
        finally:
            with self._lock:
                self.active -= 1
        answer = _spoil(good, fault) if fault else good
        record.status = answer.status_code
        record.sent = len(getattr(answer, "body", b"") or b"")
        return answer

    async def _gathered(self) -> None:
        until = time.monotonic() + 120
        while self.most_active < self.together and time.monotonic() < until:
            await asyncio.sleep(0.005)

    def _fault(self, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.path, path):
                fault.times -= 1
                return fault
        return None


def _fits(item: dict[str, Any], body: dict[str, Any]) -> bool:
    properties = item["properties"]
    collections = body.get("collections")
    if isinstance(collections, str):
        collections = collections.split(",")
    if collections and item["collection"] not in collections:
        return False
    if body.get("ids") and item["id"] not in body["ids"]:
        return False
    box, wanted = item.get("bbox"), body.get("bbox")
    if wanted and wanted[0] > wanted[2]:
        return False  # a service that knows no antimeridian
    if wanted and box and not _meet(box, wanted):
        return False
    if body.get("datetime"):
        start, _, end = body["datetime"].partition("/")
        first = properties["datetime"] or properties["start_datetime"]
        last = properties["datetime"] or properties["end_datetime"]
        if start != ".." and _moment(last) < _moment(start):
            return False
        if end != ".." and _moment(first) > _moment(end):
            return False
    return all(
        _holds(properties.get(name), rule) for name, rule in (body.get("query") or {}).items()
    )


def _meet(box: list[float], wanted: list[float]) -> bool:
    """Whether an item's box, of four or six numbers and perhaps across 180, touches another."""
    if len(box) not in (4, 6) or None in box:
        return True
    west, south, east, north = (*box[:2], *box[3:5]) if len(box) == 6 else box
    east += 360 * (west > east)
    beside = (
        wanted[0] <= east + turn and wanted[2] >= west + turn for turn in (-720, -360, 0, 360, 720)
    )
    return any(beside) and wanted[1] <= north and wanted[3] >= south


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _holds(value: Any, rule: dict[str, Any]) -> bool:
    tests = {"eq": lambda a, b: a == b, "lte": lambda a, b: a <= b, "lt": lambda a, b: a < b}
    return value is not None and all(tests[name](value, bound) for name, bound in rule.items())


@functools.lru_cache(maxsize=256)
def _content(path: Path, changed: int) -> tuple[bytes, str]:
    """A file's bytes and ETag, read once for each change."""
    data = path.read_bytes()
    return data, f'"{hashlib.md5(data).hexdigest()}"'


def _serve(path: Path, request: Request) -> Response:
    data, etag = _content(path, path.stat().st_mtime_ns)
    headers = {"Accept-Ranges": "bytes", "Content-Type": "image/tiff", "ETag": etag}
    if request.method == "HEAD":
        return Response(b"", headers={**headers, "Content-Length": str(len(data))})
    asked = re.match(r"bytes=(\d*)-(\d*)$", request.headers.get("range", ""))
    if asked is None or request.headers.get("if-range", etag) != etag:
        return Response(data, headers=headers)
    first = int(asked.group(1) or max(0, len(data) - int(asked.group(2))))
    last = min(int(asked.group(2) or len(data) - 1), len(data) - 1)
    if first >= len(data):
        return Response(b"", 416, {"Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return Response(data[first : last + 1], 206, headers)


def _spoil(good: Response, fault: Fault) -> Response:
    if fault.kind == "status":
        return PlainTextResponse("a fault on demand", fault.status, headers=fault.headers)
    if fault.kind == "latency":
        return good
    body = bytes(good.body)
    if fault.kind == "truncated":
        # A well-formed answer that is simply too short for what was asked.
        headers = {k: v for k, v in good.headers.items() if k != "content-length"}
        return Response(body[: len(body) // 2], good.status_code, headers)
    if fault.kind == "wrong-length":
        headers = {**good.headers, "content-length": str(len(body) + 1000)}
        return StreamingResponse(_pieces([body]), good.status_code, headers)
    if fault.kind == "reset":
        half = [body[: len(body) // 2]]
        return StreamingResponse(_pieces(half, fail=True), good.status_code, dict(good.headers))
    if fault.kind == "drip":
        size = max(1, len(body) // 20)
        parts = [body[at : at + size] for at in range(0, len(body), size)]
        return StreamingResponse(_pieces(parts, pause=0.02), good.status_code, dict(good.headers))
    raise ValueError(f"no fault is called {fault.kind!r}")


async def _pieces(
    parts: Iterable[bytes], pause: float = 0.0, fail: bool = False
) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
        await asyncio.sleep(pause)
    if fail:
        raise ConnectionResetError("a fault on demand")
