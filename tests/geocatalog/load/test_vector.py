from tempfile import TemporaryDirectory

import geopandas as gpd
import numpy as np
import pytest
import shapely
from footprints import write_raster
from hypothesis import given, settings
from hypothesis import strategies as st

from geocatalog import (
    CatalogError,
    GeoSlice,
    InMemoryGeoCatalog,
    build_raster_catalog,
    build_vector_catalog,
    load_raster,
    load_vector,
)

WHOLE = GeoSlice((0, 0, 40, 40), None, 10, 32610)


@pytest.fixture(params=["gpkg", "geojson", "parquet"])
def crops(tmp_path, request):
    table = gpd.GeoDataFrame(
        {"crop": ["wheat", "maize", "wheat"], "code": [7, 9, 7]},
        geometry=[
            shapely.box(0, 20, 20, 40),
            shapely.box(20, 20, 40, 40),
            shapely.box(0, 0, 10, 10),
        ],
        crs=32610,
    )
    path = tmp_path / f"crops.{request.param}"
    if request.param == "parquet":
        table.to_parquet(path)
    elif request.param == "geojson":
        table.to_crs(4326).to_file(path, COORDINATE_PRECISION=9)
    else:
        table.to_file(path)
    return build_vector_catalog([path])


def test_text_labels_are_numbered_alike_in_every_slice(crops):
    got = load_vector(crops, WHOLE, label_field="crop")
    assert got.attrs["classes"] == {"maize": 1, "wheat": 2}
    expected = [[2, 2, 1, 1], [2, 2, 1, 1], [0, 0, 0, 0], [2, 0, 0, 0]]
    assert got.values[0].tolist() == expected
    assert got.dtype == np.uint8
    corner = load_vector(crops, GeoSlice((0, 0, 10, 10), None, 10, 32610), label_field="crop")
    assert corner.values.tolist() == [[[2]]]


def test_integer_labels_stay_what_they_are(crops):
    assert set(np.unique(load_vector(crops, WHOLE, label_field="code").values)) == {0, 7, 9}
    chosen = load_vector(crops, WHOLE, label_field="code", classes={9: 300})
    assert set(np.unique(chosen.values)) == {0, 300}
    assert chosen.dtype == np.int32


@pytest.mark.parametrize(
    ("codes", "burnt", "dtype"),
    [
        ([-1, 7], [-1, 7], "int32"),
        ([5, None, 7], [5, 0, 7], "uint8"),
        ([300, 0], [300, 0], "int32"),
        ([1.5, 2.5], [1, 2], "uint8"),
    ],
)
def test_numbers_of_any_sign_and_with_gaps_stay_what_they_are(tmp_path, codes, burnt, dtype):
    cells = [shapely.box(10 * i, 0, 10 * i + 10, 10) for i in range(len(codes))]
    table = gpd.GeoDataFrame({"code": codes}, geometry=cells, crs=32610)
    table.to_file(tmp_path / "codes.gpkg")
    catalog = build_vector_catalog([tmp_path / "codes.gpkg"])
    slice_ = GeoSlice((0, 0, 10 * len(codes), 10), None, 10, 32610)
    got = load_vector(catalog, slice_, label_field="code")
    assert got.values.ravel().tolist() == burnt
    assert got.dtype == dtype
    with pytest.raises(CatalogError, match="class numbers must fit int32, got 1099511627776"):
        load_vector(catalog, slice_, label_field="code", classes={codes[0]: 2**40})


def test_instances_are_numbered(crops):
    got = load_vector(crops, WHOLE, task="instance_segmentation")
    assert set(np.unique(got.values)) == {0, 1, 2, 3}
    assert set(np.unique(load_vector(crops, WHOLE).values)) == {0, 1}


