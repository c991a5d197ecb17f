import tracemalloc

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio import Affine
from scipy.ndimage import distance_transform_edt

import geotoolz as gz
from geotoolz.cloud import LANDSAT_QA_BITS, dilate_mask, mask_from_qa_bits, mask_from_scl
from pipekit import from_config, to_config

quick = settings(max_examples=40)


def test_the_class_sets():
    assert sorted(gz.SCL_CLASSES) == list(range(12))
    assert gz.SCL_CLOUDS == (8, 9, 10)
    assert gz.SCL_SHADOWS == (3,)
    both = {*gz.SCL_CLOUDS, *gz.SCL_SHADOWS}
    assert set(gz.SCL_CLOUDS_AND_INVALID) - both == {gz.SCL.NO_DATA, gz.SCL.SATURATED_OR_DEFECTIVE}
    assert [member.value for member in gz.SCL] == list(range(12))
    assert (np.array([6, 4]) == gz.SCL.WATER).tolist() == [True, False]
    assert all("cloud" in gz.SCL_CLASSES[i].name or i == gz.SCL.THIN_CIRRUS for i in gz.SCL_CLOUDS)
    assert [gz.SCL_CLASSES[i].name for i in (*gz.SCL_WATER, *gz.SCL_SNOW)] == [
        "water",
        "snow or ice",
    ]
    assert all(
        entry.colour[0] == "#" and len(entry.colour) == 7 for entry in gz.SCL_CLASSES.values()
    )


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("classes", [gz.SCL_CLOUDS, gz.SCL_CLOUDS_AND_INVALID, (6,), [4, 5]])
def test_exactly_the_classes_are_dropped(dtype, classes):
    scl = np.arange(12, dtype=dtype).reshape(3, 4)
    result = mask_from_scl(scl, classes=classes)
    assert result.dtype == bool
    assert np.flatnonzero(result).tolist() == sorted(classes)


def test_the_band_is_found_by_index_or_name():
    values = np.zeros((3, 2, 2), "uint16")
    values[2] = 4
    values[2, 0, 0] = 9
    raster = GeoTensor(
        values, Affine.identity(), "EPSG:32632", 0, {"band_names": ["B04", "B08", "SCL"]}
    )
    for band in (2, -1, "SCL", "scl"):
        result = gz.MaskFromSCL(band)(raster)
        assert result.values.tolist() == [[True, False], [False, False]]
    assert result.shape == (2, 2)
    assert result.fill_value_default is None
    assert "band_names" not in result.attrs
    with pytest.raises(LookupError, match="no band 'B02'"):
        gz.MaskFromSCL("B02")(raster)


def test_classes_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"SCL ids are 0 to 11, got \[12\]"):
        gz.MaskFromSCL(classes=(3, 12))
    with pytest.raises(ValueError, match="classes is empty"):
        gz.MaskFromSCL(classes=())


def test_values_that_are_no_class_are_kept():
    assert mask_from_scl(np.array([[255, 300, 9]], "uint16")).tolist() == [[False, False, True]]


def test_nodata_is_dropped_after_it_became_nan():
    raster = GeoTensor(np.array([[[0, 4, 9]]], "uint16"), Affine.identity(), "EPSG:32632", 0)
    floats = gz.ToFloat32()(raster)
    assert np.isnan(floats.values[0, 0, 0])
    assert gz.MaskFromSCL()(floats).values.tolist() == [[True, False, True]]
    assert gz.MaskFromSCL(classes=gz.SCL_CLOUDS)(floats).values.tolist() == [[False, False, True]]
    two_dates = np.array([[[[5.0]], [[np.nan]]], [[[7.0]], [[4.0]]]])
    assert gz.CloudFreeComposite(scl_idx=1)(two_dates).item() == 7


def test_real_clear_scene(bolzano_scl):
    drop = gz.MaskFromSCL()(bolzano_scl)
    assert drop.shape == bolzano_scl.shape[1:]
    assert drop.values.mean() < 0.05


@quick
@given(arrays(np.uint16, (2, 3)), st.sampled_from(sorted(LANDSAT_QA_BITS)))
def test_a_flag_is_its_bit(quality, flag):
    expected = (quality >> LANDSAT_QA_BITS[flag]) & 1 == 1
    assert np.array_equal(mask_from_qa_bits(quality, flags=(flag,)), expected)


