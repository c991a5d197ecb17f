"""The simulated scenes as the package ships them are what the tool makes, and what pixels say."""

import json
from datetime import datetime, timedelta

import numpy as np
import pystac
import pytest
import rasterio
from pyproj import Transformer
from shapely.geometry import box, shape
from simulated_areas import ensure_area
from simulated_scenes import (
    FILE,
    LANDSAT_SCENE,
    MAKERS,
    caldor_grid,
    caldor_shots,
    caldor_windows,
    earth_sun_factor,
    footprint,
    full_tile_shot,
    item,
    item_id,
    landsat_window,
    lisbon_shots,
    pixel_window,
    sentinel2,
    sentinel2_asset,
    sun_position,
    tahoe_shots,
    text,
    tile_grid,
    written,
)

from geostack.sources.simulation import AREAS, simulated_scenes
from geostack.sources.simulation.grid import Grid
from geostack.sources.simulation.scenes import Sun
from geostack.sources.simulation.shapes import box_window

TAHOE = (-120.10, 38.92, -119.93, 39.27)


def shipped():
    return json.loads(FILE.read_text("utf-8"))


def test_the_file_is_as_the_tool_writes_it():
    assert text(shipped()) == FILE.read_text("utf-8")
    assert set(shipped()) == set(MAKERS) == set(AREAS)


@pytest.mark.parametrize("area", ["lake-tahoe-dem", "lake-tahoe-naip", "full-tile"])
def test_areas_without_counted_pixels_are_made_again_as_shipped(area):
    assert json.loads(json.dumps(written(list(MAKERS[area]())))) == shipped()[area]


