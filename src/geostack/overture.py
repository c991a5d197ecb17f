"""The former place of `geostack.query_overture` and `geostack.load_overture_buildings_url`."""

from __future__ import annotations

import warnings
from typing import Any


def __getattr__(name: str) -> Any:
    from geostack.loaders import overture

    value = getattr(overture, name)
    warnings.warn(f"take {name} from geostack, not geostack.overture", DeprecationWarning, 2)
    return value
