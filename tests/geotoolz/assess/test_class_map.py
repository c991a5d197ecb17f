import numpy as np
import pytest
import xarray as xr
from georeader.geotensor import GeoTensor
from hypothesis import given
from hypothesis import strategies as st
from rasterio import Affine

from geopatcher import (
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
    XarrayField,
    map_patches,
)
from geotoolz import write_cog
from geotoolz.assess import ClassMap, confusion, count_classes, sample_design

PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)
DTYPES = ["uint8", ">u2", "int16", "int32", "uint32", "int64", "float32", ">f8"]


def kinds(values, nodata, tmp_path):
    """The same classes in everything that may hold them."""
    tile = GeoTensor(values, PLACE, "EPSG:32632", nodata)
    hidden = np.ma.MaskedArray(
        values, np.zeros(values.shape, bool) if nodata is None else values == nodata
    )
    lone = np.array(values.astype("float64"))
    if nodata is not None:
        lone[values == nodata] = np.nan
    return {
        "tensor": tile,
        "with a band": tile.array_as_geotensor(values[None]),
        "masked": hidden,
        "floats": lone,
        "labelled": XarrayField(
            xr.DataArray(
                values, dims=("y", "x"), attrs={} if nodata is None else {"nodata": nodata}
            )
        ),
        "file": write_cog(tile, tmp_path / "map.tif"),
        "name": str(tmp_path / "map.tif"),
    }


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32"])
@pytest.mark.parametrize("nodata", [None, 0, 7])
def test_one_count_whatever_holds_the_map(dtype, nodata, tmp_path):
    values = np.random.default_rng(3).integers(0, 9, (70, 41)).astype(dtype)
    labels, counts = np.unique(values[values != nodata], return_counts=True)
    expected = dict(zip(labels.tolist(), counts.tolist(), strict=True))
    for name, source in kinds(values, nodata, tmp_path).items():
        assert count_classes(source).to_dict() == expected, name


@given(
    st.sampled_from(DTYPES),
    st.integers(1, 40),
    st.integers(1, 9),
    st.integers(1, 50),
    st.sampled_from([None, 1, 99]),
)
def test_blocks_of_any_height_are_the_map(dtype, height, width, rows, nodata):
    rng = np.random.default_rng(height * width)
    values = rng.integers(0, 120, (height, width)).astype(dtype)
    source = ClassMap(values, nodata, block_rows=rows)
    blocks = list(source.blocks())
    assert [row for row, *_ in blocks] == list(range(0, height, rows))
    valid = np.concatenate(
        [np.ones(each.shape, bool) if known is None else known for _, each, known in blocks]
    )
    assert np.array_equal(valid, values != nodata)
    read = np.concatenate([each for _, each, _ in blocks])
    assert np.array_equal(read[valid], values[valid])


def test_wide_numbers_are_told_apart():
    ids = np.array([[2**40, 2**40 + 1, -5], [2**40, 3, -5]])
    assert count_classes(ids).to_dict() == {-5: 2, 3: 1, 2**40: 2, 2**40 + 1: 1}


def test_booleans_are_two_classes_and_zero_counts():
    burnt = GeoTensor(np.array([[True, False, False]]), PLACE, "EPSG:32632")
    assert count_classes(burnt).to_dict() == {0: 2, 1: 1}
    assert count_classes(np.zeros((2, 2), "uint8")).to_dict() == {0: 4}


def test_a_map_of_quantities_or_several_bands_is_refused():
    with pytest.raises(TypeError, match=r"whole numbers, got 0\.5"):
        count_classes(np.array([[0.5, 1.0]]))
    with pytest.raises(ValueError, match="one band"):
        count_classes(np.zeros((2, 3, 3), "uint8"))
    with pytest.raises(ValueError, match="block_rows"):
        ClassMap(np.zeros((3, 3), "uint8"), block_rows=-1)


def test_a_mask_of_a_file_hides_classes(tmp_path):
    import rasterio

    path = tmp_path / "masked.tif"
    values = np.arange(12, dtype="uint8").reshape(3, 4) % 3
    profile = {"driver": "GTiff", "height": 3, "width": 4, "count": 1, "dtype": "uint8"}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **profile, crs="EPSG:32632", transform=PLACE) as file,
    ):
        file.write(values, 1)
        file.write_mask(values != 2)
    assert count_classes(path).to_dict() == {0: 4, 1: 4}


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")  # GDAL's, of the store
@pytest.mark.parametrize("nodata", [None, 0])
def test_what_a_run_wrote_into_a_zarr_store_is_a_map_and_its_path_says_how(nodata, tmp_path):
    classes = np.random.default_rng(0).integers(0, 4, (96, 80)).astype("uint8")
    tile = GeoTensor(classes, PLACE, "EPSG:32632", nodata)
    patcher = SpatialPatcher(SpatialRectangular(32, boundary="shrink"), SpatialRegularStride(32))
    done = map_patches(
        patcher, tile, lambda chip: chip, target=tmp_path / "map.zarr", progress=False
    )
    assert count_classes(done).to_dict() == count_classes(tile).to_dict()
    assert sample_design(done, 20).equals(sample_design(tile, 20))
    with pytest.raises(ValueError, match="no band of its own"):
        count_classes(tmp_path / "map.zarr")


@pytest.mark.parametrize("design", ["stratified", "random", "systematic", "cluster"])
def test_one_class_left_because_the_other_is_nodata_is_told(design, tmp_path):
    burnt = np.random.default_rng(0).integers(0, 2, (30, 30)).astype("uint8")
    options = {"size": 9, "design": design} | ({"cluster": 2} if design == "cluster" else {})
    tile = GeoTensor(burnt, PLACE, "EPSG:32632", 0)
    for mapped in (tile, write_cog(tile, tmp_path / f"{design}.tif")):
        with pytest.warns(UserWarning, match="nodata, 0, which is left out, are 1"):
            sample_design(mapped, **options)
        with pytest.warns(UserWarning, match="where nodata is a class of its own"):
            confusion(mapped, 1 - burnt)
    open_map = GeoTensor(burnt, PLACE, "EPSG:32632", None)
    sample_design(open_map, **options)  # a warning would fail here
    sample_design(burnt, **options, nodata=0)
    assert confusion(open_map, 1 - burnt).overall == 0
