"""Coordinate reference systems, coerced once and cached: making a pyproj CRS costs 100 us."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from geocatalog.errors import CatalogError


@lru_cache(maxsize=512)
def _parse(value: Any) -> CRS:
    try:
        return CRS.from_user_input(value)
    except CRSError as error:
        raise CatalogError(
            f"not a coordinate reference system: {value!r}; give an EPSG code such as 32610, "
            'a string such as "EPSG:32610", WKT, or a pyproj or rasterio CRS'
        ) from error


def as_crs(value: Any) -> CRS:
    """Return the pyproj CRS of an EPSG code, string, WKT, pyproj or rasterio CRS.

    Equal input gives the identical object, so that the usual comparison is `is`.

    Raises
    ------
    CatalogError
        When `value` describes no CRS.

    Examples
    --------
    >>> as_crs(32610) is as_crs(32610), as_crs("EPSG:32610") == as_crs(32610)
    (True, True)
    """
    if isinstance(value, CRS):
        return value
    if hasattr(value, "to_wkt"):
        value = value.to_wkt()
    return _parse(value)


def crs_text(crs: CRS) -> str:
    """Return the shortest faithful name: an authority code, or else WKT.

    Examples
    --------
    >>> crs_text(as_crs(32610))
    'EPSG:32610'
    """
    authority = crs.to_authority(min_confidence=100)
    return ":".join(authority) if authority else crs.to_wkt()


@lru_cache(maxsize=256)
def transformer(source: CRS, target: CRS) -> Transformer:
    """Return the cached x, y transformer from `source` to `target`.

    Examples
    --------
    >>> x, y = transformer(as_crs(4326), as_crs(32610)).transform(-123.0, 0.0)
    >>> round(x), round(y)
    (500000, 0)
    """
    return Transformer.from_crs(source, target, always_xy=True)
