"""Errors of worker processes: they arrive with their class, their notes and their place.

An error that cannot be pickled arrives as one of the pickling, one whose class takes other
arguments than its text ends the pool, and Dask turns what has such a cause into a plain
`Exception`. So an error travels as a result, and is raised again where it is asked for.
"""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import cloudpickle

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
