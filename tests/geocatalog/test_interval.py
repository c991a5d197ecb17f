import datetime as dt
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geocatalog import (
    CatalogError,
    InMemoryGeoCatalog,
    from_geoparquet,
    open_catalog,
    to_geoparquet,
)
from geocatalog.interval import (
    OPEN_END,
    OPEN_START,
    as_interval,
    as_utc,
    iso_ends,
    pack_time,
    utc_column,
)


def test_naive_is_utc_and_zoned_is_converted():
    assert as_utc("2024-06-01T12:00") == pd.Timestamp("2024-06-01T12:00Z")
    assert as_utc("2024-06-01T12:00-07:00") == pd.Timestamp("2024-06-01T19:00Z")
    zone = dt.timezone(dt.timedelta(hours=2))
    assert as_utc(dt.datetime(2024, 6, 1, 12, tzinfo=zone)) == pd.Timestamp("2024-06-01T10:00Z")


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2024", "2024-01-01", "2024-12-31T23:59:59.999999"),
        ("2024-02", "2024-02-01", "2024-02-29T23:59:59.999999"),
        ("2023-02", "2023-02-01", "2023-02-28T23:59:59.999999"),
        ("2024-06-01", "2024-06-01", "2024-06-01T23:59:59.999999"),
        ("20240601", "2024-06-01", "2024-06-01T23:59:59.999999"),
        ("2024-06-01T00:00:00", "2024-06-01", "2024-06-01"),
    ],
)
def test_a_date_covers_what_it_names(text, first, last):
    found = as_interval(text)
    assert (found.left, found.right) == (as_utc(first), as_utc(last))
    assert found.closed == "both"


def test_a_date_object_covers_its_day_and_a_timestamp_is_an_instant():
    assert as_interval(dt.date(2024, 6, 1)) == as_interval("2024-06-01")
    midnight = as_interval(pd.Timestamp("2024-06-01"))
    assert midnight.left == midnight.right


def test_forms_of_one_interval_agree():
    expected = as_interval(("2024-06-01", "2024-07-31"))
    assert as_interval("2024-06-01/2024-07-31") == expected
    assert as_interval(["2024-06", "2024-07"]) == expected
    assert as_interval(slice("2024-06", "2024-07")) == expected
    assert as_interval(pd.Interval(expected.left, expected.right, closed="left")) == expected


def test_open_ends_hold_everything_on_their_side():
    before, after = as_interval(("..", "2024-06-01")), as_interval(("2024-06-01", None))
    assert as_utc("1900-01-01") in before
    assert as_utc("2200-01-01") in after
    assert as_utc("2024-06-02") not in before


@pytest.mark.parametrize(
    "bad", ["not a day", ("2024", "2024", "2024"), "2024-02-30", object(), 2024]
)
def test_what_is_no_time_is_refused(bad):
    with pytest.raises(CatalogError):
        as_interval(bad)


def test_a_bare_number_is_no_date_and_says_so():
    with pytest.raises(
        CatalogError, match=r"not a time: 2024; write dates as text, such as '2024'"
    ):
        pack_time(2024)
    with pytest.raises(CatalogError, match="not a time: 20240601"):
        utc_column(pd.Series([20240601, 20240602]))
    assert utc_column([float("nan"), None]).isna().all()


def test_an_interval_that_ends_before_it_starts_names_both_ends():
    with pytest.raises(CatalogError, match=r"2024-07-01.*2024-06-30.*swap"):
        as_interval(("2024-07-01", "2024-06-30"))


def test_columns_mix_naive_zoned_and_missing():
    column = utc_column(["2024-06-01T12:00", "2024-06-01T12:00+02:00", None])
    assert column.dt.hour.tolist()[:2] == [12, 10]
    assert column.isna().tolist() == [False, False, True]


@given(st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)))
def test_packed_microseconds_are_python_s(moment):
    expected = (moment - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)
    assert pack_time(moment) == (expected, expected)
    assert pack_time(pd.Timestamp(moment)) == (expected, expected)


MISSING = [None, pd.NaT, pd.NA, float("nan"), np.float32("nan"), np.datetime64("NaT"), "", ".."]


@pytest.mark.parametrize("missing", [*MISSING, "NaT"], ids=repr)
def test_a_missing_time_is_no_date(missing):
    assert as_interval(missing) is None
    assert as_utc(missing) is pd.NaT
    assert pack_time((missing, missing)) == (OPEN_START, OPEN_END)
    assert pack_time(("2024", missing))[1] == OPEN_END
    assert pack_time(slice(missing, "2024"))[0] == OPEN_START


