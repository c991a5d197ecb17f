"""Bands of a file on a pixel grid: copied where pixels are the same, resampled once elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from geocatalog.errors import CatalogError
from geocatalog.footprint import Bounds, reproject_box, transformer
from geocatalog.grid import (
    crs_of,
    offset_of,
    part_of,
    pixel_grid,
    raster_crs,
    turned,
    window_of,
)
from geocatalog.read.open import Sign, with_dataset
from pipekit.carrier import SAME, same_crs

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox


@dataclass(frozen=True)
class Piece:
    """A file's share of a grid: pixels at (row, col), and which of them are valid.

    Parameters
    ----------
    row, col
        Where the upper left pixel lies on the grid.
    data
        (C, h, w) in the file's dtype.
    mask
        (C, h, w) bool, True where valid; None where `nodata` alone decides.
    nodata
        The value that marks missing pixels, or None.
    """

    row: int
    col: int
    data: np.ndarray
    mask: np.ndarray | None = None
    nodata: float | None = None

    @cached_property
    def valid(self) -> np.ndarray:
        """(C, h, w) bool: neither masked, nor nodata, nor NaN."""
        valid = self.mask
        if valid is None:
            valid = np.ones(self.data.shape, bool)
            if self.nodata is not None:
                whole = self.data.dtype.kind in "iu" and float(self.nodata).is_integer()
                missing = int(self.nodata) if whole else self.nodata
                np.not_equal(self.data, missing, out=valid)
        return valid & ~np.isnan(self.data) if self.data.dtype.kind == "f" else valid

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the grid that this piece covers."""
        rows, cols = self.data.shape[-2:]
        return slice(self.row, self.row + rows), slice(self.col, self.col + cols)

    @classmethod
    def stacked(cls, pieces: Sequence[tuple[int, Piece]], bands: Bands) -> Piece:
        """Return pieces of one grid as one of all `bands`.

        Parameters
        ----------
        pieces
            Each with the place, in `bands`, of its first band.
        bands
            What the bands of all pieces are.

        Returns
        -------
        A piece that encloses the others, with a mask.

        Examples
        --------
        >>> one, two = Piece(0, 0, np.ones((1, 1, 1))), Piece(0, 1, np.ones((1, 1, 1)))
        >>> both = Bands(np.dtype(float), 2, None, (None, None))
        >>> Piece.stacked([(0, one), (1, two)], both).valid.tolist()
        [[[True, False]], [[False, True]]]
        """
        rows, cols = zip(*(piece.window for _, piece in pieces), strict=True)
        top, left = min(span.start for span in rows), min(span.start for span in cols)
        height, width = max(s.stop for s in rows) - top, max(s.stop for s in cols) - left
        data = np.zeros((bands.count, height, width), bands.dtype)
        mask = np.zeros(data.shape, bool)
        for band, piece in pieces:
            depth, rows_in, cols_in = piece.data.shape
            row, col = piece.row - top, piece.col - left
            at = slice(band, band + depth), slice(row, row + rows_in), slice(col, col + cols_in)
            np.copyto(data[at], piece.data, where=piece.valid)
            mask[at] |= piece.valid
        return cls(top, left, data, mask)


@dataclass(frozen=True)
class Bands:
    """What a file's bands are: dtype, nodata, and their names where the file has them.

    Parameters
    ----------
    dtype
        One that holds all bands.
    count
        How many there are.
    nodata
        Marks missing pixels, or None.
    names
        `count` descriptions, None where a band has none.
    """

    dtype: np.dtype
    count: int
    nodata: float | None
    names: tuple[str | None, ...]


def read_onto(
    href: str,
    grid: GeoBox,
    indexes: Sequence[int] | None = None,
    resampling: str = "nearest",
    *,
    fill: float | None = None,
    sign: Sign | None = None,
    what: str | None = None,
) -> np.ndarray:
    """Return a file's bands on the whole of a grid, (C, rows, cols), in the file's dtype.

    Parameters
    ----------
    href, grid, indexes, resampling, sign, what
        As in `read_piece`.
    fill
        Marks missing pixels, inside the file and beyond it; by default the file's own nodata value.
        A file without one holds no data where it is `fill`, or 0.

    Returns
    -------
    (C, rows, cols) in the file's dtype.

    Raises
    ------
    PixelReadError
        When the file can't be read.
    """
    assumed = 0 if fill is None else fill
    piece, bands = read_piece(
        href, grid, indexes, resampling, assumed_nodata=assumed, sign=sign, what=what
    )
    missing = bands.nodata if fill is None else fill
    values = np.full((bands.count, *grid.shape), missing, bands.dtype)
    if piece is None:
        return values
    if piece.data.shape == values.shape and piece.mask is None and piece.nodata == missing:
        return piece.data
    np.copyto(values[:, *piece.window], piece.data, where=piece.valid)
    return values


