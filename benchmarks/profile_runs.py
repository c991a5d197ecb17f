"""Where time goes in what looks around, in networks, over time, in zones and on a store."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bench_neighbourhoods
import composing
import networks
import numpy as np
import pytest
import rasterio
from bench_archive import COLUMNS, Raw
from bench_archive import questions as boxes_on_land
from bench_store import far_store
from bench_zones import MEANS, Land, make_land
from profiles import Profile, differences, drain, seconds
from pystac import Item
from rasterio.windows import Window
from scenes import chips, make_file, make_scene, ndvi_operator

from geocatalog import open_catalog
from geocatalog.grid import part_of
from geopatcher import SpatialOverlapAdd, map_patches
from geopatcher.files.target import open_lazily
from geopatcher.plan import Plan
from geotoolz import composite, zonal
from pipekit.places import Place

DATES, SIDE, FAR_SIDE = 12, 1024, 2048
ROWS = 1_000_000


def neighbourhoods(side: int) -> Profile:
    """Measure the stitch of a mean over 9 x 9 pixels by one worker."""
    scene, operator = make_scene((2, side, side)), bench_neighbourhoods.smoothed(2)
    patcher, merge = chips(), SpatialOverlapAdd()
    mapped = patcher.stream(scene).map(operator)
    planned = Plan(mapped, mapped.domain, merge).stream  # its rims are cut off again
    rimmed = planned.parent  # type: ignore[union-attr]
    stages = differences(
        cutting_chips_with_rims=seconds(lambda: drain(rimmed.parent), 3),
        the_operator=seconds(lambda: drain(rimmed), 3),
        cutting_rims_off_and_laying_down=seconds(lambda: merge.merge(mapped, scene), 3),
    )
    limit = seconds(lambda: bench_neighbourhoods.by_hand(scene), 3)
    title = f"NDVI and its 9 x 9 mean in memory, {scene.shape}"
    return Profile(title, stages, limit, "numpy and scipy by hand, on the whole scene at once")


def network() -> Profile:
    """Measure a network over the chips of a scene in memory."""
    shape = (4, 666, 666)
    scene, operator = networks.numbers(shape), networks.network()
    stream, batches = networks.PATCHES.stream(scene), networks.chips_of(scene)
    cut = seconds(lambda: drain(stream), 3)
    stacked = [np.stack([p.data.values for p in group]) for group in grouped(list(stream))]
    prepared = cut + seconds(lambda: [operator._prepared(s, None) for s in stacked], 3)
    session = seconds(lambda: networks.bare(batches), 3)
    stages = differences(
        cutting_chips=cut,
        scaling_and_normalising=prepared,
        the_network=prepared + session,
        probabilities__weighing_and_adding=seconds(lambda: networks.stitched(scene), 3),
    )
    title = f"a network on {shape}, {sum(map(len, batches))} chips"
    return Profile(title, stages, session, "its session alone, on chips that are there already")


def grouped(patches: list) -> Iterator[list]:
    """Yield patches in batches."""
    for first in range(0, len(patches), networks.BATCH):
        yield patches[first : first + networks.BATCH]


def median_of_dates(folder: Path) -> Profile:
    """Measure a median of dates by one worker, from COGs to a Zarr store."""
    folder.mkdir()
    composing.make(folder, DATES, SIDE)
    items = [Item.from_dict(each) for each in json.loads((folder / "items.json").read_text())]
    paths = [str(asset.href) for item in items for asset in item.assets.values()]
    store, quiet = folder / "median.zarr", {"workers": 1, "connections": 1, "progress": False}
    field = composite(items, composing.BANDS, connections=1, lazy=True)
    windows = [Window(c, r, 512, 512) for r in range(0, SIDE, 512) for c in range(0, SIDE, 512)]

    def opened() -> None:
        for path in paths:
            rasterio.open(path).close()

    def inflated() -> None:
        for path in paths:
            with rasterio.open(path) as file:
                file.read()

    def read() -> None:
        for window in windows:
            stack = field.stack(part_of(field.grid, window.row_off, window.col_off, 512, 512))
            assert stack is not None

    decoding = seconds(inflated, 3)
    stages = differences(
        opening_files__once_each=seconds(opened, 3),
        inflating=decoding,
        masks__offsets_and_stacks_of_dates=seconds(read, 3),
        medians=seconds(lambda: [field.select(window) for window in windows], 3),
        writing_and_all_else=seconds(
            lambda: composite(items, composing.BANDS, target=store, **quiet), 3
        ),
    )
    title = f"a median of {DATES} dates x 4 bands x {SIDE} x {SIDE} pixels"
    return Profile(title, stages, decoding, "opening and inflating each file once, by one thread")


def zones(folder: Path) -> Profile:
    """Measure series of fields, whose shares of pixels are found once for all dates."""
    folder.mkdir()
    land = make_land(folder, 2745, 2_000, DATES)

    def run(dates: int, statistics: tuple[str, ...] = MEANS) -> object:
        return zonal(land.catalog(dates), land.fields, statistics=statistics, progress=False)

    one, all_dates = seconds(lambda: run(1), 3), seconds(lambda: run(DATES), 3)
    a_date = (all_dates - one) / (DATES - 1)
    reading = seconds(lambda: inflate(land), 3)
    stages = differences(
        shares_of_pixels__once=one - a_date,
        opening_and_inflating=one - a_date + reading,
        weighing_and_the_table=all_dates,
    )
    title = f"{len(land.fields):,} fields on {DATES} dates"
    return Profile(title, stages, reading, "opening and inflating each file once")


def inflate(land: Land) -> None:
    """Read every date's file."""
    for path in land.paths:
        with rasterio.open(path) as file:
            file.read()


