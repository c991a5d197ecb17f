"""The fourth axis of a spatial patcher: how overlapping patches become one value.

>>> from geopatcher.aggregation import SpatialHardVote
>>> SpatialHardVote(n_classes=3).fill_value
255
"""

from geopatcher.aggregation.all_values import SpatialLearned, SpatialMedian, SpatialMode
from geopatcher.aggregation.by_index import SpatialByIndex
from geopatcher.aggregation.overlap_add import SpatialOverlapAdd
from geopatcher.aggregation.statistics import (
    SpatialInvVarWeightedMean,
    SpatialMax,
    SpatialMean,
    SpatialMin,
    SpatialSum,
    SpatialVariance,
    SpatialWeightedSum,
)
from geopatcher.aggregation.votes import SpatialHardVote, SpatialSoftVote

__all__ = [
    "SpatialByIndex",
    "SpatialHardVote",
    "SpatialInvVarWeightedMean",
    "SpatialLearned",
    "SpatialMax",
    "SpatialMean",
    "SpatialMedian",
    "SpatialMin",
    "SpatialMode",
    "SpatialOverlapAdd",
    "SpatialSoftVote",
    "SpatialSum",
    "SpatialVariance",
    "SpatialWeightedSum",
]
