"""Three of a spatial patcher's four axes: geometry, sampler, window.

>>> from geopatcher.axes import SpatialRectangular
>>> SpatialRectangular(256).size
(256, 256)
"""

from geopatcher.axes.cap import SpatialSphericalCap
from geopatcher.axes.geometry import SpatialRectangular
from geopatcher.axes.graph import SpatialKNNGraph, SpatialRadiusGraph
from geopatcher.axes.polygon import SpatialPolygonIntersection
from geopatcher.axes.sampler import (
    SpatialExplicit,
    SpatialJitteredStride,
    SpatialPoissonDisk,
    SpatialRandom,
    SpatialRegularStride,
)
from geopatcher.axes.window import (
    SpatialBoxcar,
    SpatialCustom,
    SpatialGaussian,
    SpatialHann,
    SpatialTukey,
)

__all__ = [
    "SpatialBoxcar",
    "SpatialCustom",
    "SpatialExplicit",
    "SpatialGaussian",
    "SpatialHann",
    "SpatialJitteredStride",
    "SpatialKNNGraph",
    "SpatialPoissonDisk",
    "SpatialPolygonIntersection",
    "SpatialRadiusGraph",
    "SpatialRandom",
    "SpatialRectangular",
    "SpatialRegularStride",
    "SpatialSphericalCap",
    "SpatialTukey",
]
