"""Lisbon and the mouth of the Tagus: a small area on another continent, in another UTM zone."""

from __future__ import annotations

import numpy as np

from .grid import F32, Grid, resample
from .landscape import COVERS, Landscape, crowns
from .noise import fractal, ridged, uniform
from .places import Point
from .settlement import blocks
from .shapes import line_distance, outline_distance, project, smooth
from .terrain import smoothstep

# The sea, the river and its inner bay, clockwise from the north-western shore.
WATER: tuple[Point, ...] = (
    (-9.420, 38.685), (-9.360, 38.680), (-9.326, 38.674), (-9.310, 38.681), (-9.293, 38.691),
    (-9.275, 38.697), (-9.250, 38.700), (-9.230, 38.695), (-9.216, 38.691), (-9.200, 38.694),
    (-9.175, 38.699), (-9.145, 38.705), (-9.136, 38.706), (-9.120, 38.713), (-9.108, 38.723),
    (-9.098, 38.738), (-9.092, 38.755), (-9.090, 38.775), (-9.092, 38.795), (-9.078, 38.822),
    (-9.062, 38.845), (-9.050, 38.880), (-8.960, 38.880), (-8.960, 38.760), (-9.000, 38.720),
    (-9.030, 38.714), (-9.046, 38.708), (-9.034, 38.694), (-9.040, 38.678), (-9.060, 38.668),
    (-9.080, 38.664), (-9.086, 38.655), (-9.082, 38.640), (-9.092, 38.632), (-9.100, 38.642),
    (-9.118, 38.652), (-9.140, 38.664), (-9.148, 38.684), (-9.158, 38.685), (-9.171, 38.681),
    (-9.190, 38.678), (-9.208, 38.677), (-9.235, 38.673), (-9.257, 38.667), (-9.248, 38.656),
    (-9.238, 38.640), (-9.225, 38.600), (-9.420, 38.600),
)  # fmt: skip

# (longitude, latitude, metres).
HEIGHTS: tuple[tuple[float, float, float], ...] = (
    (-9.186, 38.728, 225), (-9.133, 38.714, 105), (-9.134, 38.774, 105), (-9.230, 38.755, 150),
    (-9.160, 38.832, 12), (-9.185, 38.795, 140), (-9.225, 38.822, 300), (-9.245, 38.725, 110),
    (-9.300, 38.705, 75), (-9.290, 38.760, 160), (-9.165, 38.672, 100), (-9.210, 38.655, 75),
    (-9.120, 38.740, 60), (-9.110, 38.800, 70), (-9.120, 38.845, 110), (-9.290, 38.840, 230),
    (-9.100, 38.670, 15), (-9.150, 38.645, 35), (-9.060, 38.655, 12), (-9.020, 38.700, 8),
    (-9.200, 38.700, 40), (-9.145, 38.725, 75), (-9.155, 38.755, 95), (-9.190, 38.620, 70),
    (-9.350, 38.720, 110), (-9.050, 38.620, 20), (-9.180, 38.870, 200), (-9.360, 38.860, 200),
)  # fmt: skip

# (outline, azimuth of the streets, share under roofs).
QUARTERS: tuple[tuple[tuple[Point, ...], float, float], ...] = (
    (((-9.235, 38.695), (-9.200, 38.696), (-9.145, 38.707), (-9.118, 38.716), (-9.096, 38.740),
      (-9.092, 38.795), (-9.125, 38.800), (-9.150, 38.785), (-9.190, 38.775), (-9.205, 38.750),
      (-9.165, 38.735), (-9.170, 38.712), (-9.215, 38.703)), 8.0, 0.95),
    (((-9.205, 38.750), (-9.200, 38.790), (-9.250, 38.790), (-9.262, 38.760), (-9.235, 38.745)),
     35.0, 0.85),
    (((-9.320, 38.684), (-9.275, 38.700), (-9.235, 38.702), (-9.228, 38.730), (-9.280, 38.722),
      (-9.320, 38.715)), 20.0, 0.6),
    (((-9.200, 38.676), (-9.150, 38.683), (-9.145, 38.655), (-9.190, 38.650), (-9.215, 38.662)),
     50.0, 0.8),
    (((-9.085, 38.661), (-9.045, 38.668), (-9.050, 38.640), (-9.080, 38.640)), 0.0, 0.7),
    (((-9.180, 38.800), (-9.150, 38.835), (-9.110, 38.840), (-9.095, 38.805), (-9.130, 38.800)),
     70.0, 0.6),
)  # fmt: skip

# (longitude, latitude, radius m): Monsanto, the dunes' pines, and smaller woods.
WOODS: tuple[tuple[float, float, float], ...] = (
    (-9.190, 38.728, 2000), (-9.215, 38.640, 1800), (-9.235, 38.830, 1500), (-9.155, 38.630, 1300),
)  # fmt: skip

