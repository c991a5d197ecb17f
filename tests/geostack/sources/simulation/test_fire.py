import numpy as np
import pytest
from simulated_scenes import LEAST, PUBLISHED_ACRES, SQUARE_METRES_PER_ACRE, growth
from whole_ground import whole

from geostack.sources.simulation import AREAS, landscape
from geostack.sources.simulation.grid import Grid
from geostack.sources.simulation.landscape import Tahoe
from geostack.sources.simulation.sensor import mix
from geostack.sources.simulation.shapes import box_window


@pytest.fixture(scope="module")
def ground():
    """The whole box at 60 m: a thirty-sixth of the work."""
    return Tahoe(box_window(32610, AREAS["caldor"].bbox, 60.0))


@pytest.fixture(scope="module")
def region(ground):
    return whole(ground)


@pytest.fixture(scope="module")
def hard(ground, region):
    return severity(ground, region)


def severity(ground, region, acres=PUBLISHED_ACRES):
    burnt = landscape.BurntGround(ground, growth(ground, ground.grid, acres))
    return burnt.severity(region)


def nbr(cover):
    """Of the land in a pixel; 0 where there is none."""
    nir, swir = mix("B08", cover), mix("B12", cover)
    return (nir - swir) / np.maximum(nir + swir, 1e-6)


def test_the_burnt_area_is_the_published_one(region, hard):
    acres = np.count_nonzero(hard >= LEAST) * 60**2 / SQUARE_METRES_PER_ACRE
    assert acres == pytest.approx(PUBLISHED_ACRES, rel=0.02)


def test_another_area_can_be_asked_for(ground, region):
    half = severity(ground, region, acres=100_000)
    acres = np.count_nonzero(half >= LEAST) * 60**2 / SQUARE_METRES_PER_ACRE
    assert acres == pytest.approx(100_000, rel=0.02)


def test_severity_is_a_fraction_and_water_does_not_burn(region, hard):
    assert hard.min() >= 0
    assert hard.max() <= 1
    assert hard[region.water > 0.9].max() == 0


def test_there_are_unburnt_islands_inside(hard):
    from scipy.ndimage import binary_fill_holes

    burnt = hard >= LEAST
    islands = binary_fill_holes(burnt) & ~burnt
    assert 0.01 < islands.sum() / burnt.sum() < 0.25


def test_cover_still_sums_to_one(region, hard):
    after = landscape.burn(region, hard)
    total = after.water + sum(after.cover.values())
    np.testing.assert_allclose(total, 1, atol=1e-5)
    assert "char" not in region.cover


def test_nbr_falls_and_swir_rises_with_severity(region, hard):
    after = landscape.burn(region, hard)
    wooded = region.cover["forest"] > 0.6
    change = nbr(region.cover)[wooded] - nbr(after.cover)[wooded]
    classes = np.digitize(hard[wooded], [0.05, 0.25, 0.5, 0.75])
    means = [change[classes == k].mean() for k in range(5)]
    assert means == sorted(means)
    assert abs(means[0]) < 0.05
    assert means[-1] > 0.66
    scorched = wooded & (hard > 0.5)
    assert (mix("B12", after.cover)[scorched] > mix("B12", region.cover)[scorched]).all()
    assert (mix("B08", after.cover)[scorched] < mix("B08", region.cover)[scorched]).all()


def test_all_severity_classes_of_the_usgs_occur(region, hard):
    change = nbr(region.cover) - nbr(landscape.burn(region, hard).cover)
    # Key and Benson (2006): unburnt, low, moderate-low, moderate-high, high.
    shares = np.histogram(change, [-2, 0.1, 0.27, 0.44, 0.66, 2])[0] / change.size
    assert shares.min() > 0.05, shares


def test_finer_pixels_burn_the_same_ground(region, hard):
    fine = Tahoe(Grid(32610, 757000, 4295000, 30, rows=200, cols=200))
    again = severity(fine, whole(fine), acres=fine.grid.rows * fine.grid.cols * 900 / 8093.7)
    assert np.mean(again >= LEAST) == pytest.approx(0.5, abs=0.02)
