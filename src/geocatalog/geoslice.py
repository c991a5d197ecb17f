"""A box, an interval and a pixel size: what one asks of a catalog."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any

import pandas as pd
from affine import Affine
from pyproj import CRS

from geocatalog.errors import CatalogError
from geocatalog.footprint import (
    Bounds,
    as_bounds,
    as_crs,
    box_parts,
    crs_text,
    reproject_box,
    transformer,
    wrapped_bounds,
)
from geocatalog.grid import SNAP, pixel_grid, whole_pixels
from geocatalog.interval import as_interval, iso_ends
from pipekit.carrier import same_crs

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox


@dataclass(frozen=True, init=False, repr=False)
class GeoSlice:
    """A piece of space and time with a pixel grid.

    Parameters
    ----------
    bounds
        (west, south, east, north) in units of `crs`. West > east, in degrees, crosses the
        antimeridian.
    interval
        `pd.Interval`, a pair, or ISO text such as "2024-06/2024-07"; kept as a closed UTC interval.
        None is any time.
    resolution
        Pixel size in units of `crs`; one number, or (x, y).
    crs
        Anything pyproj understands.
    anchor
        (x, y) of one pixel corner. Pixel edges lie at anchor + k * resolution and the bounds are
        snapped outward to them, so any two loads of slices with one anchor align.

    Raises
    ------
    CatalogError
        For a resolution that is not positive, bounds that are no box, or an interval that ends
        before it starts.

    Examples
    --------
    >>> tahoe = GeoSlice((750180, 4311890, 766170, 4351240), "2024-06/2024-07", 10, 32610)
    >>> tahoe.shape
    (3935, 1599)
    >>> tahoe.transform.c, tahoe.transform.f
    (750180.0, 4351240.0)
    """

    bounds: Bounds
    interval: pd.Interval | None
    resolution: tuple[float, float]
    crs: CRS
    anchor: tuple[float, float]

    def __init__(
        self,
        bounds: Sequence[float],
        interval: Any = None,
        resolution: float | Sequence[float] = 1.0,
        crs: Any = "EPSG:4326",
        anchor: Sequence[float] = (0.0, 0.0),
    ) -> None:
        own_crs = as_crs(crs)
        object.__setattr__(self, "crs", own_crs)
        object.__setattr__(self, "bounds", as_bounds(bounds, own_crs))
        object.__setattr__(self, "interval", as_interval(interval))
        object.__setattr__(self, "resolution", _as_resolution(resolution))
        x, y = anchor
        object.__setattr__(self, "anchor", (float(x), float(y)))

    @property
    def grid_bounds(self) -> Bounds:
        """Bounds snapped outward to the pixel grid.

        Examples
        --------
        >>> GeoSlice((3, 3, 27, 27), None, 10, 32610).grid_bounds
        (0.0, 0.0, 30.0, 30.0)
        """
        (first, last), (low, high) = self._pixels
        (x_size, y_size), (x0, y0) = self.resolution, self.anchor
        return x0 + first * x_size, y0 + low * y_size, x0 + last * x_size, y0 + high * y_size

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols) of the pixel grid; never less than one pixel.

        Examples
        --------
        >>> GeoSlice((0, 0, 30, 20), None, 10, 32610).shape
        (2, 3)
        """
        (first, last), (low, high) = self._pixels
        return high - low, last - first

    @property
    def transform(self) -> Affine:
        """Affine from (col, row) to (x, y), north up.

        Examples
        --------
        >>> GeoSlice((0, 0, 30, 20), None, 10, 32610).transform @ (0, 0)
        (0.0, 20.0)
        """
        west, _, _, north = self.grid_bounds
        x_size, y_size = self.resolution
        return Affine(x_size, 0.0, west, 0.0, -y_size, north)

    @property
    def geobox(self) -> GeoBox:
        """The pixel grid; beyond 180 degrees where the slice crosses the antimeridian.

        Examples
        --------
        >>> tuple(GeoSlice((179, 0, -179, 1), None, 0.5, 4326).geobox.boundingbox)
        (179.0, 0.0, 181.0, 1.0)
        """
        return pixel_grid(self.crs, self.transform, self.shape)

    def undivided(self, loader: str) -> GeoBox:
        """Return the pixel grid for a loader that cannot cross the antimeridian.

        Parameters
        ----------
        loader
            Name of the loader, for the message.

        Returns
        -------
        The pixel grid, as `.geobox`.

        Raises
        ------
        CatalogError
            For a slice that does; names the loader and the way out.

        Examples
        --------
        >>> tuple(GeoSlice((0, 0, 1, 1), None, 1, 4326).undivided("load_vector").shape)
        (1, 1)
        """
        grid = self.geobox
        seam = (180.0 - grid.transform.c) / grid.transform.a
        if self.crs.is_geographic and SNAP < seam < grid.shape[1] - SNAP:
            raise CatalogError(
                f"{loader} takes a slice on one side of the antimeridian, got {self!r}; "
                "load its two halves, to 180 and from -180"
            )
        return grid

    @property
    def _pixels(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Numbers of the columns and of the rows, counted upward from the anchor."""
        west, south, east, north = self.bounds
        east += 360.0 * (west > east)
        (x_size, y_size), (x0, y0) = self.resolution, self.anchor
        first, last = whole_pixels((west - x0) / x_size, (east - x0) / x_size)
        low, high = whole_pixels((south - y0) / y_size, (north - y0) / y_size)
        return (first, max(last, first + 1)), (low, max(high, low + 1))

    def to_crs(self, crs: Any, resolution: float | Sequence[float] | None = None) -> GeoSlice:
        """Return the slice that encloses this one in another CRS.

        Parameters
        ----------
        crs
            The target, in any form pyproj understands.
        resolution
            Pixel size in the target's units, one number or (x, y); by default the size that keeps
            the number of pixels across the diagonal, as GDAL does.

        Returns
        -------
        A slice with the same interval.

        Examples
        --------
        >>> moved = GeoSlice((500000, 0, 600000, 100000), None, 1000, 32610).to_crs(4326)
        >>> [round(side, 2) for side in moved.bounds], round(moved.resolution[0], 4)
        ([-123.0, 0.0, -122.1, 0.9], 0.009)
        """
        target = as_crs(crs)
        if same_crs(self.crs, target):
            if resolution is None:
                return self
            return replace(self, resolution=_as_resolution(resolution))
        outline = reproject_box(self.bounds, self.crs, target)
        bounds = wrapped_bounds(outline) if target.is_geographic else outline.bounds
        if resolution is None:
            west, south, east, north = box_parts(self.bounds)[0]
            (x0, x1), (y0, y1) = transformer(self.crs, target).transform(
                [west, east], [south, north]
            )
            if abs(x1 - x0) > 180 and target.is_geographic:
                x1 += 360 if x1 < x0 else -360
            resolution = math.hypot(x1 - x0, y1 - y0) / math.hypot(*self.shape)
        return GeoSlice(bounds, self.interval, resolution, target)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as JSON values.

        Returns
        -------
        Keyword arguments that make an equal slice.

        Examples
        --------
        >>> GeoSlice((0, 0, 30, 20), "2024-06-01", 10, 32610).get_config()["crs"]
        'EPSG:32610'
        """
        return {
            "bounds": list(self.bounds),
            "interval": iso_ends(self.interval),
            "resolution": list(self.resolution),
            "crs": crs_text(self.crs),
            "anchor": list(self.anchor),
        }

    def __repr__(self) -> str:
        times = self.interval
        when = "any time" if times is None else f"{times.left} to {times.right}"
        x_size, y_size = self.resolution
        size = f"{x_size:g}" if x_size == y_size else f"{x_size:g} x {y_size:g}"
        sides = ", ".join(f"{side:g}" if abs(side) < 1e3 else f"{side:.2f}" for side in self.bounds)
        return f"GeoSlice(({sides}), {when}, {size}, {crs_text(self.crs)})"


def _as_resolution(value: float | Sequence[float]) -> tuple[float, float]:
    try:
        pair = (value, value) if isinstance(value, Real) else tuple(value)  # type: ignore[arg-type]
        x_size, y_size = (float(size) for size in pair)
    except (TypeError, ValueError) as error:
        raise CatalogError(f"resolution must be one number or (x, y), got {value!r}") from error
    if not (x_size > 0 and y_size > 0 and math.isfinite(x_size) and math.isfinite(y_size)):
        raise CatalogError(
            f"resolution must be positive and finite, in units of the CRS, got {value!r}; "
            "use 10 for 10 m pixels in UTM"
        )
    return x_size, y_size
