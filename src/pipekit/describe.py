"""An operator told as a table: its steps, their arguments, and how far each looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from pipekit.config import config_values
from pipekit.radius import radius_of


class Step(NamedTuple):
    """One operator of a pipeline: its place in it, class, arguments and reach.

    `step` is "2" for the second of a pipeline and "2.mask" for the operator that is its argument
    `mask`; `looks` is "0 px" for what works pixel by pixel, "?" where the reach is not known.
    """

    step: str
    operator: str
    arguments: str
    looks: str


class Description(Sequence[Step]):
    """The steps of an operator, which print as a table and show as one in a notebook.

    `pandas.DataFrame(description)` has a column for each field of `Step`.

    Parameters
    ----------
    op
        The operator.
    write
        Writes an argument in one line.

    Examples
    --------
    >>> from pipekit import AssertDType, Identity, Retry
    >>> (AssertDType("uint8") | Retry(Identity(), attempts=2, on=(OSError,))).describe()
    step  operator     arguments                            looks
    1     AssertDType  dtype='uint8', on_fail='raise'       0 px
    2     Retry        attempts=2, base_delay=0.5, on=(...  0 px
    2.op  Identity                                          0 px
    """

    def __init__(self, op: Any, write: Callable[[Any], str] = repr) -> None:
        self._steps = list(_steps(op, "", write))

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, index: Any) -> Any:
        return self._steps[index]

    def __repr__(self) -> str:
        rows = [Step._fields, *self._steps]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        from html import escape

        head, *body = (
            "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row)
            for tag, row in [("th", Step._fields), *(("td", step) for step in self._steps)]
        )
        rows = "".join(f"<tr>{row}</tr>" for row in body)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _steps(op: Any, place: str, write: Callable[[Any], str]) -> Iterator[Step]:
    """Yield an operator and those that it holds, a pipeline's steps in its stead."""
    values = config_values(op)
    if values.keys() == {"operators"} and type(op).__name__ == "Sequential" and len(op):
        for number, step in enumerate(op, start=1):
            yield from _steps(step, _joined(place, number), write)
        return
    held: list[tuple[str, Any]] = []
    said = []
    for name, value in values.items():
        inner = list(_operators_in(name, value))
        held += inner
        if not inner:
            said.append(f"{name}={write(value)}")
    radius = radius_of(op)
    looks = "?" if radius is None else f"{radius} px"
    yield Step(place or "1", type(op).__name__, shorten(", ".join(said)), looks)
    for name, each in held:
        yield from _steps(each, _joined(place or "1", name), write)


def _joined(place: str, part: Any) -> str:
    return f"{place}.{part}" if place else str(part)


def _operators_in(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the operators that an argument is or holds, with their names."""
    items: Any = ()
    if _is_operator(value):
        items = [(name, value)]
    elif isinstance(value, list | tuple):
        items = [(f"{name}[{i}]", each) for i, each in enumerate(value)]
    elif isinstance(value, dict):
        items = [(f"{name}[{key!r}]", each) for key, each in value.items()]
    if all(_is_operator(each) for _, each in items):
        yield from items


def _is_operator(value: Any) -> bool:
    return hasattr(type(value), "_apply") and not isinstance(value, type)


def shorten(text: str) -> str:
    """Cut a text to 60 characters.

    Parameters
    ----------
    text
        One line.

    Returns
    -------
    str
        At most 60 characters, the last three being dots where it was cut.

    Examples
    --------
    >>> shorten("a" * 70)[-5:]
    'aa...'
    """
    return text if len(text) <= _LONG_TEXT else text[: _LONG_TEXT - 3] + "..."


_LONG_TEXT = 60
