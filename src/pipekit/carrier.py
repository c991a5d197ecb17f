"""Georeferenced arrays, recognised by their attributes: pipekit imports no raster library."""

from __future__ import annotations

import copyreg
import io
import json
import math
import pickle
import re
from collections.abc import Mapping
from functools import lru_cache, partial, wraps
from typing import Any, Protocol, TypeGuard

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

SNAP = 1e-6
"""Share of a pixel by which an edge may miss a pixel's edge and still lie on it.

What rounding loses, in a box or in a stored transform, is a thousand times less; what is more is
a part of another pixel.
"""

SAME = 1e-4
"""Share of a pixel by which the pixels of two grids may lie apart and still be the same.

Origins in degrees are often written with eight decimals, which is 2e-5 of a 30 m pixel. Pixels
that are the same are copied; a shift of this size is not seen in resampled ones either. A box that
is asked for snaps by `SNAP`, since nothing of it may be left out.
"""


PER_BAND = ("band_names", "band_roles")
"""Attributes that list something for each band."""


class Carrier(Protocol):
    """An array with its place on Earth, such as georeader's GeoTensor.

    `values` is (..., H, W); `transform` maps (col, row) to map coordinates; `attrs` is shared
    between derived carriers and therefore never changed in place.
    """

    values: Array
    transform: Any
    crs: Any
    fill_value_default: Any
    attrs: dict[str, Any]


def is_carrier(value: object) -> TypeGuard[Carrier]:
    """Tell whether a value carries a georeference in the way a GeoTensor does.

    Parameters
    ----------
    value
        Anything.

    Returns
    -------
    bool
        True for a GeoTensor and its like; False for a plain array.

    Examples
    --------
    >>> import numpy as np
    >>> is_carrier(np.zeros((2, 2)))
    False
    """
    # Asked of every chip: a runtime Protocol costs ten times as much before Python 3.12. `values`
    # comes last, since a lazy array would be read for it.
    return (
        type(value) is not np.ndarray
        and hasattr(value, "fill_value_default")
        and hasattr(value, "transform")
        and hasattr(value, "crs")
        and hasattr(value, "attrs")
        and hasattr(value, "values")
    )


def rewrap(
    like: Carrier,
    values: Array,
    *,
    transform: Any = None,
    attrs: Mapping[str, Any] | None = None,
) -> Any:
    """Put new values into a carrier of the same kind, at the same place unless told otherwise.

    Parameters
    ----------
    like
        The carrier to follow.
    values
        (..., H, W) array of any dtype.
    transform
        The new transform, or None to keep it.
    attrs
        The new attributes, or None to copy them; `band_names` and `band_roles` are dropped when
        they are not as many as the bands.

    Returns
    -------
    object
        A carrier of the same class.

    Examples
    --------
    >>> from georeader.geotensor import GeoTensor
    >>> tile = GeoTensor(np.zeros((2, 3, 3)), None, "EPSG:32632", 0, {"band_names": ["B04", "B08"]})
    >>> index = rewrap(tile, np.ones((3, 3), "float32"))
    >>> index.crs, index.attrs
    ('EPSG:32632', {})
    """
    kept = dict(like.attrs if attrs is None else attrs)
    bands = values.shape[-3] if values.ndim > 2 else 0
    for name in PER_BAND:
        said = kept.get(name)
        if said is not None and not isinstance(said, str) and len(said) != bands:
            del kept[name]
    fill = fitting_fill(like.fill_value_default, values.dtype)
    place = like.transform if transform is None else transform
    return changed(like, values=values, transform=place, fill_value_default=fill, attrs=kept)


def fitting_fill(fill: Any, dtype: np.dtype[Any]) -> Any:
    """Return the fill value if the dtype can hold it; else None, for nothing in it is nodata.

    Parameters
    ----------
    fill
        Number, or None.
    dtype
        The dtype that should hold it.

    Returns
    -------
    number or None
        The fill value for data of this dtype.

    Examples
    --------
    >>> import numpy as np
    >>> fitting_fill(0, np.dtype("uint8")), fitting_fill(-9999, np.dtype("uint8"))
    (0, None)
    """
    return fill if fill is None or holds(dtype, fill) else None


