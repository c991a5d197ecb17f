"""Rasters in memory and in files: windows, bytes read, threads, pickling."""

import pickle
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from counters import bytes_read
from georeader.rasterio_reader import RasterioReader
from rasterio import Affine
from rasterio.windows import Window

import geotoolz as gz
from geopatcher import (
    Cells,
    PatchError,
    RasterField,
    SpatialBoxcar,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
    map_patches,
)
from pipekit.pixels import band_roles

TRANSFORM = Affine(10, 0, 500_000, 0, -10, 4_100_000)


def write(path, values, block=128, **options):
    """Write an uncompressed tiled GeoTIFF, so that bytes on disk are bytes of pixels."""
    count, height, width = values.shape
    profile = {
        "driver": "GTiff", "count": count, "height": height, "width": width,
        "dtype": values.dtype.name, "crs": "EPSG:32610", "transform": TRANSFORM,
        "tiled": True, "blockxsize": block, "blockysize": block, **options,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as target:
        target.write(values)
    return str(path)


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).integers(0, 9999, (2, 512, 384)).astype("uint16")


@pytest.fixture(scope="module")
def path(tmp_path_factory, values):
    return write(tmp_path_factory.mktemp("raster") / "scene.tif", values)


@pytest.mark.parametrize("size", [128, 64, 96, (512, 32)])
def test_chips_that_do_not_overlap_read_each_byte_once(size, path, values):
    field = RasterField(RasterioReader(path))
    patcher = SpatialPatcher(
        SpatialRectangular(size, boundary="shrink"), SpatialRegularStride(size), SpatialBoxcar()
    )
    chips = []
    read = bytes_read(lambda: chips.extend(patcher.split(field)))
    total = values.nbytes
    assert sum(np.asarray(chip.data).nbytes for chip in chips) == total
    # The file's directory, PROJ's and Python's own files come on top: some tens of KB.
    assert total <= read < total + 100_000
    for chip in chips:
        row, col = chip.anchor
        expected = values[:, row : row + chip.indices.height, col : col + chip.indices.width]
        np.testing.assert_array_equal(chip.data.values, expected)


def test_one_chip_reads_its_blocks_only(path):
    field = RasterField(RasterioReader(path))
    field.select(Window(0, 0, 8, 8))
    read = bytes_read(lambda: field.select(Window(130, 130, 100, 100)))
    block = 128 * 128 * 2 * 2
    assert block <= read < block + 5_000


def test_a_file_is_opened_once(path, monkeypatch):
    opened = []
    real = rasterio.open
    monkeypatch.setattr(rasterio, "open", lambda *a, **k: opened.append(a) or real(*a, **k))
    reader = RasterioReader(path)
    field = RasterField(reader)
    before = len(opened)
    for col in range(0, 300, 30):
        field.select(Window(col, 0, 30, 30))
    assert len(opened) - before == 1


def test_a_window_is_the_readers_own(path, values):
    reader = RasterioReader(path)
    window = Window(37, 101, 64, 50)
    chip = RasterField(reader).select(window)
    own = reader.read_from_window(window, boundless=False).load()
    np.testing.assert_array_equal(chip.values, own.values)
    assert chip.transform == own.transform
    # The file declares no nodata, so none is said; the reader says 0.
    assert (chip.crs, chip.fill_value_default, own.fill_value_default) == (own.crs, None, 0)


@pytest.mark.parametrize("bands", [[2], [2, 1]])
def test_chosen_bands_and_a_focus_are_kept(bands, path, values):
    reader = RasterioReader(path, indexes=bands, window_focus=Window(40, 100, 200, 150))
    field = RasterField(reader)
    assert field.domain.shape == (len(bands), 150, 200)
    chip = field.select(Window(10, 20, 30, 40))
    expected = values[[b - 1 for b in bands], 120:160, 50:80]
    np.testing.assert_array_equal(chip.values, expected)
    assert chip.transform * (0, 0) == TRANSFORM * (50, 120)


@pytest.mark.parametrize("stack", [True, False])
def test_several_files_are_stacked_as_the_reader_does(stack, path, tmp_path, values):
    other = write(tmp_path / "later.tif", values + 1)
    reader = RasterioReader([path, other], stack=stack)
    chip = RasterField(reader).select(Window(5, 6, 7, 8))
    part = values[:, 6:14, 5:12]
    expected = np.stack([part, part + 1]) if stack else np.concatenate([part, part + 1])
    np.testing.assert_array_equal(chip.values, expected)


