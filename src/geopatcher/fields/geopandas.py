"""A `GeoDataFrame` as a Field."""

from __future__ import annotations

from typing import Any

import numpy as np

from geopatcher.domain import PointDomain, VectorDomain
from geopatcher.fields.field import check_fits
from geopatcher.patch import PatchError
from geopatcher.scattered import Members


class GeoPandasField:
    """Rows of a `GeoDataFrame`; patches' data are Fields whose `.gdf` holds the chosen rows.

    With `as_points` the domain is the shapes' centroids. numpy takes the Field as its numeric
    columns (columns, n) float64.

    >>> import geopandas as gpd
    >>> trees = gpd.GeoDataFrame({"age": [3, 5]}, geometry=gpd.points_from_xy([0, 1], [0, 1]))
    >>> field = GeoPandasField(trees, as_points=True)
    >>> field.select(Members(index=np.array([1]))).gdf.age.tolist(), np.asarray(field).shape
    ([5], (1, 2))
    """

    def __init__(self, gdf: Any, as_points: bool = False) -> None:
        if not hasattr(gdf, "geometry") or not hasattr(gdf, "iloc"):
            raise PatchError(f"GeoPandasField needs a GeoDataFrame, got {type(gdf).__name__}")
        self.gdf = gdf
        self.as_points = as_points
        self._made_domain: Any = None

    def __repr__(self) -> str:
        return f"GeoPandasField({len(self.gdf)} rows, as_points={self.as_points})"

    def __len__(self) -> int:
        return len(self.gdf)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = self.gdf.select_dtypes("number").to_numpy(np.float64).T
        return np.array(values, dtype=dtype, copy=copy)

    @property
    def domain(self) -> PointDomain | VectorDomain:
        """The points or shapes; made when first asked for, since each patch is a Field too."""
        if self._made_domain is None:
            shapes = VectorDomain(self.gdf.geometry.to_numpy(), self.gdf.crs)
            self._made_domain = shapes.points if self.as_points else shapes
        return self._made_domain

    def select(self, indices: Members) -> GeoPandasField:
        """Return the rows at `indices`."""
        if not isinstance(indices, Members):
            raise PatchError(
                f"rows of a table are addressed by Members, got {type(indices).__name__}; "
                "SpatialRectangular needs a raster or a grid"
            )
        return GeoPandasField(self.gdf.iloc[indices.index], self.as_points)

    def with_data(self, array: Any) -> GeoPandasField:
        """Return the same shapes with other values (n,) or (columns, n), in columns value_*."""
        values = check_fits(array, (len(self.gdf),), axes=1)
        columns = (
            {"value": values}
            if values.ndim == 1
            else {f"value_{i}": row for i, row in enumerate(values.reshape(-1, len(self.gdf)))}
        )
        bare = self.gdf[[self.gdf.geometry.name]]
        return GeoPandasField(bare.assign(**columns), self.as_points)
