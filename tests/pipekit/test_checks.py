"""Checks of arguments: what is a choice, a whole number, a number in an interval, and what isn't."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from pipekit.operator import checked_count, checked_number, checked_option, checked_pair


def test_a_choice_is_handed_on_as_the_accepted_one():
    for given in ("skip", np.str_("skip"), np.array("skip")):
        assert type(checked_option(given, "on_error", ("raise", "skip"))) is str
    assert type(checked_option(np.int64(8), "connectivity", (4, 8))) is int
    assert checked_option("a", "mode", Literal["a", "b"]) == "a"


@pytest.mark.parametrize("given", [None, "SKIP", ["skip"], np.array(["skip", "raise"]), np.nan, 1])
def test_what_is_no_choice_is_refused_with_all_choices(given):
    with pytest.raises(LookupError, match="on_error must be 'raise' or 'skip', got "):
        checked_option(given, "on_error", ("raise", "skip"), LookupError)


def test_many_choices_are_listed_and_one_is_named():
    with pytest.raises(ValueError, match="how must be one of 1, 2, 3 or 4, got 5"):
        checked_option(5, "how", {1: "", 2: "", 3: "", 4: ""})
    with pytest.raises(ValueError, match="name must be 'only', got ''"):
        checked_option("", "name", ["only"])


def test_numbers_of_numpy_are_whole_numbers():
    assert type(checked_count(np.uint8(3), "k")) is int
    assert (checked_count(0, "k", 0), checked_count(None, "k", none=True)) == (0, None)


@pytest.mark.parametrize("given", [True, np.True_, 0, 2.0, np.nan, "2", None, [2], np.float32(2)])
def test_what_is_no_whole_number_is_refused(given):
    with pytest.raises(LookupError, match="k must be a whole number of at least 1, got "):
        checked_count(given, "k", refusal=LookupError)


def test_numbers_are_handed_on_as_they_are():
    for given in (0, 1, 0.5, np.float32(0.25), np.int8(1)):
        assert checked_number(given, "alpha", 0, 1) is given


@pytest.mark.parametrize(
    "given", [True, np.True_, np.nan, np.inf, -np.inf, "0.5", None, [0.5, 0.5], np.ones(2), 1j]
)
def test_what_is_no_finite_number_is_refused(given):
    with pytest.raises(LookupError, match="eps must be a finite number, got "):
        checked_number(given, "eps", refusal=LookupError)


def test_ends_are_accepted_or_refused():
    for given in (0, 1):
        with pytest.raises(ValueError, match=f"level must be between 0 and 1, got {given}"):
            checked_number(given, "level", 0, 1, inside=True)
    with pytest.raises(ValueError, match="sigma must be a finite number of at least 0 pixels, got"):
        checked_number(-1, "sigma", 0, unit=" pixels")


def test_a_pair_is_one_number_or_two():
    for given in (3, np.int16(3), [3, 3], np.array([3, 3])):
        assert checked_pair(given, "size") == (3, 3)


@pytest.mark.parametrize(
    "given", [0, (4, 0), (4, 2.5), (1, 2, 3), (2,), (), "34", True, None, [[1], 2]]
)
def test_what_is_no_pair_is_refused(given):
    with pytest.raises(LookupError, match="size must be positive whole pixels, one number or"):
        checked_pair(given, "size", LookupError)
