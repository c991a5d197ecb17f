"""NetCDF and Zarr datasets: what they say about their place, and their time steps in a slice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from affine import Affine
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from geocatalog.catalog import CatalogRow, GeoCatalog, rows_under
from geocatalog.errors import CatalogError
from geocatalog.footprint import Bounds, as_crs, box_outline, reproject_box
from geocatalog.geoslice import GeoSlice
from geocatalog.grid import as_geotensor, pixel_grid, raster_crs
from geocatalog.interval import pack_time, stamp_of
from geocatalog.read.onto_grid import as_resampling
from pipekit.carrier import same_crs

if TYPE_CHECKING:
    import xarray as xr
    from georeader.geotensor import GeoTensor
    from odc.geo.geobox import GeoBox

_AXES = (("x", "y"), ("lon", "lat"), ("longitude", "latitude"), ("easting", "northing"))
_ENGINES = {".zarr": "zarr", ".nc": "h5netcdf", ".nc4": "h5netcdf", ".h5": "h5netcdf"}


@dataclass(frozen=True)
class LabelledGrid:
    """The regular grid of a dataset: axis names, CRS, pixel sizes (positive), cells' bounds."""

    x: str
    y: str
    crs: CRS
    x_size: float
    y_size: float
    bounds: Bounds

    @property
    def footprint(self) -> BaseGeometry:
        """The cells' outline; longitudes of 0 to 360 are brought to -180 to 180."""
        west, south, east, north = self.bounds
        if not self.crs.is_geographic or east <= 180.0 + 1e-9:
            return shapely.box(*self.bounds)
        if east - west >= 360.0 - self.x_size / 2:
            return shapely.box(-180.0, south, 180.0, north)
        return box_outline((west - 360.0 * (west >= 180.0), south, east - 360.0, north))


def open_labelled(path: str) -> xr.Dataset:
    """Open a NetCDF (HDF5) or Zarr dataset lazily; the caller closes it.

    Parameters
    ----------
    path
        A file or a store, local or remote.

    Returns
    -------
    The dataset; its ending says how it is opened.

    Raises
    ------
    ImportError
        That names the missing package, or the library's own error for a file that is neither.
    """
    import xarray as xr

    bare = path.split("?", 1)[0].rstrip("/")
    engine = next((name for end, name in _ENGINES.items() if bare.endswith(end)), None)
    return xr.open_dataset(path, engine=engine, decode_timedelta=False)


def grid_of(dataset: xr.Dataset, path: str) -> LabelledGrid:
    """Return a dataset's grid.

    The CRS comes from its grid mapping, then its attributes `crs_wkt`, `epsg` or `crs`, then is
    EPSG:4326 for axes called longitude and latitude. The size of a single cell comes from the
    grid mapping's GeoTransform or the attribute `resolution`.

    Parameters
    ----------
    dataset
        A dataset with one-dimensional coordinates.
    path
        What messages call it.

    Returns
    -------
    The grid.

    Raises
    ------
    CatalogError
        When axes, CRS or cell size cannot be told, or steps are uneven.

    Examples
    --------
    >>> import xarray as xr
    >>> cube = xr.Dataset(coords={"lon": [0.5, 1.5], "lat": [1.5, 0.5]})
    >>> grid_of(cube, "cube.nc").footprint.bounds
    (0.0, 0.0, 2.0, 2.0)
    """
    x, y = _axes(dataset, path)
    crs = _crs(dataset, path, x)
    x_size, y_size = _step(dataset, x, path), _step(dataset, y, path)
    columns, rows = dataset[x].values.astype(float), dataset[y].values.astype(float)
    west, east = float(columns.min()) - x_size / 2, float(columns.max()) + x_size / 2
    south, north = float(rows.min()) - y_size / 2, float(rows.max()) + y_size / 2
    return LabelledGrid(x, y, crs, x_size, y_size, (west, south, east, north))


def chosen_names(
    dataset: xr.Dataset, wanted: Sequence[str] | None, grid: LabelledGrid, path: str
) -> list[str]:
    """Return the variables that are wanted, or else those on the grid, in the dataset's order.

    Parameters
    ----------
    dataset
        Any dataset.
    wanted
        Names of variables, or None.
    grid
        The dataset's grid.
    path
        What messages call the dataset.

    Returns
    -------
    Names of variables.

    Raises
    ------
    CatalogError
        For a variable that the dataset does not have.

    Examples
    --------
    >>> import xarray as xr
    >>> cube = xr.Dataset({"a": (("y", "x"), [[1]]), "angle": 3.0}, {"x": [0], "y": [0]},
    ...     {"crs": "EPSG:32610", "resolution": 10})
    >>> chosen_names(cube, None, grid_of(cube, "cube.nc"), "cube.nc")
    ['a']
    """
    known = list(map(str, dataset.data_vars))
    missing = [name for name in wanted or () if name not in known]
    if missing:
        raise CatalogError(f"{path} has no variable {', '.join(missing)}; it has {sorted(known)}")
    return (
        list(wanted) if wanted else [n for n in known if {grid.x, grid.y} <= set(dataset[n].dims)]
    )


