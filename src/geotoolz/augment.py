"""Random changes to training chips, the same for the same seed in any process.

An augmentation is called `augment(chip, seed=...)` or, with labels that move along,
`augment(chip, label, seed=...)`, which then returns both. Flips, rotations and crops move labels
and the georeference; changes of brightness and noise leave labels alone. The seed is an integer or
a sequence of integers such as (epoch, chip number); None draws a fresh one.

Chips are (C, H, W) or (H, W), labels anything that ends in the same (H, W). Integers are rounded
and stay in range; nodata stays nodata.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from geotoolz.augmentation import (
    Augmentation,
    Range,
    check_probability,
    check_range,
    draw,
    rebuild,
    restore,
    work,
)
from geotoolz.bands import band_views
from geotoolz.carrier import Raster, fill_of, nodata_mask, rewrap, values_of
from geotoolz.mask import check_fill
from geotoolz.moves import crop, flip, pair, rotate90
from pipekit import Operator


class Compose(Augmentation):
    """Several augmentations in order, each with a random stream of its own.

    - `ops`: augmentations, or any operators (these get the chip only).
    - `p`: the probability that anything is done at all.

    Another setting of one step does not change what the others draw.

    >>> augment = Compose([RandomFlip(), RandomRotate90()])
    >>> chip = np.arange(4.0).reshape(1, 2, 2)
    >>> bool((augment(chip, seed=7) == augment(chip, seed=7)).all())
    True
    """

    def __init__(self, ops: Sequence[Operator], p: float = 1.0) -> None:
        for op in ops:
            if not isinstance(op, Operator):
                raise TypeError(f"ops must be operators, got {op!r}")
        check_probability(p, "p")
        self.ops = ops
        self.p = p

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


class RandomFlip(Augmentation):
    """Mirror left to right with `p_horizontal` and top to bottom with `p_vertical`.

    The transform is mirrored too, so every pixel keeps its place on the map.

    >>> RandomFlip(p_horizontal=1.0, p_vertical=0.0)(np.array([[1, 2, 3]]), seed=0)
    array([[3, 2, 1]])
    """

    def __init__(self, p_horizontal: float = 0.5, p_vertical: float = 0.5) -> None:
        check_probability(p_horizontal, "p_horizontal")
        check_probability(p_vertical, "p_vertical")
        self.p_horizontal = p_horizontal
        self.p_vertical = p_vertical

    def _augment(self, rng: Generator, chip: Raster, *labels: Raster) -> tuple[Raster, ...]:
        horizontal = rng.random() < self.p_horizontal
        vertical = rng.random() < self.p_vertical
        return tuple(
            flip(each, horizontal=horizontal, vertical=vertical) for each in (chip, *labels)
        )


class RandomRotate90(Augmentation):
    """Rotate by 90, 180 or 270 degrees, each as likely, with probability `p`.

    The transform is rotated too. Chips that are not square exchange their height and width.

    >>> RandomRotate90(p=1.0)(np.arange(4).reshape(2, 2), seed=1)
    array([[2, 0],
           [3, 1]])
    """

    def __init__(self, p: float = 0.75) -> None:
        check_probability(p, "p")
        self.p = p

    def _augment(self, rng: Generator, chip: Raster, *labels: Raster) -> tuple[Raster, ...]:
        turns = int(rng.integers(1, 4)) if rng.random() < self.p else 0
        return tuple(rotate90(each, turns) for each in (chip, *labels))


class RandomCrop(Augmentation):
    """Cut out a window of `size` (rows, cols), one number for a square, at a random place.

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


