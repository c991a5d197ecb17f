"""What a pixel means and whether it counts: asked here by every package above.

A band holds a quantity, classes, bits or a mask. Quantities may be scaled, averaged, blended and
interpolated; numbers of classes, flags in bits and yes-or-no may not: half of class 4 and class 8
is no class 6. What counts is what is not nodata: NaN in floats, and what equals the value that the
raster declares. No nodata declared means none: 0 is a value unless somebody said otherwise.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final, Literal, get_args

import numpy as np

from pipekit.carrier import Array, fitting_fill, holds, is_carrier

Role = Literal["quantity", "class", "bits", "mask"]
"""What the numbers of a band are."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)

GUIDE: Final = "see docs/reference/what-a-pixel-means.md"
"""Where the rules are told at length; errors that come from them end in it."""

# Names of quality bands in the products that define them, in lower case: Sentinel-2 (SCL, QA60),
# Landsat Collection 2 and its STAC keys, HLS (Fmask), MODIS and VIIRS, Sentinel-3 OLCI, and the
# land-cover maps WorldCover, Dynamic World, CORINE, NLCD, CDL and MCD12Q1.
_PRODUCTS: Final[Mapping[Role, str]] = {
    "class": "scl scene_classification pixel_reliability label labels class classes classification "
    "land_cover landcover lulc lc cropland worldcover lc_type1 lc_type2 lc_type3 lc_type4 lc_type5",
    "bits": "qa60 qa qa_pixel pixel_qa bqa qa_radsat radsat_qa qa_aerosol sr_qa_aerosol sr_aerosol "
    "cloud_qa sr_cloud_qa fmask state_1km qc_250m qc_500m sur_refl_qc_500m qc_day qc_night "
    "summaryqa detailedqa vi_quality quality_flags wqsf qf1 qf2 qf3 qf4 qf5 qf6 qf7",
    "mask": "mask cloud_mask cloudmask water_mask snow_mask valid_mask msk_classi",
}
_BY_NAME: Final = {name: role for role, names in _PRODUCTS.items() for name in names.split()}


def band_roles(raster: Any, axis: int = -3) -> tuple[Role, ...]:
    """Return what each band of a raster holds.

    `attrs["band_roles"]` decides: one role, or one for each band. Next come CF's `flag_masks`
    (bits) and `flag_values` (classes) among the attributes, then the band's name where a product
    defines it (SCL, QA_PIXEL, Fmask, ...), then the dtype: booleans are masks. All else is a
    quantity.

    Parameters
    ----------
    raster
        Array or carrier of any dtype, bands on the third axis from the end: (C, H, W) or
        (T, C, H, W). (H, W) is one band.
    axis
        Of the bands, where they lie elsewhere.

    Returns
    -------
    One role a band.

    Raises
    ------
    ValueError
        For roles that are unknown or are not as many as the bands.

    Examples
    --------
    >>> import numpy as np
    >>> band_roles(np.zeros((2, 3, 3), bool))
    ('mask', 'mask')
    """
    attrs = getattr(raster, "attrs", None) or {}
    shape = raster.shape if isinstance(raster, np.ndarray) else np.shape(raster)
    count = shape[axis] if len(shape) > 2 else 1
    said = attrs.get("band_roles")
    if said is not None:
        return _said(said, count)
    one: Role = "quantity"
    if getattr(getattr(raster, "dtype", None), "kind", None) == "b":
        one = "mask"
    elif "flag_masks" in attrs or "flag_values" in attrs:
        one = "bits" if "flag_masks" in attrs else "class"
    else:
        names = attrs.get("band_names")
        if names is not None and not isinstance(names, str) and len(names) == count:
            return _named(tuple(names))
    return (one,) * count


@lru_cache(maxsize=1024)
def _named(names: tuple[Any, ...]) -> tuple[Role, ...]:
    return tuple(role_of(str(name)) for name in names)


def role_of(name: str) -> Role:
    """Return what a band of this name holds, where a product defines the name.

    Parameters
    ----------
    name
        A band's name or an asset's key, in any case; see `band_key`.

    Examples
    --------
    >>> role_of("SCL_20m"), role_of("qa_pixel"), role_of("B04")
    ('class', 'bits', 'quantity')
    """
    return _BY_NAME.get(band_key(name), "quantity")


