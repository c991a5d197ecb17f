"""Two results, two configs, two pipelines: what differs, and by how much."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from pipekit.config import Encoder
from pipekit.operator import Operator, argument_repr, checked_operator, summarise
from pipekit.qc import QCError


class DiffError(QCError):
    """A result that is not close enough to its reference.

    Examples
    --------
    >>> issubclass(DiffError, QCError)
    True
    """


class Diff(Operator):
    """Pass the input through if it equals a reference within tolerances; NaN equals NaN.

    A value is close when `abs(x - reference) <= atol + rtol * abs(reference)`.

    Parameters
    ----------
    reference
        Array or number of the input's shape.
    atol
        Absolute tolerance, in the units of the data.
    rtol
        Relative tolerance.

    Raises
    ------
    DiffError
        With the largest difference and where it is, or the differing shapes.

    Examples
    --------
    >>> import numpy as np
    >>> Diff(np.array([1.0, 2.0]))(np.array([1.0, 2.5]))
    Traceback (most recent call last):
    pipekit.compare.DiffError: 1 of 2 values differ ...: the largest difference is 0.5 at (1,) ...
    """

    def __init__(self, reference: Any, atol: float = 1e-6, rtol: float = 0) -> None:
        if not (atol >= 0 and rtol >= 0):
            raise ValueError(f"tolerances are at least 0, got atol={atol}, rtol={rtol}")
        self.reference = reference
        self.atol = atol
        self.rtol = rtol

    def _apply(self, x: Any) -> Any:
        got, wanted = np.asarray(x), np.asarray(self.reference)
        if got.shape != wanted.shape:
            raise DiffError(f"shape {got.shape} differs from the reference's {wanted.shape}")
        numbers = _as_number(got), _as_number(wanted)
        far = ~np.isclose(*numbers, rtol=self.rtol, atol=self.atol, equal_nan=True)
        if far.any():
            difference = np.where(far, absolute_difference(got, wanted), -1.0)
            raise DiffError(self._message(got, wanted, difference, far))
        return x

    def _message(self, got: Any, wanted: Any, difference: Any, far: Any) -> str:
        """Say how many values differ, by how much at most, and where."""
        ranked = np.where(np.isnan(difference), np.inf, difference)
        where = tuple(int(i) for i in np.unravel_index(int(ranked.argmax()), ranked.shape))
        return (
            f"{int(far.sum())} of {far.size} values differ by more than atol={self.atol:g}, "
            f"rtol={self.rtol:g}: the largest difference is {ranked[where]:g} at {where} "
            f"({got[where]} against {wanted[where]} in the reference)"
        )


def _as_number(values: Any) -> Any:
    """Return values in a type whose differences do not wrap around."""
    return values if values.dtype.kind == "c" else values.astype("float64")


def absolute_difference(a: Any, b: Any) -> Any:
    """Return |a - b| as float64, two NaNs being alike and NaN against a number being NaN.

    Parameters
    ----------
    a, b
        Arrays or numbers of shapes that broadcast.

    Returns
    -------
    ndarray
        float64, in the units of the data.

    Examples
    --------
    >>> import numpy as np
    >>> absolute_difference(np.uint8([1, 3]), np.uint8([2, 3])).tolist()
    [1.0, 0.0]
    """
    a, b = np.asarray(a), np.asarray(b)
    with np.errstate(invalid="ignore"):
        difference = np.abs(_as_number(a) - _as_number(b))
    alike = (a == b) | ((a != a) & (b != b))
    return np.where(alike, 0.0, difference)


def max_difference(a: Any, b: Any) -> float:
    """Return the largest absolute difference of two arrays; infinite where one is NaN alone.

    Parameters
    ----------
    a, b
        Arrays or numbers of the same shape.

    Returns
    -------
    float
        In the units of the data; 0 for empty arrays.

    Raises
    ------
    ValueError
        The shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> max_difference(np.array([1.0, 2.0]), np.array([1.0, 2.5]))
    0.5
    """
    if np.shape(a) != np.shape(b):
        raise ValueError(f"results of shapes {np.shape(a)} and {np.shape(b)} cannot be compared")
    difference = absolute_difference(a, b)
    return float(np.where(np.isnan(difference), np.inf, difference).max(initial=0.0))


def config_diff(a: Operator, b: Operator) -> str:
    """Return the unified diff of two operators' configs as text; empty when they are alike.

    Parameters
    ----------
    a, b
        The two operators; those that hold functions are compared by the functions' names.

    Returns
    -------
    str
        The lines that differ, with three lines around them.

    Examples
    --------
    >>> from pipekit import AssertDType
    >>> print(config_diff(AssertDType("float32"), AssertDType("float64")))
    --- a
    +++ b
    @@ -1,4 +1,4 @@
     class: AssertDType
     config:
    -  dtype: float32
    +  dtype: float64
       on_fail: raise
    """
    from difflib import unified_diff

    from pipekit.yaml_text import dump

    shown = Encoder(lambda value, path: argument_repr(value))
    nodes = (shown.node(checked_operator(op, name), "") for op, name in ((a, "a"), (b, "b")))
    before, after = (dump(node).splitlines() for node in nodes)
    return "\n".join(unified_diff(before, after, "a", "b", lineterm=""))


class ABResult(NamedTuple):
    """What an A/B test found.

    `per_input` holds the metric of each input, `mean` their mean, `worst` the largest and
    `worst_index` the number of its input.

    Examples
    --------
    >>> ABResult([0.5, 2.0], mean=1.25, worst=2.0, worst_index=1).ranked(1)
    [(1, 2.0)]
    """

    per_input: list[float]
    mean: float
    worst: float
    worst_index: int

    def ranked(self, count: int | None = None) -> list[tuple[int, float]]:
        """Return (input number, metric) from the worst on, at most `count` of them.

        Parameters
        ----------
        count
            The most entries, or None for all.

        Returns
        -------
        list of (int, float)
            The input's number and its metric, the largest metric first; NaN before it.
        """
        order = sorted(range(len(self.per_input)), key=lambda i: -_severity(self.per_input[i]))
        return [(i, self.per_input[i]) for i in order[:count]]


def _severity(metric: float) -> float:
    """Return a metric to rank by: NaN is the worst."""
    return float("inf") if metric != metric else metric


def ab_test(
    a: Operator,
    b: Operator,
    inputs: Iterable[Any],
    metric: Callable[[Any, Any], float] = max_difference,
) -> ABResult:
    """Run two operators on the same inputs and measure how much their results differ.

    Parameters
    ----------
    a
        One operator.
    b
        The other.
    inputs
        At least one input; they are taken one at a time.
    metric
        `metric(a_result, b_result)`, larger being worse; NaN counts as the worst.

    Returns
    -------
    ABResult
        The metric of each input, their mean and the worst.

    Raises
    ------
    ValueError
        There is no input.

    Examples
    --------
    >>> from pipekit import Lambda
    >>> ab_test(Lambda(round), Lambda(int), [1.2, 1.8])
    ABResult(per_input=[0.0, 1.0], mean=0.5, worst=1.0, worst_index=1)
    """
    checked_operator(a, "a")
    checked_operator(b, "b")
    per_input: list[float] = []
    for position, x in enumerate(inputs):
        try:
            per_input.append(float(metric(a(x), b(x))))
        except Exception as error:
            error.add_note(f"failed on input {position} of ab_test: {summarise(x)}")
            raise
    if not per_input:
        raise ValueError("ab_test needs at least one input")
    worst_index = max(range(len(per_input)), key=lambda i: _severity(per_input[i]))
    mean = sum(per_input) / len(per_input)
    return ABResult(per_input, mean, per_input[worst_index], worst_index)
