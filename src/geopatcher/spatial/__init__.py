"""The four axes of a spatial patcher: geometry, sampler, window, aggregation.

>>> from geopatcher.spatial import SpatialRectangular
>>> SpatialRectangular(256).size
(256, 256)
"""

from geopatcher.spatial.by_index import SpatialByIndex
from geopatcher.spatial.cap import SpatialSphericalCap
from geopatcher.spatial.geometry import SpatialRectangular
from geopatcher.spatial.graph import SpatialKNNGraph, SpatialRadiusGraph
from geopatcher.spatial.overlap_add import SpatialOverlapAdd
from geopatcher.spatial.polygon import SpatialPolygonIntersection
from geopatcher.spatial.sampler import (
    SpatialExplicit,
    SpatialJitteredStride,
    SpatialPoissonDisk,
    SpatialRandom,
    SpatialRegularStride,
)
from geopatcher.spatial.stack import SpatialLearned, SpatialMedian, SpatialMode
from geopatcher.spatial.statistics import (
    SpatialInvVarWeightedMean,
    SpatialMax,
    SpatialMean,
    SpatialMin,
    SpatialSum,
    SpatialVariance,
    SpatialWeightedSum,
)
from geopatcher.spatial.votes import SpatialHardVote, SpatialSoftVote
from geopatcher.spatial.window import (
    SpatialBoxcar,
    SpatialCustom,
    SpatialGaussian,
    SpatialHann,
    SpatialTukey,
)

__all__ = [
    "SpatialBoxcar",
    "SpatialByIndex",
    "SpatialCustom",
    "SpatialExplicit",
    "SpatialGaussian",
    "SpatialHann",
    "SpatialHardVote",
    "SpatialInvVarWeightedMean",
    "SpatialJitteredStride",
    "SpatialKNNGraph",
    "SpatialLearned",
    "SpatialMax",
    "SpatialMean",
    "SpatialMedian",
    "SpatialMin",
    "SpatialMode",
    "SpatialOverlapAdd",
    "SpatialPoissonDisk",
    "SpatialPolygonIntersection",
    "SpatialRadiusGraph",
    "SpatialRandom",
    "SpatialRectangular",
    "SpatialRegularStride",
    "SpatialSoftVote",
    "SpatialSphericalCap",
    "SpatialSum",
    "SpatialTukey",
    "SpatialVariance",
    "SpatialWeightedSum",
]
