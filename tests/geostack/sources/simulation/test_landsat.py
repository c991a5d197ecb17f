import numpy as np
import pytest

from geostack.sources.simulation import draw
from geostack.sources.simulation.grid import Grid, pool
from geostack.sources.simulation.landscape import Tahoe
from geostack.sources.simulation.scenes import Acquisition, Sun
from geostack.sources.simulation.sensor import Stage, seen, sky

BANDS = tuple(draw.LANDSAT_BANDS.values())
TAKEN = Acquisition(Sun(24, 125), 0.2, 2520.0, 0, 0.0, 9)


@pytest.fixture(scope="module")
def thirty():
    return Grid(32610, 758595.0, 4314795.0, 30.0, 80, 80)


@pytest.fixture(scope="module")
def stage30(thirty):
    fine = Grid(32610, thirty.west, thirty.north, 10.0, 240, 240)
    return Stage(Tahoe(fine), TAKEN.sun, BANDS, 2300)


def test_numbers_scale_back_to_the_reflectance_that_sentinel_2_sees(stage30, thirty):
    clear = sky(stage30.grid, TAKEN.sun, cover=0.0, cirrus=0.0, size=3000, seed=1)
    assert set(draw.LANDSAT_BANDS) == {"blue", "green", "red", "nir08", "swir16", "swir22"}
    for key, band in draw.LANDSAT_BANDS.items():
        numbers = draw.landsat_numbers(stage30, TAKEN, clear, thirty, key)
        assert numbers.dtype == np.uint16
        assert numbers.min() > 0
        surface = pool(seen(stage30, TAKEN, clear, band), 3)
        np.testing.assert_allclose(numbers * 2.75e-5 - 0.2, surface, atol=0.003)


def test_quality_bits_are_the_product_guides(stage30, thirty):
    clear = sky(stage30.grid, TAKEN.sun, cover=0.0, cirrus=0.0, size=3000, seed=1)
    cloudy = sky(stage30.grid, TAKEN.sun, cover=0.2, cirrus=0.0, size=1500, seed=1)
    quality = draw.quality_bits(stage30, TAKEN, clear, thirty)
    assert set(np.unique(quality)) == {21824, 21952}
    np.testing.assert_array_equal(quality == 21952, pool(stage30.water, 3) > 0.5)
    quality = draw.quality_bits(stage30, TAKEN, cloudy, thirty)
    assert {22280, 23824} & set(np.unique(quality))
    assert not np.any((quality & 8 > 0) & (quality & 64 > 0)), "a cloud is not clear"
