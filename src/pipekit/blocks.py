"""The small blocks: a constant, a function, a side effect, several at once, band by band."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pipekit.carrier import Carrier, is_carrier, rewrap
from pipekit.config import where_given
from pipekit.operator import (
    Operator,
    checked_count,
    checked_function,
    checked_operator,
    checked_pair,
)
from pipekit.radius import largest, radius_of


class Identity(Operator):
    """Return the input unchanged: the neutral element of `|`.

    Examples
    --------
    >>> Identity()(7)
    7
    """

    radius = 0
    takes_batches = False
    keeps_bands = True

    def _apply(self, x: Any) -> Any:
        return x


class Const(Operator):
    """Return the same value whatever the inputs, and with none.

    Parameters
    ----------
    value
        What is returned; any object.

    Examples
    --------
    >>> Const(3)("anything"), Const(3)()
    (3, 3)
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    @property
    def radius(self) -> int | None:
        """0 of a value that is the same for each pixel; an array of pixels has a place."""
        return 0 if getattr(self.value, "ndim", 0) < 2 else None

    def _apply(self, *inputs: Any) -> Any:
        return self.value


class FunctionOperator(Operator):
    """Call a function of the user's on the input, and return the input.

    Parameters
    ----------
    fn
        The function.
    name
        Tells it apart where it is printed, or None.

    Examples
    --------
    >>> FunctionOperator(print)("scene")
    scene
    'scene'
    """

    forbid_in_yaml = True
    radius: Any = 0

    def __init__(self, fn: Callable[..., Any], name: str | None = None) -> None:
        self.fn = checked_function(fn, type(self).__name__)
        self.name = name

    def _apply(self, x: Any) -> Any:
        self.fn(x)
        return x


class Lambda(FunctionOperator):
    """Run a function of the inputs. It cannot be written to a config; a named Operator can.

    Parameters
    ----------
    fn
        Called with the inputs; its result is the operator's.
    name
        Tells it apart where it is printed, or None.
    radius
        How many pixels away the function looks, where that is known: 0 for work pixel by pixel.

    Examples
    --------
    >>> Lambda(lambda a, b: a + b, name="add")(1, 2)
    3
    >>> Lambda(np.negative, radius=0).local, Lambda(np.negative).local
    (True, False)
    """

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, radius: int | None = None
    ) -> None:
        super().__init__(fn, name)
        self._radius: int | None = checked_count(radius, "radius", 0, none=True)

    @property
    def radius(self) -> int | None:
        """How many pixels away the function looks, as it was given."""
        return self._radius

    def _config_values(self) -> dict[str, Any]:
        return where_given(super()._config_values(), "radius")

    def _apply(self, *inputs: Any) -> Any:
        return self.fn(*inputs)


class Sink(FunctionOperator):
    """Hand the input to a function that keeps it (writes, sends, stores), and return the input.

    Parameters
    ----------
    fn
        Called with the input; what it returns is dropped.
    name
        Tells it apart where it is printed, or None.

    Examples
    --------
    >>> written = []
    >>> Sink(written.append)("scene"), written
    ('scene', ['scene'])
    """


class Tap(FunctionOperator):
    """Show the input to a function and return the input.

    Parameters
    ----------
    fn
        Called with the input; what it returns is dropped.
    name
        Tells it apart where it is printed, or None.

    Examples
    --------
    >>> Tap(print)(3)
    3
    3
    """


class Fanout(Operator):
    """Run several operators on the same input and return a dictionary of their results.

    Parameters
    ----------
    operators
        Name -> operator; the names are those of the results.

    Raises
    ------
    TypeError
        For what is no dictionary of operators.

    Examples
    --------
    >>> Fanout({"low": Lambda(min), "high": Lambda(max)})([3, 1, 2])
    {'low': 1, 'high': 3}
    """

    def __init__(self, operators: Mapping[str, Operator]) -> None:
        if not isinstance(operators, Mapping):
            raise TypeError(
                f"Fanout takes a dictionary of names and operators, got a "
                f"{type(operators).__name__}; write Fanout({{'name': operator}})"
            )
        self.operators = {
            k: checked_operator(op, f"operators[{k!r}]") for k, op in operators.items()
        }

    @property
    def radius(self) -> int | None:
        """The largest radius of the operators."""
        return largest(self.operators.values())

    def _apply(self, *inputs: Any) -> dict[str, Any]:
        return {name: self._run(name, op, inputs) for name, op in self.operators.items()}

    def _run(self, name: str, op: Operator, inputs: tuple[Any, ...]) -> Any:
        """Run one operator, saying which branch it is where it fails."""
        try:
            return op(*inputs)
        except Exception as error:
            error.add_note(f"failed in the branch {name!r} of a Fanout")
            raise


