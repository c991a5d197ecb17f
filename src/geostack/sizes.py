"""Sizes in bytes, as people write them."""

from __future__ import annotations

import re

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Return a size in bytes.

    Raises
    ------
    ValueError
        When it isn't a number with an optional unit of B, KB, MB, GB, TB (powers of 1000).

    Examples
    --------
    >>> parse_size("1.5GB")
    1500000000
    """
    match = _SIZE.match(text)
    unit = match.group(2).lower() if match else None
    if match is None or unit not in _UNITS:
        raise ValueError(f"a size looks like 500MB or 2GB, got {text!r}")
    return int(float(match.group(1)) * _UNITS[unit])


def format_size(size: float) -> str:
    """Return a size in bytes as people read it.

    Examples
    --------
    >>> format_size(1_500_000_000), format_size(0)
    ('1.5 GB', '0 B')
    """
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{int(size)} B"
