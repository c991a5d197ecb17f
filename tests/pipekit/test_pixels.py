"""What a band holds and which pixels count, over dtypes, byte orders, masks, nodata and roles."""

import math

import numpy as np
import pytest
import rasterio
from georeader.geotensor import GeoTensor
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rasterio.enums import ColorInterp

from pipekit.carrier import fitting_fill, holds, rewrap
from pipekit.pixels import (
    GUIDE,
    ROLE_TAG,
    ROLES,
    band_roles,
    check_fill,
    equal_mask,
    invalid_mask,
    keep_off,
    nodata_of,
    plain,
    role_of,
    roles_in_file,
    whole_numbers,
)
from pipekit.qc import valid_mask

INTEGERS = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
FLOATS = ["float16", "float32", "float64"]
ORDERS = ["<", ">"]

integers = st.sampled_from(INTEGERS)
floats = st.sampled_from(FLOATS)
orders = st.sampled_from(ORDERS)


def numbers(dtype, shape=(3, 4)):
    return arrays.arrays(dtype, shape, elements=arrays.from_dtype(np.dtype(dtype)))


def carrier(values, fill=None, attrs=None):
    return GeoTensor(values, None, None, fill, attrs or {})


# what a band holds


@given(st.lists(st.sampled_from(ROLES), min_size=1, max_size=4), st.booleans())
def test_what_the_attributes_say_wins(roles, timed):
    shape = (2, len(roles), 3, 3) if timed else (len(roles), 3, 3)
    attrs = {"band_roles": roles, "band_names": ["SCL"] * len(roles), "flag_masks": [1]}
    assert band_roles(carrier(np.zeros(shape, bool), None, attrs)) == tuple(roles)


@pytest.mark.parametrize(
    ("name", "role"),
    [("SCL", "class"), ("QA_PIXEL", "bits"), ("Fmask", "bits"), ("QA60", "bits"),
     ("cloud_mask", "mask"), ("B04", "quantity"), ("elevation", "quantity"),
     ("SCL_20m", "class"), ("scl-jp2", "class"), ("B02_10m", "quantity")],
)  # fmt: skip
@pytest.mark.parametrize("change", [str, str.lower, str.upper])
def test_products_name_their_quality_bands(name, role, change):
    assert role_of(change(name)) == role
    tile = carrier(np.zeros((2, 2, 2)), None, {"band_names": ["B02", change(name)]})
    assert band_roles(tile) == ("quantity", role)


def test_flags_of_the_cf_conventions_tell_classes_and_bits():
    assert band_roles(carrier(np.zeros((2, 2)), None, {"flag_values": [1, 2]})) == ("class",)
    assert band_roles(carrier(np.zeros((2, 2)), None, {"flag_masks": [1, 2]})) == ("bits",)


def test_bands_may_lie_on_another_axis():
    tile = carrier(np.zeros((4, 5, 2)), None, {"band_roles": ["class", "mask"]})
    assert band_roles(tile, axis=-1) == ("class", "mask")


@pytest.mark.parametrize("said", ["classes", ["class"], ["class", "quantity", "mask"]])
def test_roles_that_do_not_fit_are_named(said):
    with pytest.raises(ValueError, match=f"SelectBands.*{GUIDE}"):
        band_roles(carrier(np.zeros((2, 2, 2)), None, {"band_roles": said}))


def test_roles_go_where_names_go():
    attrs = {"band_names": ["B04", "SCL"], "band_roles": ["quantity", "class"]}
    tile = carrier(np.zeros((2, 3, 3)), 0, attrs)
    assert rewrap(tile, np.ones((2, 3, 3))).attrs == attrs
    assert rewrap(tile, np.ones((5, 2, 3, 3))).attrs == attrs
    assert rewrap(tile, np.ones((3, 3))).attrs == {}
    one = carrier(np.zeros((2, 3, 3)), 0, {"band_roles": "class"})
    assert rewrap(one, np.ones((3, 3))).attrs == {"band_roles": "class"}


# numbers as the machine has them


@given(st.data(), st.sampled_from(INTEGERS + FLOATS), orders)
def test_the_byte_order_changes_no_number(data, dtype, order):
    values = data.draw(numbers(dtype))
    found = plain(values.astype(np.dtype(dtype).newbyteorder(order)))
    assert found.dtype == np.dtype(dtype)
    assert found.dtype.isnative
    assert np.array_equal(found, values, equal_nan=np.dtype(dtype).kind == "f")


@given(st.data(), st.sampled_from(INTEGERS + FLOATS), orders)
def test_what_a_masked_array_hides_is_nodata_and_nothing_else_is(data, dtype, order):
    values = data.draw(numbers(dtype))
    hidden = data.draw(arrays.arrays(bool, values.shape))
    masked = np.ma.array(values.astype(np.dtype(dtype).newbyteorder(order)), mask=hidden)
    found, nodata = plain(masked), nodata_of(masked)
    missing = invalid_mask(found, nodata)
    expected = hidden | np.isnan(values)
    assert np.array_equal(np.zeros_like(hidden) if missing is None else missing, expected)
    assert np.array_equal(found[~hidden], values[~hidden], equal_nan=True)


