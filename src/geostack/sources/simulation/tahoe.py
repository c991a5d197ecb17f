"""Lake Tahoe in the summer of 2024: 22 acquisitions of tile 10SGJ."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from .areas import LAKE_TAHOE_BBOX, SimulatedArea
from .grid import Grid
from .landscape import build as build_landscape
from .scene import Acquisition, Stage
from .sentinel2 import Shot, pixel_window, write_shots
from .sun import sun_position

TILE = "10SGJ"
CLEAREST = "2024-06-14"

# Two orbits see the tile, three days apart, each every five days, satellites in turn. Two of the
# 24 passes are left out: too cloudy. (day, cloud and cirrus as shares, size of clouds in metres).
_WEATHER: tuple[tuple[str, float, float, float], ...] = (
    ("2024-06-02", 0.062, 0.00, 5200), ("2024-06-04", 0.021, 0.01, 3600),
    ("2024-06-07", 0.105, 0.00, 6500), ("2024-06-09", 0.034, 0.00, 4200),
    ("2024-06-12", 0.013, 0.00, 3000), ("2024-06-14", 0.004, 0.00, 2600),
    ("2024-06-17", 0.071, 0.03, 5600), ("2024-06-19", 0.018, 0.00, 3400),
    ("2024-06-22", 0.128, 0.00, 7000), ("2024-06-24", 0.045, 0.00, 4800),
    ("2024-06-27", 0.026, 0.02, 3800), ("2024-06-29", 0.012, 0.00, 3000),
    ("2024-07-02", 0.015, 0.00, 3200), ("2024-07-04", 0.038, 0.00, 4300),
    ("2024-07-07", 0.011, 0.00, 2800), ("2024-07-09", 0.054, 0.00, 5000),
    ("2024-07-12", 0.029, 0.03, 4000), ("2024-07-14", 0.086, 0.00, 6000),
    ("2024-07-17", 0.019, 0.00, 3300), ("2024-07-22", 0.112, 0.00, 6400),
    ("2024-07-24", 0.023, 0.00, 3600), ("2024-07-29", 0.047, 0.01, 4600),
)  # fmt: skip


def window() -> Grid:
    """Return the simulated pixels: the area's box, and south of it as far as the airport."""
    west, south, east, north = LAKE_TAHOE_BBOX
    return pixel_window(TILE, (west, south - 0.03, east, north), block=128)


def shots() -> list[Shot]:
    """Return the 22 acquisitions in order of time."""
    return [_shot(number, *row) for number, row in enumerate(_WEATHER)]


def _shot(number: int, day: str, cloud: float, cirrus: float, size: float) -> Shot:
    date = datetime.fromisoformat(day)
    # The first orbit passes on the 4th, 9th, 14th...: a day number that leaves 1 modulo 5.
    since = (date - datetime(2024, 6, 4)).days
    first = since % 5 == 0
    satellite = "S2A" if ((since if first else since - 3) // 5) % 2 else "S2B"
    second = 19 if satellite == "S2B" else 21
    when = date.replace(hour=18, minute=39 if first else 49, second=second, microsecond=24000)
    season = (date - datetime(2024, 6, 1)).days / 60
    acquisition = Acquisition(
        when=when,
        sun=sun_position(when, -120.0, 39.1),
        season=season,
        snowline=2310 + 560 * season,
        offset=1000,
        haze=0.0004 * ((number * 7) % 9 - 3) if day != CLEAREST else 0.0,
        seed=1000 + 17 * number,
    )
    ten = ("B02", "B03", "B04", "B08", "B11", "B12", "SCL")
    bands = ten if day == CLEAREST else ("B04", "B08", "SCL")
    orbit = 70 if first else 113
    return Shot(acquisition, satellite, orbit, "05.10", bands, cloud, cirrus, size)


def build(area: SimulatedArea, root: Path, progress: bool) -> None:
    """Write the 22 scenes under `root`."""
    clear = next(s for s in shots() if f"{s.acquisition.when:%Y-%m-%d}" == CLEAREST)
    bands = tuple(band for band in clear.bands if band != "SCL")
    stage = Stage(build_landscape(window()), clear.acquisition.sun, bands, lowest_snow=2200)
    write_shots(stage, shots(), {TILE: window()}, root, progress, f"simulating {area.name}")
