"""The public names of `geotoolz`: type checkers read them here, and so does the package."""

from geotoolz.assess.uncertainty import (
    ConformalSets as ConformalSets,
    Entropy as Entropy,
    Margin as Margin,
)
from geotoolz.augment import (
    BandDropout as BandDropout,
    BrightnessJitter as BrightnessJitter,
    Compose as Compose,
    ContrastJitter as ContrastJitter,
    CutMix as CutMix,
    GaussianNoise as GaussianNoise,
    RandomCrop as RandomCrop,
    RandomFlip as RandomFlip,
    RandomRotate90 as RandomRotate90,
    SimulatedClouds as SimulatedClouds,
)
from geotoolz.band_math import AppendIndex as AppendIndex, BandMath as BandMath
from geotoolz.bands import BandError as BandError, SelectBands as SelectBands
from geotoolz.breaks import FindBreaks as FindBreaks
from geotoolz.carrier import GeoTensor as GeoTensor
from geotoolz.catalog_ops import (
    ActiveSampler as ActiveSampler,
    CatalogField as CatalogField,
    CatalogPipeline as CatalogPipeline,
)
from geotoolz.cloud import (
    SCL as SCL,
    SCL_CLASSES as SCL_CLASSES,
    SCL_CLOUDS as SCL_CLOUDS,
    SCL_CLOUDS_AND_INVALID as SCL_CLOUDS_AND_INVALID,
    SCL_SHADOWS as SCL_SHADOWS,
    SCL_SNOW as SCL_SNOW,
    SCL_WATER as SCL_WATER,
    DilateMask as DilateMask,
    MaskFromQABits as MaskFromQABits,
    MaskFromSCL as MaskFromSCL,
)
from geotoolz.composites import CompositeField as CompositeField, composite as composite
from geotoolz.compositing import (
    BestPixelComposite as BestPixelComposite,
    ClearCount as ClearCount,
    CloudFreeComposite as CloudFreeComposite,
    GeometricMedianComposite as GeometricMedianComposite,
    MaxNDVIComposite as MaxNDVIComposite,
    MeanComposite as MeanComposite,
    MedianComposite as MedianComposite,
    MinCloudComposite as MinCloudComposite,
    QuantileComposite as QuantileComposite,
)
from geotoolz.focal import (
    FocalMean as FocalMean,
    FocalMedian as FocalMedian,
    focal_mean as focal_mean,
    focal_median as focal_median,
)
from geotoolz.geom import (
    AlignAndStack as AlignAndStack,
    CropToBounds as CropToBounds,
    Mosaic as Mosaic,
    PadTo as PadTo,
    Rasterize as Rasterize,
    Reproject as Reproject,
    ReprojectLike as ReprojectLike,
    Resample as Resample,
    ResampleLike as ResampleLike,
    Resize as Resize,
    Vectorize as Vectorize,
)
from geotoolz.harmonics import HarmonicFit as HarmonicFit
from geotoolz.indices import (
    ARVI as ARVI,
    BAIS2 as BAIS2,
    BSI as BSI,
    DNBR as DNBR,
    EVI as EVI,
    EVI2 as EVI2,
    GNDVI as GNDVI,
    KNDVI as KNDVI,
    MNDWI as MNDWI,
    NBR as NBR,
    NDBI as NDBI,
    NDMI as NDMI,
    NDRE as NDRE,
    NDSI as NDSI,
    NDVI as NDVI,
    NDWI as NDWI,
    SAVI as SAVI,
    NormalizedDifference as NormalizedDifference,
    SpectralIndex as SpectralIndex,
)
from geotoolz.io import (
    ReadGeoTensor as ReadGeoTensor,
    WriteCOG as WriteCOG,
    read as read,
    write_cog as write_cog,
)
from geotoolz.learn import SklearnOp as SklearnOp, fit_pixels as fit_pixels
from geotoolz.mask import (
    ApplyMask as ApplyMask,
    CombineMasks as CombineMasks,
    InvertMask as InvertMask,
    MaskValid as MaskValid,
    MaskWhere as MaskWhere,
)
from geotoolz.mask_ground import BufferMask as BufferMask, MaskPolygon as MaskPolygon
from geotoolz.networks import OnnxOp as OnnxOp
from geotoolz.normalize import (
    PerBandStats as PerBandStats,
    RobustScale as RobustScale,
    StandardScale as StandardScale,
)
from geotoolz.patch_ops import (
    ApplyToChips as ApplyToChips,
    GridSampler as GridSampler,
    Stitch as Stitch,
)
from geotoolz.polygons import polygons_of as polygons_of
from geotoolz.radiometry import (
    ApplyOffset as ApplyOffset,
    DNToReflectance as DNToReflectance,
    Gamma as Gamma,
    HarmonizeBaseline as HarmonizeBaseline,
    MinMax as MinMax,
    PercentileClip as PercentileClip,
    Quantize as Quantize,
    ReflectanceToDN as ReflectanceToDN,
    TOAToBOA_DOS as TOAToBOA_DOS,
    ToFloat32 as ToFloat32,
)
from geotoolz.relief import Hillshade as Hillshade, Overlay as Overlay, TrueColor as TrueColor
from geotoolz.scenes import (
    Scene as Scene,
    SceneReading as SceneReading,
    passes_of as passes_of,
    scenes_of as scenes_of,
)
from geotoolz.season import Season as Season
from geotoolz.series import FillGaps as FillGaps, Whittaker as Whittaker
from geotoolz.unsupervised import PCA as PCA, KMeans as KMeans
from geotoolz.vectors import write_vectors as write_vectors
from geotoolz.viz import Colormap as Colormap, ToRGB as ToRGB, plot as plot, quicklook as quicklook
from geotoolz.zone_series import zonal as zonal
from pipekit.blocks import (
    Const as Const,
    Fanout as Fanout,
    Identity as Identity,
    Lambda as Lambda,
    Sink as Sink,
    Tap as Tap,
)
from pipekit.cache import Memoize as Memoize
from pipekit.control import Branch as Branch, Switch as Switch
from pipekit.graph import Graph as Graph
from pipekit.model import ModelOp as ModelOp
from pipekit.observe import ShapeTrace as ShapeTrace, Snapshot as Snapshot
from pipekit.operator import Input as Input, Node as Node, Operator as Operator
from pipekit.sequential import Sequential as Sequential, compose as compose
