"""From STAC items to assets, pixel grids and labelled arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from geostack.errors import AssetNotFoundError
from geostack.grid import PixelGrid
from geostack.items import epsg
from geostack.read import Asset, asset_grid
from geostack.request import BBox, contains

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray
    from pystac import Item

    from geostack.sources import Source


def footprint_share(item: Item, bbox: BBox) -> float:
    """Return the share of a box that a scene's footprint covers, 0 to 1.

    The footprint and not its box: a swath's edge runs aslant through a tile.
    """
    import shapely

    if not item.geometry:
        return 1.0 if item.bbox is None or contains(item.bbox, bbox) else 0.0
    box = shapely.box(*bbox)
    footprint = shapely.make_valid(shapely.geometry.shape(item.geometry))
    return float(footprint.intersection(box).area / box.area)


def covering_items(items: Sequence[Item], bbox: BBox) -> list[Item]:
    """Return, in their order, the items that show as much of a box as any of them does."""
    shares = [footprint_share(item, bbox) for item in items]
    enough = max(shares) - _EQUAL_SHARE
    return [item for item, share in zip(items, shares, strict=True) if share >= enough]


def best_item(items: Sequence[Item], bbox: BBox) -> Item:
    """Return the first, that is the clearest, of the items that show most of a box."""
    return covering_items(items, bbox)[0]


_EQUAL_SHARE = 0.01
"""Shares of a box that differ by less count as equal: outlines are drawn with few points."""


def item_assets(
    item: Item, keys: Sequence[str], source: Source, known: Sequence[str]
) -> list[Asset]:
    """Return one asset of an item per key.

    Parameters
    ----------
    known
        The keys that hold pixels, for the message.

    Raises
    ------
    AssetNotFoundError
        When the item lacks one; the message lists those it has.
    """
    missing = [key for key in keys if key not in item.assets]
    if missing:
        have = ", ".join(key for key in item.assets if key in known) or "none"
        raise AssetNotFoundError(
            f"{item.id} ({source.name}) has no asset {', '.join(missing)}; it has {have}"
        )
    return [Asset(item.id, key, item.assets[key].href, source) for key in keys]


def scene_grid(item: Item, asset: Asset) -> PixelGrid:
    """Return an asset's pixel grid, from its item if that says it, else from the file's header."""
    return declared_grid(item, asset.key) or asset_grid(asset)


def declared_grid(item: Item, key: str) -> PixelGrid | None:
    """Return the pixel grid that an item declares for an asset, or None."""
    from affine import Affine
    from rasterio.crs import CRS

    fields = {**item.properties, **item.assets[key].extra_fields}
    code, transform, shape = epsg(fields), fields.get("proj:transform"), fields.get("proj:shape")
    if code is None or not transform or not shape:
        return None
    return PixelGrid(CRS.from_epsg(code), Affine(*transform[:6]), (int(shape[0]), int(shape[1])))


def as_data_array(values: NDArray[Any], grid: PixelGrid, name: str, **attrs: Any) -> xr.DataArray:
    """Return (rows, cols) values as a DataArray (y, x) with pixel-centre coordinates and CRS."""
    import numpy as np
    import rioxarray  # noqa: F401  registers .rio
    import xarray as xr

    rows, cols = grid.shape
    t = grid.transform
    array = xr.DataArray(
        values,
        dims=("y", "x"),
        coords={"y": t.f + (np.arange(rows) + 0.5) * t.e, "x": t.c + (np.arange(cols) + 0.5) * t.a},
        name=name,
        attrs=attrs,
    )
    return array.rio.write_crs(grid.crs).rio.write_transform(t)
