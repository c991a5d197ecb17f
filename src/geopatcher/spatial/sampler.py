"""Where patches are anchored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from geopatcher.config import Configured
from geopatcher.domains import RasterDomain
from geopatcher.pairs import as_pixel_pair
from geopatcher.patch import PatchError
from geopatcher.spatial.geometry import SpatialRectangular
from geopatcher.spatial.grid import AxisGrid, RegularGrid


@dataclass(frozen=True)
class SpatialRegularStride(Configured):
    """Anchors every `step` pixels, one number or (rows, cols), in row-major order.

    >>> domain = RasterDomain((2, 3935, 1599))
    >>> len(SpatialRegularStride(192).anchors(domain, SpatialRectangular(256)))
    140
    """

    step: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "step", as_pixel_pair(self.step, "step"))

    def grid(self, domain: RasterDomain, geometry: SpatialRectangular) -> RegularGrid:
        """Return the grid of chips that the geometry's boundary policy gives on the domain."""
        if not isinstance(geometry, SpatialRectangular):
            raise PatchError(
                "SpatialRegularStride lays rectangular chips, got the geometry "
                f"{type(geometry).__name__}; use SpatialExplicit for other shapes"
            )
        geometry.check_fits(domain)
        rows, cols = (
            AxisGrid(length, size, step, geometry.boundary)
            for length, size, step in zip(domain.shape[-2:], geometry.size, self.step, strict=True)
        )
        return RegularGrid(rows, cols)

    def anchors(self, domain: RasterDomain, geometry: SpatialRectangular) -> list[tuple[int, int]]:
        """Return (row, col) of every chip's upper left pixel."""
        return list(self.grid(domain, geometry).anchors())
