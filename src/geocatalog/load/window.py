"""One file's pixels on a slice's grid: only the window asked for, at the overview that fits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from affine import Affine
from pyproj import CRS

from geocatalog.crs import as_crs, crs_text, same_crs, transformer
from geocatalog.errors import CatalogError
from geocatalog.footprint import reproject_box, turns
from geocatalog.geoslice import GeoSlice

GDAL_READ_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    "GDAL_HTTP_MAX_RETRY": "3",
    "VSI_CACHE": "TRUE",
}
"""For windows of cloud-optimised files: no folder listing, neighbouring ranges in one request."""

_ALIGNED = 1e-3
"""Share of a pixel by which two grids may differ and still be read without resampling."""


@dataclass(frozen=True)
class Grid:
    """Rows and columns on the ground: what all files of one load are read onto."""

    transform: Affine
    shape: tuple[int, int]
    crs: CRS

    @classmethod
    def of(cls, slice_: GeoSlice) -> Grid:
        """Return a slice's snapped pixel grid."""
        return cls(slice_.transform, slice_.shape, slice_.crs)

    def part(self, row: int, col: int, rows: int, cols: int) -> Grid:
        """Return a window of this grid."""
        return Grid(self.transform @ Affine.translation(col, row), (rows, cols), self.crs)

    def turned(self) -> list[Grid]:
        """Return this grid and, where it reaches beyond 180 or -180 degrees, its equals within.

        >>> across = Grid.of(GeoSlice((179, 0, -179, 1), None, 0.5, 4326))
        >>> [grid.transform.c for grid in across.turned()]
        [179.0, -181.0]
        """
        if not self.crs.is_geographic:
            return [self]
        west, east = self.transform.c, (self.transform @ (self.shape[1], 0))[0]
        moves = [Affine.translation(by, 0.0) for by in turns(west, east)]
        return [self, *(Grid(move @ self.transform, self.shape, self.crs) for move in moves)]


@dataclass(frozen=True)
class Piece:
    """A file's share of a grid: `data` (C, h, w) and `valid` (C, h, w) bool at (row, col)."""

    row: int
    col: int
    data: np.ndarray
    valid: np.ndarray

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the grid that this piece covers."""
        rows, cols = self.data.shape[-2:]
        return slice(self.row, self.row + rows), slice(self.col, self.col + cols)

    @classmethod
    def around(cls, pieces: Sequence[Piece], bands: int, dtype: np.dtype) -> Piece:
        """Return a piece without valid pixels, over the window that holds all `pieces`."""
        rows, cols = zip(*(piece.window for piece in pieces), strict=True)
        top, left = min(span.start for span in rows), min(span.start for span in cols)
        height, width = max(s.stop for s in rows) - top, max(s.stop for s in cols) - left
        shape = (bands, height, width)
        return cls(top, left, np.zeros(shape, dtype), np.zeros(shape, dtype=bool))

    def paste(self, piece: Piece, band: int = 0) -> None:
        """Write the valid pixels of a piece that lies within this one, from `band` on."""
        count, rows, cols = piece.data.shape
        top, left = piece.row - self.row, piece.col - self.col
        at = (slice(band, band + count), slice(top, top + rows), slice(left, left + cols))
        np.copyto(self.data[at], piece.data, where=piece.valid)
        self.valid[at] |= piece.valid


@dataclass(frozen=True)
class Bands:
    """What a file's bands are: dtype, nodata, and their names where the file has them."""

    dtype: np.dtype
    count: int
    nodata: float | None
    names: tuple[str | None, ...]


@lru_cache(maxsize=64)
def rasterio_crs(crs: CRS) -> Any:
    """Return a pyproj CRS as rasterio's own.

    >>> rasterio_crs(as_crs(32610)).to_epsg()
    32610
    """
    import rasterio.crs

    return rasterio.crs.CRS.from_user_input(crs_text(crs))


def undivided_grid(slice_: GeoSlice, loader: str) -> Grid:
    """Return a slice's grid for a loader that cannot cross the antimeridian.

    Raises CatalogError, with the way out, for a slice that does.

    >>> undivided_grid(GeoSlice((0, 0, 1, 1), None, 1, 4326), "load_vector").shape
    (1, 1)
    """
    grid = Grid.of(slice_)
    seam = (180.0 - grid.transform.c) / grid.transform.a
    if grid.crs.is_geographic and _ALIGNED < seam < grid.shape[1] - _ALIGNED:
        raise CatalogError(
            f"{loader} takes a slice on one side of the antimeridian, got {slice_!r}; "
            "load its two halves, to 180 and from -180"
        )
    return grid


