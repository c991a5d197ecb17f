"""Claim: a catalog of a million files answers in a fraction of a millisecond, from a file in few.

1,000 questions, each a box and 30 days; every rival answers the same ones. GeoPandas and shapely do
what their users would write by hand. Counts (row groups read) stand beside times.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import duckdb
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from compare import Comparison

from geocatalog import InMemoryGeoCatalog, from_stac_items, open_catalog, to_geoparquet

EXTENT = 1_000_000.0
"""Metres: side of the square that footprints of 1 km lie in."""
BOX = 20_000.0
DAYS = 1500
MILLION = 1_000_000
"""Rows that the targets for files are stated for."""
START = pd.Timestamp("2020-01-01", tz="UTC")


@cache
def scenes(count: int) -> gpd.GeoDataFrame:
    """Return `count` footprints of one instant each, in random order."""
    random = np.random.default_rng(0)
    west, south = random.uniform(0, EXTENT - 1000, (2, count))
    when = START + pd.to_timedelta(random.integers(0, 86_400 * DAYS, count), unit="s")
    return gpd.GeoDataFrame(
        {
            "filepath": [f"/archive/{i:07d}.tif" for i in range(count)],
            "start_time": when.as_unit("us"),
            "end_time": when.as_unit("us"),
            "cloud_cover": random.uniform(0, 100, count),
        },
        geometry=shapely.box(west, south, west + 1000, south + 1000),
        crs=32610,
    )


def questions(count: int, side: float = BOX) -> list[tuple[tuple[float, ...], pd.Interval]]:
    """Return boxes and 30-day intervals."""
    random = np.random.default_rng(1)
    corners = random.uniform(0, EXTENT - side, (count, 2))
    days = random.integers(0, DAYS - 30, count)
    found = []
    for (west, south), day in zip(corners, days, strict=True):
        first = START + pd.Timedelta(days=int(day))
        last = first + pd.Timedelta(days=30)
        interval = pd.Interval(first, last, closed="both")
        found.append(((west, south, west + side, south + side), interval))
    return found


def by_geopandas(table: gpd.GeoDataFrame, box, time) -> gpd.GeoDataFrame:
    hits = table.iloc[table.sindex.query(shapely.box(*box), predicate="intersects")]
    return hits[(hits.start_time <= time.right) & (hits.end_time >= time.left)]


@pytest.mark.parametrize("count", [100_000, 1_000_000])
def test_queries_in_memory(compare: Comparison, quick: bool, count: int) -> None:
    if quick and count > 100_000:
        pytest.skip("small catalogs only")
    table, asked = scenes(count), questions(1000)
    catalog = InMemoryGeoCatalog(table)
    tree = shapely.STRtree(table.geometry.to_numpy())
    starts = table.start_time.dt.tz_localize(None).to_numpy().astype("int64")

    def bare(box, time):
        hits = tree.query(shapely.box(*box))
        first, last = time.left.value // 1000, time.right.value // 1000
        return hits[(starts[hits] <= last) & (starts[hits] >= first)]

    for box, time in asked[:20]:
        expected = len(by_geopandas(table, box, time))
        assert len(catalog.query(bounds=box, time=time)) == len(bare(box, time)) == expected
    compare(
        f"1,000 queries of {count:,} footprints in memory",
        {
            "geopandas": lambda: [by_geopandas(table, *one) for one in asked],
            "bare STRtree and mask": lambda: [bare(*one) for one in asked],
            "geocatalog": lambda: [len(catalog.query(bounds=b, time=t)) for b, t in asked],
            "geocatalog, rows as numbers": lambda: [
                catalog.query(bounds=b, time=t).row_numbers for b, t in asked
            ],
            "geocatalog, with frames": lambda: [
                catalog.query(bounds=b, time=t).gdf for b, t in asked
            ],
        },
        baseline="geopandas",
        targets={
            "geocatalog": 1 / 30,
            "geocatalog, rows as numbers": 1 / 20,
            "geocatalog, with frames": 1 / 3,
        },
        rounds=3,
        per=("query", 1000),
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, request) -> tuple[Path, Path]:
    """Return (sorted file of ours, the same rows unsorted as geopandas writes them)."""
    count = 100_000 if request.config.getoption("--quick") else MILLION
    folder = tmp_path_factory.mktemp("catalog")
    unsorted = folder / "unsorted.parquet"
    scenes(count).to_parquet(unsorted, write_covering_bbox=True, schema_version="1.1.0")
    return Path(
        to_geoparquet(InMemoryGeoCatalog(scenes(count)), folder / "sorted.parquet")
    ), unsorted


CONDITION = (
    "bbox.xmin <= ? AND bbox.xmax >= ? AND bbox.ymin <= ? AND bbox.ymax >= ? "
    "AND start_time <= ? AND end_time >= ?"
)


def test_queries_from_a_file(compare: Comparison, files) -> None:
    ours, unsorted = files
    asked = questions(20)
    catalog = open_catalog(ours)
    aimed = {"geocatalog, count": 1 / 15, "geocatalog, rows": 1 / 15}
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_geoparquet_conversion = false")

    def values(box, time):
        west, south, east, north = box
        return [east, west, north, south, time.right.to_pydatetime(), time.left.to_pydatetime()]

    def plain(what, box, time):
        statement = f"SELECT {what} FROM read_parquet('{unsorted}') WHERE {CONDITION}"
        return connection.execute(statement, values(box, time)).fetchall()

    columns = "filepath, start_time, end_time, cloud_cover, geometry"

    def by_read_parquet(box, time):
        limits = [("start_time", "<=", time.right), ("end_time", ">=", time.left)]
        return gpd.read_parquet(unsorted, bbox=box, filters=limits)

    for box, time in asked[:5]:
        expected = len(by_read_parquet(box, time))
        assert len(catalog.query(bounds=box, time=time).gdf) == expected
        assert plain("count(*)", box, time) == [(expected,)]
    compare(
        f"queries of {len(catalog):,} footprints in a file",
        {
            "read_parquet (DuckDB), unsorted, rows": lambda: [plain(columns, *q) for q in asked],
            "read_parquet (DuckDB), unsorted, count": lambda: [
                plain("count(*)", *q) for q in asked
            ],
            "read_parquet (GeoPandas), unsorted": lambda: [by_read_parquet(*q) for q in asked],
            "geocatalog, count": lambda: [len(catalog.query(bounds=b, time=t)) for b, t in asked],
            "geocatalog, rows": lambda: [catalog.query(bounds=b, time=t).gdf for b, t in asked],
        },
        baseline="read_parquet (GeoPandas), unsorted",
        targets=aimed if len(catalog) >= MILLION else None,
        rounds=3,
        per=("query", len(asked)),
    )


def test_small_boxes_read_few_row_groups(compare: Comparison, files) -> None:
    catalog = open_catalog(files[0])
    read = []
    for box, time in questions(50, side=1000.0):
        plan = catalog.query(bounds=box, time=time).explain()
        found = re.search(r"Row Groups Scanned: (\d+) / (\d+)", plan)
        read.append(int(found[1]) / int(found[2]) if found else 0.0)
    if len(catalog) >= MILLION:
        compare.values["row groups read, %"] = 100 * float(np.mean(read))


def test_joins(compare: Comparison, quick: bool) -> None:
    table = scenes(100_000)
    left = InMemoryGeoCatalog(table)
    right = InMemoryGeoCatalog(scenes(100_000).iloc[::10].reset_index(drop=True))
    tree, shapes = left.table.tree, right.table.geometry
    for one in (left, right):
        assert one.table.all_boxes
        assert len(one.table.starts) == len(one.table.ends) == len(one)
    compare(
        "joining 100,000 with 10,000 footprints",
        {
            "bulk STRtree query": lambda: tree.query(shapes),
            "geocatalog, space": lambda: len(left.intersect(right, spatial_only=True)),
            "geocatalog, space and time": lambda: len(left.intersect(right)),
            "geopandas.sjoin": lambda: gpd.sjoin(table, right.gdf),
        },
        baseline="bulk STRtree query",
        targets={"geocatalog, space": 2.0, "geocatalog, space and time": 2.0},
        rounds=5,
    )


def test_items_become_rows_unopened(compare: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    import pystac
    import rasterio

    opened = []
    for module in (builtins, rasterio):
        plain = module.open
        monkeypatch.setattr(
            module,
            "open",
            lambda *args, plain=plain, **kw: opened.append(args) or plain(*args, **kw),
        )
    items = []
    for number, (metres, time) in enumerate(questions(10_000)):
        box = [side / 1e5 for side in metres]  # degrees, as items have them
        item = pystac.Item(f"{number}", None, box, time.left.to_pydatetime(), {})
        item.add_asset("B04", pystac.Asset(f"/archive/{number}.tif", roles=["data"]))
        item.properties["proj:code"] = "EPSG:32610"
        items.append(item)
    assert len(from_stac_items(items, footprint="geometry")) == len(items)
    compare.values["files opened by from_stac_items"] = len(opened)
