import numpy as np
import pytest

from geostack.sources.simulation.grid import Grid, resample
from geostack.sources.simulation.scenes import Sun
from geostack.sources.simulation.sensor import sky

GRID = Grid(32610, 740000, 4340000, 10, rows=1600, cols=1600)


@pytest.mark.parametrize("share", [0.005, 0.05, 0.3])
def test_cover_is_near_what_was_asked_for(share):
    made = sky(GRID, Sun(24, 127), cover=share, cirrus=0.0, size=4000, seed=3)
    over = resample(made.opaque, made.grid, GRID)
    assert np.mean(over > 0.18) == pytest.approx(share, rel=0.25)
    assert (made.cirrus == 0).all()


def test_a_clear_sky_is_clear():
    made = sky(GRID, Sun(24, 127), cover=0.0, cirrus=0.0, size=4000, seed=3)
    veil, _, shadow = made.on(GRID)
    assert not veil.any()
    assert not shadow.any()


@pytest.mark.parametrize("azimuth", [0, 90, 127, 200, 300])
def test_shadows_fall_away_from_the_sun(azimuth):
    made = sky(GRID, Sun(45, azimuth), cover=0.05, cirrus=0.0, size=3000, seed=5)
    # At 45 degrees a shadow falls as far as the cloud is high: 110 pixels of 20 m.
    dy, dx = 110 * np.cos(np.radians(azimuth)), -110 * np.sin(np.radians(azimuth))
    moved = np.roll(made.opaque, (round(dy), round(dx)), axis=(0, 1))
    np.testing.assert_array_equal(moved, made.shadow)


def test_opacity_and_shadow_are_fractions():
    made = sky(GRID, Sun(24, 127), cover=0.2, cirrus=0.2, size=4000, seed=8)
    for layer in (made.opaque, made.cirrus, made.shadow):
        assert layer.min() == 0
        assert layer.max() <= 1
