"""What an operator says about how far it looks: cutting with that rim before it, or after it, is one.

Every operator that gives a radius is held to it, by cutting and by measuring.
"""

from __future__ import annotations

import importlib
import pkgutil
import runpy
from pathlib import Path

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine
from shapely import Point

import geotoolz
from geotoolz import (
    ARVI,
    BAIS2,
    BSI,
    EVI,
    EVI2,
    GNDVI,
    KNDVI,
    MNDWI,
    NBR,
    NDBI,
    NDMI,
    NDRE,
    NDSI,
    NDVI,
    NDWI,
    SAVI,
    AppendIndex,
    ApplyMask,
    ApplyOffset,
    BandMath,
    BestPixelComposite,
    ClearCount,
    CloudFreeComposite,
    CombineMasks,
    ConformalSets,
    DilateMask,
    DNToReflectance,
    Entropy,
    FillGaps,
    FindBreaks,
    FocalMean,
    FocalMedian,
    Gamma,
    HarmonicFit,
    HarmonizeBaseline,
    Hillshade,
    InvertMask,
    Margin,
    MaskFromQABits,
    MaskFromSCL,
    MaskPolygon,
    MaskValid,
    MaskWhere,
    MaxNDVIComposite,
    MeanComposite,
    MedianComposite,
    MinCloudComposite,
    MinMax,
    NormalizedDifference,
    PercentileClip,
    QuantileComposite,
    Quantize,
    ReflectanceToDN,
    Season,
    SelectBands,
    SpectralIndex,
    StandardScale,
    ToFloat32,
    TrueColor,
    Whittaker,
)  # fmt: skip
from pipekit import Lambda, Operator, Sequential, measure_radius
from pipekit.radius import radius_of

NAMES = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12", "SCL", "qa_pixel"]

MONTHS = [f"2018-{month:02}-01" for month in range(1, 13)]
"""The bands of the scene, taken for dates."""

CASES = [
    Whittaker(MONTHS),
    FillGaps(MONTHS, max_gap=70),
    HarmonicFit(MONTHS, harmonics=1),
    Season(MONTHS),
    FindBreaks(MONTHS, harmonics=1, level=0.4),
    ToFloat32(),
    DNToReflectance(scale=[1e-4] * len(NAMES)),
    ReflectanceToDN(),
    Quantize(0, 10_000, "int16"),
    ApplyOffset(-100),
    HarmonizeBaseline(),
    Gamma(2.0),
    SelectBands(["B04", "B08"]),
    MaskWhere(">", 2000, band="B08"),
    MaskFromSCL("SCL", classes=[8, 9]),
    MaskFromQABits(flags=("cloud",)),
    InvertMask(),
    Margin(),
    Entropy(),
    ConformalSets(0.1),
    ApplyMask(MaskWhere("<", 500, band="B02"), fill_value=0),
    NormalizedDifference("B08", "B04"),
    SpectralIndex("SAVI", bands={"N": "B08", "R": "B04"}, L=0.5),
    *(kind() for kind in (NDVI, NDWI, MNDWI, NBR, NDMI, NDSI, GNDVI, NDRE)),
    *(DNToReflectance() | kind() for kind in (EVI, SAVI, BSI, BAIS2, ARVI)),
    MinMax(0.0, 3000.0),
    StandardScale(mean=2000.0, std=500.0),
    CombineMasks("all"),
    MedianComposite(),
    MeanComposite(),
    QuantileComposite(0.2),
    ClearCount(),
    BestPixelComposite(NDVI(), date_band=True),
    BestPixelComposite(NDVI() | FocalMean(3)),
    MaxNDVIComposite("B04", "B08"),
    MinCloudComposite("B02"),
    CloudFreeComposite("SCL"),
    FocalMean((9, 5)),
    FocalMedian(3, "mirror"),
    FocalMean(3, "nearest"),
    DilateMask(2.5),
    DNToReflectance() | NDVI() | FocalMean(9) | FocalMedian(5),
    ApplyMask(MaskFromSCL("SCL") | DilateMask(3), fill_value=0),
    *(kind() for kind in (NDBI, KNDVI)),
    DNToReflectance() | EVI2(),
    DNToReflectance() | TrueColor(gain=1.0),
    BandMath("where(nir > 2 * red, sqrt(nir), b2)"),
    AppendIndex(NDVI()),
    AppendIndex(NDVI() | FocalMean(5)),
    MaskValid("all"),
    MaskPolygon(Point(200, 300).buffer(170)),
    Hillshade(altitude=30),
]
TWO_INPUTS = ("DNBR", "Overlay")
"""Those that work pixel by pixel on two rasters, and have tests of their own."""

MASKS = (InvertMask, CombineMasks, DilateMask)
PROBABILITIES = (Margin, Entropy, ConformalSets)
STACKS = (
    MedianComposite,
    MeanComposite,
    QuantileComposite,
    ClearCount,
    BestPixelComposite,
    MaxNDVIComposite,
    MinCloudComposite,
    CloudFreeComposite,
)


def scene() -> GeoTensor:
    """A random scene with nodata in it, and classes of SCL in its own band."""
    rng = np.random.default_rng(3)
    values = rng.integers(1, 10_000, (len(NAMES), 60, 45), dtype=np.uint16)
    values[:, 7:9, 10:20] = 0
    values[NAMES.index("SCL")] = rng.integers(0, 12, (60, 45))
    attrs = {"band_names": NAMES, "offset_applied": False, "processing_baseline": "05.10"}
    return GeoTensor(values, Affine(10, 0, 0, 0, -10, 600), "EPSG:32632", 0, attrs)


