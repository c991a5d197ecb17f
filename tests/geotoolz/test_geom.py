import tracemalloc

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from rasterio.warp import transform_bounds

import geotoolz as gz
from geotoolz.geom import mosaic, pad_to
from geotoolz.warp import reproject
from pipekit.pixels import band_roles

quick = settings(max_examples=40)


def test_a_crop_holds_the_box_and_no_whole_pixel_more(tile, at_point, centres):
    bounds = (500_012, 4_999_965, 500_038, 4_999_989)
    cut = gz.CropToBounds(bounds)(tile)
    assert cut.bounds == (500_010, 4_999_960, 500_040, 4_999_990)
    for x, y in centres(cut):
        assert np.array_equal(at_point(cut, x, y), at_point(tile, x, y))
    assert cut.attrs == tile.attrs


@quick
@given(st.integers(0, 4), st.integers(0, 6), st.integers(1, 5), st.integers(1, 7))
def test_a_box_of_whole_pixels_is_cut_exactly(row, col, rows, cols):
    values = np.arange(35.0).reshape(5, 7)
    raster = GeoTensor(values, Affine(0.1, 0, 11.3, 0, -0.1, 46.7), "EPSG:4326", np.nan)
    rows, cols = min(rows, 5 - row), min(cols, 7 - col)
    west, north = raster.transform * (col, row)
    east, south = raster.transform * (col + cols, row + rows)
    cut = gz.CropToBounds((west, south, east, north))(raster)
    assert np.array_equal(cut.values, values[row : row + rows, col : col + cols])


def test_a_box_in_degrees(bolzano):
    box = transform_bounds("EPSG:32632", "EPSG:4326", 678_000, 5_150_000, 679_000, 5_151_000)
    cut = gz.CropToBounds(box, crs="EPSG:4326")(bolzano)
    west, south, east, north = cut.bounds
    assert west <= 678_000 < 679_000 <= east
    assert south <= 5_150_000 < 5_151_000 <= north
    assert (east - west) < 1100


def test_a_box_beside_the_raster_is_an_error(tile):
    with pytest.raises(ValueError, match="does not meet the raster, which covers"):
        gz.CropToBounds((0, 0, 10, 10))(tile)
    for bounds, crs in (((10, 0, 0, 10), 32632), ((0, 10, 10, 0), None)):
        with pytest.raises(ValueError, match="which is empty"):
            gz.CropToBounds(bounds, crs)
    with pytest.raises(ValueError, match="which is empty"):
        gz.CropToBounds((10, 0, 0, 10))(tile)  # in degrees it would cross the antimeridian
    degrees = GeoTensor(np.ones((9, 9)), Affine(1, 0, 175, 0, -1, 5), "EPSG:4326", None)
    assert gz.CropToBounds((178, -1, -178, 1))(degrees).bounds == (178, -1, 182, 1)
    with pytest.raises(TypeError, match="cropping to bounds needs a GeoTensor"):
        gz.CropToBounds((0, 0, 1, 1))(tile.values)


@pytest.mark.parametrize("position", ["centre", "upper-left"])
@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_padding_keeps_every_pixel_in_its_place(tile, at_point, centres, position, mode):
    padded = gz.PadTo((8, 8), mode=mode, position=position)(tile)
    assert padded.shape == (3, 8, 8)
    for x, y in centres(tile):
        assert np.array_equal(at_point(padded, x, y), at_point(tile, x, y))
    if mode == "constant":
        assert np.isnan(padded.values).sum() == 3 * (64 - 35)


def test_padding_fills_integers_with_their_nodata():
    raster = GeoTensor(np.full((1, 2, 2), 5, "uint16"), Affine.identity(), "EPSG:32632", 999)
    assert (gz.PadTo(4)(raster).values == 999).sum() == 12
    assert gz.PadTo(4)(np.ones((2, 2), "uint8")).sum() == 4
    assert gz.PadTo(4, fill_value=3)(np.ones((2, 2), "uint8")).sum() == 4 + 36


def test_a_raster_that_is_large_enough_is_unchanged(tile):
    assert np.array_equal(gz.PadTo((3, 4))(tile).values, tile.values)


