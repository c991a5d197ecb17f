"""geostack: real satellite scenes by one call, and the loaders of the notebooks.

Pixels come from a local archive, the live one or the embedded simulation, whichever has them:
`GEOSTACK_SOURCE=auto|planetary-computer|archive|simulated`, or `source=` on a loader.

>>> import geostack
>>> geostack.LAKE_TAHOE_TILE
'10SGJ'

    chip = geostack.load_s2_chip(bands=("B04", "B08"))   # a GeoTensor (2, 3935, 1599) uint16
    chip.attrs["source"]                                 # where the pixels came from
"""

# ruff: noqa: F403, F405  (the loaders are named in `geostack.data`)

from typing import TYPE_CHECKING

from geostack.areas import (
    AREAS,
    CALDOR_BBOX,
    CALDOR_TILE,
    LAKE_TAHOE_BBOX,
    LAKE_TAHOE_TILE,
    LISBON_BBOX,
    LISBON_TILE,
    SOUTH_TYROL_BBOX,
    SOUTH_TYROL_TILE,
    Area,
)
from geostack.errors import (
    AssetNotFoundError,
    NoSceneError,
    OutsideTileError,
    PixelReadError,
    SourceUnavailableError,
)
from pipekit.lazy import lazily

if TYPE_CHECKING:
    from geostack.data import *

__all__ = [
    "AREAS",
    "CALDOR_BBOX",
    "CALDOR_TILE",
    "LAKE_TAHOE_BBOX",
    "LAKE_TAHOE_TILE",
    "LISBON_BBOX",
    "LISBON_TILE",
    "SOUTH_TYROL_BBOX",
    "SOUTH_TYROL_TILE",
    "Area",
    "AssetNotFoundError",
    "NoSceneError",
    "OutsideTileError",
    "PixelReadError",
    "SourceUnavailableError",
    "load_dem_chip",
    "load_era5_chip",
    "load_gbif_points",
    "load_landsat_chip",
    "load_naip_chip",
    "load_natural_earth_admin1",
    "load_overture_buildings_url",
    "load_s2_chip",
    "load_s2_full_tile",
    "load_s2_timestack",
    "load_stac_items",
    "mpc_catalog",
    "query_overture",
    "read_gbif_download",
]
_LOADED = dict.fromkeys((name for name in __all__ if name not in globals()), "geostack.data")
__getattr__, __dir__ = lazily(__name__, _LOADED)
