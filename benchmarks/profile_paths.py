"""Where time goes: each path by stage, beside what the machine could do at best.

python benchmarks/profile_paths.py            writes docs/reference/where-time-goes.md's table
python benchmarks/profile_paths.py --quick    the same with smaller data, into .benchmarks/

A stage's time is the difference of two runs, one with it and one without, so stages add up to
the whole. Medians of some rounds.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import networks
import numpy as np
import profile_runs
import rasterio
from bench_catalog import questions, scenes
from bench_read import LATENCY, remote
from georeader.geotensor import GeoTensor
from georeader.rasterio_reader import RasterioReader
from object_store import seaweedfs
from peers import unusable
from profiles import Profile, differences, drain, seconds
from rasterio.windows import Window
from report import duration
from scenes import SIZE, chips, make_scene, ndvi_operator, unknown

from geocatalog import InMemoryGeoCatalog, open_catalog, to_geoparquet
from geopatcher import (
    RasterDomain,
    RasterField,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
    map_patches,
    merge_to_file,
)
from geopatcher.files.block_cache import bounded_cache
from geopatcher.files.rows import RasterSpec
from geopatcher.files.zarr import SHARD, ShardWriter, ZarrRows
from geopatcher.plan import Plan

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "where-time-goes.md"
BEGIN, END = "## Measured\n", "## How to read it\n"
PATCHER = chips()


def main() -> None:
    """Measure every path and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller data, another file")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        table = list(written(paths(quick, Path(folder)), quick))
    if quick:
        target = ROOT / ".benchmarks" / PAGE.name
        target.parent.mkdir(exist_ok=True)
        target.write_text("\n".join(table) + "\n", "utf-8")
        return
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text("\n".join([before + BEGIN, *table, "", END + after]), "utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")


def paths(quick: bool, folder: Path) -> Iterator[Profile]:
    """Yield each path, measured."""
    side = 2048 if quick else 10980
    scene = make_scene((2, side, side))
    yield stitch(scene, blended=False)
    yield stitch(scene, blended=True)
    yield run_by_blocks(scene, folder)
    rows = 100_000 if quick else 1_000_000
    yield query_in_memory(rows)
    yield query_from_a_file(rows, folder)
    yield chip_from_a_file(folder)
    yield chip_from_afar(folder)
    yield profile_runs.neighbourhoods(side)
    if quick:
        return
    if not any(map(unusable, networks.MODULES)):
        yield profile_runs.network()
    yield profile_runs.median_of_dates(folder / "dates")
    yield profile_runs.zones(folder / "zones")
    yield profile_runs.query_of_a_folder(folder / "rows")
    if seaweedfs() is not None:
        yield profile_runs.run_on_a_store(folder / "far")


# ---- pixels


def stitch(scene: GeoTensor, blended: bool) -> Profile:
    """Measure the stitch of an NDVI in memory by one worker."""
    operator = ndvi_operator(2)
    merge = SpatialOverlapAdd()
    stream = PATCHER.stream(scene)
    mapped = stream.map(unknown(operator) if blended else operator)
    planned: Any = Plan(mapped, mapped.domain, merge).stream

    stages = differences(
        cutting_chips=seconds(lambda: drain(planned.parent), 3),
        the_operator=seconds(lambda: drain(planned), 3),
        weighing_and_adding=seconds(lambda: merge.merge(mapped, scene), 3),
    )
    out = np.empty(scene.shape[-2:], np.float32)
    copy = seconds(lambda: [np.copyto(out, band, casting="unsafe") for band in scene.values], 3)
    how = "blended, each pixel 1.8 times" if blended else "pixel by pixel, each once"
    title = f"stitch in memory, {scene.shape}, {how}"
    return Profile(title, stages, copy, "reading two bands and writing one, once, in numpy")


