"""Polygons of a raster of any size, read by blocks: the same as those of the whole in one piece.

A block's patches of one value are polygonised on their own, in whole pixels. Where two of them meet
at a block's edge they are one, which a graph over all patches tells; only these are dissolved. So
memory holds a block and the polygons, never the raster.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.windows import Window

from geotoolz.bands import position_of
from geotoolz.carrier import Mask, Values, pair
from geotoolz.function_operator import Band
from pipekit.legend import Classes, classes_of
from pipekit.operator import checked_count, checked_option
from pipekit.pixels import Role, invalid_mask, plain, roles_in_file


def polygons_of(
    source: Any,
    *,
    band: Band = 0,
    values: Iterable[float] | None = None,
    connectivity: int = 4,
    min_pixels: int = 1,
    column: str = "value",
    block: int | tuple[int, int] = 1024,
) -> gpd.GeoDataFrame:
    """Return polygons around connected pixels of equal value, nodata left out, reading by blocks.

    The result does not depend on the blocks: polygons that cross them are whole.

    Parameters
    ----------
    source
        A raster file's path; a `GeoTensor`, reader or Field; what `map_patches` returned.
    band
        Which holds the values, by position from 0 or by name.
    values
        The only ones to draw, such as the classes of cloud; by default all. Of a mask True, also
        where its numbers are 0 and 1, as those of a tiled run or a file are.
    connectivity
        4, or 8: then pixels that touch at a corner belong together, in one (multi-)polygon.
    min_pixels
        Polygons of fewer pixels are left out.
    column
        What the column of values is called.
    block
        (rows, cols) of a block in pixels.

    Returns
    -------
    A GeoDataFrame in the raster's CRS: `column`, "name" where the raster names its classes,
    "pixels", "area" in squared units of the CRS, and geometry; in the order of each polygon's
    first pixel, row by row.

    Raises
    ------
    ValueError
        For a raster without a place, or arguments that are none of these.
    KeyError, IndexError
        For a band that is not there.

    Examples
    --------
    >>> from georeader.geotensor import GeoTensor
    >>> classes = np.array([[1, 1, 2], [2, 1, 2]], "uint8")
    >>> raster = GeoTensor(classes, Affine(10, 0, 0, 0, -10, 20), 32632, None)
    >>> polygons_of(raster, block=2)[["value", "pixels", "area"]].values.tolist()
    [[1.0, 3.0, 300.0], [2.0, 2.0, 200.0], [2.0, 1.0, 100.0]]
    """
    checked_option(connectivity, "connectivity", (4, 8))
    checked_count(min_pixels, "min_pixels")
    if column in ("name", "pixels", "area", "geometry"):
        raise ValueError(f"column must not be one of the table's own, got {column!r}")
    if values is not None and not isinstance(values, Iterable):
        raise ValueError(f"values must be a list of values, got {values!r}; write [{values!r}]")
    wanted = None if values is None else list(values)  # once: a generator has them once only
    rows, cols = pair(block)
    with ExitStack() as stack:
        raster = _opened(source, stack)
        index = position_of(band, raster.names, "raster")
        patches = _Patches(raster.shape[1], connectivity)
        whole = Window(0, 0, raster.shape[1], raster.shape[0])
        for top in range(0, raster.shape[0], rows):
            for left in range(0, raster.shape[1], cols):
                window = Window(left, top, cols, rows).intersection(whole)
                labels, valid = raster.read(window, index)
                if raster.roles[index] == "mask":
                    valid &= labels != 0
                elif wanted is not None:
                    valid &= np.isin(labels, wanted)
                patches.add(labels, valid, window)
            patches.next_row()
    return _frame(patches, raster, column, min_pixels)


class _Raster(NamedTuple):
    """A raster of which windows can be read: window -> values (C, h, w), nodata."""

    shape: tuple[int, int]
    transform: Affine
    crs: Any
    names: tuple[str, ...]
    classes: Classes
    roles: tuple[Role, ...]
    pieces: Callable[[Window], tuple[Values, Any]]

    def read(self, window: Window, band: int) -> tuple[Values, Mask]:
        """Return a window of a band (h, w), and which pixels count."""
        pixels, nodata = self.pieces(window)
        values = pixels[band]
        invalid = invalid_mask(values, nodata)
        return values, np.ones(values.shape, bool) if invalid is None else ~invalid


def _opened(source: Any, stack: ExitStack) -> _Raster:
    """Return a file, a raster or a Field as something to read windows of."""
    from geopatcher.fields import RioXarrayField, as_field
    from geopatcher.merge.chip import chip_nodata, roles_of

    if isinstance(source, str | os.PathLike):
        return _opened_file(os.fspath(source), stack)
    field = RioXarrayField(source) if hasattr(source, "to_dataset") else as_field(source)
    domain = field.domain
    if getattr(domain, "transform", None) is None or domain.crs is None:
        raise ValueError("polygons need a raster with a transform and a CRS, and this has none")

    def pieces(window: Window) -> tuple[Values, Any]:
        piece = field.select(window)
        values = plain(piece)
        return values.reshape(-1, *values.shape[-2:]), chip_nodata(piece)

    said = getattr(source, "attrs", None) or getattr(getattr(field, "reader", None), "attrs", {})
    count = int(np.prod(domain.shape[:-2]))
    names = tuple(said.get("band_names", ())) if said else ()
    names = names if len(names) == count else tuple(f"band_{i + 1}" for i in range(count))
    roles = roles_of(field.select(Window(0, 0, 1, 1)))
    roles *= count // len(roles)
    place = domain.transform, domain.crs
    return _Raster(tuple(domain.shape[-2:]), *place, names, classes_of(said), roles, pieces)


def _opened_file(path: str, stack: ExitStack) -> _Raster:
    from geocatalog.read.bands import data_indexes, read_bands
    from geocatalog.read.open import open_file

    file = stack.enter_context(open_file(path))
    if file.crs is None:
        raise ValueError(f"polygons need a raster with a transform and a CRS, {path} has none")
    chosen = data_indexes(file)

    names = tuple(file.descriptions[i - 1] or f"band_{i}" for i in chosen)
    classes: Classes = {}
    with suppress(ValueError):  # others may mean something else by this tag
        classes = classes_of({"classes": json.loads(file.tags().get("classes", "{}"))})
    return _Raster(
        file.shape,
        file.transform,
        file.crs.to_wkt(),
        names,
        classes,
        roles_in_file(file, chosen),
        lambda window: read_bands(file, chosen, window=window),
    )


_STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""From a pixel to its neighbours (down, right): two at its sides, then two at its corners."""


