"""Lisbon and the mouth of the Tagus: a small area on another continent, in another UTM zone."""

from __future__ import annotations

import numpy as np

from .grid import F32, Grid, resample
from .landscape import COVERS, Landscape, crowns
from .noise import fractal, ridged, uniform
from .settlement import blocks, roads
from .shapes import line_distance, outline_distance, places, project
from .terrain import smoothstep


class Ground:
    """The ground around Lisbon: coarse layers of a whole grid, the fine ones part by part."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self._coarse = coarse = grid.at(20, margin=2)
        ring = places("lisbon")["shore"][0].outline(grid.epsg)
        ragged = fractal(coarse, 500, 511, octaves=3) * np.float32(25)
        self._shore = outline_distance(coarse, ring) + ragged
        self._height = _relief(coarse, self._shore)
        self._stand = fractal(coarse, 1500, 512, octaves=5)
        # Silt comes down the river; the ocean west of the bar is clear.
        self._silt = smoothstep((grid.x - project([(-9.33, 38.66)], grid.epsg)[0, 0]) / 9000)
        self._plumes = fractal(coarse, 3500, 513, octaves=5, gain=0.6) * np.float32(0.3)
        self._woods = _woods(coarse)
        self._parks = fractal(coarse, 600, 532, octaves=4)
        self._sandy = fractal(coarse, 900, 533, octaves=2)

    @property
    def elevation(self) -> F32:
        """Metres, (rows, cols) float32."""
        return resample(self._height, self._coarse, self.grid)

    def part(self, rows: slice) -> Landscape:
        """Make the ground truth of some rows."""
        grid = self.grid.window(rows, slice(0, self.grid.cols))

        def fine(layer: F32) -> F32:
            return resample(layer, self._coarse, grid)

        shore = fine(self._shore)
        asphalt, _ = roads(grid, "lisbon")
        bridge = np.where(shore > 0, asphalt, 0).astype(np.float32)
        water = np.clip(shore / np.float32(grid.res) + np.float32(0.5), 0, 1) * (1 - bridge)
        depth = np.clip(np.maximum(shore, 0) * np.float32(0.03), 0, 30)
        crown = crowns(grid)
        wild = fine(self._woods), fine(self._parks), fine(self._sandy)
        cover = _cover(grid, wild, shore, crown, asphalt)
        for layer in cover.values():
            layer *= 1 - water
        turbid = np.clip(0.15 + 0.7 * self._silt[None, :] + fine(self._plumes), 0, 1)
        return Landscape(
            grid, fine(self._height), water, depth, cover, crown, fine(self._stand),
            _parcels(grid), turbid.astype(np.float32),
        )  # fmt: skip


def landscape(grid: Grid) -> Landscape:
    """Make the ground truth of a grid around Lisbon."""
    return Ground(grid).part(slice(0, grid.rows))


def _relief(coarse: Grid, shore: F32) -> F32:
    from scipy.interpolate import RBFInterpolator

    here = places("lisbon")
    banks = here["shore"][0].project(coarse.epsg)[1:-4:2]
    spots = np.vstack([*(spot.project(coarse.epsg) for spot in here["height"]), banks]) / 1e4
    heights = [spot.facts["metres"] for spot in here["height"]]
    values = np.concatenate([heights, np.full(len(banks), 6.0)])
    nodes = coarse.at(400, margin=2)
    points = np.stack(np.meshgrid(nodes.x, nodes.y), axis=-1).reshape(-1, 2) / 1e4
    spline = RBFInterpolator(spots, values, kernel="thin_plate_spline", smoothing=1e-4)
    smooth_ground = resample(spline(points).reshape(nodes.shape).astype(np.float32), nodes, coarse)
    inland = smoothstep(-shore / 900)
    hills = (ridged(coarse, 2600, 514, octaves=5) - 0.4) * np.float32(60) * inland
    return np.where(shore > 0, 0, np.maximum(smooth_ground + hills, 2)).astype(np.float32)


def _city(grid: Grid) -> tuple[F32, F32, F32]:
    """Return fractions of cleared ground, roofs and streets."""
    cleared, roof, street = (np.zeros(grid.shape, np.float32) for _ in range(3))
    no_strip = np.zeros(grid.shape, np.float32)
    ragged = fractal(grid, 900, 521, octaves=4, gain=0.6) * np.float32(260)
    gardens = np.float32(0.32) * fractal(grid, 800, 522, octaves=5, gain=0.7)
    for number, quarter in enumerate(places("lisbon")["town"]):
        azimuth, density = quarter.facts["azimuth"], quarter.facts["density"]
        ring = quarter.outline(grid.epsg)
        inside = smoothstep((outline_distance(grid, ring, reach=900) + ragged) / 60 + 0.5)
        roofs, streets = blocks(grid, azimuth, density, 31 + number, no_strip)
        share = np.clip(0.30 + 0.62 * density + gardens, 0.1, 0.98)
        cleared = np.maximum(cleared, inside * share)
        roof = np.maximum(roof, np.minimum(roofs * 1.5, 1) * inside)
        street = np.maximum(street, streets * inside)
    airfield = _airfield(grid)
    return cleared * airfield, roof * airfield, street * airfield


def _airfield(grid: Grid) -> F32:
    """Return 0 on the airport's grass and 1 elsewhere."""
    out = np.ones(grid.shape, np.float32)
    strip = places("lisbon")["runway"][0].project(grid.epsg)
    for rows, cols, distance in line_distance(grid, strip, reach=420):
        out[rows, cols] = np.minimum(out[rows, cols], smoothstep((distance - 300) / 60))
    return out


