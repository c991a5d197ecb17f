"""Small catalogs and rasters made for a test."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import shapely
from affine import Affine


def frame(bounds, start="2024-06-01", end=None, crs=32610, **extras):
    """Return a catalog's GeoDataFrame of boxes, one a row."""
    bounds = np.atleast_2d(np.asarray(bounds, dtype=float))
    count = len(bounds)
    end = start if end is None else end
    columns = {
        "filepath": [f"/data/{i:04d}.tif" for i in range(count)],
        "start_time": start if isinstance(start, list) else [start] * count,
        "end_time": end if isinstance(end, list) else [end] * count,
    }
    return gpd.GeoDataFrame(columns | extras, geometry=shapely.box(*bounds.T), crs=crs)


def paths_of(catalog):
    """Return the file names of a catalog, sorted: what a set of rows is compared by."""
    return sorted(Path(path).name for path in catalog.gdf.filepath)


def write_raster(path, data, *, west=0.0, north=100.0, size=10.0, crs="EPSG:32610", **profile):
    """Write (C, H, W) to a GeoTIFF and return its path."""
    data = np.asarray(data)
    options = {
        "driver": "GTiff",
        "count": data.shape[0],
        "height": data.shape[1],
        "width": data.shape[2],
        "dtype": data.dtype,
        "crs": crs,
        "transform": Affine(size, 0, west, 0, -size, north),
    }
    with rasterio.open(path, "w", **(options | profile)) as file:
        file.write(data)
    return str(path)


def utc(text):
    """Return a UTC timestamp."""
    return pd.Timestamp(text, tz="UTC")
