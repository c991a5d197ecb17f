"""Operators that choose which operator runs, and in which mode."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

from pipekit.blocks import Identity
from pipekit.operator import (
    Operator,
    checked_function,
    checked_operator,
    checked_option,
    step_repr,
    summarise,
)
from pipekit.radius import largest, passed_on

ExceptionTypes = type[Exception] | tuple[type[Exception], ...]


class CoalesceError(LookupError):
    """No source of a `Coalesce` gave an acceptable result.

    Examples
    --------
    >>> from pipekit import Const
    >>> Coalesce([Const(None)], is_ok=bool)("query")
    Traceback (most recent call last):
    pipekit.control.CoalesceError: no source gave an acceptable result: ...
    """


class Branch(Operator):
    """Run one of two operators, as a predicate of the input decides.

    It can be written to a config when the predicate is an operator itself.

    Parameters
    ----------
    predicate
        Function or operator of the inputs; its result is taken as true or false.
    if_true
        What runs when it is true.
    if_false
        What runs when it is false; by default the input is returned.

    Examples
    --------
    >>> from pipekit import Lambda
    >>> Branch(lambda x: x < 0, Lambda(abs))(-3)
    3
    """

    def __init__(
        self,
        predicate: Callable[..., Any],
        if_true: Operator,
        if_false: Operator = Identity(),  # noqa: B008 - it has no state
    ) -> None:
        self.predicate = checked_function(predicate, "Branch", "predicate")
        self.if_true = checked_operator(if_true, "if_true")
        self.if_false = checked_operator(if_false, "if_false")
        self.forbid_in_yaml = not isinstance(predicate, Operator)

    # Of a whole chip the predicate may say what it says of no other: its own radius counts.
    radius = passed_on("predicate", "if_true", "if_false")

    def _apply(self, *inputs: Any) -> Any:
        chosen = self.if_true if self.predicate(*inputs) else self.if_false
        return chosen(*inputs)


class Switch(Operator):
    """Run the operator that stands under the key which a function of the input returns.

    It can be written to a config when the key function is an operator itself.

    Parameters
    ----------
    key
        Function or operator of the inputs that returns a key.
    cases
        Key -> operator.
    default
        What runs for a key that is not among the cases; by default the input is returned.

    Raises
    ------
    TypeError
        For cases that are no dictionary of operators.

    Examples
    --------
    >>> from pipekit import Const
    >>> by_type = Switch(type, {int: Const("a whole number"), str: Const("a text")})
    >>> by_type(3), by_type("three"), by_type(3.5)
    ('a whole number', 'a text', 3.5)
    """

    def __init__(
        self,
        key: Callable[..., Hashable],
        cases: Mapping[Any, Operator],
        default: Operator = Identity(),  # noqa: B008 - it has no state
    ) -> None:
        self.key = checked_function(key, "Switch", "key")
        if not isinstance(cases, Mapping):
            raise TypeError(
                f"Switch takes a dictionary of keys and operators, got a {type(cases).__name__}; "
                "write Switch(key, {value: operator})"
            )
        self.cases = {k: checked_operator(op, f"cases[{k!r}]") for k, op in cases.items()}
        self.default = checked_operator(default, "default")
        self.forbid_in_yaml = not isinstance(key, Operator)

    @property
    def radius(self) -> int | None:
        """The largest of the cases, the default and the key function, which looks at a chip."""
        return largest([self.key, *self.cases.values(), self.default])

    def _apply(self, *inputs: Any) -> Any:
        return self.cases.get(self.key(*inputs), self.default)(*inputs)


class Try(Operator):
    """Run an operator, and another one when the first raises one of the given exceptions.

    Parameters
    ----------
    primary
        What is run first.
    fallback
        What gets the same inputs after an exception.
    on
        The exceptions that count, subclasses of `Exception`; there is no default, and
        `KeyboardInterrupt` always passes.

    Examples
    --------
    >>> from pipekit import Const, Lambda
    >>> Try(Lambda(int), Const(-1), on=ValueError)("many")
    -1
    """

    def __init__(self, primary: Operator, fallback: Operator, on: ExceptionTypes) -> None:
        self.primary = checked_operator(primary, "primary")
        self.fallback = checked_operator(fallback, "fallback")
        self.on = checked_exceptions(on)

    radius = passed_on("primary", "fallback")

    def _apply(self, *inputs: Any) -> Any:
        try:
            return self.primary(*inputs)
        except self.on:
            return self.fallback(*inputs)


class Coalesce(Operator):
    """Return the first acceptable result of several operators on the same input.

    Parameters
    ----------
    sources
        Operators in order of preference; none is run after an acceptable result.
    is_ok
        Tells whether a result is acceptable.
    on
        Exceptions that count as "not acceptable" instead of being raised; none by default.

    Raises
    ------
    CoalesceError
        No result was acceptable; it says what each source gave.

    Examples
    --------
    >>> from pipekit import Const
    >>> Coalesce([Const(None), Const(7)], is_ok=lambda result: result is not None)("query")
    7
    """

    def __init__(
        self,
        sources: Sequence[Operator],
        is_ok: Callable[[Any], Any],
        on: ExceptionTypes = (),
    ) -> None:
        self.sources = [checked_operator(s, f"sources[{i}]") for i, s in enumerate(sources)]
        if not self.sources:
            raise ValueError("Coalesce needs at least one source, got none")
        self.is_ok = checked_function(is_ok, "Coalesce", "is_ok")
        self.on = checked_exceptions(on)
        self.forbid_in_yaml = not isinstance(is_ok, Operator)

    @property
    def radius(self) -> int | None:
        """The largest of the sources and of what judges a chip's results."""
        return largest([*self.sources, self.is_ok])

    def _apply(self, *inputs: Any) -> Any:
        given: list[str] = []
        for source in self.sources:
            try:
                result = source(*inputs)
            except self.on as error:
                given.append(f"{step_repr(source)} raised {type(error).__name__}: {error}")
                continue
            if self.is_ok(result):
                return result
            given.append(f"{step_repr(source)} gave {summarise(result)}")
        raise CoalesceError("no source gave an acceptable result:\n  " + "\n  ".join(given))


