"""What all augmentations share: how they draw, carry labels along, and keep dtype and nodata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng
from numpy.typing import NDArray

from geotoolz.carrier import Raster, fill_of, nodata_mask, rewrap, values_of
from pipekit import Operator

Seed = int | Sequence[int] | None
Range = tuple[float, float]


class Augmentation(Operator):
    """An operator that draws random numbers: a subclass defines `_augment`.

    >>> class Shift(Augmentation):
    ...     def _augment(self, rng, chip, *labels):
    ...         return (chip + rng.normal(), *labels)
    >>> bool((Shift()(np.zeros((2, 2)), seed=1) == Shift()(np.zeros((2, 2)), seed=1)).all())
    True
    """

    def __call__(self, chip: Any = None, /, *labels: Any, seed: Seed = None) -> Any:
        """Return the changed chip, or (chip, label, ...) when labels were given."""
        if seed is None:
            return super().__call__(chip, *labels)
        # A generator or sequence of numpy's changes as it is used: twice would not be the same.
        return self._run(default_rng(SeedSequence(seed)), chip, labels)

    def _apply(self, chip: Raster, *labels: Raster) -> Any:
        return self._run(default_rng(), chip, labels)

    def _run(self, rng: Generator, chip: Raster, labels: tuple[Raster, ...]) -> Any:
        for label in labels:
            if values_of(label).shape[-2:] != values_of(chip).shape[-2:]:
                raise ValueError(
                    f"a label must end in the chip's (H, W), got {values_of(label).shape} "
                    f"for a chip {values_of(chip).shape}"
                )
        moved = self._augment(rng, chip, *labels)
        return moved if labels else moved[0]

    def _augment(self, rng: Generator, chip: Raster, *labels: Raster) -> tuple[Raster, ...]:
        raise NotImplementedError(f"{type(self).__name__} must define _augment")


def work(values: NDArray[Any]) -> NDArray[Any]:
    """Return floats to compute in: float32 for integers, the chip's own floats otherwise.

    >>> work(np.ones(2, "uint16")).dtype
    dtype('float32')
    """
    return values if values.dtype.kind == "f" else values.astype(np.float32)


def rebuild(chip: Raster, bands: list[NDArray[Any]], axis: int) -> Raster:
    """Stack changed bands along `axis` again and `restore` them.

    >>> rebuild(np.zeros((2, 1, 1)), [np.ones((1, 1)), np.zeros((1, 1))], 0).ravel()
    array([1., 0.])
    """
    stacked = bands[0] if values_of(chip).ndim < 3 else np.stack(bands, axis=axis)
    return restore(chip, stacked)


def restore(chip: Raster, changed: NDArray[Any]) -> Raster:
    """Give changed floats the chip's dtype, georeference and nodata.

    >>> restore(np.array([[1, 2]], "uint8"), np.array([[-3.0, 260.4]]))
    array([[  0, 255]], dtype=uint8)
    """
    values = values_of(chip)
    fill = fill_of(chip)
    if values.dtype.kind in "iu":
        limits = np.iinfo(values.dtype)
        out = np.clip(np.rint(changed), limits.min, limits.max).astype(values.dtype)
    elif values.dtype.kind == "f":
        out = changed.astype(values.dtype, copy=False)
    else:
        raise TypeError(f"chips must be integer or float, got {values.dtype.name}")
    invalid = nodata_mask(values, fill)
    if invalid is not None:
        out[invalid] = values[invalid]
    return rewrap(chip, out)


def draw(rng: Generator, span: Range, count: int, per_band: bool) -> NDArray[np.float64]:
    """Draw one number a band, or the same for all, evenly within `span`.

    >>> draw(default_rng(0), (1.0, 1.0), 2, per_band=True)
    array([1., 1.])
    """
    return rng.uniform(*span, size=count) if per_band else np.full(count, rng.uniform(*span))


def check_probability(p: float, argument: str) -> None:
    """Raise ValueError, naming `argument`, unless 0 <= p <= 1.

    >>> check_probability(0.5, "p")
    """
    if not 0 <= p <= 1:
        raise ValueError(f"{argument} must be a probability, 0 to 1, got {p}")


def check_range(span: Range, argument: str) -> None:
    """Raise ValueError, naming `argument`, unless `span` is (low, high) with 0 <= low <= high.

    >>> check_range((0.8, 1.2), "factor")
    """
    if np.shape(span) != (2,) or not 0 <= span[0] <= span[1]:
        raise ValueError(f"{argument} must be (low, high) with 0 <= low <= high, got {span}")
