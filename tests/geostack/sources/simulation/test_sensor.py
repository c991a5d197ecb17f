from dataclasses import replace

import numpy as np
import pytest
from whole_ground import CutFromWhole

from geostack.sources.simulation.grid import Grid, pool
from geostack.sources.simulation.landscape import Tahoe
from geostack.sources.simulation.scenes import Acquisition, Sun
from geostack.sources.simulation.sensor import (
    Stage,
    classify,
    digital_numbers,
    seen,
    sky,
)
from geostack.sources.simulation.sensor import render as render_band

SUN = Sun(23.0, 127.0)
JUNE = Acquisition(
    sun=SUN,
    season=0.2,
    snowline=2500.0,
    offset=1000,
    haze=0.0,
    seed=77,
)


@pytest.fixture(scope="module")
def clear(plot):
    return sky(plot, SUN, cover=0.0, cirrus=0.0, size=3000, seed=1)


@pytest.fixture(scope="module")
def cloudy(plot):
    return sky(plot, SUN, cover=0.2, cirrus=0.0, size=1500, seed=1)


def render(stage, shot, sky, bands):
    return {band: render_band(stage, shot, sky, band, n) for n, band in enumerate(bands)}


def ndvi(numbers, offset=1000):
    red, nir = (numbers[b].astype(np.float32) - offset for b in ("B04", "B08"))
    return (nir - red) / (nir + red)


def test_numbers_are_never_nodata_and_carry_the_offset(stage, clear):
    numbers = render(stage, JUNE, clear, ("B04", "B08"))
    plain = render(stage, replace(JUNE, offset=0), clear, ("B04", "B08"))
    for band in numbers:
        assert numbers[band].dtype == np.uint16
        assert numbers[band].min() >= 1
        shifted = numbers[band].astype(int) - 1000
        # Only where noise would have gone below 1 do they differ.
        assert np.mean(np.abs(shifted - plain[band]) <= 1) > 0.995


def test_the_same_scene_twice_is_the_same_bytes(plot, clear):
    one, two = (
        render(Stage(Tahoe(plot), SUN, ("B04", "B08"), 2300), JUNE, clear, ("B04", "B08"))
        for _ in range(2)
    )
    for band in one:
        assert one[band].tobytes() == two[band].tobytes()


def test_ndvi_of_what_covers_the_ground(stage, land, clear):
    index = ndvi(render(stage, JUNE, clear, ("B04", "B08")))
    assert np.median(index[land.water == 1]) < 0
    assert 0.6 < np.median(index[land.cover["forest"] > 0.8]) < 0.85
    assert 0.5 < np.median(index[land.cover["meadow"] > 0.8]) < 0.75
    assert np.median(index[land.cover["asphalt"] > 0.6]) < 0.35


def test_classes_agree_with_the_pixels(stage, land, clear):
    numbers = render(stage, JUNE, clear, ("B04", "B08"))
    scl = classify(stage, JUNE, clear, numbers["B04"], numbers["B08"])
    index = ndvi({band: pool(layer.astype(np.float32)) for band, layer in numbers.items()})
    assert scl.shape == (128, 128)
    assert scl.dtype == np.uint8
    assert set(np.unique(scl)) <= {2, 4, 5, 6}
    assert index[scl == 4].min() > 0.42 - 1e-6
    assert index[scl == 5].max() < 0.42 + 1e-6
    np.testing.assert_array_equal(scl == 6, pool(land.water) > 0.5)


def test_clouds_brighten_and_their_shadows_darken(stage, clear, cloudy):
    bare = render(stage, JUNE, clear, ("B04", "B08"))
    seen_through = render(stage, JUNE, cloudy, ("B04", "B08"))
    scl = classify(stage, JUNE, cloudy, seen_through["B04"], seen_through["B08"])
    twice = np.repeat(np.repeat(scl, 2, axis=0), 2, axis=1)
    assert {3, 8, 9} <= set(np.unique(scl))
    change = seen_through["B08"].astype(int) - bare["B08"]
    assert change[twice == 9].mean() > 1500
    assert change[(twice == 3) & (bare["B08"] > 2500)].mean() < -500
    untouched = np.isin(twice, (4, 5, 6)) & (change == 0)
    assert untouched.sum() > 0.3 * np.isin(twice, (4, 5, 6)).sum()


def test_snow_melts_and_meadows_dry(land, plot, clear):
    stage = Stage(Tahoe(plot), SUN, ("B04", "B08"), lowest_snow=1500)
    early, late = (stage.snow_layer(line) for line in (1800.0, 2100.0))
    assert (late <= early + 1e-6).all()
    assert early.sum() > late.sum()
    june = ndvi(render(stage, JUNE, clear, ("B04", "B08")))
    july = ndvi(render(stage, replace(JUNE, season=1.0), clear, ("B04", "B08")))
    meadow = (land.cover["meadow"] > 0.8) & (land.wetness < 0.95)
    assert june[meadow].mean() > july[meadow].mean() + 0.01
    forest = land.cover["forest"] > 0.9
    assert june[forest].mean() == pytest.approx(july[forest].mean(), abs=1e-3)


def test_noise_has_the_size_it_says():
    flat = np.full((200, 200), 0.2, np.float32)
    noise = np.random.default_rng(0).standard_normal((200, 200)).astype(np.float32)
    numbers = digital_numbers(flat, 1000, noise, sigma=2.0)
    assert numbers.mean() == pytest.approx(3000, abs=0.5)
    assert numbers.std() == pytest.approx(2 + 0.0015 * 2000, rel=0.05)


def test_twenty_metre_bands_have_half_the_pixels(stage, clear):
    numbers = render(stage, JUNE, clear, ("B08", "B11", "B12"))
    assert [numbers[b].shape for b in numbers] == [(256, 256), (128, 128), (128, 128)]
    surface = seen(stage, JUNE, clear, "B12")
    expected = pool(surface) * 10000 + 1000
    np.testing.assert_allclose(numbers["B12"], expected, atol=40)


def test_a_ground_made_in_strips_is_the_same_to_the_bit(clear):
    grid = Grid(32610, 758600, 4314800, 10, rows=300, cols=256)
    whole = Stage(CutFromWhole(grid), SUN, ("B04", "B08"), lowest_snow=1500)
    parts = Stage(Tahoe(grid), SUN, ("B04", "B08"), lowest_snow=1500)
    for name in ("water", "water20", "dark20", "meadow_at", "meadow", "wetness", "snow_at"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name), err_msg=name)
    for band in whole.base:
        np.testing.assert_array_equal(parts.base[band], whole.base[band], err_msg=band)
