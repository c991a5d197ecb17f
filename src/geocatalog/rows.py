"""One row of a catalog, whose values are taken from its table when they are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import shapely
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from geocatalog.errors import CatalogError
from geocatalog.footprint import Bounds, as_crs, crs_text, wrapped_bounds
from geocatalog.geoslice import GeoSlice
from geocatalog.interval import as_interval
from geocatalog.table import CORE_COLUMNS, is_known
from pipekit.carrier import same_crs


@dataclass(frozen=True)
class CatalogRow:
    """One file: where it is, what it covers, when; further columns in `extras`.

    `interval` is None for an undated file; `assets` maps asset keys to paths for a row made
    from several STAC assets, and is empty otherwise.

    Parameters
    ----------
    index
        The row's position in its catalog.
    filepath
        Path or URL of the file.
    start_time, end_time
        First and last instant, UTC; NaT where nothing is known.
    geometry
        Footprint in `crs`.
    crs
        Of the catalog.
    extras
        The other columns, name -> value.

    Examples
    --------
    >>> from shapely import box
    >>> footprint, extras = box(0, 0, 20, 10), {"resolution": 10.0}
    >>> row = CatalogRow(0, "a.tif", pd.NaT, pd.NaT, footprint, CRS(32610), extras)
    >>> row.bounds, row.slice().shape
    ((0.0, 0.0, 20.0, 10.0), (1, 2))
    """

    index: int
    filepath: str
    start_time: pd.Timestamp
    end_time: pd.Timestamp
    geometry: BaseGeometry
    crs: CRS
    extras: dict[str, Any] = field(default_factory=dict)

    @property
    def bounds(self) -> Bounds:
        """(west, south, east, north) of the footprint; NaN for one that is empty or missing."""
        west, south, east, north = shapely.bounds(self.geometry).tolist()
        return west, south, east, north

    @property
    def interval(self) -> pd.Interval | None:
        """Closed UTC interval, or None when undated."""
        ends = self.start_time, self.end_time
        return None if all(map(pd.isna, ends)) else as_interval(ends)

    @property
    def assets(self) -> dict[str, str]:
        """Paths by asset key, in band order."""
        found = self.extras.get("assets")
        # A column of that name need not be ours.
        return json.loads(found) if isinstance(found, str) and found.startswith("{") else {}

    @property
    def signer(self) -> str | None:
        """Who makes the token that the row's files need, by name; None where none is named."""
        found = self.extras.get("signer")
        return found if isinstance(found, str) else None

    @property
    def pixel_size(self) -> tuple[float, float] | None:
        """(x, y) of a pixel in units of the catalog's CRS, or None where that is not recorded."""
        size: Any = self.extras.get("resolution")
        native = self.extras.get("native_crs")
        elsewhere = isinstance(native, str) and not same_crs(as_crs(native), self.crs)
        if elsewhere or not is_known(size):
            return None
        height: Any = self.extras.get("resolution_y")
        return float(size), float(height if is_known(height) else size)

    @property
    def _own_grid(self) -> GeoSlice | None:
        """The file's own grid where the row holds it, in the file's CRS and not the catalog's."""
        move: Any = self.extras.get("proj:transform")
        size: Any = self.extras.get("proj:shape")
        native = self.extras.get("native_crs")
        if not (is_known(move) and is_known(size) and isinstance(native, str)):
            return None
        width, skew, west, turn, height, north = map(float, move)
        rows, columns = map(int, size)
        if skew or turn or width <= 0 or height >= 0:
            return None
        box = west, north + rows * height, west + columns * width, north
        return GeoSlice(box, self.interval, (width, -height), as_crs(native), anchor=(west, north))

    def slice(self, resolution: float | Sequence[float] | None = None) -> GeoSlice:
        """Return the row's box and interval, on the file's own pixel grid.

        It asks for this row's dates only: a series over its ground is loaded with
        `replace(row.slice(), interval=None)`, of `dataclasses`, or with the interval that is
        meant.

        Parameters
        ----------
        resolution
            Pixel size in units of the catalog's CRS, one number or (x, y); by default the row's
            own, when it was recorded in the catalog's CRS.

        Returns
        -------
        A slice whose pixel edges begin at the footprint's upper left corner; of a row that holds
        its file's grid (`proj:transform`, `proj:shape`) that grid, in the file's own CRS.

        Raises
        ------
        CatalogError
            Without a `resolution`, where the row has none in the catalog's CRS; and for a row
            without a footprint.
        """
        if self.geometry is None or self.geometry.is_empty:
            raise CatalogError(f"{self.filepath} has no footprint, so it has no slice")
        if resolution is None and (own := self._own_grid) is not None:
            return own
        # Across the antimeridian the bounds go once around the globe.
        box = wrapped_bounds(self.geometry) if self.crs.is_geographic else self.bounds
        size = self.pixel_size if resolution is None else resolution
        if size is None:
            raise CatalogError(
                f"{self.filepath} has no recorded resolution in {crs_text(self.crs)}; "
                "pass resolution= in units of the catalog's CRS"
            )
        return GeoSlice(box, self.interval, size, self.crs, anchor=(box[0], box[3]))

    def __getattr__(self, name: str) -> Any:
        # Asked for what is not there yet: rows of a catalog know their block and place in it.
        block = self.__dict__.get("_block")
        if block is None or name not in _FIELDS:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        value = block.value(name, self.__dict__["_at"])
        self.__dict__[name] = value
        return value

    def __getstate__(self) -> dict[str, Any]:
        # A row that travels takes its own values along, not the table.
        return {name: getattr(self, name) for name in _FIELDS}