def checked_exceptions(on: Any) -> tuple[type[Exception], ...]:
    """Return exception classes as a tuple, refusing what would also catch an interruption.

    Parameters
    ----------
    on
        One exception class or several in a tuple or list.

    Returns
    -------
    tuple
        The classes.

    Raises
    ------
    TypeError
        One is no subclass of `Exception`.

    Examples
    --------
    >>> checked_exceptions(OSError)
    (<class 'OSError'>,)
    """
    kinds = tuple(on) if isinstance(on, tuple | list) else (on,)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise TypeError(
                f"on takes subclasses of Exception, got {kind!r}; "
                "KeyboardInterrupt and SystemExit always pass"
            )
    return kinds


Mode = Literal["train", "eval"]

_mode: ContextVar[Mode] = ContextVar("pipeline_mode", default="eval")


@contextmanager
def pipeline_mode(mode: Mode) -> Iterator[None]:
    """Set the mode for a `with` block, in this context (thread or task) only.

    Outside any block the mode is "eval", so an augmentation never runs by oversight.

    Parameters
    ----------
    mode
        "train" or "eval".

    Yields
    ------
    None
        The mode holds within the block.

    Raises
    ------
    ValueError
        It is another mode.

    Examples
    --------
    >>> from pipekit import Lambda
    >>> noisy = ModeGated(Lambda(lambda x: x + 100), mode="train")
    >>> with pipeline_mode("train"):
    ...     noisy(1)
    101
    >>> noisy(1)
    1
    """
    token = _mode.set(checked_option(mode, "mode", Mode))
    try:
        yield
    finally:
        _mode.reset(token)


def current_mode() -> Mode:
    """Return the mode that holds here.

    Returns
    -------
    str
        "train" or "eval".

    Examples
    --------
    >>> current_mode()
    'eval'
    """
    return _mode.get()


class ModeGated(Operator):
    """Run an operator in one mode, and return the input unchanged in the other.

    Parameters
    ----------
    op
        The operator.
    mode
        The mode in which it runs, "train" or "eval".

    Examples
    --------
    >>> from pipekit import Lambda
    >>> ModeGated(Lambda(abs), mode="eval")(-1)
    1
    """

    def __init__(self, op: Operator, mode: Mode) -> None:
        self.op = checked_operator(op, "op")
        self.mode: Mode = checked_option(mode, "mode", Mode)

    radius = passed_on("op")

    def _apply(self, x: Any) -> Any:
        return self.op(x) if _mode.get() == self.mode else x
