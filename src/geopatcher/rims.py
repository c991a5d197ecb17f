"""Chips of which only the inner part counts: read with a rim, or cut by a margin.

An operator that looks r pixels away sees a cut neighbourhood within r pixels of a chip's border,
except where that is the scene's own. So chips are read with a rim of r pixels, which is taken off
again before they are merged: what is left is what the whole scene would have given.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from rasterio.windows import Window

from geopatcher.axes.axis import Axes
from geopatcher.axes.geometry import SpatialRectangular
from geopatcher.axes.window import kept_span
from geopatcher.domain import RasterDomain
from geopatcher.patch import Failed, Patch, PatchError, other_pixels
from geopatcher.stream import FollowingStream, Item, PatchStream


@dataclass(frozen=True)
class RimmedRectangular(SpatialRectangular):
    """Rectangular chips, each read with the `rim` pixels around it, cut at the scene's edge.

    A patch lies where its chip does (`indices`), and holds what was read.

    Parameters
    ----------
    size : int or (rows, cols)
        Of a chip without its rim, in pixels.
    boundary : {"drop", "shift", "pad", "shrink"}
        What happens at the scene's edge.
    pad_mode : str
        Not used: what is read is cut at the scene's edge.
    pad_value : float, optional
        Not used either.
    rim : int
        Pixels read around a chip.
    read_size : (rows, cols), optional
        What every read measures: at the scene's edge it is moved inward.

    Examples
    --------
    >>> geometry = RimmedRectangular(10, "shrink", rim=3)
    >>> geometry.around(RasterDomain((50, 50)), Window(10, 0, 10, 10))
    Window(col_off=7, row_off=0, width=16, height=13)
    """

    forbid_in_yaml: ClassVar[bool] = True

    rim: int = 0
    read_size: tuple[int, int] | None = None

    def around(self, domain: RasterDomain, chip: Window) -> Window:
        """Return what is read for a chip.

        Parameters
        ----------
        domain : RasterDomain
            The scene.
        chip : rasterio.windows.Window
            Inside it.

        Returns
        -------
        rasterio.windows.Window
            The chip with its rim.
        """
        rows, cols = self.read_size or (None, None)
        top, bottom = self._span(chip.row_off, chip.height, domain.height, rows)
        left, right = self._span(chip.col_off, chip.width, domain.width, cols)
        return Window(left, top, right - left, bottom - top)

    def _span(self, start: int, size: int, length: int, whole: int | None) -> tuple[int, int]:
        begin, stop = max(0, start - self.rim), min(length, start + size + self.rim)
        if whole is None:
            return begin, stop
        begin = max(0, min(begin, length - whole))
        return begin, min(length, begin + whole)

    def read(self, field: Any, window: Window) -> Any:
        """Return the field's pixels in `window` and around it.

        Parameters
        ----------
        field : Field
            What is read.
        window : rasterio.windows.Window
            A chip.

        Returns
        -------
        array
            (..., rows, cols), of the Field's kind.
        """
        return field.select(self.around(field.domain, window))


class _CutStream(FollowingStream):
    """The patches of another stream, each cut to the part that counts when it is made."""

    def items(self, indices: Iterable[int]) -> Generator[Item, None, None]:
        """Yield (index, patch) in the order asked for; a skipped patch is None."""
        return ((i, None if p is None else self._cut(p)) for i, p in self.parent.items(indices))

    def _make(self, index: int) -> Patch:
        patch = self._cut(self.parent._make(index))
        if patch is None:
            raise PatchError(f"nothing of the patch at {self.anchors[index]} counts")
        return patch

    @abstractmethod
    def _cut(self, patch: Patch) -> Patch | None:
        """Return the part of a patch that counts, or None."""


class RimmedStream(_CutStream):
    """Patches without the rim that a `RimmedRectangular` read around them."""

    def again(self, patcher: Axes | None = None) -> RimmedStream:
        """Return the stream anew with failures of its own."""
        return RimmedStream(self.parent.again(patcher))

    def _cut(self, patch: Patch) -> Patch:
        if isinstance(patch.data, Failed):
            return patch
        read, chip = self.patcher.geometry.around(self.domain, patch.indices), patch.indices
        shape = tuple(np.shape(patch.data)[-2:])
        if shape != (read.height, read.width):
            raise other_pixels(patch, (read.height, read.width), "the chip's and its rim's")
        if shape == (chip.height, chip.width):
            return patch
        inner = Window(
            chip.col_off - read.col_off, chip.row_off - read.row_off, chip.width, chip.height
        )
        return patch.with_data(cut(patch.data, inner))


class TrimmedStream(_CutStream):
    """Patches without a margin, which stops at the scene's edge.

    Parameters
    ----------
    parent : PatchStream
        Of rectangles.
    margin : int
        Pixels that are dropped along each side.
    """

    grid = None  # type: ignore[assignment]

    def __init__(self, parent: PatchStream, margin: int) -> None:
        super().__init__(parent)
        self.margin = margin

    def again(self, patcher: Axes | None = None) -> TrimmedStream:
        """Return the stream anew with failures of its own."""
        return TrimmedStream(self.parent.again(patcher), self.margin)

    def touching(self, rows: tuple[int, int]) -> list[int]:
        """Return the patches of which something that counts touches a block of rows."""
        (start, stop), (order, tops) = rows, self._by_row
        height = int(self.patcher.geometry.size[0])
        first = np.where(tops > 0, tops + self.margin, tops)
        inside = tops + height < self.domain.height
        last = np.where(inside, tops + height - self.margin, self.domain.height)
        return order[(first < stop) & (last > start) & (first < last)].tolist()

    def _cut(self, patch: Patch) -> Patch | None:
        chip, data = patch.indices, patch.data
        top, bottom = kept_span(chip.row_off, chip.height, self.domain.height, self.margin)
        left, right = kept_span(chip.col_off, chip.width, self.domain.width, self.margin)
        part = Window(left, top, right - left, bottom - top)
        if min(part.height, part.width) < 1:
            return None
        if (part.height, part.width) == (chip.height, chip.width):
            return patch
        if isinstance(data, Failed):
            data = Failed((part.height, part.width))
        elif tuple(np.shape(data)[-2:]) == (chip.height, chip.width):  # else the merge complains
            data = cut(data, part)
        weights = None if patch.weights is None else patch.weights[top:bottom, left:right]
        place = Window(chip.col_off + left, chip.row_off + top, part.width, part.height)
        return Patch(data, patch.anchor, place, weights)


def cut(data: Any, part: Window) -> Any:
    """Return the pixels of a part of what an operator made, in its place.

    Parameters
    ----------
    data : array, GeoTensor or labelled piece
        (..., h, w).
    part : rasterio.windows.Window
        Inside it.

    Returns
    -------
    array, GeoTensor or labelled piece
        (..., part.height, part.width), a view where that can be.
    """
    rows, cols = part.toslices()
    if hasattr(data, "da"):
        return data.select(part)
    return (data if hasattr(data, "shape") else np.asarray(data))[..., rows, cols]
