"""The public names of `geostack`: type checkers read them here, and so does the package."""

from geostack.areas import (
    AREAS as AREAS,
    CALDOR_BBOX as CALDOR_BBOX,
    CALDOR_TILE as CALDOR_TILE,
    LAKE_TAHOE_BBOX as LAKE_TAHOE_BBOX,
    LAKE_TAHOE_TILE as LAKE_TAHOE_TILE,
    LISBON_BBOX as LISBON_BBOX,
    LISBON_TILE as LISBON_TILE,
    SOUTH_TYROL_BBOX as SOUTH_TYROL_BBOX,
    SOUTH_TYROL_TILE as SOUTH_TYROL_TILE,
    Area as Area,
)
from geostack.errors import (
    AssetNotFoundError as AssetNotFoundError,
    NoSceneError as NoSceneError,
    OutsideTileError as OutsideTileError,
    PixelReadError as PixelReadError,
    SourceUnavailableError as SourceUnavailableError,
)
from geostack.loaders.borders import load_natural_earth_admin1 as load_natural_earth_admin1
from geostack.loaders.dem import load_dem_chip as load_dem_chip
from geostack.loaders.era5 import load_era5_chip as load_era5_chip
from geostack.loaders.gbif import (
    load_gbif_points as load_gbif_points,
    read_gbif_download as read_gbif_download,
)
from geostack.loaders.landsat import load_landsat_chip as load_landsat_chip
from geostack.loaders.naip import load_naip_chip as load_naip_chip
from geostack.loaders.overture import (
    load_overture_buildings_url as load_overture_buildings_url,
    query_overture as query_overture,
)
from geostack.loaders.sentinel2 import (
    load_s2_chip as load_s2_chip,
    load_s2_full_tile as load_s2_full_tile,
    load_s2_timestack as load_s2_timestack,
)
from geostack.sources.planetary_computer import mpc_catalog as mpc_catalog
from geostack.stac import load_stac_items as load_stac_items