def test_padding_mistakes_are_named(tile):
    with pytest.raises(ValueError, match="position must be 'centre' or 'upper-left'"):
        gz.PadTo(8, position="left")(tile)
    with pytest.raises(ValueError, match="size must be positive"):
        gz.PadTo((0, 4))(tile)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: gz.PadTo((0, 4)), "size must be positive"),
        (lambda: gz.PadTo((1, 2, 3)), "size must be positive"),
        (lambda: gz.PadTo(4, mode="mirror"), "mode must be one of"),
        (lambda: gz.PadTo(4, position="left"), "position must be"),
        (lambda: gz.PadTo(4, fill_value=np.nan)(np.ones((2, 2), "uint8")), "ToFloat32.. before"),
        (lambda: gz.PadTo(4, fill_value=256)(np.ones((2, 2), "uint8")), "0 to 255"),
        (lambda: gz.Reproject(3857, resolution=0), "resolution must be positive"),
        (lambda: gz.Reproject(3857, resolution=(10, -10)), "resolution must be positive"),
        (lambda: gz.Resample(0), "resolution must be positive"),
        (lambda: gz.Resample(float("inf")), "resolution must be positive and finite"),
        (lambda: gz.Reproject("EPSG:999999"), "EPSG:999999"),
    ],
)
def test_bad_sizes_modes_and_resolutions_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_nothing_can_not_be_reprojected():
    empty = GeoTensor(np.zeros((2, 0, 4)), Affine(10, 0, 5e5, 0, -10, 5e6), "EPSG:32632")
    with pytest.raises(ValueError, match="needs pixels, got a raster of shape"):
        gz.Reproject("EPSG:4326")(empty)


GRID = Affine(10, 0, 500_000, 0, -10, 5_000_000)


def at(col, row, values, fill=np.nan, **attrs):
    return GeoTensor(
        np.asarray(values), GRID * Affine.translation(col, row), "EPSG:32632", fill, attrs
    )


def test_a_scene_cut_into_tiles_is_put_together_again(bolzano):
    pieces = [bolzano[:, r : r + 300, c : c + 400] for r in (0, 300, 600) for c in (0, 400, 800)]
    for order in (pieces, pieces[::-1]):
        whole = gz.Mosaic()(order)
        assert np.array_equal(whole.values, bolzano.values)
        assert whole.bounds == bolzano.bounds
        assert whole.dtype == np.uint16


@pytest.mark.parametrize(
    ("method", "expected"),
    [("first", 1.0), ("last", 9.0), ("min", 1.0), ("max", 9.0), ("mean", 5.0)],
)
def test_where_rasters_overlap(method, expected):
    left, right = at(0, 0, np.full((2, 4), 1.0)), at(2, 0, np.full((2, 4), 9.0))
    result = gz.Mosaic(method)([left, right])
    assert result.values[0].tolist() == [1, 1, expected, expected, 9, 9]


def test_nodata_gives_way_and_gaps_are_nodata():
    holed = at(0, 0, [[np.nan, 1.0]])
    result = gz.Mosaic("last")(holed, at(0, 0, [[7.0, np.nan]]), at(4, 1, [[3.0, 3.0]]))
    np.testing.assert_array_equal(
        result.values, [[7, 1, np.nan, np.nan, np.nan, np.nan], [np.nan] * 4 + [3, 3]]
    )
    counts = at(0, 0, np.array([[0, 5]], "uint16"), fill=0)
    mean = gz.Mosaic("mean")(counts, at(0, 0, np.array([[8, 8]], "uint16"), fill=0))
    assert mean.values.tolist() == [[8, 6]]
    assert mean.dtype == np.uint16


def test_another_crs_is_resampled_onto_the_first_grid(bolzano):
    west = bolzano[:, :, :500]
    east = gz.Reproject("EPSG:32633", 10.0)(bolzano[:, :, 450:])
    whole = gz.Mosaic()(west, east)
    assert whole.crs == bolzano.crs
    inside = gz.CropToBounds(bolzano.bounds)(whole)
    assert np.array_equal(inside.values[:, :, :500], west.values)
    seen = inside.values[3, 20:-20, 520:-20].astype(float)
    true = bolzano.values[3, 20:-20, 520:-20].astype(float)
    assert np.corrcoef(seen.ravel(), true.ravel())[0, 1] > 0.9


def test_mosaic_mistakes_are_named():
    with pytest.raises(ValueError, match="method must be one of"):
        gz.Mosaic("median")
    with pytest.raises(ValueError, match="at least one raster"):
        gz.Mosaic()([])
    with pytest.raises(ValueError, match="need equal bands"):
        gz.Mosaic()(at(0, 0, np.ones((1, 2, 2))), at(2, 0, np.ones((2, 2, 2))))


