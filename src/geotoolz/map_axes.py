"""Map axes for plots: the extent in kilometres or degrees, tick labels, and a scale bar."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from georeader.geotensor import GeoTensor

from geotoolz.carrier import Raster, values_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# WGS 84's equatorial radius times pi / 180.
_METRES_PER_DEGREE = 111_319.49


class Frame(NamedTuple):
    """Where an image lies: `extent` (left, right, bottom, top), axis labels, and sizes.

    `aspect` is how long a unit of y is drawn against one of x; `metres` is how long a unit of x is
    on the ground, None when unknown; `visible` is whether ticks are drawn.
    """

    extent: tuple[float, float, float, float]
    x_label: str
    y_label: str
    aspect: float
    metres: float | None
    visible: bool


def map_frame(raster: Raster, axes: str = "km") -> Frame:
    """Return the frame to draw a raster in; in pixels when it has no upright georeference.

    Parameters
    ----------
    raster
        (C, H, W), any numeric dtype.
    axes
        "km", "map" (the CRS's own unit) or "none".

    Examples
    --------
    >>> import numpy as np
    >>> map_frame(np.zeros((2, 3))).extent
    (0.0, 3.0, 2.0, 0.0)
    """
    height, width = values_of(raster).shape[-2:]
    visible = axes != "none"
    if not isinstance(raster, GeoTensor) or raster.transform.b or raster.transform.d:
        return Frame(
            (0.0, float(width), float(height), 0.0), "column (px)", "row (px)", 1.0, None, visible
        )
    left, top = raster.transform * (0, 0)
    right, bottom = raster.transform * (width, height)
    unit, metres = _unit(raster.crs)
    if unit == "°":
        squeeze = max(math.cos(math.radians((top + bottom) / 2)), 0.05)
        extent = (left, right, bottom, top)
        ground = _METRES_PER_DEGREE * squeeze
        return Frame(extent, "Longitude (°)", "Latitude (°)", 1 / squeeze, ground, visible)
    scale = 1000.0 / metres if axes == "km" and metres else 1.0
    shown = "km" if axes == "km" and metres else unit
    extent = (left / scale, right / scale, bottom / scale, top / scale)
    suffix = f" ({shown})" if shown else ""
    ground_unit = metres * scale if metres else None
    return Frame(extent, f"Easting{suffix}", f"Northing{suffix}", 1.0, ground_unit, visible)


def label_axes(ax: Axes, frame: Frame, scale_bar: bool = True) -> None:
    """Label the axes, keep the ground's proportions, and draw a scale bar.

    Parameters
    ----------
    ax
        Of matplotlib.
    frame
        Where the image lies.
    scale_bar
        Whether to draw one, where the unit is known.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> label_axes(ax, map_frame(np.zeros((2, 3))))
    >>> ax.get_xlabel()
    'column (px)'
    """
    ax.set_aspect(frame.aspect)
    if frame.visible:
        ax.set_xlabel(frame.x_label)
        ax.set_ylabel(frame.y_label)
        ax.ticklabel_format(useOffset=False, style="plain")
        ax.locator_params(nbins=5)
        ax.tick_params(labelsize=8)
    else:
        ax.set_xticks([])
        ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_linewidth(0.5)
    if scale_bar and frame.metres:
        _draw_scale_bar(ax, frame)


def nice_length(longest: float) -> float:
    """Return the largest of 1, 2 or 5 times a power of ten that is not above `longest`.

    Parameters
    ----------
    longest
        Positive, in any unit.

    Examples
    --------
    >>> nice_length(3400), nice_length(0.07)
    (2000.0, 0.05)
    """
    if not longest > 0:
        raise ValueError(f"a length must be positive, got {longest}")
    power = 10.0 ** math.floor(math.log10(longest))
    lead = max(each for each in (1, 2, 5) if each * power <= longest * (1 + 1e-9))
    return float(lead * power) if power >= 1 else float(round(lead * power, 12))


def _unit(crs: Any) -> tuple[str, float | None]:
    """Return the CRS's unit, and its length in metres where it has one."""
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        known = CRS.from_user_input(crs)
    except CRSError:
        return "", None
    if known.is_geographic:
        return "°", None
    name, factor = known.linear_units_factor
    return ("m" if name.lower() in ("metre", "meter") else name), float(factor)


def _draw_scale_bar(ax: Axes, frame: Frame) -> None:
    from matplotlib.patheffects import withStroke

    left, right, bottom, top = frame.extent
    width = abs(right - left)
    assert frame.metres is not None
    length = nice_length(width * frame.metres / 4)
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    share = length / frame.metres / width
    place: Any = {"transform": ax.transAxes, "color": "black"}
    halo = [[withStroke(linewidth=each, foreground="white")] for each in (4.5, 3.5)]
    line: Any = {"linewidth": 2, "solid_capstyle": "butt", "path_effects": halo[0]}
    ax.plot([0.04, 0.04 + share], [0.045, 0.045], **place, **line)
    label: Any = {"ha": "center", "va": "bottom", "fontsize": 8, "path_effects": halo[1]}
    ax.text(0.04 + share / 2, 0.06, text, **place, **label)
    # Drawing in axes coordinates must not move the map's own limits.
    ax.set_xlim(left, right)
    ax.set_ylim(bottom, top)
