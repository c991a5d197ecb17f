"""The classes that a config from someone else may name."""

from __future__ import annotations

from typing import Any

from pipekit import Operator, Registry, default_registry

# A config that names these reads or writes files of its choice.
_TOUCH_FILES = ("CatalogPipeline", "ReadGeoTensor", "WriteCOG")


def registry(*, files: bool = False) -> Registry:
    """Return a registry of pipekit's and geotoolz's operators and the patcher's axes.

    `pipekit.from_config(config, registry())` builds nothing else.

    - `files`: also allow the operators whose whole purpose is to read or write files where the
      config says. A patcher's `SpatialOverlapAdd` is always allowed, and writes too when its
      `target_path` is set: look for that in configs from strangers.

    >>> from pipekit import from_config, to_config
    >>> from geotoolz import NDVI, DNToReflectance
    >>> pipeline = DNToReflectance() | NDVI(red_idx=0, nir_idx=1)
    >>> from_config(to_config(pipeline), registry()) == pipeline
    True
    """
    import geopatcher
    import geotoolz
    from geopatcher.config import Configured

    known = Registry(default_registry())
    for name in geotoolz.__all__:
        if files or name not in _TOUCH_FILES:
            _add(known, getattr(geotoolz, name), Operator)
    for name in geopatcher.__all__:
        _add(known, getattr(geopatcher, name), Configured)
    return known


def _add(known: Registry, value: Any, kind: type) -> None:
    if not isinstance(value, type) or not issubclass(value, kind) or value is kind:
        return
    if not getattr(value, "forbid_in_yaml", False):
        known.add(value)
