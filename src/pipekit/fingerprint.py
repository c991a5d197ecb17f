"""Equal content, equal text: a hash of data, and a text that tells what a run is made of."""

from __future__ import annotations

import dataclasses
import os
import types
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pipekit.carrier import is_carrier
from pipekit.config import Encoder, NotSerializableError, canonical, refuse

_DIGITS = 32
_BLOCK_BYTES = 1 << 22
_SHORT = 16

_LONGEST = 2000
"""Characters up to which a part is told in full; a longer one, such as a model, by its hash."""

_MEANING = ("_FillValue", "grid_mapping")
"""What xarray keeps of a file's attributes beside them, and rioxarray reads."""

_NOT_FOLLOWED = types.ModuleType | type


def content_hash(*values: Any) -> str:
    """Return 32 hex digits (128 bits of SHA-256) that stand for the content of the values.

    Arrays count with dtype (byte order, unit of times and names of fields too), shape and bytes; a
    masked array also with its mask and fill value; a GeoTensor also with transform, CRS, fill value
    and attributes (band names decide what an operator reads), but not with its provenance; a
    DataArray with its dimensions, coordinates and their attributes, which hold its CRS; lists,
    tuples and dictionaries with their members; operators and plain data with their config.

    Parameters
    ----------
    *values
        Arrays, GeoTensors, DataArrays, plain data, operators; or lists and dictionaries of them.

    Returns
    -------
    str
        32 hex digits, alike in any process.

    Raises
    ------
    TypeError
        A value has no content that can be hashed, such as an array of objects.

    Examples
    --------
    >>> import numpy as np
    >>> a = np.arange(6, dtype="float32").reshape(2, 3)
    >>> content_hash(a) == content_hash(a.copy()), content_hash(a) == content_hash(a.T)
    (True, False)
    """
    # SHA-256 runs at 1.8 GB/s where the processor has its instructions; BLAKE2b at half of that.
    from hashlib import sha256

    digest = sha256()
    for value in values:
        _feed(digest, value)
    return digest.hexdigest()[:_DIGITS]


def _feed(digest: Any, value: Any) -> None:
    """Add a value's content to a digest."""
    if is_carrier(value):
        _feed_carrier(digest, value)
    elif isinstance(value, np.ndarray):
        _feed_array(digest, value)
    elif hasattr(value, "dims") and hasattr(value, "coords") and hasattr(value, "values"):
        _feed_labelled(digest, value)
    elif isinstance(value, list | tuple):
        _feed_text(digest, f"{type(value).__name__} {len(value)}")
        for item in value:
            _feed(digest, item)
    elif isinstance(value, Mapping):
        _feed_mapping(digest, value)
    else:
        _feed_text(digest, _text(value))


