"""How large what an operator makes may be, asked before it is made.

A pipeline of a stranger's is a few words, of which one may ask for a raster of 400,000 x 400,000
pixels, or for a look at as many around each. Whoever runs it says how many bytes are enough.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from pipekit.carrier import is_carrier
from pipekit.pixels import plain
from pipekit.radius import operators_within, radius_of

_MOST: ContextVar[int | None] = ContextVar("most bytes", default=None)


class ResultSizeError(ValueError):
    """An operator would make, or look at, more than is allowed here; nothing was made."""


@contextmanager
def at_most(most: int) -> Iterator[None]:
    """Refuse larger results within the block.

    Parameters
    ----------
    most
        Bytes of one result.

    Examples
    --------
    >>> with at_most(100):
    ...     check_size((20, 20), "uint8", "PadTo")
    Traceback (most recent call last):
    pipekit.result_size.ResultSizeError: PadTo would make 20 x 20 of uint8, 400 bytes, and here a \
result has at most 100; ask for fewer pixels
    """
    before = _MOST.set(most)
    try:
        yield
    finally:
        _MOST.reset(before)


def check_size(shape: Sequence[int], dtype: Any, who: str) -> None:
    """Refuse what would be too large, before it is made; without a limit everything passes.

    Parameters
    ----------
    shape
        Of the result.
    dtype
        Of its values.
    who
        What makes it, named by the error.

    Raises
    ------
    ResultSizeError
        It has more bytes than `at_most` says.

    Examples
    --------
    >>> check_size((20, 20), "uint8", "PadTo")
    """
    most, kind = _MOST.get(), np.dtype(dtype)
    size = math.prod(map(int, shape)) * kind.itemsize
    if most is not None and size > most:
        raise ResultSizeError(
            f"{who} would make {' x '.join(map(str, shape))} of {kind}, {size} bytes, and here a "
            f"result has at most {most}; ask for fewer pixels"
        )


def run_bounded(operator: Any, most: int, *inputs: Any, **named: Any) -> Any:
    """Run an operator of which nothing may be large: no result, nor a raster with its rim.

    Parameters
    ----------
    operator
        Any, also one around others.
    most
        Bytes of one result, and of an input with the pixels that an operator looks at around it.
    *inputs, **named
        Of the operator.

    Returns
    -------
    object
        The operator's result.

    Raises
    ------
    ResultSizeError
        For what would be larger.

    Examples
    --------
    >>> from pipekit import Lambda
    >>> run_bounded(Lambda(np.negative, radius=9), 100, np.ones((2, 2)))
    Traceback (most recent call last):
    pipekit.result_size.ResultSizeError: Lambda, which looks 9 pixels around each, would make \
20 x 20 of float64, 3200 bytes, and here a result has at most 100; ask for fewer pixels
    """
    with at_most(most):
        for raster in (*inputs, *named.values()):
            values = plain(raster) if is_carrier(raster) else np.asarray(raster)
            for each in operators_within(operator) if values.ndim >= 2 else ():
                radius = radius_of(each) or 0
                shape = (*values.shape[:-2], *(side + 2 * radius for side in values.shape[-2:]))
                who = f"{type(each).__name__}, which looks {radius} pixels around each,"
                if radius:
                    check_size(shape, values.dtype, who)
        return operator(*inputs, **named)
