"""What a run found is looked up by its exact title, so that no other size can answer."""

import pytest
from comparisons import group
from results import Results

RESULTS = Results(
    groups=[group("chips", 10, whole=[2.0, 4.0, 4.0], tiled=[1.0, 3.0, 1.0])],
    peaks=[{"case": "tiled", "shape": [4, 10, 10], "in all": 120.0, "beyond": 3.0}],
)


def test_median_over_rounds():
    assert RESULTS.ratio("chips", "tiled") == 0.5
    assert RESULTS.seconds("chips", "tiled") == pytest.approx(0.1)
    assert RESULTS.times_faster("chips", "tiled", "whole") == 2


@pytest.mark.parametrize(
    ("title", "row"), [("chip", "tiled"), ("chips ", "tiled"), ("chips", "til")]
)
def test_what_was_not_measured_is_none(title, row):
    assert RESULTS.ratio(title, row) is None
    assert RESULTS.seconds(title, row) is None
    assert RESULTS.times_faster(title, row, "whole") is None


def test_peak_is_of_its_case_and_scene():
    assert RESULTS.peak("tiled", (4, 10, 10)) == 3
    assert RESULTS.peak("tiled", (4, 10, 10), "in all") == 120
    assert RESULTS.peak("tiled", (2, 10, 10)) is None
    assert RESULTS.peak("whole", (4, 10, 10)) is None
