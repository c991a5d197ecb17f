"""What shape a patch has."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor
from rasterio.windows import Window

from geopatcher.axes.sampler import PixelCandidates
from geopatcher.config import Configured, as_choice, as_pixel_pair
from geopatcher.domain import GridDomain, PointDomain, RasterDomain, VectorDomain
from geopatcher.fields.labelled import XarrayField
from geopatcher.merge.chip import chip_nodata, fill_that_fits
from geopatcher.patch import PatchError
from pipekit.pixels import plain

BOUNDARIES = ("drop", "shift", "pad", "shrink")
_PAD_MODES = ("reflect", "symmetric", "edge", "wrap", "constant")


@dataclass(frozen=True)
class SpatialRectangular(Configured):
    """Rectangular chips.

    Parameters
    ----------
    size : int or (rows, cols)
        In pixels. Of three axes or more the last two are cut; what cuts time, too, is
        `SpatioTemporalPatcher`.
    boundary : {"drop", "shift", "pad", "shrink"}
        What happens at the scene's lower and right edge on a regular grid. "drop": only whole
        chips, a margin may stay uncovered. "shift": a last chip is moved inward so that every
        pixel is covered. "pad": chips may reach over the edge and are filled. "shrink": chips
        at the edge are smaller.
    pad_mode : str
        The mode of `numpy.pad` by which chips that reach over the edge are filled.
    pad_value : float, optional
        With `pad_mode="constant"`, which it implies; default the chip's own fill value, else 0.

    Raises
    ------
    PatchError
        For a size that is no positive whole pixels, or a mode that is unknown.

    Examples
    --------
    >>> domain = RasterDomain((2, 100, 50))
    >>> SpatialRectangular(30).neighborhood(domain, (60, 20))
    Window(col_off=20, row_off=60, width=30, height=30)
    >>> SpatialRectangular(30, boundary="shrink").neighborhood(domain, (80, 20)).height
    20
    """

    size: Any
    boundary: str = "drop"
    pad_mode: str = "reflect"
    pad_value: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.size, Sequence) and len(self.size) > 2:
            *lead, rows, cols = self.size
            raise PatchError(
                "size must be positive whole pixels, one number or (rows, cols), got "
                f"{self.size!r}; to cut the axis before them, too: SpatioTemporalPatcher("
                f"SpatialPatcher(SpatialRectangular(({rows}, {cols})), ...), TemporalPatcher("
                f"TemporalFixedLookback({lead[-1]}), TemporalCausalRolling({lead[-1]})))"
            )
        object.__setattr__(self, "size", as_pixel_pair(self.size, "size"))
        as_choice(self.boundary, "boundary", BOUNDARIES)
        as_choice(self.pad_mode, "pad_mode", _PAD_MODES)
        if self.pad_value is not None and self.pad_mode == "reflect":  # the default
            object.__setattr__(self, "pad_mode", "constant")
        if self.pad_value is not None and self.pad_mode != "constant":
            raise PatchError(
                f'pad_value={self.pad_value!r} is used with pad_mode="constant" only, '
                f"got pad_mode={self.pad_mode!r}"
            )

    def candidates(self, domain: RasterDomain | GridDomain) -> PixelCandidates:
        """Return where chips may be anchored: (row, col) of their upper left pixels.

        Raises `PatchError` when a whole chip is asked for and does not fit into the scene.
        """
        if isinstance(domain, PointDomain | VectorDomain):
            raise PatchError(
                f"SpatialRectangular cuts rasters and grids, got {domain}; use SpatialKNNGraph, "
                "SpatialRadiusGraph or SpatialPolygonIntersection"
            )
        rows, cols = self.size
        if self.boundary in ("drop", "shift") and (rows > domain.height or cols > domain.width):
            raise PatchError(
                f"a chip of {rows} x {cols} pixels is larger than the scene of "
                f"{domain.height} x {domain.width}; use a smaller size"
                + (f", for data of one row ({cols},)" if domain.height == 1 < rows else "")
                + ', or boundary="shrink" or "pad"'
            )

        return PixelCandidates(self.size, (domain.height, domain.width), self.boundary)

    def check_anchor(self, domain: RasterDomain | GridDomain, anchor: Any) -> None:
        """Raise `PatchError` for an anchor where no chip can lie."""
        self.neighborhood(domain, anchor)

    def neighborhood(self, domain: RasterDomain | GridDomain, anchor: tuple[int, int]) -> Window:
        """Return the chip's window with its upper left pixel at `anchor` (row, col).

        With "pad" the window may reach over the lower and right edge; with "shrink" it is cut
        there. Raises `PatchError` for an anchor outside the domain, or a chip that reaches over
        where whole chips are asked for.
        """
        try:
            row, col = operator.index(anchor[0]), operator.index(anchor[1])
        except (TypeError, IndexError):
            raise PatchError(
                f"an anchor of a rectangular chip is whole (row, col), got {anchor!r}"
            ) from None
        rows, cols = self.size
        height, width = domain.height, domain.width
        if row + rows <= height and col + cols <= width and row >= 0 and col >= 0:
            return Window(col, row, cols, rows)
        if not (0 <= row < height and 0 <= col < width):
            raise PatchError(f"anchor {anchor} lies outside the domain of {height} x {width}")
        if self.boundary == "pad":
            return Window(col, row, cols, rows)
        if self.boundary == "shrink":
            return Window(col, row, min(cols, width - col), min(rows, height - row))
        raise PatchError(
            f"the chip of {rows} x {cols} at anchor {anchor} reaches over the edge of "
            f'{height} x {width}; use boundary="shrink" or "pad" to allow it'
        )

    def read(self, field: Any, window: Window) -> Any:
        """Return the field's pixels in `window`, filled by `pad_mode` over the edge.

        Parameters
        ----------
        field : Field
            What is read.
        window : rasterio.windows.Window
            May reach over the lower and right edge.

        Returns
        -------
        array
            (..., h, w), of the Field's kind.
        """
        domain = field.domain
        below = window.row_off + window.height - domain.height
        right = window.col_off + window.width - domain.width
        if below <= 0 and right <= 0:
            return field.select(window)
        inside = window.intersection(Window(0, 0, domain.width, domain.height))
        return self._pad(field.select(inside), max(below, 0), max(right, 0))

    def _pad(self, chip: Any, below: int, right: int) -> Any:
        options: dict[str, Any] = {}
        if self.pad_mode == "constant":
            value = self.pad_value
            if value is None:
                value = chip_nodata(chip) or 0
            who = f"chips of {chip.dtype} cannot be padded with {value!r}: pad_value"
            options["constant_values"] = fill_that_fits(value, chip.dtype, who)
        values = plain(chip)
        widths = [(0, 0)] * (values.ndim - 2) + [(0, below), (0, right)]
        padded = np.pad(values, widths, mode=self.pad_mode, **options)  # type: ignore[call-overload]
        if isinstance(chip, XarrayField):  # its labels grow with it
            return chip.grown(padded, below, right)
        if not isinstance(chip, GeoTensor):
            return padded
        return GeoTensor(padded, chip.transform, chip.crs, chip.fill_value_default, chip.attrs)