def test_landsat_s_published_values():
    # LSDS-1619, table of QA_PIXEL values: fill, clear land, water, cloud, cloud shadow, snow.
    published = np.array([[1, 21824, 21952, 22280, 23888, 30048]], "uint16")
    expected = [[True, False, False, True, True, False]]
    assert mask_from_qa_bits(published).tolist() == expected


def test_flags_may_be_bit_numbers_and_must_exist():
    assert gz.MaskFromQABits(flags=(15,))(np.array([[1 << 15]], "uint16")).all()
    assert gz.MaskFromQABits(flags=(7,))(np.array([[-128]], "int8")).all()
    for wrong in ("clouds", 16, -1):
        with pytest.raises(ValueError, match="no quality flag"):
            gz.MaskFromQABits(flags=(wrong,))
    with pytest.raises(ValueError, match="flags is empty"):
        gz.MaskFromQABits(flags=())


def test_quality_bits_are_whole_numbers():
    with pytest.raises(TypeError, match="need whole numbers, got float32"):
        mask_from_qa_bits(np.full((2, 2), 0.5, "float32"))
    floats = np.array([[0b1000000, 0b1000, np.nan]], "float32")
    assert mask_from_qa_bits(floats).tolist() == [[False, True, True]]
    assert mask_from_qa_bits(floats, flags="water").tolist() == [[False, False, False]]


def test_hidden_pixels_are_no_clear_ones():
    qa = np.ma.array([[0b1000000, 0b1000, 0b1000000]], dtype="uint16", mask=[[0, 0, 1]])
    assert mask_from_qa_bits(qa).tolist() == [[False, True, True]]
    scl = np.ma.array([[4, 9, 4]], dtype="uint8", mask=[[0, 0, 1]])
    assert gz.MaskFromSCL()(scl).tolist() == [[False, True, True]]


@pytest.mark.parametrize("radius", [0.5, 1, 2.9, 13**0.5, 30, 80])
def test_strips_of_rows_change_no_pixel_of_a_grown_mask(monkeypatch, radius):
    drop = np.random.default_rng(3).random((40, 23)) < 0.01
    whole = dilate_mask(drop, radius)
    assert np.array_equal(whole, distance_transform_edt(~drop) <= radius)
    monkeypatch.setattr("geotoolz.cloud._STRIP_PIXELS", 23)
    assert np.array_equal(dilate_mask(drop, radius), whole)


@pytest.mark.parametrize("radius", [1, 10, 90])
@pytest.mark.parametrize("shape", [(1100, 1100), (64, 64), (200, 30), (30, 200), (3, 128, 128)])
def test_growing_a_mask_takes_little_memory_whatever_its_size(shape, radius):
    drop = np.zeros(shape, bool)
    drop[..., ::50, ::50] = True
    dilate_mask(drop, radius)
    tracemalloc.start()
    dilate_mask(drop, radius)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * drop.size + 2**15  # what numpy takes for its own buffers


@quick
@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))), st.floats(0, 4))
def test_dilation_against_distances(mask, radius):
    rows, cols = np.indices(mask.shape)
    expected = np.zeros_like(mask)
    for row, col in np.argwhere(mask):
        expected |= (rows - row) ** 2 + (cols - col) ** 2 <= radius**2
    assert np.array_equal(dilate_mask(mask, radius), expected)


def test_each_plane_is_grown_by_itself():
    masks = np.zeros((2, 5, 5), bool)
    masks[0, 2, 2] = True
    grown = gz.DilateMask(1)(masks)
    assert grown[0].sum() == 5
    assert not grown[1].any()


def test_only_masks_grow_and_only_outwards():
    with pytest.raises(TypeError, match=r"a mask must be boolean"):
        dilate_mask(np.zeros((2, 2)), 1)
    for radius in (-1, np.nan):
        with pytest.raises(ValueError, match="radius must be a finite number of at least 0 pixels"):
            gz.DilateMask(radius)


def test_a_single_class_or_flag_needs_no_tuple():
    scl = np.array([[4, 9, 0]], "uint8")
    assert gz.MaskFromSCL(classes=9)(scl).tolist() == [[False, True, False]]
    quality = np.array([[8, 1]], "uint16")
    assert gz.MaskFromQABits(flags=3)(quality).tolist() == [[True, False]]
    assert gz.MaskFromQABits(flags="fill")(quality).tolist() == [[False, True]]