def holds(dtype: np.dtype[Any], number: Any) -> bool:
    """Tell whether a dtype can hold a number, floats up to their precision.

    Parameters
    ----------
    dtype
        Of booleans, integers or floats; other kinds hold everything.
    number
        NaN, infinite or finite.

    Returns
    -------
    bool
        Whether it can.

    Examples
    --------
    >>> import numpy as np
    >>> holds(np.dtype("uint8"), 255), holds(np.dtype("uint8"), -1), holds(np.dtype("bool"), 2)
    (True, False, False)
    """
    kind = dtype.kind
    if kind == "f":
        if number != number or -_ALL_FLOATS <= number <= _ALL_FLOATS:
            return True
        with np.errstate(over="ignore"):
            return bool(np.isinf(dtype.type(number)) == np.isinf(number))
    if kind not in "biu":
        return True
    low, high = _limits(dtype)
    return bool(low <= number <= high and int(number) == number)


_ALL_FLOATS = 65504
"""What every float dtype holds: the end of float16."""


@lru_cache(maxsize=64)
def _limits(dtype: np.dtype[Any]) -> tuple[int, int]:
    return (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)


def pixel_offset(outer: Any, inner: Any, shape: Any) -> tuple[int, int] | None:
    """Return the (row, col) of a grid's corner in another of one CRS, or None where pixels differ.

    Parameters
    ----------
    outer, inner
        The transforms of the two grids, from (col, row) to map coordinates.
    shape
        (rows, cols) of the inner grid: pixels must be the same up to its far corner, too.

    Examples
    --------
    >>> from affine import Affine
    >>> pixel_offset(Affine.scale(10), Affine(10, 0, 20, 0, 10, -10), (3, 3))
    (-1, 2)
    """
    if outer == inner:
        return 0, 0
    relative = ~outer @ inner
    rows, cols = shape
    drift = max(abs(relative.a - 1) * cols, abs(relative.e - 1) * rows)
    col, row = round(relative.c), round(relative.f)
    missed = max(abs(relative.c - col), abs(relative.f - row), abs(relative.b), abs(relative.d))
    return (row, col) if drift < SAME and missed < SAME else None


def same_crs(first: Any, second: Any, *, unknown_fits: bool = False) -> bool:
    """Tell whether two coordinate reference systems are the same, in whatever form each is given.

    The order of their axes does not count: data are always x, y here.

    Parameters
    ----------
    first, second
        An EPSG code, a text such as "EPSG:32610", WKT, a pyproj or rasterio CRS, or None.
    unknown_fits
        What is answered when one of them is None; two unknown ones are the same.

    Returns
    -------
    bool
        Whether they are the same.

    Examples
    --------
    >>> same_crs(32632, "EPSG:32632"), same_crs("EPSG:4326", "OGC:CRS84"), same_crs(None, 32632)
    (True, True, False)
    """
    if first is second:
        return True
    if first is None or second is None:
        return unknown_fits
    if type(first) is type(second) and first == second:
        return True
    hashable = not isinstance(first, dict) and not isinstance(second, dict)
    return _equal_crs(first, second) if hashable else _equal_crs.__wrapped__(first, second)


@lru_cache(maxsize=4096)
def _equal_crs(first: Any, second: Any) -> bool:
    """Tell whether pyproj takes two CRS for the same; the answer is remembered."""
    from pyproj import CRS

    one, other = CRS.from_user_input(first), CRS.from_user_input(second)
    return bool(one.equals(other, ignore_axis_order=True))


_EARTH = 6_371_000.0
"""Metres from the Earth's middle to its surface."""


