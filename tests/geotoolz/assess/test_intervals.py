import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from geotoolz.assess import Estimate, area_estimate


def two_classes(share, users, producers):
    """Shares of the area by mapped and true class of a map of two classes."""
    right = share * producers
    wrong, missed = right / users - right, share - right
    return np.array([[right, wrong], [missed, 1 - right - wrong - missed]])


def held(cells, drawn, method, runs=1000):
    """How often an interval holds the truth over simulated maps: area and overall accuracy."""
    rng = np.random.default_rng(0)
    mapped, true, hits = cells.sum(axis=1), cells.sum(axis=0), np.zeros(2)
    for _ in range(runs):
        both = zip(drawn, cells, strict=True)
        counts = [rng.multinomial(n, row / row.sum()) for n, row in both]
        found = area_estimate(counts, mapped)
        (low, high), (least, most) = (
            found.interval(0.95, method),
            found.overall.interval(0.95, method),
        )
        hits += low[0] <= true[0] <= high[0], least <= np.trace(cells) <= most
    return hits / runs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("share", "users", "producers", "drawn"),
    [(0.3, 0.85, 0.85, (150, 150)), (0.01, 0.8, 0.8, (100, 900)), (0.01, 0.7, 0.7, (100, 1900))],
)
def test_wilson_intervals_hold_in_95_of_100_maps_of_rare_and_common_classes(
    share, users, producers, drawn
):
    area, overall = held(two_classes(share, users, producers), drawn, "wilson")
    assert 0.93 <= area <= 0.97
    assert 0.93 <= overall <= 0.97


@pytest.mark.slow
def test_wald_intervals_hold_for_common_classes_and_fail_for_rare_ones():
    area, overall = held(two_classes(0.3, 0.85, 0.85), (400, 400), "wald")
    assert 0.93 <= area <= 0.97
    assert 0.93 <= overall <= 0.97
    # In 400 pixels of the large class a missed one in 500 is often not met at all.
    assert held(two_classes(0.01, 0.8, 0.8), (100, 400), "wald")[0] < 0.7


@given(st.floats(0.001, 0.999), st.integers(2, 10_000), st.floats(0.5, 0.999))
def test_wilson_of_a_plain_sample_solves_its_equation(share, count, level):
    error = np.sqrt(share * (1 - share) / count)
    z = norm.ppf((1 + level) / 2)
    for limit in Estimate(share, error, count).interval(level, "wilson"):
        assert abs(share - limit) == pytest.approx(
            z * np.sqrt(limit * (1 - limit) / count), rel=1e-6
        )


def test_intervals_of_one_stratum_are_wilsons():
    found = area_estimate([[3, 97], [0, 0]], [500, 0])
    low, high = found.interval(method="wilson")
    share = Estimate(0.03, np.sqrt(0.03 * 0.97 / 100), 100).interval(method="wilson")
    assert (low[0], high[0]) == pytest.approx(tuple(500 * np.array(share)))


@pytest.mark.parametrize("method", ["wald", "logit", "wilson"])
def test_intervals_lie_around_the_value_and_grow_with_the_level(method):
    found = area_estimate([[66, 0, 5], [1, 55, 8], [0, 1, 153]], [18, 13, 300])
    for figure in (found.areas, found.users, found.producers, found.f1, found.overall):
        low, high = figure.interval(0.9, method)
        lower, higher = figure.interval(0.99, method)
        assert np.all(np.array([lower <= low, low <= figure.value, figure.value <= high]))
        assert np.all(high <= higher)
        if method != "wald":
            assert np.all(np.asarray(lower) / figure.total >= 0)
            assert np.all(np.asarray(higher) / figure.total <= 1 + 1e-9)


def test_a_perfect_sample_leaves_room_for_doubt_in_wilsons_interval_alone():
    found = area_estimate(np.diag([50, 50]), [30, 70])
    assert np.array(found.interval(method="wald")) == pytest.approx(np.array([[30, 70], [30, 70]]))
    low, high = found.interval(method="wilson")
    assert low[0] < 29
    assert high[0] > 31
    assert found.users.interval(method="wilson")[0][0] == pytest.approx(0.9287, abs=1e-3)


def test_levels_and_methods_are_checked():
    with pytest.raises(ValueError, match="level"):
        Estimate(0.5, 0.1, 10).interval(95)
    with pytest.raises(ValueError, match="'wald', 'logit' or 'wilson'"):
        Estimate(0.5, 0.1, 10).interval(method="exact")