def test_the_second_argument_is_the_classes():
    scl = np.arange(12, dtype="uint8").reshape(3, 4)
    assert np.flatnonzero(mask_from_scl(scl, [8, 9, 10])).tolist() == [8, 9, 10]
    assert np.flatnonzero(mask_from_scl(scl, gz.SCL.WATER)).tolist() == [6]
    with pytest.raises(ValueError, match=r"got 'SCL'; is it the band_idx\?"):
        mask_from_scl(scl, "SCL")
    assert gz.MaskFromSCL("SCL", [gz.SCL.WATER]) == gz.MaskFromSCL("SCL", (6,))
    again = from_config(to_config(gz.MaskFromSCL("SCL", gz.SCL.WATER)))
    assert again == gz.MaskFromSCL("SCL", 6)


@pytest.mark.parametrize(
    ("band", "flag", "bit"),
    [
        ("qa_pixel", "cloud", 3),
        ("QA_PIXEL", "cloud_shadow", 4),
        ("Fmask", "cloud", 1),
        ("Fmask", "cloud_shadow", 3),
        ("fmask", "snow", 4),
        ("QA60", "cloud", 10),
        ("qa60", "cirrus", 11),
    ],
)
def test_bits_go_by_name_in_three_products(band, flag, bit):
    quality = (1 << np.arange(12)).astype("uint16").reshape(3, 4)
    values = np.stack([np.zeros_like(quality), quality])
    scene = GeoTensor(values, Affine.identity(), "EPSG:32632", 0, {"band_names": ["B04", band]})
    for op in (gz.MaskFromQABits(band, bits=flag), gz.MaskFromQABits(1, bits=[flag])):
        assert np.flatnonzero(op(scene).values).tolist() == [bit]
    assert gz.MaskFromQABits(band, bits=flag) == gz.MaskFromQABits(band, flags=flag)
    assert np.flatnonzero(gz.MaskFromQABits(band, bits=bit)(scene).values).tolist() == [bit]


def test_each_product_drops_its_clouds_by_default_and_what_is_not_known():
    quality = (1 << np.arange(12)).astype("uint16").reshape(3, 4)
    for product, dropped in (
        ("landsat", [0, 1, 2, 3, 4]),
        ("hls", [1, 2, 3]),
        ("sentinel-2", [10, 11]),
    ):
        found = mask_from_qa_bits(quality, product=product)
        assert np.flatnonzero(found).tolist() == dropped
        floats = quality.astype("float32")
        floats[0, 0] = np.nan
        assert mask_from_qa_bits(floats, product=product)[0, 0]
    with pytest.raises(ValueError, match=r"no quality flag 'adjacent'; there are \['fill'"):
        gz.MaskFromQABits(bits="adjacent", product="landsat")
    with pytest.raises(ValueError, match="mean the same"):
        gz.MaskFromQABits(flags="cloud", bits="cloud")
    with pytest.raises(ValueError, match="product must be"):
        gz.MaskFromQABits(product="modis")


@quick
@given(
    arrays(np.uint8, (2, 6), elements=st.integers(0, 12)),
    st.sampled_from(["uint8", "int8", "int16", ">u2", "int32"]),
    st.sampled_from([None, 0, 7, 12, -1, 255]),
    st.sampled_from(["SCL", "Fmask", "QA_PIXEL", "QA60"]),
    st.booleans(),
)
def test_nodata_is_dropped_alike_in_integers_and_in_floats(numbers, dtype, nodata, name, many):
    values = numbers.astype(dtype)
    if nodata is not None and np.can_cast(np.min_scalar_type(nodata), np.dtype(dtype)):
        values[numbers == 12] = nodata
    bands = np.stack([np.full_like(values, 5), values]) if many else values
    attrs = {"band_names": ["B04", name] if many else [name]}
    raster = GeoTensor(bands, Affine.identity(), 32632, nodata, attrs)
    op = gz.MaskFromSCL(name) if name == "SCL" else gz.MaskFromQABits(name)
    drop = op(raster)
    np.testing.assert_array_equal(drop.values, op(gz.ToFloat32()(raster)).values)
    if nodata and name != "QA60":
        assert drop.values[values == nodata].all()


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8, gz.SCL])
def test_one_class_is_one_whatever_integer_says_it(kind):
    scl = np.arange(12, dtype="uint8").reshape(3, 4)
    assert np.array_equal(mask_from_scl(scl, kind(8)), scl == 8)


@pytest.mark.parametrize("given", ["2", None, np.nan, [2]])
def test_what_is_no_distance_is_named(given):
    with pytest.raises(
        ValueError, match="radius must be a finite number of at least 0 pixels, got"
    ):
        gz.DilateMask(given)
    with pytest.raises(ValueError, match="distance must be a finite number, got"):
        gz.BufferMask(given)
