"""A temporal patcher's geometry, sampler and window."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geopatcher import (
    PatchError,
    TemporalCausalBoxcar,
    TemporalCausalRolling,
    TemporalEventTriggered,
    TemporalExplicit,
    TemporalExponentialDecay,
    TemporalFixedLookback,
    TemporalLookbackHorizon,
    TemporalMultiScale,
    TemporalPeriodic,
    TemporalPhaseWindow,
    TemporalRandom,
    TemporalRegularStride,
    TemporalTaperedTukey,
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


def test_what_no_geometry_can_be_is_told():
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


WINDOWS = [
    TemporalCausalBoxcar(),
    TemporalExponentialDecay(3),
    TemporalTaperedTukey(0.4),
    TemporalTaperedTukey(0),
    TemporalTaperedTukey(1),
    TemporalPeriodic(12),
]


@pytest.mark.parametrize("window", WINDOWS)
@given(length=st.integers(1, 60), data=st.data())
def test_weights_are_positive_and_truncation_keeps_the_newest(window, length, data):
    whole = window.weights(TemporalFixedLookback(length), length)
    assert whole.shape == (length,)
    assert (whole > 0).all()
    assert whole.max() <= 1
    short = data.draw(st.integers(1, length))
    np.testing.assert_array_equal(
        window.weights(TemporalFixedLookback(length), short), whole[length - short :]
    )


def test_decay_loses_e_in_tau_steps():
    weights = TemporalExponentialDecay(5).weights(None, 11)
    assert weights[-1] == 1
    assert weights[-6] == pytest.approx(np.exp(-1))
    assert weights[0] == pytest.approx(np.exp(-2))


def test_the_taper_lies_on_the_oldest_side_only():
    weights = TemporalTaperedTukey(0.25).weights(None, 16)
    assert (weights[4:] == 1).all()
    assert (np.diff(weights[:5]) > 0).all()
    assert weights[0] == pytest.approx(np.sin(np.pi / 16) ** 2)


def test_a_periodic_window_comes_back():
    weights = TemporalPeriodic(12).weights(None, 37)
    assert weights[[0, 12, 24, 36]] == pytest.approx(1)
    assert weights[[6, 18, 30]] == pytest.approx(np.exp(-2))


def test_a_geometry_without_a_length_weighs_what_there_is():
    assert TemporalCausalBoxcar().weights(TemporalPhaseWindow(12, 1), 5).tolist() == [1] * 5


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: TemporalExponentialDecay(0), "tau must be a positive number of steps, got 0"),
        (
            lambda: TemporalTaperedTukey(1.5),
            "alpha must be 0 to 1, a share of the lookback, got 1.5",
        ),
        (lambda: TemporalPeriodic(-1), "period must be a positive number of steps, got -1"),
    ],
)
def test_what_no_window_can_be_is_told(make, told):
    with pytest.raises(PatchError, match=told):
        make()


def test_the_weights_of_a_long_past_are_small_and_not_zero():
    weights = TemporalExponentialDecay(tau=0.5).weights(None, 2000)
    assert (weights > 0).all()
    assert (np.diff(weights) >= 0).all()


@pytest.mark.parametrize(
    ("sampler", "expected"),
    [
        (TemporalRegularStride(5), [0, 5, 10]),
        (TemporalCausalRolling(4), [0, 4, 8]),
        (TemporalCausalRolling(4, start=2), [2, 6, 10]),
        (TemporalEventTriggered([7, 3, 7]), [3, 7]),
        (TemporalRandom(3, seed=0), [2, 3, 11]),
        (TemporalExplicit([7, 3]), [7, 3]),
    ],
    ids=lambda case: type(case).__name__,
)
def test_a_sampler_takes_the_number_of_steps_and_no_geometry(sampler, expected):
    assert sampler.anchors(12) == expected
    assert sampler.anchors(np.zeros((12, 4))) == expected
