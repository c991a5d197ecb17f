"""What the C library does with the pages of freed arrays: kept during a run, returned after it."""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Sequence
from functools import cache
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LEAST = 4 * 2**20
KEEP_ALL = 32 * 2**20
"""Bytes of the largest array whose pages glibc can keep."""
_KEPT = 64 * 2**20


def keep_freed_pages(largest: int) -> None:
    """Let the C library keep the pages of freed chips instead of returning them each time.

    - `largest`: bytes of the largest array that is made for a chip. Buffers of rows are larger,
      and their pages go back, of which each thread would else keep some.

    A chip's arrays are some 100 KB: glibc first maps and unmaps each of them, and the page faults
    cost more than the arithmetic. It would learn by itself, were it not told to forget: Dask
    starts its workers with `MALLOC_TRIM_THRESHOLD_`, which ends that learning (measured: 1.8
    times the processor time for a block). A `MALLOC_MMAP_THRESHOLD_` that the user set stays.
    Where the C library is another one, this does nothing.
    """
    library = _glibc()
    if library is not None and "MALLOC_MMAP_THRESHOLD_" not in os.environ:
        library.mallopt(_M_MMAP_THRESHOLD, min(max(largest, _LEAST), KEEP_ALL))
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT)


def chip_bytes(scene: Sequence[int], made: Sequence[int], pixels: int) -> int:
    """Return the bytes of a chip in float64, of what goes in or comes out.

    - `scene`: (..., H, W); `made`: the leading shape of a result; `pixels`: of a chip.

    >>> chip_bytes((4, 500, 500), (), 100)
    3200
    """
    return max(math.prod(scene[:-2]), math.prod(made)) * pixels * 8


def return_freed_pages() -> None:
    """Give the pages of freed chips back, so that what comes after a run does not add to its peak.

    >>> return_freed_pages()
    """
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


@cache
def _glibc() -> Any:
    """Return the C library of this process when it is GNU's, else None."""
    if os.name != "posix":
        return None
    library = ctypes.CDLL(None)
    known = all(hasattr(library, name) for name in ("gnu_get_libc_version", "mallopt"))
    return library if known else None
