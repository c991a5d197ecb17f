"""Retry and the policy for what crosses a network: how often, how long, and what passes."""

from __future__ import annotations

import calendar
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        ({"attempts": 0}, "attempts must be a whole number of at least 1, got 0"),
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


NOW = datetime.now(UTC).replace(microsecond=0)
DAYS, MONTHS = calendar.day_abbr, calendar.month_abbr


def imf(date, zone="GMT"):
    clock = f"{date:%H:%M:%S}"
    return f"{DAYS[date.weekday()]}, {date.day:02} {MONTHS[date.month]} {date.year} {clock} {zone}"


FORMS = {
    "IMF-fixdate": imf,
    "RFC 850": lambda d: (
        f"{calendar.day_name[d.weekday()]}, {d.day:02}-{MONTHS[d.month]}-{d.year % 100:02} "
        f"{d:%H:%M:%S} GMT"
    ),
    "asctime": lambda d: f"{DAYS[d.weekday()]} {MONTHS[d.month]} {d.day:2} {d:%H:%M:%S} {d.year}",
    "no zone known": lambda d: imf(d, "-0000"),
    "UTC": lambda d: imf(d, "UTC"),
    "digits, east": lambda d: imf(d + timedelta(hours=5, minutes=30), "+0530"),
    "digits, west": lambda d: imf(d - timedelta(hours=8), "-0800"),
    "as Python's email writes it": format_datetime,
    "small letters": lambda d: imf(d).lower(),
    "blanks around": lambda d: f"  {imf(d)} ",
}


@pytest.mark.parametrize("form", FORMS)
@given(st.integers(-1_000_000_000, 1_000_000_000))
def test_a_date_in_every_form_is_the_seconds_until_then(form, seconds):
    got = retry_after(FORMS[form](NOW + timedelta(seconds=seconds)))
    passed = (datetime.now(UTC) - NOW).total_seconds()
    assert max(0, seconds - passed - 2) <= got <= max(0, seconds)


@given(st.integers(0, 99))
def test_a_year_of_two_digits_is_never_more_than_fifty_years_ahead(digits):
    def wanted(now):
        year = now.year // 100 * 100 + digits
        year -= 100 if year > now.year + 50 else 0
        return max(0, (datetime(year, 11, 6, 8, 49, 37, tzinfo=UTC) - now).total_seconds())

    before = datetime.now(UTC)
    got = retry_after(f"Sunday, 06-Nov-{digits:02} 08:49:37 GMT")
    after = datetime.now(UTC)
    assert wanted(after) <= got <= wanted(before) or before.year < after.year


@given(st.integers(0, 10**9))
def test_seconds_are_seconds(seconds):
    assert retry_after(str(seconds)) == retry_after(f" {seconds} ") == seconds


NONSENSE = [
    None, "", " ", "nan", "inf", "1e3", "1_000", "\u0661\u0662", "0x10", "12 s", "5, 10", "soon",
    "Sun, 99 Nov 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994",
    "Sun, 06 Nov 1994 25:00:00 GMT", "Sun, 06 Nov 1994 08:49:99 GMT", "Sun, 29 Feb 2023 00:00:00 GMT",
    "2030-01-01T00:00:00Z", "Sun, 06 Nov 1994 08:49:37 MEZ", "06/11/1994",
]  # fmt: skip


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_asks_for_nothing(text):
    assert retry_after(text) is None


def test_a_leap_second_is_a_time():
    assert retry_after("Sat, 31 Dec 2016 23:59:60 GMT") == 0.0


@given(st.text() | st.from_regex(r"[A-Za-z]{3},? ?[0-9 :+-]{1,30}[A-Z]*", fullmatch=True))
def test_no_text_breaks_a_wait(text):
    got = retry_after(text)
    assert got is None or 0 <= got <= 1e10


def test_an_endless_wait_is_finite():
    assert retry_after("9" * 400) == 1e10


def test_the_old_module_says_where_its_names_are():
    sys.modules.pop("geostack.retry", None)
    with pytest.warns(DeprecationWarning, match=r"pipekit\.retry"):
        from geostack.retry import retry_after as old
    assert old is retry_after
    with pytest.raises(ImportError):
        from geostack.retry import nothing  # noqa: F401
