"""The regular grid of a NetCDF or Zarr dataset: axes, CRS, and the variables that lie on it."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedReader
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from geocatalog.errors import CatalogError
from geocatalog.footprint import Bounds, as_crs, box_outline
from geocatalog.read.open import with_address
from geocatalog.read.signers import signing
from pipekit.lazy import EXTRAS, needed
from pipekit.pixels import GUIDE
from pipekit.places import Place, store_of

if TYPE_CHECKING:
    import xarray as xr

_AXES = (("x", "y"), ("lon", "lat"), ("longitude", "latitude"), ("easting", "northing"))
_STANDARD = (("projection_x_coordinate", "projection_y_coordinate"), ("longitude", "latitude"))
_EAST = ("degrees_east", "degree_east", "degree_e", "degrees_e", "degreee", "degreese")
_NORTH = ("degrees_north", "degree_north", "degree_n", "degrees_n", "degreen", "degreesn")
"""How CF's longitudes and latitudes are known by their units (sections 4.1 and 4.2)."""
_ENGINES = {".zarr": "zarr", ".nc": "h5netcdf", ".nc4": "h5netcdf", ".h5": "h5netcdf"}
_METRES = {"m": 1.0, "metre": 1.0, "meter": 1.0, "km": 1000.0, "kilometre": 1000.0}
_METRES |= {"kilometer": 1000.0}
_RADIANS = {"degree": math.pi / 180, "deg": math.pi / 180, "radian": 1.0, "rad": 1.0}

EVEN = 1e-3
"""How far cells may lie from an even axis, as a share of a cell, beside the rounding of float32."""

AROUND = 0.1
"""How far the edge of a global grid may lie from 180 degrees, as a share of a cell."""


@dataclass(frozen=True)
class Axis:
    """An even axis in units of the CRS: dimension, first cell's centre, signed step, cells."""

    name: str
    first: float
    step: float
    count: int

    @property
    def size(self) -> float:
        """The width of a cell, positive."""
        return abs(self.step)

    @property
    def ends(self) -> tuple[float, float]:
        """The two outer edges, rising."""
        last = self.first + self.step * (self.count - 1)
        return min(self.first, last) - self.size / 2, max(self.first, last) + self.size / 2


@dataclass(frozen=True)
class LabelledGrid:
    """The regular grid of a dataset: two even axes and their CRS."""

    x: Axis
    y: Axis
    crs: CRS

    @property
    def bounds(self) -> Bounds:
        """(west, south, east, north) of the cells, as the dataset's own axes have them."""
        (west, east), (south, north) = self.x.ends, self.y.ends
        return west, south, east, north

    @property
    def global_(self) -> bool:
        """Whether the cells go once around the globe."""
        return bool(
            self.crs.is_geographic and abs(self.x.count * self.x.size - 360) < self.x.size / 2
        )

    @property
    def footprint(self) -> BaseGeometry:
        """The cells' outline; longitudes of 0 to 360 are brought to -180 to 180."""
        west, south, east, north = self.bounds
        if not self.crs.is_geographic:
            return shapely.box(*self.bounds)
        if east - west >= 360.0 - self.x.size / 2:
            return shapely.box(-180.0, south, 180.0, north)
        slack = AROUND * self.x.size
        if -180.0 - slack <= west and east <= 180.0 + slack:
            return shapely.box(max(west, -180.0), south, min(east, 180.0), north)
        west, east = ((side + 180.0) % 360.0 - 180.0 for side in (west, east))
        return box_outline((west, south, east if east > -180.0 else 180.0, north))


def open_labelled(path: str, signer: str | None = None) -> xr.Dataset:
    """Open a NetCDF or Zarr dataset lazily, its times as numbers; the caller closes it.

    Parameters
    ----------
    path
        A file or a store, local or remote.
    signer
        Who makes the token that it needs, by name.

    Returns
    -------
    The dataset; its ending, and the first bytes of a local file, say how it is opened.

    Raises
    ------
    ImportError
        That names the missing package, or the library's own error for a file that is neither.
    """
    import xarray as xr

    bare = path.split("?", 1)[0].rstrip("/").lower()
    engine = next((name for end, name in _ENGINES.items() if bare.endswith(end)), None)
    if os.path.isfile(path):
        with open(path, "rb") as file:
            # NetCDF classic is no HDF5; its name does not tell.
            engine = "scipy" if file.read(3) == b"CDF" else engine
    if engine in EXTRAS:
        needed(engine)

    def opened(address: Any, **more: Any) -> xr.Dataset:
        place = store_of(address)
        if place is not None and engine != "zarr":
            address = BufferedReader(place.reader(), 2**20)
        elif place is not None:
            address, more = place.for_zarr(), {"consolidated": _is_consolidated(place)}
        return xr.open_dataset(
            address, engine=engine, decode_times=False, decode_timedelta=False, **more
        )

    return with_address(path, opened, sign=signing(path, signer))


def _is_consolidated(place: Place) -> bool:
    """Return whether a Zarr store holds all its metadata in one object."""
    try:
        group = json.loads((place / "zarr.json").read())
        return bool(group.get("consolidated_metadata"))  # older zarr writes a null where none is
    except FileNotFoundError:
        return (place / ".zmetadata").exists()


