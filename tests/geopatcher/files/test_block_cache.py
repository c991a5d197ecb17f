"""GDAL's cache of blocks is the process's: whoever limits it gives it back."""

import threading

import numpy as np
import pytest
from affine import Affine
from georeader.rasterio_reader import RasterioReader
from rasterio.env import get_gdal_config

from geopatcher import (
    RasterField,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
    map_patches,
)
from geopatcher.files.block_cache import block_cache
from pipekit import Identity

NAME = "GDAL_CACHEMAX"


@pytest.fixture
def before(monkeypatch):
    monkeypatch.delenv(NAME, raising=False)
    size = get_gdal_config(NAME)
    yield size
    assert get_gdal_config(NAME) == size


def test_the_largest_counts_while_threads_overlap_and_the_last_gives_it_back(before):
    inside, leave = threading.Event(), threading.Event()

    def other():
        with block_cache(64 * 2**20):
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=other)
    with block_cache(48 * 2**20):
        thread.start()
        assert inside.wait(60)
        assert get_gdal_config(NAME) == 64 * 2**20
    assert get_gdal_config(NAME) == 64 * 2**20
    leave.set()
    thread.join(60)
    assert get_gdal_config(NAME) == before


def test_an_error_gives_it_back_too(before):
    with pytest.raises(ZeroDivisionError), block_cache(2**20):
        1 / 0  # noqa: B018


def test_the_users_own_limit_stays(before, monkeypatch):
    monkeypatch.setenv(NAME, "100")
    with block_cache(2**20):
        assert get_gdal_config(NAME) == before


@pytest.mark.parametrize("target", ["out.tif", "out.zarr"])
def test_a_run_leaves_it_as_it_was(monkeypatch, tmp_path, target):
    import rasterio

    scene = np.arange(600 * 600, dtype="uint16").reshape(1, 600, 600)
    path = tmp_path / "scene.tif"
    profile = {"driver": "GTiff", "count": 1, "width": 600, "height": 600, "dtype": "uint16"}
    with rasterio.open(path, "w", crs=32610, transform=Affine(10, 0, 0, 0, -10, 0), **profile) as f:
        f.write(scene)
    patcher = SpatialPatcher(SpatialRectangular(256, boundary="shift"), SpatialRegularStride(256))
    # georeader sets a size of its own when it reads.
    monkeypatch.delenv(NAME, raising=False)
    RasterioReader(str(path)).load()
    before = get_gdal_config(NAME)
    made = map_patches(
        patcher,
        RasterField(RasterioReader(str(path))),
        Identity(),
        target=tmp_path / target,
        progress=False,
    )
    values = made.load().values if hasattr(made, "load") else np.asarray(made)
    np.testing.assert_array_equal(np.asarray(values).squeeze(), scene[0])
    assert get_gdal_config(NAME) == before