def read_piece(
    href: str,
    grid: GeoBox,
    indexes: Sequence[int] | None = None,
    resampling: str = "nearest",
    nodata: float | None = None,
    *,
    assumed_nodata: float | None = None,
    sign: Sign | None = None,
    what: str | None = None,
) -> tuple[Piece | None, Bands]:
    """Read the part of a grid that a file covers, and tell what its bands are.

    Only blocks under the window are read, from the coarsest overview that is still at least as
    fine as the grid. Where file and grid share pixel edges nothing is resampled.

    Parameters
    ----------
    href
        Anything rasterio opens.
    grid
        Where the pixels are wanted. It may reach beyond 180 or -180 degrees.
    indexes
        1-based bands; all by default.
    resampling
        Rasterio's name of the method.
    nodata
        Marks missing pixels in the file, whatever the file says.
    assumed_nodata
        Marks them where the file declares nothing; by default its mask decides.
    sign, what
        See `geocatalog.read.open.with_dataset`.

    Returns
    -------
    The piece, or None when the file lies outside the grid; and what its bands are.

    Raises
    ------
    CatalogError
        For a file without a CRS, or a band that it does not have.
    PixelReadError
        When the file can't be read.
    """
    method = as_resampling(resampling)

    def read(source: Any) -> tuple[Piece | None, Bands]:
        if source.crs is None:
            raise CatalogError(f"{what or href} has no CRS, so it cannot be placed on a grid")
        chosen = list(source.indexes if indexes is None else map(int, indexes))
        if not chosen or not all(1 <= index <= source.count for index in chosen):
            raise CatalogError(
                f"band_indexes are 1-based, up to {source.count} in {what or href}, got {chosen}"
            )
        declared = nodata, source.nodatavals[chosen[0] - 1], assumed_nodata
        bands = Bands(
            dtype=np.result_type(*(source.dtypes[index - 1] for index in chosen)),
            count=len(chosen),
            nodata=next((value for value in declared if value is not None), None),
            names=tuple(source.descriptions[index - 1] for index in chosen),
        )
        found = [_read_part(source, each, chosen, method, nodata, bands) for each in turned(grid)]
        pieces = [(0, piece) for piece in found if piece is not None]
        if len(pieces) > 1:
            return Piece.stacked(pieces, bands), bands
        return pieces[0][1] if pieces else None, bands

    return with_dataset(href, read, sign=sign, what=what)


def grid_of(source: Any) -> GeoBox:
    """Return an opened file's own pixel grid.

    Parameters
    ----------
    source
        A dataset that rasterio opened.

    Returns
    -------
    The grid.
    """
    return pixel_grid(source.crs, source.transform, source.shape)


def warped(source: Any, grid: GeoBox, method: Resampling, nodata: float | None) -> WarpedVRT:
    """Return an opened file as one on `grid`, to be closed by the caller.

    Without a nodata value, and without an alpha band of its own, it gets one that says which
    pixels are valid.

    Parameters
    ----------
    source
        A dataset that rasterio opened.
    grid
        The grid to resample to.
    method
        How pixels are resampled.
    nodata
        Marks missing pixels, or None.

    Returns
    -------
    A dataset on the grid, resampled as it is read.
    """
    rows, cols = grid.shape
    options: dict[str, Any] = {}
    if nodata is not None:
        options = {"src_nodata": nodata, "nodata": nodata}
    elif ColorInterp.alpha not in source.colorinterp:
        options = {"add_alpha": True}
    return WarpedVRT(
        source,
        crs=raster_crs(grid),
        transform=grid.transform,
        height=rows,
        width=cols,
        resampling=method,
        **options,
    )


