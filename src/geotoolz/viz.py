"""Plots with map axes, units and a scale bar.

`plot` draws any raster in one call: three bands as a picture, one band with a colour bar that says
quantity and unit, a boolean mask and classes with a legend. Nodata is grey, and the legend says so.
Large rasters are averaged down before they are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from georeader.geotensor import GeoTensor
from numpy.typing import NDArray

from geotoolz.bands import Band, band_index, band_names, coded_bands, take_band, take_bands
from geotoolz.carrier import (
    Fill,
    Raster,
    Values,
    attrs_of,
    fill_of,
    nan_floats,
    single_band,
    values_of,
)
from geotoolz.cloud import SCL_CLASSES
from geotoolz.colours import (
    MASK_COLOURS,
    RGB,
    Colormap,
    ToRGB,
    check_order,
    class_colours,
    colormap,
    look_of,
    to_rgb,
)
from geotoolz.radiometry import percentile_clip
from pipekit.carrier import crs_of
from pipekit.lazy import needed
from pipekit.legend import classes_of
from pipekit.operator import checked_option
from pipekit.pixels import band_roles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from geotoolz.io import PathLike

__all__ = ["MAX_PIXELS", "RGB", "Colormap", "ToRGB", "colormap", "plot", "quicklook", "to_rgb"]

MAX_PIXELS = 600_000
"""How many pixels `plot` hands to matplotlib: more than a page shows, and figures stay small."""

NODATA = "0.6"
"""The colour of nodata: a middle grey, which no map in colours begins or ends with."""


def plot(
    raster: Raster,
    *,
    ax: Axes | None = None,
    band: Band | None = None,
    title: str | None = None,
    cmap: str | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    label: str | None = None,
    classes: Mapping[Any, Any] | None = None,
    colorbar: bool = True,
    legend: bool = True,
    scale_bar: bool = True,
    axes: str = "km",
    max_pixels: int = MAX_PIXELS,
    nodata: str | None = NODATA,
) -> Axes:
    """Draw a raster with map axes, a scale bar, and a colour bar or legend; return the axes.

    A raster whose `attrs["source"]` is "simulated" is marked as such.

    Parameters
    ----------
    raster
        (3, H, W) is drawn as a picture (0..1 as it is, anything else stretched); (H, W) or (1, H,
        W) as one band; more bands as true colour when they are named, else name a `band`.
    ax
        Where; by default on a new figure.
    band
        The one to draw.
    title
        Above the map.
    cmap, vmin, vmax
        By default chosen for the quantity in `attrs["long_name"]`, with limits at the 2nd and 98th
        percentile, about zero for a diverging map.
    label
        Of the colour bar; by default quantity and unit from the attributes.
    classes
        Id -> name, or (name, colour), for a map of classes with a legend. A band named "SCL" has
        its classes; so has a boolean mask.
    colorbar
        Whether one band gets a colour bar.
    legend
        Whether classes get a legend.
    scale_bar
        Whether a scale bar is drawn, where the unit is known.
    axes
        "km" (kilometres of the CRS, degrees if it is geographic), "map" (the CRS's own units),
        "none".
    max_pixels
        Larger rasters are averaged down (classes: thinned) to about as many.
    nodata
        Colour behind pixels without data or class, hatched where the colour map is grey itself; it
        is named in the legend, or below the colour bar. None leaves them to what is behind.

    Returns
    -------
    The axes drawn on.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> plt.switch_backend("agg")
    >>> ax = plot(np.eye(3), title="diagonal")
    >>> ax.get_title()
    'diagonal'
    >>> plt.close()
    """
    checked_option(axes, "axes", ("km", "map", "none"))
    values, name, picture = _choose(raster, band)
    frame, attrs = map_frame(raster, axes), attrs_of(raster)
    ax = ax or _new_axes(values.shape[-2:], frame.aspect)
    classes = classes or (None if picture else _own_classes(raster, values, name))
    shown: Any = {"extent": frame.extent, "interpolation": "nearest", "origin": "upper"}
    handles: list[Any] = []
    where: Any = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "frameon": False}
    word, hatched = "no data", False
    if picture:
        rgba = _picture(raster, values, max_pixels)
        ax.imshow(rgba, **shown)
        holes = rgba[..., 3] == 0
        where = {"loc": "lower right"}
    elif classes:
        rgba, handles, known = _class_picture(raster, values, class_colours(classes), max_pixels)
        ax.imshow(rgba, **shown)
        holes = rgba[..., 3] == 0
        word = "no class" if known[holes].any() else word
    else:
        floats = _floats(raster, values, band, max_pixels)
        look = look_of(name)
        low, high = _limits(floats, vmin, vmax, look.diverging and cmap is None)
        image = ax.imshow(floats, cmap=cmap or look.cmap, vmin=low, vmax=high, **shown)
        if colorbar:
            quantity, units = name or str(attrs.get("long_name", "")), attrs.get("units")
            own = f"{quantity} ({units})" if units else quantity
            _add_colour_bar(ax, image, own if label is None else label, floats)
        holes, hatched = ~np.isfinite(floats), len({*image.get_cmap()(0.5)[:3]}) == 1
        # Under the bar, and right of the last tick's label.
        where |= {"bbox_to_anchor": (1.0, 0.0), "borderaxespad": 1.6, "handlelength": 1.2}
    if nodata is not None and holes.any():
        handles = [*handles, _behind(ax, nodata, word, hatched)]
    if handles and (legend if picture or classes else colorbar):
        ax.legend(handles=handles, fontsize=8, **where)
    label_axes(ax, frame, scale_bar)
    if attrs.get("source") == "simulated":
        # So that no reader takes it for real.
        box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.5}
        style: Any = {"ha": "right", "va": "top", "size": 8, "style": "italic", "bbox": box}
        ax.text(0.98, 0.985, "simulated", transform=ax.transAxes, **style)
    if title is not None:
        ax.set_title(title)
    return ax


def quicklook(path: PathLike, max_pixels: int = MAX_PIXELS, **options: Any) -> Axes:
    """Draw a file from its overviews, reading hardly more pixels than are shown; return the axes.

    Parameters
    ----------
    path
        Anything rasterio opens.
    max_pixels
        About how many pixels are read.
    **options
        Those of `plot`.

    Returns
    -------
    The axes drawn on.

    Examples
    --------
    >>> import tempfile
    >>> import matplotlib.pyplot as plt
    >>> from geotoolz.io import write_cog
    >>> from geotoolz.carrier import GeoTensor
    >>> from rasterio import Affine
    >>> plt.switch_backend("agg")
    >>> tile = GeoTensor(np.ones((64, 64), "float32"), Affine(10, 0, 0, 0, -10, 640), "EPSG:32632")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ax = quicklook(write_cog(tile, f"{folder}/tile.tif"), title="a tile")
    >>> ax.get_xlabel()
    'Easting (km)'
    >>> plt.close()
    """
    from geotoolz.io import read_overview

    return plot(read_overview(path, max_pixels), max_pixels=max_pixels, **options)


def _choose(raster: Raster, band: Band | None) -> tuple[Values, str, bool]:
    """Return the values to draw, the quantity's name, and whether they are a picture."""
    values = values_of(raster)
    names = band_names(raster)
    title = str(attrs_of(raster).get("long_name", ""))
    if values.size == 0:
        raise ValueError(f"there are no pixels to draw in a raster of shape {values.shape}")
    if band is not None:
        own = names[band_index(raster, band)] if names else ""
        return take_band(raster, band), f"{own} {title}".strip(), False
    if values.ndim == 2 or (values.ndim == 3 and len(values) == 1):
        own = names[0] if len(names) == 1 and not title else title
        return single_band(values), own, False
    if values.ndim != 3:
        raise ValueError(f"plot draws (H, W) or (C, H, W), got shape {values.shape}")
    lowered = {name.lower() for name in names}
    # Names that numpy's own functions leave behind say nothing about the three bands.
    if len(values) == 3 and not (len(names) == 3 and lowered >= {"b02", "b03", "b04"}):
        return values, title, True
    try:
        return np.stack(take_bands(raster, RGB)), title, True
    except LookupError:
        raise ValueError(
            f"plot draws one band or three, got {len(values)} "
            f"({', '.join(names) or 'without names'}); name one as band=..."
        ) from None


def _own_classes(raster: Raster, values: Values, name: str) -> Mapping[Any, Any] | None:
    """Return the classes of a boolean mask, of a map that names them, or of a band by its name."""
    if values.dtype == np.bool_:
        marked = str(attrs_of(raster).get("long_name") or "masked")
        other = "kept" if marked == "dropped" else f"not {marked}"
        return {0: (other, MASK_COLOURS[0]), 1: (marked, MASK_COLOURS[1])}
    own = classes_of(attrs_of(raster)) if set(band_roles(raster)) == {"class"} else {}
    return own or (SCL_CLASSES if name.upper() == "SCL" else None)


def _picture(raster: Raster, values: Values, max_pixels: int) -> Values:
    """Return three bands as (h, w, 4), stretched unless they are from 0 to 1 already."""
    small = average_down(values, max_pixels, fill_of(raster))
    with np.errstate(invalid="ignore"):
        ready = np.nanmin(small, initial=0.0) >= 0 and np.nanmax(small, initial=0.0) <= 1
    if values.dtype == np.uint8:
        small = small / np.float32(255)
    elif not ready or attrs_of(raster).get("long_name") == "reflectance":
        # Land reflects some 5 to 30 %: unstretched, a picture of it is nearly black.
        small = values_of(percentile_clip(small, 2, 98))
    opaque = ~np.isnan(small).any(axis=0)
    return np.dstack([*np.nan_to_num(small), opaque.astype(np.float32)])


def _behind(ax: Axes, colour: str, word: str, hatched: bool) -> Any:
    """Colour what is seen through the holes of a map; return the entry of its legend."""
    look: Any = {"facecolor": colour, "hatch": "////" if hatched else None, "linewidth": 0}
    ax.patch.set(edgecolor="white", **look)
    return needed("matplotlib.patches").Patch(edgecolor="white", label=word, **look)


def _class_picture(
    raster: Raster, values: Values, classes: Mapping[int, tuple[str, str]], max_pixels: int
) -> tuple[Values, list[Any], NDArray[np.bool_]]:
    """Return classes as (h, w, 4), the legend's entries for them, and which pixels have data."""
    to_rgba = needed("matplotlib.colors").to_rgba
    Patch = needed("matplotlib.patches").Patch

    small = average_down(values, max_pixels, None, average=False)
    rgba = np.zeros((*small.shape, 4), np.float32)
    shown = []
    for key, (name, colour) in classes.items():
        here = small == key
        if here.any():
            rgba[here] = to_rgba(colour)
            shown.append(Patch(facecolor=colour, edgecolor="#808080", linewidth=0.5, label=name))
    return rgba, shown, ~np.isnan(nan_floats(small, fill_of(raster)))


def _floats(raster: Raster, values: Values, band: Band | None, max_pixels: int) -> Values:
    """Return one band as floats, averaged down; of classes, bits and masks every n-th pixel."""
    fill, index = fill_of(raster), 0 if band is None else band_index(raster, band)
    if index in coded_bands(raster):
        return nan_floats(average_down(values, max_pixels, average=False), fill)
    return average_down(values, max_pixels, fill)


def _limits(
    floats: Values, vmin: float | None, vmax: float | None, about_zero: bool
) -> tuple[float, float]:
    valid = floats[np.isfinite(floats)]
    low, high = map(float, np.percentile(valid, (2, 98))) if valid.size else (0.0, 1.0)
    if about_zero and vmin is None and vmax is None:
        reach = max(abs(low), abs(high)) or 1.0
        return -reach, reach
    if low == high:
        low, high = low - 0.5, high + 0.5
    limits = low if vmin is None else vmin, high if vmax is None else vmax
    check_order(*limits)
    return limits


def _new_axes(shape: tuple[int, ...], aspect: float) -> Axes:
    plt = needed("matplotlib.pyplot")

    ratio = shape[0] * aspect / max(shape[1], 1)
    # Between a broad and a tall page, whatever the scene's shape.
    size = (7.0, max(2.5, min(7.0 * ratio, 8.0)))
    if ratio > 8.0 / 7.0:
        size = (max(3.5, 8.0 / ratio + 1.8), 8.0)
    _, ax = plt.subplots(figsize=size, layout="constrained")
    return ax


def _add_colour_bar(ax: Axes, image: Any, label: str, floats: Values) -> None:
    valid = floats[np.isfinite(floats)]
    limits = image.get_clim()
    below, above = bool((valid < limits[0]).any()), bool((valid > limits[1]).any())
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[below, above]
    # An inset is as tall as the map itself, whatever the shape of the axes it shares a figure with.
    height, width = floats.shape
    thickness = min(max(0.03 * (height / width) ** 0.5, 0.025), 0.08)
    inset = ax.inset_axes((1.02, 0.0, thickness, 1.0))
    bar = ax.figure.colorbar(image, cax=inset, extend=extend)
    bar.set_label(label)
    bar.ax.tick_params(labelsize=8)


def average_down(
    values: Values, max_pixels: int, fill: Fill = None, *, average: bool = True
) -> Values:
    """Return the raster with about `max_pixels` pixels at most.

    Rows and columns that fill no whole block are averaged among themselves.

    Parameters
    ----------
    values
        (..., H, W), a plain array.
    max_pixels
        About how many pixels the result has at most.
    fill
        Marks nodata beside NaN, or None.
    average
        Means of square blocks, as float32 with nodata as NaN, where a block is nodata only when all
        of it is; otherwise every n-th pixel in the array's own dtype (for classes).

    Returns
    -------
    (..., h, w).

    Raises
    ------
    ValueError
        When `max_pixels` is not positive.

    Examples
    --------
    >>> average_down(np.arange(16.0).reshape(4, 4), 4).tolist()
    [[2.5, 4.5], [10.5, 12.5]]
    """
    if max_pixels < 1:
        raise ValueError(f"max_pixels must be positive, got {max_pixels}")
    height, width = values.shape[-2:]
    step = max(1, math.ceil(math.sqrt(height * width / max_pixels)))
    if not average:
        # The middle of each block, so that the picture isn't shifted.
        half = min(step // 2, height - 1, width - 1)
        return values[..., half::step, half::step] if step > 1 else values
    if step == 1:
        return nan_floats(values, fill)
    rows = [values[..., start : start + step, :] for start in range(0, height, step)]
    return np.stack([_average_rows(block, step, fill) for block in rows], axis=-2)


def _average_rows(block: Values, step: int, fill: Fill) -> NDArray[np.float32]:
    """Average a strip of rows to a single row of blocks; memory stays that of the strip."""
    floats = nan_floats(block, fill)
    valid = ~np.isnan(floats)
    starts = np.arange(0, block.shape[-1], step)
    total = np.add.reduceat(np.where(valid, floats, 0).sum(axis=-2), starts, axis=-1)
    count = np.add.reduceat(valid.sum(axis=-2, dtype=np.int32), starts, axis=-1)
    mean = total / np.maximum(count, 1)
    return np.where(count > 0, mean, np.nan).astype(np.float32)


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

    Returns
    -------
    Extent, labels and units of the axes.

    Examples
    --------
    >>> import numpy as np
    >>> map_frame(np.zeros((2, 3))).extent
    (0.0, 3.0, 2.0, 0.0)
    """
    height, width = values_of(raster).shape[-2:]
    visible = axes != "none"
    if not isinstance(raster, GeoTensor) or raster.transform.b or raster.transform.d:
        pixels = (0.0, float(width), float(height), 0.0)
        return Frame(pixels, "column (px)", "row (px)", 1.0, None, visible)
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

    Returns
    -------
    In the unit of `longest`.

    Raises
    ------
    ValueError
        When `longest` is not positive.

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
    from rasterio.errors import CRSError

    try:
        known = crs_of(crs)
    except CRSError:
        return "", None
    if known.is_geographic:
        return "°", None
    name, factor = known.linear_units_factor
    return ("m" if name.lower() in ("metre", "meter") else name), float(factor)


def _draw_scale_bar(ax: Axes, frame: Frame) -> None:
    withStroke = needed("matplotlib.patheffects").withStroke

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
