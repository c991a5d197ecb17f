"""What a NetCDF or Zarr dataset says about its place: dimensions, CRS, bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from geocatalog.crs import as_crs
from geocatalog.errors import CatalogError

if TYPE_CHECKING:
    import xarray as xr

_AXES = (("x", "y"), ("lon", "lat"), ("longitude", "latitude"), ("easting", "northing"))
_ENGINES = {".zarr": "zarr", ".nc": "h5netcdf", ".nc4": "h5netcdf", ".h5": "h5netcdf"}


@dataclass(frozen=True)
class LabelledGrid:
    """The regular grid of a dataset: axis names, CRS, pixel sizes (positive), cell edges."""

    x: str
    y: str
    crs: CRS
    x_size: float
    y_size: float
    west: float
    south: float
    east: float
    north: float

    @property
    def footprint(self) -> BaseGeometry:
        """The cells' outline; longitudes of 0 to 360 are brought to -180 to 180."""
        if not self.crs.is_geographic or self.east <= 180.0 + 1e-9:
            return shapely.box(self.west, self.south, self.east, self.north)
        if self.east - self.west >= 360.0 - self.x_size / 2:
            return shapely.box(-180.0, self.south, 180.0, self.north)
        if self.west >= 180.0:
            return shapely.box(self.west - 360.0, self.south, self.east - 360.0, self.north)
        return shapely.MultiPolygon(
            [
                shapely.box(self.west, self.south, 180.0, self.north),
                shapely.box(-180.0, self.south, self.east - 360.0, self.north),
            ]
        )


def open_labelled(path: str) -> xr.Dataset:
    """Open a NetCDF (HDF5) or Zarr dataset lazily; the caller closes it.

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
    x_size = _step(dataset, x, path)
    y_size = _step(dataset, y, path)
    columns, rows = dataset[x].values.astype(float), dataset[y].values.astype(float)
    return LabelledGrid(
        x,
        y,
        crs,
        x_size,
        y_size,
        float(columns.min()) - x_size / 2,
        float(rows.min()) - y_size / 2,
        float(columns.max()) + x_size / 2,
        float(rows.max()) + y_size / 2,
    )


def gridded_names(dataset: xr.Dataset, x: str, y: str) -> list[str]:
    """Return the variables that lie on the grid, in the dataset's order.

    Examples
    --------
    >>> import xarray as xr
    >>> cube = xr.Dataset({"a": (("y", "x"), [[1]]), "angle": 3.0}, {"x": [0], "y": [0]})
    >>> gridded_names(cube, "x", "y")
    ['a']
    """
    return [str(name) for name, data in dataset.data_vars.items() if {x, y} <= set(data.dims)]


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
        return _single_cell(dataset, axis, path)
    steps = np.abs(np.diff(values))
    size = float(np.median(steps))
    if size == 0 or np.abs(steps - size).max() > 1e-3 * size:
        raise CatalogError(
            f"{path} has uneven steps along {axis} ({steps.min():g} to {steps.max():g}); "
            "only regular grids have pixels"
        )
    return size


def _single_cell(dataset: xr.Dataset, axis: str, path: str) -> float:
    for mapping in _grid_mappings(dataset):
        parts = str(mapping.attrs.get("GeoTransform", "")).split()
        if len(parts) == 6:
            return abs(float(parts[5 if axis.lower().startswith(("y", "lat", "n")) else 1]))
    if "resolution" in dataset.attrs:
        return float(dataset.attrs["resolution"])
    raise CatalogError(f"{path} has one cell along {axis} and no attribute 'resolution'")
