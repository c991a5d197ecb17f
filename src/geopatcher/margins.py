"""How wide a margin a model needs: tiles against the whole scene, margin by margin.

A filter looks so many pixels away and no further; a network's influence fades. Nobody can say how
far it looks, but how wrong its tiles are can be measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rasterio.windows import Window

from geopatcher.axes.geometry import SpatialRectangular
from geopatcher.axes.sampler import SpatialRegularStride
from geopatcher.axes.window import SpatialBoxcar, SpatialTrim
from geopatcher.config import as_choice, as_count, as_pixel_pair
from geopatcher.fields import as_field
from geopatcher.patch import PatchError
from geopatcher.patcher import SpatialPatcher
from pipekit.compare import absolute_difference
from pipekit.lazy import needed
from pipekit.pixels import plain
from pipekit.radius import needs_one_size

STATISTICS = ("largest", "mean", "differing")
"""The largest and the mean absolute difference, and the share of pixels that differ."""

_SAME = 1e-6
"""A difference that rounding makes: pixels further apart differ."""


@dataclass(frozen=True)
class MarginErrors:
    """The differences between tiles and the whole scene for each margin.

    Parameters
    ----------
    margins : tuple of int
        In pixels, rising.
    largest, mean : tuple of float
        Absolute differences, in the result's unit.
    differing : tuple of float
        Shares of pixels that differ by more than 1e-6, 0 to 1: what counts for classes.
    computed : tuple of float
        Pixels computed for each pixel of the scene.

    Examples
    --------
    >>> errors = MarginErrors((0, 4), (0.25, 0.0), (0.01, 0.0), (0.1, 0.0), (1.0, 1.07))
    >>> errors.smallest(1e-3)
    4
    >>> errors
    margin  largest     mean  differing  computed
         0     0.25     0.01     10.00%      1.00
         4        0        0      0.00%      1.07
    """

    margins: tuple[int, ...]
    largest: tuple[float, ...]
    mean: tuple[float, ...]
    differing: tuple[float, ...]
    computed: tuple[float, ...]

    def smallest(self, tolerance: float, statistic: str = "largest") -> int | None:
        """Return the smallest margin from which on no error is above a tolerance.

        Parameters
        ----------
        tolerance : float
            In the result's unit, or a share of pixels for "differing".
        statistic : {"largest", "mean", "differing"}
            Which error is held to it.

        Returns
        -------
        int or None
            In pixels; None when none of the margins will do.
        """
        as_choice(statistic, "statistic", STATISTICS)
        found = None
        for margin, error in zip(self.margins, getattr(self, statistic), strict=True):
            if error > tolerance:
                found = None
            elif found is None:
                found = margin
        return found

    def plot(self, ax: Any = None, tolerance: float | None = None, unit: str = "") -> Any:
        """Draw the largest and the mean error against the margin.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            What is drawn on; default the current axes.
        tolerance : float, optional
            Drawn as a line.
        unit : str
            Of the result.

        Returns
        -------
        matplotlib.axes.Axes
            What was drawn on.
        """
        if ax is None:
            ax = needed("matplotlib.pyplot").gca()
        above = [e for e in (*self.largest, *self.mean) if e > 0]
        ax.plot(self.margins, self.largest, "o-", color="tab:blue", label="largest")
        ax.plot(self.margins, self.mean, "s--", color="tab:orange", label="mean")
        if tolerance is not None:
            ax.axhline(tolerance, color="0.4", linewidth=0.8, label=f"tolerance {tolerance:g}")
        ax.set_yscale("symlog", linthresh=min(above, default=1.0))
        ax.set_ylim(bottom=0)
        ax.set(xlabel="margin dropped (pixels)", ylabel=f"error of tiles {unit}".rstrip())
        ax.legend()
        return ax

    def __repr__(self) -> str:
        head = "margin  largest     mean  differing  computed"
        rows = zip(
            self.margins, self.largest, self.mean, self.differing, self.computed, strict=True
        )
        return "\n".join(
            [head, *(f"{m:6}{a:9.3g}{b:9.3g}{share:11.2%}{n:10.2f}" for m, a, b, share, n in rows)]
        )


def margin_errors(
    operator: Callable[[Any], Any],
    field: Any,
    size: Any,
    margins: Sequence[int] = (0, 2, 4, 8, 16, 32),
    *,
    batch_size: int | None = None,
    reference: Any = None,
) -> MarginErrors:
    """Run an operator over tiles with each margin, and compare them with the whole scene.

    The scene is run once for each margin, so a part of it is often enough. What the operator says
    of its radius is not used.

    Parameters
    ----------
    operator : callable
        Takes a chip, returns (..., h, w) with the chip's h and w; with `batch_size` (N, ...) chips.
    field : Field, GeoTensor or reader
        A raster (..., H, W) that memory holds.
    size : int or (rows, cols)
        Of the chips in pixels.
    margins : sequence of int
        In pixels, each less than half a chip.
    batch_size : int, optional
        Chips of one call.
    reference : array, optional
        What is right, (..., H, W). Default: the operator on the whole scene, or for one that takes
        chips of one size its tiles with the largest margin, which is then no row of the table.

    Returns
    -------
    MarginErrors
        A row for each margin.

    Raises
    ------
    PatchError
        For a margin that leaves nothing of a chip, or chips larger than the scene.

    Examples
    --------
    >>> from georeader.geotensor import GeoTensor
    >>> from rasterio import Affine
    >>> from scipy.ndimage import maximum_filter
    >>> values = np.random.default_rng(0).random((60, 60))
    >>> scene = GeoTensor(values, Affine(10, 0, 0, 0, -10, 600), "EPSG:32632")
    >>> errors = margin_errors(lambda chip: maximum_filter(chip, 7), scene, 20, (0, 1, 2, 3, 4))
    >>> errors.smallest(tolerance=0)
    3
    """
    rows, cols = as_pixel_pair(size, "size")
    if not isinstance(margins, Iterable):
        raise PatchError(f"margins are a sequence of pixels, got {margins!r}; write [{margins!r}]")
    margins = tuple(sorted({as_count(margin, "margins", least=0) for margin in margins}))
    if not margins or 2 * margins[-1] >= min(rows, cols):
        raise PatchError(
            f"margins must leave something of chips of {rows} x {cols}, got {margins}; "
            f"the largest is at most {(min(rows, cols) - 1) // 2}"
        )
    source = as_field(field)

    def bare(chip: Any) -> Any:
        return operator(chip)

    bare.one_size = needs_one_size(operator)  # type: ignore[attr-defined]
    height, width = source.domain.height, source.domain.width
    if reference is None and not (bare.one_size and (height, width) != (rows, cols)):  # type: ignore[attr-defined]
        whole = source.select(Window(0, 0, width, height))
        reference = operator(plain(whole)[None])[0] if batch_size else operator(whole)
    geometry = SpatialRectangular((rows, cols), boundary="shift")
    found = []
    for margin in reversed(margins):
        step = SpatialRegularStride((rows - 2 * margin, cols - 2 * margin))
        window = SpatialTrim(margin) if margin else SpatialBoxcar()
        patcher = SpatialPatcher(geometry, step, window)
        stream = patcher.stream(source).map(bare, batch_size=batch_size)
        made = plain(patcher.merge(stream, source))
        if reference is None:
            reference = made
            continue
        computed = len(stream) * rows * cols / (height * width)
        found.append((margin, *_differences(made, plain(reference)), computed))
    return MarginErrors(*zip(*reversed(found), strict=True))


def _differences(made: np.ndarray, expected: np.ndarray) -> tuple[float, float, float]:
    """Return the largest and the mean difference, and the share of pixels that differ."""
    if made.shape != expected.shape:
        raise PatchError(f"tiles give {made.shape}, the reference has the shape {expected.shape}")
    far = absolute_difference(made, expected)
    far[np.isnan(far)] = np.inf
    pixels = (far > _SAME).reshape(-1, *far.shape[-2:]).any(axis=0)
    return float(far.max()), float(far.mean()), float(pixels.mean())