def test_a_masked_array_that_holds_every_number_says_so():
    every = np.ma.array(np.arange(257) % 256, dtype="uint8", mask=[False] * 256 + [True])
    with pytest.raises(TypeError, match=f"every number.*{GUIDE}"):
        plain(every)


def test_clean_arrays_are_views():
    values = np.ones((2, 2), "float32")
    assert plain(values) is values
    assert np.shares_memory(plain(carrier(values)), values)


def test_fields_of_a_structured_array_are_bands():
    both = np.zeros((2, 2), [("red", "f4"), ("nir", "f4")])
    with pytest.raises(TypeError, match=r"\('red', 'nir'\); give np.stack"):
        plain(both)


# which pixels count


@given(st.data(), st.sampled_from(INTEGERS + FLOATS))
def test_nodata_is_what_equals_its_value(data, dtype):
    values = data.draw(numbers(dtype))
    nodata = data.draw(st.one_of(st.sampled_from(values.ravel().tolist()), st.just(-9999)))
    if nodata != nodata or not holds(values.dtype, nodata) or 1e37 < abs(nodata) < math.inf:
        return
    found = equal_mask(values, nodata)
    expected = values == values.dtype.type(nodata)
    assert np.array_equal(np.zeros(values.shape, bool) if found is None else found, expected)


@given(integers, st.sampled_from([-1e300, -9999.5, 2.0**70, math.inf, -math.inf, math.nan, None]))
def test_what_integers_cannot_hold_marks_none(dtype, nodata):
    assert equal_mask(np.array([0, 1, 7], dtype), nodata) is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("written", [3.4028235e38, 3.40282e38, 3.4028234663852886e38, 3.402823e38])
def test_the_last_float32_is_found_however_a_header_rounds_it(dtype, sign, written):
    values = np.array([sign * np.finfo("float32").max, 1.0, sign * 1e37, math.inf], dtype)
    assert equal_mask(values, sign * written).tolist() == [True, False, False, False]


def test_other_large_numbers_count():
    assert equal_mask(np.array([2e38, 1e38]), 1e38).tolist() == [False, True]
    assert equal_mask(np.array([1e38, 1.0], "float32"), -1.7976931348623157e308) is None
    assert equal_mask(np.array([-9999.9, 1], "float32"), -9999.9).tolist() == [True, False]


def test_wide_integers_are_compared_exactly():
    ids = np.array([2**53, 2**53 + 1, 2**63 - 1], "int64")
    assert equal_mask(ids, 2**53 + 1).tolist() == [False, True, False]
    assert equal_mask(ids, float(2**53)).tolist() == [True, False, False]
    assert equal_mask(np.array([2**64 - 1], "uint64"), 2**64 - 1).tolist() == [True]


def test_a_mask_has_no_nodata_and_no_value_is_nodata_unless_declared():
    assert equal_mask(np.array([[True, False]]), 0) is None
    assert invalid_mask(np.zeros((2, 2))) is None
    assert equal_mask(np.zeros((2, 2)), math.nan) is None
    assert invalid_mask(np.zeros((2, 0)), 0) is None
    assert invalid_mask(np.array([[math.nan, -9999.0, 1.0]]), None).tolist() == [[True, 0, 0]]


@pytest.mark.parametrize("order", ORDERS)
def test_checks_of_quality_ask_the_same(order):
    values = np.array([1, 3.4028235e38, np.nan, np.inf], f"{order}f4")
    assert valid_mask(carrier(values[None], 3.40282e38))[0].tolist() == [True, False, False, False]
    assert valid_mask(np.ma.array([1, 2, 3], mask=[0, 1, 0])).tolist() == [True, False, True]


# fills


@given(st.sampled_from(["bool", *INTEGERS]), st.integers(-(2**65), 2**65))
def test_a_fill_is_given_back_as_the_dtype_holds_it_or_refused(dtype, fill):
    kind = np.dtype(dtype)
    limits = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
    if limits[0] <= fill <= limits[1]:
        assert check_fill(fill, kind, "fill_value") == fill == fitting_fill(fill, kind)
    else:
        assert fitting_fill(fill, kind) is None
        with pytest.raises(ValueError, match=f"{kind.name}.*ToFloat32.*{GUIDE}"):
            check_fill(fill, kind, "fill_value")


@pytest.mark.parametrize("fill", [math.nan, math.inf, -math.inf, 0.5])
@pytest.mark.parametrize("dtype", ["bool", *INTEGERS])
def test_only_floats_hold_nan_and_fractions(dtype, fill):
    with pytest.raises(ValueError, match=f"fill_value {fill} does not fit {dtype}"):
        check_fill(fill, dtype, "fill_value")


def test_floats_hold_their_limits_and_not_more():
    assert check_fill(-3.4028235e38, "float32", "nodata") == -3.4028235e38
    assert math.isnan(check_fill(math.nan, "float16", "nodata"))
    assert check_fill(-math.inf, "float32", "nodata") == -math.inf
    with pytest.raises(ValueError, match="does not fit float32"):
        check_fill(-1e300, "float32", "nodata")
    with pytest.raises(ValueError, match="does not fit float16"):
        check_fill(1e5, "float16", "nodata")


