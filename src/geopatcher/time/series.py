"""A series in time: which axis time is, its steps, and their dates where they are known."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor

from geopatcher.config import is_a
from geopatcher.patch import PatchError
from pipekit.carrier import changed
from pipekit.pixels import plain


@dataclass(frozen=True, eq=False)
class TimeDomain:
    """Where a series lives: its `shape`, which `axis` is time, and `times` (T,) or None.

    `times` rise; they are dates, or numbers. Dates with a time zone become UTC.

    Parameters
    ----------
    shape : tuple of int
        Of the series.
    axis : int
        Which axis is time.
    times : array-like, optional
        (T,) dates or numbers, rising.

    Raises
    ------
    PatchError
        For an axis that the shape lacks, no steps, or times that are not as many or do not
        rise.

    Examples
    --------
    >>> TimeDomain((12, 64, 64)).length
    12
    """

    shape: tuple[int, ...]
    axis: int = 0
    times: Any = None

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        if not -len(shape) <= self.axis < len(shape):
            raise PatchError(f"time_axis {self.axis} is no axis of a series of shape {shape}")
        axis = self.axis % len(shape)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "axis", axis)
        if shape[axis] < 1:
            raise PatchError(f"a series needs at least one step in time, got shape {shape}")
        if self.times is not None:
            times = _as_times(self.times)
            if times.shape != (self.length,):
                raise PatchError(f"{self.length} times are needed, got shape {times.shape}")
            if (times[1:] < times[:-1]).any():
                raise PatchError("times must rise along the series; sort it by time first")
            object.__setattr__(self, "times", times)

    @property
    def length(self) -> int:
        """Number of steps in time."""
        return self.shape[self.axis]

    def step_of(self, time: Any) -> int:
        """Return the number of a step: of a number itself, of a date the last step up to it.

        Raises `PatchError` for a step outside the series, a date before it, or a date where the
        series has none.

        Parameters
        ----------
        time : int, date or str
            A step or a date.

        Returns
        -------
        int
            The number of the step.

        Examples
        --------
        >>> days = np.array(["2024-06-01", "2024-06-06"], "datetime64[D]")
        >>> TimeDomain((2,), times=days).step_of("2024-06-07")
        1
        """
        try:
            step = operator.index(time)
        except TypeError:
            step = self._step_of_date(time)
        if not 0 <= step < self.length:
            raise PatchError(f"step {time!r} lies outside the series of {self.length} steps")
        return step

    def _step_of_date(self, time: Any) -> int:
        if self.times is None:
            raise PatchError(
                f"this series has no dates, so {time!r} must be the number of a step, "
                f"0 to {self.length - 1}"
            )
        try:
            date = np.asarray(without_zone(time), self.times.dtype)
            if np.isnan(date):
                raise ValueError
        except (TypeError, ValueError):
            raise PatchError(f"{time!r} is no time like {self.times[0]!r}") from None
        step = int(np.searchsorted(self.times, date, side="right")) - 1
        if step < 0:
            raise PatchError(f"{time!r} lies before the series, which begins at {self.times[0]}")
        return step

    def positions(self) -> np.ndarray:
        """Return the steps' places in time: days since the first one, else their numbers.

        Returns
        -------
        numpy.ndarray
            (T,) float64.
        """
        if self.times is None:
            return np.arange(self.length, dtype=float)
        if np.issubdtype(self.times.dtype, np.datetime64):
            return (self.times - self.times[0]) / np.timedelta64(1, "D")
        return (self.times - self.times[0]).astype(float)


def without_zone(time: Any) -> Any:
    """Return a date or its text in UTC without a zone, which numpy's dates cannot hold.

    What has no zone, or is no date, stays as it is.

    Parameters
    ----------
    time : date, str or any
        What may have a zone.

    Returns
    -------
    datetime or any
        Without a zone.

    Examples
    --------
    >>> without_zone("2024-06-07T02:00:00+03:00"), without_zone("2024-06-07"), without_zone(7)
    (datetime.datetime(2024, 6, 6, 23, 0), '2024-06-07', 7)
    """
    date = time
    if isinstance(time, str):
        try:
            date = datetime.fromisoformat(time)
        except ValueError:  # numpy reads more forms, such as 2024-06
            return time
    if not isinstance(date, datetime) or date.tzinfo is None:
        return time
    return date.astimezone(UTC).replace(tzinfo=None)


def _as_times(times: Any) -> np.ndarray:
    """Return times (T,) as numpy's dates, or as the numbers that they are; all must be known."""
    array = np.asarray(times)
    if array.dtype.kind == "M" and np.datetime_data(array.dtype)[0] in ("Y", "M"):
        array = array.astype("datetime64[D]")  # months and years are of no one length
    if array.dtype.kind not in "iufmM":
        try:
            array = np.array([without_zone(time) for time in array.tolist()], "datetime64[us]")
        except (TypeError, ValueError):
            raise PatchError(
                f"times must be dates or numbers, got {array.tolist()[0]!r}; those of another "
                'calendar become dates by series.convert_calendar("standard")'
            ) from None
    unknown = np.flatnonzero(np.isnan(array))
    if unknown.size:
        raise PatchError(
            f"every step needs a known time, got {array[unknown[0]]} at step {unknown[0]}; drop "
            "such steps first"
        )
    return array


