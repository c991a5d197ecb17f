"""Waiting for what happens, however slow the machine is."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(holds: Callable[[], Found], what: str, seconds: float = 300.0) -> Found:
    """Return what `holds` returns as soon as that is true; fail after minutes."""
    ends = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < ends, f"{seconds:g} s passed without this: {what}"
        time.sleep(0.005)
    return found
