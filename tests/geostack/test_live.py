"""One smoke test per loader against the real services: `pytest -m live`, nightly in CI."""

import numpy as np
import pytest

import geostack
from geostack.loaders.gbif import GBIF_URL
from geostack.sources.planetary_computer import STAC_URL, probe
from pipekit.retry import RetryPolicy

pytestmark = pytest.mark.live

LIVE = "planetary-computer"
BOX = (-120.03, 39.09, -120.02, 39.10)


@pytest.fixture(autouse=True)
def live(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = probe(STAC_URL, 10)
    if answer is not None:
        pytest.skip(f"{STAC_URL} {answer}")
    monkeypatch.setenv("GEOSTACK_STAC_URL", STAC_URL)
    monkeypatch.setattr("pipekit.retry.DEFAULT", RetryPolicy())


def test_search():
    items = geostack.load_stac_items(
        "sentinel-2-l2a", geostack.LAKE_TAHOE_BBOX, "2024-06", tile="10SGJ", source=LIVE
    )
    assert items
    assert all(item.properties["s2:mgrs_tile"] == "10SGJ" for item in items)


def test_signed_catalog():
    assert geostack.mpc_catalog().get_collection("sentinel-2-l2a").id == "sentinel-2-l2a"


def test_sentinel2_chip():
    chip = geostack.load_s2_chip(bbox=BOX, bands=("B04", "B08", "B11", "SCL"), source=LIVE)
    assert chip.crs.to_epsg() == 32610
    assert (chip.values > 0).mean() > 0.9


def test_sentinel2_tile():
    reader = geostack.load_s2_full_tile(bands=("B04",), source=LIVE)
    assert tuple(reader.bounds) == (699960, 4290240, 809760, 4400040)


def test_sentinel2_stack():
    stack, dates, _ = geostack.load_s2_timestack(bbox=BOX, max_items=2, source=LIVE)
    assert stack.shape[0] == len(dates) == 2


def test_landsat():
    chip = geostack.load_landsat_chip(bbox=BOX, bands=("red", "nir08"), scale=True, source=LIVE)
    assert np.nanmax(chip.values) < 1.6


def test_naip():
    assert geostack.load_naip_chip(resolution=4, source=LIVE).values.max() > 0


def test_dem():
    dem = geostack.load_dem_chip(bbox=BOX, source=LIVE)
    assert 1850 < float(dem.mean()) < 2500


def test_era5():
    day = geostack.load_era5_chip(bbox=BOX, date_range="2020-06-01", source=LIVE)
    assert 260 < float(day.mean()) < 310


def test_gbif():
    answer = probe(GBIF_URL, 10)
    if answer is not None:
        pytest.skip(f"{GBIF_URL} {answer}")
    assert len(geostack.load_gbif_points(limit=10, source=LIVE)) <= 10


def test_natural_earth(tmp_path, monkeypatch):
    monkeypatch.setenv("GEOSTACK_CACHE", str(tmp_path))
    assert len(geostack.load_natural_earth_admin1(source=LIVE)) > 200


def test_overture():
    url = geostack.load_overture_buildings_url()
    try:
        found = geostack.query_overture(url, bbox=BOX, columns=("id",), limit=5)
    except geostack.SourceUnavailableError as error:
        pytest.skip(str(error))
    assert len(found) <= 5