def test_labels_lie_on_exactly_the_image_s_grid(crops, tmp_path):
    path = write_raster(
        tmp_path / "image.tif", np.ones((1, 9, 9), "uint8"), west=-3.0, north=47.0, size=7.0
    )
    images = build_raster_catalog([path])
    for slice_ in (GeoSlice((1, 2, 33, 38), None, 7, 32610), next(images.iter_slices())):
        image, label = load_raster(images, slice_), load_vector(crops, slice_, label_field="code")
        assert image.shape == label.shape
        assert image.transform == label.transform
        assert image.crs == label.crs


def test_all_touched_burns_more(crops):
    coarse = GeoSlice((-15, -15, 45, 45), None, 30, 32610)
    few, many = (load_vector(crops, coarse, all_touched=t).values.sum() for t in (False, True))
    assert many > few


def test_nothing_there_is_background(crops):
    near = GeoSlice((12, 12, 18, 18), None, 1, 32610)
    assert load_vector(crops, near).values.sum() == 0
    assert load_vector(crops, GeoSlice((900, 0, 910, 10), None, 10, 32610)).values.sum() == 0


def test_bad_questions_are_refused(crops):
    with pytest.raises(CatalogError, match="no field 'colour'"):
        load_vector(crops, WHOLE, label_field="colour")
    with pytest.raises(CatalogError, match="task"):
        load_vector(crops, WHOLE, task="detection")
    with pytest.raises(CatalogError, match="two halves"):
        load_vector(crops, GeoSlice((179, 0, -179, 1), None, 0.1, 4326))
    with pytest.raises(CatalogError, match="load_raster"):
        load_vector(InMemoryGeoCatalog(crops.gdf), WHOLE)


def test_labels_of_real_states(shared_data):
    catalog = build_vector_catalog([shared_data / "vector" / "admin1-us.geojson"])
    slice_ = GeoSlice((-121, 38, -119, 40), None, 0.01, 4326)
    name = next(n for n in ("name", "NAME") if n in catalog.gdf.fields[0].split(","))
    got = load_vector(catalog, slice_, label_field=name)
    assert len(got.attrs["classes"]) == 51
    west, east = got.values[0, 100, 5], got.values[0, 5, -5]
    assert west == got.attrs["classes"]["California"]
    assert east == got.attrs["classes"]["Nevada"]


@settings(max_examples=30, deadline=None)
@given(
    st.integers(-18, 17), st.integers(-18, 17), st.integers(1, 4),
    st.sampled_from([0, 360]), st.sampled_from([0, 360, -360]), st.sampled_from(["gpkg", "parquet"]),
)  # fmt: skip
def test_files_may_count_longitudes_otherwise(west, asked, width, stored, by, kind):
    """Against the cells of the globe, of which a longitude is one modulo 360."""
    begin = 10 * west + stored * (west < 0)
    field = gpd.GeoDataFrame({"v": [7]}, geometry=[shapely.box(begin, 0, begin + 10, 10)], crs=4326)
    first = 10 * asked + by
    width = min(width, 18 - asked)  # a slice on one side of the antimeridian
    with TemporaryDirectory() as folder:
        path = f"{folder}/v.{kind}"
        (field.to_parquet if kind == "parquet" else field.to_file)(path)
        catalog = build_vector_catalog([path])
        slice_ = GeoSlice((first, 0, first + 10 * width, 10), None, 10, 4326)
        got = load_vector(catalog, slice_, label_field="v").values
    wanted = [7 * ((asked + column - west) % 36 == 0) for column in range(width)]
    assert got.ravel().tolist() == wanted


@pytest.mark.parametrize("name", ["a#b", "a?b", "a b", "ü"])
def test_a_local_parquet_file_may_have_any_name(tmp_path, name):
    field = gpd.GeoDataFrame({"v": [7]}, geometry=[shapely.box(0, 0, 10, 10)], crs=32610)
    field.to_parquet(tmp_path / f"{name}.parquet")
    catalog = build_vector_catalog([tmp_path / f"{name}.parquet"])
    got = load_vector(catalog, GeoSlice((0, 0, 10, 10), None, 10, 32610), label_field="v")
    assert got.values.tolist() == [[[7]]]
