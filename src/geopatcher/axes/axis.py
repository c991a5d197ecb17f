"""The four axes of a patcher as the rest of the package sees them.

A class with the methods of an axis is one, whatever it derives from: a user's own geometry,
sampler, window or aggregation goes where ours go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from geopatcher.axes.grid import RegularGrid
from geopatcher.patch import Patch, PatchError


class Geometry(Protocol):
    """What shape a patch has."""

    def neighborhood(self, domain: Any, anchor: Any) -> Any:
        """Return the address of the patch at an anchor: a window, cells or members."""

    def read(self, field: Any, indices: Any) -> Any:
        """Return a Field's values at such an address."""


class Sampler(Protocol):
    """Where patches are anchored."""

    def anchors(self, domain: Any, geometry: Any) -> Sequence[Any]:
        """Return the anchors of a geometry's patches on a domain."""


class Window(Protocol):
    """How much each pixel of a patch counts where patches overlap."""

    def weights(self, geometry: Any) -> np.ndarray:
        """Return the weights (h, w) of a rectangular chip."""


class Aggregation(Protocol):
    """How overlapping patches become one value."""

    def merge(self, patches: Iterable[Patch], domain: Any) -> Any:
        """Put patches together on a domain."""


@runtime_checkable
class Rectangular(Protocol):
    """A geometry whose patches are rectangles of one `size`, (rows, cols) in pixels."""

    size: tuple[int, int]


@runtime_checkable
class OnGrid(Protocol):
    """A sampler that knows when its anchors lie on a regular grid."""

    def grid(self, domain: Any, geometry: Any) -> RegularGrid | None:
        """Return the grid, or None for a geometry or domain without one."""


@runtime_checkable
class Separable(Protocol):
    """A window that is the outer product of one positive 1-D profile along rows and columns."""

    def profile(self, size: int) -> np.ndarray:
        """Return the 1-D weights (size,) float64, all positive."""


class Axes(Protocol):
    """The four axes of a spatial patcher, and what happens to a patch whose read fails."""

    @property
    def geometry(self) -> Any:
        """What shape patches have."""

    @property
    def sampler(self) -> Sampler:
        """Where they are anchored."""

    @property
    def window(self) -> Any:
        """How much their pixels count."""

    @property
    def aggregation(self) -> Aggregation:
        """How overlapping patches become one value."""

    @property
    def on_error(self) -> str:
        """What happens to a patch whose read fails: "raise", "skip" or "fill"."""


_METHODS = {
    "geometry": "neighborhood",
    "sampler": "anchors",
    "window": "weights",
    "aggregation": "merge",
}


def check_axes(patcher: Any) -> None:
    """Raise `PatchError` when one of a patcher's four axes lacks the method that makes it one."""
    for name, method in _METHODS.items():
        axis = getattr(patcher, name)
        if isinstance(axis, type):
            raise PatchError(f"{name} must be an object, got the class: write {axis.__name__}(...)")
        if not callable(getattr(axis, method, None)):
            raise PatchError(f"a patcher's {name} has a method {method}, got {axis!r}")