# writing numbers


@given(st.data(), st.sampled_from([*INTEGERS, "float32", "float64"]), st.booleans())
def test_what_counts_never_lands_on_nodata(data, dtype, all_count):
    values = data.draw(numbers(dtype))
    nodata = data.draw(st.sampled_from(values.ravel().tolist()))
    if nodata != nodata or abs(nodata) > 1e37:
        return
    counts = None if all_count else data.draw(arrays.arrays(bool, values.shape))
    before = values.copy()
    keep_off(values, nodata, counts)
    moved = before == before.dtype.type(nodata)
    moved &= True if counts is None else counts
    assert np.array_equal(values[~moved], before[~moved], equal_nan=True)
    assert not (values[moved] == nodata).any()
    if values.dtype.kind != "f":
        assert all(abs(int(value) - nodata) == 1 for value in values[moved])


@given(st.data(), integers, st.sampled_from([*INTEGERS, *FLOATS, "bool"]))
def test_numbers_are_rounded_into_their_dtype_and_kept_off_nodata(data, dtype, source):
    values = data.draw(numbers(source))
    limits = np.iinfo(dtype)
    nodata = data.draw(st.sampled_from([limits.min, 0, 7, limits.max]))
    out = whole_numbers(values, dtype, nodata)
    assert out.dtype == np.dtype(dtype)
    for given_, found in zip(values.ravel().tolist(), out.ravel().tolist(), strict=True):
        if given_ != given_:
            assert found == nodata
            continue
        wanted = limits.max if given_ == math.inf else limits.min if given_ == -math.inf else given_
        wanted = min(max(round(wanted), limits.min), limits.max)
        assert found != nodata
        # Floats have no number just below the limits of 64 bits.
        assert abs(found - wanted) <= 1 or abs(found - wanted) <= 2.0**-22 * abs(wanted)


def test_nan_needs_a_number():
    with pytest.raises(ValueError, match=f"NaN has no number in uint8.*{GUIDE}"):
        whole_numbers(np.array([math.nan]), "uint8", None)


# files

PROFILE = {"driver": "GTiff", "height": 2, "width": 2, "dtype": "uint8", "crs": "EPSG:32632"}
PLACE = rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)


def roles(path, write, count=1, **options):
    with rasterio.open(path, "w", count=count, transform=PLACE, **PROFILE, **options) as file:
        write(file)
        file.write(np.ones((count, 2, 2), "uint8"))
    with rasterio.open(path) as file:
        return roles_in_file(file)


def interpret(*colours):
    return lambda file: setattr(file, "colorinterp", [ColorInterp[colour] for colour in colours])


@pytest.mark.parametrize(
    ("write", "role"),
    [
        (lambda file: None, "quantity"),
        (lambda file: file.write_colormap(1, {1: (0, 0, 255, 255)}), "class"),
        (lambda file: file.set_band_description(1, "SCL"), "class"),
        (lambda file: file.set_band_description(1, "QA_PIXEL"), "bits"),
        (lambda file: file.update_tags(1, flag_values="1, 2"), "class"),
        (lambda file: file.update_tags(1, flag_masks="1, 2"), "bits"),
        (lambda file: file.update_tags(1, **{ROLE_TAG: "mask"}), "mask"),
        (lambda file: file.update_tags(1, **{ROLE_TAG: "nonsense"}), "quantity"),
    ],
)
def test_a_file_tells_what_its_band_holds(tmp_path, write, role):
    assert roles(tmp_path / "a.tif", write) == (role,)


def test_what_a_writer_noted_beats_the_name(tmp_path):
    def write(file):
        file.set_band_description(1, "SCL")
        file.update_tags(1, **{ROLE_TAG: "quantity"})

    assert roles(tmp_path / "a.tif", write) == ("quantity",)


def test_an_alpha_band_is_a_mask_unless_it_has_another_name(tmp_path):
    colours = interpret("gray", "alpha")
    assert roles(tmp_path / "a.tif", colours, 2) == ("quantity", "mask")

    def named(file):
        colours(file)
        file.set_band_description(2, "nir")

    assert roles(tmp_path / "b.tif", named, 2) == ("quantity", "quantity")


def test_names_of_categories_beside_the_file_mean_classes(tmp_path):
    (tmp_path / "a.tif.aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="2"><CategoryNames><Category>sea</Category>'
        "</CategoryNames></PAMRasterBand></PAMDataset>"
    )
    assert roles(tmp_path / "a.tif", lambda file: None, 2) == ("quantity", "class")


@pytest.mark.parametrize("name", ["uint32", "int64", "uint64"])
def test_what_lies_beyond_wide_integers_stops_at_their_very_limits(name):
    limits = np.iinfo(name)
    made = whole_numbers(np.float32([1e20, -1e20, 7]), name, None)
    assert made.tolist() == [limits.max, limits.min, 7]
