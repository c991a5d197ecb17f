"""What every Field can do."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np

from geopatcher.patch import PatchError


@runtime_checkable
class Field(Protocol):
    """Anything that has a domain and can be asked for a piece of itself.

    A class with these three members is a Field; it need not derive from anything.

    >>> from geopatcher.fields import DaskField
    >>> import dask.array as da
    >>> isinstance(DaskField(da.zeros((4, 4))), Field)
    True
    """

    @property
    def domain(self) -> Any:
        """Where the Field lives."""

    def select(self, indices: Any) -> Any:
        """Return the piece at `indices`, the domain's own address: a window, cells or members."""

    def with_data(self, array: Any) -> Any:
        """Return a Field of other values on the same domain."""


def check_fits(array: Any, shape: tuple[int, ...], axes: int) -> np.ndarray:
    """Return data as an array whose last `axes` axes equal those of a domain's shape.

    >>> check_fits([[1, 2]], (5, 1, 2), axes=2).shape
    (1, 2)
    """
    array = np.asarray(array)
    if array.shape[-axes:] != tuple(shape[-axes:]):
        raise PatchError(
            f"data of shape {array.shape} do not end in the domain's {tuple(shape[-axes:])}"
        )
    return array