# (half width m, line): the two bridges, the ring roads and the motorways; last, the runway.
LINES: tuple[tuple[float, tuple[Point, ...]], ...] = (
    (11.0, ((-9.182, 38.712), (-9.179, 38.699), (-9.175, 38.678), (-9.172, 38.660),
            (-9.150, 38.630))),
    (12.0, ((-9.105, 38.784), (-9.093, 38.783), (-9.060, 38.768), (-9.020, 38.745))),
    (11.0, ((-9.230, 38.710), (-9.195, 38.745), (-9.165, 38.762), (-9.125, 38.782),
            (-9.098, 38.790))),
    (11.0, ((-9.320, 38.705), (-9.260, 38.715), (-9.182, 38.722), (-9.160, 38.735))),
    (10.0, ((-9.215, 38.740), (-9.215, 38.790), (-9.180, 38.830), (-9.140, 38.850))),
    (23.0, ((-9.1435, 38.7620), (-9.1260, 38.7930))),
)  # fmt: skip


class Ground:
    """The ground around Lisbon: coarse layers of a whole grid, the fine ones part by part."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self._coarse = coarse = grid.at(20, margin=2)
        ring = smooth(project(WATER, grid.epsg), closed=True)
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
        asphalt, bridge = _lines(grid, shore)
        water = np.clip(shore / np.float32(grid.res) + np.float32(0.5), 0, 1) * (1 - bridge)
        depth = np.clip(np.maximum(shore, 0) * np.float32(0.03), 0, 30)
        crown = crowns(grid)
        wild = fine(self._woods), fine(self._parks), fine(self._sandy)
        cover = _cover(grid, wild, shore, crown, np.maximum(asphalt, bridge))
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

    banks = project(WATER[1:-4:2], coarse.epsg)
    spots = np.vstack([project(HEIGHTS, coarse.epsg), banks]) / 1e4
    values = np.concatenate([[h for *_, h in HEIGHTS], np.full(len(banks), 6.0)])
    nodes = coarse.at(400, margin=2)
    points = np.stack(np.meshgrid(nodes.x, nodes.y), axis=-1).reshape(-1, 2) / 1e4
    spline = RBFInterpolator(spots, values, kernel="thin_plate_spline", smoothing=1e-4)
    smooth_ground = resample(spline(points).reshape(nodes.shape).astype(np.float32), nodes, coarse)
    inland = smoothstep(-shore / 900)
    hills = (ridged(coarse, 2600, 514, octaves=5) - 0.4) * np.float32(60) * inland
    return np.where(shore > 0, 0, np.maximum(smooth_ground + hills, 2)).astype(np.float32)


def _lines(grid: Grid, shore: F32) -> tuple[F32, F32]:
    """Return the fraction of asphalt on land, and of the bridges over water."""
    asphalt = np.zeros(grid.shape, np.float32)
    for half_width, line in LINES:
        points = project(line, grid.epsg)
        curve = smooth(points, closed=False, parts=6) if len(points) > 2 else points
        for rows, cols, distance in line_distance(grid, curve):
            here = np.clip((half_width - distance) / np.float32(grid.res) + 0.5, 0, 1)
            asphalt[rows, cols] = np.maximum(asphalt[rows, cols], here)
    return asphalt, np.where(shore > 0, asphalt, 0).astype(np.float32)


def _city(grid: Grid) -> tuple[F32, F32, F32]:
    """Return fractions of cleared ground, roofs and streets."""
    cleared, roof, street = (np.zeros(grid.shape, np.float32) for _ in range(3))
    no_strip = np.zeros(grid.shape, np.float32)
    ragged = fractal(grid, 900, 521, octaves=4, gain=0.6) * np.float32(260)
    gardens = np.float32(0.32) * fractal(grid, 800, 522, octaves=5, gain=0.7)
    for number, (outline, azimuth, density) in enumerate(QUARTERS):
        ring = smooth(project(outline, grid.epsg), closed=True)
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
    for rows, cols, distance in line_distance(grid, project(LINES[-1][1], grid.epsg), reach=420):
        out[rows, cols] = np.minimum(out[rows, cols], smoothstep((distance - 300) / 60))
    return out


def _woods(coarse: Grid) -> F32:
    """Return how wooded the land is, above 0 where it is."""
    wood = fractal(coarse, 1000, 531, octaves=6, gain=0.66) - np.float32(0.55)
    for lon, lat, radius in WOODS:
        x, y = project([(lon, lat)], coarse.epsg)[0]
        far2 = (coarse.x[None, :] - x) ** 2 + (coarse.y[:, None] - y) ** 2
        wood += np.float32(1.5) * np.exp(-((far2 / radius**2) ** 2)).astype(np.float32)
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
