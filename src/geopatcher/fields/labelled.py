"""Objects of other libraries as Fields: xarray, rioxarray, dask, geopandas, xvec."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from georeader.geotensor import GeoTensor
from rasterio import Affine
from rasterio.windows import Window, transform

from geopatcher.config import is_a
from geopatcher.domain import GridDomain, PointDomain, RasterDomain, VectorDomain, lead_names
from geopatcher.fields.raster import check_fits, nodata_after
from geopatcher.merge.chip import attrs_saying, chip_nodata, saying
from geopatcher.patch import Cells, Members, PatchError
from pipekit.lazy import needed
from pipekit.pixels import nodata_of, plain


class Labelled:
    """What holds a `DataArray` as `.da`, and is an array to numpy."""

    def __init__(self, da: Any) -> None:
        self.da = da

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self.da.sizes)})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(plain(self.da.values), dtype=dtype, copy=copy)


class CellSeries(Labelled):
    """Scattered cells of an `XarrayField`: `.da` with the last dimension "cell".

    Parameters
    ----------
    da : xarray.DataArray
        (..., cell).

    Examples
    --------
    >>> import xarray as xr
    >>> np.asarray(CellSeries(xr.DataArray([1, 2, 3], dims="cell"))).sum()
    np.int64(6)
    """


class XarrayField(Labelled):
    """A `DataArray` whose last two dimensions are rows and columns, kept lazy.

    Patches' data are Fields of the same kind, whose `.da` is the labelled piece and which numpy
    takes as an array. Data of one dimension become a grid of one row, called "row".

    Parameters
    ----------
    da : xarray.DataArray
        (..., H, W), or (W,).
    crs : optional
        Of its coordinates.

    Raises
    ------
    PatchError
        For another class, or data without a dimension.

    Examples
    --------
    >>> import xarray as xr
    >>> dem = xr.DataArray(
    ...     np.arange(12.0).reshape(3, 4), {"lat": [2, 1, 0], "lon": [0, 1, 2, 3]}, ("lat", "lon")
    ... )
    >>> XarrayField(dem).select(Window(1, 0, 2, 2)).da.lon.values.tolist()
    [1, 2]
    >>> XarrayField(dem[0]).domain.shape
    (1, 4)
    """

    def __init__(self, da: Any, crs: Any = None) -> None:
        if not is_a(da, "xarray.DataArray"):
            raise PatchError(
                f"{type(self).__name__} needs an xarray.DataArray, got {type(da).__name__}; of a "
                "Dataset take one variable, or dataset.to_dataarray()"
            )
        if not da.dims:
            raise PatchError("a grid needs dimensions, got a single number")
        super().__init__(da.expand_dims("row") if len(da.dims) == 1 else da)
        self.crs = crs
        self.domain: Any = self._domain()
        self._steps = _last_steps(self.domain)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return tuple(self.da.shape)

    @property
    def dtype(self) -> np.dtype:
        """Type of the values."""
        return np.dtype(self.da.dtype)

    def select(self, indices: Window | Cells) -> Any:
        """Return the piece of a window, or the cells along a new last dimension "cell".

        Parameters
        ----------
        indices : Window or Cells
            Inside the domain.

        Returns
        -------
        XarrayField or CellSeries
            The piece, lazy, as `.da`.
        """
        if isinstance(indices, Cells):
            return self._select_cells(indices)
        rows, cols = indices.toslices()
        return self._piece(self.da[..., rows, cols], indices)

    def with_data(self, array: Any) -> Any:
        """Return a Field of other values (..., H, W) on the same grid.

        Leading axes other than the Field's own are called "band" (or "axis_0", ...).

        Parameters
        ----------
        array : array-like
            (..., H, W).

        Returns
        -------
        XarrayField
            Of the same kind.
        """
        values, declared = check_fits(array, self.da.shape, axes=2), chip_nodata(self)
        nodata = nodata_after(array, values, self.da.dtype, declared)
        attrs = self.da.attrs if nodata is declared else attrs_saying(self.da.attrs, nodata)
        if values.shape == self.da.shape:
            made = self.da.copy(data=values)
            made.attrs = attrs
            return self._piece(made)
        names = lead_names(values.ndim - 2)
        y, x = self.da.dims[-2:]
        kept = {name: coord for name, coord in self.da.coords.items() if set(coord.dims) <= {y, x}}
        return self._piece(type(self.da)(values, kept, (*names, y, x), attrs=attrs))

    def grown(self, values: np.ndarray, below: int, right: int) -> Any:
        """Return the Field with values that reach farther below and to the right.

        Parameters
        ----------
        values : numpy.ndarray
            Of the larger Field.
        below : int
            Rows more.
        right : int
            Columns more.

        Returns
        -------
        XarrayField
            Its labels continue by their last steps.
        """
        y, x = self.da.dims[-2:]
        coords = {n: c for n, c in self.da.coords.items() if not {y, x} & set(c.dims)}
        for name, more, step in ((y, below, self._steps[0]), (x, right, self._steps[1])):
            if name in self.da.coords:
                coords[name] = (name, _extended(self.da[name].values, more, step))
        return self._piece(type(self.da)(values, coords, self.da.dims, attrs=self.da.attrs))

    def _domain(self) -> Any:
        return GridDomain({str(d): self.da[d].values for d in self.da.dims}, self.crs)

    def _piece(self, da: Any, window: Window | None = None) -> Any:
        """Return a piece as a Field: the whole grid's, or that of a window."""
        piece = copy.copy(self)  # keeps the steps, which one row or column does not show
        piece.da = da
        piece.domain = piece._domain()
        return piece

    def _select_cells(self, cells: Cells) -> Any:
        import xarray as xr

        y, x = self.da.dims[-2:]
        rows, cols = (xr.DataArray(p, dims="cell") for p in cells.positions)
        return CellSeries(self.da.isel({y: rows, x: cols}).transpose(..., "cell"))


