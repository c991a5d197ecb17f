"""Claim: an archive of ten or a hundred million rows, in a folder, answers in milliseconds.

The rows follow the orbits of a satellite pair (see `orbits.py`), are written in a stream by a
process of its own, and are asked for boxes of 50 km and 30 days. DuckDB is asked in two ways: over
all files, and over those of the months in question, as an expert would write it. A hundred million
rows are the files of ten million, ten times under names of their own: to build them takes a quarter
of an hour.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from compare import Comparison
from orbits import START, day_of, repeat, tiles

from geocatalog import append_to, compact, open_catalog

QUICK_ROWS = 200_000
DAYS = 30
SIDE = 0.45
"""Degrees of latitude, 50 km."""
COLUMNS = "filepath, start_time, end_time, cloud_cover, orbit, geometry"

Question = tuple[tuple[float, float, float, float], pd.Interval]


def questions(count: int, extent: pd.Interval) -> list[Question]:
    """Return boxes on land and 30 days each, within a catalog's time."""
    random = np.random.default_rng(1)
    last = (extent.right - extent.left).days - DAYS
    found = []
    for tile in random.choice(len(tiles()), count):
        west, south, east, north = tiles()[tile]
        across = SIDE / np.cos(np.deg2rad((south + north) / 2))
        x, y = random.uniform(west, east), random.uniform(south, north)
        first = START + pd.Timedelta(days=int(random.integers(0, max(1, last))))
        box = (x, y, min(x + across, 180.0), y + SIDE)
        found.append((box, pd.Interval(first, first + pd.Timedelta(days=DAYS), closed="both")))
    return found


CONDITION = (
    "bbox.xmin <= ? AND bbox.xmax >= ? AND bbox.ymin <= ? AND bbox.ymax >= ? "
    "AND start_time <= ? AND end_time >= ?"
)


class Raw:
    """DuckDB over the files, as its users write it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.connection = duckdb.connect()
        for setting in ("TimeZone = 'UTC'", "enable_geoparquet_conversion = false"):
            self.connection.execute(f"SET {setting}")
        self.connection.execute("SET parquet_metadata_cache = true")

    def ask(self, what: str, question: Question, months: bool) -> list[Any]:
        """Return rows whose boxes and times meet the question's."""
        (west, south, east, north), during = question
        files = f"read_parquet('{self.folder}/*/*.parquet', hive_partitioning = true)"
        if months:
            days = pd.date_range(during.left, during.right)
            months_of = dict.fromkeys(f"month={day:%Y-%m}/*.parquet" for day in days)
            paths = [str(path) for name in months_of for path in self.folder.glob(name)]
            files = f"read_parquet({paths}, hive_partitioning = false)"
        ends = during.right.to_pydatetime(), during.left.to_pydatetime()
        statement = f"SELECT {what} FROM {files} WHERE {CONDITION}"
        return self.connection.execute(statement, [east, west, north, south, *ends]).fetchall()


@pytest.fixture(scope="module")
def built(tmp_path_factory, request) -> tuple[dict[int, Path], dict[str, float]]:
    """Return the folders by how many rows they hold, and what building the first took."""
    rows = QUICK_ROWS if request.config.getoption("--quick") else 10_000_000
    folder, larger = (tmp_path_factory.mktemp("rows") / name for name in ("built", "linked"))
    command = [sys.executable, str(Path(__file__).with_name("orbits.py")), str(rows), str(folder)]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    repeat(folder, larger, 10)
    return {rows: folder, 10 * rows: larger}, told


