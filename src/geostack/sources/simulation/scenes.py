"""The areas that are simulated and their scenes: known without building anything.

The scenes, their STAC items and their weather are in `data/scenes.json`, which
`tools/simulated_scenes.py` makes: percentages of clouds and classes count pixels.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from .grid import Grid

VERSION = "6"
"""Part of the folder's name: raised whenever a pixel or an item changes, so caches are rebuilt."""


@dataclass(frozen=True)
class SimulatedArea:
    """A simulated place: `bbox` is (west, south, east, north) in degrees.

    `tiles` are MGRS tiles, empty for collections that have none; `date_ranges` are STAC-like
    closed ranges of the acquisitions; the pixels cover `bbox` and a margin.

    Examples
    --------
    >>> AREAS["lake-tahoe"].folder.startswith("lake-tahoe-v")
    True
    """

    name: str
    bbox: tuple[float, float, float, float]
    epsg: int
    collections: tuple[str, ...]
    date_ranges: tuple[str, ...]
    tiles: tuple[str, ...] = ()
    title: str = ""

    @property
    def folder(self) -> str:
        """The name of the area's folder in the cache, with the simulation's version."""
        return f"{self.name}-v{VERSION}"


class Sun(NamedTuple):
    """The sun's direction in degrees: `zenith` from the vertical, `azimuth` from north."""

    zenith: float
    azimuth: float


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
    """A simulated scene: its STAC item, where its pixels are, how they are drawn.

    Examples
    --------
    >>> scene = simulated_scenes()["S2B_MSIL2A_20240614T183919_R070_T10SGJ_20240614T225657_SIM"]
    >>> scene.area, scene.file_grid("B04").shape
    ('lake-tahoe', (10980, 10980))
    """

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
        """Return the whole grid of an asset's file.

        Parameters
        ----------
        key
            Of the asset.

        Returns
        -------
        Larger than `window` where the file is sparse.
        """
        asset = self.item["assets"][key]
        res, _, west, _, _, north = asset["proj:transform"]
        return Grid(self.window.epsg, west, north, res, *asset["proj:shape"])


@lru_cache(maxsize=1)
def simulated_scenes() -> dict[str, Scene]:
    """Return every simulated scene by its identifier.

    Returns
    -------
    In order of area and time; nothing is drawn.

    Examples
    --------
    >>> all(name.endswith("_SIM") for name in simulated_scenes())
    True
    """
    scenes = (
        _scene(name, area, entry) for name, area in _AREAS.items() for entry in area["scenes"]
    )
    return {scene.id: scene for scene in scenes}


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


def _fixed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


_AREAS = json.loads(resources.files(__package__).joinpath("data/scenes.json").read_text("utf-8"))

AREAS: dict[str, SimulatedArea] = {
    name: SimulatedArea(**{field.name: _fixed(area[field.name]) for field in fields(SimulatedArea)})
    for name, area in _AREAS.items()
}
