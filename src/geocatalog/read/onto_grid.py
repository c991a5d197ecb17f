"""Bands of a file on a pixel grid: copied where pixels are the same, resampled once elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp, Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from geocatalog.errors import CatalogError
from geocatalog.footprint import Bounds, reproject_box, transformer, turns
from geocatalog.grid import (
    crs_of,
    offset_of,
    part_of,
    pixel_grid,
    raster_crs,
    resampled,
    turned,
    window_of,
)
from geocatalog.read.bands import (
    Bands,
    as_asked,
    data_indexes,
    lacks_place,
    resampling_for,
)
from geocatalog.read.open import KeptOpen, Sign, with_dataset
from pipekit import validity
from pipekit.carrier import SAME, same_crs
from pipekit.pixels import Role, equal_mask, invalid_mask, whole_numbers

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
        missing = invalid_mask(self.data, self.nodata if self.mask is None else None)
        if self.mask is None:
            return np.ones(self.data.shape, bool) if missing is None else ~missing
        return self.mask if missing is None else self.mask & ~missing

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the grid that this piece covers."""
        rows, cols = self.data.shape[-2:]
        return slice(self.row, self.row + rows), slice(self.col, self.col + cols)

    def reordered(self, order: Sequence[int]) -> Piece:
        """Return the piece with its bands in another order.

        Parameters
        ----------
        order
            Where each is now, from 0.

        Returns
        -------
        A piece at the same place.
        """
        mask = None if self.mask is None else self.mask[order]
        return Piece(self.row, self.col, self.data[order], mask, self.nodata)

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
        data = np.zeros((bands.count, height, width), np.result_type(*(p.data for _, p in pieces)))
        mask = np.zeros(data.shape, bool)
        for band, piece in pieces:
            depth, rows_in, cols_in = piece.data.shape
            row, col = piece.row - top, piece.col - left
            at = slice(band, band + depth), slice(row, row + rows_in), slice(col, col + cols_in)
            np.copyto(data[at], piece.data, where=piece.valid)
            mask[at] |= piece.valid
        return cls(top, left, data, mask)


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
    indexes: Sequence[int] | Callable[[Any], Sequence[int]] | None = None,
    resampling: str = "nearest",
    nodata: float | None = None,
    *,
    assumed_nodata: float | None = None,
    scaled: bool = False,
    names: Sequence[str] | None = None,
    alpha: bool = True,
    sign: Sign | None = None,
    what: str | None = None,
    files: KeptOpen | None = None,
) -> tuple[Piece | None, Bands]:
    """Read the part of a grid that a file covers, and tell what its bands are.

    Only blocks under the window are read, from the coarsest overview that is still at least as
    fine as the grid. Where file and grid share pixel edges nothing is resampled, whichever way the
    file is up. Bands that hold classes, bits or a mask are never averaged or interpolated.

    Parameters
    ----------
    href
        Anything rasterio opens.
    grid
        Where the pixels are wanted. It may reach beyond 180 or -180 degrees.
    indexes
        1-based bands, or a function that tells them of the opened file; by default all but an
        alpha band.
    resampling
        Rasterio's name of the method.
    nodata
        Marks missing pixels in the file, whatever the file says.
    assumed_nodata
        Marks them where the file declares nothing; by default its mask decides.
    scaled
        Whether to apply the file's scale and offset, which gives floats.
    names
        What the bands are called by whoever lists the file: they tell what a band holds.
    alpha
        Whether the file may have an alpha band; False where its product has none.
    sign, what, files
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
    as_resampling(resampling)

    def read(source: Any) -> tuple[Piece | None, Bands]:
        if source.crs is None:
            raise CatalogError(lacks_place(source, what or href))
        asked = indexes(source) if callable(indexes) else indexes
        chosen = list(data_indexes(source) if asked is None else map(int, asked))
        if not chosen or not all(1 <= index <= source.count for index in chosen):
            raise CatalogError(
                f"band_indexes are 1-based, up to {source.count} in {what or href}, got {chosen}"
            )
        with as_asked(source, chosen, alpha=alpha) as file:
            bands = Bands.of(file, chosen, scaled=scaled, names=names)
            own = grid_of(file)
            grids = [(each, 0.0) for each in turned(grid, own)]
            if crs_of(own).is_geographic and not crs_of(grid).is_geographic:
                # GDAL looks up longitudes from -180 to 180, so the file is turned instead.
                grids += [(grid, by) for by in turns(*own.boundingbox.bbox[::2])]
            pieces, first = [], 0
            for alike in _alike(file, chosen, bands.roles, resampling, (nodata, assumed_nodata)):
                parts = (_read_part(file, *each, alike, bands) for each in grids)
                pieces += [(first, piece) for piece in parts if piece is not None]
                bands = bands if first else replace(bands, nodata=alike.nodata)
                first += len(alike.indexes)
            piece = pieces[0][1] if pieces else None
            if len(pieces) > 1:
                piece = Piece.stacked(pieces, bands)
            if bands.scales and piece is not None:
                data = bands.physical(piece.data, ~piece.valid)
                piece = Piece(piece.row, piece.col, data, nodata=np.nan)
            return piece, bands.scaled

    return with_dataset(href, read, sign=sign, what=what, files=files)


@dataclass(frozen=True)
class _Alike:
    """Neighbouring bands that are read in one way."""

    indexes: list[int]
    method: Resampling
    nodata: float | None


def _alike(
    source: Any,
    chosen: Sequence[int],
    roles: Sequence[Role],
    resampling: str,
    stated: tuple[float | None, float | None],
) -> Iterator[_Alike]:
    """Yield runs of bands of one nodata value and one way to resample them."""
    nodata, assumed = stated
    ways: list[_Alike] = []
    for index, role in zip(chosen, roles, strict=True):
        declared = nodata, validity.header_nodata(source, index), assumed, _by_nan(source, index)
        known = next((value for value in declared if value is not None), None)
        ways.append(_Alike([index], as_resampling(resampling_for(role, resampling)), known))
    # As text NaN is like NaN.
    for _, run in groupby(ways, lambda way: (way.method, repr(way.nodata))):
        first, *others = run
        yield replace(first, indexes=first.indexes + [each.indexes[0] for each in others])


def _by_nan(source: Any, index: int) -> float | None:
    """Return NaN for a band of floats without a mask, in which nothing else can hide a pixel."""
    floats = validity.stored_dtype(source, [index]).kind == "f"
    return np.nan if floats and validity.nodata_decides(source, [index]) else None


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


def warped(
    source: Any, grid: GeoBox, method: Resampling, nodata: float | None, **options: Any
) -> WarpedVRT:
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
        Marks missing pixels, or None where the file's mask does.
    **options
        Of `WarpedVRT`: `dtype`, in which they are resampled, `src_transform`, where the file lies.

    Returns
    -------
    A dataset on the grid, resampled as it is read.
    """
    rows, cols = grid.shape
    if nodata is None:
        options |= {} if ColorInterp.alpha in source.colorinterp else {"add_alpha": True}
    elif (kind := validity.stored_dtype(source, [1])).kind == "f":
        nodata = float(kind.type(nodata))  # GDAL compares as double
    return WarpedVRT(
        source,
        crs=raster_crs(grid),
        transform=grid.transform,
        height=rows,
        width=cols,
        resampling=method,
        src_nodata=nodata,
        nodata=nodata,
        # Each band has its own holes: else one counts wherever another band of the file does.
        UNIFIED_SRC_NODATA="NO",
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
    source: Any, grid: GeoBox, turn_by: float, alike: _Alike, bands: Bands
) -> Piece | None:
    chosen, nodata = alike.indexes, alike.nodata
    turned_by = Affine.translation(turn_by, 0.0)
    own = turned_by * grid_of(source)
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
            own = turned_by * grid_of(source)
        shared, by_value = _shared_pixels(own, part), validity.nodata_decides(source, chosen)
        if shared is not None:
            place, turn = shared
            data = validity.read_stored(source, chosen, window=place)
            mask = None if by_value else ~validity.hidden_by(source, chosen, data, window=place)
            data, mask = data[turn], None if mask is None else mask[turn]
        else:
            # GDAL looks at one thing that hides: a nodata value, a mask or an alpha band; and of
            # complex numbers at the real part, which is 0 in many that count.
            by_number = by_value and bands.dtype.kind != "c"
            one = by_number or (nodata is None and validity.alpha_beside(source) is None)
            data, mask = (_by_view if one else _by_mark)(source, own, part, alike, bands)
            if one and _spreads(data, alike):
                data, mask = _by_mark(source, own, part, alike, bands)
            if is_rounded(data):
                data, mask = _by_place(source, own, part, alike, bands)
        if mask is not None and (marks := equal_mask(data, nodata)) is not None:
            mask = mask & ~marks
        return Piece(row, col, data, mask, nodata if mask is None else None)


