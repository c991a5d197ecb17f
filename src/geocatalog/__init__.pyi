"""The public names of `geocatalog`: type checkers read them here, and so does the package."""

from geocatalog.build import (
    build_raster_catalog as build_raster_catalog,
    build_vector_catalog as build_vector_catalog,
    build_xarray_catalog as build_xarray_catalog,
)
from geocatalog.catalog import (
    CatalogDomain as CatalogDomain,
    CatalogRow as CatalogRow,
    GeoCatalog as GeoCatalog,
    InMemoryGeoCatalog as InMemoryGeoCatalog,
    difference as difference,
    intersect as intersect,
    query as query,
    union as union,
)
from geocatalog.duckdb import DuckDBGeoCatalog as DuckDBGeoCatalog, open_catalog as open_catalog
from geocatalog.errors import CatalogError as CatalogError, SearchError as SearchError
from geocatalog.folder import (
    append_to as append_to,
    compact as compact,
    to_geoparquet as to_geoparquet,
)
from geocatalog.geoslice import GeoSlice as GeoSlice
from geocatalog.load.raster import (
    load_raster as load_raster,
    load_raster_timeseries as load_raster_timeseries,
)
from geocatalog.load.vector import load_vector as load_vector
from geocatalog.load.xarray import load_xarray as load_xarray
from geocatalog.parquet import from_geoparquet as from_geoparquet
from geocatalog.search import from_stac_search as from_stac_search
from geocatalog.stac import from_stac_items as from_stac_items, to_stac_items as to_stac_items
from geocatalog.stac_parquet import to_stac_geoparquet as to_stac_geoparquet
