"""For looking: hillshade, true colour as bytes, and colours laid over a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor

from geotoolz.bands import Band, take_bands
from geotoolz.carrier import (
    NAN,
    Raster,
    Values,
    fill_of,
    nan_floats,
    rewrap,
    single_band,
    values_of,
)
from geotoolz.colours import RGB, check_picture_bands
from geotoolz.function_operator import FunctionOperator, PerPixel, parameters_of
from pipekit.lazy import needed
from pipekit.operator import Operator, checked_number

_METRES_PER_DEGREE = 111_319.49
"""WGS 84's equatorial radius times pi / 180."""


def hillshade(
    raster: Raster,
    azimuth: float = 315.0,
    altitude: float = 45.0,
    z_factor: float = 1.0,
    resolution: tuple[float, float] | None = None,
) -> Raster:
    """Return how brightly a terrain is lit by a sun at a place in the sky, 0 to 1.

    The slope is Horn's, over the eight neighbours: Horn (1981), doi:10.1109/PROC.1981.11918, as
    `gdaldem hillshade` has it, whose 1 to 255 is 1 + 254 times this. Beyond the raster's edge the
    terrain goes on as it came.

    Parameters
    ----------
    raster
        Elevation, (H, W) or (1, H, W), in metres.
    azimuth
        Of the sun, degrees clockwise from north.
    altitude
        Of the sun, degrees above the horizon, 0 to 90.
    z_factor
        What heights are multiplied by.
    resolution
        (x, y) of a pixel in metres; by default the raster's own, of degrees by their length at
        each row. A plain array needs it.

    Returns
    -------
    (H, W) float32, 0 in the shade; NaN where a pixel or a neighbour has no data.

    Raises
    ------
    ValueError
        For an altitude outside 0 to 90, a rotated raster, or a plain array without `resolution`.

    Examples
    --------
    >>> hillshade(np.zeros((3, 3)), altitude=30, resolution=(10, 10)).round(3)[1]
    array([0.5, 0.5, 0.5], dtype=float32)
    """
    checked_number(altitude, "altitude", 0, 90, unit=" degrees above the horizon")
    heights = nan_floats(single_band(values_of(raster)), fill_of(raster), np.float64) * z_factor
    across, down = _pixel_size(raster, heights.shape, resolution)
    z = np.pad(heights, 1, mode="reflect", reflect_type="odd")
    beside = z[:-2] + 2 * z[1:-1] + z[2:]
    along = z[:, :-2] + 2 * z[:, 1:-1] + z[:, 2:]
    east = (beside[:, 2:] - beside[:, :-2]) / (8 * across)
    north = (along[:-2] - along[2:]) / (8 * down)
    sun, high = math.radians(azimuth), math.radians(altitude)
    facing = east * math.sin(sun) + north * math.cos(sun)
    light = (math.sin(high) - math.cos(high) * facing) / np.sqrt(1 + east**2 + north**2)
    light[np.isnan(heights)] = NAN
    out = np.maximum(light, 0).astype(np.float32)
    attrs = {"long_name": "hillshade", "units": ""}
    return rewrap(raster, out, fill=NAN, attrs=attrs, drop=("band_names",))


def _pixel_size(
    raster: Raster, shape: tuple[int, ...], resolution: tuple[float, float] | None
) -> tuple[Values | float, float]:
    """Return the metres of a pixel to the east, a column (H, 1) for degrees, and to the north."""
    t: Any = getattr(raster, "transform", None)
    if t is not None and (t.b or t.d):
        raise ValueError(f"a hillshade needs rows from east to west, got {tuple(t)[:6]}")
    if resolution is not None:
        across, down = resolution
        # A size has no direction: whether the raster is south-up or mirrored it says itself.
        return (across, down) if t is None else (np.copysign(across, t.a), np.copysign(down, -t.e))
    if not isinstance(raster, GeoTensor) or raster.crs is None:
        raise ValueError(
            "a hillshade needs the size of a pixel: give resolution=(x, y) in metres, or a "
            "GeoTensor with a CRS"
        )
    from pyproj import CRS

    crs = CRS.from_user_input(raster.crs)
    if not crs.is_geographic:
        unit = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
        return t.a * unit, -t.e * unit
    latitude = t.f + (np.arange(shape[0]) + 0.5) * t.e
    along = np.maximum(np.cos(np.radians(latitude)), 1e-6)[:, None]
    return t.a * _METRES_PER_DEGREE * along, -t.e * _METRES_PER_DEGREE


class Hillshade(FunctionOperator):
    """A lit terrain: `hillshade` as an operator.

    Examples
    --------
    >>> Hillshade(altitude=90, resolution=(30, 30))(np.zeros((1, 2)))
    array([[1., 1.]], dtype=float32)
    """

    radius = 1

    @parameters_of(hillshade)
    def __init__(self) -> None:
        checked_number(self.altitude, "altitude", 0, 90, unit=" degrees above the horizon")


