"""An object's configuration: the arguments of its constructor, as exact, tagged JSON."""

from __future__ import annotations

import binascii
import builtins
import inspect
import math
import sys
from collections import OrderedDict
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from types import BuiltinFunctionType, EllipsisType, FunctionType, MethodType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

_MISSING = object()


class NodeDict(dict[str, Any]):
    """A `{"class": ..., "config": ...}` dictionary that stands for an operator, not for data.

    Examples
    --------
    >>> NodeDict({"class": "Identity", "config": {}})["class"]
    'Identity'
    """


@lru_cache(maxsize=4096)
def signature(cls: type) -> inspect.Signature:
    """Return the constructor's signature of a class, without `self`.

    Parameters
    ----------
    cls
        Any class.

    Returns
    -------
    inspect.Signature
        What a call of the class takes.

    Examples
    --------
    >>> from pipekit import AssertDType
    >>> list(signature(AssertDType).parameters)
    ['dtype', 'on_fail']
    """
    init: Any = inspect.getattr_static(cls, "__init__")
    if init is object.__init__:
        return inspect.Signature()
    whole = inspect.signature(init)
    return whole.replace(parameters=list(whole.parameters.values())[1:])


def arguments(instance: object) -> dict[str, Any]:
    """Return the constructor's arguments of an object, from its attributes of the same names.

    Parameters
    ----------
    instance
        An operator, or any object that keeps its arguments under their names.

    Returns
    -------
    dict
        Name -> value, in the constructor's order.

    Raises
    ------
    TypeError
        An argument was not stored; it is named.

    Examples
    --------
    >>> from pipekit import Const
    >>> arguments(Const(3))
    {'value': 3}
    """
    values: dict[str, Any] = {}
    for name in signature(type(instance)).parameters:  # type: ignore[arg-type]
        value = values[name] = getattr(instance, name, _MISSING)
        is_own_method = isinstance(value, MethodType) and value.__self__ is instance
        if value is _MISSING or (is_own_method and name not in vars(instance)):
            cls = type(instance).__name__
            raise TypeError(
                f"{cls}.__init__ takes {name!r} but does not store it, so {cls} has no config; "
                f"write self.{name} = {name} in __init__, or override get_config()"
            )
    return values


def where_given(values: dict[str, Any], *names: str) -> dict[str, Any]:
    """Leave out arguments that nobody gave: such an object is what it was before they were added.

    Parameters
    ----------
    values
        Arguments by name.
    *names
        Those that are left out where they are None.

    Returns
    -------
    dict
        The others.

    Examples
    --------
    >>> where_given({"name": None, "radius": None}, "radius")
    {'name': None}
    """
    return {k: value for k, value in values.items() if value is not None or k not in names}


def construct(cls: type, values: dict[str, Any]) -> Any:
    """Build an object from its constructor's arguments by name; the inverse of `arguments`.

    Parameters
    ----------
    cls
        The class.
    values
        Name -> value; `*args` and `**kwargs` are under their names, too.

    Returns
    -------
    object
        The new object.

    Examples
    --------
    >>> from pipekit import Const
    >>> construct(Const, {"value": 3})
    Const(value=3)
    """
    if _takes_names(cls):
        return cls(**values)
    bound = inspect.BoundArguments(signature(cls), OrderedDict(values))
    return cls(*bound.args, **bound.kwargs)


@lru_cache(maxsize=4096)
def _takes_names(cls: type) -> bool:
    """Whether every argument of a class can be given by name."""
    parameters = signature(cls).parameters.values()
    return not any(
        p.kind in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters
    )


def is_configurable(value: object) -> bool:
    """Tell whether a value that is no plain data can be written as a class and its arguments.

    Parameters
    ----------
    value
        Anything.

    Returns
    -------
    bool
        True for operators, axes and dataclass instances.

    Examples
    --------
    >>> from pipekit import Identity
    >>> is_configurable(Identity()), is_configurable(Identity), is_configurable({"a": 1})
    (True, False, False)
    """
    if isinstance(value, type):
        return False
    # Not by get_config alone: a Keras model has one too, and it leaves the weights out.
    return hasattr(value, "__dataclass_fields__") or hasattr(value, "_config_values")


