"""Operators, axes and patchers as JSON and YAML, and back, exactly and safely."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from operator import gt
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from pipekit.config import (
    JSON,
    NAMED_TYPES,
    STANDARD,
    Encoder,
    Limits,
    construct,
    from_base64,
    is_configurable,
    refuse,
    signature,
)
from pipekit.registry import (
    ConfigError,
    Registry,
    UntrustedOperatorError,
    default_registry,
    touches_files,
)

_LARGEST_LISTED = 1 << 26
_NOT_OF_A_VALUE = (OSError, ImportError, MemoryError, RecursionError)
"""What fails without a value of the config being wrong, or is told by who reads all of it."""
_FLOATS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
_BEYOND = (
    "is nested deeper than {} levels",
    "holds more than {} operators",
    "holds more than {} values",
    "has texts longer than {} characters in all",
)


class _Place(NamedTuple):
    """A value of a config with its depth and path; the path is joined only for messages."""

    value: Any
    depth: int
    keys: tuple[str, ...]

    def path(self) -> str:
        """Return the place as text for a message."""
        return "".join(self.keys).lstrip(".") or "the top of the config"


def check(config: Any, registry: Registry, limits: Limits) -> None:
    """Check limits, structure and names of a whole config, without building anything.

    It does not recurse, and stops at the first value beyond a limit.

    Parameters
    ----------
    config
        What `to_config` returned, or the same written by hand.
    registry
        The classes that may be built.
    limits
        How large it may be.

    Raises
    ------
    UntrustedOperatorError
        A class is not in the registry.
    ConfigError
        A limit is exceeded, or the config is malformed.

    Examples
    --------
    >>> check({"class": "Stranger", "config": {}}, Registry(), Limits())
    Traceback (most recent call last):
    pipekit.registry.UntrustedOperatorError: the top of the config: the class 'Stranger' is not ...
    """
    stack = [_Place(config, 1, ())]
    values = operators = size = 0
    while stack:
        place = stack.pop()
        values += 1
        size += _text_size(place.value)
        operators += _is_node(place.value)
        members = len(place.value) if isinstance(place.value, list | dict) else 0
        beyond = list(map(gt, (place.depth, operators, values + members, size), limits))
        if True in beyond:
            first = beyond.index(True)
            raise ConfigError(f"the config {_BEYOND[first].format(limits[first])}")
        if _is_node(place.value):
            _check_node(place, registry)
        stack.extend(_children(place))


def _text_size(value: Any) -> int:
    """Return how many characters a value takes, those of its members left out."""
    if isinstance(value, str):
        return len(value)
    if type(value) is int:
        return value.bit_length() // 3
    return sum(len(k) for k in value if isinstance(k, str)) if isinstance(value, dict) else 0


def _is_node(value: Any) -> bool:
    """Tell whether a value stands for an operator."""
    return isinstance(value, dict) and value.keys() == {"class", "config"}


def _check_node(place: _Place, registry: Registry) -> None:
    """Refuse a class that may not be built, and arguments that it does not have."""
    name, config = place.value["class"], place.value["config"]
    if not isinstance(name, str) or name not in registry:
        shown = repr(name) if isinstance(name, str) and len(name) < 100 else type(name).__name__
        raise UntrustedOperatorError(
            f"{place.path()}: the class {shown} is not in the registry; "
            + registry.way_out(name if isinstance(name, str) else "")
        )
    if not isinstance(config, dict):
        _fail(place, f"the config of {name} must be a mapping, got {type(config).__name__}")
    cls = registry[name]
    known = getattr(cls, "_config_names", None) or tuple(signature(cls).parameters)
    unknown = [key for key in config if key not in known]
    if unknown:
        accepts = ", ".join(known) or "no arguments"
        _fail(place, f"{name} has no argument {str(unknown[0])[:100]!r}; it takes {accepts}")


def _children(place: _Place) -> Iterator[_Place]:
    """Yield the members of a value, refusing what is no JSON."""
    value, depth = place.value, place.depth + 1
    if isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield _Place(item, depth, (*place.keys, f"[{i}]"))
    elif _is_node(value):
        # The path follows the arguments: operators[1].factor, not config.operators[1].config.
        for key, item in value["config"].items():
            yield _Place(item, depth, (*place.keys, f".{key}"))
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                _fail(place, f"keys are text, got {key!r}; write other keys as $dict pairs")
            yield _Place(item, depth, (*place.keys, f"[{key!r}]"))
    elif not (value is None or isinstance(value, bool | int | float | str)):
        _fail(place, f"a config holds JSON values, got a {type(value).__name__}")


def _fail(place: _Place, message: str) -> NoReturn:
    """Raise for a place of the config."""
    raise ConfigError(f"{place.path()}: {message}")


class Decoder:
    """Builds values from tagged JSON that `check` has passed.

    Parameters
    ----------
    registry
        The classes that may be built.

    Examples
    --------
    >>> Decoder(Registry())({"$tuple": [1, {"$float": "inf"}]})
    (1, inf)
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def __call__(self, encoded: Any, path: str = "") -> Any:
        """Read one value; `path` is where it is, for error messages."""
        if isinstance(encoded, list | tuple):
            return type(encoded)(self(item, f"{path}[{i}]") for i, item in enumerate(encoded))
        if not isinstance(encoded, dict):
            return encoded
        if _is_node(encoded):
            return self._node(encoded, path)
        if any(key.startswith("$") for key in encoded):
            return self._tagged(encoded, path)
        return {key: self(item, f"{path}[{key!r}]") for key, item in encoded.items()}

    def _node(self, node: dict[str, Any], path: str) -> Any:
        """Build an operator, and refuse one that its arguments make unfit for a config."""
        cls: Any = self.registry[node["class"]]
        values = {
            name: self(item, f"{path}.{name}" if path else name)
            for name, item in node["config"].items()
        }
        make: Callable[[dict[str, Any]], Any] | None = getattr(cls, "_from_config_values", None)
        try:
            built = construct(cls, values) if make is None else make(values)
        except _NOT_OF_A_VALUE:
            raise
        except Exception as error:  # whatever an argument that does not fit raises
            where = path or "the top of the config"
            raise ConfigError(f"{where}: {cls.__name__} refuses its arguments: {error}") from error
        where = f"{path or 'the top of the config'}: a {cls.__name__} with these arguments"
        if getattr(built, "forbid_in_yaml", False):
            raise UntrustedOperatorError(f"{where} is not built from a config; make it in code")
        if touches_files(built) and not self.registry.files:
            raise UntrustedOperatorError(
                f"{where} reads or writes files; give files=True if you trust the config"
            )
        return built

    def _tagged(self, encoded: dict[str, Any], path: str) -> Any:
        """Read a value that carries a tag."""
        tag, body = next(iter(encoded.items()))
        where = path or "the top of the config"
        known = _TAGS.keys() | STANDARD.keys()
        if len(encoded) != 1 or tag not in known:
            raise ConfigError(f"{where}: {sorted(encoded)} is no known tag; known: {sorted(known)}")
        try:
            return STANDARD[tag][2](body) if tag in STANDARD else _TAGS[tag](self, body, path)
        except (ConfigError, *_NOT_OF_A_VALUE):
            raise
        except Exception as error:  # numpy reads a dtype's text as Python, and fails as Python does
            raise ConfigError(f"{where}: cannot read {tag}: {error}") from error


