"""What a run is made of, as short texts that can be compared: the same text, the same bytes."""

from __future__ import annotations

import dataclasses
import hashlib
import types
from pathlib import Path
from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor

_DEPTH = 12
"""How deep objects within objects are looked at; beyond, they are told by their class."""


def fingerprint(obj: Any, depth: int = 0) -> str:
    """Return a text that tells one configuration from another.

    Configured objects show their arguments, arrays and functions a hash of their content, readers
    their files with size and time of change.

    >>> fingerprint({"step": (192, 192), "window": None})
    '{step: (192, 192), window: None}'
    >>> fingerprint(np.zeros(3)) == fingerprint(np.ones(3))
    False
    """
    if obj is None or isinstance(obj, bool | int | float | complex | str | bytes | np.generic):
        return repr(obj)
    if depth > _DEPTH:
        return type(obj).__qualname__
    if isinstance(obj, GeoTensor):
        own = (obj.values, obj.transform, str(obj.crs), obj.fill_value_default)
        return f"GeoTensor{fingerprint(own, depth + 1)}"
    if isinstance(obj, np.ndarray):
        return f"array(shape={obj.shape}, dtype={obj.dtype}, hash={_array_hash(obj)})"
    if isinstance(obj, dict):
        return "{" + ", ".join(f"{k}: {fingerprint(v, depth + 1)}" for k, v in obj.items()) + "}"
    if isinstance(obj, list | tuple | set | frozenset):
        items = sorted(obj, key=repr) if isinstance(obj, set | frozenset) else obj
        return "(" + ", ".join(fingerprint(item, depth + 1) for item in items) + ")"
    if isinstance(obj, Path):
        return fingerprint_file(str(obj))
    if isinstance(obj, types.FunctionType):
        return _function(obj, depth)
    return _object(obj, depth)


def fingerprint_file(path: str) -> str:
    """Return a path with the file's size and time of change; a URL stays as it is."""
    try:
        stat = Path(path).stat()
    except (OSError, ValueError):
        return str(path)
    return f"{Path(path).resolve()} ({stat.st_size} bytes, {stat.st_mtime_ns})"


def _object(obj: Any, depth: int) -> str:
    name = type(obj).__qualname__
    if isinstance(obj, type):
        return f"{obj.__module__}.{obj.__qualname__}"
    if isinstance(obj, types.MethodType):
        return f"{fingerprint(obj.__self__, depth + 1)}.{obj.__name__}"
    if hasattr(obj, "paths") and hasattr(obj, "window_focus"):  # a georeader reader
        files = ", ".join(fingerprint_file(str(path)) for path in obj.paths)
        return f"{name}({files}, indexes={obj.indexes}, window={obj.window_focus})"
    if hasattr(obj, "select") and hasattr(obj, "domain"):
        return f"{name}({_field(obj)})"
    if dataclasses.is_dataclass(obj):
        values = {f.name: getattr(obj, f.name) for f in dataclasses.fields(obj)}
        return name + fingerprint(values, depth + 1)
    if (
        callable(getattr(obj, "get_config", None))
        and getattr(obj, "forbid_in_yaml", False) is False
    ):
        return name + fingerprint(obj.get_config(), depth + 1)
    if isinstance(obj, np.dtype | types.BuiltinFunctionType | np.ufunc):
        return str(obj)
    if type(obj).__reduce__ is not object.__reduce__:
        reduced = obj.__reduce__()
        if isinstance(reduced, tuple) and callable(reduced[0]):
            return name + fingerprint(reduced[1], depth + 1)
    state = obj.__getstate__()
    if isinstance(state, dict):  # private names hold caches and open files: no part of what it is
        public = {key: value for key, value in state.items() if not key.startswith("_")}
        return name + fingerprint(public, depth + 1)
    return f"{name}#{_pickle_hash(obj)}"


def _field(field: Any) -> str:
    for name in ("reader", "field"):
        if hasattr(field, name):
            return fingerprint(getattr(field, name))
    for name in ("da", "ds", "gdf", "array"):
        if hasattr(field, name):
            inner = getattr(field, name)
            source = getattr(inner, "encoding", {}).get("source")
            shown = fingerprint_file(source) if source else _pickle_hash(inner)
            return f"{type(inner).__name__}, {shown}"
    return f"{field.domain}, {_pickle_hash(field)}"


def _function(function: types.FunctionType, depth: int) -> str:
    code = function.__code__
    digest = hashlib.blake2b(code.co_code, digest_size=8)
    digest.update(repr([c for c in code.co_consts if not isinstance(c, types.CodeType)]).encode())
    digest.update(repr(code.co_names).encode())
    held = [cell.cell_contents for cell in function.__closure__ or ()]
    held += list(function.__defaults__ or ())
    if held:
        digest.update(fingerprint(held, depth + 1).encode())
    return f"{function.__module__}.{function.__qualname__}#{digest.hexdigest()}"


def _array_hash(array: np.ndarray) -> str:
    plain = np.ascontiguousarray(array.view(np.ndarray))
    if plain.dtype.hasobject:
        return _pickle_hash(plain)
    return hashlib.blake2b(plain.reshape(-1).view(np.uint8).data, digest_size=8).hexdigest()


def _pickle_hash(obj: Any) -> str:
    import cloudpickle

    try:
        return hashlib.blake2b(cloudpickle.dumps(obj), digest_size=8).hexdigest()
    except Exception:  # what cannot be pickled is told by its text
        return hashlib.blake2b(repr(obj).encode(), digest_size=8).hexdigest()
