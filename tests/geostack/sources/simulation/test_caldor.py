import pytest
import rasterio

from geostack.sources.simulation import AREAS, caldor
from geostack.sources.simulation.sentinel2 import box_window, item_id, tile_grid


def test_the_box_crosses_the_tiles_and_both_hold_their_part():
    windows = caldor.windows()
    inside = box_window(32610, AREAS["caldor"].bbox)
    assert set(windows) == {"10SGH", "10SGJ"} == set(AREAS["caldor"].tiles)
    assert windows["10SGH"].north == tile_grid("10SGH").north < inside.north
    assert windows["10SGJ"].bounds[1] == tile_grid("10SGJ").bounds[1] > inside.bounds[1]
    whole = caldor.whole()
    for window in windows.values():
        window.offset_in(whole)
    assert whole.rows % 2 == whole.cols % 2 == 0
    assert whole.bounds[0] <= inside.bounds[0]
    assert whole.bounds[1] <= inside.bounds[1]
    assert whole.bounds[2] >= inside.bounds[2]
    assert whole.bounds[3] >= inside.bounds[3]


def test_scenes_are_before_and_after_and_older_than_the_offset():
    before, after = caldor.shots()
    assert f"{before.acquisition.when:%Y-%m-%d}" == "2021-08-09"
    assert f"{after.acquisition.when:%Y-%m-%d}" == "2021-11-12"
    for shot in (before, after):
        assert shot.baseline == "03.01"
        assert shot.acquisition.offset == 0
        assert item_id(shot, "10SGH").endswith("_SIM")
    assert after.acquisition.sun.zenith > before.acquisition.sun.zenith + 20


@pytest.mark.parametrize("tile", ["10SGH", "10SGJ"])
def test_windows_of_20_m_bands_share_the_20_m_grid(tile):
    window = caldor.windows()[tile]
    row, col = window.offset_in(tile_grid(tile))
    assert row % 2 == col % 2 == window.rows % 2 == window.cols % 2 == 0
    assert rasterio.Affine(*tile_grid(tile, 20).transform).c == 699960
