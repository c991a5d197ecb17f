import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from rasterio.warp import transform_bounds

import geotoolz as gz

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
    with pytest.raises(ValueError, match="which is empty"):
        gz.CropToBounds((10, 0, 0, 10))
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
