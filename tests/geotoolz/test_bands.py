import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine

import geotoolz as gz
from geotoolz import NDVI, SelectBands
from geotoolz.bands import BandError, band_index, band_views, check_band, per_band, take_bands


def named(names, **attrs):
    values = np.arange(len(names) * 4.0).reshape(len(names), 2, 2)
    attrs = {"band_names": list(names), **attrs}
    return GeoTensor(values, Affine.identity(), "EPSG:32632", None, attrs)


SENTINEL2 = named(["B02", "B03", "B04", "B05", "B08", "B8A", "B11", "B12", "SCL"])


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("red", "B04"),
        ("nir", "B08"),
        ("nir08", "B8A"),
        ("rededge1", "B05"),
        ("swir1", "B11"),
        ("swir2", "B12"),
        ("scl", "SCL"),
        ("blue", "B02"),
        ("GREEN", "B03"),
        ("B8A", "B8A"),
        ("b8a", "B8A"),
    ],
)
def test_common_names_find_sentinel_2_bands(name, own):
    assert SENTINEL2.attrs["band_names"][band_index(SENTINEL2, name)] == own


def test_an_own_name_wins_over_a_common_one():
    assert band_index(named(["nir", "red"]), "red") == 1
    assert band_index(named(["B08", "red", "B04"]), "red") == 1


def test_landsat_assets_and_naip_letters_are_known():
    landsat = named(["blue", "green", "red", "nir08", "swir16", "swir22", "qa_pixel"])
    assert [band_index(landsat, each) for each in ("nir", "swir1", "swir2", "qa_pixel")] == [
        3,
        4,
        5,
        6,
    ]
    assert [band_index(named("RGBN"), each) for each in ("red", "green", "blue", "nir")] == [
        0,
        1,
        2,
        3,
    ]


def test_landsat_numbers_depend_on_the_sensor():
    names = ["SR_B3", "SR_B4", "SR_B5"]
    oli = named(names, item_id="LC08_L2SP_043033_20240614_02_T1")
    tm = named(names, item_id="LT05_L2SP_043033_20040614_02_T1")
    assert (band_index(oli, "red"), band_index(oli, "nir")) == (1, 2)
    assert (band_index(tm, "red"), band_index(tm, "nir")) == (0, 1)


def test_numbers_that_mean_different_bands_are_never_guessed():
    with pytest.raises(BandError, match="no band 'nir'"):
        band_index(named(["B4", "B5"]), "nir")
    with pytest.raises(BandError, match="no band 'nir'"):
        band_index(named(["SR_B4", "SR_B5"]), "nir")


def test_a_missing_name_lists_the_bands():
    with pytest.raises(BandError, match=r"no band 'B09'; its bands are B02, B03, B04"):
        band_index(SENTINEL2, "B09")


def test_names_need_names():
    with pytest.raises(BandError, match=r"give the band's index, 0 to 2"):
        band_index(np.zeros((3, 2, 2)), "red")


def test_names_that_do_not_fit_the_raster_are_an_error():
    with pytest.raises(BandError, match="lists 2 bands"):
        band_index(GeoTensor(np.zeros((3, 2, 2)), None, None, 0, {"band_names": ["a", "b"]}), "a")


@pytest.mark.parametrize("index", [3, -4, 99])
def test_an_index_out_of_range_says_how_many_there_are(index):
    with pytest.raises(IndexError, match=f"{index} is out of range: the raster has 3 bands"):
        take_bands(np.zeros((3, 2, 2)), (index,))


def test_a_band_error_is_both_lookup_errors():
    assert issubclass(BandError, IndexError)
    assert issubclass(BandError, KeyError)
    assert str(BandError("plain text")) == "plain text"


@pytest.mark.parametrize("shape", [(4,), (4, 4)])
def test_too_few_axes_are_an_error_that_shows_the_shape(shape):
    with pytest.raises(ValueError, match=r"expected bands on axis 0"):
        take_bands(np.zeros(shape), (0,))


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_bands_may_lie_on_any_axis(axis):
    values = np.random.default_rng(0).random((3, 4, 5))
    moved = np.moveaxis(values, 0, axis)
    for index in (0, 2, -1):
        (band,) = take_bands(moved, (index,), axis)
        assert np.array_equal(band, values[index])
        assert np.shares_memory(band, moved)


def test_an_axis_beyond_the_array_is_an_error():
    with pytest.raises(ValueError, match=r"axis 3 is out of range for shape \(3, 4, 5\)"):
        take_bands(np.zeros((3, 4, 5)), (0,), axis=3)


@pytest.mark.parametrize("wrong", [1.5, None, True, ["B04"]])
def test_what_is_no_band_is_refused(wrong):
    with pytest.raises(TypeError, match="red_idx must be a band index or a band name"):
        check_band(wrong, "red_idx")


