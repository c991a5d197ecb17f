"""Who does the work: threads, processes of this machine, or a Dask cluster.

Work is packed once and unpacked once in each process that takes part in it. Large arrays are laid
out in a file that every process on the machine maps: a scene in memory is shared, not copied.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit
from uuid import uuid4

import cloudpickle
import numpy as np

from pipekit.carrier import is_carrier
from pipekit.carrier import parts as parts_of
from pipekit.lazy import needed
from pipekit.scratch import scratch_folder

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

Job: TypeAlias = Callable[[Any], Any]


@dataclass(frozen=True)
class Scheduler:
    """Gives out work: `submit(item)` returns a future; `workers` items run at the same time.

    Examples
    --------
    >>> from concurrent.futures import Future
    >>> Scheduler(lambda item: Future(), workers=2).workers
    2
    """

    submit: Callable[[Any], Any]
    workers: int


def is_client(scheduler: Any) -> bool:
    """Return whether an object is a `distributed.Client`, without importing it.

    Parameters
    ----------
    scheduler
        Anything.

    Returns
    -------
    bool
        Whether work can be submitted to it.

    Examples
    --------
    >>> is_client("threads")
    False
    """
    return hasattr(scheduler, "submit") and hasattr(scheduler, "scatter")


def check_scheduler(scheduler: Any, refusal: type[Exception] = ValueError) -> None:
    """Raise `refusal` for anything that is no scheduler.

    Parameters
    ----------
    scheduler
        A name among `SCHEDULERS`, or a `distributed.Client`.
    refusal
        The class of the error.

    Raises
    ------
    refusal
        It is neither.

    Examples
    --------
    >>> check_scheduler("thread")
    Traceback (most recent call last):
    ValueError: scheduler must be one of threads, processes, dask or ...
    """
    if not is_client(scheduler) and scheduler not in SCHEDULERS:
        raise refusal(
            f"scheduler must be one of {', '.join(SCHEDULERS)} or a distributed.Client, "
            f"got {scheduler!r}"
        )


def shares_memory(scheduler: Any) -> bool:
    """Return whether its workers write into this process's arrays.

    Parameters
    ----------
    scheduler
        A name or a client.

    Returns
    -------
    bool
        True for threads.

    Examples
    --------
    >>> shares_memory("threads"), shares_memory("processes")
    (True, False)
    """
    return isinstance(scheduler, str) and scheduler == "threads"


def all_workers(scheduler: Any) -> int:
    """Return how many items it can work on at the same time: cores here, or a cluster's threads.

    Parameters
    ----------
    scheduler
        A name or a client.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    >>> all_workers("threads") == cores()
    True
    """
    client = _client_of(scheduler)
    return cores() if client is None else _threads_of(client)


def in_a_process(scheduler: Any, workers: int) -> int:
    """Return how many items run at the same time in one process, and share what it caches.

    Parameters
    ----------
    scheduler
        A name or a client.
    workers
        Items at the same time in all.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    >>> in_a_process("threads", 4), in_a_process("processes", 4)
    (4, 1)
    """
    if shares_memory(scheduler):
        return workers
    client = _client_of(scheduler)
    return 1 if client is None else max(client.nthreads().values(), default=1)


@contextmanager
def scheduling(
    scheduler: Any, workers: int, job: Job, start_method: str = "spawn"
) -> Iterator[Scheduler]:
    """Start workers that run `job(item)`, and stop those that were started here.

    Parameters
    ----------
    scheduler
        "threads", "processes", "dask" (the current client, else a cluster on this machine for
        the block), or a `distributed.Client`.
    workers
        Items at the same time; a cluster has its own number.
    job
        What is done with each item. It is pickled by cloudpickle unless threads share it.
    start_method
        How a process starts. A fork of one with threads (a notebook, GDAL) may wait for ever.

    Yields
    ------
    Scheduler
        Its `submit` is for items of this job.

    Examples
    --------
    >>> with scheduling("threads", 2, abs) as chosen:
    ...     chosen.submit(-3).result()
    3
    """
    client = _client_of(scheduler)
    if client is not None:
        with _sent(client, pack(job)) as packed:
            yield Scheduler(
                lambda item: Answer(client.submit(run_packed, packed, item, pure=False)),
                min(workers, _threads_of(client)),
            )
    elif scheduler == "threads":
        with ThreadPoolExecutor(workers) as threads:
            yield Scheduler(lambda item: threads.submit(job, item), workers)
    elif scheduler == "processes":
        context = multiprocessing.get_context(start_method)
        with _saved(pack(job)) as saved, ProcessPoolExecutor(workers, context, _begin) as pool:
            try:
                yield Scheduler(lambda item: Answer(pool.submit(run_packed, saved, item)), workers)
            except BrokenExecutor as error:
                error.add_note(
                    "a worker process died: out of memory (fewer workers, smaller blocks), or a "
                    "script lacks `if __name__ == '__main__':`; with journal= the same call goes on"
                )
                raise
    else:
        distributed: Any = needed("distributed")
        # Who may connect may have any code run, so certificates made for this run are asked for,
        # and the pages that Dask shows to everybody are left out.
        how = {
            "security": distributed.Security.temporary(),
            "dashboard_address": None,
            "scheduler_kwargs": {"dashboard_address": "127.0.0.1:0"},
            "env": WORKER_MEMORY,
        }
        with (
            needed("dask").config.set(_NO_PAGES),
            distributed.LocalCluster(n_workers=workers, threads_per_worker=1, **how) as cluster,
            distributed.Client(cluster, set_as_default=False) as client,
            scheduling(client, workers, job) as chosen,
        ):
            yield chosen


_NO_PAGES: dict[str, list[Any]] = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}


def cores() -> int:
    """Return how many cores this process may use.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    >>> cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _client_of(scheduler: Any) -> Any:
    """Return the client that is given, or for "dask" the one in use in this process, or None."""
    if is_client(scheduler):
        return scheduler
    if scheduler != "dask":
        return None
    distributed: Any = needed("distributed")
    try:
        return distributed.default_client()
    except ValueError:
        return None


