"""A catalog seen as a domain to iterate: one slice per row, at one resolution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pyproj import CRS

from geocatalog.catalog import GeoCatalog
from geocatalog.crs import crs_text
from geocatalog.footprint import Bounds
from geocatalog.geoslice import GeoSlice


class CatalogDomain:
    """The slices of a catalog's rows, in order, each on its file's own pixel grid.

    Parameters
    ----------
    catalog : any catalog.
    resolution : pixel size in units of the catalog's CRS, one number or (x, y); None takes the
        one recorded for each row.

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
