import numpy as np

from geostack.sources.simulation import draw
from geostack.sources.simulation.grid import Grid

PIECE = Grid(32610, 755000.0, 4316000.0, 10.0, 512, 384)


def test_strips_join_without_a_seam():
    coarse = PIECE.at(40, margin=2)
    surface = np.random.default_rng(0).uniform(0.02, 0.4, coarse.shape).astype(np.float32)
    land = np.ones(coarse.shape, np.float32)
    whole = draw.fill(surface, land, coarse, PIECE, seed=95)
    strips = [
        draw.fill(surface, land, coarse, PIECE.window(slice(a, b), slice(0, 384)), seed=95)
        for a, b in ((0, 100), (100, 101), (101, 512))
    ]
    np.testing.assert_array_equal(np.vstack(strips), whole)


def test_every_pixel_is_filled():
    coarse = PIECE.at(40, margin=2)
    surface = np.zeros(coarse.shape, np.float32)
    numbers = draw.fill(surface, surface, coarse, PIECE, seed=95)
    assert numbers.dtype == np.uint16
    assert numbers.min() > 0
