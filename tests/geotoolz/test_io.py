import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from rio_cogeo.cogeo import cog_validate

import geotoolz as gz
from geopatcher import (
    SpatialHann,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
    map_patches,
)
from geotoolz import io
from geotoolz.io import read, read_overview, write_cog
from geotoolz.warp import pixels_within
from pipekit.legend import classes_of
from pipekit.pixels import band_roles

GRID = Affine(10, 0, 500_000, 0, -10, 5_000_000)


def raster(dtype="float32", shape=(2, 700, 900), fill=np.nan, **attrs):
    values = np.random.default_rng(0).integers(1, 200, shape).astype(dtype)
    return GeoTensor(values, GRID, "EPSG:32632", fill, attrs)


@pytest.mark.parametrize("shape", [(1, 64, 64), (3, 700, 900), (1300, 40)])
@pytest.mark.parametrize(
    "dtype", ["uint8", "uint16", "int16", "float32", "float64", "bool", "float16"]
)
def test_what_is_written_is_a_valid_cog_and_is_read_back(tmp_path, shape, dtype):
    given = raster(dtype, shape, fill=None if dtype == "bool" else 0)
    path = write_cog(given, tmp_path / "a.tif")
    valid, errors, warnings = cog_validate(path, strict=True)
    assert (valid, errors, warnings) == (True, [], [])
    back = read(path)
    assert np.array_equal(back.values.reshape(shape), given.values)
    assert (back.transform, back.crs) == (GRID, "EPSG:32632")
    assert os.listdir(tmp_path) == ["a.tif"]


def test_large_rasters_have_overviews(tmp_path):
    path = write_cog(raster(shape=(1, 1500, 1200)), tmp_path / "a.tif")
    with rasterio.open(path) as file:
        assert file.overviews(1) == [2, 4]
        assert file.block_shapes == [(512, 512)]


def test_classes_are_not_averaged_in_overviews(tmp_path):
    classes = raster("uint8", (1024, 1024), fill=0)
    classes.values[:] = np.indices((1024, 1024)).sum(0) % 2 * 10 + 4
    with rasterio.open(write_cog(classes, tmp_path / "a.tif"), overview_level=0) as file:
        assert set(np.unique(file.read(1))) <= {4, 14}


@pytest.mark.parametrize("fill", [0, 65535, None])
def test_nodata_is_kept(tmp_path, fill):
    back = read(write_cog(raster("uint16", fill=fill), tmp_path / "a.tif"))
    assert back.fill_value_default == fill


def test_floats_without_a_fill_value_have_nan(tmp_path):
    assert np.isnan(read(write_cog(raster(fill=None), tmp_path / "a.tif")).fill_value_default)
    assert read(write_cog(raster(fill=-9999.0), tmp_path / "b.tif")).fill_value_default == -9999


def test_band_names_attributes_and_provenance_come_back(tmp_path):
    attrs = {
        "band_names": ["B04", "B08"], "item_id": "S2A_MSIL2A", "processing_baseline": "05.10",
        "cloud_cover": 1.5, "offset_applied": True, "provenance": {"hash": "ab12", "steps": ["NDVI"]},
    }  # fmt: skip
    path = write_cog(raster(**attrs), tmp_path / "a.tif", tags={"author": "me"})
    assert read(path).attrs == {**attrs, "author": "me"}
    with rasterio.open(path) as file:
        assert file.descriptions == ("B04", "B08")
        assert '"hash": "ab12"' in file.tags()["provenance"]


@settings(max_examples=60)
@given(
    st.one_of(
        st.text(max_size=20),
        st.integers(),
        st.floats(allow_nan=False),
        st.booleans(),
        st.lists(st.integers()),
    )
)
def test_any_attribute_survives_as_a_tag(value):
    assert io._decoded(io._encoded(value)) == value


