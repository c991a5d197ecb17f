"""What one request, and all of them together, may cost: bytes, pixels, seconds, places."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, fields
from queue import SimpleQueue
from typing import Any, TypeVar

from geostack.serve.problem import Problem, problem_of
from pipekit.operator import checked_count, checked_number

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """The limits of a server; the defaults suit a machine with a few cores and gigabytes.

    Parameters
    ----------
    max_body
        Bytes of a request's body.
    max_pixels
        Bands x rows x columns of what a pipeline is given.
    seconds
        For one answer, its waiting included.
    body_seconds
        Seconds for a body to arrive.
    running
        Jobs that run at the same time.
    waiting
        Jobs that wait for their turn; beyond that a request is refused at once.
    tile_cache
        Bytes of tiles that are kept.

    Raises
    ------
    ValueError
        For a limit that is not a positive number, whole but for times (`waiting` may be 0).

    Examples
    --------
    >>> Limits(running=0)
    Traceback (most recent call last):
    ValueError: running must be a whole number of at least 1, got 0
    """

    max_body: int = 8 << 20
    """Bytes of a request's body."""
    max_pixels: int = 4_000_000
    """Bands x rows x columns of what a pipeline is given."""
    seconds: float = 30.0
    """For one answer, its waiting included."""
    body_seconds: float = 10.0
    """For a body to arrive."""
    running: int = 4
    """Jobs that run at the same time."""
    waiting: int = 32
    """Jobs that wait for their turn; beyond that a request is refused at once."""
    tile_cache: int = 64 << 20
    """Bytes of tiles that are kept."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, int):
                checked_count(value, field.name, least=0 if field.name == "waiting" else 1)
            else:
                checked_number(value, field.name, 0, inside=True)


class Gate:
    """Runs jobs in threads within limits, and finishes what somebody waits for when it is closed.

    A job that takes too long is answered for by a 504, but Python can't stop its thread: it keeps
    its place until it ends, so that no more than `running` ever work. The threads are daemons, so
    that the end of the process waits for none of them.

    Parameters
    ----------
    limits
        `running`, `waiting` and `seconds` are the gate's.

    Examples
    --------
    >>> gate = Gate(Limits(running=1))
    >>> asyncio.run(gate.run(lambda: 42))
    42
    >>> gate.close()
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._workers = 0
        self._changed = threading.Condition()
        self.held = 0
        """The number of jobs that run or wait."""
        self._awaited = 0
        self._closed = False

    async def run(self, job: Callable[[], T]) -> T:
        """Return what a job returns.

        Parameters
        ----------
        job
            Called in a thread.

        Returns
        -------
        object
            The job's result.

        Raises
        ------
        Problem
            503 when too many wait already or the gate is closed, 504 when it takes longer than
            `limits.seconds`, and whatever `problem_of` makes of the job's own error.
        """
        future: Future[T] = Future()
        with self._changed:
            if self._closed:
                raise Problem(503, "the server is stopping; try again", 5)
            if self.held >= self.limits.running + self.limits.waiting:
                raise Problem(503, "the server is busy; try again", 1)
            if self._workers < min(self.held + 1, self.limits.running):
                threading.Thread(target=self._work, name="geostack-serve", daemon=True).start()
                self._workers += 1
            self.held += 1
            self._awaited += 1
        future.add_done_callback(self._release)
        self._jobs.put((future, job))
        try:
            try:
                # Given up, it is cancelled: that ends a job that waits, and no job that runs.
                return await asyncio.wait_for(asyncio.wrap_future(future), self.limits.seconds)
            except TimeoutError:
                if future.cancelled():
                    raise Problem(503, "the server is busy; try again", 5) from None
                if not future.done():
                    message = f"it took longer than {self.limits.seconds:g} s"
                    raise Problem(504, message, 30) from None
                return future.result()  # it ended just now, or failed by an error of that name
        except Exception as error:
            raise problem_of(error) from error
        finally:
            with self._changed:
                self._awaited -= 1
                self._changed.notify_all()

    def _work(self) -> None:
        while (given := self._jobs.get()) is not None:
            future, job = given
            if future.set_running_or_notify_cancel():  # unless nobody waits for it any more
                try:
                    future.set_result(job())
                except BaseException as error:  # told to whoever waits, as a thread pool does
                    future.set_exception(error)
            # A result of many megabytes is not kept until the next job comes.
            del given, future, job

    def _release(self, future: Future[Any]) -> None:
        with self._changed:
            self.held -= 1

    def close(self) -> None:
        """Take nothing new, and return once nobody waits for a job: within `limits.seconds`."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self._awaited)
        for _ in range(self._workers):
            self._jobs.put(None)


class Bodies:
    """Reads bodies, `running + waiting` at the same time: so much memory and no more.

    Parameters
    ----------
    limits
        `max_body` and `body_seconds` hold for each body.

    Examples
    --------
    >>> Bodies(Limits(running=1, waiting=1)).arriving
    0
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.arriving = 0

    async def read(self, request: Any) -> bytes:
        """Return a request's body.

        Parameters
        ----------
        request
            Starlette's.

        Returns
        -------
        bytes

        Raises
        ------
        Problem
            503 when too many arrive already, 413 for a longer one than `max_body`, as soon as that
            is known, and 408 for one that takes longer than `body_seconds`.
        """
        if self.arriving >= self.limits.running + self.limits.waiting:
            raise Problem(503, "the server is busy; try again", 1)
        most, body = self.limits.max_body, bytearray()
        announced = request.headers.get("content-length", "")
        too_long = Problem(413, f"the body is longer than {most} bytes")
        # Twenty digits are too long whatever they say, and a number of any length costs to read.
        if len(announced) > 20 or (announced.isdecimal() and int(announced) > most):
            raise too_long
        self.arriving += 1
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                async for part in request.stream():
                    body += part
                    if len(body) > most:
                        raise too_long
        except TimeoutError:
            seconds = self.limits.body_seconds
            raise Problem(408, f"the body took longer than {seconds:g} s") from None
        finally:
            self.arriving -= 1
        return bytes(body)
