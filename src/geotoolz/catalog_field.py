"""Pixels of a catalog's files as a Field: read when a window is selected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor
from rasterio.windows import bounds as window_bounds

from geocatalog import CatalogError, CatalogRow, GeoCatalog, GeoSlice
from geocatalog.build import read_raster_record
from geocatalog.catalog import is_known
from geocatalog.grid import raster_crs
from geocatalog.load.raster import mosaic_rows
from geopatcher.domain import RasterDomain
from geopatcher.fields import RasterField

_ATTRS = ("item_id", "cloud_cover", "processing_baseline", "offset_applied")


class CatalogField:
    """A Field over the files of a catalog: pixels of a window are read when it is selected.

    Its domain is known without opening a file when the catalog recorded the number of bands.

    Parameters
    ----------
    source
        A `CatalogRow`, or a catalog whose rows are merged.
    slice_
        Grid of the Field; by default the row's own footprint and pixel grid. A catalog needs one.
    band_indexes, resampling, merge_method, nodata
        As in `geocatalog.load_raster`.

    Raises
    ------
    CatalogError
        For a catalog without a grid, or none of whose files touches it.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> from geocatalog import InMemoryGeoCatalog
    >>> frame = gpd.GeoDataFrame({"filepath": ["a.tif"], "count": [4], "resolution": [10.0]},
    ...     geometry=[shapely.box(0, 0, 400, 300)], crs=32610)
    >>> CatalogField(next(InMemoryGeoCatalog(frame).iter_rows())).domain.shape
    (4, 30, 40)
    """

    def __init__(
        self,
        source: CatalogRow | GeoCatalog,
        slice_: GeoSlice | None = None,
        *,
        band_indexes: Sequence[int] | None = None,
        resampling: str = "nearest",
        merge_method: str = "last",
        nodata: float | None = None,
    ) -> None:
        if isinstance(source, CatalogRow):
            self.rows = [source]
            self.slice = source.slice() if slice_ is None else slice_
        elif slice_ is None:
            raise CatalogError("a CatalogField over a whole catalog needs slice_=, its grid")
        else:
            self.rows, self.slice = list(source.query(slice_).iter_rows()), slice_
        if not self.rows:
            raise CatalogError(f"no file of {source!r} touches {slice_!r}")
        self.band_indexes = band_indexes
        self.resampling = resampling
        self.merge_method = merge_method
        self.nodata = nodata
        grid = self.slice.geobox
        self.domain = RasterDomain((self._count(), *grid.shape), grid.transform, raster_crs(grid))

    def _count(self) -> int:
        if self.band_indexes is not None:
            return len(self.band_indexes)
        row = self.rows[0]
        if row.assets:
            return len(row.assets)
        if "count" in row.extras:
            return int(row.extras["count"])
        return int(read_raster_record(row.filepath, None, "").extras["count"])

    def select(self, indices: Any) -> GeoTensor:
        """Return the pixels of a window.

        Parameters
        ----------
        indices
            A `rasterio.windows.Window` of the domain.

        Returns
        -------
        (C, h, w) in the files' dtype.
        """
        west, south, east, north = window_bounds(indices, self.domain.transform)
        part = replace(self.slice, bounds=(west, south, east, north), anchor=(west, north))
        return self._load(part)

    def load(self) -> GeoTensor:
        """Return all pixels (C, H, W)."""
        return self._load(self.slice)

    def _load(self, slice_: GeoSlice) -> GeoTensor:
        how = self.band_indexes, self.resampling, self.merge_method, self.nodata
        raster = mosaic_rows(self.rows, slice_, *how)
        raster.attrs = {**raster.attrs, **_shared_attrs(self.rows)}
        return raster

    def with_data(self, array: Any) -> RasterField:
        """Return a Field of other values on the same grid.

        Parameters
        ----------
        array
            (..., H, W).
        """
        return RasterField(GeoTensor(np.asarray(array), self.domain.transform, self.domain.crs))

    def __repr__(self) -> str:
        return f"CatalogField({len(self.rows)} files, shape={self.domain.shape})"


def _shared_attrs(rows: Sequence[CatalogRow]) -> dict[str, Any]:
    """Return what all rows say alike: a baseline of one scene must not stand for another's."""
    first, *others = [_row_attrs(row) for row in rows]
    return {k: v for k, v in first.items() if all(each.get(k) == v for each in others)}


def _row_attrs(row: CatalogRow) -> dict[str, Any]:
    """Return what a raster's attributes should say of the scene it comes from."""
    found = {name: row.extras[name] for name in _ATTRS if is_known(row.extras.get(name))}
    if row.interval is not None:
        found["datetime"] = row.interval.left.isoformat()
    return found


def read_row(row: CatalogRow) -> GeoTensor:
    """Return all pixels (C, H, W) of one row's file or assets, on its own grid.

    The default reader of `CatalogPipeline`. `CatalogField` as the reader gives a Field instead,
    for operators that begin with `GridSampler` and so never hold the scene.

    Parameters
    ----------
    row
        Of a catalog of rasters.

    Returns
    -------
    (C, H, W) in the file's dtype, with what the catalog knows of the scene in its attributes.
    """
    return CatalogField(row).load()
