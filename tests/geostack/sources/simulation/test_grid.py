import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geostack.sources.simulation.grid import Grid, pool, resample

sizes = st.integers(2, 40)


def test_coordinates_are_pixel_centres():
    grid = Grid(32610, 100, 200, 10, rows=3, cols=2)
    assert grid.x.tolist() == [105, 115]
    assert grid.y.tolist() == [195, 185, 175]
    assert grid.bounds == (100, 170, 120, 200)
    assert grid.transform == (10, 0.0, 100, 0.0, -10, 200)


@given(sizes, sizes, st.sampled_from([20, 40, 60]), st.integers(0, 3), st.integers(0, 99))
@settings(max_examples=40)
def test_a_coarser_grid_covers_and_is_aligned(rows, cols, res, margin, shift):
    grid = Grid(32610, 10.0 * shift, 5000 + 10.0 * shift, 10, rows, cols)
    coarse = grid.at(res, margin)
    west, south, east, north = coarse.bounds
    assert west <= grid.bounds[0] - margin * res
    assert east >= grid.bounds[2] + margin * res
    assert south <= grid.bounds[1] - margin * res
    assert north >= grid.bounds[3] + margin * res
    assert west % res == 0
    assert north % res == 0


@given(sizes, sizes, st.integers(0, 1000))
@settings(max_examples=40)
def test_resampling_keeps_a_plane(rows, cols, seed):
    target = Grid(32610, 1000 + seed, 9000 - seed, 10, rows, cols)
    source = target.at(30, margin=2)
    a, b = np.random.default_rng(seed).uniform(-1, 1, 2)
    plane = (a * source.x[None, :] + b * source.y[:, None]).astype(np.float32)
    expected = a * target.x[None, :] + b * target.y[:, None]
    np.testing.assert_allclose(resample(plane, source, target), expected, atol=0.05)


def test_resampling_clamps_beyond_the_edge():
    source = Grid(32610, 0, 20, 10, rows=2, cols=2)
    target = Grid(32610, -100, 120, 10, rows=22, cols=22)
    out = resample(np.float32([[1, 2], [3, 4]]), source, target)
    assert out[0, 0] == 1
    assert out[-1, -1] == 4


def test_pool_is_the_mean_of_blocks():
    values = np.arange(36, dtype=np.float32).reshape(6, 6)
    expected = values.reshape(2, 3, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(pool(values, 3), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="multiple of 2, got"):
        pool(np.zeros((3, 4), np.float32))


def test_offset_in_a_grid_of_other_pixels_is_refused():
    outer = Grid(32610, 0, 100, 10, 10, 10)
    assert outer.window(slice(2, 4), slice(3, 5)).offset_in(outer) == (2, 3)
    with pytest.raises(ValueError, match="share their pixels"):
        Grid(32610, 5, 100, 10, 2, 2).offset_in(outer)
    with pytest.raises(ValueError, match="share their pixels"):
        Grid(32610, 0, 100, 20, 2, 2).offset_in(outer)
