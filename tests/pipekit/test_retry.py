"""Retry and the policy for what crosses a network: how often, how long, and what passes."""

from __future__ import annotations

import pytest

import pipekit as pk
from pipekit.retry import GaveUpError, RetryPolicy, TransientError, retry_after


class Flaky(pk.Operator):
    def __init__(self, failures, error=OSError):
        self.failures = failures
        self.error = error
        self._calls = 0

    def _apply(self, x):
        self._calls += 1
        if self._calls <= self.failures:
            raise self.error(f"failure {self._calls}")
        return x


def retry(op, **options):
    pauses = []
    return pk.Retry(op, sleep=pauses.append, **options), pauses


def test_pauses_double_and_none_follows_the_last_attempt():
    op = Flaky(9)
    patient, pauses = retry(op, attempts=5, base_delay=0.1, jitter=False)
    with pytest.raises(OSError, match="failure 5") as caught:
        patient(1)
    assert op._calls == 5
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert caught.value.__notes__ == ["failed 5 times of 5 in Retry"]


def test_it_stops_at_the_first_success():
    op = Flaky(2)
    patient, pauses = retry(op, attempts=5, base_delay=1, jitter=False)
    assert patient("x") == "x"
    assert (op._calls, pauses) == (3, [1, 2])
    assert retry(Flaky(0))[0]("x") == "x"


def test_max_delay_caps_however_many_attempts():
    patient, pauses = retry(Flaky(2000), attempts=1500, base_delay=1, max_delay=5, jitter=False)
    with pytest.raises(OSError):
        patient(1)
    assert pauses[:4] == [1, 2, 4, 5]
    assert set(pauses[3:]) == {5}
    assert len(pauses) == 1499


def test_jitter_is_seeded_and_takes_up_to_a_half_away():
    def run(seed):
        patient, pauses = retry(Flaky(3), attempts=4, base_delay=1, seed=seed)
        patient(1)
        return pauses

    assert run(1) == run(1)
    assert run(1) != run(2)
    for pause, whole in zip(run(3), (1, 2, 4), strict=True):
        assert whole / 2 <= pause <= whole


def test_other_exceptions_pass_at_once():
    for error in (KeyError, KeyboardInterrupt, SystemExit):
        op = Flaky(1, error)
        patient, pauses = retry(op, on=(ValueError, OSError))
        with pytest.raises(error):
            patient(1)
        assert (op._calls, pauses) == (1, [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attempts": 0}, "attempts must be an integer of at least 1, got 0"),
        ({"attempts": 1.5}, "attempts"),
        ({"base_delay": -1}, "delays are seconds of at least 0"),
        ({"max_delay": float("nan")}, "delays are seconds of at least 0"),
    ],
)
def test_wrong_numbers_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        pk.Retry(pk.Identity(), **options)


def test_interruptions_cannot_be_asked_for():
    with pytest.raises(TypeError, match="always pass"):
        pk.Retry(pk.Identity(), on=KeyboardInterrupt)


def failing(times: int, error: Exception):
    calls = []

    def attempt():
        calls.append(1)
        if len(calls) <= times:
            raise error
        return len(calls)

    attempt.calls = calls
    return attempt


def test_transient_failures_are_repeated_until_success():
    assert RetryPolicy(tries=4, base_delay=0).run(failing(3, TransientError("busy"))) == 4


def test_giving_up_says_how_often_and_why():
    attempt = failing(9, TransientError("HTTP 503"))
    with pytest.raises(GaveUpError, match=r"3 tries .* last answer: HTTP 503") as caught:
        RetryPolicy(tries=3, base_delay=0).run(attempt)
    assert caught.value.tries == len(attempt.calls) == 3


def test_other_errors_are_final():
    attempt = failing(9, FileNotFoundError("gone"))
    with pytest.raises(FileNotFoundError):
        RetryPolicy(tries=3, base_delay=0).run(attempt)
    assert len(attempt.calls) == 1


def test_no_wait_is_begun_that_would_end_too_late():
    attempt = failing(9, TransientError("HTTP 429", retry_after=60))
    with pytest.raises(GaveUpError, match="1 try"):
        RetryPolicy(tries=5, base_delay=0, total=1).run(attempt)
    assert len(attempt.calls) == 1


def test_retry_after_as_a_date():
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert retry_after("Wed, 21 Oct 2099 07:28:00 GMT") > 1e9
    assert retry_after("") is None
    assert retry_after("whenever") is None
    assert retry_after("-5") == 0.0
