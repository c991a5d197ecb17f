"""What every catalog can do, whichever backend holds its rows."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from geocatalog.crs import as_crs, crs_text
from geocatalog.errors import CatalogError
from geocatalog.footprint import Bounds, as_bounds, wrapped_bounds
from geocatalog.geoslice import GeoSlice
from geocatalog.interval import as_interval, pack_time
from geocatalog.region import Region, region_of
from geocatalog.table import CORE_COLUMNS
from pipekit.carrier import same_crs

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

    from geocatalog.memory import InMemoryGeoCatalog

BACKENDS = ("raster", "xarray", "vector")
"""Kinds of file a catalog may list."""


@dataclass(frozen=True)
class CatalogRow:
    """One file: where it is, what it covers, when; further columns in `extras`.

    `interval` is None for an undated file; `assets` maps asset keys to paths for a row made
    from several STAC assets, and is empty otherwise.

    Examples
    --------
    >>> from shapely import box
    >>> footprint, extras = box(0, 0, 20, 10), {"resolution": 10.0}
    >>> row = CatalogRow(0, "a.tif", pd.NaT, pd.NaT, footprint, CRS(32610), extras)
    >>> row.bounds, row.slice().shape
    ((0.0, 0.0, 20.0, 10.0), (1, 2))
    """

    index: int
    filepath: str
    start_time: pd.Timestamp
    end_time: pd.Timestamp
    geometry: BaseGeometry
    crs: CRS
    extras: dict[str, Any] = field(default_factory=dict)

    @property
    def bounds(self) -> Bounds:
        """(west, south, east, north) of the footprint."""
        return self.geometry.bounds

    @property
    def interval(self) -> pd.Interval | None:
        """Closed UTC interval, or None when undated."""
        return as_interval((self.start_time, self.end_time)) if self._dated else None

    @property
    def _dated(self) -> bool:
        return not (pd.isna(self.start_time) and pd.isna(self.end_time))

    @property
    def assets(self) -> dict[str, str]:
        """Paths by asset key, in band order."""
        found = self.extras.get("assets")
        return json.loads(found) if isinstance(found, str) else {}

    def slice(self, resolution: float | Sequence[float] | None = None) -> GeoSlice:
        """Return the row's box and interval, on the file's own pixel grid.

        Without a `resolution` the row's own is used, when it was recorded in the catalog's CRS.
        """
        # Across the antimeridian the bounds go once around the globe.
        box = wrapped_bounds(self.geometry) if self.crs.is_geographic else self.bounds
        return GeoSlice(
            box,
            self.interval,
            self._resolution() if resolution is None else resolution,
            self.crs,
            anchor=(box[0], box[3]),
        )

    def _resolution(self) -> float:
        size = self.extras.get("resolution", np.nan)
        native = self.extras.get("native_crs")
        elsewhere = isinstance(native, str) and not same_crs(as_crs(native), self.crs)
        if elsewhere or not is_known(size):
            raise CatalogError(
                f"{self.filepath} has no recorded resolution in {crs_text(self.crs)}; "
                "pass resolution= in units of the catalog's CRS"
            )
        return float(size)


def rows_of(frame: GeoDataFrame, crs: CRS, first: int = 0) -> Iterator[CatalogRow]:
    """Yield the rows of a catalog's frame, numbered from `first`."""
    extras = [name for name in frame.columns if name not in CORE_COLUMNS]
    columns = [frame[name] for name in (*CORE_COLUMNS, *extras)]
    for index, values in enumerate(zip(*columns, strict=True), start=first):
        path, start, end, geometry = values[:4]
        more = dict(zip(extras, values[4:], strict=True))
        yield CatalogRow(index, path, start, end, geometry, crs, more)


def is_known(value: Any) -> bool:
    """Say whether an entry of a row says anything: neither None nor NaN, NaT or NA.

    Examples
    --------
    >>> is_known(0.0), is_known(float("nan")), is_known(pd.NA), is_known([])
    (True, False, False, True)
    """
    return bool(np.ndim(value) or not pd.isna(value))