def full_turns(low: float, high: float, west: float, east: float) -> range:
    """Return by how many full turns something in degrees comes onto a grid.

    Parameters
    ----------
    low, high
        The westernmost and easternmost longitude of it, in degrees.
    west, east
        Sides of the grid, which may count otherwise, such as 0 and 360.

    Returns
    -------
    range
        Turns of 360 degrees eastwards; empty where none leads there.

    Examples
    --------
    >>> list(full_turns(-10, 10, 0, 360)), list(full_turns(20, 30, -180, 180))
    ([0, 1], [0])
    """
    return range(math.ceil((west - high) / 360), math.floor((east - low) / 360) + 1)


def kilometre_in(crs: Any) -> float:
    """Return one kilometre in the units of a CRS.

    A straight line of this length leaves that of another CRS by some centimetres: longer ones are
    cut into such pieces before their ends are moved there.

    Parameters
    ----------
    crs
        In any form that pyproj understands.

    Returns
    -------
    float
        Along the first axis; of degrees on the equator.

    Examples
    --------
    >>> kilometre_in("EPSG:32632"), round(kilometre_in(4326), 5)
    (1000.0, 0.00899)
    """
    from pyproj import CRS

    known = CRS.from_user_input(crs)
    unit = known.axis_info[0].unit_conversion_factor if known.axis_info else 1.0
    return 1000.0 / (unit * _EARTH if known.is_geographic else unit)


def crs_of(value: Any) -> Any:
    """Return rasterio's CRS of a code, a text, a dict or any CRS; never of a place.

    GDAL takes a text that it does not know for the name of a file or the address of a document,
    and opens it: a config or a request could make it read what it likes. So a text that reaches it
    is a code, a definition or a name, and nothing else.

    Parameters
    ----------
    value
        An EPSG number, "EPSG:32632", WKT, PROJJSON or a PROJ text without files, an OGC URN or URL
        of a code, a name such as "WGS 84", or a CRS of rasterio or pyproj.

    Returns
    -------
    rasterio.crs.CRS
        The CRS.

    Raises
    ------
    CRSError
        For a text that names a place, and for what is no CRS; a ValueError.

    Examples
    --------
    >>> crs_of("EPSG:32632").to_epsg(), crs_of(4326).is_geographic
    (32632, True)
    >>> crs_of("https://example.org/crs.wkt")
    Traceback (most recent call last):
    rasterio.errors.CRSError: a CRS is a code, a definition or a name, and never a place: ...
    """
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    if isinstance(value, CRS):
        return value
    texts = [value] if isinstance(value, str) else []
    if isinstance(value, dict):
        texts = [f"+{name}={each}" for name, each in value.items() if isinstance(each, str)]
        if "type" in value or "$schema" in value:
            value, texts = json.dumps(value), []
    if isinstance(value, bytes | bytearray | np.ndarray) or not all(map(_defines, texts)):
        shown = repr(value if len(str(value)) < 80 else str(value)[:77] + "...")
        raise CRSError(
            f"a CRS is a code, a definition or a name, and never a place: got {shown}; give "
            '"EPSG:CODE", WKT or PROJJSON, reading the file yourself where it is in one'
        )
    if isinstance(value, np.integer) or (isinstance(value, str) and value.strip().isdecimal()):
        return CRS.from_epsg(int(value))
    if isinstance(value, str) and _NAME.fullmatch(value):
        import pyproj

        try:
            return CRS.from_wkt(pyproj.CRS.from_user_input(str(value)).to_wkt())
        except pyproj.exceptions.CRSError as error:
            raise CRSError(str(error)) from error
    return CRS.from_user_input(str(value) if isinstance(value, str) else value)


_NAME = re.compile(r"[\w.()+\- ]+(?: / [\w.()+\- ]+)*")
_DEFINITION = re.compile(
    r"""\s*(?:
    (?!https?:|ftp:|file:)[A-Za-z]\w*:[\w.+-]+
        (?:,\s*(?:[A-Za-z]\w*:)?[\w.+-]+)*                    # EPSG:32632, AUTO:42001,0,0
    | urn:[\w:.,+-]+
    | https?://(?:www\.)?opengis\.net/def/crs/\w+/[\w.]+/\w+
    | [A-Z][A-Z0-9_]*\s*[\[(].*                                # WKT
    | \{.*                                                     # PROJJSON
    | \+?\w+=[^/\\:]*(?:\+init=\w+:\w+[^/\\:]*)?              # PROJ, without files
    | \+init=\w+:\w+[^/\\:]*
    )\s*""",
    re.VERBOSE | re.DOTALL,
)


