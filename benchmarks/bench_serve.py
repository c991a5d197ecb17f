"""Claims: a tile costs little, a kept or an empty one next to nothing, however many clients ask;
and under a minute of load with a source that fails, nothing wrong is ever answered.

Servers run in processes of their own on loopback; the clients share one process and its
interpreter lock, so the bare server beside them is what HTTP and they cost.
"""

from __future__ import annotations

import itertools
import random
import statistics
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from compare import Comparison, Group, Row

pytest.importorskip("fastapi", reason="needs the serve extra")
pytest.importorskip("rio_tiler", reason="needs the serve extra")

from georeader.geotensor import GeoTensor
from rasterio import Affine
from servers import Latency, ask_all, running_module
from tile_server import BANDS, ndvi_layer

from geotoolz import write_cog

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))

SIDE = 4096
ZOOM = 13
CLIENTS = (1, 8, 32)
BARE, KEPT, EMPTY, MADE = "bare server", "tile, kept", "tile, empty", "tile, made"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A COG of two bands, 4096 x 4096 pixels of 10 m, as smooth as land is."""
    rng = np.random.default_rng(0)
    broad = rng.integers(500, 4000, (2, SIDE // 64, SIDE // 64)).repeat(64, 1).repeat(64, 2)
    values = (broad + rng.integers(0, 200, (2, SIDE, SIDE))).astype("uint16")
    where = Affine(10, 0, 699_960, 0, -10, 4_400_040)
    raster = GeoTensor(values, where, "EPSG:32610", 0, {"band_names": list(BANDS)})
    return write_cog(raster, tmp_path_factory.mktemp("serve") / "scene.tif")


def paths_inside(path: Path) -> list[str]:
    """The addresses of all tiles wholly inside the scene at one zoom."""
    from rasterio.warp import transform_bounds

    west, south, east, north = transform_bounds(
        "EPSG:4326", "EPSG:3857", *ndvi_layer(path).bounds
    )  # fmt: skip
    edge = 20037508.342789244
    side = 2 * edge / 2**ZOOM
    columns = range(int((west + edge) / side) + 2, int((east + edge) / side) - 1)
    rows = range(int((edge - north) / side) + 2, int((edge - south) / side) - 1)
    return [f"/tiles/ndvi/{ZOOM}/{x}/{y}.png" for x, y in itertools.product(columns, rows)]


@pytest.fixture(scope="module")
def servers(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Addresses by kind: bare, kept, made."""
    png = tmp_path_factory.mktemp("png") / "tile.png"
    _, _, z, x, y = paths_inside(scene)[0].removesuffix(".png").split("/")[1:]
    png.write_bytes(ndvi_layer(scene).tile(int(z), int(x), int(y)))
    files = {"bare": png, "kept": scene, "made": scene}
    with ExitStack() as stack, ThreadPoolExecutor() as pool:  # each takes seconds to start

        def start(kind: str) -> str:
            path = {"PYTHONPATH": str(HERE)}
            return stack.enter_context(
                running_module("tile_server", kind, str(files[kind]), env=path)
            )

        yield dict(zip(files, pool.map(start, files), strict=True))


@pytest.mark.parametrize("clients", CLIENTS)
def test_latency_of_tiles(
    clients: int, servers: dict[str, str], scene: Path, compare: Comparison, quick: bool
) -> None:
    if quick and clients != CLIENTS[1]:
        pytest.skip("one number of clients in the quick run")
    inside = paths_inside(scene)[: 24 if quick else None]
    outside = [f"/tiles/ndvi/{ZOOM}/{x}/0.png" for x in range(len(inside))]
    ask_all(servers["kept"], inside + outside, clients=2)  # from now on they are kept
    order = random.Random(clients)

    def ask(kind: str, paths: list[str], count: int) -> Latency:
        chosen = [path for _ in range(-(-count // len(paths))) for path in _shuffled(paths, order)]
        run = ask_all(servers[kind], chosen[:count], clients=clients)
        assert run.failed == 0
        return run

    many, few = (100, 32) if quick else (1000, 64)
    rivals = {
        BARE: lambda: ask("bare", inside, many),
        KEPT: lambda: ask("kept", inside, many),
        EMPTY: lambda: ask("made", outside, many),
        MADE: lambda: ask("made", inside, few),
    }
    runs: dict[str, list[Latency]] = {name: [] for name in rivals}
    for number in range(2):
        for name in rivals if number % 2 else reversed(rivals):
            runs[name].append(rivals[name]())
    plural = "s" if clients > 1 else ""
    title = f"an NDVI tile of 256 x 256 pixels over HTTP, {clients} client{plural}"
    compare.groups.append(Group(title, BARE, [_row(name, runs) for name in rivals], ("tile", 1)))


def _shuffled(paths: list[str], order: random.Random) -> list[str]:
    return order.sample(paths, len(paths))


def _row(name: str, runs: dict[str, list[Latency]]) -> Row:
    own = [run.percentile(50) / 1e3 for run in runs[name]]
    base = [run.percentile(50) / 1e3 for run in runs[BARE]]
    facts = {
        f"p{q}": _ms(statistics.median(run.percentile(q) for run in runs[name])) for q in (95, 99)
    }
    facts["a second"] = f"{statistics.median(run.per_second for run in runs[name]):.0f}"
    return Row(name, own, [a / b for a, b in zip(own, base, strict=True)], facts=facts)


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds >= 100 else f"{milliseconds:.3g} ms"


def test_a_minute_of_load_with_a_source_that_fails(
    compare: Comparison, quick: bool, tmp_path: Path
) -> None:
    from serve_load import run_load

    outcome = run_load(tmp_path, seconds=2.0 if quick else 60.0, clients=16)
    print(outcome)
    assert outcome.wrong == []
    assert outcome.finished == [200] * 4, "stopping finished what was under way"
    assert outcome.exit_code in (0, -15)
    assert outcome.left == 0, "a process of a posted pipeline outlived the server"
    # Memory moves by a scene or two with what is under way; a leak would add up.
    assert outcome.growth < 24, f"memory grew by {outcome.growth:.0f} MB: {outcome}"
    before, after = outcome.memory_between(0.4, 0.6), outcome.memory_between(0.8, 1.0)
    memory = f"{before:.0f} MB half-way, {after:.0f} MB at the end"
    posted = {"clients that went away": str(outcome.dropped), "processes left": str(outcome.left)}
    rows = [
        _load_row(name, times, outcome.times, facts)
        for name, times, facts in (
            ("right answers", outcome.times, {"wrong": "0", "server's memory": memory} | posted),
            ("refused with a hint when to try again", outcome.refused, {}),
        )
    ]
    title = f"16 clients for {outcome.seconds:g} s at a service whose source fails now and then"
    compare.groups.append(Group(title, "right answers", rows, ("request", 1)))


def _load_row(name: str, times: list[float], base: list[float], facts: dict[str, str]) -> Row:
    cuts, own = statistics.quantiles(times, n=100), statistics.median(times)
    told = {"answers": str(len(times)), **{f"p{q}": _ms(1e3 * cuts[q - 1]) for q in (95, 99)}}
    return Row(name, [own], [own / statistics.median(base)], facts={**told, **facts})
