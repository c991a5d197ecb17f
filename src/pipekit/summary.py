"""One line about a value (type, shape, dtype, CRS), and one about an operator, for people."""

from __future__ import annotations

from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np

_FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodType)
_SMALL_ARRAY = 8
_LONG_TEXT = 60


def summarise(value: Any) -> str:
    """Describe a value in one line: its type, shape, dtype and CRS, as far as it has them.

    >>> import numpy as np
    >>> summarise(np.zeros((4, 2), "float32"))
    'ndarray (4, 2) float32'
    >>> summarise(3), summarise([1, 2]), summarise({"ndvi": 1, "ndwi": 2})
    ('int 3', 'list of 2', 'dict of 2: ndvi, ndwi')
    """
    name = type(value).__name__
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple) and dtype is not None:
        parts = [name, str(tuple(shape)), str(dtype)]
        crs = getattr(value, "crs", None)
        if crs is not None:
            parts.append(str(crs))
        return " ".join(parts)
    if isinstance(value, bool | int | float | complex):
        return f"{name} {value!r}"
    if isinstance(value, str):
        return f"{name} {_shorten(repr(value))}"
    if isinstance(value, dict):
        return f"dict of {len(value)}: {_shorten(', '.join(map(str, value)))}"
    if isinstance(value, list | tuple | set | frozenset):
        return f"{name} of {len(value)}"
    return name


def argument_repr(value: Any) -> str:
    """Write one argument of an operator as in source code, without memory addresses.

    >>> import numpy as np
    >>> argument_repr([1, (2,), "a"]), argument_repr(len), argument_repr(np.zeros((9, 9)))
    ("[1, (2,), 'a']", 'len', 'array(shape=(9, 9), dtype=float64)')
    """
    if isinstance(value, list):
        return f"[{', '.join(map(argument_repr, value))}]"
    if isinstance(value, tuple):
        inside = ", ".join(map(argument_repr, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, dict):
        pairs = (f"{k!r}: {argument_repr(v)}" for k, v in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, _FUNCTIONS):
        return value.__qualname__.rpartition("<locals>.")[2]
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, np.ndarray) and value.size > _SMALL_ARRAY:
        return f"array(shape={value.shape}, dtype={value.dtype})"
    if getattr(type(value), "__repr__", None) is object.__repr__:
        return f"<{type(value).__name__}>"
    return repr(value)


def step_repr(operator: object) -> str:
    """Write an operator in one line that is never long and never raises.

    It is used inside error notes, where a second error would hide the first.

    >>> from pipekit import Const
    >>> step_repr(Const("a" * 200))
    "Const(value='aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..."
    """
    try:
        return _shorten(repr(operator))
    except Exception:
        return f"{type(operator).__name__}(...)"


def _shorten(text: str) -> str:
    return text if len(text) <= _LONG_TEXT else text[: _LONG_TEXT - 3] + "..."