def _threads_of(client: Any) -> int:
    """Return how many threads a cluster has, at least 1."""
    return sum(client.nthreads().values()) or 1


@contextmanager
def _sent(client: Any, packed: Payload) -> Iterator[Any]:
    """Hand the job to a cluster such that any worker can do any item.

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
    """Return whether all workers of a cluster are processes of this machine.

    Parameters
    ----------
    client
        A `distributed.Client`.

    Returns
    -------
    bool
        True when a file written here is seen by all workers.
    """
    places = [urlsplit(a) for a in [*client.nthreads(), client.scheduler.address]]
    return all(place.scheme == "inproc" or place.hostname in _LOCAL for place in places)


@contextmanager
def _saved(packed: Payload) -> Iterator[Payload]:
    """Lay a payload out in a folder for the processes of this machine."""
    with scratch_folder("pipekit-") as folder:
        files = [folder / f"{number}.part" for number in range(len(packed.parts))]
        for file, part in zip(files, packed.parts, strict=True):
            file.write_bytes(part)
        yield Payload(files, packed.token)


def run_packed(packed: Payload, item: Any) -> Any:
    """Work on an item in a worker: the whole of what a task is.

    Parameters
    ----------
    packed
        The job.
    item
        What it is called with.

    Returns
    -------
    object
        What it returned, or its error as a `Failure`.

    Examples
    --------
    >>> run_packed(pack(abs), -3)
    3
    """
    return result_or_failure(lambda: packed.load()(item))


def _begin() -> None:
    """Begin a worker process, which must not outlive the run that started it."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


_unpacked: dict[str, Any] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class Payload:
    """An object as bytes: its pickle, and the large buffers of its arrays.

    Parameters
    ----------
    parts
        The pickle and each buffer: arrays of bytes, or files that hold them. Files are mapped,
        read-only, so that the processes of a machine share their memory.
    token
        Tells one object from another.

    Examples
    --------
    >>> pack({"scene": np.ones((2, 3))}).load()["scene"].shape
    (2, 3)
    """

    parts: list[Any]
    token: str

    @property
    def nbytes(self) -> int:
        """Bytes to send.

        Returns
        -------
        int
            Bytes.
        """
        return sum(int(part.nbytes) for part in self.parts)

    def load(self) -> Any:
        """Return the object, the same one whenever this process asks again.

        Returns
        -------
        object
            Its large arrays are read-only where they come from files.
        """
        with _lock:
            if self.token not in _unpacked:
                _unpacked.clear()  # one run at a time: the last one's scene is not kept alive
                pickled, *buffers = map(_mapped, self.parts)
                _unpacked[self.token] = pickle.loads(pickled, buffers=buffers)
            return _unpacked[self.token]


