"""The other Fields: each gives pieces of its own kind, lazily, and takes values back."""

import geopandas as gpd
import numpy as np
import pytest
import rioxarray  # noqa: F401
import shapely
import xarray as xr
import xvec  # noqa: F401
from dask import array as da
from rasterio import Affine
from rasterio.windows import Window

from geopatcher import (
    Cells,
    DaskField,
    Field,
    GeoPandasField,
    GridDomain,
    Members,
    PatchError,
    PointDomain,
    RasterDomain,
    RasterField,
    RetryField,
    RioXarrayField,
    SpatialKNNGraph,
    SpatialMean,
    SpatialMedian,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialPolygonIntersection,
    SpatialRectangular,
    SpatialRegularStride,
    VectorDomain,
    XarrayField,
    XvecField,
    merge_to_xarray,
)
from geopatcher.merge.chip import chip_nodata

VALUES = np.random.default_rng(0).normal(size=(2, 20, 30)).astype("float32")
TRANSFORM = Affine(10, 0, 500_000, 0, -10, 4_100_000)
CELLS = Cells(rows=np.array([0, 19, 4]), cols=np.array([29, 0, 4]))
PAD = SpatialRectangular(8, boundary="pad")
PAD_4 = SpatialRectangular(4, boundary="pad")
SHAPES = shapely.box(np.arange(6), 0, np.arange(6) + 1, 1)


def data_array(values=VALUES):
    y = TRANSFORM.f - 10 * (np.arange(20) + 0.5)
    x = TRANSFORM.c + 10 * (np.arange(30) + 0.5)
    return xr.DataArray(
        values, {"band": ["red", "nir"], "y": y, "x": x}, ("band", "y", "x"), attrs={"unit": "1"}
    )


def rasters(scene_of):
    from georeader.geotensor import GeoTensor

    tensor = GeoTensor(VALUES, TRANSFORM, "EPSG:32610")
    return {
        "raster": RasterField(tensor),
        "rioxarray": RioXarrayField(data_array().rio.write_crs(32610)),
        "xarray": XarrayField(data_array()),
        "dask": DaskField(da.from_array(VALUES, chunks=7), TRANSFORM, "EPSG:32610"),
    }


def vectors():
    frame = gpd.GeoDataFrame(
        {"name": list("abcdef"), "a": np.arange(6.0), "b": np.arange(6) ** 2.0},
        geometry=SHAPES, crs=32610,
    )  # fmt: skip
    cube = xr.Dataset(
        {"a": ("zone", np.arange(6.0)), "b": ("zone", np.arange(6) ** 2.0)}, {"zone": SHAPES}
    ).xvec.set_geom_indexes("zone", crs=32610)
    return {
        "shapes": GeoPandasField(frame),
        "points": GeoPandasField(frame, as_points=True),
        "xvec": XvecField(cube),
    }


@pytest.mark.parametrize("name", ["raster", "rioxarray", "xarray", "dask"])
def test_one_patcher_gives_the_same_pixels_from_every_grid(name, scene_of, patcher_of):
    field = rasters(scene_of)[name]
    assert isinstance(field, Field)
    patcher = SpatialPatcher(PAD, SpatialRegularStride(7))
    reference = list(patcher.split(rasters(scene_of)["raster"]))
    patches = list(patcher.split(field))
    assert [p.anchor for p in patches] == [p.anchor for p in reference]
    for patch, expected in zip(patches, reference, strict=True):
        np.testing.assert_array_equal(np.asarray(patch.data), expected.data.values)
    merged = patcher.merge(patches, field)
    np.testing.assert_allclose(np.asarray(merged), VALUES, rtol=1e-6)
    np.testing.assert_array_equal(
        np.asarray(field.select(CELLS)), VALUES[:, CELLS.rows, CELLS.cols]
    )


@pytest.mark.parametrize("name", ["raster", "rioxarray", "xarray", "dask"])
@pytest.mark.parametrize("lead", [(), (2,), (5,)])
def test_new_values_on_the_same_grid(name, lead, scene_of):
    field = rasters(scene_of)[name]
    made = field.with_data(np.ones((*lead, 20, 30), "float32"))
    assert made.domain.shape == (*lead, 20, 30)
    assert type(made) is type(field)
    np.testing.assert_array_equal(
        np.asarray(made.select(Window(1, 2, 3, 4))), np.ones((*lead, 4, 3))
    )
    if name != "xarray":
        assert made.domain.transform.almost_equals(TRANSFORM)
    with pytest.raises(PatchError, match="do not end in the domain's"):
        field.with_data(np.ones((20, 31)))


