"""A server whose source fails in every way a source can: `python faulty_server.py ARCHIVE`.

It prints its address, serves until SIGTERM, and finishes what is under way.
"""

from __future__ import annotations

import logging
import random
import shutil
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiny_scenes import scene_bbox

from geostack.errors import SourceUnavailableError
from geostack.serve import Limits, Pipeline, create_app, scene_layer
from geostack.sources.archive import ArchiveSource
from geotoolz import NDVI, Colormap, DNToReflectance, ToRGB
from pipekit import Operator

BANDS = ("B04", "B08")
TO_NDVI = DNToReflectance() | NDVI(red_idx="B04", nir_idx="B08")
COLOURS = {
    "ndvi": (TO_NDVI | Colormap("BrBG", -1.0, 1.0), BANDS),
    "colour": (DNToReflectance() | ToRGB(("B04", "B03", "B02"), limits=(0, 0.5)), ("B02", "B03", "B04")),
}  # fmt: skip
LIMITS = Limits(running=3, waiting=8, seconds=5.0, body_seconds=60.0, tile_cache=200_000)
"""Few places and little time, so that sixteen clients meet both; a client may stand still."""

GO_ON = "go-on"
"""The file that ends what waits, in the server's own folder."""


class Wait(Operator):
    """Works until a file is there."""

    def __init__(self, file: str) -> None:
        self.file = file

    def _apply(self, raster: Any) -> Any:
        while not Path(self.file).exists():
            time.sleep(0.01)
        return raster


@dataclass(frozen=True)
class Rates:
    """How often, of all reads, each fault happens."""

    missing: float = 0.04
    truncated: float = 0.10
    down: float = 0.04
    slow: float = 0.10
    stuck: float = 0.004
    """Longer than an answer may take."""


class FaultySource:
    """A source of scenes, some of whose reads fail, stall or find a file cut short."""

    def __init__(self, source: Any, folder: Path, rates: Rates, seed: int = 0) -> None:
        self.name = source.name  # it is written into every result
        self.source, self.folder, self.rates = source, folder, rates
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._cut: dict[str, list[str]] = {}

    def search(self, *args: Any, **kwargs: Any) -> list[Any]:
        if self._draw() < self.rates.down:
            raise SourceUnavailableError("https://secret.example/?sig=abc is down")
        return list(self.source.search(*args, **kwargs))

    def sign(self, href: str, *, renew: bool = False) -> str:
        draw, rates = self._draw(), self.rates
        for kind in ("missing", "truncated", "down", "slow", "stuck"):
            rate = getattr(rates, kind)
            if draw < rate:
                return self._faulty(kind, href)
            draw -= rate
        return href

    def _faulty(self, kind: str, href: str) -> str:
        if kind == "missing":
            return f"{href}.gone"
        if kind == "truncated":
            return self._random.choice(self._cut_copies(href))
        if kind == "down":
            raise SourceUnavailableError("https://secret.example/?sig=abc is down")
        time.sleep(0.15 if kind == "slow" else LIMITS.seconds + 0.5)
        return href

    def _cut_copies(self, href: str) -> list[str]:
        """Copies cut within the header, within the data, and by one byte; made once."""
        with self._lock:
            if href not in self._cut:
                size = Path(href).stat().st_size
                self._cut[href] = [
                    self._copy(href, number, length)
                    for number, length in enumerate((60, size // 3, int(0.9 * size), size - 1))
                ]
            return self._cut[href]

    def _copy(self, href: str, number: int, length: int) -> str:
        path = self.folder / f"{len(self._cut)}-{number}.tif"
        shutil.copyfile(href, path)
        with path.open("r+b") as file:
            file.truncate(length)
        return str(path)

    def _draw(self) -> float:
        with self._lock:
            return self._random.random()

    def covers(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self.source.covers(*args, **kwargs))

    def dates_near(self, *args: Any, **kwargs: Any) -> Any:
        return self.source.dates_near(*args, **kwargs)

    def describe(self) -> str:
        return f"{self.source.describe()}, failing now and then"


def layers(source: Any, of: Any) -> dict[str, Any]:
    """The layers of the one scene, its pixels read through `of`."""
    (item,) = source.search("sentinel-2-l2a", scene_bbox(), "2024-06-14/2024-06-14")
    return {name: scene_layer(item, op, bands, of) for name, (op, bands) in COLOURS.items()}


def make_app(archive: Path, folder: Path, rates: Rates) -> Any:
    """The application: two layers, a pipeline, and one that takes its time."""
    clean = ArchiveSource([archive])
    faulty = FaultySource(clean, folder, rates)
    pipelines = {
        "ndvi": Pipeline(TO_NDVI, BANDS),
        "wait": Pipeline(Wait(str(folder / GO_ON)), BANDS),
    }
    scene = layers(clean, faulty)
    return create_app(pipelines, scene, source=faulty, limits=LIMITS, accept_yaml=True)


def main(archive: str, folder: str) -> None:
    """Serve on a free port of this machine until told to stop."""
    import uvicorn

    from geostack.serve.connection import server_options

    logging.disable()
    app = make_app(Path(archive), Path(folder), Rates())
    options = {**server_options(app), "timeout_keep_alive": 60}
    config = uvicorn.Config(app, log_level="critical", **options)
    with socket.socket() as here:
        here.bind(("127.0.0.1", 0))
        print(here.getsockname()[1], flush=True)
        uvicorn.Server(config).run(sockets=[here])


if __name__ == "__main__":
    main(*sys.argv[1:])
