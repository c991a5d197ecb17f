"""The constructor arguments of an axis or a patcher, read back as a config."""

from __future__ import annotations

import dataclasses
from typing import Any


class Configured:
    """A frozen dataclass whose fields are its config.

    Subclasses are dataclasses; `get_config()` gives their fields, `repr` and `==` come with
    the dataclass.

    >>> from geopatcher import SpatialRegularStride
    >>> SpatialRegularStride(192).get_config()
    {'step': (192, 192)}
    """

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
            if field.init
        }
