"""Claim: tiled and blended here costs less than with the libraries made for it, in flat memory.

Every rival is handed the same two bands and does the same lean arithmetic on each chip of 256 at a
step of 192; `bench_stitch` measures the pipeline of named operators. What each makes is compared
with the whole-scene call before its time is taken: pixels missing or wrong, the largest difference
among the rest, and, with work that differs from chip to chip, how far the result jumps at a seam.

"not blended" is for work that says of itself that it is local, whose chips lie side by side.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest
from compare import Comparison
from georeader.geotensor import GeoTensor
from peers import STITCH, unusable
from scenes import LARGE, SIZE, SMALL, STEP, make_scene, tiled_pipeline
from stitchers import MEAN_WORK, NDVI_WORK, STITCHERS, Stitcher, Work

OURS = {
    "geostack": {},
    "geostack, 2 workers": {"workers": 2},
    "geostack, not blended": {"local": True},
    "geostack, not blended, 2 workers": {"local": True, "workers": 2},
}
WHOLE = "whole-scene call"
SHAPES = {
    "target": SMALL,
    "512": (4, 512, 512),
    "1024": (4, 1024, 1024),
    "2048": (4, 2048, 2048),
    "4096": (4, 4096, 4096),
    "large": LARGE,
}
WRONG = 1e-4

pytestmark = pytest.mark.filterwarnings("ignore")  # what peers warn of is not ours to mend


def usable_stitchers() -> dict[str, Stitcher]:
    return {name: one for name, one in STITCHERS.items() if find_spec(one.module)}


def exactness(made: np.ndarray, expected: np.ndarray) -> dict[str, str]:
    """Count pixels missing or wrong, and find the largest difference among the rest."""
    rows, cols = made.shape
    difference = np.abs(made - expected[:rows, :cols])
    good = difference <= WRONG
    missing = expected.size - int(good.sum())
    return {
        "pixels missing or wrong": f"{missing:,} ({missing / expected.size:.1%})"
        if missing
        else "0",
        "largest difference elsewhere": f"{difference[good].max():.0e}".replace("0e+00", "0"),
    }


def jump(mosaic: np.ndarray, step: int) -> float:
    """Return the largest step between neighbours, as a share of that between two chips' values.

    The work was the chip's mean of a ramp that rises by 1 a pixel, so two chips differ by `step`.
    """
    inner = mosaic[SIZE:-SIZE, SIZE:-SIZE]
    return float(np.nanmax(np.abs(np.diff(inner, axis=1)))) / step


def ours(scene: GeoTensor, work: Work, workers: int = 1, local: bool = False) -> np.ndarray:
    def on_chip(chip: GeoTensor) -> np.ndarray:
        return work.numpy(chip.values)

    on_chip.local = local
    return np.asarray(tiled_pipeline(on_chip, workers=workers)(scene))


@cache
def seams() -> dict[str, str]:
    """Rival -> its jump at a seam, of work whose result differs from chip to chip."""
    side = 2 * STEP + 1920
    ramp = np.ascontiguousarray(np.broadcast_to(np.arange(side, dtype=np.uint16), (2, side, side)))
    place = make_scene((1, 1, 1))
    scene = GeoTensor(ramp, place.transform, place.crs)
    blended = jump(ours(scene, MEAN_WORK), STEP)
    # a chip's mean is not local, so what isn't blended has no such work, and no seam to show
    found = {name: blended for name, options in OURS.items() if not options.get("local")}
    for name, peer in usable_stitchers().items():
        found[name] = jump(peer.run(ramp, MEAN_WORK), peer.step)
    return {name: f"{share:.0%}" for name, share in found.items()}


@pytest.mark.parametrize("name", list(SHAPES))
def test_stitch_against_peers(name: str, compare: Comparison, quick: bool) -> None:
    shape = SHAPES[name]
    if quick and name in ("2048", "4096", "large"):
        pytest.skip("large scenes are left out of the quick run")
    compare.left_out.extend(
        text for text in map(unusable, sorted({s.module for s in STITCHERS.values()})) if text
    )
    whole = make_scene(shape)
    scene = GeoTensor(whole.values[-2:], whole.transform, whole.crs)
    bands = scene.values
    rivals: dict[str, Callable[[], np.ndarray]] = {
        WHOLE: lambda: NDVI_WORK.numpy(bands),
        **{
            name: (lambda options=options: ours(scene, NDVI_WORK, **options))
            for name, options in OURS.items()
        },
        **{
            label: (lambda peer=peer: peer.run(bands, NDVI_WORK))
            for label, peer in usable_stitchers().items()
        },
    }
    expected = rivals[WHOLE]()
    facts = {label: exactness(rivals[label](), expected) for label in rivals if label != WHOLE}
    for label in OURS:
        assert facts[label]["pixels missing or wrong"] == "0", f"{label} is not exact to the edge"
    if name == "target":
        for label, share in seams().items():
            facts[label]["jump at a seam"] = share
    del expected
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compare(
            f"{STITCH} {shape}",
            rivals,
            baseline=WHOLE,
            facts=facts,
            warm=True,
            curve=None if name == "target" else (STITCH, shape[1] * shape[2] / 1e6),
            rounds={"large": 3, "target": 9}.get(name, 5),
        )
