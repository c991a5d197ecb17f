"""The rows of an intersection: pairs of row numbers, with footprints clipped when asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import shapely
from pyproj import CRS

from geocatalog.interval import unpack_column
from geocatalog.table import CORE_COLUMNS, FootprintTable

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


class PairTable(FootprintTable):
    """A table of pairs (row of `left`, row of `right`), both in one CRS.

    Counting pairs and asking for their columns costs nothing more; geometry and frame are made
    when needed.

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