def _last_steps(domain: Any) -> tuple[float, float]:
    """Return the last steps along rows and columns, 1 where there is one cell."""
    if not isinstance(domain, GridDomain):
        return domain.transform.e, domain.transform.a
    down, along = (a[-1] - a[-2] if a.size > 1 else 1.0 for a in (domain.y, domain.x))
    return float(down), float(along)


def _extended(axis: np.ndarray, more: int, step: float) -> np.ndarray:
    """Return coordinates continued by their last step, by `step` when there is one of them."""
    if axis.size > 1:
        step = axis[-1] - axis[-2]
    return np.concatenate([axis, axis[-1] + step * np.arange(1, more + 1)])


class RioXarrayField(XarrayField):
    """A `DataArray` with rioxarray's georeference (`.rio.crs`, `.rio.transform()`), kept lazy.

    Its last two dimensions must be rioxarray's y and x. Patches' data have `.da`.

    Parameters
    ----------
    da : xarray.DataArray
        (..., y, x), with rioxarray's georeference.

    Raises
    ------
    PatchError
        For other last dimensions.

    Examples
    --------
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
        needed("rioxarray")  # gives a DataArray its .rio

        rio = self.da.rio
        if (rio.y_dim, rio.x_dim) != self.da.dims[-2:]:
            raise PatchError(
                f"the last two dimensions must be rows and columns ({rio.y_dim}, {rio.x_dim}), got "
                f"{self.da.dims}; use da.transpose(..., {rio.y_dim!r}, {rio.x_dim!r})"
            )
        return RasterDomain(tuple(self.da.shape), rio.transform(recalc=True), rio.crs)

    def _piece(self, da: Any, window: Window | None = None) -> Any:
        """Return a piece as a Field: the whole grid's, or that of a window."""
        place = self.domain.transform
        if window is not None:
            place = transform(window, place)
        elif self.crs is not None:
            da = da.rio.write_crs(self.crs)
        if place.b or place.d or 1 in da.shape[-2:]:
            da = da.rio.write_transform(place)  # such a grid does not show in its coordinates
        piece = copy.copy(self)
        piece.da, piece.domain = da, RasterDomain(tuple(da.shape), place, self.crs)
        return piece


