"""Equal content, equal text: a hash of data, and a text that tells what a run is made of."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import sysconfig
import types
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from pipekit.carrier import is_carrier
from pipekit.config import Encoder, NotSerializableError, canonical, config_values, refuse
from pipekit.files import files_of

_DIGITS = 32
_BLOCK_BYTES = 1 << 22
_SHORT = 16

_LONGEST = 2000
"""Characters up to which a part is told in full; a longer one, such as a model, by its hash."""

_MEANING = ("_FillValue", "grid_mapping")
"""What xarray keeps of a file's attributes beside them, and rioxarray reads."""

_READ_BY = ("indexes", "window_focus", "fill_value_default", "overview_level", "stack")
_ROOTS = map(re.escape, (str(Path(__file__).parents[1]), sysconfig.get_path("stdlib")))
_LIBRARY = re.compile("|".join([*_ROOTS, r".*[\\/](site|dist)-packages[\\/]"]))
"""Where functions and classes lie whose code is not told."""


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
    _feed_mapping(digest, _attrs(carrier))


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
    _feed_mapping(digest, _attrs(labelled))


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


def fingerprint(obj: Any, within: tuple[Any, ...] = ()) -> str:
    """Return a text that tells one configuration from another.

    Configured objects show their arguments; arrays, models and functions a hash of their content;
    readers their files with size and time of change. A function is told by its code, by what it
    holds (defaults, closure) and by what it uses of its own module. An operator is told by its
    class and arguments, any other object by its whole state; a class by the code of its methods.
    Functions and classes of libraries are known by their names.

    Parameters
    ----------
    obj
        Anything: an operator, a function, a model, a Field, plain data.
    within
        The functions told so far, and the objects being looked at, so that one that holds itself
        comes to an end.

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
    within = (*(within or ({},)), id(obj))
    if hasattr(obj, "paths") and hasattr(obj, "window_focus"):  # a georeader reader
        files = ", ".join(fingerprint_file(str(path)) for path in obj.paths)
        told = (f"{name}={getattr(obj, name, None)}" for name in _READ_BY)
        return f"{type(obj).__qualname__}({files}, {', '.join(told)})"
    if is_carrier(obj):
        own = (obj.values, obj.transform, str(obj.crs), obj.fill_value_default, _attrs(obj))
        return type(obj).__qualname__ + fingerprint(own, within)
    if isinstance(obj, np.ndarray):
        plain = obj if isinstance(obj, np.ma.MaskedArray) else obj.view(np.ndarray)
        content = fingerprint(plain.tolist()) if plain.dtype.hasobject else plain
        return f"array(shape={obj.shape}, dtype={obj.dtype}, hash={content_hash(content)[:_SHORT]})"
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
        A file's path or URL, or another name that GDAL reads it by.

    Returns
    -------
    str
        The real path, the size in bytes and the time of change in nanoseconds; of a mosaic (.vrt)
        also those of the files that it reads. A name that is no path stands before them.

    Examples
    --------
    >>> fingerprint_file("https://example.org/scene.tif")
    'https://example.org/scene.tif'
    """
    told = [] if os.path.exists(path) else [path]
    with suppress(OSError, ValueError):
        for file in files_of(path):
            stat = file.stat()
            told.append(f"{os.path.realpath(file)} ({stat.st_size} bytes, {stat.st_mtime_ns})")
    return ", ".join(told)


def _object(obj: Any, within: tuple[Any, ...]) -> str:
    """Return a text for what is no plain data, array or function."""
    name = type(obj).__qualname__
    if isinstance(obj, type):
        return f"{obj.__module__}.{obj.__qualname__}{_methods(obj, within)}"
    if not isinstance(getattr(obj, "__self__", None), types.ModuleType | None):  # a method
        return f"{fingerprint(obj.__self__, within)}.{obj.__name__}"
    if isinstance(obj, np.dtype | types.BuiltinFunctionType | np.ufunc):
        return str(obj)
    if hasattr(obj, "dims") and hasattr(obj, "coords"):
        return name + _labelled(obj, within)
    if hasattr(obj, "dask") and hasattr(obj, "name"):  # of equal content where names are equal
        return f"{name}({obj.name})"
    if hasattr(obj, "__wrapped__"):  # a function behind a cache
        return f"{name}({fingerprint(obj.__wrapped__, within)})"
    if hasattr(obj, "detach") and hasattr(obj, "cpu"):  # a torch tensor, parameters too
        return fingerprint(np.asarray(obj.detach().cpu()), within)
    name += _methods(type(obj), within)
    if hasattr(obj, "_config_values"):
        return name + fingerprint(config_values(obj), within)
    if callable(getattr(obj, "get_config", None)):  # a Keras model's leaves the weights out
        weights = {"weights": obj.get_weights()} if hasattr(obj, "get_weights") else {}
        return name + fingerprint({**obj.get_config(), **weights}, within)
    if dataclasses.is_dataclass(obj):
        values = {f.name: getattr(obj, f.name) for f in dataclasses.fields(obj)}
        return name + fingerprint(values, within)
    return name + _state(obj, within)


