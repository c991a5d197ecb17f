"""Ground truth of a whole grid at once, for grids that are small enough."""

from dataclasses import replace

from geostack.sources.simulation.grid import Grid
from geostack.sources.simulation.landscape import Land, Landscape, Tahoe


def whole(land: Land) -> Landscape:
    """Return the ground truth of all rows."""
    return land.part(slice(0, land.grid.rows))


def build(grid: Grid) -> Landscape:
    """Return the ground truth of a grid around Lake Tahoe."""
    return whole(Tahoe(grid))


class CutFromWhole(Tahoe):
    """The ground with every strip cut from a landscape that was made at once."""

    def __init__(self, grid: Grid) -> None:
        super().__init__(grid)
        self.land = build(grid)

    def part(self, rows: slice) -> Landscape:
        land = self.land
        names = ("water", "depth", "crown", "stand", "wetness")
        return replace(
            land,
            grid=self.grid.window(rows, slice(0, self.grid.cols)),
            cover={name: layer[rows] for name, layer in land.cover.items()},
            **{name: getattr(land, name)[rows] for name in names},
        )