def config_values(instance: Any) -> dict[str, Any]:
    """Return what makes up the config of an operator or another configurable object.

    Parameters
    ----------
    instance
        An operator, an axis or a dataclass instance.

    Returns
    -------
    dict
        Argument -> value, operators still being operators.

    Examples
    --------
    >>> from pipekit import Const
    >>> config_values(Const(3))
    {'value': 3}
    """
    own = getattr(instance, "_config_values", None)
    values: dict[str, Any] = own() if own is not None else arguments(instance)
    return values


def mark_nodes(value: Any) -> Any:
    """Mark the `{"class", "config"}` dictionaries that a hand-written get_config() returned.

    Parameters
    ----------
    value
        What `get_config()` returned, or a part of it.

    Returns
    -------
    object
        The same, with a `NodeDict` in place of each dictionary that stands for an operator.

    Examples
    --------
    >>> type(mark_nodes([{"class": "Identity", "config": {}}])[0]).__name__
    'NodeDict'
    """
    if isinstance(value, dict):
        kind = NodeDict if value.keys() == {"class", "config"} else dict
        return kind({k: mark_nodes(v) for k, v in value.items()})
    if type(value) in (list, tuple):
        return type(value)(mark_nodes(v) for v in value)
    return value


def nest(value: Any) -> Any:
    """Replace the operators within a value by `{"class": name, "config": {...}}`; keep the rest.

    Parameters
    ----------
    value
        An argument of an operator.

    Returns
    -------
    object
        The same with plain dictionaries in place of operators.

    Examples
    --------
    >>> from pipekit import Const
    >>> nest((Const(3), 4))
    ({'class': 'Const', 'config': {'value': 3}}, 4)
    """
    if type(value) in (list, tuple):
        return type(value)(nest(v) for v in value)
    if type(value) is dict:
        return {k: nest(v) for k, v in value.items()}
    if is_configurable(value):
        return {"class": type(value).__name__, "config": nest(dict(config_values(value)))}
    return value


JSON: TypeAlias = bool | int | float | str | list[Any] | dict[str, Any] | None

_CALLABLES = (FunctionType, BuiltinFunctionType)
NAMED_TYPES: dict[str, type] = {t.__name__: t for t in (bool, int, float, complex, str, bytes)}
NAMED_TYPES |= {f"numpy.{t.__name__}": t for t in np.sctypeDict.values()}
_TYPE_NAMES = {kind: name for name, kind in NAMED_TYPES.items()}
_LISTED_ARRAY = 256
_LISTED_KINDS = "biufU"
_WIDEST_FLOAT = 8


class Limits(NamedTuple):
    """How large a config may be; the defaults fit any pipeline that a person writes.

    `max_depth` counts nested lists and dictionaries, `max_operators` operators, `max_values` all
    values, `max_bytes` the characters of all texts together.

    Examples
    --------
    >>> Limits(max_operators=10).max_depth
    100
    """

    max_depth: int = 100
    max_operators: int = 1_000
    max_values: int = 100_000
    max_bytes: int = 4_000_000


class NotSerializableError(TypeError):
    """A value has no exact text form, so the operator that holds it cannot be written down.

    Examples
    --------
    >>> from pipekit import Lambda, to_config
    >>> to_config(Lambda(abs))
    Traceback (most recent call last):
    pipekit.config.NotSerializableError: fn holds the function abs, which a config cannot carry; ...
    """


def refuse(value: object, path: str) -> JSON:
    """Refuse a value that has no exact text form, naming where it is.

    Parameters
    ----------
    value
        What has no text form.
    path
        Where it is, such as "operators[1].fn".

    Raises
    ------
    NotSerializableError
        Always.

    Examples
    --------
    >>> refuse(print, "fn")
    Traceback (most recent call last):
    pipekit.config.NotSerializableError: fn holds the function print, ...
    """
    where = path or "the operator itself"
    if isinstance(value, FunctionType | MethodType | BuiltinFunctionType):
        what = f"the function {value.__qualname__}"
        way_out = "write it as an Operator class with arguments of plain data"
    else:
        what = f"a {type(value).__module__}.{type(value).__qualname__}"
        way_out = "pass plain data, an operator or a dataclass, or pickle the operator instead"
    raise NotSerializableError(f"{where} holds {what}, which a config cannot carry; {way_out}")


