"""Lisbon and the mouth of the Tagus: a small area on another continent, in another UTM zone."""

from __future__ import annotations

import numpy as np

from .grid import F32, Grid, resample
from .landscape import COVERS, Landscape, crowns
from .noise import fractal
from .shapes import outline_distance, places, project
from .terrain import ground, smoothstep
from .towns import settlement


class Ground:
    """The ground around Lisbon: coarse layers of a whole grid, the fine ones part by part."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self._coarse = coarse = grid.at(20, margin=2)
        ring = places("lisbon")["shore"][0].outline(grid.epsg)
        ragged = fractal(coarse, 500, 511, octaves=3) * np.float32(25)
        self._shore = outline_distance(coarse, ring) + ragged
        self._height = ground(coarse, self._shore, "lisbon")
        self._stand = fractal(coarse, 1500, 512, octaves=5)
        # Silt comes down the river; the ocean west of the bar is clear.
        self._silt = smoothstep((grid.x - project([(-9.33, 38.66)], grid.epsg)[0, 0]) / 9000)
        self._plumes = fractal(coarse, 3500, 513, octaves=5, gain=0.6) * np.float32(0.3)
        self._woods = _woods(coarse)
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
        water = np.clip(shore / np.float32(grid.res) + np.float32(0.5), 0, 1)
        built = settlement(grid, np.zeros(grid.shape, np.float32), "lisbon")
        water *= 1 - np.where(shore > 0, built.asphalt, 0)
        crown = crowns(grid)
        forest = smoothstep(fine(self._woods) + np.float32(0.3) * crown)
        forest *= np.float32(0.9) * (1 - built.cleared)
        sandy = fine(self._sandy) > 0.1
        shares = {
            "forest": forest,
            "asphalt": built.asphalt,
            "roof": np.maximum(built.roof, np.float32(0.6) * built.cleared),
            "sand": smoothstep((shore + 50) / 30) * sandy * (1 - built.cleared),
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
        turbid = np.clip(0.15 + 0.7 * self._silt[None, :] + fine(self._plumes), 0, 1)
        return Landscape(
            grid, fine(self._height), water, depth, cover, crown, fine(self._stand), dry,
            turbid.astype(np.float32),
        )  # fmt: skip


def landscape(grid: Grid) -> Landscape:
    """Make the ground truth of a grid around Lisbon."""
    return Ground(grid).part(slice(0, grid.rows))


def _woods(coarse: Grid) -> F32:
    """Return how wooded the land is, above 0 where it is."""
    wood = fractal(coarse, 1000, 531, octaves=6, gain=0.66) - np.float32(0.55)
    for place in places("lisbon")["wood"]:
        x, y = place.project(coarse.epsg)[0]
        far2 = (coarse.x[None, :] - x) ** 2 + (coarse.y[:, None] - y) ** 2
        near = np.exp(-((far2 / place.facts["radius"] ** 2) ** 2))
        wood += np.float32(1.5) * near.astype(np.float32)
    return wood
