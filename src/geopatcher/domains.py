"""Where a Field lives: its shape and its place on the Earth, without its values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rasterio import Affine
from rasterio.transform import array_bounds

from geopatcher.patch import PatchError


@dataclass(frozen=True)
class RasterDomain:
    """A raster's grid: `shape` (..., H, W) in pixels, `transform` and `crs` (None when unknown).

    >>> RasterDomain((2, 30, 20), Affine(10, 0, 500_000, 0, -10, 4_000_300), "EPSG:32610").bounds
    (500000.0, 4000000.0, 500200.0, 4000300.0)
    """

    shape: tuple[int, ...]
    transform: Affine | None = None
    crs: Any = None

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        if len(shape) < 2 or min(shape[-2:]) < 1:
            raise PatchError(f"a raster domain needs a shape (..., H, W) with pixels, got {shape}")
        object.__setattr__(self, "shape", shape)

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.shape[-2]

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.shape[-1]

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) in units of the CRS."""
        if self.transform is None:
            raise PatchError("this domain has no transform, so it has no bounds")
        west, south, east, north = array_bounds(self.height, self.width, self.transform)
        return float(west), float(south), float(east), float(north)


def as_raster_domain(obj: Any) -> RasterDomain:
    """Return the raster domain of a domain, a Field, a `GeoTensor`, a reader or an array.

    >>> import numpy as np
    >>> as_raster_domain(np.zeros((3, 4))).shape
    (3, 4)
    """
    if isinstance(obj, RasterDomain):
        return obj
    inner = getattr(obj, "domain", None)
    if isinstance(inner, RasterDomain):
        return inner
    shape = getattr(obj, "shape", None)
    if shape is None:
        raise PatchError(
            f"a raster domain, a Field, a GeoTensor or a georeader reader is needed, "
            f"got {type(obj).__name__}"
        )
    return RasterDomain(shape, getattr(obj, "transform", None), getattr(obj, "crs", None))
