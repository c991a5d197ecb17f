"""Counts of a catalog's questions, which hold on a noisy machine where times do not.

Files opened and bytes read for a query, and for the pixels that it leads to.
"""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from counters import bytes_read
from rasterio import Affine

from geocatalog import (
    InMemoryGeoCatalog,
    build_raster_catalog,
    load_raster,
    open_catalog,
    to_geoparquet,
)

ROWS = 100_000
BOX = (400_000, 400_000, 410_000, 410_000)


@pytest.fixture(scope="module")
def table():
    """Boxes of 1 km over 1,000 km, one instant each, of files that do not exist."""
    random = np.random.default_rng(3)
    west, south = random.uniform(0, 999_000, (2, ROWS))
    start = pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta(
        random.integers(0, 1500, ROWS), unit="D"
    )
    paths = [f"/data/{i:06d}.tif" for i in range(ROWS)]
    return gpd.GeoDataFrame(
        {"filepath": paths, "start_time": start, "end_time": start},
        geometry=shapely.box(west, south, west + 1000, south + 1000),
        crs=32610,
    )


@pytest.fixture
def opened(monkeypatch):
    """Paths that rasterio opened."""
    paths = []
    real = rasterio.open

    def spy(path, *args, **options):
        paths.append(Path(str(path)).name)
        return real(path, *args, **options)

    monkeypatch.setattr(rasterio, "open", spy)
    return paths


def test_queries_in_memory_open_nothing_and_read_nothing(table, opened):
    catalog = InMemoryGeoCatalog(table)
    assert len(catalog.query(bounds=BOX, time="2021").gdf) > 0  # imports are behind us
    found = []

    def ask():
        for shift in range(0, 200_000, 10_000):
            box = tuple(side + shift for side in BOX)
            found.append(len(catalog.query(bounds=box, time="2021").gdf))

    assert bytes_read(ask) == 0
    assert sum(found) > 0
    assert opened == []


def test_a_query_of_a_file_reads_the_row_groups_it_needs(table, tmp_path, opened):
    path = Path(to_geoparquet(InMemoryGeoCatalog(table), tmp_path / "c.parquet"))
    catalog = open_catalog(path)
    assert len(catalog.query(bounds=(0, 0, 5_000, 5_000)).gdf) > 0
    groups = -(-ROWS // 8192)
    asked = {"bounds": BOX, "time": "2021"}
    counted = bytes_read(lambda: len(catalog.query(**asked)))
    rows = bytes_read(lambda: catalog.query(**asked).gdf)
    # at most four groups hold a corner of a box of 10 km, and counting leaves columns unread
    assert 0 < counted < rows
    assert rows < 2 * 4 / groups * path.stat().st_size
    assert opened == []


def test_nothing_is_read_where_nothing_lies(table, tmp_path):
    path = to_geoparquet(InMemoryGeoCatalog(table), tmp_path / "c.parquet")
    catalog = open_catalog(path)
    far = (-9e6, -9e6, -8e6, -8e6)
    assert len(catalog.query(bounds=far)) == 0
    assert bytes_read(lambda: len(catalog.query(bounds=far))) < 200_000  # the file's own index


def test_each_file_is_opened_once_to_build_and_once_to_load(tmp_path, opened):
    side = 32
    for number in range(6):
        place = Affine(10, 0, 10 * side * number, 0, -10, 10 * side)
        with rasterio.open(
            tmp_path / f"s_2024060{number + 1}.tif", "w", driver="GTiff", count=1, height=side,
            width=side, dtype="uint16", crs="EPSG:32610", transform=place,
        ) as file:  # fmt: skip
            file.write(np.full((1, side, side), number + 1, "uint16"))
    opened.clear()
    paths = sorted(tmp_path.glob("*.tif"))
    catalog = build_raster_catalog(paths, filename_regex=r"s_(?P<date>\d{8})")
    assert sorted(opened) == [path.name for path in paths]
    opened.clear()
    inside = catalog.query(bounds=(330, 10, 600, 300))
    assert opened == []
    slice_ = next(iter(inside.iter_slices()))
    made = load_raster(inside, slice_)
    assert set(np.unique(made.values)) == {2}
    assert opened == ["s_20240602.tif"]