def test_bands_of_several_sensors_on_one_grid(tile, at_point, centres):
    coarse = gz.Resample(20.0, "average")(tile[0])
    coarse.attrs = {"long_name": "elevation"}
    stacked = gz.AlignAndStack(resampling="nearest")(tile, coarse)
    assert stacked.shape == (4, 5, 7)
    assert stacked.attrs["band_names"] == ["B04", "B08", "B11", "elevation"]
    assert np.array_equal(stacked.values[:3], tile.values)
    for x, y in centres(tile):
        assert at_point(stacked, x, y)[3] == at_point(coarse, x, y)


def test_the_target_may_be_any_input_or_a_grid(tile):
    coarse = gz.Resample(20.0)(tile)
    assert gz.AlignAndStack(target=1)(tile, coarse).shape[1:] == coarse.shape[1:]
    assert gz.AlignAndStack(target=coarse)(tile, tile).shape[1:] == coarse.shape[1:]
    assert gz.AlignAndStack()({"a": tile, "b": coarse}).shape == (6, 5, 7)
    with pytest.raises(IndexError, match="target=2 is out of range for 2 rasters"):
        gz.AlignAndStack(target=2)(tile, coarse)
    with pytest.raises(ValueError, match="resampling has 1 names for 2 rasters"):
        gz.AlignAndStack(resampling=["nearest"])(tile, tile)


def test_integers_of_one_kind_stay_and_mixed_ones_become_floats_with_nan():
    digital = at(0, 0, np.array([[0, 5]], "uint16"), fill=0)
    assert gz.AlignAndStack()(digital, digital).dtype == np.uint16
    mixed = gz.AlignAndStack()(
        digital, at(0, 0, np.array([[-9999.0, 2.0]]).astype("float32"), fill=-9999.0)
    )
    assert mixed.dtype == np.float32
    assert np.isnan(mixed.values[:, 0, 0]).all()
    assert mixed.values[:, 0, 1].tolist() == [5, 2]


def test_fusion_as_a_graph(tile):
    optical, dem = gz.Input("optical"), gz.Input("dem")
    graph = gz.Graph({"optical": optical, "dem": dem}, {"x": gz.AlignAndStack()(optical, dem)})
    assert graph(optical=tile, dem=gz.Resample(20.0)(tile[0]))["x"].shape == (4, 5, 7)


def side_by_side(left, right):
    values = np.asarray(left), np.asarray(right)
    return [
        GeoTensor(v, Affine(10, 0, 20 * i, 0, -10, 0), "EPSG:32632", None)
        for i, v in enumerate(values)
    ]


@pytest.mark.parametrize("method", ["first", "last", "min", "max", "mean"])
@pytest.mark.parametrize(
    ("left", "right"),
    [
        (np.array([[True, False]]), np.array([[False, True]])),
        (np.array([[0, 7]], "uint8"), np.array([[8, 0]], "uint8")),
    ],
)
def test_rasters_without_a_nodata_value_are_valid_within_their_outline(left, right, method):
    if method == "mean" and left.dtype == bool:
        pytest.skip("masks have no mean")
    result = gz.Mosaic(method)(*side_by_side(left, right))
    assert np.array_equal(result.values, np.hstack([left, right]))


def test_a_mosaic_never_wraps_numbers_or_mixes_bands(tile):
    small, large = side_by_side(np.ones((1, 2), "uint8"), np.full((1, 2), 300.7, "float32"))
    with pytest.raises(ValueError, match="uint8 can't hold float32; put ToFloat32"):
        gz.Mosaic()(small, large)
    assert gz.Mosaic()(large, small).values.tolist()[0][2:] == pytest.approx([300.7, 300.7])
    turned = gz.SelectBands(("B08", "B04", "B11"))(tile)
    with pytest.raises(ValueError, match=r"bands in one order.*SelectBands"):
        gz.Mosaic()(tile, turned)


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
@pytest.mark.parametrize("join", [gz.Mosaic(), gz.AlignAndStack(), gz.MedianComposite()])
def test_what_is_simulated_in_part_says_so(join, order):
    real = at(0, 0, np.ones((1, 2, 2)), source="archive")
    simulated = at(0, 0, np.ones((1, 2, 2)), source="simulated")
    assert join([real, simulated][order]).attrs["source"] == "simulated"
    assert join([real, real]).attrs["source"] == "archive"


