"""A U-Net for clouds on scenes: its session alone, our tiling, and that of its own package.

All run the same file on the same threads. The scene is of smooth random reflectance, so that the
network has something to say everywhere, in digital numbers as archives keep it.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor
from scenes import SIZE, make_scene

from geopatcher import (
    SpatialHann,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
    map_patches,
)
from geotoolz import OnnxOp

MODULES = ("onnxruntime", "ukis_csmask")
PATCHER, PACKAGE = "network, geostack", "network, ukis-csmask"
SHAPE = (4, 1024, 1024)
TITLE = f"clouds by a network {SHAPE}"
AFAR_SHAPE = (4, 2048, 2048)
AFAR = f"clouds by a network {AFAR_SHAPE}, from a file 50 ms away"
SCALE = 1e-4
"""Reflectance of one digital number."""
STEP = 205
"""As far apart as the package's own chips, which overlap by a fifth."""

PATCHES = SpatialPatcher(
    SpatialRectangular(SIZE, boundary="shift"), SpatialRegularStride(STEP), SpatialHann()
)
BATCH = 4


@cache
def network() -> OnnxOp:
    """Return the network for four bands of Level-2A, which gives probabilities."""
    import ukis_csmask

    folder = Path(ukis_csmask.__file__).parent
    about = json.loads((folder / "model_4b_l2a.json").read_text("utf-8"))
    mean, std = about["data"]["dataset_statistics"]["img"]
    path = folder / "model_4b_l2a.onnx"
    return OnnxOp(path, scale=SCALE, mean=mean, std=std, output="probabilities")


def numbers(shape: tuple[int, int, int]) -> GeoTensor:
    """Return digital numbers (4, H, W) uint16 of smooth random reflectance and bright patches."""
    from scipy.ndimage import gaussian_filter

    place = make_scene((1, 1, 1))
    rng = np.random.default_rng(0)
    ground = gaussian_filter(rng.random(shape[1:]).astype(np.float32), 2)
    bright = gaussian_filter(rng.random(shape[1:]).astype(np.float32), 12)
    clouds = np.clip((bright - bright.mean()) / bright.std() - 0.8, 0, 1) * 0.6
    bands = [0.1 + factor * (ground - 0.5) + clouds for factor in (0.2, 0.25, 0.3, 0.6)]
    dn = np.clip(np.rint(np.stack(bands) / SCALE), 1, 10_000).astype(np.uint16)
    return GeoTensor(dn, place.transform, place.crs, fill_value_default=0)


def chips_of(scene: GeoTensor) -> list[np.ndarray]:
    """Return batches of chips as the session takes them: the work that tiling is measured by."""
    patches = [patch.data.values for patch in PATCHES.split(scene)]
    groups = [patches[i : i + BATCH] for i in range(0, len(patches), BATCH)]
    return [network()._prepared(np.stack(group), None) for group in groups]


def bare(batches: list[np.ndarray]) -> None:
    """Run the session on chips that are there already."""
    session = network().session
    name = session.get_inputs()[0].name
    for batch in batches:
        session.run(None, {name: batch})


def stitched(scene: Any) -> np.ndarray:
    """Return probabilities (3, H, W) of blended chips."""
    how: dict[str, Any] = {"batch_size": BATCH, "workers": 1, "progress": False}
    return np.asarray(map_patches(PATCHES, scene, network(), **how))


def ours(scene: Any) -> np.ndarray:
    """Return classes (H, W) of blended chips."""
    return stitched(scene).argmax(axis=0)


def read(source: Any) -> None:
    """Read the same chips from a file as a run does, and do nothing with them."""
    for _ in PATCHES.stream(source).map(lambda batch: batch[:, 0], batch_size=BATCH):
        pass


def theirs(scene: GeoTensor) -> np.ndarray:
    """Return classes (H, W) of the package's own tiling, blended too."""
    from ukis_csmask.mask import CSmask

    reflectance = np.multiply(scene.values, np.float32(SCALE), dtype=np.float32)
    image = np.ascontiguousarray(np.moveaxis(reflectance, 0, -1))
    names = ["blue", "green", "red", "nir"]
    how: dict[str, Any] = {"product_level": "l2a", "batch_size": BATCH}
    return CSmask(image, names, providers=["CPUExecutionProvider"], **how).csm[..., 0]