class GeoCatalog(ABC):
    """A set of files with footprints and time intervals.

    One rule for space and time: sets are closed. A footprint that only touches the query box,
    and an interval that only shares an instant with it, are in the answer. An undated file
    matches every time. Queries return a catalog of the same kind and change nothing.
    """

    def __init__(self) -> None:
        self.skipped: list[tuple[str, str]] = []
        """(path, reason) of the files that a builder left out."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @property
    @abstractmethod
    def crs(self) -> CRS:
        """The one CRS of all footprints."""

    @property
    @abstractmethod
    def backend(self) -> str:
        """Kind of file: "raster", "xarray" or "vector"."""

    @property
    @abstractmethod
    def columns(self) -> list[str]:
        """Column names: the four core ones, then extras."""

    @property
    @abstractmethod
    def gdf(self) -> GeoDataFrame:
        """The rows as a GeoDataFrame; a copy that may be changed."""

    @property
    @abstractmethod
    def total_bounds(self) -> Bounds | None:
        """(west, south, east, north) of all rows; None for an empty catalog."""

    @property
    @abstractmethod
    def temporal_extent(self) -> pd.Interval | None:
        """From the first start to the last end that are known; None when nothing is dated."""

    @abstractmethod
    def where(self, expression: str) -> GeoCatalog:
        """Return the rows for which a SQL expression over the columns is true."""

    @abstractmethod
    def iter_rows(self) -> Iterator[CatalogRow]:
        """Yield the rows one by one."""

    @abstractmethod
    def materialize(self) -> InMemoryGeoCatalog:
        """Return the same rows as an in-memory catalog."""

    @abstractmethod
    def get_config(self) -> dict[str, Any]:
        """Return what this catalog is, as JSON values."""

    @abstractmethod
    def _select(self, region: Region | None, times: tuple[int, int] | None) -> GeoCatalog:
        """Return the rows that touch a region of this catalog's CRS and a time range."""

    def query(
        self,
        slice_: GeoSlice | None = None,
        *,
        bounds: Sequence[float] | None = None,
        crs: Any = None,
        time: Any = None,
    ) -> GeoCatalog:
        """Return the rows that touch a slice, or a box and a time range.

        Parameters
        ----------
        slice_
            A GeoSlice; given alone.
        bounds
            (west, south, east, north) in `crs`, by default the catalog's own. West > east in
            degrees crosses the antimeridian. A box in another CRS is reprojected along densified
            edges.
        time
            A pair, `pd.Interval`, ISO text "a/b", or one date or instant; a date covers its whole
            day; None at an end leaves it open.

        Raises
        ------
        CatalogError
            For a malformed box or time, or a mixture of both forms.
        """
        if slice_ is not None:
            if bounds is not None or crs is not None or time is not None:
                raise CatalogError("give a slice, or bounds=, crs= and time=, not both")
            if not isinstance(slice_, GeoSlice):
                raise CatalogError(
                    f"query takes a GeoSlice, got {type(slice_).__name__}; "
                    "for a plain box write query(bounds=..., crs=...)"
                )
            bounds, crs, time = slice_.bounds, slice_.crs, slice_.interval
        if bounds is None and crs is not None:
            raise CatalogError("crs= says what bounds= are in; give bounds= too")
        own = self.crs
        box_crs = own if crs is None else as_crs(crs)
        region = None
        if bounds is not None:
            box = as_bounds(bounds, box_crs)
            same = box_crs is own or same_crs(box_crs, own)
            extent = None if same else self._extent()
            region = region_of(box, own if same else box_crs, own, extent)
        times = None if time is None else pack_time(time)
        return self._select(region, times)

    def _extent(self) -> Bounds | None:
        return self.total_bounds

    def intersect(self, other: GeoCatalog, spatial_only: bool = False) -> GeoCatalog:
        """Return one row for each pair that shares space and time, both clipped to what is shared.

        See `geocatalog.intersect`.
        """
        from geocatalog.algebra import intersect

        return intersect(self, other, spatial_only=spatial_only)

    def union(self, other: GeoCatalog) -> GeoCatalog:
        """Return the rows of both, the second reprojected to this catalog's CRS.

        See `geocatalog.union`.
        """
        from geocatalog.algebra import union

        return union(self, other)

    def __and__(self, other: GeoCatalog) -> GeoCatalog:
        return self.intersect(other)

    def __or__(self, other: GeoCatalog) -> GeoCatalog:
        return self.union(other)

    def __iter__(self) -> Iterator[CatalogRow]:
        return self.iter_rows()

    def iter_slices(self, resolution: float | Sequence[float] | None = None) -> Iterator[GeoSlice]:
        """Yield each row's box and interval as a slice on that file's own pixel grid.

        `resolution` is in the catalog's units; by default the one recorded for each row.
        """
        for row in self.iter_rows():
            yield row.slice(resolution)

    def missing_files(self) -> list[str]:
        """Return the local paths that no longer exist; remote ones are not asked."""
        from geocatalog.read.open import is_remote

        paths = (path for row in self for path in (row.assets or {"": row.filepath}).values())
        return [path for path in paths if not is_remote(path) and not os.path.exists(path)]

    def plot(self, ax: Any = None, column: str | None = "start_time", **kwargs: Any) -> Any:
        """Draw the footprints on matplotlib axes, coloured by a column; return the axes."""
        from geocatalog.plot import plot_footprints

        return plot_footprints(self, ax=ax, column=column, **kwargs)

    def explore(self, **kwargs: Any) -> Any:
        """Return an interactive map of the footprints (needs folium: `pip install folium`)."""
        from geocatalog.plot import explore_footprints

        return explore_footprints(self, **kwargs)

    def __repr__(self) -> str:
        times = self.temporal_extent
        when = "undated" if times is None else f"{times.left:%Y-%m-%d} to {times.right:%Y-%m-%d}"
        name = type(self).__name__
        return f"{name}({len(self)} {self.backend} rows, {crs_text(self.crs)}, {when})"