def _state(obj: Any, within: tuple[Any, ...]) -> str:
    """Return what an object would be pickled with, as a text, and the files that it names."""
    try:
        reduced = obj.__reduce_ex__(2)
    except Exception:  # a lock, an open file: told by its class alone
        return ""
    if isinstance(reduced, str):
        return f"({reduced})"
    make, arguments, *rest = reduced
    is_plain = getattr(make, "__name__", "") == "__newobj__" and len(arguments) == 1
    held = [] if is_plain else [getattr(make, "keywords", None), arguments]
    held += [list(part) if isinstance(part, Iterator) else part for part in rest]
    told = [fingerprint(part, within) for part in held if part is not None]
    if isinstance(paths := getattr(obj, "paths", None), list | tuple):
        told += [fingerprint_file(str(path)) for path in paths]
    return _shortened(", ".join(told)) or "()"


def _labelled(labelled: Any, within: tuple[Any, ...]) -> str:
    """Return a text for a DataArray or Dataset: what is in memory, or where it is to be read."""
    variables = getattr(labelled, "data_vars", {getattr(labelled, "name", ""): labelled})
    told = {k: (v.dims, v.shape, _attrs(v), _numbers(v, labelled)) for k, v in variables.items()}
    labels = {k: (v.dims, np.asarray(v), _attrs(v)) for k, v in labelled.coords.items()}
    return fingerprint((told, labels), within)


def _attrs(labelled: Any) -> dict[Any, Any]:
    """Return what is said of numbers: their attributes, and what is kept beside these."""
    known = {k: v for k, v in getattr(labelled, "encoding", {}).items() if k in _MEANING}
    return {k: v for k, v in labelled.attrs.items() if k != "provenance"} | known


def _numbers(each: Any, labelled: Any) -> Any:
    """Return the numbers of a variable, or what stands for those that are not read yet."""
    data = each.variable._data
    file = each.encoding.get("source") or labelled.encoding.get("source")
    keys = []
    while file is not None and hasattr(data, "array"):  # xarray's wrappers of what is not read
        keys.append(repr(getattr(data, "key", "")))  # which part of the file it is
        data = data.array
    is_read = file is None or hasattr(data, "dask") or isinstance(data, np.ndarray)
    return keys, str(each.dtype), data if is_read else fingerprint_file(str(file))


def _methods(cls: type, within: tuple[Any, ...]) -> str:
    """Return a hash of the code of a class and its bases, "" for those of libraries.

    Its constants count too: plain values that are attributes of the class.
    """
    told = []
    for base in cls.__mro__:
        if _LIBRARY.match(getattr(sys.modules.get(base.__module__), "__file__", None) or ""):
            continue
        for name, value in sorted(vars(base).items()):
            for held in ("__func__", "fget", "func"):  # of a static method, a property, a cached
                value = getattr(value, held, value)
            if isinstance(value, types.FunctionType):
                told.append(f"{name}={fingerprint(value, (*within, id(base)))}")
            elif isinstance(value, bool | int | float | str | tuple) and name[:2] != "__":
                told.append(f"{name}={fingerprint(value, within)}")
    return f"#{_hash(' '.join(told).encode())}" if told else ""


def _function(function: types.FunctionType, within: tuple[Any, ...], follow: bool = True) -> str:
    """Return a function's name and a hash of its code and of what it holds.

    With `follow` also of what it uses of its module's globals, one module deep: helpers of the
    same file, thresholds, a model.
    """
    known, key = within[0], (function, follow)
    if key in known:  # what helpers share is not gone through once for each
        return str(known[key])
    known[key] = function.__qualname__
    code = [] if _LIBRARY.match(function.__code__.co_filename) else list(_code(function.__code__))
    told = [text for part in code for text in (part.co_code.hex(), repr(part.co_names))]
    told += [fingerprint(c) for part in code for c in part.co_consts if type(c) is not type(part)]
    held: list[Any] = [function.__defaults__, function.__kwdefaults__]
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # what a function names before it is there
            held.append(cell.cell_contents)
    told.append(fingerprint(held, within))
    for name in sorted({name for part in code for name in part.co_names}) if follow else ():
        value = function.__globals__.get(name)
        if isinstance(value, types.FunctionType) and value.__module__ != function.__module__:
            told.append(_function(value, within, follow=False))
        elif value is not None and not isinstance(value, types.ModuleType):
            told.append(f"{name}={fingerprint(value, within)}")
    known[key] = f"{function.__module__}.{function.__qualname__}#{_hash(' '.join(told).encode())}"
    return str(known[key])


def _code(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield the code of a function and of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _code(constant)


def _shortened(text: str) -> str:
    """Return a text, or its hash where it is long."""
    return text if len(text) <= _LONGEST else f"#{_hash(text.encode())}"


def _hash(content: bytes) -> str:
    """Return the first 16 hex digits of the SHA-256 of bytes."""
    from hashlib import sha256

    return sha256(content).hexdigest()[:_SHORT]
