"""The simulated scenes that tests look at: built once, where users' own are."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from simulated_areas import ensure_area
from whole_ground import build

from geostack.cache import cache_folder
from geostack.sources.simulated import KIND
from geostack.sources.simulation.grid import Grid
from geostack.sources.simulation.landscape import Landscape, Tahoe
from geostack.sources.simulation.scenes import Sun
from geostack.sources.simulation.sensor import Stage

ALL_BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")


class Built:
    """A built area: its items by identifier, and their pixels."""

    def __init__(self, root: Path) -> None:
        self.root = root
        paths = sorted(root.glob("*/*/*.json"))
        self.items = {path.stem: json.loads(path.read_text()) for path in paths}

    def path(self, item: dict, asset: str) -> Path:
        return self.root / item["collection"] / item["id"] / item["assets"][asset]["href"]

    def read(self, item: dict, asset: str, bounds=None, **options) -> np.ndarray:
        with rasterio.open(self.path(item, asset)) as file:
            window = file.window(*bounds).round_offsets().round_lengths() if bounds else None
            return file.read(1, window=window, **options)

    def on(self, day: str) -> dict:
        (found,) = [i for i in self.items.values() if i["properties"]["datetime"].startswith(day)]
        return found


@pytest.fixture(scope="session")
def simulated_cache() -> Path:
    return cache_folder() / KIND


@pytest.fixture(scope="session")
def built() -> type[Built]:
    return Built


@pytest.fixture(scope="session")
def tahoe(simulated_cache: Path) -> Built:
    return Built(ensure_area("lake-tahoe", simulated_cache))


@pytest.fixture(scope="session")
def plot() -> Grid:
    """2.56 x 2.56 km on the south shore: lake, beach, marina, meadow, town and forest."""
    return Grid(32610, 758600, 4314800, 10, rows=256, cols=256)


@pytest.fixture(scope="session")
def land(plot: Grid) -> Landscape:
    return build(plot)


@pytest.fixture(scope="session")
def stage(plot: Grid) -> Stage:
    return Stage(Tahoe(plot), Sun(zenith=23.0, azimuth=127.0), ALL_BANDS, lowest_snow=2300)
