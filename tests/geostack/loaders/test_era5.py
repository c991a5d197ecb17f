"""ERA5: Zarr over HTTP and on this machine, and the made-up weather."""

import json
import logging
import traceback

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from loopback import Fault

from geostack import AssetNotFoundError, NoSceneError, PixelReadError, load_era5_chip
from geostack.loaders.era5 import simulated_temperature
from geostack.sources.simulated import SimulatedSource

VARIABLE = "air_temperature_at_2_metres"


def month(path, year, number):
    """ERA5's own layout: time, lat falling from 90, lon from 0 to 360; value = hour + lat + lon."""
    start = pd.Timestamp(year, number, 1)
    times = pd.date_range(start, start + pd.offsets.MonthBegin(1), freq="h", inclusive="left")[:72]
    lats = np.arange(60, 29.9, -0.25)
    lons = np.arange(0, 360, 0.25)
    values = (
        np.arange(len(times))[:, None, None] + lats[None, :, None] + 10 * lons[None, None, :]
    ).astype("float32")
    data = xr.DataArray(
        values, dims=("time", "lat", "lon"), coords={"time": times, "lat": lats, "lon": lons},
        name=VARIABLE, attrs={"units": "K"},
    )  # fmt: skip
    data.to_dataset().to_zarr(path, zarr_format=2, consolidated=True)


def item(name, year, number, href):
    start = pd.Timestamp(year, number, 1, tz="UTC")
    end = start + pd.offsets.MonthBegin(1) - pd.Timedelta(hours=1)
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": "era5-pds",
        "bbox": [-180, -90, 180, 90], "geometry": None,
        "properties": {
            "datetime": None, "start_datetime": start.isoformat(), "end_datetime": end.isoformat(),
        },
        "links": [], "assets": {VARIABLE: {"href": href}},
    }  # fmt: skip


@pytest.fixture(scope="module")
def months(tmp_path_factory):
    root = tmp_path_factory.mktemp("era5")
    for number in (5, 6):
        month(root / f"{number}.zarr", 2020, number)
    return root


@pytest.fixture
def archive(months, tmp_path, monkeypatch):
    for number in (5, 6):
        folder = tmp_path / "era5-pds" / f"m{number}"
        folder.mkdir(parents=True)
        feature = item(f"m{number}", 2020, number, str(months / f"{number}.zarr"))
        (folder / f"m{number}.json").write_text(json.dumps(feature))
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(tmp_path))
    return {"source": "archive", "date_range": "2020-06-01/2020-06-02"}


@pytest.fixture
def remote(months, server):
    for number in (5, 6):
        store = months / f"{number}.zarr"
        for path in store.rglob("*"):
            if path.is_file():
                server.add_file(path, f"{number}.zarr/{path.relative_to(store)}")
        base = f"{server.url}/files/{server.generation}/{number}.zarr"
        server.add_item(item(f"m{number}", 2020, number, base))
    return server


def check(chip, hours):
    assert chip.sizes["time"] == hours
    assert chip.lat.values.tolist() == sorted(chip.lat.values.tolist(), reverse=True)
    expected = chip.lat + 10 * (chip.lon % 360)
    np.testing.assert_allclose(chip.isel(time=0), expected.transpose("lat", "lon"))


def test_a_box_in_the_west(archive):
    chip = load_era5_chip(**archive)
    check(chip, 48)
    assert chip.lat.values.tolist() == [39.5, 39.25, 39.0, 38.75]
    assert chip.lon.values.tolist() == [-120.25, -120.0, -119.75]
    assert chip.attrs == {"units": "K", "source": "archive"}


def test_a_box_across_greenwich(archive):
    chip = load_era5_chip(bbox=(-0.6, 51.1, 0.4, 51.4), **archive)
    assert chip.lon.values.tolist() == [-0.75, -0.5, -0.25, 0.0, 0.25, 0.5]
    check(chip, 48)


@pytest.mark.parametrize("box", [(179.6, 51.1, -179.7, 51.4), (179.6, 51.1, 180.3, 51.4)])
def test_a_box_across_180(archive, box):
    chip = load_era5_chip(bbox=box, **archive)
    assert chip.lon.values.tolist() == [179.5, 179.75, 180.0, 180.25, 180.5]
    check(chip, 48)
    made = simulated_temperature(box, "2020-06-01")
    assert made.lon.values.tolist() == chip.lon.values.tolist()


def test_months_are_put_together(archive):
    chip = load_era5_chip(**{**archive, "date_range": "2020-05-01/2020-06-30"})
    assert chip.sizes["time"] == 144
    assert chip.indexes["time"].is_monotonic_increasing


def test_over_http_signed_and_patient(remote):
    remote.faults = [Fault(r"\.zarr", status=503), Fault(r"\.zarr/.zmetadata", status=403)]
    chip = load_era5_chip(source="planetary-computer", date_range="2020-06-01/2020-06-02")
    check(chip, 48)
    assert chip.attrs["source"] == "planetary-computer"
    assert remote.requests(r"5\.zarr") == []
    chunks = remote.requests(rf"{VARIABLE}/\d")
    assert 0 < len(chunks) < len(list(remote.files)) / 2


def test_a_broken_store_says_which_and_no_token(remote, caplog):
    caplog.set_level(logging.DEBUG)
    remote.faults = [Fault(r"\.zarr", status=500, times=999)]
    with pytest.raises(PixelReadError, match=r"6\.zarr/.*: gave up after 4 tries .* HTTP 500") as e:
        load_era5_chip(source="planetary-computer", date_range="2020-06-01")
    assert remote.issued
    assert "SECRET" not in caplog.text + "".join(traceback.format_exception(e.value))


def test_what_is_not_there(archive):
    with pytest.raises(AssetNotFoundError, match=f"has no asset rain; it has {VARIABLE}"):
        load_era5_chip(**archive, variable="rain")
    with pytest.raises(NoSceneError, match="no hour of"):
        load_era5_chip(**{**archive, "date_range": "2020-06-20"})
    with pytest.raises(NoSceneError, match="nearest dates"):
        load_era5_chip(**{**archive, "date_range": "2019"})
    with pytest.raises(ValueError, match="both ends"):
        load_era5_chip(**{**archive, "date_range": "2020-06-01/.."})


def test_made_up_weather_is_plausible_and_says_so():
    year = load_era5_chip(date_range="2020", source="simulated")
    assert year.attrs["source"] == "simulated"
    monthly = year.mean(["lat", "lon"]).groupby("time.month").mean()
    assert int(monthly.idxmax()) in (7, 8)
    assert 260 < float(year.min()) < float(year.max()) < 315
    local_noon = year.isel(time=slice(0, 24)).mean(["lat", "lon"])
    assert int(local_noon.argmax("time")) == 23  # 15 h local time at 120 W
    south = load_era5_chip(bbox=(145, -40, 146, -39), date_range="2020", source="simulated")
    assert int(south.mean(["lat", "lon"]).groupby("time.month").mean().idxmin()) in (7, 8)


def test_auto_makes_weather_up_when_there_is_no_other():
    assert load_era5_chip(date_range="2020-06-01").attrs["source"] == "simulated"
    asked = load_era5_chip(date_range="2020-06-01", source=SimulatedSource())
    assert asked.attrs["source"] == "simulated"
    with pytest.raises(AssetNotFoundError, match="the simulation has no rain"):
        load_era5_chip(date_range="2020-06-01", variable="rain")