@pytest.mark.parametrize("rows", [QUICK_ROWS, 10_000_000, 100_000_000])
def test_an_archive(compare: Comparison, quick: bool, built, rows: int) -> None:
    if quick != (rows == QUICK_ROWS):
        pytest.skip("few rows in the quick run, many in the full one")
    folders, told = built
    folder, many = folders[rows], rows == max(folders)
    if many:
        compare.left_out.append(f"building {rows:,} rows, which takes a quarter of an hour")
    else:
        compare.values[f"building {rows:,} rows, s"] = told["seconds"]
        compare.values[f"building {rows:,} rows, peak MB"] = told["peak MB"]
    catalog, raw = open_catalog(folder), Raw(folder)
    assert len(catalog) == rows
    extent = catalog.temporal_extent
    assert extent is not None
    asked = questions(10 if many else 20, extent)
    touched = [touched_by(catalog, raw, question) for question in asked[:10]]
    files, groups = np.mean(touched, axis=0)
    answered = f"{files:.1f} of {told['files'] * (10 if many else 1)}", f"{groups:.1f}"
    facts = dict(zip(("files read", "row groups read"), answered, strict=True))
    rivals: dict[str, Any] = {
        "DuckDB over the months": lambda: [raw.ask(COLUMNS, q, True) for q in asked],
        "DuckDB over all files": lambda: [raw.ask(COLUMNS, q, False) for q in asked],
        "geocatalog": lambda: [catalog.query(bounds=b, time=t).to_arrow() for b, t in asked],
        "geocatalog, frames": lambda: [catalog.query(bounds=b, time=t).gdf for b, t in asked],
    }
    if quick:
        few = asked[:2] * (len(asked) // 2)
        rivals["read_parquet (GeoPandas)"] = lambda: [by_geopandas(folder, q) for q in few]
    counted = {
        "DuckDB over the months": lambda: [raw.ask("count(*)", q, True) for q in asked],
        "DuckDB over all files": lambda: [raw.ask("count(*)", q, False) for q in asked],
        "geocatalog": lambda: [len(catalog.query(bounds=b, time=t)) for b, t in asked],
    }
    for what, group in (("rows", rivals), ("count", counted)):
        compare(
            title_of(rows, what),
            group,
            baseline="DuckDB over the months",
            targets={"geocatalog": 1.3},
            facts={"geocatalog": facts},
            rounds=3 if many else 5,
            per=("query", len(asked)),
        )
    if not many:
        a_day_more(compare, folder, rows)


def title_of(rows: int, what: str) -> str:
    """Return the title of a comparison."""
    return f"a box of 50 km and 30 days of {rows:,} rows in a folder, {what}"


def touched_by(catalog: Any, raw: Raw, question: Question) -> tuple[int, int]:
    """Return the files and row groups that a question reads, its answer having been checked."""
    box, during = question
    found = catalog.query(bounds=box, time=during)
    plan = found.explain()
    rows = found.gdf
    near = raw.ask("filepath, geometry", question, False)
    shapes = gpd.GeoSeries.from_wkb([bytes(wkb) for _, wkb in near])
    meet = shapes.intersects(shapely.box(*box)).tolist()
    expected = sorted(path for (path, _), meets in zip(near, meet, strict=True) if meets)
    assert sorted(rows.filepath) == expected
    files = re.findall(r"Total Files Read: (\d+)", plan)
    groups = re.findall(r"Row Groups Scanned: (\d+)", plan)
    return sum(map(int, files)), sum(map(int, groups))


def by_geopandas(folder: Path, question: Question) -> gpd.GeoDataFrame:
    """Return rows by GeoPandas, which prunes by boxes and times too."""
    box, during = question
    limits = [("start_time", "<=", during.right), ("end_time", ">=", during.left)]
    return gpd.read_parquet(folder, bbox=box, filters=limits)


def a_day_more(compare: Comparison, folder: Path, rows: int) -> None:
    """Add one day and put the folder in order; count the files that were written."""
    before = set(folder.rglob("*.parquet"))
    begun = time.perf_counter()
    added = append_to(folder, day_of(1_499).assign(filepath=lambda f: f.filepath + ".new"))
    compare.values[f"a day more than {rows:,} rows, s"] = time.perf_counter() - begun
    assert len(open_catalog(folder)) == rows + added
    assert before < set(folder.rglob("*.parquet")), "no other file was touched"
    compact(folder)
    assert len(open_catalog(folder)) == rows + added