def _read_exception(decoder: Decoder, body: Any, path: str) -> type[Exception]:
    """Read an exception class: a built-in or registered one."""
    found = decoder.registry.exception(body)
    if found is None:
        raise UntrustedOperatorError(f"{path}: the exception {body!r} is not in the registry")
    return found


def _read_type(decoder: Decoder, body: Any, path: str) -> type:
    """Read a type of Python or numpy by its name in the table."""
    if body not in NAMED_TYPES:
        raise ValueError(f"{body!r} is no plain type")
    return NAMED_TYPES[body]


def _read_dtype(decoder: Decoder, body: Any, path: str) -> np.dtype[Any]:
    """Read a dtype that holds neither objects nor fields."""
    if not isinstance(body, str):
        raise TypeError(f"a dtype is a text, got {body!r}")
    dtype: np.dtype[Any] = np.dtype(body)
    if dtype.hasobject or dtype.names:
        raise ValueError(f"dtype {body!r} is not a plain one")
    return dtype


def _read_array(decoder: Decoder, body: Any, path: str) -> np.ndarray[Any, Any]:
    """Read an array from its list or from base64."""
    dtype = _read_dtype(decoder, body["dtype"], path)
    shape = tuple(body["shape"])
    if not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"a shape is a list of whole numbers, got {shape}")
    if "base64" in body:
        # A bytearray, for the array to be writable as the one that was saved.
        raw = bytearray(from_base64(body["base64"]))
        return np.frombuffer(raw, dtype=dtype).reshape(shape)
    if len(body["values"]) * dtype.itemsize > _LARGEST_LISTED:
        raise ValueError(f"{len(body['values'])} listed values of {dtype} are too many")
    values = [decoder(item, path) for item in body["values"]]
    if math.prod(shape) != len(values):
        raise ValueError(f"shape {shape} does not fit {len(values)} values")
    return np.array(values, dtype=dtype).reshape(shape)


