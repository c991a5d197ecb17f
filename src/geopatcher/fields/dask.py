"""A dask array as a Field."""

from __future__ import annotations

from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor
from rasterio import Affine
from rasterio.windows import Window, transform

from geopatcher.domain import RasterDomain
from geopatcher.fields.field import check_fits
from geopatcher.patch import PatchError
from geopatcher.scattered import Cells


class DaskField:
    """A dask array (..., H, W), computed chip by chip; georeferenced when `transform` is given.

    A patch computes the chunks that it touches: chips as large as the chunks (or that divide
    them) compute each chunk least often.

    >>> import dask.array as da
    >>> field = DaskField(da.arange(12, chunks=4).reshape(3, 4))
    >>> field.select(Window(1, 0, 2, 2)).tolist()
    [[1, 2], [5, 6]]
    """

    def __init__(self, array: Any, transform: Affine | None = None, crs: Any = None) -> None:
        if not hasattr(array, "compute") or not hasattr(array, "chunks"):
            raise PatchError(
                f"DaskField needs a dask array, got {type(array).__name__}; "
                "dask.array.from_array(x, chunks=...) makes one"
            )
        self.array = array
        self.domain = RasterDomain(tuple(array.shape), transform, crs)

    def __repr__(self) -> str:
        return f"DaskField(shape={self.domain.shape}, chunks={self.array.chunksize})"

    def select(self, indices: Window | Cells) -> Any:
        """Return a window's pixels (..., h, w), computed: an array, a `GeoTensor` with transform.

        `Cells` give a plain array (..., n).
        """
        if isinstance(indices, Cells):
            picked = self.array.vindex[..., indices.rows, indices.cols].compute()
            return np.moveaxis(picked, 0, -1)  # vindex puts the picked axis first
        row, col = indices.row_off, indices.col_off
        values = self.array[..., row : row + indices.height, col : col + indices.width].compute()
        if self.domain.transform is None:
            return values
        return GeoTensor(values, transform(indices, self.domain.transform), self.domain.crs)

    def with_data(self, array: Any) -> DaskField:
        """Return a Field of other values (..., H, W), a dask or numpy array, on the same grid."""
        import dask.array as da

        if not hasattr(array, "chunks"):
            array = da.from_array(check_fits(array, self.domain.shape, axes=2))
        elif array.shape[-2:] != self.domain.shape[-2:]:
            check_fits(np.empty(array.shape, bool), self.domain.shape, axes=2)
        return DaskField(array, self.domain.transform, self.domain.crs)
