"""What each step counts: positive, newest last, the same for a truncated lookback."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geopatcher import (
    PatchError,
    TemporalCausalBoxcar,
    TemporalExponentialDecay,
    TemporalFixedLookback,
    TemporalPeriodic,
    TemporalPhaseWindow,
    TemporalTaperedTukey,
)

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
        (lambda: TemporalTaperedTukey(1.5), "alpha is a share of the lookback, 0 to 1, got 1.5"),
        (lambda: TemporalPeriodic(-1), "period must be a positive number of steps, got -1"),
    ],
)
def test_what_cannot_be_is_told(make, told):
    with pytest.raises(PatchError, match=told):
        make()


def test_the_weights_of_a_long_past_are_small_and_not_zero():
    weights = TemporalExponentialDecay(tau=0.5).weights(None, 2000)
    assert (weights > 0).all()
    assert (np.diff(weights) >= 0).all()