@lru_cache(maxsize=1024)
def band_key(name: str) -> str:
    """Return a band's name as its product defines it: lower case, no pixel size, no file format.

    Parameters
    ----------
    name
        A band's name or an asset's key, such as Copernicus' SCL_20m or scl-jp2.

    Examples
    --------
    >>> band_key("SCL_20m"), band_key("scl-jp2"), band_key("QA_PIXEL")
    ('scl', 'scl', 'qa_pixel')
    """
    return re.sub(r"(_[1-6]0m|-jp2)$", "", name.lower())


def _said(said: Any, count: int) -> tuple[Role, ...]:
    roles: tuple[Any, ...] = (said,) * count if isinstance(said, str) else tuple(said)
    unknown = [role for role in roles if role not in ROLES]
    if unknown or len(roles) != count:
        raise ValueError(
            f"attrs['band_roles'] must be one of {ROLES}, or one for each of the {count} bands, "
            f"got {said!r}; numpy's functions leave them as they were, indices and SelectBands "
            f"do not: set them anew; "
            f"{GUIDE}"
        )
    return roles


ROLE_TAG: Final = "band_role"
"""The metadata item of a file's band that says its role; our own writers set it."""


def roles_in_file(source: Any, indexes: Sequence[int] | None = None) -> tuple[Role, ...]:
    """Return what bands of an opened file hold.

    The band's own metadata `band_role` decides, as our writers set it. A colour table, names of
    categories and CF's `flag_values` mean classes, `flag_masks` bits, an alpha band a mask; else
    the band's name decides, as in `band_roles`.

    Parameters
    ----------
    source
        A dataset that rasterio opened.
    indexes
        1-based bands; all by default.

    Returns
    -------
    One role a band.
    """
    chosen = source.indexes if indexes is None else indexes
    # Asked once: rasterio makes these lists anew for all bands.
    categorised, colours, names = _categorised(source.name), source.colorinterp, source.descriptions
    return tuple(
        _role_in_file(
            source.tags(index), colours[index - 1].name, names[index - 1], index in categorised
        )
        for index in chosen
    )


def _role_in_file(
    tags: Mapping[str, str], colour: str, name: str | None, has_categories: bool
) -> Role:
    said: Role | None = next((role for role in ROLES if role == tags.get(ROLE_TAG)), None)
    if said is not None:
        return said
    if "flag_masks" in tags:
        return "bits"
    if colour == "palette" or has_categories or "flag_values" in tags:
        return "class"
    name = name or tags.get("NETCDF_VARNAME")
    return "mask" if is_alpha(colour, name) else role_of(name or "")


def is_alpha(colour: str, name: str | None) -> bool:
    """Tell whether a band of a file is an alpha band: by its colour, unless it has its own name.

    Parameters
    ----------
    colour
        GDAL's colour interpretation, in lower case.
    name
        The band's description, or None.

    Examples
    --------
    >>> is_alpha("alpha", None), is_alpha("alpha", "nir"), is_alpha("gray", None)
    (True, False, False)
    """
    return colour == "alpha" and (not name or name.lower() == "alpha")


def coloured_alpha(source: Any, asked: Sequence[int] = ()) -> bool:
    """Tell whether an opened file has a band of data that is coloured as an alpha band.

    A band of that colour holds data where it has another name, and for who asks for it by its
    number, unless it says itself what it holds.

    Parameters
    ----------
    source
        A dataset that rasterio opened.
    asked
        1-based bands that were asked for by number.
    """
    each = zip(source.indexes, source.colorinterp, source.descriptions, strict=True)
    return any(
        (index in asked or not is_alpha("alpha", name)) and ROLE_TAG not in source.tags(index)
        for index, colour, name in each
        if colour.name == "alpha"
    )


_BANDS_XML: Final = re.compile(
    r"<(?:PAM|VRT)RasterBand\b([^>]*)>(.*?)</(?:PAM|VRT)RasterBand>", re.S
)
_CATEGORIES: Final = re.compile(r"<CategoryNames>\s*<|tableType=.thematic", re.I)


def _categorised(path: str) -> set[int]:
    """Return the bands of a local file whose side file, or VRT, names their categories."""
    found: set[int] = set()
    for side in (path, f"{path}.aux.xml"):
        if side.lower().endswith((".vrt", ".xml")) and os.path.isfile(side):
            with open(side, encoding="utf-8", errors="replace") as file:
                for head, body in _BANDS_XML.findall(file.read()):
                    number = re.search(r'band="(\d+)"', head)
                    if _CATEGORIES.search(body):
                        found.add(int(number[1]) if number else 1)
    return found


