"""A georeferenced `xarray.DataArray` as a Field."""

from __future__ import annotations

import copy
from typing import Any

from rasterio import Affine
from rasterio.windows import Window, transform

from geopatcher.domain import RasterDomain
from geopatcher.fields.xarray import XarrayField
from geopatcher.patch import PatchError
from geopatcher.scattered import Cells


class RioXarrayField(XarrayField):
    """A `DataArray` with rioxarray's georeference (`.rio.crs`, `.rio.transform()`), kept lazy.

    Its last two dimensions must be rioxarray's y and x. Patches' data have `.da`.

    >>> import numpy as np
    >>> import xarray as xr
    >>> import rioxarray
    >>> da = xr.DataArray(
    ...     np.zeros((2, 3)), {"y": [25.0, 15.0], "x": [5.0, 15.0, 25.0]}, ("y", "x")
    ... ).rio.write_crs(32632)
    >>> RioXarrayField(da).domain.bounds
    (0.0, 10.0, 30.0, 30.0)
    """

    def __init__(self, da: Any) -> None:
        super().__init__(da)
        self.crs = self.domain.crs

    def _domain(self) -> Any:
        import rioxarray  # noqa: F401  registers the .rio accessor

        rio = self.da.rio
        if (rio.y_dim, rio.x_dim) != self.da.dims[-2:]:
            raise PatchError(
                f"the last two dimensions must be rows and columns ({rio.y_dim}, {rio.x_dim}), got "
                f"{self.da.dims}; use da.transpose(..., {rio.y_dim!r}, {rio.x_dim!r})"
            )
        return RasterDomain(tuple(self.da.shape), rio.transform(recalc=True), rio.crs)

    def select(self, indices: Window | Cells) -> Any:
        """Return the piece of a window, or the cells along a new last dimension "cell"."""
        if isinstance(indices, Cells):
            return self._select_cells(indices)
        return self._placed(self._cut(indices), transform(indices, self.domain.transform))

    def _piece(self, da: Any) -> Any:
        if self.crs is not None:
            da = da.rio.write_crs(self.crs)
        return self._placed(da, self.domain.transform)

    def _placed(self, da: Any, place: Affine) -> Any:
        """Return a piece whose upper left corner and pixels are those of `place`."""
        if place.b or place.d or 1 in da.shape[-2:]:
            da = da.rio.write_transform(place)  # such a grid does not show in its coordinates
        piece = copy.copy(self)
        piece.da, piece.domain = da, RasterDomain(tuple(da.shape), place, self.crs)
        return piece
