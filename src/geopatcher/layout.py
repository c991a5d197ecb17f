"""Which chips an operator gets, by how far it looks, so that tiles give what the scene gives.

A local operation, in map algebra's sense (Tomlin, 1990), makes each pixel of its result from the
same pixel of its input: reflectance from digital numbers, an index from bands. All chips that
cover a pixel then give it one value, and their weighted mean is that value. So chips are laid side
by side, and each pixel is read, computed and written once: at 256 pixels every 192, 1.75 times
less of each.

A focal operation looks r pixels around. Its chips are laid side by side, too, and each is read
with a rim of r pixels, cut at the scene's edge: it sees what it would see in the whole scene. The
rim is taken off again before chips are merged. Of an operator that says nothing, the chips are
those that the patcher asks for.
"""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from rasterio.windows import Window

from geopatcher.axes.axis import Axes, AxisGrid, Separable
from geopatcher.axes.geometry import SpatialRectangular
from geopatcher.axes.sampler import SpatialRegularStride
from geopatcher.axes.window import SpatialBoxcar, SpatialTrim, kept_span
from geopatcher.domain import GridDomain, RasterDomain
from geopatcher.fields.raster import is_in_memory
from geopatcher.patch import Failed, Patch, PatchError, SeamWarning, level_of_caller, other_pixels
from geopatcher.stream import FollowingStream, Item, MappedStream, PatchStream
from pipekit.radius import needs_one_size

STRIP_PIXELS = 2**16
"""Pixels of a strip: enough that a call's overhead vanishes, few enough that the arrays made for it
stay in a processor's cache and on pages that the process has already."""

Size = tuple[int, int]


def laid_out(stream: PatchStream, domain: Any, agrees: bool) -> tuple[PatchStream, str | None]:
    """Return a stream over the chips that its operators need, and what can't be helped.

    Parameters
    ----------
    stream : PatchStream
        Over the chips that the patcher asks for.
    domain : RasterDomain
        What it is merged onto.
    agrees : bool
        Whether chips that give one value to a pixel are merged into that value.

    Returns
    -------
    (PatchStream, str or None)
        The stream; what is wrong along the chips' borders and what would help, None where nothing
        is.

    Examples
    --------
    >>> from georeader.geotensor import GeoTensor
    >>> from rasterio import Affine
    >>> from geopatcher import *
    >>> scene = GeoTensor(np.ones((70, 70)), Affine(10, 0, 0, 0, -10, 700), "EPSG:32632")
    >>> patcher = SpatialPatcher(
    ...     SpatialRectangular(16, boundary="shift"), SpatialRegularStride(12), SpatialHann()
    ... )
    >>> def chips(function):
    ...     stream = patcher.stream(scene).map(function)
    ...     return len(laid_out(stream, stream.domain, agrees=True)[0])
    >>> def double(chip):
    ...     return 2 * chip
    >>> chips(double)
    36
    >>> double.radius = 0
    >>> chips(double)
    5
    >>> double.radius = 3
    >>> chips(double)
    25
    """
    radius, seam = stream.radius if isinstance(stream, MappedStream) else None, None
    if isinstance(stream, MappedStream) and radius is not None:
        fits = _same_pixels(stream.domain, domain)
        made = _tiled(stream, radius) if fits and agrees and _covers(stream) else None
        if made is not None:
            return made, None  # a margin that the window drops is no part of these chips
        if radius > 0:
            stream, seam = _with_rims(stream, radius, fits)
    window = stream.patcher.window
    if isinstance(window, SpatialTrim) and stream.is_rectangular:
        return TrimmedStream(stream, window.margin), seam
    return stream, seam


def _with_rims(stream: MappedStream, radius: int, fits: bool) -> tuple[PatchStream, str | None]:
    """Return the patcher's own chips read with rims, or cut by what is wrong of them."""
    geometry = stream.patcher.geometry
    if fits and type(geometry) is SpatialRectangular and not _needs_one_size(stream):
        # What reaches over the scene's edge is cut there: a rim is no mirror image.
        inside = "shrink" if geometry.boundary == "pad" else geometry.boundary
        rimmed = RimmedRectangular(geometry.size, inside, rim=radius)
        return RimmedStream(stream.again(_replaced(stream, geometry=rimmed))), None
    margin = max(radius, getattr(stream.patcher.window, "margin", 0))
    share = _uncovered_by_cores(stream, margin) if fits else math.nan
    if share == 0:
        return TrimmedStream(stream, margin), None
    return stream, _seam(stream, radius, share)


def warn_of_seams(seam: str | None) -> None:
    """Warn once, where the merge was asked for, of what `laid_out` says.

    Parameters
    ----------
    seam : str or None
        None says nothing.
    """
    if seam is not None:
        warnings.warn(seam, SeamWarning, stacklevel=level_of_caller())


