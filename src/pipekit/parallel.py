"""Working on many items in order: in threads, in processes, or in stacked batches."""

from __future__ import annotations

import contextvars
import pickle
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from importlib import import_module
from itertools import count, islice, takewhile
from typing import Any, Literal, TypeVar

import numpy as np

from pipekit.carrier import dumps
from pipekit.control import Mode, current_mode, pipeline_mode
from pipekit.operator import Operator, checked_count, checked_operator, checked_option

StartMethod = Literal["spawn", "fork", "forkserver"]

Item = TypeVar("Item")
Result = TypeVar("Result")


_IMPORTING = threading.RLock()


def import_alone(name: str) -> Any:
    """Return a module, imported while no other thread that asks here imports one.

    For libraries whose modules import each other in a circle: two threads that begin with them at
    the same time would each find a module of the other half loaded, and fail.

    Parameters
    ----------
    name
        The module's full name.

    Returns
    -------
    module
        The module.

    Examples
    --------
    >>> import_alone("math").pi
    3.141592653589793
    """
    with _IMPORTING:
        return import_module(name)


def in_order(
    submit: Callable[[Item], Any],
    items: Iterable[Item],
    in_flight: int | Callable[[], int],
    outcome: Callable[[Any], Any] = lambda future: future.result(),
) -> Generator[tuple[Item, Any], None, None]:
    """Yield (item, result) in the items' order, with a bounded number of items under way.

    Every in-order map of the packages is made of this one. The first failure is raised, and what
    has not begun then, or when nobody asks for more, is cancelled.

    Parameters
    ----------
    submit
        Hands an item to a pool or a cluster and returns a future.
    items
        What to work on; an endless iterable is read no faster than it is worked on.
    in_flight
        The most items submitted and not yet asked for, at least 1; a function says it anew for
        each.
    outcome
        Makes a result of a future, such as one that returns errors in place of raising them.

    Yields
    ------
    (item, result)
        Each item with what `outcome` made of its future.

    Examples
    --------
    >>> with ThreadPoolExecutor(2) as pool:
    ...     list(in_order(lambda n: pool.submit(abs, n), [-1, 2], in_flight=3))
    [(-1, 1), (2, 2)]
    """
    waiting: deque[tuple[Item, Any]] = deque()
    try:
        for item in items:
            waiting.append((item, submit(item)))
            while len(waiting) >= (in_flight() if callable(in_flight) else in_flight):
                item, future = waiting.popleft()
                yield item, outcome(future)
        while waiting:
            item, future = waiting.popleft()
            yield item, outcome(future)
    finally:
        for _, future in waiting:
            future.cancel()


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int = 1
) -> Iterator[Result]:
    """Yield `function(item)` in the items' order; one worker works when it is asked.

    Parameters
    ----------
    function
        Called in threads that see the caller's context variables.
    items
        What it is called with, one by one.
    workers
        The number of threads.
    ahead
        Results held beyond those being worked on.

    Yields
    ------
    object
        The results, one for each item.

    Examples
    --------
    >>> list(in_threads(lambda n: n * n, range(4), workers=2))
    [0, 1, 4, 9]
    """
    if workers == 1:
        yield from map(function, items)
        return
    with (
        ThreadPoolExecutor(workers) as pool,
        # Closed first, so that the pool does not wait for what nobody asks for any more.
        closing(in_order(_submitting(pool, function), items, workers + ahead)) as done,
    ):
        yield from (result for _, result in done)


def _submitting(pool: ThreadPoolExecutor, function: Callable[[Item], Any]) -> Any:
    """Return what starts a call in a thread that sees the caller's context variables."""
    # A context can be entered by one thread at a time: each item gets a copy of its own.
    return lambda item: pool.submit(contextvars.copy_context().run, function, item)


MOST_AHEAD = 256
"""Results held at most, however small: of tiny ones their futures take more than they do."""


