"""A map of classes read by blocks of whole rows, and how many pixels each class has."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.windows import Window

from geotoolz.carrier import Mask, Values, check_place, single_band
from pipekit.operator import checked_count
from pipekit.pixels import equal_mask, invalid_mask, nodata_of, plain

BLOCK_PIXELS = 2**21
"""Pixels of a block: enough that a call's overhead vanishes, few enough for flat memory."""

_NARROW = 2**16
"""Up to so many whole numbers between the least and the largest class are counted by position."""

_LARGEST = 2**63 - 1
"""The largest class: larger ones would come out negative."""

Labels = NDArray[np.int64]
"""Numbers of classes."""


class ClassMap:
    """A map of classes (H, W) that is read by blocks of whole rows.

    Parameters
    ----------
    source
        A path or URL of a file with one band, a `GeoTensor`, a plain or masked array, a DataArray,
        a Field or a reader: (H, W) or (1, H, W) of whole numbers or booleans.
    nodata
        A class that is left out beside what the map itself declares as nodata.
    block_rows
        Rows that are held at a time; by default as many as make some two million pixels.

    Raises
    ------
    ValueError
        For more than one band.
    TypeError
        For a map of numbers that are not whole.

    Examples
    --------
    >>> crops = ClassMap(np.array([[1, 1, 2], [2, 2, 0]], "uint8"), nodata=0)
    >>> crops.shape, [(row, labels.tolist()) for row, labels, _ in crops.blocks()]
    ((2, 3), [(0, [[1, 1, 2], [2, 2, 0]])])
    """

    def __init__(
        self, source: Any, nodata: int | None = None, block_rows: int | None = None
    ) -> None:
        self.nodata = nodata
        self.left_out: Any = None
        self.shape: tuple[int, int]
        self.transform: Affine | None
        self._pixels: Callable[[Window], tuple[Values, Any, Mask | None]]
        if isinstance(source, str | os.PathLike):
            self._open_file(os.fspath(source))
        else:
            self._open_field(source)
        # Whole rows of a file's tiles, so that no tile is inflated twice.
        tiles = BLOCK_PIXELS // max(self.shape[1], 1) // self._tile
        usual = max(tiles, 1) * self._tile
        self.rows = checked_count(block_rows, "block_rows") if block_rows else usual

    def _open_file(self, path: str) -> None:
        from geocatalog.read.bands import data_indexes, read_bands
        from geocatalog.read.open import with_dataset

        def header(file: Any) -> tuple[Any, ...]:
            indexes = data_indexes(file)
            return indexes, file.shape, file.transform, file.crs, file.block_shapes[0][0]

        indexes, self.shape, self.transform, crs, self._tile = with_dataset(path, header)
        self.crs = None if crs is None else crs.to_string()
        _one_band(len(indexes), path)

        def pixels(window: Window) -> tuple[Values, Any, Mask | None]:
            how: Any = {"scaled": False, "window": window}
            return *with_dataset(path, lambda file: read_bands(file, indexes, **how)), None

        self._pixels = pixels

    def _open_field(self, source: Any) -> None:
        from geopatcher.fields import RioXarrayField, as_field

        if hasattr(source, "to_dataset"):  # what `map_patches` wrote into a Zarr store
            source = RioXarrayField(source)
        if isinstance(source, list):
            source = np.asarray(source)
        if isinstance(source, np.ndarray):
            shape, place = source.shape, source
            self._pixels = partial(_pixels_of, source)
        else:
            field = as_field(source)
            shape, place = field.domain.shape, field.domain
            self._pixels = lambda window: _pixels_of_field(field.select(window))
        _one_band(shape[0] if len(shape) == 3 else 1 if len(shape) == 2 else 0, f"shape {shape}")
        self.shape, self._tile = (int(shape[-2]), int(shape[-1])), 1
        self.transform = getattr(place, "transform", None)
        self.crs = getattr(place, "crs", None)

    def blocks(self, rows: int | None = None) -> Iterator[tuple[int, Values, Mask | None]]:
        """Yield (first row, classes (h, W), where they count (h, W) or None for everywhere).

        Parameters
        ----------
        rows
            Of a block; by default those that the map was made with.

        Yields
        ------
        tuple
            From the top of the map down.
        """
        height = rows or self.rows
        for row in range(0, self.shape[0], height):
            yield row, *self.read(row, min(height, self.shape[0] - row))

    def read(self, row: int, rows: int) -> tuple[Values, Mask | None]:
        """Return the classes (rows, W) from a row on, and where they count.

        Parameters
        ----------
        row
            The first.
        rows
            How many.

        Returns
        -------
        values
            Whole numbers.
        valid
            (rows, W) bool; None where all count.
        """
        values, fill, hidden = self._pixels(Window(0, row, self.shape[1], rows))
        values = single_band(values)
        if values.dtype.kind == "b":  # a mask has two classes and no nodata
            values, fill = values.view(np.uint8), None
        marks = invalid_mask(values, fill), equal_mask(values, self.nodata), hidden
        if marks[0] is not None and fill != self.nodata:
            self.left_out = fill
        missing: Mask | None = None
        for mark in marks:
            if mark is not None:
                missing = mark if missing is None else missing | mark
        if values.dtype.kind == "f":
            values = _whole(values, missing)
        elif values.dtype == np.uint64 and values.max(initial=0) > _LARGEST:
            raise TypeError(
                f"a map of classes holds numbers up to {_LARGEST}, got {values.max()}; give the "
                "classes smaller numbers"
            )
        elif values.dtype.kind not in "iu":
            raise TypeError(f"a map of classes holds whole numbers, got {values.dtype.name}")
        return values, None if missing is None else ~missing

    def warn_of_one_class(self, classes: Collection[Any]) -> None:
        """Warn when one class is left because what the map declares as nodata may be the other.

        Parameters
        ----------
        classes
            Those that were met where the map counts.
        """
        if len(classes) == 1 and self.left_out is not None:
            warnings.warn(
                f"all pixels but those of nodata, {self.left_out}, which is left out, are "
                f"{next(iter(classes))}; where nodata is a class of its own, set the map's "
                "fill_value_default to None, or write the file without nodata",
                stacklevel=3,
            )


