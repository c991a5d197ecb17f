import numpy as np

from geostack.sources.simulation import draw
from geostack.sources.simulation.grid import Grid
from geostack.sources.simulation.landscape import Tahoe
from geostack.sources.simulation.scenes import simulated_scenes
from geostack.sources.simulation.sensor import Stage


def photograph(grid):
    (scene,) = (s for s in simulated_scenes().values() if s.area == "lake-tahoe-naip")
    stage = Stage(Tahoe(grid), scene.light.sun, scene.bands, scene.light.lowest_snow)
    return draw.photograph(stage, scene.acquisition)


def test_a_photograph_has_four_bands_and_no_black():
    grid = Grid(32610, 759000.0, 4313700.0, 0.6, 400, 400)
    photo = photograph(grid)
    assert photo.shape == (4, 400, 400)
    assert photo.dtype == np.uint8
    assert photo.min() > 0
    assert photo.std() > 5


def test_it_shows_water_where_the_scene_has_water():
    # The lake north of the Keys, and the forest south-west of them.
    lake = photograph(Grid(32610, 758700.0, 4315400.0, 0.6, 60, 60)).astype(int)
    woods = photograph(Grid(32610, 758600.0, 4313150.0, 0.6, 60, 60)).astype(int)
    assert lake[3].mean() < lake[2].mean(), "water is darker in the infrared than in blue"
    assert woods[3].mean() > 1.5 * woods[0].mean(), "trees are brighter there than in red"
