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

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any

_NAMES = {
    "pipekit": (
        "Operator Sequential Graph Input Node Fanout Branch Switch Tap Snapshot ShapeTrace "
        "Identity Const Lambda Sink ModelOp"
    ),
    "geotoolz.carrier": "GeoTensor",
    "geotoolz.bands": "BandError SelectBands",
    "geotoolz.radiometry": (
        "ToFloat32 DNToReflectance ReflectanceToDN ApplyOffset HarmonizeBaseline TOAToBOA_DOS "
        "PercentileClip MinMax Gamma"
    ),
    "geotoolz.indices": (
        "NormalizedDifference NDVI NDWI MNDWI NBR EVI SAVI NDMI NDSI BSI BAIS2 ARVI GNDVI NDRE "
        "SpectralIndex"
    ),
    "geotoolz.cloud": (
        "MaskFromSCL MaskFromQABits DilateMask SCL_CLASSES SCL_CLOUDS SCL_CLOUDS_AND_INVALID "
        "SCL_WATER SCL_SNOW"
    ),
    "geotoolz.mask": "ApplyMask CombineMasks InvertMask MaskWhere",
    "geotoolz.normalize": "StandardScale RobustScale PerBandStats",
    "geotoolz.augment": (
        "Compose RandomFlip RandomRotate90 BrightnessJitter ContrastJitter GaussianNoise "
        "BandDropout RandomCrop SimulatedClouds CutMix"
    ),
    "geotoolz.compositing": (
        "MedianComposite MaxNDVIComposite MinCloudComposite CloudFreeComposite"
    ),
    "geotoolz.geom": (
        "Reproject ReprojectLike Resample ResampleLike CropToBounds PadTo Mosaic Rasterize "
        "Vectorize AlignAndStack"
    ),
    "geotoolz.viz": "ToRGB Colormap plot quicklook",
    "geotoolz.io": "ReadGeoTensor WriteCOG read write_cog",
    "geotoolz.learn": "SklearnOp fit_pixels",
    "geotoolz.patch_ops": "GridSampler ApplyToChips Stitch",
    "geotoolz.catalog_ops": "CatalogPipeline CatalogField ActiveSampler",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    elif name[0] != "_" and find_spec(f"geotoolz.{name}") is not None:
        value = import_module(f"geotoolz.{name}")
    else:
        raise AttributeError(f"module 'geotoolz' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *(module.name for module in iter_modules(__path__))})
