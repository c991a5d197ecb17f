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

from pipekit.blocks import Const, Fanout, Identity, Lambda, Pick, Sink
from pipekit.encode import NotSerializableError
from pipekit.graph import Graph, GraphError
from pipekit.model import ModelOp
from pipekit.node import Input, Node
from pipekit.observe import ShapeTrace, Snapshot, Tap
from pipekit.operator import Operator
from pipekit.profile import Profile
from pipekit.qc import (
    AssertDType,
    AssertHasAttribute,
    AssertShape,
    AssertValidFraction,
    AssertValueRange,
    QCError,
    QCWarning,
)
from pipekit.sequential import Sequential

__all__ = [
    "AssertDType",
    "AssertHasAttribute",
    "AssertShape",
    "AssertValidFraction",
    "AssertValueRange",
    "Const",
    "Fanout",
    "Graph",
    "GraphError",
    "Identity",
    "Input",
    "Lambda",
    "ModelOp",
    "Node",
    "NotSerializableError",
    "Operator",
    "Pick",
    "Profile",
    "QCError",
    "QCWarning",
    "Sequential",
    "ShapeTrace",
    "Sink",
    "Snapshot",
    "Tap",
]
