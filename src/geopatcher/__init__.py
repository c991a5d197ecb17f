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

from geopatcher.aggregation.all_values import SpatialByIndex as SpatialByIndex
from geopatcher.aggregation.all_values import SpatialLearned as SpatialLearned
from geopatcher.aggregation.all_values import SpatialMedian as SpatialMedian
from geopatcher.aggregation.all_values import SpatialMode as SpatialMode
from geopatcher.aggregation.overlap_add import SpatialOverlapAdd as SpatialOverlapAdd
from geopatcher.aggregation.statistics import SpatialHardVote as SpatialHardVote
from geopatcher.aggregation.statistics import SpatialInvVarWeightedMean as SpatialInvVarWeightedMean
from geopatcher.aggregation.statistics import SpatialMax as SpatialMax
from geopatcher.aggregation.statistics import SpatialMean as SpatialMean
from geopatcher.aggregation.statistics import SpatialMin as SpatialMin
from geopatcher.aggregation.statistics import SpatialSoftVote as SpatialSoftVote
from geopatcher.aggregation.statistics import SpatialSum as SpatialSum
from geopatcher.aggregation.statistics import SpatialVariance as SpatialVariance
from geopatcher.aggregation.statistics import SpatialWeightedSum as SpatialWeightedSum
from geopatcher.axes.geometry import SpatialRectangular as SpatialRectangular
from geopatcher.axes.neighbours import SpatialKNNGraph as SpatialKNNGraph
from geopatcher.axes.neighbours import SpatialRadiusGraph as SpatialRadiusGraph
from geopatcher.axes.neighbours import SpatialSphericalCap as SpatialSphericalCap
from geopatcher.axes.polygon import SpatialPolygonIntersection as SpatialPolygonIntersection
from geopatcher.axes.sampler import SpatialExplicit as SpatialExplicit
from geopatcher.axes.sampler import SpatialJitteredStride as SpatialJitteredStride
from geopatcher.axes.sampler import SpatialPoissonDisk as SpatialPoissonDisk
from geopatcher.axes.sampler import SpatialRandom as SpatialRandom
from geopatcher.axes.sampler import SpatialRegularStride as SpatialRegularStride
from geopatcher.axes.window import SpatialBoxcar as SpatialBoxcar
from geopatcher.axes.window import SpatialCustom as SpatialCustom
from geopatcher.axes.window import SpatialGaussian as SpatialGaussian
from geopatcher.axes.window import SpatialHann as SpatialHann
from geopatcher.axes.window import SpatialTrim as SpatialTrim
from geopatcher.axes.window import SpatialTukey as SpatialTukey
from geopatcher.config import Configured as Configured
from geopatcher.domain import GridDomain as GridDomain
from geopatcher.domain import PointDomain as PointDomain
from geopatcher.domain import RasterDomain as RasterDomain
from geopatcher.domain import VectorDomain as VectorDomain
from geopatcher.fields.labelled import DaskField as DaskField
from geopatcher.fields.labelled import GeoPandasField as GeoPandasField
from geopatcher.fields.labelled import RioXarrayField as RioXarrayField
from geopatcher.fields.labelled import XarrayField as XarrayField
from geopatcher.fields.labelled import XvecField as XvecField
from geopatcher.fields.raster import Field as Field
from geopatcher.fields.raster import RasterField as RasterField
from geopatcher.fields.raster import RetryField as RetryField
from geopatcher.patch import Cells as Cells
from geopatcher.patch import CoverageWarning as CoverageWarning
from geopatcher.patch import Members as Members
from geopatcher.patch import Patch as Patch
from geopatcher.patch import PatchError as PatchError
from geopatcher.patch import SeamWarning as SeamWarning
from geopatcher.patch import stack_patches as stack_patches
from geopatcher.patcher import SpatialPatcher as SpatialPatcher
from geopatcher.patcher import merge_to_xarray as merge_to_xarray
from geopatcher.stream import PatchStream as PatchStream
from geopatcher.time.aggregation import TemporalFold as TemporalFold
from geopatcher.time.aggregation import TemporalForecast as TemporalForecast
from geopatcher.time.aggregation import TemporalHierarchicalCombine as TemporalHierarchicalCombine
from geopatcher.time.aggregation import TemporalMean as TemporalMean
from geopatcher.time.axes import TemporalCausalBoxcar as TemporalCausalBoxcar
from geopatcher.time.axes import TemporalCausalRolling as TemporalCausalRolling
from geopatcher.time.axes import TemporalEventTriggered as TemporalEventTriggered
from geopatcher.time.axes import TemporalExplicit as TemporalExplicit
from geopatcher.time.axes import TemporalExponentialDecay as TemporalExponentialDecay
from geopatcher.time.axes import TemporalFixedLookback as TemporalFixedLookback
from geopatcher.time.axes import TemporalLookbackHorizon as TemporalLookbackHorizon
from geopatcher.time.axes import TemporalMultiScale as TemporalMultiScale
from geopatcher.time.axes import TemporalPeriodic as TemporalPeriodic
from geopatcher.time.axes import TemporalPhaseWindow as TemporalPhaseWindow
from geopatcher.time.axes import TemporalRandom as TemporalRandom
from geopatcher.time.axes import TemporalRegularStride as TemporalRegularStride
from geopatcher.time.axes import TemporalTaperedTukey as TemporalTaperedTukey
from geopatcher.time.patcher import SpatioTemporalPatch as SpatioTemporalPatch
from geopatcher.time.patcher import SpatioTemporalPatcher as SpatioTemporalPatcher
from geopatcher.time.patcher import TemporalPatcher as TemporalPatcher
from geopatcher.time.series import TimeDomain as TimeDomain
from pipekit.lazy import lazily

_LAZY = {
    "Journal": "geopatcher.run",
    "MarginErrors": "geopatcher.margins",
    "draw_chips": "geopatcher.draw",
    "map_patches": "geopatcher.run",
    "margin_errors": "geopatcher.margins",
    "merge_to_file": "geopatcher.stitch",
}
_OURS = (value for value in list(globals().values()) if hasattr(value, "__qualname__"))
__all__ = sorted([*_LAZY, *(v.__name__ for v in _OURS if v.__module__.startswith(__name__))])
__getattr__, __dir__ = lazily(__name__, _LAZY)
