"""So many jobs at the same time, so many waiting, so long each."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from geostack.serve.limits import Limits
from geostack.serve.problem import Problem, problem_of

T = TypeVar("T")


class Gate:
    """Runs jobs in threads within limits, and finishes what somebody waits for when it is closed.

    A job that takes too long is answered for by a 504, but Python can't stop its thread: it keeps
    its place until it ends, so that no more than `running` ever work. The threads are daemons, so
    that the end of the process waits for none of them.

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
        self._held = 0
        self._awaited = 0
        self._closed = False

    @property
    def held(self) -> int:
        """The number of jobs that run or wait."""
        return self._held

    async def run(self, job: Callable[[], T]) -> T:
        """Return what a job returns.

        Raises Problem: 503 when too many wait already, 504 when it takes too long, and whatever
        `problem_of` makes of the job's own error.
        """
        future = self._submit(job)
        try:
            # Given up, it is cancelled: that ends a job that waits, and no job that runs.
            return await asyncio.wait_for(asyncio.wrap_future(future), self.limits.seconds)
        except TimeoutError:
            if future.cancelled():
                raise Problem(503, "the server is busy; try again", 5) from None
            if not future.done():
                raise Problem(504, f"it took longer than {self.limits.seconds:g} s", 30) from None
            failed = future.exception()
            if failed is None:  # it ended just now
                return future.result()
            raise problem_of(failed) from None  # type: ignore[arg-type]
        except Exception as error:
            raise problem_of(error) from error
        finally:
            with self._changed:
                self._awaited -= 1
                self._changed.notify_all()

    def _submit(self, job: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        with self._changed:
            if self._closed:
                raise Problem(503, "the server is stopping; try again", 5)
            if self._held >= self.limits.running + self.limits.waiting:
                raise Problem(503, "the server is busy; try again", 1)
            if self._workers < min(self._held + 1, self.limits.running):
                threading.Thread(target=self._work, name="geostack-serve", daemon=True).start()
                self._workers += 1
            self._held += 1
            self._awaited += 1
        future.add_done_callback(self._release)
        self._jobs.put((future, job))
        return future

    def _work(self) -> None:
        while (given := self._jobs.get()) is not None:
            _do(*given)
            del given  # a result of many megabytes is not kept until the next job comes

    def _release(self, future: Future[Any]) -> None:
        with self._changed:
            self._held -= 1

    def close(self) -> None:
        """Take nothing new, and return once nobody waits for a job: within `limits.seconds`."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self._awaited)
        for _ in range(self._workers):
            self._jobs.put(None)


def _do(future: Future[T], job: Callable[[], T]) -> None:
    """Run a job unless nobody waits for it any more."""
    if future.set_running_or_notify_cancel():
        try:
            future.set_result(job())
        except BaseException as error:  # told to whoever waits, as a thread pool does
            future.set_exception(error)
