"""Catalogs from files' headers, of rasters, NetCDF and Zarr datasets and vector layers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from pyproj import CRS

from geocatalog.build.dates import interval_from_name
from geocatalog.catalog import GeoCatalog, InMemoryGeoCatalog
from geocatalog.errors import CatalogError
from geocatalog.footprint import as_bounds, as_crs, box_outline, crs_text, outline_of
from geocatalog.grid import is_north_up, pixel_columns
from geocatalog.interval import interval_of
from geocatalog.load.labelled import chosen_names, grid_of, open_labelled
from geocatalog.load.times import times_of
from geocatalog.read.bands import data_indexes, lacks_place
from geocatalog.read.open import with_address, with_dataset
from geocatalog.read.signers import signing
from geocatalog.records import DEFAULT_WORKERS, FileRecord, read_catalog
from pipekit.carrier import same_crs
from pipekit.files import keep_inputs
from pipekit.tokens import without_query
from pipekit.validity import stored_dtype


def build_raster_catalog(
    paths_or_urls: Iterable[Any],
    filename_regex: str | None = None,
    date_format: str = "%Y%m%d",
    target_crs: Any = None,
    workers: int = DEFAULT_WORKERS,
    *,
    on_error: str = "raise",
    progress: bool = True,
    out_path: Any = None,
) -> GeoCatalog:
    r"""Return a catalog of raster files; each header is read once, in parallel.

    Columns beyond the core: `native_crs`, `height`, `width`, `count` (of bands without alpha),
    `dtype`, `nodata`, and `resolution`, the pixel width in units of `native_crs`; where pixels are
    not square `resolution_y`, their height. Where rows do not run east and from north to south, or
    footprints are in another CRS, `proj:transform` and `proj:shape` say where pixels lie.

    Parameters
    ----------
    paths_or_urls
        Anything rasterio opens. A token in a URL is no part of the path that the catalog keeps:
        files are signed when they are opened, by those of `geocatalog.read.signers` who know them.
    filename_regex
        With a named group `date`, or `start` and `end`; without it the files are undated and match
        every time.
    date_format
        Strptime format of those groups; it says how long a date lasts.
    target_crs
        CRS of the footprints; by default the files' own, if they share one.
    on_error
        "raise", or "skip" to leave out what cannot be read, listed in `.skipped`.
    workers
        Headers read at once.
    progress
        Whether to show a progress bar: on a terminal only, after two seconds.
    out_path
        A GeoParquet file to write the catalog to and open it from.

    Returns
    -------
    One row per file, in the order of the paths, in memory; with `out_path` the file's catalog,
    whose rows are sorted along a curve in space.

    Raises
    ------
    CatalogError
        For an unreadable file, one without a CRS, a name that the pattern does not match, and mixed
        CRS without `target_crs`.

    Examples
    --------
    >>> import tempfile, numpy as np, rasterio
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = folder.name + "/scene_20240601.tif"
    >>> profile = dict(driver="GTiff", height=2, width=3, count=1, dtype="uint16", crs="EPSG:32610",
    ...                transform=rasterio.Affine(10, 0, 500000, 0, -10, 4300000))
    >>> with rasterio.open(path, "w", **profile) as file:
    ...     file.write(np.ones((1, 2, 3), "uint16"))
    >>> catalog = build_raster_catalog([path], r"_(?P<date>\d{8})")
    >>> catalog.total_bounds
    (500000.0, 4299980.0, 500030.0, 4300000.0)
    >>> folder.cleanup()
    """
    target = None if target_crs is None else as_crs(target_crs)

    def read(path: str) -> list[FileRecord]:
        return [read_raster_record(path, filename_regex, date_format, target=target)]

    paths = paths_or_urls
    if out_path is not None and not isinstance(paths, str):
        paths = list(paths)
        keep_inputs(out_path, paths, "build_raster_catalog", CatalogError)
    catalog = read_catalog(paths, read, target_crs, "raster", workers, on_error, progress)
    if out_path is None:
        return catalog
    from geocatalog.duckdb import open_catalog
    from geocatalog.folder import to_geoparquet

    opened = open_catalog(to_geoparquet(catalog, out_path))
    opened.skipped = catalog.skipped
    return opened


def read_raster_record(
    path: str,
    filename_regex: str | None,
    date_format: str,
    signer: str | None = None,
    target: CRS | None = None,
) -> FileRecord:
    """Return what one raster's header and name say; a rotated raster gets its true outline.

    Parameters
    ----------
    path
        Anything rasterio opens.
    filename_regex, date_format
        As in `build_raster_catalog`.
    signer
        Who makes the token that the file needs, by name.
    target
        CRS of the catalog, where it may be another than the file's.

    Returns
    -------
    The file's path, footprint, CRS, interval and columns.

    Raises
    ------
    CatalogError
        For a file without a CRS or a name without the date.
    """
    interval = interval_from_name(path, filename_regex, date_format)

    def describe(source: Any) -> FileRecord:
        if source.crs is None:
            raise CatalogError(
                f"{lacks_place(source, path)}; on_error='skip' leaves such files out"
            )
        crs = as_crs(source.crs)
        extras = {
            "native_crs": crs_text(crs),
            "height": source.height,
            "width": source.width,
            "count": source.count and len(data_indexes(source)),
            "dtype": stored_dtype(source, [1]).name,
            "nodata": None if source.nodata is None else float(source.nodata),
            **pixel_columns(source.transform),
        }
        elsewhere = target is not None and not same_crs(crs, target)
        if elsewhere or not is_north_up(source.transform):
            extras["proj:transform"] = list(source.transform)[:6]
            extras["proj:shape"] = list(source.shape)
        outline = outline_of(source.transform, *source.shape)
        return FileRecord(path, outline, crs, interval, extras)

    return with_dataset(path, describe, sign=signing(path, signer))


def build_xarray_catalog(
    paths: Iterable[Any],
    target_crs: Any = None,
    data_vars: Sequence[str] | None = None,
    time_var: str = "time",
    *,
    filename_regex: str | None = None,
    date_format: str = "%Y%m%d",
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
        NetCDF files (HDF5 or classic) or Zarr stores, local or remote.
    target_crs
        CRS of the footprints; by default the files' own, if they share one.
    data_vars
        Variables every dataset must have; by default all it has.
    time_var
        Name of the time coordinate, with a dimension or without; a dataset that lacks it has the
        date that its name tells, or is undated.
    filename_regex, date_format
        As in `build_raster_catalog`.
    workers, on_error, progress
        As in `build_raster_catalog`.

    Returns
    -------
    One row per dataset, in the order of the paths.

    Raises
    ------
    CatalogError
        For a dataset without a CRS, with uneven steps or two-dimensional coordinates, without one
        of `data_vars`, or with times that have no place in our calendar; see
        `build_raster_catalog` for `on_error` and mixed CRS.

    Examples
    --------
    >>> import tempfile, numpy as np, pandas as pd, xarray as xr
    >>> cube = xr.Dataset({"t2m": (("time", "lat", "lon"), np.zeros((3, 2, 2), "float32"))},
    ...     {"time": pd.date_range("2024-01-01", periods=3), "lat": [1.5, 0.5], "lon": [0.5, 1.5]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = cube.to_zarr(folder + "/cube.zarr", zarr_format=2, consolidated=True)
    ...     build_xarray_catalog([folder + "/cube.zarr"]).gdf.n_timesteps.tolist()
    [3]
    """

    def read(path: str) -> list[FileRecord]:
        named = interval_from_name(path, filename_regex, date_format)
        return [_xarray_record(path, data_vars, time_var, named)]

    return read_catalog(paths, read, target_crs, "xarray", workers, on_error, progress)


