"""Trying again, with growing pauses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from pipekit.control import ExceptionTypes, checked_exceptions
from pipekit.operator import Operator, checked_operator


class Retry(Operator):
    """Run an operator again when it raises one of the given exceptions, after growing pauses.

    The pause after attempt i is `base_delay * 2**(i-1)` seconds, at most `max_delay`. With
    `jitter` it is a random part, from a half to the whole, of that, so that many workers that
    failed together do not come back together. After the last attempt there is no pause: its
    exception is raised, with a note that says how often it was tried.

    Args:
        op: the operator.
        attempts: how often it is run at most, at least 1.
        base_delay: the first pause in seconds.
        on: the exceptions that are worth another attempt, subclasses of `Exception`. `OSError`
            includes time-outs and lost connections.
        max_delay: the longest pause in seconds.
        jitter: whether pauses are shortened at random.
        seed: fixes the random pauses.
        sleep: what pauses.

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
        if not isinstance(attempts, int) or attempts < 1:
            raise ValueError(f"attempts must be an integer of at least 1, got {attempts!r}")
        if not base_delay >= 0 or not max_delay >= 0:
            raise ValueError(
                f"delays are seconds of at least 0, got base_delay={base_delay!r}, "
                f"max_delay={max_delay!r}"
            )
        self.op = checked_operator(op, "op")
        self.attempts = attempts
        self.base_delay = base_delay
        self.on = checked_exceptions(on)
        self.max_delay = max_delay
        self.jitter = jitter
        self.seed = seed
        self.sleep = sleep

    def _apply(self, *inputs: Any) -> Any:
        for pause in self._pauses():
            try:
                return self.op(*inputs)
            except self.on:
                self.sleep(pause)
        try:
            return self.op(*inputs)
        except self.on as error:
            error.add_note(f"failed {self.attempts} times of {self.attempts} in Retry")
            raise

    def _pauses(self) -> Iterator[float]:
        """Yield the pauses between attempts, in seconds."""
        import random  # here, for `import pipekit` to cost little more than numpy

        draw = random.Random(self.seed)
        for i in range(self.attempts - 1):
            # 2**1024 is beyond a float; by then any pause is at max_delay.
            pause = min(self.base_delay * 2 ** min(i, 1000), self.max_delay)
            yield pause * draw.uniform(0.5, 1.0) if self.jitter else pause
