"""Boxes and outlines around the globe in whole degrees, and the plain count that judges them.

A place is the set of the one-degree cells in it, with longitudes modulo 360: there is no seam.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from shapely.geometry import GeometryCollection, LineString, MultiPolygon, Polygon, box, mapping


@dataclass(frozen=True)
class Place:
    """A box by its west side (-180..179), south side, width and height."""

    west: int
    south: int
    width: int
    height: int

    @property
    def north(self) -> int:
        return self.south + self.height

    @property
    def crosses(self) -> bool:
        return self.west + self.width > 180

    @property
    def rfc(self) -> list[float]:
        """As RFC 7946 writes it."""
        east = self.west + self.width - 360 * self.crosses
        return [self.west, self.south, east, self.north]

    def turned(self, by: int) -> list[float]:
        """Counted on, or from 0 to 360: west < east."""
        return [self.west + by, self.south, self.west + self.width + by, self.north]

    def cells(self) -> set[tuple[int, int]]:
        columns = range(self.west, self.west + self.width)
        return {(column % 360, row) for column in columns for row in range(self.south, self.north)}

    def split(self) -> MultiPolygon | Polygon:
        """The outline as RFC 7946 wants it, cut at 180."""
        west, south, east, north = self.rfc
        if not self.crosses:
            return box(west, south, east, north)
        return MultiPolygon([box(west, south, 180, north), box(-180, south, east, north)])

    def unsplit(self) -> Polygon:
        """One ring whose edges jump from one side of 180 to the other."""
        west, south, east, north = self.rfc
        return Polygon([(west, south), (east, south), (east, north), (west, north)])


def with_heights(bounds: list[float]) -> list[float]:
    """Six numbers, the heights in the third and the sixth place."""
    return [*bounds[:2], -50, *bounds[2:], 8000.5]


@st.composite
def places(draw: Any, most: int = 40) -> Place:
    """Boxes that often lie at 180 or at a pole."""
    west = draw(st.integers(-180, 179) | st.integers(-180, -170) | st.integers(165, 179))
    south = draw(st.integers(-90, 89) | st.sampled_from([-90, -89, 80, 89]))
    return Place(
        west,
        south,
        draw(st.integers(1, most)),
        draw(st.integers(1, min(20, 90 - south))),
    )


@st.composite
def written(draw: Any, place: Place) -> list[float]:
    """A box in one of the notations that mean the same."""
    ways = [place.rfc] + [place.turned(0)] * (place.west + place.width <= 360)
    ways += [place.turned(360)] if place.west < 0 and place.west + place.width <= 0 else []
    ways += [place.turned(-360)] if place.west >= 0 else []
    bounds = draw(st.sampled_from(ways))
    return with_heights(bounds) if draw(st.booleans()) else bounds


@st.composite
def item_places(draw: Any, place: Place) -> dict[str, Any]:
    """The `bbox` and `geometry` of a STAC item, as services and old archives write them."""
    whole = place.split()
    around = [-180, place.south, 180, place.north]
    counted = box(*place.turned(0))
    mixed = GeometryCollection([whole, LineString([(place.rfc[0], place.south)] * 2)])
    ways: list[tuple[Any, Any]] = [
        (draw(written(place)), mapping(whole)),
        (place.rfc, mapping(place.unsplit())),
        (place.turned(0), mapping(counted)),
        (place.rfc, None),
        (with_heights(place.rfc), {"type": "Polygon", "coordinates": [[[0, 0]]]}),
        (None, mapping(whole)),
        (None, mapping(mixed)),
        ([None] * 4, mapping(whole)),
        (place.rfc[:3], mapping(whole)),
        (place.rfc, mapping(mixed)),
    ]
    if place.crosses:
        ways.append((around, mapping(whole)))
    bounds, geometry = draw(st.sampled_from(ways))
    told = {} if bounds is None else {"bbox": bounds}
    return {**told, "geometry": geometry}
