"""Species occurrences from GBIF, the Global Biodiversity Information Facility."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geostack.areas import LAKE_TAHOE_BBOX
from geostack.request import BBox, as_bbox, as_count
from geostack.sources import Source, source_name
from geostack.sources.archive import archived_file, needed_file
from geostack.web import first_that_answers, get_json

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    from numpy.typing import NDArray

GBIF_URL = "https://api.gbif.org/v1"
PAGE_SIZE = 300
"""The most that GBIF's occurrence search returns at once."""
MAX_OFFSET = 100_000
"""GBIF's occurrence search pages no further; more takes a download from its site."""
PAUSE = 0.3
"""Seconds between two pages, as a polite guest."""

_SCL_VEGETATION = 4
OAK_KEY = 5285750
SIERRA_BBOX: BBox = (-121.2, 38.4, -119.4, 39.8)

COLUMNS = {
    "key": "key",
    "species": "species",
    "scientificName": "scientific_name",
    "eventDate": "date",
    "basisOfRecord": "basis",
    "license": "license",
}
"""GBIF's field -> our column."""


def load_gbif_points(
    species_key: int = OAK_KEY,
    *,
    bbox: Sequence[float] = SIERRA_BBOX,
    limit: int = 300,
    source: str | Source | None = None,
) -> gpd.GeoDataFrame:
    """Return where a species was seen.

    Parameters
    ----------
    species_key
        GBIF's taxon key.
    bbox
        (west, south, east, north), degrees.
    limit
        At most so many occurrences.
    source
        "planetary-computer" stands for the live service, "archive" for a GBIF download
        `gbif/KEY.zip` in the archive, "simulated" for made-up points; "auto" (default) takes the
        first of archive, live service, simulation that answers.

    Returns
    -------
    GeoDataFrame of points in EPSG:4326 with columns `key`, `species`, `scientific_name`, `date`,
    `basis`, `license`; empty but typed when there is none. `attrs["source"]` says where from.

    Raises
    ------
    SourceUnavailableError
        When the live service was asked for and does not answer.
    NoSceneError
        When the archive was asked for and holds no download of that species.
    ValueError
        For a bad key, box, limit or source, or more than GBIF's search gives.

    Examples
    --------
    >>> load_gbif_points(bbox=(-3, 40, -2, 41), limit=20, source="simulated").shape
    (20, 7)
    """
    import pandas as pd

    box = as_bbox(bbox)
    limit, species_key = as_count("limit", limit), as_count("species_key", species_key)
    files = [f"gbif/{species_key}{suffix}" for suffix in (".zip", ".csv", ".txt")]
    held = "archive" if archived_file(files) else None
    service = f"{_url()}/species/{species_key}"
    name = first_that_answers(source_name(source), held, service, "simulated occurrences")
    if name == "archive":
        path = needed_file(files, f"GBIF download {species_key}.zip, which gbif.org makes")
        points = read_gbif_download(path).cx[box[0] : box[2], box[1] : box[3]]
        points = points.head(limit).reset_index(drop=True)
    elif name == "planetary-computer":
        if limit > MAX_OFFSET:
            raise ValueError(
                f"GBIF's search gives at most {MAX_OFFSET:,} occurrences, limit is {limit:,}; for "
                "more put a download from gbif.org into the archive as gbif/KEY.zip"
            )
        points = _frame(pd.DataFrame(_pages(species_key, box, limit)))
    else:
        points = simulated_points(box, limit, seed=species_key)
    points.attrs["source"] = "gbif" if name == "planetary-computer" else name
    return points


def read_gbif_download(path: str | Path) -> gpd.GeoDataFrame:
    r"""Return the occurrences of a GBIF download: a zip of one tab-separated table, or the table.

    Rows without coordinates are left out.

    Parameters
    ----------
    path
        A `.zip`, or the table in it.

    Returns
    -------
    Points and columns as `load_gbif_points` has them.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
    ...     _ = file.write("gbifID\tdecimalLongitude\tdecimalLatitude\n7\t-120.1\t39.2\n")
    ...     file.flush()
    ...     int(read_gbif_download(file.name)["key"].iloc[0])
    7
    """
    import pandas as pd

    table = pd.read_csv(path, sep="\t", low_memory=False, quoting=3)
    table = table.rename(columns={"gbifID": "key"})
    return _frame(table)


