import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from simulated_areas import ensure_area

from geostack.sources.simulation import AREAS, draw
from geostack.sources.simulation.grid import Grid
from geostack.sources.simulation.terrain import ground


@pytest.fixture(scope="module")
def root(simulated_cache):
    return ensure_area("lake-tahoe-dem", simulated_cache)


def test_four_tiles_share_the_box_on_the_copernicus_grid(root):
    files = sorted(root.glob("*/*/*.tif"))
    assert [path.stem.removeprefix("Copernicus_DSM_COG_10_") for path in files] == [
        f"{ns}_00_{ew}_00_DEM_SIM" for ns in ("N38", "N39") for ew in ("W120", "W121")
    ]
    for path in files:
        with rasterio.open(path) as file:
            assert file.shape == (3600, 3600)
            assert file.crs.to_epsg() == 4326
            assert file.transform.a == pytest.approx(1 / 3600)
            # Pixel centres lie on whole arc seconds, as in the real sample tile.
            assert (file.transform.c + 0.5 / 3600) * 3600 % 1 == pytest.approx(0, abs=1e-5)


def test_tiles_meet_without_a_gap_or_a_step(root):
    from rasterio.merge import merge

    west, south, east, north = AREAS["lake-tahoe-dem"].bbox
    inside = (west + 0.001, south + 0.001, east - 0.001, north - 0.001)
    merged, _ = merge(sorted(root.glob("*/*/*.tif")), bounds=inside)
    # The merge rounds its last row and column outward.
    height = merged[0, :-1, :-1]
    assert height.min() > 900
    assert height.max() < 3600
    steps = np.abs(np.diff(height, axis=1))
    seam = round((-120.0 - inside[0]) * 3600)
    assert steps[:, seam - 2 : seam + 2].max() <= steps.max()
    assert np.abs(steps[:, seam].mean() - steps.mean()) < 3


def test_heights_are_those_of_the_scenes_ground():
    window = Grid(4326, -120.06, 38.90, 1 / 3600, rows=108, cols=144)
    heights = draw.heights(window)
    x, y = Transformer.from_crs(4326, 32610, always_xy=True).transform(window.x[60], window.y[50])
    around = Grid(32610, round(x) - 105.0, round(y) + 105.0, 30.0, 7, 7)
    assert heights[50, 60] == pytest.approx(ground(around)[3, 3], abs=15)


def test_built_twice_is_the_same_bytes(root, tmp_path):
    again = ensure_area("lake-tahoe-dem", tmp_path)
    for path in sorted(root.glob("*/*/*")):
        assert path.read_bytes() == (again / path.relative_to(root)).read_bytes(), path.name
