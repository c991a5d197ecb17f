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

from geopatcher import payload
from geopatcher.patch import PatchError
from geopatcher.spatial.merge import Rows

SCHEDULERS = ("threads", "processes", "dask")

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


@contextmanager
def scheduling(scheduler: Any, workers: int | None, job: Job) -> Iterator[Scheduler]:
    """Start workers that run `job(rows)`, and stop those that were started here."""
    if is_client(scheduler):
        yield _on_client(scheduler, workers, job)
    elif scheduler == "threads":
        yield from _threads(workers or cores(), job)
    elif scheduler == "processes":
        yield from _processes(workers or cores(), job)
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
        tempfile.TemporaryDirectory(prefix="geopatcher-") as folder,
        _saved(job, folder),
        ProcessPoolExecutor(workers, context, _begin, (folder,)) as pool,
    ):
        yield Scheduler(lambda rows: pool.submit(_run_saved, folder, rows), workers)


def _dask(workers: int | None, job: Job) -> Iterator[Scheduler]:
    from distributed import Client, LocalCluster, default_client

    try:
        client = default_client()
    except ValueError:  # there is none: one for this run
        client = None
    if client is not None:
        yield _on_client(client, workers, job)
        return
    cluster = LocalCluster(
        n_workers=workers or cores(), threads_per_worker=1, dashboard_address="127.0.0.1:0"
    )
    with (
        tempfile.TemporaryDirectory(prefix="geopatcher-") as folder,
        _saved(job, folder),
        cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        submit = client.submit
        yield Scheduler(
            lambda rows: submit(_run_saved, folder, rows, pure=False), workers or cores()
        )


def _on_client(client: Any, workers: int | None, job: Job) -> Scheduler:
    packed = client.scatter(payload.pack(job), hash=False)
    threads = sum(client.nthreads().values()) or 1
    return Scheduler(
        lambda rows: client.submit(_run_packed, packed, rows, pure=False),
        min(workers or threads, threads),
    )


@contextmanager
def _saved(job: Job, folder: str) -> Iterator[None]:
    payload.save(payload.pack(job), Path(folder))
    yield


_job: dict[str, Job] = {}


def _run_saved(folder: str, rows: Rows) -> Any:
    if folder not in _job:
        _job.clear()
        _job[folder] = payload.load_saved(Path(folder))
    return _job[folder](rows)


def _run_packed(packed: payload.Payload, rows: Rows) -> Any:
    return packed.load()(rows)


def _begin(folder: str) -> None:
    """Begin a worker process, which must not outlive the run that started it."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
