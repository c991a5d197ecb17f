"""When patches are anchored."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geopatcher import (
    PatchError,
    TemporalCausalRolling,
    TemporalEventTriggered,
    TemporalExplicit,
    TemporalFixedLookback,
    TemporalRandom,
    TemporalRegularStride,
    TimeDomain,
)

DAYS = np.datetime64("2024-01-01") + np.arange(0, 60, 5) * np.timedelta64(1, "D")
DATED = TimeDomain((12,), times=DAYS)


@given(st.integers(1, 30), st.integers(1, 60))
def test_a_stride_begins_at_the_first_step(step, total):
    found = TemporalRegularStride(step).anchors(TimeDomain((total,)), None)
    assert found == list(range(0, total, step))


@given(st.integers(1, 9), st.integers(1, 30), st.integers(1, 60))
def test_rolling_begins_where_the_lookback_is_whole(step, length, total):
    domain, geometry = TimeDomain((total,)), TemporalFixedLookback(length)
    found = TemporalCausalRolling(step).anchors(domain, geometry)
    assert found == list(range(length - 1, total, step))
    assert all(len(geometry.neighborhood(domain, anchor)) == length for anchor in found)


def test_rolling_begins_at_a_date():
    assert TemporalCausalRolling(4, start="2024-01-13").anchors(DATED, None) == [2, 6, 10]


def test_events_take_what_was_known_when_they_came():
    events = TemporalEventTriggered(["2024-01-12", "2024-01-14", "2024-01-03", "2024-02-01"])
    assert events.anchors(DATED, None) == [0, 2, 6]
    assert TemporalEventTriggered(DAYS[[3, 1]]).anchors(DATED, None) == [1, 3]
    with pytest.raises(PatchError, match="at least one step"):
        TemporalEventTriggered([])
    with pytest.raises(PatchError, match="a sequence of steps or dates, got '2024-01-12'"):
        TemporalEventTriggered("2024-01-12")


def test_a_seed_fixes_the_steps_for_ever():
    assert TemporalRandom(6, seed=42).anchors(TimeDomain((118,)), None) == [17, 27, 51, 68, 74, 84]
    many = TemporalRandom(60, seed=1).anchors(TimeDomain((60,)), None)
    assert many == list(range(60))
    with pytest.raises(PatchError, match="61 different steps cannot be drawn from a series of 60"):
        TemporalRandom(61).anchors(TimeDomain((60,)), None)


def test_explicit_steps_keep_their_order():
    assert TemporalExplicit([7, "2024-01-08", np.int64(0)]).anchors(DATED, None) == [7, 1, 0]


@pytest.mark.parametrize(
    "sampler",
    [
        TemporalRegularStride(3),
        TemporalCausalRolling(2, start="2024-01-13"),
        TemporalCausalRolling(2, start=DAYS[3]),
        TemporalEventTriggered(DAYS[:2]),
        TemporalRandom(3, seed=5),
        TemporalExplicit([1, "2024-01-13"]),
    ],
)
def test_a_config_makes_the_same_sampler(sampler):
    assert type(sampler).from_config(sampler.get_config()) == sampler