def _needs_one_size(stream: MappedStream) -> bool:
    """Return whether a model takes chips of one size only."""
    return any(needs_one_size(stage.function) for stage in stream.stages)


def _same_pixels(own: Any, domain: Any) -> bool:
    """Return whether two domains are rasters or grids of as many rows and columns."""
    kinds = RasterDomain | GridDomain
    if not isinstance(own, kinds) or not isinstance(domain, kinds):
        return False
    return (own.height, own.width) == (domain.height, domain.width)


def _covers(stream: MappedStream) -> bool:
    """Return whether the patcher's chips cover the scene, so that others may as well."""
    patcher, own = stream.patcher, stream.domain
    geometry, sampler, window = patcher.geometry, patcher.sampler, patcher.window
    if type(geometry) is not SpatialRectangular or type(sampler) is not SpatialRegularStride:
        return False
    # A failed chip is left to those that overlap it, and only a window that says so is positive.
    if patcher.on_error != "raise" or any(s.on_error != "raise" for s in stream.stages):
        return False
    if not isinstance(window, Separable | SpatialTrim):
        return False
    small = geometry.size[0] > own.height or geometry.size[1] > own.width
    if small and geometry.boundary == "shift" and not _needs_one_size(stream):
        return True  # one chip is the scene
    return geometry.candidates(own).grid(sampler.step).covered_share == 1


def _tiled(stream: MappedStream, radius: int) -> PatchStream | None:
    """Return the stream over chips side by side with a rim of `radius`, or None."""
    size, own, geometry = stream.patcher.geometry.size, stream.domain, None
    model, batches = _needs_one_size(stream), any(s.batch_size is not None for s in stream.stages)
    if model or batches:  # whose chips measure the same, if that leaves anything of them
        whole = size[0] >= own.height, size[1] >= own.width
        core = tuple(n if all_ else n - 2 * radius for n, all_ in zip(size, whole, strict=True))
        if min(core) > 0:
            geometry = RimmedRectangular(core, "shrink", rim=radius, read_size=size)
        elif model:
            return None
    elif radius == 0 and is_in_memory(stream.field):
        # Strips of whole rows lie in one piece there, and files are cut into blocks. Not higher
        # than asked for: workers share out rows in blocks of such chips.
        size = (max(1, min(STRIP_PIXELS // own.width, size[0])), own.width)
    if geometry is None and radius > 0:
        geometry = RimmedRectangular(size, "shrink", rim=radius)
    cores: Any = geometry or SpatialRectangular(size, boundary="shrink")
    sampler, window = SpatialRegularStride(cores.size), SpatialBoxcar()
    made = stream.again(_replaced(stream, geometry=cores, sampler=sampler, window=window))
    return made if geometry is None else RimmedStream(made)


def _replaced(stream: PatchStream, **axes: Any) -> Any:
    patcher: Any = stream.patcher
    return replace(patcher, **axes)


def _uncovered_by_cores(stream: PatchStream, margin: int) -> float:
    """Return the share of the covered pixels that chips less a margin leave; NaN off a grid."""
    grid = stream.grid
    if grid is None:
        return math.nan
    shares = [np.mean(axis.counts > 0) for axis in (grid.rows, grid.cols)]
    inner = [np.mean(_cores(axis, margin)) for axis in (grid.rows, grid.cols)]
    return float(1 - (inner[0] * inner[1]) / (shares[0] * shares[1]))


def _cores(axis: AxisGrid, margin: int) -> np.ndarray:
    """Return which pixels of an axis lie in a chip at least a margin from its border."""
    reached = np.zeros(axis.length, bool)
    for start in axis.starts:
        first, stop = kept_span(start, axis.size, axis.length, margin)
        reached[start + first : start + stop] = True
    return reached


def _seam(stream: MappedStream, radius: int, share: float) -> str:
    """Say what is wrong along the chips' borders, and the step that would do."""
    size = getattr(stream.patcher.geometry, "size", None)
    seen = f"the operator looks {radius} pixels around each pixel"
    if size is None:
        return (
            f"{seen}, but a {type(stream.patcher.geometry).__name__} cuts patches that have no "
            f"neighbours beyond them: what lies within {radius} pixels of a patch's border is made "
            "of less than it looks at; use SpatialRectangular, whose chips are read with a rim"
        )
    known = "" if math.isnan(share) else f" ({share:.1%} of the pixels)"
    step = tuple(n - 2 * radius for n in size)
    way_out = f"use chips of more than {2 * radius} pixels"
    if min(step) > 0:
        fits = step if step[0] != step[1] else step[0]
        way_out = f"use SpatialRegularStride({fits}) or a smaller step"
    return (
        f"{seen}, and chips of {size[0]} x {size[1]} do not overlap by {2 * radius}: strips of up "
        f"to {radius} pixels along their borders{known} are made of cut neighbourhoods; {way_out}"
    )


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
