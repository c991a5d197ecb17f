import numpy as np
import pytest

from geostack.sources.simulation.grid import Grid
from geostack.sources.simulation.noise import (
    fractal,
    hash2d,
    lattice_noise,
    ridged,
    uniform,
    white,
)

WIDE = Grid(32610, 749880, 4351400, 10, rows=200, cols=160)


def murmur(x: int, y: int, seed: int) -> int:
    """The hash of one pair in plain integers."""
    mask = 0xFFFFFFFF
    h = (x * 0x9E3779B1 & mask) ^ ((y * 0x85EBCA77 + seed * 0xC2B2AE3D) & mask)
    h ^= h >> 16
    h = h * 0x85EBCA6B & mask
    h ^= h >> 13
    h = h * 0xC2B2AE35 & mask
    return h ^ (h >> 16)


@pytest.mark.parametrize("seed", [0, 1, 2**31, 123456789])
def test_the_hash_is_that_of_plain_integers(seed):
    xs, ys = np.arange(-3, 4), np.arange(-2, 3)
    out = hash2d(xs[None, :], ys[:, None], seed)
    assert out.tolist() == [[murmur(int(x), int(y), seed) for x in xs] for y in ys]


@pytest.mark.parametrize(
    "noise",
    [
        lambda g: white(g, 5),
        lambda g: lattice_noise(g, 73, 5),
        lambda g: fractal(g, 900, 5, octaves=5),
        lambda g: ridged(g, 900, 5),
    ],
)
def test_a_place_has_the_same_noise_in_every_window(noise):
    part = WIDE.window(slice(31, 90), slice(17, 120))
    np.testing.assert_array_equal(noise(WIDE)[31:90, 17:120], noise(part))


@pytest.mark.parametrize("res", [10.0, 30.0])
@pytest.mark.parametrize(("west", "north"), [(0.5, 0.5), (0.5, 0), (0, 0.5), (-0.5, 1.5)])
def test_noise_on_half_pixels_does_not_depend_on_the_window(res, west, north):
    """As on Landsat's grid, whose corners lie on odd multiples of 15 m."""
    outer = Grid(32610, (24990 + west) * res, (145040 + north) * res, res, rows=40, cols=30)
    whole = white(outer, 5)
    for row in range(4):
        for col in range(4):
            part = outer.window(slice(row, row + 20), slice(col, col + 20))
            np.testing.assert_array_equal(white(part, 5), whole[row : row + 20, col : col + 20])


def test_white_noise_is_white_and_normal():
    values = white(WIDE, 3)
    assert abs(values.mean()) < 0.02
    assert abs(values.std() - 1) < 0.02
    assert np.abs(values).max() < 3.5
    beside = np.corrcoef(values[:, :-1].ravel(), values[:, 1:].ravel())[0, 1]
    below = np.corrcoef(values[:-1].ravel(), values[1:].ravel())[0, 1]
    assert abs(beside) < 0.02
    assert abs(below) < 0.02


def test_seeds_make_independent_noise():
    a, b = white(WIDE, 1), white(WIDE, 2)
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.02


def test_uniform_fills_the_unit_interval():
    values = uniform(np.arange(300)[None, :], np.arange(300)[:, None], 9)
    counts, _ = np.histogram(values, bins=10, range=(0, 1))
    assert values.min() >= 0
    assert values.max() < 1
    assert np.abs(counts / values.size - 0.1).max() < 0.005


def test_lattice_noise_is_smooth_at_its_own_scale():
    noise = lattice_noise(WIDE, 300, 4)
    assert np.abs(np.diff(noise, axis=0)).max() < 0.2
    assert noise.std() > 0.1


def test_ridges_lie_between_0_and_about_1():
    values = ridged(Grid(32610, 0, 0, 50, 300, 300), 3000, 8)
    assert values.min() >= 0
    assert 0.5 < values.max() < 1.5
