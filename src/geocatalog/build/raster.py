"""Catalogs of raster files, from their headers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import shapely

from geocatalog.build.dates import interval_from_name
from geocatalog.build.records import DEFAULT_WORKERS, FileRecord, assemble, read_headers
from geocatalog.crs import as_crs, crs_text
from geocatalog.errors import CatalogError
from geocatalog.memory import InMemoryGeoCatalog
from geocatalog.read.open import with_dataset


def build_raster_catalog(
    paths_or_urls: Iterable[Any],
    filename_regex: str | None = None,
    date_format: str = "%Y%m%d",
    target_crs: Any = None,
    workers: int = DEFAULT_WORKERS,
    *,
    on_error: str = "raise",
    progress: bool = True,
) -> InMemoryGeoCatalog:
    r"""Return a catalog of raster files; each header is read once, in parallel.

    Columns beyond the core: `native_crs`, `height`, `width`, `count`, `dtype`, `nodata`, and
    `resolution`, the pixel width in units of `native_crs`.

    Parameters
    ----------
    paths_or_urls
        Anything rasterio opens, signed URLs included.
    filename_regex
        With a named group `date`, or `start` and `end`; without it the files are undated and match
        every time.
    date_format
        Strptime format of those groups; it says how long a date lasts.
    target_crs
        CRS of the footprints; by default the files' own, if they share one.
    on_error
        "raise", or "skip" to leave out what cannot be read, listed in `.skipped`.

    Raises
    ------
    CatalogError
        For an unreadable file, one without a CRS, a name that the pattern does not match, and mixed
        CRS without `target_crs`.

    Examples
    --------
    >>> import tempfile, numpy as np, rasterio
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = folder.name + "/scene_20240601.tif"
    >>> profile = dict(driver="GTiff", height=2, width=3, count=1, dtype="uint16", crs="EPSG:32610",
    ...                transform=rasterio.Affine(10, 0, 500000, 0, -10, 4300000))
    >>> with rasterio.open(path, "w", **profile) as file:
    ...     file.write(np.ones((1, 2, 3), "uint16"))
    >>> catalog = build_raster_catalog([path], r"_(?P<date>\d{8})")
    >>> catalog.total_bounds
    (500000.0, 4299980.0, 500030.0, 4300000.0)
    >>> folder.cleanup()
    """

    def read(path: str) -> FileRecord:
        return read_raster_record(path, filename_regex, date_format)

    records, skipped = read_headers(
        paths_or_urls, read, workers=workers, on_error=on_error, progress=progress
    )
    return assemble(records, target_crs, "raster", skipped)


def read_raster_record(path: str, filename_regex: str | None, date_format: str) -> FileRecord:
    """Return what one raster's header and name say; a rotated raster gets its true outline.

    Raises
    ------
    CatalogError
        For a file without a CRS or a name without the date.
    """
    interval = interval_from_name(path, filename_regex, date_format)

    def describe(source: Any) -> FileRecord:
        if source.crs is None:
            raise CatalogError(
                f"{path} has no CRS; write one into it (rio edit-info --crs), "
                "or pass on_error='skip' to leave it out"
            )
        crs = as_crs(source.crs)
        extras = {
            "native_crs": crs_text(crs),
            "height": source.height,
            "width": source.width,
            "count": source.count,
            "dtype": source.dtypes[0],
            "nodata": None if source.nodata is None else float(source.nodata),
            "resolution": float(source.res[0]),
        }
        return FileRecord(path, _outline(source), crs, interval, extras)

    return with_dataset(path, describe)


def _outline(source: Any) -> shapely.Polygon:
    move, height, width = source.transform, source.height, source.width
    if move.b == 0 and move.d == 0:
        return shapely.box(*source.bounds)
    corners = [(0, 0), (width, 0), (width, height), (0, height)]
    return shapely.Polygon([move @ corner for corner in corners])
