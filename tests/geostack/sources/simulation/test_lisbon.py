from dataclasses import replace

import numpy as np
import pytest
from whole_ground import whole

from geostack.sources.simulation import AREAS
from geostack.sources.simulation.landscape import Lisbon
from geostack.sources.simulation.scenes import Sun
from geostack.sources.simulation.sensor import Stage, mix
from geostack.sources.simulation.shapes import box_window, project


@pytest.fixture(scope="module")
def ground():
    around = box_window(32629, AREAS["lisbon"].bbox, 40.0)
    return Lisbon(replace(around, rows=around.rows + 1, cols=around.cols + 1))


@pytest.fixture(scope="module")
def city(ground):
    return whole(ground)


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


def test_the_bay_is_more_turbid_than_the_ocean(ground, city):
    assert at(city, city.turbid, -9.07, 38.75) > at(city, city.turbid, -9.29, 38.66) + 0.2
    stage = Stage(ground, Sun(21.0, 128.0), ("B03", "B04"), 8000)
    assert at(city, stage.base["B04"], -9.07, 38.75) > at(city, stage.base["B04"], -9.29, 38.665)


def test_the_city_is_less_green_than_its_surroundings(city):
    red, nir = mix("B04", city.cover), mix("B08", city.cover)
    ndvi = (nir - red) / np.maximum(nir + red, 1e-6)
    assert at(city, ndvi, -9.14, 38.73) < 0.3 < at(city, ndvi, -9.27, 38.80)