def by_identity(value: object, path: str) -> JSON:
    """Stand for a value without a text form by what tells it apart within this process.

    Parameters
    ----------
    value
        What has no text form.
    path
        Where it is; it is not used here.

    Returns
    -------
    dict
        JSON that equals that of the same object only.

    Examples
    --------
    >>> by_identity(abs, "fn") == by_identity(abs, "fn")
    True
    """
    if isinstance(value, MethodType):
        return {"$object": [id(value.__self__), id(value.__func__)]}
    if isinstance(value, BuiltinFunctionType):
        # `log.append` is another object each time it is looked up.
        return {"$object": [id(value.__self__), value.__name__]}
    return {"$object": [id(value)]}


class Encoder:
    """Turns values into tagged JSON, exactly: what is read back equals what was written.

    Lists, strings, integers, booleans, finite floats and dictionaries with string keys stand for
    themselves. Everything else carries a tag: `{"$tuple": [1, 2]}`, `{"$float": "nan"}`,
    `{"$dtype": "float32"}`, `{"$ndarray": ...}`.

    Parameters
    ----------
    opaque
        What to do with a value that has no text form: `refuse` or `by_identity`.

    Examples
    --------
    >>> Encoder(refuse)((1, float("inf")))
    {'$tuple': [1, {'$float': 'inf'}]}
    """

    def __init__(self, opaque: Callable[[object, str], JSON]) -> None:
        self.opaque = opaque

    def __call__(self, value: Any, path: str = "") -> JSON:
        """Write one value; `path` is where it is, for error messages."""
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value  # type: ignore[no-any-return]
        if kind is float:
            return value if math.isfinite(value) else {"$float": repr(value)}
        if kind is list:
            return self._items(value, path)
        if kind is tuple:
            return {"$tuple": self._items(value, path)}
        if kind is dict:
            return self._dict(value, path)
        if kind in (set, frozenset):
            members = self._items(list(value), path)
            return {f"${kind.__name__}": sorted(members, key=canonical)}
        if kind is NodeDict or is_configurable(value):
            return self.node(value, path)
        leaf = _leaf(value)
        return self.opaque(value, path) if leaf is None else leaf

    def node(self, value: Any, path: str) -> dict[str, JSON]:
        """Write an operator (or another configurable object) as its class and config.

        Parameters
        ----------
        value
            An operator, an axis or a dataclass instance.
        path
            Where it is, for error messages.

        Returns
        -------
        dict
            `{"class": name, "config": {argument: JSON}}`.
        """
        if type(value) is NodeDict:
            return {"class": value["class"], "config": self._values(value["config"], path)}
        if getattr(value, "forbid_in_yaml", False) and self.opaque is refuse:
            # First for the argument that is to blame, if there is one.
            self._values(config_values(value), path)
            raise NotSerializableError(
                f"{path or 'the operator itself'} is a {type(value).__name__}, which lives in this "
                "process only and is not written to a config; leave it out of the pipeline you save"
            )
        known = signature(type(value)).parameters  # type: ignore[arg-type]
        values = {
            name: item
            for name, item in config_values(value).items()
            if not (isinstance(item, _CALLABLES) and name in known and item is known[name].default)
        }
        node: dict[str, JSON] = {
            "class": type(value).__name__,
            "config": self._values(values, path),
        }
        if self.opaque is by_identity:
            node["id"] = id(type(value))  # two classes may share a name
        return node

    def _values(self, values: dict[str, Any], path: str) -> dict[str, JSON]:
        """Write arguments by name."""
        return {
            name: self(item, f"{path}.{name}" if path else name) for name, item in values.items()
        }

    def _items(self, items: Any, path: str) -> list[JSON]:
        """Write the members of a sequence."""
        return [self(item, f"{path}[{i}]") for i, item in enumerate(items)]

    def _dict(self, value: dict[Any, Any], path: str) -> JSON:
        """Write a dictionary of data: as it is, or as pairs where its keys need it."""
        plain = all(type(k) is str and not k.startswith("$") for k in value)
        if plain and value.keys() != {"class", "config"}:
            return {k: self(v, f"{path}[{k!r}]") for k, v in value.items()}
        return {"$dict": [[self(k, path), self(v, f"{path}[{k!r}]")] for k, v in value.items()]}


def _leaf(value: Any) -> JSON:
    """Write a value of one of the known kinds of leaf; None for all others."""
    if isinstance(value, np.dtype):
        return None if value.hasobject or value.names else {"$dtype": value.str}
    if isinstance(value, np.generic):
        return _array(np.asarray(value), "$scalar")
    if type(value) is np.ndarray:
        return _array(value, "$ndarray")
    if isinstance(value, type):
        return _named_type(value)
    if "pathlib" in sys.modules and isinstance(value, sys.modules["pathlib"].Path):
        return {"$path": str(value)}
    if type(value) not in _STANDARD:
        return None
    tag, write = _STANDARD[type(value)]
    body = write(value)
    return None if body is None else {tag: body}


