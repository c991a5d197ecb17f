"""Copernicus DEM GLO-30: elevation at about 30 m."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from geostack.areas import LAKE_TAHOE_BBOX
from geostack.grid import as_data_array
from geostack.read import read_mosaic
from geostack.request import Request
from geostack.sources import Source
from geostack.stac import find_items

if TYPE_CHECKING:
    import xarray as xr

COLLECTION = "cop-dem-glo-30"
ASSET = "data"
EVER = "../.."


def load_dem_chip(
    *, bbox: Sequence[float] = LAKE_TAHOE_BBOX, source: str | Source | None = None
) -> xr.DataArray:
    """Return the elevation over a box, neighbouring tiles put together.

    Parameters
    ----------
    bbox
        (west, south, east, north), degrees; grows outward to whole pixels.
    source
        See `geostack.sources`.

    Returns
    -------
    (y, x) float32 in EPSG:4326 (simulated ones may lie in UTM), metres above the EGM2008 geoid,
    NaN where no tile reaches; `attrs["source"]` says where it came from.

    Raises
    ------
    NoSceneError, OutsideTileError, PixelReadError, SourceUnavailableError
        As `load_s2_chip`.
    ValueError
        For a box too large for the memory.

    Examples
    --------
    >>> lake = load_dem_chip(bbox=(-120.05, 39.00, -120.03, 39.01), source="simulated")
    >>> lake.shape, float(lake.max())
    ((37, 73), 1897.0)
    """
    from geotoolz.carrier import nan_floats

    request = Request(COLLECTION, bbox, EVER, assets=(ASSET,))
    chosen, items = find_items(request, source=source)
    values, nodata, grid, tiles = read_mosaic(request.bbox, items, ASSET, chosen, nodata=np.nan)
    return as_data_array(
        nan_floats(values[0], nodata),
        grid,
        "elevation",
        units="m",
        long_name="elevation above the EGM2008 geoid",
        source=chosen.name,
        item_ids=[tile.id for tile in tiles],
    )
