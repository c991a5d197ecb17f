from dataclasses import replace

import numpy as np
import pytest

from geostack.sources.simulation import lisbon
from geostack.sources.simulation.scene import Stage
from geostack.sources.simulation.sentinel2 import box_window, item_id, tile_grid
from geostack.sources.simulation.shapes import project
from geostack.sources.simulation.spectra import mix


@pytest.fixture(scope="module")
def city():
    around = box_window(32629, lisbon.LISBON_BBOX, 40.0)
    return lisbon.landscape(replace(around, rows=around.rows + 1, cols=around.cols + 1))


def at(land, layer, lon, lat):
    x, y = project([(lon, lat)], 32629)[0]
    grid = land.grid
    row, col = int((grid.north - y) / grid.res), int((x - grid.west) / grid.res)
    return float(layer[row - 3 : row + 4, col - 3 : col + 4].mean())


def test_the_river_the_city_and_the_wood_are_where_they_are(city):
    assert at(city, city.water, -9.16, 38.693) > 0.9
    assert at(city, city.water, -9.14, 38.74) == 0
    assert at(city, city.cover["forest"], -9.190, 38.728) > 0.6
    assert at(city, city.cover["roof"], -9.14, 38.73) > 0.2
    assert at(city, city.cover["roof"], -9.190, 38.728) < 0.05


def test_fractions_sum_to_one(city):
    total = city.water + sum(city.cover.values())
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_the_bay_is_more_turbid_than_the_ocean(city):
    assert at(city, city.turbid, -9.07, 38.75) > at(city, city.turbid, -9.29, 38.66) + 0.2
    stage = Stage(city, lisbon.shots()[0].acquisition.sun, ("B03", "B04"), 8000)
    assert at(city, stage.base["B04"], -9.07, 38.75) > at(city, stage.base["B04"], -9.29, 38.665)


def test_the_city_is_less_green_than_its_surroundings(city):
    red, nir = mix("B04", city.cover), mix("B08", city.cover)
    ndvi = (nir - red) / np.maximum(nir + red, 1e-6)
    assert at(city, ndvi, -9.14, 38.73) < 0.3 < at(city, ndvi, -9.27, 38.80)


def test_pixels_and_names():
    window = lisbon.window()
    assert tile_grid("29SMC").bounds == (399960, 4190220, 509760, 4300020)
    # The box ends 160 m north of the tile.
    assert window.north == 4300020
    assert window.rows % 2 == window.cols % 2 == 0
    names = [item_id(shot, "29SMC") for shot in lisbon.shots()]
    assert len(set(names)) == 3
    assert names[0].startswith("S2A_MSIL2A_20240618T112121_R037_T29SMC_")
    assert all(name.endswith("_SIM") for name in names)