@pytest.mark.parametrize("join", [gz.Mosaic(), gz.AlignAndStack(), gz.MedianComposite()])
@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({"processing_baseline": "03.01"}, {"processing_baseline": "05.10"}, "can't be told"),
        ({"offset_applied": True}, {"offset_applied": False}, "can't be told"),
        ({"offset_applied": True}, {"processing_baseline": "05.10"}, "can't be told"),
        ({"offset_applied": True, "processing_baseline": "05.10"}, {"item_id": "a DEM"}, None),
        ({"offset_applied": True, "processing_baseline": "05.10"},
         {"offset_applied": True, "processing_baseline": "05.11"}, None),
    ],
)  # fmt: skip
def test_one_scene_s_offset_is_not_another_s(join, first, second, message):
    parts = [at(0, 0, np.full((1, 2, 2), 3000.0), **attrs) for attrs in (first, second)]
    joined = join(parts)
    if message is None:
        assert gz.HarmonizeBaseline()(joined) is joined
    else:
        with pytest.raises(ValueError, match=message):
            gz.HarmonizeBaseline()(joined)


def raster_at(transform, values, fill=None, crs="EPSG:32632", **attrs):
    return GeoTensor(np.asarray(values), transform, crs, fill, attrs)


NORTH = Affine(10, 0, 5e5, 0, -10, 5e6)


@pytest.mark.parametrize("resampling", ["bilinear", "cubic", "average", "max", "nearest", "mode"])
@pytest.mark.parametrize("dtype", ["uint8", ">u2", "int32", "float32", ">f4"])
@pytest.mark.parametrize("timed", [False, True])
def test_no_resampling_blends_codes(resampling, dtype, timed):
    rng = np.random.default_rng(2)
    values = rng.choice([4, 8], (2, 3, 12, 12) if timed else (3, 12, 12)).astype(dtype)
    scene = raster_at(NORTH, values, 0, band_names=["B04", "SCL", "QA_PIXEL"])
    for op in (gz.Resample(7.0, resampling), gz.Resample(25.0, resampling),
               gz.Reproject("EPSG:3857", resampling=resampling)):  # fmt: skip
        out = op(scene)
        held = np.unique(out.values[..., 1:, :, :])
        assert set(held[~np.isnan(held)]) <= {0, 4, 8}
        assert out.attrs["band_names"] == ["B04", "SCL", "QA_PIXEL"]
    one = raster_at(NORTH, values.reshape(-1, 12, 12)[0], None, band_roles="class")
    assert set(np.unique(gz.Resample(5.0, resampling)(one).values)) <= {4, 8}


def test_classes_summed_up_are_voted_on():
    classes = raster_at(
        NORTH, np.array([[4, 4, 9, 1], [4, 8, 9, 9]], "uint8"), None, band_names=["SCL"]
    )
    assert gz.Resample(20.0, "average")(classes).values.tolist() == [[4, 9]]


def test_classes_stay_classes_in_a_stack_of_other_pixels():
    fine = raster_at(NORTH, np.full((1, 4, 4), 1000, "uint16"), 0, band_names=["B04"])
    coarse = NORTH * Affine.scale(2)
    scl = raster_at(coarse, np.array([[[4, 8], [4, 8]]], "uint8"), 0, band_names=["SCL"])
    cloud = raster_at(coarse, np.array([[True, False], [True, False]]))
    out = gz.AlignAndStack()(fine, scl, cloud)
    assert set(np.unique(out.values[1])) == {4, 8}
    assert set(np.unique(out.values[2])) == {0, 1}
    assert band_roles(out) == ("quantity", "class", "mask")


def test_wide_integers_of_several_nodata_values_stay_exact():
    ids = raster_at(NORTH, np.array([[2**24 + 1, 2]], "int32"), -1)
    dn = raster_at(NORTH, np.array([[5, 0]], "uint16"), 0)
    out = gz.AlignAndStack()(ids, dn)
    assert out.values[0, 0, 0] == 2**24 + 1
    assert np.isnan(out.values[1, 0, 1])


@pytest.mark.parametrize("method", ["first", "last", "min", "max"])
@pytest.mark.parametrize("fills", [(0, 255), (255, 0), (None, 0), (0, None), (None, None), (7, 9)])
@pytest.mark.parametrize("dtype", ["uint8", ">u2", "int16"])
def test_no_class_of_one_raster_is_a_hole_of_another(method, fills, dtype):
    classes = [0, 7, 9, 255]
    row = np.array([classes], dtype)
    left, right = (
        raster_at(NORTH, row, fills[0]),
        raster_at(NORTH * Affine.translation(6, 1), row, fills[1]),
    )
    out = gz.Mosaic(method)(left, right)
    nodata = out.fill_value_default
    expected = np.full((2, 10), None)
    for place, fill in (((0, 0), fills[0]), ((1, 6), fills[1])):
        for i, value in enumerate(classes):
            if value != fill:
                expected[place[0], place[1] + i] = value
    found = [[None if v == nodata else int(v) for v in line] for line in out.values]
    assert found == expected.tolist()


