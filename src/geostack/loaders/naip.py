"""NAIP aerial photographs: four bands at about a metre."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from georeader.geotensor import GeoTensor

from geocatalog.grid import raster_crs
from geostack.items import acquired
from geostack.read import read_mosaic
from geostack.request import Request, as_bands, as_text
from geostack.sources import Source
from geostack.stac import find_items
from pipekit.operator import checked_number

COLLECTION = "naip"
ASSET = "image"
BANDS = ("red", "green", "blue", "nir")
"""In the order of the file (USDA NAIP four-band product)."""

TAHOE_KEYS_BBOX = (-120.015, 38.930, -120.005, 38.938)
"""A marina on Lake Tahoe's south shore: 870 x 890 m."""


def load_naip_chip(
    *,
    bbox: Sequence[float] = TAHOE_KEYS_BBOX,
    date_range: str = "2018-01-01/2024-12-31",
    bands: Sequence[str] = BANDS,
    resolution: float | None = None,
    source: str | Source | None = None,
) -> GeoTensor:
    """Return the newest aerial photographs over a box, neighbouring sheets put together.

    Parameters
    ----------
    bbox
        (west, south, east, north), degrees; grows outward to whole pixels.
    date_range
        `start/end`; the newest year with a photograph is taken.
    bands
        Of `BANDS`.
    resolution
        Metres; None for the photograph's own (0.3 to 1 m). A coarser one reads overviews.
    source
        See `geostack.sources`.

    Returns
    -------
    (C, H, W) uint8. Where there is no photograph it holds `fill_value_default`: 0, or another
    number where pixels of a photograph are 0.

    Raises
    ------
    ValueError
        For an unknown or repeated band, a bad resolution, or a box too large for the resolution.
    NoSceneError, OutsideTileError, PixelReadError, SourceUnavailableError
        As `load_s2_chip`.

    Examples
    --------
    >>> load_naip_chip(resolution=10, source="simulated").shape
    (4, 92, 90)
    """
    names = as_bands(bands, BANDS, "NAIP")
    if resolution is not None:
        own = " metres, or None for the photograph's own"
        checked_number(resolution, "resolution", 0, inside=True, unit=own)
    request = Request(COLLECTION, bbox, date_range, assets=(ASSET,))
    chosen, items = find_items(request, source=source)
    newest = max(acquired(item.properties).year for item in items)
    of_year = [item for item in items if acquired(item.properties).year == newest]
    indexes = [BANDS.index(name) + 1 for name in names]
    values, nodata, grid, sheets = read_mosaic(
        request.bbox, of_year, ASSET, chosen, indexes, resolution=resolution, alpha=False
    )
    attrs: dict[str, Any] = {
        "band_names": list(names),
        "item_ids": [sheet.id for sheet in sheets],
        "datetime": as_text(acquired(sheets[0].properties)),
        "source": chosen.name,
    }
    return GeoTensor(values, grid.transform, raster_crs(grid), nodata, attrs)
