"""A run hands over what pytest found, and a quick one leaves the committed page alone."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import run
from comparisons import group
from peers import STITCH
from results import Results

TINY = """
def test_tiny(compare, quick):
    compare("tiny", {"a": int, "b": int}, baseline="a", rounds=9, facts={"b": {"rows": "equal"}})
    compare.values["counted"] = 3
    compare.left_out.append(f"large, quick={quick}")

def test_that_fails(compare):
    assert not compare.groups
"""


@pytest.fixture
def bench_folder(tmp_path, monkeypatch):
    for name in ("conftest.py", "compare.py"):
        shutil.copy(Path(run.__file__).with_name(name), tmp_path)
    monkeypatch.setattr(run, "HERE", tmp_path)
    monkeypatch.setattr(run, "PARTS", tmp_path / "parts")
    return tmp_path


@pytest.mark.parametrize("quick", [True, False])
def test_comparisons_and_counts_arrive_even_where_a_benchmark_fails(bench_folder, quick):
    (bench_folder / "bench_tiny.py").write_text(TINY)
    results, code = run.comparisons(quick)
    assert code == 1
    assert [one["title"] for one in results.groups] == ["tiny"]
    assert len(results.row("tiny", "b")["times"]) == (3 if quick else 9)
    assert results.row("tiny", "b")["facts"] == {"rows": "equal"}
    assert results.values == {"counted": 3}
    assert results.left_out == [f"large, quick={quick}"]
    assert results.quick is quick


def test_a_full_run_that_was_stopped_goes_on_as_long_as_the_sources_are_the_same(bench_folder):
    well = TINY[: TINY.index("def test_that_fails")]
    (bench_folder / "bench_first.py").write_text(well)
    (bench_folder / "bench_second.py").write_text(TINY)
    first, code = run.comparisons(quick=False)
    assert code == 1
    again, code = run.comparisons(quick=False)
    assert code == 1, "what failed is measured anew"
    assert again.groups[0] == first.groups[0], "the very numbers"
    assert again.groups[1] != first.groups[1]
    (bench_folder / "stitchers.py").write_text("changed = True")
    anew, _ = run.comparisons(quick=False)
    assert anew.groups[0] != first.groups[0]


def results_of(quick):
    groups = [
        group(f"{STITCH} {side}", curve=[STITCH, side], geostack=[side / 10]) for side in (1.0, 4.0)
    ]
    return Results(groups=groups, quick=quick)


@pytest.mark.parametrize("quick", [True, False])
def test_pages_figures_and_numbers_go_where_they_belong(tmp_path, monkeypatch, quick):
    home, scratch = tmp_path / "benchmarks", tmp_path / ".benchmarks"
    home.mkdir()
    (home / "tried.md").write_text("much was tried")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "HERE", home)
    monkeypatch.setattr(run, "QUICK_HOME", scratch)
    monkeypatch.setattr(run, "NUMBERS", {quick: scratch / "numbers.json"})
    results = results_of(quick)
    run.write(results)
    page = (scratch if quick else home) / "RESULTS.md"
    assert (home / "RESULTS.md").exists() is not quick
    figure = scratch if quick else tmp_path / "docs" / "images"
    link = "bench_stitch_time.svg" if quick else "../docs/images/bench_stitch_time.svg"
    assert f"]({link})" in page.read_text("utf-8")
    assert (figure / "bench_stitch_time.svg").exists()
    assert "much was tried" in page.read_text("utf-8")
    again = Results(**json.loads((scratch / "numbers.json").read_text("utf-8")))
    assert again == results


def test_peak_memory_is_measured_in_a_process_of_its_own():
    peak = run._peak("hand-written loop", (2, 600, 600))
    assert peak["shape"] == (2, 600, 600)
    assert peak["in all"] > 50
    assert peak["beyond"] < 50


def test_a_peak_is_not_that_of_the_process_that_started_it():
    held = np.ones(400 * 2**20, np.uint8)
    peak = run._peak("hand-written loop", (2, 600, 600))
    assert peak["in all"] < held.nbytes / 2**20


def test_a_case_that_fails_is_told_and_the_others_are_measured(monkeypatch):
    def peak(case, shape):
        return "MemoryError" if case == "usual design" else {"case": case, "shape": shape}

    assert "no such case" in run._peak("no such case", (2, 8, 8))
    monkeypatch.setattr(run, "_peak", peak)
    found, failed = run.peaks(quick=True)
    assert {one["case"] for one in found} > {"geostack, blended", "file to COG"}
    assert len(failed) == 1
    assert failed[0] == "memory of usual design, (2, 3935, 1599): MemoryError"


@pytest.mark.parametrize(
    ("minutes", "found"),
    [
        ([3.0], [3.0, 3.0]),  # a first run within the second's limit stands for both
        ([5.0, 2.0], [5.0, 2.0]),
        ([5.0, None], [5.0]),
        ([None], []),
    ],
)
def test_walkthrough_is_executed_again_only_where_that_says_more(monkeypatch, minutes, found):
    given = iter(minutes)
    monkeypatch.setattr(run, "_minutes_to_execute", lambda folder: next(given))
    assert list(run.walkthrough().values()) == found
    assert next(given, "nothing left") == "nothing left"


def test_ratios_that_moved_are_named_farthest_first():
    before = {"a: x": 1.0, "b: x": 2.0, "c: x": 0.5, "gone: x": 1.0, "none: x": 0.0}
    now = {"a: x": 1.1, "b: x": 4.2, "c: x": 0.42, "new: x": 1.0, "none: x": 1.0}
    first, *lines, last = run.moved(now, before).splitlines()
    assert first.startswith("2 of 3 ratios moved")
    assert [line.split()[:3] for line in lines] == [["2.10", "b:", "x:"], ["0.84", "c:", "x:"]]
    assert last.split()[0] == "2"


def test_a_ratio_is_known_by_its_comparison_and_its_rival():
    results = Results(groups=[group("stitch", base=[1.0, 2.0, 4.0], ours=[2.0, 4.0, 4.0])])
    assert results.ratios() == {"stitch: ours": 2.0}


def test_the_committed_ratios_are_numbers_of_a_quick_run():
    kept = json.loads(run.KEPT.read_text("utf-8"))
    assert kept
    assert all(ratio > 0 for ratio in kept.values())