def query_of_a_folder(folder: Path) -> Profile:
    """Measure queries of an archive's folder, parted by month."""
    folder.mkdir()
    script = Path(__file__).with_name("orbits.py")
    command = [sys.executable, str(script), str(ROWS), str(folder / "rows")]
    subprocess.run(command, check=True, capture_output=True)
    catalog, raw = open_catalog(folder / "rows"), Raw(folder / "rows")
    extent = catalog.temporal_extent
    assert extent is not None
    asked = boxes_on_land(20, extent)
    queries = [{"bounds": box, "time": during} for box, during in asked]
    stages = differences(
        choosing_files=seconds(lambda: [catalog.query(**q) for q in queries]),
        counting=seconds(lambda: [len(catalog.query(**q)) for q in queries]),
        fetching_rows_as_Arrow=seconds(lambda: [catalog.query(**q).to_arrow() for q in queries]),
        building_a_GeoDataFrame=seconds(lambda: [catalog.query(**q).gdf for q in queries]),
    )
    limit = seconds(lambda: [raw.ask(COLUMNS, q, True) for q in asked])
    each = {stage: took / len(asked) for stage, took in stages.items()}
    what = "DuckDB that is told the files of the months, its rows as tuples"
    return Profile(f"query of {ROWS:,} rows in a folder", each, limit / len(asked), what)


def run_on_a_store(folder: Path) -> Profile:
    """Measure a run by blocks from a store 50 ms away into one, beside a local folder."""
    folder.mkdir()
    path = make_file(folder / "far.tif", (2, FAR_SIDE, FAR_SIDE))
    operator, patcher, archive = ndvi_operator(2), chips(), Place("s3", "archive", "profile")

    def run(source: Any, work: Callable[[Any], Any], target: Any = None) -> float:
        def whole() -> None:
            if isinstance(source, Place):
                source.forget()  # what GDAL has read of it
            how: dict[str, Any] = {"target": target, "workers": 4, "progress": False}
            map_patches(patcher, open_lazily(source), work, **how)

        return seconds(whole, 3)

    here = run(path, first_band), run(path, operator, folder / "ndvi.zarr")
    with pytest.MonkeyPatch.context() as patch, far_store(folder, patch):
        scene, store = archive / "scene.tif", archive / "ndvi.zarr"
        scene.upload(path)
        far = run(scene, first_band), run(scene, operator, store)
    stages = differences(
        reading_and_inflating=here[0],
        waiting_for_reads=far[0],
        the_operator__compressing__writing=far[0] + here[1] - here[0],
        waiting_for_writes=far[1],
    )
    title = f"NDVI from and to a store 50 ms away, (2, {FAR_SIDE}, {FAR_SIDE}), four workers"
    return Profile(title, stages, here[1], "the same from and to a local folder")


def first_band(chip: Any) -> Any:
    """Return a chip's first band, which is next to no work."""
    return chip[0]


first_band.local = True  # type: ignore[attr-defined]
