"""A real Sentinel-2 scene (South Tyrol), and small georeferenced tensors."""

from pathlib import Path

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine

import geotoolz.io

BANDS = ("B02", "B03", "B04", "B08")


@pytest.fixture(scope="session")
def bolzano_folder(shared_data: Path) -> Path:
    return shared_data / "archive" / "sentinel-2-l2a" / "S2_T32TPS_20220612T000000_SAMPLE"


@pytest.fixture(scope="session")
def bolzano(bolzano_folder: Path) -> GeoTensor:
    """B02, B03, B04 and B08 of Bolzano, (4, 705, 935) uint16 digital numbers, no offset in them."""
    read = [geotoolz.io.read(next(bolzano_folder.glob(f"*_{band}_10m.tif"))) for band in BANDS]
    values = np.concatenate([band.values for band in read])
    attrs = {"band_names": list(BANDS), "offset_applied": True}
    return GeoTensor(values, read[0].transform, read[0].crs, 0, attrs)


@pytest.fixture(scope="session")
def bolzano_scl(bolzano_folder: Path) -> GeoTensor:
    return geotoolz.io.read(next(bolzano_folder.glob("*_SCL_10m.tif")))


@pytest.fixture
def tile() -> GeoTensor:
    """(3, 5, 7) float32, every value its own, in EPSG:32632."""
    values = np.arange(3 * 5 * 7, dtype="float32").reshape(3, 5, 7)
    transform = Affine(10, 0, 500_000, 0, -10, 5_000_000)
    return GeoTensor(values, transform, "EPSG:32632", np.nan, {"band_names": ["B04", "B08", "B11"]})


@pytest.fixture(scope="session")
def at_point():
    """A function: the values of a raster at a map point, the last two axes removed."""

    def sample(raster: GeoTensor, x: float, y: float) -> np.ndarray:
        col, row = ~raster.transform * (x, y)
        rows, cols = raster.shape[-2:]
        assert 0 <= row < rows, (row, rows)
        assert 0 <= col < cols, (col, cols)
        return raster.values[..., int(row), int(col)]

    return sample


@pytest.fixture(scope="session")
def centres():
    """A function: the map points at the centres of all pixels of a raster."""

    def points(raster: GeoTensor) -> list[tuple[float, float]]:
        rows, cols = raster.shape[-2:]
        return [raster.transform * (c + 0.5, r + 0.5) for r in range(rows) for c in range(cols)]

    return points
