"""The time steps of NetCDF and Zarr datasets in a slice."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine

from geocatalog.catalog import CatalogRow, GeoCatalog, rows_under
from geocatalog.errors import CatalogError
from geocatalog.footprint import reproject_box
from geocatalog.geoslice import GeoSlice
from geocatalog.grid import as_geotensor, pixel_grid, resampled
from geocatalog.interval import OPEN_END, OPEN_START, pack_time, stamp_of
from geocatalog.load.labelled import Axis, chosen_names, grid_of, open_labelled
from geocatalog.load.times import times_of
from geocatalog.read.bands import resampling_for
from geocatalog.read.onto_grid import as_resampling
from pipekit.carrier import same_crs
from pipekit.pixels import GUIDE, Role, role_of
from pipekit.tokens import redact, redacted

if TYPE_CHECKING:
    import xarray as xr
    from georeader.geotensor import GeoTensor
    from odc.geo.geobox import GeoBox

RIM = 2
"""Cells read around a slice, for the methods that look at neighbours."""

_Piece = tuple[list[slice], float]
"""Cells along an axis, as pieces one after the other, and the place of the first one's edge."""


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

    A time step is in the interval when its bounds are, or its instant where it has none. A dataset
    without times is one step, at the time that its row begins.

    `attrs["dates"]` are the T times as ISO text (one NaT for an undated dataset, which gives
    T = 1), `attrs["band_names"]` the variables. Classes and bits (CF's `flag_values` and
    `flag_masks`, or a product's name) are never averaged; `attrs["band_roles"]` says which.

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
        When no time step lies in the slice, a variable is missing or has further dimensions, a
        dataset has two steps of one time, or `dtype` cannot hold every number of classes or bits.

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
    kind = np.dtype(dtype).newbyteorder("=")
    if kind.kind != "f":
        raise CatalogError(
            f"dtype must be floating, to hold NaN where nothing is known, got {kind}"
        )
    grid = slice_.undivided("load_xarray")
    names, roles = data_vars, []
    steps: dict[Any, np.ndarray] = {}
    for row in rows:
        with _opened(row) as dataset:
            found = _Steps(dataset, row, slice_, names)
            names, roles = found.names, found.roles
            for moment, layers in found.on_grid(grid, resampling, kind):
                known = steps.setdefault(moment, np.full_like(layers, np.nan))
                np.copyto(known, layers, where=~np.isnan(layers))
    if not steps:
        raise CatalogError(f"no time step of {catalog!r} lies in {slice_!r}")
    moments = sorted(steps, key=lambda moment: OPEN_START if moment is None else moment)
    dates = ["NaT" if moment is None else stamp_of(moment).isoformat() for moment in moments]
    values = np.stack([steps[moment] for moment in moments])
    attrs = {"dates": dates, "band_names": names, "band_roles": roles}
    return as_geotensor(values, grid, np.nan, attrs)


def _opened(row: CatalogRow) -> xr.Dataset:
    """Open a row's dataset; what is no longer one is named."""
    try:
        return open_labelled(row.filepath, row.signer)
    except (FileNotFoundError, ImportError, CatalogError):
        raise
    except Exception as error:  # each library fails in its own way
        raise CatalogError(f"cannot read {redact(row.filepath)}: {redacted(error)}") from error


class _Steps:
    """One dataset's time steps in a slice's interval, cut to the cells around its box."""

    def __init__(
        self, dataset: xr.Dataset, row: CatalogRow, slice_: GeoSlice, names: Sequence[str] | None
    ) -> None:
        self.path, self.slice = row.filepath, slice_
        self.grid = grid_of(dataset, row.filepath)
        self.names = chosen_names(dataset, names, self.grid, self.path)
        self.roles = [_role(dataset[name]) for name in self.names]
        self.times = times_of(dataset, row.extras.get("time_var"), self.path)
        self.dataset = dataset[self.names]
        start, end = pack_time(row.interval)
        known = [moment for moment in (start, end) if moment not in (OPEN_START, OPEN_END)]
        # What the row knows of the file's time: from its name, say.
        self.moment = known[0] if known else None

    def on_grid(self, grid: GeoBox, resampling: str, dtype: np.dtype) -> Any:
        """Yield (time in microseconds or None, (C, H, W)) for each step."""
        pieces = list(self._pieces())
        if not pieces:
            return
        for moment, step in self._each():
            moved = np.full((len(self.names), *grid.shape), np.nan, dtype=dtype)
            for rows, columns, transform in pieces:
                source = self._array(step, rows, columns, dtype)
                own = pixel_grid(self.grid.crs, transform, source.shape[-2:])
                found = _resampled(source, own, grid, resampling, self.roles)
                np.copyto(moved, found, where=~np.isnan(found))
            yield moment, moved

    def _each(self) -> Iterator[tuple[int | None, xr.Dataset]]:
        """Yield (time in microseconds, step) of the steps in the slice's interval."""
        times = self.times
        if times is None or (times.dimension is None and len(times.at) == 0):
            yield self.moment, self.dataset
            return
        first, last = pack_time(self.slice.interval)
        inside = np.flatnonzero((times.first <= last) & (times.last >= first))
        moments, counts = np.unique(times.moments[inside], return_counts=True)
        if (counts > 1).any():
            twice, axis = stamp_of(int(moments[counts > 1][0])), times.dimension
            raise CatalogError(
                f"{self.path} has {counts.max()} steps of one time, {twice.isoformat()}, and a "
                f"series has one; keep the first of each, dataset.drop_duplicates({axis!r}), or "
                f"average them, dataset.groupby({axis!r}).mean()"
            )
        for index in inside:
            step = self.dataset
            if times.dimension is not None:
                step = step.isel({times.dimension: int(times.at[index])}, missing_dims="ignore")
            yield int(times.moments[index]), step

    def _pieces(self) -> Iterator[tuple[list[slice], list[slice], Affine]]:
        """Yield rows, columns and transform, north up, of the cells under the slice."""
        box = self.slice.grid_bounds
        if not same_crs(self.grid.crs, self.slice.crs):
            box = reproject_box(box, self.slice.crs, self.grid.crs).bounds
        west, south, east, north = box
        down = _under(self.grid.y, south, north)
        if down is None:
            return
        turns: tuple[float, ...] = (0.0,)
        if self.grid.crs.is_geographic and not self.grid.global_:
            turns = (-360.0, 0.0, 360.0)
        for turn in turns:
            across = _under(self.grid.x, west - turn, east - turn, around=self.grid.global_)
            if across is not None:
                size = self.grid.x.size, self.grid.y.size
                (rows, low), (columns, left) = down, across
                height = sum(each.stop - each.start for each in rows)
                top = low + height * size[1]
                yield rows, columns, Affine(size[0], 0, left + turn, 0, -size[1], top)

    def _array(
        self, step: xr.Dataset, rows: list[slice], columns: list[slice], dtype: np.dtype
    ) -> np.ndarray:
        """Return (C, H, W), north up and west to east; `rows` count from the south."""
        x, y = self.grid.x, self.grid.y
        layers = []
        for name, role in zip(self.names, self.roles, strict=True):
            self._check(step[name])
            others = [axis for axis in step[name].dims if axis not in (y.name, x.name)]
            data = step[name].squeeze(others, drop=True).transpose(y.name, x.name)
            (down,) = rows
            data = data.isel({y.name: _stored(y, down)})
            parts = [data.isel({x.name: _stored(x, each)}).values for each in columns]
            parts = [part[:, ::-1] if x.step < 0 else part for part in parts]
            layer = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
            made = layer.astype(dtype, copy=False)
            if role != "quantity" and layer.dtype.kind in "iu" and (made != layer).any():
                raise CatalogError(
                    f"{dtype.name} cannot hold every number of {name} ({role}) in {self.path}; "
                    f"give dtype='float64', which holds those up to 2**53; {GUIDE}"
                )
            layers.append(made[::-1] if y.step > 0 else made)
        return np.stack(layers)

    def _check(self, data: xr.DataArray) -> None:
        if data.dtype.kind not in "iufb":
            raise CatalogError(
                f"{data.name} in {self.path} is {data.dtype}, no real numbers; choose other "
                "variables with data_vars="
            )
        order = (self.grid.y.name, self.grid.x.name)
        more = [axis for axis in data.dims if axis not in order and data.sizes[axis] > 1]
        if not more:
            return
        times = [str(axis) for axis in more if " since " in str(data[axis].attrs.get("units"))]
        way_out = "choose other variables with data_vars="
        if times:
            way_out = f"if {times[0]} is its time, build the catalog with time_var={times[0]!r}"
        raise CatalogError(
            f"{data.name} in {self.path} has further dimensions {sorted(map(str, more))}; {way_out}"
        )


def _role(variable: xr.DataArray) -> Role:
    """Return what a variable holds, as CF's attributes or a product's name say."""
    if "flag_masks" in variable.attrs:
        return "bits"
    return "class" if "flag_values" in variable.attrs else role_of(str(variable.name))


def _resampled(
    source: np.ndarray, own: GeoBox, grid: GeoBox, resampling: str, roles: Sequence[Role]
) -> np.ndarray:
    """Return (C, H, W) on the grid; classes and bits by the nearest cell, or the most frequent."""
    found = np.full((len(source), *grid.shape), np.nan, dtype=source.dtype)
    methods = [resampling_for(role, resampling) for role in roles]
    for method in dict.fromkeys(methods):
        bands = [each == method for each in methods]
        wide = source[bands].astype(np.result_type(source, np.float32), copy=False)
        found[bands] = resampled(wide, own, grid, as_resampling(method), np.nan)
    return found


def _under(axis: Axis, low: float, high: float, *, around: bool = False) -> _Piece | None:
    """Return the cells between two places, in rising order, with a rim; None if there are none."""
    edge = axis.ends[0]
    first = math.floor((low - edge) / axis.size) - RIM
    last = math.ceil((high - edge) / axis.size) + RIM
    if not around:
        first, last = max(first, 0), min(last, axis.count)
        return None if first >= last else ([slice(first, last)], edge + first * axis.size)
    # Around the globe the first cell follows the last.
    pieces, at = [], first
    while at < last:
        turn, begin = divmod(at, axis.count)
        stop = min(axis.count, last - turn * axis.count)
        pieces.append(slice(begin, stop))
        at += stop - begin
    return pieces, edge + first * axis.size


def _stored(axis: Axis, rising: slice) -> slice:
    """Return cells that count in rising order as the file stores them."""
    if axis.step > 0:
        return rising
    return slice(axis.count - rising.stop, axis.count - rising.start)
