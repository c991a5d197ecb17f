"""Which pixels of a file count: the same for every reader, on the file's pixels and on others."""

import numpy as np
import pytest
import rasterio
from georeader.rasterio_reader import RasterioReader
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from rasterio.windows import Window

import geotoolz as gz
from geocatalog import GeoSlice, build_raster_catalog, load_raster
from geopatcher import (
    RasterField,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
)
from geotoolz import CatalogField
from geotoolz.io import read_overview

PLACE = Affine(10, 0, 500_000, 0, -10, 4_300_000)
BOX = (500_000, 4_299_920, 500_080, 4_300_000)
LIMIT = float(np.finfo("float32").max)
GDAL = {
    "uint8": "Byte", "int16": "Int16", "uint16": "UInt16", "int32": "Int32",
    "float32": "Float32", "float64": "Float64",
}  # fmt: skip


def of_one_band(path, values, nodata, mask=None):
    profile = {"driver": "GTiff", "height": 8, "width": 8, "count": 1, "nodata": nodata}
    place = {"crs": "EPSG:32610", "transform": PLACE, "dtype": values.dtype.name}
    inside = rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True)
    with inside, rasterio.open(path, "w", **profile, **place) as file:
        file.write(values[None])
        if mask is not None:
            file.write_mask(mask)
    return str(path)


