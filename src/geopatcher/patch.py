"""What a patch is, where it lies, and what can go wrong with one."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipekit.operator import summarise


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


class SeamWarning(UserWarning):
    """An operator looks beyond its chips, and no layout of them can help it.

    Examples
    --------
    >>> from geopatcher import SeamWarning
    >>> issubclass(SeamWarning, UserWarning)
    True
    """


def level_of_caller() -> int:
    """Return the stack level, for a warning, of the line outside this package that asked for it.

    Returns
    -------
    int
        As `warnings.warn` takes it, in the function that calls this one.
    """
    own = __name__.partition(".")[0]
    frame, level = sys._getframe(2), 2
    while frame.f_back is not None and frame.f_globals["__name__"].partition(".")[0] == own:
        frame, level = frame.f_back, level + 1
    return level


def other_pixels(patch: Patch, size: tuple[int, int], whose: str) -> PatchError:
    """Return the error for a patch whose data are not the pixels that it was made of.

    Parameters
    ----------
    patch : Patch
        The patch.
    size : (rows, cols)
        Of those pixels.
    whose : str
        What has them, for the message.

    Returns
    -------
    PatchError
        To be raised.

    Examples
    --------
    >>> other_pixels(Patch({"ndvi": 1}, (0, 4), None), (2, 2), "its window's")
    PatchError("the patch at anchor (0, 4) holds dict of 1: ndvi, and no array that ends in its \
window's (2, 2) pixels; of results by name merge one, such as lambda chip: operator(chip)['ndvi']")
    """
    data, where = patch.data, f"the patch at anchor {patch.anchor}"
    if np.ndim(data) == 0:
        key = next(iter(data)) if isinstance(data, Mapping) and data else "name"
        return PatchError(
            f"{where} holds {summarise(data)}, and no array that ends in {whose} {size} pixels; of "
            f"results by name merge one, such as lambda chip: operator(chip)[{key!r}]"
        )
    return PatchError(
        f"{where} has data of shape {np.shape(data)}, which does not end in {whose} {size} pixels; "
        "an operator that is stitched must keep the chip's height and width"
    )


@dataclass(slots=True, eq=False)
class Patch:
    """One piece of a Field. A patch equals itself alone: what it holds may be arrays.

    `data` is what the Field gave for `indices` (for rasters a `GeoTensor` (C, h, w));
    `anchor` is where the patch lies on the domain (for rasters (row, col) of its upper left
    pixel); `indices` is the domain's own address of the patch (for rasters a
    `rasterio.windows.Window`); `weights` is the window's (h, w) weight, or None.

    Parameters
    ----------
    data : any
        What the Field gave for `indices`, such as a `GeoTensor` (C, h, w).
    anchor : any
        Where the patch lies on the domain.
    indices : any
        The domain's own address of the patch.
    weights : numpy.ndarray, optional
        (h, w) of a rectangle, (n,) of cells or members.
    domain : TimeDomain, optional
        Of a patch in time: what it was cut from, so that a merge need not be told.

    Examples
    --------
    >>> Patch(data=[1, 2], anchor=(0, 0), indices=slice(0, 2)).with_data([3, 4]).data
    [3, 4]
    """

    data: Any
    anchor: Any
    indices: Any
    weights: Any = None
    domain: Any = None

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
        return Patch(data, self.anchor, self.indices, self.weights, self.domain)


@dataclass(frozen=True, eq=False)
class Scattered:
    """What every scattered address carries beside the positions, each (n,) or None.

    An address is cut like an array of its cells or members, and everything is cut with it;
    `tolist()` gives their numbers. `coverage` is the share, 0 to 1, of each cell or member that
    belongs to the patch. `distance` is how far it lies from the anchor, up to `reach`, in the
    geometry's unit.

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

    def __getitem__(self, key: Any) -> Any:
        """Return the address of some of them: a slice, a mask, or an array of positions."""
        cut = {}
        for part in dataclasses.fields(self):
            value = getattr(self, part.name)
            cut[part.name] = value if value is None or part.name == "reach" else value[key]
        return dataclasses.replace(self, **cut)

    def tolist(self) -> list[Any]:
        """Return the numbers of the members, or (row, col) of the cells.

        Returns
        -------
        list
            Plain numbers, or pairs of them.
        """
        first, *others = (axis.tolist() for axis in self.positions)
        return list(zip(first, *others, strict=True)) if others else first


@dataclass(frozen=True, eq=False)
class Cells(Scattered, tuple):
    """Cells of a raster or grid: `rows` and `cols`, each (n,) int64.

    To numpy they are a pair of index arrays, as `numpy.nonzero` gives them: `values[cells]` (n,)
    are the cells of a grid (H, W), `values[..., *cells]` (..., n) those of each band.

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
    >>> cells = Cells(rows=np.array([0, 0, 1]), cols=np.array([3, 4, 3]))
    >>> len(cells), cells[1:].tolist(), np.arange(10).reshape(2, 5)[cells].tolist()
    (3, [(0, 4), (1, 3)], [3, 4, 8])
    """

    rows: Any = ()
    cols: Any = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Cells:
        """Make a tuple, since numpy indexes an array's axes one by one with nothing else."""
        return super().__new__(cls)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.positions)

    __eq__ = object.__eq__
    __ne__ = object.__ne__
    __hash__ = object.__hash__

    @property
    def positions(self) -> tuple[np.ndarray, ...]:
        """(rows, cols)."""
        return self.rows, self.cols


@dataclass(frozen=True, eq=False)
class Members(Scattered):
    """Members of a set of points or shapes: `index` (n,) int64, which numpy takes it for.

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
    >>> members = Members(index=np.array([7, 2, 0]))
    >>> np.arange(8.0)[members], members[:2].tolist(), list(members)
    (array([7., 2., 0.]), [7, 2], [7, 2, 0])
    """

    index: Any = ()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.index, dtype=dtype, copy=copy)

    def __getitem__(self, key: Any) -> Any:
        """Return one member's number, or the address of some of them."""
        one = isinstance(key, int | np.integer)
        return int(self.index[key]) if one else super().__getitem__(key)

    def __iter__(self) -> Iterator[int]:
        return iter(self.index.tolist())

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

    Parameters
    ----------
    patches : iterable of Patch
        Of one shape.
    attr : str
        Which attribute is stacked: "data", "weights", "anchor", ...

    Returns
    -------
    numpy.ndarray
        (N, ...), masked where patches are.

    Raises
    ------
    PatchError
        When there is nothing to stack, the shapes differ, or a patch lacks the attribute.

    Examples
    --------
    >>> stack_patches([Patch(np.zeros((2, 4, 4)), (0, 0), None)] * 3).shape
    (3, 2, 4, 4)
    """
    found = [(patch.anchor, getattr(patch, attr)) for patch in patches]
    lacking = [anchor for anchor, value in found if value is None]
    if lacking:
        raise PatchError(
            f"{len(lacking)} of {len(found)} patches have no {attr}, the first at anchor "
            f"{lacking[0]}; those that a patcher cuts have all"
        )
    arrays = [value if np.ma.isMA(value) else np.asarray(value) for _, value in found]
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
    return np.ma.stack(arrays) if any(map(np.ma.isMA, arrays)) else np.stack(arrays)
