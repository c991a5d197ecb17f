"""Claim: NDVI smoothed by a 9 x 9 mean costs over tiles hardly more than on the whole scene.

The mean looks 4 pixels around, so that chips are read with a rim of 4 and computed side by side;
what they give is compared with the whole-scene call before a time is taken. Beside them are scipy
and numpy as one would write it by hand, which know neither nodata nor georeference, and the same
chips without what the operator says of itself: blended, and wrong along their borders.
"""

from __future__ import annotations

import numpy as np
import pytest
from compare import Comparison
from georeader.geotensor import GeoTensor
from scenes import LARGE, SMALL, make_scene, ndvi_in_numpy, ndvi_operator, tiled_pipeline, unknown
from scipy.ndimage import uniform_filter

from geotoolz import FocalMean
from pipekit import Operator

WINDOW = 9
WHOLE = "whole-scene call"


def smoothed(bands: int) -> Operator:
    """Return DN -> reflectance -> NDVI -> its mean over windows of 9 x 9."""
    return ndvi_operator(bands) | FocalMean(WINDOW)


def by_hand(scene: GeoTensor) -> np.ndarray:
    """Return the same by numpy and scipy, in one piece."""
    red, nir = scene.values[-2:]
    return uniform_filter(ndvi_in_numpy(red, nir), WINDOW)


@pytest.mark.parametrize("shape", [SMALL, LARGE], ids=["small", "large"])
def test_a_mean_of_neighbours_against_the_whole_scene_call(
    shape: tuple[int, int, int], compare: Comparison, quick: bool
) -> None:
    if quick and shape == LARGE:
        pytest.skip("the large scene is left out of the quick run")
    scene = make_scene(shape)
    operator = smoothed(shape[0])
    cases = {
        WHOLE: operator,
        "numpy and scipy by hand": by_hand,
        "geostack": tiled_pipeline(operator),
        "geostack, 2 workers": tiled_pipeline(operator, workers=2),
    }
    if shape == SMALL:
        cases["geostack, blended"] = tiled_pipeline(unknown(operator))
    expected = operator(scene).values
    off = {
        name: float(np.abs(np.asarray(run(scene)) - expected).max()) for name, run in cases.items()
    }
    assert max(off[name] for name in cases if "blended" not in name) < 1e-6
    compare(
        f"NDVI and its {WINDOW} x {WINDOW} mean {shape}",
        {name: (lambda run=run: run(scene)) for name, run in cases.items()},
        baseline=WHOLE,
        targets={"geostack": 1.15, "geostack, 2 workers": 0.65} if shape == SMALL else None,
        facts={name: {"largest difference": f"{value:.0e}"} for name, value in off.items()},
        rounds=9 if shape == SMALL else 2,
        warm=shape == LARGE,
    )