def _defines(text: str) -> bool:
    """Whether a text says what a CRS is, or what it is called, rather than where it is written."""
    return bool(_DEFINITION.fullmatch(text) or _NAME.fullmatch(text))


def dumps(value: Any) -> bytes:
    """Return a value as bytes that `pickle.loads` turns back, carriers within it being whole.

    Parameters
    ----------
    value
        What pickles.

    Returns
    -------
    bytes
        Its pickle.

    Examples
    --------
    >>> pickle.loads(dumps({"bands": (4, 3, 2)}))
    {'bands': (4, 3, 2)}
    """
    stream = io.BytesIO()
    _CarrierPickler(stream, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return stream.getvalue()


class _CarrierPickler(pickle.Pickler):
    """A pickler that keeps the georeference of carriers."""

    def reducer_override(self, obj: Any) -> Any:
        return parts(obj) if isinstance(obj, np.ndarray) and is_carrier(obj) else NotImplemented


def parts(carrier: Carrier) -> tuple[Any, ...]:
    """Return what a carrier is pickled as: how it is made again, and of what.

    Parameters
    ----------
    carrier
        A GeoTensor or its like.

    Returns
    -------
    tuple
        A function that makes a carrier of values, and the tuple of its arguments.

    Examples
    --------
    >>> from georeader.geotensor import GeoTensor
    >>> make, (values,) = parts(GeoTensor(np.zeros((2, 3)), None, "EPSG:32632"))
    >>> make(values).crs
    'EPSG:32632'
    """
    names = ("transform", "crs", "fill_value_default", "attrs")
    place = {name: getattr(carrier, name) for name in names}
    return partial(type(carrier), **place), (carrier.values,)


def changed(carrier: Carrier, **changes: Any) -> Any:
    """Return a carrier of the same parts but those that are given, by name.

    Parameters
    ----------
    carrier
        The carrier to follow.
    **changes
        New `values`, `transform`, `crs`, `fill_value_default` or `attrs`.

    Returns
    -------
    object
        A carrier of the same class.

    Examples
    --------
    >>> from georeader.geotensor import GeoTensor
    >>> tile = GeoTensor(np.zeros((2, 3)), None, "EPSG:32632")
    >>> changed(tile, attrs={"title": "sea"}).attrs
    {'title': 'sea'}
    """
    make, (values,) = parts(carrier)
    return make(changes.pop("values", values), **changes)


def keep_place(kind: type) -> None:
    """Have every pickler keep the georeference of a class of carriers.

    numpy's own way of pickling forgets what a subclass adds: chips sent to processes by joblib,
    Dask or multiprocessing would arrive without their place, and operators that hold one, too.

    Parameters
    ----------
    kind
        The class of carriers.

    Examples
    --------
    >>> from georeader.geotensor import GeoTensor
    >>> keep_place(GeoTensor)
    >>> pickle.loads(pickle.dumps(GeoTensor(np.zeros((2, 3)), None, "EPSG:32632"))).crs
    'EPSG:32632'
    """
    copyreg.pickle(kind, parts)


def index_as_array(kind: Any) -> None:
    """Have a class of carriers indexed like the arrays that they are.

    georeader's own raises for a pixel, a mask and `...`, and numpy indexes by masks where it
    compares two arrays. Here what still has rows and columns stays a carrier in its place; what has
    none is a plain array or a number. Names and roles of bands are those of the bands that are
    left, for `isel` too.

    Parameters
    ----------
    kind
        The class of carriers, a subclass of numpy's array.

    Examples
    --------
    >>> from affine import Affine
    >>> from georeader.geotensor import GeoTensor
    >>> index_as_array(GeoTensor)
    >>> tile = GeoTensor(np.arange(12.0).reshape(3, 4), Affine(10, 0, 0, 0, -10, 30), 32632)
    >>> tile[0, 1], tile[tile > 9], tile[..., 1:, 2:].bounds
    (np.float64(1.0), array([10., 11.]), (20.0, 0.0, 40.0, 20.0))
    """
    kind.__getitem__ = _indexed
    own = kind.isel
    if not hasattr(own, "__wrapped__"):

        @wraps(own)
        def isel(self: Any, sel: Mapping[str, Any]) -> Any:
            picked = own(self, sel)
            parts = [sel.get(name, slice(None)) for name in self.dims[:-2]]
            picked.attrs = _attrs_left(self.attrs, parts, self.shape)
            return picked

        kind.isel = isel


def _indexed(carrier: Any, key: Any) -> Any:
    picked = carrier.view(np.ndarray)[key]
    parts = _parts(key if isinstance(key, tuple) else (key,), carrier.shape)
    if parts is None or not 2 <= picked.ndim <= 4:
        return picked
    (top, down), (left, along) = map(_begin, parts[-2:], carrier.shape[-2:])
    place = carrier.transform
    if place is not None and (along, left, down, top) != (1, 0, 1, 0):
        place = place @ type(place)(along, 0, left, 0, down, top)
    attrs = _attrs_left(carrier.attrs, parts[:-2], carrier.shape)
    return type(carrier)(picked, place, carrier.crs, carrier.fill_value_default, attrs)


def _attrs_left(attrs: Any, parts: list[Any], shape: tuple[int, ...]) -> Any:
    """Return attributes after indexing all axes but rows and columns: of the bands that are left.

    Lists of names and roles belong to the third axis from the end, or to that before it where
    their length says so.
    """
    if not attrs or all(type(part) is slice and part == _ALL for part in parts):
        return attrs
    left: dict[str, Any] = {}
    for name in PER_BAND:
        said = attrs.get(name)
        if said is None or isinstance(said, str):
            continue
        if len(parts) == 1 and type(parts[0]) in (int, slice) and len(said) == shape[0]:
            picked = list(said)[parts[0]]
            left[name] = picked if type(parts[0]) is slice else [picked]
            continue
        axis = next((a for a in (-3, -4) if -a <= len(shape) and shape[a] == len(said)), None)
        if axis is not None:
            left[name] = [said[band] for band in _bands_left(parts, shape, axis)]
    return {**attrs, **left} if left else attrs


def _bands_left(parts: list[Any], shape: tuple[int, ...], axis: int) -> list[int]:
    """Return the numbers of the bands that an index of all axes but the last two takes."""
    numbers = np.arange(shape[axis]).reshape((-1,) + (1,) * (-3 - axis))
    bands = np.broadcast_to(numbers, shape[:-2])[tuple(parts)]
    if bands.ndim > 1:
        bands = bands[:1].ravel() if (bands == bands[:1]).all() else bands[:, 0]
    return list(np.atleast_1d(bands).tolist())


_ALL = slice(None)


def _parts(key: tuple[Any, ...], shape: tuple[int, ...]) -> list[Any] | None:
    """Return a key with a part for every axis, None where it loses the raster's rows."""
    if any(np.ndim(each) > 1 or isinstance(each, bool | np.bool_) for each in key):
        return None
    parts = list(key) if any(each is ... for each in key) else [*key, ...]
    at = next(number for number, each in enumerate(parts) if each is ...)
    missing = len(shape) - sum(each is not None and each is not ... for each in parts)
    parts[at : at + 1] = [slice(None)] * missing
    if len(parts) < 2 or not all(isinstance(part, slice) for part in parts[-2:]):
        return None
    return parts


def _begin(part: slice, length: int) -> tuple[int, int]:
    """Return the edge at which a slice begins, and its step."""
    start, _, step = part.indices(length)
    return (start if step > 0 else start + 1), step