def test_a_focus_beyond_the_file_is_filled_as_the_reader_fills_it(path, values):
    reader = RasterioReader(path, window_focus=Window(-16, -16, 64, 64), fill_value_default=7)
    patcher = SpatialPatcher(SpatialRectangular(40, boundary="shift"), SpatialRegularStride(40))
    merged = patcher.merge(patcher.split(reader), reader)
    whole = reader.load().values
    np.testing.assert_array_equal(merged.values, np.where(whole == 7, np.nan, whole))
    assert np.isnan(merged.values[:, :16]).all()
    inside = values[:, :48, :48]
    np.testing.assert_array_equal(merged.values[:, 16:, 16:], np.where(inside == 7, np.nan, inside))


def test_overviews_are_read_when_the_reader_asks_for_one(tmp_path, values):
    path = write(tmp_path / "pyramid.tif", values)
    with rasterio.open(path, "r+") as target:
        target.build_overviews([2], rasterio.enums.Resampling.nearest)
    reader = RasterioReader(path, overview_level=0)
    field = RasterField(reader)
    assert field.domain.shape == (2, 256, 192)
    chip = field.select(Window(10, 20, 30, 40))
    np.testing.assert_array_equal(chip.values, reader.load().values[:, 20:60, 10:40])


def test_threads_read_side_by_side_what_one_reads_alone(path, values):
    field = RasterField(RasterioReader(path))
    windows = [Window(col, row, 48, 32) for row in range(0, 480, 32) for col in range(0, 336, 48)]
    with ThreadPoolExecutor(4) as pool:
        chips = list(pool.map(field.select, windows))
    for window, chip in zip(windows, chips, strict=True):
        row, col = window.row_off, window.col_off
        np.testing.assert_array_equal(chip.values, values[:, row : row + 32, col : col + 48])


def test_a_field_pickles_with_files_open(path):
    field = RasterField(RasterioReader(path))
    first = field.select(Window(0, 0, 8, 8))
    again = pickle.loads(pickle.dumps(field))
    np.testing.assert_array_equal(again.select(Window(0, 0, 8, 8)).values, first.values)
    assert again.domain == field.domain


def test_a_file_that_vanished_is_told(tmp_path, values):
    path = write(tmp_path / "gone.tif", values[:, :128, :128])
    field = RasterField(RasterioReader(path))
    Path(path).unlink()
    with pytest.raises(OSError, match=r"gone\.tif"):
        field.select(Window(0, 0, 8, 8))


def test_cells_are_picked_from_memory_and_files_alike(path, values):
    cells = Cells(rows=np.array([3, 200, 511]), cols=np.array([383, 0, 7]))
    expected = values[:, cells.rows, cells.cols]
    reader = RasterioReader(path)
    np.testing.assert_array_equal(RasterField(reader).select(cells), expected)
    np.testing.assert_array_equal(RasterField(reader.load()).select(cells), expected)


def test_new_values_live_on_the_same_grid(path, values):
    field = RasterField(RasterioReader(path))
    made = field.with_data(np.ones((512, 384), "float32"))
    assert made.domain.shape == (512, 384)
    assert made.domain.transform == field.domain.transform
    with pytest.raises(PatchError, match=r"\(512, 383\) do not end in the domain's \(512, 384\)"):
        field.with_data(np.ones((512, 383)))


def test_a_real_scene_is_split_and_put_back(shared_data):
    folder = shared_data / "archive/sentinel-2-l2a/S2_T32TPS_20220612T000000_SAMPLE"
    bands = sorted(folder.glob("*B0[48]*.tif"))
    reader = RasterioReader([str(band) for band in bands], stack=False)
    patcher = SpatialPatcher(SpatialRectangular(256, boundary="shift"), SpatialRegularStride(192))
    scene = reader.load()
    merged = patcher.merge(patcher.stream(reader), reader)
    assert merged.shape == (2, 705, 935)
    expected = np.where(scene.values == reader.nodata, np.nan, scene.values)
    np.testing.assert_allclose(merged.values, expected, rtol=1e-6)


PICKLED = """
    import pickle, sys
    import numpy as np
    from georeader.geotensor import GeoTensor
    from rasterio import Affine
    from geopatcher import RasterField, SpatialPatcher, SpatialRectangular, SpatialRegularStride

    assert "geotoolz" not in sys.modules
    place = Affine(10, 0, 500_000, 0, -10, 4_100_000)
    scene = GeoTensor(np.ones((2, 40, 40)), place, "EPSG:32610", 7, {"band_names": ["a", "b"]})
    patcher = SpatialPatcher(SpatialRectangular(16), SpatialRegularStride(8))
    stream = patcher.stream(scene)
    for made in (stream, stream.map(np.negative), stream[1], RasterField(scene)):
        again = pickle.loads(pickle.dumps(made))
        data = again.data if hasattr(again, "data") else getattr(again, "reader", None)
        data = again[1].data if data is None else data
        assert (data.crs, data.fill_value_default) == ("EPSG:32610", 7), made
        assert data.attrs == {"band_names": ["a", "b"]}
    assert len(pickle.dumps(RasterField(scene))) < 1.2 * scene.nbytes
"""


