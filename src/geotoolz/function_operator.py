"""Operators over pure functions: the parameters are written once, in the function.

>>> import numpy as np
>>> def clip(raster, low: float = 0.0, high: float = 1.0):
...     return np.clip(raster, low, high)
>>> class Clip(FunctionOperator):
...     @parameters_of(clip)
...     def __init__(self) -> None:
...         if not self.low < self.high:
...             raise ValueError(f"low must be below high, got {self.low} and {self.high}")
>>> Clip(high=2.0), Clip(0.0, 2.0)(np.array([-1.0, 3.0]))
(Clip(low=0.0, high=2.0), array([0., 2.]))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import numpy as np

from geotoolz.carrier import float_dtype
from pipekit import Operator

P = ParamSpec("P")

Band = int | str
"""A band index, or a band's own or common name."""


class FunctionOperator(Operator):
    """An operator that calls a pure function with the arguments it was made with.

    A subclass marks its `__init__` with `parameters_of(function)`: its parameters are then those of
    the function after the first, by name, order, default and annotation, also for `help()`, type
    checkers and editors. The body of `__init__` runs when they are stored and may check them.

    What is checked of itself: a parameter whose name ends in `_idx` is a band, by index or name,
    and a `dtype` whose default is a float type is one.
    """

    takes_batches = False

    if TYPE_CHECKING:  # the arguments, which checkers know from the constructor only

        def __getattr__(self, name: str) -> Any: ...

    def __init_subclass__(cls, **kwargs: Any) -> None:
        function = getattr(cls.__dict__.get("__init__"), "function", None)
        if function is not None and PerPixel in cls.__bases__:
            cls.radius = 0
        if function is not None and "_apply" not in cls.__dict__:
            cls._apply = _call(function)  # type: ignore[method-assign]
            if "keeps_bands" not in cls.__dict__:
                cls.keeps_bands = getattr(function, "keeps_bands", False)
        super().__init_subclass__(**kwargs)


class PerPixel(FunctionOperator):
    """An operator over a function that makes each pixel of the same pixel: its radius is 0.

    That is said of the function only: a class derived from such an operator, over another function
    or with an `_apply` of its own, says it itself.
    """


def check_band(band: Band, argument: str) -> None:
    """Raise TypeError when `band` is neither an integer nor a name.

    Parameters
    ----------
    band
        What should be an index or a name.
    argument
        What the message calls it.

    Raises
    ------
    TypeError
        Naming `argument`.

    Examples
    --------
    >>> check_band("red", "red_idx")
    """
    if isinstance(band, bool) or not isinstance(band, (int, str, np.integer)):
        raise TypeError(f"{argument} must be a band index or a band name, got {band!r}")


def parameters_of(
    function: Callable[Concatenate[Any, P], Any],
) -> Callable[[Callable[[Any], None]], Callable[Concatenate[Any, P], None]]:
    """Give an `__init__` without parameters those of `function` after the first.

    Parameters
    ----------
    function
        Takes the operator's input first, then parameters that can be given by position.

    Returns
    -------
    A decorator for the `__init__` of a `FunctionOperator`.

    Examples
    --------
    >>> class Round(FunctionOperator):
    ...     @parameters_of(np.round)
    ...     def __init__(self) -> None: ...
    >>> Round(1, None)(np.array([0.25, 0.75]))
    array([0.2, 0.8])
    """
    parameters = list(signature(function).parameters.values())[1:]
    return lambda check: constructor(parameters, check, function)


def constructor(
    parameters: Sequence[Parameter], check: Callable[[Any], None], function: Callable[..., Any]
) -> Callable[..., None]:
    """Return an `__init__` with these parameters that stores them, checks them and runs `check`.

    Parameters
    ----------
    parameters
        Of the constructor, without `self`; those without a default first.
    check
        Raises an error when the stored arguments don't fit.
    function
        The one whose parameters they are.

    Returns
    -------
    To be the `__init__` of an operator.
    """
    names = [p.name for p in parameters]
    stored = "".join(f"        self.{name} = {name}\n" for name in names)
    bands = [name for name in names if name.endswith("_idx")]
    is_float = any(p.name == "dtype" and np.dtype(p.default).kind == "f" for p in parameters)

    def check_all(operator: Any) -> None:
        for name in bands:
            check_band(getattr(operator, name), name)
        if is_float:
            float_dtype(operator.dtype)
        check(operator)

    made = _compiled(
        f"def make(_check):\n    def __init__(self, {', '.join(names)}):\n{stored}"
        "        _check(self)\n    return __init__",
        function,
    )(check_all)
    made.__defaults__ = tuple(p.default for p in parameters if p.default is not Parameter.empty)
    made.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
    made.__qualname__, made.function = check.__qualname__, function
    return made  # type: ignore[no-any-return]


def _call(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return an `_apply` that hands the stored arguments to the function, by position."""
    stored = "".join(f", self.{name}" for name in list(signature(function).parameters)[1:])
    source = f"def make(_call):\n    return lambda self, raster: _call(raster{stored})"
    return _compiled(source, function)(function)  # type: ignore[no-any-return]


def _compiled(source: str, function: Callable[..., Any]) -> Any:
    """Return `make` as the source defines it, among the names of the function's module.

    Compiled as dataclasses are: written out, a call costs 100 ns over the function's and making an
    operator as much; through `*args` it is 300 ns and 1 us.
    """
    scope: dict[str, Any] = {}
    exec(source, getattr(function, "__globals__", {}), scope)
    return scope["make"]
