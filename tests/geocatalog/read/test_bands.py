"""What is read from a file: pixels that GDAL takes for valid, and nothing in their place."""

import numpy as np
import pytest
import rasterio
import rasterio.warp
from georeader.rasterio_reader import RasterioReader
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile
from rasterio.windows import Window

import geotoolz as gz
from geocatalog.errors import CatalogError
from geocatalog.grid import pixel_grid
from geocatalog.read.bands import data_indexes, read_bands, resampling_for
from geocatalog.read.onto_grid import read_piece
from geopatcher.fields import RasterField

PLACE = rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)
DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")


@st.composite
def files(draw):
    """A file in memory of one or two bands, masked in one of the ways that files have."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    count = draw(st.integers(1, 2))
    numbers = st.integers(0, 12)
    size = 9 * count
    stored = np.array(draw(st.lists(numbers, min_size=size, max_size=size)), dtype)
    hides = draw(st.sampled_from(["nothing", "nodata", "mask", "both", "alpha", "nan"]))
    nodata = {"nodata": 3, "both": 3, "nan": np.nan}.get(hides)
    if hides == "nan" and dtype.kind != "f":
        nodata = None
    shown = np.array(draw(st.lists(st.booleans(), min_size=9, max_size=9))).reshape(3, 3)
    scale = draw(st.sampled_from([(1.0, 0.0), (0.5, -2.0), (1.0, 7.0)]))
    memory = MemoryFile()
    profile = {"height": 3, "width": 3, "crs": "EPSG:32632", "transform": PLACE, "dtype": dtype}
    bands = count + (hides == "alpha")
    colours = [ColorInterp.gray] + [ColorInterp.undefined] * (count - 1)
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        memory.open(driver="GTiff", count=bands, nodata=nodata, **profile) as file,
    ):
        file.colorinterp = colours + [ColorInterp.alpha] * (hides == "alpha")
        file.write(stored.reshape(count, 3, 3), list(range(1, count + 1)))
        if hides == "alpha":
            file.write((shown * np.iinfo("uint8").max).clip(0, 100).astype(dtype), bands)
        if hides in ("mask", "both"):
            file.write_mask(shown)
        file.scales, file.offsets = [scale[0]] * bands, [scale[1]] * bands
    return memory, count, nodata, scale


@settings(max_examples=150, deadline=None)
@given(files(), st.booleans())
def test_a_pixel_counts_if_gdal_says_so_and_has_its_value(made, scaled):
    memory, count, nodata, (scale, offset) = made
    with memory, memory.open() as file:
        indexes = data_indexes(file)
        values, fill = read_bands(file, indexes, scaled=scaled)
        stored, valid = file.read(indexes), file.read_masks(indexes) > 0
        if file.count > count:  # GDAL takes an alpha band for a mask beside one or three of bytes
            valid &= file.read(file.count) > 0
    assert indexes == list(range(1, count + 1))
    # A mask of its own hides nodata values from GDAL; here both hide.
    valid &= stored != (np.inf if nodata is None else nodata)
    physical = scaled and (scale, offset) != (1.0, 0.0)
    if not physical:
        assert values.dtype == stored.dtype
    else:
        assert values.dtype == ("float64" if stored.dtype == "float64" else "float32")
    expected = stored * np.float64(scale) + offset if physical else stored
    assert np.array_equal(values[valid], expected[valid].astype(values.dtype))
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
    if fill is not None:
        missing |= values == fill
    assert np.array_equal(missing, ~valid)


def test_nodata_values_that_differ_by_band_become_one(tmp_path):
    xml = """<VRTDataset rasterXSize="2" rasterYSize="1">
    <GeoTransform>0, 1, 0, 0, 0, -1</GeoTransform>
    <VRTRasterBand dataType="Byte" band="1"><NoDataValue>0</NoDataValue><SimpleSource>
    <SourceFilename>{0}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>
    <VRTRasterBand dataType="Int16" band="2"><NoDataValue>7</NoDataValue><SimpleSource>
    <SourceFilename>{0}</SourceFilename><SourceBand>2</SourceBand></SimpleSource></VRTRasterBand>
    </VRTDataset>"""
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "height": 1, "width": 2, "count": 2, "dtype": "uint8"}
    with rasterio.open(path, "w", crs="EPSG:32632", transform=PLACE, **profile) as file:
        file.write(np.array([[[0, 7]], [[0, 7]]], "uint8"))
    with rasterio.open(xml.format(path)) as file:
        values, fill = read_bands(file, [1, 2])
    assert values.dtype == "int16"
    assert fill not in (0, 7)
    assert values.tolist() == [[[fill, 7]], [[0, fill]]]


def test_a_mask_beside_the_file_hides_as_one_within_it(tmp_path):
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False),
        rasterio.open(
            tmp_path / "a.tif", "w", driver="GTiff", height=1, width=2, count=1, dtype="float32",
            crs="EPSG:32632", transform=PLACE,
        ) as file,
    ):  # fmt: skip
        file.write(np.array([[[1, 2]]], "float32"))
        file.write_mask(np.array([[True, False]]))
    assert (tmp_path / "a.tif.msk").exists()
    assert np.array_equal(gz.read(tmp_path / "a.tif").values, [[[1, np.nan]]], equal_nan=True)


@pytest.mark.parametrize("method", ["bilinear", "cubic", "lanczos", "average", "rms"])
def test_numbers_that_are_no_quantities_are_never_mixed(method):
    assert resampling_for("quantity", method) == method
    kept = [resampling_for(role, method) for role in ("class", "bits", "mask")]
    assert set(kept) <= {"nearest", "mode"}
    assert kept[1:] == ["nearest", "nearest"]


def four_bands(path, colour, *, named=False, hides=None, dtype="uint8"):
    """Write red, green, blue and near infrared, of which half is 0, with a colour for the last."""
    pixels = np.arange(4 * 8 * 8).reshape(4, 8, 8).astype(dtype) % 90 + 10
    pixels[3, :, :4] = 0
    profile = {"driver": "GTiff", "height": 8, "width": 8, "count": 4, "dtype": dtype}
    nodata = 12 if hides == "nodata" else None
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False),
        rasterio.open(
            path, "w", crs="EPSG:32632", transform=PLACE, nodata=nodata, **profile
        ) as file,
    ):
        file.write(pixels)
        if hides == "mask":
            file.write_mask(np.arange(64).reshape(8, 8) > 9)
    with rasterio.open(path, "r+") as file:
        first = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
        file.colorinterp = [*first, colour]
        if named:
            file.set_band_description(4, "nir")
        if hides == "scale":
            file.scales = [0.5] * 4
    return path


@pytest.mark.parametrize("hides", [None, "mask", "nodata", "scale"])
@pytest.mark.parametrize(
    ("asked", "named", "alpha"),
    [([1, 2, 3, 4], False, True), ([4], False, True), ([1], True, True), ([2, 1], False, False)],
)
def test_near_infrared_in_the_colour_of_alpha_hides_nothing(tmp_path, hides, asked, named, alpha):
    """Asked for by its number, named, or known of the product; copied, resampled and halved."""
    how = {"named": named, "hides": hides}
    paths = [
        str(four_bands(tmp_path / f"{colour.name}.tif", colour, **how))
        for colour in (ColorInterp.undefined, ColorInterp.alpha)
    ]
    for size, resampling in ((10, "nearest"), (7, "bilinear"), (20, "average")):
        grid = pixel_grid(32632, rasterio.Affine(size, 0, 5e5, 0, -size, 5e6), (60 // size,) * 2)
        (want, same), (got, told) = (
            read_piece(path, grid, asked, resampling, alpha=alpha, scaled=True) for path in paths
        )
        assert np.array_equal(got.data, want.data, equal_nan=True)
        assert np.array_equal(got.valid, want.valid)
        assert told == same
        assert want.valid.any()
    if alpha:
        readings = [gz.read(path, bands=[index - 1 for index in asked]) for path in paths]
        assert np.array_equal(*(each.values for each in readings), equal_nan=True)
        assert readings[0].attrs == readings[1].attrs


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_band_that_nobody_asked_for_is_alpha_and_hides(tmp_path, dtype):
    path = str(four_bands(tmp_path / "a.tif", ColorInterp.alpha, dtype=dtype))
    for size in (10, 20):
        grid = pixel_grid(32632, rasterio.Affine(size, 0, 5e5, 0, -size, 5e6), (80 // size,) * 2)
        piece, bands = read_piece(path, grid)
        assert bands.count == 3
        assert np.array_equal(piece.valid[0].any(axis=0), np.arange(80 // size) >= 40 // size)


@pytest.mark.parametrize("hides", ["mask", "nodata"])
@pytest.mark.parametrize("size", [10, 20])
def test_what_an_alpha_band_hides_is_hidden_beside_a_mask_or_nodata(tmp_path, hides, size):
    path = str(four_bands(tmp_path / "a.tif", ColorInterp.alpha, hides=hides))
    with rasterio.open(path) as file:
        shown = file.read(4) > 0
        first = file.read(1)
    shown &= np.arange(64).reshape(8, 8) > 9 if hides == "mask" else first != 12
    step = size // 10
    grid = pixel_grid(32632, rasterio.Affine(size, 0, 5e5, 0, -size, 5e6), (8 // step,) * 2)
    piece, _ = read_piece(path, grid)
    assert np.array_equal(piece.valid[0], shown[step - 1 :: step, step - 1 :: step])
    if size == 10:
        read = gz.read(path)
        assert np.array_equal(read.values[0] != read.fill_value_default, shown)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
@pytest.mark.parametrize("nodata", [None, 7])
@pytest.mark.parametrize("crs", [32632, 4326])
def test_identifiers_of_64_bits_are_exact_on_any_grid(tmp_path, dtype, nodata, crs):
    numbers = np.random.default_rng(0).integers(2**60, 2**63 - 1, (2, 8, 8)).astype(dtype)
    numbers[:, 3] = 7
    path = str(tmp_path / "ids.tif")
    form = {"driver": "GTiff", "height": 8, "width": 8, "count": 2, "dtype": dtype}
    with rasterio.open(path, "w", crs="EPSG:32632", transform=PLACE, nodata=nodata, **form) as file:
        file.write(numbers)
    fine = rasterio.Affine(5, 0, 5e5 - 10, 0, -5, 5e6)
    if crs == 32632:
        piece, _ = read_piece(path, pixel_grid(crs, fine, (16, 18)))
        assert (piece.row, piece.col) == (0, 2)
        expected = numbers.repeat(2, 1).repeat(2, 2)
        assert np.array_equal(piece.data[piece.valid], expected[piece.valid])
        assert np.array_equal(piece.valid, expected != (nodata or 0))
        with pytest.raises(CatalogError, match=r"2\*\*53.*nearest"):
            read_piece(path, pixel_grid(crs, fine, (16, 18)), resampling="average")
    else:
        west, _, east, north = rasterio.warp.transform_bounds(
            32632, 4326, 5e5, 5e6 - 80, 5e5 + 80, 5e6
        )
        size = (east - west) / 12
        piece, _ = read_piece(
            path, pixel_grid(crs, rasterio.Affine(size, 0, west, 0, -size, north), (9, 12))
        )
        assert piece.valid.mean() > 0.7
        assert np.isin(piece.data[piece.valid], numbers).all()


@pytest.mark.parametrize("named", [False, True])
def test_a_field_takes_a_named_band_for_data(tmp_path, named):
    path = four_bands(tmp_path / "a.tif", ColorInterp.alpha, named=named)
    chip = RasterField(RasterioReader(str(path))).select(Window(0, 0, 8, 8))
    assert (chip.fill_value_default is None) == named
