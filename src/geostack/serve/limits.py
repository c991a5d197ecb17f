"""What one request, and all of them together, may cost."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Limits:
    """The limits of a server; the defaults suit a machine with a few cores and gigabytes.

    Raises ValueError for a limit that is not a positive number (`waiting` may be 0).

    >>> Limits(running=0)
    Traceback (most recent call last):
    ValueError: running must be a positive number, got 0
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
            value = getattr(self, field.name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or value < 0 or (value == 0 and field.name != "waiting"):
                raise ValueError(f"{field.name} must be a positive number, got {value!r}")
