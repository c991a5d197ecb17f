"""The page: peers first, then targets, then every comparison, and what was left out."""

import re

import pytest
from comparisons import group
from peers import PEERS, STITCH, installed, unusable
from report import KILLED, comparison, duration, megabytes, page
from results import Results
from scenes import SMALL

TITLE = f"{STITCH} {SMALL}"
DASK = "dask, map_overlap, chunks of 1024"


def measured(**changes):
    times = {
        "whole-scene call": [0.02, 0.02],
        "geostack, not blended, 2 workers": [0.01, 0.02],
        DASK: [0.04, 0.08],
    }
    facts = {DASK: {"pixels missing or wrong": "0"}}
    peaks = [
        {"case": case, "shape": list(SMALL), "in all": 200.0, "beyond": beyond}
        for case, beyond in ((DASK, 77.0), ("geostack, shift, 2 workers", -0.4))
    ]
    given = {"groups": [group(TITLE, facts=facts, **times)], "peaks": peaks, "quick": True}
    return Results(**(given | changes))


def cells(text, start):
    line = next(line for line in text.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_peer_is_told_by_its_time_memory_result_and_both_sides():
    row = cells(page(measured(), "", []), "dask")
    peer = next(peer for peer in PEERS if peer.name == "dask")
    assert row == [
        f"dask {installed('dask')}",
        f"NDVI {SMALL}, not blended",
        "60 ms → 15 ms, 4 x faster",
        "77 MB → 0 MB",
        "pixels missing or wrong: 0",
        peer.gain,
        peer.lose,
    ]


def test_runs_that_were_killed_are_counted_by_kind():
    values = {f"{KILLED}threads, COG, {what}": n for what, n in (("kills", 33.0), ("targets", 6.0))}
    text = page(measured(values=values | {"counted": 3.0}), "", [])
    assert cells(text, "threads, COG") == ["threads, COG", "33", "6"]
    assert "Runs that were killed" not in page(measured(), "", [])


def test_where_we_are_slower_the_page_says_so():
    slow = group(TITLE, **{"geostack, not blended, 2 workers": [0.2], DASK: [0.1]})
    assert "2 x slower" in page(measured(groups=[slow]), "", [])


def test_a_peer_that_was_not_measured_has_no_row_and_its_absence_is_told(monkeypatch):
    monkeypatch.setattr("peers.find_spec", lambda module: None)
    text = page(measured(groups=[], peaks=[]), "", [])
    assert "\n| dask" not in text
    assert all(f"- {peer.module} is not installed" in text for peer in PEERS)


def test_reasons_of_the_run_are_told_once():
    text = page(measured(left_out=["rustac: no extensions", "rustac: no extensions"]), "", [])
    assert text.count("- rustac: no extensions") == 1


def test_every_target_is_on_the_page_measured_or_not():
    text = page(measured(), "tried much", [("x.svg", "a figure")])
    assert len(re.findall(r"^\| [1-7] \| .* \| not measured \|$", text, re.M)) > 10
    assert "### Where not, and what was tried\n\ntried much\n" in text
    assert "![a figure](x.svg)" in text


def test_columns_of_facts_and_targets_are_there_only_where_needed():
    plain = comparison(group("plain", a=[1.0], b=[2.0]))
    assert plain[2] == "|  | median a call | ratio to a | lowest to highest |"
    rich = group("rich", facts={"b": {"rows": "equal"}}, a=[1.0], b=[2.0])
    rich["rows"][1]["target"] = 1.5
    lines = comparison(rich)
    assert lines[2].endswith("| lowest to highest | rows | target |  |")
    assert lines[5] == "| b | 2 s | 2 | 2 to 2 | equal | at most 1.5 | not met |"
    assert len({line.count("|") for line in lines[2:6]}) == 1


@pytest.mark.parametrize(
    ("seconds", "text"), [(2, "2 s"), (0.0021, "2.1 ms"), (3.456e-6, "3.46 us"), (5e-9, "5 ns")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_memory_below_nothing_is_noise():
    assert megabytes(-0.7) == "0 MB"
    assert megabytes(1234.4) == "1,234 MB"


def test_what_is_not_installed_is_told_with_the_command():
    assert unusable("no_such_peer") == "no_such_peer is not installed; `make bench` installs it"
    assert unusable("dask") == ""
    assert installed("no_such_peer") is None