@dataclass
class _Patches:
    """The patches of all blocks so far, and which of them are one across the blocks' edges."""

    width: int
    connectivity: int
    count: int = 0
    blocks: list[pd.DataFrame] = field(default_factory=list)
    links: list[NDArray[Any]] = field(default_factory=list)
    rims: list[_Rim] = field(default_factory=list)

    def add(self, values: Values, valid: Mask, window: Window) -> None:
        """Add the patches of a block; blocks come row by row, each from the left."""
        left, top, cols = window.col_off, window.row_off, window.width
        labels, count = _labelled(values, valid)
        flat = labels.ravel()
        first = np.zeros(count + 1, np.int64)
        where = np.arange(flat.size)[::-1]  # the last one written is the first pixel
        first[flat[::-1]] = where
        patches: dict[str, Any] = {
            "first": (top + first[1:] // cols) * self.width + left + first[1:] % cols,
            "value": values.ravel()[first[1:]],
            "pixels": np.bincount(flat, minlength=count + 1)[1:],
            "shape": _drawn(labels, valid, count, top, left),
        }
        self.blocks.append(pd.DataFrame(patches))
        self._join(np.where(valid, labels + np.int64(self.count), 0), values, left)
        self.count += count

    def next_row(self) -> None:
        """Say that the blocks that follow lie below those that came."""
        for rim in self.rims:
            rim.above, rim.beside = rim.below.copy(), None

    def _join(self, numbers: NDArray[Any], values: Values, left: int) -> None:
        """Note the patches of a block that are one with those around it, or at its corners."""
        layers = numbers, values
        empty = (np.zeros((2, self.width + 2), layer.dtype) for layer in layers)
        self.rims = self.rims or [_Rim(*rows) for rows in empty]
        n, v = (rim.framed(layer, left) for rim, layer in zip(self.rims, layers, strict=True))
        rows, cols = n.shape
        for down, right in _STEPS[: self.connectivity // 2]:
            one = np.s_[: rows - down, max(-right, 0) : cols - max(right, 0)]
            other = np.s_[down:, max(right, 0) : cols - max(-right, 0)]
            same = (n[one] != n[other]) & (v[one] == v[other]) & (n[one] > 0) & (n[other] > 0)
            pairs = np.stack([n[one][same], n[other][same]], axis=1)
            self.links.append(np.unique(pairs, axis=0) - 1)

    def components(self) -> NDArray[np.intp]:
        """Return which polygon each patch belongs to, from 0."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        pairs = np.concatenate([np.zeros((0, 2), np.int64), *self.links])
        ones = np.ones(len(pairs), bool)
        graph = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(self.count, self.count))
        return np.asarray(connected_components(graph, directed=False)[1], np.intp)


@dataclass
class _Rim:
    """Pixels along the blocks that came: numbers of patches from 1, 0 for none, or values."""

    above: NDArray[Any]
    below: NDArray[Any]
    beside: NDArray[Any] | None = None

    def framed(self, block: NDArray[Any], left: int) -> NDArray[Any]:
        """Return a block with the row above and the columns beside it, and keep its own edges."""
        rows, cols = block.shape
        out = np.zeros((rows + 1, cols + 2), block.dtype)
        out[0], out[1:, 1:-1] = self.above[left : left + cols + 2], block
        if self.beside is not None:
            out[1:, 0] = self.beside
        self.below[left + 1 : left + cols + 1], self.beside = block[-1], block[:, -1].copy()
        return out


def _labelled(values: Values, valid: Mask) -> tuple[NDArray[Any], int]:
    """Number the 4-connected patches of equal value from 1, as they come row by row; 0 is none.

    Between each two pixels lies a cell that is open where both belong together, so that one pass
    over a mask numbers patches of any number of values.
    """
    from scipy.ndimage import label

    height, width = values.shape
    cells = np.zeros((2 * height - 1, 2 * width - 1), bool)
    cells[::2, ::2] = valid
    cells[::2, 1::2] = (values[:, 1:] == values[:, :-1]) & valid[:, 1:] & valid[:, :-1]
    cells[1::2, ::2] = (values[1:] == values[:-1]) & valid[1:] & valid[:-1]
    found, count = label(cells)
    return np.ascontiguousarray(found[::2, ::2]), int(count)


def _drawn(
    labels: NDArray[Any], valid: Mask, count: int, top: int, left: int
) -> NDArray[np.object_]:
    """Return the polygon of each patch in pixels of the whole raster: (col, row)."""
    from rasterio.features import shapes
    from shapely.geometry import shape

    drawn = np.empty(count, object)
    for outline, number in shapes(labels.astype(np.int32, copy=False), mask=valid, connectivity=4):
        drawn[int(number) - 1] = shape(outline)
    moved: NDArray[np.object_] = shapely.transform(drawn, lambda xy: np.add(xy, (left, top)))
    return moved


def _frame(patches: _Patches, raster: _Raster, column: str, min_pixels: int) -> gpd.GeoDataFrame:
    """Dissolve patches that are one, and put the polygons onto the map with what they hold."""
    part_of = patches.components()
    pieces: Any = pd.concat(patches.blocks, ignore_index=True)
    how = {"first": "min", "value": "first", "pixels": "sum", "shape": "first"}
    whole = pieces.groupby(part_of).agg(how).query("pixels >= @min_pixels").sort_values("first")
    several = np.isin(part_of, whole.index[np.bincount(part_of)[whole.index] > 1])
    joined = pieces["shape"][several].groupby(part_of[several]).agg(_joined)
    whole.loc[joined.index, "shape"] = joined
    whole = whole.reset_index(drop=True)
    data: dict[str, Any] = {column: whole["value"]}
    if raster.classes:
        data["name"] = [raster.classes.get(int(value), ("", ""))[0] for value in whole["value"]]
    data["pixels"] = whole["pixels"]
    data["area"] = whole["pixels"] * abs(raster.transform.determinant)
    shapes = whole["shape"].to_numpy()
    geometry = shapely.transform(shapes, lambda *xy: raster.transform @ xy, interleaved=False)
    return gpd.GeoDataFrame(data, geometry=geometry, crs=raster.crs)


def _joined(pieces: pd.Series) -> Any:
    """Return the pieces of a polygon as one; corners are whole numbers, so nothing is rounded."""
    # Where blocks met in the middle of a side, a corner that bends nothing is left.
    return shapely.simplify(shapely.union_all(pieces.to_numpy()), 0)
