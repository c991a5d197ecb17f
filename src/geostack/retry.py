"""The old place of what is in `pipekit.retry` now."""

from __future__ import annotations

import warnings
from typing import Any

from pipekit import retry as _moved


def __getattr__(name: str) -> Any:
    value = getattr(_moved, name)
    warnings.warn(f"geostack.retry.{name} is in pipekit.retry", DeprecationWarning, stacklevel=2)
    return value
