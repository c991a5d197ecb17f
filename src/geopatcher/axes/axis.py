"""The four axes of a patcher as the rest of the package sees them.

A class with the methods of an axis is one, whatever it derives from: a user's own geometry,
sampler, window or aggregation goes where ours go.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np

from geopatcher.config import Configured
from geopatcher.patch import Patch, PatchError


@dataclass(frozen=True)
class AxisGrid:
    """Chips of `size` every `step` along an axis of `length` pixels.

    Parameters
    ----------
    length : int
        Pixels of the axis.
    size : int
        Pixels of a chip.
    step : int
        Pixels from one chip to the next.
    boundary : {"drop", "shift", "pad", "shrink"}
        What happens at the axis' end.

    Examples
    --------
    >>> AxisGrid(length=100, size=30, step=20, boundary="drop").starts
    (0, 20, 40, 60)
    >>> AxisGrid(length=100, size=30, step=20, boundary="shift").starts
    (0, 20, 40, 60, 70)
    >>> AxisGrid(length=100, size=30, step=20, boundary="pad").starts
    (0, 20, 40, 60, 80)
    """

    length: int
    size: int
    step: int
    boundary: str

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The first pixel of each chip, rising."""
        last = self.length - self.size
        if self.boundary in ("pad", "shrink"):
            count = max(0, math.ceil(last / self.step)) + 1
            return tuple(s for s in range(0, count * self.step, self.step) if s < self.length)
        starts = tuple(range(0, last + 1, self.step))
        if self.boundary == "shift" and starts and starts[-1] != last:
            return (*starts, last)
        return starts

    def stop(self, index: int) -> int:
        """Return the pixel after the last one that chip `index` covers inside the axis.

        Parameters
        ----------
        index : int
            The number of the chip.

        Returns
        -------
        int
            In pixels.
        """
        return min(self.starts[index] + self.size, self.length)

    @cached_property
    def counts(self) -> np.ndarray:
        """How many chips cover each pixel: (length,) int64."""
        starts = np.array(self.starts, np.int64)
        stops = np.minimum(starts + self.size, self.length)
        began, ended = (np.bincount(edges, minlength=self.length + 1) for edges in (starts, stops))
        return np.cumsum(began - ended)[:-1]

    def weights(self, profile: np.ndarray, normalise: bool = True) -> list[np.ndarray]:
        """Return each chip's 1-D weights from the window's `profile` (size,).

        With `normalise` they sum to 1 over the chips at every covered pixel. Chips that have
        equal weights share one array, which callers may use as a key.

        Parameters
        ----------
        profile : numpy.ndarray
            (size,), the window's 1-D weights.
        normalise : bool
            Whether they sum to 1.

        Returns
        -------
        list of numpy.ndarray
            One for each chip, float64, cut at the end of the axis.
        """
        profile = np.asarray(profile, np.float64)
        spans = [(start, self.stop(i)) for i, start in enumerate(self.starts)]
        total = np.zeros(self.length)
        for start, stop in spans:
            total[start:stop] += profile[: stop - start]
        shared: dict[bytes, np.ndarray] = {}
        result = []
        for start, stop in spans:
            weights = profile[: stop - start]
            if normalise:
                weights = weights / total[start:stop]
            result.append(shared.setdefault(weights.tobytes(), weights))
        return result


@dataclass(frozen=True)
class RegularGrid:
    """Rows and columns of chips, in row-major order.

    Parameters
    ----------
    rows : AxisGrid
        Along rows.
    cols : AxisGrid
        Along columns.

    Examples
    --------
    >>> grid = RegularGrid(AxisGrid(100, 30, 20, "drop"), AxisGrid(50, 30, 20, "drop"))
    >>> len(grid), grid.anchor(3), grid.covered_share
    (8, (20, 20), 0.9)
    """

    rows: AxisGrid
    cols: AxisGrid

    def __len__(self) -> int:
        return len(self.rows.starts) * len(self.cols.starts)

    def anchor(self, index: int) -> tuple[int, int]:
        """Return (row, col) of chip `index`.

        Parameters
        ----------
        index : int
            The number of the chip, row-major.

        Returns
        -------
        (int, int)
            (row, col) of the upper left pixel.
        """
        row, col = divmod(index, len(self.cols.starts))
        return self.rows.starts[row], self.cols.starts[col]

    def anchors(self) -> Iterator[tuple[int, int]]:
        """Yield (row, col) of every chip.

        Returns
        -------
        iterator of (int, int)
            Row-major.
        """
        return ((row, col) for row in self.rows.starts for col in self.cols.starts)

    @property
    def covered_share(self) -> float:
        """The share of pixels that at least one chip covers, 0 to 1."""
        return float(np.mean(self.rows.counts > 0) * np.mean(self.cols.counts > 0))