@pytest.mark.parametrize("role", ["class", "bits", "mask"])
def test_codes_have_no_mean(role):
    tile = raster_at(NORTH, np.ones((1, 2, 2), "uint8"), 0, band_roles=[role])
    with pytest.raises(ValueError, match=f'"mean" cannot average {role} bands; use method="first"'):
        gz.Mosaic("mean")(tile, tile)
    assert gz.Mosaic()(tile, tile).attrs["band_roles"] == [role]


def test_a_mean_never_lands_on_nodata():
    low, high = (raster_at(NORTH, np.full((1, 1), v, "int16"), 0) for v in (-5, 5))
    assert gz.Mosaic("mean")(low, high).values.tolist() == [[1]]


def test_the_memory_of_a_mosaic_does_not_grow_with_its_inputs():
    def peak(n):
        tiles = [raster_at(NORTH * Affine.translation(128 * i, 128 * j), np.ones((1, 128, 128), "u2"), 0)
                 for i in range(n) for j in range(n)]  # fmt: skip
        tracemalloc.start()
        out = gz.Mosaic()(tiles)
        found = tracemalloc.get_traced_memory()[1] / out.values.nbytes
        tracemalloc.stop()
        return found

    peak(1)
    assert peak(8) < 4
    assert peak(3) < 5


@pytest.mark.parametrize("turn", ["north", "south", "east", "both"])
@pytest.mark.parametrize("sizes", [(10, 10), (10, 20), (1e-4, 2e-4)])
def test_rasters_in_any_direction_cover_the_same_ground(turn, sizes):
    crs = "EPSG:4326" if sizes[0] < 1 else "EPSG:32632"
    north = Affine(sizes[0], 0, 11, 0, -sizes[1], 46)
    values = np.arange(24.0).reshape(1, 4, 6)
    rows = slice(None, None, -1 if turn in ("south", "both") else 1)
    cols = slice(None, None, -1 if turn in ("east", "both") else 1)
    place = north
    if rows.step < 0:
        place = place * Affine.translation(0, 4) * Affine.scale(1, -1)
    if cols.step < 0:
        place = place * Affine.translation(6, 0) * Affine.scale(-1, 1)
    given = raster_at(place, values[:, rows, cols].copy(), np.nan, crs)
    straight = raster_at(north, values, np.nan, crs)
    same = gz.Resample(sizes)(given)
    assert np.array_equal(same.values, values)
    assert np.allclose(tuple(same.transform), tuple(north), atol=1e-9)
    assert np.array_equal(gz.ReprojectLike(straight)(given).values, values)
    mosaic = gz.Mosaic()(straight, given)
    assert np.array_equal(mosaic.values, values)
    assert np.array_equal(gz.Mosaic()(given, straight).values, given.values)
    stacked = gz.AlignAndStack(0, "nearest")(straight, given)
    assert np.array_equal(stacked.values[1], values[0])


@pytest.mark.parametrize("angle", [15, 45, 100, 225])
@pytest.mark.parametrize("target", [32632, 32633, 3857, 4326])
def test_a_rotated_raster_keeps_its_pixel_size(angle, target):
    place = Affine.translation(5e5, 5e6) * Affine.rotation(angle) * Affine.scale(10, -10)
    given = raster_at(place, np.ones((200, 300), "float32"), np.nan)
    upright = raster_at(NORTH, np.ones((200, 300), "float32"), np.nan)
    found, expected = gz.Reproject(target)(given), gz.Reproject(target)(upright)
    # A degree of longitude is shorter than one of latitude, so the diagonal's direction matters.
    slack = 0.2 if target == 4326 else 0.02
    assert found.transform.a == pytest.approx(-found.transform.e)
    assert found.transform.a == pytest.approx(expected.transform.a, rel=slack)
    if target == 32632:
        assert found.transform.a == pytest.approx(10)
        assert np.nansum(found.values) == pytest.approx(60_000, rel=0.01)


