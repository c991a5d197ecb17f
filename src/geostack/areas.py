"""The places that the notebooks visit, as boxes in degrees and Sentinel-2 tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geostack.request import BBox

LAKE_TAHOE_BBOX: BBox = (-120.10, 38.92, -119.93, 39.27)
LAKE_TAHOE_TILE = "10SGJ"
CALDOR_BBOX: BBox = (-120.30, 38.55, -119.95, 38.95)
CALDOR_TILE = "10SGH"
LISBON_BBOX: BBox = (-9.30, 38.65, -9.05, 38.85)
LISBON_TILE = "29SMC"
SOUTH_TYROL_BBOX: BBox = (11.282, 46.462, 11.400, 46.523)
SOUTH_TYROL_TILE = "32TPS"


@dataclass(frozen=True)
class Area:
    """A named place: where it is, which Sentinel-2 tile shows it, and when to look.

    Parameters
    ----------
    name
        As `geostack archive fetch` takes it.
    bbox
        (west, south, east, north), degrees.
    tile
        MGRS tile of Sentinel-2, without the leading T.
    date_range
        The dates that the notebooks use, `start/end`, both days included.

    Examples
    --------
    >>> AREAS["lake-tahoe"].tile
    '10SGJ'
    """

    name: str
    bbox: BBox
    tile: str
    date_range: str


AREAS: dict[str, Area] = {
    area.name: area
    for area in (
        Area("lake-tahoe", LAKE_TAHOE_BBOX, LAKE_TAHOE_TILE, "2024-06-01/2024-07-15"),
        Area("caldor", CALDOR_BBOX, CALDOR_TILE, "2021-08-01/2021-11-30"),
        Area("lisbon", LISBON_BBOX, LISBON_TILE, "2024-06-01/2024-07-31"),
        Area("south-tyrol", SOUTH_TYROL_BBOX, SOUTH_TYROL_TILE, "2022-06-01/2022-06-30"),
    )
}


def area(name: str) -> Area:
    """Return the area called `name`; `lake_tahoe` and `Lake Tahoe` mean `lake-tahoe`.

    Parameters
    ----------
    name
        A key of `AREAS`, in any case.

    Returns
    -------
    The area.

    Raises
    ------
    ValueError
        When there is no such area; the message lists those there are.

    Examples
    --------
    >>> area("lake_tahoe").tile
    '10SGJ'
    """
    key = name.strip().lower().replace("_", "-").replace(" ", "-")
    if key not in AREAS:
        raise ValueError(f"no area is called {name!r}; known areas: {', '.join(AREAS)}")
    return AREAS[key]
