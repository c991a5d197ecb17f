"""What a loader asks of a source: which scenes, where, when; every part is checked here, once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pipekit.operator import checked_count, checked_number

BBox = tuple[float, float, float, float]
"""(west, south, east, north), degrees, EPSG:4326; west > east crosses the antimeridian."""


def as_bbox(bbox: Sequence[float]) -> BBox:
    """Return `bbox` as four floats (west, south, east, north) in degrees.

    Parameters
    ----------
    bbox
        (west, south, east, north), degrees, or six numbers with heights, as GeoJSON has them.
        West > east crosses the antimeridian; longitudes from 0 to 360 are the same place.

    Returns
    -------
    Longitudes in -180..180; west > east where the box crosses the antimeridian.

    Raises
    ------
    ValueError
        When it isn't four or six finite numbers, is in metres, reversed or empty.

    Examples
    --------
    >>> as_bbox([-120.1, 38.92, -119.93, 39.27])
    (-120.1, 38.92, -119.93, 39.27)
    >>> as_bbox([170, -20, 0, 190, -10, 300])
    (170.0, -20.0, -170.0, -10.0)
    """
    from geocatalog.footprint import degree_box

    box = west, south, east, north = degree_box(bbox)
    if 0 < west - east < _SURELY_SWAPPED:
        raise ValueError(
            f"bbox must have west < east, or cross the antimeridian, got west={west} and "
            f"east={east}, all but {west - east:g} degrees of the globe; the order is (west, "
            f"south, east, north); if that is meant, ask for ({west}, {south}, 180, {north}) and "
            f"(-180, {south}, {east}, {north})"
        )
    for low, high, start, end in ((south, north, "south", "north"), (west, east, "west", "east")):
        if low == high:
            raise ValueError(
                f"bbox must have {start} < {end}, got {start}={low} and {end}={high}; "
                "the order is (west, south, east, north)"
            )
    return box


_SURELY_SWAPPED = 90
"""Degrees: a box that leaves out less of the globe has its west and east swapped."""


def halves(bbox: BBox) -> list[BBox]:
    """Return the one box, or the two on either side of the antimeridian.

    Parameters
    ----------
    bbox
        (west, south, east, north), degrees; west > east crosses the antimeridian.

    Returns
    -------
    One or two boxes with west < east.

    Examples
    --------
    >>> halves((170.0, -20.0, -170.0, -10.0))
    [(170.0, -20.0, 180.0, -10.0), (-180.0, -20.0, -170.0, -10.0)]
    """
    from geocatalog.footprint import box_parts

    return box_parts(bbox)


def intersects(a: BBox, b: BBox) -> bool:
    """Return whether two boxes on the globe share more than an edge.

    Parameters
    ----------
    a, b
        (west, south, east, north), degrees; west > east crosses the antimeridian.

    Returns
    -------
    False for boxes that only touch.

    Examples
    --------
    >>> intersects((0, 0, 2, 2), (1, 1, 3, 3)), intersects((0, 0, 1, 1), (1, 0, 2, 1))
    (True, False)
    >>> intersects((179, 0, -179, 1), (-180, 0, -179.5, 1))
    True
    """
    return any(
        one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
        for one in halves(a)
        for other in halves(b)
    )


def contains(outer: BBox, inner: BBox, tolerance: float = 0.0) -> bool:
    """Return whether `outer` holds all of `inner`, give or take `tolerance` degrees.

    Parameters
    ----------
    outer, inner
        (west, south, east, north), degrees; west > east crosses the antimeridian.
    tolerance
        Degrees by which `inner` may reach beyond `outer`.

    Returns
    -------
    Whether it does.

    Examples
    --------
    >>> contains((0, 0, 2, 2), (0.5, 0.5, 2, 2)), contains((0, 0, 2, 2), (1, 1, 3, 3))
    (True, False)
    """
    from geocatalog.footprint import box_outline

    grown = box_outline(outer).buffer(tolerance, join_style="mitre")
    return bool(grown.covers(box_outline(inner)))


def format_bbox(bbox: Sequence[float]) -> str:
    """Return a box as short text for messages.

    Parameters
    ----------
    bbox
        (west, south, east, north), degrees, or metres of a projection.

    Returns
    -------
    Six digits for each side in degrees, whole metres.

    Examples
    --------
    >>> format_bbox((-120.1, 38.92, -119.93, 39.27))
    '(-120.1, 38.92, -119.93, 39.27)'
    """
    sides = (f"{side:.0f}" if abs(side) > 360 else f"{side:.6g}" for side in bbox)
    return f"({', '.join(sides)})"


Interval = tuple[datetime | None, datetime | None]
"""Start and end, both included, UTC; None is open."""

_ACCEPTED = "'2024-06-01/2024-07-15', '2024-06-01', '2024-06', '2024' or '2024-06-01/..'"
_SHORT = re.compile(r"-\d(?!\d)")
"""A month or a day of one digit, which may be meant in another order."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_date_range(date_range: str) -> Interval:
    """Return the first and last instant that `date_range` includes.

    Parameters
    ----------
    date_range
        `start/end`, or one date; a date may be a day, a month, a year or a full ISO time, and an
        end may be `..` (open). Both ends are included whole: `2024-07-15` reaches to its last
        microsecond.

    Returns
    -------
    (start, end), UTC; None where it is open.

    Raises
    ------
    ValueError
        When it can't be read, or ends before it starts.

    Examples
    --------
    >>> start, end = parse_date_range("2024-06-01/2024-07-15")
    >>> start.isoformat(), end.isoformat()
    ('2024-06-01T00:00:00+00:00', '2024-07-15T23:59:59.999999+00:00')
    """
    from geocatalog.errors import CatalogError
    from geocatalog.interval import OPEN_END, OPEN_START, pack_time

    is_text = isinstance(date_range, str) and date_range.strip()
    if not is_text or _SHORT.search(date_range):
        raise ValueError(f"date_range must be text such as {_ACCEPTED}, got {date_range!r}")
    first, _, second = date_range.partition("/")
    try:
        start, end = pack_time(first)[0], pack_time(second if "/" in date_range else first)[1]
    except CatalogError as error:
        raise ValueError(
            f"date_range must look like {_ACCEPTED}, got {date_range!r}: {error}"
        ) from None
    if end < start:
        raise ValueError(f"date_range ends before it starts: {date_range!r}")
    return (
        None if start == OPEN_START else _EPOCH + timedelta(microseconds=start),
        None if end == OPEN_END else _EPOCH + timedelta(microseconds=end),
    )


