"""How far an operator looks: the radius, in pixels, of what one pixel of its result is made of.

0 says that each pixel is made of the same pixel of the input, r that it is made of the pixels up
to r rows and columns away, None that nobody knows. Who cuts a scene into chips and knows the
radius can read each chip with a rim, and get what the whole scene would have given.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pipekit.config import NotSerializableError, config_values, is_configurable


class Local:
    """`operator.local`: whether the radius is 0, and of a class whether it says so of all.

    An object or class may still say `local = True` itself, which means `radius = 0`.

    Examples
    --------
    >>> from pipekit import Identity
    >>> Identity.local, Identity().local
    (True, True)
    """

    def __get__(self, instance: Any, owner: type) -> bool:
        said = getattr(owner, "radius", None) if instance is None else _said(instance)
        return type(said) is int and said == 0


def radius_of(function: Any) -> int | None:
    """Return how far an operator or any function looks, as it says itself.

    A radius kept on an object counts only where its class declares one, too: an argument that
    happens to be called `radius` may be anything.

    Parameters
    ----------
    function
        An operator, or a function with an attribute `radius` or `local`.

    Returns
    -------
    int or None
        In pixels, a part of one counting as one; None when unknown.

    Examples
    --------
    >>> from pipekit import Identity, Lambda
    >>> radius_of(Identity()), radius_of(Lambda(abs, radius=2)), radius_of(abs)
    (0, 2, None)
    """
    said = _said(function)
    return 0 if said is None and getattr(function, "local", False) is True else said


def _said(function: Any) -> int | None:
    """Return the radius that a function states, None for anything that is no number of pixels."""
    said = getattr(function, "radius", None)
    of_class = getattr(type(function), "radius", said)
    if of_class is None or isinstance(said, bool) or not isinstance(said, int | float):
        return None
    return math.ceil(said) if 0 <= said < math.inf else None


def largest(functions: Iterable[Any]) -> int | None:
    """Return the largest radius of several functions, None when one is unknown.

    Parameters
    ----------
    functions
        Operators, of which any may run.

    Returns
    -------
    int or None
        In pixels; 0 of none.

    Examples
    --------
    >>> from pipekit import Identity, Lambda
    >>> largest([Identity(), Lambda(abs, radius=2)]), largest([Identity(), Lambda(abs)])
    (2, None)
    """
    radii = [radius_of(each) for each in functions]
    return None if None in radii else max(radii, default=0)  # type: ignore[type-var]


def passed_on(*names: str) -> Any:
    """Return a property for a class around operators: the largest radius of those it keeps.

    Parameters
    ----------
    *names
        Attributes that hold an operator each.

    Returns
    -------
    property
        To be the class's `radius`.

    Examples
    --------
    >>> from pipekit import Cache, Identity
    >>> Cache(Identity()).radius
    0
    """
    return property(
        lambda self: largest(getattr(self, name) for name in names),
        doc="The largest radius of the operators within, None when one is unknown.",
    )


def needs_one_size(function: Any) -> bool:
    """Return whether a function, or an operator within it, takes chips of one size only.

    Parameters
    ----------
    function
        An operator, or any function with an attribute `one_size`.

    Returns
    -------
    bool
        Whether one says so.

    Examples
    --------
    >>> from pipekit import Identity, ModelOp
    >>> needs_one_size(Identity() | ModelOp(abs)), needs_one_size(Identity())
    (True, False)
    """
    return any(getattr(each, "one_size", False) is True for each in operators_within(function))


def operators_within(value: Any) -> Iterator[Any]:
    """Yield a function and all operators within it.

    Parameters
    ----------
    value
        An operator, any function, or lists and dictionaries of such.

    Yields
    ------
    callable
        The outer one before those within.

    Examples
    --------
    >>> from pipekit import Identity, Lambda
    >>> [type(each).__name__ for each in operators_within(Identity() | Lambda(abs))][:3]
    ['Sequential', 'Identity', 'Lambda']
    """
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from operators_within(item)
    elif callable(value):
        yield value
        if is_configurable(value) and not isinstance(value, type):
            try:
                yield from operators_within(config_values(value))
            except (TypeError, NotSerializableError):
                return  # it does not keep its arguments