def series_domain(series: Any, time_axis: int | str = 0) -> TimeDomain:
    """Return the time domain of an array, a `GeoTensor`, a `DataArray`, or a domain itself.

    A `DataArray`'s time axis is the dimension named by `time_axis`, or "time" where it has one.

    Parameters
    ----------
    series : array, GeoTensor, xarray.DataArray, TimeDomain or int
        The series, or how many steps it has.
    time_axis : int or str
        The number or name of the time axis.

    Returns
    -------
    TimeDomain
        Its axis, steps and dates.

    Examples
    --------
    >>> series_domain(12).length, series_domain(np.zeros((12, 64, 64))).shape
    (12, (12, 64, 64))
    """
    if isinstance(series, TimeDomain):
        return series
    if isinstance(series, int | np.integer):
        return TimeDomain((int(series),))
    shape = getattr(series, "shape", None)
    if shape is None:
        raise PatchError(
            f"a series is an array or an xarray DataArray, got {type(series).__name__}; its "
            "TimeDomain will do as well"
        )
    axis = axis_of(series, time_axis)
    times = None
    if is_a(series, "xarray.DataArray"):
        name = series.dims[axis]
        # The index knows time zones, which the coordinate's values drop.
        times = series.get_index(name) if name in series.coords else None
    return TimeDomain(tuple(shape), axis, times)


def axis_of(series: Any, time_axis: int | str) -> int:
    """Return the number of a series' time axis.

    Parameters
    ----------
    series : array, GeoTensor or xarray.DataArray
        With time along `time_axis`.
    time_axis : int or str
        The number or name of the time axis.

    Returns
    -------
    int
        It may be negative.
    """
    labelled = is_a(series, "xarray.DataArray")
    if isinstance(time_axis, str):
        if not labelled or time_axis not in series.dims:
            has = tuple(series.dims) if labelled else "no names"
            raise PatchError(f"time_axis={time_axis!r} is no dimension of the series, it has {has}")
        return int(series.dims.index(time_axis))
    if labelled and time_axis == 0 and "time" in series.dims:
        return int(series.dims.index("time"))
    return time_axis


def take_steps(series: Any, steps: slice | np.ndarray, axis: int) -> Any:
    """Return some steps of a series as the kind that it is; a view where `steps` is a slice.

    Parameters
    ----------
    series : array, GeoTensor or xarray.DataArray
        With time along `time_axis`.
    steps : slice or numpy.ndarray
        Which steps.
    axis : int
        The number of the time axis.

    Returns
    -------
    series
        Of the same kind.
    """
    if is_a(series, "xarray.DataArray"):
        return series.isel({series.dims[axis]: steps})
    masked = isinstance(series, np.ma.MaskedArray)  # a patch of it says what it hides
    values = series if masked else plain(series)
    taken = values[(slice(None),) * axis + (steps,)]
    if isinstance(series, GeoTensor) and axis < series.ndim - 2:
        return changed(series, values=taken)
    return taken
