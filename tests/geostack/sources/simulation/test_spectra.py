import numpy as np
import pytest

from geostack.sources.simulation.sensor import (
    BANDS,
    COVER,
    DEEP_WATER,
    SNOW,
    Spectrum,
    mix,
    water_reflectance,
)


def ratio(spectrum: Spectrum, a: str, b: str) -> float:
    x, y = getattr(spectrum, a), getattr(spectrum, b)
    return (x - y) / (x + y)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("forest", 0.75, 0.90),
        ("meadow", 0.65, 0.80),
        ("shrub", 0.45, 0.65),
        ("rock", 0.0, 0.15),
        ("soil", 0.15, 0.35),
        ("asphalt", 0.0, 0.2),
        ("char", 0.1, 0.35),
    ],
)
def test_ndvi_of_covers(name, low, high):
    assert low < ratio(COVER[name], "B08", "B04") < high


def test_water_and_snow():
    assert ratio(DEEP_WATER, "B08", "B04") < 0
    assert ratio(DEEP_WATER, "B03", "B08") > 0.4
    assert ratio(SNOW, "B03", "B11") > 0.7


def test_fire_lowers_nbr_and_raises_swir():
    assert ratio(COVER["forest"], "B08", "B12") > 0.6
    assert ratio(COVER["char"], "B08", "B12") < -0.3
    assert COVER["char"].B12 > 3 * COVER["forest"].B12
    between = ratio(COVER["scorched"], "B08", "B12")
    assert -0.3 < between < 0.3


@pytest.mark.parametrize("band", BANDS)
def test_shallow_water_shows_its_bed_and_deep_water_does_not(band):
    depth = np.float32([0, 1, 3, 10, 30, 300])
    seen = water_reflectance(band, depth, np.ones(6, np.float32))
    assert (np.diff(seen) <= 1e-7).all()
    assert seen[-1] == pytest.approx(getattr(DEEP_WATER, band), rel=1e-4)
    assert seen[0] > 3 * seen[-1]


def test_shallows_are_turquoise_and_the_deep_is_blue():
    bed = np.ones(1, np.float32)
    blue, green, red = (water_reflectance(b, np.float32([4]), bed) for b in ("B02", "B03", "B04"))
    assert min(blue, green) > 3 * red
    assert DEEP_WATER.B02 > 1.8 * DEEP_WATER.B03 > 3 * DEEP_WATER.B04


def test_mixing_is_linear():
    cover = {"forest": np.float32([[0.25]]), "rock": np.float32([[0.75]])}
    expected = 0.25 * COVER["forest"].B04 + 0.75 * COVER["rock"].B04
    assert mix("B04", cover)[0, 0] == pytest.approx(expected)