def classified(root, scene):
    with rasterio.open(root / scene.folder.name / scene.item["assets"]["SCL"]["href"]) as file:
        row, col = (n // 2 for n in scene.window.offset_in(tile_grid(tile_of(scene))))
        rows, cols = scene.window.rows // 2, scene.window.cols // 2
        return file.read(1, window=rasterio.windows.Window(col, row, cols, rows))


def tile_of(scene):
    return scene.item["properties"]["s2:mgrs_tile"]


def hold_to_pixels(area, shots, root):
    scenes = [scene for scene in simulated_scenes().values() if scene.area == area]
    by_id = {item_id(shot, tile): shot for shot in shots for tile in AREAS[area].tiles}
    assert {scene.id for scene in scenes} == set(by_id)
    for scene in scenes:
        scl = classified(root / "sentinel-2-l2a", scene)
        made = sentinel2(by_id[scene.id], tile_of(scene), scl)
        assert json.loads(json.dumps(made)) == scene.item
        cloudy = float(np.isin(scl, (8, 9, 10)).mean() * 100)
        assert scene.item["properties"]["eo:cloud_cover"] == pytest.approx(cloudy, abs=1e-5)


def test_shipped_numbers_are_those_of_the_pixels(simulated_tahoe):
    hold_to_pixels("lake-tahoe", tahoe_shots(), simulated_tahoe)


@pytest.mark.slow
@pytest.mark.parametrize(("area", "shots"), [("caldor", caldor_shots), ("lisbon", lisbon_shots)])
def test_shipped_numbers_of_other_areas_are_those_of_the_pixels(area, shots, simulated_tahoe):
    hold_to_pixels(area, shots(), ensure_area(area, simulated_tahoe.parent))


@pytest.mark.slow
@pytest.mark.parametrize("area", ["lake-tahoe-landsat", "caldor-landsat"])
def test_landsat_items_and_the_fires_growth_are_made_again_as_shipped(area):
    assert json.loads(json.dumps(written(list(MAKERS[area]())))) == shipped()[area]


def test_the_tiles_grid_is_the_true_one():
    assert tile_grid("10SGJ").bounds == (699960, 4290240, 809760, 4400040)
    assert tile_grid("10SGJ").shape == (10980, 10980)
    assert tile_grid("10SGJ", 20).shape == (5490, 5490)
    assert tile_grid("29SMC").bounds == (399960, 4190220, 509760, 4300020)
    # Neighbouring tiles overlap by 9780 m.
    assert tile_grid("10SGH").bounds[3] - tile_grid("10SGJ").bounds[1] == 9780


def test_the_box_covers_the_pixels_that_users_load():
    window = box_window(32610, TAHOE)
    assert window.bounds == (750180, 4311890, 766170, 4351240)
    assert window.shape == (3935, 1599)


@pytest.mark.parametrize("block", [64, 128, 256])
def test_pixel_windows_hold_the_box_on_whole_blocks(block):
    inside, outer = box_window(32610, TAHOE), tile_grid("10SGJ")
    window = pixel_window("10SGJ", TAHOE, block)
    assert box(*window.bounds).covers(box(*inside.bounds))
    row, col = window.offset_in(outer)
    assert row % block == col % block == 0


def test_footprints_follow_the_grid():
    grid = tile_grid("10SGJ")
    outline, bounds = footprint(grid)
    to_metres = Transformer.from_crs(4326, 32610, always_xy=True)
    for lon, lat in outline["coordinates"][0]:
        x, y = to_metres.transform(lon, lat)
        west, south, east, north = grid.bounds
        assert min(abs(x - west), abs(x - east), abs(y - south), abs(y - north)) < 1
    assert shape(outline).is_valid
    assert tuple(bounds) == shape(outline).bounds


def test_an_item_is_stac_and_says_that_it_is_simulated(tmp_path):
    grid = Grid(32610, 699960.0, 4400040.0, 10.0, 100, 100)
    content = item(
        "X_SIM",
        "sentinel-2-l2a",
        datetime(2024, 6, 14, 18, 39, 19),
        grid,
        {"eo:cloud_cover": 1.5},
        {"B04": sentinel2_asset("x_B04_10m.tif", "B04", grid)},
    )
    path = tmp_path / "X_SIM.json"
    path.write_text(json.dumps(content))
    read = pystac.Item.from_file(str(path))
    assert read.properties["geostack:simulated"] is True
    assert read.datetime.isoformat() == "2024-06-14T18:39:19+00:00"
    assert read.assets["B04"].get_absolute_href() == str(tmp_path / "x_B04_10m.tif")
    assert read.assets["B04"].extra_fields["eo:bands"][0]["common_name"] == "red"
    assert read.assets["B04"].extra_fields["proj:shape"] == [100, 100]


def test_the_box_crosses_the_tiles_and_both_hold_their_part():
    windows = caldor_windows()
    inside = box_window(32610, AREAS["caldor"].bbox)
    assert set(windows) == {"10SGH", "10SGJ"} == set(AREAS["caldor"].tiles)
    assert windows["10SGH"].north == tile_grid("10SGH").north < inside.north
    assert windows["10SGJ"].bounds[1] == tile_grid("10SGJ").bounds[1] > inside.bounds[1]
    whole = caldor_grid()
    for window in windows.values():
        window.offset_in(whole)
    assert whole.rows % 2 == whole.cols % 2 == 0
    assert whole.bounds[0] <= inside.bounds[0]
    assert whole.bounds[1] <= inside.bounds[1]
    assert whole.bounds[2] >= inside.bounds[2]
    assert whole.bounds[3] >= inside.bounds[3]


def test_scenes_are_before_and_after_and_older_than_the_offset():
    before, after = caldor_shots()
    assert f"{before.when:%Y-%m-%d}" == "2021-08-09"
    assert f"{after.when:%Y-%m-%d}" == "2021-11-12"
    for shot in (before, after):
        assert shot.baseline == "03.01"
        assert shot.acquisition.offset == 0
        assert item_id(shot, "10SGH").endswith("_SIM")
    assert after.acquisition.sun.zenith > before.acquisition.sun.zenith + 20


@pytest.mark.parametrize("tile", ["10SGH", "10SGJ"])
def test_windows_of_20_m_bands_share_the_20_m_grid(tile):
    window = caldor_windows()[tile]
    row, col = window.offset_in(tile_grid(tile))
    assert row % 2 == col % 2 == window.rows % 2 == window.cols % 2 == 0
    assert rasterio.Affine(*tile_grid(tile, 20).transform).c == 699960


def test_lisbons_pixels_and_names():
    window = pixel_window("29SMC", AREAS["lisbon"].bbox, block=128)
    # The box ends 160 m north of the tile.
    assert window.north == 4300020
    assert window.rows % 2 == window.cols % 2 == 0
    names = [item_id(shot, "29SMC") for shot in lisbon_shots()]
    assert len(set(names)) == 3
    assert names[0].startswith("S2A_MSIL2A_20240618T112121_R037_T29SMC_")
    assert all(name.endswith("_SIM") for name in names)


def test_the_full_tile_is_no_scene_of_the_summers_archive():
    name = item_id(full_tile_shot(), "10SGJ")
    assert name.endswith("_FULL_SIM")
    assert "20240813" in name
    west, south, east, north = AREAS["full-tile"].bbox
    assert west < -120.69
    assert east > -119.39
    assert south < 38.71
    assert north > 39.72
    assert tile_grid("10SGJ").shape == (10980, 10980)


def test_landsats_pixels_have_landsats_corners():
    window = landsat_window(TAHOE)
    assert window.west % 30 == 15
    assert window.north % 30 == 15
    row, col = window.offset_in(LANDSAT_SCENE)
    assert 0 < row < LANDSAT_SCENE.rows - window.rows
    assert 0 < col < LANDSAT_SCENE.cols - window.cols
    assert window.rows % 2 == window.cols % 2 == 0


def highest(day: datetime, latitude: float) -> Sun:
    moments = [day + timedelta(minutes=m) for m in range(0, 24 * 60, 2)]
    return min((sun_position(m, -120.0, latitude) for m in moments), key=lambda s: s.zenith)


@pytest.mark.parametrize(
    ("day", "declination"),
    [
        (datetime(2024, 6, 20), 23.44),
        (datetime(2024, 12, 21), -23.44),
        (datetime(2024, 3, 20), 0.0),
    ],
)
def test_at_noon_the_sun_is_as_far_from_the_zenith_as_latitude_less_declination(day, declination):
    noon = highest(day, 39.0)
    assert noon.zenith == pytest.approx(39.0 - declination, abs=0.6)
    assert noon.azimuth == pytest.approx(180, abs=3)


def test_morning_sun_stands_in_the_east_and_evening_sun_in_the_west():
    assert sun_position(datetime(2024, 6, 14, 16), -120, 39).azimuth < 120
    assert sun_position(datetime(2024, 6, 15, 0), -120, 39).azimuth > 240


def test_the_earth_is_farthest_from_the_sun_in_july():
    days = [datetime(2024, 1, 1) + timedelta(days=d) for d in range(366)]
    farthest = min(days, key=earth_sun_factor)
    assert farthest.month == 7
    assert earth_sun_factor(datetime(2024, 1, 4)) == pytest.approx(1.034, abs=0.002)
