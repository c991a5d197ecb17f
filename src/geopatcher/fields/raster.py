"""A raster in memory or in a file as a Field."""

from __future__ import annotations

from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor
from rasterio import Affine
from rasterio.windows import Window

from geopatcher.domains import RasterDomain
from geopatcher.patch import PatchError


class RasterField:
    """A `GeoTensor`, or any georeader reader, as a Field; a reader is read chip by chip.

    >>> scene = GeoTensor(np.zeros((2, 30, 20)), Affine(10, 0, 0, 0, -10, 300), "EPSG:32610")
    >>> RasterField(scene).select(Window(5, 10, 4, 4)).bounds
    (50.0, 160.0, 90.0, 200.0)
    """

    def __init__(self, reader: Any) -> None:
        missing = [name for name in ("shape", "transform", "crs") if not hasattr(reader, name)]
        if missing:
            raise PatchError(
                f"RasterField needs a GeoTensor or a georeader reader, got "
                f"{type(reader).__name__} without {', '.join(missing)}"
            )
        self.reader = reader
        self._transform: Affine = reader.transform
        self.domain = RasterDomain(tuple(reader.shape), reader.transform, reader.crs)
        # A plain view once: slicing a GeoTensor costs ten times what slicing its values does.
        self._values = reader.values if isinstance(reader, GeoTensor) else None

    def __repr__(self) -> str:
        return f"RasterField(shape={self.domain.shape}, crs={self.domain.crs})"

    def select(self, indices: Window) -> GeoTensor:
        """Return the pixels (..., h, w) of a window that lies inside the domain, not copied."""
        if self._values is None:
            return self.reader.read_from_window(indices, boundless=False).load()
        row, col = indices.row_off, indices.col_off
        values = self._values[..., row : row + indices.height, col : col + indices.width]
        t = self._transform
        transform = Affine(
            t.a, t.b, t.c + col * t.a + row * t.b, t.d, t.e, t.f + col * t.d + row * t.e
        )
        reader = self.reader
        return GeoTensor(values, transform, reader.crs, reader.fill_value_default, reader.attrs)

    def with_data(self, array: Any) -> RasterField:
        """Return a Field of other values (..., H, W) on the same grid."""
        array = np.asarray(array)
        if array.shape[-2:] != self.domain.shape[-2:]:
            raise PatchError(
                f"data of {array.shape[-2:]} pixels does not fit a domain of "
                f"{self.domain.shape[-2:]} pixels"
            )
        fill = getattr(self.reader, "fill_value_default", 0)
        return RasterField(
            GeoTensor(array, self.domain.transform, self.domain.crs, fill_value_default=fill)
        )


def as_field(obj: Any) -> Any:
    """Return `obj` when it is a Field, else wrap a `GeoTensor` or a reader in a `RasterField`.

    >>> scene = GeoTensor(np.zeros((2, 30, 20)), Affine(10, 0, 0, 0, -10, 300), "EPSG:32610")
    >>> as_field(scene)
    RasterField(shape=(2, 30, 20), crs=EPSG:32610)
    """
    if hasattr(obj, "domain") and hasattr(obj, "select"):
        return obj
    return RasterField(obj)
