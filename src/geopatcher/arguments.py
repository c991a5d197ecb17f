"""The one door for arguments: sizes and steps become (rows, cols), what is no axis is refused."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Iterable
from typing import Any

from geopatcher.patch import PatchError


def as_pixel_pair(value: Any, name: str) -> tuple[int, int]:
    """Return (rows, cols) of positive whole pixels from one number or a pair.

    >>> as_pixel_pair(256, "size")
    (256, 256)
    >>> as_pixel_pair((0, 192), "step")
    Traceback (most recent call last):
        ...
    geopatcher.patch.PatchError: step must be positive whole pixels, one number or (rows, cols), \
got (0, 192)
    """
    rule = f"{name} must be positive whole pixels, one number or (rows, cols), got {value!r}"
    try:
        items = tuple(value) if isinstance(value, Iterable) else (value, value)
        rows, cols = (operator.index(item) for item in items)
    except (TypeError, ValueError):
        raise PatchError(rule) from None
    if rows < 1 or cols < 1:
        raise PatchError(rule)
    return rows, cols


def as_choice(value: Any, name: str, accepted: tuple[str, ...]) -> str:
    """Return `value` when it is one of the accepted words, else raise `PatchError`.

    >>> as_choice("skip", "on_error", ("raise", "skip"))
    'skip'
    """
    if value not in accepted:
        raise PatchError(f"{name} must be one of {', '.join(accepted)}, got {value!r}")
    return str(value)


def as_count(value: Any, name: str) -> int:
    """Return a whole number of at least 1, else raise `PatchError`.

    >>> as_count(3, "length")
    3
    """
    try:
        count = operator.index(value)
    except TypeError:
        count = 0
    if count < 1:
        raise PatchError(f"{name} must be a whole number of at least 1, got {value!r}")
    return count


def as_positive(value: Any, name: str) -> float:
    """Return a number that is above 0 and finite, else raise `PatchError`.

    >>> as_positive(2.5, "radius_km")
    2.5
    """
    if not (math.isfinite(value) and value > 0):
        raise PatchError(f"{name} must be positive and finite, got {value!r}")
    return value


def is_a(obj: Any, *classes: str) -> bool:
    """Return whether an object is of one of some classes, given by name; nothing is imported.

    An object of a class exists only where somebody has imported the class's module.

    >>> is_a(7, "xarray.DataArray", "builtins.int")
    True
    """
    for name in classes:
        module, _, kind = name.rpartition(".")
        if module in sys.modules and isinstance(obj, getattr(sys.modules[module], kind)):
            return True
    return False
