"""What covers each pixel: fractions of water, forest, rock, soil, meadow, buildings and roads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from .grid import F32, Grid, pool, resample
from .noise import fractal, lattice_noise, white
from .shapes import outline_distance, places, project
from .terrain import ground, lakes, ragged_ellipses, shelf_width, shore_distance, smoothstep
from .towns import settlement

COVERS = ("forest", "rock", "soil", "shrub", "meadow", "sand", "roof", "asphalt")
"""Land covers whose fractions, with `water`, sum to 1 in each pixel."""


@dataclass(frozen=True)
class Landscape:
    """The ground truth of one grid; every layer is (rows, cols) float32.

    `cover` holds the fractions of `COVERS`, `water` that of open water, `depth` is in metres
    (0 on land), `crown` is the texture of tree crowns (mean 0, deviation
    about 1), `stand` that of forest stands, `wetness` is 0 to 1: how long meadows stay green,
    `turbid` is 0 for clear water to 1 for an estuary's.
    """

    grid: Grid
    water: F32
    depth: F32
    cover: dict[str, F32]
    crown: F32
    stand: F32
    wetness: F32
    turbid: F32 | None = None


class Land(ABC):
    """The ground of a whole grid: coarse layers at once, the fine ones part by part.

    A whole landscape of 7 million pixels takes a gigabyte; its parts are the same to the bit.
    `height` is in metres, on the grid `coarse`, as are the layers that are interpolated.
    """

    grid: Grid
    coarse: Grid
    height: F32
    layers: dict[str, F32]

    @property
    def elevation(self) -> F32:
        """Metres, (rows, cols) float32."""
        return resample(self.height, self.coarse, self.grid)

    def on(self, grid: Grid) -> dict[str, F32]:
        """Return the coarse layers on a part of the grid.

        Parameters
        ----------
        grid
            A part of the land's own.

        Returns
        -------
        Layers (rows, cols) float32 by their name.
        """
        return {name: resample(layer, self.coarse, grid) for name, layer in self.layers.items()}

    @abstractmethod
    def part(self, rows: slice) -> Landscape:
        """Return the ground truth of some rows.

        Parameters
        ----------
        rows
            Of the grid.

        Returns
        -------
        Its layers have the rows' shape.
        """


class Tahoe(Land):
    """The ground around Lake Tahoe."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.coarse = coarse = grid.at(20 if grid.res <= 10 else grid.res, margin=2)
        shore = shore_distance(coarse)
        self.height = ground(coarse, shore)
        self.layers = {"shore": shore, "beach": _beaches(coarse), **_regions(coarse, self.height)}

    def part(self, rows: slice) -> Landscape:
        """Return the ground truth of some rows, as `Land.part`."""
        grid = self.grid.strip(rows)
        fine = self.on(grid)
        water, depth = lakes(grid, fine["shore"])
        crown = crowns(grid)
        cover, wetness = _cover(grid, fine, crown)
        land = 1 - water
        for layer in cover.values():
            layer *= land
        return Landscape(grid, water, depth, cover, crown, fine["stand"], wetness)


def crowns(grid: Grid) -> F32:
    """Return the texture of crowns and gaps, standard deviation about 1.

    Parameters
    ----------
    grid
        The pixels that are drawn.

    Returns
    -------
    (rows, cols) float32.
    """
    # The sensor's optics blur single pixels: a 2 x 2 mean of white noise, then larger gaps.
    fine = white(Grid(grid.epsg, grid.west, grid.north, grid.res, grid.rows + 1, grid.cols + 1), 41)
    blurred = fine[:-1, :-1] + fine[1:, :-1]
    blurred += fine[:-1, 1:]
    blurred += fine[1:, 1:]
    blurred *= np.float32(0.33)
    # Seen from the air, single crowns are 6 m wide.
    blurred += lattice_noise(grid, 3.5 * grid.res if grid.res > 3 else 6.0, 42) * np.float32(1.3)
    return blurred