class CatalogDomain:
    """The slices of a catalog's rows, in order, each on its file's own pixel grid.

    Parameters
    ----------
    catalog
        Any catalog.
    resolution
        Pixel size in units of the catalog's CRS, one number or (x, y); None takes the one recorded
        for each row.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> from geocatalog import InMemoryGeoCatalog
    >>> frame = gpd.GeoDataFrame({"filepath": ["a.tif", "b.tif"]},
    ...     geometry=[shapely.box(0, 0, 40, 20), shapely.box(40, 0, 60, 20)], crs=32610)
    >>> domain = CatalogDomain(InMemoryGeoCatalog(frame), resolution=10)
    >>> len(domain), domain.bounds, [slice_.shape for slice_ in domain.slices()]
    (2, (0.0, 0.0, 60.0, 20.0), [(2, 4), (2, 2)])
    """

    def __init__(
        self, catalog: GeoCatalog, resolution: float | Sequence[float] | None = None
    ) -> None:
        self.catalog = catalog
        self.resolution = resolution

    def __len__(self) -> int:
        return len(self.catalog)

    @property
    def bounds(self) -> Bounds | None:
        """(west, south, east, north) of all rows; None when there is none."""
        return self.catalog.total_bounds

    @property
    def crs(self) -> CRS:
        """The catalog's CRS."""
        return self.catalog.crs

    def slices(self) -> list[GeoSlice]:
        """Return one slice per row, in order."""
        return list(self)

    def __iter__(self) -> Iterator[GeoSlice]:
        return self.catalog.iter_slices(self.resolution)

    def get_config(self) -> dict[str, Any]:
        """Return what this domain is, as JSON values."""
        return {
            "class": type(self).__name__,
            "config": {"catalog": self.catalog.get_config(), "resolution": self.resolution},
        }

    def __repr__(self) -> str:
        size = "own resolution" if self.resolution is None else str(self.resolution)
        return f"CatalogDomain({len(self)} slices, {size}, {crs_text(self.crs)})"
