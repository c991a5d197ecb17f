"""Operators one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, overload

from pipekit import operator as _operator
from pipekit.operator import Operator, checked_operator, step_repr, summarise
from pipekit.radius import radius_of

_SHOWN_AROUND = 4
_OWN_CALLS = (Operator.__call__, _operator.call_with_keywords)


class Sequential(Operator):
    """A pipeline that hands each operator's result to the next, left to right.

    `a | b` builds one. A `Sequential` among the operators is taken apart, so nesting never
    changes what a pipeline is. The first operator may take several inputs. An error inside a
    step keeps its own type and carries a note saying which step, with which input.

    Parameters
    ----------
    operators
        The operators, first to last; none gives a pipeline that returns its input.

    Examples
    --------
    >>> from pipekit import Const, Identity, Lambda
    >>> both = Identity() | Lambda(abs) | Lambda(str)
    >>> both(-3), len(both), both[1:]
    ('3', 3, Sequential(operators=[Lambda(fn=abs, name=None), Lambda(fn=str, name=None)]))
    """

    operators: tuple[Operator, ...]

    def __init__(self, operators: Iterable[Operator]) -> None:
        self.operators = tuple(_flatten(operators))
        self._runs = _bound(self.operators)
        self.bands_made(None)

    def bands_made(self, count: int | None) -> int | None:
        """Return how many bands the last operator makes, each asked about those before it.

        Parameters
        ----------
        count
            Bands of the input, None where unknown.

        Returns
        -------
        int or None
            None where unknown.
        """
        for position, step in enumerate(self.operators):
            try:
                count = step.bands_made(count)
            except Exception as error:
                error.add_note(f"in step {position + 1} of {len(self)}: {step_repr(step)}")
                raise
        return count

    @property
    def radius(self) -> int | None:
        """The sum of the operators' radii: each looks at what the one before it saw.

        Returns
        -------
        int or None
            In pixels; None when that of one operator is unknown.
        """
        radii = [radius_of(op) for op in self.operators]
        return None if None in radii else sum(radii)  # type: ignore[arg-type]

    def _apply(self, *inputs: Any) -> Any:
        if _operator._spying or len(inputs) != 1:
            return self._apply_one_by_one(inputs)
        (x,) = inputs
        run: Callable[[Any], Any] | None = None
        try:
            for run in self._runs:
                x = run(x)
        except Exception as error:
            position = next(i for i, bound in enumerate(self._runs) if bound is run)
            error.add_note(self._note(position, (x,)))
            raise
        return x

    def _apply_one_by_one(self, inputs: tuple[Any, ...]) -> Any:
        """Run through each operator's `__call__`, which tells open Spy scopes."""
        if not self.operators and len(inputs) != 1:
            raise TypeError(f"an empty Sequential takes one input, got {len(inputs)}")
        for position, step in enumerate(self.operators):
            try:
                inputs = (step(*inputs),)
            except Exception as error:
                error.add_note(self._note(position, inputs))
                raise
        return inputs[0]

    def _note(self, position: int, inputs: tuple[Any, ...]) -> str:
        """Say which step failed, with those around it and the input."""
        first = max(0, position - _SHOWN_AROUND)
        last = min(len(self), position + _SHOWN_AROUND + 1)
        lines = [f"failed in step {position + 1} of {len(self)} of this Sequential:"]
        for i in range(first, last):
            mark = ">" if i == position else " "
            lines.append(f"  {mark} {i + 1:>2}. {step_repr(self.operators[i])}")
        lines.append(f"  input: {', '.join(map(summarise, inputs)) or 'none'}")
        return "\n".join(lines)

    @property
    def takes_batches(self) -> bool | None:  # type: ignore[override]
        """True where a step takes batches of chips as carriers (N, ...); False where none does."""
        said = {step.takes_batches for step in self.operators}
        return True if True in said else None if None in said else False

    def __len__(self) -> int:
        return len(self.operators)

    def __iter__(self) -> Iterator[Operator]:
        return iter(self.operators)

    @overload
    def __getitem__(self, index: int) -> Operator: ...

    @overload
    def __getitem__(self, index: slice) -> Sequential: ...

    def __getitem__(self, index: int | slice) -> Operator | Sequential:
        if isinstance(index, slice):
            return Sequential(self.operators[index])
        try:
            return self.operators[index]
        except IndexError:
            raise IndexError(f"no step {index}; this Sequential has {len(self)}") from None

    def _config_values(self) -> dict[str, Any]:
        return {"operators": list(self.operators)}

    # The bound methods are rebuilt on arrival: they would double the pickle.
    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_runs"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._runs = _bound(self.operators)

    def _repr_html_(self) -> str:
        """Return the pipeline as a row of boxes joined by arrows."""
        from html import escape  # here, because it loads the names of all entities

        style = (
            "display:inline-block;padding:2px 8px;margin:2px 0;border:1px solid #888;"
            "border-radius:4px;background:#f6f6f6;color:#222"
        )
        boxes = [f'<span style="{style}">{escape(step_repr(op))}</span>' for op in self.operators]
        row = " &rarr; ".join(boxes) or "(an empty pipeline: returns its input)"
        return f'<div style="font-family:monospace;font-size:12px;line-height:2">{row}</div>'


def _flatten(operators: Iterable[Operator]) -> Iterator[Operator]:
    """Yield the operators, those of a pipeline one by one."""
    if not isinstance(operators, Iterable):
        got = f"{'one' if isinstance(operators, Operator) else 'a'} {type(operators).__name__}"
        raise TypeError(
            f"Sequential takes a list of operators, got {got}; write Sequential([a, b]) or a | b"
        )
    for position, step in enumerate(operators):
        op = checked_operator(step, f"operators[{position}]")
        yield from op.operators if type(op) is Sequential else (op,)


def _bound(operators: tuple[Operator, ...]) -> tuple[Callable[..., Any], ...]:
    """Return what to call for each step, skipping `__call__`'s checks where it is Operator's own.

    Each entry is an object of its own even when an operator occurs twice, which is how a failing
    step is told apart without counting during the run.
    """
    return tuple(op._apply if type(op).__call__ in _OWN_CALLS else op.__call__ for op in operators)


def compose(*steps: Operator | Callable[[Any], Any]) -> Sequential:
    """Return the pipeline of some steps, which run in the order in which they are given.

    It is `a | b | c` for steps in a list, `compose(*steps)`. Functions become `Lambda`s.

    Parameters
    ----------
    *steps
        Operators or functions, first to last.

    Returns
    -------
    Sequential
        The pipeline.

    Examples
    --------
    >>> compose(abs, str)(-3)
    '3'
    """
    return Sequential(map(_as_step, steps))


def _as_step(step: Any) -> Any:
    """Return a function, or a type such as `str`, as an operator; anything else as it is."""
    from pipekit.blocks import Lambda

    is_class = isinstance(step, type) and issubclass(step, Operator)
    return step if isinstance(step, Operator) or is_class or not callable(step) else Lambda(step)