def format_interval(interval: Interval) -> str:
    """Return an interval as STAC's `datetime` parameter.

    Parameters
    ----------
    interval
        (start, end); None is open.

    Returns
    -------
    RFC 3339, `..` where it is open.

    Examples
    --------
    >>> format_interval(parse_date_range("2024-06-01/.."))
    '2024-06-01T00:00:00Z/..'
    """
    return "/".join(".." if instant is None else as_text(instant) for instant in interval)


def as_text(instant: datetime) -> str:
    """Return an instant as STAC writes it.

    Parameters
    ----------
    instant
        UTC where it has no zone.

    Returns
    -------
    RFC 3339, in UTC.

    Examples
    --------
    >>> as_text(datetime(2024, 6, 14, 18, 39, 19, tzinfo=UTC))
    '2024-06-14T18:39:19Z'
    """
    return as_utc(instant).isoformat().replace("+00:00", "Z")


def overlaps(one: Interval, other: Interval) -> bool:
    """Return whether two intervals share an instant.

    Parameters
    ----------
    one, other
        (start, end), both included; None is open, an instant without a zone is UTC.

    Returns
    -------
    Whether they do; open ends reach for ever.

    Examples
    --------
    >>> overlaps((datetime(2020, 12, 1), datetime(2020, 12, 31)), parse_date_range("2020-12-09"))
    True
    """
    starts = [as_utc(start) for start, _ in (one, other) if start is not None]
    ends = [as_utc(end) for _, end in (one, other) if end is not None]
    return not starts or not ends or max(starts) <= min(ends)


def as_utc(instant: datetime) -> datetime:
    """Return `instant` in UTC; one without a zone is taken as UTC.

    Parameters
    ----------
    instant
        With or without a zone.

    Returns
    -------
    With the zone UTC.

    Examples
    --------
    >>> as_utc(datetime(2024, 6, 14)).isoformat()
    '2024-06-14T00:00:00+00:00'
    """
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def distance(instant: datetime, interval: Interval) -> timedelta:
    """Return how far `instant` lies outside `interval`; zero inside.

    Parameters
    ----------
    instant
        UTC where it has no zone.
    interval
        (start, end); None is open.

    Returns
    -------
    Not negative.

    Examples
    --------
    >>> distance(datetime(2024, 7, 2), parse_date_range("2024-07-03/2024-07-05")).days
    1
    """
    (start, end), instant, none = interval, as_utc(instant), timedelta(0)
    return max(start - instant if start else none, instant - end if end else none, none)


def nearest_first(instants: Iterable[datetime], date_range: str) -> list[datetime]:
    """Return instants, each once, from the nearest to a date range to the farthest.

    Parameters
    ----------
    instants
        With a zone.
    date_range
        As `parse_date_range` takes it.

    Returns
    -------
    Equally far ones in order of time.

    Examples
    --------
    >>> days = [datetime(2024, 6, day, tzinfo=UTC) for day in (1, 8, 9, 8)]
    >>> [instant.day for instant in nearest_first(days, "2024-06-09/2024-06-12")]
    [9, 8, 1]
    """
    interval = parse_date_range(date_range)
    return sorted(set(instants), key=lambda instant: (distance(instant, interval), instant))


_TILE = re.compile(r"^T?(\d{1,2}[C-HJ-NP-X][A-HJ-NP-Z]{2})$")