def true_color(raster: Raster, bands: tuple[Band, ...] = RGB, gain: float = 2.5) -> Raster:
    """Return reflectance in natural colours as bytes, the same scene always in the same colours.

    Unlike a stretched picture (`ToRGB`) two of them can be compared, and it needs one look at each
    pixel. Land reflects little: 2.5 is the gain of common viewers of Sentinel-2.

    Parameters
    ----------
    raster
        (C, H, W) floats, reflectance, 0 to 1.
    bands
        Red, green and blue, by index or name.
    gain
        What reflectance is multiplied by.

    Returns
    -------
    (3, H, W) uint8, 1 to 255; 0, nodata, where a band has no data.

    Raises
    ------
    TypeError
        For whole numbers, which are no reflectance.

    Examples
    --------
    >>> true_color(np.array([[[0.2]], [[0.4]], [[np.nan]]]), bands=(0, 1, 0))[:, 0, 0]
    array([128, 255, 128], dtype=uint8)
    """
    _check_true_color(bands, gain)
    chosen = np.stack(take_bands(raster, bands))
    if chosen.dtype.kind != "f":
        raise TypeError(
            f"true colour takes reflectance in floats, got {chosen.dtype.name}; put "
            "DNToReflectance() before"
        )
    floats = nan_floats(chosen, fill_of(raster))
    hidden = np.isnan(floats).any(axis=0)
    np.multiply(floats, 255 * gain, out=floats)
    out = np.clip(np.nan_to_num(np.rint(floats)), 1, 255).astype(np.uint8)
    out[:, hidden] = 0
    attrs = {"band_names": list(RGB), "long_name": "colour", "band_roles": "quantity"}
    return rewrap(raster, out, fill=0, attrs=attrs, drop=("units",))


def _check_true_color(bands: tuple[Band, ...], gain: float) -> None:
    check_picture_bands(bands)
    checked_number(gain, "gain", 0, inside=True)


class TrueColor(PerPixel):
    """Reflectance in natural colours: `true_color` as an operator.

    Examples
    --------
    >>> TrueColor(bands=(0, 0, 0))(np.array([[[0.1]]]))[:, 0, 0].tolist()
    [64, 64, 64]
    """

    @parameters_of(true_color)
    def __init__(self) -> None:
        _check_true_color(self.bands, self.gain)


def overlay(picture: Raster, top: Raster, colour: str = "#d55e00", alpha: float = 0.5) -> Raster:
    """Return a picture with a mask, or a coloured raster, laid over it.

    Parameters
    ----------
    picture
        (3, H, W), floats from 0 to 1 or bytes, such as `ToRGB` and `TrueColor` make.
    top
        (H, W) bool, drawn in `colour` where it is True; or (4, H, W) uint8, red, green, blue and
        opacity, such as `Colormap` makes.
    colour
        Of a mask, in any form that matplotlib knows.
    alpha
        How much of the top is seen, 0 to 1.

    Returns
    -------
    (3, H, W) in the picture's dtype.

    Raises
    ------
    ValueError
        For rasters of other shapes, or an alpha beyond 0 to 1.

    Examples
    --------
    >>> grey = np.full((3, 1, 2), 0.5)
    >>> overlay(grey, np.array([[True, False]]), "#ff0000", alpha=1.0)[:, 0].tolist()
    [[1.0, 0.5], [0.0, 0.5], [0.0, 0.5]]
    """
    to_rgb = needed("matplotlib.colors").to_rgb

    checked_number(alpha, "alpha", 0, 1)
    below, above = values_of(picture), values_of(top)
    whole = 255.0 if below.dtype == np.uint8 else 1.0
    if below.ndim != 3 or len(below) != 3 or above.shape[-2:] != below.shape[-2:]:
        raise ValueError(
            f"a picture is (3, H, W) and what lies over it as large, got {below.shape} and "
            f"{above.shape}"
        )
    if above.dtype == np.bool_ and above.ndim == 2:
        colours = np.array(to_rgb(colour))[:, None, None] * whole
        share = above * alpha
    elif above.dtype == np.uint8 and above.ndim == 3 and len(above) == 4:
        colours = above[:3] / 255.0 * whole
        share = above[3] / 255.0 * alpha
    else:
        raise ValueError(
            f"over a picture lies a mask (H, W) bool or colours (4, H, W) uint8, got {above.shape} "
            f"{above.dtype.name}; MaskWhere and Colormap make them"
        )
    mixed = np.where(share > 0, below * (1 - share) + colours * share, below)
    if whole == 255.0:
        mixed = np.where((share > 0) & (mixed < 1), 1, np.rint(mixed))
    return rewrap(picture, mixed.astype(below.dtype))


@dataclass(repr=False, eq=False)
class Overlay(Operator):
    """Lay a mask or colours over a picture: `overlay` as an operator of two inputs.

    Parameters
    ----------
    colour
        Of a mask.
    alpha
        How much of the top is seen, 0 to 1.

    Examples
    --------
    >>> Overlay(colour="black", alpha=0.5)(np.ones((3, 1, 1)), np.array([[True]])).max()
    np.float64(0.5)
    """

    radius = 0

    colour: str = "#d55e00"
    alpha: float = 0.5

    def __post_init__(self) -> None:
        checked_number(self.alpha, "alpha", 0, 1)

    def _apply(self, picture: Raster, top: Raster) -> Raster:
        return overlay(picture, top, self.colour, self.alpha)
