"""Zones on pixel grids: the pixels that each polygon covers, and by which share.

Grids whose pixels lie in one another's lines share a lattice: Sentinel-2's tiles of one UTM zone
do. On a lattice a zone's pixels are found once, whatever tiles and dates it is seen in.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from shapely.affinity import translate

from geocatalog.footprint import as_crs, crs_text, cut_at_180, mended, reproject
from geocatalog.grid import crs_of, pixel_grid
from geocatalog.table import extent_of
from geopatcher.axes.polygon import cell_runs
from geotoolz.vectors import check_shapes

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

_DEGREES = "EPSG:4326"
_KINDS = ("Polygon", "MultiPolygon", "GeometryCollection")

_ROUNDING = 1e-6
"""Pixels: corners nearer than this to a line between pixels lie on it. What a zone covers beyond by
rounding, of a lattice's place or on the way to another CRS, would show in `min` and `max`."""

Numbers = NDArray[np.intp]


@dataclass(frozen=True)
class Lattice:
    """The lines between pixels, without an end: a CRS, and a transform near its origin.

    Parameters
    ----------
    crs
        As text.
    transform
        From (col, row) to (x, y); its offset is less than a pixel.
    """

    crs: str
    transform: Affine

    def grid(self, row: int, col: int, rows: int, cols: int) -> GeoBox:
        """Return a window of the lattice.

        Parameters
        ----------
        row, col
            Of its upper left pixel.
        rows, cols
            Its size.

        Returns
        -------
        The grid.
        """
        return pixel_grid(self.crs, self.transform @ Affine.translation(col, row), (rows, cols))


class Window(NamedTuple):
    """Pixels of a lattice that a raster has: rows [top, bottom), columns [left, right)."""

    top: int
    left: int
    bottom: int
    right: int

    def meets(self, other: Window) -> bool:
        """Return whether two windows share pixels.

        Parameters
        ----------
        other
            Of the same lattice.

        Returns
        -------
        bool
        """
        beside = self.right <= other.left or other.right <= self.left
        return not (beside or self.bottom <= other.top or other.bottom <= self.top)


def lattice_of(grid: GeoBox) -> tuple[Lattice, Window]:
    """Return the lattice of a grid, north up, and where on it the grid lies.

    Parameters
    ----------
    grid
        Any grid, whichever way up.

    Returns
    -------
    Lattice and window; grids whose pixels lie in one another's lines to a millionth have the same
    lattice.

    Examples
    --------
    >>> tile = pixel_grid(32631, Affine(10, 0, 499_980, 0, 10, 5_600_000), (50, 40))
    >>> lattice, window = lattice_of(tile)
    >>> lattice.transform.e, window
    (-10.0, Window(top=-560050, left=49998, bottom=-560000, right=50038))
    """
    t, (rows, cols) = grid.transform, grid.shape.yx
    if not (t.b or t.d):
        flip = Affine(
            -1 if t.a < 0 else 1, 0, cols if t.a < 0 else 0,
            0, -1 if t.e > 0 else 1, rows if t.e > 0 else 0,
        )  # fmt: skip
        t = t @ flip
    linear = Affine(t.a, t.b, 0, t.d, t.e, 0)
    u, v = ~linear @ (t.c, t.f)
    first = round(u % 1, 6) % 1, round(v % 1, 6) % 1
    x, y = linear @ first
    left, top = round(u - first[0]), round(v - first[1])
    lattice = Lattice(crs_text(crs_of(grid)), Affine(t.a, t.b, x, t.d, t.e, y))
    return lattice, Window(top, left, top + rows, left + cols)


class Cells(NamedTuple):
    """Pixels of some zones on a lattice, one zone after the other.

    Parameters
    ----------
    zones
        (z,) numbers of the zones; none is without pixels.
    starts
        (z,) where the pixels of each begin.
    rows, cols
        (n,) on the lattice.
    weights
        (n,) share of each pixel that the zone covers, above 0, at most 1.
    room
        (z,) pixels in the zone's whole area.
    """

    zones: Numbers
    starts: Numbers
    rows: Numbers
    cols: Numbers
    weights: NDArray[np.float64]
    room: NDArray[np.float64]

    def part(self, first: int, last: int) -> Cells:
        """Return the zones from one place in the list to another.

        Parameters
        ----------
        first, last
            Positions among `zones`; the last is not included.

        Returns
        -------
        Their cells.
        """
        ends = np.append(self.starts, len(self.rows))
        inner, outer = slice(ends[first], ends[last]), slice(first, last)
        pixels = self.rows[inner], self.cols[inner], self.weights[inner]
        return Cells(self.zones[outer], self.starts[outer] - ends[first], *pixels, self.room[outer])


