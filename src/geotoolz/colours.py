"""From values to colours: true colour, colour maps, and which map a quantity is drawn in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geotoolz.bands import Band, take_bands
from geotoolz.carrier import NAN, Raster, fill_of, nan_floats, rewrap, single_band, values_of
from geotoolz.function_operator import FunctionOperator, check_band, parameters_of
from geotoolz.radiometry import check_percentiles, min_max, percentile_clip
from pipekit.lazy import needed
from pipekit.operator import checked_number

RGB = ("red", "green", "blue")

Range = tuple[float, float] | None
"""(low, high), or None."""


class Look(NamedTuple):
    """A matplotlib colour map, and whether its middle stands for zero."""

    cmap: str
    diverging: bool


_VEGETATION = Look("BrBG", True)
_WATER = Look("RdBu", True)

# Diverging maps without red against green, and perceptually even sequential ones (Crameri et al.
# 2020, doi:10.1038/s41467-020-19160-7, on why).
LOOKS: Mapping[str, Look] = {
    **dict.fromkeys(("ndvi", "gndvi", "ndre", "evi", "evi2", "savi", "arvi"), _VEGETATION),
    **dict.fromkeys(("ndwi", "mndwi", "ndmi", "ndsi"), _WATER),
    "nbr": Look("PuOr_r", True),
    "bsi": Look("BrBG_r", True),
    "bais2": Look("magma", False),
    "kndvi": Look("YlGn", False),
    "ndbi": Look("PuOr_r", True),
    "hillshade": Look("gray", False),
    "reflectance": Look("gray", False),
    "digital number": Look("gray", False),
    "elevation": Look("cividis", False),
}

SEQUENTIAL = Look("viridis", False)
DIFFERENCE = Look("PuOr", True)

MASK_COLOURS = ("#e6e6e6", "#d55e00")
"""False and True: light grey and vermilion, of the Okabe-Ito palette."""

# Okabe and Ito (2008), Color Universal Design: eight colours that the colour-blind tell apart.
CATEGORICAL = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#000000",
)  # fmt: skip


def look_of(name: str) -> Look:
    """Return how a quantity is drawn, by its name.

    Parameters
    ----------
    name
        Of the quantity, such as "NDVI" or "B08 reflectance".

    Returns
    -------
    A colour map, `SEQUENTIAL` for an unknown quantity.

    Examples
    --------
    >>> look_of("NDVI")
    Look(cmap='BrBG', diverging=True)
    """
    key = name.lower()
    # A band's quantity comes after its own name: "B08 reflectance".
    for known in (key, key.partition(" ")[2]):
        if known in LOOKS:
            return LOOKS[known]
    if "difference" in key or (key.startswith(("d", "delta")) and key[1:] in LOOKS):
        return DIFFERENCE
    return SEQUENTIAL


def class_colours(classes: Mapping[Any, Any]) -> dict[int, tuple[str, str]]:
    """Return id -> (name, colour) from names, pairs, or `SCLClass`es.

    Parameters
    ----------
    classes
        Id -> name, (name, colour) or `SCLClass`.

    Returns
    -------
    Id -> (name, colour as #rrggbb).

    Examples
    --------
    >>> class_colours({0: "water", 1: ("land", "#996633")})
    {0: ('water', '#0072b2'), 1: ('land', '#996633')}
    """
    found: dict[int, tuple[str, str]] = {}
    for position, (key, entry) in enumerate(classes.items()):
        own = CATEGORICAL[position % len(CATEGORICAL)]
        name, colour = (entry, own) if isinstance(entry, str) else entry
        found[int(key)] = str(name), str(colour)
    return found


@lru_cache(maxsize=32)
def lookup_table(name: str) -> NDArray[np.uint8]:
    """Return a matplotlib colour map as 256 rows of RGB bytes; ValueError for an unknown one.

    Parameters
    ----------
    name
        Of the colour map.

    Returns
    -------
    (256, 3) uint8, read-only.

    Raises
    ------
    ValueError
        When matplotlib has no such colour map.

    Examples
    --------
    >>> lookup_table("gray")[[0, 255]].tolist()
    [[0, 0, 0], [255, 255, 255]]
    """
    matplotlib = needed("matplotlib")

    if name not in matplotlib.colormaps:
        raise ValueError(f"matplotlib has no colour map {name!r}; see matplotlib.colormaps")
    table = matplotlib.colormaps[name](np.linspace(0, 1, 256))[:, :3]
    result: NDArray[np.uint8] = np.rint(table * 255).astype(np.uint8)
    result.flags.writeable = False
    return result


def to_rgb(
    raster: Raster,
    bands: Sequence[Band] = RGB,
    stretch: Range = (2.0, 98.0),
    limits: Range = None,
    gamma: float = 1.0,
) -> Raster:
    """Return three bands as a picture, (3, H, W) float32 from 0 to 1, nodata as NaN.

    Parameters
    ----------
    raster
        (C, H, W), any numeric dtype.
    bands
        Red, green and blue, by index or name.
    stretch
        Percentiles to stretch each band between.
    limits
        Values to stretch all bands between instead, such as (0, 0.3) for reflectance, which keeps
        the colours' balance and makes pictures comparable.
    gamma
        Above 1 brightens the dark parts.

    Returns
    -------
    (3, H, W) float32, 0 to 1.

    Examples
    --------
    >>> to_rgb(np.arange(12.0).reshape(3, 2, 2), bands=(2, 1, 0)).max()
    np.float32(1.0)
    """
    _check_rgb(bands, stretch, limits, gamma)
    chosen = np.stack(take_bands(raster, bands))
    chosen = chosen.view(np.uint8) if chosen.dtype == np.bool_ else chosen
    picked = rewrap(raster, chosen, drop=("band_names",))
    if limits is None and stretch is not None:
        picture = values_of(percentile_clip(picked, *stretch))
    else:
        picture = values_of(min_max(picked, *(limits or (0.0, 1.0))))
    if gamma != 1.0:
        np.power(picture, 1.0 / gamma, out=picture)
    attrs = {"band_names": list(RGB), "long_name": "colour"}
    return rewrap(raster, picture, fill=NAN, attrs=attrs)


def colormap(
    raster: Raster, name: str = "viridis", vmin: float | None = None, vmax: float | None = None
) -> Raster:
    """Return one band in colours, (4, H, W) uint8: red, green, blue and opacity.

    Nodata is transparent.

    Parameters
    ----------
    raster
        (H, W) or (1, H, W).
    name
        Of a matplotlib colour map.
    vmin, vmax
        Drawn in the first and the last colour; by default the least and greatest valid value.

    Returns
    -------
    (4, H, W) uint8.

    Examples
    --------
    >>> colormap(np.array([[0.0, 1.0, np.nan]]), "gray", 0, 1)[:, 0].T.tolist()
    [[0, 0, 0, 255], [255, 255, 255, 255], [0, 0, 0, 0]]
    """
    values = single_band(values_of(raster))
    floats = nan_floats(values, fill_of(raster))
    valid = ~np.isnan(floats)
    some = floats[valid] if vmin is None or vmax is None else floats[:0]
    low = vmin if vmin is not None else float(some.min()) if some.size else 0.0
    high = vmax if vmax is not None else float(some.max()) if some.size else 1.0
    check_order(low, high)
    span = high - low if high > low else 1.0
    np.subtract(floats, low, out=floats)
    np.multiply(floats, 255.0 / span, out=floats)
    np.clip(floats, 0, 255, out=floats)
    np.copyto(floats, 0, where=~valid)
    out = np.empty((4, *values.shape), np.uint8)
    out[:3] = np.moveaxis(lookup_table(name)[np.rint(floats).astype(np.uint8)], -1, 0)
    out[3] = 255
    out[:, ~valid] = 0
    attrs = {"band_names": ["red", "green", "blue", "alpha"]}
    return rewrap(raster, out, fill=None, attrs=attrs)


def check_picture_bands(bands: Sequence[Band]) -> None:
    """Raise unless there are three bands to make a picture of.

    Parameters
    ----------
    bands
        Indices or names.

    Raises
    ------
    ValueError
        For another number of bands.

    Examples
    --------
    >>> check_picture_bands(("red", "green", "blue"))
    """
    if len(bands) != 3:
        raise ValueError(f"a picture has three bands (red, green, blue), got {list(bands)}")
    for band in bands:
        check_band(band, "bands")


def _check_rgb(bands: Sequence[Band], stretch: Range, limits: Range, gamma: float) -> None:
    check_picture_bands(bands)
    if limits is not None and not limits[0] < limits[1]:
        raise ValueError(f"limits must be (low, high) with low < high, got {limits}")
    if stretch is not None:
        check_percentiles(*stretch)
    checked_number(gamma, "gamma", 0, inside=True)


class ToRGB(FunctionOperator):
    """Three bands as a picture: `to_rgb` as an operator.

    Examples
    --------
    >>> ToRGB(bands=(2, 1, 0), limits=(0.0, 0.3))(np.full((3, 2, 2), 0.15))[:, 0, 0]
    array([0.5, 0.5, 0.5], dtype=float32)
    """

    @parameters_of(to_rgb)
    def __init__(self) -> None:
        _check_rgb(self.bands, self.stretch, self.limits, self.gamma)


class Colormap(FunctionOperator):
    """One band in colours: `colormap` as an operator.

    Examples
    --------
    >>> Colormap("gray", 0.0, 1.0)(np.array([[1.0]]))[:, 0, 0].tolist()
    [255, 255, 255, 255]
    """

    @parameters_of(colormap)
    def __init__(self) -> None:
        if self.vmin is not None and self.vmax is not None:
            check_order(self.vmin, self.vmax)
        lookup_table(self.name)


def check_order(low: float, high: float) -> None:
    """Raise ValueError when `vmin` is above `vmax`.

    Parameters
    ----------
    low
        `vmin`.
    high
        `vmax`.

    Raises
    ------
    ValueError
        Naming both.

    Examples
    --------
    >>> check_order(0.0, 1.0)
    """
    if low > high:
        raise ValueError(f"vmin must not exceed vmax, got vmin={low}, vmax={high}")