def plain(raster: Any) -> Array:
    """Return the numbers of an array in the machine's byte order, without copying if they are so.

    What a masked array hides becomes NaN in floats, and what `nodata_of` says in the others.

    Parameters
    ----------
    raster
        Array or carrier of any shape.

    Raises
    ------
    TypeError
        For a structured array, whose fields are bands of their own.

    Examples
    --------
    >>> import numpy as np
    >>> plain(np.array([1.5, 2.0], ">f8")).dtype.isnative
    True
    >>> plain(np.ma.array([1.0, 20.0], mask=[False, True]))
    array([ 1., nan])
    """
    if type(raster) is np.ndarray:
        values = raster
    elif isinstance(raster, np.ma.MaskedArray):
        hidden = np.nan if raster.dtype.kind in "fc" else nodata_of(raster)
        values = raster.data
        if hidden is not None and np.ma.is_masked(raster):
            values = np.where(np.ma.getmaskarray(raster), values.dtype.type(hidden), values)
    else:
        values = np.asarray(raster)
    if values.dtype.names is not None:
        raise TypeError(
            f"expected numbers, got a structured array with the fields {values.dtype.names}; "
            "give np.stack([array[name] for name in array.dtype.names]) with attrs['band_names']"
        )
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


def nodata_of(raster: Any) -> Any:
    """Return the value that marks nodata in an array, or None where nothing but NaN does.

    Parameters
    ----------
    raster
        A carrier says it, if its dtype holds that; a masked array of whole numbers has its
        `fill_value` where no pixel that counts holds that, else the first number from the dtype's
        end that none holds.

    Examples
    --------
    >>> import numpy as np
    >>> nodata_of(np.zeros(3)) is None, nodata_of(np.ma.array([1, 2], mask=[0, 1], fill_value=-1))
    (True, -1)
    """
    if is_carrier(raster):
        fill = raster.fill_value_default
        return fill if fill is None or holds(raster.values.dtype, fill) else None
    if not isinstance(raster, np.ma.MaskedArray) or not np.ma.is_masked(raster):
        return None
    if raster.dtype.kind not in "iu":
        return math.nan if raster.dtype.kind in "fc" else None
    seen, lowest, highest = raster.compressed(), *_ends(raster.dtype)
    wished = np.asarray(raster.fill_value).item()
    # numpy's own default, 999999, lies beyond small dtypes.
    if holds(raster.dtype, wished) and not (seen == wished).any():
        return wished
    held = set(np.unique(seen).tolist())
    for value in chain((0, highest, lowest), range(lowest, highest)):
        if value not in held:
            return value
    raise TypeError(
        f"a masked array of {raster.dtype.name} holds every number of its dtype, so none is left "
        f"to mark what it hides; use .astype('float32').filled(np.nan); {GUIDE}"
    )


def last_number(dtype: Any) -> Any:
    """Return by which number files without a nodata value mark what is missing: their dtype's last.

    One number for all windows of a file, whichever pixels they hold.

    Parameters
    ----------
    dtype
        Of the pixels.

    Returns
    -------
    NaN in floats, None in booleans.

    Examples
    --------
    >>> last_number("uint8"), last_number("int16")
    (255, -32768)
    """
    kind = np.dtype(dtype)
    if kind.kind not in "iu":
        return math.nan if kind.kind in "fc" else None
    return next(filter(None, _ends(kind)))


def _ends(dtype: Any) -> tuple[int, int]:
    """Return the first and the last number of an integer dtype that a file's header can hold."""
    limits = np.iinfo(dtype)
    return max(limits.min, -(2**53)), min(limits.max, 2**53)


def marked(
    values: Array, hidden: Array | None, wished: Any = 0, roles: Sequence[Role] = ()
) -> tuple[Array, Any]:
    """Return pixels of which some do not count, and the value that marks them.

    Where valid pixels hold every number of an integer dtype, those of its last one move to the
    next: in a photograph white becomes 254.

    Parameters
    ----------
    values
        Pixels, changed in place.
    hidden
        Those that do not count; None for none.
    wished
        The value to mark them with where no other pixel of integers holds it, or None.
    roles
        What the bands hold; only quantities are moved.

    Returns
    -------
    The pixels, and NaN for floats, a number that no valid pixel holds for others; what was wished
    where nothing is hidden and nothing holds it.

    Raises
    ------
    ValueError
        Where every number of the dtype is in use, by classes, bits or masks too.

    Examples
    --------
    >>> import numpy as np
    >>> marked(np.array([0, 7], "uint8"), np.array([False, True]), None)
    (array([  0, 255], dtype=uint8), 255)
    """
    kind = values.dtype
    if kind.kind in "fc":
        if hidden is None or not hidden.any():
            return values, math.nan if wished is None else wished
        values[hidden] = np.nan
        return values, math.nan
    wished = fitting_fill(wished, kind)
    if hidden is None or not hidden.any():
        return values, None if equal_mask(values, wished) is not None else wished
    masked = np.ma.array(values, mask=hidden, fill_value=0 if wished is None else wished)
    try:
        fill = nodata_of(masked)
    except TypeError:
        if set(roles) - {"quantity"}:
            raise ValueError(
                f"no number of {kind.name} is left to mark pixels without data; read bands of "
                f"classes, bits and masks apart from the others; {GUIDE}"
            ) from None
        fill = last_number(kind)
        keep_off(values, fill, ~hidden)
    values[hidden] = fill
    return values, fill


