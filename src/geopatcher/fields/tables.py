"""Tables of shapes as Fields: a `GeoDataFrame`, and vector data cubes."""

from __future__ import annotations

from typing import Any

import numpy as np

from geopatcher.arguments import is_a
from geopatcher.domain import PointDomain, VectorDomain
from geopatcher.fields.field import check_fits
from geopatcher.patch import Members, PatchError


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
        if not is_a(gdf, "geopandas.GeoDataFrame"):
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


class XvecField:
    """A `Dataset` or `DataArray` with one xvec geometry coordinate; patches' data have `.ds`.

    The domain is a set of points when all geometries are points, else of shapes. numpy takes the
    Field with its variables first and its shapes last: (variables, ..., n).

    >>> import shapely
    >>> import xarray as xr
    >>> import xvec
    >>> wells = xr.Dataset(
    ...     {"level": ("well", [1.0, 2.0, 4.0])}, {"well": shapely.points([0, 1, 2], [0, 0, 0])}
    ... ).xvec.set_geom_indexes("well", crs=32632)
    >>> field = XvecField(wells)
    >>> field.domain, np.asarray(field.select(Members(index=np.array([2, 0])))).tolist()
    (PointDomain(3 points, crs=EPSG:32632), [[4.0, 1.0]])
    """

    def __init__(self, ds: Any) -> None:
        import xvec  # noqa: F401  registers the .xvec accessor

        if not is_a(ds, "xarray.Dataset", "xarray.DataArray"):
            raise PatchError(
                f"XvecField needs an xarray Dataset or DataArray, got {type(ds).__name__}"
            )
        names = list(ds.xvec.geom_coords)
        if len(names) != 1:
            raise PatchError(
                f"XvecField needs one geometry coordinate, got {names}; set it with "
                "ds.xvec.set_geom_indexes(name, crs=...)"
            )
        self.ds = ds
        self.name = str(names[0])
        self.dim = ds[self.name].dims[0]
        self._made_domain: Any = None

    def __repr__(self) -> str:
        return f"XvecField({self.name}: {self.ds.sizes[self.dim]})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.ds.to_dataarray() if is_a(self.ds, "xarray.Dataset") else self.ds
        return np.array(array.transpose(..., self.dim).values, dtype=dtype, copy=copy)

    @property
    def domain(self) -> PointDomain | VectorDomain:
        """The points or shapes; made when first asked for, since each patch is a Field too."""
        if self._made_domain is None:
            import shapely

            shapes = self.ds[self.name].values
            index = self.ds.xindexes.get(self.name)
            domain = VectorDomain(shapes, getattr(index, "crs", None))
            points = (shapely.get_type_id(shapes) == shapely.GeometryType.POINT).all()
            self._made_domain = domain.points if points else domain
        return self._made_domain

    def select(self, indices: Members) -> XvecField:
        """Return the members at `indices`."""
        if not isinstance(indices, Members):
            raise PatchError(
                f"members of a vector cube are addressed by Members, got {type(indices).__name__}; "
                "SpatialRectangular needs a raster or a grid"
            )
        return XvecField(self.ds.isel({self.dim: indices.index}))

    def with_data(self, array: Any) -> XvecField:
        """Return the same shapes with other values (..., n), in the variable "value"."""
        import xarray as xr

        size = self.ds.sizes[self.dim]
        values = check_fits(array, (size,), axes=1)
        lead = [f"axis_{i}" for i in range(values.ndim - 1)]
        made = xr.Dataset({"value": ((*lead, self.dim), values)}, {self.name: self.ds[self.name]})
        return XvecField(made)
