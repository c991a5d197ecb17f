"""Landsat Collection 2 Level-2: surface reflectance and temperature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from georeader.geotensor import GeoTensor

from geocatalog.grid import raster_crs
from geostack.areas import LAKE_TAHOE_BBOX
from geostack.grid import cut
from geostack.items import best_item
from geostack.read import in_parallel, item_assets, item_attrs, read_asset, scene_grid
from geostack.request import Request, as_bands
from geostack.sources import Source
from geostack.stac import find_items

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLLECTION = "landsat-c2-l2"

REFLECTANCE_BANDS = ("coastal", "blue", "green", "red", "nir08", "swir16", "swir22")
TEMPERATURE_BANDS = ("lwir11", "lwir")
MASK_BANDS = ("qa_pixel", "qa_radsat", "qa_aerosol", "cloud_qa")
BANDS = (*REFLECTANCE_BANDS, *TEMPERATURE_BANDS, *MASK_BANDS)
"""Asset names of Landsat 4 to 9; lwir11 is Landsat 8 and 9, lwir and cloud_qa the older ones."""

REFLECTANCE_SCALE, REFLECTANCE_OFFSET = 2.75e-5, -0.2
TEMPERATURE_SCALE, TEMPERATURE_OFFSET = 0.00341802, 149.0
"""USGS, Landsat 8-9 Collection 2 Level 2 Science Product Guide: to reflectance, to kelvin."""


def load_landsat_chip(
    *,
    bbox: Sequence[float] = LAKE_TAHOE_BBOX,
    date_range: str = "2024-06-01/2024-07-31",
    bands: Sequence[str] = ("blue", "green", "red", "nir08"),
    max_cloud_cover: float | None = 20.0,
    scale: bool = False,
    source: str | Source | None = None,
) -> GeoTensor:
    """Return the clearest Landsat scene's bands over a box on its own 30 m grid.

    Parameters
    ----------
    bbox
        (west, south, east, north), degrees; grows outward to whole pixels, cut at the scene's edge.
    date_range
        `start/end`, both days included.
    bands
        Asset names, of `BANDS`.
    max_cloud_cover
        Percent; None for any.
    scale
        Apply Collection 2's scale and offset: reflectance 0 to 1, temperature in kelvin.
    source
        See `geostack.sources`.

    Returns
    -------
    (C, H, W) uint16 digital numbers, 0 where there is no data; with `scale` float32, NaN where
    there is none.

    Raises
    ------
    ValueError
        For an unknown band, or a mask band with `scale`.
    NoSceneError, AssetNotFoundError, OutsideTileError, PixelReadError, SourceUnavailableError
        As `load_s2_chip`.

    Examples
    --------
    >>> box = (-120.05, 39.00, -120.03, 39.01)
    >>> chip = load_landsat_chip(bbox=box, bands=("red", "nir08"), scale=True, source="simulated")
    >>> chip.shape, chip.dtype.name
    ((2, 39, 60), 'float32')
    """
    names = as_bands(bands, BANDS, "Landsat")
    masks = [name for name in names if name in MASK_BANDS]
    if scale and masks:
        raise ValueError(f"{', '.join(masks)} holds bits, not a quantity; load it with scale=False")
    request = Request(COLLECTION, bbox, date_range, max_cloud_cover=max_cloud_cover, assets=names)
    chosen, items = find_items(request, source=source)
    item = best_item(items, request.bbox)
    assets = item_assets(item, names, chosen, BANDS)
    grid = cut(scene_grid(item, assets[0]), request.bbox)
    values = np.concatenate(in_parallel(lambda asset: read_asset(asset, grid), assets))
    attrs = {**item_attrs(item, names, chosen), "scaled": scale}
    if not scale:
        return GeoTensor(values, grid.transform, raster_crs(grid), 0, attrs)
    return GeoTensor(scaled(values, names), grid.transform, raster_crs(grid), np.nan, attrs)


def scaled(dn: NDArray[np.uint16], bands: Sequence[str]) -> NDArray[np.float32]:
    """Return digital numbers (C, H, W) as reflectance or kelvin, float32; 0 becomes NaN.

    Parameters
    ----------
    dn
        (C, H, W) uint16, digital numbers; 0 is no data.
    bands
        The C names of the bands, which choose the scale.

    Returns
    -------
    (C, H, W) float32, reflectance 0 to 1 or kelvin.

    Examples
    --------
    >>> scaled(np.array([[[0, 10000]]], dtype="uint16"), ["red"])
    array([[[  nan, 0.075]]], dtype=float32)
    """
    out = dn.astype(np.float32)
    for index, band in enumerate(bands):
        hot = band in TEMPERATURE_BANDS
        out[index] *= np.float32(TEMPERATURE_SCALE if hot else REFLECTANCE_SCALE)
        out[index] += np.float32(TEMPERATURE_OFFSET if hot else REFLECTANCE_OFFSET)
    out[dn == 0] = np.nan
    return out
