"""How far an operator really looks, measured: one pixel is changed, and the answers compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipekit.carrier import Array, is_carrier, rewrap
from pipekit.operator import checked_count
from pipekit.pixels import invalid_mask, nodata_of, plain


def measure_radius(
    op: Any,
    raster: Any = None,
    *,
    shape: tuple[int, ...] = (2, 65, 65),
    places: int = 8,
) -> int | None:
    """Return how far a change of one pixel changes an operator's answer.

    One pixel is changed at a time: in the middle, in corners and at random places, to the least
    and the largest value, to that of another pixel, and to nodata; in a raster of one value to
    another one. What depends on nothing but this shows; a radius that only rare values bring out
    does not.

    Parameters
    ----------
    op
        An operator or function: (..., H, W) -> (..., H, W), or a dictionary of such.
    raster
        What it is tried on. By default random floats, whole numbers and truth values, of which
        those count that the operator takes.
    shape
        Of the random rasters. A radius must be smaller than rows and columns to be seen.
    places
        How many pixels are changed.

    Returns
    -------
    int or None
        In pixels, rows or columns, whichever are more. None when a change is felt at the far side
        of the raster, or the result has other pixels than the input.

    Raises
    ------
    ValueError
        For a raster or shape without rows and columns, or without a valid pixel.
    Exception
        What the operator raises, when it takes none of the rasters.

    Examples
    --------
    >>> from scipy.ndimage import maximum_filter
    >>> measure_radius(lambda chip: maximum_filter(chip, (1, 9, 9)), shape=(1, 40, 40))
    4
    >>> measure_radius(lambda chip: chip - chip.mean(), shape=(1, 40, 40)) is None
    True
    """
    rng = np.random.default_rng(0)
    checked_count(places, "places")
    if raster is not None:
        return _measured(op, raster, places, rng)
    radii, refused = [], None
    if np.size(shape) < 2 or np.min(shape) < 1:
        raise ValueError(f"shape must be (..., rows, columns), each 1 or more, got {shape!r}")
    numbers = rng.random(shape)
    # Few of one truth value, so that what joins or thins them shows.
    few = numbers <= np.sort(numbers, axis=None)[numbers.size // 500]
    floats = (numbers * 1000 + 1).astype(np.float32)
    for values in (floats, floats.astype(np.uint16), few, ~few):
        try:
            radii.append(_measured(op, values, places, rng))
        except (TypeError, ValueError) as error:
            refused = refused or error
    if not radii and refused is not None:
        raise refused
    return None if None in radii else max(radii)  # type: ignore[type-var]


def _measured(op: Any, raster: Any, places: int, rng: np.random.Generator) -> int | None:
    """Return the farthest change that is seen on one raster."""
    values = plain(raster)
    if values.ndim < 2 or not values.size:
        raise ValueError(
            f"raster must be an array or a GeoTensor (..., H, W), got {type(raster).__name__} of "
            f"shape {values.shape}; read a file first: geotoolz.io.read(path)"
        )
    height, width = values.shape[-2:]
    before = _answers(op(raster))
    if any(np.shape(answer)[-2:] != (height, width) for answer in before):
        return None
    seen = 0
    for row, col in _places(height, width, places, rng):
        far = max(row, height - 1 - row, col, width - 1 - col)
        for pixel in _changes(raster, values, rng):
            changed = values.copy()
            changed[..., row, col] = pixel
            after = _answers(op(rewrap(raster, changed) if is_carrier(raster) else changed))
            pairs = zip(before, after, strict=True)
            reach = max((_reach(*pair, (row, col)) for pair in pairs), default=0)
            if reach >= far > 0:
                reach = max(height, width)  # it may be more than can be seen from here
            seen = max(seen, reach)
    return None if seen >= max(height, width) else seen


def _places(height: int, width: int, count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Return pixels: two corners, the middle, the others at random."""
    fixed = [(height // 2, width // 2), (0, 0), (height - 1, width - 1)]
    drawn = [(int(rng.integers(height)), int(rng.integers(width))) for _ in range(count)]
    return (fixed + drawn)[: max(count, 1)]


def _changes(raster: Any, values: Array, rng: np.random.Generator) -> list[Any]:
    """Return values (...) for a pixel: the extremes, another pixel's, and what marks nodata."""
    height, width = values.shape[-2:]
    invalid = invalid_mask(values, nodata_of(raster))
    known = values if invalid is None else values[~invalid]
    if not known.size:
        raise ValueError("raster has no valid pixel, so no change of one can be seen")
    other = values[..., rng.integers(height), rng.integers(width)].copy()
    least, most = known.min(), known.max()
    if least == most:  # none of its own would be a change
        most = values.dtype.type(not most)
    changes = [least, most, other]
    if values.dtype.kind == "f":
        changes.append(np.nan)
    nodata = nodata_of(raster)
    return changes if nodata is None else [*changes, nodata]


def _answers(result: Any) -> list[Array]:
    """Return the arrays that an operator gave."""
    if isinstance(result, Mapping):
        return [array for value in result.values() for array in _answers(value)]
    return [plain(result)]


_SAME = 1e-6
"""Floats no farther apart than this share of the largest are the same: a running sum ends in other
digits wherever it began."""


def _reach(before: Array, after: Array, place: tuple[int, int]) -> int:
    """Return how many rows or columns away from a place two answers differ at most, 0 nowhere."""
    if before.shape != after.shape or before.dtype != after.dtype:
        return int(max(before.shape[-2:]))
    differs = before != after
    if before.dtype.kind in "fc":
        finite = np.abs(before[np.isfinite(before)])
        close = _SAME * float(finite.max(initial=0))
        differs &= ~np.isclose(before, after, rtol=0, atol=close, equal_nan=True)
    rows, cols = np.nonzero(differs.reshape(-1, *before.shape[-2:]).any(axis=0))
    if not len(rows):
        return 0
    return int(max(np.abs(rows - place[0]).max(), np.abs(cols - place[1]).max()))