def test_chips_streams_and_scenes_in_memory_pickle_with_their_place():
    subprocess.run([sys.executable, "-c", textwrap.dedent(PICKLED)], check=True)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32", "float64"])
@pytest.mark.parametrize("nodata", [None, 0])
@pytest.mark.parametrize("masked", [False, True])
def test_scale_and_offset_are_applied_as_by_every_reader(tmp_path, dtype, nodata, masked):
    values = np.random.default_rng(1).integers(0, 9, (2, 40, 30)).astype(dtype)
    path = write(tmp_path / "scaled.tif", values, 16, nodata=nodata)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.5, 1.0), (-3.0, 0.0)
        file.set_band_description(2, "SCL")
        if masked:
            mask = np.ones((40, 30), bool)
            mask[:5] = False
            with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
                file.write_mask(mask)
    made = RasterField(RasterioReader(path))
    whole = gz.read(path)
    for field in (made, pickle.loads(pickle.dumps(made))):
        chip = field.select(Window(3, 2, 9, 11))
        np.testing.assert_array_equal(chip.values, whole.values[:, 2:13, 3:12])
        assert chip.dtype == whole.dtype
        assert np.isnan(chip.fill_value_default)
        cells = field.select(Cells(rows=np.array([0, 1, 23]), cols=np.array([3, 10, 10])))
        np.testing.assert_array_equal(
            np.ma.filled(cells, np.nan), whole.values[:, [0, 1, 23], [3, 10, 10]]
        )
    assert np.isnan(field.with_data(whole.values).reader.fill_value_default)
    stored = RasterField(RasterioReader(path), scaled=False)
    assert pickle.loads(pickle.dumps(stored)).scaled is False
    chip = stored.select(Window(3, 10, 9, 11))
    assert chip.dtype == dtype
    np.testing.assert_array_equal(chip.values, gz.read(path, scaled=False).values[:, 10:21, 3:12])


def test_files_of_one_field_are_all_scaled_or_none(tmp_path):
    paths = [write(tmp_path / f"{name}.tif", np.ones((1, 8, 8), "int16"), 16) for name in "ab"]
    with rasterio.open(paths[1], "r+") as file:
        file.scales = (0.1,)
    with pytest.raises(PatchError, match=r"b\.tif has a scale.*scaled=False"):
        RasterField(RasterioReader(paths)).select(Window(0, 0, 4, 4))
    both = RasterField(RasterioReader(paths[::-1])).select(Window(0, 0, 4, 4))
    assert both.values[:, 0, 0, 0].tolist() == [np.float32(0.1), 1]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("nodata", [None, 3])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("scale", [None, 0.5])
def test_beyond_its_file_a_reader_has_no_data(tmp_path, dtype, nodata, masked, scale):
    """Scaled, masked and stacked as inside; every window marks what is missing by one number."""
    values = np.random.default_rng(1).integers(0, 9, (2, 12, 10)).astype(dtype)
    valid = values != (99 if nodata is None else nodata)
    paths = []
    for height in (12, 9):
        path = write(tmp_path / f"{height}.tif", values[:, :height], 16, nodata=nodata)
        with rasterio.open(path, "r+") as file, rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
            if scale:
                file.scales = (scale, scale)
            if masked:
                file.write_mask(np.arange(height * 10).reshape(height, 10) > 4)
        paths.append(path)
    if masked:
        valid[:, 0, :5] = False
    with pytest.warns(UserWarning, match="Different shape"):
        reader = RasterioReader(
            paths, allow_different_shape=True, window_focus=Window(-3, -2, 20, 40)
        )
    field = RasterField(reader)
    counts = np.pad(valid, ((0, 0), (2, 26), (3, 7)))
    pixels = np.pad(values, ((0, 0), (2, 26), (3, 7))).astype("float64") * (scale or 1)
    expected = np.stack([pixels, pixels])
    expected[~np.stack([counts, counts])] = np.nan
    expected[1, :, 11:] = np.nan
    marks = set()
    windows = [
        (0, 0, 20, 40),
        (0, 0, 6, 5),
        (5, 5, 4, 4),
        (2, 9, 9, 9),
        (0, 30, 4, 4),
        (15, 0, 3, 3),
    ]
    for col, row, width, height in windows:
        chip = field.select(Window(col, row, width, height))
        assert chip.dtype == ("float32" if scale else dtype)
        missing = np.isnan(chip.values.astype("float64"))
        if chip.fill_value_default is not None:
            missing |= chip.values == chip.fill_value_default
        got = np.where(missing, np.nan, chip.values)
        np.testing.assert_array_equal(got, expected[..., row : row + height, col : col + width])
        marks |= {chip.fill_value_default} if missing.any() and dtype != "float32" else set()
        assert chip.transform * (0, 0) == TRANSFORM * (col - 3, row - 2)
    assert scale or len(marks) == (dtype != "float32")
    cells = field.select(Cells(rows=np.array([0, 3]), cols=np.array([0, 4])))
    assert np.ma.getmaskarray(cells)[..., 0].all() or np.isnan(np.ma.getdata(cells)[..., 0]).all()


