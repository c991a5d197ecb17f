"""Builders: catalogs from the headers of raster, xarray and vector files."""