def test_what_numpy_holds_comes_back_as_what_it_means(tmp_path):
    held = {"offset_applied": np.False_, "scene": np.int64(5), "weights": np.float32([0.5, 1])}
    back = read(write_cog(raster(**held), tmp_path / "a.tif")).attrs
    assert back["offset_applied"] is False
    assert (back["scene"], back["weights"]) == (5, [0.5, 1])
    scene = raster(
        "uint16", (1, 8, 8), fill=0, offset_applied=np.False_, processing_baseline="05.10"
    )
    scene.values[:] = 3000
    through_file = gz.HarmonizeBaseline()(read(write_cog(scene, tmp_path / "scene.tif")))
    assert (through_file.values == 2000).all()


def test_the_provenance_of_a_pipeline_is_in_the_file(tmp_path):
    from pipekit import Provenance

    given = raster("uint16", (2, 32, 32), fill=0)
    result = Provenance(gz.DNToReflectance() | gz.NDVI(0, 1))(given)
    back = read(write_cog(result, tmp_path / "ndvi.tif"))
    expected = (gz.DNToReflectance() | gz.NDVI(0, 1)).config_hash
    assert expected in str(back.attrs["provenance"])
    assert back.attrs["band_names"] == ["NDVI"]


# --- safety -------------------------------------------------------------------------------------


