"""Footprints as a stac-geoparquet file, and the client of rustac that searches it."""

from __future__ import annotations

import json
import platform
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

EXTENSIONS = ("spatial", "icu", "parquet")
"""What rustac's own DuckDB loads before its first search."""


def write_stac_geoparquet(table: gpd.GeoDataFrame, path: Path) -> Path:
    """Write one item per row, in the table's order, with a bbox and small row groups."""
    count = len(table)
    bounds = shapely.bounds(table.geometry.to_numpy())
    columns = {
        "type": _same("Feature", count),
        "stac_version": _same("1.1.0", count),
        "id": pa.array(table.filepath.to_list()),
        "collection": _same("scenes", count),
        "datetime": pa.array(table.start_time),
        "eo:cloud_cover": pa.array(table.cloud_cover.to_numpy()),
        "links": pa.array([[]] * count, pa.list_(pa.struct([("href", pa.string())]))),
        "assets": _struct(data=_struct(href=pa.array(table.filepath.to_list()))),
        "bbox": _struct(
            **{
                side: pa.array(bounds[:, n])
                for n, side in enumerate(("xmin", "ymin", "xmax", "ymax"))
            }
        ),
        "geometry": pa.array(shapely.to_wkb(table.geometry.to_numpy())),
    }
    metadata = {"geo": json.dumps(_geo(bounds))}
    whole = pa.table(columns).replace_schema_metadata(metadata)
    pq.write_table(whole, path, row_group_size=8192, compression="zstd")
    return path


def _same(text: str, count: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, "int32")), pa.array([text]))


def _struct(**fields: pa.Array) -> pa.StructArray:
    return pa.StructArray.from_arrays(list(fields.values()), list(fields))


def _geo(bounds: np.ndarray) -> dict[str, Any]:
    """Return GeoParquet 1.1's description of the geometry column and its covering."""
    covering = {side: ["bbox", side] for side in ("xmin", "ymin", "xmax", "ymax")}
    column = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "bbox": [*bounds[:, :2].min(axis=0).tolist(), *bounds[:, 2:].max(axis=0).tolist()],
        "covering": {"bbox": covering},
    }
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}


def rustac_client(folder: Path) -> Any:
    """Return rustac's search client, with its DuckDB's extensions from the packages that hold them.

    It would download them otherwise, which not every machine can.
    """
    import rustac

    system = {"linux": "linux", "darwin": "osx"}.get(sys.platform, sys.platform)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    found = [find_spec(f"duckdb_extension_{name}") for name in EXTENSIONS]
    if not all(found):
        return rustac.DuckdbClient()
    for spec in found:
        for file in Path(spec.origin).parent.rglob("*.duckdb_extension"):
            home = folder / file.parent.name / f"{system}_{machine}"
            home.mkdir(parents=True, exist_ok=True)
            (home / file.name).symlink_to(file)
    return rustac.DuckdbClient(extension_directory=folder, install_extensions=False)