def side_by_side(folder, values, nodata, dtype):
    """Return a file of several bands, each with a nodata value of its own."""
    bands = ""
    for number, (band, own) in enumerate(zip(values, nodata, strict=True), 1):
        of_one_band(folder / f"{number}.tif", band, own)
        said = "" if own is None else f"<NoDataValue>{own!r}</NoDataValue>"
        bands += (
            f'<VRTRasterBand dataType="{GDAL[dtype]}" band="{number}">{said}<SimpleSource>'
            f'<SourceFilename relativeToVRT="1">{number}.tif</SourceFilename>'
            "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        )
    path = folder / "bands.vrt"
    path.write_text(
        '<VRTDataset rasterXSize="8" rasterYSize="8"><SRS>EPSG:32610</SRS><GeoTransform>'
        f"500000, 10, 0, 4300000, 0, -10</GeoTransform>{bands}</VRTDataset>"
    )
    return str(path)


def clear(raster, every=1):
    """Return a raster's numbers, NaN where it says that they do not count."""
    values, fill = raster.values[..., ::every, ::every], raster.fill_value_default
    found = values.astype(float)
    return found if fill is None else np.where(values == fill, np.nan, found)


def as_read(path):
    """Return the pixels of a file as every reader gives them, by its name."""
    catalog = build_raster_catalog([path])
    fields = {
        "a catalog's Field": CatalogField(next(catalog.iter_rows())),
        "a reader's Field": RasterField(RasterioReader(path)),
    }
    windows = [Window(0, 0, 8, 8), Window(2, 1, 5, 4)]
    found = {
        (name, place.width): (place, field.select(place))
        for name, field in fields.items()
        for place in windows
    }
    found |= {
        "read": (windows[0], gz.read(path)),
        "loaded": (windows[0], load_raster(catalog, GeoSlice(BOX, None, 10, 32610))),
    }
    finer = load_raster(catalog, GeoSlice(BOX, None, 5, 32610))
    return found, clear(finer, 2)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_each_band_has_its_own_holes_in_every_reader(tmp_path_factory, data):
    dtype = data.draw(st.sampled_from(sorted(GDAL)))
    ends = [-LIMIT, 3.4e38, 1e20, np.nan] if dtype.startswith("float") else []
    own = st.sampled_from([None, 0, 5, *ends])
    nodata = data.draw(st.lists(own, min_size=1, max_size=3))
    seed = data.draw(st.integers(0, 9))
    drawn = np.random.default_rng(seed)
    values = drawn.integers(1, 8, (len(nodata), 8, 8)).astype(dtype)
    holes = drawn.random(values.shape) < 0.2
    want = np.where(holes, np.nan, values.astype(float))
    for band, hole, truth, said in zip(values, holes, want, nodata, strict=True):
        truth[hole] = band[hole] if said is None else np.nan
        band[hole] = band[hole] if said is None else said
        if said is not None and said == said:
            truth[band == band.dtype.type(said)] = np.nan
    path = side_by_side(tmp_path_factory.mktemp("bands"), values, nodata, dtype)
    found, finer = as_read(path)
    for name, (place, raster) in found.items():
        np.testing.assert_array_equal(clear(raster), want[:, *place.toslices()], str(name))
    np.testing.assert_array_equal(finer, want)


HIDING = [
    "nodata",
    "mask",
    "alpha",
    "nodata mask",
    "nodata alpha",
    "mask alpha",
    "nodata mask alpha",
]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32"])
@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic", "average"])
@pytest.mark.parametrize("hiding", HIDING)
@pytest.mark.parametrize("count", [1, 3])
def test_what_is_hidden_is_mixed_into_no_pixel(tmp_path, dtype, method, hiding, count):
    """Valid pixels hold 100; a band's own holes, the mask and the alpha band lie elsewhere."""
    path, values = tmp_path / "holes.tif", np.full((count + 1, 32, 32), 100, dtype)
    masked, alpha = np.zeros((2, 32, 32), bool)
    if "mask" in hiding:
        masked[4:9, 3:12] = True
    if "alpha" in hiding:
        alpha[15:22, 20:31] = True
    values[:-1, masked], values[:-1, alpha], values[-1] = 33, 44, np.where(alpha, 0, 255)
    if "nodata" in hiding:
        values[0, 20:25, 2:9] = values[count // 2, 5, 25] = 0
    kept = values if "alpha" in hiding else values[:-1]
    interpreted = "RGB" if count == 3 else "MINISBLACK"
    colours = {"photometric": interpreted, "alpha": "YES"} if "alpha" in hiding else {}
    place = {"crs": "EPSG:32610", "transform": PLACE, "nodata": 0 if "nodata" in hiding else None}
    profile = {"driver": "GTiff", "height": 32, "width": 32, "count": len(kept), "dtype": dtype}
    inside = rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True)
    with inside, rasterio.open(path, "w", **profile, **place, **colours) as file:
        file.write(kept)
        if "mask" in hiding:
            file.write_mask(~masked)
    catalog = build_raster_catalog([str(path)])
    for resolution in (7, 25):
        slice_ = GeoSlice((500_000, 4_299_680, 500_320, 4_300_000), None, resolution, 32610)
        raster = load_raster(catalog, slice_, resampling=method)
        found = clear(raster)
        assert set(np.unique(found[~np.isnan(found)])) == {100}
        if method == "nearest":
            hidden = np.pad(masked | alpha | (values[0] == 0), 1, constant_values=True)
            steps = np.arange(found.shape[-1]) + 0.5
            cols, _ = ~PLACE * (raster.transform * (steps, 0.0))
            _, rows = ~PLACE * (raster.transform * (0.0, steps[: found.shape[-2]]))
            lies = (np.clip(np.floor(at), -1, 32).astype(int) + 1 for at in (rows, cols))
            assert np.array_equal(np.isnan(found[0]), hidden[np.ix_(*lies)])
    thumb = clear(read_overview(path, 14 * 14))
    assert set(np.unique(thumb[~np.isnan(thumb)])) == {100}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("method", ["bilinear", "cubic", "average"])
@pytest.mark.parametrize("beside", ["nothing", "nodata", "mask", "scale"])
def test_nan_that_no_header_declares_spreads_to_no_pixel(tmp_path, dtype, method, beside):
    drawn = np.random.default_rng(3)
    values = drawn.random((2, 40, 40)).astype(dtype)
    other, nan = drawn.random((40, 40)) < 0.02, drawn.random(values.shape) < 0.03
    profile = {"driver": "GTiff", "height": 40, "width": 40, "count": 2, "dtype": dtype}
    place = {"crs": "EPSG:32610", "transform": PLACE}
    corner = (500_000, 4_299_600, 500_400, 4_300_000)
    slices = [GeoSlice(corner, None, size, 32610) for size in (7, 25)]
    made = []
    for declared in (False, True):
        pixels = np.where(nan, np.nan, values).astype(dtype)
        if beside in ("nodata", "mask"):
            pixels[:, other] = np.nan if declared else -9999
        nodata = np.nan if declared else -9999 if beside == "nodata" else None
        path, inside = tmp_path / f"{declared}.tif", rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True)
        with inside, rasterio.open(path, "w", nodata=nodata, **profile, **place) as file:
            file.write(pixels)
            if beside == "mask" and not declared:
                file.write_mask(~other)
            if beside == "scale":
                file.scales = (0.5, 2)
        catalog = build_raster_catalog([str(path)])
        made.append([clear(load_raster(catalog, each, resampling=method)) for each in slices])
    for found, want in zip(*made, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-5)
        assert np.isnan(found).mean() < 0.2


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("hiding", ["mask", "alpha"])
def test_photographs_that_use_every_number_keep_their_holes(tmp_path, dtype, hiding):
    """White moves by one, where nothing else is left to mark what is missing."""
    limits = np.iinfo(dtype)
    drawn = np.random.default_rng(5).permutation(np.arange(3 * 32 * 32) % 256)
    values = (drawn + limits.min).astype(dtype).reshape(3, 32, 32)
    hidden = np.zeros((3, 32, 32), bool)
    hidden[:, 5:12, 20:30] = True
    profile = {"driver": "GTiff", "height": 32, "width": 32, "count": 3, "dtype": dtype}
    place = {"crs": "EPSG:32610", "transform": PLACE}
    path = tmp_path / "photo.tif"
    if hiding == "alpha":
        profile |= {"count": 4, "photometric": "RGB", "alpha": "YES"}
    inside = rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True)
    with inside, rasterio.open(path, "w", **profile, **place) as file:
        file.write(values, [1, 2, 3])
        if hiding == "mask":
            file.write_mask(~hidden[0])
        if hiding == "alpha":
            file.write(np.where(hidden[0], 0, 255).astype(dtype), 4)
    want = values.astype(float)
    want[want == (limits.min or limits.max)] = limits.min + 1 if limits.min else limits.max - 1
    want[hidden] = np.nan
    catalog = build_raster_catalog([str(path)])
    slice_ = GeoSlice((500_000, 4_299_680, 500_320, 4_300_000), None, 10, 32610)
    field = RasterField(RasterioReader(str(path), indexes=[1, 2, 3]))
    for found in (
        gz.read(path),
        load_raster(catalog, slice_),
        field.select(Window(0, 0, 32, 32)),
        CatalogField(next(catalog.iter_rows())).select(Window(0, 0, 32, 32)),
        gz.read(gz.io.write_cog(gz.read(path), tmp_path / "again.tif")),
    ):
        assert found.values.dtype == dtype
        np.testing.assert_array_equal(clear(found), want)


