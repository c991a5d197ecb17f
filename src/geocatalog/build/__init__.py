"""Catalogs from files: what their headers say (`headers`), what their names say (`dates`)."""

from geocatalog.build.headers import (
    build_raster_catalog,
    build_vector_catalog,
    build_xarray_catalog,
    is_parquet,
    read_raster_record,
)

__all__ = [
    "build_raster_catalog",
    "build_vector_catalog",
    "build_xarray_catalog",
    "is_parquet",
    "read_raster_record",
]
