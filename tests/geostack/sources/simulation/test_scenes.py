from itertools import pairwise

import numpy as np
import pytest
import rasterio
from rio_cogeo import cog_validate

from geostack.sources.simulation import AREAS

TILE_BOUNDS = (699960, 4290240, 809760, 4400040)
BOX = (750180, 4311890, 766170, 4351240)
CLEAREST = "2024-06-14"


def test_there_are_22_acquisitions_in_june_and_july(tahoe):
    dates = sorted(item["properties"]["datetime"][:10] for item in tahoe.items.values())
    assert len(dates) == len(set(dates)) == 22
    assert dates[0] >= "2024-06-01"
    assert dates[-1] <= "2024-07-31"


def test_all_are_clear_enough_and_one_is_the_clearest(tahoe):
    cover = {
        i["properties"]["datetime"][:10]: i["properties"]["eo:cloud_cover"]
        for i in tahoe.items.values()
    }
    assert max(cover.values()) < 15
    assert min(cover, key=cover.__getitem__) == CLEAREST
    # No other could be taken for it by rounding.
    assert sorted(cover.values())[1] > cover[CLEAREST] + 0.3
    assert cover[CLEAREST] < 1


def test_items_carry_what_the_planetary_computers_do(tahoe):
    for name, item in tahoe.items.items():
        properties = item["properties"]
        assert name == item["id"]
        assert name.endswith("_SIM")
        assert properties["geostack:simulated"] is True
        assert properties["s2:mgrs_tile"] == "10SGJ"
        assert properties["s2:processing_baseline"] == "05.10"
        assert properties["proj:code"] == "EPSG:32610"
        assert properties["proj:epsg"] == 32610
        assert properties["platform"] in ("Sentinel-2A", "Sentinel-2B")
        assert item["collection"] == "sentinel-2-l2a"
        expected = {"B04", "B08", "SCL"}
        if properties["datetime"].startswith(CLEAREST):
            expected |= {"B02", "B03", "B11", "B12"}
        assert set(item["assets"]) == expected


def test_orbits_repeat_every_five_days_with_satellites_in_turn(tahoe):
    seen = {}
    for item in tahoe.items.values():
        p = item["properties"]
        seen.setdefault(p["sat:relative_orbit"], []).append((p["datetime"][:10], p["platform"]))
    assert set(seen) == {70, 113}
    for passes in seen.values():
        for (first, one), (second, two) in pairwise(sorted(passes)):
            days = int((np.datetime64(second) - np.datetime64(first)) / np.timedelta64(1, "D"))
            assert days % 5 == 0
            assert (one == two) == (days % 10 == 0)


def test_the_file_names_are_sentinel_2s(tahoe):
    assets = tahoe.on(CLEAREST)["assets"]
    assert assets["B04"]["href"] == "./T10SGJ_20240614T183919_B04_10m.tif"
    assert assets["SCL"]["href"] == "./T10SGJ_20240614T183919_SCL_20m.tif"


def test_every_file_lies_on_the_tiles_true_grid(tahoe):
    for item in tahoe.items.values():
        for asset in item["assets"]:
            with rasterio.open(tahoe.path(item, asset)) as file:
                pixels = 5490 if asset in ("B11", "B12", "SCL") else 10980
                assert file.shape == (pixels, pixels)
                assert file.bounds == TILE_BOUNDS
                assert file.crs.to_epsg() == 32610
                assert file.nodata == 0
                assert list(file.transform)[:6] == item["assets"][asset]["proj:transform"]
                assert list(file.shape) == item["assets"][asset]["proj:shape"]


def test_files_are_valid_cogs(tahoe):
    item = tahoe.on(CLEAREST)
    for asset in item["assets"]:
        assert cog_validate(tahoe.path(item, asset), strict=True) == (True, [], []), asset


def test_the_whole_box_has_pixels_in_every_band(tahoe):
    item = tahoe.on(CLEAREST)
    for asset in item["assets"]:
        pixels = tahoe.read(item, asset, BOX)
        assert pixels.min() > 0, asset
    assert tahoe.read(item, "B04", BOX).shape == (3935, 1599)


def test_the_archive_is_small(tahoe):
    size = sum(path.stat().st_size for path in tahoe.root.rglob("*") if path.is_file())
    assert 100e6 < size < 450e6


def test_cloud_cover_is_that_of_the_classification(tahoe):
    for day in (CLEAREST, "2024-06-22"):
        item = tahoe.on(day)
        scl = tahoe.read(item, "SCL")
        cloudy = np.isin(scl, (8, 9, 10)).sum() / np.count_nonzero(scl) * 100
        assert item["properties"]["eo:cloud_cover"] == pytest.approx(cloudy, abs=1e-4)


def test_pixels_make_sense(tahoe):
    item = tahoe.on(CLEAREST)
    red, nir = (tahoe.read(item, b, BOX).astype(np.float32) - 1000 for b in ("B04", "B08"))
    rows, cols = (n // 2 * 2 for n in red.shape)
    ndvi = ((nir - red) / np.maximum(nir + red, 1))[:rows:2, :cols:2]
    scl = tahoe.read(item, "SCL", BOX)[: rows // 2, : cols // 2]
    assert 0.5 < np.mean(scl == 6) < 0.75
    assert 0.6 < np.median(ndvi[scl == 4]) < 0.85
    assert np.median(ndvi[scl == 6]) < 0
    assert np.median(ndvi[scl == 5]) < 0.42
    assert np.mean(scl == 11) > 0.001


def test_snow_melts_from_june_to_july(tahoe):
    snow = {
        i["properties"]["datetime"][:10]: i["properties"]["s2:snow_ice_percentage"]
        for i in tahoe.items.values()
    }
    assert snow["2024-06-12"] > snow["2024-07-07"] > snow["2024-07-29"]


def test_the_area_says_what_it_holds(tahoe):
    area = AREAS["lake-tahoe"]
    assert area.tiles[0] == "10SGJ"
    assert area.bbox == (-120.10, 38.92, -119.93, 39.27)
    assert area.collections == ("sentinel-2-l2a",)