def equal_mask(values: Array, nodata: Any) -> Array | None:
    """Return where values equal a nodata value, or None where none does.

    Floats are compared in their own precision, as GDAL does: a header rounds -3.4028235e+38 to
    -3.40282e+38, and -9999.9 is no float32. The minimum is looked at first: it takes a tenth of
    the time of any work on floats, and most chips have no nodata at all.

    Parameters
    ----------
    values
        Plain array of any shape.
    nodata
        The value, NaN or None. NaN gives None, since NaN spreads by itself.

    Examples
    --------
    >>> import numpy as np
    >>> equal_mask(np.array([[0, 7]], "uint16"), 0)
    array([[ True, False]])
    >>> equal_mask(np.float32([-3.4028235e38, 1]), -3.40282e38)
    array([ True, False])
    """
    if nodata is None or nodata != nodata or values.size == 0 or values.dtype.kind not in "iufc":
        return None
    kind = values.dtype
    if kind.kind == "c":
        mask = values == nodata
    elif kind.kind == "f" and _AT_THE_END < abs(nodata) < math.inf:
        limits = float(np.finfo(kind).max)
        low, high = sorted((_SHARE * float(nodata), float(nodata) / _SHARE))
        if low > limits or high < -limits:
            return None
        mask = (values >= max(low, -limits)) & (values <= min(high, limits))
    elif not holds(kind, nodata):
        return None
    else:
        # As the dtype holds it: 64-bit numbers would meet a float nodata rounded.
        held = kind.type(nodata)
        if values.min() > held:
            return None
        mask = values == held
    return mask if mask.any() else None


_AT_THE_END: Final = 1e37
_SHARE: Final = 1 - 1e-5
"""From here on floats mark nodata by their dtype's last number, which headers round."""


def invalid_mask(values: Array, nodata: Any = None) -> Array | None:
    """Return where values are nodata, NaN or the value that marks it; None where none is.

    Parameters
    ----------
    values
        Plain array of any shape.
    nodata
        What marks nodata beside NaN, or None.

    Examples
    --------
    >>> import numpy as np
    >>> invalid_mask(np.array([[np.nan, -9999.0, 1.0]]), -9999)
    array([[ True,  True, False]])
    """
    marked = equal_mask(values, nodata)
    if values.dtype.kind not in "fc" or values.size == 0:
        return marked
    # The minimum is NaN when any value is: one cheap pass for the usual case, without a mask.
    if not np.isnan(values.min()):
        return marked
    by_nan = np.isnan(values)
    return by_nan if marked is None else by_nan | marked


def check_fill(fill: Any, dtype: Any, who: str) -> Any:
    """Return `fill` as the dtype holds it, or raise where the dtype cannot hold it.

    Parameters
    ----------
    fill
        A number or a truth value; None is none.
    dtype
        Of the pixels that are to hold it.
    who
        The argument or operator that asks, named by the error.

    Raises
    ------
    ValueError
        For NaN or a fraction in integers, a number beyond the dtype's limits, and anything but 0
        and 1 in booleans.

    Examples
    --------
    >>> check_fill(255, "uint8", "fill_value")
    255
    >>> check_fill(-9999, "uint8", "fill_value")
    Traceback (most recent call last):
    ValueError: fill_value -9999 does not fit uint8, which holds 0 to 255; give one that does, or \
put ToFloat32() before; see docs/reference/what-a-pixel-means.md
    """
    kind = np.dtype(dtype)
    if fill is None or holds(kind, fill):
        return kind.type(fill).item() if fill is not None and kind.kind in "biu" else fill
    limits = (0, 1) if kind.kind == "b" else np.iinfo(kind) if kind.kind in "iu" else np.finfo(kind)
    lowest, highest = limits if isinstance(limits, tuple) else (limits.min, limits.max)
    raise ValueError(
        f"{who} {fill!r} does not fit {kind.name}, which holds {lowest} to {highest}; "
        f"give one that does, or put ToFloat32() before; {GUIDE}"
    )