def read_ahead(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    most_bytes: int,
    nbytes: Callable[[Result], int],
    least: int = 1,
) -> Generator[Result, None, None]:
    """Yield `function(item)` in the items' order, made by threads and held up to so many bytes.

    Parameters
    ----------
    function
        Called in threads that see the caller's context variables.
    items
        What it is called with, one by one.
    workers
        The number of threads.
    most_bytes
        What may be held or under way, taking each result for as large as the largest so far; one
        for each thread may be until the first is there.
    nbytes
        The size of a result.
    least
        How many results may be, whatever their size.

    Yields
    ------
    object
        The results, one for each item.

    Examples
    --------
    >>> list(read_ahead(str, [1, 2], workers=2, most_bytes=10, nbytes=len))
    ['1', '2']
    """
    largest = 0

    def room() -> int:
        return max(least, min(most_bytes // largest, MOST_AHEAD) if largest else workers)

    with (
        ThreadPoolExecutor(workers) as pool,
        closing(in_order(_submitting(pool, function), items, room)) as done,
    ):
        for _, result in done:
            largest = max(largest, nbytes(result))
            yield result


def beside(
    items: Iterable[Result], most_bytes: int, nbytes: Callable[[Result], int]
) -> Generator[Result, None, None]:
    """Yield items that a thread of its own makes meanwhile, and holds up to so many bytes.

    What is made raises here what it raised there. The thread stops when the iterator is closed.

    Parameters
    ----------
    items
        An iterator, which nobody else reads.
    most_bytes
        What may wait or be under way; two items may, whatever their size.
    nbytes
        The size of an item.

    Yields
    ------
    object
        The items in their order.

    Examples
    --------
    >>> list(beside(iter("abc"), most_bytes=2, nbytes=len))
    ['a', 'b', 'c']
    """
    made: Iterator[Any] = iter(items)
    end: Any = object()
    ahead = read_ahead(
        lambda _: next(made, end),
        count(),
        1,
        most_bytes,
        lambda item: 0 if item is end else nbytes(item),
        least=2,
    )
    try:
        yield from takewhile(lambda item: item is not end, ahead)
    finally:
        ahead.close()  # which waits for what is under way
        if isinstance(made, Generator):
            made.close()


class _Map(Operator, ABC):
    """An operator on sequences: a list of what `stream` yields."""

    def _apply(self, items: Iterable[Any]) -> list[Any]:
        return list(self.stream(items))

    @abstractmethod
    def stream(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield the results one by one, in order, as they are asked for.

        Parameters
        ----------
        items
            The inputs, one by one; they may be endless.

        Yields
        ------
        object
            The result of each item.
        """


class ThreadMap(_Map):
    """Run an operator on every item of a sequence in threads; results keep the order.

    At most two items per worker are in flight, so a long or endless iterable is read no faster
    than it is worked on. Worker threads see the caller's `pipeline_mode` and Spy scopes.

    Parameters
    ----------
    op
        The operator for one item.
    workers
        The number of threads.

    Examples
    --------
    >>> from pipekit import Lambda
    >>> ThreadMap(Lambda(abs), workers=2)([-1, 2, -3])
    [1, 2, 3]
    """

    def __init__(self, op: Operator, workers: int) -> None:
        self.op = checked_operator(op, "op")
        self.workers = checked_count(workers, "workers")

    def stream(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield the results one by one, in order, as they are asked for.

        Parameters
        ----------
        items
            The inputs, one by one; they may be endless.

        Yields
        ------
        object
            The result of each item.
        """
        return _noting_position(in_threads(self.op, items, self.workers, self.workers))


class ProcessMap(_Map):
    """Run an operator on every item of a sequence in processes; results keep the order.

    The operator is pickled once per worker, items and results once each.

    Parameters
    ----------
    op
        The operator for one item; it must pickle.
    workers
        The number of processes.
    start_method
        How a worker starts; "spawn" is safe beside threads.

    Examples
    --------
    >>> from pipekit import Const
    >>> ProcessMap(Const("done"), workers=1)(["a", "b"])
    ['done', 'done']
    """

    def __init__(self, op: Operator, workers: int, start_method: StartMethod = "spawn") -> None:
        self.op = checked_operator(op, "op")
        self.workers = checked_count(workers, "workers")
        self.start_method: StartMethod = checked_option(start_method, "start_method", StartMethod)

    def stream(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield the results one by one, in order, as they are asked for.

        Parameters
        ----------
        items
            The inputs, one by one; they may be endless.

        Yields
        ------
        object
            The result of each item.
        """
        from pipekit.schedulers import scheduling

        job = partial(_run_pickled, self.op, current_mode())
        with scheduling("processes", self.workers, job, self.start_method) as chosen:
            done = in_order(lambda item: chosen.submit(dumps(item)), items, 2 * self.workers)
            yield from _noting_position(pickle.loads(result) for _, result in done)


def _run_pickled(op: Operator, mode: Mode, item: bytes) -> bytes:
    """Run the operator on a pickled item, and pickle the result."""
    with pipeline_mode(mode):
        return dumps(op(pickle.loads(item)))


def _noting_position(results: Iterator[Result]) -> Iterator[Result]:
    """Yield results; an error is told the number of the item that it came from."""
    position = -1
    try:
        for position, result in enumerate(results):  # noqa: B007
            yield result
    except Exception as error:
        error.add_note(f"failed on item {position + 1} of the sequence")
        raise


class BatchedMap(_Map):
    """Stack the items of a sequence into batches, run an operator on each, and unstack.

    Parameters
    ----------
    op
        An operator that takes (N, ...) and returns N results along axis 0.
    batch_size
        The largest N; the last batch may be smaller.

    Raises
    ------
    ValueError
        Items of one batch differ in shape, or the operator returned another number
        of results than it got items.

    Examples
    --------
    >>> import numpy as np
    >>> from pipekit import Lambda
    >>> chips = [np.full((2, 2), i) for i in range(3)]
    >>> sums = BatchedMap(Lambda(lambda batch: batch.sum(axis=(1, 2))), batch_size=2)(chips)
    >>> [int(s) for s in sums]
    [0, 4, 8]
    """

    def __init__(self, op: Operator, batch_size: int) -> None:
        self.op = checked_operator(op, "op")
        self.batch_size = checked_count(batch_size, "batch_size")

    def stream(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield the results one by one, in order, a batch being run when its first is asked for.

        Parameters
        ----------
        items
            Arrays, those of a batch of one shape.

        Yields
        ------
        object
            The result of each item.

        Raises
        ------
        ValueError
            Items of one batch differ in shape, or the operator returned another number of results.
        """
        source = iter(items)
        start = 0
        while batch := [np.asarray(item) for item in islice(source, self.batch_size)]:
            results = self.op(_stacked(batch, start))
            if len(results) != len(batch):
                raise ValueError(
                    f"the operator got a batch of {len(batch)} items and returned {len(results)} "
                    "results; it must return one per item along axis 0"
                )
            yield from results
            start += len(batch)


def _stacked(batch: list[Any], start: int) -> Any:
    """Stack a batch, or say which items differ in shape."""
    shapes = {item.shape for item in batch}
    if len(shapes) > 1:
        raise ValueError(
            f"items {start} to {start + len(batch) - 1} have the shapes {sorted(shapes)}; "
            "a batch needs one shape: pad or crop the items, or use batch_size=1"
        )
    return np.stack(batch)