def _xarray_record(
    path: str, data_vars: Sequence[str] | None, time_var: str, named: pd.Interval | None
) -> FileRecord:
    """Return the record that a dataset's coordinates make; `named` is what its name tells."""
    with open_labelled(path) as dataset:
        grid = grid_of(dataset, path)
        names = chosen_names(dataset, data_vars, grid, path)
        times = times_of(dataset, time_var, path)
        steps = 0 if times is None else len(times.at)
        if times is not None and steps:
            named = interval_of(int(times.first.min()), int(times.last.max()))
        extras = {
            "n_timesteps": steps,
            "variables": ",".join(names),
            "time_var": None if times is None else time_var,
            "native_crs": crs_text(grid.crs),
            "resolution": grid.x.size,
        }
        return FileRecord(path, grid.footprint, grid.crs, named, extras)


def build_vector_catalog(
    paths: Iterable[Any],
    filename_regex: str | None = None,
    target_crs: Any = None,
    layer: str | None = None,
    *,
    date_format: str = "%Y%m%d",
    workers: int = DEFAULT_WORKERS,
    on_error: str = "raise",
    progress: bool = True,
) -> InMemoryGeoCatalog:
    """Return a catalog of vector layers; the footprint is the box around a layer's features.

    Tables without geometry, such as the styles that QGIS writes into a GeoPackage, are no layers:
    they are left out and listed in `.skipped`.

    Columns beyond the core: `layer`, `n_features`, `geometry_type`, `fields` (comma-separated),
    `native_crs`.

    Parameters
    ----------
    paths
        Anything GDAL reads as vector, and GeoParquet.
    filename_regex, date_format
        As in `build_raster_catalog`; without them undated.
    target_crs
        CRS of the footprints; by default the files' own, if they share one.
    layer
        The one layer to take; by default every layer with geometry, one row each.
    workers, on_error, progress
        As in `build_raster_catalog`; "skip" leaves out single layers of a file.

    Returns
    -------
    One row per layer, files in the order of the paths.

    Raises
    ------
    CatalogError
        For a file without a CRS, without features, or without that layer; see
        `build_raster_catalog` for `on_error` and mixed CRS.

    Examples
    --------
    >>> import geopandas as gpd, shapely, tempfile
    >>> field = gpd.GeoDataFrame({"crop": [1]}, geometry=[shapely.box(0, 0, 1, 1)], crs=4326)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     field.to_file(folder + "/fields.geojson")
    ...     build_vector_catalog([folder + "/fields.geojson"]).gdf.n_features.tolist()
    [1]
    """

    def read(path: str) -> list[FileRecord | str]:
        interval = interval_from_name(path, filename_regex, date_format)
        described = [_parquet_layer(path)] if is_parquet(path) else _layers(path, layer)
        return _records(path, described, interval, on_error)

    return read_catalog(paths, read, target_crs, "vector", workers, on_error, progress)