class Pick(Operator):
    """Take one entry out of a dictionary or sequence, such as the result of a Fanout or Graph.

    Parameters
    ----------
    key
        The dictionary's key, or the position in the sequence.

    Raises
    ------
    KeyError, IndexError
        There is no such entry; the message says what there is.

    Examples
    --------
    >>> Pick("high")({"low": 1, "high": 3})
    3
    """

    radius = 0

    def __init__(self, key: Any) -> None:
        self.key = key

    def _apply(self, x: Any) -> Any:
        try:
            return x[self.key]
        except (KeyError, IndexError) as error:
            known = f"; it has {list(x)}" if isinstance(x, Mapping) else f"; it has {len(x)} items"
            raise type(error)(f"no {self.key!r} to pick{known}") from error


class Subsample(Operator):
    """Keep every n-th row and column of an (..., H, W) array, without averaging.

    On a GeoTensor the transform is scaled: the upper left corner stays, the pixels are larger.

    Parameters
    ----------
    stride
        N, or (rows, cols).

    Raises
    ------
    ValueError
        When it is called, for an array of fewer than two axes.

    Examples
    --------
    >>> import numpy as np
    >>> Subsample(2)(np.arange(16).reshape(4, 4)).tolist()
    [[0, 2], [8, 10]]
    """

    def __init__(self, stride: int | tuple[int, int]) -> None:
        self.stride = stride
        self._rows_cols = checked_pair(stride, "stride")

    def _apply(self, x: Any) -> Any:
        rows, cols = self._rows_cols
        values = np.asarray(x)
        if values.ndim < 2:
            raise ValueError(f"Subsample needs an (..., H, W) array, got shape {values.shape}")
        thinned = values[..., ::rows, ::cols]
        if not is_carrier(x):
            return thinned
        # Affine is not imported: the transform's own type makes the scaling.
        return rewrap(x, thinned, transform=x.transform * type(x.transform).scale(cols, rows))


class ApplyToBands(Operator):
    """Run an operator on each band alone and stack the results.

    The operator gets each band without its band axis, (H, W), as a GeoTensor when the input is
    one; results that are GeoTensors decide the transform, so the operator may thin or crop.

    Parameters
    ----------
    op
        An operator on one band.
    axis
        The axis of the bands, in the input and in the result.

    Raises
    ------
    ValueError
        When it is called: for an axis that the array lacks, that has no bands, or that is rows
        or columns.

    Examples
    --------
    >>> import numpy as np
    >>> from pipekit import Lambda
    >>> bands = np.array([[[1.0, 3.0]], [[10.0, 30.0]]])
    >>> ApplyToBands(Lambda(lambda band: band / band.max()))(bands)[:, 0, 1].tolist()
    [1.0, 1.0]
    """

    def __init__(self, op: Operator, axis: int = 0) -> None:
        self.op = checked_operator(op, "op")
        self.axis = axis

    @property
    def radius(self) -> int | None:
        """The operator's own, where the axis is surely that of the bands of (C, H, W)."""
        return radius_of(self.op) if self.axis in (0, -3) else None

    def _apply(self, x: Any) -> Any:
        values = np.asarray(x)
        bands = np.moveaxis(values, self.axis, 0)
        if not len(bands):
            raise ValueError(f"there are no bands on axis {self.axis} of shape {values.shape}")
        if not is_carrier(x):
            return np.stack([np.asarray(self.op(band)) for band in bands], axis=self.axis)
        if self.axis % values.ndim >= values.ndim - 2:
            raise ValueError(
                f"axis {self.axis} of shape {values.shape} is a spatial axis, not the bands'"
            )
        return self._on_carrier(x, bands)

    def _on_carrier(self, x: Carrier, bands: Any) -> Any:
        """Run on each band as a carrier of its own, and put the results into one."""
        names = x.attrs.get("band_names") if self.axis % x.values.ndim == 0 else None
        results = []
        for i, band in enumerate(bands):
            attrs = {k: v for k, v in x.attrs.items() if k != "band_names"}
            lone = rewrap(x, band, attrs=attrs)
            if names is not None:
                lone.attrs["band_names"] = [names[i]]
            results.append(self.op(lone))
        stacked = np.stack([np.asarray(result) for result in results], axis=self.axis)
        like = results[0] if is_carrier(results[0]) else x
        if stacked.shape[-2:] != like.values.shape[-2:]:
            return stacked
        return rewrap(like, stacked, attrs=x.attrs)