class Zones:
    """Polygons by name; what they cover on a lattice is found once for each, and remembered.

    Parameters
    ----------
    polygons
        A GeoDataFrame or GeoSeries with a CRS; its index names them. Invalid ones are mended;
        empty and missing ones stay, and cover nothing.

    Raises
    ------
    TypeError
        For another type, or a geometry that has no area.
    ValueError
        Without a CRS, for two polygons of one name, or names of several levels.
    CatalogError
        For a coordinate that is not finite.

    Examples
    --------
    >>> import geopandas as gpd
    >>> zones = Zones(gpd.GeoSeries([shapely.box(0, 0, 15, 10)], index=["a"], crs=32631))
    >>> lattice = Lattice("EPSG:32631", Affine(10, 0, 0, 0, -10, 0))
    >>> zones.cells(lattice, Window(-9, 0, 9, 9), np.array([0])).weights
    array([1. , 0.5])
    """

    def __init__(self, polygons: Any) -> None:
        check_shapes(polygons, "polygons")
        self._polygons, self.names = polygons.geometry, polygons.index
        if self.names.nlevels > 1:
            raise ValueError(
                "the index names the polygons by one label each, got several levels; use "
                "polygons.reset_index(drop=True)"
            )
        if not self.names.is_unique:
            twice = self.names[self.names.duplicated()][0]
            raise ValueError(f"the index names the polygons, and {twice!r} comes twice in it")
        self.crs = crs_text(as_crs(polygons.crs))
        shapes = np.array(polygons.geometry.to_numpy(), dtype=object)
        for number, each in enumerate(shapes):
            if each is not None and not each.is_empty and each.geom_type not in _KINDS:
                raise TypeError(
                    f"polygons must be Polygons or MultiPolygons, {self.names[number]!r} is a "
                    f"{each.geom_type}; use .buffer(...) to give lines and points an area"
                )
        shapes = mended(shapes, [str(name) for name in self.names])
        self.shapes = np.where(shapely.is_missing(shapes), shapely.Polygon(), shapes)
        self._lock = threading.RLock()
        self._known: dict[Any, tuple[NDArray[Any], ...]] = {}
        self._moved: dict[str, dict[int, Any]] = {}

    def __len__(self) -> int:
        return len(self.shapes)

    def __reduce__(self) -> Any:
        return Zones, (self._polygons,)

    @cached_property
    def in_degrees(self) -> NDArray[Any]:
        """(Z,) in EPSG:4326, longitudes within -180 to 180."""
        moved = reproject(self.shapes, self.crs, _DEGREES)
        return np.array([within_180(each) for each in moved], object)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) around all, in degrees; of none the whole globe."""
        sides = shapely.bounds(self.in_degrees).reshape(-1, 4)
        return extent_of(sides) or (-180.0, -90.0, 180.0, 90.0)

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self.in_degrees)

    def near(self, outline: Any) -> Numbers:
        """Return the numbers of the zones that touch an outline.

        Parameters
        ----------
        outline
            In EPSG:4326.

        Returns
        -------
        Sorted numbers.
        """
        with self._lock:
            found = self._tree.query(within_180(outline), predicate="intersects")
        return np.sort(found)

    def on(self, lattice: Lattice, numbers: Sequence[int]) -> NDArray[Any]:
        """Return zones in the pixels of a lattice, x along columns.

        Parameters
        ----------
        lattice
            Where.
        numbers
            Of the zones.

        Returns
        -------
        (n,) shapely geometries.
        """
        known = self._moved.setdefault(lattice.crs, {})
        new = [number for number in numbers if number not in known]
        moved = list(reproject(self.shapes[new], self.crs, lattice.crs))
        if as_crs(lattice.crs).is_geographic:
            moved = [within_180(each) for each in moved]
        known.update(zip(new, moved, strict=True))
        return in_pixels(np.array([known[number] for number in numbers], object), lattice)

    def cells(
        self,
        lattice: Lattice,
        ground: Window,
        numbers: Numbers,
        parts: dict[int, Any] | None = None,
    ) -> Cells:
        """Return the pixels of zones that lie on a ground.

        Parameters
        ----------
        lattice
            Of the pixels.
        ground
            Pixels beyond it are left out.
        numbers
            Of the zones.
        parts
            Zones of which only a part counts, and that part, in the lattice's CRS.

        Returns
        -------
        Cells of the zones that have any; `room` is of whole zones.
        """
        parts = parts or {}
        with self._lock:
            keys = [self._key(lattice, ground, number, parts) for number in numbers.tolist()]
            new = [key for key in dict.fromkeys(keys) if key not in self._known]
            if new:
                self._find(lattice, ground, new, parts)
            found = [self._known[key] for key in keys]
        nothing = np.zeros(0, int)
        rows, cols, weights = (np.concatenate([nothing, *(f[k] for f in found)]) for k in range(3))
        here = (rows >= ground.top) & (rows < ground.bottom)
        here &= (cols >= ground.left) & (cols < ground.right)
        of = np.repeat(np.arange(len(found)), [len(each[0]) for each in found])
        counts = np.bincount(of[here], minlength=len(found)).astype(int)
        some = counts > 0
        room, counts = np.array([each[3] for each in found], float)[some], counts[some]
        pixels = rows[here], cols[here], weights[here]
        return Cells(numbers[some], np.cumsum(counts) - counts, *pixels, room)

    def _key(self, lattice: Lattice, ground: Window, number: int, parts: dict[int, Any]) -> Any:
        # A zone in degrees is looked up where the ground counts its longitudes from.
        turned = ground.left if as_crs(lattice.crs).is_geographic else None
        return lattice, number, parts[number].wkb if number in parts else None, turned

    def _find(
        self, lattice: Lattice, ground: Window, keys: Sequence[Any], parts: dict[int, Any]
    ) -> None:
        """Lay zones over a lattice, all at once, and remember the pixels of each."""
        wholes = self.on(lattice, [number for _, number, _, _ in keys])
        shapes = [
            in_pixels(parts[number], lattice) if part is not None else whole
            for whole, (_, number, part, _) in zip(wholes, keys, strict=True)
        ]
        shapes = [_turned_to(each, lattice, ground) for each in shapes]
        # Each from its own corner: in a grid of all of them it would be rounded as they lie.
        bounds = np.nan_to_num(shapely.bounds(np.array(shapes, object)).reshape(-1, 4))
        corners = np.floor(bounds[:, :2])
        width, height = np.ceil(bounds[:, 2:] - corners).max(axis=0, initial=1.0).astype(int)
        points, shape_of = shapely.get_coordinates(shapes, return_index=True)
        lines = np.rint(points)
        points = np.where(np.abs(points - lines) < _ROUNDING, lines, points)
        moved = shapely.set_coordinates(np.array(shapes, object), points - corners[shape_of])
        zone, rows, cols, weights = cell_runs(moved, height, width).cells()
        ends = np.searchsorted(zone, np.arange(len(keys) + 1))
        left, top = corners[zone].astype(int).T
        rows, cols = rows + top, cols + left
        for at, (key, whole) in enumerate(zip(keys, wholes, strict=True)):
            own = slice(ends[at], ends[at + 1])
            self._known[key] = rows[own], cols[own], weights[own], np.array(shapely.area(whole))


def within_180(outline: Any) -> Any:
    """Return an outline in degrees with what lies beyond 180 or -180 on the other side.

    Parameters
    ----------
    outline
        A shapely geometry.

    Returns
    -------
    Longitudes from -180 to 180.

    Examples
    --------
    >>> within_180(shapely.box(190, 0, 200, 10)).bounds
    (-170.0, 0.0, -160.0, 10.0)
    """
    west, _, east, _ = outline.bounds
    if west < -180:
        outline, east = translate(outline, 360.0), east + 360
    return cut_at_180(outline) if east > 180 else outline


def in_pixels(shape: Any, lattice: Lattice) -> Any:
    """Return a shape of a lattice's CRS in its pixels, x along columns.

    Parameters
    ----------
    shape
        A shapely geometry, or an array of them.
    lattice
        Where.

    Returns
    -------
    A shapely geometry.

    Examples
    --------
    >>> lattice = Lattice("EPSG:32631", Affine(10, 0, 0, 0, -10, 0))
    >>> in_pixels(shapely.box(0, 0, 20, 10), lattice).bounds
    (0.0, -1.0, 2.0, 0.0)
    """
    back = ~lattice.transform
    return shapely.transform(shape, lambda *xy: back @ xy, interleaved=False)


def from_pixels(shape: Any, lattice: Lattice) -> Any:
    """Return a shape of a lattice's pixels in the units of its CRS.

    Parameters
    ----------
    shape
        A shapely geometry, x along columns.
    lattice
        Where.

    Returns
    -------
    A shapely geometry.

    Examples
    --------
    >>> lattice = Lattice("EPSG:32631", Affine(10, 0, 0, 0, -10, 0))
    >>> from_pixels(shapely.box(0, -1, 2, 0), lattice).bounds
    (0.0, 0.0, 20.0, 10.0)
    """
    return shapely.transform(shape, lambda *xy: lattice.transform @ xy, interleaved=False)


def _turned_to(shape: Any, lattice: Lattice, ground: Window) -> Any:
    """Return a zone in degrees where a raster that counts longitudes otherwise has it."""
    if not as_crs(lattice.crs).is_geographic or shape.is_empty:
        return shape
    turn = 360 / abs(lattice.transform.a)
    # A copy on each turn that meets the raster; they never meet each other.
    copies = [translate(shape, by) for by in (-turn, 0.0, turn)]
    there = [
        each for each in copies if each.bounds[0] < ground.right and each.bounds[2] > ground.left
    ]
    return shapely.GeometryCollection(there) if len(there) > 1 else (there or [shape])[0]
