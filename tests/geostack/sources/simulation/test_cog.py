import numpy as np
import pytest
import rasterio
from rio_cogeo import cog_validate

from geostack.sources.simulation.cog import write_cog
from geostack.sources.simulation.grid import Grid

TILE = Grid(32610, 699960.0, 4400040.0, 10.0, 3000, 3000)


@pytest.mark.parametrize(
    ("rows", "cols"),
    [(slice(512, 1024), slice(1024, 2048)), (slice(1301, 1702), slice(33, 1100))],
)
def test_a_window_of_a_tile_is_a_valid_sparse_cog(tmp_path, rows, cols):
    window = TILE.window(rows, cols)
    values = np.random.default_rng(1).integers(1, 4000, window.shape).astype(np.uint16)
    path = tmp_path / "band.tif"
    write_cog(path, values, window, TILE)
    assert cog_validate(path, strict=True) == (True, [], [])
    with rasterio.open(path) as file:
        assert (file.width, file.height) == (3000, 3000)
        assert file.bounds == TILE.bounds
        assert file.crs.to_epsg() == 32610
        assert file.nodata == 0
        whole = file.read(1)
    np.testing.assert_array_equal(whole[rows, cols], values)
    whole[rows, cols] = 0
    assert not whole.any()
    # Noise does not compress: were empty blocks written, the file would be far larger.
    assert path.stat().st_size < values.nbytes * 1.5


def test_overviews_are_means_or_nearest(tmp_path):
    window = TILE.window(slice(512, 1024), slice(512, 1024))
    values = np.random.default_rng(1).integers(1, 12, window.shape).astype(np.uint8)
    for categorical in (False, True):
        path = tmp_path / f"{categorical}.tif"
        write_cog(path, values, window, TILE, categorical=categorical)
        with rasterio.open(path, OVERVIEW_LEVEL=0) as file:
            half = file.read(1)[256:512, 256:512]
        means = values.reshape(256, 2, 256, 2).mean(axis=(1, 3))
        expected = values[::2, ::2] if categorical else np.floor(means + 0.5)
        np.testing.assert_array_equal(half, expected)


def test_several_bands_and_floats(tmp_path):
    grid = Grid(4326, -120.0, 39.0, 1 / 3600, 700, 600)
    values = np.random.default_rng(2).normal(2000, 300, (2, 700, 600)).astype(np.float32)
    write_cog(tmp_path / "dem.tif", values, grid, nodata=-32767.0)
    assert cog_validate(tmp_path / "dem.tif", strict=True)[0]
    with rasterio.open(tmp_path / "dem.tif") as file:
        np.testing.assert_array_equal(file.read(), values)
        assert file.nodata == -32767


def test_a_small_raster_needs_no_overviews(tmp_path):
    grid = Grid(32610, 0.0, 1000.0, 10.0, 100, 100)
    write_cog(tmp_path / "small.tif", np.ones((100, 100), np.uint8), grid)
    with rasterio.open(tmp_path / "small.tif") as file:
        assert file.overviews(1) == []
        assert (file.read(1) == 1).all()


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_same_pixels_are_the_same_bytes_whatever_the_threads(tmp_path, threads):
    window = TILE.window(slice(512, 1536), slice(512, 2048))
    values = np.random.default_rng(3).integers(1, 4000, window.shape).astype(np.uint16)
    for name, workers in (("a.tif", 1), ("b.tif", threads)):
        write_cog(tmp_path / name, values, window, TILE, threads=workers)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