_TAGS: dict[str, Callable[[Decoder, Any, str], Any]] = {
    "$tuple": lambda d, body, path: tuple(d(body, path)),
    "$set": lambda d, body, path: set(d(body, path)),
    "$frozenset": lambda d, body, path: frozenset(d(body, path)),
    "$dict": lambda d, body, path: {d(k, path): d(v, f"{path}[{k!r}]") for k, v in body},
    "$float": lambda d, body, path: _FLOATS[body],
    "$path": lambda d, body, path: Path(body),
    "$type": _read_type,
    "$exception": _read_exception,
    "$dtype": _read_dtype,
    "$ndarray": _read_array,
    "$scalar": lambda d, body, path: _read_array(d, body, path)[()],
}


def decode(config: JSON, registry: Registry, limits: Limits) -> Any:
    """Check a config and build what it describes.

    Parameters
    ----------
    config
        JSON that an `Encoder` wrote, or the same written by hand.
    registry
        The classes that may be built.
    limits
        How large it may be.

    Returns
    -------
    object
        What it describes.

    Raises
    ------
    ConfigError
        It is malformed, beyond a limit, or names a class that is not in the registry.

    Examples
    --------
    >>> decode({"$tuple": [1, 2]}, Registry(), Limits())
    (1, 2)
    """
    check(config, registry, limits)
    try:
        return Decoder(registry)(config)
    except RecursionError:
        raise ConfigError(f"max_depth={limits.max_depth} is deeper than Python can read") from None


def to_config(op: Any) -> dict[str, Any]:
    """Return an operator, axis or patcher as JSON, nested.

    It is `{"class": name, "config": {argument: value}}`. What JSON has no form for carries a tag,
    so that nothing is lost: `{"$tuple": [1, 2]}`.

    Parameters
    ----------
    op
        An operator, an axis, a patcher or a dataclass instance.

    Returns
    -------
    dict
        What `json.dumps` takes.

    Raises
    ------
    NotSerializableError
        Something in it (a function, a model) has no text form; the message names where.

    Examples
    --------
    >>> from pipekit import AssertShape
    >>> to_config(AssertShape((4, None)))
    {'class': 'AssertShape', 'config': {'shape': {'$tuple': [4, None]}, 'on_fail': 'raise'}}
    """
    if not is_configurable(op):
        raise TypeError(f"to_config takes an operator, got a {type(op).__name__}")
    return Encoder(refuse).node(op, "")


