"""Query, intersect and union of catalogs: sets of footprints over closed intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import shapely

from geocatalog.catalog import GeoCatalog
from geocatalog.crs import same_crs
from geocatalog.errors import CatalogError
from geocatalog.footprint import reproject
from geocatalog.geoslice import GeoSlice
from geocatalog.memory import InMemoryGeoCatalog
from geocatalog.pairs import PairTable
from geocatalog.table import FootprintTable

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


def query(catalog: GeoCatalog, slice_: GeoSlice | None = None, **kwargs: Any) -> GeoCatalog:
    """Return the rows of `catalog` that touch a slice; see `GeoCatalog.query`.

    >>> import geopandas as gpd
    >>> frame = gpd.GeoDataFrame(
    ...     {"filepath": ["a.tif"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=32610)
    >>> len(query(InMemoryGeoCatalog(frame), bounds=(1, 1, 2, 2)))
    1
    """
    return catalog.query(slice_, **kwargs)


def intersect(
    first: GeoCatalog, second: GeoCatalog, spatial_only: bool = False
) -> InMemoryGeoCatalog:
    """Return one row for each pair of rows that shares space and time.

    Footprint and interval are clipped to what is shared, in the first catalog's CRS. Columns are
    the first's, then `filepath_right` and the second's extras (with `_right` where a name is
    taken). With `spatial_only` times are neither compared nor clipped. Sets are closed: pairs
    that only touch are in, with a point or a line as their footprint. Footprints are clipped
    when they are asked for.

    >>> import geopandas as gpd
    >>> def catalog(path, *sides):
    ...     footprint = [shapely.box(*sides)]
    ...     return InMemoryGeoCatalog(
    ...         gpd.GeoDataFrame({"filepath": [path]}, geometry=footprint, crs=32610))
    >>> shared = intersect(catalog("a.tif", 0, 0, 10, 10), catalog("b.tif", 5, 5, 20, 20))
    >>> shared.total_bounds, shared.gdf.filepath_right.tolist()
    ((5.0, 5.0, 10.0, 10.0), ['b.tif'])
    """
    left, right = _near(first, second).materialize(), _near(second, first).materialize()
    own, other = left.table, _in_crs(right, left)
    in_other, in_own = _touching_pairs(other, own) if len(own) and len(other) else _NONE
    keep = np.ones(len(in_own), dtype=bool)
    if not spatial_only:
        keep = (own.starts[in_own] <= other.ends[in_other]) & (
            own.ends[in_own] >= other.starts[in_other]
        )
    in_own, in_other = in_own[keep], in_other[keep]
    table = PairTable(own, other, in_own, in_other, spatial_only)
    return InMemoryGeoCatalog.from_table(table, first.backend)


_NONE = (np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp))


def _near(catalog: GeoCatalog, other: GeoCatalog) -> GeoCatalog:
    """Return the part of a file-backed catalog that can meet `other`; others as they are."""
    if isinstance(catalog, InMemoryGeoCatalog) or other.total_bounds is None:
        return catalog
    return catalog.query(bounds=other.total_bounds, crs=other.crs)


def _in_crs(catalog: InMemoryGeoCatalog, like: InMemoryGeoCatalog) -> FootprintTable:
    if same_crs(catalog.crs, like.crs):
        return catalog.table
    frame = catalog.gdf
    moved = reproject(catalog.table.geometry, catalog.crs, like.crs)
    return FootprintTable(frame.set_geometry(moved, crs=like.crs))


def _touching_pairs(asking: FootprintTable, asked: FootprintTable) -> tuple[np.ndarray, np.ndarray]:
    """Return (row in asking, row in asked), sorted by the second, of all that truly touch."""
    in_asking, in_asked = asked.tree.query(asking.geometry)
    order = np.lexsort((in_asking, in_asked))
    in_asking, in_asked = in_asking[order], in_asked[order]
    plain = np.ones(len(in_asking), dtype=bool)
    if not (asking.all_boxes and asked.all_boxes):
        plain = asking.is_box[in_asking] & asked.is_box[in_asked]
    doubtful = np.flatnonzero(~plain)
    shapely.prepare(asking.geometry[np.unique(in_asking[doubtful])])
    plain[doubtful] = shapely.intersects(
        asking.geometry[in_asking[doubtful]], asked.geometry[in_asked[doubtful]]
    )
    return in_asking[plain], in_asked[plain]


def union(first: GeoCatalog, second: GeoCatalog) -> InMemoryGeoCatalog:
    """Return the rows of both, the second reprojected to the first's CRS; equal rows once.

    Columns are those of either, empty where a catalog lacks them. Raises CatalogError when the
    two list different kinds of file.

    >>> import geopandas as gpd
    >>> frame = gpd.GeoDataFrame(
    ...     {"filepath": ["a.tif", "b.tif"]}, geometry=[shapely.box(0, 0, 1, 1)] * 2, crs=32610)
    >>> whole = InMemoryGeoCatalog(frame)
    >>> len(union(whole, whole.where("filepath = 'a.tif'")))
    2
    """
    if first.backend != second.backend:
        raise CatalogError(
            f"a union lists one kind of file, got {first.backend} and {second.backend}; "
            "intersect can join different kinds"
        )
    left, right = first.materialize(), second.materialize()
    frames = [left.table.frame, _in_crs(right, left).frame]
    return InMemoryGeoCatalog(_without_repeats(_joined(frames)), first.backend)


def _joined(frames: list[GeoDataFrame]) -> GeoDataFrame:
    from geopandas import GeoDataFrame

    names = list(dict.fromkeys(name for frame in frames for name in frame.columns))
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    whole = pd.concat([frame.reindex(columns=names) for frame in filled], ignore_index=True)
    return GeoDataFrame(whole, geometry="geometry", crs=frames[0].crs)


def _without_repeats(frame: GeoDataFrame) -> GeoDataFrame:
    keys = pd.DataFrame(frame.drop(columns="geometry")).astype(str)
    keys["geometry"] = shapely.to_wkb(shapely.normalize(frame.geometry.to_numpy()), hex=True)
    repeated = keys.duplicated().to_numpy()
    return frame[~repeated].reset_index(drop=True) if repeated.any() else frame
