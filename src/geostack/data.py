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
from geostack.loaders.borders import load_natural_earth_admin1
from geostack.loaders.dem import load_dem_chip
from geostack.loaders.era5 import load_era5_chip
from geostack.loaders.gbif import load_gbif_points, read_gbif_download
from geostack.loaders.landsat import load_landsat_chip
from geostack.loaders.naip import load_naip_chip
from geostack.loaders.overture import load_overture_buildings_url, query_overture
from geostack.loaders.sentinel2 import load_s2_chip, load_s2_full_tile, load_s2_timestack
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