def test_an_existing_file_is_only_replaced_on_request(tmp_path):
    path = write_cog(raster(shape=(1, 8, 8)), tmp_path / "a.tif")
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="give overwrite=True to replace it"):
        write_cog(raster(shape=(1, 16, 16)), path)
    assert path.read_bytes() == before
    write_cog(raster(shape=(1, 16, 16)), path, overwrite=True)
    assert read(path).shape == (1, 16, 16)


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = write_cog(raster(shape=(1, 8, 8)), tmp_path / "a.tif")
    before = path.read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(io.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_cog(raster(shape=(1, 16, 16)), path, overwrite=True)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.tif"]


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(Exception, match="complex"):
        write_cog(raster("complex256", (1, 8, 8)), tmp_path / "a.tif")
    assert os.listdir(tmp_path) == []


def test_what_can_not_be_written_is_refused(tmp_path):
    with pytest.raises(TypeError, match="writing a COG needs a GeoTensor"):
        write_cog(np.ones((2, 2)), tmp_path / "a.tif")
    with pytest.raises(ValueError, match="the raster's crs is None"):
        write_cog(GeoTensor(np.ones((2, 2)), GRID, None), tmp_path / "a.tif")
    with pytest.raises(FileNotFoundError, match="create it first"):
        write_cog(raster(shape=(1, 8, 8)), tmp_path / "none" / "a.tif")
    with pytest.raises(ValueError, match="a COG holds"):
        write_cog(raster(shape=(1, 0, 8)), tmp_path / "a.tif")
    with pytest.raises(ValueError, match="a COG holds"):
        write_cog(raster(shape=(2, 1, 8, 8)), tmp_path / "a.tif")


# --- reading ------------------------------------------------------------------------------------


def test_a_box_is_read_as_it_would_be_cut(bolzano_folder):
    path = next(bolzano_folder.glob("*_B04_10m.tif"))
    whole = read(path)
    box = (678_003, 5_150_001, 679_509, 5_151_998)
    part = read(path, bounds=box)
    cut = gz.CropToBounds(box)(whole)
    assert np.array_equal(part.values, cut.values)
    assert part.transform == cut.transform
    assert part.dtype == np.uint16


def test_only_the_window_is_asked_for(tmp_path):
    path = write_cog(raster(shape=(1, 1500, 1200)), tmp_path / "a.tif")
    with rasterio.open(path) as file:
        window = pixels_within(file, (500_000, 4_999_900, 500_100, 5_000_000))
    assert window == (0, 0, 10, 10)


def test_a_box_in_another_crs(bolzano_folder):
    path = next(bolzano_folder.glob("*_B04_10m.tif"))
    part = read(path, bounds=(11.33, 46.48, 11.35, 46.50), crs="EPSG:4326")
    west, south, east, north = part.bounds
    assert 1000 < east - west < 2500
    assert 2000 < north - south < 3000


def test_bands_by_name_and_position(tmp_path):
    path = write_cog(raster(band_names=["red", "nir"]), tmp_path / "a.tif")
    whole = read(path)
    for bands in (["nir"], [1], [-1]):
        part = read(path, bands=bands)
        assert np.array_equal(part.values, whole.values[1:])
        assert part.attrs["band_names"] == ["nir"]
    with pytest.raises(KeyError, match="no band 'swir'; the file has"):
        read(path, bands=["swir"])
    with pytest.raises(IndexError, match="band 2 is out of range for a file of 2 bands"):
        read(path, bands=[2])


def test_reading_mistakes_are_named(tmp_path):
    path = write_cog(raster(shape=(1, 8, 8)), tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"does not meet .* which covers"):
        read(path, bounds=(0, 0, 1, 1))
    with pytest.raises(rasterio.errors.RasterioIOError):
        read(tmp_path / "missing.tif")


def test_an_overview_covers_the_same_ground(tmp_path):
    given = raster(shape=(1, 1500, 1200))
    small = read_overview(write_cog(given, tmp_path / "a.tif"), 10_000)
    assert small.shape[1] * small.shape[2] <= 10_500
    np.testing.assert_allclose(small.bounds, given.bounds, atol=1e-6)
    assert small.values.mean() == pytest.approx(given.values.mean(), rel=0.02)


def test_the_operators_read_and_write(tmp_path):
    path = tmp_path / "a.tif"
    given = raster(shape=(1, 8, 8))
    pipeline = gz.WriteCOG(path, tags={"step": "1"})
    assert pipeline(given) is given
    assert np.array_equal(gz.ReadGeoTensor()(path).values, given.values)
    assert gz.ReadGeoTensor()(str(path)).attrs == {"step": "1"}


def test_compression_and_resampling_are_read_and_checked(tile, tmp_path):
    with pytest.raises(ValueError, match="compress must be one of"):
        gz.write_cog(tile, tmp_path / "a.tif", compress="jpeg")
    with pytest.raises(ValueError, match="overview_resampling must be one of"):
        gz.write_cog(tile, tmp_path / "a.tif", overview_resampling="near")
    assert list(tmp_path.iterdir()) == []
    for compress in ("deflate", "lzw", "zstd", "lzma", "none"):
        path = gz.write_cog(tile, tmp_path / f"{compress}.tif", compress=compress)
        with rasterio.open(path) as file:
            found = file.compression.value.lower() if file.compression else "none"
        assert found == compress
        assert np.array_equal(gz.read(path).values, tile.values)


def test_complex_numbers_are_written_and_read(tile, tmp_path):
    waves = GeoTensor(tile.values * (1 + 2j), tile.transform, tile.crs, None)
    path = gz.write_cog(waves.astype("complex64"), tmp_path / "waves.tif")
    assert np.array_equal(gz.read(path).values, waves.values.astype("complex64"))


@pytest.mark.parametrize(
    ("dtype", "fill"), [("int64", -1), ("uint64", 255), ("int32", -1), ("int64", None)]
)
def test_labels_of_any_width_keep_nodata_tags_and_names(dtype, fill, tmp_path):
    labels = np.array([[3, 1], [2, 3]], dtype)
    attrs = {"long_name": "class", "model": {"depth": 3}}
    grid = Affine(10, 0, 5e5, 0, -10, 5e6)
    path = gz.write_cog(GeoTensor(labels, grid, "EPSG:32632", fill, attrs), tmp_path / "a.tif")
    back = gz.read(path)
    assert cog_validate(path)[0]
    assert np.array_equal(back.values[0], labels)
    assert (back.dtype, back.fill_value_default) == (np.dtype(dtype), fill)
    assert back.attrs == {**attrs, "band_names": ["class"]}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("values", "attrs", "roles"),
    [
        (np.array([[[4, 9]]], "uint8"), {"band_names": ["SCL"]}, ("class",)),
        (np.array([[[4, 9]]], "uint16"), {"band_roles": "class"}, ("class",)),
        (np.array([[[4, 9]], [[1, 2]]], "uint16"), {"band_roles": ["bits", "quantity"]}, None),
        (np.array([[[4, 9]]], "uint8"), {"band_names": ["SCL"], "band_roles": "quantity"}, None),
        (np.array([[[True, False]]]), {}, ("mask",)),
        (np.array([[[4, 9]]], "uint16"), {"flag_values": [4, 9]}, ("class",)),
    ],
)
def test_what_bands_hold_is_kept_in_the_file(values, attrs, roles, tmp_path):
    tile = GeoTensor(values, Affine(10, 0, 5e5, 0, -10, 5e6), "EPSG:32632", None, attrs)
    back = gz.read(gz.write_cog(tile, tmp_path / "a.tif"))
    assert band_roles(back) == (roles or band_roles(tile)) == band_roles(tile)
    again = gz.read(gz.write_cog(back, tmp_path / "b.tif"))
    assert again.attrs == back.attrs


