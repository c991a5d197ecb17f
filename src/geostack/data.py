"""Every loader, in one place: `from geostack.data import load_s2_chip`."""

from geostack.areas import (
    CALDOR_BBOX,
    CALDOR_TILE,
    LAKE_TAHOE_BBOX,
    LAKE_TAHOE_TILE,
    LISBON_BBOX,
    LISBON_TILE,
    SOUTH_TYROL_BBOX,
    SOUTH_TYROL_TILE,
)
from geostack.sentinel2 import load_s2_chip, load_s2_full_tile, load_s2_timestack
from geostack.stac import load_stac_items, mpc_catalog

__all__ = [
    "CALDOR_BBOX",
    "CALDOR_TILE",
    "LAKE_TAHOE_BBOX",
    "LAKE_TAHOE_TILE",
    "LISBON_BBOX",
    "LISBON_TILE",
    "SOUTH_TYROL_BBOX",
    "SOUTH_TYROL_TILE",
    "load_s2_chip",
    "load_s2_full_tile",
    "load_s2_timestack",
    "load_stac_items",
    "mpc_catalog",
]