def _slice_bounds(value: slice) -> list[int | None] | None:
    """Return a slice's bounds, or None where they are no whole numbers."""
    bounds = [value.start, value.stop, value.step]
    return bounds if all(bound is None or type(bound) is int for bound in bounds) else None


def _base64(raw: bytes) -> str:
    """Write bytes as base64 on one line."""
    return binascii.b2a_base64(raw, newline=False).decode()


def from_base64(text: Any) -> bytes:
    """Read base64 that keeps to its alphabet and its padding.

    Parameters
    ----------
    text
        ASCII text.

    Returns
    -------
    bytes
        What it stands for.

    Raises
    ------
    ValueError
        It is no base64.

    Examples
    --------
    >>> from_base64("Y2hpcA==")
    b'chip'
    """
    return binascii.a2b_base64(text, strict_mode=True)


STANDARD: dict[str, tuple[type, Callable[[Any], JSON], Callable[[Any], Any]]] = {
    "$ellipsis": (EllipsisType, lambda value: True, lambda body: ...),
    "$slice": (slice, _slice_bounds, lambda body: slice(*body)),
    "$complex": (
        complex,
        lambda c: [repr(c.real), repr(c.imag)],
        lambda b: complex(*map(float, b)),
    ),
    "$bytes": (bytes, _base64, from_base64),
    "$datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "$date": (date, date.isoformat, date.fromisoformat),
    "$time": (time, time.isoformat, time.fromisoformat),
    "$timedelta": (
        timedelta,
        lambda t: [t.days, t.seconds, t.microseconds],
        lambda b: timedelta(*b),
    ),
}
"""The tag of each type of the standard library, how it is written and how it is read."""

_STANDARD = {kind: (tag, write) for tag, (kind, write, _) in STANDARD.items()}


def _named_type(value: type) -> JSON:
    """Write a class that has a name in every process; None for all others."""
    if value in _TYPE_NAMES:
        return {"$type": _TYPE_NAMES[value]}
    if issubclass(value, Exception):
        shadow = getattr(builtins, value.__name__, value)
        return {"$exception": value.__name__} if shadow is value else None
    return None


def _array(value: np.ndarray[Any, Any], tag: str) -> JSON:
    """Write an array: short ones as a list to read, others as base64."""
    if value.dtype.hasobject or value.dtype.names:
        return None
    body: dict[str, JSON] = {"dtype": value.dtype.str, "shape": list(value.shape)}
    wide_float = value.dtype.kind == "f" and value.dtype.itemsize > _WIDEST_FLOAT
    short = value.size <= _LISTED_ARRAY and value.dtype.kind in _LISTED_KINDS
    if short and not wide_float and _has_plain_nans(value):
        body["values"] = [Encoder(refuse)(item) for item in value.ravel().tolist()]
    else:
        body["base64"] = _base64(value.tobytes())
    return {tag: body}


def _has_plain_nans(value: np.ndarray[Any, Any]) -> bool:
    """Tell whether every NaN is the usual one: a text does not keep another's sign and payload."""
    if value.dtype.kind != "f":
        return True
    nans = value[np.isnan(value)]
    return bool(nans.tobytes() == np.full_like(nans, np.nan).tobytes())


def canonical(encoded: JSON) -> str:
    """Return the one text of an encoded value: keys sorted, no spaces, ASCII.

    Parameters
    ----------
    encoded
        What an `Encoder` returned.

    Returns
    -------
    str
        Equal texts stand for equal values.

    Examples
    --------
    >>> canonical({"b": 1, "a": [1.0, None]})
    '{"a":[1.0,null],"b":1}'
    """
    import json  # here, for `import pipekit` to cost little more than numpy

    return json.dumps(
        _ordered(encoded), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def _ordered(encoded: JSON) -> JSON:
    """Sort the pairs of a dictionary with non-string keys: its order carries no meaning."""
    if isinstance(encoded, list):
        return [_ordered(item) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    if encoded.keys() == {"$dict"}:
        pairs = [[_ordered(k), _ordered(v)] for k, v in encoded["$dict"]]
        return {"$dict": sorted(pairs, key=lambda pair: canonical(pair[0]))}
    return {k: _ordered(v) for k, v in encoded.items()}
