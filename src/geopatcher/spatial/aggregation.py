"""How overlapping patches become one value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from geopatcher.config import Configured
from geopatcher.domains import as_raster_domain
from geopatcher.patch import Patch, PatchError
from geopatcher.spatial.merge import merge_rolling
from geopatcher.spatial.target import as_scene, warn_uncovered


@dataclass(frozen=True)
class SpatialHardVote(Configured):
    """Each chip's label (h, w), 0 to n_classes - 1, counts one vote; the most votes win.

    A tie goes to the lower class. NaN does not vote. Output (H, W) of the smallest unsigned
    type that holds the classes and a fill value above them, which marks pixels without votes.

    >>> import numpy as np
    >>> from rasterio.windows import Window
    >>> chips = [Patch(np.full((2, 2), c), (0, 0), Window(0, 0, 2, 2)) for c in (1, 2, 2)]
    >>> SpatialHardVote(3).merge(chips, np.zeros((2, 2)))
    array([[2, 2],
           [2, 2]], dtype=uint8)
    """

    n_classes: int

    streaming_safe: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.n_classes < 1:
            raise PatchError(f"n_classes must be at least 1, got {self.n_classes}")

    @property
    def fill_value(self) -> int:
        """The value of pixels without a vote."""
        return int(np.iinfo(self._dtype).max)

    @property
    def _dtype(self) -> np.dtype:
        return np.min_scalar_type(self.n_classes)

    def merge(self, patches: Iterable[Patch], domain: Any) -> Any:
        """Merge label patches onto a raster domain."""
        domain = as_raster_domain(domain)
        merged = merge_rolling(patches, domain, self)
        warn_uncovered(1 - merged.covered / (domain.height * domain.width))
        return as_scene(merged.values, domain, self.fill_value, merged.first.data, merged.skipped)

    def result(self, lead: tuple[int, ...], dtype: np.dtype) -> tuple[tuple[int, ...], Any]:
        """Return (leading shape, dtype) of the vote's result."""
        return (), self._dtype

    def start(self, lead: tuple[int, ...], dtype: np.dtype) -> list[tuple[tuple[int, ...], Any]]:
        """Return the state: votes (n_classes)."""
        if lead not in ((), (1,)):
            raise PatchError(
                f"a hard vote takes labels (h, w), got chips with leading axes {lead}; "
                "use SpatialSoftVote for class probabilities"
            )
        return [((self.n_classes,), np.uint16)]

    def update(self, states: Sequence[np.ndarray], values: np.ndarray, weights: Any) -> None:
        """Count one chip's votes."""
        labels = values.reshape(values.shape[-2:])
        known = np.isfinite(labels)
        outside = known & ((labels < 0) | (labels >= self.n_classes))
        if outside.any():
            raise PatchError(
                f"labels must be 0 to {self.n_classes - 1}, got {labels[outside].flat[0]}"
            )
        for label in range(self.n_classes):
            states[0][label] += labels == label

    def finish(self, states: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
        """Return the winners of finished rows, and how many pixels had a vote."""
        votes = states[0]
        winners = votes.argmax(axis=0).astype(self._dtype)
        voted = votes.any(axis=0)
        winners[~voted] = self.fill_value
        return winners, int(voted.sum())
