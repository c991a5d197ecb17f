"""Trying again: one loop for operators, for reads of a Field, and for what crosses a network."""

from __future__ import annotations

import logging
import math
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from pipekit.control import ExceptionTypes, checked_exceptions
from pipekit.operator import Operator, checked_count, checked_operator
from pipekit.radius import passed_on

Result = TypeVar("Result")

logger = logging.getLogger(__name__)

TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP answers that a later try may change (RFC 9110, RFC 6585)."""


def call_again(
    call: Callable[[], Result],
    pauses: Iterable[float],
    on: ExceptionTypes,
    wait: Callable[[Any, float], object] = lambda error, seconds: time.sleep(seconds),
) -> Result:
    """Call until it succeeds: once, and once more after each of the pauses.

    Parameters
    ----------
    call
        What is tried.
    pauses
        Seconds between tries.
    on
        The exceptions worth another try; others, and the last failure, are raised.
    wait
        Gets the failure and the pause, and waits.

    Returns
    -------
    object
        What `call` returned.

    Examples
    --------
    >>> call_again(lambda: "pixels", doubling(3, 0.5), OSError)
    'pixels'
    """
    for pause in pauses:
        try:
            return call()
        except on as error:
            wait(error, pause)
    return call()


def doubling(attempts: int, first: float, longest: float = float("inf")) -> Iterator[float]:
    """Yield the pauses between so many attempts, in seconds, each twice the one before.

    Parameters
    ----------
    attempts
        The number of attempts, at least 1.
    first
        The first pause in seconds.
    longest
        The longest pause in seconds.

    Yields
    ------
    float
        `attempts - 1` pauses.

    Examples
    --------
    >>> list(doubling(4, 0.5, longest=1.5))
    [0.5, 1.0, 1.5]
    """
    for i in range(attempts - 1):
        # 2**1024 is beyond a float; by then any pause is the longest.
        yield min(first * 2 ** min(i, 1000), longest)


class Retry(Operator):
    """Run an operator again when it raises one of the given exceptions, after growing pauses.

    The pause after attempt i is `base_delay * 2**(i-1)` seconds, at most `max_delay`. With
    `jitter` it is a random part, from a half to the whole, of that, so that many workers that
    failed together do not come back together. After the last attempt there is no pause: its
    exception is raised, with a note that says how often it was tried.

    Parameters
    ----------
    op
        The operator.
    attempts
        How often it is run at most, at least 1.
    base_delay
        The first pause in seconds.
    on
        The exceptions that are worth another attempt, subclasses of `Exception`. `OSError`
        includes time-outs and lost connections.
    max_delay
        The longest pause in seconds.
    jitter
        Whether pauses are shortened at random.
    seed
        Fixes the random pauses.
    sleep
        What pauses.

    Raises
    ------
    ValueError
        For fewer than one attempt, or a negative delay.

    Examples
    --------
    >>> from pipekit import Lambda
    >>> pauses = []
    >>> broken = Lambda(lambda path: open(path))
    >>> patient = Retry(broken, base_delay=1, jitter=False, sleep=pauses.append)
    >>> patient("no such file")
    Traceback (most recent call last):
    FileNotFoundError: ...
    >>> pauses
    [1, 2]
    """

    def __init__(
        self,
        op: Operator,
        attempts: int = 3,
        base_delay: float = 0.5,
        on: ExceptionTypes = (OSError,),
        max_delay: float = 30.0,
        jitter: bool = True,
        seed: int | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if not base_delay >= 0 or not max_delay >= 0:
            raise ValueError(
                f"delays are seconds of at least 0, got base_delay={base_delay!r}, "
                f"max_delay={max_delay!r}"
            )
        self.op = checked_operator(op, "op")
        self.attempts = checked_count(attempts, "attempts")
        self.base_delay = base_delay
        self.on = checked_exceptions(on)
        self.max_delay = max_delay
        self.jitter = jitter
        self.seed = seed
        self.sleep = sleep

    radius = passed_on("op")

    def _apply(self, *inputs: Any) -> Any:
        try:
            return call_again(
                partial(self.op, *inputs), self._pauses(), self.on, lambda _, s: self.sleep(s)
            )
        except self.on as error:
            error.add_note(f"failed {self.attempts} times of {self.attempts} in Retry")
            raise

    def _pauses(self) -> Iterator[float]:
        """Yield the pauses in seconds, shortened at random where that is asked for."""
        import random  # here, for `import pipekit` to cost little more than numpy

        draw = random.Random(self.seed)
        for pause in doubling(self.attempts, self.base_delay, self.max_delay):
            yield pause * draw.uniform(0.5, 1.0) if self.jitter else pause


class TransientError(Exception):
    """A failure that may pass: the last answer, and how long the server asks to wait (seconds).

    Parameters
    ----------
    answer
        What came back, such as "HTTP 503".
    retry_after
        Seconds that the server asks to wait, or None.

    Examples
    --------
    >>> TransientError("HTTP 429", retry_after=5).retry_after
    5
    """

    def __init__(self, answer: str, retry_after: float | None = None) -> None:
        super().__init__(answer)
        self.retry_after = retry_after


class GaveUpError(Exception):
    """Every try that the policy allows has failed.

    Parameters
    ----------
    tries
        How often it was tried.
    seconds
        How long that took.
    answer
        What came back last.

    Examples
    --------
    >>> print(GaveUpError(3, 2.5, "HTTP 503"))
    gave up after 3 tries in 2.5 s; last answer: HTTP 503
    """

    def __init__(self, tries: int, seconds: float, answer: str) -> None:
        super().__init__(
            f"gave up after {tries_text(tries)} in {seconds:.1f} s; last answer: {answer}"
        )
        self.tries = tries
        self.answer = answer


def tries_text(tries: int) -> str:
    """Return a count of tries in words.

    Parameters
    ----------
    tries
        The number.

    Returns
    -------
    str
        The number and its noun.

    Examples
    --------
    >>> tries_text(1), tries_text(3)
    ('1 try', '3 tries')
    """
    return "1 try" if tries == 1 else f"{tries} tries"


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long to try what crosses a network.

    Waits are random up to a limit that doubles, at least as long as the server's Retry-After, and
    none is begun that would end beyond the total. Only `TransientError` is tried again.

    Parameters
    ----------
    tries
        The most tries.
    base_delay
        Seconds before the second try, at most; doubles with each.
    max_delay
        The longest wait in seconds that no server asked for.
    total
        Seconds from the first try to the start of the last, at most.

    Examples
    --------
    >>> RetryPolicy(tries=3, base_delay=0).run(lambda: "pixels")
    'pixels'
    """

    tries: int = 5
    base_delay: float = 0.5
    max_delay: float = 20.0
    total: float = 90.0

    def run(self, attempt: Callable[[], Result]) -> Result:
        """Return what `attempt` returns, trying again when it raises `TransientError`.

        Parameters
        ----------
        attempt
            What is tried, without arguments.

        Returns
        -------
        object
            What it returned.

        Raises
        ------
        GaveUpError
            Tries or time are used up; any other exception passes through at once.
        """
        from random import uniform

        start = time.monotonic()
        tries = 1

        def wait(error: TransientError, longest: float) -> None:
            nonlocal tries
            pause = max(error.retry_after or 0.0, uniform(0.0, longest))
            if time.monotonic() - start + pause >= self.total:
                raise error
            logger.info("%s; trying again in %.1f s", error, pause)
            time.sleep(pause)
            tries += 1

        pauses = doubling(self.tries, self.base_delay, self.max_delay)
        try:
            return call_again(attempt, pauses, TransientError, wait)
        except TransientError as error:
            raise GaveUpError(tries, time.monotonic() - start, str(error)) from None


