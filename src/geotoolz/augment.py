"""Random changes to training chips, the same for the same seed in any process.

An augmentation is called `augment(chip, seed=...)` or, with labels that move along,
`augment(chip, label, seed=...)`, which then returns both. Flips, rotations and crops move labels
and the georeference; changes of brightness and noise leave labels alone. The seed is an integer or
a sequence of integers such as (epoch, chip number); None draws a fresh one.

Chips are (C, H, W) or (H, W), labels anything that ends in the same (H, W). Integers are rounded
and stay in range; nodata stays nodata.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng
from rasterio import Affine

from geotoolz.bands import band_views, coded_bands, on_quantities
from geotoolz.carrier import (
    Fill,
    Raster,
    Values,
    crop,
    fill_of,
    pair,
    rewrap,
    valid_values,
    values_of,
)
from pipekit.carrier import fitting_fill
from pipekit.operator import Operator, checked_number
from pipekit.pixels import check_fill, invalid_mask, keep_off, whole_numbers

Seed = int | Sequence[int] | None
Range = tuple[float, float]


class Augmentation(Operator):
    """An operator that draws random numbers: a subclass defines `_augment`.

    Fields of a dataclass that are named `p` or begin with `p_` are checked to be probabilities.

    Examples
    --------
    >>> class Shift(Augmentation):
    ...     def _augment(self, rng, chip, *labels):
    ...         return (chip + rng.normal(), *labels)
    >>> bool((Shift()(np.zeros((2, 2)), seed=1) == Shift()(np.zeros((2, 2)), seed=1)).all())
    True
    """

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name == "p" or name.startswith("p_"):
                checked_number(value, name, 0, 1, unit=", a probability")

    def __call__(self, chip: Any = None, /, *labels: Any, seed: Seed = None) -> Any:
        """Return the changed chip, or (chip, label, ...) when labels were given."""
        if seed is None:
            return super().__call__(chip, *labels)
        return self._apply(chip, *labels, seed=seed)

    def _apply(self, chip: Raster, *labels: Raster, seed: Seed = None) -> Any:  # type: ignore[override]
        for label in labels:
            if values_of(label).shape[-2:] != values_of(chip).shape[-2:]:
                raise ValueError(
                    f"a label must end in the chip's (H, W), got {values_of(label).shape} "
                    f"for a chip {values_of(chip).shape}"
                )
        # A generator or sequence of numpy's changes as it is used: twice would not be the same.
        moved = self._augment(default_rng(SeedSequence(seed)), chip, *labels)
        return moved if labels else moved[0]

    def _augment(self, rng: Generator, chip: Raster, *labels: Raster) -> tuple[Raster, ...]:
        raise NotImplementedError(f"{type(self).__name__} must define _augment")


def floats_of(values: Values) -> Values:
    """Return floats to compute in: float32 for integers, the chip's own floats otherwise.

    Parameters
    ----------
    values
        (..., H, W), a plain array.

    Returns
    -------
    (..., H, W) floats, a view where the values are floats already.

    Examples
    --------
    >>> floats_of(np.ones(2, "uint16")).dtype
    dtype('float32')
    """
    return values if values.dtype.kind == "f" else values.astype(np.float32)


def restore(chip: Raster, changed: Values) -> Raster:
    """Give changed floats the chip's dtype, georeference and nodata.

    Parameters
    ----------
    chip
        The chip before the change.
    changed
        Floats of the chip's shape.

    Returns
    -------
    A raster in the chip's dtype; integers are rounded and cut to their range.

    Raises
    ------
    TypeError
        For chips that are neither integer nor float.

    Examples
    --------
    >>> restore(np.array([[1, 2]], "uint8"), np.array([[-3.0, 260.4]]))
    array([[  0, 255]], dtype=uint8)
    """
    values = values_of(chip)
    fill = fitting_fill(fill_of(chip), values.dtype)
    invalid = invalid_mask(values, fill)
    if values.dtype.kind in "iu":
        out = whole_numbers(changed, values.dtype, fill, invalid, scratch=True)
    elif values.dtype.kind == "f":
        out = changed.astype(values.dtype, copy=False)
        keep_off(out, fill)
        if invalid is not None:
            out[invalid] = values[invalid]
    else:
        raise TypeError(f"chips must be integer or float, got {values.dtype.name}")
    return rewrap(chip, out)


@on_quantities
def _revalued(
    chip: Raster, rng: Generator, changed: Callable[[Generator, Raster], Values], axis: int
) -> Raster:
    return restore(chip, changed(rng, chip))


def check_range(span: Range, argument: str) -> None:
    """Raise ValueError, naming `argument`, unless `span` is (low, high) with 0 <= low <= high.

    Parameters
    ----------
    span
        The pair to check.
    argument
        What the message calls it.

    Raises
    ------
    ValueError
        For anything else.

    Examples
    --------
    >>> check_range((0.8, 1.2), "factor")
    """
    if np.shape(span) != (2,) or not 0 <= span[0] <= span[1]:
        raise ValueError(f"{argument} must be (low, high) with 0 <= low <= high, got {span}")


def flip(raster: Raster, *, horizontal: bool = False, vertical: bool = False) -> Raster:
    """Return the raster mirrored left to right, top to bottom, or both; a copy.

    Parameters
    ----------
    raster
        (..., H, W). The transform is mirrored along, so a map point keeps its value.
    horizontal
        Whether left and right are exchanged.
    vertical
        Whether top and bottom are exchanged.

    Returns
    -------
    (..., H, W) in the same dtype.

    Examples
    --------
    >>> flip(np.array([[1, 2], [3, 4]]), horizontal=True)
    array([[2, 1],
           [4, 3]])
    """
    values_of(raster)  # refuses what is no raster
    turned = raster[..., :: -1 if vertical else 1, :: -1 if horizontal else 1]
    return rewrap(turned, values_of(turned).copy())


def rotate90(raster: Raster, turns: int = 1) -> Raster:
    """Return the raster turned counter-clockwise by `turns` quarter turns; a copy.

    Parameters
    ----------
    raster
        (..., H, W). The transform is turned along, so a map point keeps its value.
    turns
        How many quarter turns; negative ones go clockwise.

    Returns
    -------
    (..., H, W), or (..., W, H) after an odd number of turns, in the same dtype.

    Examples
    --------
    >>> rotate90(np.array([[1, 2], [3, 4]]))
    array([[2, 4],
           [1, 3]])
    """
    values = values_of(raster)
    height, width = values.shape[-2:]
    # New pixel (col, row) was at the old (col', row') = move * (col, row), in corner coordinates.
    move = (
        Affine.identity(),
        Affine(0, -1, width, 1, 0, 0),
        Affine(-1, 0, width, 0, -1, height),
        Affine(0, 1, 0, -1, 0, height),
    )[turns % 4]
    out = np.rot90(values, turns, axes=(-2, -1)).copy()
    return rewrap(raster, out, move=move)


@dataclass(repr=False, eq=False)
class Compose(Augmentation):
    """Several augmentations in order, each with a random stream of its own.

    Another setting of one step does not change what the others draw.

    Parameters
    ----------
    ops
        Augmentations, or any operators (these get the chip only).
    p
        The probability that anything is done at all.

    Raises
    ------
    TypeError
        For what is no operator.

    Examples
    --------
    >>> augment = Compose([RandomFlip(), RandomRotate90()])
    >>> chip = np.arange(4.0).reshape(1, 2, 2)
    >>> bool((augment(chip, seed=7) == augment(chip, seed=7)).all())
    True
    """

    ops: Sequence[Operator]
    p: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for op in self.ops:
            if not isinstance(op, Operator):
                raise TypeError(f"ops must be operators, got {op!r}")

    def _augment(self, rng: Generator, chip: Raster, *labels: Raster) -> tuple[Raster, ...]:
        streams = rng.spawn(len(self.ops))
        moved = (chip, *labels)
        if rng.random() >= self.p:
            return moved
        for op, stream in zip(self.ops, streams, strict=True):
            if isinstance(op, Augmentation):
                moved = op._augment(stream, *moved)
            else:
                moved = (op(moved[0]), *moved[1:])
        return moved


@dataclass(repr=False, eq=False)
class RandomFlip(Augmentation):
    """Mirror left to right with `p_horizontal` and top to bottom with `p_vertical`.

    The transform is mirrored too, so every pixel keeps its place on the map.

    Parameters
    ----------
    p_horizontal
        The probability that left and right are exchanged.
    p_vertical
        The probability that top and bottom are exchanged.

    Examples
    --------
    >>> RandomFlip(p_horizontal=1.0, p_vertical=0.0)(np.array([[1, 2, 3]]), seed=0)
    array([[3, 2, 1]])
    """

    p_horizontal: float = 0.5
    p_vertical: float = 0.5

    def _augment(self, rng: Generator, chip: Raster, *labels: Raster) -> tuple[Raster, ...]:
        horizontal = rng.random() < self.p_horizontal
        vertical = rng.random() < self.p_vertical
        return tuple(
            flip(each, horizontal=horizontal, vertical=vertical) for each in (chip, *labels)
        )


@dataclass(repr=False, eq=False)
class RandomRotate90(Augmentation):
    """Rotate by 90, 180 or 270 degrees, each as likely, with probability `p`.

    The transform is rotated too. Chips that are not square exchange their height and width.

    Parameters
    ----------
    p
        The probability that anything is done.

    Examples
    --------
    >>> RandomRotate90(p=1.0)(np.arange(4).reshape(2, 2), seed=1)
    array([[2, 0],
           [3, 1]])
    """

    p: float = 0.75

    def _augment(self, rng: Generator, chip: Raster, *labels: Raster) -> tuple[Raster, ...]:
        turns = int(rng.integers(1, 4)) if rng.random() < self.p else 0
        return tuple(rotate90(each, turns) for each in (chip, *labels))


class RandomCrop(Augmentation):
    """Cut out a window of `size` (rows, cols), one number for a square, at a random place.

    Parameters
    ----------
    size
        Pixels: (rows, cols), or one number for a square.

    Raises
    ------
    ValueError
        When it is called, for a chip that is smaller than the window.

    Examples
    --------
    >>> RandomCrop((2, 3))(np.zeros((4, 8, 8)), seed=0).shape
    (4, 2, 3)
    """

    def __init__(self, size: int | tuple[int, int]) -> None:
        pair(size)
        self.size = size

    def _augment(self, rng: Generator, chip: Raster, *labels: Raster) -> tuple[Raster, ...]:
        rows, cols = pair(self.size)
        height, width = values_of(chip).shape[-2:]
        if rows > height or cols > width:
            raise ValueError(f"can't crop (rows, cols) = {rows, cols} from {height, width}")
        row = int(rng.integers(0, height - rows + 1))
        col = int(rng.integers(0, width - cols + 1))
        return tuple(crop(each, row, col, rows, cols) for each in (chip, *labels))


class ValueChange(Augmentation):
    """An augmentation of a chip's values alone, done with probability `p`: labels stay.

    Bands of classes, bits and masks stay, too. A subclass defines `_changed(rng, chip)`, which
    returns floats of the chip's shape.
    """

    p: float

    def _augment(self, rng: Generator, chip: Raster, *labels: Raster) -> tuple[Raster, ...]:
        if rng.random() >= self.p:
            return (chip, *labels)
        return (_revalued(chip, rng, self._changed, getattr(self, "axis", 0)), *labels)

    def _changed(self, rng: Generator, chip: Raster) -> Values:
        raise NotImplementedError(f"{type(self).__name__} must define _changed(rng, chip)")


@dataclass(repr=False, eq=False)
class BandJitter(ValueChange):
    """Change each band by a random factor: a subclass says how in `change`.

    Parameters
    ----------
    factor
        (low, high); the factor is drawn evenly between.
    per_band
        One factor for each band, or the same for all.
    axis
        Of the bands.
    p
        The probability that anything is done.

    Examples
    --------
    >>> class Shift(BandJitter):
    ...     def change(self, band, factor, fill):
    ...         return band + factor
    >>> Shift(factor=(2.0, 2.0))(np.ones((1, 1, 2)), seed=0)
    array([[[3., 3.]]])
    """

    factor: Range = (0.8, 1.2)
    per_band: bool = True
    axis: int = 0
    p: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self.factor, "factor")

    def change(self, band: Values, factor: np.float32, fill: Fill) -> Values:
        """Return the changed band.

        Parameters
        ----------
        band
            (H, W), any numeric dtype.
        factor
            Drawn for this band.
        fill
            Marks nodata beside NaN, or None.

        Returns
        -------
        (H, W) floats; what is nodata in the band is put back afterwards.
        """
        raise NotImplementedError(f"{type(self).__name__} must define change(band, factor, fill)")

    def _changed(self, rng: Generator, chip: Raster) -> Values:
        bands = band_views(values_of(chip), self.axis)
        factors = rng.uniform(*self.factor, size=len(bands) if self.per_band else 1)
        factors = np.broadcast_to(factors.astype(np.float32), len(bands))
        fill = fill_of(chip)
        changed = [self.change(band, f, fill) for band, f in zip(bands, factors, strict=True)]
        return changed[0] if values_of(chip).ndim < 3 else np.stack(changed, axis=self.axis)


class BrightnessJitter(BandJitter):
    """Multiply by a random factor between `factor` = (low, high), one per band or one for all.

    Parameters are those of `BandJitter`.

    Examples
    --------
    >>> BrightnessJitter(factor=(2.0, 2.0))(np.ones((1, 1, 2)), seed=0)
    array([[[2., 2.]]])
    """

    def change(self, band: Values, factor: np.float32, fill: Fill) -> Values:
        """Return the band, brighter or darker; parameters and result are those of `BandJitter`."""
        return floats_of(band) * factor


class ContrastJitter(BandJitter):
    """Stretch about each band's mean of valid pixels by a random factor; the mean stays.

    Parameters are those of `BandJitter`.

    Examples
    --------
    >>> ContrastJitter(factor=(2.0, 2.0))(np.array([[[1.0, 3.0]]]), seed=0)
    array([[[0., 4.]]])
    """

    def change(self, band: Values, factor: np.float32, fill: Fill) -> Values:
        """Return the band, its values nearer to their mean or farther from it.

        Parameters and result are those of `BandJitter`.
        """
        valid = valid_values(band, fill)
        mean = np.float32(valid.mean(dtype=np.float64)) if valid.size else np.float32(0)
        return (floats_of(band) - mean) * factor + mean


@dataclass(repr=False, eq=False)
class GaussianNoise(ValueChange):
    """Add normal noise.

    Parameters
    ----------
    sigma
        Standard deviation, in the chip's own units.
    p
        The probability that anything is done.

    Raises
    ------
    ValueError
        For a negative `sigma`.

    Examples
    --------
    >>> GaussianNoise(sigma=0.01)(np.zeros((1, 2, 2)), seed=0).std() < 0.05
    np.True_
    """

    sigma: float = 0.01
    p: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_number(self.sigma, "sigma", 0)

    def _changed(self, rng: Generator, chip: Raster) -> Values:
        values = values_of(chip)
        noise = rng.standard_normal(values.shape, dtype=np.float32)
        return floats_of(values) + noise * np.float32(self.sigma)


@dataclass(repr=False, eq=False)
class BandDropout(Augmentation):
    """Replace each band by `fill_value` with probability `p`; at least one always remains.

    Nodata stays, and so do bands of classes, bits and masks.

    Parameters
    ----------
    p
        The probability of each band to be replaced.
    fill_value
        What stands in a dropped band, in the chip's own units.
    axis
        Of the bands.

    Examples
    --------
    >>> BandDropout(p=1.0)(np.ones((3, 1, 1)), seed=0).sum()
    np.float64(1.0)
    """

    p: float = 0.1
    fill_value: float = 0.0
    axis: int = 0

    def _augment(self, rng: Generator, chip: Raster, *labels: Raster) -> tuple[Raster, ...]:
        out = values_of(chip).copy()
        check_fill(self.fill_value, out.dtype, "fill_value")
        bands, codes, fill = band_views(out, self.axis), coded_bands(chip, self.axis), fill_of(chip)
        dropped = rng.random(len(bands)) < self.p
        kept = int(rng.integers(len(bands)))
        quantities = [band for band in range(len(bands)) if band not in codes]
        if quantities and dropped[quantities].all():
            dropped[quantities[kept % len(quantities)]] = False
        dropped[list(codes)] = False
        for band in (bands[index] for index in np.flatnonzero(dropped)):
            invalid = invalid_mask(band, fill)
            counts = np.ones(band.shape, bool) if invalid is None else ~invalid
            band[counts] = self.fill_value
            keep_off(band, fill, counts)
        return (rewrap(chip, out), *labels)


@dataclass(repr=False, eq=False)
class SimulatedClouds(ValueChange):
    """Lay soft white clouds over a share of the chip.

    Fractal noise (octaves of smoothed white noise) is cut at the level that leaves the wanted
    cover, with soft rims; all bands are blended towards `brightness`.

    Parameters
    ----------
    cover
        (low, high) share of the chip, 0 to 1.
    brightness
        Of thick cloud, in the chip's own units (0.7 for reflectance).
    softness
        Width of the rims, as a share of the noise's spread.
    scale
        Size of the largest cloud, as a share of the chip's shorter side.
    p
        The probability that anything is done.

    Raises
    ------
    ValueError
        For a cover outside 0 to 1, or sizes that are not positive.

    Examples
    --------
    >>> chip = np.zeros((2, 32, 32), dtype="float32")
    >>> cloudy = SimulatedClouds(cover=(0.5, 0.5))(chip, seed=0)
    >>> float((cloudy[0] > 0.35).mean().round(1))
    0.5
    """

    cover: Range = (0.1, 0.5)
    brightness: float = 0.7
    softness: float = 0.15
    scale: float = 0.5
    p: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self.cover, "cover")
        if self.cover[1] > 1:
            raise ValueError(f"cover must lie within 0 and 1, got {self.cover}")
        if self.softness <= 0 or not 0 < self.scale <= 1:
            raise ValueError(
                "softness must be positive and scale within 0 and 1, got "
                f"{self.softness}, {self.scale}"
            )

    def _changed(self, rng: Generator, chip: Raster) -> Values:
        clear = floats_of(values_of(chip))
        if clear.size == 0:
            return clear
        opacity = self._opacity(rng, clear.shape[-2:], rng.uniform(*self.cover))
        return clear + (np.float32(self.brightness) - clear) * opacity

    def _opacity(self, rng: Generator, shape: tuple[int, ...], share: float) -> Values:
        from scipy.ndimage import gaussian_filter

        noise = np.zeros(shape)
        width = max(1.0, min(shape) * self.scale / 2)
        weight = 1.0
        while width >= 1:
            octave = gaussian_filter(rng.standard_normal(shape), width, mode="reflect")
            noise += weight * octave / max(octave.std(), 1e-12)
            width, weight = width / 2, weight / 2
        level = np.quantile(noise, 1 - share)
        rim = self.softness * max(noise.std(), 1e-12)
        return np.clip((noise - level) / rim + 0.5, 0, 1).astype(np.float32)


@dataclass(repr=False, eq=False)
class CutMix(Augmentation):
    """Paste a rectangle of another chip of the batch, with its label, into each chip.

    The rectangle's share of the area is 1 - lambda with lambda from Beta(alpha, alpha) (Yun et al.
    2019, arXiv:1905.04899). Unlike the others it takes a batch: chips (N, C, H, W), labels
    (N, ..., H, W).

    Parameters
    ----------
    alpha
        Of the Beta distribution; 1 makes every share as likely.
    p
        The probability that anything is done.

    Raises
    ------
    ValueError
        For an `alpha` that is not positive; and when it is called, for what is no batch, or
        labels that are not as many as chips.

    Examples
    --------
    >>> chips = np.arange(2.0).reshape(2, 1, 1, 1) * np.ones((1, 1, 4, 4))
    >>> mixed, labels = CutMix()(chips, chips[:, 0], seed=3)
    >>> bool((mixed[:, 0] == labels).all())
    True
    """

    alpha: float = 1.0
    p: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_number(self.alpha, "alpha", 0, inside=True)

    def _augment(self, rng: Generator, chip: Raster, *labels: Raster) -> tuple[Raster, ...]:
        batch = values_of(chip)
        if batch.ndim != 4:
            raise ValueError(f"CutMix takes a batch (N, C, H, W), got shape {batch.shape}")
        for label in labels:
            if len(values_of(label)) != len(batch):
                raise ValueError(
                    f"labels must be as many as chips, {len(batch)}, got {len(values_of(label))}"
                )
        moved = (chip, *labels)
        if rng.random() >= self.p:
            return moved
        partners = rng.permutation(len(batch))
        rows, cols = self._box(rng, batch.shape[-2], batch.shape[-1])
        mixed = [values_of(each).copy() for each in moved]
        for out in mixed:
            out[..., rows, cols] = out[partners][..., rows, cols]
        return tuple(rewrap(each, out) for each, out in zip(moved, mixed, strict=True))

    def _box(self, rng: Generator, height: int, width: int) -> tuple[slice, slice]:
        side = np.sqrt(1 - rng.beta(self.alpha, self.alpha))
        row, col = rng.integers(height), rng.integers(width)
        half_h, half_w = height * side / 2, width * side / 2
        rows = slice(max(0, round(row - half_h)), min(height, round(row + half_h)))
        cols = slice(max(0, round(col - half_w)), min(width, round(col + half_w)))
        return rows, cols
