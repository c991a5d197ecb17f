"""geopatcher: take a raster apart into patches and put it back together, exactly.

>>> import numpy as np
>>> from georeader.geotensor import GeoTensor
>>> from rasterio import Affine
>>> from geopatcher import (
...     SpatialHann, SpatialOverlapAdd, SpatialPatcher, SpatialRectangular, SpatialRegularStride)
>>> scene = GeoTensor(np.ones((2, 500, 300), "uint16"), Affine(10, 0, 0, 0, -10, 5000), 32632)
>>> patcher = SpatialPatcher(
...     geometry=SpatialRectangular(256, boundary="shift"),
...     sampler=SpatialRegularStride(192),
...     window=SpatialHann(),
...     aggregation=SpatialOverlapAdd(),
... )
>>> [patch.anchor for patch in patcher.split(scene)]
[(0, 0), (0, 44), (192, 0), (192, 44), (244, 0), (244, 44)]
>>> patcher.merge(patcher.split(scene), scene).shape
(2, 500, 300)
"""

from pipekit.lazy import lazily

__all__, __getattr__, __dir__ = lazily(__name__)
