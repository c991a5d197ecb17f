"""The time axis: steps by number and by date, on arrays and labelled arrays."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from geopatcher import (
    PatchError,
    TemporalEventTriggered,
    TemporalExplicit,
    TemporalPatcher,
    TemporalPhaseWindow,
    TimeDomain,
)
from geopatcher.time.series import axis_of, series_domain

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


ZONED = [
    "2024-06-06T01:30:00Z",
    "2024-06-05T20:30:00-05:00",
    pd.Timestamp("2024-06-06T01:30", tz="UTC"),
    dt.datetime(2024, 6, 6, 3, 30, tzinfo=dt.timezone(dt.timedelta(hours=2))),
]


@pytest.mark.parametrize("time", ZONED)
def test_dates_with_a_zone_are_taken_in_utc(time):
    domain = TimeDomain((3,), times=DAYS)
    assert domain.step_of(time) == 1
    assert TemporalEventTriggered([time]).anchors(domain, None) == [1]


@pytest.mark.parametrize(
    "times",
    [
        ["2024-06-01T00:00:00Z", "2024-06-06T00:00:00Z", "2024-06-11T00:00:00Z"],
        ["2024-06-01", "2024-06-06", "2024-06-11"],
        [dt.datetime(2024, 6, day) for day in (1, 6, 11)],
        [dt.date(2024, 6, day) for day in (1, 6, 11)],
        pd.to_datetime(DAYS).tz_localize("UTC"),
        pd.to_datetime(DAYS).tz_localize("UTC").tz_convert("Asia/Tokyo"),
    ],
)
def test_times_come_as_dates_of_any_kind(times):
    domain = TimeDomain((3,), times=times)
    assert domain.positions().tolist() == [0, 5, 10]
    assert domain.step_of("2024-06-07") == 1


def test_an_xarray_with_zoned_times_is_a_series_like_another():
    times = pd.to_datetime(DAYS).tz_localize("UTC")
    series = xr.DataArray(np.arange(3.0), {"time": times}, ("time",))
    domain = series_domain(series)
    assert domain.step_of("2024-06-07") == 1
    patcher = TemporalPatcher(TemporalPhaseWindow(5, 1), TemporalExplicit([times[2]]))
    assert next(patcher.split(series)).data.values.tolist() == [0, 1, 2]


@pytest.mark.parametrize("unknown", [np.datetime64("NaT"), None, pd.NaT, float("nan"), "NaT"])
def test_a_time_that_is_not_known_is_refused(unknown):
    with pytest.raises(PatchError, match="no time like"):
        TimeDomain((3,), times=DAYS).step_of(unknown)


def test_every_step_needs_a_known_time():
    with pytest.raises(PatchError, match="got NaT at step 1; drop such steps"):
        TimeDomain((3,), times=np.array(["2024-06-01", "NaT", "2024-06-03"], "M8[D]"))
    with pytest.raises(PatchError, match="got nan at step 2"):
        TimeDomain((3,), times=[0.0, 1.0, np.nan])
    with pytest.raises(PatchError, match="dates or numbers, got 'soon'"):
        TimeDomain((2,), times=["soon", "later"])
    with pytest.raises(PatchError, match=r"another calendar .*convert_calendar"):
        TimeDomain((2,), times=[object(), object()])


@pytest.mark.parametrize("unknown", [pd.NaT, np.datetime64("NaT"), None, object()])
def test_samplers_take_no_unknown_times(unknown):
    with pytest.raises(PatchError, match="steps are numbers or dates"):
        TemporalEventTriggered([unknown])


@pytest.mark.parametrize("unit", ["Y", "M", "W", "D", "s"])
def test_times_of_any_unit_have_places_in_days(unit):
    times = np.array(["2020-01-01", "2021-01-01", "2023-01-01"], f"datetime64[{unit}]")
    expected = (times.astype("datetime64[D]") - times[0].astype("datetime64[D]")).astype(float)
    assert TimeDomain((3,), times=times).positions().tolist() == expected.tolist()
