"""Diff, config_diff, ab_test."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipekit as pk

floats = st.floats(-1e6, 1e6) | st.sampled_from([float("nan"), float("inf"), float("-inf")])


@settings(max_examples=150)
@given(
    st.lists(st.tuples(floats, floats), min_size=1, max_size=6), st.floats(0, 10), st.floats(0, 1)
)
def test_diff_agrees_with_numpy(pairs, atol, rtol):
    x, reference = np.array(pairs).T
    expected = np.allclose(x, reference, rtol=rtol, atol=atol, equal_nan=True)
    try:
        pk.Diff(reference, atol=atol, rtol=rtol)(x)
        passed = True
    except pk.DiffError:
        passed = False
    assert passed == expected


def test_diff_says_how_much_and_where():
    reference = np.zeros((2, 3, 4), "float32")
    x = reference.copy()
    x[0, 1, 2], x[1, 2, 3] = 0.25, -0.5
    with pytest.raises(
        pk.DiffError, match=r"2 of 24 values .* is 0\.5 at \(1, 2, 3\) \(-0\.5 against 0\.0"
    ):
        pk.Diff(reference, atol=1e-3)(x)
    assert pk.Diff(reference, atol=0.5)(x) is x
    with pytest.raises(
        pk.DiffError, match=r"shape \(3,\) differs from the reference's \(2, 3, 4\)"
    ):
        pk.Diff(reference)(np.zeros(3))
    with pytest.raises(pk.DiffError, match=r"is inf at \(1,\) \(nan against 2\.0"):
        pk.Diff(np.array([1.0, 2.0]))(np.array([1.5, np.nan]))


def test_diff_of_integers_does_not_wrap():
    with pytest.raises(pk.DiffError, match="difference is 255"):
        pk.Diff(np.uint8([0]))(np.uint8([255]))
    assert pk.Diff(3)(3) == 3
    assert issubclass(pk.DiffError, pk.QCError)


def test_negative_tolerances_are_refused():
    with pytest.raises(ValueError, match="tolerances are at least 0"):
        pk.Diff(0, atol=-1)


def test_config_diff_shows_the_lines_that_differ():
    a = pk.Identity() | pk.AssertDType("float32") | pk.Lambda(abs)
    b = pk.Identity() | pk.AssertDType("float64") | pk.Lambda(round)
    changed = [line for line in pk.config_diff(a, b).splitlines()[2:] if line[0] in "+-"]
    assert [line.replace(" ", "") for line in changed] == [
        "-dtype:float32",
        "+dtype:float64",
        "-fn:abs",
        "+fn:round",
    ]
    assert pk.config_diff(a, a) == ""


def test_ab_test_ranks_the_inputs():
    result = pk.ab_test(pk.Lambda(round), pk.Lambda(lambda x: x), iter([1.1, 2.4, 3.0]))
    assert result.per_input == pytest.approx([0.1, 0.4, 0.0])
    assert result.mean == pytest.approx(0.5 / 3)
    assert (result.worst, result.worst_index) == (pytest.approx(0.4), 1)
    assert [i for i, _ in result.ranked()] == [1, 0, 2]
    assert [i for i, _ in result.ranked(1)] == [1]


def test_ab_test_with_a_metric_of_its_own_where_nan_is_worst():
    metric = {1: 5.0, 2: float("nan"), 3: 1.0}
    result = pk.ab_test(pk.Identity(), pk.Identity(), [1, 2, 3], metric=lambda a, b: metric[a])
    assert result.worst_index == 1
    assert [i for i, _ in result.ranked()] == [1, 0, 2]


def test_ab_test_errors():
    with pytest.raises(ValueError, match="at least one input"):
        pk.ab_test(pk.Identity(), pk.Identity(), [])
    with pytest.raises(ValueError, match="cannot be compared") as caught:
        pk.ab_test(pk.Identity(), pk.Const(np.zeros(2)), [np.zeros(2), np.zeros(3)])
    assert "input 1 of ab_test: ndarray (3,)" in caught.value.__notes__[0]


def test_max_difference_of_nothing_is_zero():
    assert pk.max_difference(np.zeros(0), np.zeros(0)) == 0.0
    assert pk.max_difference(np.array([np.nan]), np.array([np.nan])) == 0.0
    assert pk.max_difference(np.array([np.nan]), np.array([0.0])) == np.inf
