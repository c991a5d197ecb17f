"""Rivals are timed in turn, and each ratio is of one round."""

import itertools
import time
from types import SimpleNamespace

import pytest
from compare import Comparison


def test_rivals_run_in_turn_forth_and_back_after_a_warm_up():
    ran = []
    group = Comparison(quick=False)(
        "order",
        {"a": lambda: ran.append("a"), "b": lambda: ran.append("b")},
        baseline="a",
        rounds=2,
    )
    assert "".join(ran) == "ba" + "ab" + "ba"
    assert [len(row.times) for row in group.rows] == [2, 2]


def test_rivals_that_are_warm_run_no_round_more():
    ran = []
    group = Comparison(quick=False)(
        "warm", {"a": lambda: ran.append("a")}, baseline="a", rounds=2, warm=True
    )
    assert len(ran) == len(group.rows[0].times) == 2


def test_ratio_is_to_the_baseline_of_the_same_round(monkeypatch):
    clock = iter([0, 9, 9, 18, 0, 1, 1, 3, 0, 8, 8, 12])  # warm-up, then a=1 b=2, then b=8 a=4
    # Only what `compare` calls time, whose clock other threads of the process read, too.
    told = SimpleNamespace(perf_counter=lambda: next(clock), monotonic=time.monotonic)
    monkeypatch.setattr("compare.time", told)
    group = Comparison(quick=False)(
        "ratio", {"a": lambda: None, "b": lambda: None}, baseline="a", rounds=2
    )
    assert [row.times for row in group.rows] == [[1, 4], [2, 8]]
    assert [row.ratios for row in group.rows] == [[1, 1], [2, 2]]


def test_a_quick_run_has_three_rounds_at_most(monkeypatch):
    still = SimpleNamespace(perf_counter=time.perf_counter, monotonic=lambda: 0.0)
    monkeypatch.setattr("compare.time", still)  # none of them takes long
    quick = Comparison(quick=True)
    assert len(quick("few", {"a": int}, baseline="a", rounds=9).rows[0].times) == 3
    assert len(quick("fewer", {"a": int}, baseline="a", rounds=2).rows[0].times) == 2
    assert [group.title for group in quick.groups] == ["few", "fewer"]


@pytest.mark.parametrize(("quick", "rounds"), [(True, 1), (False, 3)])
def test_slow_rivals_get_fewer_rounds_but_not_too_few(monkeypatch, quick, rounds):
    clock = itertools.count(step=100)  # each look at it is much later
    told = SimpleNamespace(perf_counter=time.perf_counter, monotonic=lambda: next(clock))
    monkeypatch.setattr("compare.time", told)
    group = Comparison(quick)("slow", {"a": int}, baseline="a", rounds=9)
    assert len(group.rows[0].times) == rounds


def test_a_failing_rival_is_not_timed_as_if_it_had_run():
    def fail() -> None:
        raise ValueError("wrong")

    compare = Comparison(quick=True)
    with pytest.raises(ValueError, match="wrong"):
        compare("fails", {"a": int, "b": fail}, baseline="a")
    assert compare.groups == []


def test_facts_and_targets_go_to_their_own_rival():
    rows = Comparison(quick=True)(
        "facts",
        {"a": int, "b": int},
        baseline="a",
        targets={"b": 2.0},
        facts={"b": {"the same rows": "all"}},
        rounds=1,
    ).rows
    assert [row.target for row in rows] == [None, 2.0]
    assert [row.facts for row in rows] == [{}, {"the same rows": "all"}]
