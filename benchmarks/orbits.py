"""Rows as the archive of a satellite pair has them: tiles on land, seen again as orbits return.

143 relative orbits are flown in ten days, 290 km wide. A tile of 110 km is seen by each orbit whose
swath meets it, so neighbours share passes, high latitudes are seen more often, and a footprint at
the edge of a swath is cut along it. A second satellite flies the same orbits five days later; a
larger constellation shares the ten days evenly.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

ORBITS, CYCLE = 143, 10
SWATH = 290.0
INCLINATION = np.deg2rad(98.62)
START = pd.Timestamp("2020-01-01", tz="UTC")
ROWS_A_DAY = 6_000
"""About what two satellites make of these tiles."""


@cache
def tiles() -> np.ndarray:
    """Return (N, 4) boxes in degrees, 110 km wide and 100 km apart, on a third of the globe."""
    found = []
    for south in np.arange(-56.0, 79.0, 0.9):
        step = 0.9 / np.cos(np.deg2rad(south + 0.5))
        west = np.arange(-180.0, 180.0 - step, step)
        # Smooth in place, so that land hangs together as land does.
        x, y = np.deg2rad(west), np.deg2rad(south)
        height = np.sin(2 * x + 1) * np.cos(3 * y) + np.sin(3 * x - 2 * y) + np.cos(5 * y + x)
        land = west[height > 0.5]
        found.append(np.stack([land, land * 0 + south, land + 1.1 * step, land * 0 + south + 1], 1))
    boxes = np.concatenate(found)
    boxes[:, 2] = np.minimum(boxes[:, 2], 180.0)
    return boxes


def track(latitude: np.ndarray) -> np.ndarray:
    """Return how far west of its node a descending orbit is at latitudes, in degrees."""
    angle = np.deg2rad(np.clip(latitude, -80, 80))
    along = np.arcsin(np.clip(np.sin(angle) / np.sin(INCLINATION), -1, 1))
    turned = np.arctan2(np.cos(INCLINATION) * np.sin(along), np.cos(along))
    return np.rad2deg(turned) + np.rad2deg(along) * CYCLE / ORBITS


@cache
def passes() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (footprints, tile, orbit, hour of the day) of each tile and orbit that sees it."""
    boxes = tiles()
    south, north = boxes[:, 1], boxes[:, 3]
    half = SWATH / 2 / 111.32 / np.cos(np.deg2rad((south + north) / 2))
    corners, tile, orbit = [], [], []
    for number in range(ORBITS):
        node = -180 + 360 * number / ORBITS
        # The swath, seen from the tile: around the globe it is the nearest one that counts.
        centre = (boxes[:, 0] + boxes[:, 2]) / 2
        lines = [node + track(side) for side in (south, north)]
        moved = [line - 360 * np.round((line - centre) / 360) for line in lines]
        left = [np.maximum(boxes[:, 0], line - half) for line in moved]
        right = [np.minimum(boxes[:, 2], line + half) for line in moved]
        seen = np.flatnonzero((right[0] - left[0] > 0.05) & (right[1] - left[1] > 0.05))
        x = np.stack([left[0], right[0], right[1], left[1], left[0]], 1)[seen]
        y = np.stack([south, south, north, north, south], 1)[seen]
        corners.append(np.stack([x, y], 2))
        tile.append(seen)
        orbit.append(np.full(len(seen), number))
    outlines = np.concatenate(corners)
    shapes = shapely.polygons(outlines)
    hour = (10.5 - outlines[:, 0, 0] / 15) % 24  # half past ten, where the satellite looks down
    return shapes, np.concatenate(tile), np.concatenate(orbit), hour


def day_of(number: int, satellites: int = 2) -> gpd.GeoDataFrame:
    """Return the scenes of one day: those of the orbits that each satellite flies on it."""
    shapes, tile, orbit, hour = passes()
    phase = orbit * CYCLE // ORBITS
    parts = []
    for satellite in range(satellites):
        today = np.flatnonzero((phase + satellite * CYCLE // satellites) % CYCLE == number % CYCLE)
        parts.append((satellite, today))
    rows = np.concatenate([today for _, today in parts])
    made_by = np.concatenate([np.full(len(today), satellite) for satellite, today in parts])
    seconds = (hour[rows] * 3600 + made_by * 7).astype("int64")
    when = START + pd.Timedelta(days=number) + pd.to_timedelta(seconds, unit="s")
    date = f"{START + pd.Timedelta(days=number):%Y%m%d}"
    random = np.random.default_rng(number)
    return gpd.GeoDataFrame(
        {
            "filepath": [
                f"s3://archive/{t:05d}/{date}/S{s}_R{o:03d}_{t:05d}.tif"
                for s, o, t in zip(
                    made_by.tolist(), orbit[rows].tolist(), tile[rows].tolist(), strict=True
                )
            ],
            "start_time": when.as_unit("us"),
            "end_time": when.as_unit("us"),
            "cloud_cover": np.round(random.beta(0.5, 0.5, len(rows)) * 100, 2),
            "orbit": orbit[rows].astype("int16"),
        },
        geometry=shapes[rows],
        crs=4326,
    )


def days_of(rows: int, satellites: int = 2) -> Iterator[gpd.GeoDataFrame]:
    """Yield one day after the other until there are so many rows."""
    number = done = 0
    while done < rows:
        day = day_of(number, satellites).iloc[: rows - done]
        yield day
        number, done = number + 1, done + len(day)


def build(rows: int, folder: str) -> dict[str, float]:
    """Write so many rows to a folder, parted by month, and say what it took.

    Four years of days, so that more rows are more satellites.
    """
    from memory import peak_rss

    from geocatalog import to_geoparquet

    satellites = max(2, round(2 * rows / 1e7))
    passes()
    before, begun = peak_rss(), time.perf_counter()
    to_geoparquet(days_of(rows, satellites), folder, partition="month")
    taken = time.perf_counter() - begun
    sizes = [path.stat().st_size for path in Path(folder).rglob("*.parquet")]
    return {
        "seconds": taken,
        "peak MB": peak_rss(),
        "MB before": before,
        "files": len(sizes),
        "GB": sum(sizes) / 1e9,
    }


def repeat(folder: Path, other: Path, times: int) -> None:
    """Make a folder of the same files so many times, as links, each under a name of its own."""
    from geocatalog.manifest import change_manifest, read_manifest

    manifest, _ = read_manifest(folder)
    assert manifest is not None
    parts = []
    for part in manifest.parts:
        for number in range(times):
            own = hashlib.md5(f"{part.name} {number}".encode()).hexdigest()
            name = f"{part.partition}/rows-{own}.parquet"
            (other / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(folder / part.name, other / name)
            parts.append(replace(part, name=name))
    change_manifest(other, lambda old: replace(manifest, parts=tuple(parts)))


if __name__ == "__main__":
    print(json.dumps(build(int(sys.argv[1]), sys.argv[2])))
