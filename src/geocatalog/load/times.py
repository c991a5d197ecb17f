"""Times of NetCDF and Zarr datasets: what their numbers, units and calendars mean, in UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geocatalog.calendars import days_by_name
from geocatalog.errors import CatalogError
from geocatalog.interval import EARLIEST, LATEST

if TYPE_CHECKING:
    import xarray as xr

_DAY = 86_400_000_000
_NAMES = {
    "d day": _DAY,
    "h hr hour": _DAY // 24,
    "min minute": 60_000_000,
    "s sec second": 1_000_000,
    "ms msec millisec millisecond": 1000,
    "us microsec microsecond": 1,
    "ns nanosecond": 1e-3,
}
_UNITS = {name: size for names, size in _NAMES.items() for name in names.split()}
"""Microseconds in a unit of CF, in the singular."""

_SINCE = re.compile(
    r"\s*(?P<unit>[a-z]+)\s+since\s+(?P<year>\d{1,4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
    r"(?:[T ]+(?P<hour>\d{1,2})(?::(?P<minute>\d{1,2})(?::(?P<second>\d{1,2}(?:\.\d*)?))?)?)?"
    r"\s*(?:z|utc|gmt|(?P<zone>[+-]\d{1,2}(?::?\d{2})?))?\s*",
    re.IGNORECASE,
)
_MISSING = np.iinfo(np.int64).min
_FARTHEST = 1e18
"""Microseconds, some 30,000 years: beyond, sums of them would not fit 64 bits."""


@dataclass(frozen=True)
class Times:
    """The time steps of a dataset: (N,) int64 microseconds since 1970, and what each covers.

    `dimension` is None for a scalar coordinate, which is one time step of all variables. A step
    without a date is in none of the arrays; `at` has the others' numbers along the dimension.
    """

    dimension: str | None
    at: np.ndarray
    moments: np.ndarray
    first: np.ndarray
    last: np.ndarray


def times_of(dataset: xr.Dataset, name: Any, path: str) -> Times | None:
    """Return the times of a dataset opened without decoding; None where it has no such variable.

    A step covers what its bounds say, the end left out as CF has it, or else its own instant.
    Dates of models' calendars are read by their names.

    Parameters
    ----------
    dataset
        Opened with `decode_times=False`.
    name
        Name of the time coordinate: one-dimensional or scalar.
    path
        What messages call the dataset.

    Returns
    -------
    The steps that have a date, or None.

    Raises
    ------
    CatalogError
        For what is no time, or a calendar's date that ours does not have.

    Examples
    --------
    >>> import xarray as xr
    >>> hours = xr.DataArray([0, 36], dims="time", attrs={"units": "hours since 1970-01-01"})
    >>> found = times_of(xr.Dataset(coords={"time": hours}), "time", "cube.nc")
    >>> found.moments.astype("datetime64[us]").astype(str).tolist()
    ['1970-01-01T00:00:00.000000', '1970-01-02T12:00:00.000000']
    """
    if name not in dataset.variables:
        return None
    variable = dataset[name]
    if variable.ndim > 1:
        raise CatalogError(
            f"{path}: {name} has the dimensions {tuple(map(str, variable.dims))}; times must be "
            "one-dimensional or a single one: name another coordinate with time_var="
        )
    try:
        moments = _decoded(variable.values, variable.attrs)
        first, last = moments, moments
        bounds = variable.attrs.get("bounds")
        if bounds in dataset.variables and dataset[bounds].shape == (*variable.shape, 2):
            # The bounds take units and calendar from the coordinate.
            ends = _decoded(dataset[bounds].values, variable.attrs | dataset[bounds].attrs)
            ends = np.where(ends == _MISSING, moments[..., None], ends)
            first, last = ends.min(axis=-1), ends.max(axis=-1)
            last = last - (first < last)
    except (ValueError, OverflowError) as error:
        raise CatalogError(f"{path}: {name} cannot be read as times: {error}") from error
    at = np.flatnonzero(moments.ravel() != _MISSING)
    known = [each.ravel()[at] for each in (moments, first, last)]
    return Times(str(variable.dims[0]) if variable.dims else None, at, *known)


def _decoded(values: np.ndarray, attrs: dict[str, Any]) -> np.ndarray:
    """Return times as int64 microseconds since 1970; missing ones as the least int64."""
    if values.dtype.kind == "M":
        found = values.astype("datetime64[us]").astype(np.int64)
    elif values.dtype.kind in "iuf":
        found = _since(values, str(attrs.get("units", "")), str(attrs.get("calendar", "standard")))
    else:
        raise ValueError(f"it is {values.dtype}, not numbers with units such as 'days since ...'")
    known = found[found != _MISSING]
    if len(known) and not (known.min() >= EARLIEST and known.max() <= LATEST):
        raise OverflowError("years run from 1 to 9999")
    return found


def _since(values: np.ndarray, units: str, calendar: str) -> np.ndarray:
    written = _SINCE.fullmatch(units)
    named = written["unit"].lower() if written else ""
    unit = _UNITS.get(named) or _UNITS.get(named.removesuffix("s"))
    if written is None or unit is None:
        raise ValueError(
            f"its units are {units!r}, not days, hours, minutes or seconds since a date; months "
            "and years have no one length: write the dates in days"
        )
    # xarray writes a missing date among whole numbers as the least of them.
    known = np.isfinite(values) if values.dtype.kind == "f" else values != _MISSING
    offset = _offset(written)
    moments = _microseconds(values[known], unit) + offset
    origin = int(written["year"]), int(written["month"]), int(written["day"])
    days, rest = np.divmod(moments, _DAY)
    found = np.full(values.shape, _MISSING)
    found[known] = days_by_name(days, calendar.lower(), origin) * _DAY + rest
    return found


def _offset(written: re.Match[str]) -> int:
    """Return the reference's time of day in UTC, in microseconds."""
    hour, minute, second = (written[part] or "0" for part in ("hour", "minute", "second"))
    offset = int(hour) * 3600 + int(minute) * 60
    zone = (written["zone"] or "").replace(":", "")
    if zone:
        hours, minutes = (zone[1:-2], zone[-2:]) if len(zone) > 3 else (zone[1:], "0")
        offset += (int(hours) * 3600 + int(minutes) * 60) * (1 if zone[0] == "-" else -1)
    return offset * 1_000_000 + round(float(second) * 1e6)


def _microseconds(values: np.ndarray, unit: float) -> np.ndarray:
    """Return counts of a unit in microseconds; a fraction is a whole second where it rounds to."""
    if np.abs(values.astype(np.float64)).max(initial=0.0) > _FARTHEST / unit:
        raise OverflowError("years run from 1 to 9999")
    if values.dtype.kind in "iu":
        whole = values.astype(np.int64)
        return whole // 1000 if unit < 1 else whole * int(unit)
    spacing = np.spacing(np.abs(values)).astype(np.float64) * unit
    values = values.astype(np.float64)
    whole = np.floor(values)
    found = np.rint(whole * unit) if unit < 1 else whole
    found = found.astype(np.int64) * max(int(unit), 1)
    found += np.rint((values - whole) * unit).astype(np.int64)
    second = np.rint(found / 1e6).astype(np.int64) * 1_000_000
    return np.where(np.abs(found - second) <= spacing, second, found)
