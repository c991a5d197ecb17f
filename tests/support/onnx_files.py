"""Small networks as ONNX files, whose weights a test knows, for it to compute them another way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Dims = Sequence[int | str]


def weights(channels: int, bands: int, side: int = 3, seed: int = 0) -> np.ndarray:
    """Weights (K, C, side, side) float32 of a convolution."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(channels, bands, side, side)).astype(np.float32)


def convolved(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """What the network of `write_convolution` gives for (C, H, W), in plain loops over the kernel."""
    side = kernel.shape[-1]
    padded = np.pad(image.astype(np.float64), [(0, 0)] + [(side // 2, side // 2)] * 2)
    height, width = image.shape[-2:]
    out = np.zeros((len(kernel), height, width))
    for row in range(side):
        for col in range(side):
            part = padded[:, row : row + height, col : col + width]
            out += np.einsum("kc,chw->khw", kernel[:, :, row, col].astype(np.float64), part)
    return out


def write_convolution(
    path: Path,
    kernel: np.ndarray,
    *,
    dims: Dims | None = None,
    then: Sequence[Any] = (),
    kind: str = "FLOAT",
    made: str = "FLOAT",
    out_dims: Dims | None = None,
) -> Path:
    """A convolution over (N, C, H, W), zeros around it, and what `then` says (from "y" to "out")."""
    from onnx import TensorProto, helper, numpy_helper

    channels, bands, side, _ = kernel.shape
    pads = [side // 2] * 4
    cast = helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT)
    layer = helper.make_node("Conv", ["f", "w"], ["y" if then else "out"], pads=pads)
    return _write(
        path,
        [cast, layer, *then],
        [numpy_helper.from_array(kernel, "w")],
        (getattr(TensorProto, kind), dims or ("N", bands, "H", "W")),
        (getattr(TensorProto, made), out_dims or ("N", channels, "H", "W")),
    )


def argmax() -> Any:
    from onnx import helper

    return helper.make_node("ArgMax", ["y"], ["out"], axis=1, keepdims=0)


def write_per_pixel_nhwc(path: Path, kernel: np.ndarray) -> Path:
    """A matrix (C, K) over the bands of (N, H, W, C)."""
    from onnx import TensorProto, helper, numpy_helper

    bands, channels = kernel.shape
    return _write(
        path,
        [helper.make_node("MatMul", ["x", "w"], ["out"])],
        [numpy_helper.from_array(kernel, "w")],
        (TensorProto.FLOAT, ("N", "H", "W", bands)),
        (TensorProto.FLOAT, ("N", "H", "W", channels)),
    )


def _write(path: Path, nodes: list[Any], constants: list[Any], taken: Any, made: Any) -> Path:
    from onnx import helper

    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", taken[0], list(taken[1]))],
        [helper.make_tensor_value_info("out", made[0], list(made[1]))],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path
