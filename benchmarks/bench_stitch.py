"""Claim: a tiled NDVI, exact to the scene's edge, costs less than the whole-scene call.

"geostack, shift" is the pipeline as it is written: NDVI is local, so chips lie side by side.
"geostack, blended" is the same with an operator of which nothing is known, such as a network.

All cases run in turn in one process, so their ratio holds on a noisy machine.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from compare import Comparison
from georeader.geotensor import GeoTensor
from scenes import (
    CASES,
    LARGE,
    SMALL,
    chips,
    make_scene,
    ndvi_operator,
    tiled_pipeline,
    unknown,
)
from targets import ADDED, ADDING

from geopatcher import CoverageWarning

COPY, IN_PLACE = "numpy, the scene copied", "numpy, the same chips added in place"


@pytest.mark.parametrize("shape", [SMALL, LARGE], ids=["small", "large"])
def test_stitch_against_the_whole_scene_call(shape, compare: Comparison, quick: bool) -> None:
    if quick and shape == LARGE:
        pytest.skip("the large scene is left out of the quick run")
    scene = make_scene(shape)
    expected = np.asarray(CASES["whole-scene call"](scene))
    for name, run in CASES.items():  # correct before it is timed
        assert np.abs(np.asarray(run(scene)) - expected).max() < 1e-6, name
    target = {SMALL: ("geostack, shift", 1.0), LARGE: ("geostack, shift, 2 workers", 0.25)}
    compare(
        f"stitched NDVI {shape}",
        {name: (lambda run=run: run(scene)) for name, run in CASES.items()},
        baseline="whole-scene call",
        targets=dict([target[shape]]),
        rounds=9 if shape == SMALL else 3,
        warm=shape == LARGE,
    )


def test_cost_of_a_chip(compare: Comparison, quick: bool) -> None:
    scene = make_scene(SMALL)
    sampler, _, _ = tiled_pipeline(ndvi_operator(2), "drop")
    stream = sampler(scene)
    identity = stream.map(lambda chip: chip)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CoverageWarning)
        compare(
            f"cost of {len(stream)} chips",
            {
                "split": lambda: sum(1 for _ in stream),
                "split and apply nothing": lambda: sum(1 for _ in identity),
            },
            baseline="split",
            per=("chip", len(stream)),
        )


def test_blended_adding(compare: Comparison, quick: bool) -> None:
    """Chips that are there already, cut from a scene of reflectance, are weighed and added up."""
    side = 2048 if quick else ADDED
    rng = np.random.default_rng(0)
    place = make_scene((1, 1, 1))
    values = rng.random((side, side), np.float32)
    scene = GeoTensor(values, place.transform, place.crs, fill_value_default=np.nan)
    patcher = chips()
    stream = patcher.stream(scene).map(unknown(lambda chip: chip))
    windows = [patch.indices.toslices() for patch in stream]
    pixels = sum(values[window].size for window in windows)
    out = np.zeros_like(values)

    def add() -> None:
        for window in windows:
            out[window] += values[window]

    rivals = {COPY: values.copy, IN_PLACE: add, "geostack": lambda: patcher.merge(stream, scene)}
    made = np.asarray(rivals["geostack"]())
    assert np.abs(made - values).max() < 1e-6
    group = compare(ADDING.format(side, side), rivals, baseline=COPY, rounds=5)
    # A copy reads and writes each pixel; adding reads two numbers and writes one.
    moved = {COPY: 8 * values.size, IN_PLACE: 12 * pixels, "geostack": 12 * pixels}
    for row in group.rows:
        row.facts["GB a second"] = f"{moved[row.name] / np.median(row.times) / 1e9:.1f}"
        row.facts["chips"] = "" if row.name == COPY else f"{len(windows):,}"