def read_piece(
    path: str,
    grid: Grid,
    indexes: Sequence[int] | None = None,
    resampling: str = "nearest",
    nodata: float | None = None,
) -> tuple[Piece | None, Bands]:
    """Read the part of `grid` that a file covers, and tell what its bands are.

    Only blocks under the window are read, from the coarsest overview that is still at least as
    fine as the grid. Where file and grid share pixel edges nothing is resampled. The piece is
    None when the file lies outside the grid.

    `indexes` are 1-based. `nodata` overrides the file's own.
    """
    read = [_read_once(path, each, indexes, resampling, nodata) for each in grid.turned()]
    return _joined([piece for piece, _ in read if piece is not None]), read[0][1]


def _joined(pieces: list[Piece]) -> Piece | None:
    """Return pieces of one file, on either side of the antimeridian, as one."""
    if len(pieces) < 2:
        return pieces[0] if pieces else None
    whole = Piece.around(pieces, len(pieces[0].data), pieces[0].data.dtype)
    for piece in pieces:
        whole.paste(piece)
    return whole


def _read_once(
    path: str,
    grid: Grid,
    indexes: Sequence[int] | None,
    resampling: str,
    nodata: float | None,
) -> tuple[Piece | None, Bands]:
    import rasterio

    with rasterio.Env(**GDAL_READ_OPTIONS), ExitStack() as stack:
        source = stack.enter_context(rasterio.open(path))
        if source.crs is None:
            raise CatalogError(f"{path} has no CRS, so it cannot be placed on a grid")
        chosen = _indexes(path, source, indexes)
        bands = _describe(source, chosen, nodata)
        window = _grid_window(source, grid)
        if window is None:
            return None, bands
        part = grid.part(*window)
        level = overview_level(source.overviews(chosen[0]), _pixel_ratio(source, part))
        if level is not None:
            source = stack.enter_context(rasterio.open(path, overview_level=level))
        offset = _aligned_offset(source, part)
        if offset is not None:
            data, valid = _read_aligned(source, chosen, offset, part.shape, nodata)
        else:
            data, valid = _read_warped(source, chosen, part, resampling, bands.nodata)
        return Piece(window[0], window[1], data, _without_nan(data, valid)), bands


def overview_level(factors: Sequence[int], ratio: float) -> int | None:
    """Return the index of the coarsest overview no coarser than `ratio` source pixels, or None.

    >>> overview_level([2, 4, 8], 5.0), overview_level([2, 4, 8], 1.5)
    (1, None)
    """
    fitting = [index for index, factor in enumerate(factors) if factor <= ratio * (1 + _ALIGNED)]
    return fitting[-1] if fitting else None


def _indexes(path: str, source: Any, indexes: Sequence[int] | None) -> list[int]:
    chosen = list(source.indexes) if indexes is None else [int(index) for index in indexes]
    wrong = [index for index in chosen if not 1 <= index <= source.count]
    if wrong or not chosen:
        raise CatalogError(
            f"band_indexes are 1-based, up to {source.count} in {path}, got {list(indexes or [])}"
        )
    return chosen


def _describe(source: Any, chosen: list[int], nodata: float | None) -> Bands:
    own = source.nodatavals[chosen[0] - 1]
    names = tuple(source.descriptions[index - 1] for index in chosen)
    dtype = np.result_type(*(source.dtypes[index - 1] for index in chosen))
    return Bands(dtype, len(chosen), own if nodata is None else nodata, names)


def _grid_window(source: Any, grid: Grid) -> tuple[int, int, int, int] | None:
    """Return (row, col, rows, cols) of the grid under the file, or None."""
    crs = as_crs(source.crs)
    if same_crs(crs, grid.crs):
        west, south, east, north = source.bounds
    else:
        west, south, east, north = _file_bounds_near(source, crs, grid)
    inverse = ~grid.transform
    (left, top), (right, bottom) = inverse @ (west, north), inverse @ (east, south)
    first_col = max(0, math.floor(left + _ALIGNED))
    first_row = max(0, math.floor(top + _ALIGNED))
    last_col = min(grid.shape[1], math.ceil(right - _ALIGNED))
    last_row = min(grid.shape[0], math.ceil(bottom - _ALIGNED))
    if last_col <= first_col or last_row <= first_row:
        return None
    return first_row, first_col, last_row - first_row, last_col - first_col


