"""The FastAPI application: its routes, and what they hold."""

# No `from __future__ import annotations`: FastAPI reads the routes' annotations, and its classes
# are imported within a function.
import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache, partial
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from georeader.geotensor import GeoTensor

from geostack.loaders.sentinel2 import COLLECTION
from geostack.request import Request as SceneRequest
from geostack.serve.answers import Answers, Metrics, add_problems
from geostack.serve.limits import Bodies, Gate, Limits
from geostack.serve.pipeline import Pipeline, as_pipelines, checked_names
from geostack.serve.pixels import (
    PostedRun,
    SceneBox,
    as_geotiff,
    as_summary,
    media_type,
    parse_posted_run,
    parse_scene_box,
    read_scene,
    read_upload,
)
from geostack.serve.problem import Problem
from geostack.serve.sandbox import Children, Ran, is_possible, run_posted
from geostack.serve.tiles import Layer, TileService
from geostack.sources import Source, select
from pipekit import Operator

_NEEDS = ("fastapi", "rio_tiler", "prometheus_client")
_TILE_AGE = 3600
_FORMATS = {"tiff": "image/tiff", "json": "application/json"}
_PAGES = {"map": "text/html", "map.js": "text/javascript", "map.css": "text/css"}
_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
}


class Service:
    """What an application holds: pipelines, layers, the source, the gate, the tiles."""

    def __init__(
        self,
        pipelines: Mapping[str, Pipeline | Operator],
        layers: Mapping[str, Layer],
        source: str | Source | None,
        limits: Limits,
    ) -> None:
        self.pipelines = as_pipelines(pipelines)
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
        """Return a pipeline by name, or raise Problem 404."""
        if name not in self.pipelines:
            known = ", ".join(self.pipelines)
            raise Problem(404, f"there is no such pipeline; there are: {known}")
        return self.pipelines[name]

    def run(self, pipeline: Pipeline, kind: str, body: bytes, shape: Callable[[Any], Any]) -> Any:
        """Return what `shape` makes of a pipeline's result for a body: one job of the gate."""
        if kind == "image/tiff":
            chip = read_upload(body, pipeline.bands, self.limits)
        else:
            chip = self.chip(parse_scene_box(body), pipeline.bands)
        return shape(pipeline.operator(chip))

    def run_posted(self, asked: PostedRun, kind: str, output: str | None) -> Ran:
        """Return what a posted pipeline gives: one job of the gate, in a process of its own."""
        chip = self.chip(asked.scene, asked.bands)
        # A little less than the gate's own limit, which can't stop anything.
        seconds = 0.8 * self.limits.seconds
        return run_posted(
            asked.yaml, chip, kind=kind, output=output, seconds=seconds, children=self.children
        )

    def chip(self, asked: SceneBox, bands: tuple[str, ...]) -> GeoTensor:
        """Return the pixels of a scene's box from the server's own source."""
        request = SceneRequest.of(COLLECTION, asked.bbox, "../..", assets=bands)
        return read_scene(select(self.source, request), asked, bands, self.limits)

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
    """
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        raise ImportError(
            f'serving needs {", ".join(missing)}, not installed: pip install "geostack[serve]"'
        )
    if accept_yaml and not is_possible():
        raise OSError("accept_yaml needs a POSIX system, which can limit a process")
    from fastapi import FastAPI

    service = Service(pipelines or {}, layers or {}, source, limits or Limits())
    if layers:
        # Its modules import each other in a circle, which two jobs that begin at once would break.
        import_module("rio_tiler.io")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await service.close()

    # The pages that describe the interface load their scripts from elsewhere: only the JSON stays.
    app = FastAPI(title="geostack", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.service = service
    _add_pipelines(app, service)
    _add_runs(app, service, accept_yaml)
    _add_tiles(app, service)
    _add_pages(app, service)
    add_problems(app, service.config_hash)
    app.add_middleware(Answers, config_hash=service.config_hash, metrics=service.metrics)
    return app


def _add_pipelines(app: Any, service: Service) -> None:
    from fastapi.responses import JSONResponse

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
        return JSONResponse(pipeline.describe(name), headers=_hash_header(pipeline))


def _add_runs(app: Any, service: Service, accept_yaml: bool) -> None:
    from fastapi import Request
    from fastapi.responses import JSONResponse, Response

    @app.post("/pipelines/{name}")
    async def run_pipeline(
        name: str,
        request: Request,
        format: str = "tiff",  # noqa: A002
        output: str | None = None,
    ) -> Response:
        """Run a pipeline on a scene's box or on an uploaded GeoTIFF."""
        pipeline = service.pipeline(name)
        media = _format(format)
        kind = media_type(request.headers.get("content-type", ""))
        body = await service.bodies.read(request)
        shape = partial(as_geotiff if format == "tiff" else as_summary, output=output)
        made = await service.gate.run(partial(service.run, pipeline, kind, body, shape))
        headers = _hash_header(pipeline)
        if format == "tiff":
            headers["Content-Disposition"] = f'attachment; filename="{name}.tif"'
            return Response(made, media_type=media, headers=headers)
        told = {"pipeline": name, "config_hash": pipeline.config_hash, "result": made}
        return JSONResponse(told, headers=headers)

    @app.post("/run")
    async def run_yaml(
        request: Request,
        format: str = "tiff",  # noqa: A002
        output: str | None = None,
    ) -> Response:
        """Run a pipeline that the client posts as YAML, if the server accepts any."""
        if not accept_yaml:
            raise Problem(403, "this server takes no pipelines from clients")
        media = _format(format)
        if media_type(request.headers.get("content-type", "")) != "application/json":
            raise Problem(415, "the body is application/json; say so in Content-Type")
        asked = parse_posted_run(await service.bodies.read(request))
        ran = await service.gate.run(partial(service.run_posted, asked, format, output))
        return Response(ran.content, media_type=media, headers={"X-Config-Hash": ran.config_hash})


def _add_tiles(app: Any, service: Service) -> None:
    from fastapi import Request
    from fastapi.responses import JSONResponse, Response

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
        service.metrics.tile(hit)
        headers = {
            **_hash_header(service.layers[layer]),
            "ETag": made.etag,
            "Cache-Control": f"public, max-age={_TILE_AGE}",
            "X-Cache": "hit" if hit else "miss",
        }
        if made.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(made.png, media_type="image/png", headers=headers)


def _add_pages(app: Any, service: Service) -> None:
    from fastapi.responses import JSONResponse, Response

    @app.get("/healthz")
    async def health() -> JSONResponse:
        """Say that the server is there, and how much it has to do."""
        return JSONResponse({"status": "ok", "jobs": service.gate.held})

    @app.get("/metrics")
    async def metrics() -> Response:
        """Tell numbers about the server in Prometheus's text format."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    def page(name: str, media: str) -> Callable[[], Any]:
        async def send() -> Response:
            return Response(_asset(name), media_type=media, headers=_PAGE_HEADERS)

        return send

    for name, media in _PAGES.items():
        app.get(f"/{name}", include_in_schema=False)(page(name, media))


@cache
def _asset(name: str) -> bytes:
    """Return a file of the map page: all are of this package, none is from anywhere else."""
    file = name if "." in name else f"{name}.html"
    return (Path(__file__).parent / "assets" / file).read_bytes()


def _format(asked: str) -> str:
    """Return the media type of a format, or raise Problem 422."""
    if asked not in _FORMATS:
        raise Problem(422, f"format is {' or '.join(_FORMATS)}")
    return _FORMATS[asked]


def _hash_header(thing: Pipeline | Layer) -> dict[str, str]:
    return {"X-Config-Hash": thing.config_hash}
