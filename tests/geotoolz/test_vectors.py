import geopandas as gpd
import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from rasterio.warp import transform as warp_points
from shapely import Point, Polygon, box

import geotoolz as gz
from geotoolz.vectors import rasterize, vectorize

GRID = Affine(10, 0, 500_000, 0, -10, 5_000_000)
LIKE = GeoTensor(np.zeros((20, 30)), GRID, "EPSG:32632")


def fields(**columns):
    shapes = [
        box(500_000, 4_999_900, 500_100, 5_000_000),
        box(500_150, 4_999_850, 500_200, 4_999_900),
    ]
    return gpd.GeoDataFrame(columns, geometry=shapes, crs="EPSG:32632")


def test_burnt_pixels_are_those_whose_centre_is_inside():
    shape = Polygon([(500_003, 4_999_995), (500_260, 4_999_940), (500_120, 4_999_810)])
    result = rasterize(gpd.GeoSeries([shape], crs="EPSG:32632"), LIKE)
    for row, col in np.ndindex(LIKE.shape):
        assert result.values[row, col] == shape.contains(Point(GRID * (col + 0.5, row + 0.5)))


def test_columns_overlaps_and_grids():
    result = gz.Rasterize(LIKE, column="crop")(fields(crop=[3, 200]))
    assert np.unique(result.values).tolist() == [0, 3, 200]
    assert (result.transform, result.crs, result.fill_value_default) == (GRID, "EPSG:32632", 0)
    assert result.attrs["long_name"] == "crop"
    over = gpd.GeoDataFrame({"v": [1, 2]}, geometry=[LIKE.footprint()] * 2, crs="EPSG:32632")
    assert (rasterize(over, LIKE, "v").values == 2).all()


def test_shapes_in_another_crs_are_reprojected():
    here = rasterize(fields(), LIKE)
    there = rasterize(fields().to_crs("EPSG:4326"), LIKE)
    assert (here.values != there.values).mean() < 0.02


def test_touched_pixels_on_request_and_empty_frames():
    tiny = gpd.GeoSeries([box(500_001, 4_999_991, 500_012, 4_999_992)], crs="EPSG:32632")
    assert rasterize(tiny, LIKE).sum() == 0
    assert rasterize(tiny, LIKE, all_touched=True).sum() == 2
    assert rasterize(fields().iloc[:0], LIKE).sum() == 0


def test_rasterizing_mistakes_are_named():
    with pytest.raises(ValueError, match="the shapes have no CRS"):
        rasterize(fields().set_crs(None, allow_override=True), LIKE)
    with pytest.raises(ValueError, match=r"uint8 can't hold \[300"):
        rasterize(fields(v=[300, 1]), LIKE, "v")
    with pytest.raises(TypeError, match="column 'name' must be numeric"):
        rasterize(fields(name=["a", "b"]), LIKE, "name")
    with pytest.raises(KeyError, match=r"no column 'crop'; they have \['v'"):
        rasterize(fields(v=[3, 1]), LIKE, "crop")
    with pytest.raises(TypeError, match=r"GeoDataFrame or GeoSeries, got list; wrap"):
        rasterize(list(fields().geometry), LIKE)
    with pytest.raises(TypeError, match=r"integer or float type, got 'bool'; for a mask"):
        rasterize(fields(), LIKE, dtype="bool")
    with pytest.raises(TypeError, match="Rasterize has no grid"):
        gz.Rasterize()(fields())


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32"])
def test_there_and_back(dtype):
    labels = rasterize(fields(crop=[3, 200]), LIKE, "crop", dtype=dtype)
    shapes = vectorize(labels, column="crop")
    assert shapes.crs == "EPSG:32632"
    assert sorted(shapes["crop"]) == [3, 200]
    again = rasterize(shapes, LIKE, "crop", dtype=dtype)
    assert np.array_equal(again.values, labels.values)


def test_masks_become_the_outlines_of_true():
    mask = GeoTensor(np.eye(4, dtype=bool), GRID, "EPSG:32632", None)
    assert len(gz.Vectorize()(mask)) == 4
    joined = gz.Vectorize(connectivity=8)(mask)
    assert joined["value"].tolist() == [True]
    assert joined.area.sum() == 400


def test_vectorizing_mistakes_are_named():
    with pytest.raises(ValueError, match="connectivity must be 4 or 8"):
        gz.Vectorize(connectivity=6)
    with pytest.raises(
        ValueError, match=r"one band, \(H, W\) or \(1, H, W\), got shape \(2, 4, 4\)"
    ):
        vectorize(GeoTensor(np.zeros((2, 4, 4)), GRID, "EPSG:32632"))
    with pytest.raises(TypeError, match="needs a GeoTensor"):
        vectorize(np.zeros((4, 4)))


