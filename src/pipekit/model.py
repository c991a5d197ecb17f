"""A trained model as one step of a pipeline."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np

from pipekit.carrier import Array, is_carrier, rewrap
from pipekit.config import where_given
from pipekit.operator import Operator, checked_count, checked_option


class ModelOp(Operator):
    """Call a model on the array: scikit-learn, torch, or any object with a method for it.

    The model sees a plain ndarray. A GeoTensor comes back as a GeoTensor when the result keeps
    its trailing (H, W), and as a plain array when it does not. A dictionary of arrays comes back
    as one, each of them so. A torch module is run without
    gradients, on the device of its parameters and, for floats, in their dtype; its result comes
    back as numpy. Whether it is in training or evaluation mode is left as it is. On a GPU the next
    batch is copied there, and the last one back, while the model works.

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
    device
        Where a torch module runs, such as "cuda": it is moved there. By default where it is.
    autocast
        In which lower precision a torch module may compute, "bfloat16" or "float16".

    Raises
    ------
    TypeError
        For a method that the model lacks, or `device` or `autocast` of what is no torch module; and
        when it is called, for a model that gives several arrays without names.
    ValueError
        For a device that torch does not have here; and when it is called with a `batch_size`, for a
        model that gives other than one row for each.

    Examples
    --------
    >>> import numpy as np
    >>> ModelOp(np.negative, batch_size=2)(np.array([1, 2, 3])).tolist()
    [-1, -2, -3]
    >>> ModelOp(lambda x: {"sum": x.sum(), "twice": 2 * x})(np.array([1, 2, 3]))
    {'sum': array(6), 'twice': array([2, 4, 6])}
    """

    forbid_in_yaml = True
    one_size = True

    def __init__(
        self,
        model: Any,
        method: str = "__call__",
        batch_size: int | None = None,
        radius: int | None = None,
        device: str | None = None,
        autocast: str | None = None,
    ) -> None:
        if not callable(getattr(model, method, None)):
            raise TypeError(f"{type(model).__name__} has no method {method!r} to call")
        self.model = model
        self.method = method
        self.batch_size = checked_count(batch_size, "batch_size", none=True)
        self._radius: int | None = checked_count(radius, "radius", 0, none=True)
        self.device, self.autocast = device, autocast
        if autocast is not None:
            checked_option(autocast, "autocast", ("bfloat16", "float16"))
        if (device or autocast) and _torch_of(model) is None:
            raise TypeError(
                f"device and autocast are for torch modules, got a {type(model).__name__}"
            )
        if device is not None:
            try:
                model.to(device)
            except (RuntimeError, AssertionError) as error:
                raise ValueError(
                    f"device must be one that torch has here, got {device!r}: {error}"
                ) from error

    @property
    def radius(self) -> int | None:
        """How many pixels away the model looks, as it was given."""
        return self._radius

    def bands_made(self, count: int | None) -> int | None:
        """Return None: what a model makes is not known; refuse what a torch network cannot take.

        Parameters
        ----------
        count
            Bands of its input, None where unknown.

        Returns
        -------
        None
            Unknown.

        Raises
        ------
        ValueError
            For another number of bands than those of a network that begins with a convolution.
        """
        takes = None if self.method != "__call__" else _channels_of(self.model)
        if None not in (takes, count) and takes != count:
            raise ValueError(
                f"the {type(self.model).__name__} takes {takes} bands, got {count}; choose them "
                "before it"
            )
        return None

    def _config_values(self) -> dict[str, Any]:
        return where_given(super()._config_values(), "radius", "device", "autocast")

    def _apply(self, x: Any) -> Any:
        values = np.asarray(x)
        result = self._in_batches(values)
        if isinstance(result, dict):
            return {name: _placed(x, each) for name, each in result.items()}
        return _placed(x, result)

    def _in_batches(self, values: Array) -> Answer:
        """Ask for so many rows at once and join the answers."""
        if self.batch_size is None:
            return self._answer(self._ask(values), values.ndim)
        if values.ndim == 0:
            raise ValueError("batch_size cuts axis 0, but the input is a single number")
        parts: list[Answer] = []
        asked: Any = None
        count = 0
        for start in range(0, max(len(values), 1), self.batch_size):
            rows = values[start : start + self.batch_size]
            last, before, asked, count = asked, count, self._ask(rows), len(rows)
            if last is not None:  # waited for when the next one is under way
                parts.append(_of_rows(self._answer(last, values.ndim), before))
        return _joined([*parts, _of_rows(self._answer(asked, values.ndim), count)])

    def _ask(self, values: Array) -> Any:
        """Ask the model once; a GPU may still be at work when this returns."""
        torch = _torch_of(self.model)
        ask = self.model if self.method == "__call__" else getattr(self.model, self.method)
        if torch is None:
            return ask(values)
        tensor = _on_device(torch, self.model, values)
        precision: Any = nullcontext()
        if self.autocast is not None:
            precision = torch.autocast(tensor.device.type, getattr(torch, self.autocast))
        with torch.no_grad(), precision:
            made = ask(tensor)
        if not isinstance(made, torch.Tensor):
            return made
        made = made.detach()
        made = made.float() if made.dtype == torch.bfloat16 else made  # numpy has no such type
        done = torch.cuda.Event() if made.is_cuda else None
        held = made.to("cpu", non_blocking=True)
        if done is not None:
            done.record()
        return _Underway(held, done)

    def _answer(self, made: Any, axes: int) -> Answer:
        """Return an answer as an array, or several by name, waited for where a GPU gives it.

        An array of the input's axes is an answer to all of it: so several in a list, or any in a
        tuple, are answers to several questions, and no rows of one.
        """
        where = f"{type(self.model).__name__}.{self.method}"
        least = 1 if isinstance(made, tuple) else axes
        several = isinstance(made, tuple | list) and not isinstance(made, _Underway)
        if several and any(getattr(each, "ndim", 0) >= least for each in made):
            raise TypeError(
                f"{where} gave a {type(made).__name__} of {len(made)}, where one array is wanted, "
                "or several by name; wrap the model in a function that returns one of them, or a "
                "dictionary"
            )
        if isinstance(made, Mapping):
            return {str(name): _as_array(each, where) for name, each in made.items()}
        return _as_array(made, where)


Answer = Array | dict[str, Array]
"""What a model gives: an array, or several by name."""


def _as_array(made: Any, where: str) -> Array:
    """Return what a model gave as an array of numpy's."""
    if isinstance(made, _Underway):
        if made.done is not None:
            made.done.synchronize()
        made = made.held
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(made, torch.Tensor):
        made = made.detach().cpu().numpy()
    if made is None or isinstance(made, Mapping):
        raise TypeError(
            f"{where} gave a {type(made).__name__}, which is no array; wrap the model in a "
            "function that returns one array, or a dictionary of arrays"
        )
    return np.asanyarray(made)