def _cover(grid: Grid, fine: dict[str, F32], crown: F32) -> tuple[dict[str, F32], F32]:
    """Return the fractions of the land covers, as if there were no water, and the wetness."""
    rock = smoothstep(fine["outcrop"] + np.float32(0.16) * crown)
    gaps = np.float32(0.20 if grid.res > 3 else 0.55)
    forest = smoothstep(fine["tree"] + gaps * crown)
    density = np.clip(0.86 + 0.05 * crown + 0.10 * fine["stand"], 0.5, 0.97)
    canopy = forest.copy()
    forest *= density
    meadow, wetness = _meadows(grid, crown)
    built = settlement(grid, meadow, "tahoe")
    sand = smoothstep((fine["shore"] + 6 + 30 * fine["beach"]) / 18) * fine["beach"]

    forest *= 1 - meadow
    forest *= 1 - built.cleared
    forest *= (1 - sand) * (1 - built.asphalt)
    forest *= 1 - np.float32(0.8) * built.roof
    open_ground = 1 - forest
    cover = {"forest": forest}
    for name, layer in (
        ("asphalt", built.asphalt),
        ("roof", built.roof),
        ("sand", sand),
        ("meadow", meadow),
        ("rock", rock * (1 - built.cleared)),
    ):
        cover[name] = open_ground * layer
        open_ground = open_ground - cover[name]
    # Under and between trees grow brush and young trees; open slopes are barer.
    brush = np.float32(0.85) * canopy + np.float32(0.32) * (1 - canopy) * (1 - 0.4 * fine["dry"])
    cover["shrub"] = open_ground * np.clip(brush + 0.10 * crown, 0, 1)
    cover["soil"] = open_ground - cover["shrub"]
    return {name: cover[name] for name in COVERS}, wetness


def _regions(coarse: Grid, height: F32) -> dict[str, F32]:
    """Return what decides rock, dryness and forest before fine texture."""
    south, east = np.gradient(height, np.float32(coarse.res))
    steep = np.hypot(south, east)
    northness = (south - 0.4 * east) / (steep + np.float32(0.08))
    # Height above the surroundings: ridges are bare, hollows are wooded.
    ridge = np.clip((height - _smoothed(height, 24)) / 60, -1.2, 1.5)
    granite = _granite(coarse)
    patches = fractal(coarse, 800, 31, octaves=6, gain=0.66)
    outcrop = -1.0 + 1.5 * granite + 1.8 * np.clip(steep - 0.33, 0, 0.6) + 1.2 * patches
    outcrop += 0.55 * ridge + 0.9 * np.clip((height - 2770) / 600, -0.5, 1.0)
    # The rain shadow: east of the crest and low, sagebrush takes over from forest.
    drift = fractal(coarse, 9000, 34, octaves=5, gain=0.6) * np.float32(7000)
    lee = np.clip((coarse.x[None, :] - 771500 + drift) / 6000, -1, 1).astype(np.float32)
    dry = np.clip(0.5 + 0.5 * lee - (height - 1850) / 900, 0, 1) * smoothstep(lee + 0.6)
    stand = fractal(coarse, 1300, 32, octaves=6, gain=0.68)
    tree = 0.98 + 0.78 * stand + 0.28 * northness - 0.28 * ridge
    tree -= 1.1 * np.clip(outcrop + 0.2, 0, 1) + 2.2 * dry
    tree -= 1.3 * np.clip((height - 2820) / 420, 0, 1.2)
    species = fractal(coarse, 2600, 33, octaves=5, gain=0.6)
    regions = {"outcrop": outcrop, "dry": dry, "tree": tree, "stand": species}
    return {name: np.asarray(layer, np.float32) for name, layer in regions.items()}


