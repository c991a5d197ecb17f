"""A file on a grid: its own pixels where they are the same, no data beyond it."""

import tempfile

import numpy as np
import pytest
import rasterio
from affine import Affine
from footprints import write_raster
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint

import geotoolz as gz
from geocatalog import build_raster_catalog
from geocatalog.errors import CatalogError, PixelReadError
from geocatalog.footprint import as_crs, transformer
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


def upright(values, transform):
    """Return pixels and transform with rows downward and columns to the right."""
    rows, cols = values.shape[-2:]
    if transform.e > 0:
        values = values[..., ::-1, :]
        transform = transform @ Affine(1, 0, 0, 0, -1, rows)
    if transform.a < 0:
        values, transform = values[..., ::-1], transform @ Affine(-1, 0, cols, 0, 1, 0)
    return values, transform


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_pixels_lie_where_the_transform_says(data):
    """Files up or down, left or right, square or not; by a mask, nodata or nothing; any window."""
    rows, cols = data.draw(st.tuples(st.integers(2, 6), st.integers(2, 6)))
    width, height = data.draw(st.sampled_from([(10, 10), (10, 20), (15, 10)]))
    across, up = data.draw(st.tuples(st.sampled_from([1, -1]), st.sampled_from([1, -1])))
    transform = Affine(across * width, 0, 600_000, 0, up * height, 4_000_000)
    dtype = data.draw(st.sampled_from(["uint8", "int16", "float32"]))
    values = np.arange(1, rows * cols + 1).reshape(1, rows, cols).astype(dtype)
    hides = data.draw(st.sampled_from(["nothing", "nodata", "mask"]))
    method = data.draw(st.sampled_from(["nearest", "bilinear", "cubic"]))
    seen, place = upright(values, transform)
    hidden = np.zeros(values.shape, bool)
    if hides != "nothing":
        hidden[0, 0, -1] = True
    seen_hidden, _ = upright(hidden, transform)
    row, col = data.draw(st.integers(-2, rows - 1)), data.draw(st.integers(-2, cols - 1))
    shape = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    grid = part_of(pixel_grid(32610, place, (rows, cols)), row, col, *shape)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/a.tif"
        profile = {"height": rows, "width": cols, "count": 1, "dtype": dtype}
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(
                path, "w", driver="GTiff", crs="EPSG:32610", transform=transform,
                nodata=values[hidden].max(initial=1) if hides == "nodata" else None, **profile,
            ) as file,
        ):  # fmt: skip
            file.write(values)
            if hides == "mask":
                file.write_mask(~hidden[0])
        piece, _ = read_piece(path, grid, resampling=method)
    around = np.zeros(shape, bool)
    expected = np.zeros(shape, dtype)
    for i in range(shape[0]):
        for j in range(shape[1]):
            r, c = row + i, col + j
            if 0 <= r < rows and 0 <= c < cols:
                around[i, j], expected[i, j] = not seen_hidden[0, r, c], seen[0, r, c]
    if piece is None:
        assert not around.any()
        return
    valid, got = np.zeros(shape, bool), np.zeros(shape, dtype)
    valid[piece.window], got[piece.window] = piece.valid[0], piece.data[0]
    assert np.array_equal(valid, around)
    assert np.array_equal(got[valid], expected[valid])


@settings(max_examples=40, deadline=None)
@given(
    first=st.sampled_from([-180, 0, -360, -200, 100]),
    west=st.integers(-200, 380),
    cols=st.integers(1, 30),
)
def test_a_world_is_read_under_any_number_of_its_longitudes(first, west, cols):
    longitudes = (first + np.arange(360) + 0.5) % 360
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/world.tif"
        with rasterio.open(
            path, "w", driver="GTiff", height=4, width=360, count=1, dtype="float32",
            crs="EPSG:4326", transform=Affine(1, 0, first, 0, -1, 2),
        ) as file:  # fmt: skip
            file.write(np.broadcast_to(longitudes, (1, 4, 360)).astype("float32"))
        values = read_onto(path, pixel_grid(4326, Affine(1, 0, west, 0, -1, 1), (2, cols)), fill=-1)
    assert np.array_equal(values[0, 0], (west + np.arange(cols) + 0.5) % 360)


@pytest.mark.parametrize("zone", [32610, 32660, 32601])
@pytest.mark.parametrize("first", [0, -180])
def test_a_world_is_read_onto_a_local_grid(tmp_path, zone, first):
    longitudes = (first + np.arange(720) / 2 + 0.25) % 360
    path = str(tmp_path / "world.tif")
    with rasterio.open(
        path, "w", driver="GTiff", height=40, width=720, count=1, dtype="float32",
        crs="EPSG:4326", transform=Affine(0.5, 0, first, 0, -0.5, 10),
    ) as file:  # fmt: skip
        file.write(np.broadcast_to(longitudes, (1, 40, 720)).astype("float32"))
    grid = pixel_grid(zone, Affine(20_000, 0, 300_000, 0, -20_000, 500_000), (10, 20))
    values = read_onto(path, grid, fill=-1)
    x, y = grid.transform @ (np.arange(20) + 0.5, np.full(20, 5.5))
    expected = transformer(as_crs(zone), as_crs(4326)).transform(x, y)[0] % 360
    assert np.abs((values[0, 5] - expected + 180) % 360 - 180).max() <= 0.26


