"""What one request, and all of them together, may cost."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Limits:
    """The limits of a server; the defaults suit a machine with a few cores and gigabytes.

    Raises ValueError for a limit that is not a positive number, whole but for times (`waiting` may
    be 0).

    >>> Limits(running=0)
    Traceback (most recent call last):
    ValueError: running must be a positive whole number, got 0
    """

    max_body: int = 8 << 20
    """Bytes of a request's body."""
    max_pixels: int = 4_000_000
    """Bands x rows x columns of what a pipeline is given."""
    seconds: float = 30.0
    """For one answer, its waiting included."""
    body_seconds: float = 10.0
    """For a body to arrive."""
    running: int = 4
    """Jobs that run at the same time."""
    waiting: int = 32
    """Jobs that wait for their turn; beyond that a request is refused at once."""
    tile_cache: int = 64 << 20
    """Bytes of tiles that are kept."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value, whole = getattr(self, field.name), isinstance(field.default, int)
            number = isinstance(value, int if whole else int | float) and type(value) is not bool
            none = value == 0 and field.name == "waiting"
            if not (number and (none or 0 < value < math.inf)):
                kind = "whole number" if whole else "number"
                raise ValueError(f"{field.name} must be a positive {kind}, got {value!r}")