class BandJitter(Augmentation):
    """Change each band by a random factor: a subclass says how in `change`.

    - `factor`: (low, high), drawn evenly between.
    - `per_band`: one factor per band, or the same for all.
    - `p`: the probability that anything is done.

    >>> class Shift(BandJitter):
    ...     def change(self, band, factor, fill):
    ...         return band + factor
    >>> Shift(factor=(2.0, 2.0))(np.ones((1, 1, 2)), seed=0)
    array([[[3., 3.]]])
    """

    def __init__(
        self, factor: Range = (0.8, 1.2), per_band: bool = True, axis: int = 0, p: float = 1.0
    ) -> None:
        check_range(factor, "factor")
        check_probability(p, "p")
        self.factor = factor
        self.per_band = per_band
        self.axis = axis
        self.p = p

    def change(
        self, band: NDArray[Any], factor: np.float32, fill: float | int | None
    ) -> NDArray[Any]:
        """Return the changed band (H, W), whose nodata is NaN or `fill`."""
        raise NotImplementedError(f"{type(self).__name__} must define change(band, factor, fill)")

    def _augment(self, rng: Generator, chip: Raster, *labels: Raster) -> tuple[Raster, ...]:
        if rng.random() >= self.p:
            return (chip, *labels)
        bands = band_views(values_of(chip), self.axis)
        factors = draw(rng, self.factor, len(bands), self.per_band)
        fill = fill_of(chip)
        changed = [
            self.change(band, np.float32(f), fill) for band, f in zip(bands, factors, strict=True)
        ]
        return (rebuild(chip, changed, self.axis), *labels)


class BrightnessJitter(BandJitter):
    """Multiply by a random factor between `factor` = (low, high), one per band or one for all.

    >>> BrightnessJitter(factor=(2.0, 2.0))(np.ones((1, 1, 2)), seed=0)
    array([[[2., 2.]]])
    """

    def change(
        self, band: NDArray[Any], factor: np.float32, fill: float | int | None
    ) -> NDArray[Any]:
        """Return the band, brighter or darker."""
        return work(band) * factor


class ContrastJitter(BandJitter):
    """Stretch about each band's mean of valid pixels by a random factor; the mean stays.

    >>> ContrastJitter(factor=(2.0, 2.0))(np.array([[[1.0, 3.0]]]), seed=0)
    array([[[0., 4.]]])
    """

    def change(
        self, band: NDArray[Any], factor: np.float32, fill: float | int | None
    ) -> NDArray[Any]:
        """Return the band, with its values nearer to their mean or farther from it."""
        invalid = nodata_mask(band, fill)
        valid = band if invalid is None else band[~invalid]
        mean = np.float32(valid.mean(dtype=np.float64)) if valid.size else np.float32(0)
        return (work(band) - mean) * factor + mean


class GaussianNoise(Augmentation):
    """Add normal noise of standard deviation `sigma`, in the chip's own units.

    >>> GaussianNoise(sigma=0.01)(np.zeros((1, 2, 2)), seed=0).std() < 0.05
    np.True_
    """

    def __init__(self, sigma: float = 0.01, p: float = 1.0) -> None:
        if not (np.isfinite(sigma) and sigma >= 0):
            raise ValueError(f"sigma must be 0 or more, got {sigma}")
        check_probability(p, "p")
        self.sigma = sigma
        self.p = p

    def _augment(self, rng: Generator, chip: Raster, *labels: Raster) -> tuple[Raster, ...]:
        if rng.random() >= self.p:
            return (chip, *labels)
        values = values_of(chip)
        noise = rng.standard_normal(values.shape, dtype=np.float32) * np.float32(self.sigma)
        return (restore(chip, work(values) + noise), *labels)


class BandDropout(Augmentation):
    """Replace each band by `fill_value` with probability `p`; at least one always remains.

    >>> BandDropout(p=1.0)(np.ones((3, 1, 1)), seed=0).sum()
    np.float64(1.0)
    """

    def __init__(self, p: float = 0.1, fill_value: float = 0.0, axis: int = 0) -> None:
        check_probability(p, "p")
        self.p = p
        self.fill_value = fill_value
        self.axis = axis

    def _augment(self, rng: Generator, chip: Raster, *labels: Raster) -> tuple[Raster, ...]:
        out = values_of(chip).copy()
        check_fill(self.fill_value, out.dtype, "BandDropout")
        bands = band_views(out, self.axis)
        dropped = rng.random(len(bands)) < self.p
        kept = int(rng.integers(len(bands)))
        if dropped.all():
            dropped[kept] = False
        for band, drop in zip(bands, dropped, strict=True):
            if drop:
                band[...] = self.fill_value
        return (rewrap(chip, out), *labels)


