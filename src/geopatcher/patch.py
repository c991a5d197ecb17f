"""What a patch is, where it lies, and what can go wrong with one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np


class PatchError(ValueError):
    """A patch, an axis or a merge that cannot be what was asked.

    Examples
    --------
    >>> from geopatcher import PatchError, SpatialRegularStride
    >>> try:
    ...     SpatialRegularStride(0)
    ... except PatchError as error:
    ...     print(error)
    step must be positive whole pixels, one number or (rows, cols), got 0
    """


class CoverageWarning(UserWarning):
    """Part of the scene was covered by no patch.

    Examples
    --------
    >>> import warnings
    >>> from rasterio.windows import Window
    >>> from geopatcher import Patch, SpatialMean
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always")
    ...     merged = SpatialMean().merge([Patch(np.ones((1, 1)), (0, 0), Window(0, 0, 1, 1))],
    ...                                  np.zeros((1, 2)))
    >>> told[0].category.__name__, merged
    ('CoverageWarning', array([[ 1., nan]]))
    """


@dataclass(slots=True, eq=False)
class Patch:
    """One piece of a Field. A patch equals itself alone: what it holds may be arrays.

    `data` is what the Field gave for `indices` (for rasters a `GeoTensor` (C, h, w));
    `anchor` is where the patch hangs on the domain (for rasters (row, col) of its upper left
    pixel); `indices` is the domain's own address of the patch (for rasters a
    `rasterio.windows.Window`); `weights` is the window's (h, w) weight, or None.

    Parameters
    ----------
    data : any
        What the Field gave for `indices`, such as a `GeoTensor` (C, h, w).
    anchor : any
        Where the patch hangs on the domain.
    indices : any
        The domain's own address of the patch.
    weights : numpy.ndarray, optional
        (h, w) of a rectangle, (n,) of cells or members.

    Examples
    --------
    >>> Patch(data=[1, 2], anchor=(0, 0), indices=slice(0, 2)).with_data([3, 4]).data
    [3, 4]
    """

    data: Any
    anchor: Any
    indices: Any
    weights: Any = None

    def with_data(self, data: Any) -> Patch:
        """Return the same patch with other data, for instance what an operator made of it.

        Parameters
        ----------
        data : any
            The new data.

        Returns
        -------
        Patch
            At the same place.
        """
        return Patch(data, self.anchor, self.indices, self.weights)


@dataclass(frozen=True, eq=False)
class Scattered:
    """What every scattered address carries beside the positions, each (n,) or None.

    `coverage` is the share, 0 to 1, of each cell or member that belongs to the patch.
    `distance` is how far it lies from the anchor, up to `reach`, in the geometry's unit.

    Parameters
    ----------
    coverage : numpy.ndarray, optional
        (n,), shares 0 to 1.
    distance : numpy.ndarray, optional
        (n,), from the anchor, in the geometry's unit.
    reach : float
        The largest distance, in the same unit.
    """

    coverage: np.ndarray | None = None
    distance: np.ndarray | None = None
    reach: float = np.inf

    @property
    def positions(self) -> tuple[np.ndarray, ...]:
        """The index arrays, one per axis of the domain, each (n,) int64."""
        raise TypeError(f"{type(self).__name__} must define positions")

    def __len__(self) -> int:
        return len(self.positions[0])


@dataclass(frozen=True, eq=False)
class Cells(Scattered):
    """Cells of a raster or grid: `rows` and `cols`, each (n,) int64.

    Parameters
    ----------
    coverage : numpy.ndarray, optional
        (n,), shares 0 to 1.
    distance : numpy.ndarray, optional
        (n,), from the anchor, in the geometry's unit.
    reach : float
        The largest distance, in the same unit.
    rows : numpy.ndarray
        (n,) int64.
    cols : numpy.ndarray
        (n,) int64.

    Examples
    --------
    >>> len(Cells(rows=np.array([0, 0, 1]), cols=np.array([3, 4, 3])))
    3
    """

    rows: Any = ()
    cols: Any = ()

    @property
    def positions(self) -> tuple[np.ndarray, ...]:
        """(rows, cols)."""
        return self.rows, self.cols


@dataclass(frozen=True, eq=False)
class Members(Scattered):
    """Members of a set of points or shapes: `index` (n,) int64.

    Parameters
    ----------
    coverage : numpy.ndarray, optional
        (n,), shares 0 to 1.
    distance : numpy.ndarray, optional
        (n,), from the anchor, in the geometry's unit.
    reach : float
        The largest distance, in the same unit.
    index : numpy.ndarray
        (n,) int64.

    Examples
    --------
    >>> len(Members(index=np.array([7, 2])))
    2
    """

    index: Any = ()

    @property
    def positions(self) -> tuple[np.ndarray, ...]:
        """(index,)."""
        return (self.index,)


class Failed(np.ndarray):
    """The NaN pixels (h, w), or (n,), that stand for a patch which failed under "fill"."""

    def __new__(cls, shape: tuple[int, ...]) -> Failed:
        """Return an array of NaN, float32."""
        return np.full(shape, np.nan, np.float32).view(cls)


def stack_patches(patches: Iterable[Patch], attr: str = "data") -> np.ndarray:
    """Stack one attribute of many patches into an array (N, ...).

    Raises `PatchError` when there is nothing to stack or the shapes differ.

    Parameters
    ----------
    patches : iterable of Patch
        Of one shape.
    attr : str
        Which attribute is stacked.

    Returns
    -------
    numpy.ndarray
        (N, ...).

    Examples
    --------
    >>> stack_patches([Patch(np.zeros((2, 4, 4)), (0, 0), None)] * 3).shape
    (3, 2, 4, 4)
    """
    arrays = [np.asarray(getattr(patch, attr)) for patch in patches]
    if not arrays:
        raise PatchError("no patches to stack: the iterable is empty")
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) > 1:
        shown = ", ".join(map(str, shapes[:4])) + (", ..." if len(shapes) > 4 else "")
        raise PatchError(
            f"patches of one shape are needed to stack, got {len(shapes)} shapes ({shown}); "
            'use boundary="shift" or "pad" so that every chip has the full size, and '
            "TemporalCausalRolling so that every lookback has"
        )
    return np.stack(arrays)
