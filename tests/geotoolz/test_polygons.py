"""Polygons by blocks against the whole raster in one piece, and against scipy's components."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from georeader.geotensor import GeoTensor
from georeader.rasterio_reader import RasterioReader
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from rasterio.features import rasterize as burn
from scipy import ndimage

import geotoolz as gz
from geopatcher import SpatialPatcher, SpatialRectangular, SpatialRegularStride, map_patches
from geotoolz.vectors import vectorize

PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)
EYE = {4: ndimage.generate_binary_structure(2, 1), 8: np.ones((3, 3), int)}


def raster_of(values, fill=None, place=PLACE, **attrs):
    return GeoTensor(np.asarray(values), place, "EPSG:32632", fill, attrs)


def components(values, valid, connectivity):
    """(H, W) numbers of connected pixels of equal value from 1, in the order of first pixels."""
    out = np.zeros(values.shape, int)
    for value in np.unique(values[valid]):
        found, _ = ndimage.label((values == value) & valid, EYE[connectivity])
        out[found > 0] = found[found > 0] + out.max()
    _, first, number = np.unique(out, return_index=True, return_inverse=True)
    first = np.where(np.unique(out) == 0, -1, first)
    rank = np.argsort(np.argsort(first, kind="stable"), kind="stable")
    return rank[number.reshape(values.shape)] + (0 if (out == 0).any() else 1)


def check(frame, values, valid, connectivity, place=PLACE):
    """Polygons are the components, pixel for pixel, valid, and say what they hold."""
    expected = components(values, valid, connectivity)
    assert len(frame) == expected.max(initial=0)
    assert frame.geometry.is_valid.all()
    if not len(frame):
        return
    pairs = [(shape, i + 1) for i, shape in enumerate(frame.geometry)]
    drawn = burn(pairs, out_shape=values.shape, transform=place, dtype="int32")
    assert np.array_equal(drawn, expected)
    sizes = np.bincount(expected.ravel())[1:]
    assert frame["pixels"].tolist() == sizes.tolist()
    np.testing.assert_allclose(frame.area, sizes * abs(place.determinant), rtol=1e-12)
    np.testing.assert_allclose(frame["area"], frame.area, rtol=1e-12)
    held = ndimage.minimum(values, expected, range(1, len(frame) + 1))
    assert np.array_equal(frame["value"], held)


IMAGES = st.tuples(
    st.integers(1, 14), st.integers(1, 14), st.integers(1, 4), st.integers(0, 2**32 - 1)
)


@settings(max_examples=200, deadline=None)
@given(
    IMAGES,
    st.tuples(st.integers(1, 16), st.integers(1, 16)),
    st.sampled_from([4, 8]),
    st.sampled_from(["uint8", "int32", "int64", "float32", ">u2"]),
    st.sampled_from([None, 0, 2]),
)
def test_any_cut_gives_the_polygons_of_the_whole(image, block, connectivity, dtype, fill):
    height, width, count, seed = image
    values = np.random.default_rng(seed).integers(0, count, (height, width)).astype(dtype)
    valid = np.ones(values.shape, bool) if fill is None else values != fill
    raster = raster_of(values, fill)
    cut = gz.polygons_of(raster, block=block, connectivity=connectivity)
    whole = gz.polygons_of(raster, block=20, connectivity=connectivity)
    check(cut, values, valid, connectivity)
    assert cut.drop(columns="geometry").equals(whole.drop(columns="geometry"))
    assert shapely.equals(cut.geometry.values, whole.geometry.values).all()
    ours, theirs = cut.geometry.normalize(), whole.geometry.normalize()
    corners = [shapely.get_num_coordinates(each).tolist() for each in (ours, theirs)]
    assert corners[0] == corners[1], "a block's edge leaves no corner behind"


@pytest.mark.parametrize("connectivity", [4, 8])
def test_the_one_call_for_rasters_in_memory_says_the_same(connectivity):
    values = np.random.default_rng(5).integers(0, 3, (40, 50)).astype("uint8")
    by_blocks = gz.polygons_of(raster_of(values), block=(7, 9), connectivity=connectivity)
    at_once = vectorize(raster_of(values), connectivity)
    assert len(by_blocks) == len(at_once)
    for value in range(3):
        areas = [np.sort(f[f.value == value].area) for f in (by_blocks, at_once)]
        np.testing.assert_allclose(*areas)


def test_shapes_that_wind_through_blocks():
    spiral = np.zeros((21, 21), "uint8")
    top, left, bottom, right = 0, 0, 20, 20
    while top <= bottom:
        spiral[top, left : right + 1] = spiral[top : bottom + 1, right] = 1
        spiral[bottom, left + 2 : right + 1] = spiral[top + 2 : bottom + 1, left + 2] = 1
        top, left, bottom, right = top + 2, left + 2, bottom - 2, right - 2
    comb = np.zeros((20, 21), "uint8")
    comb[:, ::2], comb[-1] = 1, 1
    rings = np.minimum.reduce(np.meshgrid(*[np.r_[0:10, 9:-1:-1]] * 2)).astype("uint8") % 2
    checks = (np.indices((12, 12)).sum(0) % 2).astype("uint8")
    for values in (spiral, comb, comb.T.copy(), rings, checks):
        for connectivity in (4, 8):
            for block in (1, 2, 5, (3, 40), (40, 3)):
                frame = gz.polygons_of(raster_of(values), block=block, connectivity=connectivity)
                check(frame, values, np.ones(values.shape, bool), connectivity)


@pytest.mark.parametrize("place", [PLACE, Affine(0.1, 0, 3.3, 0, 0.1, 45), Affine.rotation(30)])
def test_on_any_grid(place):
    values = np.random.default_rng(7).integers(0, 2, (9, 11))
    frame = gz.polygons_of(raster_of(values, place=place), block=4)
    check(frame, values, np.ones(values.shape, bool), 4, place)
    whole = vectorize(raster_of(values, place=place))
    assert sorted(map(str, frame.bounds.round(9).values.tolist())) == sorted(
        map(str, whole.bounds.round(9).values.tolist())
    )


def test_only_some_values_and_only_large_ones():
    values = np.random.default_rng(3).integers(0, 3, (30, 30)).astype("uint8")
    everything = gz.polygons_of(raster_of(values), block=8)
    some = gz.polygons_of(raster_of(values), values=[2], min_pixels=4, block=8)
    expected = everything[(everything.value == 2) & (everything.pixels >= 4)]
    assert some.pixels.tolist() == expected.pixels.tolist()
    assert shapely.equals(some.geometry.values, expected.geometry.values).all()
    mask = gz.polygons_of(raster_of(values == 2), min_pixels=4, block=8)
    assert mask.pixels.tolist() == some.pixels.tolist()


def test_files_readers_fields_and_targets_are_one(tmp_path):
    values = np.random.default_rng(6).integers(0, 4, (70, 90)).astype("uint8")
    raster = raster_of(values, 3, band_roles="class")
    expected = gz.polygons_of(raster, block=200)
    path = gz.write_cog(raster, tmp_path / "classes.tif")
    patcher = SpatialPatcher(SpatialRectangular(32, boundary="shrink"), SpatialRegularStride(32))
    run = {"block_rows": 32, "progress": False}
    targets = [
        map_patches(patcher, raster, gz.Identity(), target=tmp_path / name, **run)
        for name in ("out.tif", "out.zarr")
    ]
    for source in (path, str(path), RasterioReader(str(path)), *targets):
        frame = gz.polygons_of(source, block=33)
        assert frame.drop(columns="geometry").equals(expected.drop(columns="geometry"))
        assert shapely.equals(frame.geometry.values, expected.geometry.values).all()
        assert frame.crs == expected.crs


def test_what_a_mask_hides_has_no_polygon(tmp_path):
    path = tmp_path / "masked.tif"
    values = np.ones((10, 10), "uint8")
    profile = {"driver": "GTiff", "width": 10, "height": 10, "count": 1, "dtype": "uint8"}
    mask = np.full((10, 10), 255, "uint8")
    mask[:, 4] = 0
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", crs="EPSG:32632", transform=PLACE, **profile) as file,
    ):
        file.write(values, 1)
        file.write_mask(mask)
    assert gz.polygons_of(path, block=3).pixels.tolist() == [40, 50]


def test_names_of_classes_become_a_column(tmp_path):
    raster = raster_of([[1, 1, 2]], classes={"1": ["water", "#0000ff"], "2": ["land", "#00ff00"]})
    assert gz.polygons_of(raster)["name"].tolist() == ["water", "land"]
    raster = raster_of(raster.values.astype("uint8"), **raster.attrs, band_roles="class")
    path = gz.write_cog(raster, tmp_path / "a.tif")
    assert gz.polygons_of(path)["name"].tolist() == ["water", "land"]
    path = gz.write_cog(raster_of(np.ones((3, 3)), classes="of 1990"), tmp_path / "b.tif")
    assert "name" not in gz.polygons_of(path)


def test_nothing_to_draw():
    frame = gz.polygons_of(raster_of(np.zeros((5, 6), "uint8"), 0), block=2)
    assert (len(frame), list(frame.columns)) == (0, ["value", "pixels", "area", "geometry"])


def test_mistakes_are_named():
    raster = raster_of(np.zeros((2, 4, 4)), band_names=["a", "b"])
    with pytest.raises(ValueError, match="connectivity must be 4 or 8, got 6"):
        gz.polygons_of(raster, connectivity=6)
    with pytest.raises(KeyError, match="no band 'c'; the raster has"):
        gz.polygons_of(raster, band="c")
    with pytest.raises(IndexError, match="band 2 is out of range for a raster of 2 bands"):
        gz.polygons_of(raster, band=2)
    with pytest.raises(ValueError, match="min_pixels must be a whole number of at least 1"):
        gz.polygons_of(raster, min_pixels=0)
    with pytest.raises(ValueError, match="need a raster with a transform and a CRS"):
        gz.polygons_of(GeoTensor(np.zeros((4, 4)), PLACE, None))


@pytest.mark.parametrize("name", ["clouds.parquet", "clouds.gpkg"])
def test_vectors_are_written_and_come_back(tmp_path, name):
    values = np.random.default_rng(3).integers(0, 3, (30, 30)).astype("uint8")
    frame = gz.polygons_of(raster_of(values), block=8)
    path = gz.write_vectors(frame, tmp_path / name)
    read = gpd.read_parquet if name.endswith("parquet") else gpd.read_file
    back = read(path)
    assert back.crs == frame.crs
    assert back.pixels.tolist() == frame.pixels.tolist()
    assert back.area.tolist() == frame.area.tolist()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        gz.write_vectors(frame, path)
    assert len(read(gz.write_vectors(frame[:3], path, overwrite=True))) == 3
    assert [each.name for each in tmp_path.iterdir()] == [name]
    with pytest.raises(ValueError, match=r"ends in \.parquet or \.gpkg"):
        gz.write_vectors(frame, tmp_path / "clouds.shp")


@settings(max_examples=40, deadline=None)
@given(IMAGES, st.sampled_from(["memory", "a.tif", "a.zarr"]), st.booleans())
def test_polygons_of_a_tiled_mask_are_those_of_the_mask(tmp_path_factory, image, target, whole):
    """A tiled run makes floats of booleans, and a file makes numbers: its False is no polygon."""
    rows, cols, count, seed = image
    values = np.random.default_rng(seed).integers(0, count + 1, (1, rows, cols)).astype("float32")
    scene, mask = raster_of(values), gz.MaskWhere(">", count // 2, band=0)
    expected = gz.polygons_of(mask(scene), column="masked")
    path = None if target == "memory" else tmp_path_factory.mktemp("masks") / target
    if whole and path is not None and path.suffix == ".tif":
        made = gz.write_cog(mask(scene), path)
    else:
        patcher = SpatialPatcher(SpatialRectangular(5, "shrink"), SpatialRegularStride(4))
        made = map_patches(patcher, scene, mask, target=path, progress=False)
    for source in (made, path) if path is not None and path.suffix == ".tif" else (made,):
        frame = gz.polygons_of(source, column="masked", block=4)
        assert frame.geometry.geom_equals(expected.geometry).all()
        assert frame["pixels"].tolist() == expected["pixels"].tolist()


@pytest.mark.parametrize("kind", [list, tuple, set, iter, np.array, dict.fromkeys])
def test_values_may_come_as_anything_that_lists_them(kind):
    values = np.random.default_rng(3).integers(0, 4, (20, 30)).astype("uint8")
    expected = gz.polygons_of(raster_of(values), values=[1, 3], block=7)
    assert set(expected["value"]) == {1, 3}
    wanted = gz.polygons_of(raster_of(values), values=kind([1, 3]), block=7)
    assert wanted.equals(expected)
    with pytest.raises(ValueError, match=r"values must be a list of values, got 1; write \[1\]"):
        gz.polygons_of(raster_of(values), values=1)


@pytest.mark.parametrize("column", ["name", "pixels", "area", "geometry"])
def test_no_column_takes_the_place_of_the_table_s_own(column):
    with pytest.raises(
        ValueError, match=f"column must not be one of the table's own, got '{column}'"
    ):
        gz.polygons_of(raster_of(np.zeros((4, 4))), column=column)