def test_classes_that_use_every_number_are_refused_with_the_way_out(tmp_path):
    values = np.arange(256).reshape(16, 16).astype("uint8")
    path = tmp_path / "classes.tif"
    profile = {"driver": "GTiff", "height": 16, "width": 16, "count": 2, "dtype": "uint8"}
    with rasterio.open(path, "w", crs="EPSG:32610", transform=PLACE, **profile) as file:
        file.write(np.stack([values, values[::-1]]))
        file.write_mask(values > 3)
        file.descriptions = ("B04", "SCL")
    with pytest.raises(ValueError, match=r"no number of uint8.*apart.*what-a-pixel-means"):
        gz.read(path)


@pytest.mark.parametrize("hiding", ["nothing", "nodata", "mask"])
def test_pairs_of_short_integers_are_complex_numbers_to_every_reader(tmp_path, hiding):
    drawn = np.random.default_rng(1).integers(1, 90, (2, 2, 8, 8))
    values = (drawn[0] + 1j * drawn[1]).astype("complex64")
    values[:, 5:, :3] = 4j  # of which the real part is like the nodata value
    hidden = np.zeros((8, 8), bool)
    hidden[2:4, 1] = hiding != "nothing"
    profile = {"driver": "GTiff", "height": 8, "width": 8, "count": 2, "dtype": "complex_int16"}
    place = {"crs": "EPSG:32610", "transform": PLACE, "nodata": 0 if hiding == "nodata" else None}
    path = str(tmp_path / "slc.tif")
    with rasterio.open(path, "w", **profile, **place) as file:
        file.write(np.where(hidden & (hiding == "nodata"), 0, values).astype("complex64"))
        if hiding == "mask":
            file.write_mask(~hidden)
    catalog = build_raster_catalog([path])
    field = RasterField(RasterioReader(path))
    finer = load_raster(catalog, GeoSlice(BOX, None, 5, 32610))
    for found in (
        gz.read(path),
        load_raster(catalog, GeoSlice(BOX, None, 10, 32610)),
        field.select(Window(0, 0, 8, 8)),
        field.with_data(values).select(Window(0, 0, 8, 8)),
        CatalogField(next(catalog.iter_rows())).select(Window(0, 0, 8, 8)),
        finer,
    ):
        pixels = found.values[:, ::2, ::2] if found is finer else found.values
        assert pixels.dtype == "complex64"
        assert np.array_equal(pixels[:, ~hidden], values[:, ~hidden])
    assert catalog.gdf.dtype.tolist() == ["complex64"]


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["uint8", "int8", "uint16", "int16"]),
    st.integers(0, 9),
    st.sampled_from([None, 0]),
)
def test_one_number_marks_what_is_missing_in_every_window(tmp_path_factory, dtype, seed, nodata):
    """Valid pixels hold the number that windows would take first, and the declared one."""
    drawn, limits = np.random.default_rng(seed), np.iinfo(dtype)
    values = drawn.choice([limits.min, limits.max, 0, 1, 2, 3], (8, 8)).astype(dtype)
    shown = drawn.random((8, 8)) < 0.7
    if nodata is not None:
        values[(values == nodata) & shown] = 1
    want = np.where(shown, values.astype(float), np.nan)[None]
    folder = tmp_path_factory.mktemp("marks")
    path = of_one_band(folder / "a.tif", values, nodata, shown)
    aggregation = SpatialOverlapAdd(dtype=dtype)
    patcher = SpatialPatcher(
        SpatialRectangular(4), SpatialRegularStride(2), aggregation=aggregation
    )
    for field in (
        CatalogField(next(build_raster_catalog([path]).iter_rows())),
        RasterField(RasterioReader(path)),
    ):
        assert len({patch.data.fill_value_default for patch in patcher.split(field)}) == 1
        merged = patcher.merge(patcher.split(field), field)
        np.testing.assert_array_equal(clear(merged), want)


