"""Figures hold what was measured at two sizes or more, and the same numbers give the same file."""

import pytest
from comparisons import group
from figures import draw, stitch_memory, times
from peers import STITCH
from results import Results


def at(side):
    seconds = side * side / 1e8
    return group(
        f"{STITCH} (4, {side}, {side})",
        count=2,
        curve=[STITCH, side * side / 1e6],
        **{"whole-scene call": [seconds], "geostack": [seconds / 2], "tiler": [3 * seconds]},
    )


@pytest.fixture
def results():
    peaks = [
        {"case": case, "shape": [4, side, side], "in all": 0.0, "beyond": beyond}
        for side in (1000, 2000)
        for case, beyond in (("geostack, blended", 0.2), ("tiler", 50.0))
    ]
    other = group(f"{STITCH} (2, 3935, 1599)", **{"geostack": [1.0]})
    return Results(groups=[at(2000), other, at(1000)], peaks=peaks)


def test_curves_rise_with_size_ours_first_and_of_scenes_alike(results):
    curves = times(results, STITCH)
    assert list(curves) == ["geostack", "whole-scene call", "tiler"]
    assert curves["geostack"] == [(1.0, 0.0025), (4.0, 0.01)]


def test_memory_is_never_below_what_a_log_axis_shows(results):
    assert stitch_memory(results) == {
        "geostack": [(1.0, 1.0), (4.0, 1.0)],
        "tiler": [(1.0, 50.0), (4.0, 50.0)],
    }


def test_the_same_numbers_give_the_same_file(results, tmp_path):
    first = draw(results, tmp_path / "a")
    second = draw(results, tmp_path / "b")
    assert [path.name for path, _ in first] == ["bench_stitch_time.svg", "bench_stitch_memory.svg"]
    for (one, text), (other, _) in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert "geostack" in one.read_text("utf-8")
        assert len(text) > 30


def test_one_size_is_no_curve(results, tmp_path):
    results.groups, results.peaks = [at(1000)], []
    assert draw(results, tmp_path) == []