def input_of(operator: Operator) -> GeoTensor:
    whole = scene()
    if isinstance(operator, MASKS):
        return GeoTensor(whole.values > 9000, whole.transform, whole.crs, None, whole.attrs)
    if isinstance(operator, STACKS):
        dates = np.stack([whole.values, whole.values[:, ::-1], whole.values[:, :, ::-1]])
        return GeoTensor(dates, whole.transform, whole.crs, 0, whole.attrs)
    if isinstance(operator, Hillshade):
        return GeoTensor(whole.values[0], whole.transform, whole.crs, 0)
    if isinstance(operator, PROBABILITIES):
        shares = whole.values / whole.values.sum(axis=0).clip(1)
        return GeoTensor(shares, whole.transform, whole.crs, None, whole.attrs)
    return whole


def cut(raster: GeoTensor, rows: slice, cols: slice) -> GeoTensor:
    return raster[..., rows, cols]


def spans(start: int, stop: int, length: int, radius: int) -> tuple[slice, slice]:
    """What is read for pixels [start, stop) of an axis, and where in it they lie."""
    first = max(0, start - radius)
    return slice(first, min(length, stop + radius)), slice(start - first, stop - first)


@pytest.mark.parametrize("operator", CASES, ids=lambda op: repr(op)[:40])
def test_cutting_with_the_rim_before_and_after_is_the_same(operator: Operator) -> None:
    radius = radius_of(operator)
    assert radius is not None
    whole = input_of(operator)
    result = operator(whole)
    for top, bottom, left, right in [(0, 60, 0, 1), (5, 23, 8, 31), (30, 60, 20, 45)]:
        rows, within_rows = spans(top, bottom, 60, radius)
        cols, within_cols = spans(left, right, 45, radius)
        part = operator(cut(whole, rows, cols))
        expected = np.asarray(result)[..., top:bottom, left:right]
        assert part.dtype == expected.dtype
        made = part.values[..., within_rows, within_cols]
        if radius == 0 or made.dtype.kind != "f":
            assert np.array_equal(made, expected, equal_nan=made.dtype.kind == "f")
        else:
            np.testing.assert_allclose(made, expected, rtol=1e-6, atol=1e-6)


def test_every_operator_that_gives_a_radius_is_among_the_cases() -> None:
    for module in pkgutil.iter_modules(geotoolz.__path__, "geotoolz."):
        importlib.import_module(module.name)
    steps = [step for case in CASES for step in (case if isinstance(case, Sequential) else [case])]
    tried = {type(step) for step in steps}
    said = {
        kind
        for kind in _below(Operator)
        if kind.__module__.startswith("geotoolz.")
        and kind.radius is not None
        and kind.__name__[0] != "_"
    }
    # SklearnOp needs a fitted estimator and OnnxOp a network: both have tests of their own.
    known = ("SpectralOperator", "SklearnOp", "OnnxOp", *TWO_INPUTS)
    elsewhere = {kind for kind in said if kind.__name__ in known}
    assert said - elsewhere - tried == set()


EXAMPLES = runpy.run_path(str(Path(__file__).with_name("operator_examples.py")))["EXAMPLES"]
KNOWN = [
    op
    for op in [*EXAMPLES, *CASES]
    if radius_of(op) is not None and type(op).__name__ not in TWO_INPUTS
]


@pytest.mark.parametrize("operator", KNOWN, ids=lambda op: repr(op)[:40])
def test_what_is_measured_is_not_beyond_what_is_said(operator: Operator) -> None:
    values = np.random.default_rng(1).integers(1, 3000, (len(NAMES), 48, 40)).astype("uint16")
    values[NAMES.index("SCL")] %= 12
    attrs = {"band_names": NAMES, "offset_applied": False, "processing_baseline": "05.10"}
    raster = GeoTensor(values, Affine(10, 0, 0, 0, -10, 0), "EPSG:32632", 0, attrs)
    if isinstance(operator, MASKS):
        raster = values[:2] > 2995
    if isinstance(operator, STACKS):
        dates = np.stack([values, values[:, ::-1]])
        raster = GeoTensor(dates, raster.transform, raster.crs, 0, attrs)
    if isinstance(operator, PROBABILITIES):
        raster = values[:3] / 9000
    if isinstance(operator, Hillshade):
        raster = GeoTensor(values[0], raster.transform, raster.crs, 0)
    if isinstance(operator, TrueColor):
        raster = DNToReflectance()(raster)
    if isinstance(operator, ApplyMask):
        raster = ToFloat32()(raster)
    if "scale=[" in repr(operator) or "mean=[" in repr(operator):
        count = len(NAMES) if operator in CASES else 2
        raster = values[:count]
    measured = measure_radius(operator, raster, places=5)
    assert measured is not None
    assert measured <= radius_of(operator)


def test_what_looks_at_a_whole_chip_has_no_radius() -> None:
    assert (MinMax().radius, StandardScale(mean=1.0).radius) == (None, None)
    assert not PercentileClip().local
    assert not ApplyMask(np.zeros((4, 4), bool)).local
    assert not (NDVI() | PercentileClip()).local
    assert not (NDVI() | Lambda(np.sort)).local


def test_a_subclass_with_another_apply_has_to_say_so_itself() -> None:
    class Smoothed(NDVI):
        def _apply(self, raster):
            result = super()._apply(raster)
            return result - np.nanmean(result)

    class Named(NDVI):
        """NDVI by another name."""

    assert not Smoothed().local
    assert Named().local


def _below(kind: type) -> set[type]:
    return {each for sub in kind.__subclasses__() for each in ({sub} | _below(sub))}
