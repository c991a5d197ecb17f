"""A set of files with footprints and time intervals, answered without opening a file.

>>> import geopandas as gpd, shapely
>>> from geocatalog import InMemoryGeoCatalog
>>> frame = gpd.GeoDataFrame(
...     {"filepath": ["june.tif", "july.tif"],
...      "start_time": ["2024-06-01", "2024-07-01"], "end_time": ["2024-06-01", "2024-07-01"]},
...     geometry=[shapely.box(0, 0, 100, 100), shapely.box(50, 0, 150, 100)], crs="EPSG:32610")
>>> catalog = InMemoryGeoCatalog(frame)
>>> catalog.query(bounds=(120, 0, 130, 10), time="2024-07/2024-08").gdf.filepath.tolist()
['july.tif']
"""

from pipekit.lazy import lazily

_PLACES = {
    "CatalogError": "errors",
    "SearchError": "errors",
    "GeoSlice": "geoslice",
    "CatalogRow": "catalog",
    "GeoCatalog": "catalog",
    "InMemoryGeoCatalog": "catalog",
    "DuckDBGeoCatalog": "duckdb",
    "open_catalog": "duckdb",
    "to_geoparquet": "parquet",
    "from_geoparquet": "parquet",
    "query": "catalog",
    "intersect": "catalog",
    "union": "catalog",
    "difference": "catalog",
    "CatalogDomain": "catalog",
    "build_raster_catalog": "build",
    "build_xarray_catalog": "build",
    "build_vector_catalog": "build",
    "from_stac_items": "stac",
    "from_stac_search": "search",
    "to_stac_geoparquet": "stac_parquet",
    "to_stac_items": "stac",
    "load_raster": "load.raster",
    "load_raster_timeseries": "load.raster",
    "load_xarray": "load.xarray",
    "load_vector": "load.vector",
}

__all__ = sorted(_PLACES)
_HOME = {name: f"{__name__}.{module}" for name, module in _PLACES.items()}
__getattr__, __dir__ = lazily(__name__, _HOME)
