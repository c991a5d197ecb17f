import json
from datetime import datetime

import pystac
import pytest
from pyproj import Transformer
from shapely.geometry import box, shape

from geostack.sources.simulation.grid import Grid
from geostack.sources.simulation.items import footprint, item, sentinel2_asset, write_item
from geostack.sources.simulation.sentinel2 import box_window, pixel_window, tile_grid

TAHOE = (-120.10, 38.92, -119.93, 39.27)


def test_the_tiles_grid_is_the_true_one():
    assert tile_grid("10SGJ").bounds == (699960, 4290240, 809760, 4400040)
    assert tile_grid("10SGJ").shape == (10980, 10980)
    assert tile_grid("10SGJ", 20).shape == (5490, 5490)
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
    path = write_item(tmp_path, content)
    assert json.loads(path.read_text()) == content
    read = pystac.Item.from_file(str(path))
    assert read.properties["geostack:simulated"] is True
    assert read.datetime.isoformat() == "2024-06-14T18:39:19+00:00"
    assert read.assets["B04"].get_absolute_href() == str(tmp_path / "x_B04_10m.tif")
    assert read.assets["B04"].extra_fields["eo:bands"][0]["common_name"] == "red"
    assert read.assets["B04"].extra_fields["proj:shape"] == [100, 100]
