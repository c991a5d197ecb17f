import numpy as np
import pytest

from geostack.sources.simulation.grid import Grid
from geostack.sources.simulation.shapes import places, project
from geostack.sources.simulation.terrain import ground, shelf_width, shore_distance


@pytest.fixture(scope="module")
def region() -> Grid:
    return Grid(32610, 740000, 4355000, 100, rows=500, cols=320)


def at(grid: Grid, layer: np.ndarray, lon: float, lat: float) -> float:
    x, y = project([(lon, lat)], grid.epsg)[0]
    return float(layer[int((grid.north - y) / grid.res), int((x - grid.west) / grid.res)])


LEVEL = places("tahoe")["shore"][0].facts["level"]


def test_the_lake_is_where_it_is(region):
    shore = shore_distance(region)
    middle, south_lake_tahoe, mount_tallac = (-120.03, 39.10), (-119.98, 38.92), (-120.099, 38.906)
    assert at(region, shore, *middle) > 5000
    assert at(region, shore, *south_lake_tahoe) < -1500
    assert at(region, shore, *mount_tallac) < -2500
    area = np.count_nonzero(shore > 0) * 0.01
    # 490 km2 (USGS); the outline is drawn by hand.
    assert area == pytest.approx(490, rel=0.06)


def test_the_lake_is_35_km_long_and_19_km_wide(region):
    water = shore_distance(region) > 0
    rows, cols = np.flatnonzero(water.any(axis=1)), np.flatnonzero(water.any(axis=0))
    assert (rows[-1] - rows[0]) / 10 == pytest.approx(35, abs=1.5)
    assert (cols[-1] - cols[0]) / 10 == pytest.approx(19.5, abs=1.5)


def test_the_lake_is_flat_and_nothing_beside_it_is_lower(region):
    shore = shore_distance(region)
    height = ground(region, shore)
    assert (height[shore > 0] == LEVEL).all()
    beside = (shore <= 0) & (shore > -700)
    assert height[beside].min() > LEVEL


def test_the_ground_passes_near_the_named_heights(region):
    height = ground(region)
    west, south, east, north = region.bounds
    errors = []
    for spot in places("tahoe")["height"]:
        ((lon, lat),), metres = spot.points, spot.facts["metres"]
        x, y = project([(lon, lat)], region.epsg)[0]
        if west < x < east and south < y < north:
            errors.append(at(region, height, lon, lat) - metres)
    assert len(errors) > 25
    assert np.sqrt(np.mean(np.square(errors))) < 170


def test_neighbouring_windows_agree(region):
    part = region.window(slice(100, 220), slice(40, 200))
    inner = slice(2, -2), slice(2, -2)
    whole = ground(region)[100:220, 40:200]
    # The steepness that scales the ridges is a difference: one-sided on a window's edge.
    np.testing.assert_allclose(ground(part)[inner], whole[inner], atol=1.0)


def test_the_shelf_is_wide_in_the_south_and_narrow_at_rubicon(region):
    width = shelf_width(region)
    assert at(region, width, -119.99, 38.945) > 1000
    assert at(region, width, -120.096, 39.0) < 150
