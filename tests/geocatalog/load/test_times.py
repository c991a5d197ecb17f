import datetime as dt
from tempfile import TemporaryDirectory

import geopandas as gpd
import numpy as np
import pytest
import shapely
import xarray as xr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from geocatalog import (
    CatalogError,
    InMemoryGeoCatalog,
    from_geoparquet,
    open_catalog,
    to_geoparquet,
)
from geocatalog.interval import interval_of, unpack_column
from geocatalog.load.times import times_of

UNITS = {"days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1, "hr": 3600, "d": 86_400}


def told(values, units, calendar=None, dims="time", **more):
    attrs = {"units": units} | ({"calendar": calendar} if calendar else {})
    dims = dims if np.ndim(values) else ()
    return times_of(xr.Dataset({"time": (dims, values, attrs | more)}), "time", "cube.nc")


def written(times):
    return unpack_column(times.moments).dt.tz_localize(None).tolist()


@given(
    st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2500, 1, 1)),
    st.lists(st.integers(-100_000, 100_000), min_size=1, max_size=5),
    st.sampled_from(sorted(UNITS)),
    st.sampled_from(["i2", "i4", ">i4", "i8", "f4", "f8", ">f8"]),
    st.integers(-12, 14),
)
def test_numbers_are_times_since_a_date_in_its_zone(since, numbers, units, dtype, zone):
    since = since.replace(microsecond=0)
    values = np.array(numbers).astype(dtype)
    text = f"{units} since {since:%Y-%m-%d %H:%M:%S} {zone:+d}:00"
    step = dt.timedelta(seconds=UNITS[units])
    expected = [since - dt.timedelta(hours=zone) + int(value) * step for value in values]
    assert written(told(values, text)) == expected


@given(st.integers(0, 86_399), st.integers(0, 200_000))
def test_a_second_written_as_a_share_of_a_day_is_a_whole_second(second, day):
    value = day + second / 86_400
    expected = dt.datetime(1800, 1, 1) + dt.timedelta(days=day, seconds=second)
    assert written(told([value], "days since 1800-1-1")) == [expected]


@pytest.mark.parametrize(
    "reference",
    [
        "2024-01-01",
        "2024-1-1 0:0:0.0",
        "2024-01-01T00:00:00Z",
        "2024-01-01 00:00 UTC",
        "2024-01-01 06:00:00 +06:00",
        "2023-12-31 18:00 -0600",
        "2024-01-01  00",
    ],
)
def test_spellings_of_the_reference(reference):
    assert written(told([1], f"Days since {reference}")) == [dt.datetime(2024, 1, 2)]


def test_what_is_not_known_is_no_step():
    found = told([0, np.nan, 2], "days since 2024-01-01")
    assert found.at.tolist() == [0, 2]
    assert told(np.nan, "days since 2024-01-01").at.tolist() == []
    stored = np.array(["2024-01-01", "NaT"], "datetime64[ns]")
    assert written(told(stored, "")) == [dt.datetime(2024, 1, 1)]
    assert times_of(xr.Dataset(), "time", "cube.nc") is None


@pytest.mark.parametrize(
    ("values", "units", "calendar", "message"),
    [
        ([0], "months since 2024-01-01", None, "months.*write the dates in days"),
        ([0], "day as %Y%m%d.%f", None, "its units are"),
        ([20240601], "", None, "its units are ''"),
        (["2024-01-01"], "", None, "not numbers with units"),
        ([0], "days since 2024-01-01", "julian", r"cube\.nc: time .*Julian"),
        ([59], "days since 2024-01-01", "360_day", "2024-02-30, a date that ours does not have"),
        ([59], "days since 2023-01-01", "all_leap", "2023-02-29"),
        ([0], "days since 0850-01-01", "standard", "Julian.*proleptic_gregorian"),
        ([0], "days since 2024-01-01", "martian", "'martian' is not known"),
        ([1e7], "days since 2024-01-01", None, "1 to 9999"),
        ([[0]], "days since 2024-01-01", None, "one-dimensional or a single one"),
    ],
)
def test_what_is_no_time_is_refused_by_name(values, units, calendar, message):
    with pytest.raises(CatalogError, match=message):
        told(values, units, calendar, dims=("time", "step")[: np.ndim(values)])


def test_bounds_say_what_a_step_covers():
    dataset = xr.Dataset(
        {
            "time": ("time", [15, 45], {"units": "days since 2023-01-01", "bounds": "time_bnds"}),
            "time_bnds": (("time", "nv"), [[0, 31], [59, 31]]),
        }
    )
    found = times_of(dataset, "time", "cube.nc")
    assert written(found) == [dt.datetime(2023, 1, 16), dt.datetime(2023, 2, 15)]
    days = [
        each.astype("datetime64[us]").astype("datetime64[D]") for each in (found.first, found.last)
    ]
    assert np.array(days).astype(str).T.tolist() == [
        ["2023-01-01", "2023-01-31"],
        ["2023-02-01", "2023-02-28"],
    ]


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["noleap", "all_leap", "360_day", "proleptic_gregorian", "standard"]),
    st.sampled_from([850, 1066, 1700, 2024, 2290, 2500]),
    st.lists(st.integers(0, 800), min_size=1, max_size=4, unique=True),
    st.integers(0, 800),
)
def test_dates_of_any_calendar_are_found_by_every_engine(calendar, year, days, split):
    """A query that is open on one side finds the days on that side, counted in plain Python."""
    since = f"days since {year:04d}-01-01"
    try:
        found, edge = told(days, since, calendar), told([split], since, calendar)
    except CatalogError:
        assume(False)
    times = [interval_of(int(moment), int(moment)) for moment in found.moments]
    frame = gpd.GeoDataFrame(
        {
            "filepath": [f"/{day}.nc" for day in days],
            "start_time": [time.left for time in times],
            "end_time": [time.right for time in times],
        },
        geometry=[shapely.box(0, 0, 1, 1)] * len(days),
        crs=4326,
    )
    memory = InMemoryGeoCatalog(frame, "xarray")
    at = interval_of(int(edge.moments[0]), int(edge.moments[0])).left
    with TemporaryDirectory() as folder:
        path = to_geoparquet(memory, f"{folder}/catalog.parquet")
        for engine in (memory, open_catalog(path), from_geoparquet(path)):
            after = engine.query(time=(at, None)).gdf.filepath
            before = engine.query(time=f"../{at.isoformat()}").gdf.filepath
            assert set(after) == {f"/{day}.nc" for day in days if day >= split}
            assert set(before) == {f"/{day}.nc" for day in days if day <= split}
            assert len(engine.query(time=slice(None, None))) == len(days)


@pytest.mark.parametrize(
    "value", [np.int64(2**62), np.uint64(2**62), np.float32(1e30), -(2.0**62), np.float64(1e300)]
)
@pytest.mark.parametrize("unit", ["days", "hours", "seconds"])
@pytest.mark.parametrize("calendar", [None, "noleap", "360_day"])
def test_times_beyond_all_years_are_refused_and_do_not_wrap(value, unit, calendar):
    with pytest.raises(CatalogError, match="years run from 1 to 9999"):
        told(np.array([0, value], type(value)), f"{unit} since 2000-01-01", calendar)
