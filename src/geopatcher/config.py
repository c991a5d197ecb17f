"""The constructor arguments of an axis or a patcher, written as JSON and read back."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from geopatcher.patch import PatchError

_KINDS: dict[str, type[Configured]] = {}


class Configured:
    """A frozen dataclass whose fields are its config.

    Subclasses are dataclasses; `repr` and `==` come with the dataclass. Every subclass can be
    built again by `from_config`, which knows the classes that were defined and imports nothing.

    >>> from geopatcher import SpatialRegularStride
    >>> config = SpatialRegularStride(192).get_config()
    >>> config, SpatialRegularStride.from_config(config)
    ({'step': [192, 192]}, SpatialRegularStride(step=(192, 192)))
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        known = _KINDS.get(cls.__name__)
        if known is not None and known.__module__ != cls.__module__:
            raise PatchError(
                f"the name {cls.__name__} is taken by {known.__module__}, and a config tells "
                "classes apart by name; choose another name"
            )
        _KINDS[cls.__name__] = cls

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name as plain JSON values.

        Nested axes are `{"class": name, "config": {...}}`. Raises `PatchError` for what has no
        JSON form, such as a function.
        """
        return {
            name: _write(value, f"{type(self).__name__}.{name}")
            for name, value in self._config_values().items()
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build the object that `get_config` described."""
        return cls(**{name: _read(value) for name, value in config.items()})

    def _config_values(self) -> dict[str, Any]:
        """Return the arguments themselves, by name."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
            if field.init
        }


def _write(value: Any, where: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Configured):
        return {"class": type(value).__name__, "config": value.get_config()}
    if isinstance(value, Mapping):
        return {str(key): _write(item, where) for key, item in value.items()}
    if isinstance(value, list | tuple | range | np.ndarray):
        return [_write(item, where) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    try:
        return np.dtype(value).str
    except TypeError:
        raise PatchError(
            f"{where} holds a {type(value).__name__}, which has no JSON form; give plain numbers, "
            "text or axes, or pickle the object instead"
        ) from None


def _read(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.keys() != {"class", "config"}:
            return {key: _read(item) for key, item in value.items()}
        kind = _KINDS.get(value["class"])
        if kind is None:
            raise PatchError(
                f"the config names the class {value['class']!r}, which is not defined here; "
                f"known classes: {', '.join(sorted(_KINDS))}"
            )
        return kind.from_config(value["config"])
    if isinstance(value, list):
        return [_read(item) for item in value]
    return value
