"""The Caldor Fire of 2021: a scene before and one after, on the two tiles that share the box."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from .areas import CALDOR_BBOX, SimulatedArea
from .fire import burn, severity
from .grid import Grid
from .landscape import Landscape
from .landscape import build as build_landscape
from .scene import Acquisition, Stage
from .sentinel2 import Shot, box_window, pixel_window, write_shots
from .sun import sun_position

TILES = ("10SGH", "10SGJ")
BANDS = ("B02", "B03", "B04", "B08", "B11", "B12", "SCL")


def windows() -> dict[str, Grid]:
    """Return the simulated pixels of each tile; the box crosses the northern edge of 10SGH."""
    return {tile: pixel_window(tile, CALDOR_BBOX, block=128) for tile in TILES}


def whole() -> Grid:
    """Return the grid that holds the windows of both tiles."""
    parts = list(windows().values())
    west = min(g.bounds[0] for g in parts)
    south = min(g.bounds[1] for g in parts)
    east = max(g.bounds[2] for g in parts)
    north = max(g.bounds[3] for g in parts)
    rows, cols = round((north - south) / 10), round((east - west) / 10)
    return Grid(parts[0].epsg, west, north, 10.0, rows, cols)


def after_fire(before: Landscape) -> Landscape:
    """Return the landscape after the fire from the one before, on the grid of `whole`."""
    return burn(before, severity(before, box_window(before.grid.epsg, CALDOR_BBOX)))


def shots() -> tuple[Shot, Shot]:
    """Return the two acquisitions: 9 August, before the fire, and 12 November 2021."""
    return (
        _shot(datetime(2021, 8, 9, 18, 39, 19, 24000), "S2B", 1.0, 3350.0, 0.003, 2101),
        _shot(datetime(2021, 11, 12, 18, 39, 21, 24000), "S2A", 1.1, 3140.0, 0.006, 2202),
    )


def _shot(
    when: datetime, platform: str, season: float, snowline: float, cloud: float, seed: int
) -> Shot:
    acquisition = Acquisition(
        when=when,
        sun=sun_position(when, -120.12, 38.75),
        season=season,
        snowline=snowline,
        # Before processing baseline 04.00 digital numbers had no offset.
        offset=0,
        haze=0.0,
        seed=seed,
    )
    return Shot(acquisition, platform, 70, "03.01", BANDS, cloud, 0.0, 2600.0)


def build(area: SimulatedArea, root: Path, progress: bool) -> None:
    """Write the two scenes of both tiles under `root`, one at a time: each needs its own light."""
    before, after = shots()
    land = build_landscape(whole())
    _write(land, before, root, progress, area.name)
    land = after_fire(land)
    _write(land, after, root, progress, area.name)


def _write(land: Landscape, shot: Shot, root: Path, progress: bool, name: str) -> None:
    spectral = tuple(band for band in BANDS if band != "SCL")
    stage = Stage(land, shot.acquisition.sun, spectral, shot.acquisition.snowline - 60)
    label = f"simulating {name}, {shot.acquisition.when:%B %Y}"
    write_shots(stage, [shot], windows(), root, progress, label)