def from_config(
    cfg: Any,
    registry: Registry | None = None,
    *,
    files: bool = False,
    max_depth: int = Limits().max_depth,
    max_operators: int = Limits().max_operators,
    max_values: int = Limits().max_values,
    max_bytes: int = Limits().max_bytes,
) -> Any:
    """Build the operator, axis or patcher that a config describes.

    The whole config is checked before the first constructor runs; no name in it is ever imported
    or evaluated.

    Parameters
    ----------
    cfg
        What `to_config` returned, or the same written by hand.
    registry
        The classes that may be built. By default all that the five packages ship, what was
        registered, and what other distributions offer as entry points (see `default_registry`),
        but nothing that touches files or holds a function.
    files
        Also build what reads or writes files where the config says.
    max_depth
        The deepest nesting of lists and mappings.
    max_operators
        The most operators.
    max_values
        The most values of any kind.
    max_bytes
        The most characters of all texts together.

    Returns
    -------
    object
        The operator, axis or patcher, equal to the one that was written.

    Raises
    ------
    UntrustedOperatorError
        A class is not in the registry, or touches files; its path is named.
    ConfigError
        The config is malformed or beyond a limit.

    Examples
    --------
    >>> from_config({"class": "AssertDType", "config": {"dtype": "float32"}})
    AssertDType(dtype='float32', on_fail='raise')
    >>> from_config({"class": "os.system", "config": {}})
    Traceback (most recent call last):
    pipekit.registry.UntrustedOperatorError: the top of the config: the class 'os.system' is not ...
    """
    known = default_registry() if registry is None else registry
    if not isinstance(known, Registry):
        raise TypeError(
            f"registry must be a Registry, got a {type(known).__name__}; "
            "write Registry([MyOperator, ...]), or leave it out"
        )
    limits = Limits(max_depth, max_operators, max_values, max_bytes)
    op = decode(cfg, known.with_files() if files else known, limits)
    if not is_configurable(op):
        raise ConfigError(
            "the top of the config must be an operator, {'class': ..., 'config': {...}}, "
            f"got a {type(op).__name__}"
        )
    return op


def to_yaml(op: Any) -> str:
    """Return an operator, axis or patcher as YAML text, its arguments in the constructor's order.

    Parameters
    ----------
    op
        An operator, an axis or a patcher.

    Returns
    -------
    str
        YAML in block style.

    Raises
    ------
    NotSerializableError
        As `to_config`.

    Examples
    --------
    >>> from pipekit import AssertDType
    >>> print(to_yaml(AssertDType("float32")), end="")
    class: AssertDType
    config:
      dtype: float32
      on_fail: raise
    """
    from pipekit.yaml_text import dump

    return dump(to_config(op))


def from_yaml(
    text: str,
    registry: Registry | None = None,
    *,
    files: bool = False,
    **limits: int,
) -> Any:
    """Build what a YAML text describes; arguments, limits and errors are those of `from_config`.

    The text is read by YAML 1.2's rules for plain words (`on` and `yes` are texts, `1e-4` is a
    number); anchors, aliases, tags and repeated keys are refused.

    Parameters
    ----------
    text
        YAML, such as `to_yaml` returned.
    registry
        The classes that may be built; see `from_config`.
    files
        Also build what reads or writes files where the text says.
    **limits
        `max_depth`, `max_operators`, `max_values`, `max_bytes`; see `from_config`.

    Returns
    -------
    object
        The operator, axis or patcher.

    Examples
    --------
    >>> from pipekit import Identity
    >>> from_yaml(to_yaml(Identity())) == Identity()
    True
    """
    from pipekit.yaml_text import parse

    return from_config(parse(text, Limits(**limits)), registry, files=files, **limits)
