"""The public names of `geopatcher`: type checkers read them here, and so does the package."""

from geopatcher.aggregation.all_values import (
    SpatialByIndex as SpatialByIndex,
    SpatialLearned as SpatialLearned,
    SpatialMedian as SpatialMedian,
    SpatialMode as SpatialMode,
)
from geopatcher.aggregation.overlap_add import SpatialOverlapAdd as SpatialOverlapAdd
from geopatcher.aggregation.statistics import (
    SpatialHardVote as SpatialHardVote,
    SpatialInvVarWeightedMean as SpatialInvVarWeightedMean,
    SpatialMax as SpatialMax,
    SpatialMean as SpatialMean,
    SpatialMin as SpatialMin,
    SpatialSoftVote as SpatialSoftVote,
    SpatialSum as SpatialSum,
    SpatialVariance as SpatialVariance,
    SpatialWeightedSum as SpatialWeightedSum,
)
from geopatcher.axes.geometry import SpatialRectangular as SpatialRectangular
from geopatcher.axes.neighbours import (
    SpatialKNNGraph as SpatialKNNGraph,
    SpatialRadiusGraph as SpatialRadiusGraph,
    SpatialSphericalCap as SpatialSphericalCap,
)
from geopatcher.axes.polygon import SpatialPolygonIntersection as SpatialPolygonIntersection
from geopatcher.axes.sampler import (
    SpatialExplicit as SpatialExplicit,
    SpatialJitteredStride as SpatialJitteredStride,
    SpatialPoissonDisk as SpatialPoissonDisk,
    SpatialRandom as SpatialRandom,
    SpatialRegularStride as SpatialRegularStride,
)
from geopatcher.axes.window import (
    SpatialBoxcar as SpatialBoxcar,
    SpatialCustom as SpatialCustom,
    SpatialGaussian as SpatialGaussian,
    SpatialHann as SpatialHann,
    SpatialTrim as SpatialTrim,
    SpatialTukey as SpatialTukey,
)
from geopatcher.config import Configured as Configured
from geopatcher.domain import (
    GridDomain as GridDomain,
    PointDomain as PointDomain,
    RasterDomain as RasterDomain,
    VectorDomain as VectorDomain,
)
from geopatcher.draw import draw_chips as draw_chips
from geopatcher.fields.labelled import (
    DaskField as DaskField,
    GeoPandasField as GeoPandasField,
    RioXarrayField as RioXarrayField,
    XarrayField as XarrayField,
    XvecField as XvecField,
)
from geopatcher.fields.raster import (
    Field as Field,
    RasterField as RasterField,
    RetryField as RetryField,
)
from geopatcher.files.zarr_overviews import add_overviews as add_overviews
from geopatcher.margins import MarginErrors as MarginErrors, margin_errors as margin_errors
from geopatcher.patch import (
    Cells as Cells,
    CoverageWarning as CoverageWarning,
    Members as Members,
    Patch as Patch,
    PatchError as PatchError,
    SeamWarning as SeamWarning,
    stack_patches as stack_patches,
)
from geopatcher.patcher import SpatialPatcher as SpatialPatcher, merge_to_xarray as merge_to_xarray
from geopatcher.run import Journal as Journal, map_patches as map_patches
from geopatcher.stitch import merge_to_file as merge_to_file
from geopatcher.stream import PatchStream as PatchStream
from geopatcher.time.aggregation import (
    TemporalFold as TemporalFold,
    TemporalForecast as TemporalForecast,
    TemporalHierarchicalCombine as TemporalHierarchicalCombine,
    TemporalMean as TemporalMean,
)
from geopatcher.time.axes import (
    TemporalCausalBoxcar as TemporalCausalBoxcar,
    TemporalCausalRolling as TemporalCausalRolling,
    TemporalEventTriggered as TemporalEventTriggered,
    TemporalExplicit as TemporalExplicit,
    TemporalExponentialDecay as TemporalExponentialDecay,
    TemporalFixedLookback as TemporalFixedLookback,
    TemporalLookbackHorizon as TemporalLookbackHorizon,
    TemporalMultiScale as TemporalMultiScale,
    TemporalPeriodic as TemporalPeriodic,
    TemporalPhaseWindow as TemporalPhaseWindow,
    TemporalRandom as TemporalRandom,
    TemporalRegularStride as TemporalRegularStride,
    TemporalTaperedTukey as TemporalTaperedTukey,
)
from geopatcher.time.patcher import (
    SpatioTemporalPatch as SpatioTemporalPatch,
    SpatioTemporalPatcher as SpatioTemporalPatcher,
    TemporalPatcher as TemporalPatcher,
)
from geopatcher.time.series import TimeDomain as TimeDomain
