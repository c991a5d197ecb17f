"""A georeferenced `xarray.DataArray` as a Field."""

from __future__ import annotations

from typing import Any

from geopatcher.domains import RasterDomain
from geopatcher.fields.xarray import XarrayField
from geopatcher.patch import PatchError


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

    def _piece(self, da: Any) -> Any:
        return type(self)(da.rio.write_crs(self.crs) if self.crs is not None else da)