def _placed(x: Any, result: Array) -> Any:
    """Return a result in the input's place where it has the input's pixels."""
    if is_carrier(x) and result.ndim >= 2 and result.shape[-2:] == x.values.shape[-2:]:
        return rewrap(x, result)
    return result


def _of_rows(answer: Answer, count: int) -> Answer:
    """Return the answer to so many rows, or raise where it holds another number of them."""
    for each in answer.values() if isinstance(answer, dict) else (answer,):
        if each.shape[:1] != (count,):
            raise ValueError(
                f"with batch_size a model gives one row for each of its {count}, got an array of "
                f"shape {each.shape}; leave batch_size out for a model that looks at all of them"
            )
    return answer


def _joined(answers: list[Answer]) -> Answer:
    """Return the answers to several batches as one."""
    first, *others = answers
    if not isinstance(first, dict):
        return np.concatenate([first, *others])
    if any(not isinstance(other, dict) or other.keys() != first.keys() for other in others):
        raise TypeError("a model gives every batch arrays of the same names")
    return {name: np.concatenate([answer[name] for answer in answers]) for name in first}


class _Underway(NamedTuple):
    """A tensor in the machine's memory, and the event after which it holds its numbers."""

    held: Any
    done: Any


def _torch_of(model: Any) -> Any:
    """Return torch where a model is one of its modules, else None; it is not imported for this."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(model, torch.nn.Module) else None


def _channels_of(model: Any) -> int | None:
    """Return how many bands a torch network takes, where its first layer is sure to be first."""
    torch = _torch_of(model)
    while torch is not None and isinstance(model, torch.nn.Sequential) and len(model):
        model = model[0]
    is_first = torch is not None and isinstance(model, torch.nn.Conv2d)
    return int(model.in_channels) if is_first else None


def _on_device(torch: Any, model: Any, values: Array) -> Any:
    """Return the values as a tensor where the model's parameters are, floats in their dtype."""
    first = next(iter(model.parameters()), None)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    # torch has no view of a read-only or negatively strided array without a warning or an error.
    writable = np.require(values, requirements=["C", "W"])
    tensor = torch.from_numpy(writable)
    if first is None:
        return tensor
    if first.is_cuda:  # only from pinned memory is a copy one that nobody waits for
        tensor = tensor.pin_memory()
    both_float = tensor.is_floating_point() and first.is_floating_point()
    kind = first.dtype if both_float else tensor.dtype
    return tensor.to(first.device, kind, non_blocking=True)