def is_parquet(path: str) -> bool:
    """Say whether a path is GeoParquet by its name, which GDAL's wheels do not read.

    Parameters
    ----------
    path
        A path or URL; a query string does not count.

    Returns
    -------
    Whether the name ends in .parquet, .geoparquet or .pq.

    Examples
    --------
    >>> is_parquet("buildings.parquet"), is_parquet("fields.gpkg")
    (True, False)
    """
    name = path if os.path.exists(path) else without_query(path)
    return name.lower().endswith((".parquet", ".geoparquet", ".pq"))


def _layers(path: str, layer: str | None) -> list[dict[str, Any]]:
    import pyogrio

    kinds = {str(name): kind for name, kind in with_address(path, pyogrio.list_layers)}
    if layer is not None and layer not in kinds:
        raise CatalogError(f"{path} has no layer {layer!r}; it has {list(kinds)}")
    how = {"force_feature_count": True, "force_total_bounds": True}
    return [
        {"layer": name, "geometry_type": None}
        if kinds[name] is None
        else with_address(path, partial(pyogrio.read_info, layer=name, **how)) | {"layer": name}
        for name in (kinds if layer is None else [layer])
    ]


def _records(
    path: str, layers: list[dict[str, Any]], interval: Any, on_error: str
) -> list[FileRecord | str]:
    """Return a record for each layer, and for each that is left out the reason."""
    found: list[FileRecord | str] = []
    for info in layers:
        try:
            if "features" not in info:
                found.append(f"layer {info['layer']!r} is a table without geometry")
            else:
                found.append(_record(path, info, interval))
        except CatalogError as error:
            if on_error == "raise":
                raise
            found.append(f"{type(error).__name__}: {error}")
    if all(isinstance(each, str) for each in found):
        raise CatalogError(f"{path} has no layer that can be listed: {'; '.join(map(str, found))}")
    return found


def _parquet_layer(path: str) -> dict[str, Any]:
    import geopandas as gpd
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
    geo = json.loads((schema.metadata or {}).get(b"geo", b"{}"))
    if not geo:
        raise CatalogError(f"{path} is Parquet without GeoParquet metadata")
    name = geo["primary_column"]
    column = geo["columns"][name]
    crs = column.get("crs", "OGC:CRS84")
    return {
        "layer": None,
        "crs": json.dumps(crs) if isinstance(crs, dict) else crs,
        "features": rows,
        "geometry_type": ",".join(column.get("geometry_types", [])) or None,
        "fields": [field for field in schema.names if field not in (name, "bbox")],
        "total_bounds": column.get("bbox") or gpd.read_parquet(path).total_bounds.tolist(),
    }


def _record(path: str, info: dict[str, Any], interval: Any) -> FileRecord:
    bounds, where = info["total_bounds"], f"{path} (layer {info['layer']})"
    if info["features"] == 0 or bounds is None or not np.isfinite(bounds).all():
        raise CatalogError(f"{where} has no features, so it has no footprint")
    if not info["crs"]:
        raise CatalogError(f"{where} has no CRS; write one, or pass on_error='skip'")
    crs = as_crs(info["crs"])
    extras = {
        "layer": info["layer"],
        "n_features": int(info["features"]),
        "geometry_type": info["geometry_type"],
        "fields": ",".join(map(str, info["fields"])),
        "native_crs": crs_text(crs),
    }
    return FileRecord(path, box_outline(as_bounds(bounds, crs)), crs, interval, extras)
