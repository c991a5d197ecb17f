"""A file on a grid: its own pixels where they are the same, no data beyond it."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from footprints import write_raster

from geocatalog.errors import PixelReadError
from geocatalog.grid import part_of, pixel_grid
from geocatalog.read.onto_grid import read_onto, read_piece

DATA = np.arange(2 * 8 * 6, dtype="uint16").reshape(2, 8, 6)
GRID = pixel_grid(32610, Affine(10, 0, 0, 0, -10, 80), (8, 6))


@pytest.fixture
def path(tmp_path):
    return str(write_raster(tmp_path / "a.tif", DATA, north=80.0))


@pytest.mark.parametrize("window", [(0, 0, 8, 6), (2, 1, 3, 4), (-2, -3, 12, 12), (7, 5, 5, 5)])
@pytest.mark.parametrize("fill", [None, 7])
def test_pixels_are_the_file_s_own_and_beyond_it_there_is_no_data(path, window, fill):
    row, col, rows, cols = window
    around = np.pad(DATA, ((0, 0), (20, 20), (20, 20)), constant_values=fill or 0)
    # What a file without a nodata value holds that equals the fill is no data already.
    expected = around[:, row + 20 : row + 20 + rows, col + 20 : col + 20 + cols]
    assert np.array_equal(read_onto(path, part_of(GRID, *window), fill=fill), expected)


def test_a_grid_beside_the_file_is_all_fill(path):
    beside = part_of(GRID, 100, 100, 3, 2)
    assert read_piece(path, beside)[0] is None
    assert (read_onto(path, beside, [2], fill=9) == np.full((1, 3, 2), 9)).all()


def test_the_file_s_nodata_becomes_the_fill(tmp_path):
    holed = DATA.astype("float32")
    holed[0, 3, 3] = -9999
    path = str(write_raster(tmp_path / "f.tif", holed, north=80.0, nodata=-9999))
    values = read_onto(path, part_of(GRID, 3, 3, 6, 2), fill=np.nan)
    assert np.isnan(values[0, 0, 0])
    assert np.isnan(values[:, 5]).all()
    assert np.array_equal(values[1, :5], holed[1, 3:8, 3:5])


@pytest.mark.parametrize("method", ["nearest", "bilinear"])
def test_a_south_up_file_lies_where_it_says(tmp_path, method):
    path = tmp_path / "up.tif"
    profile = {"driver": "GTiff", "height": 8, "width": 6, "count": 2, "dtype": "uint16"}
    place = {"crs": "EPSG:32610", "transform": Affine(10, 0, 0, 0, 10, 0)}
    with rasterio.open(path, "w", **profile, **place) as file:
        file.write(DATA[:, ::-1] + 1)
    part = part_of(GRID, 1, 1, 5, 4)
    assert np.array_equal(read_onto(str(path), part, resampling=method), DATA[:, 1:6, 1:5] + 1)


def test_an_address_is_signed_whenever_it_is_opened(path):
    asked = []

    def sign(href, *, renew=False):
        asked.append((href, renew))
        return path

    read_onto("unsigned", GRID, sign=sign)
    assert asked == [("unsigned", False)]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PixelReadError, match=r"can't read .*gone\.tif: 1 try, last answer: "):
        read_onto(str(tmp_path / "gone.tif"), GRID)


@pytest.mark.parametrize(("shift", "same"), [(5e-5, True), (-5e-5, True), (1e-3, False)])
def test_pixels_that_lie_apart_by_rounding_only_are_copied(tmp_path, shift, same):
    data = np.random.default_rng(0).integers(1, 1000, (1, 8, 8)).astype("uint16")
    path = str(write_raster(tmp_path / "r.tif", data, north=80.0))
    with rasterio.open(path, "r+") as file:
        file.transform = file.transform @ Affine.translation(shift, shift)
    grid = pixel_grid(32610, Affine(10, 0, -20, 0, -10, 100), (12, 12))
    piece, _ = read_piece(path, grid, resampling="cubic")
    assert np.array_equal(piece.data, data) == same
