import numpy as np

from geostack.sources.simulation.scenes import Sun
from geostack.sources.simulation.sensor import illumination, shadow_offset


def test_shadows_point_away_from_the_sun():
    east, north = shadow_offset(Sun(zenith=45, azimuth=135), 1000)
    assert (round(east), round(north)) == (-707, 707)


def test_slopes_toward_the_sun_are_brighter():
    x = np.arange(20, dtype=np.float32)
    rising_east = np.tile(x * 3, (20, 1))
    rising_north = np.tile(-x[:, None] * 3, (1, 20))
    south_sun = Sun(zenith=40, azimuth=180)
    east_sun = Sun(zenith=40, azimuth=90)
    assert illumination(rising_north, 10, south_sun).mean() > 1.05
    assert illumination(-rising_north, 10, south_sun).mean() < 0.95
    assert illumination(rising_east, 10, east_sun).mean() < 0.95
    assert illumination(-rising_east, 10, east_sun).mean() > 1.05
    np.testing.assert_allclose(illumination(np.zeros((5, 5), np.float32), 10, east_sun), 1)
