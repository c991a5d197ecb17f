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

__all__, __getattr__, __dir__ = lazily(__name__)
