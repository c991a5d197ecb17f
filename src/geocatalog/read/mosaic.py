"""Merge pieces of files into one raster, one at a time, honouring what is valid in each."""

from __future__ import annotations

from typing import Any

import numpy as np

from geocatalog.errors import CatalogError
from geocatalog.read.onto_grid import Bands, Piece

MERGE_METHODS = ("last", "first", "min", "max", "mean", "median")
"""How pixels that several files cover are merged; order is by time, then by row."""

_STRIP_BYTES = 32 * 2**20


class Mosaic:
    """A raster that pieces are added to; `result()` gives the merged pixels.

    `first` keeps what came first, so the caller gives pieces latest first for `last`, which
    behaves the same. Only "median" keeps every piece until the end. `nodata` marks missing pixels;
    see `fill_for`.

    Examples
    --------
    >>> bands = Bands(np.dtype("uint16"), 1, 0, (None,))
    >>> mosaic = Mosaic("max", bands, (1, 2))
    >>> for value in (3, 5):
    ...     data = np.full((1, 1, 2), value, "uint16")
    ...     mosaic.add(Piece(0, 0, data, np.array([[[True, value == 3]]])))
    >>> mosaic.result()
    array([[[5, 3]]], dtype=uint16)
    """

    def __init__(
        self, method: str, bands: Bands, shape: tuple[int, int], nodata: float | None = None
    ) -> None:
        self.method = check_method(method)
        self.bands = bands
        self.shape = (bands.count, *shape)
        self.fill = fill_for(method, bands, nodata)
        self.dtype = output_dtype(method, bands.dtype)
        self._pieces: list[Piece] = []
        self._count = np.zeros(self.shape, dtype=np.int32 if method == "mean" else bool)
        kind = np.float64 if method == "mean" else self.dtype
        self._data: Any = None if method == "median" else np.zeros(self.shape, dtype=kind)

    def holds(self, dtype: np.dtype) -> bool:
        """Whether values of another file's dtype keep their meaning in this raster."""
        both_float = dtype.kind == self.dtype.kind == "f"
        averaged = self.method in ("mean", "median")
        return averaged or both_float or bool(np.can_cast(dtype, self.dtype))

    def add(self, piece: Piece) -> None:
        """Merge one piece into the raster."""
        if self.method == "median":
            self._pieces.append(piece)
            return
        where = (slice(None), *piece.window)
        data, seen = self._data[where], self._count[where]
        if self.method == "mean":
            np.add(data, piece.data, out=data, where=piece.valid)
            seen += piece.valid
            return
        fresh = piece.valid & ~seen
        if self.method in ("min", "max"):
            choose = np.minimum if self.method == "min" else np.maximum
            choose(data, piece.data, out=data, where=piece.valid & seen)
        np.copyto(data, piece.data, where=fresh, casting="unsafe")
        seen |= piece.valid

    @property
    def is_complete(self) -> bool:
        """Whether further pieces cannot change the result."""
        return self.method in ("first", "last") and bool(self._count.all())

    def result(self) -> np.ndarray:
        """Return (C, H, W) merged pixels, `fill` where no file has a valid one."""
        if self.method == "median":
            return self._median()
        empty = self._count == 0
        if self.method == "mean":
            self._data = np.divide(self._data, self._count, where=~empty, out=self._data)
        merged = self._data.astype(self.dtype, copy=False)
        merged[empty] = self.fill
        return merged

    def _median(self) -> np.ndarray:
        merged = np.full(self.shape, self.fill, dtype=self.dtype)
        count, rows, cols = self.shape
        depth = max(len(self._pieces), 1)
        strip = max(1, _STRIP_BYTES // (depth * count * cols * 4))
        for top in range(0, rows, strip):
            bottom = min(top + strip, rows)
            stack = np.full((depth, count, bottom - top, cols), np.nan, dtype=np.float32)
            for layer, piece in zip(stack, self._pieces, strict=False):
                _paste(layer, piece, top, bottom)
            middle = nan_median(stack)
            np.copyto(merged[:, top:bottom], middle, where=~np.isnan(middle))
        return merged


def _paste(layer: np.ndarray, piece: Piece, top: int, bottom: int) -> None:
    rows, cols = piece.window
    first, last = max(rows.start, top), min(rows.stop, bottom)
    if first >= last:
        return
    inside = slice(first - rows.start, last - rows.start)
    target = layer[:, first - top : last - top, cols]
    np.copyto(target, piece.data[:, inside], where=piece.valid[:, inside], casting="unsafe")


def nan_median(stack: np.ndarray) -> np.ndarray:
    """Return the median along axis 0 of the values that are not NaN; NaN where there is none.

    Examples
    --------
    >>> nan_median(np.array([[1.0, np.nan], [5.0, np.nan], [3.0, np.nan], [np.nan, np.nan]]))
    array([ 3., nan])
    """
    ordered = np.sort(stack, axis=0)
    count = (~np.isnan(ordered)).sum(axis=0, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0), axis=0)
    high = np.take_along_axis(ordered, np.minimum(count // 2, len(stack) - 1), axis=0)
    middle: np.ndarray = ((low + high) / 2)[0]
    return middle


def check_method(method: str) -> str:
    """Return a merge method's name, checked.

    Examples
    --------
    >>> check_method("median")
    'median'
    """
    if method not in MERGE_METHODS:
        raise CatalogError(f"merge_method must be one of {MERGE_METHODS}, got {method!r}")
    return method


def output_dtype(method: str, dtype: np.dtype) -> np.dtype:
    """Return the merged raster's dtype: float32 for averages of integers, else the files' own.

    Examples
    --------
    >>> str(output_dtype("mean", np.dtype("uint16"))), str(output_dtype("max", np.dtype("uint16")))
    ('float32', 'uint16')
    """
    if method in ("mean", "median") and dtype.kind != "f":
        return np.dtype(np.float32)
    return dtype


def fill_for(method: str, bands: Bands, nodata: float | None) -> float:
    """Return what marks missing pixels: `nodata`, else NaN for floats, else the files' own, else 0.

    Raises
    ------
    CatalogError
        For a `nodata` that the result's dtype cannot hold.

    Examples
    --------
    >>> fill_for("last", Bands(np.dtype("uint16"), 1, None, (None,)), None)
    0
    """
    kind = output_dtype(method, bands.dtype)
    if nodata is not None:
        if kind.kind in "iu" and not (
            np.iinfo(kind).min <= nodata <= np.iinfo(kind).max and nodata == int(nodata)
        ):
            raise CatalogError(
                f"nodata={nodata} does not fit pixels of {kind}; it holds whole numbers from "
                f"{np.iinfo(kind).min} to {np.iinfo(kind).max}"
            )
        return nodata
    if kind.kind == "f":
        return bands.nodata if bands.nodata is not None and bands.dtype.kind == "f" else np.nan
    return 0 if bands.nodata is None else bands.nodata