def test_an_open_end_stays_open_through_an_interval():
    for asked in (("2280", None), (None, "0850"), (None, None)):
        assert pack_time(as_interval(asked)) == pack_time(asked)
        assert as_interval(iso_ends(as_interval(asked))) == as_interval(asked)


def test_numpy_s_and_pandas_dates_cover_what_their_unit_says():
    for whole in ("2024", "2024-06", "2024-06-01", "0850", "2290-02"):
        assert pack_time(np.datetime64(whole)) == pack_time(whole)
        assert pack_time(pd.Period(whole)) == pack_time(whole)
    assert pack_time(np.datetime64("2024-06-01T00", "h")) == pack_time("2024-06-01T00:00")
    for far in (np.datetime64("10000"), np.datetime64("-0001"), np.datetime64(2**40, "Y")):
        with pytest.raises(CatalogError, match="1 to 9999"):
            pack_time(far)


@pytest.mark.parametrize("unit", ["D", "h", "s", "ns"])
def test_an_element_of_an_array_is_the_time_that_it_holds(unit):
    time = np.datetime64("2024-02-29", unit)
    held = np.array(time)
    assert pack_time(held) == pack_time(time)
    assert pack_time((held, held)) == pack_time((time, time))
    nanoseconds = time.astype("datetime64[ns]")
    assert pack_time(xr.DataArray(nanoseconds)) == pack_time(nanoseconds)


def test_the_dates_of_models_are_read_by_their_names():
    class Date(SimpleNamespace):
        def isoformat(self):
            return self.text

    assert pack_time(Date(calendar="noleap", text="0850-03-01T00:00:00")) == pack_time(
        "0850-03-01T00:00:00"
    )
    for calendar, text in [("360_day", "2024-02-30"), ("julian", "2024-01-01"), ("mayan", "2024")]:
        with pytest.raises(CatalogError, match="not a time"):
            pack_time(Date(calendar=calendar, text=text))
    with pytest.raises(CatalogError, match="Julian"):
        pack_time(Date(calendar="standard", text="0850-01-01T00:00:00"))


ends = st.none() | st.dates().map(dt.date.isoformat)


@st.composite
def spans(draw):
    """Two ends in order, as ISO days, either of them open."""
    first, last = draw(ends), draw(ends)
    return (last, first) if first and last and first > last else (first, last)


FORMS = [
    lambda first, last: (first, last),
    lambda first, last: [first or "..", last or pd.NaT],
    lambda first, last: slice(first, last),
    lambda first, last: f"{first or '..'}/{last or ''}",
    lambda first, last: as_interval((first, last)),
    lambda first, last: (first and dt.date.fromisoformat(first), last and np.datetime64(last)),
    lambda first, last: (first and pd.Timestamp(first, tz="UTC"), last),
]


@settings(max_examples=40, deadline=None)
@given(st.lists(spans(), min_size=1, max_size=6), st.lists(spans(), min_size=1, max_size=8))
def test_every_engine_answers_as_python_does(rows, questions):
    """Whole days as text, compared as Python compares dates; open ends hold everything."""

    def meets(row, asked):
        starts, stops = (row[0] or "", asked[0] or ""), (row[1] or "~", asked[1] or "~")
        return starts[0] <= stops[1] and starts[1] <= stops[0]

    frame = gpd.GeoDataFrame(
        {
            "filepath": [f"/{i}.tif" for i in range(len(rows))],
            "start_time": [row[0] for row in rows],
            "end_time": [row[1] for row in rows],
        },
        geometry=[shapely.box(i, 0, i + 1, 1) for i in range(len(rows))],
        crs=32610,
    )
    memory = InMemoryGeoCatalog(frame)
    with TemporaryDirectory() as folder:
        path = to_geoparquet(memory, f"{folder}/catalog.parquet")
        engines = memory, open_catalog(path), from_geoparquet(path)
        for number, asked in enumerate(questions):
            expected = {f"/{i}.tif" for i, row in enumerate(rows) if meets(row, asked)}
            time = FORMS[number % len(FORMS)](*asked)
            for engine in engines:
                assert set(engine.query(time=time).gdf.filepath) == expected
        assert len({str(engine.temporal_extent) for engine in engines}) == 1
        for engine in engines:
            found = {row.filepath: row.interval for row in engine}
            for path, (first, last) in zip(frame.filepath, rows, strict=True):
                expected = as_interval((first, last)) if first or last else None
                assert found[path] == expected
