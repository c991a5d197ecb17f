"""Profile: rows, counts, threads."""

import pickle
import time

import pytest

import pipekit as pk


def test_nested_wraps_and_repeated_names_stay_apart():
    profile = pk.Profile()
    inner = profile.wrap(pk.Identity())
    pipeline = profile.wrap(
        inner | profile.wrap(pk.Identity()) | profile.wrap(pk.Const(1), name="one")
    )
    for _ in range(3):
        pipeline(0)
    inner(0)
    calls = {name: row["calls"] for name, row in profile.report().items()}
    assert calls == {"Identity": 4, "Identity#2": 3, "one": 3, "Sequential": 3}


def test_times_are_seconds_and_consistent():
    profile = pk.Profile()
    op = profile.wrap(pk.Lambda(time.sleep))
    for seconds in (0.01, 0.0):
        op(seconds)
    row = profile.report()["Lambda"]
    assert set(row) == {"calls", "total", "mean", "min", "max"}
    assert 0 <= row["min"] <= row["mean"] <= row["max"] <= row["total"]
    assert row["max"] >= 0.01
    assert row["mean"] == pytest.approx(row["total"] / 2)
    assert row["total"] == pytest.approx(row["min"] + row["max"])


def test_a_call_that_fails_counts_and_an_uncalled_row_is_zero():
    profile = pk.Profile()
    broken = profile.wrap(pk.Lambda(int))
    profile.wrap(pk.Identity())
    with pytest.raises(ValueError):
        broken("many")
    report = profile.report()
    assert report["Lambda"]["calls"] == 1
    assert report["Identity"] == {"calls": 0, "total": 0.0, "mean": 0.0, "min": 0.0, "max": 0.0}
    profile.clear()
    assert profile.report()["Lambda"]["calls"] == 0


def test_no_call_is_lost_between_threads():
    profile = pk.Profile()
    pk.ThreadMap(profile.wrap(pk.Identity()), workers=8)(range(2000))
    assert profile.report()["Identity"]["calls"] == 2000


def test_a_pickled_copy_starts_empty():
    profile = pk.Profile()
    op = profile.wrap(pk.Identity())
    op(1)
    again = pickle.loads(pickle.dumps(op))
    again(1)
    again(2)
    assert again.profile.report()["Identity"]["calls"] == 2
    assert profile.report()["Identity"]["calls"] == 1
