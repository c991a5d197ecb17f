"""Make `src/geostack/sources/simulation/data/scenes.json`: the simulated scenes and their items.

    python tools/simulated_scenes.py            make the file anew; all areas, minutes
    python tools/simulated_scenes.py lisbon     make one area anew

Acquisitions, orbits and names are those that real ones would have. Percentages of clouds and
classes are counted from the pixels, which are drawn for it and not kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from math import acos, asin, ceil, cos, degrees, floor, pi, radians, sin
from pathlib import Path
from typing import Any

import numpy as np

from geostack.sources.simulation import draw, scenes
from geostack.sources.simulation.grid import Grid
from geostack.sources.simulation.landscape import BurntGround, Land, Tahoe
from geostack.sources.simulation.scenes import Acquisition, Light, Scene, SimulatedArea, Sun
from geostack.sources.simulation.shapes import Box, box_window
from geostack.sources.simulation.terrain import smoothstep

FILE = Path(scenes.__file__).parent / "data" / "scenes.json"

LAKE_TAHOE_BBOX: Box = (-120.10, 38.92, -119.93, 39.27)
CALDOR_BBOX: Box = (-120.30, 38.55, -119.95, 38.95)
FULL_TILE_BBOX: Box = (-120.6994, 38.7065, -119.3876, 39.7269)
"""The box around tile 10SGJ's outline."""
DEM_BBOX: Box = (-120.32, 38.53, -119.90, 39.29)
LISBON_BBOX: Box = (-9.30, 38.65, -9.05, 38.85)
NAIP_BBOX: Box = (-120.0170, 38.9286, -120.0030, 38.9394)

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

AREAS = {area.name: area for area in _ALL}
"""The places, their times and tiles."""

COG = "image/tiff; application=geotiff; profile=cloud-optimized"

# band: (title, common name, centre wavelength and full width at half maximum in micrometres).
SENTINEL2_BANDS: dict[str, tuple[str, str, float, float]] = {
    "B02": ("Band 2 - Blue - 10m", "blue", 0.49, 0.098),
    "B03": ("Band 3 - Green - 10m", "green", 0.56, 0.045),
    "B04": ("Band 4 - Red - 10m", "red", 0.665, 0.038),
    "B08": ("Band 8 - NIR - 10m", "nir", 0.842, 0.145),
    "B11": ("Band 11 - SWIR (1.6) - 20m", "swir16", 1.61, 0.143),
    "B12": ("Band 12 - SWIR (2.2) - 20m", "swir22", 2.19, 0.242),
}

# SCL class: property that holds its percentage.
SCL_PERCENTAGES: dict[int, str] = {
    2: "s2:dark_features_percentage",
    3: "s2:cloud_shadow_percentage",
    4: "s2:vegetation_percentage",
    5: "s2:not_vegetated_percentage",
    6: "s2:water_percentage",
    7: "s2:unclassified_percentage",
    8: "s2:medium_proba_clouds_percentage",
    9: "s2:high_proba_clouds_percentage",
    10: "s2:thin_cirrus_percentage",
    11: "s2:snow_ice_percentage",
}


def footprint(grid: Grid) -> tuple[dict[str, Any], list[float]]:
    """Return a grid's outline in degrees: a GeoJSON polygon, and (west, south, east, north)."""
    import numpy as np
    from pyproj import Transformer

    west, south, east, north = grid.bounds
    corners = np.array(
        [(east, south), (east, north), (west, north), (west, south), (east, south)], dtype=float
    )
    # Points along the edges: a UTM edge is a curve in degrees.
    steps = np.linspace(0, 1, 5)[:-1, None]
    ring = np.vstack([a + (b - a) * steps for a, b in pairwise(corners)])
    ring = np.vstack([ring, ring[:1]])
    to_degrees = Transformer.from_crs(grid.epsg, 4326, always_xy=True)
    lon, lat = to_degrees.transform(ring[:, 0], ring[:, 1])
    points = [[round(float(x), 7), round(float(y), 7)] for x, y in zip(lon, lat, strict=True)]
    box = [round(float(f(v)), 7) for f, v in
           ((np.min, lon), (np.min, lat), (np.max, lon), (np.max, lat))]  # fmt: skip
    return {"type": "Polygon", "coordinates": [points]}, box


