"""Find a band by its index, its own name, or its common name.

A band is given as an integer, a name in the carrier's `attrs["band_names"]`, or a common name
(`"red"`, `"nir"`, `"swir1"`, ...), which is looked up among the names that Sentinel-2, Landsat and
NAIP products use. Common names are those of the STAC electro-optical extension, as spyndex uses
them too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, wraps
from inspect import signature
from typing import Any, Concatenate, ParamSpec

import numpy as np

from geotoolz.carrier import Fill, Raster, Values, attrs_of, check_real, fill_of, rewrap, values_of
from geotoolz.function_operator import Band as Band
from geotoolz.function_operator import PerPixel, check_band, parameters_of
from pipekit.pixels import GUIDE, Role, band_roles, invalid_mask

P = ParamSpec("P")

PerBand = float | Sequence[float] | Values
"""One number for all bands, or one per band."""


class BandError(IndexError, KeyError):
    """A band that the raster does not have; the message lists those it has.

    Examples
    --------
    >>> band_index(np.zeros((2, 4, 4)), 7)
    Traceback (most recent call last):
    geotoolz.bands.BandError: band index 7 is out of range: the raster has 2 bands on axis 0
    """

    __str__ = LookupError.__str__
    concerns_all_chips: bool = False
    """Whether no chip of a run can do better, so that it ends."""


# Zero-padded names and B8A are Sentinel-2's alone. Bare "B4" or "B5" mean different bands on
# Sentinel-2, Landsat 5 and Landsat 8, so they are never guessed.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "coastal": ("coastal", "aerosol", "A", "B01"),
    "blue": ("blue", "B", "B02"),
    "green": ("green", "G", "B03"),
    "red": ("red", "R", "B04"),
    "rededge1": ("rededge1", "rededge071", "RE1", "B05"),
    "rededge2": ("rededge2", "rededge075", "RE2", "B06"),
    "rededge3": ("rededge3", "rededge078", "RE3", "B07"),
    "nir": ("nir", "N", "B08", "nir08", "B8A"),
    "nir08": ("nir08", "N2", "B8A", "nir", "B08"),
    "nir09": ("nir09", "WV", "B09"),
    "swir1": ("swir1", "swir16", "S1", "B11"),
    "swir2": ("swir2", "swir22", "S2", "B12"),
    "scl": ("SCL",),
    "qa_pixel": ("qa_pixel", "QA_PIXEL"),
}

_OLI = {"coastal": 1, "blue": 2, "green": 3, "red": 4, "nir": 5, "nir08": 5, "swir1": 6, "swir2": 7}
_TM = {"blue": 1, "green": 2, "red": 3, "nir": 4, "nir08": 4, "swir1": 5, "swir2": 7}


def band_names(raster: Raster) -> tuple[str, ...]:
    """Return the names of a raster's bands, or () when it carries none.

    Parameters
    ----------
    raster
        (C, H, W), any numeric dtype.

    Returns
    -------
    One name for each band, or ().

    Examples
    --------
    >>> band_names(np.zeros((3, 2, 2)))
    ()
    """
    names = attrs_of(raster).get("band_names")
    return tuple(names) if names else ()


def band_index(raster: Raster, band: Band, axis: int = 0) -> int:
    """Return the position of a band along `axis`.

    Parameters
    ----------
    raster
        (C, H, W), any numeric dtype.
    band
        Index, own name or common name.
    axis
        Of the bands in the raster.

    Returns
    -------
    From 0 to the number of bands less one.

    Raises
    ------
    BandError
        For a band that is not there; an IndexError and a KeyError, it lists those that are.

    Examples
    --------
    >>> band_index(np.zeros((4, 2, 2)), -1)
    3
    """
    values = values_of(raster)
    axis = band_axis(values, axis)
    count = values.shape[axis]
    if isinstance(band, str):
        return _index_of_name(raster, band, count)
    check_band(band, "a band")
    if not -count <= band < count:
        raise BandError(
            f"band index {band} is out of range: the raster has {count} bands "
            f"on axis {axis}{_listing(band_names(raster), count)}"
        )
    return int(band) % count


def position_of(band: Band, names: Sequence[str], what: str) -> int:
    """Return the position of a band among the bands of a file, or of what is read by windows.

    Parameters
    ----------
    band
        Its index, which may count from the end, or its own name.
    names
        What all bands are called.
    what
        What has the bands, for the messages.

    Returns
    -------
    position
        From 0.

    Raises
    ------
    KeyError
        For a name that no band has.
    IndexError
        For an index out of range.

    Examples
    --------
    >>> position_of(-1, ["red", "nir"], "file"), position_of("red", ["red", "nir"], "file")
    (1, 0)
    """
    if isinstance(band, str) and band not in names:
        raise KeyError(f"no band {band!r}; the {what} has {list(names)}")
    position = sole_position(band, names) if isinstance(band, str) else band
    if not -len(names) <= position < len(names):
        raise IndexError(f"band {band} is out of range for a {what} of {len(names)} bands")
    return position % len(names)


def band_axis(values: Values, axis: int) -> int:
    """Return `axis` as a non-negative number, or raise ValueError when it can't hold the bands.

    Parameters
    ----------
    values
        (..., H, W), a plain array.
    axis
        Of the bands in the raster.

    Returns
    -------
    From 0 to the number of axes less one.

    Raises
    ------
    ValueError
        For fewer than three axes, or an axis that is not there.

    Examples
    --------
    >>> band_axis(np.zeros((4, 2, 2)), 0)
    0
    """
    if values.ndim < 3:
        raise ValueError(
            f"expected bands on axis {axis} of at least three axes such as (C, H, W), "
            f"got shape {values.shape}; use values[None] for a single band"
        )
    if not -values.ndim <= axis < values.ndim:
        raise ValueError(f"axis {axis} is out of range for shape {values.shape}")
    return axis % values.ndim


def stale_names(names: Sequence[str], count: int) -> BandError:
    """Return the error for names that are not as many as the bands, which numpy leaves behind.

    Parameters
    ----------
    names
        What the attributes list.
    count
        How many bands there are.

    Returns
    -------
    To be raised.

    Examples
    --------
    >>> str(stale_names(["B04", "B08"], 1))[:60]
    "attrs['band_names'] lists 2 bands (B04, B08) but the raster "
    """
    return BandError(
        f"attrs['band_names'] lists {len(names)} bands ({', '.join(names)}) but the raster has "
        f"{count}: numpy's functions leave the names as they were; choose bands with SelectBands "
        "or by an index (scene[[0, 3]]), which keep them in step, or give indices"
    )


def check_band_order(rasters: Sequence[Raster], what: str) -> None:
    """Raise ValueError when rasters name the same bands in different orders.

    Parameters
    ----------
    rasters
        (C, H, W) each.
    what
        What the message calls them together.

    Raises
    ------
    ValueError
        Naming both orders.

    Examples
    --------
    >>> check_band_order([np.zeros((2, 1, 1)), np.ones((2, 1, 1))], "a stack")
    """
    first = band_names(rasters[0])
    for names in map(band_names, rasters[1:]):
        if names != first and sorted(names) == sorted(first):
            raise ValueError(
                f"rasters of {what} need their bands in one order, got {first} and {names}; "
                "use SelectBands first"
            )


def take_band(raster: Raster, band: Band, axis: int = 0) -> Values:
    """Return one band as a plain view, with its axis removed.

    Parameters
    ----------
    raster
        (C, H, W), any numeric dtype.
    band
        Index, own name or common name.
    axis
        Of the bands in the raster.

    Returns
    -------
    (H, W) in the raster's dtype.

    Examples
    --------
    >>> take_band(np.arange(8).reshape(2, 2, 2), 1)
    array([[4, 5],
           [6, 7]])
    """
    return take_bands(raster, (band,), axis)[0]


def take_bands(raster: Raster, bands: Sequence[Band], axis: int = 0) -> list[Values]:
    """Return bands as plain views, with their axis removed.

    Parameters
    ----------
    raster
        (C, H, W), any numeric dtype.
    bands
        Indices, own names or common names.
    axis
        Of the bands in the raster.

    Returns
    -------
    (H, W) each, in the raster's dtype.

    Examples
    --------
    >>> [band.shape for band in take_bands(np.zeros((4, 2, 3)), (3, 2))]
    [(2, 3), (2, 3)]
    """
    values = values_of(raster)
    along = values if axis == 0 else np.moveaxis(values, band_axis(values, axis), 0)
    count = len(along) if values.ndim > 2 else 0
    # An index in range is the common case on thousands of chips: no call, no lookup.
    return [
        along[band]
        if type(band) is int and -count <= band < count
        else along[band_index(raster, band, axis)]
        for band in bands
    ]


def band_views(values: Values, axis: int = 0) -> list[Values]:
    """Return views of the bands of a plain array; one of two axes or fewer is a single band.

    Parameters
    ----------
    values
        (..., H, W), a plain array.
    axis
        Of the bands in the raster.

    Returns
    -------
    (H, W) each.

    Examples
    --------
    >>> [band.shape for band in band_views(np.zeros((3, 4, 5)))]
    [(4, 5), (4, 5), (4, 5)]
    """
    if values.ndim < 3:
        return [values]
    return list(np.moveaxis(values, band_axis(values, axis), 0))


def coded_bands(raster: Raster, axis: int = 0) -> dict[int, Role]:
    """Return the bands that hold no quantities, and what they hold.

    Parameters
    ----------
    raster
        (C, H, W), (T, C, H, W), or (H, W) as a single band.
    axis
        Of the bands where the raster has three axes.

    Returns
    -------
    Position -> "class", "bits" or "mask"; {} for quantities alone.

    Examples
    --------
    >>> coded_bands(np.zeros((1, 2, 2), bool)), coded_bands(np.zeros((1, 2, 2)))
    ({0: 'mask'}, {})
    """
    if type(raster) is np.ndarray and raster.dtype.kind != "b":
        return {}
    return _coded(band_roles(raster, axis if raster.ndim == 3 else -3))


@lru_cache(maxsize=256)
def _coded(roles: tuple[Role, ...]) -> dict[int, Role]:
    return {band: role for band, role in enumerate(roles) if role != "quantity"}


def as_codes(band: Values, role: Role, fill: Fill, dtype: np.dtype[Any], nodata: Fill) -> Values:
    """Return numbers of classes, bits or a mask in another dtype, each as it is.

    Parameters
    ----------
    band
        Codes of any shape.
    role
        What they are. Bits of 0 say that no flag is set, so 0 marks no nodata among them.
    fill
        Marks nodata in `band`, or None.
    dtype
        Of the result.
    nodata
        Marks nodata in the result, or None.

    Returns
    -------
    The same numbers in `dtype`.

    Raises
    ------
    ValueError
        For a number that the dtype cannot hold.

    Examples
    --------
    >>> as_codes(np.array([0, 4], "uint8"), "class", 0, np.dtype("float32"), np.nan)
    array([nan,  4.], dtype=float32)
    """
    # What the result has no mark for stays the number that it is.
    marked = fill if role == "class" else fill or None
    invalid = None if nodata is None else invalid_mask(band, marked)
    known = band if invalid is None else np.where(invalid, band.dtype.type(0), band)
    with np.errstate(invalid="ignore", over="ignore"):
        out = known.astype(dtype)
        same = np.array_equal(out.astype(band.dtype), known, equal_nan=band.dtype.kind == "f")
    if not same:
        raise ValueError(
            f"{dtype.name} cannot hold every number of a {role} band of {band.dtype.name}; give "
            f"another dtype, or take the band out with SelectBands first; {GUIDE}"
        )
    if invalid is not None:
        out[invalid] = nodata
    return out


def put_codes(out: Raster, raster: Raster, codes: Mapping[int, Role], axis: int = 0) -> None:
    """Put bands of classes, bits and masks into a result as they were, in place.

    Parameters
    ----------
    out
        Of the shape of `raster`, changed in place.
    raster
        Where the bands come from.
    codes
        As `coded_bands` gives them.
    axis
        Of the bands where there are three axes.

    Examples
    --------
    >>> out = np.zeros((2, 1, 1))
    >>> put_codes(out, np.full((2, 1, 1), 9), {1: "class"})
    >>> out.ravel()
    array([0., 9.])
    """
    values, target = values_of(raster), values_of(out)
    fill, nodata = fill_of(raster), fill_of(out) if target.dtype.kind != "f" else np.nan
    along = axis if values.ndim == 3 else -3
    for band, role in codes.items():
        at: Any = ... if values.ndim < 3 else (*[slice(None)] * (along % values.ndim), band)
        target[at] = as_codes(values[at], role, fill, target.dtype, nodata)


def on_quantities(
    function: Callable[Concatenate[Raster, P], Raster],
) -> Callable[Concatenate[Raster, P], Raster]:
    """Have a function of a raster change quantities only: classes, bits and masks stay.

    A raster without quantities comes back as it is; beside quantities the others keep their
    numbers, in the result's dtype.

    Parameters
    ----------
    function
        Raster -> raster of the same shape; a parameter `axis` tells where the bands are.

    Returns
    -------
    The function, guarded.

    Examples
    --------
    >>> double = on_quantities(lambda raster: raster * 2)
    >>> double(np.array([[[True, False]]])), double(np.array([[[2, 3]]]))
    (array([[[ True, False]]]), array([[[4, 6]]]))
    """
    names = list(signature(function).parameters)
    place = names.index("axis") - 1 if "axis" in names else -1

    @wraps(function)
    def guarded(raster: Raster, *args: P.args, **kwargs: P.kwargs) -> Raster:
        if isinstance(raster, np.ndarray):
            kind = raster.dtype.kind
            if kind == "c":
                check_real(raster)
            if kind != "b" and type(raster) is np.ndarray:
                return function(raster, *args, **kwargs)
        given: Any = args[place] if 0 <= place < len(args) else kwargs.get("axis", 0)
        codes = coded_bands(raster, given) if isinstance(raster, np.ndarray) else None
        if not codes:
            return function(raster, *args, **kwargs)
        shape = np.shape(raster)
        if len(codes) == (shape[given if len(shape) == 3 else -3] if len(shape) > 2 else 1):
            return raster
        out = function(raster, *args, **kwargs)
        if out is not raster:
            put_codes(out, raster, codes, given)
        return out

    guarded.keeps_bands = True  # type: ignore[attr-defined]
    return guarded


def per_band(value: PerBand, values: Values, axis: int, dtype: np.dtype[Any], argument: str) -> Any:
    """Return one number as a scalar, or one per band shaped to broadcast along `axis`.

    Parameters
    ----------
    value
        One number, or one per band.
    values
        (..., H, W), a plain array.
    axis
        Of the bands in the raster.
    dtype
        Of the result.
    argument
        What the message calls it.

    Returns
    -------
    A scalar of `dtype`, or an array of it with one number on `axis`.

    Raises
    ------
    ValueError
        Naming `argument`, when there are not as many numbers as bands.

    Examples
    --------
    >>> per_band([1, 2], np.zeros((2, 3, 3)), 0, np.dtype("float32"), "scale").shape
    (2, 1, 1)
    """
    if isinstance(value, (int, float)):
        return dtype.type(value)
    numbers = np.asarray(value, dtype)
    if numbers.ndim == 0 or (values.ndim < 3 and numbers.size == 1):
        return dtype.type(numbers.item())
    if numbers.ndim > 1 or values.ndim < 3 or numbers.size != values.shape[axis]:
        raise ValueError(
            f"{argument} must be one number or one per band on axis {axis}; "
            f"got {numbers.size} for shape {values.shape}, where (H, W) is a single band"
        )
    shape = [1] * values.ndim
    shape[axis] = numbers.size
    return numbers.reshape(shape)


def _index_of_name(raster: Raster, name: str, count: int) -> int:
    names = band_names(raster)
    if not names:
        raise BandError(
            f"band {name!r} was asked for by name, but the raster carries no "
            f"attrs['band_names']; give the band's index, 0 to {count - 1}"
        )
    if len(names) != count:
        raise stale_names(names, count)
    return _position(name, names, str(attrs_of(raster).get("item_id", ""))[:4])


@lru_cache(maxsize=1024)
def _position(name: str, names: tuple[str, ...], product: str) -> int:
    if name in names:
        return sole_position(name, names)
    lowered = [each.lower() for each in names]
    aliases = ALIASES.get(name.lower(), (name,))
    # Landsat numbers its bands by sensor; the product id says which sensor it was.
    numbers = _OLI if product in {"LC08", "LC09"} else _TM if product[:2] in {"LT", "LE"} else {}
    if name.lower() in numbers:
        aliases += (f"SR_B{numbers[name.lower()]}",)
    for alias in aliases:
        if alias.lower() in lowered:
            return sole_position(alias.lower(), lowered)
    raise BandError(
        f"no band {name!r}{_listing(names, len(names))}; give one of these, or an index"
    )


def sole_position(name: str, names: Sequence[str]) -> int:
    """Return the position of a name that is there, or raise where several bands have it.

    Parameters
    ----------
    name
        Of a band.
    names
        Of all bands.

    Returns
    -------
    From 0.

    Raises
    ------
    BandError
        For a name that does not tell one band.

    Examples
    --------
    >>> sole_position("nir", ["red", "nir"])
    1
    """
    if names.count(name) > 1:
        raise BandError(f"{names.count(name)} bands are called {name!r}; give the index of one")
    return names.index(name)


def _listing(names: tuple[str, ...], count: int) -> str:
    return f"; its bands are {', '.join(names)}" if len(names) == count > 0 else ""


def select_bands(raster: Raster, bands: Sequence[Band], axis: int = 0) -> Raster:
    """Return the chosen bands (len(bands), H, W), in that order, copied.

    Parameters
    ----------
    raster
        (C, H, W), any dtype.
    bands
        Indices, or names as in `attrs["band_names"]`, which the result's names follow.
    axis
        Of the bands in the raster.

    Returns
    -------
    (len(bands), H, W) in the raster's dtype.

    Raises
    ------
    BandError
        For a band that is not there, listing those that are.

    Examples
    --------
    >>> select_bands(np.arange(3)[:, None, None] * np.ones((3, 1, 2)), (2, 0))[:, 0, 0]
    array([2., 0.])
    """
    if len(bands) == 0:
        raise ValueError("bands must name at least one band, got none")
    chosen = np.stack(take_bands(raster, bands, axis), axis)
    names = band_names(raster)
    count = values_of(raster).shape[axis]
    if names and len(names) != count:
        raise stale_names(names, count)
    indices = [band_index(raster, band, axis) for band in bands]
    attrs: dict[str, Any] = {"band_names": [names[i] for i in indices]} if names else {}
    roles = attrs_of(raster).get("band_roles")
    if roles is not None:
        said = band_roles(raster, axis if values_of(raster).ndim == 3 else -3)
        attrs["band_roles"] = roles if isinstance(roles, str) else [said[i] for i in indices]
    return rewrap(raster, chosen, attrs=attrs)


class SelectBands(PerPixel):
    """Some bands of a raster, in the order asked for: `select_bands` as an operator.

    Examples
    --------
    >>> SelectBands((1,))(np.zeros((4, 2, 3))).shape
    (1, 2, 3)
    """

    @parameters_of(select_bands)
    def __init__(self) -> None: ...

    def bands_made(self, count: int | None) -> int | None:
        """Return how many bands are chosen."""
        return len(self.bands) if self.axis in (0, -3) else None
