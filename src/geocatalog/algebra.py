"""Query, intersect and union of catalogs: sets of footprints over closed intervals."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import shapely
from pyproj import CRS

from geocatalog.catalog import GeoCatalog
from geocatalog.errors import CatalogError
from geocatalog.footprint import reproject
from geocatalog.geoslice import GeoSlice
from geocatalog.interval import unpack_column
from geocatalog.memory import InMemoryGeoCatalog
from geocatalog.table import CORE_COLUMNS, FootprintTable
from pipekit.carrier import same_crs

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


def query(catalog: GeoCatalog, slice_: GeoSlice | None = None, **kwargs: Any) -> GeoCatalog:
    """Return the rows of `catalog` that touch a slice; see `GeoCatalog.query`.

    Examples
    --------
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

    Examples
    --------
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

    Columns are those of either, empty where a catalog lacks them.

    Raises
    ------
    CatalogError
        When the two list different kinds of file.

    Examples
    --------
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


class PairTable(FootprintTable):
    """A table of pairs (row of `left`, row of `right`), both in one CRS.

    Counting pairs and asking for their columns costs nothing more; geometry and frame are made
    when needed.

    Examples
    --------
    >>> from geopandas import GeoDataFrame
    >>> from geocatalog.table import normalise_frame
    >>> frame = GeoDataFrame({"filepath": ["a"]}, geometry=[shapely.box(0, 0, 4, 4)], crs=32610)
    >>> table, none = FootprintTable(normalise_frame(frame)), np.array([0])
    >>> PairTable(table, table, none, none, spatial_only=False).columns[-1]
    'filepath_right'
    """

    def __init__(
        self,
        left: FootprintTable,
        right: FootprintTable,
        in_left: np.ndarray,
        in_right: np.ndarray,
        spatial_only: bool,
    ) -> None:
        self._left, self._right = left, right
        self._in_left, self._in_right = in_left, in_right
        self._spatial_only = spatial_only

    def __len__(self) -> int:
        return len(self._in_left)

    @cached_property
    def crs(self) -> CRS:
        """The one CRS of all footprints."""
        return self._left.crs

    @property
    def columns(self) -> list[str]:
        """Column names, core ones first."""
        return [*self._left.columns, *self._right_names.values()]

    @cached_property
    def _right_names(self) -> dict[str, str]:
        taken = set(self._left.columns)
        found: dict[str, str] = {}
        for name in self._right.columns:
            if name in CORE_COLUMNS and name != "filepath":
                continue
            new = name
            while new in taken:
                new += "_right"
            taken.add(new)
            found[name] = new
        return found

    @cached_property
    def starts(self) -> np.ndarray:
        """(N,) int64 microseconds, clipped to the pair's shared interval."""
        own = self._left.starts[self._in_left]
        return own if self._spatial_only else np.maximum(own, self._right.starts[self._in_right])

    @cached_property
    def ends(self) -> np.ndarray:
        """(N,) int64 microseconds, clipped to the pair's shared interval."""
        own = self._left.ends[self._in_left]
        return own if self._spatial_only else np.minimum(own, self._right.ends[self._in_right])

    @cached_property
    def geometry(self) -> np.ndarray:
        """(N,) shapely geometries: what each pair shares."""
        sides = self._box_sides()
        fill = self._left.is_box[self._in_left] & self._right.is_box[self._in_right]
        fill &= (sides[:, 0] < sides[:, 2]) & (sides[:, 1] < sides[:, 3])
        shared = np.empty(len(self), dtype=object)
        shared[fill] = shapely.box(*sides[fill].T)
        other = np.flatnonzero(~fill)
        shared[other] = shapely.intersection(
            self._left.geometry[self._in_left[other]], self._right.geometry[self._in_right[other]]
        )
        return shared

    def _box_sides(self) -> np.ndarray:
        one, two = self._left.bounds[self._in_left], self._right.bounds[self._in_right]
        low, high = np.maximum(one[:, :2], two[:, :2]), np.minimum(one[:, 2:], two[:, 2:])
        return np.hstack([low, high])

    @cached_property
    def _made(self) -> GeoDataFrame:
        from geopandas import GeoDataFrame

        left = self._left.frame.drop(columns="geometry").iloc[self._in_left].reset_index(drop=True)
        left["start_time"], left["end_time"] = unpack_column(self.starts), unpack_column(self.ends)
        right = pd.DataFrame(self._right.frame.drop(columns="geometry"))
        right = right[list(self._right_names)].rename(columns=self._right_names)
        right = right.iloc[self._in_right].reset_index(drop=True)
        left.insert(CORE_COLUMNS.index("geometry"), "geometry", self.geometry)
        return GeoDataFrame(pd.concat([left, right], axis=1), geometry="geometry", crs=self.crs)

    @property
    def frame(self) -> GeoDataFrame:
        """The rows as a GeoDataFrame; not to be changed."""
        return self._made
