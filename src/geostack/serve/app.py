"""The FastAPI application: its routes, what they hold, and what every answer has."""

# No `from __future__ import annotations`: FastAPI reads the routes' annotations, and its classes
# are imported within a function.
import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from georeader.geotensor import GeoTensor

from geostack.loaders.sentinel2 import scene_chip
from geostack.request import as_bbox
from geostack.serve.limits import Bodies, Gate, Limits
from geostack.serve.pipeline import Pipeline, checked_names
from geostack.serve.pixels import as_geotiff, as_summary, check_size, find_item, read_upload
from geostack.serve.problem import Problem
from geostack.serve.sandbox import Children, Ran, is_possible
from geostack.serve.tiles import Layer, TileService
from geostack.sources import Source
from pipekit import Operator
from pipekit.lazy import how_to_install

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

    from geostack.serve.asked import SceneBox

_METHODS = ("GET", "HEAD", "POST", "OPTIONS")
_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_SAFE = {"X-Content-Type-Options": "nosniff"}
_ASSETS = Path(__file__).parent / "assets"
_NEEDS = ("fastapi", "rio_tiler", "prometheus_client")
_TILE_AGE = 3600
_MEDIA = {"tiff": "image/tiff", "json": "application/json"}
_Format = Literal["tiff", "json"]
_PAGES = {"": "text/html", "map": "text/html", "map.js": "text/javascript", "map.css": "text/css"}
_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
}


class Service:
    """What an application holds: pipelines, layers, the source, the gate, the tiles.

    Parameters
    ----------
    pipelines, layers, source, limits
        As for `create_app`.

    Examples
    --------
    >>> Service({}, {}, None, Limits()).gate.held
    0
    """

    def __init__(
        self,
        pipelines: Mapping[str, Pipeline | Operator],
        layers: Mapping[str, Layer],
        source: str | Source | None,
        limits: Limits,
    ) -> None:
        self.pipelines = {
            name: given if isinstance(given, Pipeline) else Pipeline(given)
            for name, given in checked_names(pipelines, "a pipeline").items()
        }
        self.layers = checked_names(layers, "a layer")
        self.source = source
        self.limits = limits
        self.gate = Gate(limits)
        self.children = Children()
        self.bodies = Bodies(limits)
        self.tiles = TileService(self.layers, self.gate, limits.tile_cache)
        self.metrics = Metrics(lambda: self.gate.held)
        parts = [
            *(f"pipeline {n} {p.config_hash} {p.bands}" for n, p in self.pipelines.items()),
            *(f"layer {n} {layer.config_hash}" for n, layer in self.layers.items()),
        ]
        self.config_hash = sha256("\n".join(sorted(parts)).encode()).hexdigest()[:16]

    def pipeline(self, name: str) -> Pipeline:
        """Return a pipeline by name.

        Parameters
        ----------
        name
            As in the address.

        Returns
        -------
        Pipeline

        Raises
        ------
        Problem
            404 when there is none of that name.
        """
        if name not in self.pipelines:
            known = ", ".join(self.pipelines)
            raise Problem(404, f"there is no such pipeline; there are: {known}")
        return self.pipelines[name]

    def run(self, pipeline: Pipeline, kind: str, body: bytes, shape: Callable[[Any], Any]) -> Any:
        """Return what `shape` makes of a pipeline's result for a body: one job of the gate.

        Parameters
        ----------
        pipeline
            What is run.
        kind
            The body's media type.
        body
            A GeoTIFF, or JSON that names a scene and a box.
        shape
            Makes the answer of the result.

        Returns
        -------
        object
            What `shape` returns.

        Raises
        ------
        Problem
            413 or 422 for a body that is refused.
        """
        if kind == "image/tiff":
            chip = read_upload(body, pipeline.bands, self.limits)
        else:
            from geostack.serve.asked import SceneBox, parse

            chip = self.chip(parse(body, SceneBox), pipeline.bands)
        return shape(pipeline.operator(chip))

    def run_posted(self, body: bytes, kind: str, output: str | None) -> Ran:
        """Return what a posted pipeline gives: one job of the gate, in a process of its own.

        Parameters
        ----------
        body
            JSON: scene, box, pipeline and bands.
        kind
            "tiff" or "json".
        output
            Which output of several.

        Returns
        -------
        Ran

        Raises
        ------
        Problem
            413 or 422 for a body or pipeline that is refused, 504 for one that takes too long.
        """
        from geostack.serve.asked import PostedRun, parse

        asked = parse(body, PostedRun)
        chip = self.chip(asked, asked.bands)
        # A little less than the gate's own limit, which can't stop anything.
        seconds = 0.8 * self.limits.seconds
        return self.children.run(asked.yaml, chip, kind=kind, output=output, seconds=seconds)

    def chip(self, asked: "SceneBox", bands: tuple[str, ...]) -> GeoTensor:
        """Return the pixels of a scene's box from the server's own source, counted before.

        Parameters
        ----------
        asked
            The scene and the box.
        bands
            Names of the bands.

        Returns
        -------
        GeoTensor
            (C, H, W) uint16, digital numbers.

        Raises
        ------
        Problem
            404 for an unknown scene, 413 for too many pixels.
        OutsideTileError, AssetNotFoundError, PixelReadError
            When the box lies elsewhere, a band is lacking, or a file can't be read.
        """
        source, item = find_item(self.source, asked.item, asked.bbox, bands)

        def check(grid: "GeoBox") -> None:
            check_size(len(bands), *grid.shape.yx, self.limits)

        return scene_chip(item, bands, source, as_bbox(asked.bbox), check=check)

    async def close(self) -> None:
        """Take nothing new, finish what somebody waits for, and end what nobody does."""
        self.tiles.close()
        # In threads: those who still wait for a job are told by this loop.
        await asyncio.to_thread(self.gate.close)
        await asyncio.to_thread(self.children.close)