@pytest.mark.parametrize("first", [0, 1])
def test_files_of_one_field_keep_their_own_nodata(tmp_path, first):
    """0 marks what is missing in one file and is a class in the other, and so is 9."""
    values = np.arange(128, dtype="uint8").reshape(2, 8, 8) % 10
    paths = [of_one_band(tmp_path / f"{n}.tif", values[n], n * 9) for n in (0, 1)]
    want = np.stack([np.where(values[n] == n * 9, np.nan, values[n]) for n in (0, 1)])
    order = [first, 1 - first]
    with pytest.warns(UserWarning, match="Different nodata"):
        field = RasterField(RasterioReader([paths[n] for n in order]))
    for place in (Window(0, 0, 8, 8), Window(3, 2, 4, 5), Window(0, 0, 8, 8)):
        found = clear(field.select(place))
        np.testing.assert_array_equal(found.squeeze(), want[order][:, *place.toslices()])


@pytest.mark.parametrize("indexes", [[4], [1, 4], [3, 2, 4, 1], None])
@pytest.mark.parametrize("named", [False, True])
def test_near_infrared_in_the_colour_of_alpha_is_data_for_who_asks_for_it(tmp_path, indexes, named):
    path, values = tmp_path / "four.tif", np.full((4, 8, 8), 7, "uint8")
    values[3, :3] = 0  # water
    profile = {"driver": "GTiff", "height": 8, "width": 8, "count": 4, "dtype": "uint8"}
    colours = {"photometric": "RGB", "alpha": "YES"}
    with rasterio.open(path, "w", **profile, crs="EPSG:32610", transform=PLACE, **colours) as file:
        file.write(values)
        if named:
            file.set_band_description(4, "nir")
    chip = RasterField(RasterioReader(str(path), indexes=indexes)).select(Window(0, 0, 8, 8))
    hidden = np.isnan(clear(chip)).any(axis=0)
    assert hidden[:3].all() == (indexes is None and not named)
    assert not hidden[3:].any()


def test_bands_of_other_dtypes_are_read_as_one_that_holds_them(tmp_path):
    """As `gdalbuildvrt -separate` puts reflectance beside the classes of a scene."""
    values = {"uint8": 200, "int16": -300, "float32": 1.5}
    bands = ""
    for number, (dtype, value) in enumerate(values.items(), 1):
        of_one_band(tmp_path / f"{number}.tif", np.full((8, 8), value, dtype), None)
        bands += (
            f'<VRTRasterBand dataType="{GDAL[dtype]}" band="{number}"><SimpleSource>'
            f'<SourceFilename relativeToVRT="1">{number}.tif</SourceFilename>'
            "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        )
    path = tmp_path / "bands.vrt"
    path.write_text(
        '<VRTDataset rasterXSize="8" rasterYSize="8"><SRS>EPSG:32610</SRS><GeoTransform>'
        f"500000, 10, 0, 4300000, 0, -10</GeoTransform>{bands}</VRTDataset>"
    )
    found, finer = as_read(str(path))
    assert np.unique(finer, axis=-1).ravel()[:: finer.shape[1]].tolist() == [200, -300, 1.5]
    for name, (_, raster) in found.items():
        assert raster.values[:, 0, 0].tolist() == [200, -300, 1.5], name
        assert raster.values.dtype == "float32", name


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_masked_identifiers_are_written_with_their_holes(tmp_path, dtype):
    values = np.arange(64).astype(dtype).reshape(8, 8)
    path = of_one_band(tmp_path / "ids.tif", values, None, mask=values != 9)
    raster = gz.read(gz.io.write_cog(gz.read(path), tmp_path / "cog.tif"))
    assert raster.values.dtype == dtype
    assert np.array_equal(clear(raster)[0], np.where(values == 9, np.nan, values), equal_nan=True)