class Request:
    """One question to a source: which scenes of a collection, where, when, how clear.

    Parameters
    ----------
    collection
        Such as "sentinel-2-l2a".
    bbox
        (west, south, east, north), degrees.
    date_range
        As `parse_date_range` takes it.
    tile
        MGRS tile, such as "10SGJ"; None for any.
    max_cloud_cover
        Percent; None for any.
    assets
        Keys that the scenes must have.
    item
        The id of the one scene asked for; None for any.

    Attributes
    ----------
    interval : tuple of datetime or None
        First and last instant asked for, UTC.

    Raises
    ------
    ValueError
        For a collection, box, date range, tile or cloud cover that can't be right.

    Examples
    --------
    >>> Request("sentinel-2-l2a", (11.3, 46.4, 11.4, 46.5), "2022-06", tile="T32TPS").tile
    '32TPS'
    """

    def __init__(
        self,
        collection: str,
        bbox: Sequence[float],
        date_range: str,
        *,
        tile: str | None = None,
        max_cloud_cover: float | None = None,
        assets: Sequence[str] = (),
        item: str | None = None,
    ) -> None:
        if not collection or not isinstance(collection, str):
            raise ValueError(
                f"collection must be a name such as 'sentinel-2-l2a', got {collection!r}"
            )
        self.collection = collection
        self.bbox = as_bbox(bbox)
        self.date_range = date_range
        self.interval = parse_date_range(date_range)
        self.tile = as_tile(tile)
        self.max_cloud_cover = as_cloud_cover(max_cloud_cover)
        self.assets = tuple(assets)
        self.item = item

    def query(self) -> dict[str, Any]:
        """Return the keyword arguments of a source's `search` and `covers`, cloud cover apart.

        Returns
        -------
        `collection`, `bbox`, `date_range` and `tile`.
        """
        return {
            "collection": self.collection,
            "bbox": self.bbox,
            "date_range": self.date_range,
            "tile": self.tile,
        }

    def __str__(self) -> str:
        parts = [self.collection, f"box {format_bbox(self.bbox)}", self.date_range]
        if self.tile:
            parts.append(f"tile {self.tile}")
        if self.max_cloud_cover is not None:
            parts.append(f"at most {self.max_cloud_cover:g} % cloud")
        return ", ".join(parts)


def as_tile(tile: str | None) -> str | None:
    """Return an MGRS tile without its leading T or zero, as Sentinel-2 items write it.

    Parameters
    ----------
    tile
        With or without the T, in any case; None for any.

    Returns
    -------
    Five characters, or None.

    Raises
    ------
    ValueError
        When it is no tile of MGRS.

    Examples
    --------
    >>> as_tile("T10SGJ"), as_tile(None)
    ('10SGJ', None)
    """
    if tile is None:
        return None
    match = _TILE.match(str(tile).strip().upper())
    if match is None:
        raise ValueError(f"tile must be an MGRS tile such as '10SGJ', got {tile!r}")
    return match.group(1).zfill(5)


def as_cloud_cover(max_cloud_cover: float | None) -> float | None:
    """Return a cloud cover limit in percent, or None for no limit.

    Parameters
    ----------
    max_cloud_cover
        Percent, or None.

    Returns
    -------
    Percent, or None.

    Raises
    ------
    ValueError
        When it isn't 0 to 100.

    Examples
    --------
    >>> as_cloud_cover(5)
    5.0
    """
    if max_cloud_cover is None:
        return None
    also = " percent, or None for any"
    return float(checked_number(max_cloud_cover, "max_cloud_cover", 0, 100, unit=also))


def as_bands(bands: Sequence[str], known: Sequence[str], product: str) -> tuple[str, ...]:
    """Return band names as a tuple; a single name is one band.

    Parameters
    ----------
    bands
        One name or several.
    known
        The names there are.
    product
        Named in the message.

    Returns
    -------
    At least one name, in the order asked for.

    Raises
    ------
    ValueError
        For no band, a repeated or an unknown one; the message lists the known ones.

    Examples
    --------
    >>> as_bands("red", ("red", "nir"), "NAIP")
    ('red',)
    """
    names = (bands,) if isinstance(bands, str) else tuple(bands)
    if not names:
        raise ValueError(f"bands must name at least one of {', '.join(known)}")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f"unknown {product} band {', '.join(map(repr, unknown))}; "
            f"known bands: {', '.join(known)}"
        )
    if len(set(names)) < len(names):
        raise ValueError(f"bands must be different, got {', '.join(names)}")
    return names


def as_count(name: str, value: float) -> int:
    """Return an argument that counts something as a whole number, at least 1.

    Parameters
    ----------
    name
        Of the argument, for the message.
    value
        A whole number; 50.0 is one.

    Returns
    -------
    At least 1.

    Raises
    ------
    ValueError
        For anything else; the message names the argument.

    Examples
    --------
    >>> as_count("limit", 50)
    50
    """
    whole = isinstance(value, float) and value.is_integer()
    return int(checked_count(int(value) if whole else value, name))
