"""The areas that are simulated and their scenes: known without building anything.

The scenes, their STAC items and their weather are in `data/scenes.json`, which
`tools/simulated_scenes.py` makes: percentages of clouds and classes count pixels.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from .grid import Grid
from .sun import Sun

VERSION = "5"
"""Part of the folder's name: raised whenever a pixel or an item changes, so caches are rebuilt."""

Box = tuple[float, float, float, float]

LAKE_TAHOE_BBOX: Box = (-120.10, 38.92, -119.93, 39.27)
CALDOR_BBOX: Box = (-120.30, 38.55, -119.95, 38.95)
FULL_TILE_BBOX: Box = (-120.6994, 38.7065, -119.3876, 39.7269)
"""The box around tile 10SGJ's outline."""
DEM_BBOX: Box = (-120.32, 38.53, -119.90, 39.29)
LISBON_BBOX: Box = (-9.30, 38.65, -9.05, 38.85)
NAIP_BBOX: Box = (-120.0170, 38.9286, -120.0030, 38.9394)


@dataclass(frozen=True)
class SimulatedArea:
    """A simulated place: `bbox` is (west, south, east, north) in degrees.

    `tiles` are MGRS tiles, empty for collections that have none; `date_ranges` are STAC-like
    closed ranges of the acquisitions; the pixels cover `bbox` and a margin.
    """

    name: str
    bbox: Box
    epsg: int
    collections: tuple[str, ...]
    date_ranges: tuple[str, ...]
    tiles: tuple[str, ...] = ()
    title: str = ""

    @property
    def tile(self) -> str | None:
        """The first MGRS tile, or None."""
        return self.tiles[0] if self.tiles else None

    @property
    def folder(self) -> str:
        """The name of the area's folder in the cache, with the simulation's version."""
        return f"{self.name}-v{VERSION}"


_ALL = (
    SimulatedArea(
        "lake-tahoe", LAKE_TAHOE_BBOX, 32610, ("sentinel-2-l2a",), ("2024-06-01/2024-07-31",),
        ("10SGJ",), "Lake Tahoe, summer 2024, 22 acquisitions",
    ),
    SimulatedArea(
        "caldor", CALDOR_BBOX, 32610, ("sentinel-2-l2a",),
        ("2021-08-09/2021-08-09", "2021-11-12/2021-11-12"),
        ("10SGH", "10SGJ"), "Caldor Fire, before and after, August and November 2021",
    ),
    SimulatedArea(
        "full-tile", FULL_TILE_BBOX, 32610, ("sentinel-2-l2a",), ("2024-08-13/2024-08-13",),
        ("10SGJ",), "the whole of tile 10SGJ, every pixel filled, red and near infrared",
    ),
    SimulatedArea(
        "lake-tahoe-dem", DEM_BBOX, 4326, ("cop-dem-glo-30",), ("2021-04-22/2021-04-22",),
        title="the relief of Lake Tahoe and Caldor on the tiles of Copernicus DEM GLO-30",
    ),
    SimulatedArea(
        "lake-tahoe-landsat", LAKE_TAHOE_BBOX, 32610, ("landsat-c2-l2",),
        ("2024-06-13/2024-06-13", "2024-07-15/2024-07-15"),
        title="Lake Tahoe as Landsat 9 would see it, June and July 2024",
    ),
    SimulatedArea(
        "caldor-landsat", CALDOR_BBOX, 32610, ("landsat-c2-l2",),
        ("2021-08-06/2021-08-06", "2021-11-10/2021-11-10"),
        title="Caldor Fire as Landsat 8 would see it, before and after",
    ),
    SimulatedArea(
        "lake-tahoe-naip", NAIP_BBOX, 32610, ("naip",), ("2022-07-13/2022-07-13",),
        title="an aerial photograph of the Tahoe Keys",
    ),
    SimulatedArea(
        "lisbon", LISBON_BBOX, 32629, ("sentinel-2-l2a",),
        ("2024-06-18/2024-06-18", "2024-07-03/2024-07-03", "2024-07-18/2024-07-18"),
        ("29SMC",), "Lisbon and the mouth of the Tagus, summer 2024",
    ),
)  # fmt: skip

AREAS: dict[str, SimulatedArea] = {area.name: area for area in _ALL}


@dataclass(frozen=True)
class Acquisition:
    """Under which sun and sky a scene is taken.

    `season` runs from 0 (1 June) to 1 (31 July); `snowline` is in metres; `offset` is added to
    the digital numbers (1000 from processing baseline 04.00 on); `haze` is a residual of the
    atmospheric correction, in reflectance; `cloud` and `cirrus` are shares of the area, `size`
    is that of clouds in metres.
    """

    sun: Sun
    season: float
    snowline: float
    offset: int
    haze: float
    seed: int
    cloud: float = 0.0
    cirrus: float = 0.0
    size: float = 0.0


@dataclass(frozen=True)
class Light:
    """What scenes of an area share: the sun on its slopes, the lowest snow, whether it burned."""

    sun: Sun
    lowest_snow: float
    burnt: bool = False


@dataclass(frozen=True)
class Scene:
    """A simulated scene: its STAC item, where its pixels are, how they are drawn."""

    area: str
    item: dict[str, Any]
    window: Grid
    """The part of the files that has pixels, at the item's finest resolution."""
    grid: Grid
    """The grid that the ground is made on."""
    bands: tuple[str, ...]
    """The Sentinel-2 bands that the ground is drawn in at once, for all scenes of the area."""
    growth: float | None
    """Metres by which the drawn perimeter of the fire is moved."""
    acquisition: Acquisition | None
    light: Light | None

    @property
    def id(self) -> str:
        """The item's identifier."""
        return str(self.item["id"])

    @property
    def folder(self) -> Path:
        """The scene's folder, below that of all simulated scenes."""
        return Path(AREAS[self.area].folder, self.item["collection"], self.id)

    def file_grid(self, key: str) -> Grid:
        """Return the whole grid of an asset's file."""
        asset = self.item["assets"][key]
        res, _, west, _, _, north = asset["proj:transform"]
        return Grid(self.window.epsg, west, north, res, *asset["proj:shape"])


@lru_cache(maxsize=1)
def simulated_scenes() -> dict[str, Scene]:
    """Return every simulated scene by its identifier."""
    text = resources.files(__package__).joinpath("data/scenes.json").read_text("utf-8")
    return {
        entry["item"]["id"]: _scene(name, area, entry)
        for name, area in json.loads(text).items()
        for entry in area["scenes"]
    }


def _scene(name: str, area: dict[str, Any], entry: dict[str, Any]) -> Scene:
    taken, light = entry.get("acquisition"), entry.get("light")
    return Scene(
        name,
        entry["item"],
        Grid(*entry["window"]),
        Grid(*area["grid"]),
        tuple(area["bands"]),
        area.get("growth"),
        Acquisition(**{**taken, "sun": Sun(*taken["sun"])}) if taken else None,
        Light(**{**light, "sun": Sun(*light["sun"])}) if light else None,
    )