def _file_bounds_near(source: Any, crs: CRS, grid: Grid) -> tuple[float, float, float, float]:
    """Return a file's bounds in the grid's CRS; the whole grid where that has no finite answer."""
    rows, cols = grid.shape
    west, north = grid.transform @ (0, 0)
    east, south = grid.transform @ (cols, rows)
    try:
        outline = reproject_box(tuple(source.bounds), crs, grid.crs)
    except CatalogError:
        return west, south, east, north
    if outline.geom_type != "Polygon":
        return west, south, east, north
    return outline.bounds


def _pixel_ratio(source: Any, grid: Grid) -> float:
    """Return how many source pixels one grid pixel spans, along its finer side."""
    rows, cols = grid.shape
    x, y = grid.transform @ (cols / 2, rows / 2)
    dx, dy = grid.transform.a, grid.transform.e
    points = np.array([(x, y), (x + dx, y), (x, y + dy)])
    crs = as_crs(source.crs)
    if not same_crs(crs, grid.crs):
        move = transformer(grid.crs, crs).transform
        points = np.column_stack(move(points[:, 0], points[:, 1]))
    if not np.isfinite(points).all():
        return 1.0
    pixels = np.array([~source.transform @ tuple(point) for point in points])
    return float(min(np.hypot(*(pixels[1] - pixels[0])), np.hypot(*(pixels[2] - pixels[0]))))


def _aligned_offset(source: Any, grid: Grid) -> tuple[int, int] | None:
    """Return (row, col) of the grid's corner in the file when both share pixel edges."""
    if not same_crs(as_crs(source.crs), grid.crs):
        return None
    relative = ~source.transform @ grid.transform
    rows, cols = grid.shape
    drift = max(abs(relative.a - 1) * cols, abs(relative.e - 1) * rows)
    col, row = round(relative.c), round(relative.f)
    missed = max(abs(relative.c - col), abs(relative.f - row), abs(relative.b), abs(relative.d))
    inside = 0 <= row <= source.height - rows and 0 <= col <= source.width - cols
    return (row, col) if inside and drift < _ALIGNED and missed < _ALIGNED else None


def _read_aligned(
    source: Any,
    chosen: list[int],
    offset: tuple[int, int],
    shape: tuple[int, int],
    nodata: float | None,
) -> tuple[np.ndarray, np.ndarray]:
    from rasterio.windows import Window

    window = Window(offset[1], offset[0], shape[1], shape[0])
    data = source.read(chosen, window=window)
    if nodata is not None:
        return data, data != nodata
    if all(source.mask_flag_enums[index - 1] == [_all_valid()] for index in chosen):
        return data, np.ones(data.shape, dtype=bool)
    return data, source.read_masks(chosen, window=window) > 0


def _all_valid() -> Any:
    from rasterio.enums import MaskFlags

    return MaskFlags.all_valid


def _read_warped(
    source: Any, chosen: list[int], grid: Grid, resampling: str, nodata: float | None
) -> tuple[np.ndarray, np.ndarray]:
    from rasterio.vrt import WarpedVRT

    options: dict[str, Any] = {
        "crs": rasterio_crs(grid.crs),
        "transform": grid.transform,
        "height": grid.shape[0],
        "width": grid.shape[1],
        "resampling": as_resampling(resampling),
    }
    has_alpha = any(_is_alpha(source, index) for index in source.indexes)
    if nodata is not None:
        options |= {"src_nodata": nodata, "nodata": nodata}
    elif not has_alpha:
        options["add_alpha"] = True
    with WarpedVRT(source, **options) as view:
        data = view.read(chosen)
        if nodata is not None:
            return data, data != nodata
        mask = view.read(view.count) > 0
        return data, np.broadcast_to(mask, data.shape)


def _is_alpha(source: Any, index: int) -> bool:
    from rasterio.enums import ColorInterp

    return bool(source.colorinterp[index - 1] == ColorInterp.alpha)


def as_resampling(name: str) -> Any:
    """Return rasterio's resampling method of that name.

    >>> as_resampling("bilinear").name
    'bilinear'
    """
    from rasterio.enums import Resampling

    try:
        return Resampling[name]
    except KeyError as error:
        known = ", ".join(method.name for method in Resampling if method.name != "gauss")
        raise CatalogError(f"resampling must be one of {known}, got {name!r}") from error


def _without_nan(data: np.ndarray, valid: np.ndarray) -> np.ndarray:
    return valid & ~np.isnan(data) if data.dtype.kind == "f" else valid