@pytest.mark.parametrize("name", ["SCL", "QA_PIXEL"])
def test_overviews_hold_only_numbers_that_the_band_holds(name, tmp_path):
    rng = np.random.default_rng(0)
    values = rng.choice([3, 8, 11], (1, 1200, 1200)).astype("uint16")
    tile = GeoTensor(
        values, Affine(10, 0, 5e5, 0, -10, 5e6), "EPSG:32632", None, {"band_names": [name]}
    )
    path = gz.write_cog(tile, tmp_path / "a.tif")
    assert set(np.unique(read_overview(path, 10_000).values)) <= {3, 8, 11}
    with rasterio.open(path, overview_level=0) as file:
        assert set(np.unique(file.read())) <= {3, 8, 11}
    with pytest.raises(ValueError, match=r"average.*mode.*what-a-pixel-means"):
        gz.write_cog(tile, tmp_path / "b.tif", overview_resampling="average")


def test_classes_of_a_colour_table_are_thinned(tmp_path):
    values = np.random.default_rng(0).choice([10, 200], (1, 64, 64)).astype("uint16")
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", height=64, width=64, count=1, dtype="uint16",
        crs="EPSG:32632", transform=Affine(10, 0, 5e5, 0, -10, 5e6),
    ) as file:  # fmt: skip
        file.write_colormap(1, {10: (0, 0, 255, 255), 200: (255, 0, 0, 255)})
        file.write(values)
    seen = read_overview(tmp_path / "a.tif", 256)
    assert set(np.unique(seen.values)) == {10, 200}
    assert band_roles(seen) == band_roles(gz.read(tmp_path / "a.tif")) == ("class",)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("nodata", [None, -9999])
def test_scale_and_offset_give_physical_values_and_stay_true(scaled, nodata, tmp_path):
    stored = np.array([[[-9999, 1500], [0, -200]]], "int16")
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", height=2, width=2, count=1, dtype="int16",
        crs="EPSG:32632", transform=Affine(10, 0, 5e5, 0, -10, 5e6), nodata=nodata,
    ) as file:  # fmt: skip
        file.write(stored)
        file.scales, file.offsets = (0.01,), (-5.0,)
    got = gz.read(tmp_path / "a.tif", scaled=scaled)
    back = gz.read(gz.write_cog(got, tmp_path / "b.tif"))
    assert np.array_equal(got.values, back.values, equal_nan=True)
    if scaled:
        expected = stored * 0.01 - 5
        expected[stored == nodata] = np.nan
        assert got.dtype == "float32"
        assert np.allclose(got.values, expected, equal_nan=True)
    else:
        assert np.array_equal(got.values, stored)
        assert got.fill_value_default == nodata


def test_alpha_is_no_band_unless_it_is_asked_for(tmp_path):
    pixels = np.array([[[0, 9]], [[0, 8]], [[0, 7]], [[0, 255]]], "uint8")
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", height=1, width=2, count=4, dtype="uint8",
        crs="EPSG:32632", transform=Affine(10, 0, 5e5, 0, -10, 5e6), photometric="RGB", alpha="YES",
    ) as file:  # fmt: skip
        file.write(pixels)
    got = gz.read(tmp_path / "a.tif")
    assert got.values.tolist() == pixels[:3].tolist()
    assert got.fill_value_default == 0
    assert gz.read(tmp_path / "a.tif", bands=[3]).values.tolist() == pixels[3:].tolist()