def run_by_blocks(scene: GeoTensor, folder: Path) -> Profile:
    """Measure a whole-scene run from a COG into a Zarr store by one thread, at most a tile."""
    height, width = scene.shape[-2:]
    source = folder / "scene.tif"
    squares = SpatialPatcher(SpatialRectangular(512, boundary="shrink"), SpatialRegularStride(512))
    copying = SpatialOverlapAdd(dtype="uint16", fill_value=0)
    merge_to_file(squares.stream(scene), scene, copying, source)
    reader, operator = RasterioReader(str(source)), ndvi_operator(2)
    windows = [
        Window(col, row, min(SIZE, width - col), min(SIZE, height - row))
        for row in range(0, height, SIZE)
        for col in range(0, width, SIZE)
    ]

    def read(work: Callable[[GeoTensor], object]) -> None:
        field = RasterField(reader)  # opened anew, with nothing in GDAL's cache
        with bounded_cache(field):
            for window in windows:
                work(field.select(window))

    ndvi = np.asarray(operator(scene))

    def shards() -> None:
        spec = RasterSpec((), ndvi.dtype, RasterDomain(ndvi.shape), np.nan)
        writer = ShardWriter(ZarrRows(folder / "shards", spec, (256, 256), SHARD))
        for row in range(0, height, SIZE):
            writer.write(row, ndvi[row : row + SIZE])

    def whole() -> None:
        map_patches(PATCHER, reader, operator, target=folder / "o.zarr", workers=1, progress=False)

    decoded = seconds(lambda: read(lambda chip: None), 3)
    operated = seconds(lambda: read(operator), 3)
    compressed = seconds(shards, 3)
    stages = differences(
        reading_and_inflating=decoded,
        the_operator=operated,
        compressing_and_writing=operated + compressed,
        all_else=seconds(whole, 3),
    )
    fresh = folder / "copy.bin"

    def copy() -> None:
        fresh.write_bytes(source.read_bytes())
        ndvi.tofile(fresh)

    what = "reading the file's bytes, writing them and the result's, neither compressed"
    return Profile(f"run by blocks, COG to Zarr, {scene.shape}", stages, seconds(copy, 3), what)


# ---- catalogs


def query_in_memory(count: int) -> Profile:
    """Measure queries of a box and 30 days in memory."""
    import shapely

    table, asked = scenes(count), questions(200)
    catalog = InMemoryGeoCatalog(table)
    tree = shapely.STRtree(table.geometry.to_numpy())
    starts = table.start_time.dt.tz_localize(None).to_numpy().astype("int64")

    def in_time(box: tuple[float, ...], when: object) -> np.ndarray:
        hits = tree.query(shapely.box(*box))
        left, right = when.left.value // 1000, when.right.value // 1000  # type: ignore[attr-defined]
        return hits[(starts[hits] >= left) & (starts[hits] <= right)]

    walked = seconds(lambda: [tree.query(shapely.box(*box)) for box, _ in asked]) / len(asked)
    stages = differences(
        walking_the_tree=walked,
        comparing_times=seconds(lambda: [in_time(*one) for one in asked]) / len(asked),
        checks_and_row_numbers=seconds(
            lambda: [len(catalog.query(bounds=b, time=t)) for b, t in asked]
        )
        / len(asked),
        building_a_GeoDataFrame=seconds(
            lambda: [catalog.query(bounds=b, time=t).gdf for b, t in asked]
        )
        / len(asked),
    )
    found = [in_time(*one) for one in asked]
    shapes = table.geometry.to_numpy()
    limit = seconds(lambda: [shapes[rows] for rows in found]) / len(asked)
    what = "taking the rows of the answer, were their numbers known"
    return Profile(f"query of {count:,} rows in memory", stages, limit, what)


def query_from_a_file(count: int, folder: Path) -> Profile:
    """Measure queries of a box and 30 days from a GeoParquet file."""
    path = Path(to_geoparquet(InMemoryGeoCatalog(scenes(count)), folder / "rows.parquet"))
    catalog, asked = open_catalog(path), questions(20)
    import pyarrow.parquet as pq

    group = pq.ParquetFile(path).metadata.row_group(0)
    size = sum(group.column(i).total_compressed_size for i in range(group.num_columns))

    def one_group() -> None:
        with path.open("rb") as file:
            file.read(size)

    stages = differences(
        planning_from_statistics=seconds(
            lambda: [catalog.query(bounds=b, time=t).explain(analyze=False) for b, t in asked]
        )
        / len(asked),
        counting=seconds(lambda: [len(catalog.query(bounds=b, time=t)) for b, t in asked])
        / len(asked),
        fetching_rows_as_a_GeoDataFrame=seconds(
            lambda: [catalog.query(bounds=b, time=t).gdf for b, t in asked]
        )
        / len(asked),
    )
    what = f"reading the bytes of one row group of {group.num_rows:,} rows"
    return Profile(f"query of {count:,} rows in a file", stages, seconds(one_group), what)


