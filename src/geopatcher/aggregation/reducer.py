"""How overlapping patches become one value: what every aggregation of pixels shares.

Such an aggregation needs, for its result at a pixel, only the patches that cover it (a
`geopatcher.merge.row_buffer.Reducer`): it merges in memory, row by row into a file, and on
scattered patches.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from geopatcher.config import Configured
from geopatcher.merge.row_buffer import Reducer, Spec
from geopatcher.patch import Patch, PatchError
from geopatcher.stitch import merge_in_memory


class PixelAggregation(Configured, Reducer):
    """An aggregation that looks at one pixel at a time.

    `streaming_safe` tells whether its state for a pixel has a fixed size, whatever the number of
    patches on it.
    """

    streaming_safe: ClassVar[bool] = True

    def merge(self, patches: Iterable[Patch], domain: Any) -> Any:
        """Merge patches onto a domain; warns with the share that no patch covers."""
        return merge_in_memory(patches, domain, self)

    def fill_for(self, dtype: np.dtype) -> Any:
        """Return the value of pixels that no patch covers in a raster of `dtype`."""
        return np.nan

    def result(self, lead: tuple[int, ...], dtype: np.dtype) -> Spec:
        """Return (leading shape, dtype) of the result for chips (*lead, h, w) of a dtype."""
        return lead, float_for(dtype)


def float_for(dtype: Any) -> np.dtype:
    """Return the float type that holds values of `dtype`: float32, or float64 when that rounds.

    >>> float_for("uint16"), float_for("int32"), float_for("bool")
    (dtype('float32'), dtype('float64'), dtype('float32'))
    """
    return np.result_type(dtype, np.float32)


def check_ordered(aggregation: Any, dtype: Any) -> None:
    """Raise `PatchError` for values without an order where an aggregation compares them."""
    if np.dtype(dtype).kind == "c":
        raise PatchError(
            f"{type(aggregation).__name__} compares values, and complex numbers have no order; "
            "merge their real and imaginary parts, or their magnitudes"
        )


def sum_type(dtype: Any) -> np.dtype:
    """Return the type in which values of `dtype` are added up, however many there are.

    >>> sum_type("uint16"), sum_type("complex64")
    (dtype('float64'), dtype('complex128'))
    """
    return np.result_type(dtype, np.float64)


def where_covered(values: np.ndarray, covered: np.ndarray) -> tuple[np.ndarray, int]:
    """Return values with NaN where no patch came, and how many pixels are covered.

    `covered`: (rows, W) bool.
    """
    values[..., ~covered] = np.nan
    return values, int(covered.sum())