_Pixels = tuple[np.ndarray, np.ndarray | None]
"""(C, rows, cols) numbers on a grid, and which of them count; None where a nodata value tells."""


def _by_view(source: Any, own: GeoBox, part: GeoBox, alike: _Alike, bands: Bands) -> _Pixels:
    """Return a file's numbers on a grid as GDAL resamples them, and which count by its mask."""
    options: dict[str, Any] = {"dtype": bands.scaled.dtype.name if bands.scales else None}
    if own.transform != source.transform:
        options["src_transform"] = own.transform
    with warped(source, part, alike.method, alike.nodata, **options) as view:
        data = validity.read_stored(view, alike.indexes)
        if alike.nodata is not None:
            return data, None
        shown = view.read(view.colorinterp.index(ColorInterp.alpha) + 1) > 0
        return data, np.broadcast_to(shown, data.shape)


def _spreads(values: np.ndarray, alike: _Alike) -> bool:
    """Tell whether NaN beside another nodata value, or a mask, was mixed into what is around it."""
    mixed = alike.method != Resampling.nearest and alike.nodata == alike.nodata
    return mixed and invalid_mask(values) is not None


def is_rounded(values: np.ndarray) -> bool:
    """Tell whether whole numbers are so large that GDAL, which resamples in floats, rounds them.

    Parameters
    ----------
    values
        As GDAL resampled them.

    Returns
    -------
    Whether one is 2**53 or more.

    Examples
    --------
    >>> is_rounded(np.array([2**53])), is_rounded(np.array([2**53 - 1]))
    (True, False)
    """
    if values.dtype.kind not in "iu" or values.dtype.itemsize < 8 or not values.size:
        return False
    return int(values.max()) >= 2**53 or int(values.min()) <= -(2**53)


