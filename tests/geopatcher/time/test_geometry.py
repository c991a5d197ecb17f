"""Which steps belong to a patch: causal, truncated at the edges, never beyond the series."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geopatcher import (
    PatchError,
    TemporalFixedLookback,
    TemporalLookbackHorizon,
    TemporalMultiScale,
    TemporalPhaseWindow,
    TimeDomain,
)

lengths = st.integers(1, 40)


@given(lengths, lengths, st.data())
def test_a_lookback_is_what_python_slices(length, total, data):
    anchor = data.draw(st.integers(0, total - 1))
    series = np.arange(total)
    span = TemporalFixedLookback(length).neighborhood(TimeDomain((total,)), anchor)
    expected = [step for step in range(anchor - length + 1, anchor + 1) if step >= 0]
    assert series[span.steps].tolist() == expected
    assert len(span) == len(expected)


@given(lengths, lengths, lengths, st.data())
def test_a_horizon_follows_its_lookback(lookback, horizon, total, data):
    anchor = data.draw(st.integers(0, total - 1))
    series = np.arange(total)
    geometry = TemporalLookbackHorizon(lookback, horizon)
    span = geometry.neighborhood(TimeDomain((total,)), anchor)
    assert series[span.lookback].tolist() == list(range(max(0, anchor + 1 - lookback), anchor + 1))
    ahead = range(anchor + 1, min(anchor + 1 + horizon, total))
    assert series[span.horizon].tolist() == list(ahead)
    assert series[span.steps].tolist() == [*series[span.lookback], *series[span.horizon]]


def test_scales_end_at_the_same_step():
    scales = TemporalMultiScale((2, 5, 30)).neighborhood(TimeDomain((20,)), 9)
    assert [(span.start, span.stop) for span in scales.spans] == [(8, 10), (5, 10), (0, 10)]


@given(st.integers(1, 60), st.integers(2, 15), st.integers(0, 7), st.data())
def test_a_phase_window_is_the_steps_near_the_phase_up_to_now(total, period, half, data):
    half = min(half, period // 2)
    anchor = data.draw(st.integers(0, total - 1))
    steps = TemporalPhaseWindow(period, half).neighborhood(TimeDomain((total,)), anchor).steps
    expected = [
        step
        for step in range(anchor + 1)
        if min((anchor - step) % period, (step - anchor) % period) <= half
    ]
    assert steps.tolist() == expected


def test_a_phase_window_counts_days_where_there_are_dates():
    days = np.datetime64("2021-06-15") + np.array([0, 10, 200, 365, 370, 730]) * np.timedelta64(
        1, "D"
    )
    domain = TimeDomain((6,), times=days)
    steps = TemporalPhaseWindow(period=365, half_width=7).neighborhood(domain, "2023-06-15").steps
    assert steps.tolist() == [0, 3, 4, 5]


def test_what_cannot_be_is_told():
    with pytest.raises(PatchError, match="length must be a whole number of at least 1, got 0"):
        TemporalFixedLookback(0)
    with pytest.raises(PatchError, match="horizon must be a whole number"):
        TemporalLookbackHorizon(3, 2.5)
    with pytest.raises(PatchError, match=r"different and rising, got \(5, 3\)"):
        TemporalMultiScale((5, 3))
    with pytest.raises(PatchError, match="half_width 0 to half of it, got 10 and 6"):
        TemporalPhaseWindow(10, 6)
    with pytest.raises(PatchError, match="step 20 lies outside the series of 20 steps"):
        TemporalFixedLookback(3).neighborhood(TimeDomain((20,)), 20)
