import numpy as np
import pytest
from whole_ground import build

from geostack.sources.simulation.grid import Grid
from geostack.sources.simulation.landscape import COVERS


def test_fractions_sum_to_one(land):
    total = land.water + sum(land.cover.values())
    assert tuple(land.cover) == COVERS
    np.testing.assert_allclose(total, 1, atol=1e-5)
    for layer in (land.water, *land.cover.values()):
        assert layer.min() >= -1e-6
        assert layer.max() <= 1 + 1e-6
        assert layer.dtype == np.float32


def test_the_south_shore_has_all_that_is_there(land):
    share = {name: float(layer.mean()) for name, layer in land.cover.items()}
    assert land.water.mean() > 0.1
    for name in ("forest", "meadow", "roof", "asphalt", "sand"):
        assert share[name] > 0.003, (name, share)
    assert share["forest"] > share["roof"]


def test_water_is_deep_only_where_there_is_water(land):
    assert (land.depth[land.water == 0] == 0).all()
    assert land.depth.min() >= 0
    assert land.depth.max() <= 480


def test_the_lake_deepens_from_its_shore():
    middle = build(Grid(32610, 755000, 4331000, 40, rows=64, cols=64))
    assert middle.water.mean() == 1
    assert middle.depth.min() > 100


def test_windows_of_one_place_agree(land, plot):
    part = plot.window(slice(60, 190), slice(60, 190))
    again = build(part)
    inner = slice(16, -16), slice(16, -16)
    np.testing.assert_allclose(again.water[inner], land.water[60:190, 60:190][inner], atol=0.02)
    for name in ("forest", "roof", "asphalt"):
        differ = np.abs(again.cover[name] - land.cover[name][60:190, 60:190])[inner]
        # Hollows and ridges are told by a mean over blocks that start at the window's edge.
        assert np.mean(differ > 0.1) < 0.05, name


@pytest.mark.parametrize("res", [10, 20, 30, 40])
def test_every_resolution_sees_the_same_shares(land, plot, res):
    rows = plot.rows * 10 // res
    coarse = build(Grid(plot.epsg, plot.west, plot.north, res, rows, rows))
    assert coarse.water.mean() == pytest.approx(land.water.mean(), abs=0.03)
    assert coarse.cover["forest"].mean() == pytest.approx(land.cover["forest"].mean(), abs=0.12)