def _woods(coarse: Grid) -> F32:
    """Return how wooded the land is, above 0 where it is."""
    wood = fractal(coarse, 1000, 531, octaves=6, gain=0.66) - np.float32(0.55)
    for place in places("lisbon")["wood"]:
        x, y = place.project(coarse.epsg)[0]
        far2 = (coarse.x[None, :] - x) ** 2 + (coarse.y[:, None] - y) ** 2
        near = np.exp(-((far2 / place.facts["radius"] ** 2) ** 2))
        wood += np.float32(1.5) * near.astype(np.float32)
    return wood


def _cover(
    grid: Grid, wild: tuple[F32, F32, F32], shore: F32, crown: F32, asphalt: F32
) -> dict[str, F32]:
    """Return the fractions of the land covers, as if there were no water."""
    wood, park, sandy = wild
    cleared, roof, street = _city(grid)
    forest = smoothstep(wood + np.float32(0.3) * crown)
    forest *= np.float32(0.9) * (1 - cleared)
    parks = smoothstep(park * 4 - 2.2)
    forest = np.maximum(forest, np.float32(0.55) * parks * cleared * (crown > 0))
    sand = smoothstep((shore + 50) / 30) * (sandy > 0.1) * (1 - cleared)
    layers = {
        "asphalt": np.maximum(asphalt, street),
        "roof": np.maximum(roof, np.float32(0.38) * cleared),
        "sand": sand,
        "meadow": (1 - cleared) * np.clip(0.75 - 0.1 * crown, 0, 1),
        "soil": np.full(grid.shape, 0.6, np.float32),
    }
    open_ground = 1 - forest * (1 - layers["asphalt"]) * (1 - roof)
    cover = {name: np.zeros(grid.shape, np.float32) for name in COVERS}
    cover["forest"] = 1 - open_ground
    for name, layer in layers.items():
        cover[name] = (open_ground * layer).astype(np.float32)
        open_ground = open_ground - cover[name]
    cover["shrub"] = open_ground.astype(np.float32)
    return cover


def _parcels(grid: Grid) -> F32:
    """Return how green each field is: most are dry in summer, some are irrigated."""
    bend = fractal(grid, 2200, 541, octaves=2) * np.float32(300)
    u = np.floor((grid.x[None, :] + bend) / 170).astype(np.int64)
    v = np.floor((grid.y[:, None] + 0.6 * bend) / 130).astype(np.int64)
    chance = uniform(u, v, 542)
    return np.where(chance > 0.85, 1.0, 0.45 * chance).astype(np.float32)
