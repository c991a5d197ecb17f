"""Addresses of patches that are no rectangle: cells of a grid, members of a set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Scattered:
    """What every scattered address carries beside the positions, each (n,) or None.

    `coverage` is the share, 0 to 1, of each cell or member that belongs to the patch.
    `distance` is how far it lies from the anchor, up to `reach`, in the geometry's unit.
    """

    coverage: np.ndarray | None = None
    distance: np.ndarray | None = None
    reach: float = np.inf

    @property
    def positions(self) -> tuple[np.ndarray, ...]:
        """The index arrays, one per axis of the domain, each (n,) int64."""
        raise TypeError(f"{type(self).__name__} must define positions")

    def __len__(self) -> int:
        return len(self.positions[0])


@dataclass(frozen=True, eq=False)
class Cells(Scattered):
    """Cells of a raster or grid: `rows` and `cols`, each (n,) int64.

    >>> len(Cells(rows=np.array([0, 0, 1]), cols=np.array([3, 4, 3])))
    3
    """

    rows: Any = ()
    cols: Any = ()

    @property
    def positions(self) -> tuple[np.ndarray, ...]:
        """(rows, cols)."""
        return self.rows, self.cols


@dataclass(frozen=True, eq=False)
class Members(Scattered):
    """Members of a set of points or shapes: `index` (n,) int64.

    >>> len(Members(index=np.array([7, 2])))
    2
    """

    index: Any = ()

    @property
    def positions(self) -> tuple[np.ndarray, ...]:
        """(index,)."""
        return (self.index,)