def test_pieces_of_an_xarray_keep_labels_and_continue_them_when_padded():
    field = XarrayField(data_array())
    assert field.domain == GridDomain(
        {"band": np.array(["red", "nir"]), "y": data_array().y.values, "x": data_array().x.values}
    )
    piece = field.select(Window(3, 2, 5, 4))
    assert piece.da.equals(data_array().isel(y=slice(2, 6), x=slice(3, 8)))
    assert piece.da.attrs == {"unit": "1"}
    padded = PAD.read(field, Window(26, 16, 8, 8)).da
    assert padded.shape == (2, 8, 8)
    np.testing.assert_allclose(np.diff(padded.x), 10)
    np.testing.assert_allclose(np.diff(padded.y), -10)
    assert padded.band.values.tolist() == ["red", "nir"]
    picked = field.select(CELLS).da
    assert picked.dims == ("band", "cell")
    np.testing.assert_array_equal(picked.x, data_array().x.values[CELLS.cols])


def test_a_lazy_xarray_is_read_chip_by_chip():
    computed = []

    def block(chunk):
        computed.append(chunk.shape)
        return chunk

    lazy = da.from_array(VALUES, chunks=(2, 10, 10)).map_blocks(
        block, dtype="float32", meta=VALUES[:0]
    )
    field = XarrayField(data_array(lazy))
    piece = field.select(Window(10, 0, 10, 10))
    assert computed == []
    np.testing.assert_array_equal(np.asarray(piece), VALUES[:, :10, 10:20])
    assert computed == [(2, 10, 10)]
    dask = DaskField(lazy)
    dask.select(Window(0, 10, 10, 10))
    assert computed == [(2, 10, 10)] * 2


def test_pieces_of_a_rioxarray_know_their_place():
    field = RioXarrayField(data_array().rio.write_crs(32610))
    assert field.domain == RasterDomain((2, 20, 30), TRANSFORM, field.da.rio.crs)
    piece = field.select(Window(3, 2, 5, 4)).da
    assert piece.rio.crs.to_epsg() == 32610
    assert piece.rio.transform(recalc=True) * (0, 0) == TRANSFORM * (3, 2)
    assert PAD.read(field, Window(26, 16, 8, 8)).da.rio.crs.to_epsg() == 32610
    one_pixel = RioXarrayField(data_array().isel(band=0).rio.write_crs(32610)).select(
        Window(3, 2, 1, 1)
    )
    assert one_pixel.da.shape == (1, 1)
    with pytest.raises(PatchError, match="transpose"):
        RioXarrayField(data_array().rio.write_crs(32610).transpose("y", "x", "band"))


def test_a_dask_array_without_transform_is_plain(patcher_of):
    field = DaskField(da.from_array(VALUES, chunks=7))
    chip = field.select(Window(1, 2, 3, 4))
    assert type(chip) is np.ndarray
    patcher = patcher_of(8, 6)
    merged = patcher.merge(patcher.split(field), field)
    np.testing.assert_allclose(merged, VALUES, rtol=1e-6)
    assert field.with_data(da.zeros((20, 30))).domain.shape == (20, 30)


@pytest.mark.parametrize("name", ["shapes", "points", "xvec"])
def test_one_patcher_gives_the_same_members_from_every_table(name):
    field = vectors()[name]
    assert isinstance(field, Field)
    assert isinstance(field.domain, PointDomain if name == "points" else VectorDomain)
    patcher = SpatialPatcher(SpatialKNNGraph(3), SpatialRegularStride(2), aggregation=SpatialMean())
    patches = list(patcher.split(field))
    # Neighbours at one distance: the lower number first.
    assert [p.indices.index.tolist() for p in patches] == [[0, 1, 2], [2, 1, 3], [4, 3, 5]]
    np.testing.assert_array_equal(np.asarray(patches[1].data), [[2, 1, 3], [4, 1, 9]])
    merged = patcher.merge(patcher.split(field), field)
    np.testing.assert_allclose(merged, np.asarray(field))
    made = field.with_data(merged[0])
    np.testing.assert_allclose(np.asarray(made), merged[:1])
    assert field.with_data(merged).domain.shape == (6,)
    with pytest.raises(PatchError, match="do not end in the domain's"):
        field.with_data(np.ones(5))


def test_rows_keep_their_columns_and_crs():
    patch = SpatialPatcher(SpatialKNNGraph(2), SpatialRegularStride(1)).patch_at(
        vectors()["shapes"], 5
    )
    assert patch.data.gdf.name.tolist() == ["f", "e"]
    assert patch.data.gdf.crs.to_epsg() == 32610
    made = vectors()["shapes"].with_data(np.ones((2, 6)))
    assert list(made.gdf.columns) == ["geometry", "value_0", "value_1"]


