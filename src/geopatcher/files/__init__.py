"""Rasters written row by row: COG and Zarr, and nothing of merging."""