def _feed_array(digest: Any, array: np.ndarray[Any, Any]) -> None:
    """Add an array's dtype, shape and bytes; of a structured one those of its fields."""
    if array.dtype.hasobject:
        raise TypeError(
            f"an array of dtype {array.dtype} has no content of its own to hash; give numbers, "
            "texts of a fixed length, or a list"
        )
    if isinstance(array, np.ma.MaskedArray):
        _feed_text(digest, "masked")
        _feed_array(digest, np.ma.getmaskarray(array))
        _feed_array(digest, np.asarray(array.fill_value))
    elif type(array) not in (np.ndarray, np.memmap):
        # A subclass may hold more than numbers: a unit, for one.
        _feed_text(digest, type(array).__qualname__)
        _feed_mapping(digest, getattr(array, "__dict__", {}))
    array = np.asarray(array)
    if array.dtype.names is not None:
        _feed_text(digest, f"fields {len(array.dtype.names)} {array.shape}")
        for name in array.dtype.names:  # one by one, without the padding between them
            _feed_text(digest, name)
            _feed_array(digest, array[name])
        return
    _feed_text(digest, f"array {array.dtype.str} {array.shape}")
    if array.nbytes == 0:
        return
    if array.flags.c_contiguous:
        digest.update(array.reshape(-1).view("uint8"))
        return
    # Blocks of rows, so that a view costs no copy of the whole.
    rows = max(1, _BLOCK_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        digest.update(np.ascontiguousarray(array[start : start + rows]).reshape(-1).view("uint8"))


def _feed_carrier(digest: Any, carrier: Any) -> None:
    """Add a carrier's array, place and attributes."""
    _feed_array(digest, carrier.values)
    crs = carrier.crs
    _feed_text(digest, f"transform {tuple(carrier.transform)}")
    _feed_text(digest, f"crs {crs.to_wkt() if hasattr(crs, 'to_wkt') else crs}")
    _feed_text(digest, f"fill {_text(carrier.fill_value_default)}")
    _feed_mapping(digest, {k: v for k, v in carrier.attrs.items() if k != "provenance"})


def _feed_labelled(digest: Any, labelled: Any) -> None:
    """Add a DataArray or Dataset: its values, coordinates, attributes and nodata value."""
    _feed_text(digest, f"{type(labelled).__name__} {labelled.dims} {getattr(labelled, 'name', '')}")
    _feed(digest, labelled.values if isinstance(labelled.values, np.ndarray) else dict(labelled))
    for name in sorted(labelled.coords, key=str):
        coordinate = labelled.coords[name]
        _feed_text(digest, f"{name} {coordinate.dims}")
        _feed(digest, np.asarray(coordinate))
        # The CRS is an attribute of a coordinate.
        _feed_mapping(digest, coordinate.attrs)
    known = {k: v for k, v in labelled.encoding.items() if k in _MEANING}
    _feed_mapping(digest, {k: v for k, v in labelled.attrs.items() if k != "provenance"} | known)


def _feed_mapping(digest: Any, mapping: Mapping[Any, Any]) -> None:
    """Add a dictionary in the order of its keys' texts."""
    _feed_text(digest, f"dict {len(mapping)}")
    for key, value in sorted((_text(k), v) for k, v in mapping.items()):
        _feed_text(digest, key)
        _feed(digest, value)


def _text(value: Any) -> str:
    """Return plain data, or an operator, as its canonical text."""
    try:
        return canonical(Encoder(refuse)(value))
    except NotSerializableError:
        raise TypeError(
            f"a {type(value).__name__} has no content that can be hashed; "
            "give arrays, GeoTensors, plain data or operators"
        ) from None


def _feed_text(digest: Any, text: str) -> None:
    """Add a text, led by its length, so that two texts are not the same as their sum."""
    raw = text.encode()
    digest.update(len(raw).to_bytes(8, "little"))
    digest.update(raw)


def fingerprint(obj: Any, within: tuple[int, ...] = ()) -> str:
    """Return a text that tells one configuration from another.

    Configured objects show their arguments; arrays, models and functions a hash of their content;
    readers their files with size and time of change. A function is told by its code, by what it
    holds (defaults, closure) and by what it uses of its own module. An object with `get_config`
    is told by its class's name and that config, any other by its whole state.

    Parameters
    ----------
    obj
        Anything: an operator, a function, a model, a Field, plain data.
    within
        The objects being looked at, so that one that holds itself comes to an end.

    Returns
    -------
    str
        A text for comparing and reading.

    Examples
    --------
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
    if is_carrier(obj):
        own = (obj.values, obj.transform, str(obj.crs), obj.fill_value_default)
        said = {name: value for name, value in obj.attrs.items() if name != "provenance"}
        return type(obj).__qualname__ + fingerprint((*own, said) if said else own, within)
    if isinstance(obj, np.ndarray):
        plain = obj if isinstance(obj, np.ma.MaskedArray) else obj.view(np.ndarray)
        content = fingerprint(plain.tolist()) if plain.dtype.hasobject else plain
        told_by = content_hash(content)[:_SHORT]
        return f"array(shape={obj.shape}, dtype={obj.dtype}, hash={told_by})"
    if isinstance(obj, dict):
        told = (f"{k}: {fingerprint(v, within)}" for k, v in obj.items())
        return _shortened("{" + ", ".join(told) + "}")
    if isinstance(obj, list | tuple):
        return _shortened("(" + ", ".join(fingerprint(item, within) for item in obj) + ")")
    if isinstance(obj, set | frozenset):
        return _shortened("(" + ", ".join(sorted(fingerprint(v, within) for v in obj)) + ")")
    if isinstance(obj, os.PathLike):
        return fingerprint_file(str(obj))
    if isinstance(obj, types.FunctionType):
        return _function(obj, within)
    return _object(obj, within)


def fingerprint_file(path: str) -> str:
    """Return a path with the file's size and time of change; a URL stays as it is.

    Parameters
    ----------
    path
        A file's path or URL.

    Returns
    -------
    str
        The real path, the size in bytes and the time of change in nanoseconds.

    Examples
    --------
    >>> fingerprint_file("https://example.org/scene.tif")
    'https://example.org/scene.tif'
    """
    try:
        stat = os.stat(path)
    except (OSError, ValueError):
        return str(path)
    return f"{os.path.realpath(path)} ({stat.st_size} bytes, {stat.st_mtime_ns})"


def _object(obj: Any, within: tuple[int, ...]) -> str:
    """Return a text for what is no plain data, array or function."""
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
    held = (getattr(field, name, None) for name in ("da", "ds", "gdf", "array"))
    inner = next((data for data in held if data is not None), field)
    file = getattr(inner, "encoding", {}).get("source")
    if file is None:
        return f"{type(inner).__name__}, {_pickle_hash(inner)}"
    # Which part of the file it is shows in the labels.
    labels = {str(key): np.asarray(value) for key, value in inner.coords.items()}
    return f"{type(inner).__name__}, {fingerprint_file(file)}, {fingerprint(labels)}"


def _function(function: types.FunctionType, within: tuple[int, ...], follow: bool = True) -> str:
    """Return a function's name and a hash of its code and of what it holds.

    With `follow` also of what it uses of its module's globals, one module deep: helpers of the
    same file, thresholds, a model.
    """
    code = list(_code(function.__code__))
    told = [text for part in code for text in (part.co_code.hex(), repr(part.co_names))]
    told += [fingerprint(c) for part in code for c in part.co_consts if type(c) is not type(part)]
    held = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    held += [function.__defaults__, function.__kwdefaults__]
    told.append(fingerprint(held, within))
    for name in sorted({name for part in code for name in part.co_names}) if follow else ():
        value = function.__globals__.get(name)
        if isinstance(value, types.FunctionType) and value.__module__ != function.__module__:
            told.append(_function(value, within, follow=False))
        elif value is not None and not isinstance(value, _NOT_FOLLOWED):
            told.append(f"{name}={fingerprint(value, within)}")
    return f"{function.__module__}.{function.__qualname__}#{_hash(' '.join(told).encode())}"


def _code(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield the code of a function and of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _code(constant)


def _is_filled(cell: types.CellType) -> bool:
    """Tell whether a closure's cell has a value yet."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:  # what a function names before it is there
        return False
    return True


def _shortened(text: str) -> str:
    """Return a text, or its hash where it is long."""
    return text if len(text) <= _LONGEST else f"#{_hash(text.encode())}"


def _hash(content: bytes) -> str:
    """Return the first 16 hex digits of the SHA-256 of bytes."""
    from hashlib import sha256

    return sha256(content).hexdigest()[:_SHORT]


def _pickle_hash(obj: Any) -> str:
    """Return a hash of an object's pickle."""
    import cloudpickle

    try:
        return _hash(cloudpickle.dumps(obj))
    except Exception:  # what cannot be pickled is told by its text
        return _hash(repr(obj).encode())
