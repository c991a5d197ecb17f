"""The retry policy: what is repeated, how often, how long."""

import pytest

from geocatalog.read.retry import GaveUpError, RetryPolicy, TransientError, retry_after


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