def grid_of(dataset: xr.Dataset, path: str) -> LabelledGrid:
    """Return a dataset's grid.

    The CRS comes from its grid mapping, then its attributes `crs_wkt`, `epsg` or `crs`, then is
    EPSG:4326 for axes that are longitude and latitude by name, standard name or units. The size of
    a single cell comes from the axis' bounds, the grid mapping's GeoTransform or the attribute
    `resolution`. Axes in km, or in the radians of a geostationary satellite, come out in units of
    the CRS. Cells lie evenly between the first and the last: axes in float32 lose nothing by their
    rounding.

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
        When axes, CRS or cell size cannot be told, steps are uneven, or the coordinates are
        two-dimensional.

    Examples
    --------
    >>> import xarray as xr
    >>> cube = xr.Dataset(coords={"lon": [0.5, 1.5], "lat": [1.5, 0.5]})
    >>> grid_of(cube, "cube.nc").footprint.bounds
    (0.0, 0.0, 2.0, 2.0)
    """
    x, y = _axes(dataset, path)
    crs = _crs(dataset, path, x)
    return LabelledGrid(
        _axis(dataset, x, crs, path, wraps=crs.is_geographic), _axis(dataset, y, crs, path), crs
    )


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
        For a variable that the dataset does not have, or that does not lie on the grid, and when
        none does.

    Examples
    --------
    >>> import xarray as xr
    >>> cube = xr.Dataset({"a": (("y", "x"), [[1]]), "angle": 3.0}, {"x": [0], "y": [0]},
    ...     {"crs": "EPSG:32610", "resolution": 10})
    >>> chosen_names(cube, None, grid_of(cube, "cube.nc"), "cube.nc")
    ['a']
    """
    known = list(map(str, dataset.data_vars))
    axes = (grid.y.name, grid.x.name)
    there = [name for name in known if set(axes) <= set(dataset[name].dims)]
    if isinstance(wanted, str):
        wanted = [wanted]
    missing = [name for name in wanted or () if name not in known]
    if missing:
        raise CatalogError(f"{path} has no variable {', '.join(missing)}; it has {sorted(known)}")
    off = [name for name in wanted or () if name not in there]
    if off or not there:
        what = ", ".join(off) if off else "no variable"
        raise CatalogError(
            f"{path} has {what} {'off' if off else 'on'} its grid {axes}; on it are {there}, all "
            f"are {sorted(known)}"
        )
    return list(wanted) if wanted else there


def _axes(dataset: xr.Dataset, path: str) -> tuple[str, str]:
    """Return the names of the coordinates along x and y."""
    names = {str(name).lower(): str(name) for name in dataset.variables}
    pairs = [(names[x], names[y]) for x, y in _AXES if x in names and y in names]
    said = {
        str(variable.attrs.get("standard_name")): str(name)
        for name, variable in dataset.variables.items()
        if variable.ndim == 1
    }
    pairs += [(said[x], said[y]) for x, y in _STANDARD if x in said and y in said]
    east, north = (_by_units(dataset, units) for units in (_EAST, _NORTH))
    pairs += [(x, y) for x in east for y in north]
    for x, y in pairs:
        if dataset[x].ndim == dataset[y].ndim == 1 and dataset[x].dims != dataset[y].dims:
            return x, y
    curved = _curved(dataset)
    if curved:
        raise CatalogError(
            f"{path} has two-dimensional coordinates ({', '.join(curved)}), a curvilinear grid or "
            "a swath; only grids with one-dimensional axes have pixels: resample it onto one first "
            f"(xESMF, pyresample, scipy.interpolate.griddata); {GUIDE}"
        )
    if pairs:
        x, y = pairs[0]
        raise CatalogError(
            f"{path} has {x} along {dataset[x].dims} and {y} along {dataset[y].dims}, which is no "
            "grid; one needs its own dimension for each: dataset.expand_dims(...), or list points "
            f"in a vector catalog; {GUIDE}"
        )
    raise CatalogError(
        f"{path} has no coordinates called x/y, lon/lat, longitude/latitude or easting/northing; "
        f"it has {sorted(map(str, dataset.coords))}"
    )


def _by_units(dataset: xr.Dataset, units: Sequence[str]) -> list[str]:
    """Return the names of one-dimensional coordinates in some units, in lower case."""
    return [
        str(name)
        for name, variable in dataset.variables.items()
        if variable.ndim == 1 and str(variable.attrs.get("units", "")).lower() in units
    ]


def _curved(dataset: xr.Dataset) -> list[str]:
    """Return the names of coordinates in two dimensions."""
    found = []
    for name, variable in dataset.variables.items():
        units = str(variable.attrs.get("units", "")).lower()
        called = re.search(r"lat|lon", str(name).lower()) and name in dataset.coords
        if variable.ndim == 2 and (
            called
            or re.fullmatch(r"x?(lat|lon|long|latitude|longitude)", str(name).lower())
            or units.startswith(("degrees_north", "degrees_east", "degree_north", "degree_east"))
        ):
            found.append(str(name))
    return found


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
    named = x.lower() in ("lon", "longitude") or x in _by_units(dataset, _EAST)
    if named or dataset[x].attrs.get("standard_name") == "longitude":
        return as_crs("EPSG:4326")
    raise CatalogError(
        f"{path} does not say which CRS its coordinates are in; write a grid mapping with "
        "dataset.rio.write_crs(...)"
    )


def _grid_mappings(dataset: xr.Dataset) -> list[Any]:
    named = [
        variable.encoding.get("grid_mapping") or variable.attrs.get("grid_mapping") or ""
        for variable in dataset.variables.values()
    ]
    # CF's longer form is "crs: x y".
    single = [name for text in named for name in re.findall(r"(\S+):", text) or [text]]
    names = dict.fromkeys([*filter(None, single), "spatial_ref", "crs"])
    return [dataset[name] for name in names if name in dataset.variables]


def _axis(dataset: xr.Dataset, name: str, crs: CRS, path: str, *, wraps: bool = False) -> Axis:
    stored = dataset[name].values
    factor = _in_crs_units(dataset[name], crs, path)
    if stored.dtype.kind not in "iuf" or not np.isfinite(stored).all():
        raise CatalogError(f"{path} has cells without a place: {name} is no row of finite numbers")
    if len(stored) == 0:
        raise CatalogError(f"{path} has no cells along {name}")
    dimension = str(dataset[name].dims[0])
    if len(stored) == 1:
        size = _single(dataset, name, factor, path)
        return Axis(dimension, float(stored[0]) * factor, size, 1)
    values = stored.astype(np.float64)
    if wraps:
        values = np.unwrap(values, period=360 / factor)
    rounding = 0.0
    if np.array_equal(values.astype(np.float32), values):
        rounding = 1.5 * float(np.spacing(np.abs(values).max().astype(np.float32)))
    first, step = _even(float(values[0]), float(values[-1]), len(values), rounding)
    off = np.abs(values - (first + step * np.arange(len(values)))).max()
    if off > min(EVEN * abs(step) + rounding, 0.4 * abs(step)) or step == 0:
        steps = np.abs(np.diff(values))
        raise CatalogError(
            f"{path} has uneven steps along {name} ({steps.min():g} to {steps.max():g}); only "
            f"regular grids have pixels: interpolate it, dataset.interp({name}=...); {GUIDE}"
        )
    return Axis(dimension, first * factor, step * factor, len(values))


def _even(first: float, last: float, count: int, rounding: float) -> tuple[float, float]:
    """Return the first place and the step of an even axis, as they were before float32 took them.

    Within what the rounding allows, a step is one part of a whole number of a unit (1/12 or 0.0001
    degrees), and the first cell lies on a multiple of half a step.
    """
    step = (last - first) / (count - 1)
    if step == 0 or rounding == 0:
        return first, step
    for unit in (1000, 100, 10, 1):
        cells = round(1 / abs(step) / unit) * unit
        if cells and abs(1 / cells - abs(step)) * (count - 1) <= 2 * rounding:
            step = math.copysign(1 / cells, step)
            break
    near = round(2 * first / step) * step / 2
    return (near if abs(near - first) <= rounding else first), step


def _single(dataset: xr.Dataset, name: str, factor: float, path: str) -> float:
    """Return the size of an axis' only cell in units of the CRS."""
    bounds = dataset[name].attrs.get("bounds")
    if bounds in dataset.variables and dataset[bounds].size == 2:
        low, high = dataset[bounds].values.ravel().astype(float)
        if low != high:
            return abs(high - low) * factor
    for mapping in _grid_mappings(dataset):
        parts = str(mapping.attrs.get("GeoTransform", "")).split()
        if len(parts) == 6:
            return abs(float(parts[5 if name.lower().startswith(("y", "lat", "n")) else 1]))
    if "resolution" not in dataset.attrs:
        raise CatalogError(f"{path} has one cell along {name} and no attribute 'resolution'")
    return float(dataset.attrs["resolution"])


def _in_crs_units(coordinate: xr.DataArray, crs: CRS, path: str) -> float:
    """Return what a coordinate is multiplied by to be in units of the CRS."""
    written = str(coordinate.attrs.get("units", "")).strip().lower()
    units = written.split("_")[0].removesuffix("s")
    own = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
    if units in _METRES and not crs.is_geographic:
        return _METRES[units] / own
    if units in _RADIANS and crs.is_geographic:
        return 1.0 if units.startswith("deg") else math.degrees(1.0)
    if units not in _METRES and units not in _RADIANS:
        return 1.0
    height = crs.to_cf().get("perspective_point_height")
    if units in _RADIANS and height is not None:
        # A geostationary satellite's angles, times its height, are the CRS' metres.
        return _RADIANS[units] * float(height) / own
    raise CatalogError(
        f"{path} has {coordinate.name} in {written}, which are no units of its CRS {crs.name!r}; "
        f"write the CRS that the coordinates are in, dataset.rio.write_crs(...); {GUIDE}"
    )
