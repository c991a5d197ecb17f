"""A whole Sentinel-2 tile is sampled and compared in the memory of a few blocks of rows."""

import subprocess
import sys

import pytest

SIDE = 10980
CODE = """
import resource, sys
import numpy as np, pandas, geopandas, scipy.stats
import rasterio
from rasterio import Affine

side, mapped, truth = int(sys.argv[1]), sys.argv[2], sys.argv[3]
from geotoolz.assess import confusion, estimate_samples, sample_design
sample_design(np.ones((9, 9), "uint8"), 3)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with rasterio.Env(GDAL_CACHEMAX=64):
    samples = sample_design(mapped, 300, least=50)
    matrix = confusion(mapped, truth)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(len(samples), int(matrix.counts.sum()), (after - before) // 1024)
"""


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    import numpy as np
    import rasterio
    from rasterio import Affine

    folder = tmp_path_factory.mktemp("maps")
    profile = {
        "driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": 0, "height": SIDE, "width": SIDE,
        "crs": "EPSG:32632", "transform": Affine(10, 0, 600_000, 0, -10, 5_000_040),
        "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1,
    }  # fmt: skip
    rng = np.random.default_rng(0)
    for name in ("mapped", "truth"):
        with rasterio.open(folder / f"{name}.tif", "w", **profile) as file:
            for row in range(0, SIDE, 512):
                rows = min(512, SIDE - row)
                coarse = rng.integers(0, 5, (rows // 30 + 1, SIDE // 30 + 1), dtype="uint8")
                block = coarse.repeat(30, axis=0)[:rows].repeat(30, axis=1)[:, :SIDE]
                file.write(block, 1, window=rasterio.windows.Window(0, row, SIDE, rows))
    return folder


@pytest.mark.slow
def test_a_whole_tile_takes_the_memory_of_a_few_blocks(maps):
    arguments = [str(SIDE), str(maps / "mapped.tif"), str(maps / "truth.tif")]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, check=True
    )
    count, pixels, grown = map(int, done.stdout.split())
    assert count == 300
    assert 0.6 * SIDE**2 < pixels < 0.7 * SIDE**2
    # Both maps are 230 MB; blocks of 512 rows, with the positions made of them, are held.
    assert grown < 250