def test_grids_in_degrees_are_compared_by_their_pixels():
    grid = Affine(8.98e-5, 0, 11, 0, -8.98e-5, 46)
    one = raster_at(grid, np.zeros((1, 20, 20), "float32"), np.nan, "EPSG:4326")
    for other in (grid * Affine.translation(11, -11), grid * Affine.translation(0.01, 0),
                  grid * Affine.scale(10), grid * Affine.scale(1.001)):  # fmt: skip
        with pytest.raises(ValueError, match="rasters of a stack must lie on one grid"):
            gz.MedianComposite()([one, raster_at(other, one.values, np.nan, "EPSG:4326")])
    near = raster_at(grid * Affine.translation(5e-5, 0), one.values, np.nan, "EPSG:4326")
    assert gz.MedianComposite()([one, near]).shape == (1, 20, 20)


@pytest.mark.parametrize("mode", ["linear_ramp", "mean", "median", "reflect", "edge", "maximum"])
@pytest.mark.parametrize("shape", [(2, 3, 3), (2, 2, 3, 3)])
def test_padding_blends_no_codes(mode, shape):
    values = np.random.default_rng(0).choice([4, 8], shape).astype("uint8")
    out = gz.PadTo(8, mode)(raster_at(NORTH, values, None, band_names=["B04", "SCL"]))
    assert set(np.unique(out.values[..., 1, :, :])) <= {4, 8}


@pytest.mark.parametrize("held", [[[1, 2]], [[0, 2]], [[0, 255]]])
def test_padding_without_a_nodata_value_makes_no_valid_pixels(held):
    tile = raster_at(NORTH, np.array(held, "uint8"), None)
    out = gz.PadTo((1, 4), position="upper-left")(tile)
    assert (out.values != out.fill_value_default).tolist() == [[True, True, False, False]]
    assert gz.PadTo((1, 2))(tile).fill_value_default is None


@pytest.mark.parametrize("size", [(15, 20), (30, 10), 12, (60, 80)])
def test_a_resized_raster_has_the_same_extent(size):
    values = np.random.default_rng(0).normal(size=(2, 30, 40)).astype("float32")
    names = {"band_names": ["B04", "B08"]}
    tile = GeoTensor(values, Affine(10, 0, 500_000, 0, -10, 5_000_300), "EPSG:32632", None, names)
    made = gz.Resize(size, "average")(tile)
    assert made.shape == (2, *(size if isinstance(size, tuple) else (size, size)))
    np.testing.assert_allclose(made.bounds, tile.bounds)
    assert made.attrs["band_names"] == ["B04", "B08"]
    if size == (15, 20):
        expected = values.reshape(2, 15, 2, 20, 2).mean(axis=(2, 4))
        np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            gz.Resize(size, "average")(values), expected, rtol=1e-5, atol=1e-6
        )
    if size == (60, 80):
        np.testing.assert_array_equal(gz.Resize(size)(tile), values.repeat(2, 1).repeat(2, 2))


def test_classes_are_not_blended_by_resizing():
    scl = np.random.default_rng(0).integers(0, 12, (1, 30, 40)).astype("uint8")
    tile = GeoTensor(scl, Affine.scale(10, -10), "EPSG:32632", 0, {"band_names": ["SCL"]})
    made = gz.Resize((13, 17), "bilinear")(tile)
    assert set(np.unique(made.values)) <= set(range(12))
    assert made.dtype == "uint8"


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("name", ["reproject", "pad_to", "mosaic"])
def test_photographs_that_use_every_number_are_moved_and_padded(name, dtype):
    """White moves by one: nothing else is left to mark what lies beyond."""
    values = (np.arange(1024) % 256).astype(dtype).reshape(1, 32, 32)
    tile = GeoTensor(values.copy(), Affine(10, 0, 5e5, 0, -10, 5e6), "EPSG:32632", None)
    other = GeoTensor(values.copy(), Affine(10, 0, 5e5 + 400, 0, -10, 5e6 + 400), tile.crs, None)
    calls = {
        "reproject": lambda: reproject(tile, 32635, 5),
        "pad_to": lambda: pad_to(tile, 40),
        "mosaic": lambda: mosaic([tile, other]),
    }
    made = calls[name]()
    limits = np.iinfo(dtype)
    last = limits.min or limits.max
    assert made.values.dtype == dtype
    assert made.fill_value_default == last
    kept = made.values[made.values != last]
    assert 0 < len(kept) < made.values.size
    assert name == "reproject" or len(set(kept.tolist())) == 255