@pytest.mark.parametrize("what", ["mask", "nodata", "scale"])
def test_what_lies_beside_a_file_counts_as_what_lies_within(tmp_path, values, what):
    path = write(tmp_path / "scene.tif", values[:, :32, :32], 16)
    if what == "mask":
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as file:
            file.write_mask(np.arange(1024).reshape(32, 32) > 99)
    else:
        entry = "<NoDataValue>{}</NoDataValue>" if what == "nodata" else "<Scale>{}</Scale>"
        number = values[0, 0, 0] if what == "nodata" else 0.5
        band = f'<PAMRasterBand band="1">{entry.format(number)}</PAMRasterBand>'
        (tmp_path / "scene.tif.aux.xml").write_text(
            f"<PAMDataset>{band}{band.replace('1', '2', 1)}</PAMDataset>"
        )
    chip, whole = RasterField(RasterioReader(path)).select(Window(0, 0, 32, 32)), gz.read(path)
    counts = [
        np.ma.filled(np.ma.masked_equal(each.values.astype(float), each.fill_value_default), np.nan)
        for each in (chip, whole)
    ]
    np.testing.assert_array_equal(*counts)
    assert what == "scale" or np.isnan(counts[0]).any()


def test_a_focus_that_ends_within_pixels_is_refused(path):
    with pytest.raises(PatchError, match=r"within pixels.*round_offsets"):
        RasterField(RasterioReader(path, window_focus=Window(0.5, 0, 10, 10)))


def named(path, *names, seed=0):
    values = np.random.default_rng(seed).integers(1, 99, (len(names), 40, 50)).astype("uint16")
    write(path, values, block=16)
    with rasterio.open(path, "r+") as file:
        file.descriptions = names
    return str(path)


def test_bands_of_a_file_keep_their_names(tmp_path):
    """Operators ask for them; only `geotoolz.read` and rasters in memory said them before."""
    path = named(tmp_path / "a.tif", "B04", None, "B08")
    window = Window(3, 4, 10, 10)

    def names(*args, **options):
        return RasterField(RasterioReader(*args, **options)).select(window).attrs.get("band_names")

    assert names(path) == gz.read(path).attrs["band_names"] == ["B04", "band_1", "B08"]
    assert names(path, indexes=[3, 1]) == ["B08", "B04"]
    assert names([path, path]) == ["B04", "band_1", "B08"], "of two dates, one above the other"
    other = named(tmp_path / "b.tif", "B02", "B03", "SCL")
    assert names([path, other], stack=False) == ["B04", "band_1", "B08", "B02", "B03", "SCL"]
    assert names([path, other]) is None, "of dates that differ nobody knows"
    assert names([path, path], stack=False) is None, "twice the same tells no band apart"
    assert names(named(tmp_path / "c.tif", None, None)) is None
    reader = RasterioReader(path)
    reader.attrs["band_names"] = ["own", "names", "count"]
    assert RasterField(reader).select(window).attrs["band_names"] == ["own", "names", "count"]


def test_a_run_over_a_file_is_that_over_its_raster(tmp_path):
    path = named(tmp_path / "a.tif", "B04", "SCL", "B08")
    patcher = SpatialPatcher(SpatialRectangular(16, "shrink"), SpatialRegularStride(16))
    for op in (gz.NDVI("B04", "B08"), gz.AppendIndex(gz.NDVI("B04", "B08")), gz.ToFloat32()):
        whole = op(gz.read(path))
        made = map_patches(patcher, RasterioReader(path), op, progress=False)
        np.testing.assert_allclose(made.values, whole.values, rtol=1e-6)
        for said in ("band_names", "long_name"):
            assert made.attrs.get(said) == whole.attrs.get(said)
        assert band_roles(made) == band_roles(whole)
