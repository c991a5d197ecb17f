"""The time axis: steps by number and by date, on arrays and labelled arrays."""

import numpy as np
import pytest
import xarray as xr

from geopatcher import PatchError, TimeDomain
from geopatcher.temporal.series import axis_of, series_domain

DAYS = np.array(["2024-06-01", "2024-06-06", "2024-06-11"], "datetime64[ns]")


def test_a_date_means_the_last_step_up_to_it():
    domain = TimeDomain((3, 5), times=DAYS)
    found = [domain.step_of(d) for d in ("2024-06-01", "2024-06-05", DAYS[1], "2030-01-01")]
    assert found == [0, 0, 1, 2]
    with pytest.raises(PatchError, match="lies before the series, which begins at 2024-06-01"):
        domain.step_of("2024-05-31")
    with pytest.raises(PatchError, match="no time like"):
        domain.step_of("next week")


def test_without_dates_only_numbers_are_steps():
    with pytest.raises(PatchError, match="must be the number of a step, 0 to 2"):
        TimeDomain((3,)).step_of("2024-06-01")
    assert TimeDomain((3,)).step_of(np.int64(2)) == 2


def test_times_must_rise():
    with pytest.raises(PatchError, match="sort it by time first"):
        TimeDomain((3,), times=DAYS[::-1])
    with pytest.raises(PatchError, match="3 times are needed"):
        TimeDomain((3,), times=DAYS[:2])


def test_an_xarray_tells_its_own_time_axis():
    cube = xr.DataArray(np.zeros((4, 3, 5)), dims=("y", "time", "x"), coords={"time": DAYS})
    domain = series_domain(cube)
    assert (domain.axis, domain.length) == (1, 3)
    assert domain.times[0] == DAYS[0]
    assert series_domain(cube, "x").length == 5
    with pytest.raises(PatchError, match="'day' is no dimension of the series"):
        axis_of(cube, "day")
    with pytest.raises(PatchError, match="it has no names"):
        axis_of(np.zeros(3), "day")


def test_places_in_time_are_days():
    assert TimeDomain((3,), times=DAYS).positions().tolist() == [0, 5, 10]
    assert TimeDomain((3,)).positions().tolist() == [0, 1, 2]


def test_an_axis_that_is_none_is_told():
    with pytest.raises(PatchError, match=r"time_axis 2 is no axis of a series of shape \(3, 4\)"):
        TimeDomain((3, 4), axis=2)
    with pytest.raises(PatchError, match="an array or an xarray DataArray, got list"):
        series_domain([1, 2])
