"""Pixel grids, and the part of one that a box in degrees cuts out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geostack.errors import OutsideTileError
from geostack.request import BBox, format_bbox

if TYPE_CHECKING:
    from affine import Affine
    from rasterio.windows import Window

_SNAP = 1e-3
"""Pixels: an edge this close to a pixel's edge lies on it, however it was projected."""

_DENSIFY = 21
"""Points put on each edge of a box before it is projected: the edges become curves."""


@dataclass(frozen=True)
class PixelGrid:
    """A north-up raster's georeference: CRS, transform, size.

    Examples
    --------
    >>> from rasterio import Affine
    >>> grid = PixelGrid("EPSG:32610", Affine(10, 0, 699960, 0, -10, 4400040), (10980, 10980))
    >>> grid.bounds
    (699960.0, 4290240.0, 809760.0, 4400040.0)
    >>> grid.cut((-120.10, 38.92, -119.93, 39.27)).shape
    (3935, 1599)
    """

    crs: Any
    transform: Affine
    shape: tuple[int, int]
    """(rows, cols)."""

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) in units of the CRS."""
        west, north = self.transform.c, self.transform.f
        rows, cols = self.shape
        return (
            float(west),
            float(north + rows * self.transform.e),
            float(west + cols * self.transform.a),
            float(north),
        )

    def project(self, bbox: BBox) -> tuple[float, float, float, float]:
        """Return the envelope of a box in degrees in this grid's CRS, its edges densified.

        Raises
        ------
        OutsideTileError
            When the CRS has no place for the box, as UTM has none for a pole.
        """
        from rasterio.errors import RasterioError
        from rasterio.warp import transform_bounds

        try:
            bounds = transform_bounds("EPSG:4326", self.crs, *bbox, densify_pts=_DENSIFY)
        except RasterioError:
            bounds = (math.inf,) * 4
        if not all(math.isfinite(value) for value in bounds):
            raise OutsideTileError(f"the box {format_bbox(bbox)} has no place in {self.crs}")
        return bounds

    def window(self, bbox: BBox) -> Window:
        """Return the pixels that a box in degrees touches, clipped to the grid.

        The box's envelope in the grid's CRS grows outward to whole pixels, so no part of the box
        is lost and pixels stay where they are.

        Raises
        ------
        OutsideTileError
            When box and grid don't meet.
        """
        from rasterio.windows import Window

        west, south, east, north = self.project(bbox)
        columns = sorted((x - self.transform.c) / self.transform.a for x in (west, east))
        lines = sorted((y - self.transform.f) / self.transform.e for y in (north, south))
        left, right = _clip(columns, self.shape[1])
        top, bottom = _clip(lines, self.shape[0])
        if right <= left or bottom <= top:
            raise OutsideTileError(
                f"the box {format_bbox(bbox)} lies outside the scene: in {self.crs} it is "
                f"{_metres((west, south, east, north))}, the scene {_metres(self.bounds)}"
            )
        return Window(left, top, right - left, bottom - top)

    def part(self, window: Window) -> PixelGrid:
        """Return the grid of a window, which may hang over this grid's edge."""
        from affine import Affine

        origin = self.transform * Affine.translation(window.col_off, window.row_off)
        return PixelGrid(self.crs, origin, (int(window.height), int(window.width)))

    def cut(self, bbox: BBox) -> PixelGrid:
        """Return the part of this grid that a box in degrees touches; see `window`."""
        return self.part(self.window(bbox))

    def share_inside(self, bbox: BBox) -> float:
        """Return the share of a box's envelope that this grid covers, 0 to 1."""
        west, south, east, north = self.project(bbox)
        left, bottom, right, top = self.bounds
        width = min(east, right) - max(west, left)
        height = min(north, top) - max(south, bottom)
        return max(width, 0.0) * max(height, 0.0) / ((east - west) * (north - south))

    def same_pixels(self, other: PixelGrid) -> bool:
        """Return whether `other`'s pixels are pixels of this grid, whatever the extents."""
        a, b = self.transform, other.transform
        steps = (
            (b.c - a.c) / a.a,
            (b.f - a.f) / a.e,
        )
        return (
            self.crs == other.crs
            and math.isclose(a.a, b.a, rel_tol=1e-9)
            and math.isclose(a.e, b.e, rel_tol=1e-9)
            and all(abs(step - round(step)) < _SNAP for step in steps)
        )

    def window_of(self, other: PixelGrid) -> Window:
        """Return the window of this grid that `other`, a grid of the same pixels, occupies."""
        from rasterio.windows import Window

        column = round((other.transform.c - self.transform.c) / self.transform.a)
        row = round((other.transform.f - self.transform.f) / self.transform.e)
        return Window(column, row, other.shape[1], other.shape[0])


def _clip(edges: list[float], size: int) -> tuple[int, int]:
    first, last = math.floor(edges[0] + _SNAP), math.ceil(edges[1] - _SNAP)
    return max(first, 0), min(last, size)


def _metres(bounds: tuple[float, ...]) -> str:
    return (
        "("
        + ", ".join(f"{value:.0f}" if abs(value) > 360 else f"{value:.6g}" for value in bounds)
        + ")"
    )