class DaskField:
    """A dask array (..., H, W), computed chip by chip; georeferenced when `transform` is given.

    A patch computes the chunks that it touches: chips as large as the chunks (or that divide
    them) compute each chunk least often.

    Parameters
    ----------
    array : dask.array.Array
        (..., H, W).
    transform : Affine, optional
        From (col, row) to the CRS's coordinates.
    crs : optional
        Anything that rasterio takes as a CRS.
    nodata : number, optional
        What marks pixels without data beside NaN; without it 0 is a value.

    Raises
    ------
    PatchError
        For another class.

    Examples
    --------
    >>> import dask.array as da
    >>> field = DaskField(da.arange(12, chunks=4).reshape(3, 4))
    >>> field.select(Window(1, 0, 2, 2)).tolist()
    [[1, 2], [5, 6]]
    """

    def __init__(
        self, array: Any, transform: Affine | None = None, crs: Any = None, nodata: Any = None
    ) -> None:
        if not is_a(array, "dask.array.Array"):
            raise PatchError(
                f"DaskField needs a dask array, got {type(array).__name__}; "
                "dask.array.from_array(x, chunks=...) makes one"
            )
        self.array = array
        self.nodata = nodata
        self.domain = RasterDomain(tuple(array.shape), transform, crs)

    def __repr__(self) -> str:
        return f"DaskField(shape={self.domain.shape}, chunks={self.array.chunksize})"

    def select(self, indices: Window | Cells) -> Any:
        """Return a window's pixels (..., h, w), computed: an array, a `GeoTensor` with transform.

        `Cells` give a plain array (..., n).

        Parameters
        ----------
        indices : Window or Cells
            Inside the domain.

        Returns
        -------
        numpy.ndarray or GeoTensor
            (..., h, w), or (..., n) of cells.
        """
        if isinstance(indices, Cells):
            picked = self.array.vindex[..., indices.rows, indices.cols].compute()
            return saying(np.moveaxis(plain(picked), 0, -1), self.nodata)  # vindex picks first
        rows, cols = indices.toslices()
        made = self.array[..., rows, cols].compute()
        nodata = self.nodata
        if isinstance(made, np.ma.MaskedArray) and np.ma.is_masked(made):
            nodata = nodata_of(made)
        values = plain(made)
        if self.domain.transform is not None:
            place = transform(indices, self.domain.transform)
            return GeoTensor(values, place, self.domain.crs, nodata)
        return saying(values, nodata)

    def with_data(self, array: Any) -> DaskField:
        """Return a Field of other values (..., H, W), a dask or numpy array, on the same grid.

        Parameters
        ----------
        array : dask or numpy array
            (..., H, W).

        Returns
        -------
        DaskField
            On the same grid.
        """
        da = needed("dask.array")

        made, values = array, array if is_a(array, "dask.array.Array") else plain(array)
        check_fits(np.broadcast_to(0, values.shape), self.domain.shape, axes=2)
        nodata = nodata_after(made, values, self.array.dtype, self.nodata)
        values = da.asarray(values)
        return DaskField(values, self.domain.transform, self.domain.crs, nodata)


