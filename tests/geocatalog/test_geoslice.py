from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocatalog import CatalogError, GeoSlice

JUNE = pd.Interval(pd.Timestamp("2024-06-01"), pd.Timestamp("2024-06-30"), closed="both")


def test_a_sentinel_tile_is_10980_pixels():
    tile = GeoSlice((699960, 4290240, 809760, 4400040), JUNE, 10, "EPSG:32610")
    assert tile.shape == (10980, 10980)
    assert tile.grid_bounds == tile.bounds
    assert (tile.transform.c, tile.transform.f, tile.transform.a) == (699960, 4400040, 10)


def test_the_grid_holds_the_bounds_and_is_snapped_outward():
    odd = GeoSlice((3, 7, 31, 42), None, 10, 32610)
    assert odd.grid_bounds == (0, 0, 40, 50)
    assert odd.shape == (5, 4)


def test_an_anchor_moves_the_grid_onto_a_file_s_own_pixels():
    landsat = GeoSlice((15, 15, 3015, 3015), None, 30, 32610, anchor=(15, 3015))
    assert landsat.grid_bounds == landsat.bounds
    assert landsat.shape == (100, 100)


side = st.floats(-1e6, 1e6, allow_nan=False)


@settings(max_examples=60)
@given(
    side, side, st.floats(0, 5e3), st.floats(0, 5e3), st.sampled_from([0.25, 10, 30, 60, 1000 / 3])
)
def test_snapped_grids_of_one_resolution_align_and_enclose(west, south, width, height, size):
    part = GeoSlice((west, south, west + width, south + height), None, size, 32610)
    left, bottom, right, top = part.grid_bounds
    noise = 2e-6 * size
    assert left <= west + noise
    assert bottom <= south + noise
    assert right >= west + width - noise
    assert top >= south + height - noise
    rows, cols = part.shape
    assert np.isclose(right - left, cols * size)
    assert np.isclose(top - bottom, rows * size)
    assert abs(left / size - round(left / size)) < 1e-5
    assert abs(top / size - round(top / size)) < 1e-5
    assert right - left < width + 2 * size + noise


def test_float_noise_at_an_edge_adds_no_pixel():
    assert GeoSlice((0.1 + 0.2, 0, 0.9, 0.3), None, 0.1, 4326).shape == (3, 6)


@pytest.mark.parametrize("size", [0, -10, np.nan, np.inf, (10, 0), "ten", (1, 2, 3)])
def test_a_resolution_that_is_no_size_is_refused(size):
    with pytest.raises(CatalogError, match="resolution"):
        GeoSlice((0, 0, 1, 1), None, size, 32610)


@pytest.mark.parametrize(
    "bounds", [(0, 0, 1), (0, 5, 1, 1), (5, 0, 1, 1), (0, 0, np.nan, 1), "abcd", None]
)
def test_bounds_that_are_no_box_are_refused(bounds):
    with pytest.raises(CatalogError, match=r"bounds|south|west"):
        GeoSlice(bounds, None, 10, 32610)


def test_an_unknown_crs_is_refused_by_name():
    with pytest.raises(CatalogError, match="EPSG:999999"):
        GeoSlice((0, 0, 1, 1), None, 1, "EPSG:999999")


def test_to_crs_encloses_every_point_of_the_box():
    here = GeoSlice((700000, 4300000, 800000, 4400000), JUNE, 10, 32610)
    there = here.to_crs(4326)
    from pyproj import Transformer

    move = Transformer.from_crs(32610, 4326, always_xy=True)
    t = np.linspace(0, 1, 101)
    for x, y in [(t, 0 * t), (t, 0 * t + 1), (0 * t, t), (0 * t + 1, t)]:
        lon, lat = move.transform(700000 + 1e5 * x, 4300000 + 1e5 * y)
        west, south, east, north = there.bounds
        slack = 2e-5
        assert ((lon >= west - slack) & (lon <= east + slack)).all()
        assert ((lat >= south - slack) & (lat <= north + slack)).all()
    assert there.interval == here.interval
    assert there.to_crs(4326) is there


def test_to_crs_splits_nothing_and_crosses_the_antimeridian():
    fiji = GeoSlice((100000, 8000000, 300000, 8200000), None, 10, 32701)
    west, _, east, _ = fiji.to_crs(4326).bounds
    assert west > 170
    assert east < -170


def test_shape_of_a_box_across_the_antimeridian():
    assert GeoSlice((179, -1, -179, 1), None, 0.5, 4326).shape == (4, 4)


def test_config_makes_the_same_slice_again():
    one = GeoSlice((0, 0, 30, 20), JUNE, (10, 5), 32610, anchor=(3, 4))
    assert GeoSlice(**one.get_config()) == one
    assert hash(GeoSlice(**one.get_config())) == hash(one)
    assert replace(one, resolution=20) != one
    assert "EPSG:32610" in repr(one)