def simulated_points(bbox: Sequence[float], limit: int, seed: int = 0) -> gpd.GeoDataFrame:
    """Return made-up occurrences in clusters; over a simulated scene only where it is green.

    A Thomas cluster process: parents fall anywhere, children lie a few kilometres around them.

    Parameters
    ----------
    bbox
        (west, south, east, north), degrees.
    limit
        The number of points.
    seed
        The same seed gives the same points.

    Returns
    -------
    Points and columns as `load_gbif_points` has them; `basis` is SIMULATED.

    Examples
    --------
    >>> points = simulated_points((-3.0, 40.0, -2.0, 41.0), 50)
    >>> len(points), points.crs.to_epsg()
    (50, 4326)
    """
    import pandas as pd

    box = as_bbox(bbox)
    random = np.random.default_rng(seed)
    west, south, east, north = box
    parents = random.uniform((west, south), (east, north), (max(3, limit // 15), 2))
    kept: list[tuple[float, float]] = []
    for _ in range(100):
        around = parents[random.integers(0, len(parents), 4 * limit)]
        spots = around + random.normal(0, 0.03, around.shape)
        spots = spots[_inside(spots, box)]
        kept.extend(map(tuple, spots[_green(spots)]))
        if len(kept) >= limit:
            break
    columns = {
        "species": "simulated oak",
        "scientificName": "simulated oak",
        "basisOfRecord": "SIMULATED",
        "license": "CC0_1_0",
    }
    table = pd.DataFrame(kept[:limit], columns=["decimalLongitude", "decimalLatitude"])
    points = _frame(table.assign(key=range(len(table)), **columns))
    points.attrs["source"] = "simulated"
    return points


def _url() -> str:
    return (os.environ.get("GEOSTACK_GBIF_URL") or GBIF_URL).rstrip("/")


def _pages(species_key: int, box: BBox, limit: int) -> list[dict[str, Any]]:
    west, south, east, north = box
    rows: dict[Any, dict[str, Any]] = {}
    offset = 0
    while len(rows) < limit and offset < MAX_OFFSET:
        if offset:
            time.sleep(PAUSE)
        page = get_json(
            f"{_url()}/occurrence/search",
            {
                "taxonKey": int(species_key),
                "decimalLongitude": f"{west},{east}",
                "decimalLatitude": f"{south},{north}",
                "hasCoordinate": "true",
                "hasGeospatialIssue": "false",
                "limit": min(PAGE_SIZE, limit - len(rows), MAX_OFFSET - offset),
                "offset": offset,
            },
        )
        found = page.get("results", [])
        rows.update((row["key"], row) for row in found)
        offset += len(found)
        if page.get("endOfRecords", True) or not found:
            break
    return list(rows.values())[:limit]


def _frame(table: pd.DataFrame) -> gpd.GeoDataFrame:
    import geopandas as gpd
    import pandas as pd

    table = table.reindex(columns=["decimalLongitude", "decimalLatitude", *COLUMNS])
    places = table[["decimalLongitude", "decimalLatitude"]].apply(pd.to_numeric, errors="coerce")
    places = places.dropna()
    points = gpd.points_from_xy(places["decimalLongitude"], places["decimalLatitude"])
    columns = table.loc[places.index, list(COLUMNS)].rename(columns=COLUMNS)
    columns["key"] = pd.to_numeric(columns["key"]).astype("Int64")
    # A date range ("2019-05-01/2019-05-03") counts by its start.
    start = columns["date"].astype("string").str.split("/").str[0].str.slice(0, 10)
    columns["date"] = pd.to_datetime(start, errors="coerce", format="%Y-%m-%d")
    text = ("species", "scientific_name", "basis", "license")
    columns = columns.astype(dict.fromkeys(text, "string"))
    return gpd.GeoDataFrame(columns.reset_index(drop=True), geometry=points, crs="EPSG:4326")


def _inside(spots: NDArray[np.float64], box: BBox) -> NDArray[np.bool_]:
    west, south, east, north = box
    return np.asarray(((spots > (west, south)) & (spots < (east, north))).all(axis=1))


def _green(spots: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each (lon, lat) is vegetation; true where no simulated scene says otherwise."""
    from rasterio.transform import rowcol
    from rasterio.warp import transform

    from geostack.loaders.sentinel2 import load_s2_chip

    green, here = np.ones(len(spots), dtype=bool), _inside(spots, LAKE_TAHOE_BBOX)
    if here.any():
        scene = load_s2_chip(bands=("SCL",), source="simulated")
        x, y = transform("EPSG:4326", scene.crs, *spots[here].T)
        at = np.clip(rowcol(scene.transform, x, y), 0, [[n - 1] for n in scene.shape[1:]])
        green[here] = scene.values[0][tuple(at)] == _SCL_VEGETATION
    return green