def _mapped(part: Any) -> Any:
    """Return the bytes of a part, mapping those of a file; an empty file cannot be mapped."""
    if not isinstance(part, Path):
        return part
    return np.memmap(part, mode="r") if part.stat().st_size else b""


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Keeps the georeference of carriers, which their own pickle leaves behind."""

    def reducer_override(self, obj: Any) -> Any:
        is_raster = isinstance(obj, np.ndarray) and is_carrier(obj)
        return parts_of(obj) if is_raster else super().reducer_override(obj)


def pack(obj: Any) -> Payload:
    """Return the object packed: closures and notebook functions too, by cloudpickle.

    Parameters
    ----------
    obj
        What cloudpickle can pickle.

    Returns
    -------
    Payload
        Its arrays are not copied.

    Examples
    --------
    >>> pack(lambda: 3).load()()
    3
    """
    buffers: list[pickle.PickleBuffer] = []
    stream = io.BytesIO()
    _Pickler(stream, protocol=5, buffer_callback=buffers.append).dump(obj)
    parts = [stream.getbuffer(), *(buffer.raw() for buffer in buffers)]
    return Payload([np.frombuffer(part, np.uint8) for part in parts], uuid4().hex)


_PLAIN = str | bytes | int | float | None


class WorkerError(Exception):
    """Where in a worker process an error was raised: the cause of what is raised here."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


class Failure(NamedTuple):
    """An error on its way from a worker process.

    Parameters
    ----------
    pickled
        A function that makes the error, or one like it.
    notes
        What was noted of it, which some classes leave behind.
    place
        Its traceback, as a text.
    """

    pickled: bytes
    notes: list[str]
    place: str


def result_or_failure(call: Callable[[], Any]) -> Any:
    """Return what a call returns, or its error as it travels.

    It is the error itself, or one of its class with its arguments and plain attributes; else a
    `RuntimeError` of its name and text.

    Parameters
    ----------
    call
        Without arguments.

    Returns
    -------
    object
        A result, or a `Failure`.

    Examples
    --------
    >>> result_or_failure(lambda: 3), type(result_or_failure(lambda: 1 / 0)).__name__
    (3, 'Failure')
    """
    try:
        return call()
    except Exception as error:
        notes = list(getattr(error, "__notes__", []))
        return Failure(_pickled(error), notes, "".join(traceback.format_exception(error)))


def _pickled(error: Exception) -> bytes:
    """Return a function that makes the error, the first of three that brings its text."""
    text = f"{type(error).__name__}: {error}"
    state = {k: v for k, v in vars(error).items() if isinstance(v, _PLAIN)}
    bare = partial(_rebuilt, type(error), error.args, state)
    for make in (lambda: error, bare, lambda: RuntimeError(text)):
        with suppress(Exception):
            pickled: bytes = cloudpickle.dumps(make)
            again = pickle.loads(pickled)()
            if f"{type(again).__name__}: {again}" == text:
                break
    return pickled


def _rebuilt(cls: type[Exception], args: tuple[Any, ...], state: dict[str, Any]) -> Exception:
    """Return an error without what its class would do with its arguments."""
    error = cls.__new__(cls)
    error.args = args
    vars(error).update(state)
    return error


class Answer:
    """A future of a worker process, whose `result` raises the error that has travelled.

    Parameters
    ----------
    future
        Of an executor or a cluster, for what `result_or_failure` returned.
    """

    def __init__(self, future: Any) -> None:
        self._future = future
        self.cancel = future.cancel

    def result(self) -> Any:
        """Wait for the result.

        Returns
        -------
        object
            What the worker returned.
        """
        found = self._future.result()
        if isinstance(found, Failure):
            error: Exception = pickle.loads(found.pickled)()
            error.__notes__ = found.notes
            raise error from WorkerError(found.place)
        return found
