"""Every operator on arrays that hold no real numbers, and on nodata values that mark nothing."""

import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine

import geotoolz as gz

EXAMPLES = runpy.run_path(str(Path(__file__).with_name("operator_examples.py")))["EXAMPLES"]
PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)
NAMES = ["B02", "B03", "B04", "B08", "SCL"]
NUMBERS = np.random.default_rng(0).integers(1, 11, (5, 12, 12))
OUTSIDE = (gz.WriteCOG, gz.ActiveSampler, gz.GridSampler)
"""They write a file, or do not look at pixels."""
RANDOM = (gz.Compose, gz.RandomFlip, gz.RandomRotate90, gz.RandomCrop, gz.BrightnessJitter,
          gz.ContrastJitter, gz.GaussianNoise, gz.BandDropout, gz.SimulatedClouds, gz.CutMix)  # fmt: skip
PIXELWISE = [op for op in EXAMPLES if not isinstance(op, OUTSIDE)]
CERTAIN = [op for op in PIXELWISE if not isinstance(op, gz.Compose)]


def run(operator, raster):
    """Return what an operator makes of a raster, or of two of it, or what it says."""
    said = None
    for given in (raster, [raster, raster]):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                return operator(given), None
        except Exception as error:
            said = said or error
    return None, said


@pytest.mark.parametrize("dtype", ["U5", "M8[D]", "S4", "V4"])
@pytest.mark.parametrize("operator", CERTAIN, ids=lambda op: repr(op)[:40])
def test_what_holds_no_numbers_is_never_taken_for_them(operator, dtype):
    made, error = run(operator, np.zeros(NUMBERS.shape, dtype))
    assert made is None
    assert isinstance(error, TypeError | ValueError | IndexError)


@pytest.mark.parametrize("operator", PIXELWISE, ids=lambda op: repr(op)[:40])
def test_complex_numbers_stay_complex_or_are_refused(operator):
    """numpy drops the imaginary part and warns; here warnings are errors."""
    values = (NUMBERS + 1j).astype("complex64")
    raster = GeoTensor(values, PLACE, "EPSG:32632", None, {"band_names": NAMES})
    made, error = run(operator, raster)
    assert not isinstance(error, Warning)
    if made is not None and made.dtype.kind not in "bc":
        assert made.dtype.kind == "i", "counts and labels"


@pytest.mark.parametrize("nodata", [np.nan, -9999, 1e9, 0.5])
@pytest.mark.parametrize(
    "operator",
    [op for op in PIXELWISE if not isinstance(op, RANDOM)],
    ids=lambda op: repr(op)[:40],
)
def test_a_nodata_value_that_integers_cannot_hold_marks_nothing(operator, nodata):
    pair = [
        GeoTensor(NUMBERS.astype("uint16"), PLACE, "EPSG:32632", fill, {"band_names": NAMES})
        for fill in (nodata, None)
    ]
    (made, error), (expected, said) = (run(operator, raster) for raster in pair)
    assert (made is None) == (expected is None), (error, said)
    if isinstance(made, np.ndarray):
        np.testing.assert_array_equal(np.asarray(made), np.asarray(expected))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", ">u2"])
@pytest.mark.parametrize("method", ["nearest", "average"])
@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:4326", None, "plain", "masked"])
def test_any_raster_has_another_size(dtype, method, crs):
    values = np.arange(2 * 6 * 8).reshape(2, 6, 8).astype(dtype)
    raster = GeoTensor(values, PLACE, crs, None) if crs not in ("plain", "masked") else values
    if crs == "masked":
        raster = np.ma.array(values, mask=values < 2)
    made = gz.Resize((3, 4), method)(raster)
    blocks = values.reshape(2, 3, 2, 4, 2).astype(float)
    if method == "average":
        expected = blocks.mean(axis=(2, 4)) if crs != "masked" else None
    else:
        expected = blocks[:, :, 1, :, 1]
    if expected is not None:
        np.testing.assert_allclose(np.asarray(made), expected, atol=0.5)
    assert type(made) is type(raster)
    assert made.dtype == np.dtype(dtype).newbyteorder("=")
    if isinstance(raster, GeoTensor):
        assert made.transform == PLACE @ Affine.scale(2, 2)
        assert made.crs == raster.crs
