"""The areas that are simulated, and what each holds: known without building anything."""

from __future__ import annotations

from dataclasses import dataclass

VERSION = "1"
"""Part of the folder's name: raised whenever a pixel or an item changes, so caches are rebuilt."""

Box = tuple[float, float, float, float]

LAKE_TAHOE_BBOX: Box = (-120.10, 38.92, -119.93, 39.27)
CALDOR_BBOX: Box = (-120.30, 38.55, -119.95, 38.95)
FULL_TILE_BBOX: Box = (-120.6994, 38.7065, -119.3876, 39.7269)
"""The box around tile 10SGJ's outline."""


@dataclass(frozen=True)
class SimulatedArea:
    """A simulated place: `bbox` is (west, south, east, north) in degrees.

    `tiles` are MGRS tiles, empty for collections that have none; `date_ranges` are STAC-like
    closed ranges of the acquisitions; the pixels cover `bbox` and a margin.
    """

    name: str
    bbox: Box
    epsg: int
    collections: tuple[str, ...]
    date_ranges: tuple[str, ...]
    tiles: tuple[str, ...] = ()
    title: str = ""

    @property
    def tile(self) -> str | None:
        """The first MGRS tile, or None."""
        return self.tiles[0] if self.tiles else None

    @property
    def folder(self) -> str:
        """The name of the area's folder in the cache, with the simulation's version."""
        return f"{self.name}-v{VERSION}"


_ALL = (
    SimulatedArea(
        "lake-tahoe", LAKE_TAHOE_BBOX, 32610, ("sentinel-2-l2a",), ("2024-06-01/2024-07-31",),
        ("10SGJ",), "Lake Tahoe, summer 2024, 22 acquisitions",
    ),
    SimulatedArea(
        "caldor", CALDOR_BBOX, 32610, ("sentinel-2-l2a",),
        ("2021-08-09/2021-08-09", "2021-11-12/2021-11-12"),
        ("10SGH", "10SGJ"), "Caldor Fire, before and after, August and November 2021",
    ),
    SimulatedArea(
        "full-tile", FULL_TILE_BBOX, 32610, ("sentinel-2-l2a",), ("2024-08-13/2024-08-13",),
        ("10SGJ",), "the whole of tile 10SGJ, every pixel filled, red and near infrared",
    ),
)  # fmt: skip

AREAS: dict[str, SimulatedArea] = {area.name: area for area in _ALL}