def _axes(dataset: xr.Dataset, path: str) -> tuple[str, str]:
    names = {str(name).lower(): str(name) for name in dataset.coords}
    for x, y in _AXES:
        if x in names and y in names:
            return names[x], names[y]
    raise CatalogError(
        f"{path} has no coordinates called x/y, lon/lat, longitude/latitude or easting/northing; "
        f"it has {sorted(names)}"
    )


def _crs(dataset: xr.Dataset, path: str, x: str) -> CRS:
    for mapping in _grid_mappings(dataset):
        for key in ("crs_wkt", "spatial_ref"):
            if mapping.attrs.get(key):
                return as_crs(mapping.attrs[key])
        if "grid_mapping_name" in mapping.attrs:
            return CRS.from_cf(mapping.attrs)
    for key in ("crs_wkt", "proj:code", "epsg", "crs"):
        value = dataset.attrs.get(key)
        if value is not None and str(value).strip():
            # "+init=" is how old writers spelt an authority code.
            text = str(value).strip().removeprefix("+init=").upper()
            return as_crs(int(text) if text.isdigit() else text)
    if x.lower() in ("lon", "longitude"):
        return as_crs("EPSG:4326")
    raise CatalogError(
        f"{path} does not say which CRS its coordinates are in; write a grid mapping with "
        "dataset.rio.write_crs(...)"
    )


def _grid_mappings(dataset: xr.Dataset) -> list[Any]:
    named = [
        variable.encoding.get("grid_mapping") or variable.attrs.get("grid_mapping")
        for variable in dataset.variables.values()
    ]
    names = dict.fromkeys([*filter(None, named), "spatial_ref", "crs"])
    return [dataset[name] for name in names if name in dataset.variables]


def _step(dataset: xr.Dataset, axis: str, path: str) -> float:
    values = dataset[axis].values.astype(float)
    if len(values) == 0:
        raise CatalogError(f"{path} has no cells along {axis}")
    if len(values) == 1:
        for mapping in _grid_mappings(dataset):
            parts = str(mapping.attrs.get("GeoTransform", "")).split()
            if len(parts) == 6:
                return abs(float(parts[5 if axis.lower().startswith(("y", "lat", "n")) else 1]))
        if "resolution" not in dataset.attrs:
            raise CatalogError(f"{path} has one cell along {axis} and no attribute 'resolution'")
        return float(dataset.attrs["resolution"])
    steps = np.abs(np.diff(values))
    size = float(np.median(steps))
    if size == 0 or np.abs(steps - size).max() > 1e-3 * size:
        raise CatalogError(
            f"{path} has uneven steps along {axis} ({steps.min():g} to {steps.max():g}); "
            "only regular grids have pixels"
        )
    return size


def load_xarray(
    catalog: GeoCatalog,
    slice_: GeoSlice,
    data_vars: Sequence[str] | None = None,
    resampling: str = "nearest",
    *,
    dtype: Any = "float32",
) -> GeoTensor:
    """Return (T, C, H, W): every time step in the slice's interval, one channel per variable.

    Only the cells around the slice are read. Where several datasets hold one time step, the
    later row fills what it knows. Cells nobody knows are NaN.

    `attrs["dates"]` are the T times as ISO text (one NaT for an undated dataset, which gives
    T = 1), `attrs["band_names"]` the variables.

    Parameters
    ----------
    catalog
        A catalog of NetCDF or Zarr datasets.
    slice_
        Where, when and on which pixel grid.
    data_vars
        Variables, in the channels' order; by default those of the first dataset.
    resampling
        Rasterio's name of the method.
    dtype
        Floating type of the result.

    Returns
    -------
    `GeoTensor` (T, C, H, W) of `dtype`.

    Raises
    ------
    CatalogError
        When no time step lies in the slice, a variable is missing, or a variable has further
        dimensions.

    Examples
    --------
    >>> import tempfile, pandas as pd, xarray as xr
    >>> from geocatalog import build_xarray_catalog
    >>> values = np.arange(8, dtype="float32").reshape(2, 2, 2)
    >>> cube = xr.Dataset({"t2m": (("time", "lat", "lon"), values)},
    ...     {"time": pd.date_range("2024-01-01", periods=2), "lat": [1.5, 0.5], "lon": [0.5, 1.5]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = cube.to_zarr(folder + "/cube.zarr", zarr_format=2, consolidated=True)
    ...     catalog = build_xarray_catalog([folder + "/cube.zarr"])
    ...     load_xarray(catalog, GeoSlice((0, 0, 2, 1), "2024-01-02", 1, 4326)).values.tolist()
    [[[[6.0, 7.0]]]]
    """
    rows = rows_under(catalog, slice_, "xarray")
    kind = np.dtype(dtype)
    if kind.kind != "f":
        raise CatalogError(
            f"dtype must be floating, to hold NaN where nothing is known, got {kind}"
        )
    grid = slice_.undivided("load_xarray")
    names = data_vars
    steps: dict[Any, np.ndarray] = {}
    for row in rows:
        with open_labelled(row.filepath) as dataset:
            found = _Steps(dataset, row, slice_, names)
            names = found.names
            for moment, layers in found.on_grid(grid, resampling, kind):
                known = steps.setdefault(moment, np.full_like(layers, np.nan))
                np.copyto(known, layers, where=~np.isnan(layers))
    if not steps:
        raise CatalogError(f"no time step of {catalog!r} lies in {slice_!r}")
    moments = sorted(steps, key=lambda moment: -1 if moment is None else moment)
    dates = ["NaT" if moment is None else stamp_of(moment).isoformat() for moment in moments]
    values = np.stack([steps[moment] for moment in moments])
    return as_geotensor(values, grid, np.nan, {"dates": dates, "band_names": names})