def test_four_bands_of_bytes_have_no_alpha_once_written(tmp_path):
    pixels = np.zeros((4, 1, 2), "uint8")
    tile = GeoTensor(pixels, Affine(10, 0, 5e5, 0, -10, 5e6), "EPSG:32632", None)
    back = gz.read(gz.write_cog(tile, tmp_path / "a.tif"))
    assert back.shape == (4, 1, 2)
    assert back.fill_value_default is None


def test_a_nodata_value_that_the_dtype_cannot_hold_is_not_written(tmp_path):
    tile = GeoTensor(np.zeros((2, 2), "uint8"), Affine.scale(10, -10), "EPSG:32632", -9999)
    with pytest.raises(ValueError, match=r"-9999 does not fit uint8.*what-a-pixel-means"):
        gz.write_cog(tile, tmp_path / "a.tif")


@pytest.mark.parametrize(("dtype", "nodata"), [("int64", 2**53 + 1), ("uint64", 2**64 - 1)])
def test_a_nodata_value_that_a_header_rounds_is_not_written(tmp_path, dtype, nodata):
    tile = GeoTensor(np.zeros((2, 2), dtype), Affine.scale(10, -10), "EPSG:32632", nodata)
    with pytest.raises(ValueError, match=rf"nodata {nodata} would be .*what-a-pixel-means"):
        gz.write_cog(tile, tmp_path / "a.tif")
    assert not list(tmp_path.iterdir())


CLASSES = {"0": ["clear", "#00ff00"], "1": ["cloud & haze", "#ffffff"], "300": ["snow", "#ff80ff"]}


def class_map(dtype="uint8", size=1100, **attrs):
    """Ones in every place but one of four, and a few pixels without data."""
    values = np.ones((size, size), dtype)
    values[::2, ::2] = 0
    values[:4, :4] = 255
    said = {"band_roles": "class", "classes": CLASSES} | attrs
    if dtype == "uint8":
        said["classes"] = {key: said["classes"][key] for key in ("0", "1")}
    return GeoTensor(values, GRID, "EPSG:32632", 255, said)


def to_target(raster, path):
    """The same file made of a tiled run."""
    patcher = SpatialPatcher(
        SpatialRectangular(256, boundary="shift"), SpatialRegularStride(192), SpatialHann()
    )
    map_patches(patcher, raster, gz.Identity(), target=path, progress=False)
    return path


@pytest.mark.parametrize("write", [write_cog, to_target])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_map_of_classes_carries_its_names_and_colours(tmp_path, write, dtype):
    given = class_map(dtype)
    path = write(given, tmp_path / "a.tif")
    assert cog_validate(path, strict=True) == (True, [], [])
    with rasterio.open(path) as file:
        assert file.dtypes == (dtype,)
        assert file.colorinterp[0].name == "palette"
        table = file.colormap(1)
        assert [table[key] for key in (0, 1)] == [(0, 255, 0, 255), (255, 255, 255, 255)]
        assert file.nodata == 255
    with rasterio.open(path, overview_level=0) as file:
        assert set(np.unique(file.read(1)[4:])) == {1}, "the mode, not the pixel in the corner"
    back = read(path)
    assert np.array_equal(back.values[0], given.values)
    assert back.attrs["classes"] == given.attrs["classes"]
    assert band_roles(back) == ("class",)
    assert classes_of(back.attrs) == classes_of(given.attrs)
    side = (tmp_path / "a.tif.aux.xml").read_text("utf-8")
    assert "<Category>clear</Category><Category>cloud &amp; haze</Category>" in side
    # What takes its place without names leaves none behind.
    given.attrs.clear()
    write_cog(given, path, overwrite=True)
    assert os.listdir(tmp_path) == ["a.tif"]


