from datetime import datetime, timedelta

import numpy as np
import pytest

from geostack.sources.simulation.sun import (
    Sun,
    earth_sun_factor,
    illumination,
    shadow_offset,
    sun_position,
)


def highest(day: datetime, latitude: float) -> Sun:
    moments = [day + timedelta(minutes=m) for m in range(0, 24 * 60, 2)]
    return min((sun_position(m, -120.0, latitude) for m in moments), key=lambda s: s.zenith)


@pytest.mark.parametrize(
    ("day", "declination"),
    [
        (datetime(2024, 6, 20), 23.44),
        (datetime(2024, 12, 21), -23.44),
        (datetime(2024, 3, 20), 0.0),
    ],
)
def test_at_noon_the_sun_is_as_far_from_the_zenith_as_latitude_less_declination(day, declination):
    noon = highest(day, 39.0)
    assert noon.zenith == pytest.approx(39.0 - declination, abs=0.6)
    assert noon.azimuth == pytest.approx(180, abs=3)


def test_morning_sun_stands_in_the_east_and_evening_sun_in_the_west():
    assert sun_position(datetime(2024, 6, 14, 16), -120, 39).azimuth < 120
    assert sun_position(datetime(2024, 6, 15, 0), -120, 39).azimuth > 240


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


def test_the_earth_is_farthest_from_the_sun_in_july():
    days = [datetime(2024, 1, 1) + timedelta(days=d) for d in range(366)]
    farthest = min(days, key=earth_sun_factor)
    assert farthest.month == 7
    assert earth_sun_factor(datetime(2024, 1, 4)) == pytest.approx(1.034, abs=0.002)