def test_a_vector_cube_keeps_its_index():
    field = vectors()["xvec"]
    piece = field.select(Members(index=np.array([4, 1])))
    assert piece.ds.a.values.tolist() == [4, 1]
    assert field.with_data(np.ones((3, 6))).ds["value"].dims == ("axis_0", "zone")
    assert str(field.domain.crs) == "EPSG:32610"


def test_one_zonal_patcher_reaches_across_rasters_grids_and_tables(scene_of):
    west, north = TRANSFORM * (0, 0)
    zone = shapely.box(west, north - 100, west + 150, north)
    patcher = SpatialPatcher(
        SpatialPolygonIntersection([zone], crs="EPSG:32610"), SpatialRegularStride(1)
    )
    expected = VALUES[:, :10, :15].reshape(2, -1)
    for field in rasters(scene_of).values():
        (patch,) = patcher.split(field)
        np.testing.assert_array_equal(np.asarray(patch.data), expected)
    trees = gpd.GeoDataFrame(
        {"age": [1.0, 2.0]}, geometry=gpd.points_from_xy([west + 10, west + 200], [north - 10] * 2),
        crs=32610,
    )  # fmt: skip
    (patch,) = patcher.split(GeoPandasField(trees, as_points=True))
    assert patch.data.gdf.age.tolist() == [1]


def test_a_read_is_tried_again_with_growing_pauses(scene_of, monkeypatch):
    pauses, reads = [], []
    monkeypatch.setattr("time.sleep", pauses.append)

    class Flaky:
        domain = RasterDomain((4, 4))

        def select(self, indices):
            reads.append(indices)
            if len(reads) < 3:
                raise OSError("connection lost")
            return np.ones((1, 4, 4))

        def with_data(self, array):
            return array

    field = RetryField(Flaky(), attempts=3, base_delay=0.25)
    assert field.select("here").sum() == 16
    assert (reads, pauses) == (["here"] * 3, [0.25, 0.5])
    assert field.domain.shape == (4, 4)
    reads.clear()
    with pytest.raises(OSError, match="connection lost") as caught:
        RetryField(Flaky(), attempts=2, base_delay=0).select("there")
    assert caught.value.__notes__ == ["this was attempt 2 of 2 to read it"]
    reads.clear()
    with pytest.raises(OSError, match="connection lost"):
        RetryField(Flaky(), on=(TimeoutError,)).select("elsewhere")
    assert len(reads) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: XarrayField(np.zeros((3, 3))), "needs an xarray.DataArray, got ndarray"),
        (lambda: XarrayField(data_array().to_dataset("band")), "to_dataarray"),
        (lambda: XarrayField(xr.DataArray(1)), "needs dimensions, got a single number"),
        (lambda: GeoPandasField(np.zeros(3)), "needs a GeoDataFrame"),
        (lambda: GeoPandasField(vectors()["shapes"].gdf).select(Window(0, 0, 1, 1)), "Members"),
        (lambda: XvecField(xr.Dataset({"a": ("x", [1])})), "one geometry coordinate"),
        (lambda: XvecField(3), "Dataset or DataArray"),
        (lambda: vectors()["xvec"].select(Window(0, 0, 1, 1)), "Members"),
        (lambda: DaskField(np.zeros((3, 3))), "dask.array.from_array"),
        (lambda: RasterField(np.zeros((3, 3))), "without transform, crs"),
        (lambda: RetryField(None, attempts=0), "attempts must be a whole number of at least 1"),
    ],
)
def test_what_is_no_field_is_refused_with_a_way_out(make, message):
    with pytest.raises(PatchError, match=message):
        make()


@pytest.mark.parametrize("shape", [(9, 9), (1, 1), (1, 9), (5, 13)])
@pytest.mark.parametrize("kind", [XarrayField, RioXarrayField])
def test_chips_that_reach_over_with_one_row_or_column_inside(kind, shape):
    height, width = shape
    grid = {"y": 50 - 0.5 * np.arange(height), "x": 0.25 * np.arange(width)}
    array = xr.DataArray(np.random.default_rng(0).random(shape), grid, ("y", "x"))
    field = kind(array.rio.write_crs(4326))
    patcher = SpatialPatcher(PAD_4, SpatialRegularStride(4))
    merged = patcher.merge(patcher.split(field), field)
    np.testing.assert_allclose(np.asarray(merged), array.values, rtol=1e-6)
    if shape == (9, 9):
        last = patcher.stream(field)[-1].data.da
        assert last.y.values.tolist() == [46, 45.5, 45, 44.5]
        assert last.x.values.tolist() == [2, 2.25, 2.5, 2.75]