_FIELDS = tuple(each.name for each in fields(CatalogRow))


class RowBlock:
    """Rows of a table that are read together: a column is taken when a first row asks for it.

    Parameters
    ----------
    arrays
        Columns of the table by name, core ones first.
    crs
        The CRS of the footprints.
    numbers
        (N,) row numbers in the table, or a slice of it.
    """

    def __init__(self, arrays: Mapping[str, Any], crs: CRS, numbers: np.ndarray | slice) -> None:
        self._arrays, self._crs, self._numbers = arrays, crs, numbers
        self._taken: dict[str, list[Any]] = {}

    @cached_property
    def _extras(self) -> dict[str, list[Any]]:
        names = (name for name in self._arrays if name not in CORE_COLUMNS)
        return {name: self._column(name) for name in names}

    def _column(self, name: str) -> list[Any]:
        found = self._taken.get(name)
        if found is None:
            found = self._taken[name] = self._arrays[name][self._numbers].tolist()
        return found

    def value(self, name: str, at: int) -> Any:
        """Return one field of one row.

        Parameters
        ----------
        name
            A field of `CatalogRow`.
        at
            Place of the row in the block.

        Returns
        -------
        What the table holds; for `extras` a new dict.
        """
        if name == "crs":
            return self._crs
        if name == "extras":
            return {each: column[at] for each, column in self._extras.items()}
        return self._column(name)[at]


_NEW = object.__new__

BLOCK_ROWS = 4096
"""Rows that take their columns together: many enough that a take's overhead vanishes."""


def rows_of(
    arrays: Mapping[str, Any], crs: CRS, numbers: np.ndarray | None, first: int = 0
) -> Iterator[CatalogRow]:
    """Yield rows of a table, block by block.

    Parameters
    ----------
    arrays
        Columns of the table by name, core ones first.
    crs
        The CRS of the footprints.
    numbers
        (N,) row numbers in the table, or None for all of its rows.
    first
        Number of the first row.

    Yields
    ------
    One row after the other, numbered from `first`.
    """
    count = len(arrays["filepath"]) if numbers is None else len(numbers)
    for start in range(0, count, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, count)
        part = slice(start, stop) if numbers is None else numbers[start:stop]
        block = RowBlock(arrays, crs, part)
        for at in range(stop - start):
            row = _NEW(CatalogRow)
            known = row.__dict__
            known["index"], known["_block"], known["_at"] = first + start + at, block, at
            yield row