def test_a_rotated_file_agrees_with_gdal(tmp_path):
    path = str(tmp_path / "r.tif")
    turned = Affine.translation(600_000, 4_000_000) @ Affine.rotation(30) @ Affine.scale(10, -10)
    with rasterio.open(
        path, "w", driver="GTiff", height=20, width=20, count=1, dtype="uint16",
        crs="EPSG:32610", transform=turned,
    ) as file:  # fmt: skip
        file.write(np.arange(1, 401, dtype="uint16").reshape(1, 20, 20))
    grid = pixel_grid(32610, Affine(10, 0, 600_000, 0, -10, 4_000_050), (20, 20))
    values = read_onto(path, grid, fill=0)
    for row in range(20):
        for col in range(20):
            x, y = (~turned) @ (grid.transform @ (col + 0.5, row + 0.5))
            inside = 0 <= x < 20 and 0 <= y < 20
            assert values[0, row, col] == (int(y) * 20 + int(x) + 1 if inside else 0)


def test_a_grid_in_kilometres_is_the_same_ground(tmp_path):
    path = str(write_raster(tmp_path / "a.tif", DATA + 1, west=600_000.0, north=4_000_000.0))
    kilometres = "+proj=utm +zone=10 +datum=WGS84 +units=km +no_defs"
    grid = pixel_grid(kilometres, Affine(0.01, 0, 600, 0, -0.01, 4000), (8, 6))
    assert np.array_equal(read_onto(path, grid), DATA + 1)


def test_a_file_with_ground_control_points_only_says_so(tmp_path):
    path = str(tmp_path / "g.tif")
    points = [
        GroundControlPoint(r, c, 600_000 + c, 4_000_000 - r) for r, c in ((0, 0), (0, 9), (9, 0))
    ]
    with rasterio.open(
        path, "w", driver="GTiff", height=9, width=9, count=1, dtype="uint8", gcps=points,
        crs="EPSG:32610",
    ) as file:  # fmt: skip
        file.write(np.ones((1, 9, 9), "uint8"))
    with pytest.raises(CatalogError, match=r"g\.tif has no CRS .*ground control points.*gdalwarp"):
        read_onto(path, GRID)
    with pytest.raises(CatalogError, match=r"g\.tif has no CRS .*ground control points.*gdalwarp"):
        build_raster_catalog([path])
    with pytest.raises(ValueError, match=r"g\.tif has no CRS .*ground control points.*gdalwarp"):
        gz.read(path, bounds=(0, 0, 1, 1))


def test_a_file_without_a_crs_is_named_with_the_way_out(tmp_path):
    path = str(tmp_path / "n.tif")
    with rasterio.open(
        path, "w", driver="GTiff", height=2, width=2, count=1, dtype="uint8",
        transform=Affine(10, 0, 0, 0, -10, 20),
    ) as file:  # fmt: skip
        file.write(np.uint8([[[1, 2], [3, 4]]]))
    with pytest.raises(ValueError, match=r"n\.tif has no CRS.*rio edit-info"):
        gz.read(path, bounds=(9, 45, 9.1, 45.1), crs=4326)
    # In the file's own numbers a box needs none.
    assert gz.read(path, bounds=(10, 0, 20, 10)).values.tolist() == [[[4]]]


@pytest.mark.parametrize(("first", "box"), [
    (0, (-120, 0, -118, 1)), (-180, (240, 0, 242, 1)), (0, (179, 0, -179, 1)), (-360, (240, 0, 242, 1)),
])  # fmt: skip
def test_a_box_finds_its_pixels_however_longitudes_are_counted(tmp_path, first, box):
    path = tmp_path / "w.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=2, width=360, count=1, dtype="float32",
        crs="EPSG:4326", transform=Affine(1, 0, first, 0, -1, 1),
    ) as file:  # fmt: skip
        file.write(np.broadcast_to((first + np.arange(360) + 0.5) % 360, (1, 2, 360)).astype("f4"))
    west = box[0] % 360
    got = gz.read(path, bounds=box)
    assert got.values[0, 0].tolist() == [west + 0.5, west + 1.5]


def test_a_box_at_both_ends_of_a_file_names_the_way_out(tmp_path):
    path = tmp_path / "w.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=2, width=360, count=1, dtype="uint8",
        crs="EPSG:4326", transform=Affine(1, 0, -180, 0, -1, 1),
    ) as file:  # fmt: skip
        file.write(np.ones((1, 2, 360), "uint8"))
    with pytest.raises(ValueError, match=r"lies at both ends of .*two halves"):
        gz.read(path, bounds=(179, 0, -179, 1))


@pytest.mark.parametrize("method", ["nearest", "bilinear", "average"])
@pytest.mark.parametrize("roles", [("B04", "SCL"), ("B04", "B08")])
@pytest.mark.parametrize("west", [200.0, -160.0])
def test_bands_that_are_read_in_several_ways_are_scaled_as_one_is(tmp_path, method, roles, west):
    """Bands of other roles, and files a full turn away, come in pieces."""
    profile = {"driver": "GTiff", "height": 8, "width": 8, "count": 2, "dtype": "int16"}
    place = {"crs": "EPSG:4326", "transform": Affine(0.1, 0, west, 0, -0.1, 1)}
    path = tmp_path / "scaled.tif"
    with rasterio.open(path, "w", nodata=-1, **profile, **place) as file:
        file.write(np.full((2, 8, 8), 5, "int16"))
        file.descriptions, file.scales, file.offsets = roles, (0.5, 2), (1, 0)
    grid = pixel_grid(3857, Affine(9000, 0, -17811118, 0, -9000, 111325), (9, 9))
    piece, bands = read_piece(str(path), grid, None, method, scaled=True)
    assert bands.dtype == piece.data.dtype == "float32"
    assert piece.valid.any()
    for band, value in zip(piece.data, (3.5, 5 if "SCL" in roles else 10), strict=True):
        assert set(np.unique(band[~np.isnan(band)])) == {value}
