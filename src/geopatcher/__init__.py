"""geopatcher: take a raster apart into patches and put it back together, exactly.

>>> import numpy as np
>>> from georeader.geotensor import GeoTensor
>>> from rasterio import Affine
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

from importlib import import_module
from typing import Any

from geopatcher.aggregation import *  # noqa: F403
from geopatcher.aggregation import __all__ as _aggregation_names
from geopatcher.axes import *  # noqa: F403
from geopatcher.axes import __all__ as _axes_names
from geopatcher.config import Configured
from geopatcher.domain import GridDomain, PointDomain, RasterDomain, VectorDomain
from geopatcher.fields import (
    DaskField,
    Field,
    GeoPandasField,
    RasterField,
    RetryField,
    RioXarrayField,
    XarrayField,
    XvecField,
)
from geopatcher.patch import Cells, CoverageWarning, Members, Patch, PatchError, stack_patches
from geopatcher.patcher import SpatialPatcher
from geopatcher.stream import PatchStream
from geopatcher.time import *  # noqa: F403
from geopatcher.time import __all__ as _time_names
from geopatcher.time.spacetime import SpatioTemporalPatch, SpatioTemporalPatcher

__all__ = [
    "Cells",
    "Configured",
    "CoverageWarning",
    "DaskField",
    "Field",
    "GeoPandasField",
    "GridDomain",
    "Members",
    "Patch",
    "PatchError",
    "PatchStream",
    "PointDomain",
    "RasterDomain",
    "RasterField",
    "RetryField",
    "RioXarrayField",
    "SpatialPatcher",
    "SpatioTemporalPatch",
    "SpatioTemporalPatcher",
    "VectorDomain",
    "XarrayField",
    "XvecField",
    "stack_patches",
]
__all__ += _aggregation_names
__all__ += _axes_names
__all__ += _time_names

_LAZY = {
    "Journal": "geopatcher.journal",
    "draw_chips": "geopatcher.draw",
    "map_patches": "geopatcher.run",
    "merge_to_file": "geopatcher.stitch",
}
__all__ += list(_LAZY)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'geopatcher' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
