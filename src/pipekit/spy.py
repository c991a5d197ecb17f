"""Watching every call of a kind of operator, from outside the pipeline."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pipekit.operator import Listener, Operator, change_spying, listeners

_lock = threading.Lock()


class Spy:
    """Watches operators by type while its scope is open, in the context that opened it.

    Nothing in the pipeline changes, and while no scope is open anywhere nothing is paid.

    >>> from pipekit import Lambda
    >>> pipeline = Lambda(abs) | Lambda(str)
    >>> seen = []
    >>> with Spy.scoped() as spy:
    ...     spy.on(Lambda, lambda op, x, y: seen.append((x, y)))
    ...     result = pipeline(-3)
    >>> seen
    [(-3, 3), (3, '3')]
    """

    @classmethod
    @contextmanager
    def scoped(cls) -> Iterator[Spy]:
        """Open a scope for a `with` block; scopes nest, and an inner one adds to the outer."""
        spy = cls()
        outer = listeners.set(listeners.get())
        with _lock:
            change_spying(+1)
        try:
            yield spy
        finally:
            with _lock:
                change_spying(-1)
            listeners.reset(outer)

    def on(self, kind: type[Operator], fn: Listener) -> None:
        """Call `fn(op, x_in, x_out)` after every call of an operator of this class.

        `x_in` is the input, or the tuple of inputs when there are several or none.
        """
        if not (isinstance(kind, type) and issubclass(kind, Operator)):
            raise TypeError(f"spy.on takes a class of operators, got {kind!r}")
        if not callable(fn):
            raise TypeError(f"spy.on takes a function fn(op, x_in, x_out), got {fn!r}")
        listeners.set((*listeners.get(), (kind, fn)))
