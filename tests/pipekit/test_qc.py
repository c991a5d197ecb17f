"""The Assert family: what passes, what fails, and with which words."""

import numpy as np
import pyproj
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine
from rasterio.crs import CRS

import pipekit as pk


def tensor(values, fill=0, **attrs):
    return GeoTensor(values, Affine.scale(10, -10), CRS.from_epsg(32610), fill, attrs)


CASES = [
    (pk.AssertShape((4, None, None)), np.zeros((4, 2, 3)), None),
    (pk.AssertShape([2]), [1, 2], None),
    (pk.AssertShape(()), 3, None),
    (pk.AssertShape((4, None)), np.zeros((4, 2, 3)), r"shape \(4, 2, 3\) is not \(4, any\)"),
    (pk.AssertShape((4, 2)), np.zeros((4, 3)), r"shape \(4, 3\) is not \(4, 2\)"),
    (pk.AssertDType("float32"), np.float32([1]), None),
    (pk.AssertDType(np.uint8), np.uint8([1]), None),
    (pk.AssertDType(">i2"), np.array([1], ">i2"), None),
    (pk.AssertDType("float32"), np.zeros(1), "dtype float64 is not float32"),
    (pk.AssertDType("float32"), [1.0], "a list has no dtype"),
    (pk.AssertHasAttribute("crs"), tensor(np.zeros((2, 2))), None),
    (pk.AssertHasAttribute("crs", value="EPSG:32610"), tensor(np.zeros((2, 2))), None),
    (pk.AssertHasAttribute("crs", value=CRS.from_epsg(32610)), tensor(np.zeros((2, 2))), None),
    (pk.AssertHasAttribute("crs", value=pyproj.CRS(32610)), tensor(np.zeros((2, 2))), None),
    (
        pk.AssertHasAttribute("crs", value="EPSG:4326"),
        tensor(np.zeros((2, 2))),
        "crs is EPSG:32610",
    ),
    (pk.AssertHasAttribute("crs"), np.zeros(2), "there is no crs"),
    (pk.AssertHasAttribute("item_id", "a"), tensor(np.zeros((2, 2)), item_id="a"), None),
    (pk.AssertHasAttribute("item_id"), tensor(np.zeros((2, 2))), "there is no item_id"),
    (pk.AssertHasAttribute("shape", value=(2,)), np.zeros(2), None),
    (pk.AssertValueRange(0, 1), np.array([0.0, 1.0, np.nan]), None),
    (pk.AssertValueRange(0, 1), np.array([np.nan]), None),
    (pk.AssertValueRange(0, 1), np.array([-0.5, 2]), r"values run from -0.5 to 2, beyond \[0, 1\]"),
    (pk.AssertValueRange(1, 9), tensor(np.uint8([[0, 5]])), None),
    (pk.AssertValueRange(1, 9), tensor(np.uint8([[0, 5]]), fill=255), "values run from 0 to 5"),
    (pk.AssertValidFraction(0.5), np.array([1, np.nan]), None),
    (pk.AssertValidFraction(0.75), np.array([1, np.inf]), "50.0% of the values are valid"),
    (pk.AssertValidFraction(0.75), tensor(np.uint8([[0, 5]])), "50.0% of the values are valid"),
    (pk.AssertValidFraction(0.1), np.zeros(0), "0.0% of the values"),
]


@pytest.mark.parametrize(("check", "x", "fault"), CASES)
def test_pass_or_fail(check, x, fault):
    if fault is None:
        assert check(x) is x
    else:
        with pytest.raises(pk.QCError, match=f"{type(check).__name__}: {fault}.*input: "):
            check(x)


def test_on_fail_warn_passes_the_data_on():
    x = np.zeros(3)
    with pytest.warns(pk.QCWarning, match="dtype float64 is not uint8"):
        assert pk.AssertDType("uint8", on_fail="warn")(x) is x


def test_a_qc_error_is_a_value_error():
    assert issubclass(pk.QCError, ValueError)


@pytest.mark.parametrize(
    "build",
    [
        lambda: pk.AssertValueRange(1, 0),
        lambda: pk.AssertValidFraction(50),
        lambda: pk.AssertShape((1,), on_fail="ignore"),
    ],
)
def test_wrong_arguments_are_refused(build):
    with pytest.raises(ValueError):
        build()


def test_quarantine_replaces_bad_input_and_tells():
    told = []
    guard = pk.Quarantine(
        pk.AssertValidFraction(0.5),
        sentinel="bad",
        on_quarantine=lambda x, e: told.append((x, str(e))),
    )
    good, bad = np.ones(2), np.full(2, np.nan)
    assert guard(good) is good
    assert guard(bad) == "bad"
    (x, message), *more = told
    assert x is bad
    assert "0.0% of the values" in message
    assert more == []


def test_quarantine_by_a_function_and_other_errors_pass():
    assert [pk.Quarantine(bool, sentinel=-1)(x) for x in (0, 3)] == [-1, 3]
    with pytest.raises(TypeError):
        pk.Quarantine(len, sentinel=None)(3)
    with pytest.raises(TypeError, match="takes a function or operator as check"):
        pk.Quarantine("shape", sentinel=None)


@pytest.mark.parametrize("shape", [4, "abc", (-1, 2), (2.5,), [None, "x"]])
def test_a_shape_that_no_array_has_is_refused(shape):
    with pytest.raises(ValueError, match="shape is a tuple of lengths of at least 0"):
        pk.AssertShape(shape)


def test_shapes_read_as_python_writes_them_and_unknown_dtypes_are_named():
    with pytest.raises(pk.QCError, match=r"shape \(4,\) is not \(3,\)"):
        pk.AssertShape((3,))(np.zeros(4))
    assert pk.AssertShape((np.int64(3), None)) == pk.AssertShape((3, None))
    with pytest.raises(TypeError, match="one that numpy knows, such as 'float32', got 'flot32'"):
        pk.AssertDType("flot32")


def test_who_is_told_of_a_quarantine_may_take_the_input_alone():
    kept, both = [], []
    for tell in (kept.append, lambda x: kept.append(x), lambda x, e: both.append((x, e)), print):
        quarantine = pk.Quarantine(lambda x: x > 0, sentinel=None, on_quarantine=tell)
        assert quarantine(-1) is None
        assert quarantine(1) == 1
    assert kept == [-1, -1]
    assert both[0][0] == -1
    assert isinstance(both[0][1], pk.QCError)
