"""Claim: waiting is shared: four bands cost little more than one, and headers come together.

Files lie on an HTTP server in a process of its own that answers every request after 50 ms, as a
store some way off does. GDAL remembers what it has read from an address, so each run reads
addresses that it has never seen.
"""

from __future__ import annotations

import itertools
import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from compare import Comparison

from geocatalog.grid import pixel_grid
from geostack.read import Asset, asset_grid, in_parallel, read_asset
from geostack.sources.archive import ArchiveSource

SUPPORT = Path(__file__).resolve().parents[1] / "tests" / "support"
sys.path.insert(0, str(SUPPORT))

LATENCY = 0.05
BANDS = ("B02", "B03", "B04", "B08")
COPIES = 60
"""Addresses of each file: at least as many as there are runs."""
SOURCE = ArchiveSource([])


def serve(folder: Path, latency: float, pipe: Connection) -> None:
    """Serve a folder's files under many addresses until told to stop; tell requests if asked."""
    sys.path.insert(0, str(SUPPORT))
    from loopback import Loopback

    with Loopback() as server:
        server.latency = latency
        for path in folder.rglob("*.tif"):
            for copy in range(COPIES):
                server.files[f"{copy}/{path.relative_to(folder).as_posix()}"] = path
        pipe.send(server.url)
        while pipe.recv() != "stop":
            pipe.send(len(server.records))


@dataclass
class Remote:
    """A server of a folder's files in a process of its own."""

    url: str
    pipe: Connection

    def requests(self) -> int:
        """Return how many requests it has answered so far."""
        self.pipe.send("requests")
        return self.pipe.recv()


@contextmanager
def remote(folder: Path, latency: float = LATENCY) -> Iterator[Remote]:
    """Serve a folder's files on loopback."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(folder, latency, there), daemon=True)
    process.start()
    try:
        yield Remote(here.recv(), here)
    finally:
        here.send("stop")
        process.join(10)


class Addresses:
    """Assets of files under addresses not used before."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.numbers = itertools.count()

    def __call__(self, names: tuple[str, ...]) -> list[Asset]:
        copy = next(self.numbers) % COPIES
        return [
            Asset("scene", name, f"{self.url}/files/{copy}/{name}.tif", SOURCE) for name in names
        ]


def test_four_bands_against_one(compare: Comparison, tmp_path: Path) -> None:
    from rasterio import Affine
    from tiny_scenes import EPSG, NORTH, WEST, make_scene

    name = make_scene(tmp_path, bands=BANDS)["id"]
    grid = pixel_grid(EPSG, Affine(10, 0, WEST + 1000, 0, -10, NORTH - 1000), (256, 256))

    def read(assets: list[Asset]) -> None:
        in_parallel(lambda asset: read_asset(asset, grid), assets)

    with remote(tmp_path / "sentinel-2-l2a" / name) as server:
        assets = Addresses(server.url)
        compare(
            "a chip of 256 x 256 from a server 50 ms away",
            {
                "one band": lambda: read(assets(BANDS[2:3])),
                "four bands": lambda: read(assets(BANDS)),
                "four bands, one by one": lambda: [read([a]) for a in assets(BANDS)],
            },
            baseline="one band",
            targets={"four bands": 1.1},
            rounds=7,
        )


def test_headers(compare: Comparison, tmp_path: Path, quick: bool) -> None:
    import numpy as np
    from tiny_scenes import write_cog

    count = 8 if quick else 200
    first = write_cog(tmp_path / "0.tif", np.ones((256, 256), dtype="uint16"), 10)
    for number in range(1, count):
        (tmp_path / f"{number}.tif").write_bytes(first.read_bytes())
    names = tuple(str(number) for number in range(count))
    with remote(tmp_path) as server:
        assets = Addresses(server.url)
        compare(
            f"headers of {count} files from a server 50 ms away",
            {
                "one by one": lambda: [asset_grid(asset) for asset in assets(names)],
                "at the same time": lambda: in_parallel(asset_grid, assets(names)),
            },
            baseline="one by one",
            targets={"at the same time": 1 / 8},
            rounds=1,
            warm=True,  # its times are waiting, which hardly varies
            per=("file", count),
        )
