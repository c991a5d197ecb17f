"""Which chips an operator gets, by how far it looks, so that tiles give what the scene gives.

A local operation, in map algebra's sense (Tomlin, 1990), makes each pixel of its result from the
same pixel of its input: reflectance from digital numbers, an index from bands. All chips that
cover a pixel then give it one value, and their weighted mean is that value. So chips are laid side
by side, and each pixel is read, computed and written once: at 256 pixels every 192, 1.75 times
less of each.

A focal operation looks r pixels around. Its chips are laid side by side, too, and each is read
with a rim of r pixels, cut at the scene's edge: it sees what it would see in the whole scene. Of
an operator that says nothing, the chips are those that the patcher asks for.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from geopatcher.axes.axis import AxisGrid, Separable
from geopatcher.axes.geometry import SpatialRectangular
from geopatcher.axes.sampler import SpatialRegularStride
from geopatcher.axes.window import SpatialBoxcar, SpatialTrim, kept_span
from geopatcher.domain import GridDomain, RasterDomain
from geopatcher.fields.raster import is_in_memory
from geopatcher.patch import SeamWarning, level_of_caller
from geopatcher.rims import RimmedRectangular, RimmedStream, TrimmedStream
from geopatcher.stream import MappedStream, PatchStream
from pipekit.radius import needs_one_size

STRIP_PIXELS = 2**16
"""Pixels of a strip: enough that a call's overhead vanishes, few enough that the arrays made for it
stay in a processor's cache and on pages that the process has already."""

Size = tuple[int, int]


class Layout:
    """A stream over the chips that its operators need, and what can't be helped.

    Parameters
    ----------
    stream : PatchStream
        Over the chips that the patcher asks for.
    domain : RasterDomain
        What it is merged onto.
    agrees : bool
        Whether chips that give one value to a pixel are merged into that value.

    Examples
    --------
    >>> import numpy as np
    >>> from georeader.geotensor import GeoTensor
    >>> from rasterio import Affine
    >>> from geopatcher import *
    >>> scene = GeoTensor(np.ones((70, 70)), Affine(10, 0, 0, 0, -10, 700), "EPSG:32632")
    >>> patcher = SpatialPatcher(
    ...     SpatialRectangular(16, boundary="shift"), SpatialRegularStride(12), SpatialHann()
    ... )
    >>> def chips(function):
    ...     stream = patcher.stream(scene).map(function)
    ...     return len(Layout(stream, stream.domain, agrees=True).stream)
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

    def __init__(self, stream: PatchStream, domain: Any, agrees: bool) -> None:
        self.seam: str | None = None
        """What is wrong along the chips' borders, and what would help; None where nothing is."""
        self.stream = self._made(stream, domain, agrees)

    def _made(self, stream: PatchStream, domain: Any, agrees: bool) -> PatchStream:
        radius = stream.radius if isinstance(stream, MappedStream) else None
        if isinstance(stream, MappedStream) and radius is not None:
            fits = _same_pixels(stream.domain, domain)
            made = _tiled(stream, radius) if fits and agrees and _covers(stream) else None
            if made is not None:
                return made  # a margin that the window drops is no part of these chips
            if radius > 0:
                stream = self._with_rims(stream, radius, fits)
        window = stream.patcher.window
        if isinstance(window, SpatialTrim) and stream.is_rectangular:
            return TrimmedStream(stream, window.margin)
        return stream

    def _with_rims(self, stream: MappedStream, radius: int, fits: bool) -> PatchStream:
        """Return the patcher's own chips read with rims, or cut by what is wrong of them."""
        geometry = stream.patcher.geometry
        if fits and type(geometry) is SpatialRectangular and not _needs_one_size(stream):
            # What reaches over the scene's edge is cut there: a rim is no mirror image.
            inside = "shrink" if geometry.boundary == "pad" else geometry.boundary
            rimmed = RimmedRectangular(geometry.size, inside, rim=radius)
            return RimmedStream(stream.again(_replaced(stream, geometry=rimmed)))
        margin = max(radius, getattr(stream.patcher.window, "margin", 0))
        share = _uncovered_by_cores(stream, margin) if fits else math.nan
        if share == 0:
            return TrimmedStream(stream, margin)
        self.seam = _seam(stream, radius, share)
        return stream


def warn_of_seams(seam: str | None) -> None:
    """Warn once, where the merge was asked for, of what `Layout.seam` says.

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
