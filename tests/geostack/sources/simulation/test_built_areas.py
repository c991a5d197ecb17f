"""Facts of the larger areas as built: minutes of work on a slow machine, so marked slow."""

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window
from rio_cogeo import cog_validate
from simulated_areas import ensure_area
from simulated_scenes import PUBLISHED_ACRES, SQUARE_METRES_PER_ACRE, tile_grid

from geostack.sources.simulation import AREAS
from geostack.sources.simulation.shapes import box_window

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def caldor(simulated_cache, built):
    return built(ensure_area("caldor", simulated_cache))


@pytest.fixture(scope="module")
def full(simulated_cache, built):
    return built(ensure_area("full-tile", simulated_cache))


def of_tile(caldor, tile):
    items = [i for i in caldor.items.values() if i["properties"]["s2:mgrs_tile"] == tile]
    return sorted(items, key=lambda item: item["properties"]["datetime"])


def part_of_box(tile):
    west, south, east, north = box_window(32610, AREAS["caldor"].bbox, 20.0).bounds
    _, low, _, high = tile_grid(tile).bounds
    return west, max(south, low), east, min(north, high)


def nbr(caldor, item, bounds):
    swir = caldor.read(item, "B12", bounds).astype(np.float32)
    nir = caldor.read(item, "B08", bounds).astype(np.float32)
    nir = nir.reshape(swir.shape[0], 2, swir.shape[1], 2).mean(axis=(1, 3))
    return (nir - swir) / (nir + swir)


def test_caldor_has_two_dates_on_both_tiles(caldor):
    for tile in ("10SGH", "10SGJ"):
        before, after = of_tile(caldor, tile)
        assert before["properties"]["datetime"].startswith("2021-08-09")
        assert after["properties"]["datetime"].startswith("2021-11-12")
        for item in (before, after):
            assert item["properties"]["s2:processing_baseline"] == "03.01"
            assert item["properties"]["eo:cloud_cover"] < 5
            assert set(item["assets"]) == {"B02", "B03", "B04", "B08", "B11", "B12", "SCL"}
            assert cog_validate(caldor.path(item, "B12"), strict=True)[0]


def test_the_box_measures_the_published_area_over_both_tiles(caldor):
    burnt = 0
    rows = {}
    for tile in ("10SGH", "10SGJ"):
        bounds = part_of_box(tile)
        before, after = (nbr(caldor, item, bounds) for item in of_tile(caldor, tile))
        rows[tile] = before - after
    # The overlap of the tiles is counted once.
    overlap = round((part_of_box("10SGH")[3] - part_of_box("10SGJ")[1]) / 20)
    np.testing.assert_allclose(rows["10SGH"][:overlap], rows["10SGJ"][-overlap:], atol=1e-6)
    burnt = (rows["10SGH"] >= 0.1).sum() + (rows["10SGJ"][:-overlap] >= 0.1).sum()
    acres = burnt * 400 / SQUARE_METRES_PER_ACRE
    assert acres == pytest.approx(PUBLISHED_ACRES, rel=0.03)
    assert (rows["10SGH"] >= 0.1).sum() * 400 / SQUARE_METRES_PER_ACRE > 0.7 * PUBLISHED_ACRES


def test_burnt_ground_is_brighter_in_swir_and_darker_in_nir(caldor):
    bounds = part_of_box("10SGH")
    before, after = of_tile(caldor, "10SGH")
    burnt = nbr(caldor, before, bounds) - nbr(caldor, after, bounds) > 0.44
    swir = [caldor.read(item, "B12", bounds)[burnt].astype(float) for item in (before, after)]
    nir = [caldor.read(i, "B08", bounds)[::2, ::2][burnt].astype(float) for i in (before, after)]
    assert np.mean(swir[1] > swir[0]) > 0.9
    assert np.mean(nir[1] < nir[0]) > 0.95


def test_the_full_tile_is_full_and_small(full):
    (item,) = full.items.values()
    assert item["id"].endswith("_FULL_SIM")
    size = 0
    for band in ("B04", "B08"):
        path = full.path(item, band)
        size += path.stat().st_size
        with rasterio.open(path) as file:
            assert file.shape == (10980, 10980)
            assert file.bounds == tile_grid("10SGJ").bounds
            for row in range(0, 10980, 1098):
                assert file.read(1, window=Window(0, row, 10980, 1098)).min() > 0
    assert 100e6 < size < 400e6


def test_the_full_tile_shows_the_lake_where_the_scenes_do(full, tahoe):
    (item,) = full.items.values()
    bounds = (753000, 4313000, 765000, 4350000)
    scl = tahoe.read(tahoe.on("2024-06-14"), "SCL", bounds)
    red = full.read(item, "B04", bounds).astype(np.float32)[::2, ::2]
    nir = full.read(item, "B08", bounds).astype(np.float32)[::2, ::2]
    ndvi = (nir - red) / (nir + red - 2000)
    assert np.mean(ndvi[scl == 6] < 0.1) > 0.98
    assert np.mean(ndvi[scl == 4] > 0.3) > 0.9
