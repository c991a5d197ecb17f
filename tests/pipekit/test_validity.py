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
def test_what_is_hidden_is_mixed_into_no_pixel(tmp_path, dtype, method, hiding):
    """Valid pixels hold 100; a band's own holes, the mask and the alpha band lie elsewhere."""
    path, values = tmp_path / "holes.tif", np.full((4, 32, 32), 100, dtype)
    masked, alpha = np.zeros((2, 32, 32), bool)
    if "mask" in hiding:
        masked[4:9, 3:12] = True
    if "alpha" in hiding:
        if dtype not in ("uint8", "uint16"):
            pytest.skip("GDAL takes no band of this type for alpha")
        alpha[15:22, 20:31] = True
    values[:3, masked], values[:3, alpha], values[3] = 33, 44, np.where(alpha, 0, 255)
    if "nodata" in hiding:
        values[0, 20:25, 2:9] = values[1, 5, 25] = 0
    kept = values if "alpha" in hiding else values[:3]
    colours = {"photometric": "RGB", "alpha": "YES"} if "alpha" in hiding else {}
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
        found = clear(load_raster(catalog, slice_, resampling=method))
        assert set(np.unique(found[~np.isnan(found)])) == {100}
        assert resolution == 25 or np.isnan(found[0]).any()
    thumb = clear(read_overview(path, 14 * 14))
    assert set(np.unique(thumb[~np.isnan(thumb)])) == {100}


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
