"""What an operator says when it calls itself local: cutting before it or after it is the same."""

from __future__ import annotations

import importlib
import pkgutil

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine

import geotoolz
from geotoolz import (
    ARVI,
    BAIS2,
    BSI,
    EVI,
    GNDVI,
    MNDWI,
    NBR,
    NDMI,
    NDRE,
    NDSI,
    NDVI,
    NDWI,
    SAVI,
    ApplyMask,
    ApplyOffset,
    DNToReflectance,
    FillGaps,
    FindBreaks,
    Gamma,
    HarmonicFit,
    HarmonizeBaseline,
    InvertMask,
    MaskFromQABits,
    MaskFromSCL,
    MaskWhere,
    NormalizedDifference,
    PercentileClip,
    ReflectanceToDN,
    Season,
    SelectBands,
    SpectralIndex,
    ToFloat32,
    Whittaker,
)  # fmt: skip
from pipekit import Lambda, Operator, Sequential

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
    ApplyOffset(-100),
    HarmonizeBaseline(),
    Gamma(2.0),
    SelectBands(["B04", "B08"]),
    MaskWhere(">", 2000, band="B08"),
    MaskFromSCL("SCL", classes=[8, 9]),
    MaskFromQABits(flags=("cloud",)),
    InvertMask(),
    ApplyMask(MaskWhere("<", 500, band="B02"), fill_value=0),
    NormalizedDifference("B08", "B04"),
    SpectralIndex("SAVI", bands={"N": "B08", "R": "B04"}, L=0.5),
    *(kind() for kind in (NDVI, NDWI, MNDWI, NBR, NDMI, NDSI, GNDVI, NDRE)),
    *(DNToReflectance() | kind() for kind in (EVI, SAVI, BSI, BAIS2, ARVI)),
]


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
    if isinstance(operator, InvertMask):
        return GeoTensor(whole.values > 3000, whole.transform, whole.crs, None, whole.attrs)
    return whole


def cut(raster: GeoTensor, rows: slice, cols: slice) -> GeoTensor:
    fill = raster.fill_value_default
    return GeoTensor(
        raster.values[..., rows, cols], raster.transform, raster.crs, fill, raster.attrs
    )


@pytest.mark.parametrize("operator", CASES, ids=lambda op: repr(op)[:40])
def test_cutting_before_and_after_is_the_same(operator: Operator) -> None:
    assert operator.local
    whole = input_of(operator)
    result = operator(whole)
    for rows, cols in [(slice(0, 60), slice(0, 1)), (slice(5, 23), slice(8, 31))]:
        part = operator(cut(whole, rows, cols))
        expected = np.asarray(result)[..., rows, cols]
        assert part.dtype == expected.dtype
        assert np.array_equal(part.values, expected, equal_nan=part.dtype.kind == "f")


def test_every_operator_that_calls_itself_local_is_among_the_cases() -> None:
    for module in pkgutil.iter_modules(geotoolz.__path__, "geotoolz."):
        importlib.import_module(module.name)
    steps = [step for case in CASES for step in (case if isinstance(case, Sequential) else [case])]
    tried = {type(step) for step in steps}
    said = {
        kind
        for kind in _below(Operator)
        if kind.__module__.startswith("geotoolz.") and kind.local and kind.__name__[0] != "_"
    }
    abstract = {kind for kind in said if kind.__name__ == "SpectralOperator"}
    assert said - abstract - tried == set()


def test_what_looks_at_other_pixels_is_not_local() -> None:
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
