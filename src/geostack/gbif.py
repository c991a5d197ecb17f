"""The former place of `geostack.load_gbif_points` and `geostack.read_gbif_download`."""

from __future__ import annotations

import warnings
from typing import Any


def __getattr__(name: str) -> Any:
    from geostack.loaders import gbif

    value = getattr(gbif, name)
    warnings.warn(f"take {name} from geostack, not geostack.gbif", DeprecationWarning, 2)
    return value
