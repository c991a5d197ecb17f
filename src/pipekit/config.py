"""Reading an object's configuration: the arguments of its constructor."""

from __future__ import annotations

import inspect
from types import MethodType
from typing import Any
from weakref import WeakKeyDictionary

_MISSING = object()

_parameters: WeakKeyDictionary[type, tuple[inspect.Parameter, ...]] = WeakKeyDictionary()


class NodeDict(dict[str, Any]):
    """A `{"class": ..., "config": ...}` dictionary that stands for an operator, not for data."""


def parameters(cls: type) -> tuple[inspect.Parameter, ...]:
    """Return the constructor's parameters of a class without `self`, read once per class.

    >>> from pipekit import AssertDType
    >>> [p.name for p in parameters(AssertDType)]
    ['dtype', 'on_fail']
    """
    found = _parameters.get(cls)
    if found is None:
        init: Any = inspect.getattr_static(cls, "__init__")
        inherited = init is object.__init__
        found = () if inherited else tuple(inspect.signature(init).parameters.values())[1:]
        _parameters[cls] = found
    return found


def arguments(instance: object) -> dict[str, Any]:
    """Return the constructor's arguments of an object, from its attributes of the same names.

    Raises:
        TypeError: an argument was not stored; it is named.
    """
    return {p.name: _stored(instance, p.name) for p in parameters(type(instance))}


def _stored(instance: object, name: str) -> Any:
    value = getattr(instance, name, _MISSING)
    is_own_method = isinstance(value, MethodType) and value.__self__ is instance
    if value is _MISSING or (is_own_method and name not in vars(instance)):
        cls = type(instance).__name__
        raise TypeError(
            f"{cls}.__init__ takes {name!r} but does not store it, so {cls} has no config; "
            f"write self.{name} = {name} in __init__, or override get_config()"
        )
    return value


def construct(cls: type, values: dict[str, Any]) -> Any:
    """Build an object from its constructor's arguments by name; the inverse of `arguments`.

    >>> from pipekit import Const
    >>> construct(Const, {"value": 3})
    Const(value=3)
    """
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for p in parameters(cls):
        if p.name not in values:
            continue
        if p.kind is p.VAR_POSITIONAL:
            positional.extend(values[p.name])
        elif p.kind is p.VAR_KEYWORD:
            named.update(values[p.name])
        elif p.kind is p.POSITIONAL_ONLY or _before_star(cls, p):
            positional.append(values[p.name])
        else:
            named[p.name] = values[p.name]
    return cls(*positional, **named)


def _before_star(cls: type, parameter: inspect.Parameter) -> bool:
    """Tell whether a parameter precedes a `*args`, and so must be given by position."""
    has_star = any(p.kind is p.VAR_POSITIONAL for p in parameters(cls))
    return has_star and parameter.kind is parameter.POSITIONAL_OR_KEYWORD


def is_configurable(value: object) -> bool:
    """Tell whether a value that is no plain data can be written as a class and its arguments."""
    if isinstance(value, type):
        return False
    # Not by get_config alone: a Keras model has one too, and it leaves the weights out.
    return hasattr(value, "__dataclass_fields__") or hasattr(value, "_config_values")


def config_values(instance: Any) -> dict[str, Any]:
    """Return what makes up the config of an operator or another configurable object."""
    own = getattr(instance, "_config_values", None)
    values: dict[str, Any] = own() if own is not None else arguments(instance)
    return values


def mark_nodes(value: Any) -> Any:
    """Mark the `{"class", "config"}` dictionaries that a hand-written get_config() returned."""
    if isinstance(value, dict):
        kind = NodeDict if value.keys() == {"class", "config"} else dict
        return kind({k: mark_nodes(v) for k, v in value.items()})
    if type(value) in (list, tuple):
        return type(value)(mark_nodes(v) for v in value)
    return value


def nest(value: Any) -> Any:
    """Replace the operators within a value by `{"class": name, "config": {...}}`; keep the rest."""
    if type(value) in (list, tuple):
        return type(value)(nest(v) for v in value)
    if type(value) is dict:
        return {k: nest(v) for k, v in value.items()}
    if is_configurable(value):
        return {"class": type(value).__name__, "config": _nested_values(value)}
    return value


def _nested_values(instance: Any) -> dict[str, Any]:
    return {k: nest(v) for k, v in config_values(instance).items()}