def test_one_pixel_of_labelled_rasters_lies_in_its_place():
    field = RioXarrayField(data_array())
    patch = SpatialPatcher(SpatialRectangular(1), SpatialRegularStride(1)).patch_at(field, (3, 4))
    place = TRANSFORM * Affine.translation(4, 3)
    assert patch.data.domain.transform == place
    assert patch.data.da.rio.transform() == place
    assert patch.data.da.rio.crs == field.domain.crs


@pytest.mark.filterwarnings("ignore:Transform that is non-rectilinear")
def test_pieces_of_a_rotated_raster_lie_in_their_place():
    turned = TRANSFORM * Affine.rotation(30)
    array = data_array().drop_vars(["x", "y"]).rio.write_transform(turned)
    piece = RioXarrayField(array).select(Window(7, 5, 4, 4))
    place = turned * Affine.translation(7, 5)
    assert piece.domain.transform.almost_equals(place, 1e-6)
    assert piece.da.rio.transform().almost_equals(place, 1e-6)


@pytest.mark.parametrize("kind", [DaskField, XarrayField, RioXarrayField])
@pytest.mark.parametrize("aggregation", [SpatialOverlapAdd(), SpatialMean(), SpatialMedian()])
def test_a_merge_computes_each_chunk_once(kind, aggregation):
    computed = []

    def noted(chunk):
        computed.append(chunk.shape)
        return chunk

    lazy = da.from_array(VALUES, chunks=(2, 10, 10)).map_blocks(noted, meta=VALUES[:0, :0, :0])
    field = kind(lazy if kind is DaskField else data_array().copy(data=lazy))
    patcher = SpatialPatcher(
        SpatialRectangular(10), SpatialRegularStride(10), aggregation=aggregation
    )
    computed.clear()
    merged = patcher.merge(patcher.split(field), field)
    np.testing.assert_array_equal(np.asarray(merged), VALUES)
    assert len(computed) == 6


@pytest.mark.parametrize("name", ["raster", "rioxarray", "xarray", "dask", "plain dask"])
@pytest.mark.parametrize("dtype", ["uint8", ">i2", "float32", "float64"])
@pytest.mark.parametrize("step", [7, 5])
def test_what_a_masked_array_hides_is_missing_in_every_field(name, dtype, step, scene_of):
    values = np.arange(1200).reshape(2, 20, 30).astype(dtype) % 200
    hidden = np.random.default_rng(1).random(values.shape) < 0.3
    plain_dask = {"plain dask": DaskField(da.from_array(VALUES, chunks=7))}
    field = (rasters(scene_of) | plain_dask)[name]
    made = field.with_data(np.ma.array(values, mask=hidden))
    patcher = SpatialPatcher(SpatialRectangular(7, boundary="shift"), SpatialRegularStride(step))
    want = np.where(hidden, np.nan, values)
    for stream in (
        patcher.split(made),
        patcher.stream(made).map(np.positive, batch_size=3),
    ):
        np.testing.assert_allclose(np.asarray(patcher.merge(stream, made)), want, rtol=1e-6)


@pytest.mark.parametrize("fill", [0, 9])
def test_labelled_arrays_say_the_nodata_that_their_values_have(fill):
    values = np.arange(36, dtype="uint8").reshape(6, 6) % 10
    field = XarrayField(xr.DataArray(values, dims=("y", "x"), attrs={"_FillValue": fill}))
    patcher = SpatialPatcher(
        SpatialRectangular(3), SpatialRegularStride(3), aggregation=SpatialOverlapAdd(dtype="uint8")
    )
    labelled = merge_to_xarray(patcher.split(field), field, patcher.aggregation)
    np.testing.assert_array_equal(labelled, values)
    assert chip_nodata(XarrayField(labelled)) == fill
    assert chip_nodata(field.with_data(values / 10)) is None, "0 is a share"
    assert chip_nodata(field.with_data(np.ma.masked_equal(values, 5))) == 5


def test_tables_say_what_is_hidden_by_nan():
    hidden = np.ma.array([1, 2, 3, 4, 5, 6], mask=[0, 1, 0, 0, 0, 1])
    for name, field in vectors().items():
        made = np.asarray(field.with_data(hidden))
        np.testing.assert_array_equal(made.squeeze(), [1, np.nan, 3, 4, 5, np.nan], name)