def asset(href: str, grid: Grid, **fields: Any) -> dict[str, Any]:
    """Return a STAC asset of one COG beside its item."""
    return {
        "href": f"./{href}",
        "type": COG,
        "roles": ["data"],
        "gsd": float(grid.res),
        "proj:bbox": [float(v) for v in grid.bounds],
        "proj:shape": list(grid.shape),
        "proj:transform": [float(v) for v in grid.transform],
        **fields,
    }


def item(
    item_id: str,
    collection: str,
    when: datetime,
    grid: Grid,
    properties: Mapping[str, Any],
    assets: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a STAC item as a JSON-ready dict; every one says that it is simulated."""
    geometry, box = footprint(grid)
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [
            "https://stac-extensions.github.io/eo/v1.0.0/schema.json",
            "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
        ],
        "id": item_id,
        "collection": collection,
        "geometry": geometry,
        "bbox": box,
        "properties": {
            "datetime": stamp(when),
            "proj:epsg": grid.epsg,
            "proj:code": f"EPSG:{grid.epsg}",
            "geostack:simulated": True,
            **properties,
        },
        "links": [],
        "assets": dict(assets),
    }


def sentinel2_asset(href: str, band: str, grid: Grid) -> dict[str, Any]:
    """Return the asset of a Sentinel-2 band or of the scene classification."""
    if band == "SCL":
        return asset(href, grid, title="Scene classification map (SCL)")
    title, common, centre, width = SENTINEL2_BANDS[band]
    described = {
        "name": band,
        "common_name": common,
        "description": title.rsplit(" - ", 1)[0],
        "center_wavelength": centre,
        "full_width_half_max": width,
    }
    return asset(href, grid, title=title, **{"eo:bands": [described]})


def stamp(when: datetime) -> str:
    """Return a UTC time as STAC writes it."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


def processed(when: datetime) -> datetime:
    """Return a plausible processing time: some hours after the acquisition."""
    return when + timedelta(hours=4, minutes=17, seconds=(when.day * 37) % 60)


def sun_position(when: datetime, longitude: float, latitude: float) -> Sun:
    """Return the sun's position at a UTC time (the low-accuracy formulas of NOAA, about 0.5 deg).

    Source: NOAA Global Monitoring Division, "General Solar Position Calculations".

    >>> from datetime import datetime
    >>> sun = sun_position(datetime(2024, 6, 14, 18, 39), -120.0, 39.0)
    >>> round(sun.zenith), round(sun.azimuth)
    (23, 126)
    """
    hour = when.hour + when.minute / 60 + when.second / 3600
    g = 2 * pi / 365 * (when.timetuple().tm_yday - 1 + (hour - 12) / 24)
    equation = 229.18 * (
        0.000075
        + 0.001868 * cos(g)
        - 0.032077 * sin(g)
        - 0.014615 * cos(2 * g)
        - 0.040849 * sin(2 * g)
    )
    declination = (
        0.006918
        - 0.399912 * cos(g)
        + 0.070257 * sin(g)
        - 0.006758 * cos(2 * g)
        + 0.000907 * sin(2 * g)
        - 0.002697 * cos(3 * g)
        + 0.00148 * sin(3 * g)
    )
    hour_angle = radians((hour * 60 + equation + 4 * longitude) / 4 - 180)
    lat = radians(latitude)
    up = sin(lat) * sin(declination) + cos(lat) * cos(declination) * cos(hour_angle)
    zenith = acos(up)
    east = -cos(declination) * sin(hour_angle)
    north = (sin(declination) - sin(lat) * up) / cos(lat)
    azimuth = degrees(np.arctan2(east, north)) % 360
    return Sun(degrees(zenith), float(azimuth))


def earth_sun_factor(when: datetime) -> float:
    """Return the inverse square of the distance to the sun in astronomical units.

    Items carry it as `s2:reflectance_conversion_factor`.

    >>> from datetime import datetime
    >>> round(earth_sun_factor(datetime(2024, 7, 4)), 3)
    0.967
    """
    day = when.timetuple().tm_yday
    return (1 - 0.01673 * cos(radians(0.9856 * (day - 4)))) ** -2


TILE_PIXELS = 10980

# The upper left corner of each tile in metres (Sentinel-2 tiling grid, after MGRS).
TILE_ORIGIN: dict[str, tuple[int, float, float]] = {
    "10SGJ": (32610, 699960.0, 4400040.0),
    "10SGH": (32610, 699960.0, 4300020.0),
    "29SMC": (32629, 399960.0, 4300020.0),
}


@dataclass(frozen=True)
class Shot:
    """One Sentinel-2 acquisition: its weather, its bands, how it is called."""

    when: datetime
    acquisition: Acquisition
    light: Light
    platform: str
    orbit: int
    baseline: str
    bands: tuple[str, ...]
    suffix: str = "SIM"


def tile_grid(tile: str, res: float = 10.0) -> Grid:
    """Return the whole grid of an MGRS tile, 10980 x 10980 at 10 m.

    >>> tile_grid("10SGJ").bounds
    (699960.0, 4290240.0, 809760.0, 4400040.0)
    """
    epsg, west, north = TILE_ORIGIN[tile]
    pixels = round(TILE_PIXELS * 10 / res)
    return Grid(epsg, west, north, res, pixels, pixels)


def pixel_window(tile: str, bbox: Box, block: int = 256) -> Grid:
    """Return the 10 m window of a tile around a box in degrees, on multiples of `block` pixels."""
    outer = tile_grid(tile)
    west, south, east, north = box_window(outer.epsg, bbox).bounds

    def low(value: float) -> int:
        return max(0, floor(value / outer.res / block) * block)

    def high(value: float) -> int:
        return min(TILE_PIXELS, ceil(value / outer.res / block) * block)

    rows = slice(low(outer.north - north), high(outer.north - south))
    cols = slice(low(west - outer.west), high(east - outer.west))
    return outer.window(rows, cols)


def item_id(shot: Shot, tile: str) -> str:
    """Return the identifier of a scene, in the form of the Planetary Computer's, ending in _SIM."""
    when = shot.when
    return (
        f"{shot.platform}_MSIL2A_{when:%Y%m%dT%H%M%S}_R{shot.orbit:03d}_T{tile}_"
        f"{processed(when):%Y%m%dT%H%M%S}_{shot.suffix}"
    )


def counted(shot: Shot, tile: str, scl: np.ndarray) -> dict[str, object]:
    """Return the properties of an item with a classification; percentages count its pixels."""
    counts = np.bincount(scl.ravel(), minlength=12) * (100 / scl.size)
    full = tile_grid(tile, 20)
    percentages = {name: round(float(counts[k]), 6) for k, name in SCL_PERCENTAGES.items()}
    missing = 100 - 100 * scl.size / (full.rows * full.cols)
    return {**tile_properties(shot, tile, float(counts[8:11].sum()), missing), **percentages}


def tile_properties(shot: Shot, tile: str, cloud_cover: float, nodata: float) -> dict[str, object]:
    """Return the properties of a Sentinel-2 item; `cloud_cover` and `nodata` are percentages."""
    acquisition = shot.acquisition
    made = processed(shot.when)
    number = shot.baseline.replace(".", "")
    return {
        "platform": {"S2A": "Sentinel-2A", "S2B": "Sentinel-2B"}[shot.platform],
        "constellation": "Sentinel 2",
        "instruments": ["msi"],
        "eo:cloud_cover": round(cloud_cover, 6),
        "s2:mgrs_tile": tile,
        "s2:processing_baseline": shot.baseline,
        "s2:product_type": "S2MSI2A",
        "s2:product_uri": f"{shot.platform}_MSIL2A_{shot.when:%Y%m%dT%H%M%S}_N{number}_"
        f"R{shot.orbit:03d}_T{tile}_{made:%Y%m%dT%H%M%S}.SAFE",
        "s2:generation_time": made.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "s2:mean_solar_zenith": round(acquisition.sun.zenith, 6),
        "s2:mean_solar_azimuth": round(acquisition.sun.azimuth, 6),
        "s2:reflectance_conversion_factor": round(earth_sun_factor(shot.when), 9),
        "s2:nodata_pixel_percentage": round(nodata, 6),
        "sat:orbit_state": "descending",
        "sat:relative_orbit": shot.orbit,
    }


ALL_BANDS = ("B02", "B03", "B04", "B08", "B11", "B12", "SCL")


def sentinel2(shot: Shot, tile: str, scl: np.ndarray | None = None) -> dict[str, Any]:
    """Return a scene's item; what is counted is missing without a classification."""
    assets = {}
    for band in shot.bands:
        grid = tile_grid(tile, 20.0 if band in ("B11", "B12", "SCL") else 10.0)
        href = f"T{tile}_{shot.when:%Y%m%dT%H%M%S}_{band}_{grid.res:.0f}m.tif"
        assets[band] = sentinel2_asset(href, band, grid)
    whole = tile_properties(shot, tile, cloud_cover=0.0, nodata=0.0)
    properties = whole if scl is None else counted(shot, tile, scl)
    name = item_id(shot, tile)
    return item(name, "sentinel-2-l2a", shot.when, tile_grid(tile), properties, assets)


def sentinel2_scenes(
    area: str,
    shots: list[Shot],
    windows: dict[str, Grid],
    grid: Grid,
    bands: tuple[str, ...] = ALL_BANDS[:-1],
    growth: float | None = None,
) -> Iterator[Scene]:
    """Yield the scenes of acquisitions, one of each tile, with what is counted in their pixels."""
    for shot in shots:
        for tile, window in windows.items():
            plain = sentinel2(shot, tile)
            scene = Scene(area, plain, window, grid, bands, growth, shot.acquisition, shot.light)
            yield replace(scene, item=sentinel2(shot, tile, draw.pixels(scene, "SCL").array))


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


def tahoe_shots() -> list[Shot]:
    """Return the 22 acquisitions of Lake Tahoe in order of time; all share the clearest's light."""
    shots = [_tahoe_shot(number, *row) for number, row in enumerate(_WEATHER)]
    clear = next(shot for shot in shots if f"{shot.when:%Y-%m-%d}" == CLEAREST)
    return [replace(shot, light=Light(clear.acquisition.sun, 2200.0)) for shot in shots]


def _tahoe_shot(number: int, day: str, cloud: float, cirrus: float, size: float) -> Shot:
    date = datetime.fromisoformat(day)
    # The first orbit passes on the 4th, 9th, 14th...: a day number that leaves 1 modulo 5.
    since = (date - datetime(2024, 6, 4)).days
    first = since % 5 == 0
    satellite = "S2A" if ((since if first else since - 3) // 5) % 2 else "S2B"
    second = 19 if satellite == "S2B" else 21
    when = date.replace(hour=18, minute=39 if first else 49, second=second, microsecond=24000)
    season = (date - datetime(2024, 6, 1)).days / 60
    haze = 0.0004 * ((number * 7) % 9 - 3) if day != CLEAREST else 0.0
    sun = sun_position(when, -120.0, 39.1)
    snowline = 2310 + 560 * season
    seed = 1000 + 17 * number
    acquisition = Acquisition(sun, season, snowline, 1000, haze, seed, cloud, cirrus, size)
    bands = ALL_BANDS if day == CLEAREST else ("B04", "B08", "SCL")
    orbit = 70 if first else 113
    return Shot(when, acquisition, Light(sun, 2200.0), satellite, orbit, "05.10", bands)


def tahoe() -> Iterator[Scene]:
    """Yield Lake Tahoe's summer; pixels reach south of the box as far as the airport."""
    west, south, east, north = AREAS["lake-tahoe"].bbox
    window = pixel_window("10SGJ", (west, south - 0.03, east, north), block=128)
    # One scene of 22 has the other two bands, and half of the ground's memory is its bands.
    bands = ("B02", "B03", "B04", "B08")
    yield from sentinel2_scenes("lake-tahoe", tahoe_shots(), {"10SGJ": window}, window, bands)


def caldor_windows() -> dict[str, Grid]:
    """Return the pixels of each tile; the box crosses the northern edge of 10SGH."""
    bbox = AREAS["caldor"].bbox
    return {tile: pixel_window(tile, bbox, block=128) for tile in AREAS["caldor"].tiles}


def caldor_grid() -> Grid:
    """Return the grid that holds the windows of both tiles."""
    bounds = [grid.bounds for grid in caldor_windows().values()]
    west, south = min(b[0] for b in bounds), min(b[1] for b in bounds)
    east, north = max(b[2] for b in bounds), max(b[3] for b in bounds)
    rows, cols = round((north - south) / 10), round((east - west) / 10)
    return Grid(AREAS["caldor"].epsg, west, north, 10.0, rows, cols)


def caldor_shots() -> list[Shot]:
    """Return the two acquisitions: 9 August, before the fire, and 12 November 2021."""
    return [
        _caldor_shot(datetime(2021, 8, 9, 18, 39, 19, 24000), "S2B", 1.0, 3350.0, 0.003, 2101),
        _caldor_shot(datetime(2021, 11, 12, 18, 39, 21, 24000), "S2A", 1.1, 3140.0, 0.006, 2202),
    ]


def _caldor_shot(
    when: datetime, platform: str, season: float, snowline: float, cloud: float, seed: int
) -> Shot:
    sun = sun_position(when, -120.12, 38.75)
    # Before processing baseline 04.00 digital numbers had no offset.
    acquisition = Acquisition(sun, season, snowline, 0, 0.0, seed, cloud, 0.0, 2600.0)
    light = Light(sun, snowline - 60, burnt=when > FIRE)
    return Shot(when, acquisition, light, platform, 70, "03.01", ALL_BANDS)


FIRE = datetime(2021, 8, 14)
"""The day that the Caldor Fire began."""


PUBLISHED_ACRES = 221_835
"""Area of the Caldor Fire of 2021 (California Department of Forestry and Fire Protection)."""

SQUARE_METRES_PER_ACRE = 4046.8564224

LEAST = 0.2
"""Severity from which ground counts as burnt; the notebook sees it as a dNBR of about 0.1."""


def growth(land: Land, counted: Grid, acres: float = PUBLISHED_ACRES) -> float:
    """Return the metres by which the drawn perimeter moves so that `acres` burn inside `counted`.

    `counted` is a part of the land's grid (to half a pixel).
    """
    grid, fire = land.grid, BurntGround(land, 0.0)
    row = round((grid.north - counted.north) / grid.res)
    col = round((counted.west - grid.west) / grid.res)
    edges, intensities = [], []
    for start in range(row, row + counted.rows, 256):
        rows = slice(start, min(start + 256, row + counted.rows))
        edge, intensity = fire.fuelled(land.part(rows))
        cols = slice(col, col + counted.cols, 2)
        edges.append(edge[::2, cols].ravel())
        intensities.append(intensity[::2, cols].ravel())
    inside, strength = np.concatenate(edges), np.concatenate(intensities)
    pixel = 4 * grid.res**2
    low, high = -4000.0, 8000.0
    for _ in range(24):
        middle = (low + high) / 2
        hard = strength * smoothstep((inside + middle) / 120)
        burnt = np.count_nonzero(hard >= LEAST) * pixel
        few = burnt < acres * SQUARE_METRES_PER_ACRE
        low, high = (middle, high) if few else (low, middle)
    return high


def caldor_growth(grid: Grid) -> float:
    """Return the metres that burn the published area in the simulated box."""
    return growth(Tahoe(grid), box_window(grid.epsg, AREAS["caldor"].bbox))


def caldor() -> Iterator[Scene]:
    """Yield both tiles before and after the fire."""
    grid, windows = caldor_grid(), caldor_windows()
    yield from sentinel2_scenes("caldor", caldor_shots(), windows, grid, growth=caldor_growth(grid))


def lisbon_shots() -> list[Shot]:
    """Return three acquisitions of one orbit, 15 days apart; all share the first one's light."""
    days = ((6, 18, 0.006, "S2A"), (7, 3, 0.031, "S2B"), (7, 18, 0.017, "S2A"))
    out: list[Shot] = []
    for month, day, cloud, platform in days:
        when = datetime(2024, month, day, 11, 21, 19 if platform == "S2B" else 21, 24000)
        sun = sun_position(when, -9.17, 38.75)
        season = 0.75 + (month - 6) * 0.25
        seed = 5000 + month * 31 + day
        taken = Acquisition(sun, season, 9000.0, 1000, 0.0, seed, cloud, 0.0, 2400.0)
        light = out[0].light if out else Light(sun, 8000.0)
        out.append(Shot(when, taken, light, platform, 37, "05.10", ALL_BANDS))
    return out


def lisbon() -> Iterator[Scene]:
    """Yield Lisbon's summer."""
    window = pixel_window("29SMC", AREAS["lisbon"].bbox, block=128)
    yield from sentinel2_scenes("lisbon", lisbon_shots(), {"29SMC": window}, window)


def full_tile_shot() -> Shot:
    """Return the one acquisition, cloudless, 60 days after Lake Tahoe's clearest."""
    when = datetime(2024, 8, 13, 18, 39, 19, 24000)
    sun = sun_position(when, -120.0, 39.2)
    taken = Acquisition(sun, 1.2, 3150.0, 1000, 0.0, 3301)
    light = Light(sun, 3150.0 - 60)
    return Shot(when, taken, light, "S2B", 70, "05.10", ("B04", "B08"), "FULL_SIM")


def full_tile() -> Iterator[Scene]:
    """Yield the whole tile; its ground is made at 40 m, on an even number of pixels each way."""
    shot, outer = full_tile_shot(), tile_grid("10SGJ")
    around = outer.at(40, margin=1)
    grid = replace(around, rows=around.rows + 1, cols=around.cols + 1)
    plain = sentinel2(shot, "10SGJ")
    yield Scene("full-tile", plain, outer, grid, shot.bands, None, shot.acquisition, shot.light)


# Path 43, row 33; corners of Landsat pixels lie on odd multiples of 15 m.
LANDSAT_SCENE = Grid(32610, 640785.0, 4423515.0, 30.0, 7850, 7700)

# asset: (name, centre and width in micrometres, file's suffix)
LANDSAT_BANDS: dict[str, tuple[str, float, float, str]] = {
    "blue": ("OLI_B2", 0.48, 0.06, "SR_B2"),
    "green": ("OLI_B3", 0.56, 0.06, "SR_B3"),
    "red": ("OLI_B4", 0.65, 0.04, "SR_B4"),
    "nir08": ("OLI_B5", 0.87, 0.03, "SR_B5"),
    "swir16": ("OLI_B6", 1.61, 0.09, "SR_B6"),
    "swir22": ("OLI_B7", 2.20, 0.19, "SR_B7"),
}

# area: (platform, when, season, snowline, cloud).
_PASSES: dict[str, tuple[tuple[str, datetime, float, float, float], ...]] = {
    "lake-tahoe-landsat": (
        ("LC09", datetime(2024, 6, 13, 18, 40, 12, 477296), 0.20, 2520.0, 0.02),
        ("LC09", datetime(2024, 7, 15, 18, 40, 18, 124511), 0.73, 2785.0, 0.05),
    ),
    "caldor-landsat": (
        ("LC08", datetime(2021, 8, 6, 18, 40, 25, 716210), 1.0, 3350.0, 0.01),
        ("LC08", datetime(2021, 11, 10, 18, 40, 48, 250418), 1.1, 3140.0, 0.01),
    ),
}


def landsat_window(bbox: Box) -> Grid:
    """Return the scene's pixels around a box in degrees, with a margin of 20 pixels."""
    scene = LANDSAT_SCENE
    west, south, east, north = box_window(scene.epsg, bbox, 30.0).bounds
    rows = slice(floor((scene.north - north) / 30) - 20, ceil((scene.north - south) / 30) + 20)
    cols = slice(floor((west - scene.west) / 30) - 20, ceil((east - scene.west) / 30) + 20)
    # Even numbers of rows and columns, as the scenes' light is computed on pairs.
    rows = slice(rows.start, rows.stop + (rows.stop - rows.start) % 2)
    cols = slice(cols.start, cols.stop + (cols.stop - cols.start) % 2)
    return scene.window(rows, cols)


def landsat(area: str) -> Iterator[Scene]:
    """Yield an area's passes."""
    thirty = landsat_window(AREAS[area].bbox)
    fine = Grid(thirty.epsg, thirty.west, thirty.north, 10.0, thirty.rows * 3, thirty.cols * 3)
    grown = caldor_growth(fine) if area.startswith("caldor") else None
    bands = tuple(draw.LANDSAT_BANDS.values())
    for platform, when, season, snowline, cloud in _PASSES[area]:
        sun = sun_position(when, -120.0, 39.0)
        seed = when.year + when.timetuple().tm_yday
        taken = Acquisition(sun, season, snowline, 0, 0.0, seed, cloud, 0.0, 4200.0)
        light = Light(sun, snowline - 60, burnt=grown is not None and when > FIRE)
        plain = landsat_item(platform, when, sun)
        scene = Scene(area, plain, thirty, fine, bands, grown, taken, light)
        clouded = 100 * float(np.mean(draw.pixels(scene, "qa_pixel").array & 8 > 0))
        yield replace(scene, item=landsat_item(platform, when, sun, clouded))


def landsat_item(platform: str, when: datetime, sun: Sun, cloud: float = 0.0) -> dict[str, Any]:
    """Return the item of a pass."""
    name = f"{platform}_L2SP_043033_{when:%Y%m%d}_02_T1_SIM"
    assets = {
        key: landsat_asset(key, f"{name}_{band[3]}.TIF") for key, band in LANDSAT_BANDS.items()
    }
    assets["qa_pixel"] = asset(
        f"{name}_QA_PIXEL.TIF", LANDSAT_SCENE, title="Pixel Quality Assessment Band"
    )
    properties = {
        "platform": {"LC08": "landsat-8", "LC09": "landsat-9"}[platform],
        "instruments": ["oli", "tirs"],
        "gsd": 30,
        "eo:cloud_cover": round(cloud, 2),
        "landsat:wrs_path": "043",
        "landsat:wrs_row": "033",
        "landsat:correction": "L2SP",
        "landsat:collection_number": "02",
        "landsat:collection_category": "T1",
        "view:sun_azimuth": round(sun.azimuth, 6),
        "view:sun_elevation": round(elevation_of(sun), 6),
    }
    return item(name, "landsat-c2-l2", when, LANDSAT_SCENE, properties, assets)


def elevation_of(sun: Sun) -> float:
    """Return the sun's height above the horizon in degrees."""
    return degrees(asin(cos(radians(sun.zenith))))


def landsat_asset(key: str, href: str) -> dict[str, Any]:
    """Return the asset of a reflectance band."""
    name, centre, width, _ = LANDSAT_BANDS[key]
    described = {
        "name": name,
        "common_name": key,
        "center_wavelength": centre,
        "full_width_half_max": width,
    }
    numbers = {
        "scale": draw.LANDSAT_SCALE,
        "offset": draw.LANDSAT_OFFSET,
        "nodata": 0,
        "data_type": "uint16",
    }
    fields = {"eo:bands": [described], "raster:bands": [numbers]}
    return asset(href, LANDSAT_SCENE, title=f"{key} surface reflectance", **fields)


def photograph() -> Iterator[Scene]:
    """Yield the aerial photograph."""
    name, res = "ca_m_3812022_ne_10_060_20220713_SIM", 0.6
    area = AREAS["lake-tahoe-naip"]
    fine = box_window(area.epsg, area.bbox, 6.0)
    grid = Grid(fine.epsg, fine.west, fine.north, res, fine.rows * 10, fine.cols * 10)
    sun = sun_position(datetime(2022, 7, 13, 17, 10), -120.0, 38.9)
    taken = Acquisition(sun, 0.7, 3000.0, 0, 0.012, 7)
    bands = [{"name": name, "common_name": name.lower()} for name in draw.NAIP_BANDS]
    image = asset(f"{name}.tif", grid, title="RGBIR COG tile", **{"eo:bands": bands})
    properties = {"gsd": res, "naip:state": "ca", "naip:year": "2022"}
    made = item(name, "naip", datetime(2022, 7, 13, 16), grid, properties, {"image": image})
    drawn = tuple(band for band, _ in draw.NAIP_BANDS.values())
    yield Scene(area.name, made, grid, grid, drawn, None, taken, Light(sun, 2900.0))


ARC_SECOND = 1 / 3600
"""A pixel of Copernicus DEM GLO-30; centres lie on whole arc seconds (Copernicus DEM handbook)."""


def dem_tile(south: int, west: int) -> Grid:
    """Return the grid of a 1-degree tile by its south-west corner, 3600 x 3600.

    >>> dem_tile(38, -121).shape
    (3600, 3600)
    """
    half = ARC_SECOND / 2
    return Grid(4326, west - half, south + 1 + half, ARC_SECOND, 3600, 3600)


def dem_id(south: int, west: int) -> str:
    """Return a tile's identifier; the sample's own naming, with _SIM at the end.

    >>> dem_id(38, -121)
    'Copernicus_DSM_COG_10_N38_00_W121_00_DEM_SIM'
    """
    ns, ew = "NS"[south < 0], "EW"[west < 0]
    return f"Copernicus_DSM_COG_10_{ns}{abs(south):02d}_00_{ew}{abs(west):03d}_00_DEM_SIM"


def dem_part(outer: Grid, bbox: Box) -> Grid:
    """Return the pixels of a tile inside a box in degrees."""
    west, south, east, north = bbox
    top = max(0, floor((outer.north - north) / outer.res))
    bottom = min(outer.rows, ceil((outer.north - south) / outer.res))
    left = max(0, floor((west - outer.west) / outer.res))
    right = min(outer.cols, ceil((east - outer.west) / outer.res))
    return outer.window(slice(top, bottom), slice(left, right))


def relief() -> Iterator[Scene]:
    """Yield the four tiles that share the area's box."""
    area = AREAS["lake-tahoe-dem"]
    west, south, east, north = area.bbox
    for la in range(floor(south), ceil(north)):
        for lo in range(floor(west), ceil(east)):
            outer, name = dem_tile(la, lo), dem_id(la, lo)
            data = asset(f"{name}.tif", outer, title=name, gsd=30.0)
            properties = {"gsd": 30, "platform": "TanDEM-X"}
            when = datetime(2021, 4, 22)
            made = item(name, "cop-dem-glo-30", when, outer, properties, {"data": data})
            part = dem_part(outer, area.bbox)
            yield Scene(area.name, made, part, part, (), None, None, None)


MAKERS = {
    "lake-tahoe": tahoe,
    "caldor": caldor,
    "full-tile": full_tile,
    "lake-tahoe-dem": relief,
    "lake-tahoe-landsat": lambda: landsat("lake-tahoe-landsat"),
    "caldor-landsat": lambda: landsat("caldor-landsat"),
    "lake-tahoe-naip": photograph,
    "lisbon": lisbon,
}


def written(made: list[Scene]) -> dict[str, Any]:
    """Return an area's scenes as the file has them."""
    entries = []
    for scene in made:
        entry: dict[str, Any] = {"window": grid_list(scene.window)}
        if scene.acquisition is not None and scene.light is not None:
            entry["acquisition"] = asdict(scene.acquisition)
            entry["light"] = asdict(scene.light)
        entries.append({**entry, "item": scene.item})
    area: dict[str, Any] = asdict(AREAS[made[0].area])
    area.update(grid=grid_list(made[0].grid), bands=made[0].bands)
    if made[0].growth is not None:
        area["growth"] = made[0].growth
    return {**area, "scenes": entries}


def grid_list(grid: Grid) -> list[float]:
    """Return a grid's fields in their order."""
    return [grid.epsg, grid.west, grid.north, grid.res, grid.rows, grid.cols]


def text(areas: Mapping[str, Any]) -> str:
    """Return the file's text, one scene a line."""
    lines = []
    for name, area in areas.items():
        head = {key: value for key, value in area.items() if key != "scenes"}
        entries = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in area["scenes"])
        opening = json.dumps(head, separators=(",", ":"))[:-1]
        lines.append(f'{json.dumps(name)}:{opening},"scenes":[\n{entries}\n]}}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main(names: list[str]) -> None:
    """Make areas anew, all of them without names, and leave the others as they are."""
    areas = json.loads(FILE.read_text("utf-8")) if FILE.is_file() else {}
    for name in names or MAKERS:
        areas[name] = written(list(MAKERS[name]()))
        print(name, len(areas[name]["scenes"]), "scenes", flush=True)
        FILE.write_text(text({name: areas[name] for name in MAKERS if name in areas}), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
