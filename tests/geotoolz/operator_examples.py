"""One instance at least of every geotoolz operator that serialises."""

import atexit
import shutil
import tempfile
from pathlib import Path

import numpy as np
from georeader.geotensor import GeoTensor
from onnx_files import weights, write_convolution
from rasterio import Affine
from shapely import box

import geotoolz as gz
import pipekit as pk
from geopatcher import (
    SpatialHann,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
)

_MASK = np.array([[True, False], [False, True]])
_TILE = GeoTensor(np.zeros((4, 4)), Affine(10, 0, 500_000, 0, -10, 5_000_000), "EPSG:32632")

_DATES = tuple(f"2018-{month:02}-01T10:30:00" for month in range(1, 13))

_FOLDER = tempfile.mkdtemp()
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
_NETWORK = write_convolution(Path(_FOLDER, "small.onnx"), weights(3, 4))

_PATCHER = SpatialPatcher(SpatialRectangular(64), SpatialRegularStride(48), SpatialHann())

# The laws rebuild operators from configs with the default registry and all operator classes; the
# patcher's axes are no operators.
for _axis in (
    SpatialHann,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
):
    pk.register(_axis)

EXAMPLES: list[gz.Operator] = [
    gz.ToFloat32(),
    gz.DNToReflectance(),
    gz.DNToReflectance(scale=[1e-4, 2.75e-5], offset=(0.0, -0.2), dtype="float64"),
    gz.ReflectanceToDN(nodata=65535),
    gz.Quantize(high=2.0, dtype="int16"),
    gz.ApplyOffset(-100),
    gz.HarmonizeBaseline(baseline="05.10"),
    gz.TOAToBOA_DOS(percentile=1.0),
    gz.PercentileClip(2, 98, sample=10_000),
    gz.MinMax(0.0, None),
    gz.Gamma(2.2),
    gz.NormalizedDifference(0, "B08"),
    gz.NDVI(),
    gz.NDVI(red_idx=2, nir_idx=3),
    gz.NDWI("B03", "B08"),
    gz.MNDWI(),
    gz.NBR(),
    gz.EVI(g=2.0),
    gz.SAVI(L=0.25),
    gz.NDMI(),
    gz.NDSI(),
    gz.BSI(),
    gz.BAIS2(),
    gz.ARVI(gamma=0.5),
    gz.GNDVI(),
    gz.NDRE(),
    gz.SpectralIndex("NDVI"),
    gz.SpectralIndex("SAVI", bands={"N": 3, "R": "B04"}, L=0.25),
    gz.MaskFromSCL(band_idx="SCL", classes=gz.SCL_CLOUDS),
    gz.MaskFromQABits(flags=("cloud", 4)),
    gz.DilateMask(radius=2.5),
    gz.FocalMean(9),
    gz.FocalMean((5, 1), mode="mirror"),
    gz.FocalMedian(3, "nearest"),
    gz.ApplyMask(_MASK, fill_value=0),
    gz.ApplyMask(gz.MaskFromSCL("SCL")),
    gz.CombineMasks("all"),
    gz.InvertMask(),
    gz.MaskWhere("<", 0.2, band="B08"),
    gz.MaskValid("all"),
    gz.MaskPolygon([box(0, 0, 1 / 3, 1)], crs="EPSG:32632", drop="inside"),
    gz.BufferMask(-30.0),
    gz.BandMath("(nir - b4) / (nir + b4)", bands={"nir": "B08"}),
    gz.AppendIndex(gz.NDVI(), name="index"),
    gz.NDBI(),
    gz.KNDVI(),
    gz.EVI2(),
    gz.DNBR("B08", "B12"),
    gz.MaskFromQABits(bits=("cloud", "snow"), product="hls"),
    gz.Resize((32, 48), "average"),
    gz.Hillshade(azimuth=300.0, resolution=(10.0, 10.0)),
    gz.TrueColor(gain=3.0),
    gz.Overlay("#00ff00", alpha=0.25),
    gz.PCA(2, whiten=True),
    gz.KMeans(3, seed=1),
    gz.StandardScale(mean=[0.1, 0.2], std=0.5),
    gz.RobustScale(10, 90),
    gz.Compose([gz.RandomFlip(), gz.RandomRotate90(0.5)], p=0.9),
    gz.RandomFlip(0.3, 0.7),
    gz.RandomRotate90(),
    gz.RandomCrop((32, 48)),
    gz.BrightnessJitter((0.9, 1.1), per_band=False),
    gz.ContrastJitter(),
    gz.GaussianNoise(0.02),
    gz.BandDropout(0.2),
    gz.SimulatedClouds(cover=(0.2, 0.4)),
    gz.CutMix(alpha=0.5),
    gz.MedianComposite(),
    gz.MeanComposite(dtype="float64"),
    gz.QuantileComposite(0.25),
    gz.GeometricMedianComposite(tolerance=1e-3),
    gz.ClearCount(),
    gz.BestPixelComposite(gz.NDVI(), date_band=True),
    gz.MaxNDVIComposite("B04", "B08"),
    gz.MinCloudComposite(cloud_idx=-1),
    gz.CloudFreeComposite(scl_idx="SCL"),
    gz.Whittaker(_DATES, smoothing=500.0),
    gz.FillGaps(_DATES, max_gap=30.0, order=1),
    gz.HarmonicFit(_DATES, harmonics=1, trend=True),
    gz.Season(_DATES, share=0.5, within=("2018-03-01", "2018-11-30")),
    gz.FindBreaks(_DATES, level=0.05, max_breaks=2),
    gz.Reproject("EPSG:3857", resolution=(10.0, 10.0)),
    gz.ReprojectLike(_TILE, "bilinear"),
    gz.ReprojectLike(),
    gz.Resample(20.0, "average"),
    gz.ResampleLike(_TILE),
    gz.CropToBounds((500_000, 4_999_960, 500_040, 5_000_000), crs="EPSG:32632"),
    gz.PadTo((64, 64), mode="reflect"),
    gz.Mosaic("mean"),
    gz.Rasterize(_TILE, column="class"),
    gz.Vectorize(connectivity=8),
    gz.OnnxOp(_NETWORK, bands=(0, "B03", 2, 3), mean=[0.1, 0.2, 0.3, 0.4], threads=1),
    gz.OnnxOp(
        _NETWORK, output="probabilities", classes={0: "clear", 5: "haze", 9: ("cloud", "#ffffff")}
    ),
    gz.AlignAndStack(target=1),
    gz.AlignAndStack(target=_TILE, resampling=("bilinear", "nearest")),
    gz.SelectBands(("B04", 1)),
    gz.ToRGB(limits=(0.0, 0.3), gamma=1.4),
    gz.Colormap("cividis", vmin=0.0),
    gz.ReadGeoTensor(bounds=(0.0, 0.0, 1.0, 1.0), bands=("B04", 1)),
    gz.Margin(),
    gz.Entropy(axis=0),
    gz.ConformalSets(threshold=0.2),
    gz.GridSampler(_PATCHER),
    gz.ApplyToChips(gz.DNToReflectance() | gz.NDVI(0, 1), workers=2),
    gz.Stitch(),
    gz.ActiveSampler([1.0, 3.0, 2.0], score_op=gz.Identity(), k=1),
    gz.WriteCOG("out.tif", tags={"author": "me"}, overwrite=True),
]
