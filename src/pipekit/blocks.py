"""The small blocks: do nothing, a constant, a function, a side effect, several at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipekit.operator import Operator


class Identity(Operator):
    """Return the input unchanged: the neutral element of `|`.

    >>> Identity()(7)
    7
    """

    def _apply(self, x: Any) -> Any:
        return x


class Const(Operator):
    """Return the same value whatever the inputs, and with none.

    >>> Const(3)("anything"), Const(3)()
    (3, 3)
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def _apply(self, *inputs: Any) -> Any:
        return self.value


class Lambda(Operator):
    """Run a function of the inputs. It cannot be written to a config; a named Operator can.

    >>> Lambda(lambda a, b: a + b, name="add")(1, 2)
    3
    """

    forbid_in_yaml = True

    def __init__(self, fn: Callable[..., Any], name: str | None = None) -> None:
        self.fn = checked_function(fn, "Lambda")
        self.name = name

    def _apply(self, *inputs: Any) -> Any:
        return self.fn(*inputs)


class Sink(Operator):
    """Hand the input to a function that keeps it (writes, sends, stores), and return the input.

    >>> written = []
    >>> Sink(written.append)("scene"), written
    ('scene', ['scene'])
    """

    forbid_in_yaml = True

    def __init__(self, fn: Callable[[Any], object], name: str | None = None) -> None:
        self.fn = checked_function(fn, "Sink")
        self.name = name

    def _apply(self, x: Any) -> Any:
        self.fn(x)
        return x


class Fanout(Operator):
    """Run several operators on the same input and return a dictionary of their results.

    >>> Fanout({"low": Lambda(min), "high": Lambda(max)})([3, 1, 2])
    {'low': 1, 'high': 3}
    """

    def __init__(self, operators: Mapping[str, Operator]) -> None:
        if not isinstance(operators, Mapping):
            raise TypeError(
                f"Fanout takes a dictionary of names and operators, got a "
                f"{type(operators).__name__}; write Fanout({{'name': operator}})"
            )
        self.operators = dict(operators)
        for name, op in self.operators.items():
            if not isinstance(op, Operator):
                raise TypeError(
                    f"operators[{name!r}] is a {type(op).__name__}, not an operator; "
                    "wrap a function as Lambda(function)"
                )

    def _apply(self, *inputs: Any) -> dict[str, Any]:
        return {name: self._run(name, op, inputs) for name, op in self.operators.items()}

    def _run(self, name: str, op: Operator, inputs: tuple[Any, ...]) -> Any:
        try:
            return op(*inputs)
        except Exception as error:
            error.add_note(f"failed in the branch {name!r} of a Fanout")
            raise


class Pick(Operator):
    """Take one entry out of a dictionary or sequence, such as the result of a Fanout or Graph.

    >>> Pick("high")({"low": 1, "high": 3})
    3
    """

    def __init__(self, key: Any) -> None:
        self.key = key

    def _apply(self, x: Any) -> Any:
        try:
            return x[self.key]
        except (KeyError, IndexError) as error:
            known = f"; it has {list(x)}" if isinstance(x, Mapping) else f"; it has {len(x)} items"
            raise type(error)(f"no {self.key!r} to pick{known}") from error


def checked_function(fn: Any, owner: str) -> Any:
    """Return a callable that is no operator class, or say what the owner takes instead."""
    if not callable(fn):
        raise TypeError(f"{owner} takes a function, got {fn!r}; a value is wrapped as Const(value)")
    if isinstance(fn, type) and issubclass(fn, Operator):
        raise TypeError(f"{owner} takes a function, got the class {fn.__name__}; use it itself")
    return fn