def create_app(
    pipelines: Mapping[str, Pipeline | Operator] | None = None,
    layers: Mapping[str, Layer] | None = None,
    *,
    source: str | Source | None = None,
    limits: Limits | None = None,
    accept_yaml: bool = False,
) -> Any:
    """Return a FastAPI application that serves pipelines and map tiles.

    Routes: `GET /pipelines`, `GET /pipelines/{name}`, `POST /pipelines/{name}` (a JSON body with an
    item's id and a box, or a GeoTIFF; `?format=tiff|json`, `?output=NAME`), `GET /layers`,
    `GET /tiles/{layer}/{z}/{x}/{y}.png`, `/map`, `/healthz`, `/metrics`. Every answer has the
    header `X-Config-Hash`; every error is a problem body (RFC 9457).

    Parameters
    ----------
    pipelines
        By name, a `Pipeline`, or an operator for the bands B02, B03, B04, B08.
    layers
        By name; see `scene_layer` and `file_layer`.
    source
        Where scenes come from, as on a loader; a request can't choose another.
    limits
        What a request may cost.
    accept_yaml
        Let clients post pipelines of their own (`POST /run`); each runs in a process of its own,
        from a registry that reads and writes nothing, with limits.

    Returns
    -------
    fastapi.FastAPI

    Raises
    ------
    ImportError
        Naming the extra when it is not installed.
    ValueError
        For a name that can't stand in an address.
    NotSerializableError
        For an operator that holds a function.
    OSError
        For `accept_yaml` on a system that can't limit processes.

    Examples
    --------
    >>> from geotoolz import NDVI
    >>> app = create_app({"ndvi": Pipeline(NDVI("B04", "B08"), bands=("B04", "B08"))})
    >>> app.state.service.pipeline("ndvi").bands
    ('B04', 'B08')
    """
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        raise ImportError(
            f"serving needs {', '.join(missing)}, not installed; {how_to_install('serve')}"
        )
    if accept_yaml and not is_possible():
        raise OSError("accept_yaml needs a POSIX system, which can limit a process")
    from fastapi import FastAPI

    service = Service(pipelines or {}, layers or {}, source, limits or Limits())
    if layers:
        # Its modules import each other in a circle, which two jobs that begin at once would break.
        import_module("rio_tiler.utils")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await service.close()

    # The pages that describe the interface load their scripts from elsewhere: only the JSON stays.
    app = FastAPI(title="geostack", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.service = service
    _add_pipelines(app, service, accept_yaml)
    _add_map(app, service)
    add_problems(app, service.config_hash)
    app.add_middleware(Answers, config_hash=service.config_hash, metrics=service.metrics)
    return app


def _add_pipelines(app: Any, service: Service, accept_yaml: bool) -> None:
    from fastapi import Request
    from fastapi.responses import JSONResponse, Response

    @app.get("/pipelines")
    async def list_pipelines() -> JSONResponse:
        """List the pipelines with their hashes."""
        listed = [
            {"name": name, "config_hash": pipeline.config_hash, "bands": list(pipeline.bands)}
            for name, pipeline in service.pipelines.items()
        ]
        return JSONResponse({"config_hash": service.config_hash, "pipelines": listed})

    @app.get("/pipelines/{name}")
    async def describe_pipeline(name: str) -> JSONResponse:
        """Tell a pipeline's config, hash, bands and versions."""
        pipeline = service.pipeline(name)
        headers = {"X-Config-Hash": pipeline.config_hash}
        return JSONResponse(pipeline.describe(name), headers=headers)

    @app.post("/pipelines/{name}")
    async def run_pipeline(
        name: str,
        request: Request,
        format: _Format = "tiff",  # noqa: A002
        output: str | None = None,
    ) -> Response:
        """Run a pipeline on a scene's box or on an uploaded GeoTIFF."""
        pipeline = service.pipeline(name)
        kind = _body_kind(request, "application/json", "image/tiff")
        body = await service.bodies.read(request)
        shape = partial(as_geotiff if format == "tiff" else as_summary, output=output)
        made = await service.gate.run(partial(service.run, pipeline, kind, body, shape))
        headers = {"X-Config-Hash": pipeline.config_hash}
        if format == "tiff":
            headers["Content-Disposition"] = f'attachment; filename="{name}.tif"'
            return Response(made, media_type=_MEDIA[format], headers=headers)
        told = {"pipeline": name, "config_hash": pipeline.config_hash, "result": made}
        return JSONResponse(told, headers=headers)

    @app.post("/run")
    async def run_yaml(
        request: Request,
        format: _Format = "tiff",  # noqa: A002
        output: str | None = None,
    ) -> Response:
        """Run a pipeline that the client posts as YAML, if the server accepts any."""
        if not accept_yaml:
            raise Problem(403, "this server takes no pipelines from clients")
        _body_kind(request, "application/json")
        body = await service.bodies.read(request)
        ran = await service.gate.run(partial(service.run_posted, body, format, output))
        headers = {"X-Config-Hash": ran.config_hash}
        return Response(ran.content, media_type=_MEDIA[format], headers=headers)


def _add_map(app: Any, service: Service) -> None:
    from fastapi import Request
    from fastapi.responses import JSONResponse, Response
    from prometheus_client import generate_latest

    @app.get("/layers")
    async def list_layers() -> JSONResponse:
        """List the layers with their boxes."""
        listed = await service.gate.run(
            lambda: [layer.describe(name) for name, layer in service.layers.items()]
        )
        return JSONResponse({"config_hash": service.config_hash, "layers": listed})

    @app.get("/tiles/{layer}/{z}/{x}/{y}.png")
    async def tile(layer: str, z: int, x: int, y: int, request: Request) -> Response:
        """Return a tile of 256 x 256 pixels, Web Mercator."""
        made, hit = await service.tiles.tile(layer, z, x, y)
        found = "hit" if hit else "miss"
        service.metrics.tiles.labels(found).inc()
        headers = {
            "X-Config-Hash": service.layers[layer].config_hash,
            "ETag": made.etag,
            "Cache-Control": f"public, max-age={_TILE_AGE}",
            "X-Cache": found,
        }
        held = ", ".join(request.headers.getlist("if-none-match"))
        if made.etag in held or held.strip() == "*":
            return Response(status_code=304, headers=headers)
        return Response(made.png, media_type="image/png", headers=headers)

    @app.get("/healthz")
    async def health() -> JSONResponse:
        """Say that the server is there, and how much it has to do."""
        return JSONResponse({"status": "ok", "jobs": service.gate.held})

    @app.get("/metrics")
    async def metrics() -> Response:
        """Tell numbers about the server in Prometheus's text format."""
        told = generate_latest(service.metrics.registry)
        return Response(told, media_type="text/plain; version=0.0.4")

    def page(name: str, media: str) -> Callable[[], Any]:
        # All are files of this package, none is from anywhere else; a browser asks first for none.
        file = _ASSETS / (name if "." in name else "map.html")

        async def send() -> Response:
            return Response(file.read_bytes(), media_type=media, headers=_PAGE_HEADERS)

        return send

    for name, media in _PAGES.items():
        app.get(f"/{name}", include_in_schema=False)(page(name, media))


def _body_kind(request: Any, *kinds: str) -> str:
    """Return the media type of a request's body, or raise Problem 415 for none of `kinds`."""
    kind: str = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in kinds:
        raise Problem(415, f"the body is {' or '.join(kinds)}; say so in Content-Type")
    return kind


class Metrics:
    """Numbers about a server, for Prometheus to fetch: answers, their times, jobs, tiles.

    Each server has its own registry, so that several can live in one process. Labels are routes,
    never addresses: what a client makes up adds no series.

    Parameters
    ----------
    held
        Tells how many jobs run or wait.

    Examples
    --------
    >>> from prometheus_client import generate_latest
    >>> metrics = Metrics(lambda: 0)
    >>> metrics.tiles.labels("hit").inc()
    >>> b'geostack_tiles_total{cache="hit"} 1.0' in generate_latest(metrics.registry)
    True
    """

    def __init__(self, held: Callable[[], int]) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        own = self.registry = CollectorRegistry()
        labels = ("route", "method", "status")
        self.answers = Counter("geostack_requests", "Answers given.", labels, registry=own)
        name, told = "geostack_request_seconds", "Time from request to answer."
        self.seconds = Histogram(name, told, ("route",), registry=own, buckets=_SECONDS)
        told = "Tiles, by where they came from."
        self.tiles = Counter("geostack_tiles", told, ("cache",), registry=own)
        jobs = Gauge("geostack_jobs", "Jobs that run or wait.", registry=own)
        jobs.set_function(held)


class Answers:
    """Puts the config's hash and safe defaults on every answer, and counts it.

    HEAD is answered as GET is (RFC 9110, 9.3.2); the server leaves out the content.

    Parameters
    ----------
    app
        The ASGI application that answers.
    config_hash
        Of the server.
    metrics
        What counts.
    """

    def __init__(self, app: Any, config_hash: str, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics
        usual = {**_SAFE, "X-Config-Hash": config_hash}
        self._usual = [(name.lower().encode(), value.encode()) for name, value in usual.items()]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status, method = time.perf_counter(), 500, scope["method"]
        if method == "HEAD":
            scope = {**scope, "method": "GET"}

        async def send_with_headers(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                named = {name.lower() for name, _ in message["headers"]}
                added = [pair for pair in self._usual if pair[0] not in named]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            known = method if method in _METHODS else "other"
            self.metrics.answers.labels(route, known, str(status)).inc()
            self.metrics.seconds.labels(route).observe(time.perf_counter() - started)


def add_problems(app: Any, config_hash: str) -> None:
    """Answer every error with a problem body (RFC 9457).

    Parameters
    ----------
    app
        A FastAPI application.
    config_hash
        Told in each body.
    """
    from fastapi import Request, Response
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect

    async def answer(request: Request, error: Exception) -> Response:
        more: Mapping[str, str] = {}
        if isinstance(error, Problem):
            problem = error
        elif isinstance(error, RequestValidationError):
            told = ", ".join(f"{each['loc'][-1]} ({each['msg']})" for each in error.errors())
            problem = Problem(422, f"these can't be read: {told}")
        elif isinstance(error, HTTPException):
            problem, more = Problem(error.status_code, str(error.detail)), error.headers or {}
            if problem.status == 405:  # the framework tells of the first route of a path alone
                routes = [each for each in app.routes if each.path_regex.match(request.url.path)]
                methods = {method for each in routes for method in each.methods}
                more = {
                    "Allow": ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
                }
        elif isinstance(error, ClientDisconnect):
            # Nobody hears it; without it the log would call this a failure of the server.
            problem = Problem(400, "the client went away")
        else:
            problem = Problem(500, f"the server failed with {type(error).__name__}", 5)
        body, headers = problem.answer(config_hash)
        # Starlette answers a bug outside of every middleware: so the headers are put here too.
        return Response(body, problem.status, headers={**_SAFE, **headers, **more})

    kinds = (Problem, RequestValidationError, HTTPException, ClientDisconnect, Exception)
    for kind in kinds:
        app.add_exception_handler(kind, answer)
