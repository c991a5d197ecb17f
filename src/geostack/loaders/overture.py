"""Building outlines from Overture Maps: where they lie, and a query that reads only a box."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geostack.errors import SourceUnavailableError
from geostack.request import as_bbox, as_count, halves
from pipekit.tokens import without_query

if TYPE_CHECKING:
    import geopandas as gpd

RELEASE = "2024-07-22.0"
BUCKET = "s3://overturemaps-us-west-2/release"
_RELEASE = re.compile(r"^\d{4}-\d{2}-\d{2}(-[a-z]+)?\.\d+$")


def load_overture_buildings_url(release: str = RELEASE) -> str:
    """Return the address of all building footprints of an Overture release.

    Parameters
    ----------
    release
        Such as "2024-07-22.0"; docs.overturemaps.org lists them (old ones are removed).

    Returns
    -------
    A Parquet glob on S3, in Overture's partitioned layout; `query_overture` and DuckDB read it.

    Raises
    ------
    ValueError
        For text that is no release.

    Examples
    --------
    >>> load_overture_buildings_url("2024-07-22.0")
    's3://overturemaps-us-west-2/release/2024-07-22.0/theme=buildings/type=building/*'
    """
    if not _RELEASE.match(str(release)):
        raise ValueError(f"an Overture release looks like {RELEASE!r}, got {release!r}")
    return f"{BUCKET}/{release}/theme=buildings/type=building/*"


def query_overture(
    path: str | Path,
    *,
    bbox: Sequence[float],
    columns: Sequence[str] = ("id", "height", "class"),
    limit: int | None = None,
) -> gpd.GeoDataFrame:
    """Return the features of an Overture-style Parquet whose boxes meet `bbox`.

    The box is compared with the `bbox` column by DuckDB, which skips row groups by their
    statistics, so only the parts of the files near the box are read.

    Parameters
    ----------
    path
        A Parquet file, glob or S3 address with WKB `geometry` and `bbox` (xmin, ymin, xmax, ymax;
        minx, miny, maxx, maxy in releases before 2024-04-16).
    bbox
        (west, south, east, north), degrees; west > east crosses the antimeridian.
    columns
        Further columns.
    limit
        At most so many features.

    Returns
    -------
    GeoDataFrame in EPSG:4326; empty but with all columns when there is none.

    Raises
    ------
    ValueError
        For a bad box or limit, a missing column (the message lists those there are), or boxes
        whose sides have other names.
    FileNotFoundError
        When nothing is at `path`.
    SourceUnavailableError
        When a remote path can't be read.

    Examples
    --------
    >>> import tempfile
    >>> import duckdb
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/buildings.parquet"
    ...     wkb = "from_hex('0101000000000000000000F03F000000000000F03F')"
    ...     box = "{'xmin': 1.0, 'xmax': 1.0, 'ymin': 1.0, 'ymax': 1.0}"
    ...     table = f"SELECT 'a' AS id, {wkb} AS geometry, {box} AS bbox"
    ...     _ = duckdb.sql(f"COPY ({table}) TO '{path}' (FORMAT parquet)")
    ...     query_overture(path, bbox=(0, 0, 2, 2), columns=("id",)).geometry[0].wkt
    'POINT (1 1)'
    """
    import geopandas as gpd
    import shapely

    parts = halves(as_bbox(bbox))
    limit = None if limit is None else as_count("limit", limit)
    features = _open(str(path))
    missing = [name for name in (*columns, "geometry", "bbox") if name not in features.columns]
    if missing:
        have = ", ".join(features.columns)
        raise ValueError(f"no column {', '.join(missing)}; there are {have}")
    names = list(dict.fromkeys(columns))
    left, bottom, right, top = _sides(features)
    inside = features.filter(
        " OR ".join(
            f"(bbox.{left} <= {east} AND bbox.{right} >= {west} "
            f"AND bbox.{bottom} <= {north} AND bbox.{top} >= {south})"
            for west, south, east, north in parts
        )
    )
    if limit is not None:
        inside = inside.limit(limit)
    table = inside.select(*names, "geometry").df()
    shapes = shapely.from_wkb([bytes(value) for value in table["geometry"]])
    return gpd.GeoDataFrame(table[names], geometry=shapes, crs="EPSG:4326")


_SIDES = (("xmin", "ymin", "xmax", "ymax"), ("minx", "miny", "maxx", "maxy"))
"""How releases name the sides of a box: since 2024-04-16-beta.0, and before."""


def _sides(features: Any) -> tuple[str, str, str, str]:
    """Return what the sides of the boxes are called: west, south, east, north."""
    kind = features.types[features.columns.index("bbox")]
    held = [name.lower() for name, _ in kind.children] if kind.id == "struct" else [str(kind)]
    for names in _SIDES:
        if set(names) <= set(held):
            return names
    raise ValueError(
        f"the bbox column holds {', '.join(held)}; Overture calls its sides {', '.join(_SIDES[0])} "
        f"since release 2024-04-16-beta.0, and {', '.join(_SIDES[1])} before; rename them so"
    )


def _open(path: str) -> Any:
    """Return a Parquet file, glob or address as DuckDB's relation, of which nothing is read yet."""
    import duckdb

    connection = duckdb.connect()
    # A GeoParquet's geometry stays WKB whichever extensions are there.
    connection.execute("SET enable_geoparquet_conversion = false")
    if "://" in path:
        try:
            connection.execute("INSTALL httpfs; LOAD httpfs; SET s3_region = 'us-west-2'")
        except duckdb.Error as error:
            raise SourceUnavailableError(
                f"reading {without_query(path)} needs DuckDB's httpfs extension, which can't be "
                f"installed: {type(error).__name__}; connect to the network, or give a "
                "local Parquet"
            ) from None
    try:
        return connection.read_parquet(path)
    except duckdb.IOException as error:
        if "://" in path:
            raise SourceUnavailableError(f"can't read {without_query(path)}") from error
        raise FileNotFoundError(f"no Parquet file at {path}") from None
