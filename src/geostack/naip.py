"""NAIP aerial photographs: four bands at about a metre."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor

from geostack.items import acquired
from geostack.mosaic import check_size, check_touches, covering_grid, read_mosaic
from geostack.read import Asset
from geostack.request import Request
from geostack.scene import item_assets, scene_grid
from geostack.sources import Source
from geostack.stac import find_items

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
    (C, H, W) uint8, 0 where there is no photograph.

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
    names = _check_bands(bands)
    if resolution is not None and not (math.isfinite(resolution) and resolution > 0):
        raise ValueError(
            f"resolution must be positive metres, or None for the photograph's own, "
            f"got {resolution!r}"
        )
    request = Request.of(COLLECTION, bbox, date_range, assets=(ASSET,))
    chosen, items = find_items(request, source=source)
    newest = max(acquired(item.properties).year for item in items)
    sheets = [item for item in items if acquired(item.properties).year == newest]
    assets = [item_assets(item, [ASSET], chosen, [ASSET])[0] for item in sheets]
    grids = [scene_grid(item, asset) for item, asset in zip(sheets, assets, strict=True)]
    # The sheet that holds most of the box gives the pixels; the others are resampled to it.
    order = sorted(range(len(sheets)), key=lambda i: -grids[i].share_inside(request.bbox))
    grid = covering_grid(grids[order[0]], request.bbox, resolution)
    check_touches(grids, request.bbox)
    check_size(grid, len(names), request.bbox)
    values = np.stack(
        [
            read_mosaic([_band(assets[i], BANDS.index(name) + 1) for i in order], grid)
            for name in names
        ]
    )
    attrs: dict[str, Any] = {
        "band_names": list(names),
        "item_ids": [sheets[i].id for i in order],
        "datetime": acquired(sheets[order[0]].properties).isoformat().replace("+00:00", "Z"),
        "source": chosen.name,
    }
    return GeoTensor(values, grid.transform, grid.crs, 0, attrs)


def _band(asset: Asset, number: int) -> Asset:
    return Asset(asset.item_id, asset.key, asset.href, asset.source, band=number)


def _check_bands(bands: Sequence[str]) -> tuple[str, ...]:
    names = (bands,) if isinstance(bands, str) else tuple(bands)
    unknown = [name for name in names if name not in BANDS]
    if unknown or not names:
        raise ValueError(f"unknown NAIP band {unknown}; known bands: {', '.join(BANDS)}")
    if len(set(names)) < len(names):
        raise ValueError(f"bands must be different, got {', '.join(names)}")
    return names
