"""Training and evaluation: steps that run in only one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, get_args

from pipekit.control import checked_operator
from pipekit.operator import Operator

Mode = Literal["train", "eval"]

_mode: ContextVar[Mode] = ContextVar("pipeline_mode", default="eval")


@contextmanager
def pipeline_mode(mode: Mode) -> Iterator[None]:
    """Set the mode for a `with` block, in this context (thread or task) only.

    Outside any block the mode is "eval", so an augmentation never runs by oversight.

    >>> from pipekit import Lambda
    >>> noisy = ModeGated(Lambda(lambda x: x + 100), mode="train")
    >>> with pipeline_mode("train"):
    ...     noisy(1)
    101
    >>> noisy(1)
    1
    """
    token = _mode.set(_checked(mode))
    try:
        yield
    finally:
        _mode.reset(token)


def current_mode() -> Mode:
    """Return the mode that holds here.

    >>> current_mode()
    'eval'
    """
    return _mode.get()


class ModeGated(Operator):
    """Run an operator in one mode, and return the input unchanged in the other.

    >>> from pipekit import Lambda
    >>> ModeGated(Lambda(abs), mode="eval")(-1)
    1
    """

    def __init__(self, op: Operator, mode: Mode) -> None:
        self.op = checked_operator(op, "op")
        self.mode = _checked(mode)

    def _apply(self, x: Any) -> Any:
        return self.op(x) if _mode.get() == self.mode else x


def _checked(mode: Any) -> Any:
    if mode not in get_args(Mode):
        raise ValueError(f"mode must be one of {get_args(Mode)}, got {mode!r}")
    return mode