def within(seconds: float, call: Callable[[], Result]) -> Result:
    """Return what `call` returns, or fail when that takes longer than so many seconds.

    A client's own timeouts hold for each byte: a name that is never found, or an answer that comes
    in drips, can outlast them for ever. The call runs in a thread of its own, which is left behind
    when its time is over.

    Parameters
    ----------
    seconds
        The most that it may take.
    call
        What is waited for, without arguments.

    Returns
    -------
    object
        What it returned.

    Raises
    ------
    TransientError
        When the time is over; what `call` raises passes through.

    Examples
    --------
    >>> within(10, lambda: "pixels")
    'pixels'
    >>> within(0.01, lambda: time.sleep(1))
    Traceback (most recent call last):
    pipekit.retry.TransientError: no whole answer within 0.01 s
    """
    outcome: Future[Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:
            outcome.set_exception(error)

    thread = threading.Thread(target=run, daemon=True, name="pipekit-within")
    thread.start()
    thread.join(seconds)
    if not outcome.done():
        raise TransientError(f"no whole answer within {seconds:g} s")
    return outcome.result()


DEFAULT = RetryPolicy()


def retry(attempt: Callable[[], Result], policy: RetryPolicy | None = None) -> Result:
    """Run `attempt` under `policy`, by default the module's `DEFAULT`.

    Parameters
    ----------
    attempt
        What is tried, without arguments.
    policy
        How often and how long; None for `DEFAULT`.

    Returns
    -------
    object
        What `attempt` returned.

    Raises
    ------
    GaveUpError
        Tries or time are used up.

    Examples
    --------
    >>> retry(lambda: 1)
    1
    """
    return (policy or DEFAULT).run(attempt)


def retry_after(header: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for, in any form that RFC 9110 knows.

    Parameters
    ----------
    header
        The header's text, or None where there is none: seconds, or a date as HTTP writes it
        ("Sun, 06 Nov 1994 08:49:37 GMT"), as RFC 850 did ("Sunday, 06-Nov-94 08:49:37 GMT") or as
        C's asctime does ("Sun Nov  6 08:49:37 1994"). Zones in digits are read too.

    Returns
    -------
    float or None
        Seconds, 0 for a date that is past; None when the text is none of these.

    Examples
    --------
    >>> retry_after("3"), retry_after("soon"), retry_after("Thu Jan  1 00:00:00 1970")
    (3.0, None, 0.0)
    """
    text = (header or "").strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        found = next(filter(None, (form.fullmatch(text) for form in _DATES)), None)
        seconds = math.nan if found is None else _until(found.groupdict())
    return None if math.isnan(seconds) else min(max(0.0, seconds), _LONGEST)


_SECONDS = re.compile(r"[+-]?\d+(\.\d*)?", re.ASCII)
_LONGEST = 1e10
"""Seconds; the year 9999 is a little more than twice as far. No wait is that long."""

# Not by strptime, whose names of days and months are those of the process's language.
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_TIME = r"(?P<hour>\d{1,2}):(?P<minute>\d\d):(?P<second>\d\d)"
_ZONE = r"( *(gmt|utc?|z|(?P<zone>[+-]\d{4})))?"
_DATES = [
    re.compile(form + _ZONE, re.ASCII | re.IGNORECASE)
    for form in (
        r"([a-z]+, *)?(?P<day>\d{1,2})[ -](?P<month>[a-z]{3})[ -](?P<year>\d{4}|\d\d) +" + _TIME,
        r"[a-z]+ +(?P<month>[a-z]{3}) +(?P<day>\d{1,2}) +" + _TIME + r" +(?P<year>\d{4})",
    )
]


def _until(date: dict[str, str]) -> float:
    """Return the seconds until a date of an HTTP header, or NaN for one that there is not."""
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC)
    year, zone = int(date["year"]), date["zone"] or "+0000"
    if len(date["year"]) == 2:  # RFC 9110: never more than 50 years ahead
        year += now.year // 100 * 100
        year -= 100 if year > now.year + 50 else 0
    try:
        month = _MONTHS.index(date["month"].lower()) + 1
        second = 59 if date["second"] == "60" else int(date["second"])  # 60 is a leap second
        clock = int(date["hour"]), int(date["minute"]), second
        moment = datetime(year, month, int(date["day"]), *clock, tzinfo=UTC)
    except ValueError:
        return math.nan
    east = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:]))
    return (moment - now - (east if zone[0] == "+" else -east)).total_seconds()
