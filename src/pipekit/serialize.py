"""Operators as JSON and YAML, and back, exactly and safely."""

from __future__ import annotations

from typing import Any, cast

from pipekit.decode import Limits, decode
from pipekit.encode import Encoder, refuse
from pipekit.operator import Operator
from pipekit.registry import ConfigError, Registry, default_registry


def to_config(op: Operator) -> dict[str, Any]:
    """Return an operator as JSON: `{"class": name, "config": {argument: value}}`, nested.

    What JSON has no form for carries a tag, so that nothing is lost: `{"$tuple": [1, 2]}`.

    Raises:
        NotSerializableError: something in it (a function, a model) has no text form; the message
            names where.

    >>> from pipekit import AssertShape
    >>> to_config(AssertShape((4, None)))
    {'class': 'AssertShape', 'config': {'shape': {'$tuple': [4, None]}, 'on_fail': 'raise'}}
    """
    if not isinstance(op, Operator):
        raise TypeError(f"to_config takes an operator, got a {type(op).__name__}")
    return Encoder(refuse).node(op, "")


def from_config(
    cfg: Any,
    registry: Registry | None = None,
    *,
    max_depth: int = Limits().max_depth,
    max_operators: int = Limits().max_operators,
    max_values: int = Limits().max_values,
    max_bytes: int = Limits().max_bytes,
) -> Operator:
    """Build the operator that a config describes, from the classes of a registry only.

    The whole config is checked before the first constructor runs; no name in it is ever imported
    or evaluated.

    Args:
        cfg: what `to_config` returned, or the same written by hand.
        registry: the classes that may be built; by default pipekit's and what was registered.
        max_depth: the deepest nesting of lists and mappings.
        max_operators: the most operators.
        max_values: the most values of any kind.
        max_bytes: the most characters of all texts together.

    Raises:
        UntrustedOperatorError: a class is not in the registry; its path is named.
        ConfigError: the config is malformed or beyond a limit.

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
    op = decode(cfg, known, limits)
    if not isinstance(op, Operator):
        raise ConfigError(
            "the top of the config must be an operator, {'class': ..., 'config': {...}}, "
            f"got a {type(op).__name__}"
        )
    return op


def to_yaml(op: Operator) -> str:
    """Return an operator as YAML text, its arguments in the constructor's order.

    Raises:
        NotSerializableError: as `to_config`.

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
    max_depth: int = Limits().max_depth,
    max_operators: int = Limits().max_operators,
    max_values: int = Limits().max_values,
    max_bytes: int = Limits().max_bytes,
) -> Operator:
    """Build the operator that a YAML text describes; see `from_config`.

    The text is read by YAML 1.2's rules for plain words (`on` and `yes` are texts, `1e-4` is a
    number); anchors, aliases, tags and repeated keys are refused.

    Raises:
        UntrustedOperatorError: a class is not in the registry; its path is named.
        ConfigError: the text is no YAML, or is malformed or beyond a limit.

    >>> from pipekit import Identity
    >>> from_yaml(to_yaml(Identity())) == Identity()
    True
    """
    from pipekit.yaml_text import parse

    limits = Limits(max_depth, max_operators, max_values, max_bytes)
    config = parse(text, limits)
    return from_config(cast(Any, config), registry, **limits._asdict())