def _stored_under(
    source: Any, own: GeoBox, part: GeoBox, alike: _Alike
) -> tuple[np.ndarray, np.ndarray, GeoBox]:
    """Return a file's numbers under a grid and around it, which of them count, and their grid."""
    top, left, rows, cols = window_of(own.transform, _bounds_on(part, own), None, SAME)
    rim = max(4, math.ceil(4 * _pixel_ratio(own, part)))  # what the widest method looks at
    (top, bottom), (left, right) = (
        # One pixel at least, where the file lies a full turn away.
        (min(max(start - rim, 0), whole - 1), max(min(start + size + rim, whole), 1))
        for start, size, whole in zip((top, left), (rows, cols), own.shape, strict=True)
    )
    window = Window(left, top, right - left, bottom - top)
    stored = validity.read_stored(source, alike.indexes, window=window)
    counts = ~validity.hidden_by(source, alike.indexes, stored, window=window)
    return stored, counts, part_of(own, top, left, *stored.shape[1:])


def _by_mark(source: Any, own: GeoBox, part: GeoBox, alike: _Alike, bands: Bands) -> _Pixels:
    """Return a file's numbers on a grid, and which count, where GDAL sees one of its masks only."""
    stored, counts, read = _stored_under(source, own, part, alike)
    if (marks := equal_mask(stored, alike.nodata)) is not None:
        counts &= ~marks
    floats = np.where(counts, stored, np.nan).astype(np.result_type(bands.dtype, np.float32))
    made = resampled(floats, read, part, alike.method, np.nan, UNIFIED_SRC_NODATA="NO")
    mask = ~np.isnan(made)
    if bands.scales or bands.dtype.kind in "fc":
        return made, mask
    return whole_numbers(np.where(mask, made, 0), bands.dtype, None), mask


def _by_place(source: Any, own: GeoBox, part: GeoBox, alike: _Alike, bands: Bands) -> _Pixels:
    """Return a file's numbers on a grid, and which count, by the place of the nearest pixel."""
    if alike.method != Resampling.nearest:
        raise CatalogError(
            f"{bands.dtype} numbers of 2**53 and more can't be resampled by "
            f"{alike.method.name!r}, which computes in floats; use resampling='nearest'"
        )
    stored, counts, read = _stored_under(source, own, part, alike)
    index = np.arange(stored[0].size, dtype=np.int32).reshape(1, *stored.shape[1:])
    place = resampled(index, read, part, Resampling.nearest, -1)[0]
    at = np.maximum(place, 0)
    data, mask = (each.reshape(len(each), -1)[:, at] for each in (stored, counts))
    return data, mask & (place >= 0)


def _shared_pixels(own: GeoBox, part: GeoBox) -> tuple[Window, tuple[slice, ...]] | None:
    """Return a file's window that is a grid, and how it is turned to lie as the grid does.

    None where the pixels are not the same, or the grid reaches beyond the file.
    """
    rows, cols = part.shape
    height, width = own.shape
    ours, theirs = part.transform, own.transform
    down, across = theirs.e * ours.e < 0, theirs.a * ours.a < 0
    if down or across:
        moved = Affine(-1 if across else 1, 0, width if across else 0, 0, 1, 0)
        moved = moved @ Affine(1, 0, 0, 0, -1 if down else 1, height if down else 0)
        own = pixel_grid(crs_of(own), theirs @ moved, own.shape)
    top, left = offset_of(own, part) or (-1, -1)
    if not (0 <= top <= height - rows and 0 <= left <= width - cols):
        return None
    place = Window(
        width - left - cols if across else left, height - top - rows if down else top, cols, rows
    )
    steps = slice(None, None, -1 if down else 1), slice(None, None, -1 if across else 1)
    return place, (slice(None), *steps)


_FAR = 90.0
"""Degrees from which on a file need not have bounds in a local CRS."""


def _bounds_on(own: GeoBox, grid: GeoBox) -> Bounds:
    """Return a file's bounds in the grid's CRS; the whole grid where that has no finite answer."""
    if same_crs(crs_of(own), crs_of(grid)):
        return own.boundingbox.bbox
    if crs_of(own).is_geographic and own.boundingbox.span_x > _FAR:
        return grid.boundingbox.bbox
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