# ---- chips


def chip_from_a_file(folder: Path) -> Profile:
    """Measure a chip of two bands from a COG on this machine."""
    path = str(folder / "scene.tif")
    reader = RasterioReader(path)
    field, window = RasterField(reader), Window(1024, 1024, SIZE, SIZE)
    places = [Window(512 * n, 512, SIZE, SIZE) for n in range(4)]

    def opened() -> None:
        rasterio.open(path).close()

    def decoded() -> None:
        with rasterio.open(path) as file:
            for place in places:
                file.read(window=place)

    opening = seconds(opened, 9)
    inflating = (seconds(decoded, 9) - opening) / len(places)
    with rasterio.Env(), rasterio.open(path) as file:
        file.read(window=window)
        kept = seconds(lambda: [file.read(window=window) for _ in range(50)], 9) / 50
    ours = seconds(lambda: [field.select(window) for _ in range(50)], 9) / 50
    chip = np.asarray(field.select(window))
    limit = seconds(lambda: [chip.copy() for _ in range(50)], 9) / 50
    stages = {
        "opening the file, once": opening,
        "inflating its blocks, once each": inflating,
        "copying out of GDAL's cache": kept,
        "the chip's place and attributes": max(ours - kept, 0.0),
    }
    what = "copying the chip's pixels"
    return Profile(f"a chip of (2, {SIZE}, {SIZE}) from a file", stages, limit, what)


def chip_from_afar(folder: Path) -> Profile:
    """Measure a chip of four bands from a server that answers after 50 ms."""
    from bench_read import BANDS, Addresses
    from rasterio import Affine
    from tiny_scenes import EPSG, NORTH, WEST
    from tiny_scenes import make_scene as make_tiny_scene

    from geocatalog.grid import pixel_grid
    from geostack.read import asset_grid, in_parallel, read_asset

    name = make_tiny_scene(folder, bands=BANDS)["id"]
    place = Affine(10, 0, WEST + 1000, 0, -10, NORTH - 1000)
    grid = pixel_grid(EPSG, place, (SIZE, SIZE))
    with remote(folder / "sentinel-2-l2a" / name) as server:
        assets = Addresses(server.url)
        header = seconds(lambda: asset_grid(assets(BANDS[:1])[0]), 5)
        one = seconds(lambda: read_asset(assets(BANDS[:1])[0], grid), 5)
        before = server.requests()
        read_asset(assets(BANDS[:1])[0], grid)
        requests = server.requests() - before
        four = seconds(lambda: in_parallel(lambda a: read_asset(a, grid), assets(BANDS)), 5)
    stages = differences(
        header=header, pixels_of_one_band=one, three_more_bands_at_the_same_time=four
    )
    what = f"one round trip; a band takes {requests} requests"
    return Profile(f"a chip of (4, {SIZE}, {SIZE}) from 50 ms away", stages, LATENCY, what)


# ---- the page


def written(found: Iterator[Profile], quick: bool) -> Iterator[str]:
    """Yield the lines of the table."""
    yield (
        f"Made by `make {'bench-quick' if quick else 'bench'}` on {datetime.now(UTC):%Y-%m-%d}: "
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}. One "
        "worker. The limit is measured in the same run."
    )
    yield ""
    yield "| path | stage | time | share |"
    yield "| --- | --- | --- | --- |"
    for path in found:
        print(f"{path.title}: {duration(path.whole)}", flush=True)
        for number, (stage, took) in enumerate(path.stages.items()):
            name = f"**{path.title}**" if number == 0 else ""
            yield f"| {name} | {stage} | {duration(took)} | {took / path.whole:.0%} |"
        times = path.whole / path.limit
        ratio = f"{times:,.0f}" if times >= 10 else f"{times:.1f}"
        yield f"| | together | {duration(path.whole)} | {ratio} x the limit |"
        yield f"| | *limit: {path.what}* | {duration(path.limit)} | |"


if __name__ == "__main__":
    main()
