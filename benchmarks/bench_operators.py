"""Claim: a named operator costs no more than the best plain numpy that one would write by hand.

The rivals reuse buffers and keep to float32; they know neither nodata nor georeference, which the
operators carry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from compare import Comparison
from georeader.geotensor import GeoTensor
from rasterio import Affine

import geotoolz as gz

LARGE = (4, 3935, 1599)
CHIP = (4, 256, 256)
TARGET = 1.3
EPS = np.float32(1e-10)
BANDS = ["B02", "B04", "B08", "B12"]

Numpy = Callable[[Any], Any]


def to_float32(dn):
    return dn.astype(np.float32)


def reflectance(dn):
    out = dn.astype(np.float32)
    out *= np.float32(1e-4)
    return out


def difference(a: int, b: int) -> Numpy:
    def ratio(x):
        out = x[a] - x[b]
        total = x[a] + x[b]
        total += EPS
        out /= total
        return out

    return ratio


def evi(x):
    blue, red, nir = x[0], x[1], x[2]
    out = nir - red
    out *= np.float32(2.5)
    total = red * np.float32(6)
    total += nir
    total -= blue * np.float32(7.5)
    total += np.float32(1)
    out /= total
    return out


def savi(x):
    red, nir = x[1], x[2]
    out = nir - red
    out *= np.float32(1.5)
    total = nir + red
    total += np.float32(0.5)
    out /= total
    return out


def arvi(x):
    rb = x[0] - x[1]
    rb += x[1]
    out = x[2] - rb
    rb += x[2]
    rb += EPS
    out /= rb
    return out


def harmonize(dn):
    out = np.maximum(dn, np.uint16(1001))
    out -= np.uint16(1000)
    return out


def gamma(x):
    out = np.maximum(x, 0)
    np.power(out, np.float32(1 / 2.2), out=out)
    return out


def percentile_clip(x):
    out = np.empty_like(x)
    for band, target in zip(x, out, strict=True):
        low, high = np.percentile(band, (2, 98))
        np.subtract(band, np.float32(low), out=target)
        target *= np.float32(1 / (high - low))
        np.clip(target, 0, 1, out=target)
    return out


def min_max(x):
    out = np.empty_like(x)
    for band, target in zip(x, out, strict=True):
        low, high = band.min(), band.max()
        np.subtract(band, low, out=target)
        target *= 1 / (high - low)
        np.clip(target, 0, 1, out=target)
    return out


ON_NUMBERS: dict[str, tuple[gz.Operator, Numpy]] = {
    "ToFloat32": (gz.ToFloat32(), to_float32),
    "DNToReflectance": (gz.DNToReflectance(), reflectance),
    "HarmonizeBaseline": (gz.HarmonizeBaseline(baseline="05.10"), harmonize),
}
ON_REFLECTANCES: dict[str, tuple[gz.Operator, Numpy]] = {
    "NDVI": (gz.NDVI(), difference(2, 1)),
    "NBR": (gz.NBR(), difference(2, 3)),
    "EVI": (gz.EVI(), evi),
    "SAVI": (gz.SAVI(), savi),
    "ARVI": (gz.ARVI(), arvi),
    "MinMax": (gz.MinMax(), min_max),
    "Gamma": (gz.Gamma(2.2), gamma),
    "PercentileClip": (gz.PercentileClip(2, 98), percentile_clip),
}
SLOW = ("Gamma", "PercentileClip")


def numbers(shape: tuple[int, int, int]) -> GeoTensor:
    """Digital numbers of vegetation without nodata, as a loader gives them."""
    brightness = np.random.default_rng(0).integers(1000, 3000, shape[1:], dtype=np.uint16)
    values = np.stack([brightness // 4, brightness // 3, brightness * 2, brightness])
    transform = Affine(10, 0, 750_180, 0, -10, 4_351_240)
    return GeoTensor(values, transform, "EPSG:32610", 0, {"band_names": BANDS})


def compare_all(
    compare: Comparison,
    raster: GeoTensor,
    pairs: dict[str, tuple[gz.Operator, Numpy]],
    *,
    repeat: int,
    targets: bool,
) -> None:
    values = raster.values
    for name, (operator, plain) in pairs.items():
        expected = plain(values)
        np.testing.assert_allclose(operator(raster).values, expected, rtol=1e-4, atol=1e-5)

        def run(call: Callable[[Any], Any], given: Any) -> None:
            for _ in range(repeat):
                call(given)

        compare(
            f"{name} on {raster.shape}",
            {
                "plain numpy": lambda plain=plain, run=run: run(plain, values),
                "operator": lambda operator=operator, run=run: run(operator, raster),
            },
            baseline="plain numpy",
            targets={"operator": TARGET} if targets else None,
            rounds=3 if name in SLOW and repeat == 1 else 9,
            per=("call", repeat),
        )


@pytest.mark.parametrize("shape", [LARGE, CHIP], ids=["scene", "chip"])
def test_operators_against_plain_numpy(
    shape: tuple[int, int, int], compare: Comparison, quick: bool
) -> None:
    if quick and shape == LARGE:
        pytest.skip("the whole scene is left out of the quick run")
    raster = numbers(shape)
    # A chip's call is short: its fixed cost (nodata, attributes, wrapping) is shown, not aimed at.
    repeat, targets = (1, True) if shape == LARGE else (200, False)
    compare_all(compare, raster, ON_NUMBERS, repeat=repeat, targets=targets)
    reflectances = gz.DNToReflectance()(raster)
    pairs = {k: v for k, v in ON_REFLECTANCES.items() if repeat == 1 or k not in SLOW}
    compare_all(compare, reflectances, pairs, repeat=repeat, targets=targets)
