"""What a merge asks of a chip: its numbers, its nodata and what its bands hold."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from geopatcher.patch import Failed, Patch, PatchError
from pipekit.pixels import (
    GUIDE,
    Role,
    band_roles,
    check_fill,
    equal_mask,
    invalid_mask,
    nodata_of,
    plain,
)


class Chip(NamedTuple):
    """What the chips of a merge are like, as the first one with data tells.

    Parameters
    ----------
    lead : tuple of int
        Axes before rows and columns.
    dtype : numpy.dtype
        Type of the numbers, in the machine's byte order.
    nodata : number, optional
        What marks nodata beside NaN.
    roles : tuple of str
        What each band holds; without it all hold quantities.
    """

    lead: tuple[int, ...]
    dtype: Any
    nodata: Any = None
    roles: tuple[Role, ...] = ()

    @property
    def labels(self) -> np.ndarray:
        """Which bands hold classes, bits or masks: (bands,) bool."""
        return np.array([role != "quantity" for role in self.roles], bool)


def chip_spec(patch: Patch) -> Chip:
    """Return what a patch's data is like, which is not read for it.

    Parameters
    ----------
    patch : Patch
        The patch.

    Returns
    -------
    Chip
        Leading shape, type, nodata and roles.
    """
    data = patch.data
    if not isinstance(getattr(data, "dtype", None), np.dtype):  # also torch has shapes and types
        data = plain(data)
    if data.dtype.kind in "OSUmM" and data.ndim:
        raise PatchError(
            f"the patch at anchor {patch.anchor} has data of type {data.dtype.name}, which cannot "
            "be merged; let the operator return numbers or booleans"
        )
    if np.dtype(data.dtype).names is not None:
        plain(data)  # says what to do with a structured array
    dtype = np.dtype(data.dtype).newbyteorder("=")
    return Chip(tuple(data.shape[:-2]), dtype, chip_nodata(data), roles_of(data))


def roles_of(data: Any) -> tuple[Role, ...]:
    """Return what each band of a chip holds, by its attributes, its labels or its dtype.

    Parameters
    ----------
    data : array, GeoTensor or labelled piece
        (..., h, w).

    Returns
    -------
    tuple of str
        One for each band.
    """
    labelled = getattr(data, "da", None)
    if labelled is None:
        attrs = fitting_attrs(getattr(data, "attrs", None) or {}, np.shape(data)[:-2])
        return band_roles(
            SimpleNamespace(shape=np.shape(data), dtype=getattr(data, "dtype", None), attrs=attrs)
        )
    names = labelled.coords["band"].values if "band" in labelled.coords else [labelled.name]
    attrs = {"band_names": [str(name) for name in np.ravel(names)], **labelled.attrs}
    return band_roles(SimpleNamespace(shape=labelled.shape, dtype=labelled.dtype, attrs=attrs))


def fitting_attrs(attrs: Mapping[str, Any], lead: tuple[int, ...]) -> dict[str, Any]:
    """Return attributes without names and roles that are of other bands.

    Parameters
    ----------
    attrs : mapping
        Attributes by name.
    lead : tuple of int
        Axes before rows and columns.

    Returns
    -------
    dict
        Those that still hold.

    Examples
    --------
    >>> fitting_attrs({"band_names": ["B04", "SCL"], "band_roles": ["quantity", "class"]}, (1,))
    {}
    """
    kept = dict(attrs)
    if "band_names" in kept and len(kept["band_names"]) not in lead:
        del kept["band_names"]
    roles = kept.get("band_roles")
    if roles is not None and not isinstance(roles, str) and len(roles) != (1, *lead)[-1]:
        del kept["band_roles"]
    return kept


def chip_nodata(data: Any) -> Any:
    """Return what marks nodata in a chip beside NaN, or None where nothing does.

    Parameters
    ----------
    data : array, GeoTensor or labelled piece
        (..., h, w).

    Returns
    -------
    number or None
        As the chip says it.
    """
    labelled = getattr(data, "da", None)
    if labelled is None:
        return nodata_of(data)
    for name in _SAYING_NODATA:
        said = np.asarray(labelled.attrs.get(name))
        if said.size == 1 and said.dtype.kind in "iuf":
            return said.item()
    return None


_SAYING_NODATA = ("_FillValue", "missing_value", "nodata")


def attrs_saying(attrs: Mapping[str, Any], nodata: Any) -> dict[str, Any]:
    """Return the attributes of a labelled array with another nodata value.

    Parameters
    ----------
    attrs : mapping
        Attributes by name.
    nodata : number or None
        What marks nodata; None for none.

    Returns
    -------
    dict
        As `chip_nodata` reads them.

    Examples
    --------
    >>> attrs_saying({"units": "m", "missing_value": -1}, 255)
    {'units': 'm', '_FillValue': 255}
    """
    kept = {name: value for name, value in attrs.items() if name not in _SAYING_NODATA}
    return kept if nodata is None else {**kept, "_FillValue": nodata}


def saying(values: np.ndarray, nodata: Any) -> np.ndarray:
    """Return values that say their nodata without a carrier: masked where they hold any.

    Parameters
    ----------
    values : numpy.ndarray
        Plain numbers.
    nodata : number or None
        What marks nodata beside NaN.

    Returns
    -------
    numpy.ndarray or numpy.ma.MaskedArray
        The same numbers.

    Examples
    --------
    >>> saying(np.array([0, 7]), 0), saying(np.array([0, 7]), None)
    (masked_array(data=[--, 7],
                 mask=[ True, False],
           fill_value=0), array([0, 7]))
    """
    marked = equal_mask(values, nodata)
    return values if marked is None else np.ma.array(values, mask=marked, fill_value=nodata)


def invalid_of(patch: Patch, values: np.ndarray) -> np.ndarray | None:
    """Return where a patch's values are nodata, None where all count.

    The NaN of a chip that failed under "fill" is meant: it marks what is not known.

    Parameters
    ----------
    patch : Patch
        The patch.
    values : numpy.ndarray
        Its plain numbers.

    Returns
    -------
    numpy.ndarray or None
        Of the values' shape, bool.
    """
    if isinstance(patch.data, Failed):
        return None
    return invalid_mask(values, chip_nodata(patch.data))


def fill_that_fits(fill: Any, dtype: Any, who: str) -> Any:
    """Return a fill as a dtype holds it, or raise `PatchError` where it cannot.

    Parameters
    ----------
    fill : number or None
        The value.
    dtype : dtype
        Of the pixels that are to hold it.
    who : str
        The argument, named by the error.

    Returns
    -------
    number or None
        The same value.

    Examples
    --------
    >>> fill_that_fits(255, "uint8", "fill_value")
    255
    """
    try:
        return check_fill(fill, dtype, who)
    except ValueError as error:
        kind = np.dtype(dtype)
        limits = np.iinfo(kind) if kind.kind in "iu" else np.iinfo("uint8")
        range_ = "0 to 1" if kind.kind == "b" else f"{limits.min} to {limits.max}"
        raise PatchError(
            f"{who} must be a whole number that {kind.name} holds, {range_}, got {fill!r}: {error}"
        ) from None


def refuse_labels(who: str, roles: tuple[Role, ...], taken: tuple[Role, ...] = ()) -> None:
    """Raise `PatchError` for bands of classes, bits or masks where they would be averaged.

    Parameters
    ----------
    who : str
        The aggregation, named by the error.
    roles : tuple of str
        What each band holds.
    taken : tuple of str
        What the aggregation takes beside quantities.
    """
    wrong = [(band, role) for band, role in enumerate(roles) if role not in ("quantity", *taken)]
    if wrong:
        band, role = wrong[0]
        raise PatchError(
            f"{who} computes with numbers, but band {band} holds {role} values, of which half of "
            "one and half of another is none; use SpatialMode, SpatialHardVote or "
            "SpatialOverlapAdd (where the chip with the largest weight decides), in time "
            f"TemporalFold, or say attrs['band_roles'] = 'quantity'; {GUIDE}"
        )
