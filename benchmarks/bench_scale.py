"""Claims: a scene's cost grows with its pixels and no faster; two Dask workers nearly halve it.

A run by blocks (`map_patches`) of a file into a Zarr store: the same bytes from every scheduler.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from compare import Comparison
from georeader.geotensor import GeoTensor
from georeader.rasterio_reader import RasterioReader
from rasterio import Affine
from rasterio.windows import Window
from scenes import ndvi_operator

from geopatcher import (
    SpatialHann,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
    map_patches,
    merge_to_file,
)

TILE = 10980
QUICK_TILE = 2745
PATCHER = SpatialPatcher(
    SpatialRectangular(256, boundary="shift"), SpatialRegularStride(192), SpatialHann()
)


@pytest.fixture(scope="module")
def make_file(tmp_path_factory):
    """Return a maker of a two-band COG of rows x cols random digital numbers."""
    folder = tmp_path_factory.mktemp("scale")

    def make(rows: int, cols: int) -> Path:
        path = folder / f"{rows}x{cols}.tif"
        if not path.exists():
            part = np.random.default_rng(0).integers(1, 10_000, (2, 1098, cols), dtype=np.uint16)
            whole = np.broadcast_to(part[:, None], (2, -(-rows // 1098), 1098, cols))
            values = whole.reshape(2, -1, cols)[:, :rows]
            scene = GeoTensor(values, Affine(10, 0, 699960, 0, -10, 4400040), "EPSG:32610")
            copying = SpatialPatcher(
                SpatialRectangular(512, boundary="shrink"), SpatialRegularStride(512)
            )
            merge_to_file(
                copying.stream(scene), scene, SpatialOverlapAdd(dtype="uint16", fill_value=0), path
            )
        return path

    return make


def digest(store: Path) -> str:
    whole = hashlib.sha256()
    for file in sorted(path for path in store.rglob("*") if path.is_file()):
        whole.update(str(file.relative_to(store)).encode() + file.read_bytes())
    return whole.hexdigest()


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_two_dask_workers_against_one(
    make_file, tmp_path, compare: Comparison, quick: bool
) -> None:
    from distributed import Client

    side = QUICK_TILE if quick else TILE
    reader = RasterioReader(str(make_file(side, side)))
    operator = ndvi_operator(2)
    target = tmp_path / "out.zarr"
    made = {}

    def run(name: str, scheduler: object, workers: int) -> None:
        map_patches(
            PATCHER, reader, operator, target=target, scheduler=scheduler, workers=workers,
            progress=False,
        )  # fmt: skip
        made[name] = digest(target)

    options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "set_as_default": False}
    with Client(n_workers=1, **options) as one, Client(n_workers=2, **options) as two:
        compare(
            f"a run by blocks over Dask ({side} x {side})",
            {
                "one worker": lambda: run("one", one, 1),
                "two workers": lambda: run("two", two, 2),
                "threads, 2": lambda: run("threads", "threads", 2),
            },
            baseline="one worker",
            targets={"two workers": 1 / 1.6},
            rounds=3,
        )
    assert len(set(made.values())) == 1, "the same bytes from every scheduler"


def test_cost_grows_with_the_pixels(make_file, tmp_path, compare: Comparison, quick: bool) -> None:
    side = QUICK_TILE // 2 if quick else TILE // 2
    path = make_file(4 * side, 4 * side)  # up to four tiles: 16 of these quarter tiles
    whole = RasterioReader(str(path))
    operator = ndvi_operator(2)

    def run(times: int) -> None:
        part = whole.read_from_window(Window(0, 0, times * side, times * side), boundless=False)
        map_patches(PATCHER, part, operator, target=tmp_path / "out.zarr", progress=False)

    compare(
        f"cost in pixels: 1, 4 and 16 times {side} x {side}",
        {"1": lambda: run(1), "4": lambda: run(2), "16": lambda: run(4)},
        baseline="1",
        targets={"4": 4 * 1.15, "16": 16 * 1.15},
        rounds=3,
    )
