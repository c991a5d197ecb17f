"""What a loader asks of a source."""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from geostack.boxes import BBox, as_bbox, format_bbox
from geostack.dates import Interval, parse_date_range

_TILE = re.compile(r"^T?(\d{1,2}[C-HJ-NP-X][A-HJ-NP-Z]{2})$")


@dataclass(frozen=True)
class Request:
    """One question to a source: which scenes of a collection, where, when, how clear.

    Make it with `Request.of`, which checks every part.

    Examples
    --------
    >>> Request.of("sentinel-2-l2a", (11.3, 46.4, 11.4, 46.5), "2022-06", tile="T32TPS").tile
    '32TPS'
    """

    collection: str
    bbox: BBox
    date_range: str
    tile: str | None = None
    max_cloud_cover: float | None = None
    assets: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        collection: str,
        bbox: Sequence[float],
        date_range: str,
        *,
        tile: str | None = None,
        max_cloud_cover: float | None = None,
        assets: Sequence[str] = (),
    ) -> Request:
        """Return a checked request.

        Raises
        ------
        ValueError
            For a box, date range, tile or cloud cover that can't be right.
        """
        if not collection or not isinstance(collection, str):
            raise ValueError(
                f"collection must be a name such as 'sentinel-2-l2a', got {collection!r}"
            )
        parse_date_range(date_range)
        return cls(
            collection,
            as_bbox(bbox),
            date_range,
            as_tile(tile),
            as_cloud_cover(max_cloud_cover),
            tuple(assets),
        )

    @property
    def interval(self) -> Interval:
        """First and last instant asked for, UTC."""
        return parse_date_range(self.date_range)

    def query(self) -> dict[str, Any]:
        """The keyword arguments of a source's `search` and `covers`, cloud cover apart."""
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

    Examples
    --------
    >>> as_cloud_cover(5)
    5.0
    """
    if max_cloud_cover is None:
        return None
    try:
        value = float(max_cloud_cover)
    except (TypeError, ValueError):
        value = -1.0
    if not 0 <= value <= 100:
        raise ValueError(
            f"max_cloud_cover is a percentage, 0 to 100, or None for any, got {max_cloud_cover!r}"
        )
    return value


def as_bands(bands: Sequence[str], known: Sequence[str], product: str) -> tuple[str, ...]:
    """Return band names as a tuple; a single name is one band.

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

    Raises
    ------
    ValueError
        For anything else; the message names the argument.

    Examples
    --------
    >>> as_count("limit", 50)
    50
    """
    try:
        count = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        count = int(value) if isinstance(value, float) and value.is_integer() else 0
    if count < 1:
        raise ValueError(f"{name} must be a positive whole number, got {value!r}")
    return count
