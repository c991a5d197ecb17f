"""Count the bytes that a piece of work reads."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest


def bytes_read(work: Callable[[], object]) -> int:
    """Bytes that this process reads from files while `work` runs, as the kernel counts them."""
    counter = Path("/proc/self/io")
    if not sys.platform.startswith("linux") or not counter.exists():
        pytest.skip("bytes are counted by the Linux kernel")

    def count() -> int:
        return int(counter.read_text().split("rchar:")[1].split()[0])

    own = count()
    own = count() - own  # what reading the counter itself costs
    before = count()
    work()
    return count() - before - own
