"""Species occurrences from GBIF, the Global Biodiversity Information Facility."""

from __future__ import annotations

import logging
import os
import re
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np

from geostack.areas import LAKE_TAHOE_BBOX
from geostack.request import BBox, as_bbox, as_count, halves
from geostack.sources import Source, source_name
from geostack.sources.archive import archived_file, needed_file
from geostack.web import first_that_answers, get_json

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

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
    `basis`, `license`; empty but typed when there is none. `date` is the first day of what a record
    says ("2019-05", "1928", "2019-05-01/03"). `attrs["source"]` says where from, and
    `attrs["skipped"]` which occurrences lack a place on the globe.

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
        points = read_gbif_download(path)
        spots = np.column_stack([points.geometry.x, points.geometry.y])
        points = points[_inside(spots, box)].head(limit).reset_index(drop=True)
    elif name == "planetary-computer":
        if limit > MAX_OFFSET:
            raise ValueError(
                f"GBIF's search gives at most {MAX_OFFSET:,} occurrences, limit is {limit:,}; for "
                "more put a download from gbif.org into the archive as gbif/KEY.zip"
            )
        rows: dict[Any, dict[str, Any]] = {}
        for half in halves(box):
            rows.update(_pages(species_key, half, limit - len(rows)))
        points = _frame(pd.DataFrame(list(rows.values())[:limit]))
    else:
        points = simulated_points(box, limit, seed=species_key)
    points.attrs["source"] = "gbif" if name == "planetary-computer" else name
    return points


def read_gbif_download(path: str | Path) -> gpd.GeoDataFrame:
    r"""Return the occurrences of a GBIF download: simple CSV or Darwin Core archive, zipped or not.

    Columns may come in any order and case. Tables of GBIF are tab-separated and quote nothing;
    those that another program wrote with commas, or with quotes, are read, too.

    Parameters
    ----------
    path
        A `.zip`, or the table in it.

    Returns
    -------
    Points and columns as `load_gbif_points` has them. `attrs["skipped"]` lists the rows that are
    left out, as (key, reason): those whose coordinates are missing or out of range.

    Raises
    ------
    ValueError
        For a file without a table of occurrences; the message says what it holds.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
    ...     _ = file.write("gbifID\tdecimalLongitude\tdecimalLatitude\n7\t-120.1\t39.2\n")
    ...     file.flush()
    ...     int(read_gbif_download(file.name)["key"].iloc[0])
    7
    """
    if not zipfile.is_zipfile(path):
        with open(path, "rb") as file:
            return _frame(_table(file, str(path)))
    with zipfile.ZipFile(path) as archive:
        name = _occurrences(archive, str(path))
        with archive.open(name) as file:
            return _frame(_table(file, f"{path}/{name}"))


def _occurrences(archive: zipfile.ZipFile, path: str) -> str:
    """Return the name of the table of occurrences among the files of a download."""
    names = [name for name in archive.namelist() if not name.startswith(("__MACOSX/", "."))]
    tables = [name for name in names if name.lower().endswith((".csv", ".txt", ".tsv"))]
    # A Darwin Core archive has further tables: verbatim.txt, multimedia.txt, citations.txt.
    core = [name for name in tables if name.lower().split("/")[-1] == "occurrence.txt"]
    if not core and len(tables) > 1:
        core = [name for name in tables if _has_places(archive, name)]
    chosen = core or tables
    if len(chosen) != 1:
        raise ValueError(
            f"{path} holds {len(chosen)} tables of occurrences, not one: "
            f"{', '.join(names) or 'no file at all'}; give a GBIF download as simple "
            "CSV or Darwin Core archive, or the table itself"
        )
    return chosen[0]


def _has_places(archive: zipfile.ZipFile, name: str) -> bool:
    with archive.open(name) as file:
        return b"decimallatitude" in file.readline().lower()


def _table(file: IO[bytes], path: str) -> pd.DataFrame:
    """Return a table of occurrences with GBIF's own names."""
    import pandas as pd

    header = file.readline().decode("utf-8-sig", "replace")
    if not header.strip():
        raise ValueError(f"{path} is empty: a GBIF table begins with the names of its columns")
    file.seek(0)
    tab = "\t" in header
    # In GBIF's own tables a quote is a character like any other: csv's QUOTE_NONE is 3.
    quoting: Literal[0, 3] = 3 if tab and not header.startswith('"') else 0
    separator = "\t" if tab else ";" if header.count(";") > header.count(",") else ","
    table = pd.read_csv(
        file, sep=separator, quoting=quoting, encoding="utf-8-sig", low_memory=False
    )
    held: dict[str, str] = {}
    for column in table.columns:
        held.setdefault(str(column).strip().lower(), column)
    wanted = {name.lower(): name for name in (*_PLACE, *COLUMNS)} | {"gbifid": "key"}
    table = table.rename(columns={held[low]: name for low, name in wanted.items() if low in held})
    missing = [name for name in _PLACE if name not in table.columns]
    if missing:
        have = ", ".join(map(str, table.columns[:_NAMED])) + ", ..." * (len(held) > _NAMED)
        raise ValueError(f"{path} has no column {', '.join(missing)}; it has {have}")
    return table.loc[:, ~table.columns.duplicated()]