class GeoPandasField:
    """Rows of a `GeoDataFrame`; patches' data are Fields whose `.gdf` holds the chosen rows.

    With `as_points` the domain is the shapes' centroids. numpy takes the Field as its numeric
    columns (columns, n) float64.

    Parameters
    ----------
    gdf : geopandas.GeoDataFrame
        One row for each member.
    as_points : bool
        Whether shapes stand for their centroids.

    Raises
    ------
    PatchError
        For another class.

    Examples
    --------
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

    def __repr__(self) -> str:
        return f"GeoPandasField({len(self.gdf)} rows, as_points={self.as_points})"

    def __len__(self) -> int:
        return len(self.gdf)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = self.gdf.select_dtypes("number").to_numpy(np.float64).T
        return np.array(values, dtype=dtype, copy=copy)

    @cached_property
    def domain(self) -> PointDomain | VectorDomain:
        """The points or shapes; made when first asked for, since each patch is a Field too."""
        shapes = VectorDomain(self.gdf.geometry.to_numpy(), self.gdf.crs)
        return shapes.points if self.as_points else shapes

    def select(self, indices: Members) -> GeoPandasField:
        """Return the rows at `indices`.

        Parameters
        ----------
        indices : Members
            Which of them.

        Returns
        -------
        GeoPandasField
            With these members.
        """
        return GeoPandasField(self.gdf.iloc[_numbers(indices)], self.as_points)

    def with_data(self, array: Any) -> GeoPandasField:
        """Return the same shapes with other values (n,) or (columns, n), in columns value_*.

        Parameters
        ----------
        array : array-like
            (..., n).

        Returns
        -------
        GeoPandasField
            Of the same shapes.
        """
        values = check_fits(_as_floats(array), (len(self.gdf),), axes=1)
        rows = values.reshape(-1, len(self.gdf))
        names = ["value"] if values.ndim == 1 else [f"value_{i}" for i in range(len(rows))]
        bare = self.gdf[[self.gdf.geometry.name]]
        return GeoPandasField(bare.assign(**dict(zip(names, rows, strict=True))), self.as_points)


class XvecField:
    """A `Dataset` or `DataArray` with one xvec geometry coordinate; patches' data have `.ds`.

    The domain is a set of points when all geometries are points, else of shapes. numpy takes the
    Field with its variables first and its shapes last: (variables, ..., n).

    Parameters
    ----------
    ds : xarray.Dataset or DataArray
        With one geometry coordinate.

    Raises
    ------
    PatchError
        For another class, or no or several geometry coordinates.

    Examples
    --------
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
        needed("xvec")  # gives a Dataset its .xvec

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

    def __repr__(self) -> str:
        return f"XvecField({self.name}: {self.ds.sizes[self.dim]})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.ds.to_dataarray() if is_a(self.ds, "xarray.Dataset") else self.ds
        return np.array(array.transpose(..., self.dim).values, dtype=dtype, copy=copy)

    @cached_property
    def domain(self) -> PointDomain | VectorDomain:
        """The points or shapes; made when first asked for, since each patch is a Field too."""
        shapes = self.ds[self.name].values
        index = self.ds.xindexes.get(self.name)
        domain = VectorDomain(shapes, getattr(index, "crs", None))
        points = (shapely.get_type_id(shapes) == shapely.GeometryType.POINT).all()
        return domain.points if points else domain

    def select(self, indices: Members) -> XvecField:
        """Return the members at `indices`.

        Parameters
        ----------
        indices : Members
            Which of them.

        Returns
        -------
        XvecField
            With these members.
        """
        return XvecField(self.ds.isel({self.dim: _numbers(indices)}))

    def with_data(self, array: Any) -> XvecField:
        """Return the same shapes with other values (..., n), in the variable "value"."""
        import xarray as xr

        size = self.ds.sizes[self.dim]
        values = check_fits(_as_floats(array), (size,), axes=1)
        lead = [f"axis_{i}" for i in range(values.ndim - 1)]
        made = xr.Dataset({"value": ((*lead, self.dim), values)}, {self.name: self.ds[self.name]})
        return XvecField(made)


def _as_floats(array: Any) -> Any:
    """Return a masked array in floats, since a table says what is missing by NaN alone."""
    return array.astype(np.float64) if np.ma.is_masked(array) else array


def _numbers(indices: Any) -> np.ndarray:
    """Return the numbers (n,) of members, or raise `PatchError` for another address."""
    if not isinstance(indices, Members):
        raise PatchError(
            f"rows of a table and shapes are addressed by Members, got {type(indices).__name__}; "
            "SpatialRectangular needs a raster or a grid"
        )
    return indices.index
