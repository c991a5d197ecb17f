"""YAML with the meaning of JSON: no surprises in plain words, and nothing that can explode."""

from __future__ import annotations

import re
from typing import Any

import yaml

from pipekit.config import Limits
from pipekit.registry import ConfigError

# YAML 1.1 reads `on`, `yes` and `2024-06-14` as booleans and dates, and `1e-4` as a text. Reader
# and writer share YAML 1.2's core schema instead, so that both agree on what must be quoted.
# Each kind of word, and the first letters it may have: others are not looked at.
_WORDS = (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A safe loader whose plain words follow the core schema."""


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """A safe dumper whose plain words follow the core schema, and which writes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _kind in (_Loader, _Dumper):
    _kind.yaml_implicit_resolvers = {}
    for _name, _pattern, _firsts in _WORDS:
        _kind.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(_pattern), [*_firsts])


def _integer(loader: Any, node: Any) -> int:
    """Read `010` as ten, as the core schema does, not as eight."""
    return int(loader.construct_scalar(node), 10)


def _mapping(loader: Any, node: Any) -> dict[Any, Any]:
    """Read a mapping, refusing a repeated key: the last one would win in silence."""
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise ConfigError(f"{_line(key_node)}: keys are text, got {key!r}; quote it")
        if key in found:
            raise ConfigError(f"{_line(key_node)}: the key {key!r} is given twice")
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def dump(config: Any) -> str:
    """Return a config as block-style YAML, in its own order.

    Parameters
    ----------
    config
        Lists, mappings and plain values.

    Returns
    -------
    str
        YAML.

    Examples
    --------
    >>> print(dump({"on": ["1e-4", 1e-4]}), end="")
    on:
    - '1e-4'
    - 0.0001
    """
    text: str = yaml.dump(config, Dumper=_Dumper, sort_keys=False, default_flow_style=False)
    return text


def parse(text: str, limits: Limits) -> Any:
    """Return a YAML text as lists, mappings and plain values, within limits.

    Parameters
    ----------
    text
        YAML.
    limits
        How large it may be.

    Returns
    -------
    object
        What it describes.

    Raises
    ------
    ConfigError
        It is too large or too deep, no YAML, or uses anchors, aliases or tags.

    Examples
    --------
    >>> parse("on: [yes, 010, 1e-4]", Limits())
    {'on': ['yes', 10, 0.0001]}
    """
    if not isinstance(text, str):
        raise TypeError(f"from_yaml takes a text, got a {type(text).__name__}")
    if len(text) > limits.max_bytes:
        raise ConfigError(
            f"the YAML text has {len(text)} characters, more than max_bytes={limits.max_bytes}"
        )
    try:
        _check_events(text, limits)
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"this is no valid YAML: {error}") from error


def _check_events(text: str, limits: Limits) -> None:
    """Walk the text's events, which needs no recursion, before anything is built."""
    depth = count = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ConfigError(f"{_line(event)}: anchors and aliases are refused")
        if getattr(event, "tag", None):
            raise ConfigError(f"{_line(event)}: tags are refused")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        count += isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        if depth > limits.max_depth:
            raise ConfigError(f"the YAML is nested deeper than {limits.max_depth} levels")
        # A mapping's keys are events too, hence the factor.
        if count > 2 * limits.max_values:
            raise ConfigError(f"the YAML holds more than {limits.max_values} values")


def _line(event: Any) -> str:
    """Say where an event or node of YAML begins."""
    return f"line {event.start_mark.line + 1}"
