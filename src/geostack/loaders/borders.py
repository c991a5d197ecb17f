"""States and provinces from Natural Earth, or the small cut of them that comes with the package."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from geostack.cache import cache_folder, fallback_folder, is_ours, writable_cache_folder
from geostack.sources import Source, source_name
from geostack.sources.archive import archived_file, needed_file
from geostack.web import download, first_that_answers

if TYPE_CHECKING:
    import geopandas as gpd

NATURAL_EARTH_URL = (
    "https://naciscdn.org/naturalearth/50m/cultural/ne_50m_admin_1_states_provinces.zip"
)
COLUMNS = ("name", "postal", "iso_3166_2", "admin")
_FILE = "ne_50m_admin_1_states_provinces.zip"
_IN_ARCHIVE = tuple(f"natural-earth/{name}" for name in ("admin1.geojson", "admin1.parquet", _FILE))


def load_natural_earth_admin1(*, source: str | Source | None = None) -> gpd.GeoDataFrame:
    """Return states and provinces (Natural Earth 1:50m, public domain).

    Parameters
    ----------
    source
        "planetary-computer" stands for Natural Earth's own server, downloaded once into the cache
        folder; "archive" for `natural-earth/admin1.geojson` in the archive; "simulated" for the
        eleven western states of the USA that come with the package, a cut of Natural Earth. "auto"
        (default) takes the first of archive, cache, server, cut that answers.

    Returns
    -------
    GeoDataFrame in EPSG:4326 with columns `name`, `postal`, `iso_3166_2`, `admin` (the country);
    `attrs["source"]` says where from: "natural-earth", "archive" or "natural-earth-cut".

    Raises
    ------
    SourceUnavailableError
        When the server was asked for and does not answer.
    NoSceneError
        When the archive was asked for and has no such file.

    Examples
    --------
    >>> states = load_natural_earth_admin1(source="simulated")
    >>> len(states), "Nevada" in set(states["name"])
    (11, True)
    """
    held = "archive" if archived_file(_IN_ARCHIVE) else "planetary-computer" if _cached() else None
    name = first_that_answers(source_name(source), held, _url(), "eleven states")
    if name == "archive":
        states = _read(needed_file(_IN_ARCHIVE, "states and provinces"))
    elif name == "planetary-computer":
        path = _cached()
        if path is None:
            path = download(_url(), writable_cache_folder() / "natural-earth" / _FILE)
        states, name = _read(path), "natural-earth"
    else:
        cut = resources.files("geostack") / "bundled" / "western_states.geojson"
        with resources.as_file(cut) as path:
            states, name = _read(path), "natural-earth-cut"
    states.attrs["source"] = name
    return states


def _url() -> str:
    return os.environ.get("GEOSTACK_NATURAL_EARTH_URL") or NATURAL_EARTH_URL


def _cached() -> Path | None:
    # A cache folder that can't be written has its download in the other one.
    folders = [cache_folder(), *filter(is_ours, [fallback_folder()])]
    paths = (folder / "natural-earth" / _FILE for folder in folders)
    return next((path for path in paths if path.is_file()), None)


def _read(path: Path) -> gpd.GeoDataFrame:
    import geopandas as gpd

    table = gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path)
    table = table.to_crs("EPSG:4326")
    held = {column.lower(): column for column in table.columns}
    table = table.rename(columns={held[name]: name for name in COLUMNS if name in held})
    return table[[*(name for name in COLUMNS if name in table.columns), table.geometry.name]]