class SimulatedClouds(Augmentation):
    """Lay soft white clouds over a share of the chip.

    Fractal noise (octaves of smoothed white noise) is cut at the level that leaves the wanted
    cover, with soft rims; all bands are blended towards `brightness`.

    - `cover`: (low, high) share of the chip, 0 to 1.
    - `brightness`: of thick cloud, in the chip's own units (0.7 for reflectance).
    - `softness`: width of the rims, as a share of the noise's spread.
    - `scale`: size of the largest cloud, as a share of the chip's shorter side.

    >>> chip = np.zeros((2, 32, 32), dtype="float32")
    >>> cloudy = SimulatedClouds(cover=(0.5, 0.5))(chip, seed=0)
    >>> float((cloudy[0] > 0.35).mean().round(1))
    0.5
    """

    def __init__(
        self,
        cover: Range = (0.1, 0.5),
        brightness: float = 0.7,
        softness: float = 0.15,
        scale: float = 0.5,
        p: float = 1.0,
    ) -> None:
        check_range(cover, "cover")
        if cover[1] > 1:
            raise ValueError(f"cover must lie within 0 and 1, got {cover}")
        if softness <= 0 or not 0 < scale <= 1:
            raise ValueError(
                f"softness must be positive and scale within 0 and 1, got {softness}, {scale}"
            )
        check_probability(p, "p")
        self.cover = cover
        self.brightness = brightness
        self.softness = softness
        self.scale = scale
        self.p = p

    def _augment(self, rng: Generator, chip: Raster, *labels: Raster) -> tuple[Raster, ...]:
        values = values_of(chip)
        if rng.random() >= self.p or values.size == 0:
            return (chip, *labels)
        share = rng.uniform(*self.cover)
        opacity = self._opacity(rng, values.shape[-2:], share)
        clear = work(values)
        return (restore(chip, clear + (np.float32(self.brightness) - clear) * opacity), *labels)

    def _opacity(self, rng: Generator, shape: tuple[int, ...], share: float) -> NDArray[np.float32]:
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


class CutMix(Augmentation):
    """Paste a rectangle of another chip of the batch, with its label, into each chip.

    The rectangle's share of the area is 1 - lambda with lambda from Beta(alpha, alpha) (Yun et al.
    2019, arXiv:1905.04899). Unlike the others it takes a batch: chips (N, C, H, W), labels
    (N, ..., H, W).

    >>> chips = np.arange(2.0).reshape(2, 1, 1, 1) * np.ones((1, 1, 4, 4))
    >>> mixed, labels = CutMix()(chips, chips[:, 0], seed=3)
    >>> bool((mixed[:, 0] == labels).all())
    True
    """

    def __init__(self, alpha: float = 1.0, p: float = 1.0) -> None:
        if not alpha > 0:
            raise ValueError(f"alpha must be positive, got {alpha}")
        check_probability(p, "p")
        self.alpha = alpha
        self.p = p

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
        mixed = []
        for each in moved:
            source = values_of(each)
            out = source.copy()
            out[..., rows, cols] = source[partners][..., rows, cols]
            mixed.append(rewrap(each, out))
        return tuple(mixed)

    def _box(self, rng: Generator, height: int, width: int) -> tuple[slice, slice]:
        side = np.sqrt(1 - rng.beta(self.alpha, self.alpha))
        row, col = rng.integers(height), rng.integers(width)
        half_h, half_w = height * side / 2, width * side / 2
        rows = slice(max(0, round(row - half_h)), min(height, round(row + half_h)))
        cols = slice(max(0, round(col - half_w)), min(width, round(col + half_w)))
        return rows, cols
