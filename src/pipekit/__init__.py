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

from typing import TYPE_CHECKING

from pipekit.lazy import lazily

if TYPE_CHECKING:
    from pipekit.blocks import ApplyToBands as ApplyToBands
    from pipekit.blocks import Const as Const
    from pipekit.blocks import Fanout as Fanout
    from pipekit.blocks import Identity as Identity
    from pipekit.blocks import Lambda as Lambda
    from pipekit.blocks import Pick as Pick
    from pipekit.blocks import Sink as Sink
    from pipekit.blocks import Subsample as Subsample
    from pipekit.blocks import Tap as Tap
    from pipekit.cache import Cache as Cache
    from pipekit.cache import Memoize as Memoize
    from pipekit.compare import ABResult as ABResult
    from pipekit.compare import Diff as Diff
    from pipekit.compare import DiffError as DiffError
    from pipekit.compare import ab_test as ab_test
    from pipekit.compare import config_diff as config_diff
    from pipekit.compare import max_difference as max_difference
    from pipekit.config import NotSerializableError as NotSerializableError
    from pipekit.control import Branch as Branch
    from pipekit.control import Coalesce as Coalesce
    from pipekit.control import CoalesceError as CoalesceError
    from pipekit.control import ModeGated as ModeGated
    from pipekit.control import Switch as Switch
    from pipekit.control import Try as Try
    from pipekit.control import current_mode as current_mode
    from pipekit.control import pipeline_mode as pipeline_mode
    from pipekit.fingerprint import content_hash as content_hash
    from pipekit.graph import Graph as Graph
    from pipekit.graph import GraphError as GraphError
    from pipekit.measure import measure_radius as measure_radius
    from pipekit.model import ModelOp as ModelOp
    from pipekit.observe import Histogram as Histogram
    from pipekit.observe import Profile as Profile
    from pipekit.observe import ShapeTrace as ShapeTrace
    from pipekit.observe import Snapshot as Snapshot
    from pipekit.observe import Spy as Spy
    from pipekit.operator import Input as Input
    from pipekit.operator import Node as Node
    from pipekit.operator import Operator as Operator
    from pipekit.parallel import BatchedMap as BatchedMap
    from pipekit.parallel import ProcessMap as ProcessMap
    from pipekit.parallel import ThreadMap as ThreadMap
    from pipekit.provenance import Provenance as Provenance
    from pipekit.qc import AssertDType as AssertDType
    from pipekit.qc import AssertHasAttribute as AssertHasAttribute
    from pipekit.qc import AssertShape as AssertShape
    from pipekit.qc import AssertValidFraction as AssertValidFraction
    from pipekit.qc import AssertValueRange as AssertValueRange
    from pipekit.qc import QCError as QCError
    from pipekit.qc import QCWarning as QCWarning
    from pipekit.qc import Quarantine as Quarantine
    from pipekit.registry import ConfigError as ConfigError
    from pipekit.registry import Registry as Registry
    from pipekit.registry import UntrustedOperatorError as UntrustedOperatorError
    from pipekit.registry import default_registry as default_registry
    from pipekit.registry import register as register
    from pipekit.retry import Retry as Retry
    from pipekit.sequential import Sequential as Sequential
    from pipekit.sequential import compose as compose
    from pipekit.serialize import from_config as from_config
    from pipekit.serialize import from_yaml as from_yaml
    from pipekit.serialize import to_config as to_config
    from pipekit.serialize import to_yaml as to_yaml

# Loaded when first used, so that `import pipekit` costs next to nothing.
_LATER = {
    "blocks": "ApplyToBands Const Fanout Identity Lambda Pick Sink Subsample Tap",
    "config": "NotSerializableError",
    "graph": "Graph GraphError",
    "operator": "Input Node Operator",
    "sequential": "Sequential compose",
    "cache": "Cache Memoize",
    "compare": "ABResult Diff DiffError ab_test config_diff max_difference",
    "control": "Branch Coalesce CoalesceError ModeGated Switch Try current_mode pipeline_mode",
    "fingerprint": "content_hash",
    "measure": "measure_radius",
    "model": "ModelOp",
    "observe": "Histogram Profile ShapeTrace Snapshot Spy",
    "parallel": "BatchedMap ProcessMap ThreadMap",
    "provenance": "Provenance",
    "qc": (
        "AssertDType AssertHasAttribute AssertShape AssertValidFraction AssertValueRange "
        "QCError QCWarning Quarantine"
    ),
    "registry": "ConfigError Registry UntrustedOperatorError default_registry register",
    "retry": "Retry",
    "serialize": "from_config from_yaml to_config to_yaml",
}
_HOME = {name: f"pipekit.{module}" for module, names in _LATER.items() for name in names.split()}
__all__ = sorted(_HOME)
__getattr__, __dir__ = lazily(__name__, _HOME)