class Geometry(Protocol):
    """What shape a patch has."""

    def neighborhood(self, domain: Any, anchor: Any) -> Any:
        """Return the address of the patch at an anchor: a window, cells or members.

        Parameters
        ----------
        domain : domain
            Where patches lie: their anchors.
        anchor : (row, col), int or (lon, lat)
            Where the patch lies: its anchor.

        Returns
        -------
        Window, Cells or Members
            The address of the patch.
        """

    def read(self, field: Any, indices: Any) -> Any:
        """Return a Field's values at such an address.

        Parameters
        ----------
        field : Field
            What is read.
        indices : Window, Cells or Members
            The address of the patch.

        Returns
        -------
        array
            The values at the address, of the Field's kind.
        """


class Sampler(Protocol):
    """Where patches are anchored."""

    def anchors(self, domain: Any, geometry: Any) -> Sequence[Any]:
        """Return the anchors of a geometry's patches on a domain.

        Parameters
        ----------
        domain : domain
            Where patches lie: their anchors.
        geometry : Geometry
            What shape the patches have.

        Returns
        -------
        list
            Anchors, as the geometry takes them.
        """


class Window(Protocol):
    """How much each pixel of a patch counts where patches overlap."""

    def weights(self, geometry: Any) -> np.ndarray:
        """Return the weights (h, w) of a rectangular chip.

        Parameters
        ----------
        geometry : Geometry
            What shape the patches have.

        Returns
        -------
        numpy.ndarray
            (h, w) float32, all positive.
        """


class Aggregation(Protocol):
    """How overlapping patches become one value."""

    def merge(self, patches: Iterable[Patch], domain: Any) -> Any:
        """Put patches together on a domain.

        Parameters
        ----------
        patches : PatchStream or iterable of Patch
            What is merged; an iterator must come by rising row.
        domain : domain, Field, GeoTensor, reader or array
            What they are merged onto.

        Returns
        -------
        any
            What the aggregation makes.
        """


@runtime_checkable
class Rectangular(Protocol):
    """A geometry whose patches are rectangles of one `size`, (rows, cols) in pixels.

    Parameters
    ----------
    size : (rows, cols)
        In pixels.
    """

    size: tuple[int, int]


@runtime_checkable
class OnGrid(Protocol):
    """A sampler that knows when its anchors lie on a regular grid."""

    def grid(self, domain: Any, geometry: Any) -> RegularGrid | None:
        """Return the grid, or None for a geometry or domain without one.

        Parameters
        ----------
        domain : domain
            Where patches lie: their anchors.
        geometry : Geometry
            What shape the patches have.

        Returns
        -------
        RegularGrid or None
            Rows and columns of chips.
        """


@runtime_checkable
class Separable(Protocol):
    """A window that is the outer product of one positive 1-D profile along rows and columns."""

    def profile(self, size: int) -> np.ndarray:
        """Return the 1-D weights (size,) float64, all positive.

        Parameters
        ----------
        size : int
            In pixels.

        Returns
        -------
        numpy.ndarray
            (size,) float64, all positive.
        """


@runtime_checkable
class ByPlace(Protocol):
    """A window whose weights depend on where a rectangular chip lies in the scene."""

    def weights_at(self, geometry: Any, chip: Any, domain: Any) -> np.ndarray:
        """Return the weights (h, w) of a chip.

        Parameters
        ----------
        geometry : Geometry
            What shape chips have.
        chip : rasterio.windows.Window
            On the scene.
        domain : RasterDomain
            The scene.

        Returns
        -------
        numpy.ndarray
            (h, w) float32, 0 where the chip does not count.
        """


class Axes(Configured):
    """The four axes of a spatial patcher, and what happens to a patch whose read fails.

    Parameters
    ----------
    geometry : Geometry
        What shape patches have.
    sampler : Sampler
        Where they are anchored.
    window : Window
        How much their pixels count.
    aggregation : Aggregation
        How overlapping patches become one value.
    on_error : {"raise", "skip", "fill"}
        What happens to a patch whose read fails.
    """

    geometry: Any
    sampler: Any
    window: Any
    aggregation: Any
    on_error: str


_METHODS = {
    "geometry": "neighborhood",
    "sampler": "anchors",
    "window": "weights",
    "aggregation": "merge",
}


def check_axes(patcher: Any) -> None:
    """Raise `PatchError` when one of a patcher's four axes lacks the method that makes it one.

    Parameters
    ----------
    patcher : SpatialPatcher or TemporalPatcher
        With four axes.
    """
    for name, method in _METHODS.items():
        axis = getattr(patcher, name)
        if isinstance(axis, type):
            raise PatchError(f"{name} must be an object, got the class: write {axis.__name__}(...)")
        if not callable(getattr(axis, method, None)):
            raise PatchError(f"a patcher's {name} has a method {method}, got {axis!r}")
