"""The public names of `pipekit`: type checkers read them here, and so does the package."""

from pipekit.blocks import (
    ApplyToBands as ApplyToBands,
    Const as Const,
    Fanout as Fanout,
    Identity as Identity,
    Lambda as Lambda,
    Pick as Pick,
    Sink as Sink,
    Subsample as Subsample,
    Tap as Tap,
)
from pipekit.cache import Cache as Cache, Memoize as Memoize
from pipekit.compare import (
    ABResult as ABResult,
    Diff as Diff,
    DiffError as DiffError,
    ab_test as ab_test,
    config_diff as config_diff,
    max_difference as max_difference,
)
from pipekit.config import NotSerializableError as NotSerializableError
from pipekit.control import (
    Branch as Branch,
    Coalesce as Coalesce,
    CoalesceError as CoalesceError,
    ModeGated as ModeGated,
    Switch as Switch,
    Try as Try,
    current_mode as current_mode,
    pipeline_mode as pipeline_mode,
)
from pipekit.fingerprint import content_hash as content_hash
from pipekit.graph import Graph as Graph, GraphError as GraphError
from pipekit.measure import measure_radius as measure_radius
from pipekit.model import ModelOp as ModelOp
from pipekit.observe import (
    Histogram as Histogram,
    Profile as Profile,
    ShapeTrace as ShapeTrace,
    Snapshot as Snapshot,
    Spy as Spy,
)
from pipekit.operator import Input as Input, Node as Node, Operator as Operator
from pipekit.parallel import (
    BatchedMap as BatchedMap,
    ProcessMap as ProcessMap,
    ThreadMap as ThreadMap,
)
from pipekit.provenance import Provenance as Provenance
from pipekit.qc import (
    AssertDType as AssertDType,
    AssertHasAttribute as AssertHasAttribute,
    AssertShape as AssertShape,
    AssertValidFraction as AssertValidFraction,
    AssertValueRange as AssertValueRange,
    QCError as QCError,
    QCWarning as QCWarning,
    Quarantine as Quarantine,
)
from pipekit.registry import (
    ConfigError as ConfigError,
    Registry as Registry,
    UntrustedOperatorError as UntrustedOperatorError,
    default_registry as default_registry,
    register as register,
)
from pipekit.retry import Retry as Retry
from pipekit.sequential import Sequential as Sequential, compose as compose
from pipekit.serialize import (
    from_config as from_config,
    from_yaml as from_yaml,
    to_config as to_config,
    to_yaml as to_yaml,
)