class _Steps:
    """One dataset's time steps in a slice's interval, cut to the cells around its box."""

    def __init__(
        self, dataset: xr.Dataset, row: CatalogRow, slice_: GeoSlice, names: Sequence[str] | None
    ) -> None:
        self.path, self.slice = row.filepath, slice_
        self.grid = grid_of(dataset, row.filepath)
        self.names = chosen_names(dataset, names, self.grid, self.path)
        stored = row.extras.get("time_var")
        self.time = stored if isinstance(stored, str) and stored in dataset.dims else None
        self.dataset = dataset[self.names]

    def on_grid(self, grid: GeoBox, resampling: str, dtype: np.dtype) -> Any:
        """Yield (time in microseconds or None, (C, H, W)) for each step."""
        from rasterio.warp import reproject

        cut = _cut(self.dataset, self.grid, self.slice)
        if cut is None:
            return
        columns, rows = cut[self.grid.x].values, cut[self.grid.y].values
        west = float(columns[0]) - self.grid.x_size / 2
        north = float(rows[0]) + self.grid.y_size / 2
        transform = Affine(self.grid.x_size, 0, west, 0, -self.grid.y_size, north)
        own = pixel_grid(self.grid.crs, transform, (len(rows), len(columns)))
        for moment, step in self._each(cut):
            source = self._array(step).astype(dtype, copy=False)
            moved = np.full((len(self.names), *grid.shape), np.nan, dtype=dtype)
            reproject(
                source,
                moved,
                src_transform=own.transform,
                src_crs=raster_crs(own),
                dst_transform=grid.transform,
                dst_crs=raster_crs(grid),
                src_nodata=np.nan,
                dst_nodata=np.nan,
                resampling=as_resampling(resampling),
            )
            yield moment, moved

    def _each(self, dataset: xr.Dataset) -> Iterator[tuple[int | None, xr.Dataset]]:
        """Yield (time in microseconds, step) of the steps in the slice's interval."""
        if self.time is None:
            yield None, dataset
            return
        times = dataset[self.time].values.astype("datetime64[us]").astype(np.int64)
        first, last = pack_time(self.slice.interval)
        for index in np.flatnonzero((times >= first) & (times <= last)):
            yield int(times[index]), dataset.isel({self.time: index})

    def _array(self, step: xr.Dataset) -> np.ndarray:
        order = (self.grid.y, self.grid.x)
        layers = []
        for name in self.names:
            more = set(step[name].dims) - set(order)
            if more:
                times = [str(axis) for axis in more if step[axis].dtype.kind == "M"]
                way_out = (
                    f"if {times[0]} is its time, build the catalog with time_var={times[0]!r}"
                    if times
                    else "choose other variables with data_vars="
                )
                raise CatalogError(
                    f"{name} in {self.path} has further dimensions {sorted(map(str, more))}; "
                    f"{way_out}"
                )
            layers.append(step[name].transpose(*order).values)
        return np.stack(layers)


def _cut(dataset: xr.Dataset, grid: LabelledGrid, slice_: GeoSlice) -> xr.Dataset | None:
    """Return the cells under the slice, north up, with a rim of two; None if there are none."""
    x = dataset[grid.x].values.astype(float)
    if grid.crs.is_geographic and grid.bounds[2] > 180.0 + 1e-9:
        dataset = dataset.assign_coords({grid.x: np.where(x >= 180.0, x - 360.0, x)})
    dataset = dataset.sortby(grid.x).sortby(grid.y, ascending=False)
    box = slice_.grid_bounds
    if not same_crs(grid.crs, slice_.crs):
        box = reproject_box(box, slice_.crs, grid.crs).bounds
    west, south, east, north = box
    x, y = dataset[grid.x].values.astype(float), dataset[grid.y].values.astype(float)
    dx, dy = 2 * grid.x_size, 2 * grid.y_size
    columns = np.flatnonzero((x >= west - dx) & (x <= east + dx))
    rows = np.flatnonzero((y >= south - dy) & (y <= north + dy))
    if len(columns) == 0 or len(rows) == 0:
        return None
    return dataset.isel(
        {grid.x: slice(columns[0], columns[-1] + 1), grid.y: slice(rows[0], rows[-1] + 1)}
    )
