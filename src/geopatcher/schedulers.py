"""Who runs the blocks: threads, processes of this machine, or a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from geopatcher import payload
from geopatcher.merge.row_buffer import Rows
from geopatcher.patch import PatchError

SCHEDULERS = ("threads", "processes", "dask")

SMALL = 64 * 1024
"""Bytes of a job that travel with each of its tasks: a pipeline and the name of a file."""

WORKER_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20),
}
"""Let glibc keep the pages of freed chips in the workers that are started here.

Dask's own setting returns them each time, and a block takes 1.8 times the processor time.
"""

_LOCAL = ("127.0.0.1", "::1", "localhost")

Job = Callable[[Rows], Any]


@dataclass(frozen=True)
class Scheduler:
    """Gives out blocks: `submit(rows)` returns a future; `workers` run at the same time."""

    submit: Callable[[Rows], Any]
    workers: int


def is_client(scheduler: Any) -> bool:
    """Return whether an object is a `distributed.Client`, without importing it."""
    return hasattr(scheduler, "submit") and hasattr(scheduler, "scatter")


def check_scheduler(scheduler: Any) -> None:
    """Raise `PatchError` for anything that is no scheduler."""
    if not is_client(scheduler) and scheduler not in SCHEDULERS:
        raise PatchError(
            f"scheduler must be one of {', '.join(SCHEDULERS)} or a distributed.Client, "
            f"got {scheduler!r}"
        )


def shares_memory(scheduler: Any) -> bool:
    """Return whether its workers write into this process's arrays."""
    return isinstance(scheduler, str) and scheduler == "threads"


def all_workers(scheduler: Any) -> int:
    """Return how many blocks it can run at the same time: cores here, or a cluster's threads."""
    client = _client_of(scheduler)
    return cores() if client is None else sum(client.nthreads().values()) or 1


def blocks_in_a_process(scheduler: Any, workers: int) -> int:
    """Return how many blocks run at the same time in one process, and share what it caches."""
    if shares_memory(scheduler):
        return workers
    client = _client_of(scheduler)
    return 1 if client is None else max(client.nthreads().values(), default=1)


@contextmanager
def scheduling(scheduler: Any, workers: int, job: Job) -> Iterator[Scheduler]:
    """Start workers that run `job(rows)`, and stop those that were started here."""
    client = _client_of(scheduler)
    if client is not None:
        yield from _on_client(client, workers, job)
    elif scheduler == "threads":
        yield from _threads(workers, job)
    elif scheduler == "processes":
        yield from _processes(workers, job)
    else:
        yield from _dask(workers, job)


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _threads(workers: int, job: Job) -> Iterator[Scheduler]:
    with ThreadPoolExecutor(workers) as pool:
        yield Scheduler(lambda rows: pool.submit(job, rows), workers)


def _processes(workers: int, job: Job) -> Iterator[Scheduler]:
    # Spawned, not forked: a fork of a process with threads (a notebook, GDAL) may hang.
    context = multiprocessing.get_context("spawn")
    with (
        _saved(payload.pack(job)) as saved,
        ProcessPoolExecutor(workers, context, _begin) as pool,
    ):
        yield Scheduler(lambda rows: pool.submit(run_packed, saved, rows), workers)


def _dask(workers: int, job: Job) -> Iterator[Scheduler]:
    from distributed import Client, LocalCluster

    cluster = LocalCluster(
        n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0", env=WORKER_MEMORY
    )
    with cluster, Client(cluster, set_as_default=False) as client:
        yield from _on_client(client, workers, job)


def _client_of(scheduler: Any) -> Any:
    """Return the client that is given, or for "dask" the one in use in this process, or None."""
    if is_client(scheduler):
        return scheduler
    if scheduler != "dask":
        return None
    from distributed import default_client

    try:
        return default_client()
    except ValueError:
        return None


def _on_client(client: Any, workers: int, job: Job) -> Iterator[Scheduler]:
    threads = sum(client.nthreads().values()) or 1
    with _sent(client, payload.pack(job)) as packed:
        yield Scheduler(
            lambda rows: client.submit(run_packed, packed, rows, pure=False),
            min(workers, threads),
        )


@contextmanager
def _sent(client: Any, packed: payload.Payload) -> Iterator[Any]:
    """Hand the job to a cluster such that any worker can run any block.

    A task that needs data goes to a worker that holds them, and the others stay idle: so small
    jobs travel with each task, and large ones are where every worker sees them.
    """
    if packed.nbytes <= SMALL:
        yield packed
    elif on_this_machine(client):
        with _saved(packed) as saved:
            yield saved
    else:
        yield client.scatter(packed, broadcast=True, hash=False)


def on_this_machine(client: Any) -> bool:
    """Return whether all workers of a cluster are processes of this machine."""
    places = [urlsplit(a) for a in [*client.nthreads(), client.scheduler.address]]
    return all(place.scheme == "inproc" or place.hostname in _LOCAL for place in places)


@contextmanager
def _saved(packed: payload.Payload) -> Iterator[payload.SavedPayload]:
    with tempfile.TemporaryDirectory(prefix="geopatcher-", ignore_cleanup_errors=True) as folder:
        yield payload.save(packed, Path(folder))


def run_packed(packed: payload.Packed, rows: Rows) -> Any:
    """Run a block in a worker: the whole of what a task is."""
    return packed.load()(rows)


def _begin() -> None:
    """Begin a worker process, which must not outlive the run that started it."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
