"""Patches drawn on matplotlib axes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from rasterio import Affine

from geopatcher.patch import Patch
from pipekit.lazy import needed


def outline(window: Any, transform: Affine | None = None) -> np.ndarray:
    """Return a window's closed outline (5, 2) of (x, y): in pixels, or in the transform's units.

    Parameters
    ----------
    window : rasterio.windows.Window
        Of a chip.
    transform : Affine, optional
        From (col, row) to the CRS's coordinates.

    Returns
    -------
    numpy.ndarray
        (5, 2) float64.

    Examples
    --------
    >>> from rasterio.windows import Window
    >>> outline(Window(2, 1, 3, 4)).tolist()
    [[2.0, 1.0], [5.0, 1.0], [5.0, 5.0], [2.0, 5.0], [2.0, 1.0]]
    """
    left, top = window.col_off, window.row_off
    right, bottom = left + window.width, top + window.height
    corners = np.array(
        [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]], np.float64
    )
    t, (x, y) = transform or Affine.identity(), corners.T
    return np.stack([t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f], axis=1)


def draw_chips(
    ax: Any, chips: Iterable[Any], transform: Affine | None = None, scale: float = 1.0, **style: Any
) -> Any:
    """Draw the outlines of rectangular patches on matplotlib axes.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        What is drawn on.
    chips : iterable of Patch or Window
        Patches, or their windows.
    transform : Affine, optional
        Of the scene, for map coordinates; without it outlines are in pixels.
    scale : float
        What map coordinates are multiplied by: 0.001 for axes in kilometres.
    **style : any
        Of matplotlib's `LineCollection`, such as `colors` and `linewidths`.

    Returns
    -------
    matplotlib.collections.LineCollection
        One closed line for each chip.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from rasterio.windows import Window
    >>> plt.switch_backend("agg")
    >>> lines = draw_chips(plt.subplots()[1], [Window(0, 0, 4, 4), Window(4, 0, 4, 4)])
    >>> len(lines.get_segments())
    2
    >>> plt.close()
    """
    LineCollection = needed("matplotlib.collections").LineCollection

    windows = (chip.indices if isinstance(chip, Patch) else chip for chip in chips)
    lines = [outline(window, transform) * scale for window in windows]
    collection = LineCollection(lines, **{"linewidths": 0.8, "colors": "tab:orange", **style})
    ax.add_collection(collection)
    return collection
