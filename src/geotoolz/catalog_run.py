"""How a run over a catalog goes: rows in flight, and a report of what became of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

SCHEDULERS = ("threads", "dask")
"""Names `run_rows` knows; a `distributed.Client` is the third choice."""


@dataclass(frozen=True)
class Failure:
    """A row that gave no output, and why."""

    filepath: str
    error: str
    message: str


@dataclass
class RunReport:
    """What became of every row.

    >>> RunReport(total=3, done=2, resumed=0, failed=[Failure("a.tif", "OSError", "gone")])
    RunReport(3 rows: 2 done, 0 resumed, 1 failed, 0.0 s)
    """

    total: int = 0
    done: int = 0
    resumed: int = 0
    failed: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    def __repr__(self) -> str:
        return (
            f"RunReport({self.total} rows: {self.done} done, {self.resumed} resumed, "
            f"{len(self.failed)} failed, {self.seconds:.1f} s)"
        )


def run_rows(
    work: Callable[[Any], Any], rows: Iterable[Any], workers: int, scheduler: Any
) -> Iterator[tuple[Any, Any]]:
    """Yield (row, result or exception) in order, a bounded number of rows in flight.

    `scheduler`: None or "threads" for `workers` threads here; "dask" for the current Dask client,
    or a cluster of `workers` processes made for this run; or a `distributed.Client`.

    >>> [result for _, result in run_rows(lambda n: 2 * n, range(3), 2, None)]
    [0, 2, 4]
    """
    if scheduler is None or scheduler == "threads":
        yield from _in_threads(work, rows, workers)
        return
    with _client(scheduler, workers) as client:
        threads = sum(client.nthreads().values()) or workers
        yield from _in_flight(
            lambda row: client.submit(work, row, pure=False), rows, max(2, 2 * threads)
        )


def _in_threads(
    work: Callable[[Any], Any], rows: Iterable[Any], workers: int
) -> Iterator[tuple[Any, Any]]:
    if workers == 1:
        for row in rows:
            yield row, _outcome(lambda row=row: work(row))  # type: ignore[misc]
        return
    pool = ThreadPoolExecutor(max_workers=workers)
    try:
        yield from _in_flight(lambda row: pool.submit(work, row), rows, workers)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_flight(
    submit: Callable[[Any], Any], rows: Iterable[Any], limit: int
) -> Iterator[tuple[Any, Any]]:
    waiting: deque[tuple[Any, Any]] = deque()
    for row in rows:
        waiting.append((row, submit(row)))
        if len(waiting) > limit:
            first, future = waiting.popleft()
            yield first, _outcome(future.result)
    while waiting:
        first, future = waiting.popleft()
        yield first, _outcome(future.result)


def _outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return error


@contextmanager
def _client(scheduler: Any, workers: int) -> Iterator[Any]:
    if scheduler != "dask":
        yield scheduler
        return
    from distributed import Client, LocalCluster, default_client

    try:
        current = default_client()
    except ValueError:
        current = None
    if current is not None:
        yield current
        return
    cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0")
    with cluster, Client(cluster) as client:
        yield client


def check_scheduler(scheduler: Any) -> Any:
    """Return a scheduler, checked: None, "threads", "dask", or something that submits.

    >>> check_scheduler("threads")
    'threads'
    """
    if scheduler is None or scheduler in SCHEDULERS or hasattr(scheduler, "submit"):
        return scheduler
    raise ValueError(
        f"scheduler must be None, one of {SCHEDULERS} or a distributed.Client, got {scheduler!r}"
    )