def test_colours_of_classes_are_checked_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="written as #rrggbb, got 'red'"):
        write_cog(class_map(classes={"0": ["a", "red"], "1": ["b", "#000000"]}), tmp_path / "a.tif")
    assert os.listdir(tmp_path) == []


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["uint8", "int8", "int16", "uint16", "int32"]),
    st.floats(-100, 100),
    st.floats(0.01, 1000),
    st.integers(0, 2**16),
)
def test_quantized_values_come_back_from_a_file(tmp_path_factory, dtype, low, width, seed):
    folder = tmp_path_factory.mktemp("quantized")
    values = np.random.default_rng(seed).uniform(low, low + width, (2, 20, 30))
    values[0, 3] = np.nan
    values[1, 0, :2] = low, low + width
    given = GeoTensor(values, GRID, "EPSG:32632", np.nan)
    stored = gz.Quantize(low, low + width, dtype)(given)
    step = stored.attrs["scale_factor"]
    back = read(write_cog(stored, folder / "a.tif"))
    assert np.array_equal(np.isnan(back.values), np.isnan(values))
    rounding = np.abs(values).max(initial=0, where=~np.isnan(values)) * 1e-6
    assert np.nanmax(np.abs(back.values - values)) <= step / 2 + rounding
    assert "scale_factor" not in back.attrs
    assert np.array_equal(read(folder / "a.tif", scaled=False).values, stored.values)


def test_a_tiled_run_stores_scaled_probabilities(tmp_path):
    values = np.random.default_rng(0).random((3, 70, 60)).astype("float32")
    given = GeoTensor(values, GRID, "EPSG:32632", np.nan, {"band_names": ["a", "b", "c"]})
    patcher = SpatialPatcher(
        SpatialRectangular(32, boundary="shift"),
        SpatialRegularStride(20),
        SpatialHann(),
        SpatialOverlapAdd(dtype="uint8"),
    )
    map_patches(patcher, given, gz.Quantize(), target=tmp_path / "p.tif", progress=False)
    back = read(tmp_path / "p.tif")
    assert np.abs(back.values - values).max() <= 0.5 / 254 + 1e-6
    assert back.attrs["band_names"] == ["a", "b", "c"]
    assert rasterio.open(tmp_path / "p.tif").dtypes == ("uint8",) * 3


@pytest.mark.parametrize(
    "name", ["a:b.tif", "run1:b.tif", "a?b.tif", "a!b.tif", "{a}.tif", "a|b.tif"]
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_is_written_under_its_own_name(tile, tmp_path, monkeypatch, name, overwrite):
    """GDAL's names of datasets begin and end in other ways; a target is a name and no more."""
    monkeypatch.chdir(tmp_path)
    for other in ("a", "b.tif", "run1", "a}.tif"):
        Path(other).write_text("mine")
    for path in (name, tmp_path / f"x{name}", str(tmp_path / f"y{name}")):
        written = gz.write_cog(tile, path, overwrite=overwrite)
        assert Path(written) == Path(path)
        np.testing.assert_array_equal(gz.read(Path(written).absolute()).values, tile.values)
    assert {Path(o).read_text() for o in ("a", "b.tif", "run1", "a}.tif")} == {"mine"}


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
@pytest.mark.parametrize("nodata", [-(2**63), -(2**60), -(2**53), -9, 0, 2**53, 2**53 + 2, 2**60])
def test_a_nodata_value_comes_back_or_is_refused(tmp_path, dtype, nodata):
    limits = np.iinfo(dtype)
    if not limits.min <= nodata <= limits.max:
        return
    raster = GeoTensor(np.array([[1, nodata]], dtype), Affine.scale(10, -10), "EPSG:32632", nodata)
    if abs(nodata) > 2**53:
        with pytest.raises(ValueError, match="would be another number in a file's header"):
            write_cog(raster, tmp_path / "a.tif")
    else:
        assert read(write_cog(raster, tmp_path / "a.tif")).fill_value_default == nodata
