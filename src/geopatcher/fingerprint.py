"""What a run is made of, as short texts that can be compared: the same text, the same bytes."""

from __future__ import annotations

import dataclasses
import hashlib
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor

_LONGEST = 2000
"""Characters up to which a part is told in full; a longer one, such as a model, by its hash."""

_NOT_FOLLOWED = types.ModuleType | type


def fingerprint(obj: Any, within: tuple[int, ...] = ()) -> str:
    """Return a text that tells one configuration from another.

    Configured objects show their arguments; arrays, models and functions a hash of their content;
    readers their files with size and time of change. A function is told by its code, by what it
    holds (defaults, closure) and by what it uses of its own module. An object with `get_config`
    is told by its class's name and that config, any other by its whole state. `within` are the
    objects being looked at, so that one that holds itself comes to an end.

    >>> fingerprint({"step": (192, 192), "window": None})
    '{step: (192, 192), window: None}'
    >>> fingerprint(np.zeros(3)) == fingerprint(np.ones(3))
    False
    """
    if obj is None or isinstance(obj, bool | int | float | complex | str | bytes | np.generic):
        return repr(obj)
    if id(obj) in within:
        return type(obj).__qualname__
    within = (*within, id(obj))
    if isinstance(obj, GeoTensor):
        own = (obj.values, obj.transform, str(obj.crs), obj.fill_value_default)
        return f"GeoTensor{fingerprint(own, within)}"
    if isinstance(obj, np.ndarray):
        return f"array(shape={obj.shape}, dtype={obj.dtype}, hash={_array_hash(obj)})"
    if isinstance(obj, dict):
        told = (f"{k}: {fingerprint(v, within)}" for k, v in obj.items())
        return _shortened("{" + ", ".join(told) + "}")
    if isinstance(obj, list | tuple):
        return _shortened("(" + ", ".join(fingerprint(item, within) for item in obj) + ")")
    if isinstance(obj, set | frozenset):
        return _shortened("(" + ", ".join(sorted(fingerprint(v, within) for v in obj)) + ")")
    if isinstance(obj, Path):
        return fingerprint_file(str(obj))
    if isinstance(obj, types.FunctionType):
        return _function(obj, within)
    return _object(obj, within)


def fingerprint_file(path: str) -> str:
    """Return a path with the file's size and time of change; a URL stays as it is."""
    try:
        stat = Path(path).stat()
    except (OSError, ValueError):
        return str(path)
    return f"{Path(path).resolve()} ({stat.st_size} bytes, {stat.st_mtime_ns})"


def _object(obj: Any, within: tuple[int, ...]) -> str:
    name = type(obj).__qualname__
    if isinstance(obj, type):
        return f"{obj.__module__}.{obj.__qualname__}"
    if isinstance(obj, types.MethodType):
        return f"{fingerprint(obj.__self__, within)}.{obj.__name__}"
    if isinstance(obj, np.dtype | types.BuiltinFunctionType | np.ufunc):
        return str(obj)
    if hasattr(obj, "paths") and hasattr(obj, "window_focus"):  # a georeader reader
        files = ", ".join(fingerprint_file(str(path)) for path in obj.paths)
        return f"{name}({files}, indexes={obj.indexes}, window={obj.window_focus})"
    if hasattr(obj, "select") and hasattr(obj, "domain"):
        return f"{name}({obj.domain}, {_source(obj)})"
    if dataclasses.is_dataclass(obj):
        values = {f.name: getattr(obj, f.name) for f in dataclasses.fields(obj)}
        return name + fingerprint(values, within)
    if callable(getattr(obj, "get_config", None)):
        return name + fingerprint(obj.get_config(), within)
    if hasattr(obj, "__wrapped__"):  # a function behind a cache
        return f"{name}({fingerprint(obj.__wrapped__, within)})"
    if hasattr(obj, "detach") and hasattr(obj, "cpu"):  # a torch tensor, parameters too
        return fingerprint(np.asarray(obj.detach().cpu()), within)
    return name + _state(obj, within)


def _state(obj: Any, within: tuple[int, ...]) -> str:
    """Return what an object would be pickled with, as a text."""
    try:
        reduced = obj.__reduce_ex__(2)
    except Exception:  # a lock, an open file: told by its class alone
        return ""
    if isinstance(reduced, str):
        return f"({reduced})"
    make, arguments, *rest = reduced
    is_plain = make.__name__ == "__newobj__" and len(arguments) == 1
    held = [] if is_plain else [arguments]
    held += [list(part) if isinstance(part, Iterator) else part for part in rest]
    parts = (fingerprint(part, within) for part in held if part is not None)
    return _shortened(", ".join(parts)) or "()"


def _source(field: Any) -> str:
    """Return where a Field's values come from."""
    for name in ("reader", "field"):
        if hasattr(field, name):
            return fingerprint(getattr(field, name))
    for name in ("da", "ds", "gdf", "array"):
        if hasattr(field, name):
            inner = getattr(field, name)
            file = getattr(inner, "encoding", {}).get("source")
            if file is None:
                return f"{type(inner).__name__}, {_pickle_hash(inner)}"
            # Which part of the file it is shows in the labels.
            labels = {str(key): np.asarray(value) for key, value in inner.coords.items()}
            return f"{type(inner).__name__}, {fingerprint_file(file)}, {fingerprint(labels)}"
    return _pickle_hash(field)


def _function(function: types.FunctionType, within: tuple[int, ...], follow: bool = True) -> str:
    """Return a function's name and a hash of its code and of what it holds.

    With `follow` also of what it uses of its module's globals, one module deep: helpers of the
    same file, thresholds, a model.
    """
    told = [*_code(function.__code__)]
    held = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    held += [function.__defaults__, function.__kwdefaults__]
    told.append(fingerprint(held, within))
    for name in sorted(_names(function.__code__)) if follow else ():
        value = function.__globals__.get(name)
        if isinstance(value, types.FunctionType) and value.__module__ != function.__module__:
            told.append(_function(value, within, follow=False))
        elif value is not None and not isinstance(value, _NOT_FOLLOWED):
            told.append(f"{name}={fingerprint(value, within)}")
    return f"{function.__module__}.{function.__qualname__}#{_hash(' '.join(told))}"


def _code(code: types.CodeType) -> Iterator[str]:
    """Yield what code does: instructions, constants and names, those of inner functions too."""
    yield code.co_code.hex()
    yield repr(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _code(constant)
        else:
            yield fingerprint(constant)


def _names(code: types.CodeType) -> set[str]:
    """Return the names that code, and the functions inside it, may look up in its module."""
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:  # what a function names before it is there
        return False
    return True


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"#{_hash(text)}"


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _array_hash(array: np.ndarray) -> str:
    plain = np.ascontiguousarray(array.view(np.ndarray))
    if plain.dtype.hasobject:
        return _hash(fingerprint(plain.tolist()))
    return hashlib.blake2b(plain.reshape(-1).view(np.uint8).data, digest_size=8).hexdigest()


def _pickle_hash(obj: Any) -> str:
    import cloudpickle

    try:
        return hashlib.blake2b(cloudpickle.dumps(obj), digest_size=8).hexdigest()
    except Exception:  # what cannot be pickled is told by its text
        return hashlib.blake2b(repr(obj).encode(), digest_size=8).hexdigest()
