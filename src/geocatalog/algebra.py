"""Query, intersect and union of catalogs: sets of footprints over closed intervals."""

from __future__ import annotations

from typing import Any

from geocatalog.catalog import GeoCatalog
from geocatalog.geoslice import GeoSlice


def query(catalog: GeoCatalog, slice_: GeoSlice | None = None, **kwargs: Any) -> GeoCatalog:
    """Return the rows of `catalog` that touch a slice; see `GeoCatalog.query`.

    >>> import geopandas as gpd, shapely
    >>> from geocatalog import InMemoryGeoCatalog
    >>> frame = gpd.GeoDataFrame(
    ...     {"filepath": ["a.tif"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=32610)
    >>> len(query(InMemoryGeoCatalog(frame), bounds=(1, 1, 2, 2)))
    1
    """
    return catalog.query(slice_, **kwargs)
