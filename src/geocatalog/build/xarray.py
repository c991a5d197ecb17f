"""Catalogs of NetCDF and Zarr datasets, from their coordinates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from geocatalog.build.records import DEFAULT_WORKERS, FileRecord, assemble, read_headers
from geocatalog.crs import crs_text
from geocatalog.errors import CatalogError
from geocatalog.interval import as_interval
from geocatalog.memory import InMemoryGeoCatalog
from geocatalog.read.labelled import grid_of, gridded_names, open_labelled

if TYPE_CHECKING:
    import xarray as xr


def build_xarray_catalog(
    paths: Iterable[Any],
    target_crs: Any = None,
    data_vars: Sequence[str] | None = None,
    time_var: str = "time",
    *,
    workers: int = DEFAULT_WORKERS,
    on_error: str = "raise",
    progress: bool = True,
) -> InMemoryGeoCatalog:
    """Return a catalog of NetCDF or Zarr datasets on regular grids; only coordinates are read.

    Columns beyond the core: `n_timesteps`, `variables` (comma-separated), `time_var`,
    `native_crs`, `resolution`.

    Parameters
    ----------
    paths
        NetCDF files (HDF5) or Zarr stores, local or remote.
    target_crs
        CRS of the footprints; by default the files' own, if they share one.
    data_vars
        Variables every dataset must have; by default all it has.
    time_var
        Name of the time coordinate; a dataset without it is undated.

    Raises
    ------
    CatalogError
        For a dataset without a CRS, with uneven steps, or without one of `data_vars`; see
        `build_raster_catalog` for `on_error` and mixed CRS.

    Examples
    --------
    >>> import tempfile, numpy as np, xarray as xr
    >>> cube = xr.Dataset({"t2m": (("time", "lat", "lon"), np.zeros((3, 2, 2), "float32"))},
    ...     {"time": pd.date_range("2024-01-01", periods=3), "lat": [1.5, 0.5], "lon": [0.5, 1.5]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = cube.to_zarr(folder + "/cube.zarr", zarr_format=2, consolidated=True)
    ...     build_xarray_catalog([folder + "/cube.zarr"]).gdf.n_timesteps.tolist()
    [3]
    """

    def read(path: str) -> FileRecord:
        return read_xarray_record(path, data_vars, time_var)

    records, skipped = read_headers(
        paths, read, workers=workers, on_error=on_error, progress=progress
    )
    return assemble(records, target_crs, "xarray", skipped)


def read_xarray_record(path: str, data_vars: Sequence[str] | None, time_var: str) -> FileRecord:
    """Return what one dataset's coordinates say.

    Raises CatalogError as `build_xarray_catalog`.
    """
    with open_labelled(path) as dataset:
        missing = sorted(set(data_vars or []) - set(map(str, dataset.data_vars)))
        if missing:
            known = sorted(map(str, dataset.data_vars))
            raise CatalogError(f"{path} has no variable {', '.join(missing)}; it has {known}")
        grid = grid_of(dataset, path)
        names = list(data_vars) if data_vars is not None else gridded_names(dataset, grid.x, grid.y)
        interval, count = _times(dataset, time_var, path)
        extras = {
            "n_timesteps": count,
            "variables": ",".join(names),
            "time_var": time_var if time_var in dataset.variables else None,
            "native_crs": crs_text(grid.crs),
            "resolution": grid.x_size,
        }
        return FileRecord(path, grid.footprint, grid.crs, interval, extras)


def _times(dataset: xr.Dataset, time_var: str, path: str) -> tuple[pd.Interval | None, int]:
    if time_var not in dataset.variables:
        return None, 0
    times = dataset[time_var].values.ravel()
    if times.dtype.kind != "M":
        raise CatalogError(f"{path}: {time_var} is {times.dtype}, not times that xarray decodes")
    known = times[~pd.isna(times)]
    if len(known) == 0:
        return None, 0
    return as_interval((pd.Timestamp(known.min()), pd.Timestamp(known.max()))), len(times)
