"""Named remote-sensing operators: a pure array function, and a thin Operator around each.

A plain array in gives a plain array out; a `GeoTensor` keeps its georeference, nodata and
attributes. Operators compose with `|`, print, pickle and serialise (see `pipekit`).

>>> import numpy as np
>>> import geotoolz as gz
>>> pipeline = gz.DNToReflectance(scale=1e-4) | gz.NDVI(red_idx=0, nir_idx=1)
>>> chip = np.array([[[1000, 500]], [[3000, 4500]]], dtype="uint16")
>>> pipeline(chip).round(2)
array([[0.5, 0.8]], dtype=float32)

Names are loaded when first used, so importing the package costs hardly more than its carrier.
"""

from pipekit.lazy import lazily

_NAMES = {
    "pipekit": (
        "Operator Sequential Graph Input Node Fanout Branch Switch Tap Snapshot ShapeTrace "
        "Identity Const Lambda Sink ModelOp Memoize compose"
    ),
    "geotoolz.carrier": "GeoTensor",
    "geotoolz.bands": "BandError SelectBands",
    "geotoolz.radiometry": (
        "ToFloat32 DNToReflectance ReflectanceToDN Quantize ApplyOffset HarmonizeBaseline "
        "TOAToBOA_DOS PercentileClip MinMax Gamma"
    ),
    "geotoolz.indices": (
        "NormalizedDifference NDVI NDWI MNDWI NBR EVI SAVI NDMI NDSI BSI BAIS2 ARVI GNDVI NDRE "
        "NDBI KNDVI EVI2 DNBR SpectralIndex"
    ),
    "geotoolz.band_math": "AppendIndex BandMath",
    "geotoolz.cloud": (
        "MaskFromSCL MaskFromQABits DilateMask SCL SCL_CLASSES SCL_CLOUDS SCL_SHADOWS "
        "SCL_CLOUDS_AND_INVALID SCL_WATER SCL_SNOW"
    ),
    "geotoolz.focal": "FocalMean FocalMedian focal_mean focal_median",
    "geotoolz.mask": "ApplyMask CombineMasks InvertMask MaskValid MaskWhere",
    "geotoolz.mask_ground": "BufferMask MaskPolygon",
    "geotoolz.relief": "Hillshade Overlay TrueColor",
    "geotoolz.unsupervised": "KMeans PCA",
    "geotoolz.normalize": "StandardScale RobustScale PerBandStats",
    "geotoolz.augment": (
        "Compose RandomFlip RandomRotate90 BrightnessJitter ContrastJitter GaussianNoise "
        "BandDropout RandomCrop SimulatedClouds CutMix"
    ),
    "geotoolz.compositing": (
        "MedianComposite MeanComposite QuantileComposite GeometricMedianComposite ClearCount "
        "BestPixelComposite MaxNDVIComposite MinCloudComposite CloudFreeComposite"
    ),
    "geotoolz.series": "Whittaker FillGaps",
    "geotoolz.harmonics": "HarmonicFit",
    "geotoolz.season": "Season",
    "geotoolz.breaks": "FindBreaks",
    "geotoolz.zone_series": "zonal",
    "geotoolz.geom": (
        "Reproject ReprojectLike Resample ResampleLike Resize CropToBounds PadTo Mosaic Rasterize "
        "Vectorize AlignAndStack"
    ),
    "geotoolz.vectors": "write_vectors",
    "geotoolz.polygons": "polygons_of",
    "geotoolz.viz": "ToRGB Colormap plot quicklook",
    "geotoolz.io": "ReadGeoTensor WriteCOG read write_cog",
    "geotoolz.learn": "SklearnOp fit_pixels",
    "geotoolz.assess.uncertainty": "Margin Entropy ConformalSets",
    "geotoolz.networks": "OnnxOp",
    "geotoolz.patch_ops": "GridSampler ApplyToChips Stitch",
    "geotoolz.catalog_ops": "CatalogPipeline CatalogField ActiveSampler",
    "geotoolz.scenes": "Scene SceneReading scenes_of passes_of",
    "geotoolz.composites": "CompositeField composite",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}
__all__ = sorted(_HOME)
__getattr__, __dir__ = lazily(__name__, _HOME)
