"""Catalogs of vector files, from what their headers say of each layer."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import shapely

from geocatalog.build.dates import interval_from_name
from geocatalog.build.records import DEFAULT_WORKERS, FileRecord, assemble, read_headers
from geocatalog.crs import as_crs, crs_text
from geocatalog.errors import CatalogError
from geocatalog.memory import InMemoryGeoCatalog


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
        The one layer to take; by default every layer, one row each.

    Raises
    ------
    CatalogError
        For a file without a CRS, without features, or without that layer; see
        `build_raster_catalog` for `on_error` and mixed CRS.

    Examples
    --------
    >>> import geopandas as gpd, tempfile
    >>> field = gpd.GeoDataFrame({"crop": [1]}, geometry=[shapely.box(0, 0, 1, 1)], crs=4326)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     field.to_file(folder + "/fields.geojson")
    ...     build_vector_catalog([folder + "/fields.geojson"]).gdf.n_features.tolist()
    [1]
    """

    def read(path: str) -> list[FileRecord]:
        return read_vector_records(path, filename_regex, date_format, layer)

    found, skipped = read_headers(
        paths, read, workers=workers, on_error=on_error, progress=progress
    )
    records = [record for layers in found for record in layers]
    return assemble(records, target_crs, "vector", skipped)


def read_vector_records(
    path: str, filename_regex: str | None, date_format: str, layer: str | None
) -> list[FileRecord]:
    """Return what one vector file says of its layers, or of the one asked for."""
    interval = interval_from_name(path, filename_regex, date_format)
    described = [_parquet_layer(path)] if is_parquet(path) else _layers(path, layer)
    return [_record(path, info, interval) for info in described]


def is_parquet(path: str) -> bool:
    """Say whether a path is GeoParquet by its name, which GDAL's wheels do not read.

    Examples
    --------
    >>> is_parquet("buildings.parquet"), is_parquet("fields.gpkg")
    (True, False)
    """
    return path.split("?", 1)[0].lower().endswith((".parquet", ".geoparquet", ".pq"))


def _layers(path: str, layer: str | None) -> list[dict[str, Any]]:
    import pyogrio

    names = [str(name) for name, _ in pyogrio.list_layers(path)]
    if layer is not None and layer not in names:
        raise CatalogError(f"{path} has no layer {layer!r}; it has {names}")
    chosen = names if layer is None else [layer]
    options: dict[str, Any] = {"force_feature_count": True, "force_total_bounds": True}
    return [pyogrio.read_info(path, layer=name, **options) | {"layer": name} for name in chosen]


def _parquet_layer(path: str) -> dict[str, Any]:
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
        "total_bounds": column.get("bbox") or _scanned_bounds(path),
    }


def _scanned_bounds(path: str) -> list[float]:
    import geopandas as gpd

    return [float(side) for side in gpd.read_parquet(path).total_bounds]


def _record(path: str, info: dict[str, Any], interval: Any) -> FileRecord:
    bounds, where = info["total_bounds"], f"{path} (layer {info['layer']})"
    if info["features"] == 0 or bounds is None:
        raise CatalogError(f"{where} has no features, so it has no footprint")
    if not info["crs"]:
        raise CatalogError(f"{where} has no CRS; write one, or pass on_error='skip'")
    if len(bounds) == 6:
        bounds = [bounds[0], bounds[1], bounds[3], bounds[4]]
    crs = as_crs(info["crs"])
    extras = {
        "layer": info["layer"],
        "n_features": int(info["features"]),
        "geometry_type": info["geometry_type"],
        "fields": ",".join(map(str, info["fields"])),
        "native_crs": crs_text(crs),
    }
    return FileRecord(path, shapely.box(*bounds), crs, interval, extras)
