"""One retry policy for everything that crosses a network.

Waits double from try to try with jitter, never start a wait that would end beyond the total time
limit, and are at least as long as the server's Retry-After. What can't succeed is never repeated:
only `TransientError` is tried again.
"""

from __future__ import annotations

import email.utils
import itertools
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

T = TypeVar("T")

logger = logging.getLogger(__name__)

TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP answers that a later try may change (RFC 9110, RFC 6585)."""


class TransientError(Exception):
    """A failure that may pass: the last answer, and how long the server asks to wait (seconds)."""

    def __init__(self, answer: str, retry_after: float | None = None) -> None:
        super().__init__(answer)
        self.answer = answer
        self.retry_after = retry_after


class GaveUpError(Exception):
    """Every try that the policy allows has failed."""

    def __init__(self, tries: int, seconds: float, answer: str) -> None:
        super().__init__(
            f"gave up after {tries_text(tries)} in {seconds:.1f} s; last answer: {answer}"
        )
        self.tries = tries
        self.answer = answer


def tries_text(tries: int) -> str:
    """Return a count of tries in words.

    Examples
    --------
    >>> tries_text(1), tries_text(3)
    ('1 try', '3 tries')
    """
    return "1 try" if tries == 1 else f"{tries} tries"


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long to try: `tries` at most, `total` seconds at most.

    Examples
    --------
    >>> RetryPolicy(tries=3, base_delay=0).run(lambda: "pixels")
    'pixels'
    """

    tries: int = 5
    base_delay: float = 0.5
    """Seconds before the second try, at most; doubles with each."""
    max_delay: float = 20.0
    total: float = 90.0
    """Seconds from the first try to the start of the last."""

    def run(self, attempt: Callable[[], T]) -> T:
        """Return what `attempt` returns, trying again when it raises `TransientError`.

        Raises
        ------
        GaveUpError
            When tries or time are used up; any other exception passes through at once.
        """
        start = time.monotonic()
        for tries in itertools.count(1):
            try:
                return attempt()
            except TransientError as error:
                longest = min(self.max_delay, self.base_delay * 2 ** (tries - 1))
                pause = max(error.retry_after or 0.0, random.uniform(0.0, longest))
                passed = time.monotonic() - start
                if tries >= self.tries or passed + pause >= self.total:
                    raise GaveUpError(tries, passed, error.answer) from None
                logger.info("%s; trying again in %.1f s", error, pause)
                time.sleep(pause)
        raise AssertionError("the loop above ends by itself")


DEFAULT = RetryPolicy()


def retry(attempt: Callable[[], T], policy: RetryPolicy | None = None) -> T:
    """Run `attempt` under `policy`, by default the module's `DEFAULT`.

    Examples
    --------
    >>> retry(lambda: 1)
    1
    """
    return (policy or DEFAULT).run(attempt)


def retry_after(header: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for: a number or an HTTP date (RFC 9110).

    Examples
    --------
    >>> retry_after("3"), retry_after("soon"), retry_after("Thu, 01 Jan 1970 00:00:00 GMT")
    (3.0, None, 0.0)
    """
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
