"""A target is judged at the size that it is stated for, and nowhere else."""

import pytest
from comparisons import group
from results import Results
from scenes import LARGE, SMALL
from targets import TARGETS, Target


def of(claim):
    return next(target for target in TARGETS if target.claim.startswith(claim))


def test_every_target_has_a_number_of_the_contract_and_all_are_there():
    assert {target.number for target in TARGETS} == set(range(1, 16))
    claims = [target.claim for target in TARGETS]
    assert len(claims) == len(set(claims))


def test_nothing_measured_is_no_verdict():
    for target in TARGETS:
        assert target.measure(Results()) is None
        assert target.verdict(None) == "not measured"


@pytest.mark.parametrize(
    ("at_most", "value", "verdict"),
    [(True, 4, "met"), (True, 4.1, "not met"), (False, 4, "met"), (False, 3.9, "not met")],
)
def test_verdict_at_the_limit(at_most, value, verdict):
    assert Target(1, "", 4, "x", lambda _: None, at_most).verdict(value) == verdict


def test_a_smaller_file_does_not_answer_for_a_million_rows():
    target = of("queries of a file of 1,000,000 rows, with their rows")
    rows = {"read_parquet (GeoPandas), unsorted": [8.0], "geocatalog, rows": [2.0]}
    small = Results(groups=[group("queries of 100,000 footprints in a file", **rows)])
    assert target.measure(small) is None
    large = Results(groups=[group("queries of 1,000,000 footprints in a file", **rows)])
    assert target.measure(large) == 4
    assert target.verdict(4) == "not met"


def test_the_fastest_peer_that_blends_is_the_one_to_beat():
    times = {"geostack": [2.0], "tiler, Merger, hann": [4.0], "xbatcher, own overlap-add": [8.0]}
    times |= {"patchify, unpatchify": [1.0]}  # does not blend
    results = Results(groups=[group(f"NDVI stitched by us and by peers {SMALL}", **times)])
    assert of(f"blended NDVI {SMALL} against the fastest peer").measure(results) == 0.5
    assert of(f"blended NDVI {LARGE} against the fastest peer").measure(results) is None


def test_memory_of_a_taller_scene_is_compared_in_all():
    peaks = [
        {"case": "file to COG", "shape": [2, 5490, 10980], "in all": 200.0, "beyond": 90.0},
        {"case": "file to COG", "shape": [2, 10980, 10980], "in all": 210.0, "beyond": 190.0},
    ]
    assert of("the same, against a scene half as tall").measure(Results(peaks=peaks)) == 1.05


def test_costs_of_a_call_are_differences():
    results = Results(
        groups=[group("one call on an int", 1000, **{"plain function": [1e-4], "Operator": [2e-4]})]
    )
    assert of("an operator's call").measure(results) == pytest.approx(100)
