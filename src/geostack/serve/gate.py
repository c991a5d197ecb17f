"""So many jobs at the same time, so many waiting, so long each."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from geostack.serve.limits import Limits
from geostack.serve.problem import Problem, problem_of

T = TypeVar("T")


class Gate:
    """Runs jobs in threads within limits, and finishes what has begun when it is closed.

    A job that takes too long is answered for by a 504, but Python can't stop its thread: it keeps
    its place until it ends, so that no more than `running` ever work.

    >>> gate = Gate(Limits(running=1))
    >>> asyncio.run(gate.run(lambda: 42))
    42
    >>> gate.close()
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._pool = ThreadPoolExecutor(limits.running, thread_name_prefix="geostack-serve")
        self._lock = threading.Lock()
        self._held = 0

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
            wrapped = asyncio.wrap_future(future)
            return await asyncio.wait_for(asyncio.shield(wrapped), self.limits.seconds)
        except TimeoutError:
            if future.cancel():
                raise Problem(503, "the server is busy; try again", 5) from None
            if future.done():
                failed = future.exception()
                if failed is None:  # it ended just now
                    return future.result()
                raise problem_of(failed) from None  # type: ignore[arg-type]
            # Someone must look at a late error, or asyncio complains about it.
            wrapped.add_done_callback(lambda late: late.cancelled() or late.exception())
            raise Problem(504, f"it took longer than {self.limits.seconds:g} s", 30) from None
        except asyncio.CancelledError:
            future.cancel()
            raise
        except Exception as error:
            raise problem_of(error) from error

    def _submit(self, job: Callable[[], T]) -> Future[T]:
        with self._lock:
            if self._held >= self.limits.running + self.limits.waiting:
                raise Problem(503, "the server is busy; try again", 1)
            self._held += 1
        try:
            future = self._pool.submit(job)
        except RuntimeError:
            self._release()
            raise Problem(503, "the server is stopping; try again", 5) from None
        future.add_done_callback(self._release)
        return future

    def _release(self, future: Future[T] | None = None) -> None:
        with self._lock:
            self._held -= 1

    def close(self) -> None:
        """Wait for what is under way, and take nothing new."""
        self._pool.shutdown(wait=True, cancel_futures=False)
