"""Claim: ten thousand fields on a hundred dates in a run, each file opened once, shares exact.

Fields of 2 ha lie over half of a tile; dates are one file under a hundred names, of which nothing
is kept between them. The rivals: exactextract, given a date's file and all fields at once, and the
loop that many begin with, a file opened for each field. All give the same means to 1e-6, but
rasterstats, which counts pixels whose centre is inside. The quick run has fewer fields and dates.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from compare import Comparison
from rasterio import Affine

from geocatalog import build_raster_catalog
from geotoolz import zonal
from geotoolz.breaks import find_breaks
from geotoolz.series import whittaker

EPSG, WEST, NORTH = 32631, 499_980.0, 5_700_000.0
MEANS = ("mean", "count")
COMPARED = 10
"""Dates that are compared: each costs as much, and exactextract needs minutes for a hundred."""
LOOPED = 500
"""Fields of the loops; their time is told for all, since each field costs the same."""

pytestmark = pytest.mark.filterwarnings("ignore")  # what peers warn of is not ours to mend


@dataclass(frozen=True)
class Land:
    """A file for each date, and fields on it."""

    paths: list[Path]
    fields: gpd.GeoDataFrame

    def catalog(self, dates: int) -> Any:
        paths = [str(path) for path in self.paths[:dates]]
        return build_raster_catalog(paths, r"_(?P<date>\d{8})", progress=False)

    def ours(self, dates: int) -> np.ndarray:
        found = zonal(self.catalog(dates), self.fields, statistics=MEANS, progress=False)
        return found["mean"].to_numpy()

    def exactextract(self, dates: int) -> np.ndarray:
        from exactextract import exact_extract

        tables = [
            exact_extract(str(path), self.fields, list(MEANS), output="pandas")
            for path in self.paths[:dates]
        ]
        return np.concatenate([table["mean"].to_numpy() for table in tables])

    def looped(self, count: int) -> np.ndarray:
        from exactextract import exact_extract

        one_by_one = (self.fields.iloc[n : n + 1] for n in range(count))
        return np.array(
            [
                exact_extract(str(self.paths[0]), field, ["mean"], output="pandas")["mean"][0]
                for field in one_by_one
            ]
        )

    def rasterstats(self, count: int) -> np.ndarray:
        from rasterstats import zonal_stats

        found = (
            zonal_stats([field], str(self.paths[0]), stats=["mean", "count"])[0]
            for field in self.fields.geometry[:count]
        )
        return np.array([each["mean"] for each in found], float)


@pytest.fixture(scope="module")
def land(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Land:
    quick = request.config.getoption("--quick")
    side, fields, dates = (1098, 400, 5) if quick else (5490, 10_000, 100)
    return make_land(tmp_path_factory.mktemp("land"), side, fields, dates)


def make_land(folder: Path, side: int, fields: int, dates: int) -> Land:
    """Write one file under as many names as there are dates, and lay fields on it."""
    rng = np.random.default_rng(0)
    smooth = rng.integers(300, 6000, (side // 18, side // 18)).repeat(18, 0).repeat(18, 1)
    values = (smooth + rng.integers(0, 64, smooth.shape)).astype("uint16")
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 1, "dtype": "uint16"}
    profile |= {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"}
    place = Affine(10, 0, WEST, 0, -10, NORTH)
    first = folder / "scene_20230101.tif"
    with rasterio.open(first, "w", crs=EPSG, transform=place, nodata=0, **profile) as file:
        file.write(values, 1)
    days = np.datetime64("2023-01-01") + np.arange(dates) * 3
    paths = [folder / f"scene_{str(day).replace('-', '')}.tif" for day in days]
    for path in paths[1:]:
        os.link(first, path)
    x, y = WEST + 200 + rng.uniform(0, 10 * side - 400, (2, fields))
    turn = rng.uniform(0, 90, fields)
    shapes = [
        shapely.affinity.rotate(shapely.box(a, b, a + 120, b + 170), t)
        for a, b, t in zip(x, NORTH + WEST - y, turn, strict=True)
    ]
    return Land(paths, gpd.GeoDataFrame(geometry=shapes, crs=EPSG))


def test_fields_on_one_date_against_a_file_opened_for_each(land: Land, compare: Comparison) -> None:
    count = min(100 if compare.quick else LOOPED, len(land.fields))
    few = Land(land.paths, land.fields.iloc[:count])
    rivals = {"geostack": lambda: few.ours(1)}
    if find_spec("exactextract"):
        rivals["exactextract, a file opened for each field"] = lambda: few.looped(count)
        assert np.allclose(few.ours(1), few.looped(count), rtol=1e-6)
    if find_spec("rasterstats"):
        rivals["rasterstats, a file opened for each field"] = lambda: few.rasterstats(count)
    compare(f"{count} fields on one date", rivals, baseline="geostack", rounds=3)


def test_fields_on_many_dates(land: Land, compare: Comparison, quick: bool) -> None:
    dates, few = len(land.paths), 2 if quick else COMPARED
    rivals = {"geostack": lambda: land.ours(few)}
    if find_spec("exactextract"):
        rivals["exactextract, date by date"] = lambda: land.exactextract(few)
        assert np.allclose(land.ours(2), land.exactextract(2), rtol=1e-6)
    rivals[f"geostack, {dates} dates"] = lambda: land.ours(dates)
    title = f"{len(land.fields):,} fields on {few} dates"
    compare(title, rivals, baseline="geostack", rounds=1, warm=True)


def test_series_a_pixel(compare: Comparison, quick: bool) -> None:
    days = np.arange(0, 4 * 365, 5)
    dates, rng = np.datetime64("2016-01-01") + days, np.random.default_rng(1)
    pixels = 2_000 if quick else 20_000
    stack = 0.5 + 0.2 * np.cos(2 * np.pi * days / 365.25)[:, None] + rng.normal(0, 0.04, pixels)
    stack = stack + rng.normal(0, 0.04, stack.shape)
    stack[rng.random(stack.shape) < 0.4] = np.nan
    rivals = {
        "whittaker": lambda: whittaker(stack, dates),
        "find_breaks": lambda: find_breaks(stack, dates),
    }
    title = f"series of {len(days)} dates"
    group = compare(title, rivals, baseline="whittaker", rounds=3, per=("pixel", pixels))
    compare.values["find_breaks, ms a pixel"] = min(group.rows[1].times) / pixels * 1e3
