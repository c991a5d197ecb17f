"""A trained model as one step of a pipeline."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np

from pipekit.carrier import Array, is_carrier, rewrap
from pipekit.config import where_given
from pipekit.operator import Operator, checked_count
from pipekit.radius import checked_radius


class ModelOp(Operator):
    """Call a model on the array: scikit-learn, torch, or any object with a method for it.

    The model sees a plain ndarray. A GeoTensor comes back as a GeoTensor when the result keeps
    its trailing (H, W), and as a plain array when it does not. A torch module is run without
    gradients, on the device of its parameters and, for floats, in their dtype; its result comes
    back as numpy. Whether it is in training or evaluation mode is left as it is.

    Parameters
    ----------
    model
        The object to ask.
    method
        The method's name, such as "predict"; by default the model itself is called.
    batch_size
        Rows of axis 0 per call; the results are concatenated. None: all at once.
    radius
        How many pixels away the model looks, where that is known. Over a scene it then gets chips
        of one size, moved inward at the scene's edge, and of each the inner part is kept.

    Examples
    --------
    >>> import numpy as np
    >>> ModelOp(np.negative, batch_size=2)(np.array([1, 2, 3])).tolist()
    [-1, -2, -3]
    """

    forbid_in_yaml = True
    one_size = True

    def __init__(
        self,
        model: Any,
        method: str = "__call__",
        batch_size: int | None = None,
        radius: int | None = None,
    ) -> None:
        if not callable(getattr(model, method, None)):
            raise TypeError(f"{type(model).__name__} has no method {method!r} to call")
        self.model = model
        self.method = method
        self.batch_size = checked_count("batch_size", batch_size, " or None")
        self._radius = checked_radius(radius)

    @property
    def radius(self) -> int | None:
        """How many pixels away the model looks, as it was given."""
        given: int | None = self._radius
        return given

    def _config_values(self) -> dict[str, Any]:
        return where_given(super()._config_values(), "radius")

    def _apply(self, x: Any) -> Any:
        values = np.asarray(x)
        result = self._in_batches(values)
        if is_carrier(x) and result.ndim >= 2 and result.shape[-2:] == values.shape[-2:]:
            return rewrap(x, result)
        return result

    def _in_batches(self, values: Array) -> Array:
        """Ask for so many rows at once and join the answers."""
        if self.batch_size is None:
            return self._ask(values)
        if values.ndim == 0:
            raise ValueError("batch_size cuts axis 0, but the input is a single number")
        starts = range(0, max(len(values), 1), self.batch_size)
        return np.concatenate([self._ask(values[i : i + self.batch_size]) for i in starts])

    def _ask(self, values: Array) -> Array:
        """Ask the model once, and return its answer as an array."""
        torch = sys.modules.get("torch")
        is_module = torch is not None and isinstance(self.model, torch.nn.Module)
        ask = self.model if self.method == "__call__" else getattr(self.model, self.method)
        with torch.no_grad() if torch is not None and is_module else nullcontext():
            result = ask(_on_device(torch, self.model, values) if is_module else values)
        if torch is not None and isinstance(result, torch.Tensor):
            result = result.detach().cpu().numpy()
        if result is None or isinstance(result, Mapping):
            raise TypeError(
                f"{type(self.model).__name__}.{self.method} gave a {type(result).__name__}, "
                "which is no array; wrap the model in a function that returns one array"
            )
        return np.asanyarray(result)


def _on_device(torch: Any, model: Any, values: Array) -> Any:
    """Return the values as a tensor where the model's parameters are, floats in their dtype."""
    first = next(iter(model.parameters()), None)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    # torch has no view of a read-only or negatively strided array without a warning or an error.
    writable = np.require(values, requirements=["C", "W"])
    tensor = torch.from_numpy(writable)
    if first is None:
        return tensor
    both_float = tensor.is_floating_point() and first.is_floating_point()
    return tensor.to(first.device, first.dtype if both_float else tensor.dtype)