def check_header(fill: Any, dtype: Any) -> None:
    """Raise ValueError for a nodata value that a file's header would change.

    Headers hold floats of 64 bits, which end to tell whole numbers apart at 2**53; of larger ones
    that they do hold, such as -2**63, a part is lost where they become text.

    Parameters
    ----------
    fill
        A number that the dtype holds, or None.
    dtype
        Of the pixels.

    Examples
    --------
    >>> check_header(2**53, "int64")
    >>> check_header(2**53 + 1, "int64")
    Traceback (most recent call last):
    ValueError: nodata 9007199254740993 would be another number in a file's header; give one up \
to 2**53; see docs/reference/what-a-pixel-means.md
    """
    if fill is not None and np.dtype(dtype).kind in "iu" and abs(int(fill)) > 2**53:
        raise ValueError(
            f"nodata {fill} would be another number in a file's header; give one up to 2**53; "
            f"{GUIDE}"
        )


def keep_off(values: Array, nodata: Any, counts: Array | None = None) -> None:
    """Move numbers that count but fell on nodata's value to the next one, in place.

    The one guard of all that writes pixels: a valid value never becomes nodata by arithmetic.

    Parameters
    ----------
    values
        Numbers of any shape.
    nodata
        The value that marks nodata, or None.
    counts
        Where `values` count, of their shape; None where all do.

    Examples
    --------
    >>> import numpy as np
    >>> dn = np.array([0, 0, 7], "uint16")
    >>> keep_off(dn, 0, np.array([False, True, True]))
    >>> dn
    array([0, 1, 7], dtype=uint16)
    """
    landed = equal_mask(values, nodata) if values.dtype.kind in "iuf" else None
    if landed is None:
        return
    if counts is not None:
        landed &= counts
    if values.dtype.kind == "f":
        held = values.dtype.type(nodata)
        values[landed] = np.nextafter(held, held.dtype.type(0 if held else 1))
    else:
        number = int(nodata)
        values[landed] = number + 1 if number < np.iinfo(values.dtype).max else number - 1


def whole_numbers(
    values: Array, dtype: Any, nodata: Any, invalid: Array | None = None, *, scratch: bool = False
) -> Array:
    """Return numbers rounded into an integer dtype, within its limits and off nodata's value.

    Parameters
    ----------
    values
        Numbers of any shape; NaN is nodata.
    dtype
        An integer dtype.
    nodata
        The value of the result that marks nodata; None allows no NaN.
    invalid
        Where further pixels are nodata, of the shape of `values`, or None.
    scratch
        Whether `values` may be written over, which saves a copy of them.

    Raises
    ------
    ValueError
        For NaN without a value to mark it, and a value that the dtype cannot hold.

    Examples
    --------
    >>> import numpy as np
    >>> whole_numbers(np.array([0.2, 300.0, np.nan]), "uint8", 0)
    array([  1, 255,   0], dtype=uint8)
    """
    kind = np.dtype(dtype)
    limits, nodata = np.iinfo(kind), check_fill(nodata, kind, "nodata")
    missing = invalid_mask(values) if invalid is None else invalid | np.isnan(values)
    if missing is not None and nodata is None:
        raise ValueError(
            f"NaN has no number in {kind.name}; give nodata=, the value that marks it; {GUIDE}"
        )
    clean, own = values, scratch
    if missing is not None:
        clean, own = np.where(missing, 0, values), True
    beyond = None
    if clean.dtype.kind in "bf" and clean.dtype.itemsize < 4:
        clean = clean.astype(np.float32)
    if clean.dtype.kind == "f":
        clean = np.rint(clean, out=clean if own else None)
        # float(2**64 - 1) is 2**64, which would wrap: the last float below is taken.
        top = np.nextafter(clean.dtype.type(limits.max), clean.dtype.type(0))
        rounds_up = float(clean.dtype.type(limits.max)) > limits.max
        beyond = clean > top if rounds_up else None
        np.clip(clean, limits.min, top if rounds_up else limits.max, out=clean)
    else:
        ends = np.iinfo(clean.dtype)
        clean = np.clip(clean, max(limits.min, ends.min), min(limits.max, ends.max))
    out = clean.astype(kind)
    if beyond is not None:
        out[beyond] = limits.max
    keep_off(out, nodata)
    if missing is not None:
        out[missing] = nodata
    return out
