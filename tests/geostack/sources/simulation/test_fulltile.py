import numpy as np

from geostack.sources.simulation import AREAS, fulltile
from geostack.sources.simulation.grid import Grid
from geostack.sources.simulation.sentinel2 import item_id, tile_grid

PIECE = Grid(32610, 755000.0, 4316000.0, 10.0, 512, 384)


def test_strips_join_without_a_seam():
    coarse = PIECE.at(40, margin=2)
    surface = np.random.default_rng(0).uniform(0.02, 0.4, coarse.shape).astype(np.float32)
    land = np.ones(coarse.shape, np.float32)
    whole = fulltile.fill(surface, land, coarse, PIECE, seed=95)
    strips = [
        fulltile.fill(surface, land, coarse, PIECE.window(slice(a, b), slice(0, 384)), seed=95)
        for a, b in ((0, 100), (100, 101), (101, 512))
    ]
    np.testing.assert_array_equal(np.vstack(strips), whole)


def test_every_pixel_is_filled():
    coarse = PIECE.at(40, margin=2)
    surface = np.zeros(coarse.shape, np.float32)
    numbers = fulltile.fill(surface, surface, coarse, PIECE, seed=95)
    assert numbers.dtype == np.uint16
    assert numbers.min() > 0


def test_it_is_no_scene_of_the_summers_archive():
    name = item_id(fulltile.shot(), "10SGJ")
    assert name.endswith("_FULL_SIM")
    assert "20240813" in name
    west, south, east, north = AREAS["full-tile"].bbox
    assert west < -120.69
    assert east > -119.39
    assert south < 38.71
    assert north > 39.72
    assert tile_grid("10SGJ").shape == (10980, 10980)