@pytest.mark.parametrize(
    ("dtype", "numbers"),
    [
        ("uint8", [1, 255]), ("int8", [-5, 100]), ("uint32", [7, 2**31 + 5]),
        ("int64", [-(2**40), 2**40 + 1]), ("float32", [0.5, 0.1]), ("float64", [0.1, 0.1 + 1e-12]),
    ],
)  # fmt: skip
def test_numbers_of_any_width_come_out_as_they_went_in(dtype, numbers):
    values = np.array([numbers, numbers], dtype)
    raster = GeoTensor(values, Affine(10, 0, 0, 0, -10, 20), "EPSG:32632", None)
    found = gz.Vectorize()(raster)
    assert sorted(found["value"]) == sorted(values[0])
    assert found["value"].dtype == np.dtype(dtype)
    assert found.area.tolist() == [200.0, 200.0]


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_wide_identifiers_are_burnt_exactly(dtype):
    grid = GeoTensor(np.zeros((1, 3)), Affine(10, 0, 0, 0, -10, 10), 32632)
    shapes = [box(0, 0, 10, 10), None, box(10, 0, 20, 10)]
    ids = np.array([2**53 + 1, 5, 2**63 - 1], dtype)
    frame = gpd.GeoDataFrame({"id": ids}, geometry=shapes, crs=32632)
    out = rasterize(frame, grid, "id", dtype=dtype)
    assert out.values.tolist() == [[2**53 + 1, 2**63 - 1, 0]]
    assert vectorize(out)["value"].tolist() == [2**53 + 1, 2**63 - 1]


def test_a_fill_that_the_dtype_cannot_hold_is_named():
    grid = GeoTensor(np.zeros((1, 3)), Affine(10, 0, 0, 0, -10, 10), 32632)
    shapes = gpd.GeoSeries([box(0, 0, 10, 10)], crs=32632)
    with pytest.raises(ValueError, match="fill_value -1 does not fit uint8"):
        rasterize(shapes, grid, fill_value=-1)


@settings(max_examples=60)
@given(
    st.integers(-36, 35), st.integers(1, 35),
    st.sampled_from([-180, 0, 180, -90]), st.integers(1, 36), st.sampled_from(["uint8", "int64"]),
)  # fmt: skip
def test_shapes_lie_on_grids_that_count_longitudes_otherwise(west, width, begin, columns, dtype):
    """Against the cells of the globe, of which a longitude is one modulo 360."""
    shape = box(10 * west, -10, 10 * (west + width), 10)
    grid = GeoTensor(np.zeros((4, columns)), Affine(10, 0, begin, 0, -10, 20), "EPSG:4326")
    shapes = gpd.GeoDataFrame({"v": [7]}, geometry=[shape], crs=4326)
    burnt = rasterize(shapes, grid, "v", dtype=dtype).values
    covered = {cell % 36 for cell in range(west, west + width)}
    inside = np.array([(begin // 10 + column) % 36 in covered for column in range(columns)])
    wanted = np.array([False, True, True, False])[:, None] & inside
    np.testing.assert_array_equal(burnt == 7, wanted)
    np.testing.assert_array_equal(gz.MaskPolygon(shapes.geometry)(grid).values, ~wanted)


@pytest.mark.parametrize("dtype", ["int8", ">u2", "<i4", ">i8", "float16", ">f4", ">f8"])
@pytest.mark.parametrize("fill", [0, 9])
def test_any_dtype_is_burnt_in_the_machine_s_byte_order(dtype, fill):
    burnt = rasterize(fields(v=[5, 7]), LIKE, "v", fill_value=fill, dtype=dtype)
    plain = rasterize(fields(v=[5, 7]), LIKE, "v", fill_value=fill, dtype="float64")
    assert burnt.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(burnt.values, plain.values)


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:3035", "EPSG:3413", "EPSG:3857"])
@pytest.mark.parametrize("degrees", [(7, 44, 12, 46.5), (-180, -90, 180, 90), (0, 45, 90, 90)])
def test_long_edges_bend_where_they_do(crs, degrees):
    """A box in degrees holds the pixels whose middle lies in it, however far it reaches."""
    (x,), (y,) = warp_points("EPSG:4326", crs, [9.0], [46.0])
    like = GeoTensor(np.zeros((60, 60)), Affine(8000, 0, x - 240_000, 0, -8000, y + 240_000), crs)
    burnt = rasterize(gpd.GeoSeries([box(*degrees)], crs=4326), like).values != 0
    xs, ys = like.transform @ (np.indices((60, 60))[::-1].reshape(2, -1) + 0.5)
    lon, lat = (np.array(each).reshape(60, 60) for each in warp_points(crs, "EPSG:4326", xs, ys))
    west, south, east, north = degrees
    inside = (lon > west) & (lon < east) & (lat > south) & (lat < north)
    np.testing.assert_array_equal(burnt, inside)
