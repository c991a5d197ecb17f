"""Claim: cost grows with the work and no faster, and two Dask workers nearly halve it.

Against pixels, chips, rows of a catalog, scenes of a catalog run, and workers; slopes on log axes
are fitted, 1 where cost is linear. What is above or below 1 is explained in
docs/reference/where-time-goes.md.
"""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_catalog import questions, scenes
from compare import Comparison
from decoding import decode
from georeader.geotensor import GeoTensor
from georeader.rasterio_reader import RasterioReader
from rasterio import Affine
from rasterio.windows import Window
from scenes import chips, make_scene, ndvi_operator, unknown
from slopes import tell_slope

from geocatalog import InMemoryGeoCatalog, build_raster_catalog
from geopatcher import (
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
    map_patches,
    merge_to_file,
)
from geotoolz import NDVI, write_cog
from geotoolz.catalog_ops import CatalogPipeline

TILE = 10980
QUICK_TILE = 3294
PATCHER = chips()
PLACE = Affine(10, 0, 699960, 0, -10, 4400040)

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(scope="module")
def tile(tmp_path_factory, request) -> Path:
    """Return a two-band COG of random digital numbers: a whole tile, or a quarter of one."""
    side = QUICK_TILE if request.config.getoption("--quick") else TILE
    part = np.random.default_rng(0).integers(1, 10_000, (2, 1098, side), dtype=np.uint16)
    whole = np.broadcast_to(part[:, None], (2, side // 1098, 1098, side)).reshape(2, side, side)
    copying = SpatialPatcher(SpatialRectangular(512, boundary="shrink"), SpatialRegularStride(512))
    path = tmp_path_factory.mktemp("scale") / "tile.tif"
    scene = GeoTensor(whole, PLACE, "EPSG:32610")
    merge = SpatialOverlapAdd(dtype="uint16", fill_value=0)
    merge_to_file(copying.stream(scene), scene, merge, path)
    return path


@contextmanager
def clusters() -> Iterator[dict[str, Any]]:
    """Start Dask clusters of one and of two local workers, a process and a thread each."""
    from distributed import Client

    options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "set_as_default": False}
    with Client(n_workers=1, **options) as one, Client(n_workers=2, **options) as two:
        yield {"one worker": one, "two workers": two}


def digest(store: Path) -> str:
    """Return one hash of all files of a store, with their names."""
    whole = hashlib.sha256()
    for file in sorted(path for path in store.rglob("*") if path.is_file()):
        whole.update(str(file.relative_to(store)).encode() + file.read_bytes())
    return whole.hexdigest()


def test_workers(tile, tmp_path, compare: Comparison) -> None:
    operator, side = ndvi_operator(2), int(RasterioReader(str(tile)).shape[-1])
    with clusters() as made:
        runs = {name: run_of(tile, operator, tmp_path, client) for name, client in made.items()}
        runs |= {
            f"threads, {count}": run_of(tile, operator, tmp_path, "threads", count)
            for count in (1, 2)
        }
        stores = {name: digest(run()) for name, run in runs.items()}
        assert len(set(stores.values())) == 1, "the same bytes from every scheduler"
        group = compare(
            f"a run by blocks over Dask ({side} x {side})",
            runs,
            baseline="one worker",
            facts={name: {"bytes": "the same"} for name in runs},
            rounds=3,
            warm=True,
        )
    for row in group.rows:
        row.facts["megapixels a second"] = _speed(row.times, side)


def test_decoding_alone(tile, compare: Comparison) -> None:
    """What this machine gives two processes that share nothing but its memory."""
    side = int(RasterioReader(str(tile)).shape[-1])
    half = side // 2
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:

        def run(*shares: tuple[int, int]) -> None:
            for future in [pool.submit(decode, tile, *share) for share in shares]:
                future.result()

        runs = {
            "one process": lambda: run((0, side)),
            "two processes": lambda: run((0, half), (half, side)),
        }
        run((0, 1), (0, 1), (0, 1), (0, 1))
        compare(
            f"decoding the same file and nothing else ({side} x {side})",
            runs,
            baseline="one process",
            rounds=5,
        )


def run_of(
    tile: Path, operator: Any, folder: Path, scheduler: Any, workers: int | None = None
) -> Callable[[], Path]:
    """Return what runs an operator over a tile into a Zarr store, and tells where it is."""
    target, reader = folder / "out.zarr", RasterioReader(str(tile))

    def run() -> Path:
        options = {"scheduler": scheduler, "workers": workers, "progress": False}
        map_patches(PATCHER, reader, operator, target=target, **options)
        return target

    return run


def _speed(times: list[float], side: int) -> str:
    return f"{side * side / 1e6 / float(np.median(times)):.0f}"


def test_pixels(tile, tmp_path, compare: Comparison, quick) -> None:
    if quick:
        pytest.skip("the cost in chips and rows in the quick run")
    operator = unknown(ndvi_operator(2))  # blended, so that chips and overlaps are counted too
    target, side = tmp_path / "out.zarr", int(RasterioReader(str(tile)).shape[-1])
    heights = {name: side // parts for name, parts in (("quarter", 4), ("half", 2), ("whole", 1))}
    readers = {
        name: RasterioReader(str(tile), window_focus=Window(0, 0, side, height))
        for name, height in heights.items()
    }
    group = compare(
        f"cost in pixels: a quarter, half and whole of {side} squared",
        {
            name: lambda reader=reader: map_patches(
                PATCHER, reader, operator, target=target, progress=False
            )
            for name, reader in readers.items()
        },
        baseline="quarter",
        rounds=2,
        warm=True,
    )
    tell_slope(compare, group, {n: side * h / 1e6 for n, h in heights.items()}, "megapixel")


def test_chips(compare: Comparison, quick: bool) -> None:
    scene, operator = make_scene((2, 1536, 1536)), unknown(ndvi_operator(2))
    patchers = [chips(step) for step in ((192, 96, 48) if quick else (192, 96, 48, 24))]
    sizes = {f"step {p.sampler.step[0]}": float(p.n_anchors(scene)) for p in patchers}
    runs = {
        name: lambda patcher=patcher: patcher.merge(patcher.stream(scene).map(operator), scene)
        for name, patcher in zip(sizes, patchers, strict=True)
    }
    group = compare(
        "cost in chips of 256 x 256, blended into one scene in memory",
        runs,
        baseline="step 192",
        facts={name: {"chips": f"{count:,.0f}"} for name, count in sizes.items()},
        rounds=5,
    )
    tell_slope(compare, group, sizes, "chip")


@pytest.fixture(scope="module")
def catalogs(request) -> dict[int, InMemoryGeoCatalog]:
    """Return catalogs of 10^3 to 10^6 rows, 10^5 in a quick run."""
    most = 5 if request.config.getoption("--quick") else 6
    return {10**n: InMemoryGeoCatalog(scenes(10**n)) for n in range(3, most + 1)}


def test_rows_indexed(catalogs, compare: Comparison) -> None:
    def index(count: int) -> int:
        return len(InMemoryGeoCatalog(catalogs[count].gdf).query(bounds=(0, 0, 1, 1)))

    group = compare(
        "cost in rows: indexing a catalog",
        {f"{count:,}": lambda count=count: index(count) for count in catalogs},
        baseline="1,000",
        rounds=3,
    )
    tell_slope(compare, group, {f"{count:,}": float(count) for count in catalogs}, "row")


@pytest.mark.parametrize("grows", [False, True], ids=["same", "growing"])
def test_rows_queried(catalogs, compare: Comparison, grows: bool) -> None:
    def ask(count: int) -> int:
        side = 20_000.0 if grows else 20_000.0 * (100_000 / count) ** 0.5
        asked = questions(200, min(side, 500_000.0))
        return sum(len(catalogs[count].query(bounds=box, time=time)) for box, time in asked)

    for count in catalogs:
        ask(count)
    what = "answers that grow with the rows" if grows else "answers of one size"
    group = compare(
        f"cost in rows: 200 queries, {what}",
        {f"{count:,}": lambda count=count: ask(count) for count in catalogs},
        baseline="1,000",
        rounds=5,
        per=("query", 200),
    )
    sizes = {f"{count:,}": float(count) for count in catalogs}
    tell_slope(compare, group, sizes)


def test_scenes_of_a_catalog_run(tmp_path, compare: Comparison, quick) -> None:
    if quick:
        pytest.skip("the cost in chips and rows in the quick run")
    scene = make_scene((2, 512, 512))
    paths = [write_cog(scene, tmp_path / f"s_2024{n:04d}.tif") for n in range(101, 117)]
    counts = (4, 8, 16)
    catalogs = {
        n: build_raster_catalog(paths[:n], filename_regex=r"s_(?P<date>\d{8})") for n in counts
    }

    def run(count: int) -> int:
        made = CatalogPipeline(
            catalogs[count], NDVI(red_idx=0, nir_idx=1), writer=tmp_path / "made", workers=2
        ).run()
        return made[0].done

    assert [run(n) for n in counts] == list(counts)
    group = compare(
        "cost in scenes of a catalog run, each 512 x 512 to a COG",
        {str(n): lambda n=n: run(n) for n in counts},
        baseline="4",
        rounds=5,
    )
    tell_slope(compare, group, {str(n): float(n) for n in counts}, "scene")