def _pixels_of(array: Any, window: Window) -> tuple[Values, Any, Mask | None]:
    """Return an array's pixels, what marks nodata in them, and where a masked one hides."""
    rows = slice(window.row_off, window.row_off + window.height)
    piece = getattr(array, "values", array)[..., rows, :]  # a tensor's own slices copy
    if isinstance(piece, np.ma.MaskedArray):
        return plain(piece.data), None, single_band(np.ma.getmaskarray(piece))
    return plain(piece), nodata_of(array), None


def _pixels_of_field(piece: Any) -> tuple[Values, Any, Mask | None]:
    from geopatcher.merge.chip import chip_nodata

    return plain(piece), chip_nodata(piece), None


def _one_band(count: int, what: str) -> None:
    if count != 1:
        raise ValueError(
            f"a map of classes has one band, (H, W) or (1, H, W), got {count} in {what}; "
            "choose one with SelectBands, or read(path, bands=[...])"
        )


def _whole(values: Values, missing: Mask | None) -> Values:
    """Return classes that came as floats as whole numbers, 0 where they are missing."""
    clean = values if missing is None else np.where(missing, 0, values)
    with np.errstate(invalid="ignore"):
        whole = clean.astype(np.int64)
    if not np.array_equal(whole, clean):
        odd = float(clean[whole != clean].flat[0])
        raise TypeError(f"a map of classes holds whole numbers, got {odd}; round or classify first")
    return whole


def coded(values: Values) -> tuple[Labels, NDArray[np.intp]]:
    """Return the classes that may occur, ascending, and each pixel's position among them.

    Parameters
    ----------
    values
        (N,) whole numbers.

    Returns
    -------
    labels
        (K,); some of them may not occur where they lie close together.
    codes
        (N,).

    Examples
    --------
    >>> labels, codes = coded(np.array([7, 9, 7], "uint8"))
    >>> labels.tolist(), codes.tolist()
    ([7, 8, 9], [0, 2, 0])
    """
    if values.size == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.intp)
    low, high = int(values.min()), int(values.max())
    if high - low < _NARROW:
        codes = values.astype(np.intp)
        codes -= low
        return np.arange(low, high + 1), codes
    labels, found = np.unique(values, return_inverse=True)
    return labels, found.astype(np.intp).reshape(values.shape)


def counted(values: Values, valid: Mask | None) -> dict[int, int]:
    """Return the pixels of each class of a block.

    Parameters
    ----------
    values
        (h, w) whole numbers.
    valid
        (h, w) bool, the pixels that count; None for all.

    Returns
    -------
    Class -> pixels, of classes that occur.

    Examples
    --------
    >>> counted(np.array([[7, 9, 7]], "uint8"), None)
    {7: 2, 9: 1}
    """
    labels, codes = coded(values.ravel() if valid is None else values[valid])
    counts = zip(labels.tolist(), np.bincount(codes).tolist(), strict=True)
    return {label: count for label, count in counts if count}


def count_classes(class_map: Any, *, nodata: int | None = None) -> pd.Series:
    """Return how many pixels each class of a map has, read by blocks of rows.

    Parameters
    ----------
    class_map
        As in `ClassMap`.
    nodata
        A class that is left out beside what the map itself declares as nodata.

    Returns
    -------
    A Series "pixels" over the classes, ascending; nodata is not among them.

    Examples
    --------
    >>> count_classes(np.array([[1, 1, 2], [2, 2, 0]], "uint8"), nodata=0).to_dict()
    {1: 2, 2: 3}
    """
    source = ClassMap(class_map, nodata)
    found: dict[int, int] = {}
    for _, values, valid in source.blocks():
        for label, count in counted(values, valid).items():
            found[label] = found.get(label, 0) + count
    classes = pd.Index(sorted(found), name="class", dtype=np.int64)
    return pd.Series([found[each] for each in classes], classes, np.int64, "pixels")


def check_same_grid(one: ClassMap, other: ClassMap, names: str) -> None:
    """Raise ValueError unless two maps have the same pixels.

    Parameters
    ----------
    one, other
        The maps. One without a place fits every place.
    names
        What the message calls them.

    Raises
    ------
    ValueError
        For another shape or another place.

    Examples
    --------
    >>> same = np.zeros((2, 2), "uint8")
    >>> check_same_grid(ClassMap(same), ClassMap(same), "map and reference")
    """
    from georeader.geotensor import GeoTensor

    if one.shape != other.shape:
        raise ValueError(
            f"{names} must have the same pixels, got {one.shape} and {other.shape} (rows, cols); "
            "use ReprojectLike with method 'nearest' first"
        )
    if one.transform is not None and other.transform is not None:
        # A view of one number has the shape of the grid and no pixels of its own.
        ghost = GeoTensor(np.broadcast_to(np.uint8(0), one.shape), one.transform, one.crs)
        check_place(ghost, (other.transform, other.crs), f"{names} do not share their pixels")
