"""How overlapping patches become one value: what every aggregation shares.

An aggregation whose result at a pixel needs only the patches that cover it is a reducer
(`geopatcher.merge.row_buffer.Reducer`): it merges in a rolling buffer of rows, in memory or as a
stream, and on scattered patches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from geopatcher.config import Configured
from geopatcher.domain import as_domain, as_raster_domain
from geopatcher.merge.chips import as_scene, warn_uncovered
from geopatcher.merge.rows import merge_rolling
from geopatcher.merge.scattered import merge_scattered, tell_scattered
from geopatcher.patch import Patch, PatchError

Spec = tuple[tuple[int, ...], Any]


class LocalAggregation(Configured):
    """An aggregation that looks at one pixel at a time; subclasses are reducers.

    `streaming_safe` tells whether its state for a pixel has a fixed size, whatever the number of
    patches on it.
    """

    streaming_safe: ClassVar[bool] = True

    def merge(self, patches: Iterable[Patch], domain: Any) -> Any:
        """Merge patches onto a domain; warns with the share that no patch covers."""
        domain = as_domain(domain)
        patches, scattered = tell_scattered(patches, domain)
        if scattered:
            return merge_scattered(patches, domain, self)
        domain = as_raster_domain(domain)
        merged = merge_rolling(patches, domain, self)
        warn_uncovered(1 - merged.covered / (domain.height * domain.width))
        fill = self.fill_for(merged.values.dtype)
        return as_scene(merged.values, domain, fill, merged.first.data, merged.skipped)

    def fill_for(self, dtype: np.dtype) -> Any:
        """Return the value of pixels that no patch covers in a raster of `dtype`."""
        return np.nan

    def result(self, lead: tuple[int, ...], dtype: np.dtype) -> Spec:
        """Return (leading shape, dtype) of the result for chips (*lead, h, w) of a dtype."""
        return lead, float_for(dtype)

    def start(self, lead: tuple[int, ...], dtype: np.dtype) -> list[Spec]:
        """Return (leading shape, dtype) of each state array."""
        raise TypeError(f"{type(self).__name__} must define start(lead, dtype)")

    def update(self, states: Sequence[np.ndarray], values: np.ndarray, weights: Any) -> None:
        """Take one chip (..., h, w) into the states' views."""
        raise TypeError(f"{type(self).__name__} must define update(states, values, weights)")

    def finish(self, states: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
        """Return the finished rows and how many of their pixels are covered."""
        raise TypeError(f"{type(self).__name__} must define finish(states)")


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