def test_two_axes_are_one_band():
    values = np.zeros((4, 5))
    assert band_views(values)[0] is values


def test_per_band_numbers_broadcast_along_their_axis():
    values = np.ones((2, 3, 4))
    numbers = per_band([10, 20, 30], values, 1, np.dtype("float32"), "scale")
    assert (values * numbers)[0, :, 0].tolist() == [10, 20, 30]


def test_too_many_numbers_name_the_argument():
    with pytest.raises(ValueError, match=r"scale must be one number or one per band"):
        per_band([1, 2], np.ones((3, 2, 2)), 0, np.dtype("float32"), "scale")


def test_slices_keep_the_names_of_their_bands(tile):
    assert gz.NDVI()(tile[:2]).values.tolist() == gz.NDVI()(tile).values.tolist()
    for sliced in (tile[1:], tile[[0, 1]], tile[np.array([True, True, False])]):
        chosen = gz.SelectBands(("B08",))(sliced)
        assert np.array_equal(chosen.values, tile.values[1:2])


def test_names_left_behind_by_numpy_are_never_read_as_those_of_the_result(tile):
    sliced = np.take(tile, [1, 2], axis=0)
    assert list(sliced.attrs["band_names"]) == ["B04", "B08", "B11"]
    for op in (gz.NDVI(), gz.SelectBands(("B08",)), gz.SelectBands((0,)), gz.SpectralIndex("NDVI")):
        with pytest.raises(BandError, match=r"numpy's functions leave the names.*SelectBands"):
            op(sliced)
    with pytest.raises(BandError) as error:
        gz.NDVI(0, 5)(sliced)
    assert "B04" not in str(error.value)
    assert gz.NDVI(0, 1)(sliced).shape == (5, 7)
    chosen = gz.SelectBands((1, 2))(tile)
    assert chosen.attrs["band_names"] == ["B08", "B11"]
    assert np.array_equal(chosen.values, tile.values[1:])


NAMES = ["B02", "B03", "B04", "B08"]


@pytest.fixture
def scene():
    values = np.arange(4, dtype=np.uint16)[:, None, None] * np.ones((4, 3, 5), np.uint16)
    attrs = {"band_names": NAMES, "item_id": "x"}
    return GeoTensor(values, Affine(10, 0, 0, 0, -10, 30), "EPSG:32632", attrs=attrs)


@pytest.mark.parametrize(
    "bands", [("B08", "B02"), (3, 0), (-1, "B02"), ("nir", "blue"), np.array([3, 0])]
)
def test_names_and_indices_choose_the_same_and_keep_the_bands_own_names(scene, bands):
    chosen = SelectBands(bands)(scene)
    assert chosen.values[:, 0, 0].tolist() == [3, 0]
    assert chosen.attrs == {"band_names": ["B08", "B02"], "item_id": "x"}
    assert (chosen.transform, chosen.crs, chosen.dtype) == (scene.transform, scene.crs, np.uint16)
    assert scene.attrs["band_names"] == NAMES


def test_names_stay_in_step_for_the_next_operator(scene):
    direct, through = NDVI()(scene), (SelectBands(("B08", "B04")) | NDVI())(scene)
    assert np.array_equal(direct.values, through.values)


def test_the_input_is_not_touched_by_the_result(scene):
    SelectBands((0,))(scene).values[:] = 9
    assert scene.values[0].max() == 0


def test_a_band_that_is_not_there_lists_those_that_are(scene):
    with pytest.raises(LookupError, match=r"B02.*B08"):
        SelectBands(("B12",))(scene)
    with pytest.raises(ValueError, match="at least one band"):
        SelectBands(())(scene)


@pytest.mark.parametrize("names", [["nir", "nir"], ["B08", "nir", "b08"], ["a", "nir", "nir"]])
def test_a_name_that_two_bands_have_tells_none(tmp_path, names):
    values = np.arange(4 * len(names), dtype="float32").reshape(-1, 2, 2)
    raster = GeoTensor(values, Affine.scale(10, -10), "EPSG:32632", np.nan, {"band_names": names})
    path = gz.write_cog(raster, tmp_path / "a.tif")
    twice = next(name for name in names if [n.lower() for n in names].count(name.lower()) > 1)
    if names.count(twice) > 1:
        with pytest.raises(KeyError, match=f"2 bands are called '{twice}'"):
            gz.read(path, bands=[twice])
        with pytest.raises(BandError, match=f"2 bands are called '{twice}'"):
            gz.SelectBands([twice])(raster)
    else:  # spelt otherwise they are two, and each is found as it is spelt
        assert [gz.read(path, bands=[name]).values[0, 0, 0] for name in names] == [0, 4, 8]
    with pytest.raises(BandError, match="bands are called 'b08'"):
        band_index(named(["B08"] * len(names)), "nir")
