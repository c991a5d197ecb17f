"""Catalogs from files: what their headers and their names say."""

from geocatalog.build.headers import build_raster_catalog as build_raster_catalog
from geocatalog.build.headers import build_vector_catalog as build_vector_catalog
from geocatalog.build.headers import build_xarray_catalog as build_xarray_catalog
from geocatalog.build.headers import is_parquet as is_parquet
from geocatalog.build.headers import read_raster_record as read_raster_record
