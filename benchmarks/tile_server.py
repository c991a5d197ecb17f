"""One of the servers that `bench_serve.py` asks: `python -m tile_server KIND FILE --port PORT`.

Kinds: `bare` answers every address with the same bytes and does nothing else; `kept` is geostack's
service with its cache; `made` is the same with a cache too small for any tile.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import uvicorn

from geostack.serve import Layer, Limits, create_app, file_layer
from geostack.serve.connection import server_options
from geotoolz import NDVI, Colormap, DNToReflectance

BANDS = ("B04", "B08")
# As many jobs at the same time as clients wait: what is measured is the answer, not a refusal.
WAITING = 64


def ndvi_layer(path: Path) -> Layer:
    """The layer that is measured: two bands, digital numbers to the colours of NDVI."""
    colours = DNToReflectance() | NDVI(red_idx="B04", nir_idx="B08") | Colormap("BrBG", -1.0, 1.0)
    return file_layer(path, colours, BANDS)


def service(path: Path, tile_cache: int) -> tuple[Any, dict[str, Any]]:
    """geostack's service and the options it runs with."""
    limits = Limits(running=2, waiting=WAITING, seconds=60.0, tile_cache=tile_cache)
    app = create_app(layers={"ndvi": ndvi_layer(path)}, limits=limits)
    return app, server_options(app)


def bare(png: bytes) -> tuple[Any, dict[str, Any]]:
    """A service that only sends: what HTTP itself costs here."""
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    async def send(request: Any) -> Response:
        return Response(png, media_type="image/png")

    return Starlette(routes=[Route("/{path:path}", send)]), {"http": "h11", "ws": "none"}


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("bare", "kept", "made"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--port", type=int, required=True)
    asked = parser.parse_args()
    if asked.kind == "bare":
        app, options = bare(asked.file.read_bytes())
    else:
        app, options = service(asked.file, 64 << 20 if asked.kind == "kept" else 1)
    uvicorn.run(app, port=asked.port, log_level="critical", **options)


if __name__ == "__main__":
    main()
