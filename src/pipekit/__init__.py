"""An algebra of operators: each is a value that runs, composes, prints, pickles and serialises.

>>> from pipekit import Operator
>>> class Scale(Operator):
...     def __init__(self, factor):
...         self.factor = factor
...     def _apply(self, x):
...         return x * self.factor
>>> pipeline = Scale(2) | Scale(3)
>>> pipeline(7), pipeline[0], pipeline == Scale(2) | Scale(3)
(42, Scale(factor=2), True)
"""

from typing import TYPE_CHECKING, Any

from pipekit.blocks import Const, Fanout, Identity, Lambda, Pick, Sink
from pipekit.encode import NotSerializableError
from pipekit.graph import Graph, GraphError
from pipekit.node import Input, Node
from pipekit.operator import Operator
from pipekit.sequential import Sequential

if TYPE_CHECKING:
    from pipekit.bands import ApplyToBands, Subsample
    from pipekit.cache import Cache
    from pipekit.compare import ABResult, Diff, DiffError, ab_test, config_diff, max_difference
    from pipekit.control import Branch, Coalesce, CoalesceError, Switch, Try
    from pipekit.hashing import content_hash
    from pipekit.histogram import Histogram
    from pipekit.mode import ModeGated, current_mode, pipeline_mode
    from pipekit.model import ModelOp
    from pipekit.observe import ShapeTrace, Snapshot, Tap
    from pipekit.parallel import BatchedMap, ProcessMap, ThreadMap
    from pipekit.profile import Profile
    from pipekit.provenance import Provenance
    from pipekit.qc import (
        AssertDType,
        AssertHasAttribute,
        AssertShape,
        AssertValidFraction,
        AssertValueRange,
        QCError,
        QCWarning,
    )
    from pipekit.quarantine import Quarantine
    from pipekit.registry import (
        ConfigError,
        Registry,
        UntrustedOperatorError,
        default_registry,
        register,
    )
    from pipekit.retry import Retry
    from pipekit.serialize import from_config, from_yaml, to_config, to_yaml
    from pipekit.spy import Spy

# Loaded when first used, so that `import pipekit` costs hardly more than `import numpy`.
_LATER = {
    "bands": ("ApplyToBands", "Subsample"),
    "cache": ("Cache",),
    "compare": ("ABResult", "Diff", "DiffError", "ab_test", "config_diff", "max_difference"),
    "control": ("Branch", "Coalesce", "CoalesceError", "Switch", "Try"),
    "hashing": ("content_hash",),
    "histogram": ("Histogram",),
    "mode": ("ModeGated", "current_mode", "pipeline_mode"),
    "model": ("ModelOp",),
    "observe": ("ShapeTrace", "Snapshot", "Tap"),
    "parallel": ("BatchedMap", "ProcessMap", "ThreadMap"),
    "profile": ("Profile",),
    "provenance": ("Provenance",),
    "qc": (
        "AssertDType",
        "AssertHasAttribute",
        "AssertShape",
        "AssertValidFraction",
        "AssertValueRange",
        "QCError",
        "QCWarning",
    ),
    "quarantine": ("Quarantine",),
    "registry": (
        "ConfigError",
        "Registry",
        "UntrustedOperatorError",
        "default_registry",
        "register",
    ),
    "retry": ("Retry",),
    "serialize": ("from_config", "from_yaml", "to_config", "to_yaml"),
    "spy": ("Spy",),
}
_MODULE_OF = {name: module for module, names in _LATER.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'pipekit' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"pipekit.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = [
    "ABResult",
    "ApplyToBands",
    "AssertDType",
    "AssertHasAttribute",
    "AssertShape",
    "AssertValidFraction",
    "AssertValueRange",
    "BatchedMap",
    "Branch",
    "Cache",
    "Coalesce",
    "CoalesceError",
    "ConfigError",
    "Const",
    "Diff",
    "DiffError",
    "Fanout",
    "Graph",
    "GraphError",
    "Histogram",
    "Identity",
    "Input",
    "Lambda",
    "ModeGated",
    "ModelOp",
    "Node",
    "NotSerializableError",
    "Operator",
    "Pick",
    "ProcessMap",
    "Profile",
    "Provenance",
    "QCError",
    "QCWarning",
    "Quarantine",
    "Registry",
    "Retry",
    "Sequential",
    "ShapeTrace",
    "Sink",
    "Snapshot",
    "Spy",
    "Subsample",
    "Switch",
    "Tap",
    "ThreadMap",
    "Try",
    "UntrustedOperatorError",
    "ab_test",
    "config_diff",
    "content_hash",
    "current_mode",
    "default_registry",
    "from_config",
    "from_yaml",
    "max_difference",
    "pipeline_mode",
    "register",
    "to_config",
    "to_yaml",
]