def overview_level(factors: Sequence[int], ratio: float) -> int | None:
    """Return the index of the coarsest overview no coarser than `ratio` source pixels, or None.

    Parameters
    ----------
    factors
        How many pixels of the file one pixel of each overview spans, rising.
    ratio
        How many pixels of the file one pixel of the grid spans.

    Returns
    -------
    An index into `factors`, or None for the file itself.

    Examples
    --------
    >>> overview_level([2, 4, 8], 5.0), overview_level([2, 4, 8], 1.5)
    (1, None)
    """
    fitting = [index for index, factor in enumerate(factors) if factor <= ratio * (1 + SAME)]
    return fitting[-1] if fitting else None


def as_resampling(name: str) -> Resampling:
    """Return rasterio's resampling method of that name.

    Parameters
    ----------
    name
        Such as "nearest" or "bilinear".

    Returns
    -------
    The method.

    Raises
    ------
    CatalogError
        For an unknown name; lists those that are known.

    Examples
    --------
    >>> as_resampling("bilinear").name
    'bilinear'
    """
    try:
        return Resampling[name]
    except KeyError as error:
        known = ", ".join(method.name for method in Resampling if method.name != "gauss")
        raise CatalogError(f"resampling must be one of {known}, got {name!r}") from error


def _read_part(
    source: Any,
    grid: GeoBox,
    chosen: list[int],
    method: Resampling,
    nodata: float | None,
    bands: Bands,
) -> Piece | None:
    own = grid_of(source)
    window = window_of(grid.transform, _bounds_on(own, grid), grid.shape, SAME)
    row, col, rows, cols = window
    if rows <= 0 or cols <= 0:
        return None
    part = part_of(grid, *window)
    with ExitStack() as stack:
        factors = source.overviews(chosen[0])
        level = overview_level(factors, _pixel_ratio(own, part)) if factors else None
        if level is not None:
            source = stack.enter_context(rasterio.open(source.name, overview_level=level))
            own = grid_of(source)
        top, left = offset_of(own, part) or (-1, -1)
        if 0 <= top <= own.shape[0] - rows and 0 <= left <= own.shape[1] - cols:
            place = Window(left, top, cols, rows)
            data = source.read(chosen, window=place)
            if nodata is not None or _nodata_decides(source, chosen, data.dtype):
                return Piece(row, col, data, nodata=bands.nodata)
            return Piece(row, col, data, source.read_masks(chosen, window=place) > 0)
        view = stack.enter_context(warped(source, part, method, bands.nodata))
        data = view.read(chosen)
        if bands.nodata is not None:
            return Piece(row, col, data, nodata=bands.nodata)
        mask = np.broadcast_to(view.read(view.count) > 0, data.shape)
        return Piece(row, col, data, mask)


def _nodata_decides(source: Any, chosen: list[int], dtype: np.dtype) -> bool:
    """Whether valid pixels of all bands are told by one nodata value, or none, without masks.

    Floats are left to GDAL, which knows when two of them count as equal.
    """
    flags = [source.mask_flag_enums[index - 1] for index in chosen]
    if all(flag == [MaskFlags.all_valid] for flag in flags):
        return True
    same = len({source.nodatavals[index - 1] for index in chosen}) == 1
    return same and dtype.kind in "iu" and all(flag == [MaskFlags.nodata] for flag in flags)


def _bounds_on(own: GeoBox, grid: GeoBox) -> Bounds:
    """Return a file's bounds in the grid's CRS; the whole grid where that has no finite answer."""
    if same_crs(crs_of(own), crs_of(grid)):
        return own.boundingbox.bbox
    try:
        outline = reproject_box(own.boundingbox.bbox, crs_of(own), crs_of(grid))
    except CatalogError:
        return grid.boundingbox.bbox
    return outline.bounds if outline.geom_type == "Polygon" else grid.boundingbox.bbox


def _pixel_ratio(own: GeoBox, grid: GeoBox) -> float:
    """Return how many pixels of a file one grid pixel spans, along its finer side."""
    rows, cols = grid.shape
    col, row, one = cols / 2 + np.array([0, 1, 0]), rows / 2 + np.array([0, 0, 1]), np.ones(3)
    x, y, _ = np.array(grid.transform).reshape(3, 3) @ [col, row, one]
    if not same_crs(crs_of(own), crs_of(grid)):
        x, y = transformer(crs_of(grid), crs_of(own)).transform(x, y)
    if not np.isfinite([x, y]).all():
        return 1.0
    x, y, _ = np.array(~own.transform).reshape(3, 3) @ [x, y, one]
    return float(np.hypot(x[1:] - x[0], y[1:] - y[0]).min())
