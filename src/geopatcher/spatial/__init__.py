"""The four axes of a spatial patcher: geometry, sampler, window, aggregation.

>>> from geopatcher.spatial import SpatialRectangular
>>> SpatialRectangular(256).size
(256, 256)
"""

from geopatcher.spatial.aggregation import SpatialHardVote
from geopatcher.spatial.geometry import SpatialRectangular
from geopatcher.spatial.overlap_add import SpatialOverlapAdd
from geopatcher.spatial.sampler import SpatialRegularStride
from geopatcher.spatial.window import SpatialBoxcar, SpatialHann

__all__ = [
    "SpatialBoxcar",
    "SpatialHann",
    "SpatialHardVote",
    "SpatialOverlapAdd",
    "SpatialRectangular",
    "SpatialRegularStride",
]