_PLACE = ["decimalLongitude", "decimalLatitude"]
_NAMED = 12
"""Columns that a message names."""


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
    east += 360 * (west > east)
    parents = random.uniform((west, south), (east, north), (max(3, limit // 15), 2))
    kept: list[tuple[float, float]] = []
    for _ in range(100):
        around = parents[random.integers(0, len(parents), 4 * limit)]
        spots = around + random.normal(0, 0.03, around.shape)
        spots[:, 0] -= 360 * (spots[:, 0] > 180)
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


def _pages(species_key: int, box: BBox, limit: int) -> dict[Any, dict[str, Any]]:
    west, south, east, north = box
    rows: dict[Any, dict[str, Any]] = {}
    offset = 0
    while len(rows) < limit and offset < MAX_OFFSET:
        if offset:
            time.sleep(PAUSE)
        found, is_last = get_json(
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
            lambda page: (
                [(row["key"], row) for row in page.get("results", [])],
                page.get("endOfRecords", True),
            ),
        )
        rows.update(found)
        offset += len(found)
        if is_last or not found:
            break
    return rows


def _frame(table: pd.DataFrame) -> gpd.GeoDataFrame:
    import geopandas as gpd
    import pandas as pd

    table = table.reindex(columns=[*_PLACE, *COLUMNS])
    places = table[_PLACE].apply(pd.to_numeric, errors="coerce")
    why = pd.Series(pd.NA, index=places.index, dtype="string")
    why[(places.abs() > [180, 90]).any(axis=1)] = "coordinates out of range"
    why[places.isna().any(axis=1)] = "no coordinates"
    skipped = why.dropna()
    places = places.drop(index=skipped.index)
    points = gpd.points_from_xy(places["decimalLongitude"], places["decimalLatitude"])
    columns = table.loc[places.index, list(COLUMNS)].rename(columns=COLUMNS)
    columns["key"] = pd.to_numeric(columns["key"], errors="coerce").astype("Int64")
    # Years alone came as numbers, with ".0" where others were missing.
    dates = columns["date"].astype("string").str.removesuffix(".0")
    first = {text: _first_day(text) for text in dates.dropna().unique()}
    columns["date"] = dates.map(first).astype("datetime64[us]")
    text = ("species", "scientific_name", "basis", "license")
    columns = columns.astype(dict.fromkeys(text, "string"))
    frame = gpd.GeoDataFrame(columns.reset_index(drop=True), geometry=points, crs="EPSG:4326")
    frame.attrs["skipped"] = list(zip(table.loc[skipped.index, "key"], skipped, strict=True))
    if len(skipped):
        counts = ", ".join(f"{n} with {why}" for why, n in skipped.value_counts().items())
        logger.warning("left out %d of %d occurrences: %s", len(skipped), len(table), counts)
    return frame


def _first_day(text: str) -> np.datetime64:
    """Return the first day of what a text names, where it was observed; NaT for no date."""
    from geocatalog.errors import CatalogError
    from geocatalog.interval import OPEN_START, pack_time

    local = re.sub(r"(T[\d:.,]+)(Z|[+-]\d\d(:?\d\d)?)", r"\1", text.strip())
    # Some write an unknown day or month as 00.
    whole = re.sub(r"(-00)+(?=$|/)", "", local)
    for form in (whole, text.split("/")[0].strip()[:10]):
        try:
            start = pack_time(form)[0]
        except CatalogError:
            continue
        if start != OPEN_START:
            return np.datetime64(start, "us").astype("datetime64[D]")
    return np.datetime64("NaT")


def _inside(spots: NDArray[np.float64], box: BBox) -> NDArray[np.bool_]:
    """Whether each (lon, lat) lies in a box, edges included."""
    parts = [((spots >= half[:2]) & (spots <= half[2:])).all(axis=1) for half in halves(box)]
    return np.any(parts, axis=0)


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