def _smoothed(layer: F32, pixels: int) -> F32:
    """Return a layer averaged over about `pixels` x `pixels`, by pooling and interpolating."""
    rows, cols = (-n % pixels for n in layer.shape)
    grid = Grid(0, 0.0, 0.0, 1.0, layer.shape[0] + rows, layer.shape[1] + cols)
    padded = np.pad(layer, ((0, rows), (0, cols)), mode="edge")
    small = Grid(0, 0.0, 0.0, pixels, grid.rows // pixels, grid.cols // pixels)
    return resample(pool(padded, pixels), small, grid)[: layer.shape[0], : layer.shape[1]]


def _granite(coarse: Grid) -> F32:
    granite = np.zeros(coarse.shape, np.float32)
    for place in places("tahoe")["granite"]:
        x, y = place.project(coarse.epsg)[0]
        radius = place.facts["radius"]
        across = np.exp(-(((coarse.x - x) / radius) ** 2)).astype(np.float32)
        down = np.exp(-(((coarse.y - y) / radius) ** 2)).astype(np.float32)
        np.maximum(granite, np.float32(place.facts["share"]) * down[:, None] * across, out=granite)
    ragged = fractal(coarse, 5200, 36, octaves=4, gain=0.6)
    return np.asarray(granite + 0.22 * ragged - 0.04, dtype=np.float32)


def _meadows(grid: Grid, crown: F32) -> tuple[F32, F32]:
    """Return the fraction of meadow, with willows and a creek in it, and its wetness."""
    meadow = np.zeros(grid.shape, np.float32)
    wetness = np.full(grid.shape, 0.4, np.float32)
    for place, part, distance in ragged_ellipses(grid, "meadow", 0.6):
        window = grid.window(*part)
        here = smoothstep(distance / 50 + 0.5)
        moist = fractal(window, 300, 37, octaves=4, gain=0.65)
        creek = np.abs(fractal(window, 900, 38, octaves=3)) < np.float32(0.035)
        here *= np.clip(0.94 - 0.25 * (moist > 0.55) + 0.05 * crown[part], 0, 1)
        here *= 1 - np.float32(0.5) * creek
        better = here > meadow[part]
        moist = place.facts["wetness"] + 0.3 * moist
        wetness[part] = np.where(better, moist, wetness[part])
        meadow[part] = np.maximum(meadow[part], here)
    return meadow, np.clip(wetness, 0, 1)


def _beaches(coarse: Grid) -> F32:
    """Return where the shore is sand and not rock or trees, 0 to 1."""
    patches = fractal(coarse, 700, 35, octaves=2)
    return smoothstep(shelf_width(coarse) / 900 + 1.1 * patches - 0.35)


class Lisbon(Land):
    """The ground around Lisbon and the mouth of the Tagus, in another UTM zone."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.coarse = coarse = grid.at(20, margin=2)
        ring = places("lisbon")["shore"][0].outline(grid.epsg)
        ragged = fractal(coarse, 500, 511, octaves=3) * np.float32(25)
        shore = outline_distance(coarse, ring) + ragged
        self.height = ground(coarse, shore, "lisbon")
        self.layers = {
            "shore": shore,
            "stand": fractal(coarse, 1500, 512, octaves=5),
            "plumes": fractal(coarse, 3500, 513, octaves=5, gain=0.6) * np.float32(0.3),
            "woods": _woods(coarse),
            "sandy": fractal(coarse, 900, 533, octaves=2),
        }
        # Silt comes down the river; the ocean west of the bar is clear.
        self._silt = smoothstep((grid.x - project([(-9.33, 38.66)], grid.epsg)[0, 0]) / 9000)

    def part(self, rows: slice) -> Landscape:
        """Return the ground truth of some rows, as `Land.part`."""
        grid = self.grid.strip(rows)
        fine = self.on(grid)
        shore = fine["shore"]
        water = np.clip(shore / np.float32(grid.res) + np.float32(0.5), 0, 1)
        built = settlement(grid, np.zeros(grid.shape, np.float32), "lisbon")
        water *= 1 - np.where(shore > 0, built.asphalt, 0)
        crown = crowns(grid)
        forest = smoothstep(fine["woods"] + np.float32(0.3) * crown)
        forest *= np.float32(0.9) * (1 - built.cleared)
        shares = {
            "forest": forest,
            "asphalt": built.asphalt,
            "roof": np.maximum(built.roof, np.float32(0.6) * built.cleared),
            "sand": smoothstep((shore + 50) / 30) * (fine["sandy"] > 0.1) * (1 - built.cleared),
            "meadow": (1 - built.cleared) * np.clip(0.75 - 0.1 * crown, 0, 1),
            "soil": np.float32(0.75),
            "shrub": np.float32(1),
        }
        cover = {name: np.zeros(grid.shape, np.float32) for name in COVERS}
        left = 1 - water
        for name, share in shares.items():
            cover[name] = (left * share).astype(np.float32)
            left = left - cover[name]
        depth = np.maximum(shore, 0) * np.float32(0.03)
        dry = np.full(grid.shape, 0.3, np.float32)
        turbid = np.clip(0.15 + 0.7 * self._silt[None, :] + fine["plumes"], 0, 1)
        turbid = turbid.astype(np.float32)
        return Landscape(grid, water, depth, cover, crown, fine["stand"], dry, turbid)


def _woods(coarse: Grid) -> F32:
    """Return how wooded the land is, above 0 where it is."""
    wood = fractal(coarse, 1000, 531, octaves=6, gain=0.66) - np.float32(0.55)
    for place in places("lisbon")["wood"]:
        x, y = place.project(coarse.epsg)[0]
        far2 = (coarse.x[None, :] - x) ** 2 + (coarse.y[:, None] - y) ** 2
        near = np.exp(-((far2 / place.facts["radius"] ** 2) ** 2))
        wood += np.float32(1.5) * near.astype(np.float32)
    return wood


class BurntGround(Land):
    """A ground after the fire: how hard it burns as coarse layers, severity part by part.

    The perimeter is drawn by hand and then moved outwards by `growth` metres. Dense forest, steep
    and sunny slopes burn worse; hollows, meadows and chance leave islands.
    """

    def __init__(self, before: Land, growth: float) -> None:
        self.grid, self.coarse, self.height = before.grid, before.coarse, before.height
        self._before, self._growth = before, growth
        self._rough = rough = before.grid.at(40, margin=1)
        self._reach = _perimeter(rough)
        self._base = _intensity(rough, resample(before.elevation, before.grid, rough))

    def part(self, rows: slice) -> Landscape:
        """Return the ground truth of some rows."""
        land = self._before.part(rows)
        return burn(land, self.severity(land))

    def fuelled(self, land: Landscape) -> tuple[F32, F32]:
        """Return the distance to the hand-drawn edge in metres, and the intensity inside of it.

        Parameters
        ----------
        land
            A part of the ground before the fire.

        Returns
        -------
        Two layers (rows, cols) float32: metres, positive inside, and 0 to 1.
        """
        fuel = land.cover["forest"] + land.cover["shrub"] + 0.6 * land.cover["meadow"]
        # Below a fifth of vegetated ground there is nothing to carry a fire.
        burnable = smoothstep((fuel - 0.15) / 0.35)
        edge = resample(self._reach, self._rough, land.grid)
        intensity = resample(self._base, self._rough, land.grid)
        intensity = intensity + 0.18 * (land.cover["forest"] - 0.6)
        intensity += np.float32(0.045) * land.crown
        return edge, np.clip(intensity, 0, 1) * burnable

    def severity(self, land: Landscape) -> F32:
        """Return burn severity, 0 (unburnt) to 1 (all vegetation gone), (rows, cols) float32.

        `land` is a part of the ground before the fire.

        Parameters
        ----------
        land
            A part of the ground before the fire.

        Returns
        -------
        0 (unburnt) to 1 (all vegetation gone).
        """
        edge, intensity = self.fuelled(land)
        hard = intensity * smoothstep((edge + self._growth) / 120)
        return np.asarray(hard, dtype=np.float32)


def _perimeter(grid: Grid) -> F32:
    """Return the distance to the fire's edge in metres, positive inside, with fingers and bays."""
    ring = places("tahoe")["fire"][0].outline(grid.epsg)
    distance = outline_distance(grid, ring, node=200, reach=9000)
    return distance + np.float32(1500) * fractal(grid, 4500, 201, octaves=6, gain=0.6)


def _intensity(grid: Grid, height: F32) -> F32:
    """Return how hard the ground burns where it does, about -0.2 to 1.2."""
    south, east = np.gradient(height, np.float32(grid.res))
    steep = np.hypot(south, east)
    sunny = (-south + 0.3 * east) / (steep + np.float32(0.1))
    runs = fractal(grid, 6500, 211, octaves=7, gain=0.68)
    islands = smoothstep((fractal(grid, 1600, 212, octaves=5, gain=0.66) - 0.42) / 0.18)
    hard = 0.66 + 0.55 * runs + 0.10 * sunny + 0.35 * np.clip(steep - 0.25, -0.2, 0.4)
    hard = np.clip(hard, 0.17, 1) * (1 - 0.95 * islands)
    return np.asarray(hard, dtype=np.float32)


def burn(land: Landscape, hard: F32) -> Landscape:
    """Return the landscape after the fire: vegetation turned to char, ash and scorched crowns.

    Parameters
    ----------
    land
        Before the fire.
    hard
        (rows, cols) float32, severity 0 to 1.

    Returns
    -------
    With the covers `char` and `scorched` as well.
    """
    cover = dict(land.cover)
    char, scorched = np.zeros((2, *land.grid.shape), np.float32)
    for name, share in (("forest", 1.0), ("shrub", 1.0), ("meadow", 0.7)):
        gone = cover[name] * hard * np.float32(share)
        cover[name] = cover[name] - gone
        black = gone * (0.3 + 0.7 * hard)
        char += black
        scorched += gone - black
    return replace(land, cover={**cover, "char": char, "scorched": scorched})
